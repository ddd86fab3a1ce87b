//! The thread pool's hand-over in a model that tries the orders of its steps (loom): no wake-up is
//! lost, no job is lost or doubled, and the stop ends. What is changed for the worse is caught.
//!
//! The hand-over is the server's own. Of the rest there is only what it waits for: here clients,
//! epoll and eventfds are flags under loom's locks.

#![allow(unreachable_pub)] // its parts are modules

#[path = "handover_model/course.rs"]
mod course;
#[path = "handover_model/parts.rs"]
mod parts;
use crate::common::program;

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};

use course::{Course, Habits, Job};
use parts::{Changed, Faults};

use Job::{Long, Short, Stuck};

/// The variable that tells this program, started again, to run the faulty course.
const FAULTY: &str = "TRAINYARD_TEST_FAULTY";
const ALL_WELL: Faults = Faults::NONE;

/// Tries a course in every order of steps with so many preemptions.
fn check(course: Course, preemptions: usize, faults: Faults, habits: Habits) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(move || course.run(faults, habits));
}

/// Tries a course with nothing changed: once, however many tests ask for it at the same time.
#[track_caller]
fn passes(preemptions: usize, course: Course) {
    static PASSED: Mutex<BTreeMap<String, Arc<OnceLock<()>>>> = Mutex::new(BTreeMap::new());
    let name = format!("{preemptions} {course:?}");
    let passed = Arc::clone(PASSED.lock().unwrap().entry(name).or_default());
    passed.get_or_init(|| check(course, preemptions, ALL_WELL, Habits::RIGHT));
}

/// The course fails with these words in one order of steps at least; with nothing changed it passes.
/// It fails in a process of its own, because a model that fails cannot always clean up.
#[track_caller]
fn is_caught(words: &str, course: Course, faults: Faults, habits: Habits) {
    let preemptions = if course.jobs.len() > 3 { 1 } else { 2 };
    if std::env::var_os(FAULTY).is_some() {
        return check(course, preemptions, faults, habits);
    }
    passes(preemptions, course);
    // With TRAINYARD_PROGRAMS only those programs are emulated, and this one is not.
    let mut command = match std::env::var_os("TRAINYARD_PROGRAMS") {
        Some(_) => Vec::new(),
        None => program::runner(),
    };
    command.push(std::env::current_exe().unwrap().to_str().unwrap().into());
    let output = Command::new(&command[0])
        .args(&command[1..])
        .args(["--exact", std::thread::current().name().unwrap()])
        .arg("--nocapture")
        .env(FAULTY, "")
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{faults:?} {habits:?} passes");
    assert!(text.contains(words), "{faults:?} {habits:?}: {text}");
}

const fn course(
    capacity: usize,
    workers: usize,
    per_worker: usize,
    jobs: &'static [Job],
) -> Course {
    Course {
        capacity,
        workers,
        per_worker,
        jobs,
        batch: 1,
        calls_all: false,
    }
}

#[test]
fn sleepers_take_what_is_put() {
    for capacity in 1..=3 {
        passes(2, course(capacity, 2, 3, &[Short, Short, Short]));
    }
    passes(1, course(2, 3, 1, &[Short, Short, Short]));
}

#[test]
fn jobs_in_batches_are_shared() {
    let batches = Course {
        batch: 2,
        ..course(2, 2, 2, &[Short; 4])
    };
    passes(1, batches);
    let batches = Course {
        batch: 3,
        ..course(3, 3, 1, &[Short; 3])
    };
    passes(1, batches);
}

#[test]
fn who_waits_in_epoll_takes_what_is_put() {
    for capacity in 1..=2 {
        passes(2, course(capacity, 2, 2, &[Long, Long, Short]));
    }
    passes(1, course(3, 2, 2, &[Long, Long, Short, Short]));
}
#[test]
fn three_workers_wait_in_both_ways() {
    passes(1, course(2, 3, 2, &[Long, Short, Short]));
}

#[test]
fn a_job_does_not_wait_for_a_worker_that_is_stuck() {
    for capacity in 1..=2 {
        passes(2, course(capacity, 2, 2, &[Stuck, Short]));
    }
    passes(1, course(1, 2, 2, &[Long, Stuck, Short]));
    passes(1, course(1, 3, 2, &[Stuck, Stuck, Short]));
}

#[test]
fn a_full_server_takes_the_place_of_an_idle_connection() {
    passes(1, course(1, 2, 1, &[Long, Long, Short]));
}

#[test]
fn all_come_round_when_they_are_called() {
    for jobs in [&[][..], &[Short], &[Long, Short]] {
        let called = Course {
            calls_all: true,
            ..course(1, 2, 2, jobs)
        };
        passes(2, called);
    }
}

#[test]
fn a_wake_up_for_no_reason_does_no_harm() {
    let faults = Faults {
        wait: Changed::ReturnsForNoReason,
        ..ALL_WELL
    };
    for jobs in [&[Short, Short][..], &[Long, Short]] {
        check(course(1, 2, 2, jobs), 2, faults, Habits::RIGHT);
    }
}

#[test]
fn a_signal_left_out_is_caught() {
    let faults = Faults {
        signal: false,
        ..ALL_WELL
    };
    is_caught("deadlock", course(1, 2, 1, &[Short]), faults, Habits::RIGHT);
}

#[test]
fn a_sleeper_that_is_not_called_is_caught() {
    let faults = Faults {
        signal: false,
        ..ALL_WELL
    };
    let called = Course {
        calls_all: true,
        ..course(1, 2, 2, &[])
    };
    is_caught("deadlock", called, faults, Habits::RIGHT);
}

#[test]
fn a_wait_that_does_not_test_again_under_the_lock_is_caught() {
    let faults = Faults {
        wait: Changed::GivesTheLockUpBefore,
        ..ALL_WELL
    };
    is_caught("deadlock", course(1, 2, 1, &[Short]), faults, Habits::RIGHT);
}

#[test]
fn a_workers_bell_left_out_is_caught() {
    let faults = Faults {
        worker_bells: false,
        ..ALL_WELL
    };
    is_caught(
        "deadlock",
        course(1, 2, 2, &[Long, Long, Short]),
        faults,
        Habits::RIGHT,
    );
}

#[test]
fn the_main_threads_bell_left_out_is_caught() {
    let faults = Faults {
        main_bell: false,
        ..ALL_WELL
    };
    is_caught("deadlock", course(1, 2, 1, &[Short]), faults, Habits::RIGHT);
}

#[test]
fn a_worker_that_waits_in_epoll_without_looking_is_caught() {
    let habits = Habits {
        looks_before_it_waits: false,
        ..Habits::RIGHT
    };
    is_caught(
        "deadlock",
        course(1, 2, 2, &[Long, Long, Short]),
        ALL_WELL,
        habits,
    );
}

#[test]
fn a_worker_that_works_as_if_it_waited_is_caught() {
    let habits = Habits {
        resumes: false,
        ..Habits::RIGHT
    };
    is_caught(
        "deadlock",
        course(1, 2, 4, &[Long, Long, Long, Stuck, Short]),
        ALL_WELL,
        habits,
    );
}

#[test]
fn a_worker_that_reports_a_job_twice_is_caught() {
    let habits = Habits {
        reports_once: false,
        ..Habits::RIGHT
    };
    is_caught(
        "what was taken ends once",
        course(1, 2, 2, &[Short, Short]),
        ALL_WELL,
        habits,
    );
}
