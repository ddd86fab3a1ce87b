//! What was found at a path beneath the root.

use std::os::fd::OwnedFd;

use heapless::Vec;

use super::OpenError;
use crate::limits::NAME_BYTES;
use crate::sys::Metadata;

/// A file or folder that was found, open until it is dropped or a table takes it in.
pub struct OpenFile {
    /// Its descriptor.
    pub descriptor: OwnedFd,
    /// What statx(2) says of it.
    pub metadata: Metadata,
    /// A symbolic link led to it.
    pub is_via_symlink: bool,
    /// Its last component; a folder's ends in `/`.
    pub name: Vec<u8, NAME_BYTES>,
}

/// The name that a file or folder has in a response: the last component of its path.
pub(super) fn name_of(path: &[u8], is_folder: bool) -> Result<Vec<u8, NAME_BYTES>, OpenError> {
    let last = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    let last = if last == b"." { b"" } else { last };
    let mut name = Vec::from_slice(last).map_err(|_| OpenError::TooLong)?;
    if is_folder {
        name.push(b'/').map_err(|_| OpenError::TooLong)?;
    }
    Ok(name)
}
