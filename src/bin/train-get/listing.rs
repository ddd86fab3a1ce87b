//! A folder's listing, taken apart as it comes. No system calls.
//!
//! `tests/fuzz` includes this file as it is, so it names its neighbours by `super`.

use trainyard::train::CAR_DATA_MAX;

use super::failure::Failure;

/// Type, two numbers of at most 20 digits, three blanks, a name of which a path must have room.
const ENTRY_LEN_MAX: usize = 1 + 20 + 20 + 3 + CAR_DATA_MAX;
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
}

/// `TYPE SIZE MTIME_NS NAME`, without its NUL.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    pub(crate) kind: Kind,
    pub(crate) size: u64,
    pub(crate) mtime_ns: i64,
    pub(crate) name: &'a [u8],
}

impl Entry<'_> {
    fn parse(bytes: &[u8]) -> Option<Entry<'_>> {
        let mut fields = bytes.splitn(4, |&byte| byte == b' ');
        let kind = match fields.next()? {
            b"f" => Kind::File,
            b"d" => Kind::Folder,
            _ => return None,
        };
        let mut number = || std::str::from_utf8(fields.next()?).ok();
        let (size, mtime_ns) = (number()?.parse().ok()?, number()?.parse().ok()?);
        Some(Entry {
            kind,
            size,
            mtime_ns,
            name: fields.next()?,
        })
    }
}

/// Finds the entries in a listing whose cars end anywhere in them.
#[derive(Default)]
pub(crate) struct Splitter {
    /// The start of an entry whose NUL has not come yet.
    pending: Vec<u8>,
}

impl Splitter {
    pub(crate) fn push(
        &mut self,
        data: &[u8],
        mut take: impl FnMut(Entry<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        for piece in data.split_inclusive(|&byte| byte == 0) {
            self.pending.extend_from_slice(piece);
            let whole = self.pending.pop_if(|last| *last == 0).is_some();
            if self.pending.len() > ENTRY_LEN_MAX {
                return Err(Failure::Malformed(
                    "an entry of the listing has no end".into(),
                ));
            }
            if whole {
                let malformed =
                    || Failure::Malformed("the listing has an entry that is none".into());
                take(Entry::parse(&self.pending).ok_or_else(malformed)?)?;
                self.pending.clear();
            }
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<(), Failure> {
        match self.pending.len() {
            0 => Ok(()),
            _ => Err(Failure::Malformed(
                "the listing ends within an entry".into(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (name, size) of all entries, with the listing cut into pieces of `piece_len`.
    fn split(listing: &[u8], piece_len: usize) -> Result<Vec<(Vec<u8>, u64)>, Failure> {
        let mut entries = Vec::new();
        let mut splitter = Splitter::default();
        for piece in listing.chunks(piece_len) {
            splitter.push(piece, |entry| {
                entries.push((entry.name.to_vec(), entry.size));
                Ok(())
            })?;
        }
        splitter.finish().map(|()| entries)
    }

    #[test]
    fn the_same_entries_wherever_cars_end() {
        let listing = b"f 5 -1 a b\0d 0 7 \xff\n\0f 18446744073709551614 0 .. \0f 0 0 \0";
        let expected = split(listing, listing.len()).unwrap();
        let names: Vec<_> = expected.iter().map(|(name, _)| name.as_slice()).collect();
        assert_eq!(names, [&b"a b"[..], b"\xff\n", b".. ", b""]);
        for piece_len in 1..listing.len() {
            assert_eq!(split(listing, piece_len).unwrap(), expected, "{piece_len}");
        }
    }

    #[test]
    fn listings_that_are_none() {
        for listing in [
            &b"f 1 1 a"[..],
            b"x 1 1 a\0",
            b"f 1 a\0",
            b"\0",
            b"f -1 1 a\0",
            b"f 1 1\0",
            b"f  1 1 a\0",
            b"ff 1 1 a\0",
            b"f 18446744073709551616 0 a\0",
            b"f 1 9223372036854775808 a\0",
        ] {
            assert!(
                matches!(split(listing, 1000), Err(Failure::Malformed(_))),
                "{listing:?}"
            );
        }
        assert!(split(&vec![b'x'; ENTRY_LEN_MAX + 1], 1000).is_err());
    }
}
