//! Deadlines: every kind of wait has one fixed length, so its connections expire in order and a
//! list is enough.

use super::list::{DEADLINE, List};
use super::slab::{Slab, Slot};
use crate::limits::{ACKNOWLEDGED_POLL_MS, BOARD, COLD_RETRY_MS, RAW_END_PAUSE_MS};

/// What a connection waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(super) enum Wait {
    None,
    /// The first byte after the connection was made.
    Silent,
    /// The rest of a request.
    Request,
    /// The next request.
    Idle,
    /// The client's acknowledgements.
    Stall,
    /// The client's end, after the last answer.
    Linger,
    /// The card.
    Cold,
    /// The next look whether all is acknowledged.
    Acknowledge,
    /// The pause before the end car of `raw-end`.
    Pause,
}

const KINDS: [Wait; 9] = [
    Wait::None,
    Wait::Silent,
    Wait::Request,
    Wait::Idle,
    Wait::Stall,
    Wait::Linger,
    Wait::Cold,
    Wait::Acknowledge,
    Wait::Pause,
];

impl Wait {
    /// How long it may take, in milliseconds.
    pub(super) const fn length_ms(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Silent => BOARD.silent_ms,
            Self::Request => BOARD.request_ms,
            Self::Idle => BOARD.idle_ms,
            Self::Stall => BOARD.stall_ms,
            Self::Linger => BOARD.linger_ms,
            Self::Cold => COLD_RETRY_MS,
            Self::Acknowledge => ACKNOWLEDGED_POLL_MS,
            Self::Pause => RAW_END_PAUSE_MS,
        }
    }
}

/// All waits of a worker's connections. All zeroes is none.
pub(super) struct Deadlines {
    lists: [List<DEADLINE>; KINDS.len()],
}

impl Deadlines {
    pub(super) const fn new() -> Self {
        Self {
            lists: [const { List::new() }; KINDS.len()],
        }
    }

    /// Makes a connection wait anew, in place of what it waited for.
    pub(super) fn arm(&mut self, connections: &mut Slab, slot: Slot, wait: Wait, now_ms: u64) {
        self.disarm(connections, slot);
        let connection = connections.get(slot);
        connection.wait = wait;
        connection.expires_ms = now_ms + wait.length_ms();
        self.lists[wait as usize].push_back(connections, slot);
    }

    /// Makes a connection wait for nothing.
    pub(super) fn disarm(&mut self, connections: &mut Slab, slot: Slot) {
        let wait = core::mem::replace(&mut connections.get(slot).wait, Wait::None);
        if wait != Wait::None {
            self.lists[wait as usize].remove(connections, slot);
        }
    }

    /// The connection that has waited the longest for this.
    pub(super) fn oldest(&self, wait: Wait) -> Option<Slot> {
        self.lists[wait as usize].front()
    }

    /// A connection whose time is up, and what it had waited for.
    pub(super) fn expired(&mut self, connections: &mut Slab, now_ms: u64) -> Option<(Slot, Wait)> {
        for wait in KINDS {
            if let Some(slot) = self.oldest(wait)
                && connections.get(slot).expires_ms <= now_ms
            {
                self.disarm(connections, slot);
                return Some((slot, wait));
            }
        }
        None
    }

    /// When the next one expires.
    pub(super) fn next_ms(&self, connections: &mut Slab) -> Option<u64> {
        KINDS
            .iter()
            .filter_map(|wait| self.oldest(*wait))
            .map(|slot| connections.get(slot).expires_ms)
            .min()
    }
}
