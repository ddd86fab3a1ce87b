//! The dispatcher: the main loop of both pools, from the accepting to the stop. What differs between
//! the pools is a [`WorkerPool`].

use heapless::Vec;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use static_cell::ConstStaticCell;

use super::acceptor::{Acceptor, Ring, Waiting};
use super::control::Control;
use super::notifier::Notifier;
use super::overflow::OverflowResponder;
use super::root_monitor::RootMonitor;
use super::ticket::{Ticket, Tickets};
use crate::gauge::Gauges;
use crate::http::HttpConfig;
use crate::limits::{
    BOARD, JOBS_PER_MESSAGE_MAX, LISTENERS_MAX, RETRY_MS, RING_MAX, TICKETS_MAX, WORKERS_MAX,
};
use crate::link::{Job, Protocol};
use crate::sys::{self, Errno};

static TICKETS: ConstStaticCell<Tickets> = ConstStaticCell::new(Tickets::new());
static RING: ConstStaticCell<Ring> = ConstStaticCell::new(Ring::new());

/// Bytes of all tickets.
pub const TICKETS_BYTES: usize = size_of::<Tickets>();
/// Bytes of one ticket.
pub const TICKET_BYTES: usize = TICKETS_BYTES / TICKETS_MAX;
/// Bytes of the ring.
pub const RING_BYTES: usize = size_of::<Ring>();
/// Bytes of one place in the ring.
pub const WAITING_BYTES: usize = size_of::<Waiting>();

const SIGNALS_TOKEN: u64 = LISTENERS_MAX as u64;
const CONTROL_TOKEN: u64 = SIGNALS_TOKEN + 1;
const MOUNTS_TOKEN: u64 = CONTROL_TOKEN + 1;
const REPORTS_TOKEN: u64 = MOUNTS_TOKEN + 1;
/// How often the gauges are looked at while clients wait.
const WAITING_POLL_MS: u64 = 20;

/// Jobs that are passed together.
pub type Jobs = Vec<Job, JOBS_PER_MESSAGE_MAX>;

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
    /// Lets a client wait before all others.
    pub(super) fn put_first(&mut self, waiting: Waiting) {
        if self.ring.push_front(waiting).is_err() {
            unreachable!("the ring has places for all that can come back");
        }
    }

    /// Lets epoll tell when there are reports from `source`, edge-triggered or not.
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

/// The workers of a pool, as the dispatcher deals with them.
pub trait WorkerPool {
    /// Makes those workers that are made after the seal.
    ///
    /// # Errors
    /// What the system says.
    fn begin(&mut self, state: &mut DispatcherState) -> Result<(), Errno>;

    /// Comes first in every turn: replaces workers that have died.
    fn tend(&mut self, state: &mut DispatcherState, now_ms: u64);

    /// When [`WorkerPool::tend`] should come by itself.
    fn tend_ms(&self) -> Option<u64>;

    /// A child of this process has changed its state.
    fn reap(&mut self, state: &mut DispatcherState);

    /// Tickets that the workers hold.
    fn held(&self) -> usize;

    /// Whether no worker has a place that is free.
    fn is_full(&self) -> bool;

    /// Who takes jobs now, and how many of `waiting`; none of those `refused`.
    fn offer(
        &self,
        state: &DispatcherState,
        waiting: usize,
        refused: &[bool],
    ) -> Option<(usize, usize)>;

    /// Passes jobs to whom [`WorkerPool::offer`] named; never blocks. Those that are passed it takes out.
    ///
    /// # Errors
    /// Nothing was passed: try later.
    fn pass(&mut self, worker: usize, jobs: &mut Jobs) -> Result<(), Errno>;

    /// How many workers there are.
    fn workers(&self) -> usize;

    /// Workers that were asked to end an idle connection and have yet to report.
    fn asked(&self) -> usize;

    /// Whether a worker can be asked for that.
    fn can_ask(&self, worker: usize) -> bool;

    /// Asks it; false when it cannot be asked now.
    fn ask(&mut self, worker: usize) -> bool;

    /// Takes the reports that have come from a source that the pool has epoll watch.
    fn take_reports(&mut self, state: &mut DispatcherState, source: usize);

