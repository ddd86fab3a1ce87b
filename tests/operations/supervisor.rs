//! A small supervisor that does what systemd does: passes sockets, and is told how the server is.

use crate::common::assert_bytes;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::common::ask::ask;
use super::common::client::{has_begun, large_file, stopped_reader};
use super::common::http::{Client, get, old_file};
use super::common::program;
use super::common::server::{LIMIT, Pool, Server, add_user, is_for, while_one_does_not_answer};
use super::common::{Over, wait_until};
use crate::common::uninterrupted;

/// A command that starts `serve` with these sockets, as the descriptors from 3 on.
fn with_sockets(sockets: &[(&OwnedFd, &str)]) -> Command {
    let served = program::command("trainyard");
    let mut script = String::from("export LISTEN_PID=$$; exec \"$@\"");
    for (number, (socket, _)) in sockets.iter().enumerate() {
        // Kept open over exec, out of the way, and moved to its place by the shell.
        let far = fcntl(socket.as_fd(), FcntlArg::F_DUPFD(100)).unwrap();
        script += &format!(" {}<&{far} {far}<&-", 3 + number);
    }
    let names: Vec<_> = sockets.iter().map(|(_, name)| *name).collect();
    let mut command = Command::new("bash");
    command
        .args(["-c", &script, "bash"])
        .arg(served.get_program());
    command.args(served.get_args()).arg("serve");
    command
        .env("LISTEN_FDS", sockets.len().to_string())
        .env("LISTEN_FDNAMES", names.join(":"));
    command
}

fn listener() -> (OwnedFd, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (OwnedFd::from(listener), address)
}

#[test]
fn sockets_take_the_place_of_the_default_ones() {
    let root = tempfile::tempdir().unwrap();
    let bytes = old_file(&root.path().join("file"), 1, 3000);
    let ((http, http_at), (train, train_at)) = (listener(), listener());
    let path = root.path().join("socket");
    let unix = OwnedFd::from(UnixListener::bind(&path).unwrap());
    let sockets = [(&http, "http"), (&train, "train"), (&unix, "http")];
    let mut command = with_sockets(&sockets);
    command.arg(root.path());
    let server = Server::from_command(command);
    assert_eq!(server.addresses, [train_at, http_at], "these, and no other");
    assert_eq!(server.paths, [path.to_str().unwrap()]);
    let mut stream = TcpStream::connect(train_at).unwrap();
    assert_eq!(ask(&mut stream, b"file", &[]).unwrap().data, bytes);
    let mut client = Client::new(TcpStream::connect(http_at).unwrap());
    assert_eq!(client.get("/file", &[]).body, bytes);
    let mut client = Client::new(std::os::unix::net::UnixStream::connect(&path).unwrap());
    assert_eq!(client.get("/file", &[]).body, bytes);
    server.stop();
    assert!(path.exists(), "it is the supervisor's");

    // What the command line names is there beside them.
    let mut command = with_sockets(&[(&http, "http")]);
    command.arg(root.path());
    command.args(["--http", "127.0.0.1:0", "--train", "none"]);
    let server = Server::from_command(command);
    assert_eq!((server.addresses.len(), server.address()), (2, http_at));
    let mut client = Client::new(TcpStream::connect(server.addresses[1]).unwrap());
    assert_eq!(client.get("/file", &[]).body, bytes);
    server.stop();
}

#[test]
fn what_was_passed_to_another_process_is_not_taken() {
    let root = tempfile::tempdir().unwrap();
    let mut command = program::command("trainyard");
    command.arg("serve").arg(root.path());
    command.args(["--http", "127.0.0.1:0", "--train", "none"]);
    command
        .env("LISTEN_PID", "1")
        .env("LISTEN_FDS", "2")
        .env("LISTEN_FDNAMES", "http:http");
    let server = Server::from_command(command);
    assert_eq!(server.addresses.len(), 1);
    server.stop();
}

