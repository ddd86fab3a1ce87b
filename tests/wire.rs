//! The train protocol, asked by hand: every byte of the answers.

mod common;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::path::Path;
use std::time::Duration;

use common::ask::{Failure, ask, car, read_answer, request};
use common::server::Server;
use common::{checksum, random_bytes, random_file};

const SMALL: [&str; 4] = ["--workers", "1", "--per-worker", "16"];

#[track_caller]
fn assert_fault(result: Result<common::ask::Answer, Failure>, errno: i32) {
    match result {
        Err(Failure::Fault(got)) => assert_eq!(got, errno),
        other => panic!("fault {errno} expected, not {other:?}"),
    }
}

/// A fault, and then the connection's end.
#[track_caller]
fn assert_refused(server: &Server, bytes: &[u8], errno: i32) {
    let mut stream = server.connect();
    stream.write_all(bytes).unwrap();
    assert_fault(read_answer(&mut stream), errno);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty(), "nothing follows a fault");
}

#[test]
fn files_of_every_size_are_whole() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(root.path(), &SMALL);
    for (seed, size) in [
        (1, 0),
        (2, 1),
        (3, 999),
        (4, 1000),
        (5, 1001),
        (6, 64_000),
        (7, 5_000_000),
    ] {
        let path = root.path().join("file");
        let bytes = random_file(&path, seed, size);
        let answer = ask(&mut server.connect(), b"file", &[]).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        let mtime_ns = metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec();
        assert_eq!(
            (answer.name.as_slice(), answer.size),
            (&b"file"[..], size as u64)
        );
        assert_eq!(answer.mtime_ns, mtime_ns);
        assert_eq!(checksum(&answer.data), checksum(&bytes));
    }
    server.stop();
}

#[test]
fn a_range_is_what_was_asked_for() {
    let root = tempfile::tempdir().unwrap();
    let bytes = random_file(&root.path().join("file"), 1, 10_500);
    let server = Server::start(root.path(), &SMALL);
    let mut stream = server.connect();
    for range in [
        vec![0],
        vec![1],
        vec![999],
        vec![10_499],
        vec![10_500],
        vec![0, 0],
        vec![3, 1],
        vec![5, 1000],
        vec![1, u64::MAX],
    ] {
        let answer = ask(&mut stream, b"/file", &range).unwrap();
        let start = range[0] as usize;
        let end = range.get(1).map_or(10_500, |length| {
            start.saturating_add(*length as usize).min(10_500)
        });
        assert_eq!(answer.size, 10_500);
        assert!(answer.data == bytes[start..end], "{range:?}");
    }
    assert_refused(&server, &request(b"file", &[10_501]), 22);
    assert_refused(&server, &request(b"file", &[u64::MAX, 1]), 22);
    server.stop();
}

#[test]
fn what_cannot_be_given_has_its_fault() {
    let (outside, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    random_file(&outside.path().join("secret"), 1, 10);
    fs::create_dir(root.path().join("folder")).unwrap();
    random_file(&root.path().join("file"), 2, 10);
    symlink(outside.path().join("secret"), root.path().join("absolute")).unwrap();
    symlink("../../../../../../etc/passwd", root.path().join("relative")).unwrap();
    nix::sys::stat::mknod(
        &root.path().join("fifo"),
        nix::sys::stat::SFlag::S_IFIFO,
        nix::sys::stat::Mode::S_IRUSR,
        0,
    )
    .unwrap();
    let server = Server::start(root.path(), &SMALL);
    for (path, errno) in [
        (&b"none"[..], 2),
        (b"none/file", 2),
        (b"file/", 2),
        (b"file/x", 2),
        (b"..", 13),
        (b"../secret", 13),
        (b"folder/../file", 13),
        (b"/../etc/passwd", 13),
        (b"absolute", 13),
        (b"relative", 13),
        (b"fifo", 13),
        (&[b'x'; 256], 36),
    ] {
        assert_refused(&server, &request(path, &[]), errno);
    }
    for (bytes, errno) in [
        (car(b""), 22),
        (request(b"a\0b", &[]), 22),
        ([car(b"file"), car(&[1; 7])].concat(), 22),
        ([car(b"file"), car(&[0; 8]), car(b"x")].concat(), 22),
        ((-5_i32).to_le_bytes().to_vec(), 22),
        (1001_i32.to_le_bytes().to_vec(), 36),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), 36),
    ] {
        assert_refused(&server, &bytes, errno);
    }
    server.stop();
}

