//! One client with sixteen connections beside ten with one: what it gets.

use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::unistd::gettid;

use super::common::Over;
use super::common::server::Pool;
use super::http_client::{connect_from, fetch, path_of, request};
use super::measure::median;
use super::peers::{Cpus, Kind, Peer};

const ROUNDS: usize = 3;
/// How long a round is, and what it leaves out at the start, when windows are still small.
const TIME: Duration = Duration::from_secs(3);
const START: Duration = Duration::from_millis(500);
/// Clients with one connection, each from an address of its own: 127.0.0.2 and on.
const SINGLE: u8 = 10;
/// So nice are the servers: beside who is not, 19 leaves a seventieth of the processor. Without that,
/// what aria2c can take would be measured, not what a server gives it.
const NICE: u32 = 19;

/// Measures and prints the table.
pub fn run(root: &Path, work: &Path, file: &Path, cpus: Cpus) {
    let kinds = [
        Kind::Trainyard(Pool::Process),
        Kind::Trainyard(Pool::Thread),
        Kind::Nginx,
    ];
    let peers = kinds.map(|kind| Peer::start(kind, root, work, cpus, NICE));
    let is_over = AtomicBool::new(false);
    let mut shares = kinds.map(|_| Vec::new());
    std::thread::scope(|scope| {
        let _over = Over(&is_over);
        scope.spawn(|| {
            Cpus::pin(gettid(), cpus.server);
            while !is_over.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        for _ in 0..ROUNDS {
            for (index, peer) in peers.iter().enumerate() {
                let (many, single) = round(peer, work, file);
                shares[index].push(many / single);
            }
        }
    });
    println!(
        "\n| aria2c -x16 beside {SINGLE} clients with one connection each | its share, the mean of theirs = 1 |"
    );
    println!("| --- | ---: |");
    for (index, kind) in kinds.iter().enumerate() {
        println!(
            "| {} | {:.2} |",
            kind.name(),
            median(shares[index].iter().copied()),
        );
    }
}

/// Bytes per second of aria2c, and of each of the others in the mean.
fn round(peer: &Peer, work: &Path, file: &Path) -> (f64, f64) {
    let (asked, is_over, bytes) = (
        request(&path_of(file), ""),
        AtomicBool::new(false),
        AtomicU64::new(0),
    );
    let single = |number: u8| {
        let mut stream = connect_from(Ipv4Addr::new(127, 0, 0, 2 + number), peer.address);
        let is_over = || is_over.load(Ordering::Relaxed);
        let count = |came| {
            bytes.fetch_add(came, Ordering::Relaxed);
        };
        while fetch(&mut stream, &asked, is_over, count) && !is_over() {}
    };
    std::thread::scope(|scope| {
        let over = Over(&is_over);
        for number in 0..SINGLE {
            let single = &single;
            scope.spawn(move || single(number));
        }
        let mut many = Many::start(peer, work, file);
        std::thread::sleep(START);
        let (many_before, single_before) = (many.bytes(), bytes.load(Ordering::Relaxed));
        let start = Instant::now();
        while start.elapsed() < TIME && many.is_running() {
            std::thread::sleep(Duration::from_millis(10));
        }
        let seconds = start.elapsed().as_secs_f64();
        let single_bytes = bytes.load(Ordering::Relaxed) - single_before;
        let many_bytes = many.bytes() - many_before;
        drop(over);
        (
            many_bytes as f64 / seconds,
            single_bytes as f64 / seconds / f64::from(SINGLE),
        )
    })
}

/// A download by aria2c.
struct Many {
    child: Child,
    folder: tempfile::TempDir,
}

impl Many {
    /// Starts it and waits until it gets something.
    fn start(peer: &Peer, work: &Path, file: &Path) -> Self {
        let folder = tempfile::tempdir_in(work).unwrap();
        let child = Command::new("aria2c")
            .args(["-x16", "-s16", "-k1M", "--file-allocation=none"])
            .args(["--disk-cache=0", "--no-conf", "--quiet", "--dir"])
            .arg(folder.path())
            .arg(format!("http://{}{}", peer.address, path_of(file)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut many = Self { child, folder };
        let start = Instant::now();
        while many.bytes() == 0 && many.is_running() && start.elapsed() < TIME {
            std::thread::sleep(Duration::from_millis(1));
        }
        many
    }

    fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// What it has written: it leaves holes where it has nothing yet.
    fn bytes(&self) -> u64 {
        let files = std::fs::read_dir(self.folder.path()).unwrap();
        files
            .filter_map(|file| file.unwrap().metadata().ok())
            .map(|file| file.blocks() * 512)
            .sum()
    }
}

impl Drop for Many {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
