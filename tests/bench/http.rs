//! trainyard against nginx and lighttpd over HTTP: the tables of src/README.md.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::unistd::gettid;

use super::common::random_file;
use super::common::server::raise_open_files;
use super::http_client::{connect_to, fetch, path_of, request, wrk};
use super::measure::{Cost, Rounds, interleave, memory_kib};
use super::peers::{Cpus, Kind, Peer};
use super::{fair, latency, table};

/// Rounds, if no number is given.
pub const ROUNDS: usize = 5;

const SIZES: [(&str, usize); 4] = [
    ("1k", 1 << 10),
    ("10k", 10 << 10),
    ("1m", 1 << 20),
    ("256m", 256 << 20),
];
/// How long a file is sent, over and over, in each round.
const FILE_TIME: Duration = Duration::from_millis(400);
/// Idle connections at which the memory is measured.
const HELD: [usize; 3] = [0, 1000, 5000];

/// Measures all servers and prints the tables.
pub fn run(rounds: usize) {
    raise_open_files();
    table::print_conditions(rounds);
    let cpus = Cpus::of_this_process();
    Cpus::pin(gettid(), cpus.client);
    let folder = tempfile::tempdir().unwrap();
    let (root, work) = (folder.path().join("root"), folder.path().join("work"));
    std::fs::create_dir(&root).unwrap();
    std::fs::create_dir(&work).unwrap();
    let files = SIZES.map(|(name, size)| {
        let file = root.join(name);
        random_file(&file, 1, size);
        file
    });

    println!(
        "One worker each, on processor {}; clients on {}.\n",
        cpus.server, cpus.client
    );
    print_head();
    let peers = Peer::start_all(&root, &work, cpus);
    measure_requests(&peers, &files, rounds);
    measure_bytes(&peers, &files, rounds);
    drop(peers);
    measure_memory(&root, &work, &files[0], cpus);
    fair::run(&root, &work, &files[3], cpus);
    latency::run(&root, &work, &files[0], cpus);
}

fn print_head() {
    let names = Kind::ALL.map(Kind::name).join(" | ");
    println!("| the best of the others = 1 | {names} | 1 is |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
}

fn measure_requests(peers: &[Peer], files: &[PathBuf], rounds: usize) {
    for (what, file, is_kept) in [
        ("1 KB, kept connections", &files[0], true),
        ("10 KB, kept connections", &files[1], true),
        ("1 KB, a new connection each", &files[0], false),
    ] {
        let path = path_of(file);
        let costs = interleave(peers.len(), rounds, |turn| {
            let peer = &peers[turn];
            Cost::of(&peer.processes, || wrk(peer.address, &path, is_kept))
        });
        print_row(&format!("requests/s, {what}"), &costs, Cost::rate, |most| {
            format!("{most:.0}/s")
        });
        print_row(&format!("CPU per request, {what}"), &costs, cost, |least| {
            format!("{:.0} ms per 10,000", -least * 1e7)
        });
    }
}

fn measure_bytes(peers: &[Peer], files: &[PathBuf], rounds: usize) {
    for (what, file) in [("1 MB", &files[2]), ("256 MB", &files[3])] {
        let asked = request(&path_of(file), "");
        let costs = interleave(peers.len(), rounds, |turn| {
            let peer = &peers[turn];
            Cost::of(&peer.processes, || {
                let (start, mut sum) = (Instant::now(), 0);
                let is_over = || start.elapsed() >= FILE_TIME;
                let mut stream = connect_to(peer.address);
                while fetch(&mut stream, &asked, is_over, |bytes| sum += bytes) && !is_over() {}
                sum
            })
        });
        print_row(
            &format!("CPU per byte, files of {what}"),
            &costs,
            cost,
            |least| format!("{:.0} ms per GB", -least * 1e12),
        );
    }
}

/// Less than nothing, so that more is better for every figure.
fn cost(cost: &Cost) -> f64 {
    -cost.cpu()
}

/// Prints what each has of the best of the others, round by round; `shown` makes its figure.
fn print_row(what: &str, costs: &Rounds, figure: fn(&Cost) -> f64, shown: fn(f64) -> String) {
    let others = (0..Kind::ALL.len()).filter(|peer| !Kind::ALL[*peer].is_ours());
    let medians = others.map(|peer| (costs.median(peer, figure), peer));
    let (median, best) = medians.max_by(|one, two| one.0.total_cmp(&two.0)).unwrap();
    let ratios: Vec<String> = (0..Kind::ALL.len())
        .map(|peer| format!("{:.2}", costs.ratio(peer, best, figure)))
        .collect();
    println!("| {what} | {} | {} |", ratios.join(" | "), shown(median));
}

fn measure_memory(root: &Path, work: &Path, file: &Path, cpus: Cpus) {
    let asked = request(&path_of(file), "");
    let kib = Kind::ALL.map(|kind| {
        let peer = Peer::start(kind, root, work, cpus, 0);
        // What the first clients touch is not theirs alone.
        drop(hold(&peer, &asked, 64));
        std::thread::sleep(Duration::from_millis(100));
        let mut held = Vec::new();
        HELD.map(|count| {
            held.extend(hold(&peer, &asked, count - held.len()));
            std::thread::sleep(Duration::from_millis(50));
            memory_kib(&peer.processes)
        })
    });
    for (index, held) in HELD.iter().enumerate() {
        let others = (0..kib.len()).filter(|peer| !Kind::ALL[*peer].is_ours());
        let least = others.map(|peer| kib[peer][index]).min().unwrap();
        let ratios: Vec<String> = kib
            .iter()
            .map(|kib| format!("{:.2}", kib[index] as f64 / least as f64))
            .collect();
        println!(
            "| memory (PSS), {held} idle connections | {} | {least} KiB |",
            ratios.join(" | ")
        );
    }
}

/// Connections on which one answer came.
fn hold(peer: &Peer, asked: &[u8], count: usize) -> Vec<TcpStream> {
    let connect = |_| {
        let mut stream = connect_to(peer.address);
        assert!(fetch(&mut stream, asked, || false, |_| ()));
        stream
    };
    (0..count).map(connect).collect()
}
