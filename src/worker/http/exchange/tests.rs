use super::*;
use crate::link::Protocol;
use crate::worker::conn::state::StashSlot;
use crate::worker::testing::{Bench, get, get_with, on_bench, on_bench_with};

/// What a fresh client is sent for these bytes, by a socket that takes all.
fn whole(bench: &mut Bench, bytes: &[u8]) -> Vec<u8> {
    let mut conn = bench.connect(Protocol::Http);
    bench.socket.says(bytes);
    assert_eq!(bench.run(&mut conn), Next::Wait);
    bench.end(&mut conn);
    core::mem::take(&mut bench.socket.sent)
}

#[test]
fn requests_that_come_together_are_answered_in_one_send() {
    on_bench(|bench| {
        bench.file("a", b"hello");
        bench.file("b", b"world");
        let both = [get("/a"), get("/b"), get("/c")].concat();
        let sent = String::from_utf8(whole(bench, &both)).expect("text");
        assert_eq!(bench.socket.sends, 1);
        let places = ["hello", "world", "HTTP/1.1 404"].map(|text| sent.find(text).expect(text));
        assert!(places.is_sorted());
    });
}

/// A send may stop anywhere: within a head, within a body, between two responses.
#[test]
fn a_batch_goes_on_wherever_its_send_stops() {
    on_bench(|bench| {
        bench.file("a", b"hello");
        let batch = [get("/a"), get("/none"), get("/a")].concat();
        let expected = whole(bench, &batch);
        for room in 0..expected.len() {
            let mut conn = bench.connect(Protocol::Http);
            bench.socket.says(&batch);
            bench.socket.room = room;
            assert_eq!(bench.poll(&mut conn), Next::Wait, "{room}");
            assert_eq!(conn.timer.wait(), Wait::Stall);
            assert!(conn.stash.is_some() && bench.socket.sent.len() == room);
            bench.socket.room = usize::MAX;
            assert_eq!(bench.run(&mut conn), Next::Wait, "{room}");
            assert!(bench.socket.sent == expected, "{room}");
            assert_eq!(
                (conn.timer.wait(), conn.stash),
                (Wait::Idle, StashSlot::NONE)
            );
            bench.socket.sent.clear();
            bench.end(&mut conn);
        }
    });
}

#[test]
fn a_response_that_would_go_on_as_another_one_ends_early() {
    on_bench(|bench| {
        bench.file("a", b"hello");
        let mut conn = bench.connect(Protocol::Http);
        bench.socket.says(&get("/a"));
        bench.socket.room = 20;
        assert_eq!(bench.poll(&mut conn), Next::Wait);
        bench.file("a", b"hello, world");
        bench.now_ms += 2000;
        bench.socket.room = usize::MAX;
        assert_eq!(bench.poll(&mut conn), Next::Close);
        assert_eq!(bench.socket.sent.len(), 20);
    });
}

#[test]
fn a_request_may_come_byte_by_byte() {
    on_bench(|bench| {
        bench.file("a", b"hello");
        let mut conn = bench.connect(Protocol::Http);
        let request = get("/a");
        let (last, before) = request.split_last().expect("bytes");
        for byte in before {
            bench.says(&mut conn, &[*byte]);
            assert_eq!(bench.poll(&mut conn), Next::Wait);
            assert!(conn.stash.is_some() && conn.timer.wait() == Wait::Request);
        }
        bench.says(&mut conn, &[*last]);
        assert_eq!(bench.poll(&mut conn), Next::Wait);
        assert!(bench.socket.take_sent().ends_with("hello"));
    });
}

#[test]
fn while_the_stash_is_full_requests_stay_in_the_kernel() {
    on_bench(|bench| {
        bench.file("a", b"hello");
        let mut others: Vec<_> = (0..BOARD.stashed_requests)
            .map(|_| {
                let mut other = bench.connect(Protocol::Http);
                bench.socket.says(b"GET ");
                assert_eq!(bench.poll(&mut other), Next::Wait);
                other
            })
            .collect();
        let mut conn = bench.connect(Protocol::Http);
        bench.socket.says(&get("/a")[..9]);
        assert_eq!(bench.poll(&mut conn), Next::Wait);
        assert!(!conn.stash.is_some() && bench.socket.incoming.len() == 9);
        bench.says(&mut conn, &get("/a")[9..]);
        bench.socket.room = 30;
        assert_eq!(bench.run(&mut conn), Next::Wait);
        assert!(bench.socket.incoming == get("/a"), "it is answered anew");
        bench.socket.room = usize::MAX;
        assert_eq!(bench.run(&mut conn), Next::Wait);
        assert!(bench.socket.take_sent().ends_with("hello"));
        assert!(bench.socket.incoming.is_empty());
        bench.end(&mut others[0]);
        bench.says(&mut conn, b"GET ");
        assert_eq!(bench.poll(&mut conn), Next::Wait);
        assert!(conn.stash.is_some(), "there is room again");
    });
}

