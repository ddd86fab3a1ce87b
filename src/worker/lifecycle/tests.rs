use std::vec::Vec;

use super::*;
use crate::gauge::RootState;
use crate::limits::BOARD;
use crate::link::{Order, Protocol};
use crate::train::Fault;
use crate::worker::testing::yard::{Client, Yard, on_yard};
use crate::worker::testing::{END, ask, car, get};

/// More than a pair of sockets holds.
static LARGE: [u8; 2_000_000] = [7; 2_000_000];

/// The root has come to another state.
fn publish(yard: &Yard, generation: u32, releases: u16, is_gone: bool) {
    yard.bench.config.gauges.publish_root(RootState {
        generation,
        releases,
        is_gone,
    });
}

/// A client reads until it has everything, while the worker goes round; also whether that is all for ever.
fn read_all(yard: &mut Yard, client: &mut Client) -> (Vec<u8>, bool) {
    let mut all = Vec::new();
    loop {
        let (bytes, is_over) = client.reads();
        if bytes.is_empty() || is_over {
            return ([all, bytes].concat(), is_over);
        }
        all.extend(bytes);
        yard.round();
    }
}

#[test]
fn the_oldest_that_asks_for_nothing_gives_way() {
    on_yard(|yard| {
        let mut first = yard.connect(Protocol::Ask, b"");
        yard.bench.now_ms += 100;
        let mut second = yard.connect(Protocol::Http, b"");
        assert_eq!(yard.worker.idle_since_ms(), Some(yard.bench.now_ms - 100));
        yard.order(Order::GiveWay);
        assert_eq!(first.reads(), (Fault::Full.car().to_vec(), true));
        assert_eq!(second.reads(), (vec![], false));
        assert_eq!(yard.link.reports, [[first.ticket]]);
        assert_eq!(yard.worker.idle_since_ms(), Some(yard.bench.now_ms));
        yard.order(Order::GiveWay);
        assert_eq!(second.reads(), (vec![], true));
        assert_eq!(yard.link.reports, [[first.ticket], [second.ticket]]);
        assert_eq!(yard.worker.idle_since_ms(), None);
        assert!(yard.worker.connections.is_empty());
    });
}

#[test]
fn who_has_a_request_in_progress_does_not_give_way_and_the_pool_is_told() {
    on_yard(|yard| {
        yard.bench.file("a", &LARGE);
        let mut sending = yard.connect(Protocol::Ask, &ask("a"));
        let mut asking = yard.connect(Protocol::Http, b"GET /");
        yard.order(Order::GiveWay);
        assert_eq!(yard.link.reports, [[0; 0]]);
        assert!(!asking.reads().1 && !sending.reads().1);
        // It is told once.
        yard.round();
        assert_eq!(yard.link.reports.len(), 1);
    });
}

#[test]
fn who_has_asked_meanwhile_is_served_and_another_one_gives_way() {
    on_yard(|yard| {
        yard.bench.file("a", b"hello");
        let mut first = yard.connect(Protocol::Ask, b"");
        let mut second = yard.connect(Protocol::Ask, b"");
        first.says(&ask("a"));
        // The order comes before the event.
        assert!(yard.with(|worker, context| worker.give_way(context)));
        yard.round();
        assert!(first.reads().0.ends_with(&END));
        assert_eq!(second.reads(), (Fault::Full.car().to_vec(), true));
        assert_eq!(yard.link.reports, [[second.ticket]]);
    });
}

#[test]
fn who_lingers_gives_way_without_a_word_once_it_has_its_response() {
    on_yard(|yard| {
        let mut client = yard.connect(Protocol::Http, b"no request\r\n\r\n");
        assert_eq!(yard.connection(&client).timer.wait(), Wait::Linger);
        yard.order(Order::GiveWay);
        assert_eq!(yard.link.reports, [[0; 0]], "it has yet to read");
        let (response, is_at_end) = client.reads_text();
        assert!(response.starts_with("HTTP/1.1 400 ") && is_at_end);
        yard.order(Order::GiveWay);
        assert_eq!(yard.link.reports[1], [client.ticket]);
        assert_eq!(client.reads().0, b"");
    });
}

