//! The thread pool's hand-over: a bounded queue under one lock, and who is woken for a job.
//!
//! No system call is made under the lock: who has to wake is chosen there, and woken afterwards.
//! What lock, wait and signal are is left to a [`Monitor`], so that a model can try every order of
//! steps (`tests/handover_model.rs`).
//!
//! A worker is *coming* when it was chosen and has not looked at the queue since. What always holds:
//! while a job lies in the queue, somebody with a place for it is coming, or is at work and looks at
//! the queue before it waits.

mod queue;

use core::marker::PhantomData;
use core::ops::DerefMut;

use heapless::Vec;

use crate::limits::{JOBS_PER_MESSAGE_MAX, WORKERS_MAX};
use crate::link::{IdleMode, Order, REPORT_MAX};

use queue::Queue;

/// A lock around a value, and a condition to sleep on while it is given up.
pub trait Monitor<T> {
    /// Whoever has it has the lock.
    type Guard<'a>: DerefMut<Target = T>
    where
        Self: 'a;

    /// Waits for the lock.
    fn lock(&self) -> Self::Guard<'_>;

    /// Gives the lock up and sleeps, in one step, until a signal or for no reason; has the lock again
    /// when it returns.
    fn wait<'a>(&'a self, guard: Self::Guard<'a>) -> Self::Guard<'a>;

    /// Wakes one that sleeps, if one does.
    fn signal(&self);
}

/// What wakes those who wait in their epoll. A bell that was rung stays so until it is heard.
pub trait Bells {
    /// Wakes a worker.
    fn ring_worker(&self, worker: usize);
    /// Wakes the main thread.
    fn ring_main(&self);
}

/// Jobs that go together.
pub type Batch<J> = Vec<J, JOBS_PER_MESSAGE_MAX>;

/// What is known of one worker. All zeroes is one at work, with nothing in hand.
struct Seat {
    /// Jobs that it has taken and not reported.
    held: usize,
    /// It sleeps on the condition.
    asleep: bool,
    /// It waits in its epoll, or is about to.
    waits: bool,
    /// It was chosen, and has not looked at the queue since.
    called: bool,
    /// It has yet to be told to end an idle connection.
    give_way: bool,
    /// It was asked to, and has not reported since.
    asked: bool,
    /// It was told to drain.
    drained: bool,
    /// It has yet to be told to come round.
    look: bool,
}

/// What the lock guards. All zeroes, but for what [`Handover::init`] sets.
pub struct State<J, const JOBS: usize, const TICKETS: usize> {
    queue: Queue<J, JOBS>,
    /// Tickets that the main thread has yet to take. Every ticket fits in.
    done: Vec<u32, TICKETS>,
    /// The main thread's bell was rung, and it has not looked since.
    told: bool,
    seats: [Seat; WORKERS_MAX],
    workers: usize,
    per_worker: usize,
    sleepers: usize,
    /// Signals that no sleeper has answered yet; never more than there are on their way.
    signals: usize,
    draining: bool,
    closed: bool,
    left: usize,
}

/// Who has to wake.
#[derive(Clone, Copy)]
enum Wake {
    Nobody,
    Sleeper,
    Worker(usize),
}

impl<J, const JOBS: usize, const TICKETS: usize> State<J, JOBS, TICKETS> {
    /// No workers, and a queue without room.
    #[must_use]
    pub const fn new() -> Self {
        const SEAT: Seat = Seat {
            held: 0,
            asleep: false,
            waits: false,
            called: false,
            give_way: false,
            asked: false,
            drained: false,
            look: false,
        };
        Self {
            queue: Queue::new(),
            done: Vec::new(),
            told: false,
            seats: [SEAT; WORKERS_MAX],
            workers: 0,
            per_worker: 0,
            sleepers: 0,
            signals: 0,
            draining: false,
            closed: false,
            left: 0,
        }
    }

    fn coming(&self) -> usize {
        let called = self.seats[..self.workers].iter().filter(|seat| seat.called);
        self.signals + called.count()
    }

    /// Chooses one more to come: a sleeper, or else the least busy that waits and has a place. Those
    /// at work look by themselves.
    fn call(&mut self) -> Wake {
        if self.sleepers > self.signals {
            self.signals += 1;
            return Wake::Sleeper;
        }
        let per_worker = self.per_worker;
        let seats = self.seats[..self.workers].iter_mut().enumerate();
        let least_busy = seats
            .filter(|(_, seat)| seat.waits && !seat.called && seat.held < per_worker)
            .min_by_key(|(_, seat)| seat.held);
        match least_busy {
            Some((worker, seat)) => {
                seat.called = true;
                Wake::Worker(worker)
            }
            None => Wake::Nobody,
        }
    }

    /// Whether [`Handover::receive`] has something for this worker.
    fn has_order(&self, worker: usize) -> bool {
        let seat = &self.seats[worker];
        let has_place = seat.held < self.per_worker;
        self.closed
            || (self.draining && !seat.drained)
            || seat.give_way
            || seat.look
            || seat.called
            || (has_place && !self.queue.empty() && self.coming() == 0)
    }

