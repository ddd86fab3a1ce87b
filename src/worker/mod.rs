//! A worker: what happens to the sockets that a pool gives it. One thread, one epoll, one slab.

mod answer;
mod connection;
mod deadline;
mod folder;
mod list;
mod slab;

use heapless::Vec;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::files::{File, FileSlot, FileTable, Found, Listing, Root};
use crate::gauge::Gauges;
use crate::limits::{CAR_BUFFER_BYTES, CONNECTIONS_MAX};
use crate::link::{Job, Link, Order, Protocol, REPORT_MAX, Rest};
use crate::sys::{self, Errno};
use crate::train::{Fault, Form};

use connection::{Connection, Phase, Queue};
use deadline::{Deadlines, Wait};
use list::{List, QUEUE};
use slab::{Slab, Slot};

/// What epoll calls the pool's link; connections are called by their slot.
const LINK_TOKEN: u64 = u64::MAX;
/// Events taken at once.
const EVENTS_MAX: usize = 64;
/// Orders taken at once, before the clients' turn.
const ORDERS_MAX: usize = 4;

/// A worker's tables. All zeroes is a worker without connections.
pub struct Worker {
    connections: Slab,
    files: FileTable<{ CONNECTIONS_MAX + 1 }>,
    deadlines: Deadlines,
    ready: List<QUEUE>,
    /// Connections that want the listing, which one can use at a time.
    listing_queue: List<QUEUE>,
    /// Whose listing it is: 0 for nobody, else slot + 1.
    listing_owner: u16,
    listing: Listing,
    /// Connections that the pool must be told of.
    ended: List<QUEUE>,
    /// The pool must be told that nothing can give way.
    nothing_to_give: bool,
    draining: bool,
    pushed: FileSlot,
    buffer: [u8; CAR_BUFFER_BYTES],
}

/// Bytes of tables that one more connection touches: its place, and the file that it is sent.
pub const CONNECTION_BYTES: usize = size_of::<Connection>() + FILE_BYTES;
/// Bytes of one entry of the open files.
pub const FILE_BYTES: usize = size_of::<File>();

/// What a worker is told at its start.
pub struct Setting<'a> {
    /// The worker's number.
    pub index: usize,
    /// The root.
    pub root: &'a Root,
    /// The form in which the pushed file is sent.
    pub form: Form,
    /// What dispatcher and workers show each other.
    pub gauges: Gauges,
}

/// What a connection needs next.
enum Step {
    /// Another turn, after the others have had theirs.
    Again,
    /// An event or a deadline.
    Wait,
    /// Nothing; it is over.
    End,
}

