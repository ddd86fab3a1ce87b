//! Requests and responses over HTTP.
//!
//! All whole requests of one receive are answered together, in one send. Where that send stops in
//! the midst of a response, its request is kept and answered again when the socket has room: a
//! response is a function of its request and of the time when it was first generated, so the same
//! bytes come out, and only what is missing is sent.

use super::access_log;
use super::requests::Received;
use super::respond::{RequestTime, Responder};
use super::response::{Batch, Body, Response};
use crate::http::{self, Refusal, Status};
use crate::limits::{BOARD, CACHED_BODY_BYTES, HTTP_GENERATED_BYTES_MAX};
use crate::worker::checksum::checksum;
use crate::worker::conn::activity::{
    Activity, HttpListing, Multipart, PartialResponse, SendingFile, StashedRequest,
};
use crate::worker::conn::connection::Connection;
use crate::worker::conn::cursor::FileCursor;
use crate::worker::conn::state::Wait;
use crate::worker::io::{Io, SendError};
use crate::worker::linger;
use crate::worker::next::Next;
use crate::worker::socket::Socket;

/// Bytes of room that one response may need.
const RESPONSE_BYTES_MAX: usize = HTTP_GENERATED_BYTES_MAX + CACHED_BODY_BYTES;

/// Receives requests, and answers those that are whole.
pub(crate) fn receive<S: Socket>(conn: &mut Connection, io: &mut Io<S>) -> Next {
    let Activity::Receiving(partial) = conn.activity else {
        unreachable!("it receives requests");
    };
    let received = match io.requests.receive(conn, &mut io.socket) {
        Ok(received) => received,
        Err(next) => return next,
    };
    io.store.look_again();
    let batch = generate(conn.sent, io, &received, partial);
    io.responses += batch.answered.len() as u32;
    if batch.len == 0 {
        return wait_for_rest(conn, io, &received);
    }
    send_batch(conn, io, &received, batch, partial)
}

/// Answers the whole requests at the start of the input.
fn generate<S: Socket>(
    sent_before: u64,
    io: &mut Io<S>,
    received: &Received,
    mut partial: Option<PartialResponse>,
) -> Batch {
    let generated_ms = match partial {
        Some(partial) => partial.generated_ms,
        None => (io.real_ms)(),
    };
    let gauges = io.config.gauges;
    let mut responder = Responder {
        config: io.config,
        store: io.store,
        time: RequestTime {
            now_ms: io.now_ms,
            real_ms: generated_ms,
        },
        is_busy: false,
        keep_alive: false,
    };
    let mut batch = Batch {
        generated_ms,
        ..Batch::default()
    };
    let input = io.requests.input(received);
    loop {
        if batch.answered.is_full() || io.out.len() - batch.len < RESPONSE_BYTES_MAX {
            batch.is_full = true;
            return batch;
        }
        let partial = partial.take();
        // Who was let in before the stop and asks for the first time has a response, and is refused
        // nothing by a restart.
        responder.is_busy =
            partial.map_or(io.is_draining && sent_before > 0, |partial| partial.is_busy);
        responder.keep_alive = partial.map_or(!io.is_draining, |partial| partial.keep_alive);
        let out = &mut io.out[batch.len..];
        let rest = &input[batch.requests_len..];
        let (response, used) = match http::parse(rest) {
            Ok(None) => return batch,
            Ok(Some(request)) => {
                // If newcomers wait, the connection is closed behind its last request instead of
                // being kept.
                if partial.is_none() && request.size == rest.len() && responder.keep_alive {
                    responder.keep_alive = !gauges.claim_waiting();
                }
                batch.is_cut = !request.is_whole;
                (responder.respond(&request, out), request.size)
            }
            // Where the next request would begin, nobody can tell.
            Err(refusal) => {
                batch.is_cut = true;
                (responder.refuse(&refusal, out), rest.len())
            }
        };
        let is_last = !response.keep_alive || !response.body.is_none();
        batch.push(response, used, responder.is_busy, responder.keep_alive);
        if is_last {
            return batch;
        }
    }
}

