//! A worker: what happens to the sockets that a pool gives it. One thread, one epoll, one slab.
//!
//! ```text
//!  pool ──Job──▶ start ──▶ run_turn ──poll──▶ Next ──apply──┬─ Now, Again ──▶ the fair queue ──▶ run_turn
//!                                                           ├─ Wait ────────▶ epoll, deadlines ─▶ run_turn
//!                                                           ├─ ForListing ──▶ its queue ────────▶ run_turn
//!                                                           └─ Close ───────▶ ended ──report──▶ pool
//!
//!  activity of one connection
//!  Free ─▶ Receiving ─▶ SendingFile | Multipart | HttpListing | SendingTrain ─▶ TrainListing
//!              ▲  │                        │                        │                │
//!              └──┼────────────────────────┴────────────────────────┴────────────────┘
//!                 └─▶ Lingering ─▶ Closed ─▶ Free       (push: SendingTrain ─▶ Acknowledging ─▶ SendingTrain)
//! ```
//!
//! Only this file and `lifecycle` know of all connections, of epoll and of the pool. What one connection
//! does stands in `poll` and below it: functions of a connection and of an `Io`, which say by a `Next`
//! what they need. They start and stop the connection's timer; the loop moves it between the deadlines.
//!
//! Who owns what, and when:
//! - A *ticket* is the pool's name for a connection. The connection has it from its job on until the
//!   report that it has ended was taken; until then its *slot* stays taken, too.
//! - The *socket* belongs to the connection from its job on, and is closed as its activity becomes
//!   `Closed`.
//! - A *file* belongs to the table in `store`, which counts its users: a connection that sends it, and
//!   the cache. A connection gives it back when its response is sent, or when it ends.
//! - A *buffer of the stash* belongs to a connection whose request is not whole, or not needless yet.
//! - The *listing* belongs to one connection at a time, and is handed over (`shared_listing`).
//! - A connection stands in one `Queue` at most, and in one list of the deadlines at most.

mod checksum;
mod config;
mod conn;
mod http;
mod io;
mod lifecycle;
mod linger;
mod next;
mod poll;
mod shared_listing;
mod socket;
mod store;
#[cfg(any(test, fuzzing))]
mod testing;
mod train;
mod transfer;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::files::{Cache, File};
use crate::limits::CAR_BUFFER_BYTES;
use crate::link::{IdleMode, Job, Order, PoolLink};
use crate::sys::{self, Errno};

use conn::connection::Connection;
use conn::deadlines::Deadlines;
use conn::fair::{Client, FairQueue};
use conn::list::{List, QUEUE};
use conn::slab::Slab;
use conn::state::{Queue, Slot};
use http::requests::Requests;
use shared_listing::SharedListing;
use store::Store;

pub use config::WorkerConfig;
pub use http::turn_away::turn_away;

/// What epoll calls the pool's link; connections are called by their slot.
const LINK_TOKEN: u64 = u64::MAX;
/// What epoll calls the cache's watcher.
const WATCHER_TOKEN: u64 = u64::MAX - 1;
/// Events taken at once.
const EVENTS_MAX: usize = 64;
/// Rounds between two looks at epoll while only one connection is ready.
const LONE_ROUNDS_MAX: usize = 4;
/// What a response counts for at least in its client's share: as much as sending so many bytes.
const RESPONSE_COST_BYTES: u64 = 8192;
/// Orders taken at once, before the clients' turn.
const ORDERS_MAX: usize = 5;

/// A worker's tables. All zeroes is a worker without connections.
pub struct Worker {
    connections: Slab,
    deadlines: Deadlines,
    /// Connections that can be polled.
    ready: FairQueue,
    /// Connections that want the listing, which one of them can use at a time.
    listing_queue: List<QUEUE>,
    /// Connections that the pool must be told of.
    ended: List<QUEUE>,
    store: Store,
    requests: Requests,
    listing: SharedListing,
    /// Where connections lay what they send.
    out: [u8; CAR_BUFFER_BYTES],
    /// Responses over HTTP that were generated, all in all.
    responses: u32,
    /// The pool must be told that no connection can give way.
    has_nothing_to_give: bool,
    is_draining: bool,
}

