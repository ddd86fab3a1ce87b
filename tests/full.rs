//! Full is a state, not a fault: who waits, who gives way, who loses a place.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use common::ask::{Failure, ask, read_answer, request};
use common::program;
use common::server::{LIMIT, Server};
use common::{checksum, random_file};

/// A download that has begun and is never read on.
fn stopped_reader(server: &Server) -> TcpStream {
    let mut stream = server.connect();
    stream.write_all(&request(b"big", &[])).unwrap();
    stream.peek(&mut [0]).unwrap();
    stream
}

#[test]
fn a_thousand_mute_clients_all_get_the_whole_file_from_two_places() {
    let clients = if program::is_emulated() { 300 } else { 1000 };
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("file");
    let bytes = random_file(&path, 1, 2500);
    let server = Server::push(&path, "plain", &["--workers", "2", "--per-worker", "1"]);
    let streams: Vec<TcpStream> = (0..clients).map(|_| server.connect()).collect();
    for mut stream in streams {
        let mut got = Vec::new();
        stream.read_to_end(&mut got).unwrap();
        assert_eq!(got.len(), 4 + 4 + 2500 + 3 * 4 + 4);
        assert!(got[12..1012] == bytes[..1000] && got[2020..2520] == bytes[2000..]);
    }
    server.stop();
}

#[test]
fn the_waiting_are_served_in_order_of_arrival() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("big");
    random_file(&path, 1, 20_000_000);
    let server = Server::push(&path, "raw", &["--workers", "1", "--per-worker", "1"]);
    // The first holds the only place, until it is read.
    let mut first = server.connect();
    first.peek(&mut [0]).unwrap();
    let order = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut waiting = Vec::new();
    for number in 0..12 {
        let (mut stream, order) = (server.connect(), std::sync::Arc::clone(&order));
        waiting.push(thread::spawn(move || {
            stream.read_exact(&mut [0]).unwrap();
            order.lock().unwrap().push(number);
            std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
        }));
        thread::sleep(Duration::from_millis(20));
    }
    assert!(
        order.lock().unwrap().is_empty(),
        "nobody is served while the place is taken"
    );
    std::io::copy(&mut first, &mut std::io::sink()).unwrap();
    waiting
        .into_iter()
        .for_each(|client| client.join().unwrap());
    assert_eq!(*order.lock().unwrap(), (0..12).collect::<Vec<i32>>());
    server.stop();
}

#[test]
fn idle_connections_give_way_to_newcomers_the_oldest_first() {
    let root = tempfile::tempdir().unwrap();
    random_file(&root.path().join("file"), 1, 5000);
    let server = Server::start(root.path(), &["--workers", "2", "--per-worker", "2"]);
    let mut idle: Vec<TcpStream> = Vec::new();
    for _ in 0..4 {
        let mut stream = server.connect();
        ask(&mut stream, b"file", &[]).unwrap();
        idle.push(stream);
        thread::sleep(Duration::from_millis(30));
    }
    let start = Instant::now();
    let mut newcomer = server.connect();
    assert_eq!(ask(&mut newcomer, b"file", &[]).unwrap().data.len(), 5000);
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "at once, not after a deadline"
    );
    // The oldest was told, and closed; the others go on.
    assert!(matches!(read_answer(&mut idle[0]), Err(Failure::Fault(11))));
    assert_eq!(ask(&mut idle[3], b"file", &[]).unwrap().data.len(), 5000);
    server.stop();
}

#[test]
fn a_transfer_does_not_give_way_and_a_stopped_one_delays_nobody() {
    let root = tempfile::tempdir().unwrap();
    let bytes = random_file(&root.path().join("file"), 1, 400_000);
    let big = random_file(&root.path().join("big"), 2, 30_000_000);
    let server = Server::start(root.path(), &["--workers", "1", "--per-worker", "8"]);
    let mut stopped: Vec<TcpStream> = (0..7).map(|_| stopped_reader(&server)).collect();
    let start = Instant::now();
    for _ in 0..50 {
        assert_eq!(
            checksum(&ask(&mut server.connect(), b"file", &[]).unwrap().data),
            checksum(&bytes)
        );
    }
    assert!(
        start.elapsed() < Duration::from_secs(15),
        "{:?}",
        start.elapsed()
    );
    // Read on in time, each is whole.
    for stream in &mut stopped {
        assert_eq!(checksum(&read_answer(stream).unwrap().data), checksum(&big));
    }
    server.stop();
}

