//! What unit tests of the worker work with: a scripted socket, an [`Io`] over a temporary folder, and
//! a clock that stands until it is moved. No pool, no epoll, no client.
//!
//! ```ignore
//! on_bench(|bench| {
//!     bench.file("a.txt", b"hello");
//!     let mut conn = bench.connect(Protocol::Http);
//!     bench.socket.says(&get("/a.txt"));
//!     bench.socket.room = 10; // bytes that the socket still takes
//!     assert_eq!(bench.poll(&mut conn), Next::Wait);
//! });
//! ```
#![cfg_attr(fuzzing, allow(dead_code))] // the fuzz target `exchange` uses less of it than the tests

pub(crate) mod exchange;
#[cfg(test)]
pub(crate) mod yard;

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::config::WorkerConfig;
use super::conn::connection::Connection;
use super::conn::state::{ClientSlot, Wait};
use super::http::requests::Requests;
use super::io::Io;
use super::next::Next;
use super::poll;
use super::shared_listing::SharedListing;
use super::socket::Socket;
use super::store::Store;
use crate::files::Root;
use crate::gauge::Gauges;
use crate::http::HttpConfig;
use crate::limits::CAR_BUFFER_BYTES;
use crate::link::{Job, Protocol};
use crate::sys::{self, Descriptor, Errno};
use crate::train::{CAR_HEAD_SIZE, Framing};

/// The time of all tests, in milliseconds since 1970.
pub(crate) const REAL_MS: u64 = 1_795_525_530_000;

/// A socket that does what its fields say, and notes what is done with it.
pub(crate) struct Script {
    /// What the client has sent and nobody has received.
    pub(crate) incoming: Vec<u8>,
    /// The client sends no more.
    pub(crate) is_at_end: bool,
    /// The client has reset the connection.
    pub(crate) is_reset: bool,
    /// Bytes that it still takes, all in all.
    pub(crate) room: usize,
    /// Bytes that it takes at most in one call.
    pub(crate) per_call: usize,
    /// What it took and the client has not acknowledged.
    pub(crate) unacknowledged: u64,
    /// What it took.
    pub(crate) sent: Vec<u8>,
    /// Calls that sent something.
    pub(crate) sends: usize,
    /// Whether the last of them said that more follows.
    pub(crate) said_more: bool,
    pub(crate) is_corked: bool,
    pub(crate) is_shut_down: bool,
    pub(crate) aborts: bool,
}

impl Script {
    fn new() -> Self {
        Self {
            incoming: Vec::new(),
            is_at_end: false,
            is_reset: false,
            room: usize::MAX,
            per_call: usize::MAX,
            unacknowledged: 0,
            sent: Vec::new(),
            sends: 0,
            said_more: false,
            is_corked: false,
            is_shut_down: false,
            aborts: false,
        }
    }

    /// The client sends bytes.
    pub(crate) fn says(&mut self, bytes: &[u8]) {
        self.incoming.extend_from_slice(bytes);
    }

    /// What was sent, as text, which is forgotten.
    pub(crate) fn take_sent(&mut self) -> String {
        String::from_utf8_lossy(&core::mem::take(&mut self.sent)).into_owned()
    }

    fn take(&mut self, len: usize) -> Result<usize, Errno> {
        if self.is_reset {
            return Err(Errno::EPIPE);
        }
        let taken = len.min(self.room).min(self.per_call);
        if taken == 0 {
            return Err(Errno::EAGAIN);
        }
        self.sends += 1;
        if self.room != usize::MAX {
            self.room -= taken;
        }
        Ok(taken)
    }
}

impl Socket for &mut Script {
    fn receive(&mut self, room: &mut [u8], peek: bool) -> Result<usize, Errno> {
        if self.is_reset {
            return Err(Errno::ECONNRESET);
        }
        if self.incoming.is_empty() {
            return if self.is_at_end {
                Ok(0)
            } else {
                Err(Errno::EAGAIN)
            };
        }
        let len = room.len().min(self.incoming.len());
        room[..len].copy_from_slice(&self.incoming[..len]);
        if !peek {
            self.incoming.drain(..len);
        }
        Ok(len)
    }

    fn send(&mut self, bytes: &[u8], more: bool) -> Result<usize, Errno> {
        let len = self.take(bytes.len())?;
        self.sent.extend_from_slice(&bytes[..len]);
        self.said_more = more;
        Ok(len)
    }

