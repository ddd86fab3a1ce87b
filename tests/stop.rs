//! Stopping: transfers in flight finish, nobody new comes in, and it ends when it must.

use crate::common;

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::common::uninterrupted;
use common::ask::{ask, car, read_answer};
use common::client::{
    assert_cut, assert_refused, has_begun, large_file, read_pushed, stopped_reader,
};
use common::server::{LIMIT, Pool, Server, is_for};
use common::{checksum, random_file, wait_until};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn send(signal: Signal, process: i32) {
    kill(Pid::from_raw(process), signal).unwrap();
}

fn is_alive(process: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

#[track_caller]
fn wait_until_closed(server: &Server) {
    wait_until("no more connections", LIMIT, || {
        TcpStream::connect(server.address()).is_err()
    });
}

/// All of these signals reach the parent and its children, as from a terminal or a supervisor.
fn transfers_finish_after(signal: Signal) {
    let folder = tempfile::tempdir().unwrap();
    let expected = large_file(folder.path(), 1);
    let path = folder.path().join("large");
    let options = ["--workers", "2", "--per-worker", "2", "--drain", "50"];
    let mut server = Server::push(&path, "sized", &options);
    let mut clients: Vec<_> = (0..4).map(|_| server.connect()).collect();
    assert!(
        clients
            .iter()
            .all(|client| uninterrupted(|| client.peek(&mut [0])).is_ok())
    );
    // Accepted, without a place yet; it has been let in, so it is served too.
    clients.push(server.connect());
    std::thread::sleep(Duration::from_millis(300));
    assert!(!has_begun(&clients[4]));
    let children = server.children();
    children.iter().for_each(|child| send(signal, *child));
    server.signal(signal);
    wait_until_closed(&server);
    for client in &mut clients {
        assert_eq!(checksum(&read_pushed(client, b"large").unwrap()), expected);
    }
    let start = Instant::now();
    assert_eq!(server.wait(LIMIT).code(), Some(0), "{}", server.log());
    let took = start.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?} after the last one");
    assert!(!children.into_iter().any(is_alive));
}

#[test]
fn transfers_finish_after_sigterm() {
    transfers_finish_after(Signal::SIGTERM);
}

#[test]
fn transfers_finish_after_sigint() {
    transfers_finish_after(Signal::SIGINT);
}

#[test]
fn idle_clients_are_ended_at_once_and_the_busy_one_after_its_answer() {
    let folder = tempfile::tempdir().unwrap();
    let expected = large_file(folder.path(), 2);
    let bytes = random_file(&folder.path().join("file"), 3, 4000);
    let options = ["--workers", "2", "--drain", "50"];
    let mut server = Server::start(folder.path(), &options);
    let mut busy = stopped_reader(&server);
    let mut idle: Vec<_> = (0..6).map(|_| server.connect()).collect();
    for client in &mut idle[..4] {
        assert_eq!(ask(client, b"file", &[]).unwrap().data, bytes);
    }
    idle[4].write_all(&car(b"file")).unwrap(); // half a request; the last one says nothing
    // The kernel lets a silent one in a second later, or three with a lost timer.
    std::thread::sleep(Duration::from_millis(3500));
    let start = Instant::now();
    server.signal(Signal::SIGTERM);
    for client in &mut idle {
        assert_refused(client, 11);
    }
    let took = start.elapsed();
    assert!(took < Duration::from_secs(3), "at once, not after {took:?}");
    let answer = read_answer(&mut busy).unwrap();
    assert_eq!(checksum(&answer.data), expected);
    assert_refused(&mut busy, 11);
    assert_eq!(server.wait(LIMIT).code(), Some(0));
    let took = start.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn a_stop_waits_no_longer_than_the_drain() {
    let folder = tempfile::tempdir().unwrap();
    large_file(folder.path(), 4);
    for drain_s in [1, 0] {
        let drain = drain_s.to_string();
        let mut server = Server::start(folder.path(), &["--workers", "2", "--drain", &drain]);
        let mut stopped = stopped_reader(&server);
        let children = server.children();
        let start = Instant::now();
        server.signal(Signal::SIGTERM);
        assert_eq!(server.wait(LIMIT).code(), Some(0), "{}", server.log());
        let (took, drain) = (start.elapsed(), Duration::from_secs(drain_s));
        assert!(
            (drain..drain + Duration::from_secs(3)).contains(&took),
            "{took:?} instead of {drain:?}"
        );
        wait_until("the children's end", LIMIT, || {
            !children.iter().any(|child| is_alive(*child))
        });
        assert_cut(&mut stopped);
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    large_file(folder.path(), 5);
    for (first, second) in [
        (Signal::SIGTERM, Signal::SIGTERM),
        (Signal::SIGINT, Signal::SIGTERM),
    ] {
        let mut server = Server::start(folder.path(), &["--workers", "2", "--drain", "50"]);
        let mut stopped = stopped_reader(&server);
        let children = server.children();
        server.signal(first);
        wait_until_closed(&server);
        // It waits for the one in flight.
        std::thread::sleep(Duration::from_millis(300));
        assert!(is_alive(server.pid()));
        let start = Instant::now();
        server.signal(second);
        assert_eq!(server.wait(LIMIT).code(), Some(1), "{}", server.log());
        let took = start.elapsed();
        assert!(took < Duration::from_secs(2), "at once, not after {took:?}");
        wait_until("the children's end", LIMIT, || {
            !children.iter().any(|child| is_alive(*child))
        });
        assert_cut(&mut stopped);
    }
}

#[test]
fn a_child_that_dies_during_the_stop_takes_only_its_own_clients() {
    if !is_for(Pool::Process, "a child that dies during the stop") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let expected = large_file(folder.path(), 6);
    let options = ["--workers", "2", "--drain", "50"];
    let mut server = Server::start(folder.path(), &options);
    let mut clients: Vec<_> = (0..2).map(|_| stopped_reader(&server)).collect();
    server.signal(Signal::SIGTERM);
    wait_until_closed(&server);
    send(Signal::SIGKILL, server.children()[0]);
    let results: Vec<_> = clients.iter_mut().map(read_answer).collect();
    let whole = results.iter().flatten().collect::<Vec<_>>();
    assert_eq!(whole.len(), 1, "one child had one each");
    assert_eq!(checksum(&whole[0].data), expected);
    drop(clients);
    assert_eq!(server.wait(LIMIT).code(), Some(0), "{}", server.log());
    let gone = kill(Pid::from_raw(server.pid()), None);
    assert_eq!(gone, Err(Errno::ESRCH));
}
