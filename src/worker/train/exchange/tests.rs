use super::*;
use crate::train::CAR_DATA_MAX;
use crate::worker::testing::{Bench, END, ask, car, on_bench};

const LONG_AGO_NS: i64 = 1_000_000_000_000_000_000;

/// The response with a file.
fn train(name: &str, bytes: &[u8]) -> Vec<u8> {
    let about = [
        (bytes.len() as u64).to_le_bytes(),
        LONG_AGO_NS.to_le_bytes(),
    ]
    .concat();
    let mut train = [car(name.as_bytes()), car(&about)].concat();
    for data in bytes.chunks(CAR_DATA_MAX) {
        train.extend(car(data));
    }
    train.extend(END);
    train
}

fn some_bytes(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at * 7 + at / 256) as u8).collect()
}

fn push(bench: &mut Bench, name: &str, framing: Framing) -> Connection {
    bench.config.framing = framing;
    let found = bench
        .config
        .root
        .find(name.as_bytes())
        .expect("it is there");
    bench.store.pushed = bench.store.files.insert(found);
    bench.connect(Protocol::Push)
}

#[test]
fn a_file_comes_in_cars_whatever_the_socket_takes() {
    on_bench(|bench| {
        let bytes = some_bytes(3 * CAR_DATA_MAX + 500);
        bench.file("a", &bytes);
        let expected = train("a", &bytes);
        // Each place of a stop, and of the go-on behind it.
        for first in (0..expected.len())
            .step_by(13)
            .chain([4, 5, 25, 1029, 3541])
        {
            let mut conn = bench.connect(Protocol::Ask);
            bench.says(&mut conn, &ask("a"));
            bench.socket.room = first;
            assert_eq!(bench.run(&mut conn), Next::Wait, "{first}");
            assert_eq!(bench.socket.sent.len(), first);
            assert_eq!(conn.timer.wait(), Wait::Stall);
            bench.socket.room = usize::MAX;
            assert_eq!(bench.run(&mut conn), Next::Wait, "{first}");
            assert!(bench.socket.sent == expected, "{first}");
            assert!(conn.timer.wait() == Wait::Idle && !conn.file.is_some());
            bench.socket.sent.clear();
        }
    });
}

#[test]
fn the_batch_becomes_what_the_socket_took() {
    on_bench(|bench| {
        bench.file("a", &some_bytes(600 * CAR_DATA_MAX));
        let mut conn = bench.connect(Protocol::Ask);
        bench.says(&mut conn, &ask("a"));
        bench.socket.room = 20 * CAR_SIZE_MAX;
        assert_eq!(bench.run(&mut conn), Next::Wait);
        let batch = |conn: &Connection| match &conn.activity {
            Activity::SendingTrain(train) => train.cursor.batch,
            _ => panic!("it sends"),
        };
        assert_eq!(batch(&conn), 20);
        bench.socket.room = 1;
        assert_eq!(bench.run(&mut conn), Next::Wait);
        assert_eq!(batch(&conn), CARS_PER_BATCH_MIN);
        bench.socket.room = usize::MAX;
        assert_eq!(bench.poll(&mut conn), Next::Again);
        assert_eq!(batch(&conn), BOARD.cars_per_batch_max as u16, "it doubles");
    });
}

#[test]
fn ranges_requests_in_pieces_and_several_in_a_row() {
    on_bench(|bench| {
        bench.file("a", b"hello");
        let mut conn = bench.connect(Protocol::Ask);
        let range = [3_u64.to_le_bytes(), 1_u64.to_le_bytes()].concat();
        let request = [car(b"a"), car(&range), END.to_vec()].concat();
        for byte in &request[..request.len() - 1] {
            bench.says(&mut conn, &[*byte]);
            assert_eq!(bench.poll(&mut conn), Next::Wait);
            assert_eq!(conn.timer.wait(), Wait::Request);
        }
        bench.says(&mut conn, &[0]);
        bench.socket.says(&ask("a"));
        assert_eq!(
            bench.poll(&mut conn),
            Next::Again,
            "another request is there"
        );
        let sent = core::mem::take(&mut bench.socket.sent);
        assert!(sent.ends_with(&[car(b"l"), END.to_vec()].concat()));
        assert_eq!(bench.poll(&mut conn), Next::Wait);
        assert_eq!(bench.socket.sent, train("a", b"hello"));
        assert!(bench.socket.incoming.is_empty());
    });
}

#[test]
fn a_fault_is_the_last_thing_that_is_said() {
    on_bench(|bench| {
        bench.file("a", b"hello");
        let beyond = [car(b"a"), car(&6_u64.to_le_bytes()), END.to_vec()].concat();
        let long = 1001_i32.to_le_bytes().to_vec();
        for (request, fault) in [
            (ask("none"), Fault::NotFound),
            (ask("a/b"), Fault::NotFound),
            (ask("../a"), Fault::NotAllowed),
            (beyond, Fault::Malformed),
            (END.to_vec(), Fault::Malformed),
            (long, Fault::TooLong),
        ] {
            let mut conn = bench.connect(Protocol::Ask);
            bench.says(&mut conn, &request);
            assert_eq!(bench.run(&mut conn), Next::Wait);
            assert_eq!(bench.socket.sent, fault.car(), "{fault:?}");
            assert!(matches!(conn.activity, Activity::Lingering(_)));
            bench.socket.sent.clear();
            bench.socket.incoming.clear();
        }
    });
}

