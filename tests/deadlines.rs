//! Deadlines: how long a client may say nothing, or take nothing, and keep its place.
//!
//! These wait for most of a minute, so they wait together.

use crate::common;
#[path = "deadlines/http.rs"]
mod http;

use crate::common::assert_bytes;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::common::uninterrupted;
use common::ask::{Failure, ask, car, read_answer, request};
use common::client::{LARGE, assert_refused, large_file, read_pushed};
use common::server::Server;
use common::{at_once, checksum, random_file};

/// `silent_ms` and `request_ms`, `idle_ms`, `stall_ms` of board generic.
const SILENT: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(30);
const STALL: Duration = Duration::from_secs(20);
/// What a busy machine may add to a deadline.
const SLACK: Duration = Duration::from_secs(6);

/// A worker takes the time when its turn begins, and may be held up before it reads what has come since.
const EARLY: Duration = Duration::from_millis(500);

#[track_caller]
fn assert_within(took: Duration, least: Duration, most: Duration) {
    assert!(
        (least - EARLY..most + SLACK).contains(&took),
        "{took:?} instead of {least:?} to {most:?}"
    );
}

#[test]
fn every_deadline_is_kept() {
    let waits: [fn(); 5] = [
        clients_that_send_nothing_or_nothing_whole_are_told_and_ended,
        a_stopped_reader_loses_its_place_to_the_one_who_waits,
        a_stopped_reader_loses_its_place_also_when_nobody_waits,
        a_slow_reader_keeps_its_place_while_nobody_waits,
        a_slow_reader_gives_way_to_the_one_who_waits,
    ];
    at_once(waits.len(), |number| waits[number]());
}

fn clients_that_send_nothing_or_nothing_whole_are_told_and_ended() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = random_file(&folder.path().join("file"), 9, 10);
    let server = Server::start(folder.path(), &["--workers", "1"]);
    let timed = |client: fn(&mut TcpStream)| {
        let start = Instant::now();
        let mut stream = server.connect();
        client(&mut stream);
        assert_refused(&mut stream, 110);
        start.elapsed()
    };
    std::thread::scope(|scope| {
        let silent = scope.spawn(|| timed(|_| {}));
        let half = scope.spawn(|| timed(|stream| stream.write_all(&car(b"file")).unwrap()));
        // Not even its length is whole. More bytes are no more time.
        let drops = scope.spawn(|| {
            timed(|stream| {
                for byte in &request(b"file", &[])[..9] {
                    stream.write_all(&[*byte]).unwrap();
                    std::thread::sleep(Duration::from_secs(1));
                }
            })
        });
        let between = scope.spawn(|| {
            let mut stream = server.connect();
            let start = Instant::now();
            assert_eq!(ask(&mut stream, b"file", &[]).unwrap().data, bytes);
            assert_eq!(
                uninterrupted(|| stream.read(&mut [0])).unwrap(),
                0,
                "ended without a word"
            );
            start.elapsed()
        });
        assert_within(silent.join().unwrap(), SILENT, SILENT);
        assert_within(half.join().unwrap(), SILENT, SILENT);
        assert_within(drops.join().unwrap(), SILENT, SILENT);
        assert_within(between.join().unwrap(), IDLE, IDLE);
    });
    server.stop();
}

/// Reads so little and so slowly for so long that it stays under the least rate; what it read.
fn read_slowly(stream: &mut TcpStream, time: Duration) -> Vec<u8> {
    let (start, mut read) = (Instant::now(), Vec::new());
    let mut room = [0; 256];
    while start.elapsed() < time {
        match uninterrupted(|| stream.read(&mut room)) {
            Ok(0) | Err(_) => break,
            Ok(size) => read.extend(&room[..size]),
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    read
}

fn a_stopped_reader_loses_its_place_to_the_one_who_waits() {
    let folder = tempfile::tempdir().unwrap();
    let expected = large_file(folder.path(), 10);
    let options = ["--workers", "1", "--per-worker", "1"];
    let server = Server::push(&folder.path().join("large"), "sized", &options);
    let start = Instant::now();
    let mut stopped = server.connect();
    uninterrupted(|| stopped.peek(&mut [0])).unwrap();
    let mut next = server.connect();
    uninterrupted(|| next.peek(&mut [0])).unwrap();
    assert_within(start.elapsed(), STALL, STALL * 2);
    assert_eq!(
        checksum(&read_pushed(&mut next, b"large").unwrap()),
        expected
    );
    match read_pushed(&mut stopped, b"large") {
        Err(Failure::Short(_)) => {}
        other => panic!(
            "{:?} bytes for who did not read",
            other.map(|data| data.len())
        ),
    }
    server.stop();
}

fn a_stopped_reader_loses_its_place_also_when_nobody_waits() {
    let folder = tempfile::tempdir().unwrap();
    large_file(folder.path(), 11);
    let server = Server::start(folder.path(), &["--workers", "1", "--log", "debug"]);
    let start = Instant::now();
    let mut stopped = server.connect_narrow();
    stopped.write_all(&request(b"large", &[])).unwrap();
    common::wait_until("the end", STALL * 2 + SLACK, || {
        server.log().contains("loses its place")
    });
    assert_within(start.elapsed(), STALL, STALL * 2);
    assert!(matches!(read_answer(&mut stopped), Err(Failure::Short(_))));
    server.stop();
}

fn a_slow_reader_keeps_its_place_while_nobody_waits() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = random_file(&folder.path().join("large"), 12, *LARGE);
    let server = Server::start(folder.path(), &["--workers", "1", "--per-worker", "1"]);
    let mut slow = server.connect_narrow();
    slow.write_all(&request(b"large", &[])).unwrap();
    let begin = read_slowly(&mut slow, STALL * 2 + Duration::from_secs(4));
    assert!(
        (10_000..40_000).contains(&begin.len()),
        "{} bytes: that is not slow",
        begin.len()
    );
    // Then it takes the rest as fast as it can, and all is right.
    let size = b"large".len() + 4 + 20 + *LARGE + LARGE.div_ceil(1000) * 4 + 4;
    let mut whole = begin;
    slow.take((size - whole.len()) as u64)
        .read_to_end(&mut whole)
        .unwrap();
    let answer = read_answer(&mut whole.as_slice()).unwrap();
    assert_bytes(
        &answer.data,
        &bytes,
        format_args!("{} bytes", answer.data.len()),
    );
    server.stop();
}

fn a_slow_reader_gives_way_to_the_one_who_waits() {
    let folder = tempfile::tempdir().unwrap();
    large_file(folder.path(), 13);
    let bytes = random_file(&folder.path().join("file"), 14, 3000);
    let server = Server::start(folder.path(), &["--workers", "1", "--per-worker", "1"]);
    let start = Instant::now();
    let mut slow = server.connect_narrow();
    slow.write_all(&request(b"large", &[])).unwrap();
    uninterrupted(|| slow.peek(&mut [0])).unwrap();
    let ended = slow.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| read_slowly(&mut slow, STALL * 3));
        let answer = ask(&mut server.connect(), b"file", &[]).unwrap();
        assert_eq!(answer.data, bytes);
        assert_within(start.elapsed(), STALL, STALL * 2);
        // The reset that ends it may have come already: then there is nothing to shut down.
        if let Err(error) = ended.shutdown(Shutdown::Both) {
            assert_eq!(error.kind(), ErrorKind::NotConnected);
        }
    });
    server.stop();
}
