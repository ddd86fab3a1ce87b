//! Workers that sleep on the condition. There is one thread here: whoever would sleep lets the next step of
//! a script happen instead, and wakes.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::VecDeque;

use super::*;

type Step = fn(&Sleepy);

/// A lock for one thread, whose sleep is the next step of a script.
struct Scripted {
    state: RefCell<State<u32, 8, 16>>,
    steps: RefCell<VecDeque<Step>>,
    signals: Cell<usize>,
    handover: Cell<Option<&'static Sleepy>>,
}

impl Monitor<State<u32, 8, 16>> for Scripted {
    type Guard<'a> = RefMut<'a, State<u32, 8, 16>>;

    fn lock(&self) -> Self::Guard<'_> {
        self.state.borrow_mut()
    }

    fn wait<'a>(&'a self, guard: Self::Guard<'a>) -> Self::Guard<'a> {
        drop(guard);
        let step = self
            .steps
            .borrow_mut()
            .pop_front()
            .expect("nobody wakes it");
        step(self.handover.get().unwrap());
        self.lock()
    }

    fn signal(&self) {
        self.signals.set(self.signals.get() + 1);
    }
}

/// Bells that only count.
#[derive(Default)]
struct Count(Cell<usize>);

impl Bells for Count {
    fn ring_worker(&self, _: usize) {
        self.0.set(self.0.get() + 1);
    }

    fn ring_main(&self) {}
}

type Sleepy = Handover<u32, Scripted, Count, 8, 16>;

/// A hand-over of two workers with two places each, where this happens while one sleeps.
fn sleepy(steps: &[Step]) -> &'static Sleepy {
    let monitor = Scripted {
        state: RefCell::new(State::new()),
        steps: RefCell::new(steps.iter().copied().collect()),
        signals: Cell::new(0),
        handover: Cell::new(None),
    };
    let handover: &'static Sleepy = Box::leak(Box::new(Handover::new(monitor, Count::default())));
    handover.monitor.handover.set(Some(handover));
    handover.init(8, 2, 2);
    handover
}

/// Lets worker 0 sleep until it has an order; the signals that were sent meanwhile.
#[track_caller]
fn sleep(handover: &Sleepy) -> usize {
    handover.monitor.signals.set(0);
    assert!(handover.before_wait(0, IdleMode::Sleep));
    assert!(
        handover.monitor.steps.borrow().is_empty(),
        "it wakes too early"
    );
    assert_eq!(handover.monitor.lock().sleepers, 0);
    assert!(!handover.monitor.lock().seats[0].asleep);
    handover.monitor.signals.get()
}

fn jobs(handover: &Sleepy, worker: usize) -> Vec<u32, JOBS_PER_MESSAGE_MAX> {
    match handover.receive(worker) {
        Order::Jobs(jobs) => jobs,
        Order::Nothing => Vec::new(),
        _ => panic!("another order"),
    }
}

fn put(handover: &Sleepy, job: u32) {
    handover.put(Vec::from_slice(&[job]).unwrap());
}

#[test]
fn who_sleeps_is_woken_for_a_job() {
    let handover = sleepy(&[|handover| {
        assert!(!handover.ask(0), "who sleeps has no idle connection");
        put(handover, 7);
    }]);
    assert_eq!(sleep(handover), 1);
    assert_eq!(jobs(handover, 0), [7]);
    assert_eq!(handover.monitor.lock().signals, 0);
    assert!(handover.ask(0));
    assert_eq!(handover.bells().0.get(), 0, "it does not wait in its epoll");
}

#[test]
fn who_wakes_for_no_reason_sleeps_on() {
    let handover = sleepy(&[|_| {}, |_| {}, |handover| put(handover, 7)]);
    assert_eq!(sleep(handover), 1);
    assert_eq!(jobs(handover, 0), [7]);
}

#[test]
fn one_signal_is_enough_for_one_who_sleeps() {
    let handover = sleepy(&[|handover| {
        put(handover, 7);
        put(handover, 8);
        put(handover, 9);
        assert_eq!(handover.monitor.lock().signals, 1);
        // One who is at work leaves the jobs to who is coming.
        assert!(!handover.before_wait(1, IdleMode::Poll));
        assert!(matches!(handover.receive(1), Order::Nothing));
    }]);
    assert_eq!(sleep(handover), 1);
    assert_eq!(jobs(handover, 0), [7, 8]);
    assert!(
        !handover.before_wait(0, IdleMode::Poll),
        "it has no place left"
    );
    assert_eq!(jobs(handover, 1), [9]);
}

#[test]
fn who_sleeps_is_told_to_drain_when_it_wakes() {
    let handover = sleepy(&[|handover| {
        handover.drain();
        assert_eq!(handover.monitor.signals.get(), 0);
        put(handover, 7);
    }]);
    assert_eq!(sleep(handover), 1);
    assert!(matches!(handover.receive(0), Order::Drain));
    assert_eq!(jobs(handover, 0), [7]);
    assert!(jobs(handover, 0).is_empty(), "it was told once");
}

#[test]
fn all_who_sleep_are_woken_to_have_a_round_and_to_leave() {
    let handover = sleepy(&[Handover::wake_all]);
    assert_eq!(sleep(handover), 1);
    assert!(matches!(handover.receive(0), Order::Wake));
    assert!(matches!(handover.receive(0), Order::Nothing));
    let handover = sleepy(&[|handover| {
        put(handover, 7);
        handover.close();
    }]);
    assert_eq!(sleep(handover), 1, "it was woken for the job");
    assert!(matches!(handover.receive(0), Order::Closed));
    let handover = sleepy(&[Handover::close]);
    assert_eq!(sleep(handover), 1);
    assert!(matches!(handover.receive(0), Order::Closed));
}
