//! A range of a file as the body of a response.

use super::exchange;
use crate::limits::BOARD;
use crate::worker::conn::activity::Activity;
use crate::worker::conn::connection::Connection;
use crate::worker::conn::state::Wait;
use crate::worker::io::Io;
use crate::worker::next::Next;
use crate::worker::socket::Socket;
use crate::worker::transfer;

/// Sends what it can of the range.
pub(crate) fn poll<S: Socket>(conn: &mut Connection, io: &mut Io<S>) -> Next {
    conn.timer.start_unless(Wait::Stall);
    let Activity::SendingFile(file) = &mut conn.activity else {
        unreachable!("it sends a file");
    };
    loop {
        if io.sent >= BOARD.turn_bytes as u64 {
            return Next::Again;
        }
        let left = file.range.size - file.position;
        if left == 0 {
            return exchange::finish(conn, io, false);
        }
        let offset = file.range.first + file.position;
        match transfer::send_range(io, conn.file, &mut file.cursor, offset, left) {
            Ok(sent) => file.position += sent as u64,
            Err(error) => return transfer::cannot_send(conn, io, error),
        }
    }
}
