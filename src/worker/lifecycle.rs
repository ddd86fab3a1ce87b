//! How the worker's loop follows what its connections need: it applies what a poll returned, and ends
//! connections, by their deadlines, to make way for others, or because their files are let go.

use heapless::Vec;
use nix::sys::epoll::{EpollEvent, EpollFlags};

use super::conn::connection::Connection;
use super::conn::list::{DEADLINE, List, QUEUE};
use super::conn::state::{Queue, Slot, Wait};
use super::io::Io;
use super::next::Next;
use super::socket::{KernelSocket, Socket};
use super::{Context, Worker, poll};
use crate::link::{PoolLink, REPORT_MAX};
use crate::sys::{self, Errno};

impl Worker {
    /// Lets a connection do something with what it needs for that, and follows its deadline.
    pub(super) fn with<R>(
        &mut self,
        context: &Context,
        slot: Slot,
        does: impl FnOnce(&mut Connection, &mut Io<KernelSocket>) -> R,
    ) -> R {
        let conn = self.connections.get(slot);
        let mut io = Io {
            socket: KernelSocket(conn.socket.raw()),
            store: &mut self.store,
            requests: &mut self.requests,
            listing: &mut self.listing,
            out: &mut self.out,
            config: context.config,
            now_ms: context.now_ms,
            real_ms: sys::real_ms,
            is_draining: self.is_draining,
            sent: 0,
            responses: 0,
        };
        let result = does(conn, &mut io);
        conn.sent += io.sent;
        self.responses = self.responses.wrapping_add(io.responses);
        self.deadlines
            .update(&mut self.connections, slot, context.now_ms);
        result
    }

    /// Polls a connection until it has had its turn.
    pub(super) fn run_turn(&mut self, context: &Context, slot: Slot) {
        let next = loop {
            match self.with(context, slot, poll::poll) {
                Next::Now => {}
                next => break next,
            }
        };
        self.apply(context, slot, next);
    }

    /// Does what a connection needs next.
    fn apply(&mut self, context: &Context, slot: Slot, next: Next) {
        match next {
            Next::Now | Next::Again => self.make_ready(slot),
            Next::Wait if self.is_draining && self.connections.get(slot).is_asking() => {
                self.refuse(context, slot);
            }
            Next::Wait => self.register(context, slot),
            Next::ForListing => {
                // It waits for the worker now, not for its client.
                self.with(context, slot, |conn, _| conn.timer.stop());
                self.connections.get(slot).queued = Queue::Listing;
                self.listing_queue.push_back(&mut self.connections, slot);
                self.register(context, slot);
            }
            Next::Close => self.end(context, slot),
        }
        self.pass_listing_on();
    }

    /// Puts a connection last among those that can be polled, unless it stands in a queue.
    pub(super) fn make_ready(&mut self, slot: Slot) {
        let conn = self.connections.get(slot);
        if conn.queued == Queue::None {
            conn.queued = Queue::Ready;
            let client = conn.client;
            self.ready.push(&mut self.connections, client, slot);
        }
    }

    /// Gives the listing to the first connection that waits for it, if it is free.
    fn pass_listing_on(&mut self) {
        if self.listing.is_held() {
            return;
        }
        if let Some(slot) = self.listing_queue.pop_front(&mut self.connections) {
            let conn = self.connections.get(slot);
            conn.queued = Queue::None;
            self.listing.hand_over(&mut conn.holds_listing);
            self.make_ready(slot);
        }
    }

    /// Watches a connection's socket. It is registered once, for both directions, edge-triggered.
    fn register(&mut self, context: &Context, slot: Slot) {
        let conn = self.connections.get(slot);
        if conn.is_registered {
            return;
        }
        conn.is_registered = true;
        let flags = EpollFlags::EPOLLIN
            | EpollFlags::EPOLLOUT
            | EpollFlags::EPOLLRDHUP
            | EpollFlags::EPOLLET;
        let event = EpollEvent::new(flags, slot.index() as u64);
        if let Err(errno) = context.epoll.add(sys::borrow(&conn.socket), event) {
            log::warn!("a connection ends, the kernel has no room to watch it: {errno}");
            self.end(context, slot);
        }
    }

    /// Goes on with the connections whose time is up.
    pub(super) fn expire(&mut self, context: &Context) {
        while let Some((slot, wait)) = self
            .deadlines
            .expired(&mut self.connections, context.now_ms)
        {
            match self.with(context, slot, |conn, io| poll::expired(conn, io, wait)) {
                Next::Now if self.connections.get(slot).queued == Queue::None => {
                    self.run_turn(context, slot);
                }
                next => self.apply(context, slot, next),
            }
        }
    }

