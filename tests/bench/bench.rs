//! Measures trainyard against small reference servers, on loopback: `tests/bench/run`; its two pools
//! against each other: `tests/bench/pools`; and against other HTTP servers: `tests/bench/http`.
//!
//! Figures of one run can be compared with each other only: all servers take turns, round by round,
//! and a ratio is the median of the rounds' ratios, so that whatever else the machine does meanwhile
//! meets all of them alike.
#![allow(unreachable_pub)] // as in the tests, whose harness makes everything reachable

mod client;
#[path = "../common/mod.rs"]
mod common;
mod fair;
mod http;
mod http_client;
mod latency;
mod measure;
mod peers;
mod pools;
mod reference;
mod table;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use common::program;
use common::server::Server;
use measure::{Cost, Rounds};

/// Large enough that neither the start of a connection nor its end matters; it stays cached.
const LARGE_BYTES: usize = 256 << 20;
/// How long a server sends the large file, over and over, in each round.
const LARGE_TIME: Duration = Duration::from_millis(600);
/// One car.
const SMALL_BYTES: usize = 1000;
/// Connections of a round under load, and how many of them are open at once.
const BUSY_CONNECTIONS: usize = 2500;
const BUSY_AT_ONCE: usize = 64;
/// Connections of a round in which each comes alone, and the quiet time after each: much longer
/// than any board's `gather_us`.
const QUIET_CONNECTIONS: usize = 500;
const QUIET_TIME: Duration = Duration::from_millis(2);

const ROUNDS: usize = 7;
/// What the train must reach: so many times one send() a car, and so much of a sendfile loop.
const LEAST_OF_SENDS: f64 = 8.0;
const LEAST_OF_SENDFILE: f64 = 0.4;

/// What is measured.
enum What {
    Train,
    Pools,
    Http,
}

struct Options {
    what: What,
    rounds: Option<usize>,
    check: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["--reference", kind, file] = words[..] {
        reference::serve(kind, Path::new(file));
    }
    let mut options = Options {
        what: What::Train,
        rounds: None,
        check: false,
    };
    let mut is_wanted = false;
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match *word {
            // Cargo says so when it is to measure; without it, it only tests that this starts.
            "--bench" => is_wanted = true,
            "--check" => options.check = true,
            "--pools" => options.what = What::Pools,
            "--http" => options.what = What::Http,
            "--rounds" => match rest.next().and_then(|number| number.parse().ok()) {
                Some(rounds @ 1..=100) => options.rounds = Some(rounds),
                _ => return fail("--rounds needs a number from 1 to 100"),
            },
            other => return fail(&format!("unknown option {other}")),
        }
    }
    if !is_wanted {
        println!("nothing measured: start me by tests/bench/run");
        return ExitCode::SUCCESS;
    }
    match options.what {
        What::Train => return run(options.rounds.unwrap_or(ROUNDS), options.check),
        What::Pools => pools::run(options.rounds.unwrap_or(ROUNDS)),
        What::Http => http::run(options.rounds.unwrap_or(http::ROUNDS)),
    }
    ExitCode::SUCCESS
}

fn fail(reason: &str) -> ExitCode {
    eprintln!("bench: {reason}");
    ExitCode::from(2)
}

fn run(rounds: usize, check: bool) -> ExitCode {
    let folder = tempfile::tempdir().unwrap();
    let (large, small) = (folder.path().join("large"), folder.path().join("small"));
    common::random_file(&large, 1, LARGE_BYTES);
    common::random_file(&small, 2, SMALL_BYTES);

    table::print_conditions(rounds);
    let trains = measure_trains(&large, rounds);
    let (of_sends, of_sendfile) = table::print_trains(&trains);
    let connections = measure_connections(&small, rounds);
    table::print_connections(&connections);

    let mut reached = true;
    for (what, ratio, least) in [
        (
            "of one send() per car (TCP_NODELAY)",
            of_sends,
            LEAST_OF_SENDS,
        ),
        ("of a bare sendfile loop", of_sendfile, LEAST_OF_SENDFILE),
    ] {
        let verdict = if ratio >= least { "reached" } else { "MISSED" };
        println!("- train throughput {ratio:.2} {what}; at least {least} is required: {verdict}");
        reached &= ratio >= least;
    }
    ExitCode::from(u8::from(check && !reached))
}

/// The train's throughput and cost, in the order of [`table::TRAINS`].
fn measure_trains(large: &Path, rounds: usize) -> Rounds {
    let ask = client::request(large);
    let cars = client::train_bytes(large);
    let root = large.parent().unwrap();
    let servers = [
        (reference("send-per-car", large), None, cars),
        (reference("send-per-car-gathered", large), None, cars),
        (reference("sendfile", large), None, LARGE_BYTES as u64),
        (
            Server::push(large, "sized", &["--workers", "1"]),
            None,
            cars,
        ),
        (
            Server::start(root, &["--workers", "1"]),
            Some(ask),
            cars + client::ASK_HEAD_MORE,
        ),
    ];
    let rounds = measure::interleave(servers.len(), rounds, |turn| {
        let (server, request, expected) = &servers[turn];
        Cost::of(&server.processes(), || {
            client::download(server.address(), request.as_deref(), *expected, LARGE_TIME)
        })
    });
    servers.into_iter().for_each(|(server, ..)| drop(server));
    rounds
}

/// What a connection costs, in the order of [`table::CONNECTIONS`].
fn measure_connections(small: &Path, rounds: usize) -> Rounds {
    let expected = client::train_bytes(small);
    let busy = (BUSY_CONNECTIONS, BUSY_AT_ONCE, Duration::ZERO);
    let quiet = (QUIET_CONNECTIONS, 1, QUIET_TIME);
    let trainyard = || Server::push(small, "sized", &["--workers", "1"]);
    let servers = [
        (reference("direct", small), busy),
        (reference("passed-singly", small), busy),
        (trainyard(), busy),
        (reference("direct", small), quiet),
        (trainyard(), quiet),
    ];
    measure::interleave(servers.len(), rounds, |turn| {
        let (server, (count, at_once, pause)) = &servers[turn];
        Cost::of(&server.processes(), || {
            client::connect_often(server.address(), *count, *at_once, *pause, expected)
        })
    })
}

/// Starts a reference server: this program in another role.
fn reference(kind: &str, file: &Path) -> Server {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--reference", kind]).arg(file);
    Server::from_command(command)
}

/// The server's own first line about itself: version, board, target.
fn version() -> String {
    let output = program::command("trainyard")
        .arg("--version")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().next().unwrap_or_default().to_owned()
}