    /// True when the main thread's bell has to be rung.
    fn tell(&mut self) -> bool {
        !core::mem::replace(&mut self.told, true)
    }
}

impl<J, const JOBS: usize, const TICKETS: usize> Default for State<J, JOBS, TICKETS> {
    fn default() -> Self {
        Self::new()
    }
}

/// The hand-over between the main thread and the workers.
pub struct Handover<J, M, B, const JOBS: usize, const TICKETS: usize> {
    monitor: M,
    bells: B,
    job: PhantomData<fn(J) -> J>,
}

impl<J, M, B, const JOBS: usize, const TICKETS: usize> Handover<J, M, B, JOBS, TICKETS> {
    /// A hand-over on this monitor, which guards a new [`State`].
    pub const fn new(monitor: M, bells: B) -> Self {
        Self {
            monitor,
            bells,
            job: PhantomData,
        }
    }

    /// The bells.
    pub const fn bells(&self) -> &B {
        &self.bells
    }
}

/// The main thread's side. Nothing here blocks for longer than the lock is held.
impl<J, M, B, const JOBS: usize, const TICKETS: usize> Handover<J, M, B, JOBS, TICKETS>
where
    M: Monitor<State<J, JOBS, TICKETS>>,
    B: Bells,
{
    /// Says how many jobs the queue holds at most, and how many each of the workers.
    pub fn init(&self, capacity: usize, workers: usize, per_worker: usize) {
        assert!((1..=JOBS).contains(&capacity) && (1..=WORKERS_MAX).contains(&workers));
        assert!(per_worker > 0);
        let mut state = self.monitor.lock();
        assert_eq!(state.workers, 0, "it is set up once");
        state.queue.capacity = capacity;
        (state.workers, state.per_worker) = (workers, per_worker);
    }

    /// Jobs that the queue takes now. Only the main thread puts any in, so it never gets less by
    /// itself; when it was 0, the main thread's bell rings as soon as it is more.
    pub fn room(&self) -> usize {
        let state = self.monitor.lock();
        state.queue.capacity() - state.queue.size()
    }

    /// Puts jobs into the queue, not more than there is room for, and wakes one worker for them. The
    /// workers together must have a place for every job that is in the queue.
    pub fn put(&self, jobs: Batch<J>) {
        let mut state = self.monitor.lock();
        for job in jobs {
            if state.queue.set(job).is_err() {
                panic!("the queue is given no more than it has room for");
            }
        }
        let wake = state.call();
        drop(state);
        self.wake(wake);
    }

    /// Asks a worker to end an idle connection; false when it sleeps, and so has none.
    pub fn ask(&self, worker: usize) -> bool {
        let mut state = self.monitor.lock();
        let seat = &mut state.seats[worker];
        if seat.asleep {
            return false;
        }
        (seat.give_way, seat.asked) = (true, true);
        let waits = seat.waits;
        drop(state);
        if waits {
            self.bells.ring_worker(worker);
        }
        true
    }

    /// Whether a worker was asked, and has yet to report.
    pub fn is_asked(&self, worker: usize) -> bool {
        self.monitor.lock().seats[worker].asked
    }

    /// Whether a worker has jobs in hand.
    pub fn is_busy(&self, worker: usize) -> bool {
        self.monitor.lock().seats[worker].held > 0
    }

    /// Wakes a worker that waits in its epoll, for nothing but that it comes round.
    pub fn wake_worker(&self, worker: usize) {
        self.bells.ring_worker(worker);
    }

    /// Takes tickets that were reported. Fewer than `REPORT_MAX` are all there are; the main thread's
    /// bell rings for the next.
    pub fn take_done(&self) -> Vec<u32, REPORT_MAX> {
        let mut state = self.monitor.lock();
        let mut tickets = Vec::new();
        while !tickets.is_full()
            && let Some(ticket) = state.done.pop()
        {
            let _ = tickets.push(ticket);
        }
        if !tickets.is_full() {
            state.told = false;
        }
        tickets
    }

    /// Tells every worker to drain: one that waits at once, one that sleeps when it wakes.
    pub fn drain(&self) {
        self.monitor.lock().draining = true;
        self.ring_those_who_wait();
    }

    /// Tells every worker to leave. This and [`Handover::wake_all`] are the cases in which all are woken.
    pub fn close(&self) {
        let mut state = self.monitor.lock();
        state.closed = true;
        self.wake_everybody(state);
    }

    /// Lets every worker have a round soon, also those that sleep.
    pub fn wake_all(&self) {
        let mut state = self.monitor.lock();
        let workers = state.workers;
        for seat in &mut state.seats[..workers] {
            seat.look = true;
        }
        self.wake_everybody(state);
    }

    fn wake_everybody(&self, mut state: M::Guard<'_>) {
        let signals = state.sleepers - state.signals;
        state.signals = state.sleepers;
        drop(state);
        (0..signals).for_each(|_| self.monitor.signal());
        self.ring_those_who_wait();
    }

    /// Workers that have left.
    pub fn left(&self) -> usize {
        self.monitor.lock().left
    }

    fn ring_those_who_wait(&self) {
        let mut waiting = [false; WORKERS_MAX];
        let state = self.monitor.lock();
        for (worker, seat) in state.seats[..state.workers].iter().enumerate() {
            waiting[worker] = seat.waits;
        }
        drop(state);
        for (worker, waits) in waiting.into_iter().enumerate() {
            if waits {
                self.bells.ring_worker(worker);
            }
        }
    }

    fn wake(&self, wake: Wake) {
        match wake {
            Wake::Nobody => {}
            Wake::Sleeper => self.monitor.signal(),
            Wake::Worker(worker) => self.bells.ring_worker(worker),
        }
    }
}

