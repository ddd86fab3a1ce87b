//! Paths: from a request's to a file's (RFC 3986), and from a name to a link.

use heapless::Vec;

use super::Status;
use super::list::alphanumeric_and;
use crate::limits::{NAME_MAX, PATH_MAX};

/// The first component of the paths that are the server's own, whatever lies beneath the root.
pub const OWN: &[u8] = b"-";

/// A path beneath the root.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Path {
    /// The components, a slash between each two, none before or behind; empty for the root. No
    /// component is empty, `.` or `..`, none holds a NUL.
    pub bytes: Vec<u8, PATH_MAX>,
    /// It ended in a slash or a dot segment, so it can only name a folder.
    pub is_folder: bool,
}

impl Path {
    /// Whether some component begins with a dot.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        self.bytes
            .split(|byte| *byte == b'/')
            .any(|component| component.starts_with(b"."))
    }

    /// The last component; empty for the root.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        let start = self.bytes.iter().rposition(|byte| *byte == b'/');
        &self.bytes[start.map_or(0, |slash| slash + 1)..]
    }

    fn push(&mut self, component: &[u8]) -> Result<(), Status> {
        if !self.bytes.is_empty() {
            self.bytes.push(b'/').map_err(|_| Status::URI_TOO_LONG)?;
        }
        self.bytes
            .extend_from_slice(component)
            .map_err(|_| Status::URI_TOO_LONG)
    }

    fn pop(&mut self) {
        let slash = self.bytes.iter().rposition(|byte| *byte == b'/');
        self.bytes.truncate(slash.unwrap_or(0));
    }
}

/// Decodes the path of a request, as sent.
///
/// Escapes are decoded once; then dot segments are removed, also those that were escaped, and `..`
/// at the root stays there (RFC 3986 section 5.2.4). Several slashes are one.
///
/// # Errors
/// 400 for a path that does not begin with a slash, for a malformed escape, for an escaped slash
/// and for NUL. 404 for a component of more than `NAME_MAX` bytes, which no file has; 414 for more than
/// `PATH_MAX` bytes.
pub fn decode(raw_path: &[u8]) -> Result<Path, Status> {
    let Some(components) = raw_path.strip_prefix(b"/") else {
        return Err(Status::BAD_REQUEST);
    };
    let mut path = Path {
        bytes: Vec::new(),
        is_folder: true,
    };
    for raw in components.split(|byte| *byte == b'/') {
        let component = component(raw)?;
        path.is_folder = true;
        match &component[..] {
            b"" | b"." => {}
            b".." => path.pop(),
            name => {
                path.push(name)?;
                path.is_folder = false;
            }
        }
    }
    Ok(path)
}

/// One component, its escapes decoded.
fn component(raw: &[u8]) -> Result<Vec<u8, NAME_MAX>, Status> {
    let mut component = Vec::new();
    let mut rest = raw;
    while let [first, behind @ ..] = rest {
        let (byte, behind) = match (first, behind) {
            (b'%', [high, low, behind @ ..]) => (hex(*high)? << 4 | hex(*low)?, behind),
            (b'%', _) => return Err(Status::BAD_REQUEST),
            (byte, behind) => (*byte, behind),
        };
        if matches!(byte, 0 | b'/') {
            return Err(Status::BAD_REQUEST);
        }
        component.push(byte).map_err(|_| Status::NOT_FOUND)?;
        rest = behind;
    }
    Ok(component)
}

fn hex(digit: u8) -> Result<u8, Status> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(Status::BAD_REQUEST),
    }
}

