//! The request line (RFC 9112 section 3).

use super::fields::Parsed;
use super::framing::is_authority;
use crate::http::Status;
use crate::http::list::is_token_byte;
use crate::limits::HTTP_TARGET_BYTES_MAX;

/// Empty lines before a request that are passed over (RFC 9112 section 2.2).
const EMPTY_LINES_MAX: usize = 4;
/// Bytes of the longest method; the longest that is known has 7.
const METHOD_BYTES_MAX: usize = 32;

/// What is to be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// GET: send the file, or what was generated in its place.
    Get,
    /// HEAD: send what GET would, but for the body.
    Head,
    /// OPTIONS: say which methods are allowed.
    Options,
    /// Another method of RFC 9110 or RFC 5789, that no file here allows: 405.
    Known,
    /// A method that no RFC here names: 501.
    Unknown,
}

pub(super) struct Line<'a> {
    pub(super) method: Method,
    pub(super) is_connect: bool,
    pub(super) is_http10: bool,
    pub(super) target: &'a [u8],
    pub(super) path: &'a [u8],
    pub(super) query: Option<&'a [u8]>,
    /// Bytes of the line, its CR LF, and the empty lines before.
    pub(super) size: usize,
}

/// Reads the line; `None` while it is not whole. It is refused at the first byte that is wrong.
pub(super) fn parse(bytes: &[u8]) -> Parsed<Line<'_>> {
    let Some(rest) = after_empty_lines(bytes)? else {
        return Ok(None);
    };
    let too_long = Status::NOT_IMPLEMENTED;
    let Some((name, rest)) = until_space(rest, METHOD_BYTES_MAX, too_long, is_token_byte)? else {
        return Ok(None);
    };
    let too_long = Status::URI_TOO_LONG;
    let Some((target, rest)) = until_space(rest, HTTP_TARGET_BYTES_MAX, too_long, is_target_byte)?
    else {
        return Ok(None);
    };
    let Some((is_http10, rest)) = version(rest)? else {
        return Ok(None);
    };
    let (method, is_connect) = (method_of(name), name == b"CONNECT");
    let (path, query) = if is_connect {
        (target, None)
    } else {
        split(target, method)?
    };
    Ok(Some(Line {
        method,
        is_connect,
        is_http10,
        target,
        path,
        query,
        size: bytes.len() - rest.len(),
    }))
}

/// What follows the empty lines; `None` if nothing does yet.
fn after_empty_lines(bytes: &[u8]) -> Parsed<&[u8]> {
    let mut rest = bytes;
    for _ in 0..=EMPTY_LINES_MAX {
        match rest {
            [b'\r', b'\n', behind @ ..] => rest = behind,
            [] | [b'\r'] => return Ok(None),
            _ => return Ok(Some(rest)),
        }
    }
    Err(Status::BAD_REQUEST)
}

/// A part of at least one byte that a single space ends, and what follows the space; `None` while
/// there may be more of the part.
fn until_space(
    bytes: &[u8],
    size_max: usize,
    too_long: Status,
    is_part: impl Fn(u8) -> bool,
) -> Parsed<(&[u8], &[u8])> {
    let window = &bytes[..bytes.len().min(size_max + 1)];
    match window.iter().position(|byte| !is_part(*byte)) {
        Some(end) if end > 0 && bytes[end] == b' ' => Ok(Some((&bytes[..end], &bytes[end + 1..]))),
        Some(_) => Err(Status::BAD_REQUEST),
        None if bytes.len() > size_max => Err(too_long),
        None => Ok(None),
    }
}

/// Anything visible, and bytes of other alphabets, which old clients send as they are. There is no
/// fragment in a target.
fn is_target_byte(byte: u8) -> bool {
    static TARGET: [bool; 256] = {
        let mut table = [true; 256];
        let mut byte = 0;
        while byte < table.len() {
            table[byte] = !matches!(byte as u8, 0..=b' ' | 0x7f | b'#');
            byte += 1;
        }
        table
    };
    TARGET[usize::from(byte)]
}

/// Whether the minor version is 0, and what follows the line; a higher one than 1 is read as 1
/// (RFC 9110 section 2.5).
fn version(bytes: &[u8]) -> Parsed<(bool, &[u8])> {
    const FORM: &[u8; 10] = b"HTTP/0.0\r\n";
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'0' => byte.is_ascii_digit(),
        _ => byte == form,
    };
    if !bytes.iter().zip(FORM).all(fits) {
        return Err(Status::BAD_REQUEST);
    }
    let Some((version, rest)) = bytes.split_first_chunk::<10>() else {
        return Ok(None);
    };
    if version[5] != b'1' {
        return Err(Status::VERSION_NOT_SUPPORTED);
    }
    Ok(Some((version[7] == b'0', rest)))
}

fn method_of(name: &[u8]) -> Method {
    match name {
        b"GET" => Method::Get,
        b"HEAD" => Method::Head,
        b"OPTIONS" => Method::Options,
        b"POST" | b"PUT" | b"DELETE" | b"PATCH" | b"CONNECT" | b"TRACE" => Method::Known,
        _ => Method::Unknown,
    }
}

/// The path and query of a target (RFC 9112 section 3.2), without scheme and authority.
fn split(target: &[u8], method: Method) -> Result<(&[u8], Option<&[u8]>), Status> {
    if target == b"*" && method == Method::Options {
        return Ok((target, None));
    }
    let local = if target.starts_with(b"/") {
        target
    } else {
        after_authority(target)?
    };
    let mark = local.iter().position(|byte| *byte == b'?');
    let (path, query) = match mark {
        Some(mark) => (&local[..mark], Some(&local[mark + 1..])),
        None => (local, None),
    };
    match (path, query) {
        ([], None) if method == Method::Options => Ok((b"*", None)),
        ([], query) => Ok((b"/", query)),
        (path, query) => Ok((path, query)),
    }
}

fn after_authority(target: &[u8]) -> Result<&[u8], Status> {
    let behind = |scheme: &[u8]| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    let rest = behind(b"http://")
        .or_else(|| behind(b"https://"))
        .ok_or(Status::BAD_REQUEST)?;
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?'));
    let (authority, rest) = rest.split_at(end.unwrap_or(rest.len()));
    if is_authority(authority) {
        Ok(rest)
    } else {
        Err(Status::BAD_REQUEST)
    }
}
