//! HTTP/1.1 on one connection: receiving requests, deciding what the answer is, sending it.

pub(crate) mod access_log;
pub(crate) mod exchange;
pub(crate) mod generated;
pub(crate) mod listing;
pub(crate) mod multipart;
pub(crate) mod requests;
pub(crate) mod respond;
pub(crate) mod response;