/// Encodes one component for a link, and gives the pieces to `out` in order.
///
/// All but the unreserved bytes are escaped (RFC 3986 section 2.3): also the colon, so that no
/// name looks like a scheme, and all that means something in HTML.
pub fn encode(name: &[u8], out: &mut impl FnMut(&[u8])) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut rest = name;
    while !rest.is_empty() {
        let plain = rest.iter().position(|byte| !is_unreserved(*byte));
        let (run, behind) = rest.split_at(plain.unwrap_or(rest.len()));
        if !run.is_empty() {
            out(run);
        }
        rest = behind;
        if let [byte, behind @ ..] = rest {
            let digits = [byte >> 4, byte & 0xf].map(|digit| DIGITS[usize::from(digit)]);
            out(&[b'%', digits[0], digits[1]]);
            rest = behind;
        }
    }
}

fn is_unreserved(byte: u8) -> bool {
    static UNRESERVED: [bool; 256] = alphanumeric_and(b"-._~");
    UNRESERVED[usize::from(byte)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_decoded_once_and_its_dots_removed() {
        for (raw, expected, is_folder) in [
            ("/", "", true),
            ("//", "", true),
            ("/a/b", "a/b", false),
            ("/a//b/", "a/b", true),
            ("/a%20b", "a b", false),
            ("/%2525", "%25", false),
            ("/a/./b", "a/b", false),
            ("/a/.", "a", true),
            ("/a/b/..", "a", true),
            ("/a/b/../c", "a/c", false),
            ("/..", "", true),
            ("/../../a", "a", false),
            ("/a/%2e%2E/%2e/b", "b", false),
            ("/a/...", "a/...", false),
            ("/.hidden", ".hidden", false),
            ("/a\\..\\b", "a\\..\\b", false),
            ("/a+b;c:d", "a+b;c:d", false),
        ] {
            let path = decode(raw.as_bytes()).unwrap();
            assert_eq!(path.bytes, expected.as_bytes(), "{raw}");
            assert_eq!(path.is_folder, is_folder, "{raw}");
        }
        assert_eq!(decode(b"/\xff%fe").unwrap().bytes, b"\xff\xfe");
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for raw in [
            "", "a", "*", "/a%2Fb", "/a%2fb", "/%00", "/a\0", "/%", "/%1", "/%g0", "/%0g", "/%+1",
        ] {
            assert_eq!(decode(raw.as_bytes()), Err(Status::BAD_REQUEST), "{raw}");
        }
    }

    #[test]
    fn a_path_and_its_components_have_a_longest_size() {
        let component = ["/", &"x".repeat(NAME_MAX)].concat();
        assert!(decode(component.as_bytes()).is_ok());
        let longer = [&component, "x"].concat();
        assert_eq!(decode(longer.as_bytes()), Err(Status::NOT_FOUND));
        let escaped = ["/", &"%41".repeat(NAME_MAX)].concat();
        assert_eq!(decode(escaped.as_bytes()).unwrap().bytes, [b'A'; NAME_MAX]);
        let longest = "/abcd".repeat(200) + "e";
        assert_eq!(decode(longest.as_bytes()).unwrap().bytes.len(), PATH_MAX);
        let longer = longest + "f";
        assert_eq!(decode(longer.as_bytes()), Err(Status::URI_TOO_LONG));
    }

    #[test]
    fn a_path_knows_its_name_and_whether_it_is_hidden() {
        for (raw, name, is_hidden) in [
            ("/", "", false),
            ("/a", "a", false),
            ("/a/b.c/", "b.c", false),
            ("/.git/config", "config", true),
            ("/a/.b", ".b", true),
            ("/a/../.b", ".b", true),
            ("/.a/../b", "b", false),
        ] {
            let path = decode(raw.as_bytes()).unwrap();
            assert_eq!(path.name(), name.as_bytes(), "{raw}");
            assert_eq!(path.is_hidden(), is_hidden, "{raw}");
        }
    }

    #[test]
    fn a_link_holds_unreserved_bytes_only() {
        let mut link = std::vec::Vec::new();
        encode(b"a:b c/\"<\xff~.txt", &mut |piece| {
            link.extend_from_slice(piece);
        });
        assert_eq!(link, b"a%3Ab%20c%2F%22%3C%FF~.txt");
    }
}
