//! Whether a folder's device still answers: what can be read may be in memory, and the card long gone.

use core::ffi::CStr;
use std::os::fd::RawFd;

use heapless::Vec;

use crate::limits::NAME_BYTES;
use crate::sys::{self, Descriptor, Errno};

/// Files that are tried: one that cannot be read may have a bad block.
const FILES_TRIED_MAX: usize = 4;
/// Folders that are gone down in search of files.
const DEPTH_MAX: usize = 4;
/// Bytes of entries that are read of each folder.
const ENTRIES_BYTES: usize = 4096;

/// Whether a folder has entries.
///
/// # Errors
/// What getdents64(2) says.
pub(super) fn is_filled(folder: RawFd) -> Result<bool, Errno> {
    sys::rewind(folder)?;
    let mut buffer = [0; ENTRIES_BYTES];
    let is_entry = |name: &CStr| !matches!(name.to_bytes(), b"." | b"..");
    Ok(sys::getdents(folder, &mut buffer)?.any(is_entry))
}

/// Reads the beginning of the first files in a folder, or beneath it, past the page cache, until one
/// can be read. What cannot be tried that way is no fault.
///
/// # Errors
/// `EIO` and the like if none of those that were tried could be read, or the folder itself.
pub(super) fn probe(folder: RawFd) -> Result<(), Errno> {
    let mut below = Descriptor::NONE;
    let mut probed = Ok(());
    for _ in 0..DEPTH_MAX {
        let raw = if below.is_open() { below.raw() } else { folder };
        let found = probe_one(raw);
        below.close();
        match found {
            Ok(Some(next)) => below = next,
            Ok(None) => return Ok(()),
            Err(errno) => {
                probed = Err(errno);
                break;
            }
        }
    }
    below.close();
    probed
}

/// Tries the files of one folder. Without any, the first folder in it is where to go on.
fn probe_one(folder: RawFd) -> Result<Option<Descriptor>, Errno> {
    sys::rewind(folder)?;
    let mut buffer = [0; ENTRIES_BYTES];
    let mut fault = None;
    let mut tried = 0;
    let mut next: Option<Vec<u8, NAME_BYTES>> = None;
    for name in sys::getdents(folder, &mut buffer)? {
        match sys::read_from_device(folder, name) {
            Ok(1..) => return Ok(None),
            Err(Errno::EISDIR) if !matches!(name.to_bytes(), b"." | b"..") => {
                next = next.or_else(|| Vec::from_slice(name.to_bytes_with_nul()).ok());
            }
            Err(errno) if is_of_device(errno) => fault = Some(errno),
            // Empty, or no file at all, or not to be read in this way.
            Ok(0) | Err(_) => continue,
        }
        tried += usize::from(fault.is_some());
        if tried == FILES_TRIED_MAX {
            break;
        }
    }
    if let Some(errno) = fault {
        return Err(errno);
    }
    let Some(next) = next else { return Ok(None) };
    let name = CStr::from_bytes_with_nul(&next).expect("NUL is at its end");
    match sys::open_file(folder, name) {
        Ok(next) => Ok(Some(next)),
        Err(errno) if is_of_device(errno) => Err(errno),
        Err(_) => Ok(None),
    }
}

/// Whether an error tells of the device, and not of the file.
fn is_of_device(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::EIO
            | Errno::ENODEV
            | Errno::ENXIO
            | Errno::ENOMEDIUM
            | Errno::EREMOTEIO
            | Errno::ESHUTDOWN
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &std::path::Path) -> Descriptor {
        let path = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        sys::open_folder(&path).unwrap()
    }

    #[test]
    fn a_folder_of_a_device_that_answers_is_well() {
        let folder = tempfile::tempdir().unwrap();
        let mut descriptor = open(folder.path());
        assert_eq!(is_filled(descriptor.raw()), Ok(false));
        assert_eq!(probe(descriptor.raw()), Ok(()), "nothing to try");
        std::fs::create_dir_all(folder.path().join("a/b")).unwrap();
        std::fs::write(folder.path().join("a/b/file"), b"bytes").unwrap();
        assert_eq!(is_filled(descriptor.raw()), Ok(true));
        for _ in 0..2 {
            assert_eq!(probe(descriptor.raw()), Ok(()));
        }
        descriptor.close();
    }
}
