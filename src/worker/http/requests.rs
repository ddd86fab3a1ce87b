//! What was received over HTTP, and the stash: requests that stay in memory, because they are not
//! whole yet, or because their response depends on them and is not sent whole. Few are, so the stash
//! has few buffers; while all are taken, requests stay in the kernel's buffers instead, and are looked
//! at there.

use heapless::Vec;

use crate::limits::{BOARD, HTTP_HEAD_BYTES_MAX};
use crate::sys::Errno;
use crate::worker::conn::connection::Connection;
use crate::worker::conn::state::StashSlot;
use crate::worker::next::Next;
use crate::worker::socket::Socket;

/// What was received of one connection's requests.
pub(crate) struct Received {
    pub(crate) len: usize,
    /// It is still in the kernel's buffer.
    pub(crate) is_peeked: bool,
}

/// What a worker received, and what it keeps of that. All zeroes is nothing.
pub(crate) struct Requests {
    /// What was received of the connection that is polled.
    input: [u8; HTTP_HEAD_BYTES_MAX],
    stash: Stash,
}

impl Requests {
    pub(crate) const fn new() -> Self {
        Self {
            input: [0; HTTP_HEAD_BYTES_MAX],
            stash: Stash::new(),
        }
    }

    /// What was received last.
    pub(crate) fn input(&self, received: &Received) -> &[u8] {
        &self.input[..received.len]
    }

    /// Fills the input with what is stashed of a connection, and what has come. The error is what to do
    /// where there is nothing.
    pub(crate) fn receive<S: Socket>(
        &mut self,
        conn: &mut Connection,
        socket: &mut S,
    ) -> Result<Received, Next> {
        let stashed = self.stash.get(conn.stash);
        let mut len = stashed.len();
        self.input[..len].copy_from_slice(stashed);
        let is_peeked = !conn.stash.is_some() && self.stash.is_full();
        if conn.has_unread && len < HTTP_HEAD_BYTES_MAX {
            let room = &mut self.input[len..];
            match socket.receive(room, is_peeked) {
                Ok(0) => {
                    (conn.is_hung_up, conn.has_unread) = (true, false);
                    conn.is_at_end = true;
                }
                Ok(got) => {
                    // After a full one, and before the end of the stream, no event tells of the rest.
                    conn.has_unread = got == room.len() || conn.is_hung_up;
                    len += got;
                }
                Err(Errno::EAGAIN) => conn.has_unread = false,
                Err(_) => return Err(Next::Close),
            }
        }
        if len > 0 {
            return Ok(Received { len, is_peeked });
        }
        Err(if conn.is_at_end {
            Next::Close
        } else {
            Next::Wait
        })
    }

    /// Keeps what was received from `start` on, and takes what is before it out of the kernel's buffer.
    pub(crate) fn stash_from<S: Socket>(
        &mut self,
        conn: &mut Connection,
        socket: &mut S,
        start: usize,
        received: &Received,
    ) {
        if received.is_peeked {
            if start > 0 {
                // It is there: the peek has seen it.
                let _ = socket.receive(&mut self.input[..start], false);
            }
            conn.has_unread |= start < received.len;
            return;
        }
        conn.stash = self.stash.put(conn.stash, &self.input[start..received.len]);
    }

    /// The request that is being answered, and what has come behind it; `None` when the socket cannot
    /// give it any more.
    pub(crate) fn current<S: Socket>(
        &mut self,
        conn: &Connection,
        socket: &mut S,
    ) -> Option<&[u8]> {
        if conn.stash.is_some() {
            return Some(self.stash.get(conn.stash));
        }
        match socket.receive(&mut self.input, true) {
            Ok(len @ 1..) => Some(&self.input[..len]),
            _ => None,
        }
    }

    /// Drops the first `len` bytes of what is kept of a connection: the request that was answered.
    pub(crate) fn drop_first<S: Socket>(
        &mut self,
        conn: &mut Connection,
        socket: &mut S,
        len: usize,
    ) {
        if conn.stash.is_some() {
            conn.stash = self.stash.drop_first(conn.stash, len);
            return;
        }
        // It is there: it was looked at before. There may be more.
        let _ = socket.receive(&mut self.input[..len], false);
        conn.has_unread = true;
    }

