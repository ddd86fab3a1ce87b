//! Several ranges of a file as the body of a response.

use super::exchange;
use super::respond::{ranges, validators};
use crate::http::multipart::{self, Segment};
use crate::http::{self, Ranges, content_type};
use crate::limits::BOARD;
use crate::worker::conn::activity::Activity;
use crate::worker::conn::connection::Connection;
use crate::worker::conn::state::Wait;
use crate::worker::io::Io;
use crate::worker::next::Next;
use crate::worker::socket::Socket;
use crate::worker::transfer;

/// Sends what it can of the parts, which the request names that is kept.
pub(crate) fn poll<S: Socket>(conn: &mut Connection, io: &mut Io<S>) -> Next {
    conn.timer.start_unless(Wait::Stall);
    let file = io.store.files.get(conn.file);
    let Some(ranges) = io
        .requests
        .current(conn, &mut io.socket)
        .and_then(|bytes| http::parse(bytes).ok().flatten())
        .map(|request| ranges(&request, file.size))
    else {
        return Next::Close;
    };
    let Activity::Multipart(state) = &mut conn.activity else {
        unreachable!("it sends several ranges");
    };
    let (Ranges::Several(ranges), encoding) = (ranges, state.encoding) else {
        return Next::Close;
    };
    let name = &file.name[..file.name.len() - encoding.suffix().len()];
    let parts = multipart::Multipart {
        ranges: &ranges,
        file_size: file.size,
        content_type: content_type(name),
        tag: &validators(file, encoding, state.generated_ms).tag(),
    };
    loop {
        if io.sent >= BOARD.turn_bytes as u64 {
            return Next::Again;
        }
        let sent = match parts.at(state.position) {
            Segment::Done => return exchange::finish(conn, io, false),
            Segment::Text(text, at) => io.send(&text.as_bytes()[at..], true),
            Segment::Data(offset, size) => {
                transfer::send_range(io, conn.file, &mut state.cursor, offset, size)
            }
        };
        match sent {
            Ok(sent) => state.position += sent as u64,
            Err(error) => return transfer::cannot_send(conn, io, error),
        }
    }
}