#[test]
fn a_fault_survives_what_the_client_has_sent_after_it() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(root.path(), &SMALL);
    let mut stream = server.connect();
    stream
        .write_all(&[request(b"none", &[]), vec![7; 20_000]].concat())
        .unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert_fault(read_answer(&mut stream), 2);
    server.stop();
}

#[test]
fn names_of_any_bytes_are_found_and_listed() {
    let root = tempfile::tempdir().unwrap();
    let names: [&[u8]; 8] = [
        b"a b",
        b"new\nline",
        b"\xff\xfe",
        "\u{e9}t\u{e9}".as_bytes(),
        b"-",
        b"...",
        b".hidden",
        &[b'n'; 255],
    ];
    for (seed, name) in names.iter().enumerate() {
        random_file(
            &root.path().join(OsStr::from_bytes(name)),
            seed as u64,
            100 + seed,
        );
    }
    fs::create_dir(root.path().join("folder")).unwrap();
    let server = Server::start(root.path(), &SMALL);
    let mut stream = server.connect();
    for (seed, name) in names.iter().enumerate() {
        let answer = ask(&mut stream, name, &[]).unwrap();
        assert_eq!(answer.name, *name);
        assert_eq!(answer.data, random_bytes(seed as u64, 100 + seed));
    }
    for path in [&b"/"[..], b".", b"//./"] {
        let answer = ask(&mut stream, path, &[]).unwrap();
        assert_eq!((answer.name.as_slice(), answer.size), (&b"/"[..], u64::MAX));
        assert_eq!(answer.data, expected_listing(root.path()));
    }
    for path in [&b"folder"[..], b"/folder/"] {
        let answer = ask(&mut stream, path, &[]).unwrap();
        assert_eq!(
            (answer.name.as_slice(), answer.data.as_slice()),
            (&b"folder/"[..], &b""[..])
        );
    }
    server.stop();
}

/// A listing as the protocol has it, made by the test's own means.
fn expected_listing(folder: &Path) -> Vec<u8> {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .collect();
    entries.sort_by_key(|entry| entry.file_name().as_bytes().to_vec());
    let mut text = Vec::new();
    for entry in entries {
        let metadata = entry.metadata().unwrap();
        let mtime_ns = metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec();
        let (kind, size) = if metadata.is_dir() {
            ('d', 0)
        } else {
            ('f', metadata.len())
        };
        write!(text, "{kind} {size} {mtime_ns} ").unwrap();
        text.extend(entry.file_name().as_bytes());
        text.push(0);
    }
    text
}

#[test]
fn a_large_folder_is_listed_whole_to_several_at_once() {
    let root = tempfile::tempdir().unwrap();
    for i in 0..40_000_u64 {
        let name = format!("{:016x}-{:0>20}", i.wrapping_mul(0x9e37_79b9_7f4a_7c15), i);
        File::create(root.path().join(name)).unwrap();
    }
    let expected = checksum(&expected_listing(root.path()));
    let server = Server::start(root.path(), &SMALL);
    let clients: Vec<_> = (0..4)
        .map(|client| {
            let mut stream = server.connect();
            std::thread::spawn(move || {
                stream.write_all(&request(b"/", &[])).unwrap();
                if client == 0 {
                    // A slow one, whose answer stands half sent while the others have theirs.
                    std::thread::sleep(Duration::from_secs(2));
                }
                checksum(&read_answer(&mut stream).unwrap().data)
            })
        })
        .collect();
    for client in clients {
        assert_eq!(client.join().unwrap(), expected);
    }
    server.stop();
}

#[test]
fn requests_in_one_write_are_answered_in_order() {
    let root = tempfile::tempdir().unwrap();
    let files: Vec<_> = (0..20)
        .map(|i| random_file(&root.path().join(format!("f{i}")), i, 40_000 * i as usize))
        .collect();
    let server = Server::start(root.path(), &SMALL);
    let mut stream = server.connect();
    let requests: Vec<u8> = (0..20)
        .flat_map(|i| request(format!("f{i}").as_bytes(), &[]))
        .collect();
    stream.write_all(&requests).unwrap();
    for (i, bytes) in files.iter().enumerate() {
        let answer = read_answer(&mut stream).unwrap();
        assert_eq!(answer.name, format!("f{i}").into_bytes());
        assert_eq!(checksum(&answer.data), checksum(bytes));
    }
    server.stop();
}