/// No request is whole: keeps what is there of one.
fn wait_for_rest<S: Socket>(conn: &mut Connection, io: &mut Io<S>, received: &Received) -> Next {
    // A client that sends no more has sent all that there is; peeking never gets to the end of it.
    if conn.is_at_end || (received.is_peeked && conn.is_hung_up) {
        return Next::Close;
    }
    let has_unread = conn.has_unread;
    if matches!(conn.timer.wait(), Wait::Silent | Wait::Idle) {
        conn.timer.start(Wait::Request);
    }
    io.requests.stash_from(conn, &mut io.socket, 0, received);
    if has_unread { Next::Again } else { Next::Wait }
}

fn send_batch<S: Socket>(
    conn: &mut Connection,
    io: &mut Io<S>,
    received: &Received,
    mut batch: Batch,
    partial: Option<PartialResponse>,
) -> Next {
    let response = batch.last.take().expect("something was generated");
    let mut sent = partial.map_or(0, |partial| partial.position as usize);
    let first_end = batch.answered[0].end;
    if let Some(partial) = partial
        && sent > 0
        && (sent > first_end || checksum(&io.out[..first_end]) != partial.resend_checksum)
    {
        log::debug!("a file changed while the head of its response was sent; it ends early");
        return drop_response(io, &response);
    }
    match io.send_out(sent..batch.len, !response.body.is_none()) {
        Ok(sent_now) => sent += sent_now,
        Err(SendError::WouldBlock) => {}
        Err(_) => return drop_response(io, &response),
    }
    if sent < batch.len {
        return stop_in_response(conn, io, received, &batch, sent, &response);
    }
    go_on(conn, io, received, &batch, response)
}

/// Gives back what a response that is not sent would need.
fn drop_response<S: Socket>(io: &mut Io<S>, response: &Response) -> Next {
    io.store.release(&mut response.body.file());
    Next::Close
}

/// The socket took a part of the batch only: the request of the response in which it stopped is kept,
/// with all that follow.
fn stop_in_response<S: Socket>(
    conn: &mut Connection,
    io: &mut Io<S>,
    received: &Received,
    batch: &Batch,
    sent: usize,
    response: &Response,
) -> Next {
    io.store.release(&mut response.body.file());
    let index = batch
        .answered
        .iter()
        .position(|answered| sent < answered.end)
        .expect("less was sent than generated");
    if io.config.http_config.access_log {
        access_log::log_batch(conn, io, received, batch, index);
    }
    let start = index
        .checked_sub(1)
        .map_or(0, |before| batch.answered[before].end);
    let answered = &batch.answered[index];
    conn.activity = Activity::Receiving(Some(PartialResponse {
        generated_ms: batch.generated_ms,
        position: (sent - start) as u32,
        resend_checksum: checksum(&io.out[start..answered.end]),
        is_busy: answered.is_busy,
        keep_alive: answered.keep_alive,
    }));
    io.requests
        .stash_from(conn, &mut io.socket, answered.request, received);
    conn.timer.start_unless(Wait::Stall);
    Next::Wait
}

/// All that was generated is sent.
fn go_on<S: Socket>(
    conn: &mut Connection,
    io: &mut Io<S>,
    received: &Received,
    batch: &Batch,
    response: Response,
) -> Next {
    conn.is_last = !response.keep_alive;
    conn.is_cut = batch.is_cut;
    conn.activity = Activity::RECEIVING;
    let is_whole = response.body.is_none();
    let last = batch.answered.last().expect("one at least");
    let is_logged = io.config.http_config.access_log;
    if is_logged {
        let whole = batch.answered.len() - usize::from(!is_whole);
        access_log::log_batch(conn, io, received, batch, whole);
    }
    // A request is kept while its response depends on it, or will be logged.
    let depends = matches!(response.body, Body::Multipart(..) | Body::Listing(_));
    let must_stash = depends || (is_logged && !is_whole);
    let start = if must_stash {
        last.request
    } else {
        batch.requests_len
    };
    io.requests
        .stash_from(conn, &mut io.socket, start, received);
    if is_whole {
        return finish(conn, io, batch.is_full);
    }
    io.store.release(&mut conn.file);
    conn.file = response.body.file();
    conn.timer.start(Wait::Stall);
    let request = StashedRequest {
        len: (batch.requests_len - start) as u16,
        status: response.status.0,
    };
    conn.activity = sending(io, &response.body, request, batch.generated_ms);
    Next::Now
}