#[test]
fn a_client_that_sends_no_more_has_its_response_and_is_closed() {
    on_bench(|bench| {
        bench.file("a", b"hello");
        let mut conn = bench.connect(Protocol::Http);
        bench.socket.says(&get("/a"));
        (bench.socket.is_at_end, conn.is_hung_up) = (true, true);
        assert_eq!(bench.run(&mut conn), Next::Close);
        assert!(bench.socket.take_sent().ends_with("hello"));
        let mut conn = bench.connect(Protocol::Http);
        bench.socket.says(b"GET /");
        conn.is_hung_up = true;
        assert_eq!(
            bench.run(&mut conn),
            Next::Close,
            "the rest will never come"
        );
    });
}

#[test]
fn a_client_that_resets_is_closed() {
    on_bench(|bench| {
        let mut conn = bench.connect(Protocol::Http);
        bench.socket.is_reset = true;
        assert_eq!(bench.poll(&mut conn), Next::Close);
    });
}

#[test]
fn what_is_no_request_is_refused_and_nothing_behind_it_is_read() {
    on_bench(|bench| {
        let mut conn = bench.connect(Protocol::Http);
        bench
            .socket
            .says(b"GET /\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(bench.poll(&mut conn), Next::Wait);
        let sent = bench.socket.take_sent();
        assert!(sent.starts_with("HTTP/1.1 400 "), "{sent}");
        assert_eq!(sent.matches("HTTP/1.1 ").count(), 1);
        assert!(matches!(conn.activity, Activity::Lingering(_)));
    });
}

#[test]
fn a_connection_that_the_client_wants_closed_is() {
    on_bench(|bench| {
        bench.file("a", b"hello");
        let request = get_with("/a", "Connection: close\r\n");
        let mut conn = bench.connect(Protocol::Http);
        bench.socket.says(&request);
        assert_eq!(bench.poll(&mut conn), Next::Close, "it has read all");
        assert!(!bench.socket.is_shut_down);
        let mut conn = bench.connect(Protocol::Http);
        bench.socket.says(&request);
        bench.socket.unacknowledged = 1;
        assert_eq!(bench.poll(&mut conn), Next::Wait, "it has not read all yet");
        assert!(bench.socket.is_shut_down && conn.timer.wait() == Wait::Linger);
    });
}

#[test]
fn a_connection_is_not_kept_while_newcomers_wait() {
    on_bench(|bench| {
        bench.file("a", b"hello");
        bench.config.gauges.set_waiting(1);
        let mut conn = bench.connect(Protocol::Http);
        bench.socket.says(&[get("/a"), get("/a")].concat());
        let _ = bench.run(&mut conn);
        let sent = bench.socket.take_sent();
        assert_eq!(
            sent.matches("Connection: close\r\n").count(),
            1,
            "the last one only"
        );
        assert_eq!(sent.matches("hello").count(), 2);
        assert!(
            !bench.config.gauges.has_waiting(),
            "one claim for one connection"
        );
    });
}

#[test]
fn a_server_that_stops_answers_who_was_let_in_once() {
    on_bench(|bench| {
        bench.file("a", b"hello");
        bench.is_draining = true;
        let mut conn = bench.connect(Protocol::Http);
        bench.socket.says(&get("/a"));
        let _ = bench.run(&mut conn);
        let sent = bench.socket.take_sent();
        assert!(sent.starts_with("HTTP/1.1 200 OK\r\n") && sent.contains("Connection: close\r\n"));
        bench.is_draining = false;
        let mut conn = bench.connect(Protocol::Http);
        bench.socket.says(&get("/a"));
        assert_eq!(bench.run(&mut conn), Next::Wait);
        bench.socket.take_sent();
        bench.is_draining = true;
        bench.says(&mut conn, &get("/a"));
        let _ = bench.run(&mut conn);
        let sent = bench.socket.take_sent();
        assert!(sent.starts_with("HTTP/1.1 503 ") && sent.contains("Retry-After: "));
    });
}

#[test]
fn a_large_file_is_sent_in_turns_and_whole_segments() {
    on_bench(|bench| {
        let bytes: Vec<u8> = (0..2 * BOARD.turn_bytes + 99).map(|at| at as u8).collect();
        bench.file("a", &bytes);
        let mut conn = bench.connect(Protocol::Http);
        bench.socket.says(&get("/a"));
        assert_eq!(bench.poll(&mut conn), Next::Again);
        assert!(bench.socket.is_corked && conn.file.is_some());
        assert_eq!(bench.poll(&mut conn), Next::Again);
        assert_eq!(bench.poll(&mut conn), Next::Wait);
        assert!(!bench.socket.is_corked && !conn.file.is_some());
        assert!(bench.socket.sent.ends_with(&bytes));
        assert_eq!(conn.timer.wait(), Wait::Idle);
    });
}

#[test]
fn a_body_goes_on_wherever_its_send_stops() {
    on_bench(|bench| {
        let bytes: Vec<u8> = (0..40_000_u32).map(|at| at as u8).collect();
        bench.file("a", &bytes);
        let several = get_with("/a", "Range: bytes=5-99,200-20000,-7\r\n");
        for request in [
            get("/a"),
            get_with("/a", "Range: bytes=7-33333\r\n"),
            several,
        ] {
            let expected = whole(bench, &request);
            for per_call in [1111, 9999] {
                bench.socket.per_call = per_call;
                let mut conn = bench.connect(Protocol::Http);
                bench.socket.says(&request);
                let mut room = 0;
                while bench.socket.sent.len() < expected.len() {
                    room += 777;
                    bench.socket.room = 777;
                    assert_eq!(bench.run(&mut conn), Next::Wait);
                    assert_eq!(bench.socket.sent.len(), room.min(expected.len()));
                }
                assert!(bench.socket.sent == expected);
                bench.socket.room = usize::MAX;
                bench.socket.per_call = usize::MAX;
                bench.socket.sent.clear();
                bench.end(&mut conn);
            }
        }
    });
}

#[test]
fn a_file_that_shrinks_ends_its_connection() {
    on_bench(|bench| {
        bench.file("a", &[1; 30_000]);
        let mut conn = bench.connect(Protocol::Http);
        bench.socket.says(&get("/a"));
        bench.socket.room = 10_000;
        assert_eq!(bench.run(&mut conn), Next::Wait);
        bench.file("a", &[1; 9_000]);
        bench.socket.room = usize::MAX;
        assert_eq!(bench.run(&mut conn), Next::Close);
        assert_eq!(bench.socket.sent.len(), 10_000, "nothing is padded");
        assert_eq!(bench.config.gauges.faults(), 1);
        bench.end(&mut conn);
        assert!(!conn.file.is_some() && !bench.socket.aborts);
    });
}

#[test]
fn head_has_no_body_and_options_no_file() {
    on_bench(|bench| {
        bench.file("a", &[b'x'; 30_000]);
        let head = whole(bench, b"HEAD /a HTTP/1.1\r\nHost: yard\r\n\r\n");
        assert!(head.ends_with(b"Content-Length: 30000\r\n\r\n"));
        let sent = whole(bench, b"OPTIONS * HTTP/1.1\r\nHost: yard\r\n\r\n");
        assert!(sent.starts_with(b"HTTP/1.1 204 No Content\r\n"));
    });
}

#[test]
fn a_request_that_will_be_logged_stays_until_its_body_is_sent() {
    let set = |http_config: &mut http::HttpConfig| http_config.access_log = true;
    on_bench_with(set, |bench| {
        bench.file("a", &[1; 30_000]);
        let mut conn = bench.connect(Protocol::Http);
        let request = get("/a");
        bench.socket.says(&[&request[..], b"GET "].concat());
        bench.socket.room = 10_000;
        assert_eq!(bench.run(&mut conn), Next::Wait);
        let StashedRequest { len, status } = conn.activity.request();
        assert_eq!((usize::from(len), status), (request.len(), 200));
        bench.socket.room = usize::MAX;
        assert_eq!(bench.run(&mut conn), Next::Wait);
        assert!(
            conn.stash.is_some() && conn.timer.wait() == Wait::Request,
            "the next one is begun"
        );
    });
}
