//! Properties of the HTTP functions, on inputs made at random from their grammars.

use crate::bodies;
#[path = "http_functions/paths.rs"]
mod paths;
#[path = "http_functions/ranges.rs"]
mod ranges;
#[path = "http_functions/requests.rs"]
mod requests;

use proptest::prelude::*;
use trainyard::http::{Encoding, Validators, date};

proptest! {
    #[test]
    fn no_bytes_break_what_a_function_holds_to(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        for (_, check) in bodies::ALL {
            check(&bytes);
        }
    }

    /// Bytes that mean something in the grammars, so that more than the first check is reached.
    #[test]
    fn nor_do_the_bytes_of_the_grammars(
        text in r#"[ \t,;:="*/\\%.\-0-9a-fqzWbrgipx\r\n]{0,80}"#,
        start in prop::sample::select(vec!["", "/", "bytes=", "GET / HTTP/1.1\r\nHost: a\r\n"]),
    ) {
        let bytes = [start.as_bytes(), text.as_bytes()].concat();
        for (_, check) in bodies::ALL {
            check(&bytes);
            let numbered = [&[7; 17][..], &bytes].concat();
            check(&numbered);
        }
    }

    #[test]
    fn a_date_is_read_as_it_was_written(seconds in 0..253_402_300_800_u64) {
        prop_assert_eq!(date::parse(&date::write(seconds)), Some(seconds));
    }

    #[test]
    fn a_tag_is_the_same_for_the_same_file_only(
        one in validators(),
        other in validators(),
    ) {
        prop_assert_eq!(one.tag(), one.tag());
        prop_assert_eq!(one.tag() == other.tag(), one == other);
    }
}

/// Few enough of each that two are often the same.
fn validators() -> impl Strategy<Value = Validators> {
    let encodings = vec![Encoding::Identity, Encoding::Brotli, Encoding::Gzip];
    let size = prop::sample::select(vec![0, 0x12, u64::MAX]);
    let mtime_ns = prop::sample::select(vec![i64::MIN, -1, 0, 1_000_000_000, 1_000_000_001]);
    let encoding = prop::sample::select(encodings);
    (size, mtime_ns, encoding, any::<bool>()).prop_map(|(size, mtime_ns, encoding, is_weak)| {
        Validators {
            size,
            mtime_ns,
            encoding,
            is_weak,
        }
    })
}