#[test]
fn a_socket_that_does_not_fit_is_told() {
    let root = tempfile::tempdir().unwrap();
    let (tcp, _) = listener();
    let datagrams = OwnedFd::from(UnixDatagram::unbound().unwrap());
    let folder = OwnedFd::from(std::fs::File::open(root.path()).unwrap());
    for (socket, name, word) in [
        (&tcp, "trainyard.socket", "trainyard.socket"),
        (&tcp, "", "http or train"),
        (&datagrams, "http", "stream socket"),
        (&folder, "train", "stream socket"),
    ] {
        let mut command = with_sockets(&[(socket, name)]);
        command.arg(root.path());
        add_user(&mut command);
        let output = command.output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains("descriptor 3 of LISTEN_FDS"), "{error}");
        assert!(
            error.contains(word) && error.lines().count() == 1,
            "{error}"
        );
    }
}

#[test]
fn a_socket_of_a_protocol_that_is_none_is_told() {
    let root = tempfile::tempdir().unwrap();
    let (socket, _) = listener();
    for (name, other) in [("http", "train"), ("train", "http")] {
        let mut command = with_sockets(&[(&socket, name)]);
        command.arg(root.path()).arg(format!("--{name}=none"));
        command.arg(format!("--{other}=127.0.0.1:0"));
        add_user(&mut command);
        let output = command.output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        let expected = format!("{name} is none, but LISTEN_FDS has a socket called {name}");
        assert!(
            error.contains(&expected) && error.lines().count() == 1,
            "{error}"
        );
    }
}

/// A socket outlives the server, and what one server has set is not what the next one wants.
#[test]
fn a_pushed_file_comes_at_once_also_on_a_socket_that_was_for_asking() {
    let root = tempfile::tempdir().unwrap();
    old_file(&root.path().join("file"), 2, 3000);
    let (train, at) = listener();
    for push in [&[][..], &["--push"]] {
        let mut command = with_sockets(&[(&train, "train")]);
        command.arg(root.path()).args(["--http", "none"]);
        if let [option] = push {
            command.arg(option).arg(root.path().join("file"));
        }
        let server = Server::from_command(command);
        let start = Instant::now();
        let mut stream = TcpStream::connect(at).unwrap();
        if push.is_empty() {
            ask(&mut stream, b"file", &[]).unwrap();
        } else {
            stream.set_read_timeout(Some(LIMIT)).unwrap();
            std::io::Read::read_exact(&mut stream, &mut [0; 4]).unwrap();
            let took = start.elapsed();
            assert!(took < Duration::from_millis(900), "{took:?}");
        }
        server.stop();
    }
}

