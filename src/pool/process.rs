//! The process pool's workers: children, to which the parent passes each socket over a pair, and
//! which report over it which clients have gone.

mod children;

use nix::sys::epoll::EpollFlags;
use static_cell::ConstStaticCell;

use super::PoolConfig;
use super::pass_fd;
use super::state::DispatcherState;
use super::ticket::Ticket;
use super::watchdog::Watchdog;
use super::worker_pool::WorkerPool;
use crate::limits::{BOARD, WORKERS_MAX};
use crate::sys::{self, Descriptor, Errno};

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

/// Bytes of the table of children.
pub const TABLE_BYTES: usize = size_of::<[ProcessData; WORKERS_MAX]>();

/// The children, as their parent sees them.
pub struct ProcessPool {
    config: PoolConfig,
    data: &'static mut [ProcessData],
    watchdog: Watchdog,
    pid: i32,
}

impl ProcessPool {
    /// Takes the table; makes no child yet.
    #[must_use]
    pub fn new(config: PoolConfig) -> Self {
        assert!((1..=WORKERS_MAX).contains(&config.workers) && config.per_worker > 0);
        Self {
            data: &mut PROCESS_DATA.take()[..config.workers],
            watchdog: Watchdog::new(),
            pid: sys::process_id(),
            config,
        }
    }

    /// Sockets that a child may be passed now.
    fn room(&self, state: &DispatcherState, child: usize) -> usize {
        let data = &self.data[child];
        if data.pid == 0 {
            return 0;
        }
        let untaken = data.sent.saturating_sub(state.gauges.taken(child)) as usize;
        (self.config.per_worker - data.busy).min(BOARD.untaken_max.saturating_sub(untaken))
    }

    /// The least busy of the children that have room, and how many of those who wait it is to have: all of
    /// them have as many.
    fn least_busy(&self, state: &DispatcherState, refused: &[bool]) -> Option<(usize, usize)> {
        let with_room =
            (0..self.data.len()).filter(|child| !refused[*child] && self.room(state, *child) > 0);
        let children = with_room.clone().count();
        let child = with_room.min_by_key(|child| self.data[*child].busy)?;
        let share = state.waiting().div_ceil(children);
        Some((child, share.min(self.room(state, child))))
    }

    /// Passes the first who wait to a child; false when it takes none for now.
    fn pass(&mut self, state: &mut DispatcherState, child: usize, count: usize) -> bool {
        let (mut jobs, since_ms) = state.take_jobs(count, child);
        let data = &mut self.data[child];
        if let Err(errno) = pass_fd::send_jobs(&data.fd, &jobs) {
            if !matches!(
                errno,
                Errno::EAGAIN | Errno::ETOOMANYREFS | Errno::EPIPE | Errno::ECONNRESET
            ) {
                log::warn!("sockets cannot be passed to child {child} for now: {errno}");
            }
            state.put_back(jobs, since_ms);
            return false;
        }
        data.busy += jobs.len();
        data.sent += jobs.len() as u64;
        assert!(data.busy <= self.config.per_worker);
        for job in &mut jobs {
            // Otherwise the child's close would not be the last, and the client not see it.
            job.socket.close();
        }
        true
    }

    fn give_back(&mut self, state: &mut DispatcherState, ticket: Ticket, child: usize) {
        state.tickets.take_back(ticket);
        self.data[child].busy -= 1;
    }

    /// A child that reports what it cannot know is not in its right mind.
    fn on_protocol_violation(&mut self, child: usize) {
        log::error!("child {child} sent a report that makes no sense; it is replaced");
        if self.data[child].pid != 0 {
            sys::kill_child(self.data[child].pid);
        }
    }
}

impl WorkerPool for ProcessPool {
    /// All children: their memory is a copy of the parent's, so they are made after the seal.
    fn start(&mut self, state: &mut DispatcherState) -> Result<(), Errno> {
        (0..self.data.len()).try_for_each(|child| self.make_child(state, child))
    }

    fn maintain(&mut self, state: &mut DispatcherState, now_ms: u64) {
        self.respawn(state, now_ms);
        self.check_watchdog(state, now_ms);
    }

    fn maintain_ms(&self) -> Option<u64> {
        let dead = self.data.iter().filter(|child| child.pid == 0);
        let check = (self.held() > 0).then(|| self.watchdog.next_ms());
        dead.map(|child| child.respawn_ms).chain(check).min()
    }

    fn reap(&mut self, state: &mut DispatcherState) {
        while let Some((pid, exit)) = sys::reap() {
            self.on_child_exit(state, pid, exit);
        }
    }

    fn held(&self) -> usize {
        self.data.iter().map(|data| data.busy).sum()
    }

    fn is_full(&self) -> bool {
        self.data
            .iter()
            .all(|data| data.pid == 0 || data.busy >= self.config.per_worker)
    }

    fn dispatch(&mut self, state: &mut DispatcherState) -> bool {
        let mut refused = [false; WORKERS_MAX];
        while state.waiting() > 0 {
            let Some((child, share)) = self.least_busy(state, &refused) else {
                return self.is_full();
            };
            refused[child] = !self.pass(state, child, share);
        }
        true
    }

    fn workers(&self) -> usize {
        self.data.len()
    }

    fn asked_to_give_way(&self) -> usize {
        self.data.iter().filter(|data| data.asked).count()
    }

    fn can_give_way(&self, worker: usize) -> bool {
        let data = self.data.get(worker);
        data.is_some_and(|data| data.pid != 0 && !data.asked)
    }

    fn ask_to_give_way(&mut self, worker: usize) -> bool {
        let data = &mut self.data[worker];
        data.asked = pass_fd::send_give_way(&data.fd).is_ok();
        data.asked
    }

    fn take_reports(&mut self, state: &mut DispatcherState, child: usize) {
        // A child may have been buried by an event that came before in the same batch.
        while self.data[child].fd.is_open() {
            match pass_fd::receive_report(&self.data[child].fd) {
                Ok(Some(tickets)) => {
                    self.data[child].asked = false;
                    for number in tickets {
                        match Ticket::from_number(number)
                            .filter(|ticket| state.tickets.is_held_by(*ticket, child))
                        {
                            Some(ticket) => self.give_back(state, ticket, child),
                            None => return self.on_protocol_violation(child),
                        }
                    }
                }
                Ok(None) => return,
                Err(_) => return self.on_protocol_violation(child),
            }
        }
    }

    fn wake_all(&mut self) {
        for data in self.data.iter().filter(|data| data.pid != 0) {
            // One whose pair is full has enough to wake up for.
            let _ = pass_fd::send_wake(&data.fd);
        }
    }

    fn drain(&mut self) {
        for data in self.data.iter().filter(|data| data.pid != 0) {
            let _ = pass_fd::send_drain(&data.fd);
        }
    }

    fn shut_down(&mut self) {
        self.shut_down_children();
    }

    fn kill(&mut self) {
        self.kill_children();
    }
}

#[cfg(test)]
mod tests;
