//! HTTP/1.1 as a strict client speaks it, byte by byte, apart from the program's own code.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::server::Server;

/// One answer, as it was read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    pub status: u16,
    /// The head's bytes, with the empty line.
    pub head: Vec<u8>,
    /// Names as sent, and values without the blanks around them.
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a field that is there once at most.
    #[track_caller]
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values = self
            .fields
            .iter()
            .filter(|(other, _)| other.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} twice in {}", self.shown());
        value
    }

    /// Whether another request may follow on the connection.
    pub fn is_kept(&self) -> bool {
        !self
            .field("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// The head as text, for messages.
    pub fn shown(&self) -> String {
        self.head.escape_ascii().to_string()
    }
}

/// A request without a body, with these field lines.
pub fn request(method: &str, target: &str, fields: &[&str]) -> Vec<u8> {
    let mut bytes = format!("{method} {target} HTTP/1.1\r\nHost: yard\r\n").into_bytes();
    for field in fields {
        bytes.extend(field.as_bytes());
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"\r\n");
    bytes
}

/// A GET.
pub fn get(target: &str, fields: &[&str]) -> Vec<u8> {
    request("GET", target, fields)
}

/// A connection that requests are sent on and answers read from.
pub struct Client<S> {
    pub stream: S,
    /// What was read and belongs to no answer yet.
    buffered: Vec<u8>,
}

impl Client<TcpStream> {
    /// A connection to a server's first listener.
    pub fn connect(server: &Server) -> Self {
        Self::new(server.connect())
    }

    /// The same with a small receive window.
    pub fn narrow(server: &Server) -> Self {
        Self::new(server.connect_narrow())
    }
}

impl<S: Read + Write> Client<S> {
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            buffered: Vec::new(),
        }
    }

    #[track_caller]
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends a request and reads its answer.
    #[track_caller]
    pub fn ask(&mut self, bytes: &[u8]) -> Answer {
        self.send(bytes);
        self.answer(bytes.starts_with(b"HEAD "))
    }

    #[track_caller]
    pub fn get(&mut self, target: &str, fields: &[&str]) -> Answer {
        self.ask(&get(target, fields))
    }

    /// Reads one answer, which must be whole and well-formed.
    #[track_caller]
    pub fn answer(&mut self, is_head: bool) -> Answer {
        match self.try_answer(is_head) {
            Ok(answer) => answer,
            Err(error) => panic!(
                "no whole answer: {error}; so far {} bytes: {}",
                self.buffered.len(),
                self.buffered[..self.buffered.len().min(120)].escape_ascii()
            ),
        }
    }

    /// Reads one answer; an error where it ends early.
    pub fn try_answer(&mut self, is_head: bool) -> io::Result<Answer> {
        let head_size = loop {
            let end = self
                .buffered
                .windows(4)
                .position(|four| four == b"\r\n\r\n");
            match end {
                Some(end) => break end + 4,
                None => self.fill(1)?,
            }
        };
        let (status, fields) = parse_head(&self.buffered[..head_size]);
        let mut answer = Answer {
            status,
            head: self.buffered.drain(..head_size).collect(),
            fields,
            body: Vec::new(),
        };
        if is_head || matches!(status, 100..=199 | 204 | 304) {
            return Ok(answer);
        }
        let length = answer.field("content-length").map(|value| {
            assert!(value.bytes().all(|byte| byte.is_ascii_digit()), "{value}");
            value.parse::<usize>().unwrap()
        });
        answer.body = match (answer.field("transfer-encoding"), length) {
            (None, Some(length)) => self.take(length)?,
            (Some("chunked"), None) => self.chunks()?,
            (None, None) if !answer.is_kept() => self.rest()?,
            _ => panic!("no way to tell the body's end: {}", answer.shown()),
        };
        Ok(answer)
    }

    /// Reads one answer to a GET; `None` where the server ended the connection before it.
    #[track_caller]
    pub fn answer_or_end(&mut self) -> Option<Answer> {
        if self.buffered.is_empty() && self.fill(1).is_err() {
            return None;
        }
        Some(self.answer(false))
    }

    /// The next bytes, whatever they are.
    pub fn take(&mut self, size: usize) -> io::Result<Vec<u8>> {
        if self.buffered.len() < size {
            self.fill(size - self.buffered.len())?;
        }
        Ok(self.buffered.drain(..size).collect())
    }

    /// Gives back what was read from the stream by other means.
    pub fn unread(&mut self, bytes: Vec<u8>) {
        assert!(self.buffered.is_empty());
        self.buffered = bytes;
    }

    /// All bytes up to the end.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = std::mem::take(&mut self.buffered);
        self.stream.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Asserts that the server sends nothing more, and ends the connection without a reset.
    #[track_caller]
    pub fn assert_end(&mut self) {
        let rest = self.rest();
        assert!(
            rest.as_ref().is_ok_and(Vec::is_empty),
            "{:?} instead of the end",
            rest.map(|bytes| bytes.escape_ascii().to_string())
        );
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line_size = loop {
                match self.buffered.windows(2).position(|two| two == b"\r\n") {
                    Some(end) => break end + 2,
                    None => self.fill(1)?,
                }
            };
            let line = String::from_utf8(self.take(line_size)?).unwrap();
            let size = usize::from_str_radix(line.trim_end(), 16)
                .unwrap_or_else(|_| panic!("chunk size {line:?}"));
            let chunk = self.take(size + 2)?;
            assert!(chunk.ends_with(b"\r\n"), "a chunk's end");
            body.extend(&chunk[..size]);
            if size == 0 {
                return Ok(body);
            }
        }
    }

    /// Reads at least so many bytes more.
    fn fill(&mut self, least: usize) -> io::Result<()> {
        let wanted = self.buffered.len() + least;
        let mut room = [0; 16 * 1024];
        while self.buffered.len() < wanted {
            match self.stream.read(&mut room) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(size) => self.buffered.extend(&room[..size]),
                // A socket with a timeout is interrupted also when its process is stopped and continued.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Status and fields of a head, which has the one form that this server sends.
fn parse_head(head: &[u8]) -> (u16, Vec<(String, String)>) {
    let shown = head.escape_ascii();
    let text = String::from_utf8_lossy(head);
    let lines = text.strip_suffix("\r\n\r\n").unwrap();
    let mut lines = lines.split("\r\n");
    let status_line = lines.next().unwrap();
    let status = status_line
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.split_once(' '))
        .filter(|(code, reason)| code.len() == 3 && !reason.is_empty())
        .unwrap_or_else(|| panic!("status line of {shown}"));
    let fields = lines.map(|line| {
        let (name, value) = line
            .split_once(": ")
            .filter(|(name, _)| !name.is_empty() && !name.contains([' ', '\t']))
            .unwrap_or_else(|| panic!("line {line:?} of {shown}"));
        assert!(!value.contains(['\r', '\n', '\0']), "{shown}");
        (name.to_string(), value.trim().to_string())
    });
    (status.0.parse().unwrap(), fields.collect())
}

/// One part of an answer with several ranges.
pub struct Part {
    pub content_type: String,
    pub first: u64,
    pub last: u64,
    pub size: u64,
    pub data: Vec<u8>,
}

/// Reads a body of several parts, each byte of it; `None` if it is another one.
pub fn parts_of(answer: &Answer) -> Option<Vec<Part>> {
    let boundary = answer
        .field("content-type")?
        .strip_prefix("multipart/byteranges; boundary=")?;
    assert!((1..=70).contains(&boundary.len()), "RFC 2046 section 5.1.1");
    assert_eq!(answer.field("content-range"), None);
    let (mut parts, mut rest) = (Vec::new(), &answer.body[..]);
    loop {
        rest = rest
            .strip_prefix(format!("\r\n--{boundary}").as_bytes())
            .expect("a boundary");
        if rest == b"--\r\n" {
            return Some(parts);
        }
        let end = rest
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        let head = std::str::from_utf8(&rest[..end]).unwrap();
        let fields: Vec<_> = head.split("\r\n").collect();
        assert_eq!(fields.len(), 3, "{fields:?}");
        assert_eq!(fields[0], "");
        let content_type = fields[1].strip_prefix("Content-Type: ").unwrap().into();
        let (first, last, size) = content_range(fields[2].strip_prefix("Content-Range: ").unwrap());
        let (data, behind) = rest[end + 4..].split_at((last - first + 1) as usize);
        rest = behind;
        parts.push(Part {
            content_type,
            first,
            last,
            size,
            data: data.to_vec(),
        });
    }
}

/// The three numbers of a `Content-Range`.
pub fn content_range(value: &str) -> (u64, u64, u64) {
    let (range, size) = value
        .strip_prefix("bytes ")
        .and_then(|rest| rest.split_once('/'))
        .unwrap_or_else(|| panic!("{value}"));
    let (first, last) = range.split_once('-').unwrap();
    let number = |text: &str| text.parse::<u64>().unwrap();
    (number(first), number(last), number(size))
}

/// Sends bytes on a connection of their own, and reads one answer to a GET.
#[track_caller]
pub fn once(server: &Server, bytes: &[u8]) -> Answer {
    Client::connect(server).ask(bytes)
}

/// A time long past, with nanoseconds, so that a file's tag is strong at once.
pub fn long_past() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789)
}

/// Sets when a file was modified.
pub fn set_modified(path: &Path, time: SystemTime) {
    std::fs::File::open(path)
        .and_then(|file| file.set_modified(time))
        .unwrap();
}

/// Writes a file of random bytes that was modified long ago, and returns them.
pub fn old_file(path: &Path, seed: u64, size: usize) -> Vec<u8> {
    let bytes = super::random_file(path, seed, size);
    set_modified(path, long_past());
    bytes
}