#[test]
fn a_client_that_goes_is_closed_and_its_file_given_back() {
    on_bench(|bench| {
        bench.file("a", &some_bytes(5000));
        let mut conn = bench.connect(Protocol::Ask);
        bench.says(&mut conn, &ask("a")[..3]);
        conn.is_hung_up = true;
        assert_eq!(
            bench.poll(&mut conn),
            Next::Close,
            "the rest will never come"
        );
        bench.socket.incoming.clear();
        let mut conn = bench.connect(Protocol::Ask);
        bench.socket.is_at_end = true;
        assert_eq!(bench.poll(&mut conn), Next::Close);
        bench.socket.is_at_end = false;
        let mut conn = bench.connect(Protocol::Ask);
        bench.says(&mut conn, &ask("a"));
        bench.socket.room = 2000;
        assert_eq!(bench.run(&mut conn), Next::Wait);
        assert!(conn.file.is_some());
        bench.socket.is_reset = true;
        assert_eq!(bench.run(&mut conn), Next::Close);
        bench.end(&mut conn);
        assert!(!conn.file.is_some());
    });
}

#[test]
fn a_train_whose_file_shrinks_says_so_where_a_car_begins() {
    on_bench(|bench| {
        let head = train("a", &[]).len() - END.len();
        for (room, says_so) in [(head + 2 * CAR_SIZE_MAX, true), (head + 10, false)] {
            bench.file("a", &some_bytes(5000));
            let mut conn = bench.connect(Protocol::Ask);
            bench.says(&mut conn, &ask("a"));
            bench.socket.room = room;
            assert_eq!(bench.run(&mut conn), Next::Wait);
            bench.file("a", b"");
            bench.socket.room = usize::MAX;
            let next = bench.run(&mut conn);
            let expected = if says_so { Next::Wait } else { Next::Close };
            assert_eq!(next, expected, "{room}");
            assert_eq!(bench.socket.sent.ends_with(&Fault::Io.car()), says_so);
            bench.socket.sent.clear();
        }
    });
}

#[test]
fn a_folder_is_listed_whatever_the_socket_takes() {
    on_bench(|bench| {
        for index in 0..60 {
            bench.file(&format!("{index:02} {}", "long ".repeat(20)), b"x");
        }
        let mut conn = bench.connect(Protocol::Ask);
        bench.says(&mut conn, &ask("/"));
        assert_eq!(bench.run(&mut conn), Next::Wait);
        let expected = core::mem::take(&mut bench.socket.sent);
        assert!(expected.ends_with(&END) && expected.len() > 7 * CAR_SIZE_MAX);
        let mut conn = bench.connect(Protocol::Ask);
        bench.says(&mut conn, &ask("/"));
        while bench.socket.sent.len() < expected.len() {
            assert!(!conn.holds_listing, "a slow client keeps it from nobody");
            bench.socket.room = 333;
            assert_eq!(bench.run(&mut conn), Next::Wait);
        }
        assert!(bench.socket.sent == expected);
        assert_eq!(conn.timer.wait(), Wait::Idle);
    });
}

#[test]
fn a_pushed_file_needs_no_request() {
    for (framing, has_size, end) in [
        (Framing::Sized, true, &END[..]),
        (Framing::Plain, false, &END),
        (Framing::Raw, true, b""),
    ] {
        on_bench(move |bench| {
            bench.file("a", b"hello");
            let mut conn = push(bench, "a", framing);
            assert_eq!(bench.run(&mut conn), Next::Close);
            let size = if has_size {
                car(&5_u64.to_le_bytes())
            } else {
                Vec::new()
            };
            let data = if framing == Framing::Raw {
                b"hello".to_vec()
            } else {
                car(b"hello")
            };
            assert_eq!(
                bench.socket.sent,
                [&car(b"a")[..], &size, &data, end].concat()
            );
            bench.end(&mut conn);
            assert!(
                bench.store.pushed.is_some(),
                "it stays open for the next one"
            );
        });
    }
}

#[test]
fn a_push_client_that_has_sent_something_is_not_reset() {
    on_bench(|bench| {
        bench.file("a", b"hello");
        let mut conn = push(bench, "a", Framing::Sized);
        bench.socket.says(b"GET / HTTP/1.1\r\n\r\n");
        assert_eq!(bench.run(&mut conn), Next::Wait);
        assert!(bench.socket.is_shut_down && bench.socket.incoming.is_empty());
    });
}

#[test]
fn without_its_card_a_pushed_file_is_an_io_error() {
    on_bench(|bench| {
        let mut conn = bench.connect(Protocol::Push);
        assert_eq!(bench.run(&mut conn), Next::Wait);
        assert_eq!(bench.socket.sent, Fault::Io.car());
        assert_eq!(bench.config.gauges.faults(), 1);
    });
}

#[test]
fn behind_its_response_a_connection_gives_way() {
    for is_draining in [false, true] {
        on_bench(move |bench| {
            bench.file("a", b"hello");
            let mut conn = bench.connect(Protocol::Ask);
            bench.says(&mut conn, &ask("a"));
            bench.is_draining = is_draining;
            bench.config.gauges.set_waiting(usize::from(!is_draining));
            assert_eq!(bench.run(&mut conn), Next::Close);
            let expected = [train("a", b"hello"), Fault::Full.car().to_vec()].concat();
            assert_eq!(bench.socket.sent, expected);
        });
    }
}
