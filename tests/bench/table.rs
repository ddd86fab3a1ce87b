//! What src/README.md can show: Markdown tables. What is compared stands in one column only, so that no two
//! of them seem to say different things.

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
    let push = |other| rounds.ratio(PUSH, other, Cost::rate);
    println!(
        "\n| a large cached file to one client | throughput, one `send()` per car = 1 | CPU per byte, bare `sendfile` = 1 |"
    );
    println!("| --- | ---: | ---: |");
    for (server, name) in TRAINS.iter().enumerate() {
        println!(
            "| {name} | {:.2} | {:.2} |",
            rounds.ratio(server, SEND_PER_CAR, Cost::rate),
            rounds.ratio(server, SENDFILE, Cost::cpu),
        );
    }
    println!(
        "\n1 is {:.0} MB/s, and {:.0} ms per GB. trainyard's push has {:.2} of the throughput of one `send()` per \
         car that the kernel gathers, and {:.2} of that of bare `sendfile`.",
        rounds.median(SEND_PER_CAR, Cost::rate) / 1e6,
        rounds.median(SENDFILE, Cost::cpu) * 1e12,
        push(SEND_GATHERED),
        push(SENDFILE),
    );
    (push(SEND_PER_CAR), push(SENDFILE))
}

/// Prints the connections' table.
pub fn print_connections(rounds: &Rounds) {
    println!("\n| CPU of a short connection, a file of one car | accepted directly = 1 | 1 is |");
    println!("| --- | ---: | ---: |");
    for (server, (name, direct)) in CONNECTIONS.iter().enumerate() {
        println!(
            "| {name} | {:.2} | {:.0} ms per 10,000 |",
            rounds.ratio(server, *direct, Cost::cpu),
            rounds.median(*direct, Cost::cpu) * 1e7,
        );
    }
    println!();
}
