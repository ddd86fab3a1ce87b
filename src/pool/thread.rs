//! The thread pool's workers: threads of one process, which take the sockets from a queue.

use nix::sys::epoll::EpollFlags;

use super::factory::{Factory, Place};
use super::state::{DispatcherState, ticket};
use super::watchdog::{Verdict, Watchdog};
use super::worker_pool::WorkerPool;
use super::{PoolConfig, WORKERS};
use crate::limits::{QUEUE_CAPACITY, STUCK_MS};
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
    pub fn new(config: PoolConfig, state: &DispatcherState) -> Result<Self, Errno> {
        let (workers, per_worker) = (config.workers, config.per_worker);
        let mut factory = Factory::init(QUEUE_CAPACITY, workers, per_worker)?;
        let bell = factory.bell().descriptor();
        state.watch(bell, ANYONE, EpollFlags::EPOLLIN | EpollFlags::EPOLLET)?;
        let gauges = state.gauges;
        factory.start(|index| {
            let config = WorkerConfig {
                index,
                root: config.root,
                framing: config.framing,
                gauges,
                cache_sharers: workers,
                http_config: config.http_config,
                clock_floor_s: config.clock_floor_s,
            };
            Ok(move |place: &mut Place| {
                if let Err(errno) = WORKERS[index].take().run(&config, place) {
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
    /// A thread does not die alone: one that is stuck ends the process, for who watches over it to
    /// start it again.
    fn maintain(&mut self, state: &mut DispatcherState, now_ms: u64) {
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

    fn maintain_ms(&self) -> Option<u64> {
        (self.held > 0).then(|| self.watchdog.next_ms())
    }

    fn held(&self) -> usize {
        self.held
    }

    fn is_full(&self) -> bool {
        self.held >= self.places
    }

    /// In batches of each worker's share.
    fn dispatch(&mut self, state: &mut DispatcherState) -> bool {
        while state.waiting() > 0 {
            let room = self.factory.shared().room().min(self.places - self.held);
            if room == 0 {
                return self.is_full();
            }
            let share = state.waiting().div_ceil(self.workers);
            let (jobs, _) = state.take_jobs(share.min(room), ANYONE);
            self.held += jobs.len();
            self.factory.shared().put(jobs);
        }
        true
    }

    fn workers(&self) -> usize {
        self.workers
    }

    fn asked_to_give_way(&self) -> usize {
        let is_asked = |worker: &usize| self.factory.shared().is_asked(*worker);
        (0..self.workers).filter(is_asked).count()
    }

    fn can_give_way(&self, worker: usize) -> bool {
        worker < self.workers && !self.factory.shared().is_asked(worker)
    }

    fn ask_to_give_way(&mut self, worker: usize) -> bool {
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

    fn wake_all(&mut self) {
        self.factory.shared().call_all();
    }

    fn drain(&mut self) {
        self.factory.shared().drain();
    }

    fn shut_down(&mut self) {
        log::debug!("the threads end");
        self.factory.destroy();
    }
}
