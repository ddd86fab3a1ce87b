//! A connection: what a worker keeps of one client.

use core::net::Ipv6Addr;

use super::activity::Activity;
use super::state::{ClientSlot, ListNode, Queue, StashSlot, Timer, Wait};
use crate::files::FileSlot;
use crate::link::{Job, Protocol};
use crate::sys::Descriptor;

/// What a worker keeps of one client. All zeroes is a free entry.
pub(crate) struct Connection {
    /// What it is doing.
    pub(crate) activity: Activity,
    /// Bytes sent since the connection was made, and those that were known to be acknowledged at the
    /// last look.
    pub(crate) sent: u64,
    pub(crate) acknowledged: u64,
    pub(crate) timer: Timer,
    pub(crate) address: Ipv6Addr,
    pub(crate) socket: Descriptor,
    pub(crate) ticket: u32,
    /// Its node in the list of a deadline, and of the queue that it stands in.
    pub(super) deadline_node: ListNode,
    pub(super) queue_node: ListNode,
    /// What it sends from.
    pub(crate) file: FileSlot,
    pub(crate) client: ClientSlot,
    pub(crate) stash: StashSlot,
    pub(crate) queued: Queue,
    pub(crate) protocol: Protocol,
    /// The present response over HTTP is the last one.
    pub(crate) is_last: bool,
    /// More of the request that was answered last is on its way.
    pub(crate) is_cut: bool,
    /// It has the worker's listing.
    pub(crate) holds_listing: bool,
    /// Known to epoll.
    pub(crate) is_registered: bool,
    /// Bytes from the client may be there.
    pub(crate) has_unread: bool,
    /// The end of what the client sends was read.
    pub(crate) is_at_end: bool,
    /// The client sends no more, or is gone.
    pub(crate) is_hung_up: bool,
}

/// An idle connection must stay small.
const _: () = assert!(size_of::<Connection>() <= 136);

impl Connection {
    pub(crate) const FREE: Self = Self {
        activity: Activity::Free,
        sent: 0,
        acknowledged: 0,
        timer: Timer::STOPPED,
        address: Ipv6Addr::UNSPECIFIED,
        socket: Descriptor::NONE,
        ticket: 0,
        deadline_node: ListNode::NONE,
        queue_node: ListNode::NONE,
        file: FileSlot::NONE,
        client: ClientSlot::NONE,
        stash: StashSlot::NONE,
        queued: Queue::None,
        protocol: Protocol::Ask,
        is_last: false,
        is_cut: false,
        holds_listing: false,
        is_registered: false,
        has_unread: false,
        is_at_end: false,
        is_hung_up: false,
    };

    /// A client that has just been handed over.
    pub(crate) fn new(job: Job, client: ClientSlot) -> Self {
        Self {
            socket: job.socket,
            ticket: job.ticket,
            protocol: job.protocol,
            address: job.address,
            client,
            activity: Activity::RECEIVING,
            has_unread: true,
            ..Self::FREE
        }
    }

    /// A free entry that stands before another one in the free list (0: none, else slot + 1).
    pub(super) fn free_before(next: u16) -> Self {
        Self {
            ticket: u32::from(next),
            ..Self::FREE
        }
    }

    /// See [`Connection::free_before`].
    pub(super) fn next_free(&self) -> u16 {
        assert!(matches!(self.activity, Activity::Free));
        self.ticket as u16
    }

    /// Whether its socket is open.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.activity, Activity::Free | Activity::Closed)
    }

    /// Whether it waits for a request, or for the rest of one.
    pub(crate) fn is_asking(&self) -> bool {
        matches!(self.activity, Activity::Receiving(_))
            && matches!(self.timer.wait(), Wait::Silent | Wait::Request | Wait::Idle)
    }

    /// Notes that of all bytes sent `left` are not acknowledged yet. Returns how many were acknowledged
    /// since the last look.
    pub(crate) fn note_acknowledged(&mut self, left: u64) -> u64 {
        let acknowledged = self.sent - left.min(self.sent);
        let progress = acknowledged.saturating_sub(self.acknowledged);
        self.acknowledged += progress;
        progress
    }
}
