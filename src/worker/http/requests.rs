//! Requests that are kept in memory: those that are not whole yet, and those whose answer stopped in
//! the midst of what is made of them. Few are, so there are few places; while all are taken, bytes
//! stay in the kernel's buffers instead.

use core::net::Ipv6Addr;

use heapless::Vec;

use crate::limits::{BOARD, HTTP_HEAD_BYTES_MAX};
use crate::sys::Peer;
use crate::worker::conn::state::KeptSlot;

/// What was received, in the worker's input.
pub(crate) struct Received {
    pub(crate) size: usize,
    /// It is still in the kernel's buffer.
    pub(crate) is_peeked: bool,
}

/// All places. All zeroes is none taken.
pub(crate) struct Kept {
    bytes: [Vec<u8, HTTP_HEAD_BYTES_MAX, u16>; BOARD.kept_requests],
    /// Whose they are, for the access log.
    peers: [Peer; BOARD.kept_requests],
    is_taken: [bool; BOARD.kept_requests],
    taken: u8,
}

impl Kept {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: [const { Vec::new() }; BOARD.kept_requests],
            peers: [(Ipv6Addr::UNSPECIFIED, 0); BOARD.kept_requests],
            is_taken: [false; BOARD.kept_requests],
            taken: 0,
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        usize::from(self.taken) == BOARD.kept_requests
    }

    /// Keeps bytes, in the place that already belongs to them or in a free one; none need none.
    pub(crate) fn keep(&mut self, slot: KeptSlot, bytes: &[u8]) -> KeptSlot {
        if bytes.is_empty() {
            self.release(slot);
            return KeptSlot::NONE;
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
        self.bytes[index].clear();
        self.bytes[index]
            .extend_from_slice(bytes)
            .expect("no more is ever received at once");
        KeptSlot(index as u8 + 1)
    }

    /// The bytes of a place; none of no place.
    pub(crate) fn get(&self, slot: KeptSlot) -> &[u8] {
        match slot.0.checked_sub(1) {
            Some(index) => &self.bytes[usize::from(index)],
            None => &[],
        }
    }

    /// Remembers whose the bytes of a place are, if it is one.
    pub(crate) fn set_peer(&mut self, slot: KeptSlot, peer: Peer) {
        if let Some(index) = slot.0.checked_sub(1) {
            self.peers[usize::from(index)] = peer;
        }
    }

    /// See [`Kept::set_peer`].
    pub(crate) fn peer(&self, slot: KeptSlot) -> Peer {
        self.peers[usize::from(slot.0.checked_sub(1).expect("a place"))]
    }

    /// Frees a place, if it is one.
    pub(crate) fn release(&mut self, slot: KeptSlot) {
        if let Some(index) = slot.0.checked_sub(1) {
            assert!(self.is_taken[usize::from(index)], "a place is freed once");
            self.is_taken[usize::from(index)] = false;
            self.taken -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_taken_kept_and_freed() {
        let mut kept = Kept::new();
        assert_eq!(kept.keep(KeptSlot::NONE, b""), KeptSlot::NONE);
        let slots: std::vec::Vec<_> = (0..BOARD.kept_requests)
            .map(|number| kept.keep(KeptSlot::NONE, &[number as u8]))
            .collect();
        assert!(kept.is_full());
        assert_eq!(kept.keep(slots[1], b"longer"), slots[1]);
        assert_eq!(kept.get(slots[0]), [0]);
        assert_eq!(kept.get(slots[1]), b"longer");
        assert_eq!(kept.keep(slots[0], b""), KeptSlot::NONE);
        assert!(!kept.is_full());
        assert_eq!(kept.keep(KeptSlot::NONE, b"x"), slots[0]);
    }
}
