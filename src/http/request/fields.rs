//! Field lines (RFC 9112 section 5), by httparse, and what it would let pass.

use httparse::{Error, Header};

use crate::http::Status;

/// `None` while more bytes may make it whole.
pub(super) type Parsed<T> = Result<Option<T>, Status>;

/// Reads field lines up to the empty one: bytes with that, and how many fields; `None` while it
/// has not come. `bytes` follow a CR LF.
pub(super) fn parse<'a>(bytes: &'a [u8], headers: &mut [Header<'a>]) -> Parsed<(usize, usize)> {
    let (size, fields) = match httparse::parse_headers(bytes, headers) {
        Ok(httparse::Status::Complete(parsed)) => parsed,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(Error::TooManyHeaders) => return Err(Status::FIELDS_TOO_LARGE),
        Err(_) => return Err(Status::BAD_REQUEST),
    };
    // httparse takes a bare LF for the end of a line. A name begins every line but the last,
    // so it is enough to look at what stands before the names.
    let start = bytes.as_ptr().addr();
    let begins_line = |before: &[u8]| before.is_empty() || before.ends_with(b"\r\n");
    let are_lines = fields
        .iter()
        .all(|field| begins_line(&bytes[..field.name.as_ptr().addr() - start]));
    let is_ended = bytes[..size].strip_suffix(b"\r\n").is_some_and(begins_line);
    if !are_lines || !is_ended {
        return Err(Status::BAD_REQUEST);
    }
    Ok(Some((size, fields.len())))
}