#[test]
fn who_says_nothing_or_half_a_request_loses_the_place() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(root.path(), &["--workers", "1", "--per-worker", "8"]);
    let mute = server.connect();
    let mut half = server.connect();
    half.write_all(&request(b"file", &[])[..6]).unwrap();
    let clients: Vec<_> = [mute, half]
        .into_iter()
        .map(|mut stream| {
            thread::spawn(move || {
                let start = Instant::now();
                let answer = read_answer(&mut stream);
                assert!(matches!(answer, Err(Failure::Fault(110))), "{answer:?}");
                let mut rest = Vec::new();
                stream.read_to_end(&mut rest).unwrap();
                start.elapsed()
            })
        })
        .collect();
    for client in clients {
        let took = client.join().unwrap();
        assert!(
            (Duration::from_secs(9)..Duration::from_secs(16)).contains(&took),
            "{took:?}"
        );
    }
    server.stop();
}

#[test]
fn who_stops_reading_loses_the_place_and_who_reads_slowly_keeps_it() {
    let root = tempfile::tempdir().unwrap();
    let big = random_file(&root.path().join("big"), 1, 30_000_000);
    let server = Server::start(root.path(), &["--workers", "1", "--per-worker", "2"]);
    let mut stopped = stopped_reader(&server);
    let mut slow = stopped_reader(&server);
    let slow = thread::spawn(move || {
        let mut got = Vec::new();
        for _ in 0..45 {
            let mut piece = vec![0; 100_000];
            slow.read_exact(&mut piece).unwrap();
            got.extend(piece);
            thread::sleep(Duration::from_secs(1));
        }
        slow.read_to_end(&mut got).ok();
        got
    });
    // The newcomer waits until the one that stopped has lost its place: after stall_ms, twice at most.
    let start = Instant::now();
    let mut newcomer = server.connect();
    newcomer.write_all(&request(b"big", &[0, 10])).unwrap();
    assert_eq!(read_answer(&mut newcomer).unwrap().data, big[..10]);
    let took = start.elapsed();
    assert!(
        (Duration::from_secs(15)..Duration::from_secs(45)).contains(&took),
        "{took:?}"
    );
    assert!(
        read_answer(&mut stopped).is_err(),
        "short, and it can see it"
    );
    drop(newcomer);
    // It ends when its client asks no more.
    let got = slow.join().unwrap();
    assert_eq!(got.len(), 4 + 3 + 4 + 16 + 30_000 * 1004 + 4);
    server.stop();
}

#[test]
fn newcomers_beyond_the_ring_wait_in_the_backlog() {
    // Ring and places hold 514; the others stand in the kernel's backlog meanwhile.
    let clients = 700;
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("big");
    random_file(&path, 1, 8_000_000);
    let server = Server::push(&path, "raw", &["--workers", "2", "--per-worker", "1"]);
    let mut holders: Vec<TcpStream> = (0..2).map(|_| server.connect()).collect();
    for holder in &mut holders {
        holder.set_read_timeout(Some(LIMIT)).unwrap();
        holder.peek(&mut [0]).unwrap();
    }
    let waiting: Vec<TcpStream> = (0..clients).map(|_| server.connect()).collect();
    thread::sleep(Duration::from_millis(300));
    let cpu = cpu_ticks(server.pid());
    thread::sleep(Duration::from_secs(1));
    assert!(
        cpu_ticks(server.pid()) - cpu <= 30,
        "nothing spins while it is full"
    );
    drop(holders);
    for mut stream in waiting {
        let mut byte = [0; 4];
        stream.read_exact(&mut byte).unwrap();
        assert_eq!(byte, 3_i32.to_le_bytes());
    }
    server.stop();
}

/// CPU time of a process, in hundredths of a second.
fn cpu_ticks(pid: i32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}
