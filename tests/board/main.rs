//! A whole board, from power-on to power cut: `board/image` makes its card, QEMU is the board, and the
//! clients are outside.
//!
//! Needs QEMU's system emulation, whose folder TRAINYARD_EMULATOR names: `tests/run board` sets up all.

#![allow(missing_docs)] // a test's name is its documentation

mod cards;
#[path = "../common/mod.rs"]
mod common;
mod largest;
mod machine;
mod visitor;

use crate::common::assert_bytes;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use cards::{Card, Held};
use common::ask::Failure;
use common::client::is_cut;
use common::http::{content_range, get};
use common::{Over, at_once, checksum, wait_until};
use largest::{Kind, Largest, MODIFIED};
use machine::{Board, Machine, Model};
use visitor::{Got, Visitor};

const CLIENTS: usize = 200;
/// Those that ask all the time while the card is pulled, half of them by train.
const ASKING: usize = 16;
/// A card is missed within a second, and found within two; this machine may be busy.
const SWAP_MAX: Duration = Duration::from_secs(20);

/// One board at a time: each is a few busy threads.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Every file, by HTTP and by train, and parts of them; their ETags.
#[track_caller]
fn check_files(board: &Board, files: &[Held]) -> BTreeMap<&'static str, String> {
    let check = |held: &Held| {
        let answer = board.get(&held.target(), &[]);
        assert_eq!(answer.status, 200, "{}", answer.shown());
        assert_eq!(
            checksum(&answer.body),
            checksum(&held.bytes),
            "{}",
            held.name
        );
        let train = board.ask(held.name, &[]).unwrap();
        assert_eq!(
            checksum(&train.data),
            checksum(&held.bytes),
            "{}",
            held.name
        );
        check_ranges(board, held);
        (held.name, answer.field("etag").unwrap().to_string())
    };
    files.iter().map(check).collect()
}

#[track_caller]
fn check_ranges(board: &Board, held: &Held) {
    let size = held.bytes.len();
    if size == 0 {
        return;
    }
    let (first, last) = (size / 3, (size / 3 + 70_000).min(size - 1));
    let wanted = &held.bytes[first..=last];
    let range = format!("Range: bytes={first}-{last}");
    let answer = board.get(&held.target(), &[&range]);
    assert_eq!(answer.status, 206, "{}", answer.shown());
    let numbers = content_range(answer.field("content-range").unwrap());
    assert_eq!(numbers, (first as u64, last as u64, size as u64));
    assert_bytes(&answer.body, wanted, format_args!("{} {range}", held.name));
    let train = board
        .ask(held.name, &[first as u64, wanted.len() as u64])
        .unwrap();
    assert!(
        train.data == wanted && train.size == size as u64,
        "{} {range}",
        held.name
    );
}

/// Many clients at once, half of them by train: each comes with a small wish, and when all are there, all
/// ask for more.
#[track_caller]
fn check_many(board: Board, files: &[Held]) {
    common::server::raise_open_files();
    let visitors: Vec<Mutex<Visitor>> = (0..CLIENTS)
        .map(|number| {
            let mut visitor = Visitor::new(board, number % 2 == 0);
            assert_eq!(visitor.fetch(&files[1]), Got::Whole, "client {number}");
            Mutex::new(visitor)
        })
        .collect();
    let go = Barrier::new(CLIENTS);
    at_once(CLIENTS, |number| {
        let mut visitor = visitors[number].lock().unwrap();
        go.wait();
        for turn in 0..3 {
            // The largest is for others.
            let held = &files[(number / 2 + turn * 3) % (files.len() - 1)];
            assert_eq!(
                visitor.fetch(held),
                Got::Whole,
                "client {number}: {}",
                held.name
            );
        }
    });
}

/// What clients got while the card came and went.
#[derive(Default, Debug)]
struct Tally {
    whole: AtomicUsize,
    short: AtomicUsize,
    told: AtomicUsize,
}

