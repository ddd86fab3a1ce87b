//! The thread pool: one process, whose workers are woken one at a time, and which ends as a whole.

use crate::common;

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use common::ask::ask;
use common::client::{assert_cut, large_file, stopped_reader};
use common::program::is_emulated;
use common::server::{LIMIT, Pool, Server, is_for};
use common::{random_file, wait_until};
use nix::sys::signal::Signal;
use trainyard::limits::BOARD;

/// Starts a server with these workers, whatever pool is under test.
fn start(root: &std::path::Path, workers: usize) -> Server {
    let workers = workers.to_string();
    let options = [&Pool::Thread.options()[..], &["--workers", &workers]].concat();
    Server::start(root, &options)
}

#[test]
fn workers_are_threads_of_one_process() {
    if !is_for(Pool::Thread, "workers are threads") {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    for workers in [1, 3, 16] {
        let server = start(root.path(), workers);
        assert!(server.children().is_empty());
        let own = server.threads().len() - usize::from(is_emulated());
        assert_eq!(own, 1 + workers);
        if !is_emulated() {
            assert_eq!(stacks(&server), workers, "of the size that the budget has");
        }
        server.stop();
    }
}

/// Mappings of the size of a thread's stack that can be written to (proc(5)).
fn stacks(server: &Server) -> usize {
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", server.pid())).unwrap();
    let size = |line: &&str| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let number = |text| usize::from_str_radix(text, 16).ok();
        rest.starts_with("rw-p")
            .then_some(number(end)? - number(start)?)
    };
    maps.lines()
        .filter(|line| size(line) == Some(BOARD.thread_stack_bytes))
        .count()
}

/// How often a thread has gone to sleep (proc(5)).
fn sleeps(server: &Server, thread: i32) -> u64 {
    let path = format!("/proc/{}/task/{thread}/status", server.pid());
    let text = std::fs::read_to_string(path).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("voluntary_ctxt_switches"));
    line.unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn a_client_wakes_one_worker() {
    const WORKERS: usize = 16;
    const CLIENTS: u64 = 100;
    if !is_for(Pool::Thread, "a client wakes one worker") {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let bytes = random_file(&root.path().join("file"), 1, 1000);
    let server = start(root.path(), WORKERS);
    let workers: Vec<i32> = server
        .threads()
        .into_iter()
        .filter(|thread| *thread != server.pid())
        .collect();
    let all = || -> u64 { workers.iter().map(|thread| sleeps(&server, *thread)).sum() };
    // What a wake-up of all would cost is 16 for each client.
    let before = all();
    for _ in 0..CLIENTS {
        let answer = ask(&mut server.connect(), b"file", &[]).unwrap();
        assert_eq!(answer.data, bytes);
        std::thread::sleep(Duration::from_millis(2));
    }
    let each = (all() - before) as f64 / CLIENTS as f64;
    println!("a client makes workers go to sleep {each:.2} times");
    // It sleeps when it has answered, and when the client has gone; the lock may be taken.
    assert!((0.9..5.0).contains(&each), "{each:.2} times");
    server.stop();
}

#[test]
fn workers_without_clients_cost_nothing() {
    if !is_for(Pool::Thread, "workers without clients cost nothing") {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let bytes = random_file(&root.path().join("file"), 2, 1000);
    let server = start(root.path(), 16);
    assert_eq!(
        ask(&mut server.connect(), b"file", &[]).unwrap().data,
        bytes
    );
    std::thread::sleep(Duration::from_millis(300));
    let all = || -> u64 {
        let threads = server.threads();
        threads.iter().map(|thread| sleeps(&server, *thread)).sum()
    };
    let before = all();
    std::thread::sleep(Duration::from_secs(2));
    let times = all() - before;
    // The main thread looks after the root; the emulator's own thread may wake up too.
    assert!(times <= if is_emulated() { 60 } else { 8 }, "{times} times");
    server.stop();
}

#[test]
fn a_crash_takes_all_clients_and_is_told_by_the_exit() {
    if !is_for(Pool::Thread, "a crash takes all clients") {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    large_file(root.path(), 3);
    for signal in [Signal::SIGABRT, Signal::SIGKILL] {
        let mut server = start(root.path(), 4);
        let mut clients: Vec<_> = (0..8).map(|_| stopped_reader(&server)).collect();
        server.signal(signal);
        assert_ne!(server.wait(LIMIT).code(), Some(0));
        for client in &mut clients {
            assert_cut(client);
        }
        wait_until("nobody listens", LIMIT, || {
            TcpStream::connect(server.address()).is_err()
        });
    }
}

#[test]
fn clients_are_spread_over_the_threads() {
    const WORKERS: usize = 4;
    if !is_for(Pool::Thread, "clients are spread over the threads") {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    large_file(root.path(), 4);
    let options = [
        &Pool::Thread.options()[..],
        &["--workers", "4", "--per-worker", "2"],
    ]
    .concat();
    let server = Server::start(root.path(), &options);
    // With two places each, all eight are held only if every worker holds two.
    let mut clients: Vec<_> = (0..2 * WORKERS).map(|_| stopped_reader(&server)).collect();
    for client in &mut clients {
        client.read_exact(&mut [0; 1000]).unwrap();
    }
    drop(clients);
    server.stop();
}
