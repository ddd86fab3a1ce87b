//! How connections end: by their deadlines, to make way for others, and what the pool is told.

use heapless::Vec;

use super::conn::list::{DEADLINE, List, QUEUE};
use super::conn::state::{Phase, Queue, Slot, Wait};
use super::{Step, Turns, Worker};
use crate::files::FileSlot;
use crate::http::Status;
use crate::limits::BOARD;
use crate::link::{PoolLink, Protocol, REPORT_MAX};
use crate::sys::{self, Errno};
use crate::train::Fault;

impl Worker {
    pub(crate) fn expire(&mut self, turns: &Turns) {
        while let Some((slot, wait)) = self.deadlines.expired(&mut self.connections, turns.now_ms) {
            match wait {
                Wait::Silent | Wait::Request
                    if self.connections.get(slot).protocol == Protocol::Http =>
                {
                    self.refuse_request(turns, slot, wait, Status::TIMEOUT);
                }
                Wait::Silent | Wait::Request => {
                    self.fail(turns, slot, Fault::TooSlow);
                    self.turn(turns, slot);
                }
                Wait::Idle | Wait::None => self.end(turns, slot),
                Wait::Linger => self.lingered(turns, slot),
                Wait::Stall => self.stalled(turns, slot),
                Wait::Cold => {
                    if self.connections.get(slot).queued == Queue::None {
                        self.make_ready(slot);
                    }
                }
                Wait::Acknowledge => self.look_for_acknowledgement(turns, slot),
                Wait::Pause => {
                    self.send_late_end(turns, slot);
                    self.turn(turns, slot);
                }
            }
        }
    }

    /// An ended connection had time to read its last answer; one that still does gets more.
    fn lingered(&mut self, turns: &Turns, slot: Slot) {
        let connection = self.connections.get(slot);
        let left = sys::unacknowledged(connection.socket.raw());
        let acknowledged = connection.sent - left.min(connection.sent);
        if acknowledged > connection.acknowledged {
            connection.acknowledged = acknowledged;
            connection.moment_ms = turns.now_ms;
        }
        if left == 0 || turns.now_ms - connection.moment_ms >= BOARD.stall_ms {
            return self.end(turns, slot);
        }
        self.arm(turns, slot, Wait::Linger);
    }

    /// Closes; but where the client has sent something that was not read, closing would be a reset
    /// that eats the bytes on their way to it.
    pub(crate) fn close_gently(&mut self, turns: &Turns, slot: Slot) -> Step {
        let socket = self.connections.get(slot).socket.raw();
        match sys::receive(socket, &mut self.buffer[..1], true) {
            Ok(1..) => self.begin_lingering(turns, slot),
            _ => Step::End,
        }
    }

    pub(crate) fn begin_lingering(&mut self, turns: &Turns, slot: Slot) -> Step {
        let connection = self.connections.get(slot);
        connection.phase = Phase::Lingering;
        connection.discarded = 0;
        connection.moment_ms = turns.now_ms;
        sys::shutdown_write(connection.socket.raw());
        self.arm(turns, slot, Wait::Linger);
        self.linger(slot)
    }

    /// Reads and throws away what the client still sends, until it closes.
    pub(crate) fn linger(&mut self, slot: Slot) -> Step {
        let connection = self.connections.get(slot);
        while (connection.discarded as usize) < BOARD.linger_bytes {
            match sys::receive(
                connection.socket.raw(),
                &mut self.buffer[..BOARD.linger_bytes],
                false,
            ) {
                Ok(0) => return Step::End,
                Ok(size) => connection.discarded += size as u32,
                Err(Errno::EAGAIN) => return Step::Wait,
                Err(_) => return Step::End,
            }
        }
        Step::End
    }

    /// Closes a connection. Its place stays taken until the pool knows.
    pub(crate) fn end(&mut self, turns: &Turns, slot: Slot) {
        if turns.setting.http_config.access_log {
            self.log_kept(slot);
        }
        self.deadlines.disarm(&mut self.connections, slot);
        self.release_file(slot);
        self.leave_listing(slot);
        self.forget_request(slot);
        let connection = self.connections.get(slot);
        if connection.phase == Phase::Page {
            // Over HTTP/1.0 a listing ends with the connection: this one is not whole.
            sys::abort_at_close(connection.socket.raw());
        }
        connection.socket.close();
        connection.phase = Phase::Ended;
        let client = connection.client;
        match core::mem::replace(&mut connection.queued, Queue::Ended) {
            Queue::None => {}
            Queue::Ready => self.rounds.remove(&mut self.connections, client, slot),
            Queue::Listing => self.listing_queue.remove(&mut self.connections, slot),
            Queue::Ended => panic!("a connection ends once"),
        }
        self.rounds.leave(client);
        self.ended.push_back(&mut self.connections, slot);
    }