/// Bytes of tables that one more connection touches: its slot, its client's, and the file that it
/// is sent.
pub const CONNECTION_BYTES: usize = size_of::<Connection>() + size_of::<Client>() + FILE_BYTES;
/// Bytes of one entry of the open files.
pub const FILE_BYTES: usize = size_of::<File>();

/// Bytes of the cache of files.
pub const CACHE_BYTES: usize = size_of::<Cache>();
/// Bytes of the requests that are kept, and of the one that is read.
pub const REQUESTS_BYTES: usize = size_of::<Requests>();
/// Bytes of the listing that the connections share.
pub const LISTING_BYTES: usize = size_of::<SharedListing>();

/// What holds for one round of the loop.
struct Context<'a> {
    config: &'a WorkerConfig<'a>,
    epoll: &'a Epoll,
    now_ms: u64,
}

impl Worker {
    /// A worker without connections.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            connections: Slab::new(),
            deadlines: Deadlines::new(),
            ready: FairQueue::new(),
            listing_queue: List::new(),
            ended: List::new(),
            store: Store::new(),
            requests: Requests::new(),
            listing: SharedListing::new(),
            out: [0; CAR_BUFFER_BYTES],
            responses: 0,
            has_nothing_to_give: false,
            is_draining: false,
        }
    }

    /// Serves what the pool gives, until the pool closes the link.
    ///
    /// # Errors
    /// What epoll or the link say; the worker cannot go on then.
    pub fn run(&mut self, config: &WorkerConfig, link: &mut impl PoolLink) -> Result<(), Errno> {
        self.store.take_pushed(config);
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(
            sys::borrow(link.descriptor()),
            EpollEvent::new(link.events(), LINK_TOKEN),
        )?;
        self.store.cache.start(config.cache_sharers);
        self.watch_changes(&epoll);
        let mut context = Context {
            config,
            epoll: &epoll,
            now_ms: sys::now_ms(),
        };
        let mut link_is_full = false;
        loop {
            let mut events = [EpollEvent::empty(); EVENTS_MAX];
            let (count, has_order) = self.wait(&context, &mut events, link)?;
            let now_us = sys::now_us();
            context.now_ms = now_us / 1000;
            if count < EVENTS_MAX {
                // The watcher would be among the events.
                self.store.cache.note_look(now_us);
            }
            config.gauges.heartbeat(config.index);
            if !self.take_events(&context, &events[..count], has_order, link)? {
                return Ok(());
            }
            self.give_turns(&context);
            self.expire(&context);
            // Before the report: who reads that must not find an old gauge.
            config.gauges.show_idle(config.index, self.idle_since_ms());
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

    /// Lets the cache's watcher tell of changes. Where the kernel has no room for that, the worker goes on
    /// without one.
    fn watch_changes(&mut self, epoll: &Epoll) {
        let watcher = self.store.cache.watcher();
        if !watcher.is_open() {
            return;
        }
        let event = EpollEvent::new(EpollFlags::EPOLLIN, WATCHER_TOKEN);
        if let Err(errno) = epoll.add(sys::borrow(watcher), event) {
            log::warn!("changes of files are not told ({errno}), so they are seen a second later");
            self.store.cache.stop_watching();
        }
    }

    /// Takes in what has happened; false when the pool is gone.
    fn take_events(
        &mut self,
        context: &Context,
        events: &[EpollEvent],
        mut has_order: bool,
        link: &mut impl PoolLink,
    ) -> Result<bool, Errno> {
        // Before any request: who asks after a change must get what it is now.
        self.follow_root(context);
        if events.iter().any(|event| event.data() == WATCHER_TOKEN) {
            self.store.forget_changed();
        }
        for event in events {
            match event.data() {
                WATCHER_TOKEN => {}
                LINK_TOKEN => has_order = true,
                slot => self.take_event(Slot::from_index(slot as u16), event.events()),
            }
        }
        Ok(!has_order || self.take_orders(context, link)?)
    }

    /// Waits for events and orders: how many events there are, and whether there is an order.
    fn wait(
        &mut self,
        context: &Context,
        events: &mut [EpollEvent],
        link: &mut impl PoolLink,
    ) -> Result<(usize, bool), Errno> {
        let mode = self.idle_mode();
        let has_order = link.before_wait(mode);
        if has_order && mode == IdleMode::Sleep && !self.store.cache.is_watching() {
            // Without connections and watches there are no events.
            return Ok((0, true));
        }
        let timeout = if has_order {
            EpollTimeout::ZERO
        } else {
            self.timeout(context.now_ms)
        };
        let count = match context.epoll.wait(events, timeout) {
            Err(Errno::EINTR) => 0,
            result => result?,
        };
        if !has_order {
            link.after_wait();
        }
        Ok((count, has_order))
    }

    fn idle_mode(&self) -> IdleMode {
        if self.ready.is_ready() {
            IdleMode::Poll
        } else if self.connections.is_empty() {
            IdleMode::Sleep
        } else {
            IdleMode::Wait
        }
    }

    fn timeout(&mut self, now_ms: u64) -> EpollTimeout {
        if self.ready.is_ready() {
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
    fn take_orders(&mut self, context: &Context, link: &mut impl PoolLink) -> Result<bool, Errno> {
        for _ in 0..ORDERS_MAX {
            match link.receive()? {
                Order::Jobs(jobs) => {
                    // They may have asked after a change that came after the last wait.
                    if self.store.cache.is_watching() {
                        self.store.forget_changed();
                    }
                    context.config.gauges.take(context.config.index, jobs.len());
                    jobs.into_iter().for_each(|job| self.start(context, job));
                }
                Order::GiveWay => {
                    if !self.give_way(context) {
                        self.has_nothing_to_give = true;
                    }
                }
                Order::Drain => {
                    self.is_draining = true;
                    while self.give_way(context) {}
                    self.take_last_requests();
                }
                // It may have been called after it last looked.
                Order::Wake => self.follow_root(context),
                Order::Nothing => break,
                Order::Closed => return Ok(false),
            }
        }
        Ok(true)
    }

    fn start(&mut self, context: &Context, job: Job) {
        let client = self.ready.enter(job.client());
        let Some(slot) = self.connections.insert(Connection::new(job, client)) else {
            panic!("the pool gives no more than there are slots");
        };
        self.with(context, slot, poll::begin);
        self.run_turn(context, slot);
    }

    fn take_event(&mut self, slot: Slot, events: EpollFlags) {
        let conn = self.connections.get(slot);
        // A socket that the dispatcher has yet to close can still tell of itself.
        if !conn.is_open() {
            return;
        }
        if events.contains(EpollFlags::EPOLLIN) {
            conn.has_unread = true;
        }
        let ends = EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR;
        conn.is_hung_up |= events.intersects(ends);
        self.make_ready(slot);
    }

    /// Gives each client that has something to do its share of turns. Who is alone with much to do
    /// has some rounds before the next look for others.
    fn give_turns(&mut self, context: &Context) {
        self.give_round(context);
        for _ in 1..LONE_ROUNDS_MAX {
            if !self.ready.has_one() {
                return;
            }
            self.give_round(context);
        }
    }

    fn give_round(&mut self, context: &Context) {
        for _ in 0..self.ready.ring_count() {
            let mut share = self.ready.begin_share();
            while let Some(slot) = self.ready.next(&mut self.connections, &mut share) {
                let conn = self.connections.get(slot);
                conn.queued = Queue::None;
                let (sent, responses) = (conn.sent, self.responses);
                self.run_turn(context, slot);
                let sent = self.connections.get(slot).sent - sent;
                let responses = self.responses.wrapping_sub(responses);
                let cost = sent.max(u64::from(responses) * RESPONSE_COST_BYTES);
                FairQueue::spend(&mut share, cost);
            }
            self.ready.end_share(&share);
        }
    }
}

impl Default for Worker {
    fn default() -> Self {
        Self::new()
    }
}

/// Holds the whole exchange with one client to what `testing::exchange` says, for the fuzz target.
#[cfg(fuzzing)]
pub fn check_exchange(bytes: &[u8]) {
    testing::exchange::check(bytes);
}

#[cfg(test)]
mod tests;
