//! What the pure functions hold to on any bytes: the bodies of the fuzz targets, also run by
//! tests/fuzz_corpus.rs on the fixed corpus and by tests/http_functions.rs on random bytes.

mod condition;
mod date;
mod dhcp;
mod eject;
mod encoding;
mod listing_query;
mod path;
mod range;
mod request;
mod train_get;
mod train_request;

type Check = fn(&[u8]);

/// Every body, by the name of its target and corpus.
pub(crate) const ALL: [(&str, Check); 11] = [
    ("condition", condition::check),
    ("date", date::check),
    ("dhcp", dhcp::check),
    ("eject", eject::check),
    ("encoding", encoding::check),
    ("listing_query", listing_query::check),
    ("path", path::check),
    ("range", range::check),
    ("request", request::check),
    ("train_get", train_get::check),
    ("train_request", train_request::check),
];
