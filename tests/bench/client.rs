//! The load: one client for all servers, so that its own cost is the same for each.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::socket::{MsgFlags, recv};

use super::common::server::LIMIT;

/// Bytes that the client takes at once.
const PIECE_BYTES: usize = 256 << 10;
/// Bytes by which an answer's head is longer in ask mode: the file's time.
pub const ASK_HEAD_MORE: u64 = 8;

/// A file's name, as it travels.
pub fn name(file: &Path) -> &[u8] {
    file.file_name().unwrap().as_encoded_bytes()
}

/// Asks for a whole file: car(path) car().
pub fn request(file: &Path) -> Vec<u8> {
    let name = name(file);
    [&(name.len() as u32).to_le_bytes()[..], name, &[0; 4]].concat()
}

/// Bytes of the train that pushes a file: car(name) car(size) car(data)* car().
pub fn train_bytes(file: &Path) -> u64 {
    let size = file.metadata().unwrap().len();
    (4 + name(file).len() + 4 + 8) as u64 + size + 4 * size.div_ceil(1000) + 4
}

/// Downloads over and over, each time `expected` bytes, and cuts the last download off when `time`
/// is over. Returns the bytes received.
pub fn download(address: SocketAddr, request: Option<&[u8]>, expected: u64, time: Duration) -> u64 {
    let mut piece = vec![0; PIECE_BYTES];
    let (start, mut sum) = (Instant::now(), 0);
    while start.elapsed() < time {
        let mut stream = connect(address);
        stream.write_all(request.unwrap_or_default()).unwrap();
        let mut received = 0;
        while received < expected && start.elapsed() < time {
            // Thrown away in the kernel (tcp(7), MSG_TRUNC): a client that copies is slower than the
            // servers, and would hide the difference between them.
            match recv(stream.as_raw_fd(), &mut piece, MsgFlags::MSG_TRUNC).unwrap() {
                0 => panic!("a download ended after {received} of {expected} bytes"),
                size => received += size as u64,
            }
        }
        assert!(
            received <= expected,
            "{received} bytes came, not {expected}"
        );
        sum += received;
    }
    sum
}

/// Makes `count` connections, `at_once` of them open at a time and `pause` after each, and reads
/// each to its end. Returns `count`.
pub fn connect_often(
    address: SocketAddr,
    count: usize,
    at_once: usize,
    pause: Duration,
    expected: u64,
) -> u64 {
    let mut open = VecDeque::new();
    for number in 0..count + at_once {
        if number >= at_once
            && let Some(stream) = open.pop_front()
        {
            read_to_end(stream, expected);
            if !pause.is_zero() {
                std::thread::sleep(pause);
            }
        }
        if number < count {
            open.push_back(connect(address));
        }
    }
    assert!(open.is_empty());
    count as u64
}

fn read_to_end(mut stream: TcpStream, expected: u64) {
    let mut piece = [0; 4096];
    let mut received = 0;
    loop {
        match stream.read(&mut piece).unwrap() {
            0 => break,
            size => received += size as u64,
        }
    }
    assert_eq!(received, expected, "bytes of a small train");
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}
