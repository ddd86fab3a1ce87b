//! The process pool: what becomes of its children, and of the clients they had, when they die.

use crate::common;

use std::io::Read;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::common::uninterrupted;
use common::client::LARGE;
use common::http::{Client, old_file};
use common::program::is_emulated;
use common::server::{LIMIT, Pool, Server, is_for, while_one_does_not_answer};
use common::{ask, at_once, checksum, random_file, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use trainyard::limits::RESPAWN_SETTLED_MS;

fn send(signal: Signal, process: i32) {
    kill(Pid::from_raw(process), signal).unwrap();
}

/// The state letter of a process (proc(5)): `Z` for a zombie, `None` when there is no such process.
fn state(process: i32) -> Option<char> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    text.rsplit_once(") ")?.1.chars().next()
}

fn is_alive(process: i32) -> bool {
    !matches!(state(process), None | Some('Z' | 'X'))
}

fn descriptors(process: i32) -> usize {
    std::fs::read_dir(format!("/proc/{process}/fd")).map_or(0, Iterator::count)
}

/// Waits until `count` children live, and none of them is one of `gone`.
#[track_caller]
fn wait_for_children(server: &Server, count: usize, gone: &[i32]) -> Vec<i32> {
    let mut children = Vec::new();
    wait_until("the children's replacement", LIMIT, || {
        children = server.children();
        children.len() == count
            && children
                .iter()
                .all(|child| !gone.contains(child) && is_alive(*child))
    });
    children
}

fn large_file(folder: &Path, seed: u64) -> (PathBuf, String) {
    let path = folder.join("large");
    let bytes = random_file(&path, seed, *LARGE);
    (path, checksum(&bytes))
}

/// A push client that has the train's name and size, so a child is busy with it.
fn begun(server: &Server) -> TcpStream {
    let mut stream = server.connect();
    read_head(&mut stream);
    stream
}

fn read_head(stream: &mut TcpStream) {
    assert_eq!(ask::read_car(stream).unwrap(), b"large");
    assert_eq!(
        ask::read_car(stream).unwrap(),
        (*LARGE as u64).to_le_bytes(),
        "the size"
    );
}

/// Reads the data cars up to the end car; the checksum of what came, if it is whole.
fn rest(stream: &mut TcpStream) -> Result<String, ask::Failure> {
    let mut data = Vec::with_capacity(*LARGE);
    loop {
        match ask::read_car(stream)? {
            car if car.is_empty() => return Ok(checksum(&data)),
            car => data.extend(car),
        }
    }
}

#[test]
fn only_the_clients_of_a_killed_child_notice() {
    if !is_for(Pool::Process, "a killed child") {
        return;
    }
    const WORKERS: usize = 4;
    const EACH: usize = 2;
    let folder = tempfile::tempdir().unwrap();
    let (path, expected) = large_file(folder.path(), 1);
    let server = Server::push(&path, "sized", &["--workers", "4", "--per-worker", "2"]);
    let children = server.children();
    assert_eq!(children.len(), WORKERS);
    std::thread::sleep(Duration::from_millis(1100)); // from now on they have settled
    let go = Barrier::new(WORKERS * EACH + 1);
    let results: Vec<_> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..WORKERS * EACH)
            .map(|_| {
                scope.spawn(|| {
                    let mut stream = begun(&server);
                    go.wait();
                    go.wait();
                    rest(&mut stream)
                })
            })
            .collect();
        go.wait();
        let killed = Instant::now();
        send(Signal::SIGKILL, children[1]);
        send(Signal::SIGABRT, children[2]);
        let now = wait_for_children(&server, WORKERS, &children[1..3]);
        let took = killed.elapsed();
        assert!(now.contains(&children[0]) && now.contains(&children[3]));
        assert!(
            took < Duration::from_secs(2),
            "replaced only after {took:?}"
        );
        go.wait();
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect()
    });
    let whole = results
        .iter()
        .filter(|result| matches!(result, Ok(sum) if *sum == expected));
    assert_eq!(whole.count(), 2 * EACH, "{results:?}");
    let short = results
        .iter()
        .filter(|result| matches!(result, Err(ask::Failure::Short(_))));
    assert_eq!(short.count(), 2 * EACH, "{results:?}");
    // The replacements serve: every place is there again.
    let mut again: Vec<_> = (0..WORKERS * EACH).map(|_| begun(&server)).collect();
    assert_eq!(rest(&mut again[0]).unwrap(), expected);
    drop(again);
    server.stop();
}

