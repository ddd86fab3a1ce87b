//! The end of a connection after its last response. Data that arrives after close(2) makes the kernel
//! send a reset, which discards what the client has not read yet (RFC 9112, section 9.6): so the client
//! is told that nothing more comes, and what it still sends is read until it closes, too.

use super::conn::activity::{Activity, Lingering};
use super::conn::connection::Connection;
use super::conn::state::Wait;
use super::io::Io;
use super::next::Next;
use super::socket::Socket;
use crate::limits::BOARD;
use crate::sys::Errno;

/// Begins to linger.
pub(crate) fn begin<S: Socket>(conn: &mut Connection, io: &mut Io<S>) -> Next {
    conn.activity = Activity::Lingering(Lingering {
        progress_ms: io.now_ms,
        discarded: 0,
    });
    io.socket.shut_down_writing();
    conn.timer.start(Wait::Linger);
    poll(conn, io)
}

/// Closes; but lingers where the client has sent something that was not read.
pub(crate) fn close_gently<S: Socket>(conn: &mut Connection, io: &mut Io<S>) -> Next {
    match io.socket.receive(&mut io.out[..1], true) {
        Ok(1..) => begin(conn, io),
        _ => Next::Close,
    }
}

/// Reads and throws away what the client still sends, until it closes.
pub(crate) fn poll<S: Socket>(conn: &mut Connection, io: &mut Io<S>) -> Next {
    let Activity::Lingering(lingering) = &mut conn.activity else {
        unreachable!("it lingers");
    };
    while (lingering.discarded as usize) < BOARD.linger_bytes {
        let room = &mut io.out[..BOARD.linger_bytes];
        match io.socket.receive(room, false) {
            Ok(0) => return Next::Close,
            Ok(size) => lingering.discarded += size as u32,
            Err(Errno::EAGAIN) => return Next::Wait,
            Err(_) => return Next::Close,
        }
    }
    Next::Close
}

/// The client had time to read its last response; one that still does gets more.
pub(crate) fn expired<S: Socket>(conn: &mut Connection, io: &mut Io<S>) -> Next {
    let left = io.socket.unacknowledged();
    let progress = conn.note_acknowledged(left);
    let Activity::Lingering(lingering) = &mut conn.activity else {
        unreachable!("it lingers");
    };
    if progress > 0 {
        lingering.progress_ms = io.now_ms;
    }
    if left == 0 || io.now_ms - lingering.progress_ms >= BOARD.stall_ms {
        return Next::Close;
    }
    conn.timer.start(Wait::Linger);
    Next::Wait
}
