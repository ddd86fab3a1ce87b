//! A request's head (RFC 9112), and where the next request begins.

use httparse::Header;

use super::Status;
use crate::limits::HTTP_FIELDS_MAX;

/// What is to be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// Send it.
    Get,
    /// Send its head.
    Head,
    /// Say what can be done.
    Options,
    /// Another method of RFC 9110 or RFC 5789, that no file here allows: 405.
    Known,
    /// 501.
    Unknown,
}

/// A field that the server reads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Field {
    /// `Accept`.
    Accept,
    /// `Accept-Encoding`.
    AcceptEncoding,
    /// `If-Match`.
    IfMatch,
    /// `If-Modified-Since`.
    IfModifiedSince,
    /// `If-None-Match`.
    IfNoneMatch,
    /// `If-Range`.
    IfRange,
    /// `If-Unmodified-Since`.
    IfUnmodifiedSince,
    /// `Range`.
    Range,
    /// `Referer`.
    Referer,
    /// `User-Agent`.
    UserAgent,
}

/// A request that has come whole, or as much of it as can be waited for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request<'a> {
    /// What is to be done.
    pub method: Method,
    /// The minor version is 0.
    pub is_http10: bool,
    /// The target as sent, for the log.
    pub target: &'a [u8],
    /// The target's path as sent, from its first slash to before the `?`; `*` for OPTIONS of the
    /// server as a whole; the target for CONNECT.
    pub path: &'a [u8],
    /// What follows the `?`.
    pub query: Option<&'a [u8]>,
    /// The connection may carry another request.
    pub keep_alive: bool,
    /// Bytes of the head and the body, and of empty lines before: the next request starts there.
    pub size: usize,
    headers: [Header<'a>; HTTP_FIELDS_MAX],
    count: usize,
}

impl<'a> Request<'a> {
    /// The values of a field, in their order.
    pub fn values(&self, _field: Field) -> impl Iterator<Item = &'a [u8]> {
        self.headers[..self.count].iter().map(|header| header.value)
    }

    /// The value of a field that makes sense once only; `None` if it is absent or repeated.
    #[must_use]
    pub fn value(&self, field: Field) -> Option<&'a [u8]> {
        let mut values = self.values(field);
        values.next().filter(|_| values.next().is_none())
    }
}

/// Why there is no request: the answer, after which the connection ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// What to answer.
    pub status: Status,
    /// It was a HEAD, as far as could be read, so the answer has no body.
    pub is_head: bool,
    /// The client would rather have a page, as far as could be read.
    pub accepts_html: bool,
}

/// Reads the request at the start of `bytes`, what has come so far, at most `HTTP_HEAD_BYTES_MAX`
/// bytes: `None` while it is not whole and more may make it so.
///
/// # Errors
/// What no more bytes could make a request that has one meaning only.
pub fn parse(_bytes: &[u8]) -> Result<Option<Request<'_>>, Refusal> {
    todo!()
}
