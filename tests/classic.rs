//! The classic clients of the exercise, each in C as people have it, against the push forms; and
//! what public servers of the exercise get wrong.

use crate::common;
#[path = "classic/faults.rs"]
mod faults;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::uninterrupted;
use common::ask::{car, connect_narrow, read_car};
use common::server::{LIMIT, Server};
use common::{checksum, random_bytes, random_file, wait_until};

/// The clients, and the form that each is for.
const CLIENTS: [(&str, &str); 5] = [
    ("sized", "sized"),
    ("plain", "plain"),
    ("raw", "raw"),
    ("raw_end_splice", "raw-end"),
    ("raw_end_mmap", "raw-end"),
];

/// Compiles a client into `folder` with the system's cc.
fn compile(name: &str, folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/classic/{name}.c"));
    let program = folder.join(name);
    let output = Command::new("cc")
        .args([
            "-O1",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-D_FILE_OFFSET_BITS=64",
        ])
        .arg("-o")
        .arg(&program)
        .arg(source)
        .output()
        .expect("cc, the system's C compiler (Debian: gcc)");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {text}");
    program
}

/// Starts a client that writes into `folder`.
fn start_client(program: &Path, server: &Server, folder: &Path) -> Child {
    fs::create_dir_all(folder).unwrap();
    Command::new(program)
        .arg(server.address().ip().to_string())
        .arg(server.address().port().to_string())
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[track_caller]
fn assert_success(child: Child, what: &str) {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {}: {text}", output.status);
}

/// Several of one client at once, files of several sizes.
fn check_client(client: &str, form: &str) {
    let folder = tempfile::tempdir().unwrap();
    let program = compile(client, folder.path());
    for (seed, size) in [(1, 0), (2, 1), (3, 1000), (4, 2500), (5, 3_000_001)] {
        let path = folder.path().join(format!("file {size}"));
        let bytes = random_file(&path, seed, size);
        let server = Server::push(&path, form, &["--workers", "2", "--per-worker", "2"]);
        let target = |index: usize| folder.path().join(format!("got-{size}-{index}"));
        let children: Vec<Child> = (0..6)
            .map(|index| start_client(&program, &server, &target(index)))
            .collect();
        for (index, child) in children.into_iter().enumerate() {
            assert_success(child, &format!("{client}, {size} bytes"));
            let got = fs::read(target(index).join(format!("file {size}"))).unwrap();
            assert_eq!(checksum(&got), checksum(&bytes), "{client}, {size} bytes");
        }
        server.stop();
    }
}

#[test]
fn the_sized_client_is_served() {
    check_client(CLIENTS[0].0, CLIENTS[0].1);
}

#[test]
fn the_plain_client_is_served() {
    check_client(CLIENTS[1].0, CLIENTS[1].1);
}

#[test]
fn the_raw_client_is_served() {
    check_client(CLIENTS[2].0, CLIENTS[2].1);
}

#[test]
fn the_raw_end_client_that_splices_is_served() {
    check_client(CLIENTS[3].0, CLIENTS[3].1);
}

#[test]
fn the_raw_end_client_that_maps_is_served() {
    check_client(CLIENTS[4].0, CLIENTS[4].1);
}

/// What a form sends for a file, byte by byte.
fn expected(form: &str, name: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut wire = car(name);
    if form != "plain" {
        wire.extend(car(&(bytes.len() as u64).to_le_bytes()));
    }
    if form.starts_with("raw") {
        wire.extend_from_slice(bytes);
    } else {
        bytes.chunks(1000).for_each(|chunk| wire.extend(car(chunk)));
    }
    if form != "raw" {
        wire.extend(car(b""));
    }
    wire
}

fn all_of(mut stream: TcpStream) -> Vec<u8> {
    let mut wire = Vec::new();
    stream.read_to_end(&mut wire).unwrap();
    wire
}

#[test]
fn every_form_is_exact_on_the_wire() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    for form in ["sized", "raw", "raw-end", "plain"] {
        for (seed, size) in [(1, 0), (2, 999), (3, 2500), (4, 70_000)] {
            let bytes = random_file(&path, seed, size);
            let server = Server::push(&path, form, &["--workers", "1"]);
            let wire = all_of(server.connect());
            assert!(
                wire == expected(form, b"file", &bytes),
                "{form}, {size} bytes"
            );
            server.stop();
        }
    }
    // The protocol's own example.
    assert_eq!(expected("sized", b"file", &[0; 2500]).len(), 2536);
}

#[test]
fn a_slow_client_of_any_form_gets_exact_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let bytes = random_file(&path, 5, 4_000_000);
    for form in ["sized", "raw", "raw-end", "plain"] {
        let server = Server::push(&path, form, &["--workers", "1"]);
        let mut stream = connect_narrow(server.address());
        let (mut wire, mut room) = (Vec::new(), vec![0; 50_000]);
        loop {
            let amount = 1 + (wire.len() * 7919) % 49_999;
            match uninterrupted(|| stream.read(&mut room[..amount])).unwrap() {
                0 => break,
                size => wire.extend_from_slice(&room[..size]),
            }
            if wire.len() % 8 == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        assert_eq!(
            checksum(&wire),
            checksum(&expected(form, b"file", &bytes)),
            "{form}"
        );
        server.stop();
    }
}

/// The end car of `raw-end` waits until the client has all of the file, and then 300 ms.
#[test]
fn the_late_end_car_is_late() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let bytes = random_file(&path, 6, 100_000);
    let server = Server::push(&path, "raw-end", &["--workers", "1"]);
    let mut stream = server.connect();
    let whole = expected("raw-end", b"file", &bytes);
    let mut wire = vec![0; whole.len() - 4];
    stream.read_exact(&mut wire).unwrap();
    let start = Instant::now();
    assert!(read_car(&mut stream).unwrap().is_empty());
    let pause = start.elapsed();
    assert!(pause >= Duration::from_millis(200), "after {pause:?}");
    assert!(wire == whole[..whole.len() - 4]);
    server.stop();
}
