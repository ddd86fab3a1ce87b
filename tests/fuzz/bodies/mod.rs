//! What the HTTP functions hold to on any bytes: the bodies of the fuzz targets, also run by
//! tests/fuzz_corpus.rs on the fixed corpus and by tests/http_functions.rs on random bytes.

mod condition;
mod date;
mod encoding;
mod path;
mod range;
mod request;

type Check = fn(&[u8]);

/// Every body, by the name of its target and corpus.
pub(crate) const ALL: [(&str, Check); 6] = [
    ("condition", condition::check),
    ("date", date::check),
    ("encoding", encoding::check),
    ("path", path::check),
    ("range", range::check),
    ("request", request::check),
];
