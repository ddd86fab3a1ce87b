//! Requests and answers over HTTP: the turns of one connection.
//!
//! All whole requests of one receive are answered together, in one send. Where that send stops in
//! the midst of an answer, its request is kept and answered again when the socket has room: an
//! answer is a function of its request and of the time when it was first made, so the same bytes
//! come out, and only what is missing is sent.

use super::requests::Received;
use super::respond::Responder;
use super::response::{Answered, Batch, Body, RequestTime, Response};
use crate::http::{self, Refusal, Status};
use crate::limits::{BOARD, CACHED_BODY_BYTES, HTTP_HEAD_BYTES_MAX, HTTP_MADE_BYTES_MAX};
use crate::sys::{self, Errno};
use crate::train::{Framing, ResponseLayout};
use crate::worker::conn::state::{Decision, KeptSlot, Phase, Slot, Stage, Wait};
use crate::worker::{Step, Turns, Worker, fingerprint};

/// Room that one answer may need.
const ANSWER_BYTES_MAX: usize = HTTP_MADE_BYTES_MAX + CACHED_BODY_BYTES;

impl Worker {
    /// Receives requests, and answers those that are whole.
    pub(crate) fn take_requests(&mut self, turns: &Turns, slot: Slot) -> Step {
        let received = match self.receive_requests(slot) {
            Ok(received) => received,
            Err(step) => return step,
        };
        let batch = self.make_answers(turns, slot, received.size);
        self.answers = self.answers.wrapping_add(batch.answers.len() as u32);
        if batch.generated_len == 0 {
            return self.wait_for_rest(turns, slot, &received);
        }
        self.send_answers(turns, slot, &received, batch)
    }

    /// Fills the input with what is kept of a connection and what has come. The error is what to do
    /// where there is nothing.
    pub(crate) fn receive_requests(&mut self, slot: Slot) -> Result<Received, Step> {
        let connection = self.connections.get(slot);
        let kept = self.kept.get(connection.kept);
        let mut size = kept.len();
        self.input[..size].copy_from_slice(kept);
        let is_peeked = !connection.kept.is_some() && self.kept.is_full();
        if connection.unread && size < HTTP_HEAD_BYTES_MAX {
            let room = &mut self.input[size..];
            match sys::receive(connection.socket.raw(), room, is_peeked) {
                Ok(0) => {
                    (connection.hung_up, connection.unread) = (true, false);
                    connection.is_at_end = true;
                }
                Ok(got) => {
                    // After a full one, and before the end of the stream, no event tells of the rest.
                    connection.unread = got == room.len() || connection.hung_up;
                    size += got;
                }
                Err(Errno::EAGAIN) => connection.unread = false,
                Err(_) => return Err(Step::End),
            }
        }
        if size > 0 {
            return Ok(Received { size, is_peeked });
        }
        Err(if connection.is_at_end {
            Step::End
        } else {
            Step::Wait
        })
    }

    /// Answers the whole requests at the start of the input.
    fn make_answers(&mut self, turns: &Turns, slot: Slot, size: usize) -> Batch {
        let connection = self.connections.get(slot);
        let mut begun = Some(connection.decision).filter(|decision| decision.is_begun);
        if begun.is_none() {
            connection.moment_ms = sys::real_ms();
        }
        // Who was let in before the stop and asks for the first time has an answer, and is refused
        // nothing by a restart.
        let is_served = connection.sent > 0;
        let gauges = turns.setting.gauges;
        let mut responder = Responder {
            setting: turns.setting,
            cache: &mut self.cache,
            files: &mut self.files,
            time: RequestTime {
                now_ms: turns.now_ms,
                real_ms: connection.moment_ms,
            },
            is_busy: false,
            keeps: false,
        };
        let mut batch = Batch::default();
        loop {
            if batch.answers.is_full() || self.buffer.len() - batch.generated_len < ANSWER_BYTES_MAX
            {
                batch.is_full = true;
                return batch;
            }
            let out = &mut self.buffer[batch.generated_len..];
            let mut decision = begun.take().unwrap_or(Decision {
                is_busy: self.draining && is_served,
                keeps: !self.draining,
                is_begun: false,
            });
            responder.is_busy = decision.is_busy;
            let (response, used) = match http::parse(&self.input[batch.used..size]) {
                Ok(None) => return batch,
                Ok(Some(request)) => {
                    // The place of who has nothing more to ask goes to who waits for one.
                    if !decision.is_begun && request.size == size - batch.used {
                        decision.keeps = decision.keeps && !gauges.claim_waiting();
                    }
                    responder.keeps = decision.keeps;
                    batch.is_cut = !request.is_whole;
                    (responder.respond(&request, out), request.size)
                }
                // Where the next request would begin, nobody can tell.
                Err(refusal) => {
                    batch.is_cut = true;
                    (responder.refuse(refusal, out), size - batch.used)
                }
            };
            let answered = Answered {
                end: batch.generated_len + response.generated_len,
                request: batch.used,
                status: response.status,
                body: response.generated_body_len as u64,
                decision,
            };
            batch.generated_len = answered.end;
            batch.used += used;
            let _ = batch.answers.push(answered);
            let is_last = !response.keep_alive || !matches!(response.body, Body::None);
            batch.last = Some(response);
            if is_last {
                return batch;
            }
        }
    }

