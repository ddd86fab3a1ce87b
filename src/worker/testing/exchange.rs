//! The whole exchange with one client, from its first byte to its end, on the scripted socket: what the
//! fuzz target `exchange` holds to. It stands here because nobody else can script a socket.
//!
//! The input is the kind of exchange, a plan, and the client's bytes. They are served twice: at once, and as
//! the plan cuts them. Then
//! - the same bytes are sent, or, where the plan disturbs the exchange, the same up to there;
//! - whoever waits has a deadline, unless it waits for the listing;
//! - nobody is polled without end, and every connection ends;
//! - nothing of it is held at the end: no file, no buffer of the stash, not the listing.

use std::cell::RefCell;

use super::{Bench, Script, on_large_stack};
use crate::files::FileSlot;
use crate::http::HttpConfig;
use crate::limits::BOARD;
use crate::link::Protocol;
use crate::train::Framing;
use crate::worker::conn::activity::Activity;
use crate::worker::conn::connection::Connection;
use crate::worker::conn::state::Wait;
use crate::worker::http::requests::Received;
use crate::worker::next::Next;
use crate::worker::poll;

/// Polls in a row that one connection may need: a turn sends a byte at least, or reads some of a folder.
const POLLS_MAX: usize = 10_000;
/// Deadlines in a row after which a connection whose client does nothing has ended.
const DEADLINES_MAX: usize = 1_000;
/// Steps of the longest plan.
const STEPS_MAX: usize = 100;

/// The files of the root, and their sizes: one that is kept in memory, one in several cars, one that takes
/// several turns.
const FILES: [(&str, usize); 4] = [
    ("a", 5),
    ("b.html", 5_000),
    ("b.html.gz", 4_000),
    ("c", BOARD.turn_bytes + 70_000),
];

/// How a client is served, whatever it sends.
#[derive(Clone, Copy)]
struct Kind {
    protocol: Protocol,
    framing: Framing,
    /// All buffers of the stash are taken by others.
    stash_is_full: bool,
    /// The client sends its end behind its last byte.
    half_closes: bool,
}

impl Kind {
    fn from_byte(byte: u8) -> Self {
        let (protocol, framing) = match byte % 8 {
            0..4 => (Protocol::Http, Framing::Sized),
            4 | 5 => (Protocol::Ask, Framing::Sized),
            6 => (Protocol::Push, Framing::Sized),
            _ => (Protocol::Push, Framing::RawEnd),
        };
        Self {
            protocol,
            framing,
            stash_is_full: byte & 8 != 0,
            half_closes: byte & 16 != 0,
        }
    }
}

/// What was sent, and how much of it before anything disturbed the exchange.
struct Outcome {
    sent: Vec<u8>,
    undisturbed: Option<usize>,
}

/// One client and what it has yet to send.
struct Exchange<'b> {
    bench: &'b mut Bench,
    conn: Connection,
    input: &'b [u8],
    half_closes: bool,
    is_over: bool,
    /// It stands in the queue for the listing, in which no event polls it.
    is_queued: bool,
    /// Another connection has the listing.
    other_holds_listing: bool,
    undisturbed: Option<usize>,
    /// A file is not what it was.
    has_shrunk: bool,
}

thread_local! {
    /// The tables are large, so that one bench serves all inputs, until one fails.
    static BENCH: RefCell<Option<Bench>> = const { RefCell::new(None) };
}

fn new_bench() -> Bench {
    let bench = Bench::new(HttpConfig::default());
    std::fs::create_dir(bench.path("d")).expect("it can be made");
    for number in 0..90 {
        bench.file(&format!("d/{number:0>150}"), b"");
    }
    put_files(&bench);
    bench
}

fn put_files(bench: &Bench) {
    for (name, size) in FILES {
        let bytes: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        bench.file(name, &bytes);
    }
}

