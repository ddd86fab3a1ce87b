use super::*;
use crate::limits::BOARD;
use crate::train::Framing;
use crate::worker::testing::{END, ask, car, get, on_bench};

/// A file that no test's socket takes whole.
const LARGE: [u8; 5000] = [7; 5000];

#[test]
fn who_asks_for_nothing_is_closed_without_a_word() {
    for protocol in [Protocol::Http, Protocol::Ask] {
        on_bench(move |bench| {
            let mut conn = bench.connect(protocol);
            assert_eq!(bench.poll(&mut conn), Next::Wait);
            let (wait, next) = bench.expire(&mut conn);
            assert_eq!(wait, Wait::Silent);
            if protocol == Protocol::Http {
                assert_eq!((next, bench.socket.sends), (Next::Close, 0));
            } else {
                // The train protocol says so.
                assert_eq!(next, Next::Now);
                assert_eq!(bench.poll(&mut conn), Next::Wait);
                assert_eq!(bench.socket.sent, Fault::TooSlow.car());
            }
        });
    }
}

#[test]
fn half_a_request_over_http_times_out_with_408() {
    on_bench(|bench| {
        let mut conn = bench.connect(Protocol::Http);
        bench.socket.says(b"GET / HTTP/1.1\r\n");
        assert_eq!(bench.poll(&mut conn), Next::Wait);
        assert_eq!(bench.expire(&mut conn), (Wait::Request, Next::Wait));
        let sent = bench.socket.take_sent();
        assert!(
            sent.starts_with("HTTP/1.1 408 Request Timeout\r\n"),
            "{sent}"
        );
        assert!(sent.contains("\r\nConnection: close\r\n"));
        assert!(bench.socket.is_shut_down && !conn.stash.is_some());
        assert_eq!(conn.timer.wait(), Wait::Linger);
    });
}

#[test]
fn the_deadline_of_a_request_does_not_begin_anew_with_each_piece() {
    on_bench(|bench| {
        let mut conn = bench.connect(Protocol::Http);
        bench.socket.says(b"GET / HT");
        assert_eq!(bench.poll(&mut conn), Next::Wait);
        conn.timer.stop();
        conn.timer.start(Wait::Request);
        let before = conn.timer;
        bench.says(&mut conn, b"TP/1.1\r\n");
        assert_eq!(bench.poll(&mut conn), Next::Wait);
        assert_eq!(conn.timer.wait(), before.wait());
        assert_eq!(bench.expire(&mut conn).0, Wait::Request);
    });
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    on_bench(|bench| {
        bench.file("a", b"hello");
        for protocol in [Protocol::Http, Protocol::Ask] {
            let mut conn = bench.connect(protocol);
            let request = match protocol {
                Protocol::Http => get("/a"),
                _ => ask("a"),
            };
            bench.says(&mut conn, &request);
            assert_eq!(bench.run(&mut conn), Next::Wait);
            bench.socket.take_sent();
            assert_eq!(bench.expire(&mut conn), (Wait::Idle, Next::Close));
            assert_eq!(bench.socket.take_sent(), "");
        }
    });
}

#[test]
fn a_client_that_reads_nothing_is_closed_and_one_that_reads_is_not() {
    on_bench(|bench| {
        bench.file("a", &LARGE);
        let mut conn = bench.connect(Protocol::Ask);
        bench.socket.room = 2000;
        bench.socket.says(&ask("a"));
        assert_eq!(bench.poll(&mut conn), Next::Wait);
        bench.socket.unacknowledged = 1000;
        assert_eq!(bench.expire(&mut conn), (Wait::Stall, Next::Wait));
        assert_eq!(conn.timer.wait(), Wait::Stall);
        // Nothing was acknowledged since.
        assert_eq!(bench.expire(&mut conn), (Wait::Stall, Next::Close));
    });
}

#[test]
fn a_client_that_has_everything_is_polled_again() {
    on_bench(|bench| {
        bench.file("a", &LARGE);
        let mut conn = bench.connect(Protocol::Ask);
        bench.socket.room = 2000;
        bench.socket.says(&ask("a"));
        assert_eq!(bench.poll(&mut conn), Next::Wait);
        assert_eq!(bench.expire(&mut conn), (Wait::Stall, Next::Again));
        assert_eq!(conn.timer.wait(), Wait::Stall);
    });
}

#[test]
fn a_slow_client_gives_way_only_to_newcomers() {
    for newcomers in [0, 1] {
        on_bench(move |bench| {
            bench.file("a", &LARGE);
            let mut conn = bench.connect(Protocol::Ask);
            bench.socket.room = 2000;
            bench.socket.says(&ask("a"));
            assert_eq!(bench.poll(&mut conn), Next::Wait);
            bench.socket.unacknowledged = 1999;
            bench.config.gauges.set_waiting(newcomers);
            let expected = if newcomers > 0 {
                Next::Close
            } else {
                Next::Wait
            };
            assert_eq!(bench.expire(&mut conn), (Wait::Stall, expected));
        });
    }
}

#[test]
fn who_lingers_is_closed_when_all_is_acknowledged() {
    on_bench(|bench| {
        let mut conn = bench.connect(Protocol::Http);
        bench.socket.unacknowledged = 30;
        bench.socket.says(b"no request\r\n\r\nmore of it");
        assert_eq!(bench.poll(&mut conn), Next::Wait);
        assert!(bench.socket.is_shut_down && bench.socket.incoming.is_empty());
        assert_eq!(conn.timer.wait(), Wait::Linger);
        // It still reads: it has as long as it goes on.
        assert_eq!(bench.expire(&mut conn), (Wait::Linger, Next::Wait));
        bench.socket.unacknowledged = 20;
        assert_eq!(bench.expire(&mut conn), (Wait::Linger, Next::Wait));
        bench.socket.unacknowledged = 0;
        assert_eq!(bench.expire(&mut conn), (Wait::Linger, Next::Close));
    });
}

