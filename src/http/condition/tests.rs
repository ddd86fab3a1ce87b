use super::*;
use crate::http::parse;

/// Modified on Sun, 06 Nov 1994 08:49:37 GMT, and a half second.
const FILE: Validators = Validators {
    size: 0x1234,
    mtime_ns: 784_111_777_500_000_000,
    encoding: Encoding::Identity,
    is_weak: false,
};
const WEAK: Validators = Validators {
    is_weak: true,
    ..FILE
};
const TAG: &str = "\"1234-ae1b981da166f00\"";
const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

const WHOLE: Outcome = Outcome::Proceed { range: true };
const NO_RANGE: Outcome = Outcome::Proceed { range: false };

fn outcome_of(method: &str, fields: &[&str], validators: &Validators, dated: bool) -> Outcome {
    let fields: std::string::String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    let head = format!("{method} / HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
    let request = parse(head.as_bytes()).unwrap().unwrap();
    evaluate(&request, validators, dated)
}

#[track_caller]
fn expect(fields: &[&str], expected: Outcome) {
    let fields: Vec<_> = fields
        .iter()
        .map(|field| {
            let dated = field.replace("BEFORE", BEFORE).replace("AFTER", AFTER);
            dated.replace("THEN", THEN).replace("TAG", TAG)
        })
        .collect();
    let fields: Vec<&str> = fields.iter().map(|field| &**field).collect();
    assert_eq!(outcome_of("GET", &fields, &FILE, true), expected);
}

#[test]
fn a_tag_tells_what_may_differ() {
    assert_eq!(FILE.tag().to_string(), TAG);
    assert_eq!(WEAK.tag().to_string(), ["W/", TAG].concat());
    let coded = Validators {
        encoding: Encoding::Zstandard,
        ..FILE
    };
    assert_eq!(coded.tag().as_bytes(), b"\"1234-ae1b981da166f00.zst\"");
    let longest = Validators {
        size: u64::MAX,
        mtime_ns: -1,
        ..coded
    };
    assert_eq!(
        longest.tag().to_string(),
        "\"ffffffffffffffff-ffffffffffffffff.zst\""
    );
    assert_eq!(longest.modified_s(), 0);
    assert_eq!(FILE.modified_s(), 784_111_777);
}

#[test]
fn without_conditions_all_is_sent() {
    expect(&[], WHOLE);
    assert_eq!(outcome_of("HEAD", &[], &FILE, true), NO_RANGE);
    let condition = "If-Match: \"other\"";
    assert_eq!(outcome_of("POST", &[condition], &FILE, true), NO_RANGE);
}

#[test]
fn if_match_compares_strongly() {
    expect(&["If-Match: TAG"], WHOLE);
    expect(&["If-Match: *"], WHOLE);
    expect(&["If-Match: \"other\", TAG"], WHOLE);
    expect(&["If-Match: \"a,b\" ,, TAG,"], WHOLE);
    expect(&["If-Match: \"other\"", "If-Match: TAG"], WHOLE);
    expect(&["If-Match: \"other\""], Outcome::PreconditionFailed);
    expect(&["If-Match: W/TAG"], Outcome::PreconditionFailed);
    expect(&["If-Match:"], Outcome::PreconditionFailed);
    expect(&["If-Match: nonsense, TAG"], Outcome::PreconditionFailed);
    expect(&["If-Match: TAGx"], Outcome::PreconditionFailed);
    let weak_tag = ["If-Match: W/", TAG].concat();
    assert_eq!(
        outcome_of("GET", &[&weak_tag], &WEAK, true),
        Outcome::PreconditionFailed
    );
    assert_eq!(outcome_of("GET", &["If-Match: *"], &WEAK, true), WHOLE);
}

#[test]
fn if_none_match_compares_weakly() {
    for value in ["TAG", "W/TAG", "*", "\"a\", W/TAG", "\"TAG\", TAG"] {
        let expected = if value.starts_with("\"TAG") {
            WHOLE // two quotes end the first tag, and what follows is none
        } else {
            Outcome::NotModified
        };
        expect(&[&format!("If-None-Match: {value}")], expected);
    }
    expect(&["If-None-Match: \"other\""], WHOLE);
    expect(&["If-None-Match: \"open"], WHOLE);
    expect(
        &["If-None-Match: \"other\"", "If-None-Match: TAG"],
        Outcome::NotModified,
    );
    let field = ["If-None-Match: ", TAG].concat();
    assert_eq!(
        outcome_of("HEAD", &[&field], &WEAK, true),
        Outcome::NotModified
    );
}

#[test]
fn times_are_compared_in_whole_seconds() {
    expect(&["If-Modified-Since: THEN"], Outcome::NotModified);
    expect(&["If-Modified-Since: AFTER"], Outcome::NotModified);
    expect(&["If-Modified-Since: BEFORE"], WHOLE);
    expect(&["If-Modified-Since: yesterday"], WHOLE);
    expect(
        &["If-Modified-Since: THEN", "If-Modified-Since: THEN"],
        WHOLE,
    );
    expect(&["If-Unmodified-Since: THEN"], WHOLE);
    expect(&["If-Unmodified-Since: AFTER"], WHOLE);
    expect(
        &["If-Unmodified-Since: BEFORE"],
        Outcome::PreconditionFailed,
    );
    expect(&["If-Unmodified-Since: yesterday"], WHOLE);
    for field in ["If-Modified-Since: ", "If-Unmodified-Since: "] {
        let fields = [[field, THEN].concat(), [field, BEFORE].concat()];
        for field in &fields {
            assert_eq!(outcome_of("GET", &[field], &FILE, false), WHOLE);
        }
    }
}

#[test]
fn a_tag_goes_before_a_time() {
    expect(
        &["If-None-Match: \"other\"", "If-Modified-Since: THEN"],
        WHOLE,
    );
    expect(&["If-Match: TAG", "If-Unmodified-Since: BEFORE"], WHOLE);
    expect(
        &["If-Match: TAG", "If-None-Match: TAG"],
        Outcome::NotModified,
    );
    expect(
        &["If-Match: \"other\"", "If-None-Match: TAG"],
        Outcome::PreconditionFailed,
    );
    expect(
        &["If-Unmodified-Since: BEFORE", "If-Modified-Since: THEN"],
        Outcome::PreconditionFailed,
    );
}

#[test]
fn if_range_takes_a_strong_validator_only() {
    expect(&["Range: bytes=0-", "If-Range: TAG"], WHOLE);
    expect(&["Range: bytes=0-", "If-Range: THEN"], WHOLE);
    for value in ["\"other\"", "W/TAG", "BEFORE", "AFTER", "", "TAG, TAG", "*"] {
        expect(&[&format!("If-Range: {value}")], NO_RANGE);
    }
    expect(&["If-Range: TAG", "If-Range: TAG"], NO_RANGE);
    expect(
        &["If-Range: \"other\"", "If-None-Match: TAG"],
        Outcome::NotModified,
    );
    let date = ["If-Range: ", THEN].concat();
    let tag = ["If-Range: W/", TAG].concat();
    assert_eq!(outcome_of("GET", &[&date], &WEAK, true), NO_RANGE);
    assert_eq!(outcome_of("GET", &[&tag], &WEAK, true), NO_RANGE);
    assert_eq!(outcome_of("GET", &[&date], &FILE, false), NO_RANGE);
}