/// The activity that sends a body.
fn sending<S: Socket>(
    io: &mut Io<S>,
    body: &Body,
    request: StashedRequest,
    generated_ms: u64,
) -> Activity {
    match *body {
        Body::None => unreachable!("there is a body"),
        Body::File(_, range) => {
            // Otherwise the end of each turn would leave in a segment of its own.
            let is_corked = range.size > BOARD.turn_bytes as u64;
            if is_corked {
                io.socket.cork(true);
            }
            Activity::SendingFile(SendingFile {
                range,
                position: 0,
                cursor: FileCursor::START,
                request,
                is_corked,
            })
        }
        Body::Multipart(_, encoding) => Activity::Multipart(Multipart {
            position: 0,
            generated_ms,
            cursor: FileCursor::START,
            request,
            encoding,
        }),
        Body::Listing(_) => Activity::HttpListing(HttpListing {
            request,
            ..HttpListing::default()
        }),
    }
}

/// Goes on after the last byte of a response. `more` requests may be whole already.
pub(crate) fn finish<S: Socket>(conn: &mut Connection, io: &mut Io<S>, more: bool) -> Next {
    if let Activity::SendingFile(SendingFile {
        is_corked: true, ..
    }) = conn.activity
    {
        io.socket.cork(false);
    }
    let request_len = usize::from(conn.activity.request().len);
    if request_len > 0 {
        if io.config.http_config.access_log {
            access_log::log_current(conn, io);
        }
        io.requests.drop_first(conn, &mut io.socket, request_len);
    }
    io.store.release(&mut conn.file);
    conn.activity = Activity::RECEIVING;
    if conn.is_last {
        let is_over = !conn.is_cut
            && !conn.has_unread
            && !conn.stash.is_some()
            && io.socket.unacknowledged() == 0;
        io.requests.forget(conn);
        return if is_over {
            Next::Close
        } else {
            linger::begin(conn, io)
        };
    }
    if conn.is_at_end && !conn.stash.is_some() {
        return Next::Close;
    }
    let again = conn.has_unread || more || conn.stash.is_some();
    if io.is_draining && !again {
        // It was kept when its response was begun; now nothing more is to come from here.
        return if io.socket.unacknowledged() == 0 {
            Next::Close
        } else {
            linger::begin(conn, io)
        };
    }
    conn.timer.start(if conn.stash.is_some() {
        Wait::Request
    } else {
        Wait::Idle
    });
    if again { Next::Again } else { Next::Wait }
}

/// Ends a connection whose request is not whole, or that has sent none: then without a word. `wait` is
/// what it has waited for.
pub(crate) fn refuse<S: Socket>(
    conn: &mut Connection,
    io: &mut Io<S>,
    wait: Wait,
    status: Status,
) -> Next {
    if wait != Wait::Request {
        return Next::Close;
    }
    let responder = Responder {
        config: io.config,
        store: io.store,
        time: RequestTime {
            now_ms: io.now_ms,
            real_ms: (io.real_ms)(),
        },
        is_busy: false,
        keep_alive: false,
    };
    let refusal = Refusal {
        status,
        is_head: false,
        accepts_html: false,
    };
    let len = responder.refuse(&refusal, io.out).len;
    let _ = io.send_out(0..len, false);
    io.requests.forget(conn);
    linger::begin(conn, io)
}

#[cfg(test)]
mod tests;
