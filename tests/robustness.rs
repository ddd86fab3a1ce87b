//! Thousands of requests that are wrong in every way: the server answers or ends the connection,
//! and goes on serving. The seeds are fixed, so that what fails can be met again.

use crate::common;

use crate::common::assert_bytes;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use nix::libc::linger;

use common::http::{Client, get, old_file, once, request};
use common::server::Server;
use common::{at_once, program, random_bytes};

/// Numbers from a seed.
struct Random {
    bytes: std::vec::IntoIter<u8>,
}

impl Random {
    fn new(seed: u64) -> Self {
        let bytes = random_bytes(seed, 3_000_000).into_iter();
        Self { bytes }
    }

    fn below(&mut self, limit: usize) -> usize {
        let mut number = || u32::from(self.bytes.next().unwrap());
        (number() << 16 | number() << 8 | number()) as usize % limit
    }

    fn of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
}

const TARGETS: [&str; 12] = [
    "/file",
    "/",
    "/a",
    "/a/",
    "/large",
    "/missing",
    "//a?x",
    "/%61/../file",
    "/-/health",
    "*",
    "http://yard/file",
    "/a/.hidden",
];
const METHODS: [&str; 7] = ["GET", "GET", "GET", "HEAD", "OPTIONS", "POST", "BREW"];
const FIELDS: [&str; 20] = [
    "Range: bytes=0-1",
    "Range: bytes=0-1,5-9,-3",
    "Range: bytes=100000-,0-50000",
    "Range: bytes=-0",
    "If-None-Match: *",
    "If-Match: \"a\", W/\"b\"",
    "If-Range: \"a\"",
    "If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT",
    "Accept-Encoding: gzip, br;q=0.5, *;q=0",
    "Accept: text/html",
    "Accept: application/json",
    "Connection: close",
    "Connection: keep-alive",
    "Content-Length: 5",
    "Content-Length: 0",
    "Transfer-Encoding: chunked",
    "Expect: 100-continue",
    "Host: other",
    "User-Agent: \x01\u{fc}",
    "X: ",
];
const PIECES: [&[u8]; 22] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b"%",
    b"%00",
    b"%2f",
    b"..",
    b"/",
    b"\r\n\r\n",
    b"HTTP/1.1",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b"ffffffffffffffff\r\n",
    b"bytes=",
    b"-",
    b",",
    b"\xff",
    b"Content-Length: 99999999999999999999\r\n",
];

/// A request, most of them with a mutation or two.
fn mutated(random: &mut Random) -> Vec<u8> {
    let fields: Vec<&str> = (0..random.below(4)).map(|_| random.of(&FIELDS)).collect();
    let mut wire = request(random.of(&METHODS), random.of(&TARGETS), &fields);
    for _ in 0..random.below(4) {
        let at = random.below(wire.len());
        match random.below(7) {
            0 => wire[at] = random.below(256) as u8,
            1 => wire[at] ^= 1 << random.below(8),
            2 => drop(wire.remove(at)),
            3 => wire.truncate(at + 1),
            4 => {
                let end = at + random.below(wire.len() - at);
                let copy = wire[at..end].repeat(1 + random.below(30));
                wire.splice(at..at, copy);
            }
            _ => {
                let piece = random.of(&PIECES);
                wire.splice(at..at, piece.iter().copied());
            }
        }
    }
    wire
}

/// Sends a few requests in a few pieces, and reads whatever comes to the end of the connection.
fn talk(server: &Server, random: &mut Random) {
    let mut stream = server.connect();
    stream.set_nodelay(true).unwrap();
    let wire: Vec<u8> = (0..=random.below(5))
        .flat_map(|_| mutated(random))
        .collect();
    let mut rest = &wire[..];
    while !rest.is_empty() {
        let (now, later) = rest.split_at(1 + random.below(rest.len()));
        // The server may have ended the connection for what it has read.
        if stream.write_all(now).is_err() {
            break;
        }
        rest = later;
    }
    match random.below(8) {
        // Leaves without reading.
        0 => return,
        1 => drop(stream.shutdown(Shutdown::Both)),
        _ => drop(stream.shutdown(Shutdown::Write)),
    }
    let mut answers = Vec::new();
    match stream.read_to_end(&mut answers) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{wire:?}"),
    }
    let begins_right = answers.is_empty() || answers.starts_with(b"HTTP/1.1 ");
    assert!(begins_right, "{}", answers[..100].escape_ascii());
}

