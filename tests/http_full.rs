//! More clients than places over HTTP: who waits too long is told so, and shares are by client.
//! All waits at once: they take half a minute.

use crate::common;

use crate::common::assert_bytes;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::Signal;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrStorage, bind, connect, recv, socket,
};
use std::os::fd::{AsFd, AsRawFd};

use crate::common::uninterrupted;
use common::client::LARGE;
use common::http::{Client, get, old_file, request};
use common::server::{LIMIT, Server};
use common::{Over, ask, at_once, program};

/// `wait_max_ms` of board generic, and what a busy machine may add.
const WAIT_MAX: Duration = Duration::from_secs(20);
const SLACK: Duration = Duration::from_secs(6);

/// A server of one worker with two places, for both protocols; the second address is for HTTP.
fn small_server(root: &Path) -> Server {
    let mut command = program::command("trainyard");
    command.arg("serve").arg(root).args([
        "--train",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
        "--workers",
        "1",
        "--per-worker",
        "2",
    ]);
    let mut server = Server::from_command(command);
    server.addresses.swap(0, 1);
    server
}

/// Takes a place, and keeps it by reading slowly, but not too slowly, until told to stop.
fn keep_place(server: &Server, is_over: &AtomicBool) {
    let mut client = Client::narrow(server);
    client.send(&get("/large", &[]));
    let mut room = [0; 2000];
    while !is_over.load(Ordering::Relaxed) {
        assert!(uninterrupted(|| client.stream.read(&mut room)).unwrap() > 0);
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn all_waits() {
    let waits: [fn(); 3] = [
        who_waits_too_long_is_told_in_words,
        who_is_served_in_time_is_served,
        trains_wait_as_long_as_it_takes,
    ];
    at_once(waits.len(), |number| waits[number]());
}

/// A server both of whose places are taken; `clients` come then.
fn with_no_place_free(clients: impl FnOnce(&Server, &Over<'_>)) {
    let root = tempfile::tempdir().unwrap();
    old_file(&root.path().join("large"), 1, *LARGE);
    old_file(&root.path().join("file"), 2, 3000);
    let server = small_server(root.path());
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let over = Over(&is_over);
        for _ in 0..2 {
            scope.spawn(|| keep_place(&server, &is_over));
        }
        std::thread::sleep(Duration::from_millis(300));
        clients(&server, &over);
    });
    server.stop();
}

fn who_waits_too_long_is_told_in_words() {
    with_no_place_free(|server, _over| {
        at_once(12, |number| {
            let start = Instant::now();
            let wire = match number % 3 {
                0 => get("/file", &[]),
                1 => get("/file", &["Accept: text/html", "Content-Length: 9000"]),
                _ => request("HEAD", "/file", &[]),
            };
            let mut client = Client::connect(server);
            let answer = client.ask(&wire);
            let took = start.elapsed();
            assert!((WAIT_MAX..WAIT_MAX + SLACK).contains(&took), "{took:?}");
            assert_eq!(answer.status, 503);
            assert!(!answer.is_kept());
            let again: u64 = answer.field("retry-after").unwrap().parse().unwrap();
            assert!((1..=60).contains(&again));
            let html = answer
                .field("content-type")
                .unwrap()
                .starts_with("text/html");
            assert_eq!(html, number % 3 == 1);
            let text = String::from_utf8(answer.body.clone()).unwrap();
            assert_eq!(text.contains("http-equiv=\"refresh\""), html, "{text}");
            assert_eq!(text.is_empty(), number % 3 == 2);
            client.assert_end();
        });
    });
}

fn who_is_served_in_time_is_served() {
    with_no_place_free(|server, over| {
        let results = std::thread::scope(|scope| {
            let clients = scope.spawn(|| {
                at_once(5, |_| {
                    let mut client = Client::connect(server);
                    client.get("/file", &["Connection: close"]).status
                })
            });
            std::thread::sleep(WAIT_MAX / 2);
            over.0.store(true, Ordering::Relaxed);
            clients.join().unwrap()
        });
        assert_eq!(results, [200; 5]);
    });
}

fn trains_wait_as_long_as_it_takes() {
    with_no_place_free(|server, over| {
        let address = server.addresses[1];
        std::thread::scope(|scope| {
            let train = scope.spawn(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.set_read_timeout(Some(LIMIT)).unwrap();
                ask::ask(&mut stream, b"file", &[]).unwrap().data.len()
            });
            std::thread::sleep(WAIT_MAX + SLACK);
            over.0.store(true, Ordering::Relaxed);
            assert_eq!(train.join().unwrap(), 3000);
        });
    });
}

