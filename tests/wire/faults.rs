//! What is refused, and how.

use super::*;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::Command;

use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::{Uid, mkfifo};

use crate::common::program;

/// Asserts that `bytes` are answered by the car -`errno` and the end, nothing else.
#[track_caller]
fn assert_refused(server: &Server, bytes: &[u8], errno: i32) {
    let mut stream = server.connect();
    stream.write_all(bytes).unwrap();
    let mut wire = Vec::new();
    stream
        .read_to_end(&mut wire)
        .unwrap_or_else(|error| panic!("{error} in place of -{errno}"));
    assert_eq!(wire, (-errno).to_le_bytes(), "expected -{errno}");
}

fn root_with_traps() -> (tempfile::TempDir, Vec<(&'static [u8], i32)>) {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("root");
    fs::create_dir_all(root.join("folder")).unwrap();
    fs::write(root.join("file"), b"content").unwrap();
    fs::write(outer.path().join("secret"), b"secret").unwrap();
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, root.join(name)).unwrap();
    link("../secret", "out");
    link("/etc/hostname", "absolute");
    link("..", "up");
    link("loop", "loop");
    link("/proc/self/root/etc/passwd", "magic");
    mkfifo(&root.join("fifo"), Mode::from_bits_truncate(0o644)).unwrap();
    UnixListener::bind(root.join("socket")).unwrap();
    let traps: Vec<(&'static [u8], i32)> = vec![
        (b"missing", 2),
        (b"folder/missing", 2),
        (b"missing/file", 2),
        (b"file/below", 2),
        (b"file/", 2),
        (b"..", 13),
        (b"../secret", 13),
        (b"folder/../file", 13),
        (b"/../secret", 13),
        (b"folder/..", 13),
        (b"out", 13),
        (b"absolute", 13),
        (b"up/secret", 13),
        (b"up", 13),
        (b"loop", 13),
        (b"magic", 13),
        (b"fifo", 13),
        (b"socket", 13),
    ];
    (outer, traps)
}

#[test]
fn what_is_not_there_or_not_allowed_is_refused() {
    let (outer, traps) = root_with_traps();
    let server = small_server(&outer.path().join("root"));
    for (path, errno) in traps {
        assert_refused(&server, &request(path, &[]), errno);
    }
    server.stop();
}

#[test]
fn a_device_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let name = root.path().join("null");
    let mode = Mode::from_bits_truncate(0o666);
    let server = if mknod(&name, SFlag::S_IFCHR, mode, makedev(1, 3)).is_ok() {
        small_server(root.path())
    } else {
        // Who may not make devices serves those that there are.
        small_server(Path::new("/dev"))
    };
    assert_refused(&server, &request(b"null", &[]), 13);
    server.stop();
}

#[test]
fn a_file_that_the_server_may_not_read_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let secret = root.path().join("secret");
    fs::write(&secret, b"secret").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
    fs::write(root.path().join("file"), b"content").unwrap();
    let served = program::command("trainyard");
    let mut command = Command::new("setpriv");
    if Uid::effective().is_root() {
        // The superuser reads all but for these two.
        command.arg("--bounding-set=-dac_override,-dac_read_search");
    } else {
        command.arg("--no-new-privs");
    }
    command
        .arg(served.get_program())
        .args(served.get_args())
        .args([
            "serve",
            "--http",
            "none",
            "--train",
            "127.0.0.1:0",
            "--workers",
            "1",
        ])
        .args(["--per-worker", "4"])
        .arg(root.path());
    let server = Server::from_command(command);
    assert_refused(&server, &request(b"secret", &[]), 13);
    assert_eq!(
        ask(&mut server.connect(), b"file", &[]).unwrap().data,
        b"content"
    );
    server.stop();
}

#[test]
fn a_path_that_is_too_long_is_refused() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("a")).unwrap();
    let server = small_server(root.path());
    // Too long for this file system, and for any.
    for size in [256, 765, 766, 1000] {
        assert_refused(&server, &request(&vec![b'x'; size], &[]), 36);
    }
    assert_refused(
        &server,
        &request(&[&b"a/"[..], &[b'x'; 300]].concat(), &[]),
        36,
    );
    let missing = [&b"missing/"[..], &[b'x'; 766]].concat();
    assert_refused(&server, &request(&missing, &[]), 36);
    assert_refused(&server, &1001_i32.to_le_bytes(), 36);
    assert_refused(&server, &i32::MAX.to_le_bytes(), 36);
    assert_refused(&server, &request(&[b'a'; 1001], &[]), 36);
    // As long as may be, and not there.
    assert_refused(&server, &request("x/".repeat(500).as_bytes(), &[]), 2);
    assert_refused(&server, &request(&[b'x'; 255], &[]), 2);
    server.stop();
}

#[test]
fn what_is_no_request_is_refused() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("file"), b"content").unwrap();
    let server = small_server(root.path());
    let path = car(b"file");
    let with_range = |range: &[u8]| [path.clone(), car(range), car(b"")].concat();
    let mut malformed = vec![
        (-1_i32).to_le_bytes().to_vec(),
        i32::MIN.to_le_bytes().to_vec(),
        car(b""),
        request(b"fi\0le", &[]),
        request(b"\0", &[]),
        request(b"file", &[8]),
        request(b"file", &[8, 0]),
        request(b"file", &[u64::MAX]),
        request(b"file", &[1 << 63]),
        request(b"/", &[1]),
        [&path[..], &(-5_i32).to_le_bytes()].concat(),
        [&path[..], &1001_i32.to_le_bytes()].concat(),
        [path.clone(), car(&[0; 8]), car(b"more")].concat(),
        [path.clone(), car(&[0; 16]), (-1_i32).to_le_bytes().to_vec()].concat(),
    ];
    malformed.extend([1, 7, 9, 15, 17, 24].map(|size| with_range(&vec![0; size])));
    for bytes in malformed {
        assert_refused(&server, &bytes, 22);
    }
    // The end of the file is not beyond it.
    let answer = ask(&mut server.connect(), b"file", &[7]).unwrap();
    assert_eq!((answer.size, answer.data.len()), (7, 0));
    server.stop();
}

/// Closing a socket that holds unread bytes resets the connection, and a reset throws away what the
/// client has not read yet.
#[test]
fn an_error_is_read_by_a_client_that_has_sent_more() {
    let root = tempfile::tempdir().unwrap();
    let server = small_server(root.path());
    for size in [1, 1000, 30_000, 60_000] {
        for fault in [request(b"missing", &[]), (-1_i32).to_le_bytes().to_vec()] {
            let mut stream = server.connect();
            stream
                .write_all(&[fault.clone(), vec![7; size]].concat())
                .unwrap();
            // Time for a reset to come.
            std::thread::sleep(Duration::from_millis(30));
            let mut wire = Vec::new();
            stream.read_to_end(&mut wire).unwrap();
            let errno = if fault.len() == 4 { -22_i32 } else { -2 };
            assert_eq!(wire, errno.to_le_bytes(), "{size} bytes more");
        }
    }
    server.stop();
}

#[test]
fn nothing_follows_an_error() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("file"), b"content").unwrap();
    let server = small_server(root.path());
    let good = request(b"file", &[]);
    let wire = wire_of(
        &server,
        &[&good[..], &request(b"missing", &[]), &good].concat(),
    );
    let answer = expected_answer(&root.path().join("file"), b"content");
    assert_eq!(wire, [answer, (-2_i32).to_le_bytes().to_vec()].concat());
    server.stop();
}
