//! A bell: how one thread wakes another from its epoll (eventfd(2)).

use std::os::fd::OwnedFd;
use std::sync::OnceLock;

use nix::sys::eventfd::{EfdFlags, EventFd};

use super::{Descriptor, Errno, retry};

/// A bell. Each ringing is an event for an edge-triggered epoll, so nobody has to read it; a bell
/// that was rung several times before epoll is asked makes one event.
pub struct Bell(OnceLock<Descriptor>);

impl Bell {
    /// A bell that is not open yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// Makes the bell, once.
    ///
    /// # Errors
    /// What eventfd(2) says, and `EEXIST` when it is there already.
    pub fn open(&self) -> Result<(), Errno> {
        let event = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        self.0
            .set(OwnedFd::from(event).into())
            .map_err(|_| Errno::EEXIST)
    }

    /// What epoll watches. Panics if the bell is not open.
    pub fn descriptor(&self) -> &Descriptor {
        self.0.get().expect("the bell is open")
    }

    /// Rings the bell; never blocks.
    pub fn ring(&self) {
        let one = 1_u64.to_ne_bytes();
        let raw = self.descriptor().raw();
        // SAFETY: the kernel reads 8 bytes. Only a bell that was rung 2^64 - 2 times refuses.
        let _ = retry(|| unsafe { libc::write(raw, one.as_ptr().cast(), one.len()) } as i64);
    }
}

impl Default for Bell {
    fn default() -> Self {
        Self::new()
    }
}
