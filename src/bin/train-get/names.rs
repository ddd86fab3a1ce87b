//! The names that files may have here, and those that their parts have. No system calls.
//!
//! `tests/fuzz` includes this file as it is, so it names its neighbours by `super`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use trainyard::train::NAME_MAX;

use super::failure::{Failure, shown};

/// How the names of parts end, and those of the notes beside them.
pub(crate) const PART_END: &[u8] = b".train-part";
pub(crate) const ID_END: &[u8] = b".train-id";
/// Longest start of NAME that a part's name takes over as it is.
const STEM_LEN_MAX: usize = 200;

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
        _ if name.len() > NAME_MAX => refuse("it is longer than any file's name, use -o"),
        _ if is_reserved(name) => refuse("parts of unfinished files are named so"),
        _ => Ok(OsStr::from_bytes(name)),
    }
}

/// Whether `name` is one that unfinished files have, so that no file of a server may have it: it would be
/// renamed over another's part. FAT, exFAT and NTFS take both cases of a letter for the same, and leave out
/// dots and blanks at the end.
fn is_reserved(name: &[u8]) -> bool {
    let mut name = name.to_ascii_lowercase();
    while name.pop_if(|last| matches!(last, b'.' | b' ')).is_some() {}
    name.starts_with(b".") && (name.ends_with(PART_END) || name.ends_with(ID_END))
}

/// `.NAME` and `end`. A long NAME is cut and told from others by a hash (FNV-1a), to stay a legal name. It is
/// not cut within a character of UTF-8, which some file systems refuse.
pub(crate) fn name_beside(target: &OsStr, end: &[u8]) -> OsString {
    let target = target.as_bytes();
    let mut name = vec![b'.'];
    if target.len() <= STEM_LEN_MAX {
        name.extend_from_slice(target);
    } else {
        let is_whole = |end: &usize| target[*end] & 0xc0 != 0x80;
        let end = (STEM_LEN_MAX - 3..=STEM_LEN_MAX).rfind(is_whole);
        name.extend_from_slice(&target[..end.unwrap_or(STEM_LEN_MAX)]);
        name.extend_from_slice(format!(".{:016x}", fnv1a(target)).as_bytes());
    }
    name.extend_from_slice(end);
    OsString::from_vec(name)
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let longest = [b'x'; NAME_MAX];
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
        let too_long = [b'x'; NAME_MAX + 1];
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

    #[test]
    fn names_beside() {
        let long = |last: u8| OsString::from_vec([vec![b'x'; 254], vec![last]].concat());
        let (a, b) = (
            name_beside(&long(b'a'), PART_END),
            name_beside(&long(b'b'), PART_END),
        );
        assert!(a != b && a.len() <= 255, "{a:?} {b:?}");
        for letter in ["ä", "中", "🚂"] {
            for before in 0..4 {
                let name = "x".repeat(before) + &letter.repeat(150);
                let beside = name_beside(OsStr::new(&name), PART_END);
                let beside = beside.to_str().expect("no letter is cut");
                assert_eq!(beside.as_bytes()[1..198], name.as_bytes()[..197]);
            }
        }
        assert_eq!(name_beside(OsStr::new("a"), ID_END), ".a.train-id");
        assert!(is_reserved(a.as_bytes()) && is_reserved(b".a.train-id"));
        assert!(is_reserved(b".a.Train-Part") && is_reserved(b".A.TRAIN-ID. ."));
        assert!(!is_reserved(b"a.train-part") && !is_reserved(b".train"));
    }
}
