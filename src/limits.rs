//! The capacities of the board that `BOARD` names, checked against each other at compile time.
//!
//! What each capacity answers when it is reached: places give way or make newcomers wait in the
//! ring, a full ring stops the accepting, and the kernel's backlog holds the rest.

#[path = "../board/generic.rs"]
mod generic;
#[path = "../board/pi-3.rs"]
mod pi_3;
#[path = "../board/pi-4.rs"]
mod pi_4;
#[path = "../board/pi-zero-2.rs"]
mod pi_zero_2;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// What a board can hold, and how long it waits. Every count is reserved before the first client.
#[derive(Clone, Copy)]
pub struct Board {
    /// The name that `BOARD` chooses it by.
    pub name: &'static str,
    /// The board's memory, of which the tables may take a quarter at most.
    pub memory_bytes: usize,
    /// Connections that all workers hold together; also what one worker's table has room for.
    pub connections_max: usize,
    /// Children of the process pool, threads of the thread pool.
    pub workers_max: usize,
    /// Accepted sockets that wait for a place; beyond it the kernel's backlog holds them.
    pub ring_max: usize,
    /// Sockets passed to a worker that it has not taken yet; beyond it others get the next one.
    pub untaken_max: usize,
    /// Listening sockets.
    pub listeners_max: usize,
    /// Cars in one send; they share one buffer per worker.
    pub cars_per_batch_max: usize,
    /// Bytes that one connection sends before it is the next one's turn.
    pub turn_bytes: usize,
    /// Room for the names of a folder, per worker; larger folders take several passes.
    pub listing_bytes: usize,
    /// Files that one process keeps open between requests; its threads share them.
    pub cached_files: usize,
    /// Small files whose bytes one worker keeps.
    pub cached_bodies: usize,
    /// Folders that one worker watches for changes.
    pub watched_folders: usize,
    /// Requests that one worker keeps in memory because they are not whole yet, or not answered.
    pub stashed_requests: usize,
    /// Room for everything that start-up allocates.
    pub arena_bytes: usize,
    /// Stack of a thread of the thread pool: fixed, and not grown.
    pub thread_stack_bytes: usize,
    /// Stack that a process or thread touches at most, as measured; for `budget` only.
    pub stack_touched_bytes: usize,
    /// How long the dispatcher gathers connections that follow one another closely.
    pub gather_us: u64,
    /// How long a client may stay silent after it connected.
    pub silent_ms: u64,
    /// How long a request may take from its first byte to its last.
    pub request_ms: u64,
    /// How long a connection may rest between two requests.
    pub idle_ms: u64,
    /// A transfer that moved nothing for so long ends.
    pub stall_ms: u64,
    /// How long an ended connection waits for its client to read the last answer.
    pub linger_ms: u64,
    /// How long an HTTP client waits for a place before it is told that there is none.
    pub wait_max_ms: u64,
    /// Bytes that an ended connection reads and throws away at most.
    pub linger_bytes: usize,
    /// A transfer slower than this over `stall_ms` gives way while others wait.
    pub rate_min_bytes_per_s: u64,
}

const BOARDS: [Board; 4] = [generic::BOARD, pi_3::BOARD, pi_4::BOARD, pi_zero_2::BOARD];

/// The board that this program is built for.
pub const BOARD: Board = choose(env!("BOARD"));

