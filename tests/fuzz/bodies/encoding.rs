//! The codings to try: each once, and no others than the client named.

use trainyard::http::{Encoding, accepted, prefers_html, prefers_json};

/// The bytes are a value of `Accept-Encoding`, and of `Accept`.
pub(crate) fn check(bytes: &[u8]) {
    let once = accepted([bytes].into_iter());
    let order: Vec<Encoding> = once.order().collect();
    assert!(!order.contains(&Encoding::Identity));
    for (place, encoding) in order.iter().enumerate() {
        assert!(
            !order[..place].contains(encoding),
            "{encoding:?} is there twice"
        );
        let text = bytes.to_ascii_lowercase();
        let names = |name: &[u8]| text.windows(name.len()).any(|part| part == name);
        assert!(names(encoding.name().as_bytes()) || names(b"*"));
    }
    assert_eq!(once.key() == 0, order.is_empty());
    let twice = accepted([bytes, bytes].into_iter());
    assert_eq!(once, twice, "a repeated field says nothing new");

    let values = || [bytes].into_iter();
    assert!(!(prefers_html(values()) && prefers_json(values())));
}
