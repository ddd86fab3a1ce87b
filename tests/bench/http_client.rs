//! HTTP clients that throw away what they get, so that their own cost is small and the same for all.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrIn, SockaddrStorage, bind, connect, recv,
    socket,
};

use super::common::server::LIMIT;

/// Bytes that are taken at once.
const PIECE_BYTES: usize = 256 << 10;
/// How long it takes at most to notice that a load is over.
const GLANCE: Duration = Duration::from_millis(50);
/// Connections that wrk keeps busy.
const WRK_CONNECTIONS: &str = "32";

/// A request for a path.
pub fn request(path: &str, fields: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: yard\r\n{fields}\r\n").into_bytes()
}

/// A connection, from an address of this machine.
pub fn connect_from(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Inet, SockType::Stream, flags, None).unwrap();
    let [a, b, c, d] = from.octets();
    bind(socket.as_raw_fd(), &SockaddrIn::new(a, b, c, d, 0)).unwrap();
    connect(socket.as_raw_fd(), &SockaddrStorage::from(to)).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

/// A connection from 127.0.0.1.
pub fn connect_to(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

/// Sends a request and takes its answer, which must be 200 with a length, or leaves it when
/// `is_over`. Tells each piece of it to `count`. Returns whether the answer is whole.
pub fn fetch(
    stream: &mut TcpStream,
    request: &[u8],
    is_over: impl Fn() -> bool,
    mut count: impl FnMut(u64),
) -> bool {
    stream.write_all(request).unwrap();
    let mut head = [0; 4096];
    let mut size = 0;
    let head_bytes = loop {
        let came = recv(stream.as_raw_fd(), &mut head[size..], MsgFlags::empty()).unwrap();
        assert!(came > 0, "no answer");
        size += came;
        let end = head[..size].windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = end {
            break end + 4;
        }
    };
    count(size as u64);
    let mut left = (head_bytes + length_of(&head[..head_bytes]))
        .checked_sub(size)
        .expect("no more than was asked for");
    let mut piece = vec![0; PIECE_BYTES];
    while left > 0 && !is_over() {
        let came = discard(stream, &mut piece[..left.min(PIECE_BYTES)]);
        assert!(came > 0, "an answer ended {left} bytes early");
        left -= came;
        count(came as u64);
    }
    left == 0
}

/// Takes an answer that ends with its connection. Returns its bytes, or `None` if it is left when
/// `is_over`.
pub fn fetch_to_end(
    mut stream: TcpStream,
    request: &[u8],
    is_over: impl Fn() -> bool,
) -> Option<u64> {
    stream.write_all(request).unwrap();
    stream.set_read_timeout(Some(GLANCE)).unwrap();
    let mut piece = vec![0; PIECE_BYTES];
    let mut sum = 0;
    while !is_over() {
        match recv(stream.as_raw_fd(), &mut piece, MsgFlags::MSG_TRUNC) {
            Ok(0) => return Some(sum),
            Ok(came) => sum += came as u64,
            Err(Errno::EAGAIN) => {}
            Err(error) => panic!("an answer ended after {sum} bytes: {error}"),
        }
    }
    None
}

/// Throws bytes away in the kernel (tcp(7), MSG_TRUNC), as many as there is room for or fewer.
fn discard(stream: &TcpStream, room: &mut [u8]) -> usize {
    recv(stream.as_raw_fd(), room, MsgFlags::MSG_TRUNC).unwrap()
}

/// The Content-Length of a head whose status must be 200.
fn length_of(head: &[u8]) -> usize {
    let head = String::from_utf8(head.to_vec()).unwrap().to_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    let value = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    value.expect("a length").trim().parse().unwrap()
}

/// Lets wrk ask for a path for a second, over kept or over new connections. Returns the answers.
pub fn wrk(address: SocketAddr, path: &str, is_kept: bool) -> u64 {
    let mut command = Command::new("wrk");
    command.args(["-t", "1", "-c", WRK_CONNECTIONS, "-d", "1s"]);
    if !is_kept {
        command.args(["-H", "Connection: close"]);
    }
    let output = command.arg(format!("http://{address}{path}")).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    assert!(!text.contains("Non-2xx"), "{text}");
    if let Some(line) = text.lines().find(|line| line.contains("Socket errors")) {
        eprintln!("{address}{path}: {}", line.trim());
    }
    let answers = text
        .lines()
        .find_map(|line| line.split_once(" requests in "));
    answers.expect(&text).0.trim().parse().unwrap()
}

/// A file's path beneath its folder.
pub fn path_of(file: &Path) -> String {
    format!("/{}", file.file_name().unwrap().to_str().unwrap())
}