    /// No request is whole: keeps what is there of one.
    fn wait_for_rest(&mut self, turns: &Turns, slot: Slot, received: &Received) -> Step {
        let connection = self.connections.get(slot);
        // A client that sends no more has sent all that there is; peeking never gets to the end of it.
        if connection.is_at_end || (received.is_peeked && connection.hung_up) {
            return Step::End;
        }
        let unread = connection.unread;
        if matches!(connection.wait, Wait::Silent | Wait::Idle) {
            self.arm(turns, slot, Wait::Request);
        }
        self.keep_from(slot, 0, received);
        if unread { Step::Again } else { Step::Wait }
    }

    /// Keeps the input from `start` on, and takes what is before it out of the kernel's buffer.
    pub(crate) fn keep_from(&mut self, slot: Slot, start: usize, received: &Received) {
        let connection = self.connections.get(slot);
        if received.is_peeked {
            if start > 0 {
                let (used, _) = self.input.split_at_mut(start);
                // It is there: the peek has seen it.
                let _ = sys::receive(connection.socket.raw(), used, false);
            }
            connection.unread |= start < received.size;
            return;
        }
        let rest = &self.input[start..received.size];
        connection.kept = self.kept.keep(connection.kept, rest);
    }

    fn send_answers(
        &mut self,
        turns: &Turns,
        slot: Slot,
        received: &Received,
        mut batch: Batch,
    ) -> Step {
        let connection = self.connections.get(slot);
        let response = batch.last.take().expect("something was made");
        let already = connection.position as usize;
        let first_end = batch.answers[0].end;
        if already > 0
            && (already > first_end
                || fingerprint(&self.buffer[..first_end]) != connection.answer_check)
        {
            log::debug!("a file changed while the head of its answer was sent; it ends early");
            return self.drop_response(response);
        }
        let more = !matches!(response.body, Body::None);
        let bytes = &self.buffer[already..batch.generated_len];
        let sent = match sys::send(connection.socket.raw(), bytes, more) {
            Ok(sent_now) => {
                connection.sent += sent_now as u64;
                already + sent_now
            }
            Err(Errno::EAGAIN) => already,
            Err(_) => return self.drop_response(response),
        };
        if sent < batch.generated_len {
            return self.stop_in_answer(turns, slot, received, &batch, sent, response);
        }
        connection.position = 0;
        connection.decision = Decision::NONE;
        self.go_on(turns, slot, received, &batch, response)
    }

    /// Gives back what a response that is not sent would need.
    fn drop_response(&mut self, response: Response) -> Step {
        self.let_go(response.body);
        Step::End
    }

    fn let_go(&mut self, body: Body) {
        match body {
            Body::None => {}
            Body::File(file, ..) | Body::Multipart(file, _) | Body::Listing(file) => {
                self.files.release(file)
            }
        }
    }

    /// The socket took a part of the batch only: the request of the answer in which it stopped is
    /// kept, with all that follow.
    fn stop_in_answer(
        &mut self,
        turns: &Turns,
        slot: Slot,
        received: &Received,
        batch: &Batch,
        sent: usize,
        response: Response,
    ) -> Step {
        let index = batch
            .answers
            .iter()
            .position(|answered| sent < answered.end)
            .expect("less was sent than made");
        let start = index
            .checked_sub(1)
            .map_or(0, |before| batch.answers[before].end);
        let answered = &batch.answers[index];
        self.let_go(response.body);
        if turns.setting.http_config.access_log {
            self.log_answers(slot, received, batch, index);
        }
        let connection = self.connections.get(slot);
        connection.position = (sent - start) as u64;
        connection.decision = Decision {
            is_begun: true,
            ..answered.decision
        };
        connection.answer_check = fingerprint(&self.buffer[start..answered.end]);
        self.keep_from(slot, answered.request, received);
        self.await_client(turns, slot);
        Step::Wait
    }