/// Data bytes of a full car, so the most that a car carries: the protocol's, on every board.
pub const CAR_DATA_MAX: usize = 1000;
/// Bytes of a car's `data_len`, a signed little-endian number.
pub const CAR_HEAD_SIZE: usize = 4;
/// Bytes of a full car on the wire.
pub const CAR_SIZE_MAX: usize = CAR_HEAD_SIZE + CAR_DATA_MAX;
/// Bytes of the longest path that can be asked for: one car's data.
pub const PATH_MAX: usize = CAR_DATA_MAX;
/// See [`Board::connections_max`].
pub const CONNECTIONS_MAX: usize = BOARD.connections_max;
/// See [`Board::workers_max`].
pub const WORKERS_MAX: usize = BOARD.workers_max;
/// See [`Board::ring_max`].
pub const RING_MAX: usize = BOARD.ring_max;
/// See [`Board::listeners_max`].
pub const LISTENERS_MAX: usize = BOARD.listeners_max;
/// Sockets in one message to a worker, and so in one batch.
pub const JOBS_PER_MESSAGE_MAX: usize = 16;
/// Places in the ring: the waiting, and what can come back from workers that died.
pub const RING_PLACES_MAX: usize = RING_MAX + WORKERS_MAX * BOARD.untaken_max;
/// Jobs in the thread pool's queue that nobody has taken yet.
pub const QUEUE_CAPACITY: usize = BOARD.ring_max;
/// One ticket for every socket that is waiting or held. `--per-worker` is rounded up, so the
/// places can be a few more than `CONNECTIONS_MAX`.
pub const TICKETS_MAX: usize = CONNECTIONS_MAX + WORKERS_MAX + RING_PLACES_MAX;
/// Bytes of a worker's car buffer: an answer's head, a batch of cars, the end car.
pub const CAR_BUFFER_BYTES: usize = HEAD_BYTES + BOARD.cars_per_batch_max * CAR_SIZE_MAX + 4;
/// Bytes of the longest head of a train: car(a folder's name and `/`), car(size, time).
pub const HEAD_BYTES: usize = 4 + NAME_BYTES + 4 + 16;
/// Bytes of the longest name. exFAT, FAT and NTFS count 255 units of UTF-16, of which each is up to three
/// bytes of UTF-8; other file systems stop at 255 bytes (NAME_MAX of limits.h).
pub const NAME_MAX: usize = 3 * 255;
/// Bytes of a file's name and the `/` that follows a folder's, or the NUL that the kernel wants.
pub const NAME_BYTES: usize = NAME_MAX + 1;
/// Bytes of an HTTP request's head, at most; a body is read as far as it fits in here too.
pub const HTTP_HEAD_BYTES_MAX: usize = 8 * KIB;
/// Bytes of an HTTP request's target.
pub const HTTP_TARGET_BYTES_MAX: usize = 4 * KIB;
/// Header fields of an HTTP request.
pub const HTTP_FIELDS_MAX: usize = 64;
/// Bytes of a file of options.
pub const CONFIG_BYTES_MAX: usize = 16 * KIB;
/// Bytes of the header lines that the command line adds to every answer.
pub const HTTP_EXTRA_BYTES_MAX: usize = 2 * KIB;
/// Bytes of the longest answer that is generated, not read from a file: a redirect, or an error page.
pub const HTTP_GENERATED_BYTES_MAX: usize =
    HTTP_EXTRA_BYTES_MAX + HTTP_TARGET_BYTES_MAX + 3 * PATH_MAX + 4 * KIB;
