//! A panic in a thread of the pool, or in the main thread, ends the process with a line that says where and why: this test
//! is a program of its own on the server's arena and factory, which starts itself again.

#![allow(missing_docs)] // a test's name is its documentation

#[path = "common/program.rs"]
#[allow(dead_code, unreachable_pub)]
mod program;

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use trainyard::link::{IdleMode, Job, Order, PoolLink, Protocol};
use trainyard::memory::Arena;
use trainyard::pool::factory::{Factory, ThreadLink};
use trainyard::pool::handover::Batch;
use trainyard::sys::{self, Errno};
use trainyard::{limits, logger};

#[global_allocator]
static ARENA: Arena = Arena::new();

/// The variable that tells this program, started again, what to do.
const ACTION: &str = "TRAINYARD_TEST_ACTION";
const WORKERS: usize = 3;

/// A worker that follows one order, of which it makes what `word` says.
fn work(link: &mut ThreadLink, word: &'static str) {
    while link.before_wait(IdleMode::Sleep) {
        match link.receive().unwrap() {
            Order::Jobs(jobs) => {
                for job in jobs {
                    match word {
                        "text" => panic!("plain text"),
                        "number" => panic!("ticket {} of {WORKERS}", job.ticket),
                        "compare" => assert_eq!(job.ticket, 8, "the ticket"),
                        "index" => drop(std::hint::black_box([7][job.ticket as usize])),
                        _ => link.report(&[job.ticket]).unwrap(),
                    }
                }
            }
            Order::Closed => return,
            Order::Nothing | Order::GiveWay | Order::Drain | Order::Wake => {}
        }
    }
}

/// What the program does when it is started with a word.
fn act(word: &'static str) {
    logger::catch_panics();
    let mut factory = Factory::init(limits::QUEUE_CAPACITY, WORKERS, 1).unwrap();
    factory
        .start(|_| Ok(move |link: &mut ThreadLink| work(link, word)))
        .unwrap();
    let again = factory.start(|_| Ok(|_: &mut ThreadLink| unreachable!()));
    assert_eq!(again, Err(Errno::EALREADY), "it is started once");
    ARENA.seal();
    if word == "main" {
        panic!("the main thread has {WORKERS} workers");
    }
    let mut jobs = Batch::new();
    let job = Job {
        ticket: 7,
        address: core::net::Ipv6Addr::LOCALHOST,
        protocol: Protocol::Ask,
        socket: sys::Descriptor::NONE,
    };
    assert!(jobs.push(job).is_ok());
    factory.shared().put(jobs);
    let until_ms = sys::now_ms() + 10_000;
    while factory.shared().take_done() != [7] {
        assert!(sys::now_ms() < until_ms, "the job comes back");
        sys::sleep_us(1000);
    }
    factory.destroy();
    assert_eq!(factory.shared().left(), WORKERS, "all are joined");
}

/// Starts this program again: how it ended, and what it said.
fn result_of(word: &str) -> (std::process::ExitStatus, String) {
    // With TRAINYARD_PROGRAMS only those programs are emulated, and this one is not.
    let mut words = match std::env::var_os("TRAINYARD_PROGRAMS") {
        Some(_) => Vec::new(),
        None => program::runner(),
    };
    words.push(std::env::current_exe().unwrap().to_str().unwrap().into());
    // This program's own heap is the arena, too small for a copy of a large environment each time.
    let kept =
        ["PATH", "QEMU_LD_PREFIX"].map(|name| (name, std::env::var_os(name).unwrap_or_default()));
    let output = Command::new(&words[0])
        .args(&words[1..])
        .env_clear()
        .envs(kept.into_iter().filter(|(_, value)| !value.is_empty()))
        .env(ACTION, word)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (output.status, String::from_utf8(output.stderr).unwrap())
}

fn main() {
    const PANICS: [(&str, &str); 5] = [
        ("main", "the main thread has 3 workers"),
        ("text", "plain text"),
        ("number", "ticket 7 of 3"),
        ("compare", "the ticket"),
        ("index", "the len is 1 but the index is 7"),
    ];
    if let Ok(word) = std::env::var(ACTION) {
        let known = PANICS.iter().map(|(word, _)| *word).chain(["nothing"]);
        return act(known.into_iter().find(|known| *known == word).unwrap());
    }
    let (status, text) = result_of("nothing");
    assert_eq!((status.code(), &text[..]), (Some(0), ""));
    for (word, message) in PANICS {
        let (status, text) = result_of(word);
        assert_eq!(status.signal(), Some(6), "{word}: {text}");
        assert_eq!(text.lines().count(), 1, "{word}: {text}");
        for part in ["bug: ", "tests/panic.rs:", message] {
            assert!(text.contains(part), "{word}: no {part:?} in {text:?}");
        }
        println!(
            "panic: {word} in a thread ends the process: {}",
            text.trim()
        );
    }
}
