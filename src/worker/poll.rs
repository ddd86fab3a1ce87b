//! Polling a connection: which code does what it is doing. Nothing here knows of epoll, of the pool, or
//! of other connections.

use super::conn::activity::Activity;
use super::conn::connection::Connection;
use super::conn::state::Wait;
use super::io::Io;
use super::next::Next;
use super::socket::Socket;
use super::{http, linger, train, transfer};
use crate::http::Status;
use crate::link::Protocol;
use crate::train::Fault;

/// Begins to serve a client that has just been handed over.
pub(crate) fn begin<S: Socket>(conn: &mut Connection, io: &mut Io<S>) {
    match conn.protocol {
        Protocol::Ask | Protocol::Http => conn.timer.start(Wait::Silent),
        Protocol::Push => train::exchange::push(conn, io),
    }
}

/// Goes on with what a connection is doing, until it has to wait or has had its turn.
pub(crate) fn poll<S: Socket>(conn: &mut Connection, io: &mut Io<S>) -> Next {
    match conn.activity {
        Activity::Receiving(_) if conn.protocol == Protocol::Http => {
            http::exchange::receive(conn, io)
        }
        Activity::Receiving(_) => train::exchange::receive(conn, io),
        Activity::SendingFile(_) => http::file::poll(conn, io),
        Activity::Multipart(_) => http::multipart::poll(conn, io),
        Activity::HttpListing(_) => http::listing::poll(conn, io),
        Activity::SendingTrain(_) => train::exchange::send(conn, io),
        Activity::TrainListing(_) => train::listing::poll(conn, io),
        Activity::Acknowledging { .. } => train::exchange::acknowledge(io),
        Activity::Lingering(_) => linger::poll(conn, io),
        Activity::Free | Activity::Closed => panic!("only open connections are polled"),
    }
}

/// What follows when a connection has waited in vain. It waits for nothing now.
pub(crate) fn expired<S: Socket>(conn: &mut Connection, io: &mut Io<S>, wait: Wait) -> Next {
    match wait {
        Wait::Silent | Wait::Request if conn.protocol == Protocol::Http => {
            http::exchange::refuse(conn, io, wait, Status::TIMEOUT)
        }
        Wait::Silent | Wait::Request => {
            train::exchange::fail(conn, io, Fault::TooSlow);
            Next::Now
        }
        Wait::Idle | Wait::None => Next::Close,
        Wait::Linger => linger::expired(conn, io),
        Wait::Stall => transfer::stalled(conn, io),
        Wait::NotCached => Next::Again,
        Wait::Acknowledge => train::exchange::look_for_acknowledgement(conn, io),
        Wait::Pause => train::exchange::send_late_end(conn, io),
    }
}

/// Ends a connection that is not in the midst of a response, for want of room or because the server
/// stops; it is told why if the socket takes it.
pub(crate) fn refuse<S: Socket>(conn: &mut Connection, io: &mut Io<S>) -> Next {
    match conn.protocol {
        Protocol::Http => http::exchange::refuse(conn, io, conn.timer.wait(), Status::UNAVAILABLE),
        Protocol::Ask | Protocol::Push => train::exchange::refuse(io),
    }
}

/// Ends a transfer in the midst of it, because its file is let go.
pub(crate) fn break_off<S: Socket>(conn: &mut Connection, io: &mut Io<S>) -> Next {
    train::exchange::break_off(conn, io)
}

/// The last thing that is done for a connection: gives back what it holds, but for its socket.
pub(crate) fn end<S: Socket>(conn: &mut Connection, io: &mut Io<S>) {
    if io.config.http_config.access_log {
        http::access_log::log_current(conn, io);
    }
    if matches!(conn.activity, Activity::HttpListing(_)) {
        // Over HTTP/1.0 a listing ends with the connection: this one is not whole.
        io.socket.abort_at_close();
    }
    io.store.release(&mut conn.file);
    io.listing.give_back(&mut conn.holds_listing);
    io.requests.forget(conn);
    conn.timer.stop();
    conn.activity = Activity::Closed;
}

#[cfg(test)]
mod tests;
