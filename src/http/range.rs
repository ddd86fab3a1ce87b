//! The `Range` field (RFC 9110 section 14).

use heapless::Vec;

use super::list;
use crate::limits::RANGES_MAX;

/// A run of a file's bytes, at least one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Range {
    /// Its first byte.
    pub first: u64,
    /// How many bytes; never 0.
    pub size: u64,
}

impl Range {
    /// Where the byte behind its last one lies.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.first + self.size
    }

    fn touches(&self, other: &Self) -> bool {
        self.first <= other.end() && other.first <= self.end()
    }

    fn union(&self, other: &Self) -> Self {
        let first = self.first.min(other.first);
        let size = self.end().max(other.end()) - first;
        Self { first, size }
    }
}

/// What of a file is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is no heap to put the list on"
)]
pub enum Ranges {
    /// All of it.
    Whole,
    /// One part.
    One(Range),
    /// Parts that neither overlap nor touch, two or more, in the order they were asked for.
    Several(Vec<Range, RANGES_MAX>),
    /// Only parts that lie behind its end.
    Unsatisfiable,
}

/// Reads a value of `Range` for a file of `file_size` bytes.
///
/// A field that can't be read, of another unit, or of more than `RANGES_MAX` ranges counts for
/// nothing, so the answer is the whole file. Ranges that overlap or touch become one, where the
/// first of them stood. A number that is too large for 64 bits is the largest.
#[must_use]
pub fn parse(value: &[u8], file_size: u64) -> Ranges {
    let set = match value.split_first_chunk::<6>() {
        Some((unit, set)) if unit.eq_ignore_ascii_case(b"bytes=") => set,
        _ => return Ranges::Whole,
    };
    let mut ranges: Vec<Range, RANGES_MAX> = Vec::new();
    let mut count = 0;
    let mut wants_all = false;
    for element in list::elements(set) {
        let Some(asked) = asked(element) else {
            return Ranges::Whole;
        };
        count += 1;
        if count > RANGES_MAX {
            return Ranges::Whole;
        }
        match within(asked, file_size) {
            Some(range) => add(&mut ranges, range),
            // RFC 9110 section 14.1.2 calls this satisfiable, but no `Content-Range` can name zero bytes, so
            // the whole, empty file is sent.
            None => wants_all |= file_size == 0 && matches!(asked, Asked::Last(1..)),
        }
    }
    match ranges[..] {
        [] if count == 0 || wants_all => Ranges::Whole,
        [] => Ranges::Unsatisfiable,
        [one] => Ranges::One(one),
        _ => Ranges::Several(ranges),
    }
}

#[derive(Clone, Copy)]
enum Asked {
    /// From the first byte to the last, both included.
    Between(u64, u64),
    /// So many bytes at the end.
    Last(u64),
}

fn asked(element: &[u8]) -> Option<Asked> {
    let dash = element.iter().position(|byte| *byte == b'-')?;
    let (first, last) = (&element[..dash], &element[dash + 1..]);
    match (first, last) {
        ([], []) => None,
        ([], last) => Some(Asked::Last(number(last)?)),
        (first, []) => Some(Asked::Between(number(first)?, u64::MAX)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Asked::Between(first, last))
        }
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |number, digit| {
        digit.is_ascii_digit().then(|| {
            number
                .saturating_mul(10)
                .saturating_add(u64::from(digit - b'0'))
        })
    })
}

/// What of the file is meant; `None` for nothing.
fn within(asked: Asked, file_size: u64) -> Option<Range> {
    let last_of_file = file_size.checked_sub(1)?;
    let (first, last) = match asked {
        Asked::Between(first, last) => (first, last.min(last_of_file)),
        Asked::Last(0) => return None,
        Asked::Last(size) => (file_size.saturating_sub(size), last_of_file),
    };
    (first <= last).then(|| Range {
        first,
        size: last - first + 1,
    })
}