/// HTTP clients that are told at once that there is no place for them.
pub const OVERFLOW_MAX: usize = 16;
/// Seconds after which a client that found no place should try again.
pub const RETRY_AFTER_S: u32 = 5;
/// Ranges of one answer.
pub const RANGES_MAX: usize = 16;
/// Bytes of a file that leave with the head of its answer, in one send; also what the cache keeps.
pub const CACHED_BODY_BYTES: usize = 16 * KIB;
/// Bytes of a path that the cache can keep a file by.
pub const CACHED_PATH_BYTES: usize = 256;
/// Places of the cache in which a path can be.
pub const CACHE_WAYS: usize = 8;
/// How long the cache takes a file for what it was.
pub const CACHED_REFRESH_MS: u64 = 1_000;
/// A request that a worker reads later than this after it last looked for changes of files may have come
/// after a change that it does not know of yet.
pub const CHANGES_LOOK_US: u64 = 1_000;
/// Open files of a worker: of each connection, the pushed one, the cache's, and one in the making.
pub const FILES_MAX: usize = CONNECTIONS_MAX + 1 + BOARD.cached_files + 1;
/// Cars of a transfer's first batch; after that a batch is what the socket took.
pub const CARS_PER_BATCH_FIRST: u16 = 64;
/// Cars that a batch never goes below.
pub const CARS_PER_BATCH_MIN: u16 = 16;
/// How long a transfer waits for pages of a slow card before it looks again.
pub const NOT_CACHED_RETRY_MS: u64 = 3;
/// Looks at pages that are still not there, before the worker waits for them after all.
pub const NOT_CACHED_RETRIES_MAX: u8 = 100;
/// How often a connection asks whether its client has acknowledged everything.
pub const ACKNOWLEDGED_POLL_MS: u64 = 20;
/// How long after that the end car of the `raw-end` form follows.
pub const RAW_END_PAUSE_MS: u64 = 300;
/// Seconds (of TCP_DEFER_ACCEPT) that the kernel keeps a silent client from the accept queue.
pub const DEFER_ACCEPT_S: u32 = 1;
/// The delay before a child that died within a second is replaced: the first, and the longest.
pub const RESPAWN_DELAY_MS: (u64, u64) = (10, 500);
/// A child that lived at least so long is replaced at once.
pub const RESPAWN_SETTLED_MS: u64 = 1_000;
/// How often it is looked whether the root is still there, or there again.
pub const ROOT_POLL_MS: u64 = 400;
/// How long a root that was let go on request is left alone where it stays mounted.
pub const EJECTED_REST_MS: u64 = 30_000;
/// The same for one whose device did not answer.
pub const FAILED_REST_MS: u64 = 5_000;
/// How long the workers have for letting go of the root, before who asked for it is told that they
/// have not.
pub const EJECT_MS: u64 = 2_000;
/// How often it is looked whether workers that hold clients come round.
pub const WATCHDOG_MS: u64 = 1_000;
/// A worker that was called and has not come round for so long is stuck.
pub const STUCK_MS: u64 = 8_000;
/// How long workers may take to end once nothing is left to do.
pub const EXIT_MS: u64 = 1_000;
/// How long the dispatcher leaves alone what has just failed for want of the kernel's resources.
pub const RETRY_MS: u64 = 5;

/// Descriptors that the parent holds open at once, so that `accept4` never meets `EMFILE`.
#[must_use]
pub const fn parent_descriptors(workers: usize) -> usize {
    let mut sum = 3; // standard input, output and error
    sum += 3; // epoll, signals, supervisor
    sum += 3; // root, the next one, pushed file
    sum += 3; // what of the root is probed
    sum += 3; // who may ask for something, who does, what tells of mounts
    sum += LISTENERS_MAX;
    sum += 2 * workers; // both ends of every pair
    sum += 2; // a pair in the making
    sum += RING_MAX + 1; // the waiting, and the one just accepted
    sum += OVERFLOW_MAX;
    sum += workers * BOARD.untaken_max; // back from a worker that died
    sum
}

/// Descriptors that a worker holds open at once, so that `openat2` never meets `EMFILE`.
#[must_use]
pub const fn worker_descriptors(per_worker: usize) -> usize {
    let mut sum = 3; // standard input, output and error
    sum += 3; // epoll, pair, watcher of the cache
    sum += 4; // root, the next one, pushed file, and the worker's own of it
    sum += BOARD.cached_files;
    sum += per_worker; // sockets
    sum += per_worker; // the file that each of them is sent
    sum += 4; // a folder on the way to a file, an index file, a variant
    sum
}