#[test]
fn who_lingers_and_reads_nothing_is_closed_after_a_stall() {
    on_bench(|bench| {
        let mut conn = bench.connect(Protocol::Http);
        bench.socket.unacknowledged = u64::MAX;
        bench.socket.says(b"no request\r\n\r\n");
        assert_eq!(bench.poll(&mut conn), Next::Wait);
        let mut looks = 0;
        while bench.expire(&mut conn) == (Wait::Linger, Next::Wait) {
            looks += 1;
        }
        assert_eq!(looks, BOARD.stall_ms.div_ceil(BOARD.linger_ms) - 1);
    });
}

#[test]
fn who_lingers_may_send_so_much_and_no_more() {
    on_bench(|bench| {
        let mut conn = bench.connect(Protocol::Http);
        bench.socket.says(b"no request\r\n\r\n");
        assert_eq!(bench.poll(&mut conn), Next::Wait);
        bench.says(&mut conn, &vec![b'x'; BOARD.linger_bytes - 1]);
        assert_eq!(bench.poll(&mut conn), Next::Wait);
        bench.says(&mut conn, b"x");
        assert_eq!(bench.poll(&mut conn), Next::Close);
    });
}

#[test]
fn the_end_car_of_raw_end_comes_when_all_was_acknowledged() {
    on_bench(|bench| {
        bench.file("a", b"hello");
        bench.config.framing = Framing::RawEnd;
        let found = bench.config.root.find(b"a").expect("it is there");
        bench.store.pushed = bench.store.files.insert(found);
        let mut conn = bench.connect(Protocol::Push);
        assert_eq!(bench.poll(&mut conn), Next::Wait);
        let expected = [&car(b"a")[..], &car(&5_u64.to_le_bytes()), b"hello"].concat();
        assert_eq!(bench.socket.sent, expected);
        bench.socket.unacknowledged = 3;
        assert_eq!(bench.expire(&mut conn), (Wait::Acknowledge, Next::Wait));
        bench.socket.unacknowledged = 0;
        assert_eq!(bench.expire(&mut conn), (Wait::Acknowledge, Next::Wait));
        assert_eq!(bench.expire(&mut conn), (Wait::Pause, Next::Now));
        assert_eq!(bench.poll(&mut conn), Next::Close);
        assert_eq!(bench.socket.sent[expected.len()..], END);
    });
}

#[test]
fn who_acknowledges_nothing_of_raw_end_is_closed_after_a_stall() {
    on_bench(|bench| {
        bench.file("a", b"hello");
        bench.config.framing = Framing::RawEnd;
        let found = bench.config.root.find(b"a").expect("it is there");
        bench.store.pushed = bench.store.files.insert(found);
        let mut conn = bench.connect(Protocol::Push);
        assert_eq!(bench.poll(&mut conn), Next::Wait);
        bench.socket.unacknowledged = u64::MAX;
        let start_ms = bench.now_ms;
        while bench.expire(&mut conn) == (Wait::Acknowledge, Next::Wait) {}
        assert_eq!(bench.now_ms - start_ms, BOARD.stall_ms);
    });
}

#[test]
fn who_is_refused_is_told_why_if_it_has_begun_to_ask() {
    on_bench(|bench| {
        let mut conn = bench.connect(Protocol::Http);
        assert_eq!(bench.with(&mut conn, refuse), Next::Close);
        assert_eq!(bench.socket.sends, 0);
        bench.says(&mut conn, b"GET / HT");
        assert_eq!(bench.poll(&mut conn), Next::Wait);
        assert_eq!(bench.with(&mut conn, refuse), Next::Wait);
        let sent = bench.socket.take_sent();
        assert!(sent.starts_with("HTTP/1.1 503 "), "{sent}");
        let mut conn = bench.connect(Protocol::Ask);
        bench.says(&mut conn, &ask("a")[..3]);
        assert_eq!(bench.poll(&mut conn), Next::Wait);
        assert_eq!(bench.with(&mut conn, refuse), Next::Close);
        assert_eq!(bench.socket.sent, Fault::Full.car());
        assert!(
            bench.socket.incoming.is_empty(),
            "else the close is a reset"
        );
    });
}

#[test]
fn a_train_whose_file_is_let_go_says_so_where_a_car_begins() {
    for room in [0, 1, 1004 + 24, 1004 + 25] {
        on_bench(move |bench| {
            bench.file("a", &LARGE);
            let mut conn = bench.connect(Protocol::Ask);
            let head = car(b"a").len() + car(&[0; 16]).len();
            bench.socket.room = room;
            bench.socket.says(&ask("a"));
            assert_eq!(bench.poll(&mut conn), Next::Wait);
            let is_at_car = room == 0 || (room >= head && (room - head).is_multiple_of(1004));
            let next = bench.with(&mut conn, break_off);
            assert_eq!(next, if is_at_car { Next::Again } else { Next::Close });
            bench.socket.room = 100;
            if is_at_car {
                assert_eq!(bench.poll(&mut conn), Next::Wait);
                assert!(bench.socket.sent.ends_with(&Fault::Io.car()));
            }
        });
    }
}