impl Worker {
    /// A worker without connections.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            connections: Slab::new(),
            files: FileTable::new(),
            deadlines: Deadlines::new(),
            ready: List::new(),
            listing_queue: List::new(),
            listing_owner: 0,
            listing: Listing::new(),
            ended: List::new(),
            nothing_to_give: false,
            draining: false,
            pushed: FileSlot::NONE,
            buffer: [0; CAR_BUFFER_BYTES],
        }
    }

    /// Serves what the pool gives, until the pool closes the link.
    ///
    /// # Errors
    /// What epoll or the link say; the worker cannot go on then.
    pub fn run(
        &mut self,
        setting: &Setting,
        pushed: Option<Found>,
        link: &mut impl Link,
    ) -> Result<(), Errno> {
        if let Some(found) = pushed {
            self.pushed = self.files.insert(found);
        }
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(
            sys::borrow(link.descriptor()),
            EpollEvent::new(link.events(), LINK_TOKEN),
        )?;
        let mut turns = Turns {
            setting,
            epoll: &epoll,
            now_ms: sys::now_ms(),
        };
        let mut link_is_full = false;
        loop {
            let mut events = [EpollEvent::empty(); EVENTS_MAX];
            let (count, has_order) = self.wait(&turns, &mut events, link)?;
            turns.now_ms = sys::now_ms();
            if has_order && !self.take_orders(&turns, link)? {
                return Ok(());
            }
            for event in &events[..count] {
                if event.data() == LINK_TOKEN {
                    if !self.take_orders(&turns, link)? {
                        return Ok(());
                    }
                } else {
                    self.event(Slot::from_index(event.data() as u16), event.events());
                }
            }
            self.give_turns(&turns);
            self.expire(&turns);
            // Before the report: who reads that must not find an old gauge.
            setting
                .gauges
                .show_idle(setting.index, self.idle_since_ms());
            let is_full = !self.report(link)?;
            if is_full != link_is_full {
                let flags = if is_full {
                    link.events() | EpollFlags::EPOLLOUT
                } else {
                    link.events()
                };
                epoll.modify(
                    sys::borrow(link.descriptor()),
                    &mut EpollEvent::new(flags, LINK_TOKEN),
                )?;
                link_is_full = is_full;
            }
        }
    }

    /// Waits for events and orders: how many events there are, and whether there is an order.
    fn wait(
        &mut self,
        turns: &Turns,
        events: &mut [EpollEvent],
        link: &mut impl Link,
    ) -> Result<(usize, bool), Errno> {
        let rest = self.next_rest();
        let has_order = link.rest(rest);
        if has_order && rest == Rest::Sleep {
            // Without connections there are no events.
            return Ok((0, true));
        }
        let timeout = if has_order {
            EpollTimeout::ZERO
        } else {
            self.timeout(turns.now_ms)
        };
        let count = match turns.epoll.wait(events, timeout) {
            Err(Errno::EINTR) => 0,
            result => result?,
        };
        if !has_order {
            link.resume();
        }
        Ok((count, has_order))
    }

    fn next_rest(&self) -> Rest {
        if self.ready.front().is_some() {
            Rest::Look
        } else if self.connections.is_empty() {
            Rest::Sleep
        } else {
            Rest::Wait
        }
    }

    fn timeout(&mut self, now_ms: u64) -> EpollTimeout {
        if self.ready.front().is_some() {
            return EpollTimeout::ZERO;
        }
        match self.deadlines.next_ms(&mut self.connections) {
            Some(next_ms) => {
                EpollTimeout::try_from(next_ms.saturating_sub(now_ms).min(60_000) as u32)
                    .unwrap_or(EpollTimeout::ZERO)
            }
            None => EpollTimeout::NONE,
        }
    }

    /// Follows the pool's orders; false when the pool is gone.
    fn take_orders(&mut self, turns: &Turns, link: &mut impl Link) -> Result<bool, Errno> {
        for _ in 0..ORDERS_MAX {
            match link.receive()? {
                Order::Jobs(jobs) => {
                    turns.setting.gauges.take(turns.setting.index, jobs.len());
                    jobs.into_iter().for_each(|job| self.start(turns, job));
                }
                Order::GiveWay => {
                    if !self.give_way(turns) {
                        self.nothing_to_give = true;
                    }
                }
                Order::Drain => {
                    self.draining = true;
                    while self.give_way(turns) {}
                    while let Some(slot) = self.deadlines.oldest(Wait::Request) {
                        self.refuse(slot, Fault::Full);
                    }
                }
                Order::Nothing => break,
                Order::Closed => return Ok(false),
            }
        }
        Ok(true)
    }

    fn start(&mut self, turns: &Turns, job: Job) {
        let connection = Connection::new(job.socket, job.ticket, job.protocol);
        let Ok(slot) = self.connections.insert(connection) else {
            panic!("the pool gives no more than there are places");
        };
        match job.protocol {
            Protocol::Ask => self.arm(turns, slot, Wait::Silent),
            Protocol::Push => self.push(turns, slot),
        }
        self.turn(turns, slot);
        if self.draining && self.connections.get(slot).phase == Phase::Asking {
            self.refuse(slot, Fault::Full);
        }
    }

    fn event(&mut self, slot: Slot, events: EpollFlags) {
        let connection = self.connections.get(slot);
        // A socket that the dispatcher has yet to close can still tell of itself.
        if matches!(connection.phase, Phase::Free | Phase::Ended) {
            return;
        }
        if events.contains(EpollFlags::EPOLLIN) {
            connection.unread = true;
        }
        let ends = EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR;
        connection.hung_up |= events.intersects(ends);
        if connection.queued == Queue::None {
            self.make_ready(slot);
        }
    }

    fn make_ready(&mut self, slot: Slot) {
        let connection = self.connections.get(slot);
        assert_eq!(connection.queued, Queue::None);
        connection.queued = Queue::Ready;
        self.ready.push_back(&mut self.connections, slot);
    }

    /// Gives one turn to each connection that is ready now.
    fn give_turns(&mut self, turns: &Turns) {
        let Some(mut slot) = self.ready.front() else {
            return;
        };
        // Those that come back are behind this one, the last of the round.
        let last = self.ready.back();
        loop {
            self.ready.remove(&mut self.connections, slot);
            self.connections.get(slot).queued = Queue::None;
            self.turn(turns, slot);
            if Some(slot) == last {
                return;
            }
            match self.ready.front() {
                Some(next) => slot = next,
                None => return,
            }
        }
    }

    fn turn(&mut self, turns: &Turns, slot: Slot) {
        let step = match self.connections.get(slot).phase {
            Phase::Asking => self.ask(turns, slot),
            Phase::Answering => self.answer(turns, slot),
            Phase::Listing => self.list(turns, slot),
            Phase::Acknowledging => self.acknowledge(slot),
            Phase::Lingering => self.linger(slot),
            Phase::Free | Phase::Ended => return,
        };
        match step {
            Step::Again => self.make_ready(slot),
            Step::Wait => self.register(turns, slot),
            Step::End => self.end(slot),
        }
    }

    fn register(&mut self, turns: &Turns, slot: Slot) {
        let connection = self.connections.get(slot);
        if connection.registered {
            return;
        }
        connection.registered = true;
        let flags = EpollFlags::EPOLLIN
            | EpollFlags::EPOLLOUT
            | EpollFlags::EPOLLRDHUP
            | EpollFlags::EPOLLET;
        if let Err(errno) = turns.epoll.add(
            sys::borrow(&connection.socket),
            EpollEvent::new(flags, slot.index() as u64),
        ) {
            log::warn!("a connection ends, the kernel has no room to watch it: {errno}");
            self.end(slot);
        }
    }

    fn arm(&mut self, turns: &Turns, slot: Slot, wait: Wait) {
        self.deadlines
            .arm(&mut self.connections, slot, wait, turns.now_ms);
    }

    fn expire(&mut self, turns: &Turns) {
        while let Some((slot, wait)) = self.deadlines.expired(&mut self.connections, turns.now_ms) {
            match wait {
                Wait::Silent | Wait::Request => {
                    self.fail(turns, slot, Fault::TooSlow);
                    self.turn(turns, slot);
                }
                Wait::Idle | Wait::Linger | Wait::None => self.end(slot),
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

    /// Closes a connection. Its place stays taken until the pool knows.
    fn end(&mut self, slot: Slot) {
        self.deadlines.disarm(&mut self.connections, slot);
        self.release_file(slot);
        self.leave_listing(slot);
        let connection = self.connections.get(slot);
        connection.socket.close();
        connection.phase = Phase::Ended;
        match core::mem::replace(&mut connection.queued, Queue::Ended) {
            Queue::None => {}
            Queue::Ready => self.ready.remove(&mut self.connections, slot),
            Queue::Listing => self.listing_queue.remove(&mut self.connections, slot),
            Queue::Ended => panic!("a connection ends once"),
        }
        self.ended.push_back(&mut self.connections, slot);
    }

    fn release_file(&mut self, slot: Slot) {
        let file = core::mem::replace(&mut self.connections.get(slot).file, FileSlot::NONE);
        if file.is_some() && file != self.pushed {
            self.files.remove(file);
        }
    }

    /// Tells the pool which connections have ended; false when the link takes no more for now.
    fn report(&mut self, link: &mut impl Link) -> Result<bool, Errno> {
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
    fn give_way(&mut self, turns: &Turns) -> bool {
        while let Some(slot) = self.oldest_idle() {
            let socket = self.connections.get(slot).socket.raw();
            match sys::receive(socket, &mut self.buffer[..1], true) {
                // A request has come meanwhile.
                Ok(1..) => {
                    self.arm(turns, slot, Wait::Request);
                    if self.connections.get(slot).queued == Queue::None {
                        self.make_ready(slot);
                    }
                }
                _ => {
                    self.refuse(slot, Fault::Full);
                    return true;
                }
            }
        }
        false
    }

    fn oldest_idle(&mut self) -> Option<Slot> {
        let candidates = [
            self.deadlines.oldest(Wait::Silent),
            self.deadlines.oldest(Wait::Idle),
        ];
        candidates
            .into_iter()
            .flatten()
            .min_by_key(|slot| self.connections.get(*slot).since_ms())
    }

    fn idle_since_ms(&mut self) -> Option<u64> {
        self.oldest_idle()
            .map(|slot| self.connections.get(slot).since_ms())
    }

    /// Ends a connection that is not in the midst of an answer, with a fault if the socket takes it.
    fn refuse(&mut self, slot: Slot, fault: Fault) {
        let socket = self.connections.get(slot).socket.raw();
        let _ = sys::send(socket, &fault.car(), false);
        // A part of a request that stays unread would make the close a reset, which eats the fault.
        let _ = sys::receive(socket, &mut self.buffer, false);
        self.end(slot);
    }
}

impl Default for Worker {
    fn default() -> Self {
        Self::new()
    }
}

/// What every turn needs to know.
struct Turns<'a> {
    setting: &'a Setting<'a>,
    epoll: &'a Epoll,
    now_ms: u64,
}
