//! What the dispatcher and its pool both work on: who waits, and who is held by whom.

use heapless::Vec;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use static_cell::ConstStaticCell;

use super::acceptor::{Ring, Waiting};
use super::ticket::{Ticket, Tickets};
use crate::gauge::Gauges;
use crate::limits::{JOBS_PER_MESSAGE_MAX, LISTENERS_MAX, TICKETS_MAX, WORKERS_MAX};
use crate::link::Job;
use crate::sys::{self, Errno};

static TICKETS: ConstStaticCell<Tickets> = ConstStaticCell::new(Tickets::new());
static RING: ConstStaticCell<Ring> = ConstStaticCell::new(Ring::new());

/// Bytes of all tickets.
pub const TICKETS_BYTES: usize = size_of::<Tickets>();
/// Bytes of one ticket.
pub const TICKET_BYTES: usize = TICKETS_BYTES / TICKETS_MAX;
/// Bytes of the ring.
pub const RING_BYTES: usize = size_of::<Ring>();
/// Bytes of one slot of the ring.
pub const WAITING_BYTES: usize = size_of::<Waiting>();

/// What epoll calls the signals; below are the listeners.
pub(super) const SIGNALS_TOKEN: u64 = LISTENERS_MAX as u64;
/// What it calls the socket by which ejecting is asked for.
pub(super) const CONTROL_TOKEN: u64 = SIGNALS_TOKEN + 1;
/// What it calls the list of mounts.
pub(super) const MOUNTS_TOKEN: u64 = CONTROL_TOKEN + 1;
/// What it calls the reports of source 0; those of the others follow.
pub(super) const REPORTS_TOKEN: u64 = MOUNTS_TOKEN + 1;

/// Jobs that are passed together.
pub(super) type Jobs = Vec<Job, JOBS_PER_MESSAGE_MAX>;

/// What the dispatcher knows: whom the pool's workers hold, and who waits.
pub struct DispatcherState {
    pub(super) tickets: &'static mut Tickets,
    pub(super) ring: &'static mut Ring,
    pub(super) gauges: Gauges,
    pub(super) epoll: Epoll,
    /// Until when transfers may go on; set once the server stops.
    pub(super) drain_until_ms: Option<u64>,
}

impl DispatcherState {
    /// Takes the tables: once in a process.
    pub(super) fn new(epoll: Epoll) -> Result<Self, Errno> {
        Ok(Self {
            tickets: TICKETS.take(),
            ring: RING.take(),
            gauges: Gauges::new()?,
            epoll,
            drain_until_ms: None,
        })
    }

    /// Clients that wait.
    pub(super) fn waiting(&self) -> usize {
        self.ring.len()
    }

    /// Takes the first `count` who wait, at most a message's worth, as jobs that `worker` holds from now
    /// on, and since when the first one has waited.
    pub(super) fn take_jobs(&mut self, count: usize, worker: usize) -> (Jobs, u64) {
        let mut jobs = Jobs::new();
        let since_ms = self.ring.front().map_or(0, |first| first.since_ms);
        while jobs.len() < count
            && !jobs.is_full()
            && let Some(waiting) = self.ring.pop_front()
        {
            self.tickets.hold(waiting.ticket, worker);
            let _ = jobs.push(Job {
                ticket: waiting.ticket.number(),
                address: self.tickets.peer(waiting.ticket).0,
                protocol: self.tickets.protocol(waiting.ticket),
                socket: waiting.socket,
            });
        }
        // These have places, so no idle connection has to end for them; the rest is counted anew.
        self.gauges.set_waiting(0);
        (jobs, since_ms)
    }

    /// Lets the clients of jobs wait again, before all others and in their order.
    pub(super) fn put_back<I>(&mut self, jobs: I, since_ms: u64)
    where
        I: IntoIterator<Item = Job, IntoIter: DoubleEndedIterator>,
    {
        for job in jobs.into_iter().rev() {
            let ticket = ticket(job.ticket);
            self.tickets.wait_again(ticket);
            let waiting = Waiting {
                ticket,
                socket: job.socket,
                since_ms,
            };
            if self.ring.push_front(waiting).is_err() {
                unreachable!("the ring has slots for all that can come back");
            }
        }
    }