    /// Lets every worker come round soon, also those that sleep.
    fn call_all(&mut self);

    /// Tells every worker to drain.
    fn drain(&mut self);

    /// Lets the workers end; those that hold nothing have a moment for it, the others none.
    fn shut_down(&mut self);

    /// Ends the workers at once.
    fn end_at_once(&mut self);
}

/// How serving ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// By a stop that let transfers finish.
    Drained,
    /// By a second signal.
    AtOnce,
}

/// The dispatcher and its workers.
pub struct Dispatcher<C> {
    pool: C,
    state: DispatcherState,
    acceptor: Acceptor,
    overflow: OverflowResponder,
    signals: SignalFd,
    notifier: Notifier,
    root_monitor: RootMonitor,
    control: Control,
    retry_ms: u64,
    /// How long a stop waits for transfers, in milliseconds.
    drain_ms: u64,
}

impl<C: WorkerPool> Dispatcher<C> {
    /// Takes the tables and blocks the signals that the pool handles; `make` makes the pool, with
    /// those of its workers that are made at start-up.
    ///
    /// # Errors
    /// What mmap, epoll and signalfd say, and `make`.
    pub fn new(
        acceptor: Acceptor,
        (http_config, clock_floor_s): (&'static HttpConfig, u64),
        (drain_ms, notifier, root_monitor, control): (u64, Notifier, RootMonitor, Control),
        make: impl FnOnce(&DispatcherState) -> Result<C, Errno>,
    ) -> Result<Self, Errno> {
        let mut handled = SigSet::empty();
        for signal in [
            Signal::SIGCHLD,
            Signal::SIGHUP,
            Signal::SIGINT,
            Signal::SIGTERM,
        ] {
            handled.add(signal);
        }
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&handled), None)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let signals =
            SignalFd::with_flags(&handled, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        epoll.add(
            &signals,
            EpollEvent::new(EpollFlags::EPOLLIN, SIGNALS_TOKEN),
        )?;
        for (descriptor, flags, token) in [
            (control.listener(), EpollFlags::EPOLLIN, CONTROL_TOKEN),
            (
                root_monitor.mount_changes(),
                EpollFlags::EPOLLPRI,
                MOUNTS_TOKEN,
            ),
        ] {
            if descriptor.is_open() {
                let event = EpollEvent::new(flags | EpollFlags::EPOLLET, token);
                epoll.add(sys::borrow(descriptor), event)?;
            }
        }
        acceptor.register(&epoll)?;
        let state = DispatcherState {
            tickets: TICKETS.take(),
            ring: RING.take(),
            gauges: Gauges::new()?,
            epoll,
            drain_until_ms: None,
        };
        Ok(Self {
            pool: make(&state)?,
            state,
            acceptor,
            overflow: OverflowResponder::new(http_config, clock_floor_s),
            signals,
            notifier,
            root_monitor,
            control,
            retry_ms: 0,
            drain_ms,
        })
    }

    /// Makes the workers that are made after the seal.
    ///
    /// # Errors
    /// What the system says.
    pub fn begin(&mut self) -> Result<(), Errno> {
        self.pool.begin(&mut self.state)
    }

    /// Serves until a signal stops the server; [`Dispatcher::end`] should follow.
    ///
    /// # Errors
    /// What epoll says; then nothing can go on.
    pub fn run(&mut self) -> Result<Ended, Errno> {
        self.notifier.ready(self.root_monitor.has_root());
        loop {
            let now_ms = sys::now_ms();
            self.notifier.beat(
                now_ms,
                self.root_monitor.has_root(),
                self.pool.held(),
                self.state.ring.len(),
            );
            self.pool.tend(&mut self.state, now_ms);
            self.tend_root(now_ms);
            self.pass_on(now_ms);
            self.make_way();
            self.turn_away(now_ms);
            let room = self.state.ring.len() < RING_MAX && !self.state.is_draining();
            self.acceptor.open_or_close(&self.state.epoll, room, now_ms);
            if let Some(until_ms) = self.state.drain_until_ms
                && (self.is_idle() || now_ms >= until_ms)
            {
                return Ok(Ended::Drained);
            }
            let mut events = [EpollEvent::empty(); LISTENERS_MAX + 3 + WORKERS_MAX];
            let count = match self.state.epoll.wait(&mut events, self.timeout(now_ms)) {
                Err(Errno::EINTR) => 0,
                result => result?,
            };
            for event in &events[..count] {
                match event.data() {
                    SIGNALS_TOKEN => {
                        if self.take_signals() {
                            return Ok(Ended::AtOnce);
                        }
                    }
                    CONTROL_TOKEN => self.control.call(),
                    MOUNTS_TOKEN => self.root_monitor.check_soon(),
                    listener if listener < SIGNALS_TOKEN => {
                        let DispatcherState { ring, tickets, .. } = &mut self.state;
                        self.acceptor.accept(listener as usize, ring, tickets);
                    }
                    source => self
                        .pool
                        .take_reports(&mut self.state, (source - REPORTS_TOKEN) as usize),
                }
            }
        }
    }

