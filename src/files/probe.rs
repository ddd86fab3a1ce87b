//! Whether a folder's device still answers: what can be read may be in memory, and the card long gone.

use core::ffi::CStr;
use std::os::fd::{AsRawFd, RawFd};

use crate::sys::{self, Errno};

/// Files that are tried: one that cannot be read may have a bad block.
const FILES_TRIED_MAX: usize = 4;
/// Folders that are gone into in search of files, and how deep.
const FOLDERS_TRIED_MAX: usize = 16;
const DEPTH_MAX: usize = 4;
/// Bytes of entries that are read of each folder.
const ENTRIES_BYTES: usize = 4096;

/// Whether a folder has entries.
///
/// # Errors
/// `ENOENT` when the folder was removed, `EIO` and the like when the card does not answer.
pub(super) fn is_filled(folder: RawFd) -> Result<bool, Errno> {
    sys::rewind(folder)?;
    let mut buffer = [0; ENTRIES_BYTES];
    let is_entry = |name: &CStr| !matches!(name.to_bytes(), b"." | b"..");
    Ok(sys::getdents(folder, &mut buffer)?.any(is_entry))
}

/// Reads the beginning of the first files in a folder, or beneath it, past the page cache, until one
/// can be read. Returns whether one could: what cannot be tried that way is no fault.
///
/// # Errors
/// `EIO` and the like if none of those that were tried could be read, or the folder itself.
pub(super) fn probe(folder: RawFd) -> Result<bool, Errno> {
    let mut search = Search {
        files: FILES_TRIED_MAX,
        folders: FOLDERS_TRIED_MAX,
        fault: None,
    };
    let is_read = search.read_one(folder, DEPTH_MAX)?;
    match search.fault {
        Some(errno) if !is_read => Err(errno),
        _ => Ok(is_read),
    }
}

/// A search for a file that can be read.
struct Search {
    /// How many more files that cannot be read are tried.
    files: usize,
    /// How many more folders are gone into.
    folders: usize,
    /// Why the last one could not be read.
    fault: Option<Errno>,
}

impl Search {
    /// Whether a file can be read in this folder, or at most `depth` folders down.
    fn read_one(&mut self, folder: RawFd, depth: usize) -> Result<bool, Errno> {
        sys::rewind(folder)?;
        let mut buffer = [0; ENTRIES_BYTES];
        for name in sys::getdents(folder, &mut buffer)? {
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let is_read = match sys::read_from_device(folder, name) {
                Ok(size) => Ok(size > 0),
                // What a folder says to that, and every file where it is not possible at all.
                Err(Errno::EINVAL | Errno::EISDIR) => self.go_into(folder, name, depth),
                Err(errno) => Err(errno),
            };
            match is_read {
                Ok(true) => return Ok(true),
                Err(errno) if is_of_device(errno) => {
                    self.fault = Some(errno);
                    self.files -= 1;
                }
                // Empty, or no file at all, or not to be read by this user.
                Ok(false) | Err(_) => {}
            }
            if self.files == 0 {
                break;
            }
        }
        Ok(false)
    }

    /// The same for a folder in this one; no file is one.
    fn go_into(&mut self, folder: RawFd, name: &CStr, depth: usize) -> Result<bool, Errno> {
        if depth == 0 || self.folders == 0 {
            return Ok(false);
        }
        let below = sys::open_folder_in(folder, name)?;
        self.folders -= 1;
        self.read_one(below.as_raw_fd(), depth - 1)
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

    fn open(path: &std::path::Path) -> std::os::fd::OwnedFd {
        let path = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        sys::open_folder(&path).unwrap()
    }

    #[test]
    fn a_file_is_found_beneath_folders() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let descriptor = open(folder.path());
        assert_eq!(is_filled(descriptor.as_raw_fd()), Ok(false));
        assert_eq!(probe(descriptor.as_raw_fd()), Ok(false), "nothing to try");
        for name in ["empty/one", "empty/two", "films/new/today"] {
            std::fs::create_dir_all(path(name)).unwrap();
        }
        std::fs::write(path("films/nothing"), b"").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", path("link")).unwrap();
        assert_eq!(is_filled(descriptor.as_raw_fd()), Ok(true));
        assert_eq!(probe(descriptor.as_raw_fd()), Ok(false), "nothing to read");
        std::fs::write(path("films/new/today/film"), b"bytes").unwrap();
        let name = std::ffi::CString::new("film").unwrap();
        let deepest = open(&path("films/new/today"));
        // Some file systems cannot do it; then nothing is tried, however deep.
        let is_possible = sys::read_from_device(deepest.as_raw_fd(), &name) == Ok(5);
        for _ in 0..2 {
            assert_eq!(probe(descriptor.as_raw_fd()), Ok(is_possible));
        }
    }
}
