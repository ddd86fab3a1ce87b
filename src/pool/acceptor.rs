//! The acceptor: listeners, and the ring in which the accepted wait for a place.

use heapless::{Deque, Vec};
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};

use super::ticket::{Ticket, Tickets};
use crate::limits::{
    BOARD, JOBS_PER_MESSAGE_MAX, LISTENERS_MAX, RETRY_MS, RING_MAX, RING_PLACES_MAX,
};
use crate::link::Protocol;
use crate::sys::{self, Descriptor, Errno};

/// A listening socket and what it speaks.
pub struct Listener {
    /// The socket.
    pub socket: Descriptor,
    /// What its clients are accepted for.
    pub protocol: Protocol,
}

/// A client that waits for a place.
pub(super) struct Waiting {
    pub(super) ticket: Ticket,
    pub(super) socket: Descriptor,
    /// When it came, on the monotonic clock.
    pub(super) since_ms: u64,
}

/// The ring, in order of arrival.
pub(super) type Ring = Deque<Waiting, RING_PLACES_MAX>;

/// What epoll tells of listeners that it does not watch: at most once that one has failed.
const CLOSED: EpollFlags = EpollFlags::EPOLLET;

/// Listeners and ring.
pub struct Acceptor {
    listeners: Vec<Listener, LISTENERS_MAX>,
    /// Whether epoll watches the listeners, of which it knows.
    is_open: bool,
    accepted_us: u64,
    /// Until when the listeners are left alone after the kernel was out of resources.
    resume_ms: u64,
}

impl Acceptor {
    /// An acceptor that is not open yet.
    #[must_use]
    pub fn new(listeners: Vec<Listener, LISTENERS_MAX>) -> Self {
        Self {
            listeners,
            is_open: false,
            accepted_us: 0,
            resume_ms: 0,
        }
    }

    /// Makes the listeners known to epoll, which does not watch them yet; for start-up. Only this needs
    /// memory of the kernel's, so that it cannot lack when there is room again.
    ///
    /// # Errors
    /// `ENOMEM` or `ENOSPC` when the system has no room for another watched file.
    pub(super) fn register(&self, epoll: &Epoll) -> Result<(), Errno> {
        for (index, listener) in self.listeners.iter().enumerate() {
            let event = EpollEvent::new(CLOSED, index as u64);
            epoll.add(sys::borrow(&listener.socket), event)?;
        }
        Ok(())
    }

    /// Watches the listeners while there is room in the ring, and does not while there is none:
    /// then the kernel's backlog holds the rest, and nothing spins.
    pub(super) fn open_or_close(&mut self, epoll: &Epoll, room: bool, now_ms: u64) {
        let open = room && now_ms >= self.resume_ms;
        if open == self.is_open {
            return;
        }
        let flags = if open { EpollFlags::EPOLLIN } else { CLOSED };
        let change = |(index, listener): (usize, &Listener)| {
            let mut event = EpollEvent::new(flags, index as u64);
            epoll.modify(sys::borrow(&listener.socket), &mut event)
        };
        match self.listeners.iter().enumerate().try_for_each(change) {
            Ok(()) => self.is_open = open,
            // Nobody is taken from an open one either: closing is tried again in the next turn.
            Err(_) if !open => {}
            Err(errno) => self.rest(errno),
        }
    }

    /// Leaves the listeners alone for a moment, because the kernel is out of resources.
    fn rest(&mut self, errno: Errno) {
        log::warn!("no client can be accepted for a moment: {errno}; the others are served on");
        self.resume_ms = sys::now_ms() + 20 * RETRY_MS;
    }

    /// When [`Acceptor::open_or_close`] should be called again by itself.
    pub(super) fn resume_ms(&self, now_ms: u64) -> Option<u64> {
        Some(self.resume_ms).filter(|resume_ms| *resume_ms > now_ms)
    }

    /// Takes clients from the listener with this number into the ring.
    ///
    /// The first after a quiet time comes alone, to be passed on at once. When another follows
    /// within `gather_us`, it pays to sleep that long and to pass on together all that came
    /// meanwhile: the wake-up of a worker costs more than the passing.
    pub(super) fn accept(&mut self, index: usize, ring: &mut Ring, tickets: &mut Tickets) {
        let quiet = sys::now_us().saturating_sub(self.accepted_us) > BOARD.gather_us;
        if !quiet {
            sys::sleep_us(BOARD.gather_us);
        }
        let most = if quiet { 1 } else { 4 * JOBS_PER_MESSAGE_MAX };
        for _ in 0..most {
            if ring.len() >= RING_MAX || !self.accept_one(index, ring, tickets) {
                break;
            }
        }
        self.accepted_us = sys::now_us();
    }

    fn accept_one(&mut self, index: usize, ring: &mut Ring, tickets: &mut Tickets) -> bool {
        let Some(listener) = self.listeners.get(index) else {
            return false;
        };
        match sys::accept(&listener.socket) {
            Ok((socket, peer)) => {
                let ticket = tickets.issue(listener.protocol, peer);
                if ring
                    .push_back(Waiting {
                        ticket,
                        socket,
                        since_ms: sys::now_ms(),
                    })
                    .is_err()
                {
                    unreachable!("the ring has room for RING_MAX and more");
                }
                true
            }
            Err(Errno::EAGAIN) => false,
            Err(errno @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM)) => {
                self.rest(errno);
                false
            }
            // The client has gone, or its network (accept(2), "Error handling").
            Err(_) => true,
        }
    }

    /// Stops listening for good. Where a supervisor has the sockets too, it keeps who comes from now on.
    pub(super) fn close(&mut self, epoll: &Epoll) {
        for mut listener in core::mem::take(&mut self.listeners) {
            // It follows the open file, which may live on elsewhere.
            let _ = epoll.delete(sys::borrow(&listener.socket));
            listener.socket.close();
        }
        self.is_open = false;
        self.resume_ms = 0;
    }
}
