use std::cell::{RefCell, RefMut};

use super::*;

/// A lock for one thread, on which nobody sleeps.
struct Alone<T>(RefCell<T>);

impl<T> Monitor<T> for Alone<T> {
    type Guard<'a>
        = RefMut<'a, T>
    where
        Self: 'a;

    fn lock(&self) -> RefMut<'_, T> {
        self.0.borrow_mut()
    }

    fn wait<'a>(&'a self, _: RefMut<'a, T>) -> RefMut<'a, T> {
        panic!("nobody would wake it");
    }

    fn signal(&self) {
        panic!("nobody sleeps");
    }
}

/// Who was rung; `None` for the main thread.
#[derive(Default)]
struct Rung(RefCell<std::vec::Vec<Option<usize>>>);

impl Rung {
    fn take(&self) -> std::vec::Vec<Option<usize>> {
        self.0.take()
    }
}

impl Bells for Rung {
    fn ring_worker(&self, worker: usize) {
        self.0.borrow_mut().push(Some(worker));
    }

    fn ring_main(&self) {
        self.0.borrow_mut().push(None);
    }
}

type Simple = Handover<u32, Alone<State<u32, 8, 16>>, Rung, 8, 16>;

/// A hand-over with a queue of so many places; all workers are at work.
fn simple(capacity: usize, workers: usize, per_worker: usize) -> Simple {
    let handover = Handover::new(Alone(RefCell::new(State::new())), Rung::default());
    handover.init(capacity, workers, per_worker);
    handover
}

fn put(handover: &Simple, jobs: &[u32]) {
    handover.put(Batch::from_slice(jobs).unwrap());
}

/// The jobs that a worker takes now.
#[track_caller]
fn jobs(handover: &Simple, worker: usize) -> Batch<u32> {
    match handover.receive(worker) {
        Order::Jobs(jobs) => jobs,
        Order::Nothing => Batch::new(),
        _ => panic!("another order"),
    }
}

/// Each of the workers holds a job, and waits in its epoll.
fn hold_one_each(handover: &Simple, workers: usize) {
    for worker in 0..workers {
        put(handover, &[worker as u32]);
        assert_eq!(jobs(handover, worker), [worker as u32]);
    }
    for worker in 0..workers {
        assert!(!handover.before_wait(worker, IdleMode::Wait));
    }
}

#[test]
fn a_queue_gives_back_what_it_has_no_room_for() {
    let mut queue: Queue<u32, 4> = Queue::new();
    queue.capacity = 2;
    assert!(queue.empty() && !queue.full());
    assert_eq!(
        (queue.set(1), queue.set(2), queue.set(3)),
        (Ok(()), Ok(()), Err(3))
    );
    assert_eq!((queue.size(), queue.capacity(), queue.full()), (2, 2, true));
    assert_eq!(
        (queue.get(), queue.get(), queue.get()),
        (Some(1), Some(2), None)
    );
}

#[test]
fn the_least_busy_who_waits_and_has_a_place_is_rung() {
    let handover = simple(8, 3, 3);
    put(&handover, &[0, 1, 2]);
    assert_eq!(
        jobs(&handover, 0),
        [0, 1, 2],
        "all at work: who looks first"
    );
    put(&handover, &[3, 4]);
    assert_eq!(jobs(&handover, 1), [3, 4]);
    put(&handover, &[5]);
    assert_eq!(jobs(&handover, 2), [5]);
    for worker in 0..3 {
        assert!(!handover.before_wait(worker, IdleMode::Wait));
    }
    for (job, rung) in [(6, Some(2)), (7, Some(1))] {
        put(&handover, &[job]);
        assert_eq!(
            handover.bells().take(),
            [rung],
            "one is coming, then another"
        );
    }
    put(&handover, &[8]);
    assert_eq!(handover.bells().take(), [], "the last has no place");
}

#[test]
fn those_who_come_share_what_there_is() {
    let handover = simple(8, 2, 8);
    hold_one_each(&handover, 2);
    put(&handover, &[2, 3, 4]);
    put(&handover, &[5, 6]);
    assert_eq!(handover.bells().take(), [Some(0), Some(1)]);
    assert_eq!(jobs(&handover, 1), [2, 3, 4], "half, rounded up");
    assert_eq!(jobs(&handover, 0), [5, 6]);
}

#[test]
fn who_leaves_jobs_calls_another() {
    let handover = simple(8, 2, 3);
    hold_one_each(&handover, 2);
    put(&handover, &[2, 3, 4, 5]);
    assert_eq!(handover.bells().take(), [Some(0)]);
    assert_eq!(jobs(&handover, 0), [2, 3], "as many as it has places for");
    assert_eq!(handover.bells().take(), [Some(1)]);
    assert_eq!(jobs(&handover, 1), [4, 5]);
}

#[test]
fn the_main_thread_is_told_once_until_it_looks() {
    let handover = simple(2, 1, 4);
    put(&handover, &[0, 1]);
    assert_eq!(handover.room(), 0);
    assert_eq!(jobs(&handover, 0), [0, 1]);
    assert_eq!(handover.bells().take(), [None], "there is room again");
    handover.report(0, &[1]);
    handover.report(0, &[0]);
    assert_eq!(handover.bells().take(), [], "it has yet to look");
    let mut back = handover.take_done();
    back.sort_unstable();
    assert_eq!(back, [0, 1]);
    put(&handover, &[2]);
    assert_eq!(jobs(&handover, 0), [2]);
    handover.report(0, &[2]);
    assert_eq!(handover.bells().take(), [None]);
}

#[test]
fn a_worker_that_is_asked_answers_in_any_case() {
    let handover = simple(8, 1, 1);
    hold_one_each(&handover, 1);
    assert!(handover.ask(0) && handover.is_asked(0));
    assert_eq!(handover.bells().take(), [Some(0)]);
    assert!(handover.before_wait(0, IdleMode::Poll), "it has an order");
    assert!(matches!(handover.receive(0), Order::GiveWay));
    handover.report(0, &[]);
    assert!(!handover.is_asked(0));
    assert_eq!(handover.bells().take(), [None]);
}

#[test]
fn orders_to_end_come_before_jobs_and_once() {
    let handover = simple(8, 1, 8);
    handover.drain();
    put(&handover, &[0]);
    assert!(matches!(handover.receive(0), Order::Drain));
    assert_eq!(jobs(&handover, 0), [0], "who was let in is served");
    handover.close();
    assert!(handover.before_wait(0, IdleMode::Sleep));
    assert!(matches!(handover.receive(0), Order::Closed));
    handover.leave(0);
    assert_eq!(handover.left(), 1);
}
