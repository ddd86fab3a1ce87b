//! The ask mode of the train protocol, byte by byte.

#[path = "wire/changes.rs"]
mod changes;
use crate::common;
use crate::common::assert_bytes;
#[path = "wire/faults.rs"]
mod faults;
#[path = "wire/listing.rs"]
mod listing;

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::Duration;

use crate::common::uninterrupted;
use common::ask::{Answer, Failure, ask, car, connect_narrow, read_answer, request};
use common::server::Server;
use common::{checksum, random_file};

/// A server that has two children of few places each, enough for a test of single clients.
fn small_server(root: &Path) -> Server {
    Server::start(root, &["--workers", "2", "--per-worker", "8"])
}

fn path_of(root: &Path, name: &[u8]) -> std::path::PathBuf {
    root.join(OsStr::from_bytes(name))
}

fn mtime_ns(path: &Path) -> i64 {
    let metadata = fs::metadata(path).unwrap();
    metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec()
}

/// The bytes on the wire of the answer to a request for `data` of a file.
fn expected_answer(path: &Path, data: &[u8]) -> Vec<u8> {
    let size = fs::metadata(path).unwrap().len();
    let mut wire = car(path.file_name().unwrap().as_bytes());
    wire.extend(car(
        &[size.to_le_bytes(), mtime_ns(path).to_le_bytes()].concat()
    ));
    data.chunks(1000).for_each(|chunk| wire.extend(car(chunk)));
    wire.extend(car(b""));
    wire
}

/// All that comes after a client has sent `bytes` and closed its side.
fn wire_of(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let mut stream = server.connect();
    stream.write_all(bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut wire = Vec::new();
    stream.read_to_end(&mut wire).unwrap();
    wire
}

#[test]
fn any_range_of_a_file_is_sent_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let server = small_server(root.path());
    for size in [0, 1, 999, 1000, 1001, 2500, 64_000, 300_123] {
        let path = root.path().join("file");
        let bytes = random_file(&path, size, size as usize);
        for offset in [0, 1, 999, 1000, 1001, size / 2, size - 1.min(size), size] {
            if offset > size {
                continue;
            }
            let rest = &bytes[offset as usize..];
            let wire = wire_of(&server, &request(b"file", &[offset]));
            assert_bytes(
                &wire,
                &expected_answer(&path, rest),
                format_args!("{size} bytes from {offset}"),
            );
            for length in [0, 1, 1000, 1001, 2 * size, u64::MAX] {
                let part = &rest[..rest
                    .len()
                    .min(usize::try_from(length).unwrap_or(usize::MAX))];
                let wire = wire_of(&server, &request(b"file", &[offset, length]));
                assert_bytes(
                    &wire,
                    &expected_answer(&path, part),
                    format_args!("{length} of {size} bytes from {offset}"),
                );
            }
        }
        let wire = wire_of(&server, &request(b"file", &[]));
        assert_bytes(
            &wire,
            &expected_answer(&path, &bytes),
            format_args!("{size} bytes"),
        );
    }
    server.stop();
}

#[test]
fn a_path_has_many_forms() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("a/b")).unwrap();
    let bytes = random_file(&root.path().join("a/b/c"), 7, 1234);
    std::os::unix::fs::symlink("c", root.path().join("a/b/link")).unwrap();
    let server = small_server(root.path());
    for path in [
        "a/b/c",
        "/a/b/c",
        "//a/b/c",
        "/a//b/./c",
        "./a/b/c",
        "a/./././b///c",
    ] {
        let answer = ask(&mut server.connect(), path.as_bytes(), &[]).unwrap();
        assert_eq!((&answer.name[..], answer.data), (&b"c"[..], bytes.clone()));
    }
    // 1000 bytes are the longest path, however little of it counts.
    let longest = format!("{}a/b/c", "/".repeat(995));
    let answer = ask(&mut server.connect(), longest.as_bytes(), &[]).unwrap();
    assert_eq!(answer.data, bytes);
    server.stop();
}

#[test]
fn a_name_may_have_any_bytes_but_slash_and_nul() {
    let root = tempfile::tempdir().unwrap();
    let mut names: Vec<Vec<u8>> = [
        &b"a b"[..],
        b" leading",
        b"trailing ",
        b"new\nline",
        b"\xff\xfe\xfd",
        b"...",
        b"-rf",
        b"%2e%2e",
        b"back\\slash",
        b"\x01\x7f\x80",
        "gr\u{fc}n".as_bytes(),
    ]
    .map(<[u8]>::to_vec)
    .to_vec();
    names.push(vec![b'n'; 255]);
    names.push((1..=255).filter(|byte| *byte != b'/').collect());
    let contents: Vec<Vec<u8>> = names
        .iter()
        .enumerate()
        .map(|(seed, name)| random_file(&path_of(root.path(), name), seed as u64 + 1, 1500))
        .collect();
    let server = small_server(root.path());
    let mut stream = server.connect();
    for (name, content) in names.iter().zip(&contents) {
        let answer = ask(&mut stream, name, &[]).unwrap();
        assert_eq!(answer.name, *name);
        assert_bytes(&answer.data, content, format_args!("{name:?}"));
    }
    server.stop();
}

