//! An entry of a folder, and the orders in which a listing can give them.

use core::cmp::Ordering;

/// A file or a folder within a folder.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry<'a> {
    /// Its name: 1 to `NAME_MAX` bytes, any but NUL and `/`.
    pub name: &'a [u8],
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Bytes; 0 for a folder.
    pub size: u64,
    /// Time of the last change, in nanoseconds since 1970.
    pub mtime_ns: i64,
}

/// What entries are sorted by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum By {
    /// The bytes of their names.
    Name,
    /// Their sizes; folders have none.
    Size,
    /// The times of their last changes.
    Date,
}

/// An order of entries. No two entries of a folder are equal in it. All zeroes is [`Order::NAME`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Order {
    /// What comes first.
    pub by: By,
    /// The greatest first. Entries of the same size or date are still in order of their names.
    pub descending: bool,
}

impl Order {
    /// By name, the smallest first.
    pub const NAME: Self = Self {
        by: By::Name,
        descending: false,
    };

    /// The number that sorts `entry` before its name does; 0 in an order by name.
    #[must_use]
    pub fn key(self, entry: &Entry<'_>) -> u64 {
        match self.by {
            By::Name => 0,
            By::Size => entry.size,
            By::Date => (entry.mtime_ns as u64) ^ (1 << 63),
        }
    }

    /// What [`Order::key`] was made of: puts it back into `entry`.
    pub fn set_key(self, entry: &mut Entry<'_>, key: u64) {
        match self.by {
            By::Name => {}
            By::Size => entry.size = key,
            By::Date => entry.mtime_ns = (key ^ (1 << 63)) as i64,
        }
    }

    /// Compares two entries by their keys and names.
    #[must_use]
    pub fn compare(self, left: (u64, &[u8]), right: (u64, &[u8])) -> Ordering {
        let directed = |ordering: Ordering| {
            if self.descending {
                ordering.reverse()
            } else {
                ordering
            }
        };
        if self.by == By::Name {
            directed(left.1.cmp(right.1))
        } else {
            directed(left.0.cmp(&right.0)).then(left.1.cmp(right.1))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_sorts_as_what_it_is_made_of_and_turns_back_into_it() {
        let mut entry = Entry {
            name: b"n",
            is_folder: false,
            size: 7,
            mtime_ns: 0,
        };
        let by_date = Order {
            by: By::Date,
            descending: false,
        };
        let mut before = None;
        for mtime_ns in [i64::MIN, -1, 0, 1, i64::MAX] {
            entry.mtime_ns = mtime_ns;
            let key = by_date.key(&entry);
            assert!(before.is_none_or(|before| before < key));
            before = Some(key);
            entry.mtime_ns = 5;
            by_date.set_key(&mut entry, key);
            assert_eq!(entry.mtime_ns, mtime_ns);
        }
    }

    #[test]
    fn equal_sizes_are_in_order_of_names_both_ways() {
        for (by, descending, expected) in [
            (By::Size, false, [(1, b"b"), (2, b"a"), (2, b"c")]),
            (By::Size, true, [(2, b"a"), (2, b"c"), (1, b"b")]),
            (By::Name, true, [(2, b"c"), (1, b"b"), (2, b"a")]),
        ] {
            let order = Order { by, descending };
            let mut entries = [(2, b"a"), (1, b"b"), (2, b"c")];
            entries.sort_by(|left, right| order.compare((left.0, left.1), (right.0, right.1)));
            assert_eq!(entries, expected, "{order:?}");
        }
    }
}
