//! The factory of the thread pool, by the words of the classic exercise: the queue, the condition
//! that workers sleep on, and the threads.

use std::sync::{Arc, Barrier, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use heapless::Vec;
use nix::sys::epoll::EpollFlags;

use super::handover::{Bells, Handover, Monitor, State};
use crate::limits::{BOARD, EXIT_MS, QUEUE_CAPACITY, TICKETS_MAX, WORKERS_MAX};
use crate::link::{IdleMode, Job, Order, PoolLink};
use crate::sys::{self, Bell, Descriptor, Errno};

type HandoverState = State<Job, QUEUE_CAPACITY, TICKETS_MAX>;

/// The hand-over of jobs to threads.
pub type Shared = Handover<Job, Condition<HandoverState>, Doorbells, QUEUE_CAPACITY, TICKETS_MAX>;

/// The standard library's lock and condition.
pub struct Condition<T> {
    value: Mutex<T>,
    signalled: Condvar,
}

impl<T> Condition<T> {
    /// A condition whose lock guards `value`.
    pub const fn new(value: T) -> Self {
        Self {
            value: Mutex::new(value),
            signalled: Condvar::new(),
        }
    }
}

impl<T> Monitor<T> for Condition<T> {
    type Guard<'a>
        = MutexGuard<'a, T>
    where
        Self: 'a;

    fn lock(&self) -> MutexGuard<'_, T> {
        // Nobody lives to see a poisoned lock: a panic ends the process.
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&'a self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.signalled
            .wait(guard)
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self) {
        self.signalled.notify_one();
    }
}

/// A bell for each worker, and the main thread's.
pub struct Doorbells;

// Apart from the hand-over, because a bell that is not open is not all zeroes.
static WORKERS_BELLS: [Bell; WORKERS_MAX] = [const { Bell::new() }; WORKERS_MAX];
static MAIN_BELL: Bell = Bell::new();

impl Bells for Doorbells {
    fn ring_worker(&self, worker: usize) {
        WORKERS_BELLS[worker].ring();
    }

    fn ring_main(&self) {
        MAIN_BELL.ring();
    }
}

/// A worker's side: the thread sleeps on the condition while it has no connections.
pub struct ThreadLink {
    shared: &'static Shared,
    worker: usize,
}

impl PoolLink for ThreadLink {
    fn descriptor(&self) -> &Descriptor {
        WORKERS_BELLS[self.worker].descriptor()
    }

    /// Edge-triggered: a bell that rang once does not have to be read.
    fn events(&self) -> EpollFlags {
        EpollFlags::EPOLLIN | EpollFlags::EPOLLET
    }

    fn before_wait(&mut self, mode: IdleMode) -> bool {
        self.shared.before_wait(self.worker, mode)
    }

    fn after_wait(&mut self) {
        self.shared.after_wait(self.worker);
    }

    fn receive(&mut self) -> Result<Order, Errno> {
        Ok(self.shared.receive(self.worker))
    }

    fn report(&mut self, tickets: &[u32]) -> Result<(), Errno> {
        self.shared.report(self.worker, tickets);
        Ok(())
    }
}

/// The threads and their hand-over. There is one in a process.
pub struct Factory {
    shared: &'static Shared,
    workers: usize,
    threads: Vec<JoinHandle<()>, WORKERS_MAX>,
    is_started: bool,
}

static SHARED: Shared = Handover::new(Condition::new(State::new()), Doorbells);

/// Bytes of the queue, the tickets on their way back, and the threads' seats.
pub const TABLE_BYTES: usize = size_of::<Shared>();

impl Factory {
    /// Sets the queue up; makes no thread yet.
    ///
    /// # Errors
    /// `EEXIST` when this process has a factory already, and what eventfd(2) says.
    pub fn init(capacity: usize, workers: usize, per_worker: usize) -> Result<Self, Errno> {
        MAIN_BELL.open()?;
        WORKERS_BELLS[..workers].iter().try_for_each(Bell::open)?;
        SHARED.init(capacity, workers, per_worker);
        Ok(Self {
            shared: &SHARED,
            workers,
            threads: Vec::new(),
            is_started: false,
        })
    }

    /// Makes the threads, each with a stack of `BOARD.thread_stack_bytes`: `work_of` gives what a
    /// worker does, which must end when the link is closed, not before. Returns when all of them are
    /// at it, so that what the system sets up for a thread is set up. For start-up: it allocates.
    ///
    /// # Errors
    /// `EALREADY` at the second start; what `work_of` says; `EAGAIN` when the system has no room for
    /// another thread. After that the process must end.
    pub fn start<W: FnOnce(&mut ThreadLink) + Send + 'static>(
        &mut self,
        mut work_of: impl FnMut(usize) -> Result<W, Errno>,
    ) -> Result<(), Errno> {
        if core::mem::replace(&mut self.is_started, true) {
            return Err(Errno::EALREADY);
        }
        sys::keep_one_heap();
        let all_here = Arc::new(Barrier::new(self.workers + 1));
        for worker in 0..self.workers {
            let (shared, here) = (self.shared, Arc::clone(&all_here));
            let work = work_of(worker)?;
            let thread = Builder::new()
                .name(format!("worker {worker}"))
                .stack_size(BOARD.thread_stack_bytes)
                .spawn(move || {
                    here.wait();
                    work(&mut ThreadLink { shared, worker });
                    shared.leave(worker);
                })
                .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))?;
            let _ = self.threads.push(thread);
        }
        all_here.wait();
        Ok(())
    }

    /// A worker's side of the hand-over, for a test that plays it.
    #[cfg(test)]
    pub(super) fn link(&self, worker: usize) -> ThreadLink {
        let shared = self.shared;
        ThreadLink { shared, worker }
    }

    /// The bell that rings when the main thread has something to take: edge-triggered.
    #[must_use]
    pub fn bell(&self) -> &'static Bell {
        &MAIN_BELL
    }

    /// What the main thread passes jobs by.
    pub fn shared(&self) -> &'static Shared {
        self.shared
    }

    /// Closes the link, and joins the threads if all of them end within a second.
    pub fn destroy(&mut self) {
        self.shared.close();
        let until_ms = sys::now_ms() + EXIT_MS;
        while self.shared.left() < self.threads.len() {
            if sys::now_ms() >= until_ms {
                log::warn!("a thread is still at work; it ends with the process");
                return;
            }
            sys::sleep_us(1000);
        }
        while let Some(thread) = self.threads.pop() {
            // A thread that panicked has ended the process.
            let _ = thread.join();
        }
    }
}
