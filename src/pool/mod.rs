//! Pools: who gets a socket. What happens to it afterwards is the worker's.
//!
//! One [`dispatcher`] serves with either pool; what differs is a [`WorkerPool`]. Children of the
//! [`process`] pool are passed their sockets over a pair (SCM_RIGHTS of unix(7)), threads of the
//! [`thread`] pool take them from a bounded queue.
//!
//! # A turn of the dispatcher
//!
//! ```text
//!   what is due: replace children, check the watchdog, look after the root,
//!       │        pass on who waits, ask idle connections to give way,
//!       │        answer who waits too long, watch the listeners or not
//!       ▼
//!   epoll_wait(2), until the next of these is due
//!       │
//!       ▼
//!   each event: signals (children that ended, SIGHUP, a stop), who asks to eject, mounts,
//!               listeners (accept), reports of workers
//! ```
//!
//! A batch of events is as old as its wait: what an event is about may be gone by an event before it. So
//! each handler takes what is not there any more for no event.
//!
//! # Who owns a ticket
//!
//! A ticket is an entry of one static table, and the number by which dispatcher and worker call a client.
//! Only the dispatcher changes the table. What a pool counts as held is what its workers hold here.
//!
//! ```text
//!            issue: accepted          hold: passed on
//!     Free ──────────────▶ Waiting ──────────────▶ Held by worker k
//!      ▲                    │   ▲                    │      │
//!      │  take_back:        │   └────────────────────┘      │
//!      │  told that the     │    wait_again: refused, or    │  take_back: reported,
//!      │  server is full    │    k died and had not         │  or k died and had
//!      └────────────────────┘    taken it                   │  taken it
//!      ▲                                                    │
//!      └────────────────────────────────────────────────────┘
//! ```
//!
//! # Who owns a client's socket
//!
//! ```text
//!     ring ── Job ──▶ process pool: the message on the pair; the parent closes its own descriptor
//!      │                 │          right after, or else the child's close would send no FIN
//!      │                 ├─▶ the child's connection, once it has taken the message
//!      │                 └─▶ back to the ring: the parent keeps the child's end of the pair, and reads
//!      │                     from it what a child that died had not taken
//!      │
//!      ├──── Job ──▶ thread pool: the queue, then the thread's connection
//!      │
//!      └───────────▶ overflow responder, which answers and closes it
//! ```
//!
//! Both ends of a pair are the parent's from the child's start until it is reaped.

mod acceptor;
mod control;
pub mod dispatcher;
#[cfg(test)]
mod doubles;
pub mod factory;
pub mod handover;
mod notifier;
mod overflow;
mod pass_fd;
pub mod process;
mod root_monitor;
mod state;
pub mod thread;
mod ticket;
mod watchdog;
mod worker_pool;

use static_cell::ConstStaticCell;

pub use acceptor::{Acceptor, Listener};
pub use control::Control;
pub use notifier::Notifier;
pub use overflow::OverflowResponder;
pub use root_monitor::RootMonitor;
pub use state::{DispatcherState, RING_BYTES, TICKET_BYTES, TICKETS_BYTES, WAITING_BYTES};
pub use worker_pool::WorkerPool;

use crate::files::Root;
use crate::http::HttpConfig;
use crate::limits::WORKERS_MAX;
use crate::train::Framing;
use crate::worker::Worker;

/// Thread k uses entry k, and so does child k in its own copy of the page; the others stay untouched
/// zeroes.
static WORKERS: [ConstStaticCell<Worker>; WORKERS_MAX] =
    [const { ConstStaticCell::new(Worker::new()) }; WORKERS_MAX];

/// What a pool is told at its start.
pub struct PoolConfig {
    /// Workers.
    pub workers: usize,
    /// Connections that one worker may hold.
    pub per_worker: usize,
    /// The root, and the file that push listeners send.
    pub root: &'static Root,
    /// The framing of what is pushed.
    pub framing: Framing,
    /// How files are served over HTTP.
    pub http_config: &'static HttpConfig,
    /// Seconds since 1970 before which the clock cannot be right.
    pub clock_floor_s: u64,
}
