//! Stopping: transfers finish, nobody new comes in, nothing outlives the parent.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::ask::{Failure, ask, read_answer, request};
use common::server::{LIMIT, Server};
use common::{checksum, random_file, wait_until};
use nix::sys::signal::Signal;

const SIZE: usize = 30_000_000;

fn begun(server: &Server) -> TcpStream {
    let mut stream = server.connect();
    stream.write_all(&request(b"file", &[])).unwrap();
    let mut byte = [0];
    stream.peek(&mut byte).unwrap();
    stream
}

#[test]
fn a_transfer_in_flight_finishes_and_newcomers_are_refused() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let root = tempfile::tempdir().unwrap();
        let bytes = random_file(&root.path().join("file"), 1, SIZE);
        let mut server = Server::start(root.path(), &["--workers", "2", "--per-worker", "8"]);
        let mut idle = server.connect();
        ask(&mut idle, b"file", &[0, 10]).unwrap();
        let mut stream = begun(&server);
        server.signal(signal);
        wait_until("newcomers are refused", LIMIT, || {
            TcpStream::connect(server.address()).is_err()
        });
        assert!(
            matches!(read_answer(&mut idle), Err(Failure::Fault(11))),
            "the idle one gives way"
        );
        assert_eq!(
            checksum(&read_answer(&mut stream).unwrap().data),
            checksum(&bytes)
        );
        assert_eq!(server.wait(LIMIT).code(), Some(0), "{}", server.log());
    }
}

#[test]
fn a_stopped_reader_does_not_hold_up_a_stop_beyond_the_drain() {
    let root = tempfile::tempdir().unwrap();
    random_file(&root.path().join("file"), 1, SIZE);
    let mut server = Server::start(
        root.path(),
        &["--workers", "1", "--per-worker", "8", "--drain", "1"],
    );
    let mut stream = begun(&server);
    let start = Instant::now();
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait(LIMIT).code(), Some(0), "{}", server.log());
    let took = start.elapsed();
    assert!(
        took >= Duration::from_millis(900) && took < Duration::from_secs(8),
        "{took:?}"
    );
    assert!(
        read_answer(&mut stream).is_err(),
        "a transfer that was cut is short"
    );
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let root = tempfile::tempdir().unwrap();
    random_file(&root.path().join("file"), 1, SIZE);
    let mut server = Server::start(
        root.path(),
        &["--workers", "1", "--per-worker", "8", "--drain", "60"],
    );
    let _stream = begun(&server);
    let children = server.children();
    server.signal(Signal::SIGTERM);
    wait_until("it is stopping", LIMIT, || {
        server.log().contains("stopping")
    });
    server.signal(Signal::SIGINT);
    assert_eq!(server.wait(Duration::from_secs(10)).code(), Some(1));
    wait_until("the children are gone", LIMIT, || {
        children.iter().all(|child| !is_alive(*child))
    });
}

#[test]
fn children_die_with_a_parent_that_is_killed() {
    let root = tempfile::tempdir().unwrap();
    random_file(&root.path().join("file"), 1, SIZE);
    let mut server = Server::start(root.path(), &["--workers", "3", "--per-worker", "8"]);
    let mut stream = begun(&server);
    let children = server.children();
    assert_eq!(children.len(), 3);
    server.signal(Signal::SIGKILL);
    server.wait(LIMIT);
    wait_until("the children are gone", LIMIT, || {
        children.iter().all(|child| !is_alive(*child))
    });
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.len() < SIZE);
}

/// Whether a process is there and not a zombie.
fn is_alive(pid: i32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    !stat
        .rsplit(')')
        .next()
        .unwrap_or("")
        .trim_start()
        .starts_with(['Z', 'X'])
}
