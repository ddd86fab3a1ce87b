//! Memory that parent and children share, mapped once before the first fork.

use core::num::NonZeroUsize;
use core::sync::atomic::AtomicU64;

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};

use super::Errno;

/// Counters at zero that stay shared after a fork (mmap(2), MAP_SHARED); for start-up.
///
/// # Errors
/// `ENOMEM` when the system has no room.
pub fn shared_counters(count: usize) -> Result<&'static [AtomicU64], Errno> {
    let size = NonZeroUsize::new(count * size_of::<AtomicU64>()).ok_or(Errno::EINVAL)?;
    // SAFETY: a new mapping, page-aligned, zeroed by the kernel and never unmapped; zeroes are
    // counters, and atomics may change under another process's eyes.
    unsafe {
        let memory = mmap_anonymous(
            None,
            size,
            ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
            MapFlags::MAP_SHARED,
        )?;
        Ok(core::slice::from_raw_parts(
            memory.cast::<AtomicU64>().as_ptr(),
            count,
        ))
    }
}
