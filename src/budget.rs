//! The budget: where every byte goes, reserved and at full load. One table is the source for the
//! check at compile time, for what `trainyard budget` prints, and for the test that measures it.

use core::fmt::Write;

use crate::command::{Options, Pool};
use crate::files;
use crate::limits::{
    BOARD, CAR_BUFFER_BYTES, CONNECTIONS_MAX, FILES_MAX, HTTP_HEAD_BYTES_MAX, RING_MAX,
    TICKETS_MAX, WORKERS_MAX,
};
use crate::pool::{self, factory, process};
use crate::sys;
use crate::worker::{self, Worker};

/// What the system sets apart for a stack (`ulimit -s`), as a rule.
const STACK_BYTES: usize = 8 * 1024 * 1024;
/// What start-up takes of the arena: measured, with room for more addresses and longer paths.
const ARENA_TOUCHED_BYTES: usize = 16 * 1024;
/// The pages with which all that is called measured was.
const MEASURED_PAGE_BYTES: usize = 4096;

/// One line of the budget.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What the bytes are for.
    pub name: &'static str,
    /// Whose they are: `parent`, `child` (each) or `all` (shared by all processes) in the process
    /// pool, `main`, `thread` (each) or `all` in the thread pool.
    pub process: &'static str,
    /// Bytes of address space that are set apart, over all processes.
    pub reserved: usize,
    /// Bytes that are touched at full load, over all processes.
    pub resident: usize,
}

/// The budget of a server with certain options.
pub struct Budget {
    rows: Vec<Row>,
    places: usize,
    page: Page,
}

const WORKER_TABLES: usize = size_of::<Worker>();

const _: () = {
    // Untouched tables cost address space only, but that is scarce where pointers have 32 bits.
    assert!(WORKER_TABLES * WORKERS_MAX < 512 * 1024 * 1024);
    let full = CONNECTIONS_MAX * worker::CONNECTION_BYTES + pool::TICKETS_BYTES + pool::RING_BYTES;
    assert!(
        full + 4 * (CAR_BUFFER_BYTES + worker::LISTING_BYTES) <= BOARD.memory_bytes / 4,
        "full load takes over a quarter of the memory"
    );
};

/// Bytes of a page of memory, the least that a process can touch.
#[derive(Clone, Copy)]
struct Page(usize);

impl Page {
    /// A table of `count` entries in each of `copies` processes, of which the pages at both ends are
    /// touched whole.
    const fn touched(self, copies: usize, count: usize, size: usize) -> usize {
        copies * ((count * size).div_ceil(self.0) + 1) * self.0
    }

    /// What was measured as `bytes` in each of `copies` processes, with smaller pages maybe.
    const fn measured(self, copies: usize, bytes: usize) -> usize {
        self.touched(copies, 1, bytes - MEASURED_PAGE_BYTES)
    }
}

/// Who has the tables: the dispatcher, and each worker.
fn owners(pool: Pool) -> (&'static str, &'static str) {
    match pool {
        Pool::Process => ("parent", "child"),
        Pool::Thread => ("main", "thread"),
    }
}

/// What every process or thread needs, whatever it holds.
fn process_rows(page: Page, pool: Pool, workers: usize) -> Vec<Row> {
    let program = std::fs::metadata("/proc/self/exe").map_or(0, |metadata| metadata.len() as usize);
    let program = page.touched(1, 1, program);
    let (dispatcher, worker) = owners(pool);
    // These are in two places.
    let both = |copies| 2 * page.measured(copies, 16 * 1024);
    let (variables, worker_stack) = match pool {
        Pool::Process => (both(workers + 1), STACK_BYTES),
        Pool::Thread => (
            both(1) + page.measured(workers, 8 * 1024),
            BOARD.thread_stack_bytes,
        ),
    };
    let touched = |copies| page.measured(copies, BOARD.stack_touched_bytes);
    vec![
        row("program", "all", program, program),
        row(
            "start-up arena",
            "all",
            BOARD.arena_bytes,
            page.measured(1, ARENA_TOUCHED_BYTES),
        ),
        row("stack", dispatcher, STACK_BYTES, touched(1)),
        row("stack", worker, workers * worker_stack, touched(workers)),
        row("variables and C heap", "all", variables, variables),
    ]
}

