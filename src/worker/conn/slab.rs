//! The slab: a worker's connections, in slots that stay what they are while a connection lives.

use super::activity::Activity;
use super::connection::Connection;
use super::state::Slot;
use crate::limits::CONNECTIONS_MAX;

/// Connections, at most `CONNECTIONS_MAX`. All zeroes is an empty slab, and an entry is touched only
/// when those before it have been in use at once.
pub(crate) struct Slab {
    entries: [Connection; CONNECTIONS_MAX],
    touched: u16,
    taken: u16,
    /// 0 for none, else slot + 1.
    first_free: u16,
}

impl Slab {
    pub(crate) const fn new() -> Self {
        Self {
            entries: [const { Connection::FREE }; CONNECTIONS_MAX],
            touched: 0,
            taken: 0,
            first_free: 0,
        }
    }

    /// `None` if every slot is taken.
    pub(crate) fn insert(&mut self, connection: Connection) -> Option<Slot> {
        let slot = match self.first_free.checked_sub(1) {
            Some(free) => {
                self.first_free = self.entries[usize::from(free)].next_free();
                Slot(free)
            }
            None if usize::from(self.touched) < CONNECTIONS_MAX => {
                self.touched += 1;
                Slot(self.touched - 1)
            }
            None => return None,
        };
        self.taken += 1;
        self.entries[slot.index()] = connection;
        Some(slot)
    }

    /// Frees the slot of a connection that has ended.
    pub(crate) fn remove(&mut self, slot: Slot) {
        let entry = &mut self.entries[slot.index()];
        assert!(
            matches!(entry.activity, Activity::Closed),
            "an entry is freed once, when its socket is closed"
        );
        *entry = Connection::free_before(self.first_free);
        self.first_free = slot.0 + 1;
        self.taken -= 1;
    }

    /// All slots that were ever taken, whether they are now or not.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> + use<> {
        (0..self.touched).map(Slot)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.taken == 0
    }

    pub(crate) fn get(&mut self, slot: Slot) -> &mut Connection {
        &mut self.entries[slot.index()]
    }
}
