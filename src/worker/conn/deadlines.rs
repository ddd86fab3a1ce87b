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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{Job, Protocol};
    use crate::sys::Descriptor;
    use crate::worker::conn::activity::Activity;
    use crate::worker::conn::connection::Connection;
    use crate::worker::conn::state::ClientSlot;

    fn connect(slab: &mut Slab) -> Slot {
        let job = Job {
            ticket: 0,
            protocol: Protocol::Ask,
            address: core::net::Ipv6Addr::LOCALHOST,
            socket: Descriptor::NONE,
        };
        slab.insert(Connection::new(job, ClientSlot::NONE))
            .expect("room")
    }

    #[test]
    fn connections_expire_in_order_and_once() {
        let mut slab = Box::new(Slab::new());
        let mut deadlines = Deadlines::new();
        let slots = [(); 4].map(|()| connect(&mut slab));
        let waits = [Wait::Idle, Wait::Linger, Wait::Idle, Wait::NotCached];
        for (at, (slot, wait)) in slots.into_iter().zip(waits).enumerate() {
            slab.get(slot).timer.start(wait);
            deadlines.update(&mut slab, slot, 1000 + at as u64);
        }
        assert_eq!(deadlines.oldest(Wait::Idle), Some(slots[0]));
        assert_eq!(slab.get(slots[2]).timer.since_ms(), 1002);
        // One waits anew, one for nothing.
        slab.get(slots[0]).timer.start(Wait::Idle);
        deadlines.update(&mut slab, slots[0], 5000);
        slab.get(slots[3]).timer.start(Wait::NotCached);
        slab.get(slots[3]).timer.stop();
        deadlines.update(&mut slab, slots[3], 5000);
        assert_eq!(deadlines.oldest(Wait::Idle), Some(slots[2]));
        let linger_end = 1001 + Wait::Linger.length_ms();
        assert_eq!(deadlines.next_ms(&mut slab), Some(linger_end));
        assert_eq!(deadlines.expired(&mut slab, linger_end - 1), None);
        let (slot, wait) = deadlines.expired(&mut slab, linger_end).expect("its time");
        assert_eq!((slot, wait), (slots[1], Wait::Linger));
        assert_eq!(slab.get(slot).timer.wait(), Wait::None);
        let all: Vec<_> = core::iter::from_fn(|| deadlines.expired(&mut slab, u64::MAX)).collect();
        assert_eq!(all, [(slots[2], Wait::Idle), (slots[0], Wait::Idle)]);
        assert_eq!(deadlines.next_ms(&mut slab), None);
    }

    #[test]
    fn slots_are_used_again_and_in_order() {
        let mut slab = Box::new(Slab::new());
        assert!(slab.is_empty());
        let slots = [(); 3].map(|()| connect(&mut slab));
        assert_eq!(slots.map(Slot::index), [0, 1, 2]);
        for slot in [slots[0], slots[2]] {
            slab.get(slot).activity = Activity::Closed;
            slab.remove(slot);
        }
        assert!(!slab.is_empty() && !slab.get(slots[0]).is_open());
        let again = [(); 3].map(|()| connect(&mut slab));
        assert_eq!(again.map(Slot::index), [2, 0, 3]);
        assert_eq!(slab.slots().count(), 4);
    }
}
