//! A full server: who waits, who gives way, who loses a place, and that nobody else notices.

use crate::common;

use crate::common::assert_bytes;
use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::ask::{Failure, ask, car, read_answer, read_car, request};
use common::client::{assert_refused, has_begun, large_file, read_pushed, stopped_reader};
use common::program::is_emulated;
use common::server::{Server, raise_open_files};
use common::{at_once, checksum, random_file};

/// The ring's places of board generic: more clients than that wait in the backlog.
const BEYOND_RING: usize = 600;

#[test]
fn a_thousand_mute_clients_at_once_all_get_the_file() {
    const CLIENTS: usize = 1000;
    raise_open_files();
    let folder = tempfile::tempdir().unwrap();
    let bytes = random_file(&folder.path().join("file"), 1, 100_500);
    let options = ["--workers", "2", "--per-worker", "1"];
    let server = Server::push(&folder.path().join("file"), "sized", &options);
    let go = Barrier::new(CLIENTS);
    let wrong = at_once(CLIENTS, |_| {
        go.wait();
        let mut stream = server.connect();
        match read_pushed(&mut stream, b"file") {
            Ok(data) if data == bytes => None,
            Ok(data) => Some(format!("{} other bytes", data.len())),
            Err(failure) => Some(format!("{failure:?}")),
        }
    });
    let wrong: Vec<_> = wrong.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{} clients: {:?}", wrong.len(), wrong[0]);
    server.stop();
}

#[test]
fn clients_are_served_in_order_of_arrival() {
    raise_open_files();
    let folder = tempfile::tempdir().unwrap();
    large_file(folder.path(), 2);
    let options = ["--workers", "1", "--per-worker", "1"];
    let server = Server::push(&folder.path().join("large"), "sized", &options);
    let mut clients: Vec<_> = (0..BEYOND_RING).map(|_| server.connect()).collect();
    clients.reverse();
    // Nobody but the one who came first can begin, because none of them reads the whole file.
    while let Some(mut first) = clients.pop() {
        assert_eq!(read_car(&mut first).unwrap(), b"large");
        if let Some(next) = clients.last() {
            assert!(!has_begun(next), "{} are left", clients.len());
        }
        if let Some(last) = clients.first() {
            assert!(!has_begun(last), "{} are left", clients.len());
        }
    }
    server.stop();
}

#[test]
fn more_asking_clients_than_places_and_ring_are_all_answered() {
    raise_open_files();
    let folder = tempfile::tempdir().unwrap();
    let bytes = random_file(&folder.path().join("file"), 3, 30_001);
    let server = Server::start(folder.path(), &["--workers", "2", "--per-worker", "1"]);
    let go = Barrier::new(BEYOND_RING);
    let (start, answered) = (Instant::now(), AtomicUsize::new(0));
    at_once(BEYOND_RING, |number| {
        let offset = number as u64 * 10;
        go.wait();
        let mut stream = server.connect();
        let answer = ask(&mut stream, b"file", &[offset]).unwrap();
        assert_bytes(
            &answer.data,
            &bytes[offset as usize..],
            format_args!("client {number}"),
        );
        answered.fetch_add(1, Ordering::SeqCst);
        // It stays as long as it can, and yet nobody waits for it.
        stream
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        while answered.load(Ordering::SeqCst) < BEYOND_RING {
            match read_car(&mut stream) {
                Err(Failure::Fault(11)) => break,
                Err(Failure::Short(error)) if error.kind() == ErrorKind::WouldBlock => {}
                other => panic!("{other:?} without a question"),
            }
        }
    });
    let took = start.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
    server.stop();
}

