use std::ffi::CString;
use std::io::Read;
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;

use nix::sys::signal::raise;

use super::super::Listener;
use super::super::doubles::{Scripted, state, wait, waiting};
use super::*;
use crate::files::Root;
use crate::http::HttpConfig;
use crate::limits::{EJECT_MS, ROOT_POLL_MS};
use crate::sys::Descriptor;

const NOW_MS: u64 = 1_000_000;

struct Test {
    folder: tempfile::TempDir,
    address: std::net::SocketAddr,
    dispatcher: Dispatcher<Scripted>,
}

/// A dispatcher with a listener for HTTP, a root, nobody to tell, and this pool.
fn test(pool: Scripted) -> Test {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), b"bytes").unwrap();
    let path = CString::new(folder.path().as_os_str().as_bytes()).unwrap();
    let root = Root::open(Box::leak(path.into_boxed_c_str())).unwrap();
    let (socket, address) = sys::listen(([127, 0, 0, 1], 0).into(), false, None).unwrap();
    let mut listeners = heapless::Vec::new();
    let protocol = Protocol::Http;
    assert!(listeners.push(Listener { socket, protocol }).is_ok());
    let equipment = Equipment {
        acceptor: Acceptor::new(listeners),
        overflow: OverflowResponder::new(Box::leak(Box::new(HttpConfig::default())), 0),
        notifier: Notifier::new(Descriptor::NONE, None),
        root_monitor: RootMonitor::new(Box::leak(Box::new(root)), false),
        control: Control::new(Descriptor::NONE, &[]),
        drain_ms: 5000,
    };
    let state = state();
    equipment.acceptor.register(&state.epoll).unwrap();
    let signals = watch_signals(&state.epoll).unwrap();
    Test {
        folder,
        address,
        dispatcher: Dispatcher {
            pool,
            state,
            equipment,
            signals,
            retry_ms: 0,
        },
    }
}

fn all(client: &mut UnixStream) -> Option<String> {
    let mut answer = String::new();
    client.read_to_string(&mut answer).ok().map(|_| answer)
}

fn timeout_ms(dispatcher: &Dispatcher<Scripted>) -> Option<u32> {
    dispatcher.timeout(NOW_MS).as_millis()
}

#[test]
fn each_event_goes_to_whom_it_is_about() {
    let mut test = test(Scripted::of(2));
    let dispatcher = &mut test.dispatcher;
    let _client = TcpStream::connect(test.address).unwrap();
    assert!(!dispatcher.take_event(0));
    assert_eq!(dispatcher.state.waiting(), 1);
    dispatcher.do_what_is_due(NOW_MS);
    assert!(dispatcher.equipment.root_monitor.next_ms() > NOW_MS);
    assert!(!dispatcher.take_event(MOUNTS_TOKEN));
    assert_eq!(dispatcher.equipment.root_monitor.next_ms(), 0);
    for source in [0, 3, WORKERS_MAX - 1] {
        assert!(!dispatcher.take_event(REPORTS_TOKEN + source as u64));
    }
    assert_eq!(dispatcher.pool.reports, [0, 3, WORKERS_MAX - 1]);
    assert!(!dispatcher.take_event(SIGNALS_TOKEN), "none has come");
    assert!(dispatcher.pool.told.iter().all(|told| *told == "maintain"));
}

#[test]
fn who_waits_is_passed_on_or_tried_again_soon() {
    let mut test = test(Scripted::of(1));
    let dispatcher = &mut test.dispatcher;
    let _clients: Vec<_> = (0..3)
        .map(|_| wait(&mut dispatcher.state, Protocol::Http, NOW_MS))
        .collect();
    dispatcher.pool.takes = 2;
    dispatcher.dispatch(NOW_MS);
    assert_eq!((dispatcher.pool.held, dispatcher.state.waiting()), (2, 1));
    assert_eq!(dispatcher.retry_ms, 0);
    dispatcher.pool.has_passed = false;
    dispatcher.dispatch(NOW_MS);
    assert_eq!(dispatcher.retry_ms, NOW_MS + RETRY_MS);
    assert_eq!(dispatcher.pool.held, 3);
    dispatcher.equipment.root_monitor.check_soon();
    assert_eq!(timeout_ms(dispatcher), Some(0));
    dispatcher.do_what_is_due(NOW_MS);
    assert_eq!(timeout_ms(dispatcher), Some(RETRY_MS as u32));
    assert_eq!(
        dispatcher.timeout(NOW_MS + RETRY_MS).as_millis(),
        Some((ROOT_POLL_MS - RETRY_MS) as u32)
    );
}

