//! The process pool: children that die, and what their clients and the others notice.

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::ask::{ask, read_answer, request};
use common::program;
use common::server::{LIMIT, Server};
use common::{checksum, random_file, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn send(pid: i32, signal: Signal) {
    let _ = kill(Pid::from_raw(pid), signal);
}

fn descriptors(pid: i32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// Children that are not zombies.
fn living(server: &Server) -> Vec<i32> {
    server
        .children()
        .into_iter()
        .filter(|child| !is_zombie(*child))
        .collect()
}

fn is_zombie(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .unwrap_or("")
        .trim_start()
        .starts_with(['Z', 'X'])
}

/// A download that has begun and waits to be read.
fn begun(server: &Server) -> TcpStream {
    let mut stream = server.connect();
    stream.write_all(&request(b"file", &[])).unwrap();
    stream.peek(&mut [0]).unwrap();
    stream
}

/// The child that holds the socket at the other end of a connection.
fn child_of(server: &Server, stream: &TcpStream) -> i32 {
    let port = format!(":{:04X} ", stream.local_addr().unwrap().port());
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    // sl local_address rem_address st …: the server's socket has our port as its remote one.
    let row = table
        .lines()
        .find(|line| {
            line.split_whitespace()
                .nth(2)
                .is_some_and(|remote| format!("{remote} ").ends_with(&port))
        })
        .unwrap();
    let link = format!("socket:[{}]", row.split_whitespace().nth(9).unwrap());
    let holds = |child: &i32| {
        let links = fs::read_dir(format!("/proc/{child}/fd")).unwrap();
        links.flatten().any(|entry| {
            fs::read_link(entry.path()).is_ok_and(|target| target.as_os_str() == link.as_str())
        })
    };
    *server
        .children()
        .iter()
        .find(|child| holds(child))
        .expect("one of them holds it")
}

#[test]
fn only_the_clients_of_a_killed_child_notice() {
    let root = tempfile::tempdir().unwrap();
    let bytes = random_file(&root.path().join("file"), 1, 30_000_000);
    let server = Server::start(root.path(), &["--workers", "2", "--per-worker", "8"]);
    let streams: Vec<TcpStream> = (0..8).map(|_| begun(&server)).collect();
    let victim = child_of(&server, &streams[0]);
    let holders: Vec<i32> = streams
        .iter()
        .map(|stream| child_of(&server, stream))
        .collect();
    assert!(
        holders.iter().any(|holder| *holder != victim),
        "both children serve"
    );
    send(victim, Signal::SIGKILL);
    for (mut stream, holder) in streams.into_iter().zip(holders) {
        let answer = read_answer(&mut stream);
        if holder == victim {
            assert!(answer.is_err(), "it was cut, and can see it");
        } else {
            assert_eq!(checksum(&answer.unwrap().data), checksum(&bytes));
        }
    }
    wait_until("the child is replaced", LIMIT, || {
        living(&server).len() == 2 && !living(&server).contains(&victim)
    });
    for _ in 0..8 {
        assert_eq!(
            checksum(&ask(&mut server.connect(), b"file", &[]).unwrap().data),
            checksum(&bytes)
        );
    }
    server.stop();
}

#[test]
fn sockets_that_a_dead_child_had_not_taken_go_to_others() {
    let root = tempfile::tempdir().unwrap();
    let bytes = random_file(&root.path().join("file"), 1, 100_000);
    let server = Server::start(root.path(), &["--workers", "2", "--per-worker", "64"]);
    let children = server.children();
    for child in &children {
        send(*child, Signal::SIGSTOP);
    }
    let mut clients: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(&request(b"file", &[])).unwrap();
            stream
        })
        .collect();
    // Until all are passed on, half to each.
    std::thread::sleep(Duration::from_millis(500));
    send(children[0], Signal::SIGKILL);
    send(children[1], Signal::SIGCONT);
    for stream in &mut clients {
        assert_eq!(
            checksum(&read_answer(stream).unwrap().data),
            checksum(&bytes)
        );
    }
    assert!(server.log().contains("go to others"), "{}", server.log());
    server.stop();
}

