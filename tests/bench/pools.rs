//! The process pool against the thread pool: the table of src/README.md.

use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use trainyard::limits::CONNECTIONS_MAX;

use super::common::ask::ask;
use super::common::random_file;
use super::common::server::{LIMIT, Pool, Server, raise_open_files};
use super::measure::{Cost, Rounds, interleave, memory_kib};
use super::{
    BUSY_AT_ONCE, BUSY_CONNECTIONS, LARGE_BYTES, LARGE_TIME, QUIET_CONNECTIONS, QUIET_TIME,
    SMALL_BYTES, client, table,
};

const POOLS: [Pool; 2] = [Pool::Process, Pool::Thread];
/// Connections at which the memory is measured.
const HELD: [usize; 3] = [0, 1000, 4000];
/// Connections that are held when a worker crashes.
const CRASH_CONNECTIONS: usize = 1000;

/// Measures both pools, each with two workers, and prints the table.
pub fn run(rounds: usize) {
    raise_open_files();
    let folder = tempfile::tempdir().unwrap();
    let (large, small) = (folder.path().join("large"), folder.path().join("small"));
    random_file(&large, 1, LARGE_BYTES);
    random_file(&small, 2, SMALL_BYTES);

    table::print_conditions(rounds);
    println!("\n| the thread pool, two workers; the process pool = 1 | ratio | 1 is |");
    println!("| --- | ---: | ---: |");
    let busy = connections(
        &small,
        rounds,
        BUSY_CONNECTIONS,
        BUSY_AT_ONCE,
        Duration::ZERO,
    );
    let quiet = connections(&small, rounds, QUIET_CONNECTIONS, 1, QUIET_TIME);
    let gigabyte = downloads(&large, rounds);
    let print_cpu = |what: &str, costs: &Rounds, unit: f64, of: &str| {
        let ms = 1e3 * unit * costs.median(0, Cost::cpu);
        let ratio = costs.ratio(1, 0, Cost::cpu);
        println!("| CPU per {what} | {ratio:.2} | {ms:.0} ms per {of} |");
    };
    print_cpu("connection, many at once", &busy, 1e4, "10,000");
    print_cpu("connection, each alone", &quiet, 1e4, "10,000");
    print_cpu("byte to one client", &gigabyte, 1e9, "GB");

    let [processes, threads] = POOLS.map(|pool| Holding::of(pool, &small));
    for (index, held) in HELD.iter().enumerate() {
        let kib = [processes.memory_kib[index], threads.memory_kib[index]];
        let ratio = kib[1] as f64 / kib[0] as f64;
        println!(
            "| memory (PSS) with {held} connections | {ratio:.2} | {} KiB |",
            kib[0]
        );
    }
    println!(
        "\nConnections held at once: {} and {}.",
        processes.held, threads.held
    );
    let [process, thread] = POOLS.map(|pool| crash(pool, &small));
    println!("A crash takes with it, of {CRASH_CONNECTIONS} connections: {process}; {thread}.");
}

fn start(pool: Pool, root: &Path) -> Server {
    let options = [&pool.options()[..], &["--workers", "2"]].concat();
    Server::start(root, &options)
}

fn push(pool: Pool, file: &Path) -> Server {
    let options = [&pool.options()[..], &["--workers", "2"]].concat();
    Server::push(file, "sized", &options)
}

fn connections(
    small: &Path,
    rounds: usize,
    count: usize,
    at_once: usize,
    pause: Duration,
) -> Rounds {
    let servers = POOLS.map(|pool| push(pool, small));
    let expected = client::train_bytes(small);
    interleave(servers.len(), rounds, |turn| {
        let server = &servers[turn];
        Cost::of(&server.processes(), || {
            client::connect_often(server.address(), count, at_once, pause, expected)
        })
    })
}

fn downloads(large: &Path, rounds: usize) -> Rounds {
    let servers = POOLS.map(|pool| push(pool, large));
    let expected = client::train_bytes(large);
    interleave(servers.len(), rounds, |turn| {
        let server = &servers[turn];
        Cost::of(&server.processes(), || {
            client::download(server.address(), None, expected, LARGE_TIME)
        })
    })
}

/// What a server takes to hold connections.
struct Holding {
    memory_kib: [u64; HELD.len()],
    held: usize,
}

impl Holding {
    /// Holds as many connections as the board has, each of which was answered and is idle.
    fn of(pool: Pool, small: &Path) -> Self {
        let server = start(pool, small.parent().unwrap());
        // What the first clients touch is not theirs alone.
        drop(hold(&server, small, 64));
        std::thread::sleep(Duration::from_millis(100));
        let mut held = Vec::new();
        let memory_kib = HELD.map(|count| {
            held.extend(hold(&server, small, count - held.len()));
            std::thread::sleep(Duration::from_millis(50));
            memory_kib(&server.processes())
        });
        held.extend(hold(&server, small, CONNECTIONS_MAX - held.len()));
        let held = held.iter().filter(|stream| is_open(stream)).count();
        server.stop();
        Self { memory_kib, held }
    }
}

fn hold(server: &Server, small: &Path, count: usize) -> Vec<TcpStream> {
    let connect = |_| {
        let mut stream = server.connect();
        let answer = ask(&mut stream, client::name(small), &[]).unwrap();
        assert_eq!(answer.data.len(), SMALL_BYTES);
        stream
    };
    (0..count).map(connect).collect()
}

/// Whether a connection that owes no answer is still there.
fn is_open(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let is_open = stream.peek(&mut [0]).is_err();
    stream.set_nonblocking(false).unwrap();
    is_open
}

/// Kills the process of one worker: how many clients that takes, and what follows.
fn crash(pool: Pool, small: &Path) -> String {
    let mut server = start(pool, small.parent().unwrap());
    let held = hold(&server, small, CRASH_CONNECTIONS);
    let process = server.children().first().copied();
    kill(
        Pid::from_raw(process.unwrap_or(server.pid())),
        Signal::SIGKILL,
    )
    .unwrap();
    let start = Instant::now();
    if process.is_none() {
        server.wait(LIMIT);
        let lost = held.iter().filter(|stream| !is_open(stream)).count();
        return format!("{lost}, and the server");
    }
    while server.children().len() < 2 || server.children().contains(&process.unwrap()) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let took = start.elapsed();
    let lost = held.iter().filter(|stream| !is_open(stream)).count();
    drop(hold(&server, small, 1));
    server.stop();
    format!("{lost}, replaced within {} ms", took.as_millis())
}
