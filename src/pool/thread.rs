//! The thread pool's workers: threads of one process, which take the sockets from a queue.

use nix::sys::epoll::EpollFlags;

use super::factory::{Factory, ThreadLink};
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
            Ok(move |link: &mut ThreadLink| {
                if let Err(errno) = WORKERS[index].take().run(&config, link) {
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
        if !self.watchdog.begin_check(now_ms) {
            return;
        }
        let shared = self.factory.shared();
        for worker in 0..self.workers {
            match self
                .watchdog
                .check(state.gauges, worker, shared.is_busy(worker))
            {
                Verdict::Alive => {}
                Verdict::Wake => shared.wake_worker(worker),
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
        self.factory.shared().wake_all();
    }

    fn drain(&mut self) {
        self.factory.shared().drain();
    }

    fn shut_down(&mut self) {
        log::debug!("the threads end");
        self.factory.destroy();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::doubles::{state, wait, waiting};
    use super::*;
    use crate::limits::WATCHDOG_MS;
    use crate::link::{IdleMode, Order, PoolLink, Protocol};

    /// There is one factory in a process, so this is one test: two workers of three places each, and a
    /// queue of two, which are played at first, and then threads.
    #[test]
    fn threads_take_what_lies_in_the_queue() {
        let factory = Factory::init(2, 2, 3).unwrap();
        assert!(Factory::init(2, 2, 3).is_err(), "there is one");
        let mut state = state();
        let bell = factory.bell().descriptor();
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
        state.watch(bell, ANYONE, flags).unwrap();
        let mut links = [0, 1].map(|worker| factory.link(worker));
        let mut pool = ThreadPool {
            factory,
            workers: 2,
            places: 6,
            watchdog: Watchdog::new(),
            held: 0,
        };
        play(&mut pool, &mut state, &mut links);
        really_work(&mut pool, &mut state);
    }

    fn is_rung(state: &DispatcherState) -> bool {
        let mut events = [nix::sys::epoll::EpollEvent::empty(); 2];
        let timeout = nix::sys::epoll::EpollTimeout::ZERO;
        state.epoll.wait(&mut events, timeout).unwrap() > 0
    }

    fn take(link: &mut ThreadLink) -> Vec<u32> {
        match link.receive().unwrap() {
            Order::Jobs(jobs) => jobs.into_iter().map(|job| job.ticket).collect(),
            Order::Nothing => Vec::new(),
            _ => panic!("another order"),
        }
    }

    fn play(pool: &mut ThreadPool, state: &mut DispatcherState, links: &mut [ThreadLink; 2]) {
        let mut clients: Vec<_> = (0..8).map(|_| wait(state, Protocol::Ask, 1).1).collect();
        assert_eq!((pool.workers(), pool.maintain_ms()), (2, None));
        assert!(!pool.dispatch(state), "the queue is full before the places");
        assert_eq!((pool.held(), state.waiting()), (2, 6));
        assert_eq!(take(&mut links[0]), [0, 1]);
        assert!(is_rung(state), "there is room again");
        assert!(!pool.dispatch(state));
        assert_eq!(take(&mut links[1]), [2, 3]);
        assert!(!pool.is_full());
        assert!(pool.dispatch(state), "the last places");
        assert_eq!((pool.held(), state.waiting()), (6, 2));
        assert!(
            pool.is_full() && pool.dispatch(state),
            "every place is taken"
        );
        assert_eq!(take(&mut links[0]), [4]);
        assert_eq!(take(&mut links[1]), [5]);
        assert_eq!(state.tickets.next_held_by(ANYONE, 0).unwrap().number(), 0);

        assert_eq!(pool.asked_to_give_way(), 0);
        assert!(pool.can_give_way(1) && !pool.can_give_way(2));
        assert!(pool.ask_to_give_way(1));
        assert!(!pool.can_give_way(1) && pool.can_give_way(0));
        assert_eq!(pool.asked_to_give_way(), 1);
        assert!(links[1].before_wait(IdleMode::Wait), "it has an order");
        assert!(matches!(links[1].receive(), Ok(Order::GiveWay)));
        links[1].report(&[2, 5]).unwrap();
        pool.take_reports(state, ANYONE);
        assert_eq!((pool.held(), pool.asked_to_give_way()), (4, 0));

        pool.wake_all();
        for link in links.iter_mut() {
            assert!(matches!(link.receive(), Ok(Order::Wake)));
        }
        pool.drain();
        for link in links.iter_mut() {
            assert!(matches!(link.receive(), Ok(Order::Drain)));
        }
        watch(pool, state, links);
        for (link, tickets) in links.iter_mut().zip([[0, 1, 4].as_slice(), &[3]]) {
            link.report(tickets).unwrap();
        }
        pool.take_reports(state, ANYONE);
        assert_eq!((pool.held(), waiting(state).len()), (0, 2));
        clients.clear();
    }

    fn watch(pool: &mut ThreadPool, state: &mut DispatcherState, links: &[ThreadLink; 2]) {
        pool.maintain(state, 1_000_000);
        assert_eq!(pool.maintain_ms(), Some(1_000_000 + WATCHDOG_MS));
        for link in links {
            // It was called, for it has had no round since it has something to do.
            let mut bytes = [0; 8];
            let read = nix::unistd::read(sys::borrow(link.descriptor()), &mut bytes);
            assert_eq!(read, Ok(8));
            assert_eq!(link.events(), EpollFlags::EPOLLIN | EpollFlags::EPOLLET);
        }
        for worker in 0..2 {
            state.gauges.heartbeat(worker);
        }
        pool.maintain(state, 1_000_000 + WATCHDOG_MS);
        let mut bytes = [0; 8];
        let read = nix::unistd::read(sys::borrow(links[0].descriptor()), &mut bytes);
        assert_eq!(
            read,
            Err(Errno::EAGAIN),
            "nobody is called who has had a round"
        );
    }

    fn really_work(pool: &mut ThreadPool, state: &mut DispatcherState) {
        pool.factory
            .start(|_| {
                Ok(|link: &mut ThreadLink| {
                    while link.before_wait(IdleMode::Sleep) {
                        match link.receive().unwrap() {
                            Order::Jobs(jobs) => {
                                for mut job in jobs {
                                    job.socket.close();
                                    link.report(&[job.ticket]).unwrap();
                                }
                            }
                            Order::Closed => return,
                            _ => {}
                        }
                    }
                })
            })
            .unwrap();
        let _clients: Vec<_> = (0..100).map(|_| wait(state, Protocol::Ask, 1).1).collect();
        let expected: BTreeSet<u32> = waiting(state).into_iter().collect();
        let until_ms = sys::now_ms() + 30_000;
        while state.waiting() > 0 || pool.held() > 0 {
            assert!(sys::now_ms() < until_ms, "all are served");
            pool.dispatch(state);
            pool.take_reports(state, ANYONE);
        }
        let again: BTreeSet<u32> = (0..expected.len())
            .map(|_| wait(state, Protocol::Ask, 1).0.number())
            .collect();
        assert_eq!(again, expected, "their tickets are back");
        pool.shut_down();
        assert_eq!(pool.factory.shared().left(), 2);
    }
}