/// One server after the other on the same socket, while clients come without a pause: each of them
/// gets its file.
#[test]
fn a_restart_under_load_refuses_nobody() {
    const CLIENTS: usize = 8;
    const RESTARTS: usize = 4;
    let root = tempfile::tempdir().unwrap();
    let bytes = old_file(&root.path().join("file"), 2, 20_000);
    let (http, at) = listener();
    let start = || {
        let mut command = with_sockets(&[(&http, "http")]);
        command.arg(root.path());
        command.args(["--train", "none", "--workers", "2"]);
        Server::from_command(command)
    };
    let is_over = AtomicBool::new(false);
    let served: usize = std::thread::scope(|scope| {
        let over = Over(&is_over);
        let client = || {
            let mut served = 0;
            while !is_over.load(Ordering::Relaxed) {
                let mut client = Client::new(TcpStream::connect(at).unwrap());
                client.stream.set_read_timeout(Some(LIMIT)).unwrap();
                let answer = client.get("/file", &["Connection: close"]);
                assert_eq!(answer.status, 200, "{}", answer.shown());
                assert_bytes(&answer.body, &bytes, "the body");
                served += 1;
            }
            served
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        for _ in 0..RESTARTS {
            let server = start();
            std::thread::sleep(Duration::from_millis(500));
            server.stop();
        }
        let server = start();
        drop(over);
        let served = clients.into_iter().map(|client| client.join().unwrap());
        let served = served.sum();
        server.stop();
        served
    });
    println!("{served} requests over {RESTARTS} restarts");
    assert!(served > CLIENTS * RESTARTS);
}

/// Where the server tells how it is.
struct Told {
    socket: UnixDatagram,
    name: String,
    _folder: tempfile::TempDir,
}

impl Told {
    fn new(is_abstract: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let path = path.to_str().unwrap().to_owned();
        let (socket, name) = if is_abstract {
            let address = std::os::unix::net::SocketAddr::from_abstract_name(&path).unwrap();
            (
                UnixDatagram::bind_addr(&address).unwrap(),
                format!("@{path}"),
            )
        } else {
            (UnixDatagram::bind(&path).unwrap(), path)
        };
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        Self {
            socket,
            name,
            _folder: folder,
        }
    }

    /// The next datagram.
    fn next(&self) -> String {
        let mut room = [0; 4096];
        let size = uninterrupted(|| self.socket.recv(&mut room)).unwrap();
        String::from_utf8(room[..size].to_vec()).unwrap()
    }
}

#[test]
fn the_supervisor_is_told() {
    let root = tempfile::tempdir().unwrap();
    large_file(root.path(), 3);
    for is_abstract in [false, true] {
        let told = Told::new(is_abstract);
        let mut command = program::command("trainyard");
        command.arg("serve").arg(root.path());
        command.args(["--http", "none", "--train", "127.0.0.1:0"]);
        command.env("NOTIFY_SOCKET", &told.name);
        let mut server = Server::from_command(command);
        assert_eq!(told.next(), "READY=1\nSTATUS=serving");
        let client = stopped_reader(&server);
        assert!(has_begun(&client));
        server.signal(Signal::SIGTERM);
        let text = told.next();
        assert_eq!(text, "STOPPING=1\nSTATUS=stopping: 1 clients, 0 wait");
        drop(client);
        assert_eq!(server.wait(LIMIT).code(), Some(0), "{}", server.log());
    }
}

#[test]
fn a_watchdog_hears_from_the_server_twice_as_often_as_it_must() {
    let root = tempfile::tempdir().unwrap();
    for (pid, is_heard) in [(None, true), (Some("1"), false)] {
        let told = Told::new(false);
        let mut command = program::command("trainyard");
        command.arg("serve").arg(root.path());
        command.args(["--http", "none", "--train", "127.0.0.1:0"]);
        command.env("NOTIFY_SOCKET", &told.name);
        command.env("WATCHDOG_USEC", "600000");
        if let Some(pid) = pid {
            command.env("WATCHDOG_PID", pid);
        }
        let server = Server::from_command(command);
        let start = Instant::now();
        assert!(told.next().starts_with("READY=1\n"));
        if is_heard {
            for _ in 0..6 {
                assert_eq!(told.next(), "WATCHDOG=1\nSTATUS=serving: 0 clients, 0 wait");
            }
            // The first one at once, the others 300 ms apart; a busy machine may be late.
            let took = start.elapsed();
            assert!(took >= Duration::from_millis(1400), "{took:?}");
            assert!(took < Duration::from_secs(6), "{took:?}");
        } else {
            let wait = Some(Duration::from_millis(700));
            told.socket.set_read_timeout(wait).unwrap();
            let error = uninterrupted(|| told.socket.recv(&mut [0; 100])).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
        }
        server.stop();
    }
}

#[test]
fn a_supervisor_that_does_not_listen_holds_up_nobody() {
    let root = tempfile::tempdir().unwrap();
    let bytes = old_file(&root.path().join("file"), 4, 3000);
    let told = Told::new(false);
    for name in [&told.name[..], "/no/such/socket", "@", &"x".repeat(300)] {
        let mut command = program::command("trainyard");
        command.arg("serve").arg(root.path());
        command.args(["--http", "127.0.0.1:0", "--train", "none"]);
        // Its queue is full soon, as nobody reads.
        command
            .env("NOTIFY_SOCKET", name)
            .env("WATCHDOG_USEC", "2000");
        let server = Server::from_command(command);
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(super::get(&server, "/file").body, bytes);
        server.stop();
    }
}

#[test]
fn a_supervisor_is_told_that_there_is_no_root() {
    let folder = tempfile::tempdir().unwrap();
    let told = Told::new(false);
    let mut command = program::command("trainyard");
    command.arg("serve").arg(folder.path()).arg("--wait-root");
    command.args(["--http", "none", "--train", "127.0.0.1:0"]);
    command.env("NOTIFY_SOCKET", &told.name);
    command.env("WATCHDOG_USEC", "600000");
    let server = Server::from_command(command);
    assert_eq!(told.next(), "READY=1\nSTATUS=the root is not there");
    std::fs::write(folder.path().join("file"), b"bytes").unwrap();
    wait_until("the root", LIMIT, || {
        told.next() == "WATCHDOG=1\nSTATUS=serving: 0 clients, 0 wait"
    });
    server.stop();
}

/// The dispatcher does not wait for the worker that it replaces, so the supervisor notices nothing.
#[test]
fn a_worker_that_is_stuck_does_not_silence_the_watchdog() {
    if !is_for(Pool::Process, "a child that is stuck") {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let bytes = old_file(&root.path().join("file"), 5, 3000);
    let told = Told::new(false);
    let server = watched(root.path(), &told);
    let mut client = Client::connect(&server);
    assert_eq!(client.get("/file", &[]).body, bytes);
    let stuck = server.children()[0];
    kill(Pid::from_raw(stuck), Signal::SIGSTOP).unwrap();
    let clients: Vec<_> = (0..4).map(|_| Client::connect(&server)).collect();
    for mut client in clients {
        client.send(&get("/file", &[]));
        // Each wait is shorter than the supervisor's.
        told.socket.set_read_timeout(Some(WATCHDOG)).unwrap();
        let start = Instant::now();
        client.stream.set_nonblocking(true).unwrap();
        while uninterrupted(|| client.stream.peek(&mut [0])).is_err() {
            assert!(start.elapsed() < LIMIT, "{}", server.log());
            assert!(told.next().starts_with("WATCHDOG=1\n"));
        }
        client.stream.set_nonblocking(false).unwrap();
        assert_eq!(client.answer(false).body, bytes);
    }
    assert!(!server.children().contains(&stuck), "{}", server.log());
    server.stop();
}

/// A dispatcher that comes round no more says nothing, so that the supervisor starts another server.
#[test]
fn a_dispatcher_that_is_stuck_is_silent() {
    let root = tempfile::tempdir().unwrap();
    let told = Told::new(false);
    let nobody_asks = while_one_does_not_answer();
    let server = watched(root.path(), &told);
    assert!(told.next().starts_with("WATCHDOG=1\n"));
    server.signal(Signal::SIGSTOP);
    // What was on its way.
    std::thread::sleep(Duration::from_millis(100));
    told.socket.set_nonblocking(true).unwrap();
    while uninterrupted(|| told.socket.recv(&mut [0; 4096])).is_ok() {}
    std::thread::sleep(WATCHDOG);
    let error = uninterrupted(|| told.socket.recv(&mut [0; 4096])).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    server.signal(Signal::SIGCONT);
    drop(nobody_asks);
    told.socket.set_nonblocking(false).unwrap();
    assert!(told.next().starts_with("WATCHDOG=1\n"));
    server.stop();
}

/// Far above what a busy machine delays.
const WATCHDOG: Duration = Duration::from_secs(4);

/// A server with one worker that tells its supervisor how it is.
fn watched(root: &std::path::Path, told: &Told) -> Server {
    let mut command = program::command("trainyard");
    command.arg("serve").arg(root);
    command.args(["--http", "127.0.0.1:0", "--train", "none", "--workers", "1"]);
    command.env("NOTIFY_SOCKET", &told.name);
    command.env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
    let server = Server::from_command(command);
    assert!(told.next().starts_with("READY=1\n"));
    server
}
