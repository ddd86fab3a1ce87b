//! What a connection works with while it is polled.

use super::config::WorkerConfig;
use super::http::requests::Requests;
use super::shared_listing::SharedListing;
use super::socket::Socket;
use super::store::Store;
use crate::sys::Errno;

/// Why nothing was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SendError {
    /// The socket has no room.
    WouldBlock,
    /// The page cache lacks what is to be sent.
    NotCached,
    /// The file ended before its size, or cannot be read.
    Truncated,
    /// The client is gone.
    Closed,
}

/// What a connection works with while it is polled.
pub(crate) struct Io<'a, S> {
    pub(crate) socket: S,
    pub(crate) store: &'a mut Store,
    pub(crate) requests: &'a mut Requests,
    pub(crate) listing: &'a mut SharedListing,
    /// Where what is sent is laid; nothing stays in it between two polls.
    pub(crate) out: &'a mut [u8],
    pub(crate) config: &'a WorkerConfig<'a>,
    /// Milliseconds on the monotonic clock.
    pub(crate) now_ms: u64,
    /// Milliseconds since 1970, as far as the system knows.
    pub(crate) real_ms: fn() -> u64,
    /// The worker is about to stop.
    pub(crate) is_draining: bool,
    /// Bytes that the socket took in this poll.
    pub(crate) sent: u64,
    /// Responses over HTTP that were generated in this poll.
    pub(crate) responses: u32,
}

impl<S: Socket> Io<'_, S> {
    /// Sends the part of `out` in `range`.
    ///
    /// # Errors
    /// `WouldBlock` or `Closed`.
    pub(crate) fn send_out(
        &mut self,
        range: core::ops::Range<usize>,
        more: bool,
    ) -> Result<usize, SendError> {
        let sent = self.socket.send(&self.out[range], more);
        self.count(sent)
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// `WouldBlock` or `Closed`.
    pub(crate) fn send(&mut self, bytes: &[u8], more: bool) -> Result<usize, SendError> {
        let sent = self.socket.send(bytes, more);
        self.count(sent)
    }

    /// Sends bytes of a file, straight from the page cache.
    ///
    /// # Errors
    /// `WouldBlock`, `Closed`, or `Truncated` where the file ends or cannot be read.
    pub(crate) fn send_file(
        &mut self,
        file: i32,
        offset: u64,
        count: usize,
    ) -> Result<usize, SendError> {
        match self.socket.send_file(file, offset, count) {
            Ok(0) | Err(Errno::EIO) => Err(SendError::Truncated),
            sent => self.count(sent),
        }
    }

    fn count(&mut self, sent: Result<usize, Errno>) -> Result<usize, SendError> {
        match sent {
            Ok(sent) => {
                self.sent += sent as u64;
                Ok(sent)
            }
            Err(Errno::EAGAIN) => Err(SendError::WouldBlock),
            Err(_) => Err(SendError::Closed),
        }
    }
}