    fn send_file(&mut self, file: i32, offset: u64, count: usize) -> Result<usize, Errno> {
        // Even a full socket tells the end of the file.
        let count = count.min(self.room).min(self.per_call).max(1);
        let mut bytes = vec![0; count];
        let read = sys::read_at(file, &mut bytes, offset, false)?;
        if read == 0 {
            return Ok(0);
        }
        let len = self.take(read)?;
        self.sent.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn unacknowledged(&mut self) -> u64 {
        self.unacknowledged
    }

    fn cork(&mut self, keeps_back: bool) {
        self.is_corked = keeps_back;
    }

    fn shut_down_writing(&mut self) {
        self.is_shut_down = true;
    }

    fn abort_at_close(&mut self) {
        self.aborts = true;
    }
}

/// What stands in for a worker.
pub(crate) struct Bench {
    pub(crate) socket: Script,
    pub(crate) store: Box<Store>,
    pub(crate) requests: Box<Requests>,
    pub(crate) listing: Box<SharedListing>,
    pub(crate) config: WorkerConfig<'static>,
    /// Milliseconds on the monotonic clock.
    pub(crate) now_ms: u64,
    pub(crate) is_draining: bool,
    out: Vec<u8>,
    /// The root, which is removed with the bench.
    folder: PathBuf,
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Runs a test with a bench of its own, whose options `set` may change.
pub(crate) fn on_bench_with(
    set: impl FnOnce(&mut HttpConfig) + Send,
    test: impl FnOnce(&mut Bench) + Send,
) {
    on_large_stack(move || {
        let mut http_config = HttpConfig::default();
        set(&mut http_config);
        test(&mut Bench::new(http_config));
    });
}

/// Runs something where the tables have room, which are made on the stack before they are boxed.
pub(crate) fn on_large_stack<R: Send>(run: impl FnOnce() -> R + Send) -> R {
    let stack_bytes = 64 << 20;
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(stack_bytes);
        let joined = thread.spawn_scoped(scope, run).expect("a thread").join();
        joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Runs a test with a bench of its own.
pub(crate) fn on_bench(test: impl FnOnce(&mut Bench) + Send) {
    on_bench_with(|_| {}, test);
}

impl Bench {
    fn new(http_config: HttpConfig) -> Self {
        let template = std::env::temp_dir().join("bench-XXXXXX");
        let folder = nix::unistd::mkdtemp(&template).expect("a folder");
        let path = CString::new(folder.as_os_str().as_bytes()).expect("no NUL");
        let root = Root::open(Box::leak(path.into_boxed_c_str())).expect("it is there");
        let config = WorkerConfig {
            index: 0,
            root: Box::leak(Box::new(root)),
            framing: Framing::Sized,
            cache_sharers: 1,
            http_config: Box::leak(Box::new(http_config)),
            clock_floor_s: 0,
            gauges: Gauges::new().expect("room"),
        };
        let mut store = Box::new(Store::new());
        store.cache.start(config.cache_sharers);
        Self {
            socket: Script::new(),
            store,
            requests: Box::new(Requests::new()),
            listing: Box::new(SharedListing::new()),
            config,
            now_ms: 1_000_000,
            is_draining: false,
            out: vec![0; CAR_BUFFER_BYTES],
            folder,
        }
    }

    /// Where something lies beneath the root.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a file that was last changed long ago.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::write(&path, bytes).expect("it can be written");
        let file = fs::File::options()
            .write(true)
            .open(path)
            .expect("it is there");
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        file.set_modified(long_ago).expect("the owner can");
    }

    /// A client that has just been handed over, which may have sent something.
    pub(crate) fn connect(&mut self, protocol: Protocol) -> Connection {
        let job = Job {
            ticket: 7,
            protocol,
            address: core::net::Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped(),
            socket: Descriptor::NONE,
        };
        let mut conn = Connection::new(job, ClientSlot::NONE);
        self.with(&mut conn, poll::begin);
        conn
    }

    /// Lets a connection do something, and counts what it sends.
    pub(crate) fn with<'b, R>(
        &'b mut self,
        conn: &mut Connection,
        does: impl FnOnce(&mut Connection, &mut Io<'b, &'b mut Script>) -> R,
    ) -> R {
        let mut io = Io {
            socket: &mut self.socket,
            store: &mut self.store,
            requests: &mut self.requests,
            listing: &mut self.listing,
            out: &mut self.out,
            config: &self.config,
            now_ms: self.now_ms,
            real_ms: || REAL_MS,
            is_draining: self.is_draining,
            sent: 0,
            responses: 0,
        };
        let result = does(conn, &mut io);
        conn.sent += io.sent;
        result
    }

    /// Polls a connection until it has had its turn.
    pub(crate) fn poll(&mut self, conn: &mut Connection) -> Next {
        loop {
            match self.with(conn, poll::poll) {
                Next::Now => {}
                next => return next,
            }
        }
    }

    /// Polls a connection until it needs something else than a turn.
    pub(crate) fn run(&mut self, conn: &mut Connection) -> Next {
        loop {
            match self.poll(conn) {
                Next::Again => {}
                next => return next,
            }
        }
    }

    /// The client sends more, and an event tells so.
    pub(crate) fn says(&mut self, conn: &mut Connection, bytes: &[u8]) {
        self.socket.says(bytes);
        conn.has_unread = true;
    }

    /// Lets the wait pass that a connection is in. It waits for nothing then.
    pub(crate) fn expire(&mut self, conn: &mut Connection) -> (Wait, Next) {
        let wait = conn.timer.wait();
        self.now_ms += wait.length_ms();
        conn.timer.stop();
        let next = self.with(conn, |conn, io| poll::expired(conn, io, wait));
        (wait, next)
    }

    /// Ends a connection, as the loop does behind [`Next::Close`].
    pub(crate) fn end(&mut self, conn: &mut Connection) {
        self.with(conn, poll::end);
    }
}

/// A GET over HTTP/1.1.
pub(crate) fn get(target: &str) -> Vec<u8> {
    get_with(target, "")
}

/// A GET with more field lines, each with its line end.
pub(crate) fn get_with(target: &str, fields: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: yard\r\n{fields}\r\n").into_bytes()
}

/// A car.
pub(crate) fn car(data: &[u8]) -> Vec<u8> {
    [&(data.len() as i32).to_le_bytes()[..], data].concat()
}

/// The end car.
pub(crate) const END: [u8; CAR_HEAD_SIZE] = [0; CAR_HEAD_SIZE];

/// A request of the train protocol.
pub(crate) fn ask(path: &str) -> Vec<u8> {
    [&car(path.as_bytes())[..], &END].concat()
}
