//! Conditions: a tag is well-formed and matches itself, and nothing is refused that was not asked.

use trainyard::http::{Encoding, Outcome, Validators, evaluate, parse};

const FIELDS: [&str; 5] = [
    "If-Match",
    "If-None-Match",
    "If-Range",
    "If-Modified-Since",
    "If-Unmodified-Since",
];

/// The first 17 bytes are the validators, the others the value of each condition in turn.
pub(crate) fn check(bytes: &[u8]) {
    let Some((head, value)) = bytes.split_first_chunk::<17>() else {
        return;
    };
    let number = |at| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes"));
    let validators = Validators {
        size: number(0),
        mtime_ns: number(8).cast_signed(),
        encoding: [Encoding::Identity, Encoding::Gzip][usize::from(head[16] & 1)],
        is_weak: head[16] & 2 != 0,
    };
    let dated = head[16] & 4 != 0;
    for field in FIELDS {
        let Some(outcome) = outcome_of(field, value, &validators, dated) else {
            return;
        };
        match outcome {
            Outcome::Proceed { range } => assert!(range || field == "If-Range"),
            Outcome::NotModified => {
                assert!(["If-None-Match", "If-Modified-Since"].contains(&field))
            }
            Outcome::PreconditionFailed => {
                assert!(["If-Match", "If-Unmodified-Since"].contains(&field));
            }
        }
        assert!(dated || !field.ends_with("Since") || outcome == Outcome::Proceed { range: true });
    }
    its_own_tag(&validators);
}

fn outcome_of(field: &str, value: &[u8], validators: &Validators, dated: bool) -> Option<Outcome> {
    let start = format!("GET / HTTP/1.1\r\nHost: board\r\n{field}: ");
    let bytes = [start.as_bytes(), value, b"\r\n\r\n"].concat();
    let request = parse(&bytes).ok()??;
    // A value with a line end in it would be several fields.
    let is_one = request.size == bytes.len() && !value.contains(&b'\n');
    is_one.then(|| evaluate(&request, validators, dated))
}

fn its_own_tag(validators: &Validators) {
    let tag = validators.tag();
    let opaque = tag.as_bytes().strip_prefix(b"W/").unwrap_or(tag.as_bytes());
    let text = opaque
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""));
    let is_tag_byte = |byte: &u8| byte.is_ascii_graphic() && *byte != b'"';
    assert!(text.expect("quotes").iter().all(is_tag_byte));
    let outcome = |field| outcome_of(field, tag.as_bytes(), validators, true);
    assert_eq!(outcome("If-None-Match"), Some(Outcome::NotModified));
    let matches = if validators.is_weak {
        Outcome::PreconditionFailed
    } else {
        Outcome::Proceed { range: true }
    };
    assert_eq!(outcome("If-Match"), Some(matches));
    let range = !validators.is_weak;
    assert_eq!(outcome("If-Range"), Some(Outcome::Proceed { range }));
}
