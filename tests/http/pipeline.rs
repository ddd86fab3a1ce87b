//! Pipelining: many requests before the first answer is read. All answers come, whole and in order,
//! wherever a send stops.

use crate::common::assert_bytes;
use std::io::Write;
use std::time::Duration;

use super::common::{at_once, random_bytes};
use super::*;

/// Sizes around those at which the way of sending changes.
const SIZES: [usize; 12] = [
    0, 1, 2, 100, 1000, 4096, 16_383, 16_384, 16_385, 50_000, 262_144, 700_001,
];

/// Files of these sizes, named by their index.
fn files(sizes: &[usize]) -> (tempfile::TempDir, Vec<Vec<u8>>) {
    let root = tempfile::tempdir().unwrap();
    let all = sizes.iter().enumerate().map(|(index, size)| {
        let path = root.path().join(index.to_string());
        old_file(&path, index as u64 + 10, *size)
    });
    let all = all.collect();
    (root, all)
}

/// What a client asks for, and the exact answer but for its date.
struct Asked {
    request: Vec<u8>,
    status: u16,
    body: Vec<u8>,
}

/// A request of a kind that the number chooses, for one of the files.
fn asked(files: &[Vec<u8>], number: u64) -> Asked {
    let file = (number % files.len() as u64) as usize;
    let (target, bytes) = (format!("/{file}"), &files[file]);
    let kind = number / files.len() as u64 % 8;
    let (request, status, body) = match kind {
        0 => (request("HEAD", &target, &[]), 200, vec![]),
        1 => (get("/missing", &[]), 404, vec![]),
        2 if bytes.len() > 40 => (
            get(&target, &["Range: bytes=3-7,20-30,-5"]),
            206,
            parts(bytes, &[3..8, 20..31, bytes.len() - 5..bytes.len()]),
        ),
        3 if bytes.len() > 10 => (get(&target, &["Range: bytes=5-"]), 206, bytes[5..].to_vec()),
        4 => (get(&target, &["If-None-Match: *"]), 304, vec![]),
        5 => {
            let mut with_body = get(&target, &["Content-Length: 24"]);
            with_body.extend(b"GET /missing HTTP/1.1\r\n\r\n");
            with_body.truncate(with_body.len() - 1);
            (with_body, 200, bytes.clone())
        }
        _ => (get(&target, &[]), 200, bytes.clone()),
    };
    Asked {
        request,
        status,
        body,
    }
}

/// The data of the parts one after the other: what [`joined`] makes of an answer.
fn parts(bytes: &[u8], ranges: &[std::ops::Range<usize>]) -> Vec<u8> {
    ranges
        .iter()
        .flat_map(|range| bytes[range.clone()].to_vec())
        .collect()
}

/// The body, or the data of all its parts.
fn joined(answer: &common::http::Answer) -> Vec<u8> {
    match common::http::parts_of(answer) {
        Some(parts) => parts.into_iter().flat_map(|part| part.data).collect(),
        None => answer.body.clone(),
    }
}

/// Asks for all at once, and reads all answers with pauses; the bytes go out in pieces of any size.
fn ask_all(mut client: Client<std::net::TcpStream>, all: &[Asked], seed: u64) {
    let mut writer = client.stream.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let wire: Vec<u8> = all.iter().flat_map(|asked| asked.request.clone()).collect();
            let mut random = random_bytes(seed, 1_000_000).into_iter().cycle();
            let mut rest = &wire[..];
            while !rest.is_empty() {
                let size = 1 + usize::from(random.next().unwrap()) * 40;
                let (now, later) = rest.split_at(size.min(rest.len()));
                writer.write_all(now).unwrap();
                rest = later;
                if random.next().unwrap() < 8 {
                    std::thread::sleep(Duration::from_micros(500));
                }
            }
        });
        let mut random = random_bytes(seed + 1, 100_000).into_iter().cycle();
        for (index, asked) in all.iter().enumerate() {
            if random.next().unwrap() < 6 {
                std::thread::sleep(Duration::from_millis(3));
            }
            let answer = client.answer(asked.request.starts_with(b"HEAD "));
            let shown = asked.request.escape_ascii();
            assert_eq!(answer.status, asked.status, "{index}: {shown}");
            if asked.status < 300 {
                assert!(joined(&answer) == asked.body, "{index}: {shown}");
            }
        }
    });
}

