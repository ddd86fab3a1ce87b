use super::*;
use crate::link::Protocol;
use crate::worker::testing::{Bench, get, get_with, on_bench};

fn fill(bench: &Bench, count: usize) {
    for index in 0..count {
        bench.file(&format!("file {index:03}"), b"x");
    }
}

fn begin(bench: &mut Bench, request: &[u8]) -> Connection {
    let mut conn = bench.connect(Protocol::Http);
    bench.says(&mut conn, request);
    conn.has_unread = true;
    conn
}

#[test]
fn a_listing_goes_on_wherever_its_send_stops() {
    on_bench(|bench| {
        fill(bench, 12);
        let json = get_with("/", "Accept: application/json\r\n");
        for request in [json, get("/?sort=size&order=desc"), get("/?limit=5&q=0")] {
            let mut conn = begin(bench, &request);
            assert_eq!(bench.run(&mut conn), Next::Wait);
            assert_eq!((conn.timer.wait(), conn.holds_listing), (Wait::Idle, false));
            let expected = core::mem::take(&mut bench.socket.sent);
            assert!(expected.ends_with(b"0\r\n\r\n"));
            let mut conn = begin(bench, &request);
            while bench.socket.sent.len() < expected.len() {
                assert!(!conn.holds_listing, "a slow client keeps it from nobody");
                bench.socket.room = 97;
                assert_eq!(bench.run(&mut conn), Next::Wait);
            }
            assert!(bench.socket.sent == expected);
            bench.socket.room = usize::MAX;
            bench.socket.sent.clear();
            bench.end(&mut conn);
        }
    });
}

#[test]
fn one_connection_lists_at_a_time_and_hands_it_over() {
    on_bench(|bench| {
        fill(bench, 3);
        let mut first = begin(bench, &get("/"));
        assert_eq!(bench.poll(&mut first), Next::Again);
        assert!(first.holds_listing);
        let mut second = begin(bench, &get("/"));
        assert_eq!(bench.poll(&mut second), Next::ForListing);
        assert!(!second.holds_listing);
        bench.end(&mut first);
        assert!(bench.socket.aborts, "what is not whole does not look whole");
        assert!(!bench.listing.is_held());
        bench.listing.hand_over(&mut second.holds_listing);
        // It ends before its turn.
        bench.end(&mut second);
        assert!(!bench.listing.is_held());
    });
}

#[test]
fn over_http_1_0_a_listing_ends_with_the_connection() {
    on_bench(|bench| {
        fill(bench, 2);
        let mut conn = begin(bench, b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        let next = bench.run(&mut conn);
        let sent = bench.socket.take_sent();
        assert!(sent.contains("Connection: close\r\n") && !sent.contains("chunked"));
        assert!(sent.ends_with("</html>\n"), "{sent}");
        bench.end(&mut conn);
        assert!(next == Next::Close && !bench.socket.aborts);
    });
}

#[test]
fn names_that_cannot_be_asked_for_are_not_shown() {
    on_bench(|bench| {
        bench.file(".hidden", b"");
        std::fs::create_dir(bench.path("-")).expect("a folder");
        bench.file("shown", b"");
        let mut conn = begin(bench, &get("/?format=json"));
        assert_eq!(bench.run(&mut conn), Next::Wait);
        let sent = bench.socket.take_sent();
        assert!(sent.contains("\"shown\"") && !sent.contains("hidden") && !sent.contains("\"-\""));
    });
}
