//! Clients that wait, stop reading, or are sent what they did not ask for.

use std::io::{Error, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::LazyLock;

use super::ask::{Failure, read_answer, read_car, request};
use super::server::Server;
use super::uninterrupted;
use super::{checksum, random_file};

/// Bytes of a file that the kernel never holds whole for a client that does not read, however far it lets the
/// server's buffer grow: such a client keeps its place.
pub static LARGE: LazyLock<usize> = LazyLock::new(|| 20_000_000 + buffer_max("tcp_wmem"));

/// Bytes that the kernel lets a connection's buffer grow to (tcp(7)): `tcp_wmem` for what is sent, `tcp_rmem` for
/// what a client reads slowly.
pub fn buffer_max(setting: &str) -> usize {
    let path = format!("/proc/sys/net/ipv4/{setting}");
    let text = std::fs::read_to_string(path).unwrap();
    text.split_whitespace().last().unwrap().parse().unwrap()
}

/// Makes `large` in a folder; its checksum.
pub fn large_file(folder: &Path, seed: u64) -> String {
    checksum(&random_file(&folder.join("large"), seed, *LARGE))
}

/// The data of a pushed file of this name, read to its end car, after which nothing comes.
pub fn read_pushed(stream: &mut TcpStream, name: &[u8]) -> Result<Vec<u8>, Failure> {
    assert_eq!(read_car(stream)?, name);
    let size = read_car(stream)?;
    let mut data = Vec::new();
    loop {
        match read_car(stream)? {
            more if more.is_empty() => break,
            more => data.extend(more),
        }
    }
    assert_eq!(size, (data.len() as u64).to_le_bytes(), "the size");
    assert_eq!(
        uninterrupted(|| stream.read(&mut [0])).unwrap(),
        0,
        "nothing after the end"
    );
    Ok(data)
}

/// Whether something has come that is not read yet.
pub fn has_begun(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false).unwrap();
    match peeked {
        Ok(size) => size > 0,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            false
        }
    }
}

/// The server says why it ends the connection, and ends it.
#[track_caller]
pub fn assert_refused(stream: &mut TcpStream, fault: i32) {
    match read_car(stream) {
        Err(Failure::Fault(errno)) => assert_eq!(errno, fault),
        other => panic!("{other:?} instead of car -{fault}"),
    }
    assert_eq!(
        uninterrupted(|| stream.read(&mut [0])).unwrap(),
        0,
        "nothing follows"
    );
}

/// Whether what was read broke off, by the connection's end or a reset.
pub fn is_cut(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
    )
}

/// An answer that breaks off, without a word why.
#[track_caller]
pub fn assert_cut(stream: &mut TcpStream) {
    match read_answer(stream) {
        Err(Failure::Short(error)) => assert!(is_cut(&error), "{error}"),
        other => panic!("{other:?} instead of a train that is cut"),
    }
}

/// A client that has asked for the large file, has its head, and stops reading.
pub fn stopped_reader(server: &Server) -> TcpStream {
    let mut stream = server.connect();
    stream.write_all(&request(b"large", &[])).unwrap();
    assert_eq!(uninterrupted(|| stream.peek(&mut [0])).unwrap(), 1);
    stream
}