    /// Ends the workers.
    pub fn end(&mut self, ended: Ended) {
        match ended {
            Ended::Drained => self.pool.shut_down(),
            Ended::AtOnce => self.pool.end_at_once(),
        }
    }

    /// Looks after the root, and after who asks that it be let go.
    fn tend_root(&mut self, now_ms: u64) {
        let gauges = self.state.gauges;
        let has_changed = self.root_monitor.look(gauges, now_ms);
        let is_ejected = self.control.take(now_ms) && self.root_monitor.eject_root(gauges, now_ms);
        if has_changed || is_ejected {
            self.pool.call_all();
        }
        if self.control.is_asked() {
            let changes = self.root_monitor.changes();
            let have_followed = (0..self.pool.workers())
                .all(|worker| gauges.acked_root_generation(worker) == changes);
            self.control
                .settle(have_followed, self.root_monitor.path(), now_ms);
        }
    }

    fn is_idle(&self) -> bool {
        self.state.ring.is_empty() && self.pool.held() == 0 && self.overflow.is_idle()
    }

    fn timeout(&self, now_ms: u64) -> EpollTimeout {
        let is_waiting = !self.state.ring.is_empty() || !self.overflow.is_idle();
        let waiting = is_waiting.then_some(now_ms + WAITING_POLL_MS);
        let retry = Some(self.retry_ms).filter(|retry_ms| *retry_ms > now_ms);
        let next = [
            waiting,
            retry,
            self.pool.tend_ms(),
            self.acceptor.resume_ms(now_ms),
            self.notifier.next_ms(),
            Some(self.root_monitor.next_ms()),
            self.control.next_ms(now_ms),
            self.state.drain_until_ms,
        ]
        .into_iter()
        .flatten()
        .min();
        match next {
            Some(next_ms) => {
                EpollTimeout::try_from(next_ms.saturating_sub(now_ms).min(60_000) as u32)
                    .unwrap_or(EpollTimeout::ZERO)
            }
            None => EpollTimeout::NONE,
        }
    }

    /// Passes the waiting on, up to 16 at once.
    fn pass_on(&mut self, now_ms: u64) {
        let mut refused = [false; WORKERS_MAX];
        while !self.state.ring.is_empty() {
            let waiting = self.state.ring.len();
            let Some((worker, count)) = self.pool.offer(&self.state, waiting, &refused) else {
                if !self.pool.is_full() {
                    // A worker is slow to take what was passed to it: no event may tell.
                    self.retry_ms = now_ms + RETRY_MS;
                }
                return;
            };
            if !self.pass(worker, count) {
                refused[worker] = true;
            }
        }
    }

