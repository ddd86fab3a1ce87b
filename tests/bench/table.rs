//! What the README can show: Markdown tables.

use super::measure::{Cost, Rounds};

/// The servers of the train's table, in their order.
pub const TRAINS: [&str; 5] = [
    "reference: one send() per car, TCP_NODELAY",
    "reference: one send() per car, gathered by the kernel",
    "reference: bare sendfile loop, no cars",
    "trainyard, push",
    "trainyard, ask",
];
const SEND_PER_CAR: usize = 0;
const SEND_GATHERED: usize = 1;
const SENDFILE: usize = 2;
const PUSH: usize = 3;

/// The servers of the connections' table, in their order, and what each is compared with.
pub const CONNECTIONS: [(&str, usize); 5] = [
    ("busy, reference: accepted directly", BUSY_DIRECT),
    ("busy, reference: passed singly", BUSY_DIRECT),
    ("busy, trainyard: passed in made batches", BUSY_DIRECT),
    ("quiet, reference: accepted directly", QUIET_DIRECT),
    ("quiet, trainyard: passed singly", QUIET_DIRECT),
];
const BUSY_DIRECT: usize = 0;
const QUIET_DIRECT: usize = 3;

/// Prints what the figures depend on.
pub fn print_conditions(rounds: usize) {
    let read = |path: &str| {
        let text = std::fs::read_to_string(path).unwrap_or_else(|_| "unknown".into());
        text.trim().to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "{}. Linux {}, {cores} cores, congestion control {}, loopback, {rounds} rounds.",
        super::version(),
        read("/proc/sys/kernel/osrelease"),
        read("/proc/sys/net/ipv4/tcp_congestion_control"),
    );
}

/// Prints the train's table. Returns the push train's throughput as a multiple of one send() per
/// car, and as a part of sendfile.
pub fn print_trains(rounds: &Rounds) -> (f64, f64) {
    println!(
        "\n| one client, a large cached file | MB/s | of one send() per car | of the same, gathered | of sendfile | CPU ms per GB | of sendfile |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for (server, name) in TRAINS.iter().enumerate() {
        println!(
            "| {name} | {:.0} | {:.2} | {:.2} | {:.2} | {:.0} | {:.2} |",
            rounds.median(server, Cost::rate) / 1e6,
            rounds.ratio(server, SEND_PER_CAR, Cost::rate),
            rounds.ratio(server, SEND_GATHERED, Cost::rate),
            rounds.ratio(server, SENDFILE, Cost::rate),
            rounds.median(server, Cost::cpu) * 1e12,
            rounds.ratio(server, SENDFILE, Cost::cpu),
        );
    }
    (
        rounds.ratio(PUSH, SEND_PER_CAR, Cost::rate),
        rounds.ratio(PUSH, SENDFILE, Cost::rate),
    )
}

/// Prints the connections' table.
pub fn print_connections(rounds: &Rounds) {
    println!(
        "\n| short connections, a file of one car | connections per s | CPU ms per 10,000 | of direct |"
    );
    println!("| --- | ---: | ---: | ---: |");
    for (server, (name, direct)) in CONNECTIONS.iter().enumerate() {
        println!(
            "| {name} | {:.0} | {:.0} | {:.2} |",
            rounds.median(server, Cost::rate),
            rounds.median(server, Cost::cpu) * 1e7,
            rounds.ratio(server, *direct, Cost::cpu),
        );
    }
    println!();
}
