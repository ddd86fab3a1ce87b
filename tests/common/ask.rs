//! The train protocol as a client speaks it, byte by byte, apart from the program's own code.

use std::io::{self, Read, Write};

/// One answer.
#[derive(Debug, Eq, PartialEq)]
pub struct Answer {
    pub name: Vec<u8>,
    pub size: u64,
    pub mtime_ns: i64,
    pub data: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Failure {
    /// A car of negative length.
    Fault(i32),
    /// The connection ended or broke before the end car.
    Short(io::Error),
}

/// The bytes of a car.
pub fn car(data: &[u8]) -> Vec<u8> {
    [&(data.len() as i32).to_le_bytes(), data].concat()
}

/// The bytes of a request; `range` is nothing, an offset, or offset and length.
pub fn request(path: &[u8], range: &[u64]) -> Vec<u8> {
    let mut bytes = car(path);
    if !range.is_empty() {
        bytes.extend(car(&range
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect::<Vec<u8>>()));
    }
    bytes.extend(car(b""));
    bytes
}

/// Reads one car's data.
pub fn read_car(stream: &mut impl Read) -> Result<Vec<u8>, Failure> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).map_err(Failure::Short)?;
    let length = i32::from_le_bytes(length);
    if length < 0 {
        return Err(Failure::Fault(-length));
    }
    assert!(length <= 1000, "a car of {length} bytes");
    let mut data = vec![0; length as usize];
    stream.read_exact(&mut data).map_err(Failure::Short)?;
    Ok(data)
}

/// Reads one answer; asserts that all its data cars are full but the last.
pub fn read_answer(stream: &mut impl Read) -> Result<Answer, Failure> {
    let name = read_car(stream)?;
    let head = read_car(stream)?;
    assert_eq!(head.len(), 16, "size and time");
    let size = u64::from_le_bytes(head[..8].try_into().unwrap());
    let mtime_ns = i64::from_le_bytes(head[8..].try_into().unwrap());
    let mut data = Vec::new();
    loop {
        let more = read_car(stream)?;
        if more.is_empty() {
            return Ok(Answer {
                name,
                size,
                mtime_ns,
                data,
            });
        }
        assert_eq!(
            data.len() % 1000,
            0,
            "a car that is not full, and not the last"
        );
        data.extend(more);
    }
}

/// Asks and reads the answer.
pub fn ask(
    stream: &mut (impl Read + Write),
    path: &[u8],
    range: &[u64],
) -> Result<Answer, Failure> {
    stream
        .write_all(&request(path, range))
        .map_err(Failure::Short)?;
    read_answer(stream)
}

/// A connection whose receive buffer is as small as the system permits, so that the server soon
/// has to wait for its client.
pub fn connect_narrow(address: std::net::SocketAddr) -> std::net::TcpStream {
    use nix::sys::socket::{
        AddressFamily, SockFlag, SockType, SockaddrStorage, connect, setsockopt, socket, sockopt,
    };
    use std::os::fd::AsRawFd;
    let family = if address.is_ipv6() {
        AddressFamily::Inet6
    } else {
        AddressFamily::Inet
    };
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    setsockopt(&socket, sockopt::RcvBuf, &2048).unwrap();
    connect(socket.as_raw_fd(), &SockaddrStorage::from(address)).unwrap();
    let stream = std::net::TcpStream::from(socket);
    stream
        .set_read_timeout(Some(std::time::Duration::from_secs(60)))
        .unwrap();
    stream
}
