use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};

use super::super::doubles::{state, wait, waiting};
use super::super::pass_fd::ProcessLink;
use super::*;
use crate::files::Root;
use crate::limits::{RESPAWN_DELAY_MS, RESPAWN_SETTLED_MS, STUCK_MS, WATCHDOG_MS};
use crate::link::{Order, PoolLink, Protocol};
use crate::sys::Exit;
use crate::train::Framing;

/// Above every number that a process can have, so that no signal reaches anybody.
const PID: i32 = i32::MAX - 100;
const NOW_MS: u64 = 1_000_000;

/// A pool of children that only a test plays, and what they have of their pairs.
struct Test {
    pool: ProcessPool,
    state: DispatcherState,
    links: Vec<ProcessLink>,
    clients: Vec<UnixStream>,
}

fn test(children: usize, per_worker: usize) -> Test {
    let config = PoolConfig {
        workers: children,
        per_worker,
        root: Box::leak(Box::new(Root::absent(c"/nothing/there").unwrap())),
        framing: Framing::Sized,
        http_config: Box::leak(Box::new(crate::http::HttpConfig::default())),
        clock_floor_s: 0,
    };
    let data = (0..children).map(|_| ProcessData::NONE);
    let mut test = Test {
        pool: ProcessPool {
            data: data.collect::<Vec<_>>().leak(),
            watchdog: Watchdog::new(),
            pid: sys::process_id(),
            config,
        },
        state: state(),
        links: Vec::new(),
        clients: Vec::new(),
    };
    for child in 0..children {
        let link = test.play(child, PID + child as i32);
        test.links.push(link);
    }
    test
}

impl Test {
    /// Plays a child, as if it had just been made.
    fn play(&mut self, child: usize, pid: i32) -> ProcessLink {
        let (fd, child_fd) = sys::pair().unwrap();
        self.state.watch(&fd, child, EpollFlags::EPOLLIN).unwrap();
        let descriptor = child_fd.duplicate().unwrap();
        let data = &mut self.pool.data[child];
        *data = ProcessData {
            pid,
            fd,
            child_fd,
            started_ms: sys::now_ms(),
            delay_ms: data.delay_ms,
            ..ProcessData::NONE
        };
        ProcessLink {
            descriptor: descriptor.into(),
        }
    }

    fn wait(&mut self, count: usize) {
        for _ in 0..count {
            self.clients
                .push(wait(&mut self.state, Protocol::Http, NOW_MS).1);
        }
    }

    /// The tickets of the next message of jobs that a child takes.
    fn take(&mut self, child: usize) -> Vec<u32> {
        match self.links[child].receive().unwrap() {
            Order::Jobs(jobs) => {
                self.state.gauges.take(child, jobs.len());
                let tickets = jobs.iter().map(|job| job.ticket).collect();
                for mut job in jobs {
                    job.socket.close();
                }
                tickets
            }
            Order::Nothing => Vec::new(),
            _ => panic!("another order"),
        }
    }

    fn busy(&self) -> Vec<usize> {
        self.pool.data.iter().map(|data| data.busy).collect()
    }

    fn exit(&mut self, child: usize) {
        let pid = self.pool.data[child].pid;
        self.pool
            .on_child_exit(&mut self.state, pid, Exit::Signal(9));
    }
}

/// A process that can be killed, and tells by what.
fn victim() -> Child {
    Command::new("sleep").arg("600").spawn().unwrap()
}

#[track_caller]
fn assert_killed(mut victim: Child) {
    assert_eq!(victim.wait().unwrap().signal(), Some(9));
}

#[test]
fn the_least_busy_child_has_its_share() {
    let mut test = test(2, 4);
    test.wait(5);
    assert!(test.pool.dispatch(&mut test.state));
    assert_eq!(test.busy(), [3, 2]);
    assert_eq!(test.pool.held(), 5);
    assert_eq!(test.take(0), [0, 1, 2]);
    assert_eq!(test.take(1), [3]);
    assert_eq!(test.take(1), [4]);
    assert!(!test.pool.is_full());
    // The parent keeps no socket that it has passed: the client sees the child's close.
    let mut byte = [0];
    assert_eq!(
        std::io::Read::read(&mut test.clients[0], &mut byte).unwrap(),
        0
    );
    test.wait(5);
    assert!(test.pool.dispatch(&mut test.state), "all places are taken");
    assert!(test.pool.is_full());
    assert_eq!((test.busy(), test.state.waiting()), (vec![4, 4], 2));
    assert!(test.pool.dispatch(&mut test.state));
}

