//! Watching folders for changes: inotify(7).

use core::ffi::CStr;

use super::{Descriptor, Errno, check, retry};

/// Something happened to a name in a watched folder, or to the folder.
pub struct Event<'a> {
    /// Which watch tells of it; -1 when events were lost.
    pub watch: i32,
    /// The name in the folder; empty for the folder itself.
    pub name: &'a [u8],
}

/// Opens a non-blocking watcher: inotify_init1(2).
pub fn watcher() -> Result<Descriptor, Errno> {
    // SAFETY: no memory is passed.
    let raw = unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) };
    check(i64::from(raw)).map(Descriptor::from_raw)
}

/// Watches a folder for whatever changes its files: inotify_add_watch(2). The same folder has the
/// same watch, by whatever path. `ENOSPC` when the user's watches are used up.
pub fn watch(watcher: &Descriptor, folder: &CStr) -> Result<i32, Errno> {
    const MASK: u32 = libc::IN_MODIFY
        | libc::IN_ATTRIB
        | libc::IN_CREATE
        | libc::IN_DELETE
        | libc::IN_MOVED_FROM
        | libc::IN_MOVED_TO
        | libc::IN_MOVE_SELF
        | libc::IN_DELETE_SELF
        | libc::IN_ONLYDIR;
    // SAFETY: folder ends in NUL.
    retry(|| i64::from(unsafe { libc::inotify_add_watch(watcher.raw(), folder.as_ptr(), MASK) }))
        .map(|watch| watch as i32)
}

/// Ends a watch. One that has ended by itself is no fault.
pub fn unwatch(watcher: &Descriptor, watch: i32) {
    // SAFETY: no memory is passed.
    unsafe { libc::inotify_rm_watch(watcher.raw(), watch) };
}

/// Events as read(2) gives them, in the caller's buffer.
pub struct Events<'a> {
    bytes: &'a [u8],
}

/// Reads the next events; `EAGAIN` when there are none.
pub fn events<'a>(watcher: &Descriptor, buffer: &'a mut [u8]) -> Result<Events<'a>, Errno> {
    let (room, size) = (buffer.as_mut_ptr().cast(), buffer.len());
    // SAFETY: the kernel writes at most the buffer's length.
    let size = retry(|| unsafe { libc::read(watcher.raw(), room, size) } as i64)?;
    Ok(Events {
        bytes: &buffer[..size],
    })
}

impl<'a> Iterator for Events<'a> {
    type Item = Event<'a>;

    fn next(&mut self) -> Option<Event<'a>> {
        // struct inotify_event: watch i32, mask u32, cookie u32, length u32, name padded with NULs.
        let number = |at: usize| Some(*self.bytes.get(at..)?.first_chunk::<4>()?);
        let watch = i32::from_ne_bytes(number(0)?);
        let length = u32::from_ne_bytes(number(12)?) as usize;
        let name = self.bytes.get(16..16 + length)?;
        self.bytes = &self.bytes[16 + length..];
        let end = name.iter().position(|byte| *byte == 0);
        Some(Event {
            watch,
            name: &name[..end.unwrap_or(length)],
        })
    }
}
