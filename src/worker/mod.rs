//! A worker: what happens to the sockets that a pool gives it. One thread, one epoll, one slab.

mod conn;
mod follow_root;
mod http;
mod lifecycle;
mod train;
mod transfer;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::files::{Cache, File, FileSlot, Files, Listing, Place, Root};
use crate::gauge::{Gauges, RootState};
use crate::http::HttpConfig;
use crate::limits::{CAR_BUFFER_BYTES, HTTP_HEAD_BYTES_MAX};
use crate::link::{IdleMode, Job, Order, PoolLink, Protocol};
use crate::sys::{self, Errno};
use crate::train::Framing;

use conn::connection::Connection;
use conn::deadlines::Deadlines;
use conn::fair::{Client, Rounds};
use conn::list::{List, QUEUE};
use conn::slab::Slab;
use conn::state::{Phase, Queue, Slot, Wait};
use http::requests::Kept;

pub use http::generated::turn_away;

/// What epoll calls the pool's link; connections are called by their slot.
const LINK_TOKEN: u64 = u64::MAX;
/// What epoll calls the cache's watcher.
const WATCHER_TOKEN: u64 = u64::MAX - 1;
/// Events taken at once.
const EVENTS_MAX: usize = 64;
/// Rounds between two looks at epoll while only one connection is ready.
const LONE_ROUNDS_MAX: usize = 4;
/// What an answer counts for at least in its client's share: as much as sending so many bytes.
const ANSWER_COST_BYTES: u64 = 8192;
/// Orders taken at once, before the clients' turn.
const ORDERS_MAX: usize = 5;

/// A worker's tables. All zeroes is a worker without connections.
pub struct Worker {
    connections: Slab,
    files: Files,
    cache: Cache,
    kept: Kept,
    /// What was received of requests over HTTP.
    input: [u8; HTTP_HEAD_BYTES_MAX],
    deadlines: Deadlines,
    rounds: Rounds,
    /// Answers over HTTP that were made, all in all.
    answers: u32,
    /// Connections that want the listing, which one can use at a time.
    listing_queue: List<QUEUE>,
    /// Whose listing it is: 0 for nobody, else slot + 1.
    listing_owner: u16,
    /// Its owner has begun to read its folder.
    listing_is_begun: bool,
    listing: Listing,
    /// Connections that the pool must be told of.
    ended: List<QUEUE>,
    /// The pool must be told that nothing can give way.
    nothing_to_give: bool,
    draining: bool,
    /// What had become of the root when this worker followed it last.
    root: RootState,
    pushed: FileSlot,
    buffer: [u8; CAR_BUFFER_BYTES],
}

/// Bytes of tables that one more connection touches: its place, its client's, and the file that it
/// is sent.
pub const CONNECTION_BYTES: usize = size_of::<Connection>() + size_of::<Client>() + FILE_BYTES;
/// Bytes of one entry of the open files.
pub const FILE_BYTES: usize = size_of::<File>();

/// Bytes of the cache of files.
pub const CACHE_BYTES: usize = size_of::<Cache>();
/// Bytes of the requests that are kept, and of the one that is read.
pub const REQUESTS_BYTES: usize = size_of::<Kept>() + HTTP_HEAD_BYTES_MAX;

/// What a worker is told at its start.
pub struct WorkerConfig<'a> {
    /// The worker's number.
    pub index: usize,
    /// The root.
    pub root: &'a Root,
    /// The framing in which the pushed file is sent.
    pub framing: Framing,
    /// Workers of the same process.
    pub cache_sharers: usize,
    /// How files are served over HTTP.
    pub http_config: &'a HttpConfig,
    /// Seconds since 1970 before which the clock cannot be right.
    pub clock_floor_s: u64,
    /// What dispatcher and workers show each other.
    pub gauges: Gauges,
}

impl WorkerConfig<'_> {
    /// Where files are looked for, and how.
    fn place(&self) -> Place<'_> {
        Place {
            root: self.root,
            http_config: self.http_config,
        }
    }
}