/// A worker's side.
impl<J, M, B, const JOBS: usize, const TICKETS: usize> Handover<J, M, B, JOBS, TICKETS>
where
    M: Monitor<State<J, JOBS, TICKETS>>,
    B: Bells,
{
    /// What a worker does before it waits in its epoll: true when there is an order for it, so it
    /// must not wait. With [`IdleMode::Sleep`] it sleeps until there is one.
    pub fn before_wait(&self, worker: usize, mode: IdleMode) -> bool {
        let mut state = self.monitor.lock();
        if !state.has_order(worker) {
            match mode {
                IdleMode::Poll => return false,
                IdleMode::Wait => {
                    state.seats[worker].waits = true;
                    return false;
                }
                IdleMode::Sleep => drop(self.sleep(worker, state)),
            }
        }
        true
    }

    fn sleep<'a>(&'a self, worker: usize, mut state: M::Guard<'a>) -> M::Guard<'a> {
        state.seats[worker].asleep = true;
        while !state.has_order(worker) {
            state.sleepers += 1;
            state = self.monitor.wait(state);
            state.sleepers -= 1;
            state.signals = state.signals.saturating_sub(1);
            // It may have come for them, and with it nobody else.
            state.seats[worker].called = !state.queue.empty();
        }
        state.seats[worker].asleep = false;
        state
    }

    /// What a worker does when it waits in its epoll no longer.
    pub fn after_wait(&self, worker: usize) {
        self.monitor.lock().seats[worker].waits = false;
    }

    /// Takes the next order. Of the jobs a worker takes its share, as many as it has places for, and
    /// calls another for the rest.
    pub fn receive(&self, worker: usize) -> Order<J> {
        let mut state = self.monitor.lock();
        let is_draining = state.draining;
        let seat = &mut state.seats[worker];
        if seat.give_way {
            seat.give_way = false;
            return Order::GiveWay;
        }
        if core::mem::take(&mut seat.look) {
            return Order::Wake;
        }
        if is_draining && !core::mem::replace(&mut seat.drained, true) {
            return Order::Drain;
        }
        let was_called = core::mem::take(&mut seat.called);
        if state.closed {
            return Order::Closed;
        }
        let others = state.coming();
        let was_full = state.queue.full();
        let mut jobs = Batch::new();
        if was_called || others == 0 {
            let places = state.per_worker - state.seats[worker].held;
            let share = state.queue.size().div_ceil(1 + others).min(places);
            while jobs.len() < share
                && !jobs.is_full()
                && let Some(job) = state.queue.get()
            {
                let _ = jobs.push(job);
            }
        }
        state.seats[worker].held += jobs.len();
        let wake = if others == 0 && !state.queue.empty() {
            state.call()
        } else {
            Wake::Nobody
        };
        let tells = was_full && !jobs.is_empty() && state.tell();
        drop(state);
        self.wake(wake);
        if tells {
            self.bells.ring_main();
        }
        if jobs.is_empty() {
            Order::Nothing
        } else {
            Order::Jobs(jobs)
        }
    }

    /// Reports jobs that have ended, none as the answer that no connection can give way.
    pub fn report(&self, worker: usize, tickets: &[u32]) {
        let mut state = self.monitor.lock();
        let seat = &mut state.seats[worker];
        assert!(seat.held >= tickets.len(), "what was taken ends once");
        seat.held -= tickets.len();
        seat.asked = false;
        if state.done.extend_from_slice(tickets).is_err() {
            panic!("every ticket fits in");
        }
        let tells = state.tell();
        drop(state);
        if tells {
            self.bells.ring_main();
        }
    }

    /// The last thing that a worker does.
    pub fn leave(&self, worker: usize) {
        let mut state = self.monitor.lock();
        assert!(
            state.closed,
            "worker {worker} leaves when it is told, not before"
        );
        state.left += 1;
        let tells = state.tell();
        drop(state);
        if tells {
            self.bells.ring_main();
        }
    }
}

#[cfg(test)]
mod sleep_tests;
#[cfg(test)]
mod tests;
