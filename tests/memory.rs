//! What the server's processes really take, against what `trainyard budget` says.
//!
//! Always measured on this machine's own static program: an emulator's memory would say nothing of
//! the server's. TRAINYARD_STATIC names the program; without it, it is built here.

use crate::common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use common::ask::{ask, connect_narrow, request};
use common::http::{Client, get};
use common::server::{LIMIT, Pool, Server, pool};
use common::{random_file, wait_until};

use serde_json::Value;
use trainyard::limits::{BOARD, CACHED_BODY_BYTES, RING_MAX, worker_descriptors};

const LARGE: usize = 12_000_000;

/// The static program.
fn static_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(path) = std::env::var_os("TRAINYARD_STATIC") {
            return path.into();
        }
        let target = match std::env::consts::ARCH {
            "arm" => "armv7-unknown-linux-gnueabihf".into(),
            other => format!("{other}-unknown-linux-gnu"),
        };
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/static");
        let output = Command::new(env!("CARGO"))
            .args([
                "build",
                "--release",
                "--bin",
                "trainyard",
                "--target",
                &target,
            ])
            .arg("--target-dir")
            .arg(&folder)
            .env("RUSTFLAGS", "-C target-feature=+crt-static")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        folder.join(target).join("release/trainyard")
    })
}

/// How many workers, and places in each.
#[derive(Clone, Copy)]
struct Size {
    workers: usize,
    per_worker: usize,
}

impl Size {
    fn places(self) -> usize {
        self.workers * self.per_worker
    }

    fn options(self) -> [String; 4] {
        let (workers, per_worker) = (self.workers.to_string(), self.per_worker.to_string());
        [
            "--workers".into(),
            workers,
            "--per-worker".into(),
            per_worker,
        ]
    }
}

/// Starts a copy of the program: with others on the same file it would share that file's pages, and
/// so have a smaller part in them.
fn start(root: &Path, size: Size) -> Server {
    let program = root.join("program");
    // By another process: were it written here, a test that forks just then would hold it open for
    // writing, and the system would not run it.
    let copied = Command::new("cp")
        .arg(static_program())
        .arg(&program)
        .status()
        .unwrap();
    assert!(copied.success());
    let mut command = Command::new(program);
    command
        .args([
            "serve",
            "--http",
            "127.0.0.1:0",
            "--train",
            "127.0.0.1:0",
            "--log",
            "debug",
        ])
        .args(size.options())
        .arg(root);
    Server::from_command(command)
}

/// A number of a process's smaps_rollup, in bytes.
fn rollup(pid: i32, key: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find(|line| line.starts_with(key)).unwrap();
    1024 * line
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
}

fn processes(server: &Server, size: Size) -> Vec<i32> {
    let mut pids = server.children();
    match pool() {
        Pool::Process => assert_eq!(pids.len(), size.workers),
        Pool::Thread => assert_eq!(server.threads().len(), 1 + size.workers),
    }
    pids.push(server.pid());
    pids
}

fn sum(pids: &[i32], key: &str) -> u64 {
    pids.iter().map(|pid| rollup(*pid, key)).sum()
}

/// What `budget --json` says for the key, of a row or, with an empty name, of the whole.
fn budgeted(size: Size, row: &str, key: &str) -> u64 {
    let output = Command::new(static_program())
        .args(["budget", "--json"])
        .args(pool().options())
        .args(size.options())
        .output()
        .unwrap();
    let whole: Value = serde_json::from_slice(&output.stdout).unwrap();
    let part = match row {
        "" => &whole,
        _ => {
            let mut rows = whole["rows"].as_array().unwrap().iter();
            rows.find(|other| other["name"] == row).unwrap()
        }
    };
    part[key].as_u64().unwrap()
}

/// Where the memory is, for who has to find out why a test fails: bytes of Pss by mapping.
fn report(pids: &[i32]) {
    let mut table: BTreeMap<String, u64> = BTreeMap::new();
    for pid in pids {
        let mut mapping = String::new();
        for line in fs::read_to_string(format!("/proc/{pid}/smaps"))
            .unwrap()
            .lines()
        {
            let words: Vec<&str> = line.split_whitespace().collect();
            if words[0].contains('-') {
                let name = words.get(5).unwrap_or(&"(unnamed)");
                mapping = format!("{pid} {} {}", words[1], name);
            } else if words[0] == "Pss:" {
                *table.entry(mapping.clone()).or_default() += words[1].parse::<u64>().unwrap();
            }
        }
    }
    for (mapping, kib) in table {
        eprintln!("{kib:>8} KiB  {mapping}");
    }
}

/// The files of a load that fills every table: one too large for the sockets' buffers, and a folder
/// whose names take the whole room of a listing, with the longest car batches sent for both.
fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    random_file(&root.path().join("large"), 1, LARGE);
    let folder = root.path().join("folder");
    fs::create_dir(&folder).unwrap();
    // Names of 31 bytes fill both the room for names and the list of their places.
    for index in 0..BOARD.listing_bytes / 32 + 1000 {
        fs::File::create(folder.join(format!("{index:031}"))).unwrap();
    }
    let small = root.path().join("small");
    fs::create_dir(&small).unwrap();
    for index in 0..2 * BOARD.cached_files {
        random_file(&small.join(index.to_string()), 2, CACHED_BODY_BYTES);
    }
    root
}

