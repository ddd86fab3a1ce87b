//! Deadlines: every kind of wait has one fixed length, so its connections expire in order, and a list
//! for each kind does what a heap of timers would.

use super::list::{DEADLINE, List};
use super::slab::Slab;
use super::state::{Slot, Wait};

/// All waits of a worker's connections. All zeroes is none.
pub(crate) struct Deadlines {
    lists: [List<DEADLINE>; Wait::ALL.len()],
}

impl Deadlines {
    pub(crate) const fn new() -> Self {
        Self {
            lists: [const { List::new() }; Wait::ALL.len()],
        }
    }

    /// Puts a connection into the list of what it waits for, if that has begun anew.
    pub(crate) fn update(&mut self, connections: &mut Slab, slot: Slot, now_ms: u64) {
        let timer = &mut connections.get(slot).timer;
        if !timer.is_restarted {
            return;
        }
        let (listed, wait) = (timer.listed, timer.wait());
        timer.is_restarted = false;
        timer.listed = wait;
        timer.expires_ms = now_ms + wait.length_ms();
        if listed != Wait::None {
            self.lists[listed as usize].remove(connections, slot);
        }
        if wait != Wait::None {
            self.lists[wait as usize].push_back(connections, slot);
        }
    }

    /// The connection that has waited the longest for this.
    pub(crate) fn oldest(&self, wait: Wait) -> Option<Slot> {
        self.lists[wait as usize].front()
    }

    /// A connection whose time is up, and what it had waited for. It waits for nothing now.
    pub(crate) fn expired(&mut self, connections: &mut Slab, now_ms: u64) -> Option<(Slot, Wait)> {
        for wait in Wait::ALL {
            if let Some(slot) = self.oldest(wait)
                && connections.get(slot).timer.expires_ms <= now_ms
            {
                connections.get(slot).timer.stop();
                self.update(connections, slot, now_ms);
                return Some((slot, wait));
            }
        }
        None
    }

    /// When the next one expires.
    pub(crate) fn next_ms(&self, connections: &mut Slab) -> Option<u64> {
        Wait::ALL
            .into_iter()
            .filter_map(|wait| self.oldest(wait))
            .map(|slot| connections.get(slot).timer.expires_ms)
            .min()
    }
}