/// Descriptors that the one process of the thread pool holds open at once.
#[must_use]
pub const fn thread_pool_descriptors(workers: usize, per_worker: usize) -> usize {
    let mut sum = 3; // standard input, output and error
    sum += 4; // the main thread's epoll, signals, supervisor, bell
    sum += 3; // root, the next one, pushed file
    sum += 3; // what of the root is probed
    sum += 3; // who may ask for something, who does, what tells of mounts
    sum += LISTENERS_MAX;
    sum += RING_MAX + 1; // the waiting, and the one just accepted
    sum += OVERFLOW_MAX;
    sum += workers * 4; // each one's epoll, bell, pushed file, watcher of the cache
    sum += max(BOARD.cached_files, workers * CACHE_WAYS); // the cache, shared by all
    sum += workers * per_worker * 2; // sockets, also those in the queue, and the files they are sent
    sum += workers * 4; // a folder on the way to a file, an index file, a variant
    sum
}

const fn max(left: usize, right: usize) -> usize {
    if left > right { left } else { right }
}

const _: () = {
    let mut i = 0;
    while i < BOARDS.len() {
        check(&BOARDS[i]);
        i += 1;
    }
};

const _: () = assert!(HTTP_TARGET_BYTES_MAX < HTTP_HEAD_BYTES_MAX);
const _: () = assert!(
    NAME_BYTES <= CAR_DATA_MAX,
    "a train names its file in one car"
);
const _: () = assert!(CARS_PER_BATCH_MIN <= CARS_PER_BATCH_FIRST);

const fn check(board: &Board) {
    assert!(board.connections_max >= 256 && board.connections_max < 0xffff);
    assert!(board.workers_max >= 2 && board.workers_max <= 64);
    assert!(board.untaken_max >= JOBS_PER_MESSAGE_MAX);
    assert!(board.ring_max >= JOBS_PER_MESSAGE_MAX);
    assert!(board.listeners_max >= 1 && board.listeners_max <= 64);
    assert!(board.cars_per_batch_max <= 1024, "IOV_MAX");
    assert!(board.cars_per_batch_max >= CARS_PER_BATCH_FIRST as usize);
    assert!(board.turn_bytes >= 64 * KIB);
    assert!(
        board.listing_bytes >= 64 * KIB,
        "a hundred of the longest names, half of which stay at a cut"
    );
    assert!(board.cached_files >= 64 && board.cached_files.is_multiple_of(CACHE_WAYS));
    assert!(board.cached_bodies >= 1 && board.cached_bodies < 0xffff);
    assert!(board.watched_folders >= 8 && board.watched_folders <= 255);
    assert!(board.stashed_requests >= 2 && board.stashed_requests <= 255);
    assert!(board.thread_stack_bytes.is_multiple_of(64 * KIB));
    assert!(board.thread_stack_bytes >= 4 * board.stack_touched_bytes);
    assert!(board.gather_us >= 200 && board.gather_us <= 500);
    assert!(board.linger_ms < board.stall_ms);
    assert!(board.silent_ms <= board.idle_ms);
    assert!(HEAD_BYTES + board.cars_per_batch_max * CAR_SIZE_MAX > 2 * PATH_MAX);
    // One worker's table serves the whole board; the others' are never touched.
    let cache = board.cached_files * (3 * KIB / 2) + board.cached_bodies * (CACHED_BODY_BYTES + 64);
    let requests = (board.stashed_requests + 1) * HTTP_HEAD_BYTES_MAX;
    let tables = board.connections_max * KIB
        + board.workers_max * (512 * KIB + board.listing_bytes + cache + requests);
    assert!(
        tables <= board.memory_bytes / 4,
        "the tables take more than a quarter of the memory"
    );
}

const fn choose(name: &str) -> Board {
    let mut i = 0;
    while i < BOARDS.len() {
        if same(BOARDS[i].name, name) {
            return BOARDS[i];
        }
        i += 1;
    }
    panic!("BOARD names no board; there are: generic, pi-3, pi-4, pi-zero-2 (board/NAME.rs)")
}

const fn same(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let mut i = 0;
    while i < left.len() && i < right.len() && left[i] == right[i] {
        i += 1;
    }
    i == left.len() && i == right.len()
}
