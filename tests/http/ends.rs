//! How connections end: limits, answers that no reset eats, clients that close their half.

use crate::common::assert_bytes;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::common::server::LIMIT;
use super::common::{at_once, random_bytes};
use super::*;
use crate::common::uninterrupted;

#[test]
fn a_head_and_a_target_have_a_longest_size() {
    let (root, bytes) = one_file(300);
    let server = small_server(root.path());
    // Together with the rest of the head just as long as one may be.
    let head = get("/file", &["X: "]).len();
    for (filler, status) in [(8192 - head, 200), (8193 - head, 431), (100_000, 431)] {
        let mut client = Client::connect(&server);
        let answer = client.ask(&get("/file", &[&format!("X: {}", "x".repeat(filler))]));
        assert_eq!(answer.status, status, "{filler}");
        assert_eq!(answer.is_kept(), status == 200);
        if status == 200 {
            assert_bytes(&answer.body, &bytes, "the body");
            assert_bytes(&client.get("/file", &[]).body, &bytes, "the next body");
        } else {
            client.assert_end();
        }
    }
    for (count, status) in [(63, 200), (64, 431), (2000, 431)] {
        let fields = vec!["X: y"; count];
        assert_eq!(
            once(&server, &get("/file", &fields)).status,
            status,
            "{count}"
        );
    }
    for (size, status) in [(4096, 404), (4097, 414), (8000, 414), (50_000, 414)] {
        // Many short components, which are no fault of their own.
        let target = "/.".repeat(size / 2 - 3) + &"/missing"[..6 + size % 2];
        let answer = once(&server, &get(&target, &[]));
        assert_eq!(answer.status, status, "{size}");
        assert_eq!(answer.is_kept(), status == 404);
    }
    // No file has the first name; the second could be a path, but is too long for this server.
    for (target, status) in [
        ("/".to_string() + &"x".repeat(256), 404),
        ("/abcd".repeat(201), 414),
    ] {
        let answer = once(&server, &get(&target, &[]));
        assert_eq!(answer.status, status, "{target}");
        assert!(
            answer.is_kept(),
            "the next request can be told from this one"
        );
    }
    server.stop();
}

/// A client that is not read to its end would get a reset, and lose the answer.
#[test]
fn no_reset_eats_the_last_answer() {
    let (root, bytes) = one_file(120_000);
    let server = server_with(root.path(), &["--per-worker", "64"]);
    at_once(24, |number| {
        for round in 0..6 {
            let mut client = Client::narrow(&server);
            let junk = random_bytes(number as u64, 3000 * (1 + round % 3));
            let close = get("/file", &["Connection: close"]);
            let refused = b"GET /file HTTP/1.1\r\nHost: x\r\nX : y\r\n\r\n";
            let (wire, status) = if (number + round) % 2 == 0 {
                (&close[..], 200)
            } else {
                (&refused[..], 400)
            };
            client.send(&[wire, &junk].concat());
            std::thread::sleep(Duration::from_millis(10));
            let answer = client.answer(false);
            assert_eq!(answer.status, status);
            assert!(!answer.is_kept());
            if status != 400 {
                assert_bytes(&answer.body, &bytes, "the body");
            }
            client.assert_end();
        }
    });
    server.stop();
}

/// What comes after the last answer has left must not end it either.
#[test]
fn no_late_byte_eats_the_last_answer() {
    let (root, bytes) = one_file(150_000);
    let server = small_server(root.path());
    for _ in 0..5 {
        let mut client = Client::narrow(&server);
        client.send(&get("/file", &["Connection: close"]));
        std::thread::sleep(Duration::from_millis(60));
        client.send(b"GET /late HTTP/1.1\r\n\r\n");
        std::thread::sleep(Duration::from_millis(30));
        let answer = client.answer(false);
        assert_bytes(&answer.body, &bytes, "the body");
        client.assert_end();
    }
    server.stop();
}

#[test]
fn a_client_that_closes_its_half_gets_all_answers() {
    let (root, bytes) = one_file(2_000_000);
    let small = old_file(&root.path().join("small"), 2, 500);
    let server = server_with(root.path(), &["--per-worker", "64"]);
    at_once(10, |number| {
        let mut client = if number % 2 == 0 {
            Client::narrow(&server)
        } else {
            Client::connect(&server)
        };
        let mut wire = Vec::new();
        for _ in 0..50 {
            wire.extend(get("/small", &[]));
        }
        wire.extend(get("/file", &["Range: bytes=0-99,200-1000000"]));
        wire.extend(get("/file", &[]));
        wire.extend(get("/small", &[]));
        // Half a request at the end is none.
        wire.extend(&get("/small", &[])[..10 * (number % 3)]);
        client.send(&wire);
        client.stream.shutdown(Shutdown::Write).unwrap();
        for index in 0..50 {
            assert_bytes(&client.answer(false).body, &small, index);
        }
        let parts = common::http::parts_of(&client.answer(false)).unwrap();
        assert_bytes(&parts[1].data, &bytes[200..=1_000_000], "the second part");
        assert_bytes(&client.answer(false).body, &bytes, "the body");
        assert_bytes(&client.answer(false).body, &small, "the body");
        client.assert_end();
    });
    server.stop();
}

