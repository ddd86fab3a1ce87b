//! The arena: the program's only heap, open during start-up and sealed before the first client.
//!
//! Every program that serves a byte so proves that serving allocates nothing: what would allocate
//! after [`Arena::seal`] ends the process with a message instead. Only a panic's own message may
//! still be made, of what start-up has left, because the process ends with it anyway.
#![allow(unsafe_code)] // a global allocator is an unsafe trait

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::limits::BOARD;

const SIZE: usize = BOARD.arena_bytes;

/// A bump allocator over a fixed block in `.bss`; meant to be the `#[global_allocator]`.
pub struct Arena {
    block: Block,
    used: AtomicUsize,
    sealed: AtomicBool,
}

#[repr(align(64))]
struct Block(UnsafeCell<[u8; SIZE]>);

// SAFETY: `block` is only handed out in parts, and `used` gives each part to one caller only.
unsafe impl Sync for Arena {}

impl Default for Arena {
    fn default() -> Self {
        Self::new()
    }
}

impl Arena {
    /// An empty, open arena.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            block: Block(UnsafeCell::new([0; SIZE])),
            used: AtomicUsize::new(0),
            sealed: AtomicBool::new(false),
        }
    }

    /// Ends start-up: from now on an allocation ends the process.
    pub fn seal(&self) {
        self.sealed.store(true, Ordering::Release);
    }

    /// Bytes handed out so far, of `BOARD.arena_bytes`.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn end_of(&self, pointer: *mut u8, size: usize) -> usize {
        pointer as usize - self.block.0.get() as usize + size
    }
}

// SAFETY: the parts lie within `block`, are aligned to `layout` and never overlap: `used` only
// passes a part by a successful exchange, and only shrinks over the part handed out last.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Rust makes the text of a panic before the hook can say it.
        if self.sealed.load(Ordering::Acquire) && !std::thread::panicking() {
            stop(b"trainyard: allocation after the arena was sealed; this is a bug, please report it\n");
        }
        let base = self.block.0.get() as usize;
        let mut used = self.used.load(Ordering::Relaxed);
        loop {
            let start = (base + used).next_multiple_of(layout.align()) - base;
            let Some(end) = start.checked_add(layout.size()).filter(|end| *end <= SIZE) else {
                stop(b"trainyard: start-up needs more memory than the board's arena_bytes\n");
            };
            match self
                .used
                .compare_exchange(used, end, Ordering::Relaxed, Ordering::Relaxed)
            {
                // SAFETY: `start` is within the block, as `end` is.
                Ok(_) => return unsafe { self.block.0.get().cast::<u8>().add(start) },
                Err(now) => used = now,
            }
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let end = self.end_of(pointer, layout.size());
        // Only the part handed out last can be taken back; the rest stays used.
        let _ = self.used.compare_exchange(
            end,
            end - layout.size(),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }
}

fn stop(message: &[u8]) -> ! {
    // SAFETY: write reads the message's bytes only; abort does not return. Neither allocates.
    unsafe {
        libc::write(2, message.as_ptr().cast(), message.len());
        libc::abort()
    }
}
