//! Several ranges of a file in one answer over HTTP, as one connection's turns.

use super::requests::Received;
use super::respond::{ranges, validators};
use crate::http::multipart::{Multipart, Segment};
use crate::http::{self, Ranges, content_type};
use crate::limits::BOARD;
use crate::sys::{self, Errno};
use crate::worker::conn::state::Slot;
use crate::worker::{Step, Turns, Worker};

impl Worker {
    /// Sends what it can of the parts, which the request names that is kept.
    pub(crate) fn send_multipart(&mut self, turns: &Turns, slot: Slot) -> Step {
        self.await_client(turns, slot);
        let received = match self.receive_requests(slot) {
            Ok(received) => received,
            Err(step) => return step,
        };
        let start = self.connections.get(slot).sent;
        let step = loop {
            if self.connections.get(slot).sent - start >= BOARD.turn_bytes as u64 {
                break Step::Again;
            }
            let sent = match self.segment(slot, &received) {
                None => return Step::End,
                Some(Segment::Done) => {
                    self.keep_from(slot, 0, &received);
                    return self.answered(turns, slot);
                }
                Some(Segment::Text(text, at)) => {
                    let socket = self.connections.get(slot).socket.raw();
                    sys::send(socket, &text.as_bytes()[at..], true)
                }
                Some(Segment::Data(offset, size)) => self.send_bytes(slot, offset, size),
            };
            match sent {
                Ok(sent_now) => {
                    let connection = self.connections.get(slot);
                    connection.sent += sent_now as u64;
                    connection.position += sent_now as u64;
                }
                Err(Errno::EAGAIN) => break Step::Wait,
                Err(errno) => match self.cannot_send(turns, slot, errno) {
                    Step::End => return Step::End,
                    other => break other,
                },
            }
        };
        self.keep_from(slot, 0, &received);
        step
    }

    /// What lies at a connection's position.
    fn segment(&mut self, slot: Slot, received: &Received) -> Option<Segment> {
        let connection = self.connections.get(slot);
        let request = http::parse(&self.input[..received.size]).ok().flatten()?;
        let file = self.files.get(connection.file);
        let Ranges::Several(ranges) = ranges(&request, file.size) else {
            return None;
        };
        let encoding = connection.encoding;
        let name = &file.name[..file.name.len() - encoding.suffix().len()];
        let parts = Multipart {
            ranges: &ranges,
            file_size: file.size,
            content_type: content_type(name),
            tag: &validators(file, encoding, connection.moment_ms).tag(),
        };
        Some(parts.at(connection.position))
    }
}
