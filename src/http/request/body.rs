//! How far a body reaches (RFC 9112 sections 6 and 7). Its content is skipped, because no method here takes
//! any.

use httparse::EMPTY_HEADER;

use super::fields::{self, Parsed};
use crate::http::Status;

/// Fields that may follow the last chunk.
const TRAILERS_MAX: usize = 16;
/// What follows a chunk's data at least.
const END: &[u8] = b"\r\n0\r\n\r\n";
/// Digits of a chunk's size: 64 bits.
const CHUNK_DIGITS_MAX: usize = 16;

#[derive(Clone, Copy)]
pub(super) enum Body {
    /// So many bytes, or none.
    Sized(u64),
    Chunked,
}

pub(super) enum Reach {
    /// It ends behind so many bytes, which have all come.
    Whole(usize),
    /// Its end has not come.
    Partial,
    /// It ends beyond the room.
    TooLong,
}

/// Finds the end of the body at the start of `bytes`, of which there can be as many as `room`.
pub(super) fn reach(body: Body, bytes: &[u8], room: usize) -> Result<Reach, Status> {
    match body {
        Body::Sized(size) => Ok(match usize::try_from(size) {
            Ok(size) if size <= bytes.len() => Reach::Whole(size),
            Ok(size) if size <= room => Reach::Partial,
            _ => Reach::TooLong,
        }),
        Body::Chunked => chunks(bytes, room),
    }
}

fn chunks(bytes: &[u8], room: usize) -> Result<Reach, Status> {
    let mut start = 0;
    while let Some((data_size, head_size)) = chunk_head(&bytes[start..])? {
        start += head_size;
        if data_size == 0 {
            let mut trailers = [EMPTY_HEADER; TRAILERS_MAX];
            return Ok(match fields::parse(&bytes[start..], &mut trailers)? {
                Some((size, _)) => Reach::Whole(start + size),
                None => Reach::Partial,
            });
        }
        let data_size = usize::try_from(data_size).unwrap_or(usize::MAX);
        let end = start.saturating_add(data_size);
        if end > room.saturating_sub(END.len()) {
            return Ok(Reach::TooLong);
        }
        match bytes.get(end..) {
            Some([b'\r', b'\n', ..]) => start = end + 2,
            None | Some([] | [b'\r']) => return Ok(Reach::Partial),
            Some(_) => return Err(Status::BAD_REQUEST),
        }
    }
    Ok(Reach::Partial)
}

/// The size of a chunk's data, and of the line that says it; `None` while that is not whole.
fn chunk_head(bytes: &[u8]) -> Parsed<(u64, usize)> {
    let mut size = 0;
    let mut rest = bytes;
    let mut digits = 0;
    while let [byte, behind @ ..] = rest {
        let Some(digit) = char::from(*byte).to_digit(16) else {
            break;
        };
        digits += 1;
        if digits > CHUNK_DIGITS_MAX {
            return Err(Status::BAD_REQUEST);
        }
        size = size << 4 | u64::from(digit);
        rest = behind;
    }
    if rest.is_empty() {
        return Ok(None);
    }
    if digits == 0 {
        return Err(Status::BAD_REQUEST);
    }
    if rest.starts_with(b";") {
        let is_extension = |byte: &u8| !byte.is_ascii_control() || *byte == b'\t';
        let end = rest.iter().position(|byte| !is_extension(byte));
        rest = &rest[end.unwrap_or(rest.len())..];
    }
    match rest {
        [b'\r', b'\n', behind @ ..] => Ok(Some((size, bytes.len() - behind.len()))),
        [] | [b'\r'] => Ok(None),
        _ => Err(Status::BAD_REQUEST),
    }
}