#[test]
fn what_a_stopped_child_had_not_taken_goes_to_others() {
    if !is_for(Pool::Process, "a stopped child") {
        return;
    }
    const LATE: usize = 8;
    let folder = tempfile::tempdir().unwrap();
    let (path, expected) = large_file(folder.path(), 2);
    let server = Server::push(&path, "sized", &["--workers", "2", "--per-worker", "16"]);
    let mut early = [begun(&server), begun(&server)];
    let stopped = server.children()[0];
    send(Signal::SIGSTOP, stopped);
    wait_until("the stop", LIMIT, || state(stopped) == Some('T'));
    let mut late: Vec<TcpStream> = (0..LATE).map(|_| server.connect()).collect();
    // Half of them go to the child that lives, and hold their places by not reading on.
    let has_begun = |stream: &TcpStream| {
        let pause = Duration::from_millis(if is_emulated() { 600 } else { 200 });
        stream.set_read_timeout(Some(pause)).unwrap();
        let has_begun = uninterrupted(|| stream.peek(&mut [0])).is_ok();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        has_begun
    };
    let waiting = late.iter().filter(|stream| !has_begun(stream)).count();
    assert_eq!(waiting, LATE / 2, "the stopped child's share");
    send(Signal::SIGKILL, stopped);
    for stream in &mut late {
        read_head(stream);
    }
    std::thread::scope(|scope| {
        let all: Vec<_> = late
            .iter_mut()
            .map(|stream| scope.spawn(|| rest(stream)))
            .collect();
        for client in all {
            assert_eq!(client.join().unwrap().unwrap(), expected);
        }
    });
    let early: Vec<_> = early.iter_mut().map(rest).collect();
    assert_eq!(
        early.iter().filter(|result| result.is_ok()).count(),
        1,
        "only what it had taken is lost: {early:?}"
    );
    wait_for_children(&server, 2, &[stopped]);
    server.stop();
}

/// Kills the only child; how long it took until another one lived.
fn replacement_time(server: &Server) -> Duration {
    let children = server.children();
    assert_eq!(children.len(), 1);
    let start = Instant::now();
    send(Signal::SIGKILL, children[0]);
    wait_for_children(server, 1, &children);
    start.elapsed()
}

#[test]
fn a_child_that_dies_early_is_replaced_after_a_delay_that_doubles() {
    if !is_for(Pool::Process, "a child that dies early") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let bytes = random_file(&folder.path().join("file"), 3, 5000);
    let server = Server::start(folder.path(), &["--workers", "1"]);
    for least in [10, 20, 40, 80, 160, 320, 500] {
        let took = replacement_time(&server);
        assert!(
            took >= Duration::from_millis(least - 1),
            "{took:?} instead of {least} ms"
        );
    }
    let shortest = (0..4).map(|_| replacement_time(&server)).min().unwrap();
    assert!(
        (Duration::from_millis(499)..Duration::from_millis(990)).contains(&shortest),
        "500 ms are the most, not {shortest:?}"
    );
    // A client that comes in the meantime waits, and is served.
    send(Signal::SIGKILL, server.children()[0]);
    let answer = ask::ask(&mut server.connect(), b"file", &[]).unwrap();
    assert_eq!(answer.data, bytes);
    // One that lived for a second is replaced at once, and the next delay is the first again.
    // A busy machine may take longer for that, but not each time.
    let at_once = Duration::from_millis(400);
    let mut tries = Vec::new();
    while tries.len() < 5 && tries.last().is_none_or(|longest| *longest >= at_once) {
        std::thread::sleep(Duration::from_millis(RESPAWN_SETTLED_MS + 200));
        let (settled, early) = (replacement_time(&server), replacement_time(&server));
        assert!(
            early >= Duration::from_millis(9),
            "{early:?} instead of 10 ms"
        );
        tries.push(settled.max(early));
    }
    assert!(tries.last() < Some(&at_once), "at once, not {tries:?}");
    server.stop();
}

#[test]
fn a_thousand_kills_leave_no_zombie_and_no_descriptor() {
    if !is_for(Pool::Process, "a thousand kills") {
        return;
    }
    // Two servers, because a child that dies early is replaced half a second later.
    let kills = if is_emulated() { 100 } else { 500 };
    at_once(2, |_| kill_children(kills));
}

