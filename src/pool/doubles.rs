//! What the pool's unit tests use in place of clients, workers and the tables that exist once.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use nix::sys::epoll::{Epoll, EpollCreateFlags};

use super::acceptor::{Ring, Waiting};
use super::state::DispatcherState;
use super::ticket::{Ticket, Tickets};
use super::worker_pool::WorkerPool;
use crate::gauge::Gauges;
use crate::link::Protocol;
use crate::sys::{Descriptor, Errno};

/// An address and a port for a client of this number.
pub(super) fn peer(number: u16) -> crate::sys::Peer {
    (
        core::net::Ipv4Addr::from(u32::from(number)).to_ipv6_mapped(),
        number,
    )
}

/// A connected pair: the server's end, and the client's, neither of which blocks.
pub(super) fn connection() -> (Descriptor, UnixStream) {
    let (own, other) = UnixStream::pair().unwrap();
    own.set_nonblocking(true).unwrap();
    other.set_nonblocking(true).unwrap();
    (Descriptor::from(OwnedFd::from(own)), other)
}

/// A state of its own, with tables that nobody else has.
pub(super) fn state() -> DispatcherState {
    DispatcherState {
        tickets: Box::leak(Box::new(Tickets::new())),
        ring: Box::leak(Box::new(Ring::new())),
        gauges: Gauges::new().unwrap(),
        epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap(),
        drain_until_ms: None,
    }
}

/// Lets a client wait since then; its ticket, and its end of the connection.
pub(super) fn wait(
    state: &mut DispatcherState,
    protocol: Protocol,
    since_ms: u64,
) -> (Ticket, UnixStream) {
    let (socket, client) = connection();
    let ticket = state.tickets.issue(protocol, peer(1));
    let waiting = Waiting {
        ticket,
        socket,
        since_ms,
    };
    assert!(state.ring.push_back(waiting).is_ok());
    (ticket, client)
}

/// The tickets of those who wait, in order.
pub(super) fn waiting(state: &DispatcherState) -> Vec<u32> {
    let numbers = state.ring.iter().map(|waiting| waiting.ticket.number());
    numbers.collect()
}

/// A pool that does what a test says, and remembers what it was told.
#[derive(Default)]
pub(super) struct Scripted {
    pub(super) held: usize,
    pub(super) is_full: bool,
    pub(super) workers: usize,
    /// Of those who wait, how many it takes in each turn.
    pub(super) takes: usize,
    /// What a turn of it says.
    pub(super) has_passed: bool,
    /// Who was asked to give way.
    pub(super) asked: Vec<usize>,
    /// Who refuses to be asked.
    pub(super) unwilling: Vec<usize>,
    pub(super) maintain_ms: Option<u64>,
    /// The sources whose reports were taken.
    pub(super) reports: VecDeque<usize>,
    /// What it was told to do, in order.
    pub(super) told: Vec<&'static str>,
}

impl Scripted {
    /// One with so many workers, none of which holds anything.
    pub(super) fn of(workers: usize) -> Self {
        Self {
            workers,
            has_passed: true,
            ..Self::default()
        }
    }
}

impl WorkerPool for Scripted {
    fn start(&mut self, _: &mut DispatcherState) -> Result<(), Errno> {
        self.told.push("start");
        Err(Errno::EAGAIN)
    }

    fn maintain(&mut self, _: &mut DispatcherState, _: u64) {
        self.told.push("maintain");
    }

    fn maintain_ms(&self) -> Option<u64> {
        self.maintain_ms
    }

    fn reap(&mut self, _: &mut DispatcherState) {
        self.told.push("reap");
    }

    fn held(&self) -> usize {
        self.held
    }

    fn is_full(&self) -> bool {
        self.is_full
    }

    fn dispatch(&mut self, state: &mut DispatcherState) -> bool {
        let (jobs, _) = state.take_jobs(self.takes, 0);
        self.held += jobs.len();
        for mut job in jobs {
            job.socket.close();
        }
        self.has_passed
    }

    fn take_reports(&mut self, _: &mut DispatcherState, source: usize) {
        self.reports.push_back(source);
    }

    fn workers(&self) -> usize {
        self.workers
    }

    fn asked_to_give_way(&self) -> usize {
        self.asked.len()
    }

    fn can_give_way(&self, worker: usize) -> bool {
        worker < self.workers && !self.asked.contains(&worker)
    }

    fn ask_to_give_way(&mut self, worker: usize) -> bool {
        let is_willing = !self.unwilling.contains(&worker);
        if is_willing {
            self.asked.push(worker);
        }
        is_willing
    }

    fn wake_all(&mut self) {
        self.told.push("wake");
    }

    fn drain(&mut self) {
        self.told.push("drain");
    }

    fn shut_down(&mut self) {
        self.told.push("shut down");
    }

    fn kill(&mut self) {
        self.told.push("kill");
    }
}
