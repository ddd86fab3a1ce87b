//! A descriptor whose free state is all zeroes, so that tables of them stay in `.bss`.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

use super::{Errno, retry};

/// An open descriptor, or none. It is closed by [`Descriptor::close`] only: tables own it. What is
/// on its way to a table is an [`OwnedFd`], which closes itself.
#[derive(Default)]
pub struct Descriptor {
    raw_plus_one: i32,
}

impl Descriptor {
    /// No descriptor.
    pub const NONE: Self = Self { raw_plus_one: 0 };

    /// The number, for system calls. Panics if there is none.
    #[must_use]
    pub fn raw(&self) -> RawFd {
        assert!(self.raw_plus_one > 0, "no descriptor here");
        self.raw_plus_one - 1
    }

    /// Whether there is a descriptor.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.raw_plus_one > 0
    }

    /// Closes the descriptor, if there is one.
    pub fn close(&mut self) {
        if self.is_open() {
            // SAFETY: this value is the only owner of the descriptor, and gives it up here.
            drop(unsafe { OwnedFd::from_raw_fd(self.raw()) });
            self.raw_plus_one = 0;
        }
    }

    /// Gives the descriptor away, leaving none.
    pub fn take(&mut self) -> Self {
        core::mem::take(self)
    }

    /// A second descriptor of the same open file (fcntl(2), F_DUPFD_CLOEXEC).
    ///
    /// # Errors
    /// `EMFILE` when there are too many.
    pub fn duplicate(&self) -> Result<OwnedFd, Errno> {
        borrow(self)
            .try_clone_to_owned()
            .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))
    }

    /// Makes this number mean what `other` means (dup3(2)), in one step for all threads.
    ///
    /// # Errors
    /// `EBUSY` while a thread opens what is to have this number.
    pub fn become_like(&self, other: &OwnedFd) -> Result<(), Errno> {
        let (from, to) = (other.as_raw_fd(), self.raw());
        // SAFETY: both are open, and this number stays this value's own.
        retry(|| i64::from(unsafe { libc::dup3(from, to, libc::O_CLOEXEC) })).map(drop)
    }

    /// Takes charge of a raw descriptor, as a system call returned it.
    pub(super) fn from_raw(raw: usize) -> Self {
        Self {
            raw_plus_one: i32::try_from(raw).expect("descriptors are small numbers") + 1,
        }
    }
}

impl From<OwnedFd> for Descriptor {
    fn from(owned: OwnedFd) -> Self {
        Self {
            raw_plus_one: owned.into_raw_fd() + 1,
        }
    }
}

/// The descriptor in the form that nix takes. Panics if there is none.
#[must_use]
pub fn borrow(descriptor: &Descriptor) -> BorrowedFd<'_> {
    // SAFETY: the descriptor is open, and the borrow keeps it from being closed.
    unsafe { BorrowedFd::borrow_raw(descriptor.raw()) }
}

/// write(2) to a standard descriptor.
pub fn write(raw: RawFd, bytes: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel reads `bytes` only.
    retry(|| unsafe { libc::write(raw, bytes.as_ptr().cast(), bytes.len()) } as i64)
}

/// Whether a write to a standard descriptor would not wait: poll(2).
#[must_use]
pub fn is_writable(raw: RawFd) -> bool {
    let mut watched = libc::pollfd {
        fd: raw,
        events: libc::POLLOUT,
        revents: 0,
    };
    // SAFETY: the kernel reads and writes one pollfd.
    retry(|| i64::from(unsafe { libc::poll(&raw mut watched, 1, 0) })) == Ok(1)
        && watched.revents & libc::POLLOUT != 0
}
