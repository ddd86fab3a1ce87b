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

#[test]
fn who_is_at_work_leaves_jobs_to_who_is_coming() {
    let handover = simple(8, 2, 4);
    hold_one_each(&handover, 2);
    handover.after_wait(0);
    put(&handover, &[5]);
    assert_eq!(handover.bells().take(), [Some(1)], "the one that waits");
    assert!(!handover.before_wait(0, IdleMode::Poll));
    assert!(jobs(&handover, 0).is_empty());
    assert!(handover.before_wait(1, IdleMode::Poll), "it was called");
    assert_eq!(jobs(&handover, 1), [5]);
    put(&handover, &[6]);
    assert_eq!(handover.bells().take(), [Some(1)]);
    assert_eq!(jobs(&handover, 1), [6]);
    handover.after_wait(1);
    put(&handover, &[7]);
    assert_eq!(handover.bells().take(), [], "both look by themselves");
    assert!(handover.before_wait(0, IdleMode::Wait), "it must not wait");
    assert_eq!(jobs(&handover, 0), [7]);
}

#[test]
fn who_has_no_place_left_has_no_order() {
    let handover = simple(8, 1, 2);
    put(&handover, &[1, 2, 3]);
    assert!(!handover.is_busy(0));
    assert_eq!(jobs(&handover, 0), [1, 2]);
    assert!(handover.is_busy(0));
    assert!(!handover.before_wait(0, IdleMode::Poll));
    assert!(jobs(&handover, 0).is_empty());
    assert_eq!(handover.room(), 7);
    handover.report(0, &[1]);
    assert!(handover.before_wait(0, IdleMode::Poll));
    assert_eq!(jobs(&handover, 0), [3]);
    handover.report(0, &[2, 3]);
    assert!(!handover.is_busy(0));
    assert_eq!(handover.room(), 8);
}

#[test]
fn the_main_thread_hears_of_room_only_where_there_was_none() {
    let handover = simple(2, 1, 8);
    put(&handover, &[1]);
    assert_eq!(jobs(&handover, 0), [1]);
    assert_eq!(handover.bells().take(), []);
    put(&handover, &[2, 3]);
    assert_eq!(jobs(&handover, 0), [2, 3]);
    assert_eq!(handover.bells().take(), [None]);
    assert!(jobs(&handover, 0).is_empty());
    assert_eq!(handover.bells().take(), []);
}

#[test]
fn only_who_waits_is_rung() {
    let handover = simple(8, 3, 2);
    hold_one_each(&handover, 3);
    handover.after_wait(1);
    handover.drain();
    assert_eq!(handover.bells().take(), [Some(0), Some(2)]);
    handover.wake_all();
    assert_eq!(handover.bells().take(), [Some(0), Some(2)]);
    handover.close();
    assert_eq!(handover.bells().take(), [Some(0), Some(2)]);
    assert!(handover.ask(1));
    assert_eq!(handover.bells().take(), []);
    handover.wake_worker(1);
    assert_eq!(handover.bells().take(), [Some(1)]);
    // In this order, each one once.
    assert!(matches!(handover.receive(1), Order::GiveWay));
    assert!(matches!(handover.receive(1), Order::Wake));
    assert!(matches!(handover.receive(1), Order::Drain));
    assert!(matches!(handover.receive(1), Order::Closed));
}

#[test]
fn batches_have_their_size() {
    type Large = Handover<u32, Alone<State<u32, 40, 128>>, Rung, 40, 128>;
    let handover: Large = Handover::new(Alone(RefCell::new(State::new())), Rung::default());
    handover.init(40, 1, 100);
    for round in 0..5 {
        let batch: Batch<u32> = (16 * round..16 * (round + 1)).collect();
        handover.put(batch.clone());
        if round == 0 {
            handover.put((100..116).collect());
        }
        let Order::Jobs(jobs) = handover.receive(0) else {
            panic!("another order");
        };
        assert_eq!(jobs.len(), JOBS_PER_MESSAGE_MAX);
        handover.report(0, &jobs);
    }
    handover.bells().take();
    assert_eq!(handover.take_done().len(), REPORT_MAX);
    let Order::Jobs(jobs) = handover.receive(0) else {
        panic!("another order");
    };
    handover.report(0, &jobs);
    assert_eq!(handover.bells().take(), [], "there are more to take");
    assert_eq!(
        handover.take_done().len(),
        6 * JOBS_PER_MESSAGE_MAX - REPORT_MAX
    );
    handover.report(0, &[]);
    assert_eq!(handover.bells().take(), [None]);
    assert_eq!(handover.take_done().len(), 0);
}

#[test]
fn a_hand_over_is_set_up_once_for_what_it_can_hold() {
    for (capacity, workers, per_worker) in [
        (0, 1, 1),
        (9, 1, 1),
        (8, 0, 1),
        (8, WORKERS_MAX + 1, 1),
        (8, 1, 0),
    ] {
        let set_up = std::panic::catch_unwind(|| simple(capacity, workers, per_worker));
        assert!(set_up.is_err(), "{capacity} {workers} {per_worker}");
    }
    let handover = simple(8, WORKERS_MAX, 1);
    let again = std::panic::AssertUnwindSafe(|| handover.init(8, 1, 1));
    assert!(std::panic::catch_unwind(again).is_err());
}

#[test]
#[should_panic(expected = "no more than it has room for")]
fn a_full_queue_is_given_no_more() {
    put(&simple(2, 1, 8), &[1, 2, 3]);
}

#[test]
#[should_panic(expected = "ends once")]
fn what_was_not_taken_is_not_reported() {
    simple(2, 1, 8).report(0, &[1]);
}

#[test]
#[should_panic(expected = "leaves when it is told")]
fn nobody_leaves_by_itself() {
    simple(2, 1, 8).leave(0);
}
