//! The train protocol: bytes in, response layout out. No system calls here.
//!
//! A *car* is a 4-byte signed little-endian `data_len`, then that many bytes, 1 to 1000 of them; a
//! *train* is a run of cars that ends with a car of length 0. A negative length is an error.

mod layout;
mod request;

pub use layout::{Framing, Head, ResponseLayout, Segment};
pub use request::{Request, parse};

pub use crate::limits::{CAR_DATA_MAX, CAR_HEAD_SIZE, CAR_SIZE_MAX, NAME_MAX, PATH_MAX};

/// Bytes of the longest request: car(path) car(offset, length) car().
pub const REQUEST_SIZE_MAX: usize = CAR_SIZE_MAX + CAR_HEAD_SIZE + RANGE_SIZE_MAX + CAR_HEAD_SIZE;
/// Bytes of an offset and a length.
const RANGE_SIZE_MAX: usize = 16;
/// The port of a train listener unless told otherwise.
pub const PORT_DEFAULT: u16 = 2000;
/// The size that a folder's answer has in place of a file's.
pub const SIZE_OF_FOLDER: u64 = u64::MAX;

/// The errors that an answer can end with: Linux's errno numbers, sent as a car of length -E.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Fault {
    /// No such file (ENOENT).
    NotFound = 2,
    /// I/O error, or a file that shrank (EIO).
    Io = 5,
    /// Full, try later (EAGAIN).
    Full = 11,
    /// Not allowed: permissions, a path that leaves the root, neither file nor folder (EACCES).
    NotAllowed = 13,
    /// Malformed request, also an offset beyond the end (EINVAL).
    Malformed = 22,
    /// Path too long (ENAMETOOLONG).
    TooLong = 36,
    /// Too slow (ETIMEDOUT).
    TooSlow = 110,
}

impl Fault {
    const ALL: [Self; 7] = [
        Self::NotFound,
        Self::Io,
        Self::Full,
        Self::NotAllowed,
        Self::Malformed,
        Self::TooLong,
        Self::TooSlow,
    ];

    /// The car that says so.
    #[must_use]
    pub fn car(self) -> [u8; CAR_HEAD_SIZE] {
        (-(self as i32)).to_le_bytes()
    }
}

#[cfg(test)]
mod tests;
