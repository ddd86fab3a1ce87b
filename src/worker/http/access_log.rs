//! The access log: one line for each request, in the combined format, on standard output.

use core::fmt::Write;
use core::net::Ipv6Addr;
use core::sync::atomic::{AtomicBool, Ordering};

use heapless::Vec;

use super::requests::Received;
use super::response::Batch;
use crate::http::{self, Field, date};
use crate::sys::{self, Peer};
use crate::worker::Worker;
use crate::worker::conn::state::Slot;

/// Bytes of the longest line; a pipe takes so many whole or not at all (pipe(7), PIPE_BUF).
const LINE_BYTES: usize = 4096;
/// Bytes that are shown of a request's first line and of each field.
const SHOWN_BYTES: usize = 1000;

type Line = Vec<u8, LINE_BYTES>;

impl Worker {
    /// Logs the first `count` answers of a batch, which are sent.
    pub(crate) fn log_answers(
        &mut self,
        slot: Slot,
        received: &Received,
        batch: &Batch,
        count: usize,
    ) {
        for answered in &batch.answers[..count] {
            let request = &self.input[answered.request..received.size];
            let socket = self.connections.get(slot).socket.raw();
            log(
                sys::peer(socket).ok(),
                request,
                answered.status.0,
                answered.body,
            );
        }
    }

    /// Logs the answer whose request is kept, and which ends now.
    pub(crate) fn log_kept(&mut self, slot: Slot) {
        let connection = self.connections.get(slot);
        let status = core::mem::take(&mut connection.status);
        if status == 0 {
            return;
        }
        let sent = connection.position;
        if connection.kept.is_some() {
            // The client may have gone, so nobody is asked.
            let (request, peer) = (
                self.kept.get(connection.kept),
                self.kept.peer(connection.kept),
            );
            log(Some(peer), request, status, sent);
        } else if let Ok(received) = self.receive_requests(slot) {
            let peer = sys::peer(self.connections.get(slot).socket.raw());
            log(peer.ok(), &self.input[..received.size], status, sent);
        }
    }
}

/// Writes a line about a request, which `bytes` begin with.
fn log(peer: Option<Peer>, bytes: &[u8], status: u16, sent: u64) {
    static IS_STUCK: AtomicBool = AtomicBool::new(false);
    let mut line = Line::new();
    // What does not fit is cut off.
    let _ = write_peer(&mut line, peer);
    let _ = write!(line, " - - [");
    let _ = line.extend_from_slice(&date::write_log(sys::real_ms() / 1000));
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

fn write_peer(line: &mut Line, peer: Option<Peer>) -> core::fmt::Result {
    match peer {
        None => write!(line, "-"),
        Some((Ipv6Addr::UNSPECIFIED, _)) => write!(line, "unix:"),
        Some((address, _)) => match address.to_ipv4_mapped() {
            Some(four) => write!(line, "{four}"),
            None => write!(line, "{address}"),
        },
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