impl Tally {
    fn count(&self, got: &Got) {
        let counter = match got {
            Got::Whole => &self.whole,
            Got::Short => &self.short,
            Got::Told => &self.told,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Waits until a file is not served any more, and that is told as it should be.
#[track_caller]
fn wait_until_gone(board: &Board, held: &Held) {
    wait_until("the server misses the card", SWAP_MAX, || {
        board
            .try_get(&held.target(), &[])
            .is_ok_and(|answer| answer.status == 503)
    });
    let answer = board.get(&held.target(), &[]);
    assert_eq!(answer.status, 503);
    assert!(answer.field("retry-after").is_some(), "{}", answer.shown());
    match board.ask(held.name, &[]) {
        Err(Failure::Fault(5)) => {}
        other => panic!("{other:?} instead of car -5"),
    }
}

#[track_caller]
fn wait_until_back(board: &Board, target: &str) {
    wait_until("the server finds the card", SWAP_MAX, || {
        board
            .try_get(target, &[])
            .is_ok_and(|answer| answer.status == 200)
    });
}

/// Pulls the card and puts it back, again and again, while clients ask for its files all the time.
fn swap_under_load(machine: &mut Machine, card: &Card, rounds: usize) {
    let (board, tally, is_over) = (machine.board, Tally::default(), AtomicBool::new(false));
    let small = &card.files[1];
    std::thread::scope(|scope| {
        let _over = Over(&is_over);
        for number in 0..ASKING {
            let held = &card.files[number % card.files.len()];
            let (tally, is_over) = (&tally, &is_over);
            scope.spawn(move || {
                let mut visitor = Visitor::new(board, number % 2 == 0);
                while !is_over.load(Ordering::Relaxed) {
                    let got = visitor.fetch(held);
                    tally.count(&got);
                    if got != Got::Whole {
                        std::thread::sleep(Duration::from_millis(50));
                    }
                }
            });
        }
        for _ in 0..rounds {
            wait_for_more(&tally.whole, 2 * ASKING);
            machine.pull_card("card");
            let pulled = Instant::now();
            wait_until_gone(&board, small);
            let gone = pulled.elapsed();
            wait_for_more(&tally.told, 2 * ASKING);
            machine.put_in_card("card", &card.image);
            let put_in = Instant::now();
            wait_until_back(&board, &small.target());
            eprintln!(
                "pulled: told after {gone:.1?}; put in: served after {:.1?}",
                put_in.elapsed()
            );
        }
        wait_for_more(&tally.whole, 2 * ASKING);
    });
    eprintln!("clients meanwhile: {tally:?}");
    assert_eq!(
        lines_of(&machine.console(), "server: started"),
        1,
        "no restart"
    );
}

#[track_caller]
fn wait_for_more(counter: &AtomicUsize, more: usize) {
    let wanted = counter.load(Ordering::Relaxed) + more;
    wait_until("clients get on", SWAP_MAX, || {
        counter.load(Ordering::Relaxed) >= wanted
    });
}

fn lines_of(console: &str, part: &str) -> usize {
    console.lines().filter(|line| line.contains(part)).count()
}

#[test]
fn a_board_serves_its_card_whatever_happens_to_it_and_never_writes() {
    let _turn = turn();
    let card = Card::make(&[]);
    let before = card.checksum();
    let mut machine = Machine::start(Model::Virt, &card.image);
    machine.wait_for_start();
    let first = machine.board.get(&card.files[1].target(), &[]);
    assert_eq!(first.body, card.files[1].bytes);
    eprintln!("power-on to first byte: {:.1?}", machine.age());
    let tags = check_files(&machine.board, &card.files);
    check_many(machine.board, &card.files);
    swap_under_load(&mut machine, &card, 2);
    assert_eq!(
        check_files(&machine.board, &card.files),
        tags,
        "after the card was out"
    );
    cut_power_under_load(machine, &card);
    assert!(
        card.checksum() == before,
        "the power cut has changed the card"
    );

    let machine = Machine::start(Model::Virt, &card.image);
    machine.wait_for_start();
    assert_eq!(
        check_files(&machine.board, &card.files),
        tags,
        "after the power cut"
    );
    let console = machine.restart();
    assert!(console.contains("card: 0 sectors written"), "{console}");
    assert!(console.contains("reboot: Restarting system"), "{console}");
    assert!(card.checksum() == before, "the card has changed");
}

/// Ends the board in the middle of transfers.
fn cut_power_under_load(machine: Machine, card: &Card) {
    let board = machine.board;
    let large = &card.files[card.files.len() - 1];
    let mut clients: Vec<_> = (0..8).map(|_| board.http().unwrap()).collect();
    for client in &mut clients {
        client.send(&get(&large.target(), &[]));
        assert!(client.take(100_000).is_ok(), "a transfer has begun");
    }
    machine.cut_power();
    for client in &mut clients {
        let rest = client.take(large.bytes.len());
        // Nobody has got what was not sent.
        assert!(is_cut(&rest.unwrap_err()));
    }
}

#[test]
fn fat_and_exfat_cards_are_swapped_and_their_largest_file_is_served_to_its_end() {
    let _turn = turn();
    let fixed = [
        "--address",
        "10.0.2.15/24",
        "--gateway",
        "10.0.2.2",
        "--name",
        "films",
    ];
    let card = Card::make(&[&["--fat"], &fixed[..]].concat());
    let before = card.checksum();
    let mut machine = Machine::start(Model::Virt, &card.image);
    machine.wait_for_start();
    let board = machine.board;
    assert_eq!(
        lines_of(&machine.console(), "looking for an address"),
        0,
        "it was given one"
    );
    let tags = check_files(&board, &card.files);
    check_listing(&board);

    // Faster than anybody can look.
    for pause_ms in [0, 50, 300, 600, 1200] {
        machine.pull_card("card");
        std::thread::sleep(Duration::from_millis(pause_ms));
        machine.put_in_card("card", &card.image);
        std::thread::sleep(Duration::from_millis(pause_ms));
    }
    wait_until_settled(&board, &card.files[1]);
    machine.pull_card("card");
    wait_until_none(&board);
    for kind in [Kind::Fat, Kind::Exfat] {
        swap_largest(&mut machine, kind);
    }
    machine.put_in_card("card", &card.image);
    wait_until_back(&board, &card.files[1].target());
    assert_eq!(
        check_files(&board, &card.files),
        tags,
        "the first card again"
    );
    assert_eq!(
        lines_of(&machine.console(), "server: started"),
        1,
        "no restart"
    );
    assert!(machine.restart().contains("card: 0 sectors written"));
    assert!(card.checksum() == before, "the card has changed");
}

/// Names that are not ASCII come as UTF-8.
#[track_caller]
fn check_listing(board: &Board) {
    let answer = board.get("/folder/", &["Accept: application/json"]);
    let text = String::from_utf8(answer.body).unwrap();
    assert!(text.contains("Bücher & Züge.txt"), "{text}");
}

/// Puts a card in, pulls it, puts it in again, and pulls it.
fn swap_largest(machine: &mut Machine, kind: Kind) {
    let largest = Largest::make(kind);
    let tags = [(); 2].map(|()| {
        machine.put_in_card("largest", &largest.image);
        wait_until_back(&machine.board, "/");
        machine.wait_for_line("the card", kind.mounted());
        let tag = check_largest(&machine.board, &largest);
        machine.pull_card("largest");
        wait_until_none(&machine.board);
        tag
    });
    assert_eq!(tags[0], tags[1], "{kind:?}");
}

/// Waits until a file has been served for a while, as the kernel may yet be about to miss its card.
#[track_caller]
fn wait_until_settled(board: &Board, held: &Held) {
    let mut since = Instant::now();
    wait_until("the card stays", SWAP_MAX, || {
        let got = Visitor::new(*board, false).fetch(held);
        if got != Got::Whole {
            since = Instant::now();
        }
        since.elapsed() > Duration::from_secs(3)
    });
}

#[track_caller]
fn wait_until_none(board: &Board) {
    wait_until("the server misses the card", SWAP_MAX, || {
        board
            .try_get("/", &[])
            .is_ok_and(|answer| answer.status == 503)
    });
}

/// The last bytes of the file, and its time, which is UTC where the card knows no zone; its ETag.
#[track_caller]
fn check_largest(board: &Board, largest: &Largest) -> String {
    let (size, count) = (largest.size, largest.tail.len() as u64);
    let answer = board.get("/LARGEST.BIN", &[&format!("Range: bytes=-{count}")]);
    assert_eq!(answer.status, 206, "{}", answer.shown());
    let numbers = content_range(answer.field("content-range").unwrap());
    assert_eq!(numbers, (size - count, size - 1, size));
    assert_bytes(&answer.body, &largest.tail, "the last bytes");
    assert_eq!(answer.field("last-modified"), Some(MODIFIED));
    let train = board.ask("LARGEST.BIN", &[size - count]).unwrap();
    assert_bytes(&train.data, &largest.tail, "by train");
    assert_eq!(train.size, size);
    answer.field("etag").unwrap().to_string()
}

#[test]
fn a_server_that_ends_is_started_again_ever_less_often_and_says_what_is_wrong() {
    let _turn = turn();
    let card = Card::make(&[]);
    card.set_settings("address = nowhere\r\n# mine\r\nspeed = 7\r\n");
    let machine = Machine::start(Model::Virt, &card.image);
    machine.wait_for_line("the last pause that is tried", "again in 1000 ms");
    let console = machine.console();
    for part in [
        "settings: trainyard.txt:1: address = nowhere: must be",
        "/run/trainyard.conf:3: speed: no such option",
        "server: ended code 2; again in 250 ms",
        "server: ended code 2; again in 500 ms",
    ] {
        assert!(console.contains(part), "{part} is not in {console}");
    }
    assert_eq!(lines_of(&console, "server: started"), 3);
    let console = machine.restart();
    assert!(console.contains("card: 0 sectors written"), "{console}");
}

#[test]
fn a_raspberry_pi_3_boots_and_serves() {
    let _turn = turn();
    let card = Card::make(&[]);
    let machine = Machine::start(Model::Raspi3b, &card.image);
    machine.wait_for_start();
    let held = card
        .files
        .iter()
        .find(|held| held.bytes.len() == 70_001)
        .unwrap();
    let answer = machine.board.get(&held.target(), &[]);
    eprintln!("Pi 3: power-on to first byte: {:.1?}", machine.age());
    assert_bytes(&answer.body, &held.bytes, "the body");
    machine.cut_power();
}

#[test]
fn an_image_that_could_not_work_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::create_dir(path("films")).unwrap();
    nix::unistd::mkfifo(&*path("films/pipe"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    for (options, words) in [
        ("--address 192.168.1.256/24", "as 192.168.1.50/24"),
        ("--address 192.168.1.50/33", "as 192.168.1.50/24"),
        ("--gateway 192.168.1.1", "give --address, too"),
        ("--name films-", "--name films-"),
        ("--free 08", "--free 08: must be"),
        ("--fat FILMS", "pipe: neither a file nor a folder"),
        ("NONE", "no such folder"),
    ] {
        let options = options.replace("FILMS", &path("films"));
        let options = options.replace("NONE", &path("none"));
        let output = std::process::Command::new("board/image")
            .args(["-o", &path("image")])
            .args(options.split(' '))
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{options}: {error}");
        assert!(error.contains(words), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}