#[test]
fn idle_clients_give_way_to_newcomers_oldest_first() {
    let pause = || std::thread::sleep(Duration::from_millis(30));
    let folder = tempfile::tempdir().unwrap();
    let bytes = random_file(&folder.path().join("file"), 4, 2500);
    let expected = large_file(folder.path(), 5);
    let server = Server::start(folder.path(), &["--workers", "2", "--per-worker", "3"]);
    let mut busy = stopped_reader(&server);
    let asked = |stream: &mut TcpStream| {
        assert_eq!(ask(stream, b"file", &[]).unwrap().data, bytes);
        pause();
    };
    let mut idle: Vec<_> = (0..5)
        .map(|_| {
            let mut stream = server.connect();
            asked(&mut stream);
            stream
        })
        .collect();
    // The first one asks again, so it is the newest now.
    idle.rotate_left(1);
    asked(&mut idle[4]);
    for _ in 0..12 {
        let start = Instant::now();
        let mut newcomer = server.connect();
        asked(&mut newcomer);
        let took = start.elapsed();
        assert!(took < Duration::from_secs(5), "at once, not after {took:?}");
        let mut oldest = idle.remove(0);
        assert_refused(&mut oldest, 11);
        assert!(!idle.iter().any(has_begun), "nobody else was disturbed");
        idle.push(newcomer);
    }
    idle.iter_mut().for_each(asked);
    let answer = read_answer(&mut busy).unwrap();
    assert_eq!(checksum(&answer.data), expected, "the one in the midst");
    server.stop();
}

#[test]
fn a_client_in_the_midst_of_a_request_does_not_give_way() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = random_file(&folder.path().join("file"), 6, 2500);
    let server = Server::start(folder.path(), &["--workers", "1", "--per-worker", "1"]);
    let mut first = server.connect();
    first.write_all(&car(b"file")).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let mut second = server.connect();
    second.write_all(&request(b"file", &[])).unwrap();
    std::thread::sleep(Duration::from_millis(700));
    assert!(!has_begun(&second) && !has_begun(&first));
    first.write_all(&car(b"")).unwrap();
    assert_eq!(read_answer(&mut first).unwrap().data, bytes);
    assert_eq!(read_answer(&mut second).unwrap().data, bytes);
    assert_refused(&mut first, 11);
    server.stop();
}

#[test]
fn stopped_readers_do_not_delay_the_others_of_their_child() {
    let size = if is_emulated() { 1_000_000 } else { 5_000_000 };
    let folder = tempfile::tempdir().unwrap();
    let expected = large_file(folder.path(), 7);
    let bytes = random_file(&folder.path().join("file"), 8, size);
    let server = Server::start(folder.path(), &["--workers", "1", "--per-worker", "64"]);
    let mut stopped: Vec<_> = (0..8).map(|_| stopped_reader(&server)).collect();
    let start = Instant::now();
    at_once(8, |_| {
        let answer = ask(&mut server.connect(), b"file", &[]).unwrap();
        assert_bytes(&answer.data, &bytes, "the data");
    });
    let took = start.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    for stream in &mut stopped {
        let answer = read_answer(stream).unwrap();
        assert_eq!(checksum(&answer.data), expected);
    }
    server.stop();
}

/// A client that is gone cannot complete its request, however much of it is there to be read.
#[test]
fn half_a_request_of_a_client_that_has_gone_holds_no_place() {
    let root = tempfile::tempdir().unwrap();
    let bytes = random_file(&root.path().join("file"), 1, 1000);
    let server = Server::start(root.path(), &["--workers", "2", "--per-worker", "1"]);
    for reset in [false, true] {
        for _ in 0..2 {
            let mut half = server.connect();
            half.write_all(&request(b"file", &[])[..8]).unwrap();
            std::thread::sleep(Duration::from_millis(100));
            if reset {
                let linger = libc::linger {
                    l_onoff: 1,
                    l_linger: 0,
                };
                nix::sys::socket::setsockopt(&half, nix::sys::socket::sockopt::Linger, &linger)
                    .unwrap();
            }
        }
        let start = Instant::now();
        assert_eq!(
            ask(&mut server.connect(), b"file", &[]).unwrap().data,
            bytes
        );
        assert!(
            start.elapsed() < Duration::from_secs(4),
            "{:?}",
            start.elapsed()
        );
    }
    server.stop();
}