#[test]
fn a_drain_refuses_who_asks_and_lets_transfers_end() {
    on_yard(|yard| {
        yard.bench.file("a", b"hello");
        yard.bench.file("large", &LARGE);
        let mut silent = yard.connect(Protocol::Ask, b"");
        let mut idle = yard.connect(Protocol::Http, &get("/a"));
        let mut half = yard.connect(Protocol::Http, &get("/a")[..20]);
        let mut late = yard.connect(Protocol::Http, &get("/a")[..20]);
        let mut sending = yard.connect(Protocol::Ask, &ask("large"));
        assert!(idle.reads().0.ends_with(b"hello"));
        late.says(&get("/a")[20..]);
        yard.order(Order::Drain);
        assert_eq!(silent.reads(), (Fault::Full.car().to_vec(), true));
        assert_eq!(idle.reads(), (vec![], true));
        let (refused, is_at_end) = half.reads_text();
        assert!(
            refused.starts_with("HTTP/1.1 503 ") && is_at_end,
            "{refused}"
        );
        let (served, is_at_end) = late.reads_text();
        assert!(served.starts_with("HTTP/1.1 200 ") && is_at_end, "{served}");
        assert!(served.contains("\r\nConnection: close\r\n"));
        let (train, is_over) = read_all(yard, &mut sending);
        let end = [&END[..], &Fault::Full.car()].concat();
        assert!(train.len() > LARGE.len() && train.ends_with(&end) && is_over);
        drop((half, late));
        yard.round();
        assert!(yard.worker.connections.is_empty());
    });
}

#[test]
fn who_is_given_while_the_worker_drains_is_answered_once() {
    on_yard(|yard| {
        yard.bench.file("a", b"hello");
        yard.order(Order::Drain);
        let mut asks = yard.connect(Protocol::Http, &get("/a"));
        let mut silent = yard.connect(Protocol::Ask, b"");
        assert!(asks.reads().0.ends_with(b"hello"));
        assert_eq!(silent.reads(), (Fault::Full.car().to_vec(), true));
    });
}

#[test]
fn a_slot_stays_taken_until_a_full_link_takes_the_report() {
    on_yard(|yard| {
        let client = yard.connect(Protocol::Ask, b"");
        yard.link.room = 0;
        yard.order(Order::GiveWay);
        assert!(yard.link.reports.is_empty() && !yard.worker.connections.is_empty());
        assert!(!yard.connection(&client).is_open());
        yard.round();
        assert_eq!(yard.link.reports, [[client.ticket]]);
        assert!(yard.worker.connections.is_empty());
    });
}

#[test]
fn a_link_that_fails_ends_the_worker() {
    on_yard(|yard| {
        let _client = yard.connect(Protocol::Ask, b"");
        assert!(yard.with(|worker, context| worker.give_way(context)));
        (yard.link.room, yard.link.error) = (0, Errno::EPIPE);
        assert_eq!(yard.worker.report(&mut yard.link), Err(Errno::EPIPE));
    });
}

#[test]
fn a_report_has_a_size_and_the_rest_comes_in_the_next() {
    on_yard(|yard| {
        let clients: Vec<_> = (0..REPORT_MAX + 1)
            .map(|_| yard.connect(Protocol::Ask, b""))
            .collect();
        let tickets: Vec<_> = clients.iter().map(|client| client.ticket).collect();
        yard.order(Order::Drain);
        let sizes: Vec<_> = yard.link.reports.iter().map(Vec::len).collect();
        assert_eq!(sizes, [REPORT_MAX, 1]);
        assert_eq!(yard.link.reports.concat(), tickets);
    });
}

#[test]
fn who_says_nothing_ends_when_its_time_is_up_and_not_before() {
    on_yard(|yard| {
        let mut client = yard.connect(Protocol::Ask, b"");
        yard.bench.now_ms += BOARD.silent_ms - 1;
        yard.round();
        assert_eq!(client.reads(), (vec![], false));
        yard.bench.now_ms += 1;
        yard.round();
        assert_eq!(client.reads(), (Fault::TooSlow.car().to_vec(), true));
        yard.bench.now_ms += BOARD.linger_ms;
        yard.round();
        assert_eq!(yard.link.reports, [[client.ticket]]);
    });
}

#[test]
fn who_is_ready_when_its_time_is_up_is_not_polled_twice() {
    on_yard(|yard| {
        let mut client = yard.connect(Protocol::Ask, b"");
        let slot = yard.worker.connections.slots().next().expect("one");
        yard.worker.make_ready(slot);
        yard.bench.now_ms += BOARD.silent_ms;
        yard.with(|worker, context| worker.expire(context));
        assert_eq!(yard.connection(&client).queued, Queue::Ready);
        assert_eq!(client.reads(), (vec![], false));
        yard.round();
        assert_eq!(client.reads(), (Fault::TooSlow.car().to_vec(), true));
    });
}

