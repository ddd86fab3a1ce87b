//! The access log: a line for each request, in the combined format.

use crate::common::assert_bytes;
use std::time::Duration;

use super::common::at_once;
use super::common::server::{LIMIT, add_user};
use super::common::wait_until;
use super::*;
use crate::common::uninterrupted;

/// A line without its time.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Line {
    peer: String,
    request: String,
    status: u16,
    bytes: u64,
    referer: String,
    agent: String,
}

/// Reads a line strictly.
#[track_caller]
fn parsed(line: &str) -> Line {
    let (peer, rest) = line
        .split_once(" - - [")
        .unwrap_or_else(|| panic!("{line}"));
    let (time, rest) = rest.split_once("] \"").unwrap();
    // 06/Nov/1994:08:49:37 +0000
    let form: String = time
        .chars()
        .map(|letter| match letter {
            '0'..='9' => '0',
            'A'..='Z' => 'A',
            'a'..='z' => 'a',
            other => other,
        })
        .collect();
    assert_eq!(form, "00/Aaa/0000:00:00:00 +0000", "{line}");
    let (request, rest) = rest.split_once("\" ").unwrap();
    let (numbers, rest) = rest.split_once(" \"").unwrap();
    let (status, bytes) = numbers.split_once(' ').unwrap();
    let (referer, agent) = rest.strip_suffix('"').unwrap().split_once("\" \"").unwrap();
    Line {
        peer: peer.into(),
        request: request.into(),
        status: status.parse().unwrap(),
        bytes: bytes.parse().unwrap(),
        referer: referer.into(),
        agent: agent.into(),
    }
}

/// The first lines, once so many have come.
#[track_caller]
fn lines(server: &Server, count: usize) -> Vec<Line> {
    wait_until("the lines", LIMIT, || {
        server.output().matches('\n').count() >= count
    });
    server.output().lines().map(parsed).collect()
}

fn line(request: &str, status: u16, bytes: u64) -> Line {
    Line {
        peer: "127.0.0.1".into(),
        request: request.into(),
        status,
        bytes,
        referer: "-".into(),
        agent: "-".into(),
    }
}

#[test]
fn every_request_has_its_line() {
    let (root, _) = one_file(3000);
    old_file(&root.path().join("large"), 2, 700_000);
    std::fs::create_dir(root.path().join("folder")).unwrap();
    let server = server_with(root.path(), &["--access-log", "--workers", "1"]);
    let mut client = Client::connect(&server);
    let mut expected = Vec::new();
    for (target, fields, status) in [
        ("/file", &[][..], 200),
        ("/large?q=1", &[], 200),
        ("/file", &["Range: bytes=0-99"], 206),
        ("/large", &["Range: bytes=100-"], 206),
        ("/large", &["Range: bytes=0-1,5-600000"], 206),
        ("/file", &["If-None-Match: *"], 304),
        ("/missing", &[], 404),
        ("/%00", &[], 400),
        ("/folder", &[], 301),
        ("/folder/", &["Accept: application/json"], 200),
        ("/-/health", &[], 200),
    ] {
        let answer = client.get(target, fields);
        assert_eq!(answer.status, status, "{target}");
        let mut line = line(
            &format!("GET {target} HTTP/1.1"),
            status,
            answer.body.len() as u64,
        );
        if answer.field("transfer-encoding").is_some() {
            // The chunks' sizes are bytes too.
            line.bytes = 0;
        }
        expected.push(line);
    }
    client.ask(&request("HEAD", "/file", &[]));
    expected.push(line("HEAD /file HTTP/1.1", 200, 0));
    let mut got = lines(&server, expected.len());
    got.iter_mut()
        .filter(|line| line.request.contains("/folder/ "))
        .for_each(|line| line.bytes = 0);
    assert_eq!(got, expected);
    server.stop();
}

