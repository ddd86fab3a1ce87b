//! The link between a pool and a worker: jobs and orders down, tickets of ended connections up.

use core::net::Ipv6Addr;

use heapless::Vec;
use nix::sys::epoll::EpollFlags;

use crate::limits::JOBS_PER_MESSAGE_MAX;
use crate::sys::{Descriptor, Errno};

/// Tickets in one report.
pub const REPORT_MAX: usize = 64;

/// What a listener speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Protocol {
    /// The train protocol; the client asks.
    Ask = 0,
    /// The train protocol; the client is sent the pushed file unasked.
    Push = 1,
    /// HTTP/1.1.
    Http = 2,
}

/// A client that is handed over.
pub struct Job {
    /// What the pool calls it.
    pub ticket: u32,
    /// What it was accepted for.
    pub protocol: Protocol,
    /// Its address; IPv4 ones are mapped, and a Unix socket has the unspecified one.
    pub address: Ipv6Addr,
    /// Its socket, which does not block.
    pub socket: Descriptor,
}

impl Job {
    /// The client's number, the same for all its connections: of its IPv4 address, or of the /64 that
    /// its IPv6 address lies in, all of which one client can have.
    #[must_use]
    pub fn client(&self) -> u64 {
        match self.address.to_ipv4_mapped() {
            Some(four) => u64::from(four.to_bits()),
            None => (self.address.to_bits() >> 64) as u64,
        }
    }
}

/// What a pool wants of a worker.
pub enum Order<J = Job> {
    /// Serve these.
    Jobs(Vec<J, JOBS_PER_MESSAGE_MAX>),
    /// End the oldest connection that has no request in progress. A report follows in any case, an
    /// empty one if there is none.
    GiveWay,
    /// Stop: finish the transfers in progress, and end every other connection.
    Drain,
    /// Come round, so that it is seen that the worker can.
    Wake,
    /// There is no order.
    Nothing,
    /// The pool is gone, or needs the worker no more.
    Closed,
}

/// How a worker is about to wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum IdleMode {
    /// Not at all: there is work in hand, and epoll is only looked at.
    Poll,
    /// In its epoll, for the connections that it has.
    Wait,
    /// For the pool alone: it has no connections.
    Sleep,
}

/// A worker's side of the link.
pub trait PoolLink {
    /// Readable when there may be an order, writable when a report may be taken.
    fn descriptor(&self) -> &Descriptor;

    /// The events of the descriptor that tell of orders.
    fn events(&self) -> EpollFlags {
        EpollFlags::EPOLLIN
    }

    /// Comes before each wait in epoll; true when there is an order already, so that the worker must
    /// not wait. A link may keep one that would [`IdleMode::Sleep`] until then.
    fn before_wait(&mut self, _mode: IdleMode) -> bool {
        false
    }

    /// Comes after a wait in epoll for which [`PoolLink::before_wait`] gave leave.
    fn after_wait(&mut self) {}

    /// Takes the next order; never blocks.
    ///
    /// # Errors
    /// Anything is fatal to the worker: it can no longer know what it holds.
    fn receive(&mut self) -> Result<Order, Errno>;

    /// Reports ended connections, at most `REPORT_MAX`; never blocks.
    ///
    /// # Errors
    /// `EAGAIN` when the link takes no more for now; anything else is fatal to the worker.
    fn report(&mut self, tickets: &[u32]) -> Result<(), Errno>;
}
