//! Ranges against a list of every byte of a small file.

use proptest::prelude::*;
use trainyard::http::{Ranges, range};

/// A range as it is asked for: from, to, or so many at the end.
type Asked = (Option<u64>, Option<u64>);

fn asked() -> impl Strategy<Value = Asked> {
    let first_and_last =
        (0..60_u64, 0..30_u64).prop_map(|(first, more)| (Some(first), Some(first + more)));
    prop_oneof![
        4 => first_and_last,
        1 => (0..60_u64).prop_map(|first| (Some(first), None)),
        1 => (0..60_u64).prop_map(|size| (None, Some(size))),
    ]
}

fn value_of(asked: &[Asked]) -> String {
    let text = |number: Option<u64>| number.map_or_else(String::new, |number| number.to_string());
    let one = |(first, last): &Asked| format!("{}-{}", text(*first), text(*last));
    let all: Vec<String> = asked.iter().map(one).collect();
    format!("bytes={}", all.join(", "))
}

/// Which of the file's bytes are asked for.
fn wanted(asked: &[Asked], file_size: u64) -> Vec<bool> {
    let is_in = |byte: u64, (first, last): &Asked| match (first, last) {
        (Some(first), last) => *first <= byte && last.is_none_or(|last| byte <= last),
        (None, Some(size)) => byte + size >= file_size,
        (None, None) => unreachable!("not made"),
    };
    (0..file_size)
        .map(|byte| asked.iter().any(|asked| is_in(byte, asked)))
        .collect()
}

proptest! {
    #[test]
    fn just_the_bytes_asked_for_are_sent(
        asked in prop::collection::vec(asked(), 1..=16),
        file_size in 1..100_u64,
    ) {
        let ranges = match range::parse(value_of(&asked).as_bytes(), file_size) {
            Ranges::Whole => panic!("it can be read"),
            Ranges::One(range) => vec![range],
            Ranges::Several(ranges) => ranges.to_vec(),
            Ranges::Unsatisfiable => Vec::new(),
        };
        let mut sent = vec![false; file_size as usize];
        for range in &ranges {
            for byte in range.first..range.first + range.size {
                prop_assert!(!sent[byte as usize], "{} is sent twice", byte);
                sent[byte as usize] = true;
            }
        }
        prop_assert_eq!(sent, wanted(&asked, file_size));
    }

    /// The first of the parts holds the first byte that was asked for and is there.
    #[test]
    fn the_order_is_that_of_the_client(
        asked in prop::collection::vec(asked(), 1..=16),
        file_size in 1..100_u64,
    ) {
        let satisfiable = asked.iter().find(|one| wanted(&[**one], file_size).contains(&true));
        let first = satisfiable.map(|one| {
            wanted(&[*one], file_size).iter().position(|is_wanted| *is_wanted).unwrap() as u64
        });
        let sent = match range::parse(value_of(&asked).as_bytes(), file_size) {
            Ranges::One(range) => Some(range),
            Ranges::Several(ranges) => Some(ranges[0]),
            Ranges::Whole | Ranges::Unsatisfiable => None,
        };
        let holds = sent.map(|range| {
            let first = first.expect("something was satisfiable");
            range.first <= first && first < range.first + range.size
        });
        prop_assert_eq!(holds, first.map(|_| true));
    }
}
