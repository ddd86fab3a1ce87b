//! A request train: car(path) [car(offset) | car(offset, length)] car().

use super::{CAR_DATA_MAX, CAR_HEAD_SIZE, Fault, RANGE_SIZE_MAX};

/// What a client asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Request<'a> {
    /// The path as sent, 1 to 1000 bytes, none of them NUL.
    pub path: &'a [u8],
    /// The first byte wanted.
    pub offset: u64,
    /// How many bytes are wanted; `None` for all that follow.
    pub length: Option<u64>,
    /// Bytes that the request took; the next one starts there.
    pub size: usize,
}

/// Reads the request at the start of `bytes`: `None` while it is not whole yet.
///
/// # Errors
/// `Fault::TooLong` for a path of more than 1000 bytes; `Fault::Malformed` as soon as no further bytes could
/// complete a request: an empty path or one with NUL, a negative length, a range that is not 8 or 16 bytes
/// long, a third car that is not the end.
pub fn parse(bytes: &[u8]) -> Result<Option<Request<'_>>, Fault> {
    let Some((path, mut size)) = car(bytes, CAR_DATA_MAX, Fault::TooLong)? else {
        return Ok(None);
    };
    if path.is_empty() || path.contains(&0) {
        return Err(Fault::Malformed);
    }
    let Some((mut range, used)) = car(&bytes[size..], RANGE_SIZE_MAX, Fault::Malformed)? else {
        return Ok(None);
    };
    size += used;
    let (mut offset, mut length) = (0, None);
    if !range.is_empty() {
        offset = number(&mut range)?;
        if !range.is_empty() {
            length = Some(number(&mut range)?);
        }
        let Some((_, used)) = car(&bytes[size..], 0, Fault::Malformed)? else {
            return Ok(None);
        };
        size += used;
    }
    Ok(Some(Request {
        path,
        offset,
        length,
        size,
    }))
}

/// The data of the car at the start of `bytes`, of at most `data_max` bytes, and the car's size; `None`
/// while it is not whole.
fn car(bytes: &[u8], data_max: usize, too_long: Fault) -> Result<Option<(&[u8], usize)>, Fault> {
    let Some((head, rest)) = bytes.split_first_chunk::<CAR_HEAD_SIZE>() else {
        return Ok(None);
    };
    let data_len = usize::try_from(i32::from_le_bytes(*head)).map_err(|_| Fault::Malformed)?;
    if data_len > data_max {
        return Err(too_long);
    }
    Ok(rest
        .get(..data_len)
        .map(|data| (data, CAR_HEAD_SIZE + data_len)))
}

fn number(data: &mut &[u8]) -> Result<u64, Fault> {
    let (number, rest) = data.split_first_chunk().ok_or(Fault::Malformed)?;
    *data = rest;
    Ok(u64::from_le_bytes(*number))
}
