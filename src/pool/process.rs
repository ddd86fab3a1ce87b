//! The process pool: the parent accepts and passes each socket to a child, the children report
//! which clients have gone.

mod children;

use heapless::Vec;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use static_cell::ConstStaticCell;

use super::intake::{Intake, Ring, Waiting};
use super::pass_fd;
use super::ticket::{Ticket, Tickets};
use crate::files::{Found, Root};
use crate::gauge::Gauges;
use crate::limits::{
    BOARD, JOBS_PER_MESSAGE_MAX, LISTENERS_MAX, RETRY_MS, RING_MAX, TICKETS_MAX, WORKERS_MAX,
};
use crate::link::Job;
use crate::sys::{self, Descriptor, Errno};
use crate::train::Form;
use crate::worker::Worker;

/// One child, by the words of the classic exercise. All zeroes is no child.
struct ProcessData {
    /// Its process, 0 for none.
    pid: i32,
    /// The parent's end of the pair.
    fd: Descriptor,
    /// Tickets that it holds: sockets sent, less those reported.
    busy: usize,
    /// The child's end, kept to read back what a dead child has not taken.
    child_fd: Descriptor,
    /// Jobs sent since its start; the gauge says how many of them it has taken.
    sent: u64,
    /// It was asked to end an idle connection, and has yet to report.
    asked: bool,
    started_ms: u64,
    /// How long its replacement waits, and until when.
    delay_ms: u64,
    respawn_ms: u64,
}

impl ProcessData {
    const NONE: Self = Self {
        pid: 0,
        fd: Descriptor::NONE,
        busy: 0,
        child_fd: Descriptor::NONE,
        sent: 0,
        asked: false,
        started_ms: 0,
        delay_ms: 0,
        respawn_ms: 0,
    };
}

static PROCESS_DATA: ConstStaticCell<[ProcessData; WORKERS_MAX]> =
    ConstStaticCell::new([const { ProcessData::NONE }; WORKERS_MAX]);
static TICKETS: ConstStaticCell<Tickets> = ConstStaticCell::new(Tickets::new());
static RING: ConstStaticCell<Ring> = ConstStaticCell::new(Ring::new());
/// Child k uses entry k, in its own copy of the page; the others stay untouched zeroes.
static WORKERS: [ConstStaticCell<Worker>; WORKERS_MAX] =
    [const { ConstStaticCell::new(Worker::new()) }; WORKERS_MAX];

/// Bytes of the parent's tables: tickets, ring, children.
pub const TABLE_BYTES: usize =
    TICKETS_BYTES + size_of::<Ring>() + size_of::<[ProcessData; WORKERS_MAX]>();
/// Bytes of all tickets.
pub const TICKETS_BYTES: usize = size_of::<Tickets>();
/// Bytes of one ticket.
pub const TICKET_BYTES: usize = TICKETS_BYTES / TICKETS_MAX;
/// Bytes of one place in the ring.
pub const WAITING_BYTES: usize = size_of::<Waiting>();

const SIGNALS_TOKEN: u64 = LISTENERS_MAX as u64;
const CHILD_TOKEN: u64 = SIGNALS_TOKEN + 1;
/// How often the gauges are looked at while clients wait.
const WAITING_POLL_MS: u64 = 20;
/// How long children may take to exit once nothing is left to do.
const EXIT_MS: u64 = 1_000;

/// The pool, as its parent sees it.
pub struct ProcessPool {
    setting: PoolSetting,
    data: &'static mut [ProcessData],
    tickets: &'static mut Tickets,
    ring: &'static mut Ring,
    intake: Intake,
    gauges: Gauges,
    epoll: Epoll,
    signals: SignalFd,
    pid: i32,
    retry_ms: u64,
    /// Until when transfers may go on; set once the server stops.
    drain_until_ms: Option<u64>,
}

/// What the pool is told at its start.
pub struct PoolSetting {
    /// Children.
    pub workers: usize,
    /// Connections that one child may hold.
    pub per_worker: usize,
    /// How long a stop waits for transfers, in milliseconds.
    pub drain_ms: u64,
    /// The root.
    pub root: Root,
    /// The file that push listeners send, and in which form.
    pub pushed: Option<Found>,
    /// The form of what is pushed.
    pub form: Form,
}

/// How the pool ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// By a stop that let transfers finish.
    Drained,
    /// By a second signal.
    AtOnce,
}

