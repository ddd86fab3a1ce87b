//! The same with others at it, and files that are sent while they change.

use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

use super::common::client::is_cut;
use super::common::http::{parts_of, set_modified};
use super::common::server::LIMIT;
use super::common::{Over, checksum, wait_until};
use super::*;
use crate::common::uninterrupted;

/// Clients that keep a worker busy until they are told to stop.
fn load(address: SocketAddr, is_over: &AtomicBool, client: usize) {
    let connect = || Client::new(TcpStream::connect(address).unwrap());
    let mut kept = connect();
    while !is_over.load(Ordering::Relaxed) {
        match client % 4 {
            // A new connection each time.
            0 => {
                let mut fresh = connect();
                let answer = fresh.get("/large", &["Connection: close"]);
                assert_eq!((answer.status, answer.body.len()), (200, 3_000_000));
            }
            1 => {
                let wire = get("/other", &[]).repeat(30);
                kept.send(&wire);
                (0..30).for_each(|_| assert_eq!(kept.answer(false).body.len(), 5000));
            }
            2 => {
                let fields = ["Range: bytes=0-500000,600000-1600000,2000000-"];
                assert_eq!(kept.get("/large", &fields).status, 206);
            }
            _ => assert_eq!(kept.get("/other", &[]).body.len(), 5000),
        }
    }
}

/// Bytes that the other side of a connection on this machine has got and not read (proc_net_tcp.txt: rx_queue).
fn unread(stream: &TcpStream) -> u32 {
    let shown = |address: SocketAddr| match address {
        SocketAddr::V4(four) => {
            let ip = u32::from_ne_bytes(four.ip().octets());
            format!("{ip:08X}:{:04X}", four.port())
        }
        SocketAddr::V6(_) => panic!("the tests' servers listen on 127.0.0.1"),
    };
    let ends = [stream.peer_addr(), stream.local_addr()].map(|end| shown(end.unwrap()));
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let line = table.lines().find_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        (words[1..3] == ends).then(|| words[4].to_string())
    });
    let (_, queue) = line.as_ref().unwrap().split_once(':').unwrap();
    u32::from_str_radix(queue, 16).unwrap()
}

/// Changes a file, and asks for it over a connection that is used again and again, over a new one,
/// and by a request that had begun before. How many of each had an old answer.
fn count_old_answers(yard: &mut Yard, rounds: usize) -> [usize; 3] {
    let address = yard.server.address();
    let mut kept = Client::connect(&yard.server);
    let wire = get("/file", &[]);
    let (begin, end) = wire.split_at(7);
    let mut old = [0; 3];
    for round in 0..rounds {
        for (way, old) in old.iter_mut().enumerate() {
            if way == 2 {
                kept.send(begin);
                // What a busy server reads later is a request that has come after the change, in one piece with
                // a rest that may come while its turn has begun.
                wait_until("the begin is read", LIMIT, || unread(&kept.stream) == 0);
            }
            let file = if round % 2 == 0 {
                yard.replace("file", 2000)
            } else {
                yard.write("file", 2000)
            };
            let answer = match way {
                0 => kept.ask(&wire),
                1 => Client::new(TcpStream::connect(address).unwrap()).ask(&wire),
                _ => kept.ask(end),
            };
            assert_eq!(answer.status, 200);
            *old += usize::from(answer.body != file);
        }
    }
    old
}

#[test]
fn the_next_request_sees_a_change_under_load() {
    let mut yard = Yard::new(&[]);
    yard.write("large", 3_000_000);
    yard.write("other", 5000);
    let (address, is_over) = (yard.server.address(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let _over = Over(&is_over);
        // One of each kind is enough to keep the only worker busy.
        for client in 0..4 {
            let is_over = &is_over;
            scope.spawn(move || load(address, is_over, client));
        }
        let old = count_old_answers(&mut yard, 300);
        assert_eq!(old, [0; 3], "old answers: kept, new, begun before");
    });
    yard.server.stop();
}