    /// Lets epoll tell when there are reports from `source`, edge-triggered or not.
    ///
    /// # Errors
    /// `ENOMEM` or `ENOSPC` when the system has no room for another watched file.
    pub(super) fn watch(
        &self,
        descriptor: &sys::Descriptor,
        source: usize,
        flags: EpollFlags,
    ) -> Result<(), Errno> {
        assert!(source < WORKERS_MAX);
        let event = EpollEvent::new(flags, REPORTS_TOKEN + source as u64);
        self.epoll.add(sys::borrow(descriptor), event)
    }

    pub(super) fn is_draining(&self) -> bool {
        self.drain_until_ms.is_some()
    }
}

/// The ticket with a number that this process has given out.
pub(super) fn ticket(number: u32) -> Ticket {
    Ticket::from_number(number).expect("a number that this process has given out")
}

#[cfg(test)]
mod tests {
    use nix::sys::epoll::EpollTimeout;

    use super::super::doubles::{connection, peer, state, wait, waiting};
    use super::*;
    use crate::link::Protocol;

    #[test]
    fn who_waits_is_taken_in_order_and_put_back_before_all_others() {
        let mut state = state();
        let mut clients: std::vec::Vec<_> = (0..20)
            .map(|number| wait(&mut state, Protocol::Http, 100 + number).1)
            .collect();
        state.gauges.set_waiting(7);
        let (jobs, since_ms) = state.take_jobs(3, 5);
        assert!(!state.gauges.has_waiting(), "these have places");
        assert_eq!(since_ms, 100);
        let numbers: std::vec::Vec<_> = jobs.iter().map(|job| job.ticket).collect();
        assert_eq!(numbers, [0, 1, 2]);
        for job in &jobs {
            assert_eq!(job.protocol, Protocol::Http);
            assert_eq!(job.address, peer(1).0);
            assert!(state.tickets.is_held_by(ticket(job.ticket), 5));
        }
        assert_eq!(state.waiting(), 17);
        state.put_back(jobs, 90);
        assert_eq!(waiting(&state), (0..20).collect::<std::vec::Vec<_>>());
        let since: std::vec::Vec<_> = state.ring.iter().map(|waiting| waiting.since_ms).collect();
        assert_eq!(since[..4], [90, 90, 90, 103]);
        assert_eq!(state.tickets.next_held_by(5, 0), None);
        clients.clear();
    }

    #[test]
    fn a_message_has_no_more_jobs_than_fit_in() {
        let mut state = state();
        let clients: std::vec::Vec<_> = (0..20)
            .map(|_| wait(&mut state, Protocol::Ask, 1).1)
            .collect();
        let (jobs, _) = state.take_jobs(usize::MAX, 0);
        assert_eq!(jobs.len(), JOBS_PER_MESSAGE_MAX);
        let (jobs, _) = state.take_jobs(usize::MAX, 0);
        assert_eq!(jobs.len(), clients.len() - JOBS_PER_MESSAGE_MAX);
        let (jobs, since_ms) = state.take_jobs(usize::MAX, 0);
        assert_eq!((jobs.len(), since_ms), (0, 0));
    }

    #[test]
    fn reports_are_told_by_their_source() {
        let mut state = state();
        let (watched, client) = connection();
        state.watch(&watched, 2, EpollFlags::EPOLLIN).unwrap();
        std::io::Write::write_all(&mut &client, b"x").unwrap();
        let mut events = [EpollEvent::empty(); 4];
        let count = state.epoll.wait(&mut events, EpollTimeout::ZERO).unwrap();
        assert_eq!(count, 1);
        assert_eq!(events[0].data(), REPORTS_TOKEN + 2);
        assert_eq!(events[0].events(), EpollFlags::EPOLLIN);
        assert!(!state.is_draining());
        state.drain_until_ms = Some(1);
        assert!(state.is_draining());
    }
}
