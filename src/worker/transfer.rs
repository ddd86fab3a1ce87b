//! A file to a socket, for both protocols: what is in the page cache leaves at once; for the rest
//! readahead is requested, and the connection comes back later, so that no other one waits for the card.

use super::conn::connection::Connection;
use super::conn::cursor::FileCursor;
use super::conn::state::Wait;
use super::io::{Io, SendError};
use super::next::Next;
use super::socket::Socket;
use crate::files::FileSlot;
use crate::limits::BOARD;
use crate::sys::{self, Errno};

/// Bytes that are looked for in the page cache at once.
const PROBE_BYTES: u64 = 4 * BOARD.turn_bytes as u64;

/// Sends some of the `size` bytes that lie at `offset` of a file, at most `turn_bytes`.
///
/// # Errors
/// Any; what follows is said by [`cannot_send`].
pub(crate) fn send_range<S: Socket>(
    io: &mut Io<S>,
    file: FileSlot,
    cursor: &mut FileCursor,
    offset: u64,
    size: u64,
) -> Result<usize, SendError> {
    let file = io.store.files.get(file).descriptor.raw();
    let count = size.min(BOARD.turn_bytes as u64) as usize;
    if !cursor.may_block() && offset + count as u64 > cursor.cached_until {
        // sendfile has no way to say that it would wait for the card.
        let starts_anew = offset != cursor.cached_until;
        let far = size.min(PROBE_BYTES);
        let sizes = [starts_anew.then_some(1), Some(far), Some(count as u64)];
        match probe(file, offset, sizes)? {
            0 => {
                cursor.request_readahead(file, offset);
                return Err(SendError::NotCached);
            }
            cached => cursor.cached_until = offset + cached,
        }
    }
    cursor.not_cached_tries = 0;
    io.send_file(file, offset, count)
}

/// Looks whether bytes from `offset` on are in the page cache, by the last byte of each of these
/// sizes; the first one must be, then the largest that is counts. 0 for none.
fn probe(file: i32, offset: u64, sizes: [Option<u64>; 3]) -> Result<u64, SendError> {
    let is_cached = |size: u64| match sys::read_at(file, &mut [0], offset + size - 1, true) {
        Ok(1..) => Ok(true),
        Err(Errno::EAGAIN) => Ok(false),
        Ok(0) | Err(_) => Err(SendError::Truncated),
    };
    let [first, far, near] = sizes;
    if let Some(first) = first
        && !is_cached(first)?
    {
        return Ok(0);
    }
    for size in [far, near].into_iter().flatten() {
        if is_cached(size)? {
            return Ok(size);
        }
    }
    Ok(0)
}

/// What follows when nothing could be sent. Where the file is truncated the connection ends early, so
/// that nothing looks whole.
pub(crate) fn cannot_send<S: Socket>(
    conn: &mut Connection,
    io: &mut Io<S>,
    error: SendError,
) -> Next {
    match error {
        SendError::WouldBlock => Next::Wait,
        // The others have their turns meanwhile.
        SendError::NotCached => {
            conn.timer.start(Wait::NotCached);
            Next::Wait
        }
        SendError::Truncated => {
            report_truncated(conn, io);
            Next::Close
        }
        SendError::Closed => Next::Close,
    }
}

/// Says that a file cannot give what was promised.
pub(crate) fn report_truncated<S: Socket>(conn: &Connection, io: &mut Io<S>) {
    let name = core::str::from_utf8(&io.store.files.get(conn.file).name)
        .unwrap_or("(a name that is not UTF-8)");
    log::warn!("{name}: shrank or cannot be read; its transfer ends early");
    io.config.gauges.report_fault();
}

/// A stall window has passed: the transfer ends if it moved nothing, or too little while others wait.
pub(crate) fn stalled<S: Socket>(conn: &mut Connection, io: &mut Io<S>) -> Next {
    let left = io.socket.unacknowledged();
    if left == 0 {
        // The client waits for us: the kernel had no memory for more, and no event tells when it has.
        conn.timer.start(Wait::Stall);
        return Next::Again;
    }
    let progress = conn.note_acknowledged(left);
    let least = BOARD.rate_min_bytes_per_s * BOARD.stall_ms / 1000;
    if progress == 0 || (progress < least && io.config.gauges.has_waiting()) {
        log::debug!(
            "a client stopped reading and loses its place ({progress} bytes in {} ms)",
            BOARD.stall_ms
        );
        return Next::Close;
    }
    conn.timer.start(Wait::Stall);
    Next::Wait
}