    /// Passes the first `count` of the ring to a worker; false when it takes none for now.
    fn pass(&mut self, worker: usize, count: usize) -> bool {
        let mut jobs = Jobs::new();
        let since_ms = self.state.ring.front().map_or(0, |first| first.since_ms);
        while jobs.len() < count
            && !jobs.is_full()
            && let Some(waiting) = self.state.ring.pop_front()
        {
            let protocol = self.state.tickets.protocol(waiting.ticket);
            self.state.tickets.hold(waiting.ticket, worker);
            let _ = jobs.push(Job {
                ticket: waiting.ticket.number(),
                address: self.state.tickets.peer(waiting.ticket).0,
                protocol,
                socket: waiting.socket,
            });
        }
        // There is room, so nobody needs to give way to these; `make_way` asks anew for the rest.
        self.state.gauges.set_waiting(0);
        let Err(errno) = self.pool.pass(worker, &mut jobs) else {
            assert!(jobs.is_empty());
            return true;
        };
        if !matches!(
            errno,
            Errno::EAGAIN | Errno::ETOOMANYREFS | Errno::EPIPE | Errno::ECONNRESET
        ) {
            log::warn!("sockets cannot be passed to worker {worker} for now: {errno}");
        }
        while let Some(job) = jobs.pop() {
            let ticket = ticket(job.ticket);
            self.state.tickets.wait_again(ticket);
            self.state.put_first(Waiting {
                ticket,
                socket: job.socket,
                since_ms,
            });
        }
        false
    }

    /// Asks for an idle connection's place for each newcomer that waits, the oldest first.
    fn make_way(&mut self) {
        let waiting = self.state.ring.len();
        let is_full = waiting > 0 && self.pool.is_full();
        let mut asked = if is_full { self.pool.asked() } else { 0 };
        while is_full && asked < waiting {
            let oldest = (0..WORKERS_MAX)
                .filter(|worker| self.pool.can_ask(*worker))
                .filter_map(|worker| Some((self.state.gauges.idle_since_ms(worker)?, worker)))
                .min();
            let Some((_, worker)) = oldest else { break };
            if !self.pool.ask(worker) {
                break;
            }
            asked += 1;
        }
        // The others are taken from connections that become idle now, by the workers themselves.
        self.state.gauges.set_waiting(if is_full {
            waiting.saturating_sub(asked)
        } else {
            0
        });
    }

    /// Tells HTTP clients that have waited too long, or wait for a server that stops, to come later.
    fn turn_away(&mut self, now_ms: u64) {
        self.overflow.tend(now_ms);
        let least_ms = if self.state.is_draining() {
            0
        } else {
            BOARD.wait_max_ms
        };
        while self.overflow.has_room() {
            let DispatcherState { ring, tickets, .. } = &mut self.state;
            let mut is_over = |waiting: &Waiting| {
                now_ms.saturating_sub(waiting.since_ms) >= least_ms
                    && tickets.protocol(waiting.ticket) == Protocol::Http
            };
            let Some(index) = ring.iter().position(&mut is_over) else {
                return;
            };
            // The ring turns once around, and keeps its order.
            let mut found = None;
            for number in 0..ring.len() {
                let waiting = ring.pop_front().expect("as many as there are");
                if number == index {
                    found = Some(waiting);
                } else if ring.push_back(waiting).is_err() {
                    unreachable!("its place has just become free");
                }
            }
            let waiting = found.expect("the index is that of a client");
            tickets.take_back(waiting.ticket);
            self.overflow.turn_away(waiting.socket, now_ms);
        }
    }

    /// Handles what has come; true when it is time to go at once.
    fn take_signals(&mut self) -> bool {
        while let Ok(Some(signal)) = self.signals.read_signal() {
            if signal.ssi_signo == Signal::SIGCHLD as u32 {
                self.pool.reap(&mut self.state);
            } else if signal.ssi_signo == Signal::SIGHUP as u32 {
                if self
                    .root_monitor
                    .reopen_root(self.state.gauges, sys::now_ms())
                {
                    self.pool.call_all();
                }
            } else if self.state.is_draining() {
                log::warn!("a second signal: stopping at once");
                return true;
            } else {
                self.begin_to_stop();
            }
        }
        false
    }

    fn begin_to_stop(&mut self) {
        log::info!(
            "stopping: {} clients are held, {} wait; transfers have {} ms",
            self.pool.held(),
            self.state.ring.len(),
            self.drain_ms
        );
        self.state.drain_until_ms = Some(sys::now_ms().saturating_add(self.drain_ms));
        self.acceptor.close(&self.state.epoll);
        self.notifier
            .stopping(self.pool.held(), self.state.ring.len());
        self.pool.drain();
    }
}

/// The ticket with a number that this process has given out.
pub(super) fn ticket(number: u32) -> Ticket {
    Ticket::from_number(number).expect("a number that this process has given out")
}
