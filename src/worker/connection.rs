//! A connection: what a worker keeps of one client.

use super::deadline::Wait;
use super::list::Link;
use crate::files::FileSlot;
use crate::limits::CARS_PER_BATCH_FIRST;
use crate::link::Protocol;
use crate::sys::Descriptor;
use crate::train::Plan;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(super) enum Phase {
    /// The place is free.
    Free,
    /// Waits for a request to be whole.
    Asking,
    /// Sends the bytes of its plan.
    Answering,
    /// Sends the listing of a folder whose head is sent.
    Listing,
    /// Has sent everything, and waits until the client has acknowledged it (`raw-end`).
    Acknowledging,
    /// Has sent everything, and reads what the client still sends, so that no reset eats the answer.
    Lingering,
    /// Its socket is closed; the dispatcher is yet to be told.
    Ended,
}

/// The queue that a connection stands in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(super) enum Queue {
    None,
    Ready,
    Listing,
    Ended,
}

/// What a worker keeps of one client. All zeroes is a free place.
pub(super) struct Connection {
    /// The answer, and how much of it is sent.
    pub(super) plan: Plan,
    pub(super) position: u64,
    /// Bytes sent since the connection was made, and those known to be acknowledged at the start of
    /// the present stall window.
    pub(super) sent: u64,
    pub(super) acknowledged: u64,
    pub(super) expires_ms: u64,
    /// For `raw-end`: when the client last acknowledged something.
    pub(super) progress_ms: u64,
    pub(super) socket: Descriptor,
    pub(super) ticket: u32,
    /// Fingerprint of the car of a listing that is sent in part, to be met again when it goes on.
    pub(super) car_check: u32,
    pub(super) discarded: u32,
    pub(super) deadline: Link,
    pub(super) queue: Link,
    pub(super) file: FileSlot,
    /// Cars in the next batch.
    pub(super) batch: u16,
    /// In a listing: bytes sent of the entry's text where the next car starts, and of that car.
    pub(super) skip: u16,
    pub(super) within: u16,
    pub(super) cold_tries: u8,
    pub(super) phase: Phase,
    pub(super) wait: Wait,
    pub(super) queued: Queue,
    pub(super) protocol: Protocol,
    /// Known to epoll.
    pub(super) registered: bool,
    /// Bytes from the client may be there.
    pub(super) unread: bool,
    /// The client sends no more, or is gone.
    pub(super) hung_up: bool,
}

/// A free entry must not put the table into the file, and an idle one must stay small.
const _: () = assert!(size_of::<Connection>() <= 128);

impl Connection {
    pub(super) const FREE: Self = Self {
        plan: Plan::NOTHING,
        position: 0,
        sent: 0,
        acknowledged: 0,
        expires_ms: 0,
        progress_ms: 0,
        socket: Descriptor::NONE,
        ticket: 0,
        car_check: 0,
        discarded: 0,
        deadline: Link::NONE,
        queue: Link::NONE,
        file: FileSlot::NONE,
        batch: 0,
        skip: 0,
        within: 0,
        cold_tries: 0,
        phase: Phase::Free,
        wait: Wait::None,
        queued: Queue::None,
        protocol: Protocol::Ask,
        registered: false,
        unread: false,
        hung_up: false,
    };

    /// A client that has just been handed over.
    pub(super) fn new(socket: Descriptor, ticket: u32, protocol: Protocol) -> Self {
        Self {
            socket,
            ticket,
            protocol,
            phase: Phase::Asking,
            batch: CARS_PER_BATCH_FIRST,
            ..Self::FREE
        }
    }

    /// A free place that stands before another one in the free list (0: none, else slot + 1).
    pub(super) fn free_before(next: u16) -> Self {
        Self {
            ticket: u32::from(next),
            ..Self::FREE
        }
    }

    /// See [`Connection::free_before`].
    pub(super) fn next_free(&self) -> u16 {
        assert_eq!(self.phase, Phase::Free);
        self.ticket as u16
    }

    /// Since when it waits for what it waits for.
    pub(super) fn since_ms(&self) -> u64 {
        self.expires_ms - self.wait.length_ms()
    }

    /// Begins an answer.
    pub(super) fn answer(&mut self, plan: Plan) {
        self.plan = plan;
        self.position = 0;
        self.phase = Phase::Answering;
    }

    /// Counts bytes that the socket took.
    pub(super) fn advance(&mut self, sent_now: usize) {
        assert!(sent_now > 0, "a send that took nothing is EAGAIN");
        self.sent += sent_now as u64;
        if self.phase == Phase::Answering {
            self.position += sent_now as u64;
            assert!(self.position <= self.plan.size());
        }
    }
}