#[test]
fn it_waits_until_something_is_due() {
    let mut test = test(Scripted::of(1));
    let dispatcher = &mut test.dispatcher;
    dispatcher.do_what_is_due(NOW_MS);
    assert_eq!(timeout_ms(dispatcher), Some(ROOT_POLL_MS as u32));
    let waits = wait(&mut dispatcher.state, Protocol::Http, NOW_MS);
    assert_eq!(timeout_ms(dispatcher), Some(WAITING_POLL_MS as u32));
    dispatcher.pool.maintain_ms = Some(NOW_MS + 7);
    assert_eq!(timeout_ms(dispatcher), Some(7));
    dispatcher.state.drain_until_ms = Some(NOW_MS + 3);
    assert_eq!(timeout_ms(dispatcher), Some(3));
    dispatcher.pool.maintain_ms = Some(NOW_MS - 1);
    assert_eq!(timeout_ms(dispatcher), Some(0));
    drop(waits);
}

#[test]
fn the_longest_idle_give_way_one_for_each_who_waits() {
    let mut test = test(Scripted::of(3));
    let dispatcher = &mut test.dispatcher;
    let mut clients: Vec<_> = (0..3)
        .map(|_| wait(&mut dispatcher.state, Protocol::Http, NOW_MS))
        .collect();
    let gauges = dispatcher.state.gauges;
    gauges.show_idle(0, Some(500));
    gauges.show_idle(2, Some(400));
    dispatcher.make_way();
    assert!(dispatcher.pool.asked.is_empty(), "there is room");
    assert!(!gauges.has_waiting());
    dispatcher.pool.is_full = true;
    dispatcher.make_way();
    assert_eq!(dispatcher.pool.asked, [2, 0]);
    // The third one has a place from whoever becomes idle next.
    assert!(gauges.claim_waiting() && !gauges.claim_waiting());
    dispatcher.make_way();
    assert_eq!(dispatcher.pool.asked, [2, 0], "they have yet to report");
    assert!(gauges.claim_waiting() && !gauges.has_waiting());
    dispatcher.pool.asked.clear();
    dispatcher.pool.unwilling = vec![2];
    dispatcher.make_way();
    assert!(dispatcher.pool.asked.is_empty());
    assert!((0..3).all(|_| gauges.claim_waiting()) && !gauges.has_waiting());
    dispatcher.pool.unwilling.clear();
    clients.truncate(1);
    dispatcher.state.ring.truncate(1);
    dispatcher.make_way();
    assert_eq!(dispatcher.pool.asked, [2], "one for one");
    assert!(!gauges.has_waiting());
    dispatcher.state.ring.clear();
    dispatcher.make_way();
    assert_eq!(dispatcher.pool.asked, [2]);
}

#[test]
fn who_has_waited_too_long_over_http_is_told_so() {
    let mut test = test(Scripted::of(1));
    let dispatcher = &mut test.dispatcher;
    let long_ago = NOW_MS - BOARD.wait_max_ms;
    let mut clients: Vec<_> = [
        (Protocol::Ask, long_ago),
        (Protocol::Http, long_ago),
        (Protocol::Push, long_ago),
        (Protocol::Http, long_ago + 1),
        (Protocol::Http, long_ago),
    ]
    .into_iter()
    .map(|(protocol, since_ms)| {
        let (_, mut client) = wait(&mut dispatcher.state, protocol, since_ms);
        let request = b"GET / HTTP/1.1\r\nHost: yard\r\n\r\n";
        std::io::Write::write_all(&mut client, request).unwrap();
        client
    })
    .collect();
    dispatcher.answer_overflow(NOW_MS);
    assert_eq!(waiting(&dispatcher.state), [0, 2, 3], "in their order");
    for index in [1, 4] {
        let answer = all(&mut clients[index]).unwrap();
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    }
    assert!(!dispatcher.is_idle());
    assert_eq!(
        timeout_ms(dispatcher),
        Some(0),
        "the root has yet to be checked"
    );
    dispatcher.state.drain_until_ms = Some(NOW_MS + 1);
    dispatcher.answer_overflow(NOW_MS);
    assert_eq!(
        waiting(&dispatcher.state),
        [0, 2],
        "a stop waits for nobody"
    );
    // Their tickets are there again.
    let (again, _client) = wait(&mut dispatcher.state, Protocol::Http, NOW_MS);
    assert_eq!(again.number(), 3);
    dispatcher
        .equipment
        .overflow
        .discard_rest(NOW_MS + BOARD.linger_ms);
    assert!(dispatcher.equipment.overflow.is_idle());
}

