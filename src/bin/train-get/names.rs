//! Which names files may have here.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::failure::{Failure, shown};

/// Bytes of a name on the file systems that Linux has.
const NAME_LEN_MAX: usize = 255;

/// How the name of an unfinished file ends, and of what says what it is a part of.
pub(crate) const PART_END: &[u8] = b".train-part";
pub(crate) const ID_END: &[u8] = b".train-id";
/// Refuses what is no plain name of one file in one folder.
pub(crate) fn check_name(name: &[u8]) -> Result<&OsStr, Failure> {
    let name_shown = shown(OsStr::from_bytes(name));
    let refuse = |why: &str| {
        Err(Failure::Refused(format!(
            "the name '{name_shown}' is refused: {why}"
        )))
    };
    match name {
        b"" => refuse("it is empty"),
        b"." | b".." => refuse("it leads out of the chosen folder"),
        _ if name.contains(&b'/') => {
            refuse("it holds a '/' and could lead out of the chosen folder")
        }
        _ if name.contains(&0) => refuse("it holds a NUL"),
        _ if name.len() > NAME_LEN_MAX => refuse("it is over 255 bytes long, use -o"),
        _ if is_reserved(name) => refuse("parts of unfinished files are named so"),
        _ => Ok(OsStr::from_bytes(name)),
    }
}

/// Whether `name` is one that unfinished files have, so that no file of a server may have it: it
/// would be renamed over another's part.
pub(crate) fn is_reserved(name: &[u8]) -> bool {
    name.starts_with(b".") && (name.ends_with(PART_END) || name.ends_with(ID_END))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let longest = [b'x'; NAME_LEN_MAX];
        for name in [
            &b"a"[..],
            b"...",
            b".a",
            b"a b",
            b"\xff\n",
            b"C:\\x",
            &longest,
        ] {
            assert_eq!(check_name(name).unwrap().as_bytes(), name);
        }
        let too_long = [b'x'; NAME_LEN_MAX + 1];
        for name in [
            &b""[..],
            b".",
            b"..",
            b"/",
            b"/a",
            b"a/",
            b"../x",
            b"a/../b",
            b"a\0b",
            b".a.train-part",
            b".a.train-id",
            &too_long,
        ] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }
}
