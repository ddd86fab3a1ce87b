//! A worker that no longer comes round: a child is replaced, with a thread the process ends.

use crate::common::assert_bytes;
use std::time::{Duration, Instant};

use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use trainyard::limits::{STUCK_MS, WATCHDOG_MS};

use super::common::client::{large_file, stopped_reader};
use super::common::http::{Client, get, old_file};
use super::common::program::is_emulated;
use super::common::server::{
    LIMIT, Pool, Server, is_for, run, while_all_answer, while_one_does_not_answer,
};
use super::common::{at_once, wait_until};

fn send(signal: Signal, process: i32) {
    kill(Pid::from_raw(process), signal).unwrap();
}

/// Clients that keep their connections, some with each of two workers.
fn clients(server: &Server) -> Vec<Client<std::net::TcpStream>> {
    let mut clients: Vec<_> = (0..8).map(|_| Client::connect(server)).collect();
    for client in &mut clients {
        assert_eq!(client.get("/file", &[]).status, 200);
    }
    clients
}

#[test]
fn who_takes_the_place_of_a_child_that_held_the_root_does_not_hold_it() {
    if !is_for(Pool::Process, "a child that is stuck") {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    old_file(&root.path().join("file"), 1, 3000);
    let server = Server::http(root.path(), &["--workers", "2"]);
    let eject = || {
        let _all_answer = while_all_answer();
        run(&["eject", root.path().to_str().unwrap()])
    };
    let stuck = server.children()[0];
    send(Signal::SIGSTOP, stuck);
    let (code, _, error) = eject();
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("a worker has not let go"), "{error}");
    send(Signal::SIGKILL, stuck);
    wait_until("another child", LIMIT, || {
        let children = server.children();
        children.len() == 2 && !children.contains(&stuck)
    });
    let (code, _, error) = eject();
    assert_eq!(code, 0, "{error}");
    server.stop();
}

#[test]
fn a_child_that_is_stuck_is_replaced() {
    if !is_for(Pool::Process, "a child that is stuck") {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let bytes = old_file(&root.path().join("file"), 1, 3000);
    let server = Server::http(root.path(), &["--workers", "2"]);
    let mut kept = clients(&server);
    let [stuck, well] = server.children()[..] else {
        panic!("two children")
    };
    let start = Instant::now();
    send(Signal::SIGSTOP, stuck);
    // Also those who come meanwhile have their answers, at the latest when it is replaced.
    let answers = at_once(20, |_| Client::connect(&server).get("/file", &[]));
    for answer in answers {
        assert_bytes(&answer.body, &bytes, "the body");
    }
    wait_until("another child", LIMIT, || {
        let children = server.children();
        children.len() == 2 && !children.contains(&stuck)
    });
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(STUCK_MS), "{took:?}");
    assert!(
        took < Duration::from_millis(STUCK_MS + 10 * WATCHDOG_MS),
        "{took:?}"
    );
    assert!(server.children().contains(&well));
    assert!(server.log().contains("is stuck"), "{}", server.log());
    // The clients of the other child have noticed nothing.
    let still = kept.iter_mut().filter_map(|client| {
        std::io::Write::write_all(&mut client.stream, &get("/file", &[])).ok()?;
        client.try_answer(false).ok()
    });
    assert_eq!(still.filter(|answer| answer.status == 200).count(), 4);
    server.stop();
}

#[test]
fn who_is_stopped_all_at_once_is_not_stuck() {
    let root = tempfile::tempdir().unwrap();
    old_file(&root.path().join("file"), 2, 3000);
    // Before the clients come, who would not wait as long as this may.
    let nobody_asks = while_one_does_not_answer();
    let server = Server::http(root.path(), &["--workers", "2"]);
    let mut kept = clients(&server);
    // Long enough for them to be called once, if their rest is taken for one.
    std::thread::sleep(Duration::from_millis(3 * WATCHDOG_MS));
    let mut all = server.children();
    all.push(server.pid());
    all.iter()
        .for_each(|process| send(Signal::SIGSTOP, *process));
    std::thread::sleep(Duration::from_millis(STUCK_MS + 2 * WATCHDOG_MS));
    // The parent first: it has a moment in which nobody else comes round.
    while let Some(process) = all.pop() {
        send(Signal::SIGCONT, process);
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(nobody_asks);
    std::thread::sleep(Duration::from_millis(3 * WATCHDOG_MS));
    for client in &mut kept {
        assert_eq!(client.get("/file", &[]).status, 200);
    }
    assert!(!server.log().contains("stuck"), "{}", server.log());
    server.stop();
}

#[test]
fn who_has_much_to_do_is_not_stuck() {
    let root = tempfile::tempdir().unwrap();
    large_file(root.path(), 3);
    let server = Server::start(root.path(), &["--workers", "2"]);
    let readers: Vec<_> = (0..4).map(|_| stopped_reader(&server)).collect();
    std::thread::sleep(Duration::from_millis(STUCK_MS + 4 * WATCHDOG_MS));
    assert!(!server.log().contains("stuck"), "{}", server.log());
    drop(readers);
    server.stop();
}

#[test]
fn a_thread_that_is_stuck_ends_the_process() {
    // An emulator's threads cannot be told from its own.
    if is_emulated() || !is_for(Pool::Thread, "a thread that is stuck") {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    old_file(&root.path().join("file"), 4, 3000);
    let mut server = Server::http(root.path(), &["--workers", "1"]);
    let kept = clients(&server);
    let pid = server.pid();
    let threads = server.threads();
    let worker = threads.into_iter().find(|thread| *thread != pid).unwrap();
    let worker = Pid::from_raw(worker);
    ptrace::seize(worker, ptrace::Options::empty()).unwrap();
    ptrace::interrupt(worker).unwrap();
    // A process has not ended while who traces a thread of it has not been told of the thread's end.
    wait_until("the thread's end", LIMIT, || {
        let flags = WaitPidFlag::WNOHANG | WaitPidFlag::__WALL;
        matches!(
            waitpid(worker, Some(flags)),
            Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) | Err(_)
        )
    });
    let status = server.wait(LIMIT);
    assert_eq!(status.code(), Some(1), "{}", server.log());
    assert!(server.log().contains("is stuck"), "{}", server.log());
    drop(kept);
}