    /// All that was made is sent.
    fn go_on(
        &mut self,
        turns: &Turns,
        slot: Slot,
        received: &Received,
        batch: &Batch,
        response: Response,
    ) -> Step {
        let connection = self.connections.get(slot);
        connection.closes = !response.keep_alive;
        connection.lingers = batch.is_cut;
        let is_whole = matches!(response.body, Body::None);
        let last = batch.answers.last().expect("one at least");
        let is_logged = turns.setting.http_config.access_log;
        if is_logged {
            let whole = batch.answers.len() - usize::from(!is_whole);
            self.log_answers(slot, received, batch, whole);
        }
        // A request is kept while its answer depends on it, or will be logged.
        let depends = matches!(response.body, Body::Multipart(..) | Body::Listing(..));
        let keeps = depends || (is_logged && !is_whole);
        let start = if keeps { last.request } else { batch.used };
        self.keep_from(slot, start, received);
        if is_logged && keeps {
            let connection = self.connections.get(slot);
            if let Ok(peer) = sys::peer(connection.socket.raw()) {
                self.kept.set_peer(connection.kept, peer);
            }
        }
        let status = if keeps { response.status.0 } else { 0 };
        match response.body {
            Body::None => return self.request_answered(turns, slot, batch.is_full),
            Body::File(file, offset, size) => {
                self.begin(
                    turns,
                    slot,
                    ResponseLayout::new(Framing::Raw, 0, offset, size),
                    file,
                );
                if size > BOARD.turn_bytes as u64 {
                    // Otherwise the end of each turn would leave in a segment of its own.
                    sys::cork(self.connections.get(slot).socket.raw(), true);
                }
            }
            Body::Multipart(file, encoding) => {
                self.begin(turns, slot, ResponseLayout::NOTHING, file);
                let connection = self.connections.get(slot);
                (connection.phase, connection.encoding) = (Phase::Multipart, encoding);
            }
            Body::Listing(folder) => {
                self.begin(turns, slot, ResponseLayout::NOTHING, folder);
                let connection = self.connections.get(slot);
                connection.phase = Phase::Page;
                (connection.stage, connection.rows, connection.skip) = (Stage::Head, 0, 0);
                (connection.is_by_name, connection.is_limited) = (false, false);
            }
        }
        let connection = self.connections.get(slot);
        (connection.status, connection.request_size) = (status, (batch.used - start) as u16);
        self.turn_of(turns, slot)
    }

    /// Goes on after the last byte of an answer over HTTP. `more` requests may be whole already.
    pub(crate) fn request_answered(&mut self, turns: &Turns, slot: Slot, more: bool) -> Step {
        self.release_file(slot);
        let connection = self.connections.get(slot);
        if connection.layout.data_size > BOARD.turn_bytes as u64 {
            sys::cork(connection.socket.raw(), false);
            connection.layout = ResponseLayout::NOTHING;
        }
        if self.connections.get(slot).request_size > 0 {
            self.drop_request(turns, slot);
        }
        let connection = self.connections.get(slot);
        connection.phase = Phase::Asking;
        connection.position = 0;
        if connection.closes {
            // What comes after the close makes the kernel forget what the client has yet to get.
            let is_over = !connection.lingers
                && !connection.unread
                && !connection.kept.is_some()
                && sys::unacknowledged(connection.socket.raw()) == 0;
            self.forget_request(slot);
            return if is_over {
                Step::End
            } else {
                self.begin_lingering(turns, slot)
            };
        }
        if connection.is_at_end && !connection.kept.is_some() {
            return Step::End;
        }
        let again = connection.unread || more || connection.kept.is_some();
        if self.draining && !again {
            // It was kept when its answer was begun; now nothing more is to come from here.
            return if sys::unacknowledged(connection.socket.raw()) == 0 {
                Step::End
            } else {
                self.begin_lingering(turns, slot)
            };
        }
        let wait = if connection.kept.is_some() {
            Wait::Request
        } else {
            Wait::Idle
        };
        self.arm(turns, slot, wait);
        if again { Step::Again } else { Step::Wait }
    }

    /// The answer that depended on its request is sent.
    fn drop_request(&mut self, turns: &Turns, slot: Slot) {
        if turns.setting.http_config.access_log {
            self.log_kept(slot);
        }
        let connection = self.connections.get(slot);
        let size = core::mem::take(&mut connection.request_size);
        if let Ok(received) = self.receive_requests(slot) {
            self.keep_from(slot, usize::from(size), &received);
        }
    }

    /// Ends a connection whose request is not whole, or that has sent none: then without a word.
    pub(crate) fn refuse_request(&mut self, turns: &Turns, slot: Slot, wait: Wait, status: Status) {
        if wait != Wait::Request {
            return self.end(turns, slot);
        }
        let refusal = Refusal {
            status,
            is_head: false,
            accepts_html: false,
        };
        let mut responder = Responder {
            setting: turns.setting,
            cache: &mut self.cache,
            files: &mut self.files,
            time: RequestTime::now(turns.now_ms),
            is_busy: false,
            keeps: false,
        };
        let generated_len = responder.refuse(refusal, &mut self.buffer).generated_len;
        let socket = self.connections.get(slot).socket.raw();
        let _ = sys::send(socket, &self.buffer[..generated_len], false);
        self.forget_request(slot);
        if let Step::End = self.begin_lingering(turns, slot) {
            self.end(turns, slot);
        }
    }

    /// Frees what is kept of a connection's requests.
    pub(crate) fn forget_request(&mut self, slot: Slot) {
        let connection = self.connections.get(slot);
        let kept = core::mem::replace(&mut connection.kept, KeptSlot::NONE);
        self.kept.release(kept);
    }
}