/// The dispatcher's tables, of which it touches what it fills.
fn dispatcher_rows(page: Page, pool: Pool, places: usize) -> Vec<Row> {
    let (dispatcher, _) = owners(pool);
    let tickets = page.touched(1, places + RING_MAX, pool::TICKET_BYTES);
    let ring = page.touched(1, RING_MAX, pool::WAITING_BYTES);
    let (name, bytes, touched) = match pool {
        Pool::Process => ("children", process::TABLE_BYTES, page.0),
        Pool::Thread => {
            let ended = TICKETS_MAX * size_of::<u32>();
            let queue = factory::TABLE_BYTES - ended;
            let touched = page.touched(1, 1, queue) + page.touched(1, places, size_of::<u32>());
            ("queue, ended tickets", factory::TABLE_BYTES, touched)
        }
    };
    vec![
        row("tickets", dispatcher, pool::TICKETS_BYTES, tickets),
        row("ring", dispatcher, pool::RING_BYTES, ring),
        row(name, dispatcher, bytes, touched),
    ]
}

/// The workers' tables, of which each touches what it fills.
fn worker_rows(page: Page, options: &Options) -> Vec<Row> {
    let (workers, per_worker) = (options.workers, options.per_worker);
    let (_, worker) = owners(options.pool);
    // Only requests over HTTP are kept, and only they are answered from the cache.
    let http = if options.http.is_empty() { 0 } else { workers };
    // Threads share what is kept open.
    let caches = match options.pool {
        Pool::Process => http,
        Pool::Thread => http.min(1),
    };
    let connection = worker::CONNECTION_BYTES - worker::FILE_BYTES;
    let (connections, open) = (CONNECTIONS_MAX * connection, FILES_MAX * worker::FILE_BYTES);
    let (cache, requests) = (worker::CACHE_BYTES, worker::REQUESTS_BYTES);
    let listing = worker::LISTING_BYTES;
    let known = connections + open + cache + requests + listing + CAR_BUFFER_BYTES;
    let lists = WORKER_TABLES - known;
    // Each child has a copy of the whole board's tables, the threads have one together.
    let each = |name, bytes: usize, resident| row(name, worker, WORKERS_MAX * bytes, resident);
    vec![
        each(
            "connections",
            connections,
            page.touched(workers, per_worker, connection),
        ),
        each(
            "open files",
            open,
            page.touched(workers, per_worker + 1, worker::FILE_BYTES)
                + caches * BOARD.cached_files * worker::FILE_BYTES,
        ),
        each(
            "cache of files",
            cache,
            page.touched(caches, 1, files::CACHED_FILES_BYTES)
                + page.touched(http, 1, cache - files::CACHED_FILES_BYTES),
        ),
        each(
            "requests",
            requests,
            page.touched(
                http,
                BOARD.stashed_requests.min(per_worker) + 1,
                HTTP_HEAD_BYTES_MAX,
            ),
        ),
        each("listing", listing, page.touched(workers, 1, listing)),
        each(
            "cars to send",
            CAR_BUFFER_BYTES,
            page.touched(workers, 1, CAR_BUFFER_BYTES),
        ),
        each("lists", lists, page.touched(workers, 1, lists)),
    ]
}

fn row(name: &'static str, process: &'static str, reserved: usize, resident: usize) -> Row {
    Row {
        name,
        process,
        // A small table touches more than its own bytes.
        reserved: reserved.max(resident),
        resident,
    }
}