/// Fills what only HTTP uses: the cache of files, and the requests that are kept.
fn fill_by_http(server: &Server, size: Size) {
    let connect = || Client::new(TcpStream::connect(server.addresses[1]).unwrap());
    // The least busy gets the next, so these sit on all workers.
    let mut clients: Vec<_> = (0..size.workers).map(|_| connect()).collect();
    for client in &mut clients {
        for index in 0..2 * BOARD.cached_files {
            let answer = client.ask(&get(&format!("/small/{index}"), &[]));
            assert_eq!(answer.body.len(), CACHED_BODY_BYTES);
        }
    }
    drop(clients);
    let kept = BOARD.stashed_requests.min(size.per_worker) * size.workers;
    let part = [b"GET / HTTP/1.1\r\nX: ".to_vec(), vec![b'x'; 8000]].concat();
    let mut clients: Vec<_> = (0..kept).map(|_| connect()).collect();
    clients.iter_mut().for_each(|client| client.send(&part));
    std::thread::sleep(Duration::from_millis(500));
}

/// Requests a file and reads only the beginning of the answer.
fn begin(server: &Server) -> TcpStream {
    let mut stream = connect_narrow(server.address());
    stream.write_all(&request(b"large", &[])).unwrap();
    stream
}

/// Fills every table of a server of this size, and compares.
fn measure_full_load(size: Size, root: &Path) {
    let needed = worker_descriptors(size.places()) + 2 * RING_MAX;
    trainyard::sys::raise_open_files_limit(needed as u64).unwrap();
    let server = start(root, size);
    fill_by_http(&server, size);
    // The least busy gets the next, so these sit on all workers. They use the tables that a worker
    // has once: the listing, and the buffer of cars at its longest batch.
    let mut held: Vec<TcpStream> = (0..size.workers).map(|_| server.connect()).collect();
    for stream in &mut held {
        let listing = ask(stream, b"folder", &[]).unwrap();
        assert!(listing.data.len() > BOARD.listing_bytes);
        assert_eq!(ask(stream, b"large", &[]).unwrap().data.len(), LARGE);
    }
    drop(held);
    // Each of these holds a place and an open file in the midst of a transfer.
    let mut held: Vec<TcpStream> = (0..size.places()).map(|_| begin(&server)).collect();
    for stream in &mut held {
        stream.read_exact(&mut [0; 100]).unwrap();
    }
    // Full: who comes now waits in the ring.
    let waiting: Vec<TcpStream> = (0..RING_MAX).map(|_| begin(&server)).collect();
    let descriptors = || {
        fs::read_dir(format!("/proc/{}/fd", server.pid()))
            .unwrap()
            .count()
    };
    // A thread pool's process holds its clients' sockets and their files, too.
    let held = match pool() {
        Pool::Process => 0,
        Pool::Thread => 2 * size.places(),
    };
    wait_until("the ring is full", LIMIT, || {
        descriptors() >= held + RING_MAX
    });
    let pids = processes(&server, size);
    let (measured, budget) = (sum(&pids, "Pss:"), budgeted(size, "", "resident_bytes"));
    println!("measured {measured} bytes of {budget} in the budget");
    report(&pids);
    assert!(
        measured <= budget,
        "{measured} bytes, the budget says {budget}"
    );
    assert!(
        measured * 10 >= budget * 7,
        "{measured} bytes only, the budget says {budget}"
    );
    drop((held, waiting));
    server.stop();
}

#[test]
fn full_load_takes_what_the_budget_says() {
    let root = root();
    for (workers, per_worker) in [(2, 1000), (3, 10)] {
        let size = Size {
            workers,
            per_worker,
        };
        measure_full_load(size, root.path());
    }
}

#[test]
fn start_up_takes_no_more_of_the_arena_than_the_budget_says() {
    let root = tempfile::tempdir().unwrap();
    let size = Size {
        workers: 1,
        per_worker: 10,
    };
    let server = start(root.path(), size);
    let line = " bytes of the arena";
    wait_until("the debug line", LIMIT, || server.log().contains(line));
    let log = server.log();
    let (before, _) = log.split_once(line).unwrap();
    let used: u64 = before.rsplit(' ').next().unwrap().parse().unwrap();
    let budget = budgeted(size, "start-up arena", "resident_bytes");
    println!("start-up took {used} bytes of {budget} in the budget");
    assert!((1024..=budget).contains(&used), "the row is too small");
    server.stop();
}

#[test]
fn an_idle_connection_costs_little() {
    const CONNECTIONS: usize = 4000;
    trainyard::sys::raise_open_files_limit(3 * CONNECTIONS as u64).unwrap();
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("file"), b"content").unwrap();
    let size = Size {
        workers: 2,
        per_worker: CONNECTIONS,
    };
    let server = start(root.path(), size);
    // What the first clients touch is not theirs alone.
    for _ in 0..100 {
        ask(&mut server.connect(), b"file", &[]).unwrap();
    }
    let pids = processes(&server, size);
    let private = || sum(&pids, "Private_Dirty:") + sum(&pids, "Shared_Dirty:");
    let before = private();
    let idle: Vec<TcpStream> = (0..CONNECTIONS)
        .map(|_| {
            let mut stream = server.connect();
            assert_eq!(ask(&mut stream, b"file", &[]).unwrap().data, b"content");
            stream
        })
        .collect();
    std::thread::sleep(Duration::from_millis(100));
    let each = (private() - before) as f64 / CONNECTIONS as f64;
    println!("an idle connection costs {each:.0} bytes");
    assert!(each < 512.0, "{each:.0} bytes");
    assert!(each > 32.0, "{each:.0} bytes cannot be: they are all there");
    // They are idle, not gone.
    for mut stream in idle.into_iter().step_by(500) {
        assert_eq!(ask(&mut stream, b"file", &[]).unwrap().data, b"content");
    }
    server.stop();
}
