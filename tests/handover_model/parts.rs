//! The parts that the hand-over stands on, as the model has them, whole or with a fault.

use loom::sync::{Condvar, Mutex, MutexGuard};
use trainyard::pool::handover::{Bells, Monitor};

/// How a wait is changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Changed {
    Not,
    /// The state can change between the test and the sleep.
    GivesTheLockUpBefore,
    /// As POSIX permits; every other wait does.
    ReturnsForNoReason,
}

/// What is wrong with the parts.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    pub signal: bool,
    pub wait: Changed,
    pub worker_bells: bool,
    pub main_bell: bool,
}

impl Faults {
    /// Nothing is.
    pub const NONE: Self = Self {
        signal: true,
        wait: Changed::Not,
        worker_bells: true,
        main_bell: true,
    };
}

/// Loom's lock and condition.
pub struct Condition<T> {
    value: Mutex<T>,
    signalled: Condvar,
    /// Loom's own are not needed: it only alternates, under `value`.
    waits: std::sync::atomic::AtomicUsize,
    faults: Faults,
}

impl<T> Condition<T> {
    pub fn new(value: T, faults: Faults) -> Self {
        Self {
            value: Mutex::new(value),
            signalled: Condvar::new(),
            waits: std::sync::atomic::AtomicUsize::new(0),
            faults,
        }
    }
}

impl<T> Monitor<T> for Condition<T> {
    type Guard<'a>
        = MutexGuard<'a, T>
    where
        Self: 'a;

    fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap()
    }

    fn wait<'a>(&'a self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        let count = self
            .waits
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        match self.faults.wait {
            Changed::ReturnsForNoReason if count.is_multiple_of(2) => {
                drop(guard);
                self.lock()
            }
            Changed::GivesTheLockUpBefore => {
                drop(guard);
                self.signalled.wait(self.lock()).unwrap()
            }
            _ => self.signalled.wait(guard).unwrap(),
        }
    }

    fn signal(&self) {
        if self.faults.signal {
            self.signalled.notify_one();
        }
    }
}

/// What has come to one epoll.
#[derive(Clone, Copy, Default)]
pub struct Events {
    /// The bell was rung.
    pub bell: bool,
    /// Something has happened to a socket.
    pub socket: bool,
}

/// An epoll with one waiter.
pub struct Epoll {
    events: Mutex<Events>,
    changed: Condvar,
}

impl Epoll {
    pub fn new() -> Self {
        Self {
            events: Mutex::new(Events::default()),
            changed: Condvar::new(),
        }
    }

    pub fn add(&self, change: impl FnOnce(&mut Events)) {
        change(&mut self.events.lock().unwrap());
        self.changed.notify_one();
    }

    /// What has come since the last call; waits for something.
    pub fn wait(&self) -> Events {
        let mut events = self.events.lock().unwrap();
        while !events.bell && !events.socket {
            events = self.changed.wait(events).unwrap();
        }
        std::mem::take(&mut events)
    }

    /// What has come since the last call.
    pub fn look(&self) -> Events {
        std::mem::take(&mut self.events.lock().unwrap())
    }
}

/// Everyone's epoll.
pub struct Epolls {
    pub workers: Vec<Epoll>,
    pub main: Epoll,
    faults: Faults,
}

impl Epolls {
    pub fn new(workers: usize, faults: Faults) -> Self {
        Self {
            workers: (0..workers).map(|_| Epoll::new()).collect(),
            main: Epoll::new(),
            faults,
        }
    }
}

impl Bells for Epolls {
    fn ring_worker(&self, worker: usize) {
        if self.faults.worker_bells {
            self.workers[worker].add(|events| events.bell = true);
        }
    }

    fn ring_main(&self) {
        if self.faults.main_bell {
            self.main.add(|events| events.bell = true);
        }
    }
}