/// Holds an input to all of that.
pub(crate) fn check(bytes: &[u8]) {
    let [kind, steps, rest @ ..] = bytes else {
        return;
    };
    let kind = Kind::from_byte(*kind);
    let steps = usize::from(*steps).min(STEPS_MAX).min(rest.len());
    let (plan, input) = rest.split_at(steps);
    let kept = BENCH.take();
    let mut bench = kept.unwrap_or_else(|| on_large_stack(new_bench));
    let alone = Kind {
        stash_is_full: false,
        ..kind
    };
    let whole = serve(&mut bench, alone, &[], input);
    let cut = serve(&mut bench, kind, plan, input);
    assert!(whole.undisturbed.is_none());
    let sent_before = cut.undisturbed.unwrap_or(cut.sent.len());
    let is_same = match cut.undisturbed {
        Some(len) => whole.sent.starts_with(&cut.sent[..len]),
        None => whole.sent == cut.sent,
    };
    // Whether the rest of such a request is waited for depends on when it comes, as it must.
    let mut words = input.windows(6);
    let expects = words.any(|word| word.eq_ignore_ascii_case(b"expect"));
    assert!(
        is_same || expects,
        "cut, up to {sent_before}: {}\nat once: {}",
        cut.sent.escape_ascii(),
        whole.sent.escape_ascii(),
    );
    BENCH.set(Some(bench));
}

/// Serves a client as a plan says, and then whatever it has yet to send.
fn serve(bench: &mut Bench, kind: Kind, plan: &[u8], input: &[u8]) -> Outcome {
    prepare(bench, kind);
    let others = if kind.stash_is_full {
        fill_stash(bench)
    } else {
        Vec::new()
    };
    let conn = bench.connect(kind.protocol);
    let mut exchange = Exchange {
        bench: &mut *bench,
        conn,
        input,
        half_closes: kind.half_closes,
        is_over: false,
        is_queued: false,
        other_holds_listing: false,
        undisturbed: None,
        has_shrunk: false,
    };
    if !plan.is_empty() {
        exchange.bench.socket.room = 0;
        exchange.poll();
    }
    for step in plan {
        exchange.step(*step);
    }
    exchange.finish();
    let (undisturbed, has_shrunk) = (exchange.undisturbed, exchange.has_shrunk);
    empty_stash(bench, others);
    clean_up(bench, has_shrunk);
    Outcome {
        sent: core::mem::take(&mut bench.socket.sent),
        undisturbed,
    }
}

fn prepare(bench: &mut Bench, kind: Kind) {
    bench.socket = Script::new();
    bench.is_draining = false;
    bench.config.framing = kind.framing;
    if kind.protocol == Protocol::Push {
        let found = bench.config.root.find(b"c").expect("it is there");
        bench.store.pushed = bench.store.files.insert(found);
    }
}

/// Gives every buffer of the stash to somebody. It fails where one is taken already.
fn fill_stash(bench: &mut Bench) -> Vec<Connection> {
    let received = Received {
        len: 1,
        is_peeked: false,
    };
    let mut others = Vec::new();
    for _ in 0..BOARD.stashed_requests {
        let mut conn = Connection::FREE;
        let mut socket = &mut bench.socket;
        bench
            .requests
            .stash_from(&mut conn, &mut socket, 0, &received);
        others.push(conn);
    }
    others
}

/// Checks that the bench holds nothing of the client that was served last.
fn clean_up(bench: &mut Bench, has_shrunk: bool) {
    assert!(!bench.listing.is_held());
    let others = fill_stash(bench);
    empty_stash(bench, others);
    let pushed = core::mem::replace(&mut bench.store.pushed, FileSlot::NONE);
    if pushed.is_some() {
        bench.store.files.release(pushed);
    }
    bench.store.cache.clear(&mut bench.store.files);
    assert!(bench.store.files.is_empty(), "a file is still held");
    if has_shrunk {
        put_files(bench);
    }
    // What is told of that concerns no later client.
    bench.store.forget_changed();
}

