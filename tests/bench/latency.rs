//! What a client that wants little has to wait, alone and beside those who want much of the worker.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::common::Over;
use super::http_client::{connect_from, connect_to, fetch, fetch_to_end, path_of, request};
use super::peers::{Cpus, Kind, Peer};

/// How long each server is asked under each load: some need seconds for a listing.
const TIME: Duration = Duration::from_secs(5);
/// From one question to the next, over a kept and over a new connection in turn.
const PAUSE: Duration = Duration::from_millis(2);
/// The folder that is listed, and how many clients list it, from 127.0.0.2 and on.
const ENTRIES: usize = 100_000;
const LISTERS: u8 = 10;

/// What else the server does meanwhile.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Load {
    None,
    Html,
    Json,
}

const LOADS: [(Load, &str); 3] = [
    (Load::None, "alone"),
    (Load::Html, "beside HTML listings"),
    (Load::Json, "beside JSON listings"),
];

/// How long answers took, over kept and over new connections, and the listings meanwhile.
#[derive(Default)]
struct Waits {
    kept: Vec<Duration>,
    new: Vec<Duration>,
    listings: f64,
}

/// Measures and prints the table.
pub fn run(root: &Path, work: &Path, file: &Path, cpus: Cpus) {
    let folder = root.join("many");
    std::fs::create_dir(&folder).unwrap();
    for number in 0..ENTRIES {
        std::fs::File::create(folder.join(format!("entry {number:06}.txt"))).unwrap();
    }
    let peers = Peer::start_all(root, work, cpus);
    println!(
        "\n| 1 KB every 2 ms: median and p99 in ms | kept connection | new connection | listings/s |"
    );
    println!("| --- | ---: | ---: | ---: |");
    for (load, what) in LOADS {
        for peer in &peers {
            // This lighttpd makes no other listings than HTML.
            if peer.kind == Kind::Lighttpd && load == Load::Json {
                continue;
            }
            let mut waits = measure(peer, load, file);
            println!(
                "| {what}: {} | {} | {} | {:.1} |",
                peer.kind.name(),
                shown(&mut waits.kept),
                shown(&mut waits.new),
                waits.listings,
            );
        }
    }
}

fn shown(waits: &mut [Duration]) -> String {
    waits.sort();
    let at = |hundredths: usize| waits[waits.len() * hundredths / 100].as_secs_f64() * 1e3;
    format!("{:.2}, {:.2}", at(50), at(99))
}

fn measure(peer: &Peer, load: Load, file: &Path) -> Waits {
    let mut waits = Waits::default();
    let (asked, is_over) = (request(&path_of(file), ""), AtomicBool::new(false));
    let listed = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let _over = Over(&is_over);
        let listers = if load == Load::None { 0 } else { LISTERS };
        for number in 0..listers {
            let (is_over, listed) = (&is_over, &listed);
            scope.spawn(move || list(peer, load, number, is_over, listed));
        }
        let ask = |stream: &mut _| {
            let start = Instant::now();
            fetch(stream, &asked, || false, |_| ());
            start.elapsed()
        };
        let mut kept = connect_to(peer.address);
        ask(&mut kept);
        let start = Instant::now();
        while start.elapsed() < TIME {
            std::thread::sleep(PAUSE);
            waits.kept.push(ask(&mut kept));
            std::thread::sleep(PAUSE);
            let start = Instant::now();
            let mut new = connect_to(peer.address);
            ask(&mut new);
            waits.new.push(start.elapsed());
        }
        waits.listings = listed.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64();
    });
    waits
}

/// Lists the folder again and again.
fn list(peer: &Peer, load: Load, number: u8, is_over: &AtomicBool, listed: &AtomicU64) {
    let from = Ipv4Addr::new(127, 0, 0, 2 + number);
    let path = match (load, peer.kind) {
        (Load::Json, Kind::Nginx) => "/json/many/",
        _ => "/many/",
    };
    let accept = match load {
        Load::Json => "application/json",
        _ => "text/html",
    };
    let asked = request(path, &format!("Accept: {accept}\r\nConnection: close\r\n"));
    let is_over = || is_over.load(Ordering::Relaxed);
    while !is_over() {
        if let Some(bytes) = fetch_to_end(connect_from(from, peer.address), &asked, is_over) {
            assert!(
                bytes > (ENTRIES * 12) as u64,
                "{bytes} bytes are no listing"
            );
            listed.fetch_add(1, Ordering::Relaxed);
        }
    }
}
