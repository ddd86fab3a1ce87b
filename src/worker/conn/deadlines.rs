//! Deadlines: every kind of wait has one fixed length, so its connections expire in order and a
//! list is enough.

use super::list::{DEADLINE, List};
use super::slab::Slab;
use super::state::{KINDS, Slot, Wait};

/// All waits of a worker's connections. All zeroes is none.
pub(crate) struct Deadlines {
    lists: [List<DEADLINE>; KINDS.len()],
}

impl Deadlines {
    pub(crate) const fn new() -> Self {
        Self {
            lists: [const { List::new() }; KINDS.len()],
        }
    }

    /// Makes a connection wait anew, in place of what it waited for.
    pub(crate) fn arm(&mut self, connections: &mut Slab, slot: Slot, wait: Wait, now_ms: u64) {
        self.disarm(connections, slot);
        let connection = connections.get(slot);
        connection.wait = wait;
        connection.expires_ms = now_ms + wait.length_ms();
        self.lists[wait as usize].push_back(connections, slot);
    }

    /// Makes a connection wait for nothing.
    pub(crate) fn disarm(&mut self, connections: &mut Slab, slot: Slot) {
        let wait = core::mem::replace(&mut connections.get(slot).wait, Wait::None);
        if wait != Wait::None {
            self.lists[wait as usize].remove(connections, slot);
        }
    }

    /// The connection that has waited the longest for this.
    pub(crate) fn oldest(&self, wait: Wait) -> Option<Slot> {
        self.lists[wait as usize].front()
    }

    /// A connection whose time is up, and what it had waited for.
    pub(crate) fn expired(&mut self, connections: &mut Slab, now_ms: u64) -> Option<(Slot, Wait)> {
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
    pub(crate) fn next_ms(&self, connections: &mut Slab) -> Option<u64> {
        KINDS
            .iter()
            .filter_map(|wait| self.oldest(*wait))
            .map(|slot| connections.get(slot).expires_ms)
            .min()
    }
}
