//! The thread pool's workers: threads of one process, which take the sockets from a queue.

use nix::sys::epoll::EpollFlags;

use super::dispatcher::{DispatcherState, Jobs, WorkerPool, ticket};
use super::factory::{Factory, Place};
use super::watchdog::{Verdict, Watchdog};
use super::{PoolConfig, WORKERS};
use crate::limits::{JOBS_PER_MESSAGE_MAX, QUEUE_CAPACITY, STUCK_MS};
use crate::link::REPORT_MAX;
use crate::sys::{self, Errno};
use crate::worker::WorkerConfig;

/// What the dispatcher calls the threads, of which it does not know who takes which job.
const ANYONE: usize = 0;

/// The threads, as the main thread sees them.
pub struct ThreadPool {
    factory: Factory,
    workers: usize,
    places: usize,
    watchdog: Watchdog,
    /// Tickets of jobs in the queue, and of those taken and not yet back.
    held: usize,
}

impl ThreadPool {
    /// Makes the threads, which allocates: for start-up.
    ///
    /// # Errors
    /// What eventfd, epoll and clone say.
    pub fn new(setting: PoolConfig, state: &DispatcherState) -> Result<Self, Errno> {
        let (workers, per_worker) = (setting.workers, setting.per_worker);
        let mut factory = Factory::init(QUEUE_CAPACITY, workers, per_worker)?;
        let bell = factory.bell().descriptor();
        state.watch(bell, ANYONE, EpollFlags::EPOLLIN | EpollFlags::EPOLLET)?;
        let gauges = state.gauges;
        factory.start(|index| {
            let setting = WorkerConfig {
                index,
                root: setting.root,
                framing: setting.framing,
                gauges,
                cache_sharers: workers,
                http_config: setting.http_config,
                clock_floor_s: setting.clock_floor_s,
            };
            Ok(move |place: &mut Place| {
                if let Err(errno) = WORKERS[index].take().run(&setting, place) {
                    log::error!("worker {index} cannot go on: {errno}");
                    sys::exit_now(1);
                }
            })
        })?;
        Ok(Self {
            factory,
            workers,
            places: workers * per_worker,
            watchdog: Watchdog::new(),
            held: 0,
        })
    }
}

impl WorkerPool for ThreadPool {
    fn begin(&mut self, _: &mut DispatcherState) -> Result<(), Errno> {
        Ok(())
    }

    /// A thread does not die alone: one that is stuck ends the process, for who watches over it to
    /// start it again.
    fn tend(&mut self, state: &mut DispatcherState, now_ms: u64) {
        if !self.watchdog.is_time(now_ms) {
            return;
        }
        let shared = self.factory.shared();
        for worker in 0..self.workers {
            match self
                .watchdog
                .check(state.gauges, worker, shared.is_busy(worker))
            {
                Verdict::Well => {}
                Verdict::Call => shared.call_round(worker),
                Verdict::Stuck => {
                    log::error!(
                        "worker {worker} is stuck: not one round in {STUCK_MS} ms; the server ends"
                    );
                    sys::exit_now(1);
                }
            }
        }
    }

    fn tend_ms(&self) -> Option<u64> {
        (self.held > 0).then(|| self.watchdog.next_ms())
    }

    fn reap(&mut self, _: &mut DispatcherState) {}

    fn held(&self) -> usize {
        self.held
    }

    fn is_full(&self) -> bool {
        self.held >= self.places
    }

    /// As many as there are places for, in batches of each worker's share.
    fn offer(&self, _: &DispatcherState, waiting: usize, _: &[bool]) -> Option<(usize, usize)> {
        let room = self.factory.shared().room().min(self.places - self.held);
        let share = waiting.div_ceil(self.workers).min(JOBS_PER_MESSAGE_MAX);
        (room > 0).then_some((ANYONE, share.min(room)))
    }

    fn pass(&mut self, _: usize, jobs: &mut Jobs) -> Result<(), Errno> {
        self.held += jobs.len();
        assert!(self.held <= self.places);
        self.factory.shared().put(core::mem::take(jobs));
        Ok(())
    }

    fn workers(&self) -> usize {
        self.workers
    }

    fn asked(&self) -> usize {
        let is_asked = |worker: &usize| self.factory.shared().is_asked(*worker);
        (0..self.workers).filter(is_asked).count()
    }

    fn can_ask(&self, worker: usize) -> bool {
        worker < self.workers && !self.factory.shared().is_asked(worker)
    }

    fn ask(&mut self, worker: usize) -> bool {
        self.factory.shared().ask(worker)
    }

    fn take_reports(&mut self, state: &mut DispatcherState, _: usize) {
        loop {
            let tickets = self.factory.shared().take_done();
            for number in &tickets {
                state.tickets.take_back(ticket(*number));
                self.held -= 1;
            }
            if tickets.len() < REPORT_MAX {
                return;
            }
        }
    }

    fn call_all(&mut self) {
        self.factory.shared().call_all();
    }

    fn drain(&mut self) {
        self.factory.shared().drain();
    }

    fn shut_down(&mut self) {
        log::debug!("the threads end");
        self.factory.destroy();
    }

    /// The threads end with the process.
    fn end_at_once(&mut self) {}
}
