//! Where something is mounted, whether its device is there, and whether that can still be read.

use core::ffi::CStr;
use core::fmt::Write;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::sys::eventfd::{EfdFlags, EventFd};

use super::file::{Statx, owned, statx};
use super::{Descriptor, Errno, check, read_at, retry};

/// A mounted file system. Before Linux 6.8 two that were mounted one after the other may look alike.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mount {
    device: [u32; 2],
    /// 0 where the kernel does not tell.
    number: u64,
}

impl Mount {
    /// That on which `path` lies now: statx(2). It opens nothing.
    ///
    /// # Errors
    /// `ENOENT`, `EACCES` and what else statx(2) says.
    pub fn at(path: &CStr) -> Result<Self, Errno> {
        let answer = statx(libc::AT_FDCWD, path, libc::AT_NO_AUTOMOUNT)?;
        Ok(Self::read(&answer))
    }

    /// That on which an open descriptor lies.
    ///
    /// # Errors
    /// What statx(2) says.
    pub fn of(descriptor: RawFd) -> Result<Self, Errno> {
        Ok(Self::read(&statx(descriptor, c"", libc::AT_EMPTY_PATH)?))
    }

    fn read(answer: &Statx) -> Self {
        Self {
            device: answer.device,
            number: answer.mount,
        }
    }

    /// Whether the system knows its block device now: sysfs(5). A file system without one has none.
    #[must_use]
    pub fn has_device(&self) -> bool {
        let mut path: heapless::String<64> = heapless::String::new();
        let [major, minor] = self.device;
        let written = write!(path, "/sys/dev/block/{major}:{minor}\0");
        assert!(written.is_ok(), "two numbers have room");
        let path = CStr::from_bytes_with_nul(path.as_bytes()).expect("NUL is at its end");
        // SAFETY: the path ends in NUL.
        retry(|| i64::from(unsafe { libc::access(path.as_ptr(), libc::F_OK) })).is_ok()
    }
}

/// What tells of every mount and unmount by `EPOLLPRI`, edge-triggered: mountinfo of proc(5).
///
/// # Errors
/// `ENOENT` where proc(5) is not mounted.
pub fn mount_changes() -> Result<Descriptor, Errno> {
    super::open_followed(c"/proc/self/mountinfo").map(Descriptor::from)
}

/// A descriptor that stands for a folder that is not there: every open beneath it is `ENOTDIR`.
///
/// # Errors
/// `EMFILE` when there are too many descriptors.
pub fn no_folder() -> Result<OwnedFd, Errno> {
    let event = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
    Ok(OwnedFd::from(event))
}

/// Reads the beginning of a file in `folder` from its device, past the page cache: open(2) with
/// `O_DIRECT`. It blocks while the device is asked.
///
/// # Errors
/// `EINVAL` where the file system cannot; `ELOOP` for a symbolic link; `EIO` and the like when the
/// device does not answer.
pub fn read_from_device(folder: RawFd, name: &CStr) -> Result<usize, Errno> {
    #[repr(align(4096))]
    struct Block([u8; 4096]);
    let flags = libc::O_RDONLY | libc::O_DIRECT | libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let flags = flags | libc::O_CLOEXEC | libc::O_NOCTTY | libc::O_LARGEFILE;
    // SAFETY: the name ends in NUL.
    let opened = retry(|| i64::from(unsafe { libc::openat(folder, name.as_ptr(), flags) }));
    let file = opened.map(owned)?;
    read_at(file.as_raw_fd(), &mut Block([0; 4096]).0, 0, false)
}

/// Leaves the folder that this process was started in, for `/`: chdir(2).
///
/// # Errors
/// `EACCES`.
pub fn leave_working_folder() -> Result<(), Errno> {
    // SAFETY: the path ends in NUL.
    check(i64::from(unsafe { libc::chdir(c"/".as_ptr()) })).map(drop)
}
