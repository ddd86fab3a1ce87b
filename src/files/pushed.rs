//! The file that is pushed: as on any command line, also outside the root. It is open from the start on,
//! so that what is pushed is what was named, and let go with the root.

use core::ffi::CStr;
use core::sync::atomic::{AtomicBool, Ordering};
use std::os::fd::{AsRawFd, OwnedFd};

use super::open_file::{OpenFile, name_of};
use crate::sys::{self, Descriptor, Errno, Metadata};

/// The file, open unless it is not there. Its descriptor keeps its number for good, as the root's does.
pub struct Pushed {
    path: &'static CStr,
    file: Descriptor,
    is_there: AtomicBool,
}

impl Pushed {
    /// Opens the file at start-up; symbolic links are followed.
    ///
    /// # Errors
    /// `ENOENT`, `EACCES` also for what is neither file nor folder, `EISDIR` for a folder, `EIO` and the like.
    pub fn open(path: &'static CStr) -> Result<Self, Errno> {
        Ok(Self {
            path,
            file: open(path)?.into(),
            is_there: AtomicBool::new(true),
        })
    }

    /// One that is not there yet.
    ///
    /// # Errors
    /// `EMFILE` when there are too many descriptors.
    pub fn absent(path: &'static CStr) -> Result<Self, Errno> {
        Ok(Self {
            path,
            file: sys::no_folder()?.into(),
            is_there: AtomicBool::new(false),
        })
    }

    /// The file, with a descriptor of its own.
    ///
    /// # Errors
    /// `ENOENT` while it is not there, `EMFILE` when there are too many descriptors.
    pub fn find(&self) -> Result<OpenFile, Errno> {
        if !self.is_there.load(Ordering::Acquire) {
            return Err(Errno::ENOENT);
        }
        let descriptor = self.file.duplicate()?;
        Ok(OpenFile {
            metadata: Metadata::of(descriptor.as_raw_fd())?,
            descriptor,
            is_via_symlink: true,
            name: name_of(self.path.to_bytes(), false).map_err(|_| Errno::ENAMETOOLONG)?,
        })
    }

    /// Its descriptor, to keep it open in a child.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.file
    }

    pub(super) fn release(&self) -> Result<(), Errno> {
        self.is_there.store(false, Ordering::Release);
        self.file.become_like(&sys::no_folder()?)
    }

    /// Opens what is at its path now, if it was let go.
    pub(super) fn reopen(&self) {
        if self.is_there.load(Ordering::Acquire) {
            return;
        }
        match open(self.path).and_then(|file| self.file.become_like(&file)) {
            Ok(()) => self.is_there.store(true, Ordering::Release),
            Err(errno) => log::warn!("the file that is pushed cannot be metadata: {errno}"),
        }
    }
}

fn open(path: &CStr) -> Result<OwnedFd, Errno> {
    let file = sys::open_followed(path)?;
    if Metadata::of(file.as_raw_fd())?.is_folder {
        return Err(Errno::EISDIR);
    }
    Ok(file)
}