/// Those who wait when the server stops are told so at once.
#[test]
fn who_waits_when_the_server_stops_is_told_in_words() {
    let root = tempfile::tempdir().unwrap();
    let bytes = old_file(&root.path().join("large"), 1, *LARGE);
    let options = ["--workers", "1", "--per-worker", "2", "--drain", "20"];
    let mut server = Server::http(root.path(), &options);
    let mut busy: Vec<_> = (0..2).map(|_| Client::narrow(&server)).collect();
    for client in &mut busy {
        client.send(&get("/large", &[]));
        uninterrupted(|| client.stream.peek(&mut [0])).unwrap();
    }
    let mut waiting: Vec<_> = (0..10).map(|_| Client::connect(&server)).collect();
    waiting
        .iter_mut()
        .for_each(|client| client.send(&get("/large", &[])));
    std::thread::sleep(Duration::from_millis(300));
    let start = Instant::now();
    server.signal(Signal::SIGTERM);
    for client in &mut waiting {
        let answer = client.answer(false);
        assert_eq!(answer.status, 503);
        assert!(answer.field("retry-after").is_some());
        client.assert_end();
    }
    assert!(start.elapsed() < Duration::from_secs(5));
    for client in &mut busy {
        assert_bytes(&client.answer(false).body, &bytes, "the body");
    }
    drop((busy, waiting));
    assert_eq!(server.wait(LIMIT).code(), Some(0), "{}", server.log());
}

/// A connection from this address of the loopback network.
fn connect_from(own: [u8; 4], address: SocketAddr) -> TcpStream {
    let kind = SockType::Stream;
    let socket = socket(AddressFamily::Inet, kind, SockFlag::SOCK_CLOEXEC, None).unwrap();
    let own = SocketAddr::from((Ipv4Addr::from(own), 0));
    bind(socket.as_raw_fd(), &SockaddrStorage::from(own)).unwrap();
    connect(socket.as_raw_fd(), &SockaddrStorage::from(address)).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

/// A server of one worker that gets little of the processors, so that it is what clients wait for.
fn slow_server(root: &Path) -> Server {
    let served = program::command("trainyard");
    let mut command = Command::new("nice");
    command
        .args(["-n", "19"])
        .arg(served.get_program())
        .args(served.get_args())
        .arg("serve")
        .arg(root)
        .args(["--train", "none", "--http", "127.0.0.1:0"])
        .args(["--workers", "1", "--per-worker", "40"]);
    Server::from_command(command)
}

/// Asks for what has no end over each of the streams, and throws away what comes until it is `most` bytes;
/// how many of them came over each. All in one thread, and without copying (tcp(7): MSG_TRUNC), so that it
/// is the server that is waited for, whatever else this machine does.
fn discard(streams: &[TcpStream], most: u64) -> Vec<u64> {
    let mut counts = vec![0; streams.len()];
    let mut room = vec![0; 1 << 20];
    for mut stream in streams {
        stream.write_all(&get("/endless", &[])).unwrap();
    }
    while counts.iter().sum::<u64>() < most {
        let mut polled: Vec<_> = streams
            .iter()
            .map(|stream| PollFd::new(stream.as_fd(), PollFlags::POLLIN))
            .collect();
        assert!(poll(&mut polled, 60_000u16).unwrap() > 0, "{counts:?}");
        for (index, stream) in streams.iter().enumerate() {
            if polled[index].any() == Some(true) {
                let flags = MsgFlags::MSG_TRUNC | MsgFlags::MSG_DONTWAIT;
                let size = recv(stream.as_raw_fd(), &mut room, flags).unwrap();
                assert!(size > 0, "the server has ended {index}: {counts:?}");
                counts[index] += size as u64;
            }
        }
    }
    counts
}

/// Sixteen sockets of one client get little more than the one of another, and not sixteen times as
/// much.
#[test]
fn a_client_of_many_sockets_has_one_share() {
    let root = tempfile::tempdir().unwrap();
    let endless = std::fs::File::create(root.path().join("endless")).unwrap();
    endless.set_len(1 << 40).unwrap();
    let server = slow_server(root.path());
    let address = server.address();
    let mut streams: Vec<_> = (0..16)
        .map(|_| connect_from([127, 0, 0, 2], address))
        .collect();
    streams.push(connect_from([127, 0, 0, 3], address));
    // Far more than the buffers of all hold.
    let counts = discard(&streams, 1 << 30);
    let (one, many) = (counts[16], counts[..16].iter().sum::<u64>());
    assert!(one * 8 > many, "sixteen sockets: {many}, one socket: {one}");
    server.stop();
}
