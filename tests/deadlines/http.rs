//! What the server waits for over HTTP, and how long. All waits at once: they take half a minute.

use crate::common;

use std::time::{Duration, Instant};

use crate::common::uninterrupted;
use common::client::LARGE;
use common::http::{Client, get, old_file, parts_of};
use common::server::Server;
use common::{at_once, checksum, wait_until};

/// `silent_ms` and `request_ms`, `idle_ms`, `stall_ms` of board generic.
const REQUEST: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(30);
const STALL: Duration = Duration::from_secs(20);
/// What a busy machine may add to a deadline; the kernel adds a second to that of silent clients.
const SLACK: Duration = Duration::from_secs(6);

/// A worker takes the time when its turn begins, and may be held up before it reads what has come since.
const EARLY: Duration = Duration::from_millis(500);

#[track_caller]
fn assert_within(took: Duration, least: Duration) {
    let range = least - EARLY..least + SLACK;
    assert!(range.contains(&took), "{took:?} instead of {least:?}");
}

#[test]
fn every_deadline_is_kept() {
    let waits: [fn(&Server); 7] = [
        who_sends_nothing_is_ended_without_a_word,
        half_a_request_is_told_after_its_time,
        a_request_in_drops_gets_no_more_time,
        a_second_half_request_is_told_too,
        who_asks_no_more_is_ended_without_a_word,
        who_reads_no_more_is_ended,
        a_slow_reader_gets_all,
    ];
    let root = tempfile::tempdir().unwrap();
    old_file(&root.path().join("file"), 1, 1000);
    old_file(&root.path().join("large"), 2, *LARGE);
    let options = ["--workers", "1", "--per-worker", "40", "--log", "debug"];
    let server = Server::http(root.path(), &options);
    at_once(waits.len(), |number| waits[number](&server));
    server.stop();
}

fn who_sends_nothing_is_ended_without_a_word(server: &Server) {
    let start = Instant::now();
    Client::connect(server).assert_end();
    assert_within(start.elapsed(), REQUEST);
}

fn half_a_request_is_told_after_its_time(server: &Server) {
    for (index, took) in at_once(3, |number| {
        let mut client = Client::connect(server);
        let start = Instant::now();
        let body = get("/file", &["Content-Length: 50", "Accept: text/html"]);
        client.send([&b"G"[..], &get("/file", &[])[..20], &body][number]);
        let answer = client.answer(false);
        let took = start.elapsed();
        assert_eq!(answer.status, 408, "{number}");
        assert!(!answer.is_kept());
        client.assert_end();
        took
    })
    .into_iter()
    .enumerate()
    {
        assert!(took < REQUEST + SLACK, "{index}: {took:?}");
        assert_within(took, REQUEST);
    }
}

fn a_request_in_drops_gets_no_more_time(server: &Server) {
    let mut client = Client::connect(server);
    let start = Instant::now();
    for byte in &get("/file", &[])[..9] {
        client.send(&[*byte]);
        std::thread::sleep(Duration::from_secs(1));
    }
    assert_eq!(client.answer(false).status, 408);
    assert_within(start.elapsed(), REQUEST);
}

/// Its time begins with its own first byte.
fn a_second_half_request_is_told_too(server: &Server) {
    let mut client = Client::connect(server);
    assert_eq!(client.get("/file", &[]).body.len(), 1000);
    std::thread::sleep(Duration::from_secs(6));
    let start = Instant::now();
    client.send(&[&get("/file", &[])[..], b"GET /fi"].concat());
    assert_eq!(client.answer(false).body.len(), 1000);
    assert_eq!(client.answer(false).status, 408);
    assert_within(start.elapsed(), REQUEST);
    client.assert_end();
}

fn who_asks_no_more_is_ended_without_a_word(server: &Server) {
    let mut client = Client::connect(server);
    // The server's time begins before its answer is read here.
    let start = Instant::now();
    assert_eq!(client.get("/file", &[]).body.len(), 1000);
    client.assert_end();
    assert_within(start.elapsed(), IDLE);
}

/// In the midst of a file, of several ranges, and of answers that are made anew.
fn who_reads_no_more_is_ended(server: &Server) {
    let start = Instant::now();
    let ranges = get("/large", &["Range: bytes=0-9000000,9000002-"]);
    let wires = [get("/large", &[]), ranges, get("/file", &[]).repeat(4000)];
    let clients = at_once(wires.len(), |number| {
        use std::io::Write;
        let mut client = Client::narrow(server);
        let time = Some(Duration::from_millis(500));
        client.stream.set_write_timeout(time).unwrap();
        // More than the server takes while it cannot answer.
        let _ = client.stream.write_all(&wires[number]);
        client
    });
    wait_until("the end of all three", STALL * 2 + SLACK, || {
        server.log().matches("loses its place").count() >= 3
    });
    assert!(start.elapsed() >= STALL - EARLY);
    for (mut client, least) in clients.into_iter().zip([1, 1, 4000]) {
        let whole = (0..least).take_while(|_| client.try_answer(false).is_ok());
        assert!(whole.count() < least, "what is cut is not whole");
    }
}

/// Slower than any deadline, but always moving: a transfer has no end of time.
fn a_slow_reader_gets_all(server: &Server) {
    use std::io::Read;
    let mut client = Client::narrow(server);
    let whole = Client::connect(server).get("/large", &[]);
    client.send(&get("/large", &["Range: bytes=0-11999999,12000001-"]));
    let start = Instant::now();
    let mut begin = Vec::new();
    while start.elapsed() < STALL + REQUEST {
        let mut room = [0; 400];
        let size = uninterrupted(|| client.stream.read(&mut room)).unwrap();
        begin.extend(&room[..size]);
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(begin.len() < 100_000, "that is not slow");
    client.unread(begin);
    let parts = parts_of(&client.answer(false)).unwrap();
    assert_eq!(
        checksum(&parts[0].data),
        checksum(&whole.body[..12_000_000])
    );
    assert_eq!(
        checksum(&parts[1].data),
        checksum(&whole.body[12_000_001..])
    );
}
