//! A whole worker for unit tests, over a scripted link and pairs of Unix sockets. Its rounds are called one by
//! one, at times that the test makes up, and never wait.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollTimeout};

use super::{Bench, on_bench};
use crate::link::{IdleMode, Job, Order, PoolLink, Protocol};
use crate::sys::{self, Descriptor, Errno};
use crate::worker::conn::connection::Connection;
use crate::worker::{Context, EVENTS_MAX, Worker};

/// A pool that says what its fields say, and notes what it is told.
pub(crate) struct ScriptedLink {
    pub(crate) orders: VecDeque<Order>,
    /// Reports that it still takes.
    pub(crate) room: usize,
    pub(crate) reports: Vec<Vec<u32>>,
    /// What it says when it has no room, of which it has some afterwards.
    pub(crate) error: Errno,
    /// How the worker was about to wait.
    pub(crate) modes: Vec<IdleMode>,
    /// Ends the link where there is no order.
    pub(crate) is_closed: bool,
    descriptor: Descriptor,
    _pool: Descriptor,
}

impl ScriptedLink {
    fn new() -> Self {
        let (descriptor, pool) = sys::pair().expect("a pair");
        Self {
            orders: VecDeque::new(),
            room: usize::MAX,
            reports: Vec::new(),
            error: Errno::EAGAIN,
            modes: Vec::new(),
            is_closed: false,
            descriptor,
            _pool: pool,
        }
    }
}

impl PoolLink for ScriptedLink {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn before_wait(&mut self, mode: IdleMode) -> bool {
        self.modes.push(mode);
        !self.orders.is_empty()
    }

    fn receive(&mut self) -> Result<Order, Errno> {
        let otherwise = if self.is_closed {
            Order::Closed
        } else {
            Order::Nothing
        };
        Ok(self.orders.pop_front().unwrap_or(otherwise))
    }

    fn report(&mut self, tickets: &[u32]) -> Result<(), Errno> {
        if self.room == 0 {
            self.room = usize::MAX;
            // Whoever comes back to report has nothing else to do in these tests.
            self.is_closed = self.orders.is_empty();
            return Err(self.error);
        }
        self.room -= usize::from(self.room != usize::MAX);
        self.reports.push(tickets.to_vec());
        Ok(())
    }
}

/// A worker and its clients.
pub(crate) struct Yard<'a> {
    pub(crate) bench: &'a mut Bench,
    pub(crate) worker: Box<Worker>,
    pub(crate) epoll: Epoll,
    pub(crate) link: ScriptedLink,
    next_ticket: u32,
}

/// A client's end of its connection, by the ticket of which the pool knows it.
pub(crate) struct Client {
    pub(crate) ticket: u32,
    stream: UnixStream,
}

/// Runs a test with a worker of its own.
pub(crate) fn on_yard(test: impl FnOnce(&mut Yard) + Send) {
    on_bench(|bench| {
        let mut worker = Box::new(Worker::new());
        worker.store.cache.start(bench.config.cache_sharers);
        test(&mut Yard {
            bench,
            worker,
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).expect("an epoll"),
            link: ScriptedLink::new(),
            next_ticket: 1,
        });
    });
}

impl Yard<'_> {
    /// A client that has sent something, and its job, which is not given yet.
    pub(crate) fn job(&mut self, protocol: Protocol, bytes: &[u8]) -> (Client, Job) {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        for stream in [&ours, &theirs] {
            stream.set_nonblocking(true).expect("it can be set");
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let job = Job {
            ticket,
            protocol,
            // Each one is a client of its own.
            address: core::net::Ipv4Addr::from(0xc000_0200 + ticket).to_ipv6_mapped(),
            socket: OwnedFd::from(ours).into(),
        };
        let mut client = Client {
            ticket,
            stream: theirs,
        };
        client.says(bytes);
        (client, job)
    }

    /// A client that has sent something and whose job the worker takes now.
    pub(crate) fn connect(&mut self, protocol: Protocol, bytes: &[u8]) -> Client {
        let (client, job) = self.job(protocol, bytes);
        self.order(Order::Jobs([job].into_iter().collect()));
        client
    }

    /// The pool gives an order, which the worker follows in a round.
    pub(crate) fn order(&mut self, order: Order) {
        self.link.orders.push_back(order);
        self.round();
    }

    /// One round of the loop; whether the worker goes on.
    pub(crate) fn round(&mut self) -> bool {
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        let waited = self.epoll.wait(&mut events, EpollTimeout::ZERO);
        let count = waited.expect("it can be asked");
        let context = Context {
            config: &self.bench.config,
            epoll: &self.epoll,
            now_ms: self.bench.now_ms,
        };
        let worker = &mut self.worker;
        let goes_on = worker
            .take_events(&context, &events[..count], true, &mut self.link)
            .expect("orders come");
        worker.give_turns(&context);
        worker.expire(&context);
        worker.report(&mut self.link).expect("it takes reports");
        goes_on
    }

    /// Does something with the worker, between two rounds.
    pub(crate) fn with<R>(&mut self, does: impl FnOnce(&mut Worker, &Context) -> R) -> R {
        let context = Context {
            config: &self.bench.config,
            epoll: &self.epoll,
            now_ms: self.bench.now_ms,
        };
        does(&mut self.worker, &context)
    }

    /// The worker's side of a client that has not been reported.
    pub(crate) fn connection(&mut self, client: &Client) -> &mut Connection {
        let connections = &mut self.worker.connections;
        let slot = connections
            .slots()
            .find(|slot| connections.get(*slot).ticket == client.ticket)
            .expect("it has not ended");
        connections.get(slot)
    }
}

impl Client {
    pub(crate) fn says(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("there is room");
    }

    /// What has come, and whether that was all.
    pub(crate) fn reads(&mut self) -> (Vec<u8>, bool) {
        let mut bytes = Vec::new();
        match self.stream.read_to_end(&mut bytes) {
            Ok(_) => (bytes, true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => (bytes, false),
            Err(error) => panic!("{error}"),
        }
    }

    /// The same as text.
    pub(crate) fn reads_text(&mut self) -> (String, bool) {
        let (bytes, is_all) = self.reads();
        (String::from_utf8(bytes).expect("text"), is_all)
    }
}
