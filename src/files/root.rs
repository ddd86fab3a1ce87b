//! The root: the one folder beneath which everything lies that a client can get.

use core::ffi::CStr;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use std::os::fd::{AsRawFd, OwnedFd};

use heapless::Vec;

use super::open_file::{OpenFile, name_of};
use super::{OpenError, Pushed, probe};
use crate::gauge::RootState;
use crate::limits::{NAME_BYTES, PATH_MAX};
use crate::sys::{self, Descriptor, Errno, Metadata, Mount};

/// The root folder, open unless it is not there. Its descriptor keeps its number for good, so that
/// all threads of a process can share it while it is opened anew.
pub struct Root {
    path: &'static CStr,
    folder: Descriptor,
    is_there: AtomicBool,
    /// The generation that this process has followed to.
    generation: AtomicU32,
    pushed: Option<Pushed>,
}

type Path = Vec<u8, { PATH_MAX + 2 }>;

impl Root {
    /// Opens the root at start-up.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR` and `EACCES` tell of the path, `EIO` and the like of the card.
    pub fn open(path: &'static CStr) -> Result<Self, Errno> {
        sys::open_folder(path).map(|folder| Self {
            path,
            folder: folder.into(),
            is_there: AtomicBool::new(true),
            generation: AtomicU32::new(0),
            pushed: None,
        })
    }

    /// A root that is not there yet; it is opened anew at `path`.
    ///
    /// # Errors
    /// `EMFILE` when there are too many descriptors.
    pub fn absent(path: &'static CStr) -> Result<Self, Errno> {
        Ok(Self {
            path,
            folder: sys::no_folder()?.into(),
            is_there: AtomicBool::new(false),
            generation: AtomicU32::new(0),
            pushed: None,
        })
    }

    /// The same root, and the file that is pushed.
    #[must_use]
    pub fn with_pushed(self, pushed: Option<Pushed>) -> Self {
        Self { pushed, ..self }
    }

    /// The file that is pushed, if there is one. It is let go with the root, and comes back with it.
    #[must_use]
    pub fn pushed(&self) -> Option<&Pushed> {
        self.pushed.as_ref()
    }

    /// Whether there is anything in it.
    ///
    /// # Errors
    /// `ENOENT` when the folder was removed, `EIO` and the like when the card does not answer.
    pub fn is_filled(&self) -> Result<bool, Errno> {
        probe::is_filled(self.folder.raw())
    }

