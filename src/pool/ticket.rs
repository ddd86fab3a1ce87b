//! Tickets: the dispatcher's table of every client that waits or is held by a worker.

use core::net::Ipv6Addr;

use crate::limits::TICKETS_MAX;
use crate::link::Protocol;
use crate::sys::Peer;

/// A client, by the number that dispatcher and workers call it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Ticket(u32);

impl Ticket {
    pub(super) fn number(self) -> u32 {
        self.0
    }

    /// `None` for a number that no ticket has.
    pub(super) fn from_number(number: u32) -> Option<Self> {
        ((number as usize) < TICKETS_MAX).then_some(Self(number))
    }
}

/// What is known of a client. All zeroes is a free entry.
struct Entry {
    peer: Ipv6Addr,
    port: u16,
    state: State,
    protocol: Protocol,
    /// Of a held one the worker, of a free one the next free one (0: none, else number + 1).
    number: u32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
enum State {
    Free,
    Waiting,
    Held,
}

/// The table. All zeroes is an empty one.
pub(super) struct Tickets {
    entries: [Entry; TICKETS_MAX],
    touched: u32,
    first_free: u32,
}

impl Tickets {
    pub(super) const fn new() -> Self {
        const FREE: Entry = Entry {
            peer: Ipv6Addr::UNSPECIFIED,
            port: 0,
            state: State::Free,
            protocol: Protocol::Ask,
            number: 0,
        };
        Self {
            entries: [FREE; TICKETS_MAX],
            touched: 0,
            first_free: 0,
        }
    }

    /// Gives a ticket to a client that waits. There is one for each place and each ring place.
    pub(super) fn issue(&mut self, protocol: Protocol, (peer, port): Peer) -> Ticket {
        let ticket = match self.first_free.checked_sub(1) {
            Some(free) => {
                self.first_free = self.entries[free as usize].number;
                free
            }
            None => {
                assert!(
                    (self.touched as usize) < TICKETS_MAX,
                    "a ticket for each place"
                );
                self.touched += 1;
                self.touched - 1
            }
        };
        let entry = &mut self.entries[ticket as usize];
        assert_eq!(entry.state, State::Free);
        *entry = Entry {
            peer,
            port,
            state: State::Waiting,
            protocol,
            number: 0,
        };
        Ticket(ticket)
    }

    /// Takes a ticket back.
    pub(super) fn take_back(&mut self, ticket: Ticket) {
        let first_free = self.first_free;
        let entry = self.entry(ticket);
        assert_ne!(entry.state, State::Free, "a ticket is taken back once");
        (entry.state, entry.number) = (State::Free, first_free);
        self.first_free = ticket.0 + 1;
    }

    /// A worker holds the client from now on.
    pub(super) fn hold(&mut self, ticket: Ticket, worker: usize) {
        let entry = self.entry(ticket);
        assert_eq!(entry.state, State::Waiting);
        (entry.state, entry.number) = (State::Held, worker as u32);
    }

    /// The client waits again.
    pub(super) fn wait_again(&mut self, ticket: Ticket) {
        let entry = self.entry(ticket);
        assert_eq!(entry.state, State::Held);
        entry.state = State::Waiting;
    }

    /// Whether this worker holds the client.
    pub(super) fn is_held_by(&mut self, ticket: Ticket, worker: usize) -> bool {
        let entry = self.entry(ticket);
        entry.state == State::Held && entry.number == worker as u32
    }

    /// What the client was accepted for.
    pub(super) fn protocol(&mut self, ticket: Ticket) -> Protocol {
        self.entry(ticket).protocol
    }

    /// The client's address.
    pub(super) fn peer(&mut self, ticket: Ticket) -> Peer {
        let entry = self.entry(ticket);
        (entry.peer, entry.port)
    }

    /// The first ticket that a worker holds, from `start` on.
    pub(super) fn next_held_by(&mut self, worker: usize, start: u32) -> Option<Ticket> {
        (start..self.touched)
            .map(Ticket)
            .find(|ticket| self.is_held_by(*ticket, worker))
    }

    fn entry(&mut self, ticket: Ticket) -> &mut Entry {
        &mut self.entries[ticket.0 as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::super::doubles::peer;
    use super::*;

    #[test]
    fn a_ticket_that_was_taken_back_is_issued_again() {
        let mut tickets = Box::new(Tickets::new());
        let issued = [1, 2, 3].map(|client| tickets.issue(Protocol::Ask, peer(client)));
        assert_eq!(issued.map(Ticket::number), [0, 1, 2]);
        tickets.take_back(issued[1]);
        tickets.take_back(issued[0]);
        // The last one that came back is the first to go; when none is left, new ones follow.
        let again = [4, 5, 6].map(|client| tickets.issue(Protocol::Http, peer(client)));
        assert_eq!(again.map(Ticket::number), [0, 1, 3]);
        assert_eq!(tickets.peer(again[1]), peer(5));
        assert_eq!(tickets.protocol(again[1]), Protocol::Http);
        assert_eq!(tickets.peer(issued[2]), peer(3));
        assert_eq!(tickets.protocol(issued[2]), Protocol::Ask);
    }

    #[test]
    fn every_client_that_the_server_can_hold_has_a_ticket() {
        let mut tickets = Box::new(Tickets::new());
        for number in 0..TICKETS_MAX {
            let ticket = tickets.issue(Protocol::Push, peer(0));
            assert_eq!(ticket.number() as usize, number);
        }
        let last = Ticket::from_number(TICKETS_MAX as u32 - 1).unwrap();
        tickets.take_back(last);
        assert_eq!(tickets.issue(Protocol::Push, peer(0)), last);
        assert_eq!(Ticket::from_number(TICKETS_MAX as u32), None);
        assert_eq!(Ticket::from_number(u32::MAX), None);
    }

    #[test]
    fn a_held_ticket_is_one_workers() {
        let mut tickets = Box::new(Tickets::new());
        let issued = [0, 1, 2, 3].map(|client| tickets.issue(Protocol::Ask, peer(client)));
        for (ticket, worker) in issued.iter().zip([5, 0, 5]) {
            assert!(!tickets.is_held_by(*ticket, worker), "it waits");
            tickets.hold(*ticket, worker);
            assert!(tickets.is_held_by(*ticket, worker));
            assert!(!tickets.is_held_by(*ticket, 1));
        }
        assert_eq!(tickets.next_held_by(5, 0), Some(issued[0]));
        assert_eq!(tickets.next_held_by(5, 1), Some(issued[2]));
        assert_eq!(tickets.next_held_by(5, 3), None);
        assert_eq!(tickets.next_held_by(0, 0), Some(issued[1]));
        tickets.wait_again(issued[2]);
        assert_eq!(tickets.next_held_by(5, 1), None);
        tickets.take_back(issued[0]);
        assert!(!tickets.is_held_by(issued[0], 5));
    }

    #[test]
    #[should_panic(expected = "taken back once")]
    fn a_ticket_is_not_taken_back_twice() {
        let mut tickets = Box::new(Tickets::new());
        let ticket = tickets.issue(Protocol::Ask, peer(1));
        tickets.take_back(ticket);
        tickets.take_back(ticket);
    }

    #[test]
    #[should_panic(expected = "left == right")]
    fn who_is_held_is_not_passed_on() {
        let mut tickets = Box::new(Tickets::new());
        let ticket = tickets.issue(Protocol::Ask, peer(1));
        tickets.hold(ticket, 0);
        tickets.hold(ticket, 1);
    }
}