#[test]
fn a_child_has_no_more_on_its_way_than_can_come_back() {
    let most = BOARD.untaken_max;
    let mut test = test(1, 2 * most);
    test.wait(most + 5);
    assert!(
        !test.pool.dispatch(&mut test.state),
        "it is slow to take them"
    );
    assert_eq!((test.busy(), test.state.waiting()), (vec![most], 5));
    let taken = test.take(0).len();
    assert!(taken > 5);
    assert!(test.pool.dispatch(&mut test.state));
    assert_eq!((test.busy(), test.state.waiting()), (vec![most + 5], 0));
    assert_eq!(test.pool.room(&test.state, 0), taken - 5);
    assert_eq!(test.pool.data[0].sent, most as u64 + 5);
}

#[test]
fn whom_a_child_refuses_another_one_has() {
    let mut test = test(2, 8);
    while pass_fd::send_wake(&test.pool.data[0].fd).is_ok() {}
    test.wait(4);
    assert!(test.pool.dispatch(&mut test.state));
    assert_eq!(test.busy(), [0, 4]);
    let passed: Vec<_> = (0..4).flat_map(|_| test.take(1)).collect();
    assert_eq!(passed, [0, 1, 2, 3], "in order of arrival");
    while pass_fd::send_wake(&test.pool.data[1].fd).is_ok() {}
    test.wait(1);
    assert!(!test.pool.dispatch(&mut test.state), "both, for now");
    assert_eq!(waiting(&test.state), [4]);
    assert_eq!(test.busy(), [0, 4]);
}

#[test]
fn a_report_gives_tickets_back() {
    let mut test = test(2, 4);
    test.wait(3);
    test.pool.dispatch(&mut test.state);
    let taken = test.take(0);
    assert_eq!(taken, [0, 1]);
    test.links[0].report(&taken[..1]).unwrap();
    test.links[0].report(&taken[1..]).unwrap();
    test.pool.take_reports(&mut test.state, 0);
    assert_eq!(test.busy(), [0, 1]);
    test.wait(1);
    assert_eq!(waiting(&test.state), [1], "the last one that came back");
}

#[test]
fn a_child_that_reports_what_it_does_not_hold_is_killed() {
    for report in [&[2][..], &[u32::MAX], &[0, 0]] {
        let mut test = test(2, 4);
        test.wait(3);
        test.pool.dispatch(&mut test.state);
        let victim = victim();
        test.pool.data[0].pid = victim.id() as i32;
        test.links[0].report(report).unwrap();
        test.pool.take_reports(&mut test.state, 0);
        assert_killed(victim);
        assert!(
            test.state
                .tickets
                .is_held_by(Ticket::from_number(2).unwrap(), 1)
        );
    }
    let mut test = test(1, 4);
    let victim = victim();
    test.pool.data[0].pid = victim.id() as i32;
    sys::send_message(test.links[0].descriptor.raw(), b"nonsense", &[]).unwrap();
    test.pool.take_reports(&mut test.state, 0);
    assert_killed(victim);
}

#[test]
fn what_a_dead_child_has_not_taken_goes_to_others() {
    let mut test = test(2, 8);
    test.wait(6);
    test.pool.dispatch(&mut test.state);
    assert_eq!(test.busy(), [3, 3]);
    test.wait(2);
    test.pool.dispatch(&mut test.state);
    assert_eq!(test.busy(), [4, 4]);
    let taken = test.take(0);
    assert_eq!(taken, [0, 1, 2]);
    // One of those that it took has ended, and it was asked for a place.
    test.links[0].report(&[1]).unwrap();
    assert!(test.pool.ask_to_give_way(0));
    test.wait(1);
    test.exit(0);
    assert_eq!(waiting(&test.state), [6, 8], "before who came later");
    assert_eq!(test.busy(), [0, 4]);
    assert_eq!(test.state.gauges.taken(0), 0);
    let data = &test.pool.data[0];
    assert!(data.pid == 0 && !data.fd.is_open() && !data.child_fd.is_open() && !data.asked);
    // The tickets of the clients that it had are free: the next three have them.
    test.wait(3);
    let mut numbers = waiting(&test.state)[2..].to_vec();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2]);
    // An event that came in the same batch, and a death of nobody.
    test.pool.take_reports(&mut test.state, 0);
    test.pool
        .on_child_exit(&mut test.state, PID + 50, Exit::Code(0));
    assert_eq!(test.busy(), [0, 4]);
    assert!(!test.pool.can_give_way(0));
    assert!(test.pool.dispatch(&mut test.state));
    assert_eq!(test.busy(), [0, 8], "a dead child is passed nobody");
    assert!(test.pool.is_full(), "and has no place");
}

#[test]
fn a_child_that_makes_no_sense_when_it_dies_is_settled_all_the_same() {
    let mut test = test(1, 8);
    test.wait(2);
    test.pool.dispatch(&mut test.state);
    test.take(0);
    test.links[0].report(&[u32::MAX]).unwrap();
    test.exit(0);
    assert_eq!(test.busy(), [0]);
    assert_eq!(test.state.tickets.next_held_by(0, 0), None);
}