/// What a client writes cannot be taken for something else in the log.
#[test]
fn what_a_client_writes_is_escaped() {
    let (root, bytes) = one_file(30);
    let server = server_with(root.path(), &["--access-log", "--workers", "1"]);
    let wire = b"GET /file?a\"b\\c\xff HTTP/1.1\r\nHost: x\r\nReferer: http://a/\"\r\nUser-Agent: \
        \x7f\xe9 \"x\" - - [\tend\r\n\r\n";
    let wire: Vec<u8> = wire.iter().copied().filter(|byte| *byte != 0x7f).collect();
    assert_bytes(&once(&server, &wire).body, &bytes, "the body");
    assert_eq!(once(&server, b"non\x01sense\r\n\r\n").status, 400);
    let got = lines(&server, 2);
    assert_eq!(got[0].request, "GET /file?a\\x22b\\x5Cc\\xFF HTTP/1.1");
    assert_eq!(got[0].referer, "http://a/\\x22");
    assert_eq!(got[0].agent, "\\xE9 \\x22x\\x22 - - [\\x09end");
    assert_eq!(got[1].request, "non\\x01sense");
    assert_eq!((got[1].status, got.len()), (400, 2));
    // Long ones are cut, and a line stays a line.
    let long = "y".repeat(2000);
    let fields = [
        &format!("User-Agent: {long}")[..],
        &format!("Referer: {long}"),
    ];
    assert_eq!(
        once(&server, &get(&format!("/file?{long}"), &fields)).status,
        200
    );
    let got = lines(&server, 3);
    assert!(got[2].request.len() < 1100 && got[2].agent.len() < 1100);
    server.stop();
}

/// Also where sends stop in the midst, and where clients leave: each request once.
#[test]
fn pipelined_requests_have_a_line_each() {
    let (root, bytes) = one_file(15_000);
    old_file(&root.path().join("large"), 2, 2_000_000);
    let server = server_with(root.path(), &["--access-log"]);
    let each = 150;
    let all: usize = at_once(6, |number| {
        let mut client = Client::narrow(&server);
        let mut wire = Vec::new();
        for index in 0..each {
            wire.extend(get(&format!("/file?{number}-{index}"), &[]));
        }
        wire.extend(get(
            &format!("/large?{number}"),
            &["Range: bytes=0-1,3-1000000"],
        ));
        wire.extend(get(&format!("/large?{number}-last"), &[]));
        client.send(&wire);
        for _ in 0..each {
            assert_bytes(&client.answer(false).body, &bytes, "the body");
            std::thread::sleep(Duration::from_micros(100));
        }
        assert_eq!(client.answer(false).status, 206);
        if number % 2 == 0 {
            assert_eq!(client.answer(false).body.len(), 2_000_000);
        }
        each + 2
    })
    .into_iter()
    .sum();
    let got = lines(&server, all);
    assert_eq!(got.len(), all);
    let mut requests: Vec<_> = got.iter().map(|line| &line.request).collect();
    requests.sort();
    requests.dedup();
    assert_eq!(requests.len(), all, "each once");
    for line in &got {
        if line.request.starts_with("GET /file") {
            assert_eq!((line.status, line.bytes), (200, 15_000), "{line:?}");
        } else if line.request.contains("-last") {
            assert_eq!(line.status, 200);
            assert!(line.bytes <= 2_000_000);
        } else {
            assert_eq!(line.status, 206, "{line:?}");
        }
    }
    server.stop();
}

#[test]
fn without_the_option_nothing_is_written() {
    let (root, bytes) = one_file(30);
    let server = small_server(root.path());
    assert_bytes(&once(&server, &get("/file", &[])).body, &bytes, "the body");
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(server.output(), "");
    server.stop();
}

/// A reader that reads no more holds up nobody.
#[test]
fn a_full_log_holds_up_nobody() {
    let (root, bytes) = one_file(30);
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = common::program::command("trainyard");
    command
        .arg("serve")
        .arg(root.path())
        .args(["--train", "none", "--access-log"]);
    let socket = root.path().join("socket");
    command
        .arg("--http")
        .arg(format!("unix:{}", socket.display()));
    add_user(&mut command);
    command.stdout(writer).stderr(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    wait_until("the socket", LIMIT, || {
        std::os::unix::net::UnixStream::connect(&socket).is_ok()
    });
    let stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut client = Client::new(stream);
    // Many times what a pipe holds.
    for _ in 0..30 {
        client.send(&get("/file", &[]).repeat(200));
        (0..200).for_each(|_| assert_bytes(&client.answer(false).body, &bytes, "the body"));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    drop(reader);
}

/// Also of who has gone by then, the address is told.
#[test]
fn a_transfer_that_is_broken_off_is_logged_with_what_was_sent() {
    let (root, _) = one_file(20_000_000);
    let server = Server::http(root.path(), &["--workers", "1", "--access-log"]);
    for _ in 0..5 {
        let mut client = Client::narrow(&server);
        client.send(&get("/file", &[]));
        uninterrupted(|| client.stream.peek(&mut [0])).unwrap();
        // What is unread makes this a reset.
        drop(client);
    }
    for line in lines(&server, 5) {
        assert_eq!((line.peer.as_str(), line.status), ("127.0.0.1", 200));
        assert!((1..20_000_000).contains(&line.bytes), "{line:?}");
    }
    server.stop();
}
