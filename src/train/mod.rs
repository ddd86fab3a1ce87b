//! The train protocol: bytes in, response plan out. No system calls here.

/// Data bytes of a full car, so the most that a car carries.
pub const CAR_DATA_MAX: usize = 1000;
/// Bytes of a car's `data_len`, a signed little-endian number.
pub const CAR_HEAD_SIZE: usize = 4;
/// Bytes of a full car on the wire.
pub const CAR_SIZE_MAX: usize = CAR_HEAD_SIZE + CAR_DATA_MAX;
/// The port of a train listener unless told otherwise.
pub const PORT_DEFAULT: u16 = 2000;
/// The size that a folder's answer has in place of a file's.
pub const SIZE_OF_FOLDER: u64 = u64::MAX;