/// What a connection needs next.
pub(crate) enum Step {
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
            files: Files::new(),
            cache: Cache::new(),
            kept: Kept::new(),
            input: [0; HTTP_HEAD_BYTES_MAX],
            deadlines: Deadlines::new(),
            rounds: Rounds::new(),
            answers: 0,
            listing_queue: List::new(),
            listing_owner: 0,
            listing_is_begun: false,
            listing: Listing::new(),
            ended: List::new(),
            nothing_to_give: false,
            draining: false,
            root: RootState::START,
            pushed: FileSlot::NONE,
            buffer: [0; CAR_BUFFER_BYTES],
        }
    }

    /// Serves what the pool gives, until the pool closes the link.
    ///
    /// # Errors
    /// What epoll or the link say; the worker cannot go on then.
    pub fn run(&mut self, setting: &WorkerConfig, link: &mut impl PoolLink) -> Result<(), Errno> {
        self.take_pushed(setting);
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(
            sys::borrow(link.descriptor()),
            EpollEvent::new(link.events(), LINK_TOKEN),
        )?;
        self.cache.start(setting.cache_sharers);
        if self.cache.watcher().is_open() {
            epoll.add(
                sys::borrow(self.cache.watcher()),
                EpollEvent::new(EpollFlags::EPOLLIN, WATCHER_TOKEN),
            )?;
        }
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
            setting.gauges.heartbeat(setting.index);
            if !self.take_events(&turns, &events[..count], has_order, link)? {
                return Ok(());
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

    /// Takes in what has happened; false when the pool is gone.
    fn take_events(
        &mut self,
        turns: &Turns,
        events: &[EpollEvent],
        mut has_order: bool,
        link: &mut impl PoolLink,
    ) -> Result<bool, Errno> {
        // Before any request: who asks after a change must get what it is now.
        self.follow_root(turns);
        if events.iter().any(|event| event.data() == WATCHER_TOKEN) {
            self.cache.forget_changed(&mut self.files);
        }
        for event in events {
            match event.data() {
                WATCHER_TOKEN => {}
                LINK_TOKEN => has_order = true,
                slot => self.event(Slot::from_index(slot as u16), event.events()),
            }
        }
        Ok(!has_order || self.take_orders(turns, link)?)
    }

    /// Waits for events and orders: how many events there are, and whether there is an order.
    fn wait(
        &mut self,
        turns: &Turns,
        events: &mut [EpollEvent],
        link: &mut impl PoolLink,
    ) -> Result<(usize, bool), Errno> {
        let mode = self.idle_mode();
        let has_order = link.before_wait(mode);
        if has_order && mode == IdleMode::Sleep && !self.cache.is_watching() {
            // Without connections and watches there are no events.
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
            link.after_wait();
        }
        Ok((count, has_order))
    }

    fn idle_mode(&self) -> IdleMode {
        if self.rounds.is_ready() {
            IdleMode::Poll
        } else if self.connections.is_empty() {
            IdleMode::Sleep
        } else {
            IdleMode::Wait
        }
    }

    fn timeout(&mut self, now_ms: u64) -> EpollTimeout {
        if self.rounds.is_ready() {
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
    fn take_orders(&mut self, turns: &Turns, link: &mut impl PoolLink) -> Result<bool, Errno> {
        for _ in 0..ORDERS_MAX {
            match link.receive()? {
                Order::Jobs(jobs) => {
                    // They may have asked after a change that came after the last wait.
                    if self.cache.is_watching() {
                        self.cache.forget_changed(&mut self.files);
                    }
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
                    self.take_last_requests();
                }
                // It may have been called after it last looked.
                Order::Wake => self.follow_root(turns),
                Order::Nothing => break,
                Order::Closed => return Ok(false),
            }
        }
        Ok(true)
    }

    fn start(&mut self, turns: &Turns, job: Job) {
        let client = self.rounds.enter(job.client());
        let connection = Connection::new(job.socket, job.ticket, job.protocol, client);
        let Some(slot) = self.connections.insert(connection) else {
            panic!("the pool gives no more than there are places");
        };
        match job.protocol {
            Protocol::Ask | Protocol::Http => self.arm(turns, slot, Wait::Silent),
            Protocol::Push => self.push(turns, slot),
        }
        self.turn(turns, slot);
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
        let client = connection.client;
        self.rounds.push(&mut self.connections, client, slot);
    }

    /// Gives each client that has something to do its share of turns. Who is alone with much to do
    /// has some rounds before the next look for others.
    fn give_turns(&mut self, turns: &Turns) {
        self.give_round(turns);
        for _ in 1..LONE_ROUNDS_MAX {
            if !self.rounds.has_one() {
                return;
            }
            self.give_round(turns);
        }
    }

    fn give_round(&mut self, turns: &Turns) {
        for _ in 0..self.rounds.ring_count() {
            let mut share = self.rounds.begin_share();
            while let Some(slot) = self.rounds.next(&mut self.connections, &mut share) {
                let connection = self.connections.get(slot);
                connection.queued = Queue::None;
                let (sent, answers) = (connection.sent, self.answers);
                self.turn(turns, slot);
                let sent = self.connections.get(slot).sent - sent;
                let answers = self.answers.wrapping_sub(answers);
                Rounds::spend(&mut share, sent.max(u64::from(answers) * ANSWER_COST_BYTES));
            }
            self.rounds.end_share(&share);
        }
    }

    fn turn(&mut self, turns: &Turns, slot: Slot) {
        match self.turn_of(turns, slot) {
            Step::Again => self.make_ready(slot),
            Step::Wait if self.draining && self.connections.get(slot).is_asking() => {
                self.refuse(turns, slot);
            }
            Step::Wait => self.register(turns, slot),
            Step::End => self.end(turns, slot),
        }
    }

    fn turn_of(&mut self, turns: &Turns, slot: Slot) -> Step {
        let connection = self.connections.get(slot);
        match connection.phase {
            Phase::Asking if connection.protocol == Protocol::Http => {
                self.take_requests(turns, slot)
            }
            Phase::Asking => self.ask(turns, slot),
            Phase::Page => self.list_page(turns, slot),
            Phase::Multipart => self.send_multipart(turns, slot),
            Phase::Answering => self.answer(turns, slot),
            Phase::Listing => self.list(turns, slot),
            Phase::Acknowledging => self.acknowledge(slot),
            Phase::Lingering => self.linger(slot),
            Phase::Free | Phase::Ended => panic!("only connections have turns"),
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
            self.end(turns, slot);
        }
    }

    fn arm(&mut self, turns: &Turns, slot: Slot, wait: Wait) {
        self.deadlines
            .arm(&mut self.connections, slot, wait, turns.now_ms);
    }
}

impl Default for Worker {
    fn default() -> Self {
        Self::new()
    }
}

/// What every turn needs to know.
pub(crate) struct Turns<'a> {
    pub(crate) setting: &'a WorkerConfig<'a>,
    pub(crate) epoll: &'a Epoll,
    pub(crate) now_ms: u64,
}

/// FNV-1a, to see that a car that is made again is the same.
pub(crate) fn fingerprint(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}
