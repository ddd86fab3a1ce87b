//! The access log: one line for each request, in the combined format, on standard output.

use core::fmt::Write;
use core::net::Ipv6Addr;
use core::sync::atomic::{AtomicBool, Ordering};

use heapless::Vec;

use super::requests::Received;
use super::response::Batch;
use crate::http::{self, Field, date};
use crate::sys;
use crate::worker::conn::activity::StashedRequest;
use crate::worker::conn::connection::Connection;
use crate::worker::io::Io;
use crate::worker::socket::Socket;

/// Bytes of the longest line; a pipe takes so many whole or not at all (pipe(7), PIPE_BUF).
const LINE_BYTES: usize = 4096;
/// Bytes that are shown of a request's first line and of each field.
const SHOWN_BYTES: usize = 1000;

type Line = Vec<u8, LINE_BYTES>;

/// Logs the first `count` responses of a batch, which are sent.
pub(crate) fn log_batch<S: Socket>(
    conn: &Connection,
    io: &Io<S>,
    received: &Received,
    batch: &Batch,
    count: usize,
) {
    let requests = io.requests.input(received);
    for answered in &batch.answered[..count] {
        let request = &requests[answered.request..];
        let (status, sent) = (answered.status.0, answered.body_len);
        log(conn.address, request, (status, sent), (io.real_ms)());
    }
}

/// Logs the response whose request is kept, and which ends now, if there is one.
pub(crate) fn log_current<S: Socket>(conn: &Connection, io: &mut Io<S>) {
    let StashedRequest { len, status } = conn.activity.request();
    if len == 0 {
        return;
    }
    let sent = conn.activity.body_sent();
    let real_ms = (io.real_ms)();
    if let Some(request) = io.requests.current(conn, &mut io.socket) {
        log(conn.address, request, (status, sent), real_ms);
    }
}

/// Writes a line about a request, which `bytes` begin with: the status and the bytes of the body that
/// were sent.
fn log(address: Ipv6Addr, bytes: &[u8], answered: (u16, u64), real_ms: u64) {
    static IS_STUCK: AtomicBool = AtomicBool::new(false);
    let line = line(address, bytes, answered, real_ms);
    // Nobody waits for a reader of the log that does not read.
    let is_written = sys::is_writable(1) && sys::write(1, &line).is_ok();
    if !is_written && !IS_STUCK.swap(true, Ordering::Relaxed) {
        log::warn!(
            "standard output takes no more of the access log: lines are missing from now on"
        );
    } else if is_written {
        IS_STUCK.store(false, Ordering::Relaxed);
    }
}

fn line(address: Ipv6Addr, bytes: &[u8], (status, sent): (u16, u64), real_ms: u64) -> Line {
    let mut line = Line::new();
    // What does not fit is cut off.
    let _ = write_address(&mut line, address);
    let _ = write!(line, " - - [");
    let _ = line.extend_from_slice(&date::write_log(real_ms / 1000));
    let _ = write!(line, "] \"");
    let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
    let first = bytes[start.unwrap_or(0)..]
        .split(|byte| matches!(byte, b'\r' | b'\n'))
        .next();
    put_shown(&mut line, first.unwrap_or_default());
    let _ = write!(line, "\" {status} {sent} \"");
    let request = http::parse(bytes).ok().flatten();
    for (field, end) in [(Field::Referer, "\" \""), (Field::UserAgent, "\"\n")] {
        let value = request.as_ref().and_then(|request| request.value(field));
        put_shown(&mut line, value.unwrap_or(b"-"));
        let _ = line.extend_from_slice(end.as_bytes());
    }
    line
}

fn write_address(line: &mut Line, address: Ipv6Addr) -> core::fmt::Result {
    match address.to_ipv4_mapped() {
        Some(four) => write!(line, "{four}"),
        // A Unix socket has none.
        None if address == Ipv6Addr::UNSPECIFIED => write!(line, "unix:"),
        None => write!(line, "{address}"),
    }
}

/// Appends bytes of a client: what could be taken for the end of a line or a word is escaped.
fn put_shown(line: &mut Line, bytes: &[u8]) {
    for byte in &bytes[..bytes.len().min(SHOWN_BYTES)] {
        let _ = match byte {
            b'"' | b'\\' | 0..b' ' | 0x7f.. => write!(line, "\\x{byte:02X}"),
            plain => line.push(*plain).map_err(|_| core::fmt::Error),
        };
    }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;

    fn shown(address: Ipv6Addr, request: &[u8]) -> String {
        let line = line(address, request, (206, 12), 1_795_525_530_000);
        String::from_utf8(line.to_vec()).expect("what is no letter is escaped")
    }

    #[test]
    fn a_line_is_in_the_combined_format() {
        let request = b"\r\nGET /a\"b?c HTTP/1.1\r\nHost: y\r\nReferer: http://r/\r\nUser-Agent: a\\b\r\n\r\n";
        assert_eq!(
            shown(Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped(), request),
            "192.0.2.1 - - [24/Nov/2026:13:05:30 +0000] \"GET /a\\x22b?c HTTP/1.1\" 206 12 \
             \"http://r/\" \"a\\x5Cb\"\n"
        );
    }

    #[test]
    fn what_is_no_request_and_who_has_no_address() {
        let end = " - - [24/Nov/2026:13:05:30 +0000] \"\\x01\\xFF\" 206 12 \"-\" \"-\"\n";
        assert_eq!(
            shown(Ipv6Addr::UNSPECIFIED, b"\x01\xff"),
            format!("unix:{end}")
        );
        assert_eq!(
            shown(Ipv6Addr::LOCALHOST, b"\x01\xff\r"),
            format!("::1{end}")
        );
    }

    #[test]
    fn a_line_fits_a_pipe_however_long_the_request() {
        let request = [b"GET /", &[b'x'; 9000][..]].concat();
        let line = shown(Ipv6Addr::LOCALHOST, &request);
        assert!(
            line.len() < LINE_BYTES && line.ends_with("\"-\"\n"),
            "{line}"
        );
    }
}