#[test]
fn a_stopped_child_does_not_keep_newcomers_from_the_others() {
    let root = tempfile::tempdir().unwrap();
    let bytes = random_file(&root.path().join("file"), 1, 10_000);
    let server = Server::start(root.path(), &["--workers", "2", "--per-worker", "512"]);
    let stopped = server.children()[0];
    send(stopped, Signal::SIGSTOP);
    let streams: Vec<TcpStream> = (0..300)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(&request(b"file", &[])).unwrap();
            stream
        })
        .collect();
    // Far longer than the others need.
    std::thread::sleep(Duration::from_secs(3));
    let mut waiting = 0;
    for mut stream in streams {
        stream
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        match read_answer(&mut stream) {
            Ok(answer) => assert_eq!(answer.data, bytes),
            Err(_) => waiting += 1,
        }
    }
    assert!(
        (1..=64).contains(&waiting),
        "at most untaken_max wait for the stopped child, not {waiting}"
    );
    send(stopped, Signal::SIGCONT);
    server.stop();
}

#[test]
fn a_child_that_dies_young_is_replaced_with_a_growing_delay() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(root.path(), &["--workers", "1", "--per-worker", "4"]);
    let mut delays = Vec::new();
    for _ in 0..8 {
        let victim = living(&server)[0];
        send(victim, Signal::SIGKILL);
        let start = Instant::now();
        while living(&server).first().is_none_or(|child| *child == victim) {
            assert!(start.elapsed() < LIMIT);
            std::thread::sleep(Duration::from_millis(1));
        }
        delays.push(start.elapsed().as_millis());
    }
    assert!(delays[0] < 200, "at first soon: {delays:?}");
    assert!(
        delays[7] >= 400,
        "in the end after half a second: {delays:?}"
    );
    assert!(delays[7] < 3000, "never much later: {delays:?}");
    server.stop();
}

#[test]
fn a_thousand_kills_leave_nothing_behind() {
    let kills = if program::is_emulated() { 100 } else { 1000 };
    let root = tempfile::tempdir().unwrap();
    let bytes = random_file(&root.path().join("file"), 1, 50_000);
    let server = Server::start(
        root.path(),
        &["--workers", "16", "--per-worker", "8", "--log", "error"],
    );
    let before = descriptors(server.pid());
    let mut killed = 0;
    let start = Instant::now();
    let mut last = Vec::new();
    while killed < kills {
        assert!(start.elapsed() < Duration::from_secs(240), "{killed} kills");
        // Some with work in hand.
        let _held: Vec<TcpStream> = (0..4)
            .filter_map(|_| TcpStream::connect(server.address()).ok())
            .collect();
        for child in living(&server)
            .into_iter()
            .filter(|child| !last.contains(child))
            .collect::<Vec<i32>>()
        {
            send(child, Signal::SIGKILL);
            killed += 1;
            last.push(child);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    wait_until("all are replaced", LIMIT, || {
        living(&server).len() == 16 && server.children().len() == 16
    });
    wait_until("no descriptor is left over", LIMIT, || {
        descriptors(server.pid()) == before
    });
    let one_child = living(&server)[0];
    wait_until("a new child holds what it needs only", LIMIT, || {
        descriptors(one_child) <= 3 + 4
    });
    for _ in 0..32 {
        assert_eq!(
            ask(&mut server.connect(), b"file", &[]).unwrap().data,
            bytes
        );
    }
    server.stop();
}

#[test]
fn a_client_that_leaves_at_once_harms_nobody_and_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("file");
    let bytes = random_file(&path, 1, 3_000_000);
    let server = Server::push(&path, "plain", &["--workers", "2", "--per-worker", "16"]);
    let children = server.children();
    let before: Vec<usize> = children.iter().map(|child| descriptors(*child)).collect();
    for round in 0..200 {
        let mut stream = server.connect();
        if round % 2 == 0 {
            stream.read_exact(&mut [0; 10]).unwrap();
        }
    }
    let mut whole = Vec::new();
    server.connect().read_to_end(&mut whole).unwrap();
    assert_eq!(whole.len(), 4 + 4 + 3000 * 1004 + 4);
    assert_eq!(whole[12..1012], bytes[..1000]);
    wait_until("no descriptor is left", LIMIT, || {
        children
            .iter()
            .zip(&before)
            .all(|(child, before)| descriptors(*child) <= before + 1)
    });
    assert_eq!(server.children(), children, "nobody died");
    server.stop();
}
