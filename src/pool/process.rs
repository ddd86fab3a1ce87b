//! The process pool's workers: children, to which the parent passes each socket over a pair, and
//! which report over it which clients have gone.

mod children;

use nix::sys::epoll::EpollFlags;
use static_cell::ConstStaticCell;

use super::PoolConfig;
use super::dispatcher::{DispatcherState, Jobs, WorkerPool};
use super::pass_fd;
use super::ticket::Ticket;
use super::watchdog::Watchdog;
use crate::limits::{BOARD, JOBS_PER_MESSAGE_MAX, WORKERS_MAX};
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
    setting: PoolConfig,
    data: &'static mut [ProcessData],
    watchdog: Watchdog,
    pid: i32,
}

impl ProcessPool {
    /// Takes the table; makes no child yet.
    #[must_use]
    pub fn new(setting: PoolConfig) -> Self {
        assert!((1..=WORKERS_MAX).contains(&setting.workers) && setting.per_worker > 0);
        Self {
            data: &mut PROCESS_DATA.take()[..setting.workers],
            watchdog: Watchdog::new(),
            pid: sys::process_id(),
            setting,
        }
    }

    /// Sockets that a child may be passed now.
    fn room(&self, state: &DispatcherState, child: usize) -> usize {
        let data = &self.data[child];
        if data.pid == 0 {
            return 0;
        }
        let untaken = data.sent.saturating_sub(state.gauges.taken(child)) as usize;
        (self.setting.per_worker - data.busy).min(BOARD.untaken_max.saturating_sub(untaken))
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
    fn begin(&mut self, state: &mut DispatcherState) -> Result<(), Errno> {
        (0..self.data.len()).try_for_each(|child| self.make_child(state, child))
    }

    fn tend(&mut self, state: &mut DispatcherState, now_ms: u64) {
        self.respawn(state, now_ms);
        self.check_watchdog(state, now_ms);
    }

    fn tend_ms(&self) -> Option<u64> {
        let dead = self.data.iter().filter(|child| child.pid == 0);
        let heartbeat = (self.held() > 0).then(|| self.watchdog.next_ms());
        dead.map(|child| child.respawn_ms).chain(heartbeat).min()
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
            .all(|data| data.pid == 0 || data.busy >= self.setting.per_worker)
    }

    /// The least busy child.
    fn offer(
        &self,
        state: &DispatcherState,
        waiting: usize,
        refused: &[bool],
    ) -> Option<(usize, usize)> {
        let with_room =
            (0..self.data.len()).filter(|child| !refused[*child] && self.room(state, *child) > 0);
        let children = with_room.clone().count();
        let child = with_room.min_by_key(|child| self.data[*child].busy)?;
        let share = waiting
            .div_ceil(children)
            .min(self.room(state, child))
            .min(JOBS_PER_MESSAGE_MAX);
        Some((child, share))
    }

    fn pass(&mut self, child: usize, jobs: &mut Jobs) -> Result<(), Errno> {
        let data = &mut self.data[child];
        pass_fd::send_jobs(&data.fd, jobs)?;
        data.busy += jobs.len();
        data.sent += jobs.len() as u64;
        assert!(data.busy <= self.setting.per_worker);
        while let Some(mut job) = jobs.pop() {
            // Otherwise the child's close would not be the last, and the client not see it.
            job.socket.close();
        }
        Ok(())
    }

    fn workers(&self) -> usize {
        self.data.len()
    }

    fn asked(&self) -> usize {
        self.data.iter().filter(|data| data.asked).count()
    }

    fn can_ask(&self, worker: usize) -> bool {
        let data = self.data.get(worker);
        data.is_some_and(|data| data.pid != 0 && !data.asked)
    }

    fn ask(&mut self, worker: usize) -> bool {
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

    fn call_all(&mut self) {
        for data in self.data.iter().filter(|data| data.pid != 0) {
            // One whose pair is full has enough to wake up for.
            let _ = pass_fd::send_look(&data.fd);
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

    fn end_at_once(&mut self) {
        self.kill_children();
    }
}
