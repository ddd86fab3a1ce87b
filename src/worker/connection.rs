//! A connection: what a worker keeps of one client.

use super::deadline::Wait;
use super::http::Decision;
use super::kept::KeptSlot;
use super::list::Link;
use super::page::Stage;
use super::rounds::ClientSlot;
use crate::files::FileSlot;
use crate::http::Encoding;
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
    /// Sends several ranges of a file, as the request says that is kept.
    Parts,
    /// Sends the listing of a folder over HTTP, as the request says that is kept.
    Page,
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
    /// For `raw-end`: when the client last acknowledged something. For HTTP: when the answer was
    /// made, in milliseconds since 1970.
    pub(super) moment_ms: u64,
    /// Where the part of the file ends that was last seen in the page cache.
    pub(super) warm_end: u64,
    pub(super) socket: Descriptor,
    pub(super) ticket: u32,
    /// Fingerprint of what is made and sent in part (a listing's car, the head of an answer over
    /// HTTP), to be met again when it goes on.
    pub(super) answer_check: u32,
    pub(super) discarded: u32,
    /// In a listing over HTTP: rows that are sent.
    pub(super) rows: u32,
    pub(super) deadline: Link,
    pub(super) queue: Link,
    pub(super) file: FileSlot,
    pub(super) client: ClientSlot,
    /// Cars in the next batch.
    pub(super) batch: u16,
    /// Of the request that is kept as long as it is answered: its size, and the answer's status.
    pub(super) request_size: u16,
    pub(super) status: u16,
    /// In a listing: bytes sent of the entry's text where the next car starts, and of that car.
    pub(super) skip: u16,
    pub(super) within: u16,
    pub(super) cold_tries: u8,
    pub(super) phase: Phase,
    pub(super) wait: Wait,
    pub(super) queued: Queue,
    pub(super) protocol: Protocol,
    /// What is kept of its requests over HTTP.
    pub(super) kept: KeptSlot,
    /// How the file's bytes are encoded.
    pub(super) encoding: Encoding,
    /// The present answer over HTTP is the last one.
    pub(super) closes: bool,
    /// More of what was answered last is on its way.
    pub(super) lingers: bool,
    /// Of the answer over HTTP that the socket took in part.
    pub(super) decision: Decision,
    /// In a listing over HTTP: what is sent next; whether the order that was wanted cannot be had;
    /// whether the limit ended it.
    pub(super) stage: Stage,
    pub(super) is_by_name: bool,
    pub(super) is_limited: bool,
    /// The end of what the client sends was read.
    pub(super) is_at_end: bool,
    /// Known to epoll.
    pub(super) registered: bool,
    /// Bytes from the client may be there.
    pub(super) unread: bool,
    /// The client sends no more, or is gone.
    pub(super) hung_up: bool,
}

/// A free entry must not put the table into the file, and an idle one must stay small.
const _: () = assert!(size_of::<Connection>() <= 136);

impl Connection {
    pub(super) const FREE: Self = Self {
        plan: Plan::NOTHING,
        position: 0,
        sent: 0,
        acknowledged: 0,
        expires_ms: 0,
        moment_ms: 0,
        warm_end: 0,
        socket: Descriptor::NONE,
        ticket: 0,
        answer_check: 0,
        discarded: 0,
        rows: 0,
        deadline: Link::NONE,
        queue: Link::NONE,
        file: FileSlot::NONE,
        client: ClientSlot::NONE,
        batch: 0,
        request_size: 0,
        status: 0,
        skip: 0,
        within: 0,
        cold_tries: 0,
        phase: Phase::Free,
        wait: Wait::None,
        queued: Queue::None,
        protocol: Protocol::Ask,
        kept: KeptSlot::NONE,
        encoding: Encoding::Identity,
        closes: false,
        lingers: false,
        decision: Decision::NONE,
        stage: Stage::Head,
        is_by_name: false,
        is_limited: false,
        is_at_end: false,
        registered: false,
        unread: false,
        hung_up: false,
    };

    /// A client that has just been handed over.
    pub(super) fn new(
        socket: Descriptor,
        ticket: u32,
        protocol: Protocol,
        client: ClientSlot,
    ) -> Self {
        Self {
            socket,
            ticket,
            protocol,
            client,
            phase: Phase::Asking,
            batch: CARS_PER_BATCH_FIRST,
            unread: true,
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

    /// Whether it waits for a request, or for the rest of one.
    pub(super) fn is_asking(&self) -> bool {
        self.phase == Phase::Asking
            && matches!(self.wait, Wait::Silent | Wait::Request | Wait::Idle)
    }

    /// Begins an answer.
    pub(super) fn answer(&mut self, plan: Plan) {
        self.plan = plan;
        self.position = 0;
        self.warm_end = 0;
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