    /// Closes a connection. Its slot stays taken until the pool knows.
    fn end(&mut self, context: &Context, slot: Slot) {
        self.with(context, slot, poll::end);
        let conn = self.connections.get(slot);
        conn.socket.close();
        let client = conn.client;
        match core::mem::replace(&mut conn.queued, Queue::Ended) {
            Queue::None => {}
            Queue::Ready => self.ready.remove(&mut self.connections, client, slot),
            Queue::Listing => self.listing_queue.remove(&mut self.connections, slot),
            Queue::Ended => panic!("a connection ends once"),
        }
        self.ready.leave(client);
        self.ended.push_back(&mut self.connections, slot);
        self.pass_listing_on();
    }

    /// Tells the pool which connections have ended; false when the link takes no more for now.
    pub(super) fn report(&mut self, link: &mut impl PoolLink) -> Result<bool, Errno> {
        while self.ended.front().is_some() || self.has_nothing_to_give {
            let mut tickets: Vec<u32, REPORT_MAX> = Vec::new();
            let mut next = self.ended.front();
            while let Some(slot) = next {
                if tickets.push(self.connections.get(slot).ticket).is_err() {
                    break;
                }
                next = List::<QUEUE>::after(&mut self.connections, slot);
            }
            match link.report(&tickets) {
                Ok(()) => self.has_nothing_to_give = false,
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
    pub(super) fn give_way(&mut self, context: &Context) -> bool {
        while let Some(slot) = self.oldest_idle() {
            if self.connections.get(slot).timer.wait() == Wait::Linger {
                // It has its response. Only what it may still send would have been read.
                self.end(context, slot);
                return true;
            }
            let has_asked = self.with(context, slot, |conn, io| {
                let has_asked = matches!(io.socket.receive(&mut io.out[..1], true), Ok(1..));
                if has_asked {
                    conn.timer.start(Wait::Request);
                }
                has_asked
            });
            if !has_asked {
                self.refuse(context, slot);
                return true;
            }
            self.make_ready(slot);
        }
        false
    }

    /// Gives every connection that has begun to ask one more turn: a request that has come whole is
    /// still answered while the worker drains, and who has to wait for the rest is refused.
    pub(super) fn take_last_requests(&mut self) {
        let mut next = self.deadlines.oldest(Wait::Request);
        while let Some(slot) = next {
            next = List::<DEADLINE>::after(&mut self.connections, slot);
            self.make_ready(slot);
        }
    }

    /// The connection that has been without a request for the longest, or has had its last response.
    fn oldest_idle(&mut self) -> Option<Slot> {
        let lingering = self.deadlines.oldest(Wait::Linger).filter(|slot| {
            let socket = self.connections.get(*slot).socket.raw();
            sys::unacknowledged(socket) == 0
        });
        [Wait::Silent, Wait::Idle]
            .into_iter()
            .filter_map(|wait| self.deadlines.oldest(wait))
            .chain(lingering)
            .min_by_key(|slot| self.connections.get(*slot).timer.since_ms())
    }

    /// Since when that has been so, as far as can be told without asking the system.
    pub(super) fn idle_since_ms(&mut self) -> Option<u64> {
        [Wait::Silent, Wait::Idle, Wait::Linger]
            .into_iter()
            .filter_map(|wait| self.deadlines.oldest(wait))
            .map(|slot| self.connections.get(slot).timer.since_ms())
            .min()
    }

    /// Ends a connection that is not in the midst of a response.
    fn refuse(&mut self, context: &Context, slot: Slot) {
        match self.with(context, slot, poll::refuse) {
            // It lingers.
            Next::Wait => self.register(context, slot),
            _ => self.end(context, slot),
        }
    }

    /// Follows the root: when it was opened anew, and when it has to be let go. Then every file is
    /// closed, so that the card can be unmounted, and what is being sent of one ends early.
    pub(super) fn follow_root(&mut self, context: &Context) {
        let Some(change) = self.store.begin_following(context.config) else {
            return;
        };
        let mut broken_off = 0;
        for slot in self.connections.slots().filter(|_| change.is_released) {
            let conn = self.connections.get(slot);
            if conn.is_open() && conn.file.is_some() {
                broken_off += 1;
                let next = self.with(context, slot, poll::break_off);
                self.apply(context, slot, next);
            }
        }
        self.store.end_following(context.config, &change);
        if broken_off > 0 {
            log::warn!("the root is gone; {broken_off} transfers end early");
        }
    }
}

#[cfg(test)]
mod tests;