fn kill_children(kills: usize) {
    const WORKERS: usize = 16;
    let folder = tempfile::tempdir().unwrap();
    let (path, expected) = large_file(folder.path(), 4);
    let server = Server::push(
        &path,
        "sized",
        &["--workers", "16", "--per-worker", "2", "--log", "error"],
    );
    let mut children = server.children();
    assert_eq!(children.len(), WORKERS);
    // Each is forked with more of the parent's descriptors than the one before, so they are alike
    // once all have closed what they do not need: soon after `ready`, not at once.
    let alike = || {
        children
            .iter()
            .all(|child| descriptors(*child) == descriptors(children[0]))
    };
    wait_until("children that hold the same", LIMIT, alike);
    let of_child = descriptors(children[0]);
    let settled = |children: &[i32]| children.iter().all(|child| descriptors(*child) == of_child);
    let of_parent = descriptors(server.pid());
    assert!(of_parent > 2 * WORKERS, "{of_parent}");
    let mut killed = 0;
    while killed < kills {
        // All children are killed in the midst of a transfer.
        let clients: Vec<_> = (0..WORKERS).map(|_| begun(&server)).collect();
        let doomed = &children[..WORKERS.min(kills - killed)];
        doomed
            .iter()
            .for_each(|child| send(Signal::SIGKILL, *child));
        killed += doomed.len();
        let now = wait_for_children(&server, WORKERS, doomed);
        drop(clients);
        children = now;
    }
    assert_eq!(rest(&mut begun(&server)).unwrap(), expected);
    wait_until("as few descriptors as at first", LIMIT, || {
        descriptors(server.pid()) == of_parent && settled(&children)
    });
    assert_eq!(server.children(), children, "no zombie, nobody else");
    server.stop();
}

#[test]
fn children_die_with_a_parent_that_is_killed() {
    if !is_for(Pool::Process, "a killed parent") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = large_file(folder.path(), 5);
    let mut server = Server::push(&path, "sized", &["--workers", "3", "--per-worker", "1"]);
    let mut clients: Vec<_> = (0..3).map(|_| begun(&server)).collect();
    let children = server.children();
    assert_eq!(children.len(), 3);
    server.signal(Signal::SIGKILL);
    assert_eq!(server.wait(LIMIT).code(), None, "killed");
    wait_until("the children's end", Duration::from_secs(10), || {
        !children.iter().any(|child| is_alive(*child))
    });
    for client in &mut clients {
        // What was on its way may still come, then the connection is over.
        let mut bytes = Vec::new();
        let _ = client.read_to_end(&mut bytes);
        assert!(bytes.len() < *LARGE, "{} bytes came", bytes.len());
    }
    assert!(
        TcpStream::connect(server.address()).is_err(),
        "nobody listens"
    );
}

/// Whether the server has closed the connection, as far as is known by now.
fn is_closed(client: &Client<TcpStream>) -> bool {
    client.stream.set_nonblocking(true).unwrap();
    let received = client.stream.peek(&mut [0]);
    client.stream.set_nonblocking(false).unwrap();
    match received {
        Ok(count) => count == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

#[test]
fn a_report_may_come_together_with_the_death_of_its_child() {
    if !is_for(Pool::Process, "children that die together") {
        return;
    }
    // Before the clients come, who would not wait as long as this may.
    let nobody_asks = while_one_does_not_answer();
    let root = tempfile::tempdir().unwrap();
    old_file(&root.path().join("file"), 6, 1000);
    let server = Server::http(root.path(), &["--workers", "2"]);
    let [first, second] = server.children()[..] else {
        panic!("two children")
    };
    // One after the other, so that each child gets every second one: those that come together go to one.
    let mut kept: Vec<_> = (0..8)
        .map(|_| {
            let mut client = Client::connect(&server);
            assert_eq!(client.get("/file", &[]).status, 200);
            client
        })
        .collect();
    let busy = descriptors(second);
    // While the parent is stopped its epoll gathers, in this order: a death, a report, a death.
    send(Signal::SIGSTOP, server.pid());
    wait_until("a parent that stands", LIMIT, || {
        state(server.pid()) == Some('T')
    });
    send(Signal::SIGKILL, first);
    wait_until("the first death", LIMIT, || !is_alive(first));
    wait_until("the end of the first child's clients", LIMIT, || {
        kept.retain(|client| !is_closed(client));
        kept.len() == 4
    });
    drop(kept);
    wait_until("the other child's report", LIMIT, || {
        descriptors(second) <= busy - 4 && state(second) == Some('S')
    });
    send(Signal::SIGKILL, second);
    wait_until("the second death", LIMIT, || !is_alive(second));
    send(Signal::SIGCONT, server.pid());
    drop(nobody_asks);
    let children = wait_for_children(&server, 2, &[first, second]);
    for _ in 0..8 {
        assert_eq!(Client::connect(&server).get("/file", &[]).status, 200);
    }
    assert_eq!(server.children(), children);
    server.stop();
}

#[test]
fn a_child_that_ends_by_any_signal_is_replaced() {
    if !is_for(Pool::Process, "a killed child") {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    old_file(&root.path().join("file"), 7, 1000);
    let server = Server::http(root.path(), &["--workers", "1"]);
    let child = server.children()[0];
    // A real-time signal, for which nix has no word.
    let kill = format!("kill -36 {child}");
    let status = std::process::Command::new("sh")
        .args(["-c", &kill])
        .status();
    assert!(status.unwrap().success());
    wait_for_children(&server, 1, &[child]);
    assert_eq!(Client::connect(&server).get("/file", &[]).status, 200);
    server.stop();
}
