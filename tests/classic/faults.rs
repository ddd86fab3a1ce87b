//! What public servers of the exercise get wrong, each a test.

use super::*;

use std::collections::BTreeMap;
use std::os::fd::AsRawFd;

use nix::sys::socket::{Shutdown, shutdown};

use crate::common::assert_bytes;
use crate::common::uninterrupted;

fn served(size: usize, options: &[&str]) -> (tempfile::TempDir, Vec<u8>, Server) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let bytes = random_file(&path, 9, size);
    let server = Server::push(&path, "sized", options);
    (folder, expected("sized", b"file", &bytes), server)
}

/// Open descriptors of the parent and of each child.
fn descriptors(server: &Server) -> BTreeMap<i32, usize> {
    let mut pids = server.children();
    pids.push(server.pid());
    let count = |pid: i32| fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    pids.into_iter().map(|pid| (pid, count(pid))).collect()
}

#[test]
fn clients_that_leave_at_once_kill_nothing_and_leak_nothing() {
    let (_folder, whole, server) = served(2_000_000, &["--workers", "2", "--per-worker", "4"]);
    assert_bytes(&all_of(server.connect()), &whole, "all of it");
    let children = server.children();
    // The first client's socket is closed by now.
    std::thread::sleep(Duration::from_millis(300));
    let before = descriptors(&server);
    for round in 0..300 {
        let mut stream = server.connect();
        match round % 4 {
            // Gone before anything came.
            0 => {}
            // Gone in the midst, with unread bytes: a reset.
            1 => drop(uninterrupted(|| stream.read(&mut [0; 5000])).unwrap()),
            // Has sent what nobody reads, and is gone.
            2 => stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap(),
            // Sends no more, as classic clients may, and reads all.
            _ => {
                shutdown(stream.as_raw_fd(), Shutdown::Write).unwrap();
                assert!(all_of(stream) == whole, "round {round}");
            }
        }
    }
    assert_bytes(&all_of(server.connect()), &whole, "all of it");
    assert_eq!(server.children(), children, "no child was replaced");
    wait_until("no descriptor is left", LIMIT, || {
        descriptors(&server) == before
    });
    server.stop();
}

#[test]
fn three_stalled_readers_starve_nobody() {
    let (_folder, whole, server) = served(20_000_000, &["--workers", "3", "--per-worker", "3"]);
    let stalled: Vec<TcpStream> = (0..6).map(|_| connect_narrow(server.address())).collect();
    let start = Instant::now();
    for _ in 0..6 {
        assert_bytes(&all_of(server.connect()), &whole, "all of it");
    }
    assert!(
        start.elapsed() < Duration::from_secs(15),
        "no stall was waited for"
    );
    // They are slow, not gone. All at once, so that none of them stalls again while others read.
    let readers: Vec<_> = stalled
        .into_iter()
        .map(|stream| std::thread::spawn(move || all_of(stream)))
        .collect();
    for reader in readers {
        assert_bytes(&reader.join().unwrap(), &whole, "a stalled reader's");
    }
    server.stop();
}

#[test]
fn two_hundred_at_once_all_finish() {
    let (_folder, whole, server) = served(200_000, &["--workers", "2", "--per-worker", "1"]);
    let streams: Vec<TcpStream> = (0..200).map(|_| server.connect()).collect();
    let threads: Vec<_> = streams
        .into_iter()
        .map(|stream| std::thread::spawn(move || all_of(stream)))
        .collect();
    for thread in threads {
        assert_bytes(&thread.join().unwrap(), &whole, "all of it");
    }
    server.stop();
}

#[test]
fn a_file_above_two_gigabytes_is_not_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let size: u64 = (2 << 30) + 12_345;
    let file = fs::File::create(&path).unwrap();
    let last = random_bytes(11, 20_000);
    file.set_len(size).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &last, size - 20_000).unwrap();
    for form in ["raw", "sized"] {
        let server = Server::push(&path, form, &["--workers", "1"]);
        let mut stream = server.connect();
        assert_eq!(read_car(&mut stream).unwrap(), b"file");
        assert_eq!(read_car(&mut stream).unwrap(), size.to_le_bytes());
        // Each car is counted and its head looked at; the last bytes are compared.
        let (unit, skip) = if form == "raw" { (1000, 0) } else { (1004, 4) };
        let mut room = vec![0; 250 * unit];
        let (mut left, mut tail) = (size, Vec::new());
        while left > 0 {
            let cars = left.div_ceil(1000).min(250) as usize;
            let data = left.min(cars as u64 * 1000) as usize;
            let part = &mut room[..data + cars * skip];
            stream.read_exact(part).unwrap();
            for piece in part.chunks(unit) {
                let head = ((piece.len() - skip) as i32).to_le_bytes();
                assert!(
                    skip == 0 || piece[..4] == head,
                    "{left} bytes before the end"
                );
                tail.extend_from_slice(&piece[skip..]);
            }
            tail.drain(..tail.len().saturating_sub(20_000));
            left -= data as u64;
        }
        assert_eq!(checksum(&tail), checksum(&last), "{form}");
        let end = if form == "raw" { &[][..] } else { &[0; 4] };
        assert_eq!(all_of(stream), end, "{form}");
        server.stop();
    }
}

/// Classic clients cannot be told of an error in band: any car would become a part of the file.
#[test]
fn a_pushed_file_that_shrinks_ends_the_connection_early() {
    for form in ["sized", "raw", "raw-end", "plain"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let bytes = random_file(&path, 12, 30_000_000);
        let server = Server::push(&path, form, &["--workers", "1"]);
        let mut stream = connect_narrow(server.address());
        stream.read_exact(&mut [0; 10]).unwrap();
        fs::File::options()
            .write(true)
            .open(&path)
            .and_then(|file| file.set_len(131_072))
            .unwrap();
        let wire = all_of(stream);
        let whole = expected(form, b"file", &bytes);
        assert!(wire.len() + 10 < whole.len() - 4, "{form}");
        // What sendfile has queued are pages of the file itself, and the kernel clears those behind
        // a file's new end: so the raw forms may send zeroes there, before the early end.
        let exact = if form.starts_with("raw") {
            wire.len().min(131_072 - 10)
        } else {
            wire.len()
        };
        assert!(wire[..exact] == whole[10..10 + exact], "{form}");
        let mut rest = wire[exact..].iter().zip(&whole[10 + exact..]);
        assert!(rest.all(|(got, was)| got == was || *got == 0), "{form}");
        server.stop();
    }
}

/// Who pushes a file that was replaced since the start pushes the one that was named then; and a
/// missing file is known at the start, so that nothing streams garbage.
#[test]
fn the_pushed_file_is_the_one_that_was_there() {
    let (folder, whole, server) = served(50_000, &["--workers", "1"]);
    fs::remove_file(folder.path().join("file")).unwrap();
    assert_bytes(&all_of(server.connect()), &whole, "all of it");
    random_file(&folder.path().join("file"), 13, 70_000);
    assert_bytes(&all_of(server.connect()), &whole, "all of it");
    server.stop();
    let missing = folder.path().join("missing");
    let arguments = [
        "serve",
        "--http",
        "none",
        "--train",
        "127.0.0.1:0",
        "--push",
        missing.to_str().unwrap(),
    ];
    let (code, output, errors) = common::server::run(&arguments);
    assert_eq!((code, &output[..]), (1, ""));
    assert!(
        errors.contains("missing") && errors.lines().count() == 1,
        "{errors}"
    );
}
