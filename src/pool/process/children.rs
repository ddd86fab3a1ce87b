//! The life of the children: made, replaced when they die, dismissed at the end.

use heapless::Vec;

use super::{DispatcherState, EpollFlags, ProcessData, ProcessPool, WorkerPool};
use crate::files::Pushed;
use crate::limits::{BOARD, EXIT_MS, RESPAWN_DELAY_MS, RESPAWN_SETTLED_MS, STUCK_MS};
use crate::link::{Job, Order};
use crate::pool::WORKERS;
use crate::pool::pass_fd::{self, ProcessLink};
use crate::pool::watchdog::Verdict;
use crate::sys::{self, Descriptor, Errno, Exit};
use crate::worker::WorkerConfig;

impl ProcessPool {
    /// Settles what a dead child leaves behind.
    pub(super) fn on_child_exit(&mut self, state: &mut DispatcherState, pid: i32, exit: Exit) {
        let Some(child) = self.data.iter().position(|data| data.pid == pid) else {
            return;
        };
        // It is reaped, so its number may soon be that of a process which is not to be killed.
        self.data[child].pid = 0;
        self.take_reports(state, child);
        let untaken = self.read_back(child);
        let passed_on = untaken.len();
        self.data[child].busy -= passed_on;
        state.put_back(untaken, sys::now_ms());
        let lost = self.data[child].busy;
        let mut start = 0;
        while let Some(ticket) = state.tickets.next_held_by(child, start) {
            let (peer, port) = state.tickets.peer(ticket);
            log::debug!("client [{peer}]:{port} was lost with child {child}");
            self.give_back(state, ticket, child);
            start = ticket.number() + 1;
        }
        assert_eq!(self.data[child].busy, 0, "every ticket is settled");
        log::warn!(
            "child {child} ({pid}) ended, {exit}: {lost} clients lost, {passed_on} go to others"
        );
        self.plan_replacement(state, child);
    }

    /// The jobs on their way to a child that has ended, in their order.
    fn read_back(&self, child: usize) -> Vec<Job, { BOARD.untaken_max }> {
        let mut untaken = Vec::new();
        while let Ok(order) = pass_fd::receive_order(&self.data[child].child_fd) {
            match order {
                Order::Jobs(jobs) => untaken.extend(jobs),
                Order::Nothing | Order::Closed => break,
                Order::GiveWay | Order::Drain | Order::Wake => {}
            }
        }
        untaken
    }

    fn plan_replacement(&mut self, state: &DispatcherState, child: usize) {
        let now_ms = sys::now_ms();
        let data = &mut self.data[child];
        // The child's copies are gone with it, but epoll follows the open file, not the number.
        let _ = state.epoll.delete(sys::borrow(&data.fd));
        data.fd.close();
        data.child_fd.close();
        let (first, longest) = RESPAWN_DELAY_MS;
        let settled = now_ms - data.started_ms >= RESPAWN_SETTLED_MS;
        let delay_ms = if settled {
            0
        } else {
            (data.delay_ms * 2).clamp(first, longest)
        };
        *data = ProcessData {
            delay_ms,
            respawn_ms: now_ms + delay_ms,
            ..ProcessData::NONE
        };
        state.gauges.reset(child);
    }

    pub(super) fn respawn(&mut self, state: &mut DispatcherState, now_ms: u64) {
        for child in 0..self.data.len() {
            if self.data[child].pid == 0 && self.data[child].respawn_ms <= now_ms {
                match self.make_child(state, child) {
                    Ok(()) if state.is_draining() => {
                        let _ = pass_fd::send_drain(&self.data[child].fd);
                    }
                    Ok(()) => {}
                    Err(errno) => {
                        log::error!("child {child} cannot be replaced: {errno}; trying again");
                        self.data[child].respawn_ms = now_ms + RESPAWN_DELAY_MS.1;
                    }
                }
            }
        }
    }