impl Budget {
    /// The budget for these options; asks the system for the size of this program and of its pages.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        Self::with_pages(options, Page(sys::page_bytes()))
    }

    fn with_pages(options: &Options, page: Page) -> Self {
        let (pool, workers) = (options.pool, options.workers);
        let mut rows = process_rows(page, pool, workers);
        rows.extend(dispatcher_rows(page, pool, options.places()));
        rows.extend(worker_rows(page, options));
        Self {
            rows,
            places: options.places(),
            page,
        }
    }

    /// Bytes that all processes together touch at full load.
    #[must_use]
    pub fn resident_bytes(&self) -> usize {
        self.rows.iter().map(|row| row.resident).sum()
    }

    /// Bytes of address space that all processes together set apart.
    #[must_use]
    pub fn reserved_bytes(&self) -> usize {
        self.rows.iter().map(|row| row.reserved).sum()
    }

    /// What the kernel may need for the sockets' buffers if every client fills them: each at its
    /// largest, but together no more than tcp_mem allows (tcp(7)).
    #[must_use]
    pub fn socket_bytes(&self) -> u64 {
        let largest = |name: &str| last_number(name).unwrap_or(4 << 20);
        let each = largest("tcp_wmem") + largest("tcp_rmem");
        let allowed = last_number("tcp_mem")
            .map_or(u64::MAX, |pages| pages.saturating_mul(self.page.0 as u64));
        (self.places as u64 * each).min(allowed)
    }

    /// The budget for people.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(
            text,
            "{:<24}{:<8}{:>16}{:>16}",
            "bytes", "process", "reserved", "at full load"
        );
        for row in &self.rows {
            let _ = writeln!(
                text,
                "{:<24}{:<8}{:>16}{:>16}",
                row.name, row.process, row.reserved, row.resident
            );
        }
        let _ = writeln!(
            text,
            "{:<32}{:>16}{:>16}",
            "total",
            self.reserved_bytes(),
            self.resident_bytes()
        );
        let _ = writeln!(
            text,
            "{:<48}{:>16}",
            "kernel's socket buffers, at most",
            self.socket_bytes()
        );
        let _ = writeln!(
            text,
            "for {} connections and {RING_MAX} waiting, board {}, pages of {} bytes",
            self.places, BOARD.name, self.page.0
        );
        text
    }

    /// The budget for programs.
    #[must_use]
    pub fn to_json(&self) -> String {
        let row = |row: &Row| {
            format!(
                "{{\"name\":\"{}\",\"process\":\"{}\",\"reserved_bytes\":{},\"resident_bytes\":{}}}",
                row.name, row.process, row.reserved, row.resident
            )
        };
        let rows: Vec<String> = self.rows.iter().map(row).collect();
        format!(
            "{{\"board\":\"{}\",\"connections\":{},\"waiting\":{RING_MAX},\"page_bytes\":{},\"rows\":[{}],\"reserved_bytes\":{},\"resident_bytes\":{},\"socket_bytes\":{}}}\n",
            BOARD.name,
            self.places,
            self.page.0,
            rows.join(","),
            self.reserved_bytes(),
            self.resident_bytes(),
            self.socket_bytes()
        )
    }
}

fn last_number(name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).ok()?;
    text.split_whitespace().last()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{self, Command};

    fn budget(pool: &str, page: usize) -> Budget {
        let line = format!("budget --pool {pool} --workers 4 --per-worker 100");
        let words = line.split_whitespace().map(Into::into);
        let Ok(Command::Budget(options, _)) = command::parse(words) else {
            panic!("{line}");
        };
        Budget::with_pages(&options, Page(page))
    }

    #[test]
    fn larger_pages_cost_more_but_never_more_than_one_at_either_end() {
        for pool in ["process", "thread"] {
            let small = budget(pool, 4096);
            for page in [16 * 1024, 64 * 1024] {
                let large = budget(pool, page);
                for (small, large) in small.rows.iter().zip(&large.rows) {
                    let name = small.name;
                    assert!(large.resident <= large.reserved, "{pool}, {name}");
                    assert!(large.resident >= small.resident, "{pool}, {name}");
                    // Four workers and their parent, each with up to two pieces.
                    let more = large.resident - small.resident;
                    assert!(more < 5 * 2 * 2 * page, "{pool}, {name}: {more}");
                }
                assert!(large.resident_bytes() > small.resident_bytes());
                // The kernel's own limits are in pages.
                assert!(large.socket_bytes() >= small.socket_bytes());
            }
        }
    }

    #[test]
    fn a_page_is_counted_whole() {
        let page = Page(16 * 1024);
        assert_eq!(page.touched(1, 1, 1), 2 * 16 * 1024);
        assert_eq!(page.touched(3, 100, 400), 3 * 4 * 16 * 1024);
        assert_eq!(page.measured(2, 32 * 1024), 2 * 3 * 16 * 1024);
        assert_eq!(Page(4096).measured(2, 32 * 1024), 2 * 32 * 1024);
    }
}