/// Who has begun to receive a file gets that file, whatever takes its name.
#[test]
fn a_file_that_is_replaced_while_it_is_sent_is_sent_to_its_end() {
    let mut yard = Yard::new(&[]);
    let old = yard.write("file", 20_000_000);
    set_modified(&yard.at("file"), common::http::long_past());
    let mut clients: Vec<_> = (0..4).map(|_| Client::narrow(&yard.server)).collect();
    let fields = ["Range: bytes=0-9000000,9000002-"];
    for (index, client) in clients.iter_mut().enumerate() {
        client.send(&get("/file", if index < 2 { &[] } else { &fields }));
        uninterrupted(|| client.stream.peek(&mut [0])).unwrap();
    }
    let new = yard.replace("file", 20_000_000);
    assert_is(&mut Client::connect(&yard.server), "/file", &[], &new);
    fs::remove_file(yard.at("file")).unwrap();
    assert_status(&mut Client::connect(&yard.server), "/file", 404);
    for (index, client) in clients.iter_mut().enumerate() {
        let answer = client.answer(false);
        if index < 2 {
            assert_eq!(checksum(&answer.body), checksum(&old));
        } else {
            let parts = parts_of(&answer).unwrap();
            assert_bytes(&parts[0].data, &old[..=9_000_000], "the first part");
            assert_bytes(&parts[1].data, &old[9_000_002..], "the second part");
        }
    }
    yard.server.stop();
}

/// A transfer that cannot be what was promised ends early.
#[test]
fn a_file_that_shrinks_while_it_is_sent_never_looks_whole() {
    let mut yard = Yard::new(&[]);
    for left in [0, 300_000] {
        yard.write("file", 20_000_000);
        let mut client = Client::narrow(&yard.server);
        client.send(&get("/file", &[]));
        uninterrupted(|| client.stream.peek(&mut [0])).unwrap();
        let file = fs::File::options().write(true).open(yard.at("file"));
        file.unwrap().set_len(left).unwrap();
        let error = client.try_answer(false).unwrap_err();
        assert!(is_cut(&error), "{left}: {error}");
    }
    yard.server.stop();
}

/// Descriptors that the worker has open, once those who left are known to have left.
fn settled(server: &Server) -> usize {
    let worker = server.children().first().copied().unwrap_or(server.pid());
    let count = || fs::read_dir(format!("/proc/{worker}/fd")).unwrap().count();
    let mut last = 0;
    wait_until("no change", LIMIT, || {
        std::thread::sleep(Duration::from_millis(400));
        {
            let before = std::mem::replace(&mut last, count());
            before == last
        }
    });
    last
}

/// Everything that opens a file, in every way that it can end.
fn open_in_every_way(yard: &mut Yard) {
    let server = &yard.server;
    let mut client = Client::connect(server);
    let gzip = "Accept-Encoding: gzip";
    for target in [
        "/a", "/a/", "/a/none", "/file", "/missing", "/a%2f", "/large", "/link", "/pipe",
    ] {
        for method in ["GET", "HEAD", "OPTIONS", "POST"] {
            for fields in [
                &[][..],
                &[gzip],
                &["Range: bytes=0-1"],
                &["Range: bytes=0-1,5-6"],
                &["Range: bytes=99999999-"],
                &["If-None-Match: *"],
                &["If-Match: \"x\"", gzip],
            ] {
                client.ask(&common::http::request(method, target, fields));
            }
        }
    }
    for fields in [&[][..], &["Range: bytes=0-1000000,2000000-"]] {
        for round in 0..20 {
            let mut client = Client::narrow(server);
            client.send(&get("/large", fields).repeat(3));
            client.send(&get("/file", &[])[..round]);
            uninterrupted(|| client.stream.peek(&mut [0])).unwrap();
        }
    }
    for _ in 0..50 {
        yard.replace("file", 400);
        yard.write("a/index.html.gz", 50);
        assert_eq!(client.get("/file", &[]).status, 200);
        assert_eq!(client.get("/a/", &[gzip]).status, 200);
    }
}

#[test]
fn no_descriptor_is_left_open() {
    let mut yard = Yard::new(&[]);
    fs::create_dir(yard.at("a")).unwrap();
    yard.write("a/index.html", 100);
    yard.write("large", 6_000_000);
    yard.write("file", 500);
    symlink("/etc/passwd", yard.at("link")).unwrap();
    nix::unistd::mkfifo(&yard.at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    open_in_every_way(&mut yard);
    let before = settled(&yard.server);
    for _ in 0..3 {
        open_in_every_way(&mut yard);
    }
    let after = settled(&yard.server);
    assert!(after <= before + 2, "{before:?} and then {after:?}");
    yard.server.stop();
}