    /// Ends the children that are stuck, so that they are replaced.
    pub(super) fn check_watchdog(&mut self, state: &DispatcherState, now_ms: u64) {
        if !self.watchdog.begin_check(now_ms) {
            return;
        }
        for (child, data) in self.data.iter().enumerate() {
            match self.watchdog.check(state.gauges, child, data.busy > 0) {
                Verdict::Alive => {}
                // One whose pair is full has enough to wake up for.
                Verdict::Wake => drop(pass_fd::send_wake(&data.fd)),
                Verdict::Stuck => {
                    log::error!(
                        "child {child} ({}) is stuck: not one round in {STUCK_MS} ms; it is replaced",
                        data.pid
                    );
                    sys::kill_child(data.pid);
                }
            }
        }
    }

    pub(super) fn make_child(
        &mut self,
        state: &mut DispatcherState,
        child: usize,
    ) -> Result<(), Errno> {
        let (mut fd, mut child_fd) = sys::pair()?;
        let pid = match sys::fork() {
            Ok(Some(pid)) => pid,
            Ok(None) => self.be_child(state, child, child_fd),
            Err(errno) => {
                fd.close();
                child_fd.close();
                return Err(errno);
            }
        };
        if let Err(errno) = state.watch(&fd, child, EpollFlags::EPOLLIN) {
            sys::kill_child(pid);
            fd.close();
            child_fd.close();
            return Err(errno);
        }
        // The child has the root as it is now, so it holds nothing that was let go before.
        state
            .gauges
            .ack_root_generation(child, state.gauges.root().generation);
        let data = &mut self.data[child];
        assert_eq!((data.pid, data.busy), (0, 0));
        *data = ProcessData {
            pid,
            fd,
            child_fd,
            started_ms: sys::now_ms(),
            delay_ms: data.delay_ms,
            ..ProcessData::NONE
        };
        log::debug!("child {child} is process {pid}");
        Ok(())
    }

    /// What the child does, from its first step to its exit.
    fn be_child(&mut self, state: &DispatcherState, child: usize, child_fd: Descriptor) -> ! {
        sys::become_child(self.pid);
        let root = self.config.root;
        let mut keep: Vec<i32, 3> = Vec::new();
        let pushed = root.pushed().map(Pushed::descriptor);
        for kept in [Some(&child_fd), Some(root.descriptor()), pushed] {
            keep.extend(kept.map(Descriptor::raw));
        }
        sys::close_all_but(&mut keep);
        let config = WorkerConfig {
            index: child,
            root,
            framing: self.config.framing,
            gauges: state.gauges,
            cache_sharers: 1,
            http_config: self.config.http_config,
            clock_floor_s: self.config.clock_floor_s,
        };
        let mut link = ProcessLink {
            descriptor: child_fd,
        };
        let heap_bytes = sys::heap_bytes();
        let ended = WORKERS[child].take().run(&config, &mut link);
        if sys::heap_bytes() != heap_bytes {
            log::error!("C's heap has changed in child {child}: this is a bug, please report it");
            sys::exit_now(1);
        }
        match ended {
            Ok(()) => sys::exit_now(0),
            Err(errno) => {
                log::error!("child {child} cannot go on: {errno}");
                sys::exit_now(1)
            }
        }
    }

    /// Lets the children exit, and ends those that do not.
    pub(super) fn shut_down_children(&mut self) {
        let is_clean = self.held() == 0;
        for data in self.data.iter_mut() {
            data.fd.close();
            data.child_fd.close();
        }
        if is_clean {
            let until_ms = sys::now_ms() + EXIT_MS;
            while self.data.iter().any(|data| data.pid != 0) && sys::now_ms() < until_ms {
                match sys::reap() {
                    Some((pid, exit)) => self.forget(pid, exit),
                    None => sys::sleep_us(1000),
                }
            }
        }
        self.kill_children();
    }

    pub(super) fn forget(&mut self, pid: i32, exit: Exit) {
        if exit != Exit::Code(0) {
            log::warn!("process {pid} ended, {exit}");
        }
        for data in self.data.iter_mut().filter(|data| data.pid == pid) {
            data.pid = 0;
        }
    }

    pub(super) fn kill_children(&mut self) {
        for data in self.data.iter().filter(|data| data.pid != 0) {
            sys::kill_child(data.pid);
        }
    }
}
