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

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpStream};

    use nix::sys::epoll::{EpollCreateFlags, EpollTimeout};

    use super::super::doubles::{peer, state};
    use super::*;

    /// An acceptor at two ports, one for trains and one for HTTP.
    fn acceptor() -> (Acceptor, [SocketAddr; 2]) {
        let mut listeners = Vec::new();
        let addresses = [Protocol::Ask, Protocol::Http].map(|protocol| {
            let any = ([127, 0, 0, 1], 0).into();
            let (socket, address) = sys::listen(any, false, None).unwrap();
            let listener = Listener { socket, protocol };
            assert!(listeners.push(listener).is_ok());
            address
        });
        (Acceptor::new(listeners), addresses)
    }

    fn epoll() -> Epoll {
        Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap()
    }

    /// The listeners of which epoll tells now.
    fn told(epoll: &Epoll) -> std::vec::Vec<u64> {
        let mut events = [EpollEvent::empty(); 4];
        let count = epoll.wait(&mut events, EpollTimeout::ZERO).unwrap();
        events[..count].iter().map(EpollEvent::data).collect()
    }

    /// Lets the acceptor take whom it takes at once, after a quiet time or not.
    fn accept(acceptor: &mut Acceptor, index: usize, was_quiet: bool, ring: &mut Ring) -> usize {
        let mut tickets = Box::new(Tickets::new());
        acceptor.accepted_us = if was_quiet {
            0
        } else {
            sys::now_us() + 60_000_000
        };
        let before = ring.len();
        acceptor.accept(index, ring, &mut tickets);
        ring.len() - before
    }

    #[test]
    fn listeners_are_watched_while_there_is_room() {
        let (mut acceptor, addresses) = acceptor();
        let epoll = epoll();
        acceptor.register(&epoll).unwrap();
        let _clients = addresses.map(|address| TcpStream::connect(address).unwrap());
        assert!(told(&epoll).is_empty(), "not yet");
        acceptor.open_or_close(&epoll, false, 1000);
        assert!(told(&epoll).is_empty());
        acceptor.open_or_close(&epoll, true, 1000);
        let mut both = told(&epoll);
        both.sort_unstable();
        assert_eq!(both, [0, 1]);
        acceptor.open_or_close(&epoll, true, 1000);
        assert_eq!(told(&epoll).len(), 2, "they stay as they are");
        acceptor.open_or_close(&epoll, false, 1000);
        assert!(told(&epoll).is_empty());
    }

    #[test]
    fn a_kernel_without_resources_is_left_alone_for_a_moment() {
        let (mut acceptor, addresses) = acceptor();
        let epoll = epoll();
        acceptor.register(&epoll).unwrap();
        let _client = TcpStream::connect(addresses[0]).unwrap();
        acceptor.open_or_close(&epoll, true, 1000);
        let before_ms = sys::now_ms();
        acceptor.rest(Errno::EMFILE);
        let resume_ms = acceptor.resume_ms;
        assert!((before_ms + 20 * RETRY_MS..before_ms + 20 * RETRY_MS + 5000).contains(&resume_ms));
        assert_eq!(acceptor.resume_ms(resume_ms - 1), Some(resume_ms));
        assert_eq!(acceptor.resume_ms(resume_ms), None);
        acceptor.open_or_close(&epoll, true, resume_ms - 1);
        assert!(told(&epoll).is_empty());
        acceptor.open_or_close(&epoll, true, resume_ms);
        assert_eq!(told(&epoll), [0]);
    }

    #[test]
    fn listeners_that_cannot_be_watched_are_tried_again() {
        let (mut acceptor, addresses) = acceptor();
        let epoll = epoll();
        let _client = TcpStream::connect(addresses[0]).unwrap();
        // Epoll knows of none, so that nothing can be changed.
        acceptor.open_or_close(&epoll, true, 1000);
        assert!(!acceptor.is_open && acceptor.resume_ms > 0);
        acceptor.register(&epoll).unwrap();
        acceptor.open_or_close(&epoll, true, acceptor.resume_ms);
        assert_eq!(told(&epoll), [0]);
        for listener in &acceptor.listeners {
            epoll.delete(sys::borrow(&listener.socket)).unwrap();
        }
        let resume_ms = acceptor.resume_ms;
        acceptor.open_or_close(&epoll, false, resume_ms);
        assert!(acceptor.is_open, "it is closed in a later turn");
        assert_eq!(acceptor.resume_ms, resume_ms);
    }

    #[test]
    fn the_first_after_a_quiet_time_comes_alone() {
        let (mut acceptor, addresses) = acceptor();
        let clients: std::vec::Vec<_> = (0..5)
            .map(|_| TcpStream::connect(addresses[1]).unwrap())
            .collect();
        let ring = state().ring;
        assert_eq!(accept(&mut acceptor, 1, true, ring), 1);
        assert!(acceptor.accepted_us > 0);
        assert_eq!(accept(&mut acceptor, 1, false, ring), 4);
        assert_eq!(accept(&mut acceptor, 1, true, ring), 0, "nobody is left");
        for (waiting, client) in ring.iter().zip(&clients) {
            let address = client.local_addr().unwrap();
            let (peer, port) = sys::peer(waiting.socket.raw()).unwrap();
            assert_eq!(port, address.port(), "in order of arrival");
            assert_eq!(peer.to_ipv4_mapped(), Some([127, 0, 0, 1].into()));
            assert!(waiting.since_ms.abs_diff(sys::now_ms()) < 5000);
        }
    }

    #[test]
    fn a_ticket_says_who_came_where() {
        let (mut acceptor, addresses) = acceptor();
        let state = state();
        for (index, protocol) in [(1, Protocol::Http), (0, Protocol::Ask)] {
            let client = TcpStream::connect(addresses[index]).unwrap();
            acceptor.accepted_us = 0;
            acceptor.accept(index, state.ring, state.tickets);
            let waiting = state.ring.pop_back().unwrap();
            assert_eq!(state.tickets.protocol(waiting.ticket), protocol);
            let (address, port) = state.tickets.peer(waiting.ticket);
            assert_eq!(address.to_ipv4_mapped(), Some([127, 0, 0, 1].into()));
            assert_eq!(port, client.local_addr().unwrap().port());
        }
    }

    #[test]
    fn no_more_are_taken_than_the_ring_is_for() {
        let (mut acceptor, addresses) = acceptor();
        let clients: std::vec::Vec<_> = (0..4)
            .map(|_| TcpStream::connect(addresses[0]).unwrap())
            .collect();
        let state = state();
        while state.ring.len() < RING_MAX - 3 {
            let waiting = Waiting {
                ticket: state.tickets.issue(Protocol::Ask, peer(0)),
                socket: Descriptor::NONE,
                since_ms: 0,
            };
            assert!(state.ring.push_back(waiting).is_ok());
        }
        assert_eq!(accept(&mut acceptor, 0, false, state.ring), 3);
        assert_eq!(accept(&mut acceptor, 0, true, state.ring), 0);
        drop(clients);
    }

    #[test]
    fn who_comes_in_a_crowd_is_taken_in_batches() {
        let (mut acceptor, addresses) = acceptor();
        let clients: std::vec::Vec<_> = (0..4 * JOBS_PER_MESSAGE_MAX + 1)
            .map(|_| TcpStream::connect(addresses[0]).unwrap())
            .collect();
        let ring = state().ring;
        assert_eq!(accept(&mut acceptor, 0, false, ring), clients.len() - 1);
    }

    #[test]
    fn a_listener_that_was_closed_has_no_clients() {
        let (mut acceptor, addresses) = acceptor();
        let epoll = epoll();
        acceptor.register(&epoll).unwrap();
        let others = acceptor.listeners[0].socket.duplicate().unwrap();
        acceptor.open_or_close(&epoll, true, 1000);
        acceptor.rest(Errno::ENFILE);
        acceptor.close(&epoll);
        assert_eq!(acceptor.resume_ms(0), None);
        // Where somebody else has it, too, clients still come; but not to this server.
        let _client = TcpStream::connect(addresses[0]).unwrap();
        assert!(TcpStream::connect(addresses[1]).is_err());
        assert!(told(&epoll).is_empty());
        assert_eq!(accept(&mut acceptor, 0, true, state().ring), 0);
        acceptor.open_or_close(&epoll, true, 1000);
        drop(others);
    }
}