#[test]
fn a_hundred_requests_in_one_write_are_answered_in_order() {
    let (root, files) = files(&[10, 200, 3000]);
    let server = small_server(root.path());
    let mut client = Client::connect(&server);
    let wire: Vec<u8> = (0..100)
        .flat_map(|index| get(&format!("/{}", index % 3), &[]))
        .collect();
    for _ in 0..5 {
        client.send(&wire);
        for index in 0..100 {
            assert_bytes(&client.answer(false).body, &files[index % 3], index);
        }
    }
    server.stop();
}

#[test]
fn mixed_requests_in_one_write_are_answered_in_order() {
    let (root, files) = files(&SIZES);
    let server = small_server(root.path());
    for seed in 0..4 {
        let all: Vec<_> = random_bytes(seed, 120)
            .into_iter()
            .map(|byte| asked(&files, u64::from(byte)))
            .collect();
        ask_all(Client::connect(&server), &all, seed);
    }
    server.stop();
}

/// With such long heads and such small bodies most sends stop in the midst of a head.
#[test]
fn answers_that_stop_in_their_heads_are_whole() {
    let (root, files) = files(&[0, 1, 30, 200]);
    let long = format!("X-Long: {}", "x".repeat(1900));
    let server = server_with(root.path(), &["--header", &long]);
    at_once(6, |number| {
        let number = number as u64;
        let all: Vec<_> = random_bytes(number + 50, 900)
            .into_iter()
            .map(|byte| asked(&files, u64::from(byte)))
            .collect();
        ask_all(Client::narrow(&server), &all, number);
    });
    server.stop();
}

#[test]
fn answers_to_narrow_clients_are_whole_wherever_they_stop() {
    let (root, files) = files(&SIZES[..9]);
    let server = server_with(root.path(), &["--per-worker", "64"]);
    at_once(16, |number| {
        let number = number as u64;
        let all: Vec<_> = random_bytes(number + 90, 200)
            .into_iter()
            .map(|byte| asked(&files, u64::from(byte)))
            .collect();
        ask_all(Client::narrow(&server), &all, number);
    });
    server.stop();
}

/// More clients than one worker has places for requests that are not whole, or not answered.
#[test]
fn more_half_requests_than_can_be_kept_are_all_answered() {
    let (root, files) = files(&[900, 20_000, 300_000]);
    let options = ["--workers", "1", "--per-worker", "300"];
    let server = Server::http(root.path(), &options);
    let mut clients: Vec<_> = (0..200).map(|_| Client::narrow(&server)).collect();
    let request = |index: usize| {
        let fields = [
            "Range: bytes=1-2,5-6,10-19,100-899",
            "X: 12345678901234567890",
        ];
        get(&format!("/{}", index % 3), &fields)
    };
    let expected = |index: usize| parts(&files[index % 3], &[1..3, 5..7, 10..20, 100..900]);
    // Three requests each, the first two and a half at once.
    for (index, client) in clients.iter_mut().enumerate() {
        let wire = [request(index), request(index + 1), request(index + 2)].concat();
        let (begin, _) = wire.split_at(wire.len() - 1 - index % 60);
        client.send(begin);
    }
    // Someone else is served meanwhile.
    let mut other = Client::connect(&server);
    assert_bytes(&other.get("/0", &[]).body, &files[0], "the body");
    for (index, client) in clients.iter_mut().enumerate().rev() {
        let wire = request(index + 2);
        client.send(&wire[wire.len() - 1 - index % 60..]);
    }
    for (index, client) in clients.iter_mut().enumerate() {
        for more in 0..3 {
            let answer = client.answer(false);
            assert_eq!(answer.status, 206, "{index}");
            assert!(joined(&answer) == expected(index + more), "{index}");
        }
    }
    assert_bytes(&other.get("/1", &[]).body, &files[1], "the body");
    server.stop();
}