fn empty_stash(bench: &mut Bench, others: Vec<Connection>) {
    for mut conn in others {
        bench.requests.forget(&mut conn);
    }
}

impl Exchange<'_> {
    fn step(&mut self, step: u8) {
        let amount = usize::from(step >> 4);
        match step & 15 {
            0 => self.receive(1 + amount),
            1 => self.receive(16 << amount.min(10)),
            2 => self.bench.socket.room += 1 + amount,
            3 => self.bench.socket.room += 64 << amount,
            4 => self.bench.socket.per_call = 1 << amount,
            5 => self.bench.socket.unacknowledged = 100 * amount as u64,
            6 | 7 => self.expire(),
            8 => self.take_or_give_listing(),
            9 => self.bench.now_ms += 100 * amount as u64,
            10 => self.shrink(amount),
            11 => self.refuse(),
            12 => self.break_off(),
            13 if amount == 0 => {
                self.disturb();
                self.bench.is_draining = true;
            }
            14 if amount == 0 => {
                self.disturb();
                self.bench.socket.is_reset = true;
            }
            _ => {}
        }
        self.poll();
    }

    /// From now on the bytes may be others than those that are sent at once.
    fn disturb(&mut self) {
        let sent = self.bench.socket.sent.len();
        self.undisturbed.get_or_insert(sent);
    }

    /// The next bytes of the client come.
    fn receive(&mut self, len: usize) {
        let (now, later) = self.input.split_at(len.min(self.input.len()));
        self.input = later;
        if !now.is_empty() {
            self.bench.says(&mut self.conn, now);
        }
    }

    fn poll(&mut self) {
        let mut polls = 0;
        while !self.is_over && !self.is_queued {
            let next = self.bench.with(&mut self.conn, poll::poll);
            if !self.apply(next) {
                return;
            }
            polls += 1;
            assert!(polls < POLLS_MAX, "it is polled without end");
        }
    }

    /// Does what the loop does, and says whether the connection is to be polled again.
    fn apply(&mut self, next: Next) -> bool {
        match next {
            Next::Now | Next::Again => return true,
            Next::Wait if self.bench.is_draining && self.conn.is_asking() => self.refuse(),
            Next::Wait if self.conn.timer.wait() == Wait::NotCached => self.expire(),
            Next::Wait => {
                let wait = self.conn.timer.wait();
                assert_ne!(wait, Wait::None, "it waits without a deadline");
            }
            Next::ForListing => {
                assert!(self.bench.listing.is_held());
                self.conn.timer.stop();
                self.is_queued = true;
            }
            Next::Close => {
                self.bench.end(&mut self.conn);
                // It leaves the queue, too.
                (self.is_over, self.is_queued) = (true, false);
            }
        }
        false
    }

    /// The deadline comes for which the connection waits, if it does.
    fn expire(&mut self) {
        let wait = self.conn.timer.wait();
        if self.is_over || self.is_queued || wait == Wait::None {
            return;
        }
        let may_end = match wait {
            Wait::Stall | Wait::Acknowledge => self.bench.socket.unacknowledged > 0,
            wait => matches!(wait, Wait::Silent | Wait::Request | Wait::Idle),
        };
        if may_end {
            self.disturb();
        }
        let (_, next) = self.bench.expire(&mut self.conn);
        if self.apply(next) {
            self.poll();
        }
    }

    /// Another connection gets the listing, or hands it on.
    fn take_or_give_listing(&mut self) {
        if self.other_holds_listing {
            self.bench.listing.give_back(&mut self.other_holds_listing);
        } else if !self.bench.listing.is_held() {
            self.bench.listing.hand_over(&mut self.other_holds_listing);
        }
        if self.is_queued && !self.bench.listing.is_held() {
            self.is_queued = false;
            self.bench.listing.hand_over(&mut self.conn.holds_listing);
        }
    }

    fn shrink(&mut self, amount: usize) {
        self.disturb();
        self.has_shrunk = true;
        let (name, size) = FILES[amount % FILES.len()];
        let path = self.bench.path(name);
        let file = std::fs::File::options()
            .write(true)
            .open(path)
            .expect("it is there");
        file.set_len((size * (amount / FILES.len()) / 4) as u64)
            .expect("it can be cut");
    }

    fn refuse(&mut self) {
        if self.is_over || !self.conn.is_asking() {
            return;
        }
        self.disturb();
        let next = self.bench.with(&mut self.conn, poll::refuse);
        // The loop ends whatever does not linger.
        let next = if next == Next::Wait {
            next
        } else {
            Next::Close
        };
        self.apply(next);
    }

    /// The root is let go.
    fn break_off(&mut self) {
        if self.is_over || !self.conn.file.is_some() {
            return;
        }
        self.disturb();
        let next = self.bench.with(&mut self.conn, poll::break_off);
        if self.apply(next) {
            self.poll();
        }
    }

    /// Everything comes that has not come, and then nothing more.
    fn finish(&mut self) {
        let socket = &mut self.bench.socket;
        (socket.room, socket.per_call, socket.unacknowledged) = (usize::MAX, usize::MAX, 0);
        self.receive(usize::MAX);
        if self.half_closes {
            self.bench.socket.is_at_end = true;
            (self.conn.has_unread, self.conn.is_hung_up) = (true, true);
        }
        if self.other_holds_listing {
            self.take_or_give_listing();
        }
        // What its deadlines do now they do in any case.
        let undisturbed = self.undisturbed;
        self.poll();
        for _ in 0..DEADLINES_MAX {
            self.expire();
        }
        self.undisturbed = undisturbed;
        assert!(self.is_over, "it never ends");
        assert!(matches!(self.conn.activity, Activity::Closed));
        assert!(!self.conn.file.is_some() && !self.conn.stash.is_some());
        assert!(!self.conn.holds_listing && self.conn.timer.wait() == Wait::None);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::worker::testing::{ask, car, get, get_with};

    #[test]
    fn the_corpus_holds() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus/exchange");
        let mut count = 0;
        for entry in fs::read_dir(corpus).expect("it is there") {
            let path = entry.expect("an entry").path();
            println!("{}", path.display()); // shown if it fails
            check(&fs::read(&path).expect("a file"));
            count += 1;
        }
        assert!(count >= 5);
    }

    /// What clients send: whole requests of all kinds, and what is none.
    fn sayings() -> Vec<Vec<u8>> {
        let ranges = "Range: bytes=1-2,5-3000,4000-\r\n";
        let old = b"GET /d/ HTTP/1.0\r\n\r\n";
        let part = [car(b"c"), car(&70_000_u64.to_le_bytes()), car(b"")].concat();
        vec![
            get("/a"),
            get("/b.html"),
            get_with("/b.html", "Accept-Encoding: gzip\r\n"),
            get("/c"),
            get_with("/c", "Range: bytes=70000-\r\n"),
            get_with("/b.html", ranges),
            get("/d/"),
            get("/d/?json&limit=3"),
            get("/d"),
            get("/none"),
            get_with("/a", "Connection: close\r\n"),
            get_with("/a", "Content-Length: 9\r\n"),
            b"123456789".to_vec(),
            old.to_vec(),
            b"no request\r\n\r\n".to_vec(),
            ask("a"),
            ask("c"),
            ask("d"),
            ask("../a"),
            ask("none"),
            part,
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn however_it_is_cut_an_exchange_is_the_same(
            kind in any::<u8>(),
            plan in prop::collection::vec(any::<u8>(), 0..STEPS_MAX),
            said in prop::collection::vec(prop::sample::select(sayings()), 0..4),
        ) {
            check(&[&[kind, plan.len() as u8], &plan[..], &said.concat()].concat());
        }
    }
}
