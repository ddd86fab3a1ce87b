//! Lists of connections that run through the slab's own entries, so they need no memory.

use super::slab::Slab;
use super::state::{ListNode, Slot};

/// A list by the connections' deadlines.
pub(crate) const DEADLINE: bool = false;
/// A list by the connections' queue.
pub(crate) const QUEUE: bool = true;

/// A list of connections, first in first out. All zeroes is an empty one.
/// `THROUGH` says which of a connection's links it runs through.
pub(crate) struct List<const THROUGH: bool> {
    first: u16,
    last: u16,
}

impl<const THROUGH: bool> List<THROUGH> {
    pub(crate) const fn new() -> Self {
        Self { first: 0, last: 0 }
    }

    pub(crate) fn front(&self) -> Option<Slot> {
        slot(self.first)
    }

    /// The connection behind one that stands in a queue.
    pub(crate) fn after(connections: &mut Slab, before: Slot) -> Option<Slot> {
        slot(link::<THROUGH>(connections, before).next)
    }

    pub(crate) fn push_back(&mut self, connections: &mut Slab, added: Slot) {
        let number = added.index() as u16 + 1;
        *link::<THROUGH>(connections, added) = ListNode {
            previous: self.last,
            next: 0,
        };
        match slot(self.last) {
            Some(last) => link::<THROUGH>(connections, last).next = number,
            None => self.first = number,
        }
        self.last = number;
    }

    pub(crate) fn pop_front(&mut self, connections: &mut Slab) -> Option<Slot> {
        let front = self.front()?;
        self.remove(connections, front);
        Some(front)
    }

    /// Takes a connection out that is in this list.
    pub(crate) fn remove(&mut self, connections: &mut Slab, removed: Slot) {
        let gone = core::mem::take(link::<THROUGH>(connections, removed));
        match slot(gone.previous) {
            Some(previous) => link::<THROUGH>(connections, previous).next = gone.next,
            None => {
                assert_eq!(self.first, removed.index() as u16 + 1, "in this list");
                self.first = gone.next;
            }
        }
        match slot(gone.next) {
            Some(next) => link::<THROUGH>(connections, next).previous = gone.previous,
            None => self.last = gone.previous,
        }
    }
}

fn slot(number: u16) -> Option<Slot> {
    number.checked_sub(1).map(Slot::from_index)
}

fn link<const THROUGH: bool>(connections: &mut Slab, of: Slot) -> &mut ListNode {
    let connection = connections.get(of);
    if THROUGH == DEADLINE {
        &mut connection.deadline_node
    } else {
        &mut connection.queue_node
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is in a list, first to last.
    fn all(list: &List<QUEUE>, slab: &mut Slab) -> Vec<usize> {
        let mut next = list.front();
        let mut all = Vec::new();
        while let Some(slot) = next {
            all.push(slot.index());
            next = List::<QUEUE>::after(slab, slot);
        }
        all
    }

    #[test]
    fn any_node_can_be_removed() {
        let mut slab = Box::new(Slab::new());
        for removed in 0..4 {
            let mut list = List::<QUEUE>::new();
            for index in 0..4 {
                list.push_back(&mut slab, Slot::from_index(index));
            }
            list.remove(&mut slab, Slot::from_index(removed));
            let expected: Vec<_> = (0..4)
                .filter(|index| *index != removed)
                .map(usize::from)
                .collect();
            assert_eq!(all(&list, &mut slab), expected);
            list.push_back(&mut slab, Slot::from_index(removed));
            assert_eq!(all(&list, &mut slab)[3], usize::from(removed));
            while list.pop_front(&mut slab).is_some() {}
            assert_eq!(list.front(), None);
        }
    }
}