#[test]
fn the_listing_goes_round_in_the_order_in_which_it_was_wanted() {
    on_yard(|yard| {
        std::fs::create_dir(yard.bench.path("d")).expect("it can be made");
        yard.bench.file("d/entry", b"");
        let mut other_holds = false;
        yard.worker.listing.hand_over(&mut other_holds);
        let mut first = yard.connect(Protocol::Http, &get("/d/"));
        let mut second = yard.connect(Protocol::Ask, &ask("d"));
        for client in [&first, &second] {
            let conn = yard.connection(client);
            assert_eq!(conn.queued, Queue::Listing);
            assert_eq!(conn.timer.wait(), Wait::None, "it waits for the worker");
        }
        // An event does not make it lose its place in the queue.
        first.says(&get("/none"));
        yard.round();
        assert_eq!(yard.connection(&first).queued, Queue::Listing);
        yard.worker.listing.give_back(&mut other_holds);
        yard.worker.pass_listing_on();
        assert!(yard.connection(&first).holds_listing);
        assert!(!yard.connection(&second).holds_listing);
        yard.worker.pass_listing_on();
        assert!(!yard.connection(&second).holds_listing);
        yard.round();
        yard.round();
        let (page, _) = first.reads_text();
        assert!(
            page.contains("entry") && page.contains("0\r\n\r\nHTTP/1.1 404 "),
            "{page}"
        );
        assert!(second.reads().0.ends_with(&END));
        assert!(!yard.worker.listing.is_held());
    });
}

#[test]
fn who_ends_with_the_listing_or_in_its_queue_hands_it_on() {
    on_yard(|yard| {
        std::fs::create_dir(yard.bench.path("d")).expect("it can be made");
        let mut other_holds = false;
        yard.worker.listing.hand_over(&mut other_holds);
        let clients = [(); 3].map(|()| yard.connect(Protocol::Http, &get("/d/")));
        let slots: Vec<_> = yard.worker.connections.slots().collect();
        yard.with(|worker, context| worker.end(context, slots[0]));
        yard.worker.listing.give_back(&mut other_holds);
        yard.worker.pass_listing_on();
        assert!(yard.connection(&clients[1]).holds_listing);
        yard.with(|worker, context| worker.end(context, slots[1]));
        assert!(yard.connection(&clients[2]).holds_listing);
        yard.with(|worker, context| worker.end(context, slots[2]));
        assert!(!yard.worker.listing.is_held() && !yard.worker.ready.is_ready());
        yard.round();
        assert_eq!(yard.link.reports, [[1, 2, 3]]);
    });
}

#[test]
fn a_root_that_is_let_go_is_held_by_nothing() {
    on_yard(|yard| {
        yard.bench.file("a", &LARGE);
        let mut sending = yard.connect(Protocol::Http, &get("/a"));
        let mut idle = yard.connect(Protocol::Http, b"");
        publish(yard, 1, 1, true);
        yard.order(Order::Wake);
        assert!(yard.worker.store.files.is_empty());
        assert_eq!(yard.bench.config.gauges.acked_root_generation(0), 1);
        let (part, is_over) = read_all(yard, &mut sending);
        assert!(part.len() < LARGE.len() && is_over);
        assert_eq!(yard.link.reports, [[sending.ticket]]);
        idle.says(&get("/a"));
        yard.round();
        assert!(idle.reads_text().0.starts_with("HTTP/1.1 503 "));
        // It comes back.
        publish(yard, 2, 1, false);
        idle.says(&get("/a"));
        yard.round();
        let (whole, is_over) = read_all(yard, &mut idle);
        assert!(whole.ends_with(&LARGE) && !is_over);
        assert_eq!(yard.bench.config.gauges.acked_root_generation(0), 2);
    });
}

#[test]
fn a_root_that_is_opened_anew_breaks_nothing_off() {
    on_yard(|yard| {
        yard.bench.file("a", &LARGE);
        let mut sending = yard.connect(Protocol::Ask, &ask("a"));
        publish(yard, 1, 0, false);
        yard.order(Order::Wake);
        assert_eq!(yard.bench.config.gauges.acked_root_generation(0), 1);
        let (train, is_over) = read_all(yard, &mut sending);
        assert!(train.len() > LARGE.len() && train.ends_with(&END) && !is_over);
    });
}

#[test]
fn who_cannot_be_watched_ends() {
    on_yard(|yard| {
        let (mut client, job) = yard.job(Protocol::Http, &get("/none"));
        // It is known already, so that it cannot be added.
        yard.epoll
            .add(sys::borrow(&job.socket), EpollEvent::empty())
            .expect("it is not known");
        yard.order(Order::Jobs([job].into_iter().collect()));
        let (response, is_over) = client.reads_text();
        assert!(response.starts_with("HTTP/1.1 404 ") && is_over);
        assert_eq!(yard.link.reports, [[client.ticket]]);
    });
}

#[test]
fn a_push_client_is_sent_the_file_unasked() {
    on_yard(|yard| {
        yard.bench.file("a", b"hello");
        let found = yard.bench.config.root.find(b"a").expect("it is there");
        yard.worker.store.pushed = yard.worker.store.files.insert(found);
        let mut client = yard.connect(Protocol::Push, b"");
        let size = car(&5_u64.to_le_bytes());
        let expected = [&car(b"a")[..], &size, &car(b"hello"), &END].concat();
        assert_eq!(client.reads(), (expected, true));
        assert_eq!(yard.link.reports, [[client.ticket]]);
    });
}
