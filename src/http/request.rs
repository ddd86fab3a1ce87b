//! A request's head (RFC 9112), and where the next request begins.
//!
//! Whatever another server on the way could read differently is refused, so that no two of them
//! take the same bytes for different requests (RFC 9112 section 11.2).

mod body;
mod fields;
mod framing;
mod line;

use httparse::{EMPTY_HEADER, Header};

use self::body::Reach;
use self::fields::Parsed;
use self::framing::Framing;
use self::line::Line;
use super::{Status, media};
use crate::limits::{HTTP_FIELDS_MAX, HTTP_HEAD_BYTES_MAX};

pub use self::line::Method;

/// A field that says more than where the request ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Field {
    /// `Accept`.
    Accept,
    /// `Accept-Encoding`.
    AcceptEncoding,
    /// `Host`.
    Host,
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

impl Field {
    fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::AcceptEncoding => "accept-encoding",
            Self::Host => "host",
            Self::IfMatch => "if-match",
            Self::IfModifiedSince => "if-modified-since",
            Self::IfNoneMatch => "if-none-match",
            Self::IfRange => "if-range",
            Self::IfUnmodifiedSince => "if-unmodified-since",
            Self::Range => "range",
            Self::Referer => "referer",
            Self::UserAgent => "user-agent",
        }
    }
}

/// A request that has come whole, or as much of it as is waited for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request<'a> {
    /// What is to be done.
    pub method: Method,
    /// The minor version is 0.
    pub is_http10: bool,
    /// The target as sent, for the log.
    pub target: &'a [u8],
    /// The target's path as sent, from its first slash to before the `?`. Of the other forms:
    /// `*` for OPTIONS of the server as a whole, and the target itself for CONNECT.
    pub path: &'a [u8],
    /// What follows the `?`.
    pub query: Option<&'a [u8]>,
    /// The connection may carry another request.
    pub keep_alive: bool,
    /// Bytes of the head and the body, and of empty lines before: the next request starts there.
    /// Where the body is not waited for, all that has come, and `keep_alive` is false.
    pub size: usize,
    /// Its body has come too. Otherwise the rest of it is on its way, and nobody knows where it ends.
    pub is_whole: bool,
    headers: [Header<'a>; HTTP_FIELDS_MAX],
    count: usize,
}

impl<'a> Request<'a> {
    /// The values of a field, in their order.
    pub fn values(&self, field: Field) -> impl Iterator<Item = &'a [u8]> {
        values(&self.headers[..self.count], field)
    }

    /// The value of a field that makes sense once only; `None` if it is absent or repeated.
    #[must_use]
    pub fn value(&self, field: Field) -> Option<&'a [u8]> {
        let mut values = self.values(field);
        values.next().filter(|_| values.next().is_none())
    }
}

fn values<'a>(headers: &[Header<'a>], field: Field) -> impl Iterator<Item = &'a [u8]> {
    let name = field.name();
    headers
        .iter()
        .filter(move |header| header.name.eq_ignore_ascii_case(name))
        .map(|header| header.value)
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

impl Refusal {
    fn new(bytes: &[u8], status: Status, headers: &[Header<'_>]) -> Self {
        Self {
            status,
            is_head: bytes.trim_ascii_start().starts_with(b"HEAD "),
            accepts_html: media::prefers_html(values(headers, Field::Accept)),
        }
    }
}

/// Reads the request at the start of `bytes`, what has come so far: `None` while it is not whole
/// and more may make it so. No more than `HTTP_HEAD_BYTES_MAX` bytes are looked at.
///
/// A body is skipped if all of it fits into that, and came, or can be waited for. Otherwise (it is
/// longer, or the client waits for `100 Continue`) the request is the connection's last.
///
/// # Errors
/// A `Refusal` as soon as no further bytes could complete a request that all servers read alike: 400 for what
/// is malformed, 414 and 431 for a target or fields that are too long or too many, 417 for an unknown
/// expectation, 501 for an unknown transfer coding or an endless method, 505 for another version.
pub fn parse(bytes: &[u8]) -> Result<Option<Request<'_>>, Refusal> {
    let bytes = &bytes[..bytes.len().min(HTTP_HEAD_BYTES_MAX)];
    let line = match line::parse(bytes) {
        Ok(Some(line)) => line,
        Ok(None) => return Ok(None),
        Err(status) => return Err(Refusal::new(bytes, status, &[])),
    };
    let mut headers = [EMPTY_HEADER; HTTP_FIELDS_MAX];
    let (fields_size, count) = match fields::parse(&bytes[line.size..], &mut headers) {
        Ok(Some(fields)) => fields,
        Ok(None) if bytes.len() < HTTP_HEAD_BYTES_MAX => return Ok(None),
        Ok(None) => return Err(Refusal::new(bytes, Status::FIELDS_TOO_LARGE, &[])),
        Err(status) => return Err(Refusal::new(bytes, status, &[])),
    };
    let head_size = line.size + fields_size;
    let end = match end_of(&line, &headers[..count], bytes, head_size) {
        Ok(Some(end)) => end,
        Ok(None) => return Ok(None),
        Err(status) => return Err(Refusal::new(bytes, status, &headers[..count])),
    };
    Ok(Some(Request {
        method: line.method,
        is_http10: line.is_http10,
        target: line.target,
        path: line.path,
        query: line.query,
        keep_alive: end.keep_alive,
        size: end.size,
        is_whole: end.is_whole,
        headers,
        count,
    }))
}

/// How a request ends.
struct End {
    size: usize,
    keep_alive: bool,
    is_whole: bool,
}

/// Where the request ends, and whether another can follow; `None` while the body is waited for.
fn end_of(line: &Line<'_>, headers: &[Header<'_>], bytes: &[u8], head_size: usize) -> Parsed<End> {
    let framing = Framing::of(headers, line.is_http10)?;
    let is_full = bytes.len() == HTTP_HEAD_BYTES_MAX;
    let room = HTTP_HEAD_BYTES_MAX - head_size;
    match body::reach(framing.body, &bytes[head_size..], room)? {
        // A client that believes its CONNECT succeeded may send anything now: it is no request.
        Reach::Whole(size) => Ok(Some(End {
            size: head_size + size,
            keep_alive: framing.keep_alive && !line.is_connect,
            is_whole: !line.is_connect,
        })),
        Reach::Partial if !is_full && !framing.expects_continue => Ok(None),
        Reach::Partial | Reach::TooLong => Ok(Some(End {
            size: bytes.len(),
            keep_alive: false,
            is_whole: false,
        })),
    }
}

#[cfg(test)]
mod tests;
