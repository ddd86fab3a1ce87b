use super::*;
use crate::limits::BOARD;
use crate::link::Protocol;
use crate::train::Fault;
use crate::worker::testing::get;
use crate::worker::testing::yard::{Yard, on_yard};

/// Runs the loop itself until the link closes, on its own clock and epoll.
fn run(yard: &mut Yard) -> Result<(), Errno> {
    yard.worker.run(&yard.bench.config, &mut yard.link)
}

#[test]
fn the_loop_serves_what_it_is_given_until_the_link_closes() {
    on_yard(|yard| {
        yard.bench.file("a", b"hello");
        let (mut client, job) = yard.job(Protocol::Http, &get("/a"));
        yard.link
            .orders
            .push_back(Order::Jobs([job].into_iter().collect()));
        yard.link.is_closed = true;
        assert_eq!(run(yard), Ok(()));
        assert!(client.reads().0.ends_with(b"hello"));
        assert_eq!(yard.link.modes, [IdleMode::Sleep]);
        let gauges = yard.bench.config.gauges;
        assert_eq!((gauges.taken(0), gauges.heartbeats(0)), (1, 1));
    });
}

/// It would wait for ever if it did not wait for room.
#[test]
fn the_loop_waits_for_a_full_link() {
    on_yard(|yard| {
        let (mut client, job) = yard.job(Protocol::Ask, b"");
        yard.link
            .orders
            .push_back(Order::Jobs([job].into_iter().collect()));
        yard.link.orders.push_back(Order::GiveWay);
        yard.link.room = 0;
        assert_eq!(run(yard), Ok(()));
        assert_eq!(client.reads(), (Fault::Full.car().to_vec(), true));
        assert_eq!(yard.link.modes, [IdleMode::Sleep, IdleMode::Wait]);
    });
}

#[test]
fn orders_are_taken_a_few_at_a_time() {
    on_yard(|yard| {
        for _ in 0..=ORDERS_MAX {
            yard.link.orders.push_back(Order::Wake);
        }
        assert!(yard.round());
        assert_eq!(yard.link.orders.len(), 1);
        yard.link.is_closed = true;
        assert!(!yard.round());
    });
}

#[test]
fn the_next_deadline_is_as_long_as_the_loop_waits() {
    on_yard(|yard| {
        let (worker, now_ms) = (&mut yard.worker, yard.bench.now_ms);
        assert_eq!(worker.timeout(now_ms), EpollTimeout::NONE);
        assert_eq!(worker.idle_mode(), IdleMode::Sleep);
        let _client = yard.connect(Protocol::Http, b"");
        let worker = &mut yard.worker;
        let silent = EpollTimeout::try_from(BOARD.silent_ms as u32 - 5).expect("it is short");
        assert_eq!(worker.timeout(now_ms + 5), silent);
        assert_eq!(
            worker.timeout(now_ms + 2 * BOARD.silent_ms),
            EpollTimeout::ZERO
        );
        assert_eq!(worker.idle_mode(), IdleMode::Wait);
        worker.make_ready(Slot::from_index(0));
        assert_eq!(worker.timeout(now_ms), EpollTimeout::ZERO);
        assert_eq!(worker.idle_mode(), IdleMode::Poll);
    });
}

/// The dispatcher closes its copy of a socket later, which tells of itself until then.
#[test]
fn an_event_of_a_connection_that_has_ended_is_nothing() {
    on_yard(|yard| {
        let client = yard.connect(Protocol::Ask, b"");
        yard.link.room = 0;
        yard.order(Order::GiveWay);
        yard.worker
            .take_event(Slot::from_index(0), EpollFlags::EPOLLIN);
        assert!(!yard.connection(&client).has_unread && !yard.worker.ready.is_ready());
    });
}

#[test]
fn an_event_says_what_a_connection_has_to_look_for() {
    on_yard(|yard| {
        let client = yard.connect(Protocol::Ask, b"");
        let cases = [
            (EpollFlags::EPOLLOUT, false, false),
            (EpollFlags::EPOLLIN, true, false),
            (EpollFlags::EPOLLRDHUP, true, true),
        ];
        for (events, has_unread, is_hung_up) in cases {
            yard.worker.take_event(Slot::from_index(0), events);
            let conn = yard.connection(&client);
            assert_eq!((conn.has_unread, conn.is_hung_up), (has_unread, is_hung_up));
        }
        assert!(yard.worker.ready.has_one());
    });
}

/// A client with sixteen connections has one client's share of a round.
#[test]
fn clients_take_turns() {
    on_yard(|yard| {
        yard.bench.file("a", &vec![7; 2 * BOARD.turn_bytes]);
        let mut clients = [(); 2].map(|()| yard.connect(Protocol::Http, &get("/a")));
        for client in &mut clients {
            let (first, is_over) = client.reads();
            assert!(!first.is_empty() && !is_over);
        }
        yard.round();
        let [first, second] = clients.map(|mut client| client.reads().0.len());
        assert!(first > 0 && second > 0);
    });
}

#[test]
fn a_change_is_told_before_the_requests_that_follow_it() {
    on_yard(|yard| {
        yard.bench.file("a", b"hello");
        let mut client = yard.connect(Protocol::Http, &get("/a"));
        assert!(client.reads().0.ends_with(b"hello"));
        assert!(yard.worker.store.cache.is_watching());
        yard.with(|worker, context| worker.watch_changes(context.epoll));
        yard.bench.file("a", b"world");
        client.says(&get("/a"));
        yard.round();
        assert!(client.reads().0.ends_with(b"world"));
    });
}

#[test]
fn a_worker_that_cannot_be_told_of_changes_serves_nevertheless() {
    on_yard(|yard| {
        yard.bench.file("a", b"hello");
        // It is known already, so that it cannot be added.
        let watcher = sys::borrow(yard.worker.store.cache.watcher());
        yard.epoll
            .add(watcher, EpollEvent::empty())
            .expect("it is not known");
        yard.with(|worker, context| worker.watch_changes(context.epoll));
        assert!(!yard.worker.store.cache.watcher().is_open());
        let mut client = yard.connect(Protocol::Http, &get("/a"));
        assert!(client.reads().0.ends_with(b"hello"));
        assert!(!yard.worker.store.cache.is_watching());
    });
}