/// Adds a range and unites it with all that it overlaps or touches, as intervals are merged.
fn add(ranges: &mut Vec<Range, RANGES_MAX>, mut range: Range) {
    let mut place = ranges.len();
    while let Some(other) = ranges.iter().position(|other| other.touches(&range)) {
        range = range.union(&ranges.remove(other));
        place = place.min(other);
    }
    ranges
        .insert(place.min(ranges.len()), range)
        .expect("no more ranges than elements, which were counted");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn several(ranges: &[(u64, u64)]) -> Ranges {
        let ranges = ranges.iter().map(|(first, size)| Range {
            first: *first,
            size: *size,
        });
        Ranges::Several(ranges.collect())
    }

    fn one(first: u64, size: u64) -> Ranges {
        Ranges::One(Range { first, size })
    }

    #[test]
    fn one_range_is_cut_at_the_end_of_the_file() {
        for (value, expected) in [
            ("bytes=0-0", one(0, 1)),
            ("bytes=0-", one(0, 100)),
            ("BYTES=99-", one(99, 1)),
            ("bytes=10-19", one(10, 10)),
            ("bytes=90-1000", one(90, 10)),
            ("bytes=-1", one(99, 1)),
            ("bytes=-1000", one(0, 100)),
            ("bytes=0-99999999999999999999999", one(0, 100)),
            ("bytes=-99999999999999999999999", one(0, 100)),
            ("bytes= 1-2 ", one(1, 2)),
            ("bytes=,1-2,", one(1, 2)),
            ("bytes=100-", Ranges::Unsatisfiable),
            ("bytes=-0", Ranges::Unsatisfiable),
            ("bytes=99999999999999999999999-", Ranges::Unsatisfiable),
            ("bytes=100-,200-300", Ranges::Unsatisfiable),
            ("bytes=100-,5-5", one(5, 1)),
        ] {
            assert_eq!(parse(value.as_bytes(), 100), expected, "{value}");
        }
    }

    #[test]
    fn what_can_not_be_read_counts_for_nothing() {
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=5",
            "bytes=2-1",
            "bytes=a-b",
            "bytes=1-2-3",
            "bytes=+1-2",
            "bytes=1 - 2",
            "bytes =1-2",
            "lines=1-2",
            "bytes=0-1,x",
            "bytes=0x1-2",
            "bytes=--1",
        ] {
            assert_eq!(parse(value.as_bytes(), 100), Ranges::Whole, "{value}");
        }
        let most = ["bytes=0-0", &",2-2".repeat(RANGES_MAX - 1)].concat();
        assert_eq!(parse(most.as_bytes(), 100), several(&[(0, 1), (2, 1)]));
        let more = most + ",4-4";
        assert_eq!(parse(more.as_bytes(), 100), Ranges::Whole);
    }

    #[test]
    fn ranges_that_touch_become_one_where_the_first_stood() {
        for (value, expected) in [
            ("bytes=0-1,4-5", several(&[(0, 2), (4, 2)])),
            ("bytes=4-5,0-1", several(&[(4, 2), (0, 2)])),
            ("bytes=0-1,2-3", one(0, 4)),
            ("bytes=2-3,0-1", one(0, 4)),
            ("bytes=0-9,5-7", one(0, 10)),
            ("bytes=0-1,8-9,4-5,2-7", one(0, 10)),
            ("bytes=50-51,0-1,8-9,2-7", several(&[(50, 2), (0, 10)])),
            (
                "bytes=50-51,0-1,60-61,8-9,2-7,-1",
                several(&[(50, 2), (0, 10), (60, 2), (99, 1)]),
            ),
        ] {
            assert_eq!(parse(value.as_bytes(), 100), expected, "{value}");
        }
    }

    #[test]
    fn an_empty_file_has_no_range() {
        assert_eq!(parse(b"bytes=0-", 0), Ranges::Unsatisfiable);
        assert_eq!(parse(b"bytes=0-0", 0), Ranges::Unsatisfiable);
        assert_eq!(parse(b"bytes=-0", 0), Ranges::Unsatisfiable);
        assert_eq!(parse(b"bytes=-5", 0), Ranges::Whole);
    }

    #[test]
    fn the_largest_file_is_no_exception() {
        let last = u64::MAX - 1;
        assert_eq!(parse(b"bytes=0-", u64::MAX), one(0, u64::MAX));
        assert_eq!(parse(b"bytes=-1", u64::MAX), one(last, 1));
        assert_eq!(parse(b"bytes=-1,0-", u64::MAX), one(0, u64::MAX));
    }
}