#[test]
fn requests_in_one_write_are_answered_in_order() {
    let root = tempfile::tempdir().unwrap();
    let (mut asked, mut expected) = (Vec::new(), Vec::new());
    for index in 0..60 {
        let name = format!("file-{index}");
        let path = root.path().join(&name);
        let bytes = random_file(&path, index + 1, (index as usize * 7919) % 20_000);
        asked.extend(request(name.as_bytes(), &[]));
        expected.extend(expected_answer(&path, &bytes));
    }
    let server = small_server(root.path());
    assert_bytes(&wire_of(&server, &asked), &expected, "all answers");
    // The same from a client that does not end its side, and goes on later.
    let mut stream = server.connect();
    for _ in 0..3 {
        stream.write_all(&asked).unwrap();
        let mut wire = vec![0; expected.len()];
        stream.read_exact(&mut wire).unwrap();
        assert_bytes(&wire, &expected, "all answers");
    }
    server.stop();
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let root = tempfile::tempdir().unwrap();
    let bytes = random_file(&root.path().join("file"), 3, 5000);
    let server = small_server(root.path());
    let mut stream = server.connect();
    stream.set_nodelay(true).unwrap();
    for byte in request(b"./file", &[2, 4000]) {
        stream.write_all(&[byte]).unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(read_answer(&mut stream).unwrap().data, bytes[2..4002]);
    // One request whole and half of the next, then the other half.
    let two = [request(b"file", &[]), request(b"file", &[4000])].concat();
    let cut = two.len() - 9;
    stream.write_all(&two[..cut]).unwrap();
    assert_eq!(read_answer(&mut stream).unwrap().data, bytes);
    stream.write_all(&two[cut..]).unwrap();
    assert_eq!(read_answer(&mut stream).unwrap().data, bytes[4000..]);
    server.stop();
}

#[test]
fn a_slow_reader_gets_exact_bytes() {
    let root = tempfile::tempdir().unwrap();
    let bytes = random_file(&root.path().join("file"), 9, 6_000_000);
    let expected = expected_answer(&root.path().join("file"), &bytes);
    let server = small_server(root.path());
    let mut stream = connect_narrow(server.address());
    stream.write_all(&request(b"file", &[])).unwrap();
    let (mut wire, mut room) = (Vec::new(), vec![0; 40_000]);
    while wire.len() < expected.len() {
        // Odd amounts, so that the server's cuts fall anywhere in a car.
        let amount = 1 + (wire.len() * 7919) % 39_989;
        let size = uninterrupted(|| stream.read(&mut room[..amount])).unwrap();
        assert!(size > 0, "ended after {} bytes", wire.len());
        wire.extend_from_slice(&room[..size]);
        if wire.len() % 16 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    assert_eq!(checksum(&wire), checksum(&expected));
    server.stop();
}

#[test]
fn a_file_may_be_larger_than_32_bits_can_count() {
    let root = tempfile::tempdir().unwrap();
    let size: u64 = (5 << 30) + 12_345;
    let file = fs::File::create(root.path().join("large")).unwrap();
    file.set_len(size).unwrap();
    let marks = [2_u64 << 30, 4 << 30, size - 1000];
    for (seed, at) in marks.iter().enumerate() {
        let bytes = common::random_bytes(seed as u64 + 1, 2000);
        file.write_all_at(&bytes[..1000.min((size - at) as usize)], *at)
            .unwrap();
        file.write_all_at(&bytes[1000..], *at - 1000).unwrap();
    }
    let server = small_server(root.path());
    let mut stream = server.connect();
    for (seed, at) in marks.iter().enumerate() {
        let bytes = common::random_bytes(seed as u64 + 1, 2000);
        let answer = ask(&mut stream, b"large", &[at - 1000, 2000]).unwrap();
        assert_eq!(answer.size, size);
        assert!(
            answer.data == [&bytes[1000..], &bytes[..1000]].concat(),
            "around {at}"
        );
    }
    let last = ask(&mut stream, b"large", &[size - 1]).unwrap();
    assert_eq!(last.data, common::random_bytes(3, 2000)[999..1000]);
    let none = ask(&mut stream, b"large", &[size]).unwrap();
    assert_eq!((none.size, none.data.len()), (size, 0));
    let beyond = ask(&mut stream, b"large", &[size + 1]);
    assert!(matches!(beyond, Err(Failure::Fault(22))), "{beyond:?}");
    server.stop();
}

/// What a folder's answer says of itself, and its entries: type, size, time, name.
type Entry = (u8, u64, i64, Vec<u8>);

fn entries_of(answer: &Answer) -> Vec<Entry> {
    assert_eq!(answer.size, u64::MAX);
    assert_eq!(*answer.data.last().unwrap_or(&0), 0, "each ends in NUL");
    answer
        .data
        .split_inclusive(|byte| *byte == 0)
        .map(|text| {
            let words: Vec<&[u8]> = text[..text.len() - 1]
                .splitn(4, |byte| *byte == b' ')
                .collect();
            let number = |word: &[u8]| String::from_utf8(word.to_vec()).unwrap();
            assert_eq!(words[0].len(), 1);
            (
                words[0][0],
                number(words[1]).parse().unwrap(),
                number(words[2]).parse().unwrap(),
                words[3].to_vec(),
            )
        })
        .collect()
}
