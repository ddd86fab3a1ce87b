//! What `trainyard eject` and a server say to each other, as bytes. No system calls here.
//!
//! A server listens at `trainyard/eject/PROCESS`, with `/` and a random word behind it where somebody else
//! has that name. Anybody can take any name, so it counts only with the number of the process that listens.
//!
//! The request is the paths that are meant, each behind a NUL, or nothing for any root; its end is the end
//! of what is sent. The answer is `gone PATH`, `held PATH`, or `other` if the server's root is not beneath
//! any of the paths; a server that may not be asked answers nothing.

use heapless::Vec;

use crate::limits::PATH_MAX;

/// What the names of all servers begin with.
const NAME: &str = "trainyard/eject/";
const GONE: &[u8] = b"gone ";
const HELD: &[u8] = b"held ";
const OTHER: &[u8] = b"other";

/// Bytes of a request at most: two paths, each behind a NUL.
pub const REQUEST_BYTES_MAX: usize = 2 * (PATH_MAX + 1);
/// Bytes of an answer at most: a word and a path.
pub const ANSWER_BYTES_MAX: usize = GONE.len() + PATH_MAX;

/// What a server answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer<'a> {
    /// All workers have let go of the root at this path.
    Gone(&'a [u8]),
    /// Some worker has not, in the time for it.
    Held(&'a [u8]),
    /// The root is none of those that are meant.
    Other,
}

impl<'a> Answer<'a> {
    /// As it is sent; a path is cut at `PATH_MAX` bytes.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8, ANSWER_BYTES_MAX> {
        let (word, path): (_, &[u8]) = match self {
            Self::Gone(path) => (GONE, path),
            Self::Held(path) => (HELD, path),
            Self::Other => (OTHER, b""),
        };
        let bytes = word.iter().chain(path.iter().take(PATH_MAX));
        bytes.copied().collect()
    }

    /// What was received; `None` for what no server says.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() > ANSWER_BYTES_MAX {
            None
        } else if let Some(path) = bytes.strip_prefix(GONE) {
            Some(Self::Gone(path))
        } else if let Some(path) = bytes.strip_prefix(HELD) {
            Some(Self::Held(path))
        } else {
            (bytes == OTHER).then_some(Self::Other)
        }
    }
}

/// The request for the root with these names, or for any root if there are none.
#[must_use]
pub fn request_of(names: &[std::vec::Vec<u8>]) -> std::vec::Vec<u8> {
    let mut request = std::vec::Vec::new();
    for name in names {
        request.push(0);
        request.extend(name);
    }
    request
}

/// Whether a request means the root with these names: whether one of them is, or lies beneath, one of the
/// paths of the request, or the request is empty.
#[must_use]
pub fn is_meant(request: &[u8], names: &[std::vec::Vec<u8>]) -> bool {
    if request.is_empty() {
        return true;
    }
    let mut paths = request
        .split(|byte| *byte == 0)
        .filter(|path| !path.is_empty());
    paths.any(|path| {
        let path = path.strip_suffix(b"/").unwrap_or(path);
        let mut rests = names.iter().filter_map(|name| name.strip_prefix(path));
        rests.any(|rest| rest.is_empty() || rest.starts_with(b"/"))
    })
}

/// The abstract name at which the server of this process listens, unless somebody else has it.
#[must_use]
pub fn name_of(process: i32) -> String {
    format!("{NAME}{process}")
}

/// The abstract name and the process of a server that listens, if a line of /proc/net/unix is of one.
#[must_use]
pub fn listening_server(line: &[u8]) -> Option<(&str, i32)> {
    let mut fields = line
        .split(|byte| *byte == b' ')
        .filter(|field| !field.is_empty());
    // Flags: SO_ACCEPTCON, and nothing else.
    if fields.nth(3) != Some(b"00010000") {
        return None;
    }
    // An `@` stands for the first byte of an abstract name.
    let at = line.windows(2).position(|window| window == b" @")?;
    let name = str::from_utf8(line[at + 2..].trim_ascii_end()).ok()?;
    let number = name.strip_prefix(NAME)?.split('/').next()?;
    Some((name, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_meant_by_its_names_and_by_what_is_above() {
        let names = [b"/media/link/films".to_vec(), b"/srv/card/films".to_vec()];
        for (request, expected) in [
            (&b""[..], true),
            (b"\0/srv/card/films", true),
            (b"\0/elsewhere\0/srv/card", true),
            (b"\0/media/link/", true),
            (b"\0/", true),
            (b"\0/srv/car", false),
            (b"\0/srv/card/films/new", false),
            (b"\0/srv/card/filmsx", false),
            (b"\0", false),
        ] {
            assert_eq!(is_meant(request, &names), expected, "{request:?}");
        }
        assert_eq!(request_of(&names), b"\0/media/link/films\0/srv/card/films");
    }

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        let longest = [b'x'; PATH_MAX];
        for path in [&b""[..], b"/srv/a b", b"\xff", &longest] {
            for answer in [Answer::Gone(path), Answer::Held(path), Answer::Other] {
                assert_eq!(Answer::parse(&answer.to_bytes()), Some(answer));
            }
        }
        for bytes in [&b""[..], b"gone", b"other ", b"Gone /", b"let go"] {
            assert_eq!(Answer::parse(bytes), None, "{}", bytes.escape_ascii());
        }
        let longer = [&b"gone "[..], &longest, b"x"].concat();
        assert_eq!(Answer::parse(&longer), None);
        assert_eq!(Answer::Gone(&longer).to_bytes().len(), ANSWER_BYTES_MAX);
    }

    #[test]
    fn a_server_is_found_where_it_listens() {
        let line = |flags: &str, name: &str| {
            format!("0000000000000000: 00000002 00000000 {flags} 0001 01 24630 {name}\n")
        };
        let server = |flags: &str, name: &str| {
            let line = line(flags, name);
            listening_server(line.as_bytes()).map(|(name, process)| (name.to_string(), process))
        };
        let own = name_of(71);
        assert_eq!(own, "trainyard/eject/71");
        let with_word = format!("{own}/2f1c");
        assert_eq!(server("00010000", &format!("@{own}")), Some((own, 71)));
        let found = server("00010000", &format!("@{with_word}"));
        assert_eq!(found, Some((with_word, 71)));
        for (flags, name) in [
            ("00000000", "@trainyard/eject/71"),
            ("00010000", "/trainyard/eject/71"),
            ("00010000", "@trainyard/eject/"),
            ("00010000", "@trainyard/eject/x"),
            ("00010000", "@trainyard/other/71"),
            ("00010000", ""),
        ] {
            assert_eq!(server(flags, name), None, "{flags} {name}");
        }
    }
}
