//! Ranges lie within the file, and no byte is in two of them.

use trainyard::http::{RANGES_MAX, Range, Ranges, range};

/// The first eight bytes are the file's size, the others a value of `Range`.
pub(crate) fn check(bytes: &[u8]) {
    let Some((size, value)) = bytes.split_first_chunk() else {
        return;
    };
    let size = u64::from_le_bytes(*size);
    // A small file as well: few values are about bytes that are far apart.
    for file_size in [size, size % 100] {
        match range::parse(value, file_size) {
            Ranges::Whole | Ranges::Unsatisfiable => {}
            Ranges::One(range) => disjoint(&[range], file_size),
            Ranges::Several(ranges) => {
                assert!((2..=RANGES_MAX).contains(&ranges.len()));
                disjoint(&ranges, file_size);
            }
        }
    }
}

fn disjoint(ranges: &[Range], file_size: u64) {
    let mut sorted = ranges.to_vec();
    sorted.sort_by_key(|range| range.first);
    for range in &sorted {
        assert!(range.size > 0);
        assert!(range.first < file_size && range.size <= file_size - range.first);
    }
    for pair in sorted.windows(2) {
        assert!(pair[0].first + pair[0].size < pair[1].first, "{ranges:?}");
    }
}