    /// Whether the root is there.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.is_there.load(Ordering::Acquire)
    }

    /// Opens what is at its path now, in place of what was open. It blocks while the card is asked.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR`, `EACCES`, or `EIO` and the like when the card does not answer; nothing has changed
    /// then.
    pub fn reopen(&self) -> Result<(), Errno> {
        self.replace(&sys::open_folder(self.path)?, true)
    }

    /// The same for one that was not there, if there is something in it now that can be read from its
    /// device: an empty folder is where a card has yet to be mounted.
    ///
    /// # Errors
    /// `ENODATA` when it is empty, `ENOENT` when it is not there, `EIO` and the like when the card does not
    /// answer; nothing has changed then.
    pub fn reopen_if_filled(&self) -> Result<(), Errno> {
        let folder = sys::open_folder(self.path)?;
        if !probe::is_filled(folder.as_raw_fd())? {
            return Err(Errno::ENODATA);
        }
        probe::probe(folder.as_raw_fd())?;
        self.replace(&folder, true)
    }

    /// Whether something of what is open can still be read from its device, and not only from memory.
    /// It blocks while the device is asked.
    ///
    /// # Errors
    /// `EIO` and the like.
    pub fn probe(&self) -> Result<(), Errno> {
        let (folder, _) = self.open_at(c".")?;
        probe::probe(folder.as_raw_fd()).map(drop)
    }

    /// On what its path lies now, whether or not that is open.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR` and `EACCES` tell of the path, `EIO` and the like of the card.
    pub fn mount_now(&self) -> Result<Mount, Errno> {
        Mount::at(self.path)
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &'static CStr {
        self.path
    }

    /// Lets go of what is open, so that it can be unmounted: nothing is there any more.
    ///
    /// # Errors
    /// `EMFILE` when there are too many descriptors.
    pub fn release(&self) -> Result<(), Errno> {
        self.is_there.store(false, Ordering::Release);
        self.replace(&sys::no_folder()?, false)
    }

    /// Follows a process that has changed the root, if this process has not done so since. What cannot
    /// be opened is not there, until the next try; false until then.
    pub fn follow(&self, state: RootState) -> bool {
        if self.generation.load(Ordering::Acquire) == state.generation {
            return true;
        }
        let followed = if state.is_gone {
            self.release()
        } else {
            self.reopen()
        };
        match followed {
            Ok(()) => self.generation.store(state.generation, Ordering::Release),
            Err(_) if self.is_there() => drop(self.release()),
            Err(_) => {}
        }
        followed.is_ok()
    }

    /// This process has begun the generation itself.
    pub fn mark_generation(&self, generation: u32) {
        self.generation.store(generation, Ordering::Release);
    }

    fn replace(&self, folder: &OwnedFd, is_there: bool) -> Result<(), Errno> {
        self.folder.become_like(folder)?;
        self.is_there.store(is_there, Ordering::Release);
        match &self.pushed {
            Some(pushed) if is_there => pushed.reopen(),
            Some(pushed) => pushed.release()?,
            None => {}
        }
        Ok(())
    }

    /// The root's descriptor, to keep it open in a child.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.folder
    }

    /// Reads a part of the root folder, only to see whether that can be done. It blocks while the card
    /// is asked.
    ///
    /// # Errors
    /// `ENOENT` when the folder was removed, `EIO` when the card was.
    pub fn read(&self) -> Result<(), Errno> {
        if !self.is_there() {
            return Err(Errno::EIO);
        }
        let (folder, _) = self.open_at(c".")?;
        read_folder(folder.as_raw_fd())
    }

    /// Opens `path`, a client's bytes without NUL, for reading. It blocks while the card is asked.
    ///
    /// Slashes at the start and doubled ones count for nothing, nor do `.` components; `..` is not
    /// allowed, and neither is what leaves the root by a symbolic link.
    ///
    /// # Errors
    /// See [`OpenError`]; `Io` while the root is not there.
    pub fn find(&self, path: &[u8]) -> Result<OpenFile, OpenError> {
        if !self.is_there() {
            return Err(OpenError::Io);
        }
        let (clean, must_be_folder) = clean(path)?;
        let c_path = CStr::from_bytes_with_nul(&clean).map_err(|_| OpenError::Malformed)?;
        let (descriptor, is_via_symlink) = self.open_at(c_path).map_err(|errno| {
            // It may have been let go meanwhile, by another thread.
            if self.is_there() {
                errno.into()
            } else {
                OpenError::Io
            }
        })?;
        let metadata = Metadata::of(descriptor.as_raw_fd())?;
        if must_be_folder && !metadata.is_folder {
            return Err(OpenError::NotFound);
        }
        Ok(OpenFile {
            descriptor,
            metadata,
            is_via_symlink,
            name: name_of(&clean[..clean.len() - 1], metadata.is_folder)?,
        })
    }

    /// Opens a path, and says whether a symbolic link led to it.
    fn open_at(&self, path: &CStr) -> Result<(OwnedFd, bool), Errno> {
        static OPENAT2_WORKS: AtomicBool = AtomicBool::new(true);
        let open = |follow| sys::open_beneath(self.folder.raw(), path, follow);
        if OPENAT2_WORKS.load(Ordering::Relaxed) {
            match open(false) {
                Err(Errno::ENOSYS) => OPENAT2_WORKS.store(false, Ordering::Relaxed),
                Err(Errno::ELOOP) => return open(true).map(|descriptor| (descriptor, true)),
                result => return result.map(|descriptor| (descriptor, false)),
            }
        }
        self.open_step_by_step(path)
            .map(|descriptor| (descriptor, false))
    }

    /// For kernels before 5.6: opens component by component, and no symbolic link at all.
    fn open_step_by_step(&self, path: &CStr) -> Result<OwnedFd, Errno> {
        let mut folder: Option<OwnedFd> = None;
        for component in path.to_bytes().split(|byte| *byte == b'/') {
            let mut name: Vec<u8, NAME_BYTES> = Vec::new();
            name.extend_from_slice(component)
                .map_err(|_| Errno::ENAMETOOLONG)?;
            name.push(0).map_err(|_| Errno::ENAMETOOLONG)?;
            let name = CStr::from_bytes_with_nul(&name).map_err(|_| Errno::EINVAL)?;
            let above = folder
                .as_ref()
                .map_or(self.folder.raw(), OwnedFd::as_raw_fd);
            folder = Some(sys::open_file(above, name)?);
        }
        folder.ok_or(Errno::ENOENT)
    }
}

/// Reads a part of an open folder, only to see whether that can be done: see [`Root::read`].
///
/// # Errors
/// `ENOENT` when the folder was removed, `EIO` and the like when the card does not answer.
pub fn read_folder(folder: i32) -> Result<(), Errno> {
    sys::getdents(folder, &mut [0; 1024]).map(drop)
}

/// The path without what counts for nothing, a NUL at its end, and whether it must be a folder.
fn clean(path: &[u8]) -> Result<(Path, bool), OpenError> {
    let mut clean = Path::new();
    let mut push = |bytes: &[u8]| {
        clean
            .extend_from_slice(bytes)
            .map_err(|_| OpenError::TooLong)
    };
    let mut first = true;
    for component in path
        .split(|byte| *byte == b'/')
        .filter(|component| !matches!(*component, b"" | b"."))
    {
        if component == b".." {
            return Err(OpenError::NotAllowed);
        }
        if component.len() >= NAME_BYTES {
            return Err(OpenError::TooLong);
        }
        if !first {
            push(b"/")?;
        }
        push(component)?;
        first = false;
    }
    if first {
        push(b".")?;
    }
    push(b"\0")?;
    Ok((clean, path.ends_with(b"/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_loses_what_counts_for_nothing() {
        for (path, expected) in [
            (&b"a/b"[..], Ok((&b"a/b\0"[..], false))),
            (b"//a//./b/", Ok((b"a/b\0", true))),
            (b"/", Ok((b".\0", true))),
            (b".", Ok((b".\0", false))),
            (b"...", Ok((b"...\0", false))),
            (b"a/../b", Err(OpenError::NotAllowed)),
            (b"..", Err(OpenError::NotAllowed)),
            (&[b'x'; NAME_BYTES], Err(OpenError::TooLong)),
        ] {
            let got = clean(path);
            assert_eq!(
                got.as_ref()
                    .map(|(path, folder)| (&path[..], *folder))
                    .map_err(|error| *error),
                expected
            );
        }
    }

    #[test]
    fn a_folder_has_a_slash_behind_its_name() {
        assert_eq!(name_of(b"a/b", true).unwrap(), b"b/");
        assert_eq!(name_of(b".", true).unwrap(), b"/");
        assert_eq!(name_of(b"a/b", false).unwrap(), b"b");
    }
}