impl ProcessPool {
    /// Takes the tables and blocks the signals that the pool handles; makes no child yet.
    ///
    /// # Errors
    /// What mmap, epoll and signalfd say.
    pub fn new(setting: PoolSetting, intake: Intake) -> Result<Self, Errno> {
        assert!((1..=WORKERS_MAX).contains(&setting.workers) && setting.per_worker > 0);
        let mut handled = SigSet::empty();
        for signal in [Signal::SIGCHLD, Signal::SIGINT, Signal::SIGTERM] {
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
        Ok(Self {
            data: &mut PROCESS_DATA.take()[..setting.workers],
            tickets: TICKETS.take(),
            ring: RING.take(),
            gauges: Gauges::new()?,
            pid: sys::process_id(),
            retry_ms: 0,
            drain_until_ms: None,
            setting,
            intake,
            epoll,
            signals,
        })
    }

    /// Makes all children, at start-up.
    ///
    /// # Errors
    /// What socketpair and fork say.
    pub fn make_children(&mut self) -> Result<(), Errno> {
        (0..self.data.len()).try_for_each(|child| self.make_child(child))
    }

    /// Serves until a signal stops the server.
    ///
    /// # Errors
    /// What epoll says; then nothing can go on.
    pub fn run(&mut self) -> Result<Ended, Errno> {
        loop {
            let now_ms = sys::now_ms();
            self.respawn(now_ms);
            self.pass_on(now_ms);
            self.make_way();
            let room = self.ring.len() < RING_MAX && self.drain_until_ms.is_none();
            self.intake.open_or_close(&self.epoll, room, now_ms)?;
            if let Some(until_ms) = self.drain_until_ms
                && (self.is_idle() || now_ms >= until_ms)
            {
                self.dismiss_children();
                return Ok(Ended::Drained);
            }
            let mut events = [EpollEvent::empty(); LISTENERS_MAX + 1 + WORKERS_MAX];
            let count = match self.epoll.wait(&mut events, self.timeout(now_ms)) {
                Err(Errno::EINTR) => 0,
                result => result?,
            };
            for event in &events[..count] {
                match event.data() {
                    SIGNALS_TOKEN => {
                        if self.take_signals() {
                            self.kill_children();
                            return Ok(Ended::AtOnce);
                        }
                    }
                    listener if listener < SIGNALS_TOKEN => {
                        self.intake
                            .accept(listener as usize, self.ring, self.tickets);
                    }
                    child => self.take_reports((child - CHILD_TOKEN) as usize),
                }
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.ring.is_empty() && self.data.iter().all(|child| child.busy == 0)
    }

    fn timeout(&self, now_ms: u64) -> EpollTimeout {
        let waiting = (!self.ring.is_empty()).then_some(now_ms + WAITING_POLL_MS);
        let retry = Some(self.retry_ms).filter(|retry_ms| *retry_ms > now_ms);
        let respawn = self
            .data
            .iter()
            .filter(|child| child.pid == 0)
            .map(|child| child.respawn_ms)
            .min();
        let next = [
            waiting,
            retry,
            respawn,
            self.intake.resume_ms(now_ms),
            self.drain_until_ms,
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

    /// Passes the waiting on to the least busy children, up to 16 in one message.
    fn pass_on(&mut self, now_ms: u64) {
        let mut refused = [false; WORKERS_MAX];
        while !self.ring.is_empty() {
            let with_room =
                |(child, _): &(usize, &ProcessData)| !refused[*child] && self.room(*child) > 0;
            let children = self.data.iter().enumerate().filter(with_room).count();
            let Some((child, _)) = self
                .data
                .iter()
                .enumerate()
                .filter(with_room)
                .min_by_key(|(_, data)| data.busy)
            else {
                if self
                    .data
                    .iter()
                    .any(|data| data.pid != 0 && data.busy < self.setting.per_worker)
                {
                    // Its pair is full, or it is slow to take what was sent: no event will tell.
                    self.retry_ms = now_ms + RETRY_MS;
                }
                return;
            };
            let share = self
                .ring
                .len()
                .div_ceil(children)
                .min(self.room(child))
                .min(JOBS_PER_MESSAGE_MAX);
            if !self.pass(child, share) {
                refused[child] = true;
            }
        }
    }

    /// Sockets that a child may be passed now.
    fn room(&self, child: usize) -> usize {
        let data = &self.data[child];
        if data.pid == 0 {
            return 0;
        }
        let untaken = data.sent.saturating_sub(self.gauges.taken(child)) as usize;
        (self.setting.per_worker - data.busy).min(BOARD.untaken_max.saturating_sub(untaken))
    }

    /// Passes the first `count` of the ring to a child; false when it takes none for now.
    fn pass(&mut self, child: usize, count: usize) -> bool {
        let mut jobs: Vec<Job, JOBS_PER_MESSAGE_MAX> = Vec::new();
        while jobs.len() < count
            && let Some(waiting) = self.ring.pop_front()
        {
            let protocol = self.tickets.protocol(waiting.ticket);
            let _ = jobs.push(Job {
                ticket: waiting.ticket.number(),
                protocol,
                socket: waiting.socket,
            });
        }
        // There is room, so nobody needs to give way to these; `make_way` asks anew for the rest.
        self.gauges.want(0);
        let data = &mut self.data[child];
        match pass_fd::send_jobs(&data.fd, &jobs) {
            Ok(()) => {
                data.busy += jobs.len();
                data.sent += jobs.len() as u64;
                assert!(data.busy <= self.setting.per_worker);
                for mut job in jobs {
                    self.tickets.hold(ticket(job.ticket), child);
                    // Otherwise the child's close would not be the last, and the client not see it.
                    job.socket.close();
                }
                true
            }
            Err(errno) => {
                if !matches!(
                    errno,
                    Errno::EAGAIN | Errno::ETOOMANYREFS | Errno::EPIPE | Errno::ECONNRESET
                ) {
                    log::warn!("sockets cannot be passed to child {child} for now: {errno}");
                }
                while let Some(job) = jobs.pop() {
                    self.put_first(Waiting {
                        ticket: ticket(job.ticket),
                        socket: job.socket,
                    });
                }
                false
            }
        }
    }

    fn put_first(&mut self, waiting: Waiting) {
        if self.ring.push_front(waiting).is_err() {
            unreachable!("the ring has places for all that can come back");
        }
    }

    /// Asks for an idle connection's place for each newcomer that waits, the oldest first.
    fn make_way(&mut self) {
        let mut asked = self.data.iter().filter(|data| data.asked).count();
        let is_full = (0..self.data.len()).all(|child| {
            self.data[child].pid == 0 || self.data[child].busy >= self.setting.per_worker
        });
        while is_full && asked < self.ring.len() {
            let idle = |(child, data): (usize, &ProcessData)| {
                if data.pid == 0 || data.asked {
                    None
                } else {
                    self.gauges.idle_since_ms(child).map(|since| (since, child))
                }
            };
            let Some((_, child)) = self.data.iter().enumerate().filter_map(idle).min() else {
                break;
            };
            if pass_fd::send_give_way(&self.data[child].fd).is_err() {
                break;
            }
            self.data[child].asked = true;
            asked += 1;
        }
        // The others are taken from connections that become idle now, by the children themselves.
        self.gauges.want(if is_full {
            self.ring.len().saturating_sub(asked)
        } else {
            0
        });
    }

    fn take_reports(&mut self, child: usize) {
        loop {
            match pass_fd::receive_report(&self.data[child].fd) {
                Ok(Some(tickets)) => {
                    self.data[child].asked = false;
                    for number in tickets {
                        match Ticket::from_number(number)
                            .filter(|ticket| self.tickets.is_held_by(*ticket, child))
                        {
                            Some(ticket) => self.give_back(ticket, child),
                            None => return self.distrust(child),
                        }
                    }
                }
                Ok(None) => return,
                Err(_) => return self.distrust(child),
            }
        }
    }

    fn give_back(&mut self, ticket: Ticket, child: usize) {
        self.tickets.take_back(ticket);
        self.data[child].busy -= 1;
    }

    /// A child that reports what it cannot know is not in its right mind.
    fn distrust(&mut self, child: usize) {
        log::error!("child {child} sent a report that makes no sense; it is replaced");
        if self.data[child].pid != 0 {
            sys::kill_child(self.data[child].pid);
        }
    }

    /// Handles what has come; true when it is time to go at once.
    fn take_signals(&mut self) -> bool {
        while let Ok(Some(signal)) = self.signals.read_signal() {
            if signal.ssi_signo == Signal::SIGCHLD as u32 {
                while let Some((pid, exit)) = sys::reap() {
                    self.bury(pid, exit);
                }
            } else if self.drain_until_ms.is_some() {
                log::warn!("a second signal: stopping at once");
                return true;
            } else {
                self.begin_to_stop();
            }
        }
        false
    }

    fn begin_to_stop(&mut self) {
        let held: usize = self.data.iter().map(|data| data.busy).sum();
        log::info!(
            "stopping: {held} clients are held, {} wait; transfers have {} ms",
            self.ring.len(),
            self.setting.drain_ms
        );
        self.drain_until_ms = Some(sys::now_ms().saturating_add(self.setting.drain_ms));
        self.intake.close();
        for data in self.data.iter().filter(|data| data.pid != 0) {
            let _ = pass_fd::send_drain(&data.fd);
        }
    }
}

fn ticket(number: u32) -> Ticket {
    Ticket::from_number(number).expect("a number that this process has sent")
}
