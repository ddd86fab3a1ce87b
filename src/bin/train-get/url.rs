//! `train://HOST[:PORT]/PATH`: from the command line to a server and the bytes of a path, and back.

use std::fmt::Write;

use trainyard::train::{CAR_DATA_MAX, PORT_DEFAULT};

const SCHEME: &[u8] = b"train://";

/// What one URL names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Url {
    /// A name or a literal address, IPv6 without its brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// As the server wants it: relative to its root, no leading `/`; the root itself is `/`.
    pub(crate) path: Vec<u8>,
}

impl Url {
    /// Takes a URL apart; the error says what is wrong with it.
    pub(crate) fn parse(text: &[u8]) -> Result<Url, String> {
        let scheme_given = text.get(..SCHEME.len()).unwrap_or_default();
        if !scheme_given.eq_ignore_ascii_case(SCHEME) {
            return Err("a URL starts with train://".into());
        }
        let rest = &text[SCHEME.len()..];
        let authority_len = rest
            .iter()
            .position(|&byte| byte == b'/')
            .unwrap_or(rest.len());
        let (authority, path) = rest.split_at(authority_len);
        let (host, port) = parse_authority(authority)?;
        Ok(Url {
            host,
            port,
            path: parse_path(path)?,
        })
    }
}

fn parse_authority(authority: &[u8]) -> Result<(String, u16), String> {
    let text = std::str::from_utf8(authority).map_err(|_| "the host is not UTF-8")?;
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or("the host lacks its ']'")?;
        // A zone (fe80::1%25eth0) is the one thing that is percent-encoded in here.
        (host.replace("%25", "%"), rest)
    } else {
        let host_len = text.find(':').unwrap_or(text.len());
        (text[..host_len].to_owned(), &text[host_len..])
    };
    if host.is_empty() {
        return Err("the host is missing: train://HOST/PATH".into());
    }
    if host.contains(['@', '\0', ' ']) {
        return Err("a host has no '@', no blank and no NUL".into());
    }
    match port.strip_prefix(':') {
        None if port.is_empty() => Ok((host, PORT_DEFAULT)),
        None => Err("what follows the host's ']' is no :PORT".into()),
        Some(_) if port[1..].contains(':') => {
            Err("an IPv6 address goes into brackets: train://[ADDRESS]/PATH".into())
        }
        Some(number) => match number.parse() {
            Ok(port) if port > 0 => Ok((host, port)),
            _ => Err(format!("'{number}' is no port, 1 to 65535")),
        },
    }
}

fn parse_path(encoded: &[u8]) -> Result<Vec<u8>, String> {
    let decoded = percent_decode(encoded)?;
    let slashes = decoded.iter().take_while(|&&byte| byte == b'/').count();
    let path = if slashes == decoded.len() {
        b"/"
    } else {
        &decoded[slashes..]
    };
    if path.contains(&0) {
        return Err("a path has no NUL".into());
    }
    if path.len() > CAR_DATA_MAX {
        return Err(format!(
            "the path has {} bytes, over {CAR_DATA_MAX}",
            path.len()
        ));
    }
    Ok(path.to_vec())
}

fn percent_decode(encoded: &[u8]) -> Result<Vec<u8>, String> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded.iter();
    while let Some(&byte) = rest.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || {
            rest.next()
                .and_then(|&digit| char::from(digit).to_digit(16))
        };
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err("a '%' stands before two hexadecimal digits (itself it is %25)".into());
        };
        decoded.push((high * 16 + low) as u8);
    }
    Ok(decoded)
}

/// The URL of `path` on `host`, safe to print whatever bytes are in it, and fit to be given again.
pub(crate) fn shown(host: &str, port: u16, path: &[u8]) -> String {
    let mut text = format!("train://{}/", authority_shown(host, port));
    let path = if path == b"/" { b"" } else { path };
    for &byte in path {
        if byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}"); // a String takes all that is written
        }
    }
    text
}

/// `HOST`, or `HOST:PORT` when the port is not the usual one.
fn authority_shown(host: &str, port: u16) -> String {
    let host = host.escape_debug().to_string();
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host
    };
    if port == PORT_DEFAULT {
        host
    } else {
        format!("{host}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (String, u16, Vec<u8>) {
        let url = Url::parse(text.as_bytes()).expect(text);
        (url.host, url.port, url.path)
    }

    #[test]
    fn good_urls() {
        let expected = [
            ("train://pi/a", "pi", 2000, &b"a"[..]),
            ("TRAIN://pi:99/a/b", "pi", 99, b"a/b"),
            ("train://pi", "pi", 2000, b"/"),
            ("train://pi/", "pi", 2000, b"/"),
            ("train://pi///", "pi", 2000, b"/"),
            ("train://pi//a/", "pi", 2000, b"a/"),
            ("train://[::1]/x", "::1", 2000, b"x"),
            ("train://[::1]:7/x", "::1", 7, b"x"),
            ("train://[fe80::1%25eth0]/x", "fe80::1%eth0", 2000, b"x"),
            (
                "train://127.0.0.1/%ff%00a".trim_end_matches("%00a"),
                "127.0.0.1",
                2000,
                b"\xff",
            ),
            ("train://h/a%20b?c#d", "h", 2000, b"a b?c#d"),
            ("train://h/%2e%2E/x", "h", 2000, b"../x"),
        ];
        for (text, host, port, path) in expected {
            assert_eq!(
                parts(text),
                (host.to_owned(), port, path.to_vec()),
                "{text}"
            );
        }
    }

    #[test]
    fn bad_urls() {
        for text in [
            "",
            "pi/a",
            "http://pi/a",
            "train:/pi/a",
            "train:///a",
            "train://:80/a",
            "train://[::1/a",
            "train://[::1]x/a",
            "train://::1/a",
            "train://pi:0/a",
            "train://pi:65536/a",
            "train://pi:/a",
            "train://me@pi/a",
            "train://pi/%",
            "train://pi/%4",
            "train://pi/%4g",
            "train://pi/%00",
        ] {
            assert!(Url::parse(text.as_bytes()).is_err(), "{text}");
        }
        let path_max = format!("train://pi/{}", "a".repeat(CAR_DATA_MAX));
        assert!(Url::parse(path_max.as_bytes()).is_ok());
        assert!(Url::parse(format!("{path_max}a").as_bytes()).is_err());
    }

    #[test]
    fn what_is_shown_can_be_given_again() {
        let every_byte: Vec<u8> = (1..=255).collect();
        for host in ["pi", "::1"] {
            let text = shown(host, 77, &every_byte);
            assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text}");
            assert_eq!(parts(&text), (host.to_owned(), 77, every_byte.clone()));
        }
        assert_eq!(shown("pi", PORT_DEFAULT, b"/"), "train://pi/");
    }
}