#[test]
fn a_request_may_come_in_pieces_and_end_with_the_client_s_sending() {
    let root = tempfile::tempdir().unwrap();
    let bytes = random_file(&root.path().join("file"), 1, 300_000);
    let server = Server::start(root.path(), &SMALL);
    let mut stream = server.connect();
    stream.set_nodelay(true).unwrap();
    for byte in request(b"file", &[100, 200_000]) {
        stream.write_all(&[byte]).unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
    stream.shutdown(Shutdown::Write).unwrap();
    assert!(read_answer(&mut stream).unwrap().data == bytes[100..200_100]);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty());
    server.stop();
}

#[test]
fn beyond_four_gigabytes_the_bytes_are_right() {
    const SIZE: u64 = 5 << 30;
    let root = tempfile::tempdir().unwrap();
    let (middle, end) = (random_bytes(1, 3000), random_bytes(2, 2500));
    let file = File::create(root.path().join("huge")).unwrap();
    file.set_len(SIZE).unwrap();
    file.write_all_at(&middle, (1 << 32) - 1500).unwrap();
    file.write_all_at(&end, SIZE - 2500).unwrap();
    let server = Server::start(root.path(), &SMALL);
    let mut stream = server.connect();
    let answer = ask(&mut stream, b"huge", &[(1 << 32) - 1500, 3000]).unwrap();
    assert_eq!(answer.size, SIZE);
    assert_eq!(answer.data, middle);
    assert_eq!(ask(&mut stream, b"huge", &[SIZE - 2500]).unwrap().data, end);
    server.stop();
}

#[test]
fn a_file_that_shrinks_never_looks_whole() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("file");
    File::create(&path).unwrap().set_len(400_000_000).unwrap();
    let server = Server::start(root.path(), &SMALL);
    let mut stream = server.connect();
    stream.write_all(&request(b"file", &[])).unwrap();
    read_some(&mut stream, 100_000);
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(1_000_500)
        .unwrap();
    // What is there follows, whole cars only, then a fault or the end.
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(rest.len() < 100_000_000);
    let fault = (-5_i32).to_le_bytes();
    let cars = 100_000 + rest.len() - 4 - (4 + 4 + 4 + 16);
    assert!(
        rest.ends_with(&fault) && cars.is_multiple_of(1004),
        "{} bytes",
        rest.len()
    );
    server.stop();
}

fn read_some(stream: &mut TcpStream, size: usize) {
    let mut bytes = vec![0; size];
    stream.read_exact(&mut bytes).unwrap();
}

#[test]
fn a_file_that_is_replaced_is_still_the_one_that_was_begun() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("file");
    let bytes = random_file(&path, 1, 20_000_000);
    let server = Server::start(root.path(), &SMALL);
    let mut stream = server.connect();
    stream.write_all(&request(b"file", &[])).unwrap();
    let name = common::ask::read_car(&mut stream).unwrap();
    let other = random_file(&root.path().join("new"), 2, 3000);
    fs::rename(root.path().join("new"), &path).unwrap();
    let mut whole = car(&name);
    let rest = read_answer(&mut Joined {
        first: &mut whole,
        then: &mut stream,
    })
    .unwrap();
    assert_eq!(checksum(&rest.data), checksum(&bytes));
    assert_eq!(ask(&mut stream, b"file", &[]).unwrap().data, other);
    server.stop();
}

/// Bytes read already, then the stream.
struct Joined<'a> {
    first: &'a mut Vec<u8>,
    then: &'a mut TcpStream,
}

impl Read for Joined<'_> {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        if self.first.is_empty() {
            return self.then.read(room);
        }
        let size = room.len().min(self.first.len());
        room[..size].copy_from_slice(&self.first[..size]);
        self.first.drain(..size);
        Ok(size)
    }
}

#[test]
fn a_slow_reader_gets_every_byte() {
    let root = tempfile::tempdir().unwrap();
    let bytes = random_file(&root.path().join("file"), 1, 3_000_000);
    let server = Server::start(root.path(), &SMALL);
    let mut stream = server.connect();
    nix::sys::socket::setsockopt(&stream, nix::sys::socket::sockopt::RcvBuf, &32_768).unwrap();
    stream.write_all(&request(b"file", &[])).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(
        checksum(&read_answer(&mut stream).unwrap().data),
        checksum(&bytes)
    );
    server.stop();
}
