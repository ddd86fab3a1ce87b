//! What a connection needs of its socket: a trait, so that a scripted one can stand in for the
//! kernel's in tests.

use std::os::fd::RawFd;

use crate::sys::{self, Errno};

/// A stream socket that never blocks.
pub(crate) trait Socket {
    /// Receives into `room`, or looks only, so that the bytes stay to be received. 0 is the end of what
    /// the client sends. `EAGAIN`: nothing is there.
    fn receive(&mut self, room: &mut [u8], peek: bool) -> Result<usize, Errno>;

    /// Sends what there is room for, never nothing. With `more` the last segment, if it is not full, is
    /// kept back for a while. `EAGAIN`: there is no room.
    fn send(&mut self, bytes: &[u8], more: bool) -> Result<usize, Errno>;

    /// Sends at most `count` bytes of `file` from `offset`. 0 is the end of the file.
    fn send_file(&mut self, file: RawFd, offset: u64, count: usize) -> Result<usize, Errno>;

    /// Bytes that are sent, and that the client has not acknowledged.
    fn unacknowledged(&mut self) -> u64;

    /// Keeps back segments that are not full, until it is told not to.
    fn cork(&mut self, keeps_back: bool);

    /// Says that nothing more will be sent.
    fn shut_down_writing(&mut self);

    /// Makes the close a reset, by which the client knows that not all has come.
    fn abort_at_close(&mut self);
}

/// A connection's socket in the kernel.
pub(crate) struct KernelSocket(pub(crate) RawFd);

impl Socket for KernelSocket {
    fn receive(&mut self, room: &mut [u8], peek: bool) -> Result<usize, Errno> {
        sys::receive(self.0, room, peek)
    }

    fn send(&mut self, bytes: &[u8], more: bool) -> Result<usize, Errno> {
        sys::send(self.0, bytes, more)
    }

    fn send_file(&mut self, file: RawFd, offset: u64, count: usize) -> Result<usize, Errno> {
        sys::send_file(self.0, file, offset, count)
    }

    fn unacknowledged(&mut self) -> u64 {
        sys::unacknowledged(self.0)
    }

    fn cork(&mut self, keeps_back: bool) {
        sys::cork(self.0, keeps_back);
    }

    fn shut_down_writing(&mut self) {
        sys::shutdown_write(self.0);
    }

    fn abort_at_close(&mut self) {
        sys::abort_at_close(self.0);
    }
}