#[test]
fn a_stop_lets_transfers_finish_and_a_second_signal_does_not() {
    let mut test = test(Scripted::of(1));
    let dispatcher = &mut test.dispatcher;
    dispatcher.do_what_is_due(NOW_MS);
    raise(Signal::SIGCHLD).unwrap();
    raise(Signal::SIGHUP).unwrap();
    assert!(!dispatcher.take_event(SIGNALS_TOKEN));
    for told in ["reap", "wake"] {
        assert_eq!(
            dispatcher
                .pool
                .told
                .iter()
                .filter(|one| **one == told)
                .count(),
            1
        );
    }
    assert_eq!(dispatcher.state.gauges.root().generation, 1, "opened anew");
    assert!(!dispatcher.state.is_draining());
    dispatcher.pool.held = 1;
    raise(Signal::SIGTERM).unwrap();
    let before_ms = sys::now_ms();
    assert!(!dispatcher.take_event(SIGNALS_TOKEN));
    assert!(dispatcher.state.is_draining());
    assert_eq!(dispatcher.pool.told.last(), Some(&"drain"));
    assert!(
        TcpStream::connect(test.address).is_err(),
        "nobody is let in"
    );
    // An event of a listener that came in the same batch.
    assert!(!dispatcher.take_event(0));
    let until_ms = dispatcher.state.drain_until_ms.unwrap();
    assert!((before_ms + 5000..before_ms + 10_000).contains(&until_ms));
    assert!(!dispatcher.has_drained(until_ms - 1));
    assert!(dispatcher.has_drained(until_ms));
    dispatcher.pool.held = 0;
    assert!(dispatcher.has_drained(until_ms - 1));
    raise(Signal::SIGINT).unwrap();
    assert!(dispatcher.take_event(SIGNALS_TOKEN));
}

#[test]
fn serving_ends_as_it_was_told_to() {
    let mut test = test(Scripted::of(1));
    let dispatcher = &mut test.dispatcher;
    assert_eq!(dispatcher.start(), Err(Errno::EAGAIN));
    raise(Signal::SIGTERM).unwrap();
    assert_eq!(dispatcher.run(), Ok(Ended::Drained));
    dispatcher.end(Ended::Drained);
    assert_eq!(dispatcher.pool.told.last(), Some(&"shut down"));
    raise(Signal::SIGTERM).unwrap();
    dispatcher.pool.held = 1;
    assert_eq!(dispatcher.run(), Ok(Ended::AtOnce));
    dispatcher.end(Ended::AtOnce);
    assert_eq!(dispatcher.pool.told.last(), Some(&"kill"));
    drop(test.folder);
}

#[test]
fn who_asks_to_eject_hears_of_it_once_all_workers_have_followed() {
    let mut test = test(Scripted::of(2));
    let dispatcher = &mut test.dispatcher;
    let name = format!("trainyard/test/dispatcher/{}", sys::process_id());
    let listener = sys::listen_locally(&name).unwrap();
    dispatcher.equipment.control = Control::new(listener, &[]);
    dispatcher.do_what_is_due(NOW_MS);
    let wait = core::time::Duration::from_millis(900);
    let mut asker = UnixStream::from(sys::connect_locally(&name, wait).unwrap());
    asker.shutdown(std::net::Shutdown::Write).unwrap();
    asker.set_nonblocking(true).unwrap();
    assert!(!dispatcher.take_event(CONTROL_TOKEN));
    dispatcher.do_what_is_due(NOW_MS);
    assert_eq!(
        dispatcher
            .pool
            .told
            .iter()
            .filter(|one| **one == "wake")
            .count(),
        1
    );
    let gauges = dispatcher.state.gauges;
    let state = gauges.root();
    assert!(state.is_gone && state.generation == 1);
    gauges.ack_root_generation(1, state.generation);
    dispatcher.do_what_is_due(NOW_MS + 1);
    assert_eq!(all(&mut asker), None, "one has yet to follow");
    assert_eq!(timeout_ms(dispatcher), Some(RETRY_MS as u32));
    gauges.ack_root_generation(0, state.generation);
    dispatcher.do_what_is_due(NOW_MS + EJECT_MS - 1);
    assert!(all(&mut asker).unwrap().starts_with("gone /"));
}

#[test]
fn clients_are_let_in_while_there_is_room() {
    let mut test = test(Scripted::of(1));
    let dispatcher = &mut test.dispatcher;
    dispatcher.do_what_is_due(NOW_MS);
    let _client = TcpStream::connect(test.address).unwrap();
    let told = |dispatcher: &Dispatcher<Scripted>| {
        let mut events = [EpollEvent::empty(); 4];
        let epoll = &dispatcher.state.epoll;
        epoll.wait(&mut events, EpollTimeout::ZERO).unwrap()
    };
    assert_eq!(told(dispatcher), 1);
    let mut clients = Vec::new();
    while dispatcher.state.waiting() < RING_MAX {
        clients.push(wait(&mut dispatcher.state, Protocol::Ask, NOW_MS));
    }
    dispatcher.do_what_is_due(NOW_MS);
    assert_eq!(told(dispatcher), 0);
    dispatcher.state.ring.truncate(RING_MAX - 1);
    dispatcher.do_what_is_due(NOW_MS);
    assert_eq!(told(dispatcher), 1);
    dispatcher.state.drain_until_ms = Some(NOW_MS + 1);
    dispatcher.do_what_is_due(NOW_MS);
    assert_eq!(told(dispatcher), 0);
}