#[test]
fn a_child_that_dies_early_is_replaced_later_and_later() {
    let mut test = test(1, 8);
    let (first, longest) = RESPAWN_DELAY_MS;
    let mut expected = first;
    while expected < longest {
        let before_ms = sys::now_ms();
        test.exit(0);
        assert_eq!(test.pool.data[0].delay_ms, expected);
        let respawn_ms = test.pool.data[0].respawn_ms;
        assert!((before_ms + expected..before_ms + expected + 5000).contains(&respawn_ms));
        assert_eq!(test.pool.maintain_ms(), Some(respawn_ms));
        // It is not time yet, so no child is made.
        test.pool.respawn(&mut test.state, respawn_ms - 1);
        assert_eq!(test.pool.data[0].pid, 0);
        test.links[0] = test.play(0, PID);
        expected = (expected * 2).min(longest);
    }
    test.pool.data[0].started_ms -= RESPAWN_SETTLED_MS;
    test.exit(0);
    assert_eq!(test.pool.data[0].delay_ms, 0, "it had settled");
}

#[test]
fn a_child_is_asked_once_until_it_reports() {
    let mut test = test(2, 4);
    assert_eq!(test.pool.workers(), 2);
    assert_eq!(test.pool.asked_to_give_way(), 0);
    assert!(test.pool.can_give_way(1) && test.pool.ask_to_give_way(1));
    assert_eq!(test.pool.asked_to_give_way(), 1);
    assert!(!test.pool.can_give_way(1) && test.pool.can_give_way(0));
    assert!(!test.pool.can_give_way(2));
    assert!(matches!(test.links[1].receive(), Ok(Order::GiveWay)));
    test.links[1].report(&[]).unwrap();
    test.pool.take_reports(&mut test.state, 1);
    assert!(test.pool.can_give_way(1));
    while pass_fd::send_wake(&test.pool.data[1].fd).is_ok() {}
    assert!(!test.pool.ask_to_give_way(1), "its pair is full");
    assert!(test.pool.can_give_way(1));
}

#[test]
fn orders_to_all_reach_those_that_live() {
    let mut test = test(3, 4);
    test.exit(1);
    test.pool.wake_all();
    test.pool.drain();
    for child in [0, 2] {
        assert!(matches!(test.links[child].receive(), Ok(Order::Wake)));
        assert!(matches!(test.links[child].receive(), Ok(Order::Drain)));
        assert!(matches!(test.links[child].receive(), Ok(Order::Nothing)));
    }
    assert!(matches!(test.links[1].receive(), Ok(Order::Closed)));
}

#[test]
fn a_child_that_holds_clients_and_has_no_round_is_killed() {
    let mut test = test(3, 4);
    assert_eq!(test.pool.maintain_ms(), None, "nobody holds anything");
    test.wait(2);
    test.pool.dispatch(&mut test.state);
    let victim = victim();
    test.pool.data[0].pid = victim.id() as i32;
    let mut now_ms = NOW_MS;
    test.pool.maintain(&mut test.state, now_ms);
    assert_eq!(test.pool.maintain_ms(), Some(NOW_MS + WATCHDOG_MS));
    for _ in 0..STUCK_MS / WATCHDOG_MS {
        test.state.gauges.heartbeat(1);
        now_ms += WATCHDOG_MS;
        test.pool.maintain(&mut test.state, now_ms);
    }
    assert_killed(victim);
    let mut orders = Vec::new();
    for link in &mut test.links {
        let mut wakes = 0;
        loop {
            match link.receive().unwrap() {
                Order::Wake => wakes += 1,
                Order::Nothing => break,
                _ => {}
            }
        }
        orders.push(wakes);
    }
    assert_eq!(orders, [STUCK_MS / WATCHDOG_MS, 1, 0]);
}

#[test]
fn who_still_holds_clients_at_the_end_is_killed() {
    let mut test = test(2, 4);
    test.wait(1);
    test.pool.dispatch(&mut test.state);
    let victims = [victim(), victim()];
    for (data, victim) in test.pool.data.iter_mut().zip(&victims) {
        data.pid = victim.id() as i32;
    }
    test.pool.shut_down();
    victims.into_iter().for_each(assert_killed);
    assert!(!test.pool.data[0].fd.is_open() && !test.pool.data[1].child_fd.is_open());
    assert!(!test.take(0).is_empty(), "it was on its way");
    assert!(matches!(test.links[1].receive(), Ok(Order::Closed)));
}

#[test]
fn an_end_without_clients_needs_no_force() {
    let mut test = test(1, 4);
    test.pool.data[0].pid = 0;
    test.pool.shut_down();
    let victim = victim();
    test.pool.data[0].pid = victim.id() as i32;
    test.pool.forget(PID, Exit::Code(1));
    assert_ne!(test.pool.data[0].pid, 0);
    test.pool.kill();
    assert_killed(victim);
    test.pool.forget(test.pool.data[0].pid, Exit::Code(0));
    assert_eq!(test.pool.data[0].pid, 0);
}
