//! A connection: what a worker keeps of one client.

use super::state::{ClientSlot, Decision, KeptSlot, ListNode, Phase, Queue, Stage, Wait};
use crate::files::FileSlot;
use crate::http::Encoding;
use crate::limits::CARS_PER_BATCH_FIRST;
use crate::link::Protocol;
use crate::sys::Descriptor;
use crate::train::ResponseLayout;

/// What a worker keeps of one client. All zeroes is a free place.
pub(crate) struct Connection {
    /// The answer, and how much of it is sent.
    pub(crate) layout: ResponseLayout,
    pub(crate) position: u64,
    /// Bytes sent since the connection was made, and those known to be acknowledged at the start of
    /// the present stall window.
    pub(crate) sent: u64,
    pub(crate) acknowledged: u64,
    pub(crate) expires_ms: u64,
    /// For `raw-end`: when the client last acknowledged something. For HTTP: when the answer was
    /// made, in milliseconds since 1970.
    pub(crate) moment_ms: u64,
    /// Where the part of the file ends that was last seen in the page cache.
    pub(crate) warm_end: u64,
    pub(crate) socket: Descriptor,
    pub(crate) ticket: u32,
    /// Fingerprint of what is made and sent in part (a listing's car, the head of an answer over
    /// HTTP), to be met again when it goes on.
    pub(crate) answer_check: u32,
    pub(crate) discarded: u32,
    /// In a listing over HTTP: rows that are sent.
    pub(crate) rows: u32,
    pub(crate) deadline: ListNode,
    pub(crate) queue: ListNode,
    pub(crate) file: FileSlot,
    pub(crate) client: ClientSlot,
    /// Cars in the next batch.
    pub(crate) batch: u16,
    /// Of the request that is kept as long as it is answered: its size, and the answer's status.
    pub(crate) request_size: u16,
    pub(crate) status: u16,
    /// In a listing: bytes sent of the entry's text where the next car starts, and of that car.
    pub(crate) skip: u16,
    pub(crate) within: u16,
    pub(crate) cold_tries: u8,
    pub(crate) phase: Phase,
    pub(crate) wait: Wait,
    pub(crate) queued: Queue,
    pub(crate) protocol: Protocol,
    /// What is kept of its requests over HTTP.
    pub(crate) kept: KeptSlot,
    /// How the file's bytes are encoded.
    pub(crate) encoding: Encoding,
    /// The present answer over HTTP is the last one.
    pub(crate) closes: bool,
    /// More of what was answered last is on its way.
    pub(crate) lingers: bool,
    /// Of the answer over HTTP that the socket took in part.
    pub(crate) decision: Decision,
    /// In a listing over HTTP: what is sent next; whether the order that was wanted cannot be had;
    /// whether the limit ended it.
    pub(crate) stage: Stage,
    pub(crate) is_by_name: bool,
    pub(crate) is_limited: bool,
    /// The end of what the client sends was read.
    pub(crate) is_at_end: bool,
    /// Known to epoll.
    pub(crate) registered: bool,
    /// Bytes from the client may be there.
    pub(crate) unread: bool,
    /// The client sends no more, or is gone.
    pub(crate) hung_up: bool,
}

/// A free entry must not put the table into the file, and an idle one must stay small.
const _: () = assert!(size_of::<Connection>() <= 136);

impl Connection {
    pub(crate) const FREE: Self = Self {
        layout: ResponseLayout::NOTHING,
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
        deadline: ListNode::NONE,
        queue: ListNode::NONE,
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
    pub(crate) fn new(
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
    pub(crate) fn free_before(next: u16) -> Self {
        Self {
            ticket: u32::from(next),
            ..Self::FREE
        }
    }

    /// See [`Connection::free_before`].
    pub(crate) fn next_free(&self) -> u16 {
        assert_eq!(self.phase, Phase::Free);
        self.ticket as u16
    }

    /// Since when it waits for what it waits for.
    pub(crate) fn since_ms(&self) -> u64 {
        self.expires_ms - self.wait.length_ms()
    }

    /// Whether it waits for a request, or for the rest of one.
    pub(crate) fn is_asking(&self) -> bool {
        self.phase == Phase::Asking
            && matches!(self.wait, Wait::Silent | Wait::Request | Wait::Idle)
    }

    /// Begins an answer.
    pub(crate) fn answer(&mut self, layout: ResponseLayout) {
        self.layout = layout;
        self.position = 0;
        self.warm_end = 0;
        self.phase = Phase::Answering;
    }

    /// Counts bytes that the socket took.
    pub(crate) fn advance(&mut self, sent_now: usize) {
        assert!(sent_now > 0, "a send that took nothing is EAGAIN");
        self.sent += sent_now as u64;
        if self.phase == Phase::Answering {
            self.position += sent_now as u64;
            assert!(self.position <= self.layout.size());
        }
    }
}