    /// Forgets what is stashed of a connection.
    pub(crate) fn forget(&mut self, conn: &mut Connection) {
        let slot = core::mem::replace(&mut conn.stash, StashSlot::NONE);
        self.stash.release(slot);
    }
}

/// The buffers. All zeroes is none taken.
struct Stash {
    buffers: [Vec<u8, HTTP_HEAD_BYTES_MAX, u16>; BOARD.stashed_requests],
    is_taken: [bool; BOARD.stashed_requests],
    taken: u8,
}

impl Stash {
    const fn new() -> Self {
        Self {
            buffers: [const { Vec::new() }; BOARD.stashed_requests],
            is_taken: [false; BOARD.stashed_requests],
            taken: 0,
        }
    }

    fn is_full(&self) -> bool {
        usize::from(self.taken) == BOARD.stashed_requests
    }

    /// Keeps bytes, in the buffer that already belongs to them or in a free one; no bytes need none.
    fn put(&mut self, slot: StashSlot, bytes: &[u8]) -> StashSlot {
        if bytes.is_empty() {
            self.release(slot);
            return StashSlot::NONE;
        }
        let index = match slot.0.checked_sub(1) {
            Some(index) => usize::from(index),
            None => {
                let free = self.is_taken.iter().position(|is_taken| !is_taken);
                let index = free.expect("the caller has asked whether there is room");
                self.is_taken[index] = true;
                self.taken += 1;
                index
            }
        };
        self.buffers[index].clear();
        self.buffers[index]
            .extend_from_slice(bytes)
            .expect("no more is ever received at once");
        StashSlot(index as u8 + 1)
    }

    /// The bytes in a buffer; none in no buffer.
    fn get(&self, slot: StashSlot) -> &[u8] {
        match slot.0.checked_sub(1) {
            Some(index) => &self.buffers[usize::from(index)],
            None => &[],
        }
    }

    /// Drops the first `len` bytes in a buffer, and the buffer with the last one.
    fn drop_first(&mut self, slot: StashSlot, len: usize) -> StashSlot {
        let buffer = &mut self.buffers[usize::from(slot.0) - 1];
        let left = buffer.len() - len;
        if left == 0 {
            self.release(slot);
            return StashSlot::NONE;
        }
        buffer.copy_within(len.., 0);
        buffer.truncate(left);
        slot
    }

    /// Frees a buffer, if it is one.
    fn release(&mut self, slot: StashSlot) {
        if let Some(index) = slot.0.checked_sub(1) {
            assert!(self.is_taken[usize::from(index)], "a buffer is freed once");
            self.is_taken[usize::from(index)] = false;
            self.taken -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_taken_kept_and_freed() {
        let mut stash = Stash::new();
        assert_eq!(stash.put(StashSlot::NONE, b""), StashSlot::NONE);
        let slots: std::vec::Vec<_> = (0..BOARD.stashed_requests)
            .map(|number| stash.put(StashSlot::NONE, &[number as u8]))
            .collect();
        assert!(stash.is_full());
        assert_eq!(stash.put(slots[1], b"longer"), slots[1]);
        assert_eq!(stash.get(slots[0]), [0]);
        assert_eq!(stash.get(slots[1]), b"longer");
        assert_eq!(stash.drop_first(slots[1], 4), slots[1]);
        assert_eq!(stash.get(slots[1]), b"er");
        assert_eq!(stash.drop_first(slots[1], 2), StashSlot::NONE);
        assert_eq!(stash.put(StashSlot::NONE, b"y"), slots[1]);
        assert_eq!(stash.put(slots[0], b""), StashSlot::NONE);
        assert!(!stash.is_full());
        assert_eq!(stash.put(StashSlot::NONE, b"x"), slots[0]);
    }
}
