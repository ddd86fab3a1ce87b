//! Pools: who gets a socket. What happens to it afterwards is the worker's.
//!
//! One dispatcher, and two crews for it: the children of the process pool, the threads of the thread
//! pool.

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