    pub(crate) fn release_file(&mut self, slot: Slot) {
        let file = core::mem::replace(&mut self.connections.get(slot).file, FileSlot::NONE);
        if file.is_some() && file != self.pushed {
            self.files.release(file);
        }
    }

    /// Tells the pool which connections have ended; false when the link takes no more for now.
    pub(crate) fn report(&mut self, link: &mut impl PoolLink) -> Result<bool, Errno> {
        while self.ended.front().is_some() || self.nothing_to_give {
            let mut tickets: Vec<u32, REPORT_MAX> = Vec::new();
            let mut next = self.ended.front();
            while let Some(slot) = next {
                if tickets.push(self.connections.get(slot).ticket).is_err() {
                    break;
                }
                next = List::<QUEUE>::after(&mut self.connections, slot);
            }
            match link.report(&tickets) {
                Ok(()) => self.nothing_to_give = false,
                Err(Errno::EAGAIN) => return Ok(false),
                Err(errno) => return Err(errno),
            }
            for _ in 0..tickets.len() {
                let slot = self
                    .ended
                    .pop_front(&mut self.connections)
                    .expect("as many as were told");
                self.connections.remove(slot);
            }
        }
        Ok(true)
    }

    /// Ends the oldest connection that has no request in progress; false when there is none.
    pub(crate) fn give_way(&mut self, turns: &Turns) -> bool {
        while let Some(slot) = self.oldest_idle() {
            let connection = self.connections.get(slot);
            let socket = connection.socket.raw();
            if connection.wait == Wait::Linger {
                // It has its answer. Only what it may still send would have been read.
                self.end(turns, slot);
                return true;
            }
            match sys::receive(socket, &mut self.buffer[..1], true) {
                // A request has come meanwhile.
                Ok(1..) => {
                    self.arm(turns, slot, Wait::Request);
                    if self.connections.get(slot).queued == Queue::None {
                        self.make_ready(slot);
                    }
                }
                _ => {
                    self.refuse(turns, slot);
                    return true;
                }
            }
        }
        false
    }

    /// Gives every connection that has begun to ask one more turn: a request that has come whole is
    /// still answered while the worker drains, and who has to wait for the rest is refused.
    pub(crate) fn take_last_requests(&mut self) {
        let mut next = self.deadlines.oldest(Wait::Request);
        while let Some(slot) = next {
            next = List::<DEADLINE>::after(&mut self.connections, slot);
            if self.connections.get(slot).queued == Queue::None {
                self.make_ready(slot);
            }
        }
    }

    /// The connection that has been without a request for the longest, or has had its last answer.
    fn oldest_idle(&mut self) -> Option<Slot> {
        let lingering = self.deadlines.oldest(Wait::Linger).filter(|slot| {
            let socket = self.connections.get(*slot).socket.raw();
            sys::unacknowledged(socket) == 0
        });
        [Wait::Silent, Wait::Idle]
            .into_iter()
            .filter_map(|wait| self.deadlines.oldest(wait))
            .chain(lingering)
            .min_by_key(|slot| self.connections.get(*slot).since_ms())
    }

    /// Since when that has been so, as far as can be told without asking the system.
    pub(crate) fn idle_since_ms(&mut self) -> Option<u64> {
        [Wait::Silent, Wait::Idle, Wait::Linger]
            .into_iter()
            .filter_map(|wait| self.deadlines.oldest(wait))
            .map(|slot| self.connections.get(slot).since_ms())
            .min()
    }

    /// Ends a connection that is not in the midst of an answer; it is told why if the socket takes it.
    pub(crate) fn refuse(&mut self, turns: &Turns, slot: Slot) {
        let connection = self.connections.get(slot);
        if connection.protocol == Protocol::Http {
            let wait = connection.wait;
            return self.refuse_request(turns, slot, wait, Status::UNAVAILABLE);
        }
        let socket = connection.socket.raw();
        let _ = sys::send(socket, &Fault::Full.car(), false);
        // A part of a request that stays unread would make the close a reset, which eats the fault.
        let _ = sys::receive(socket, &mut self.buffer, false);
        self.end(turns, slot);
    }
}