fn root() -> (tempfile::TempDir, Vec<u8>) {
    let root = tempfile::tempdir().unwrap();
    let bytes = old_file(&root.path().join("file"), 1, 3000);
    old_file(&root.path().join("file.gz"), 2, 900);
    old_file(&root.path().join("large"), 3, 400_000);
    std::fs::create_dir(root.path().join("a")).unwrap();
    (root, bytes)
}

#[test]
fn mutated_requests_end_no_worker() {
    let (root, bytes) = root();
    let server = Server::http(root.path(), &["--workers", "2", "--per-worker", "40"]);
    let children = server.children();
    let each = if program::is_emulated() { 150 } else { 800 };
    at_once(8, |number| {
        let mut random = Random::new(number as u64 + 1);
        (0..each).for_each(|_| talk(&server, &mut random));
    });
    for _ in 0..4 {
        assert_bytes(&once(&server, &get("/file", &[])).body, &bytes, "the body");
    }
    assert_eq!(server.children(), children, "{}", server.log());
    server.stop();
}

#[test]
fn noise_ends_no_worker() {
    let (root, bytes) = root();
    let server = Server::http(root.path(), &["--workers", "2", "--per-worker", "40"]);
    let children = server.children();
    at_once(8, |number| {
        for round in 0..40 {
            let mut stream = server.connect();
            let noise = random_bytes((number * 1000 + round) as u64, round * 700);
            // Refused at its first bytes, so that it is not all taken.
            let _ = stream.write_all(&noise);
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    assert_bytes(&once(&server, &get("/file", &[])).body, &bytes, "the body");
    assert_eq!(server.children(), children, "{}", server.log());
    server.stop();
}

/// Clients that leave at any moment, among others that are served all the time.
#[test]
fn clients_that_leave_harm_no_others() {
    let (root, bytes) = root();
    let server = Server::http(root.path(), &["--workers", "2", "--per-worker", "12"]);
    let children = server.children();
    at_once(20, |number| {
        let mut random = Random::new(number as u64 + 100);
        for _ in 0..60 {
            let mut client = Client::narrow(&server);
            if number % 2 == 0 {
                let answer = client.get("/file", &["Range: bytes=0-99,200-"]);
                let parts = common::http::parts_of(&answer).unwrap();
                assert_bytes(&parts[1].data, &bytes[200..], "the data");
                continue;
            }
            leave(client.stream, &mut random);
        }
    });
    assert_eq!(server.children(), children, "{}", server.log());
    server.stop();
}

/// Asks for much and leaves, half of the time by a reset.
fn leave(mut stream: TcpStream, random: &mut Random) {
    let several = get("/large", &["Range: bytes=0-99999,200000-"]);
    let wire = [
        &get("/large", &[])[..],
        &several,
        &get("/file", &[]),
        &several,
    ]
    .concat();
    let _ = stream.write_all(&wire[..1 + random.below(wire.len())]);
    std::thread::sleep(Duration::from_millis(random.below(4) as u64));
    let _ = stream.set_nonblocking(true);
    let _ = stream.read(&mut vec![0; random.below(20_000)]);
    if random.below(2) == 0 {
        let reset = linger {
            l_onoff: 1,
            l_linger: 0,
        };
        nix::sys::socket::setsockopt(&stream, nix::sys::socket::sockopt::Linger, &reset).unwrap();
    }
}