#[test]
fn a_client_that_asks_nothing_and_leaves_is_forgotten() {
    let (root, bytes) = one_file(200);
    let server = small_server(root.path());
    for round in 0..200 {
        let mut client = Client::connect(&server);
        client.send(&get("/file", &[])[..round % 30]);
        drop(client);
    }
    assert_bytes(&once(&server, &get("/file", &[])).body, &bytes, "the body");
    server.stop();
}

/// Reads answers until the end; each must be whole. Their statuses.
#[track_caller]
fn statuses_to_end(client: &mut Client<TcpStream>, bytes: &[u8]) -> Vec<u16> {
    let mut statuses = Vec::new();
    while let Some(answer) = client.answer_or_end() {
        statuses.push(answer.status);
        if answer.status == 200 {
            assert_bytes(
                &answer.body,
                bytes,
                format_args!("answer {}", statuses.len()),
            );
        }
        if !answer.is_kept() {
            client.assert_end();
            break;
        }
    }
    statuses
}

/// The answers that are on their way when the server stops are finished; the next one says so.
#[test]
fn a_stop_cuts_no_answer() {
    let (root, bytes) = one_file(15_000);
    for requests in [20, 200, 222, 250] {
        let mut server = server_with(root.path(), &["--drain", "20"]);
        let mut clients: Vec<_> = (0..8).map(|_| Client::narrow(&server)).collect();
        for client in &mut clients {
            client.send(&get("/file", &[]).repeat(requests));
            client.stream.flush().unwrap();
        }
        std::thread::sleep(Duration::from_millis(200));
        server.signal(Signal::SIGTERM);
        std::thread::sleep(Duration::from_millis(200));
        for client in &mut clients {
            let statuses = statuses_to_end(client, &bytes);
            let (last, others) = statuses.split_last().unwrap();
            assert!(others.iter().all(|status| *status == 200));
            assert!([200, 503].contains(last), "{last}");
        }
        assert_eq!(server.wait(LIMIT).code(), Some(0), "{}", server.log());
    }
}

/// Who has its whole file after the stop began, and was to be kept, is not waited for.
#[test]
fn a_stop_waits_for_no_client_that_has_its_answer() {
    let (root, bytes) = one_file(8_000_000);
    let mut server = server_with(root.path(), &["--drain", "60"]);
    let mut client = Client::narrow(&server);
    client.send(&get("/file", &[]));
    uninterrupted(|| client.stream.peek(&mut [0])).unwrap();
    server.signal(Signal::SIGTERM);
    std::thread::sleep(Duration::from_millis(200));
    assert_bytes(&client.answer(false).body, &bytes, "the body");
    // It does not close by itself.
    assert_eq!(server.wait(LIMIT / 2).code(), Some(0), "{}", server.log());
}

/// A server that stops tells those whom it still hears, in words.
#[test]
fn a_request_during_the_stop_is_answered_with_503() {
    let (root, bytes) = one_file(8_000_000);
    let mut server = server_with(root.path(), &["--drain", "20"]);
    let mut busy = Client::narrow(&server);
    busy.send(&get("/file", &[]).repeat(2));
    let mut idle = Client::connect(&server);
    assert_eq!(idle.get("/missing", &[]).status, 404);
    std::thread::sleep(Duration::from_millis(200));
    let start = Instant::now();
    server.signal(Signal::SIGTERM);
    idle.assert_end();
    assert!(start.elapsed() < Duration::from_secs(3));
    assert_bytes(&busy.answer(false).body, &bytes, "the body");
    let refused = busy.answer(false);
    assert_eq!(refused.status, 503);
    assert!(refused.field("retry-after").is_some());
    assert!(!refused.is_kept());
    busy.assert_end();
    assert_eq!(server.wait(LIMIT).code(), Some(0), "{}", server.log());
}

/// One place, and someone who waits for it. A Unix socket holds the same number of bytes each time,
/// so that among so many requests the sending stops in the last answer at least once.
#[test]
fn answers_are_whole_while_another_waits_for_the_place() {
    let (root, bytes) = one_file(14_000);
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let server = options::at_path(
        root.path(),
        &socket,
        &["--workers", "1", "--per-worker", "1"],
    );
    let connect = || Client::new(UnixStream::connect(&socket).unwrap());
    for requests in 1..30 {
        for comes_first in [false, true] {
            let mut client = connect();
            let wire = get("/file", &[]).repeat(requests);
            let come = || {
                let mut next = connect();
                next.send(&get("/file", &[]));
                std::thread::sleep(Duration::from_millis(8));
                next
            };
            // Half a request holds the place.
            client.send(&wire[..10]);
            std::thread::sleep(Duration::from_millis(8));
            let early = comes_first.then(come);
            client.send(&wire[10..]);
            std::thread::sleep(Duration::from_millis(8));
            let mut next = early.unwrap_or_else(come);
            for index in 0..requests {
                let answer = client.answer(false);
                assert_bytes(&answer.body, &bytes, format_args!("{index} of {requests}"));
                assert!(answer.is_kept() || index + 1 == requests);
            }
            client.assert_end();
            drop(client);
            assert_bytes(&next.answer(false).body, &bytes, requests);
        }
    }
    server.stop();
}
