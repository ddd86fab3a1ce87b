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
