//! The dispatcher: the main loop of both pools, from the accepting to the stop. What differs between
//! the pools is a [`WorkerPool`].

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::acceptor::{Acceptor, Waiting};
use super::control::Control;
use super::notifier::Notifier;
use super::overflow::OverflowResponder;
use super::root_monitor::RootMonitor;
use super::state::{CONTROL_TOKEN, DispatcherState, MOUNTS_TOKEN, REPORTS_TOKEN, SIGNALS_TOKEN};
use super::worker_pool::WorkerPool;
use crate::limits::{BOARD, LISTENERS_MAX, RETRY_MS, RING_MAX, WORKERS_MAX};
use crate::link::Protocol;
use crate::sys::{self, Errno};

/// How often the gauges are looked at while clients wait.
const WAITING_POLL_MS: u64 = 20;

/// How serving ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// By a stop that let transfers finish.
    Drained,
    /// By a second signal.
    AtOnce,
}

/// What the dispatcher serves with, besides its workers.
pub struct Equipment {
    /// Lets clients in.
    pub acceptor: Acceptor,
    /// Answers those that wait too long.
    pub overflow: OverflowResponder,
    /// Tells the supervisor.
    pub notifier: Notifier,
    /// Looks after the root.
    pub root_monitor: RootMonitor,
    /// Hears who asks that the root be let go.
    pub control: Control,
    /// How long a stop waits for transfers, in milliseconds.
    pub drain_ms: u64,
}

/// The dispatcher and its workers.
pub struct Dispatcher<P> {
    pool: P,
    state: DispatcherState,
    equipment: Equipment,
    signals: SignalFd,
    /// Until when a worker is left alone that took nobody; past when nobody is.
    retry_ms: u64,
}

impl<P: WorkerPool> Dispatcher<P> {
    /// Takes the tables and blocks the signals that the pool handles; `make` makes the pool, with
    /// those of its workers that are made at start-up.
    ///
    /// # Errors
    /// `ENOMEM`, `ENOSPC` or `EMFILE` when the system has no room for what is to be watched, and what
    /// `make` says.
    pub fn new(
        equipment: Equipment,
        make: impl FnOnce(&DispatcherState) -> Result<P, Errno>,
    ) -> Result<Self, Errno> {
        let state = DispatcherState::new(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?)?;
        let signals = watch_signals(&state.epoll)?;
        for (descriptor, flags, token) in [
            (
                equipment.control.listener(),
                EpollFlags::EPOLLIN,
                CONTROL_TOKEN,
            ),
            (
                equipment.root_monitor.mount_changes(),
                EpollFlags::EPOLLPRI,
                MOUNTS_TOKEN,
            ),
        ] {
            if descriptor.is_open() {
                let event = EpollEvent::new(flags | EpollFlags::EPOLLET, token);
                state.epoll.add(sys::borrow(descriptor), event)?;
            }
        }
        equipment.acceptor.register(&state.epoll)?;
        Ok(Self {
            pool: make(&state)?,
            state,
            equipment,
            signals,
            retry_ms: 0,
        })
    }

    /// Makes the workers that are made after the seal.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(&mut self) -> Result<(), Errno> {
        self.pool.start(&mut self.state)
    }

    /// Serves until a signal stops the server; [`Dispatcher::end`] should follow.
    ///
    /// # Errors
    /// What epoll_wait(2) says; then nothing can go on.
    pub fn run(&mut self) -> Result<Ended, Errno> {
        let has_root = self.equipment.root_monitor.has_root();
        self.equipment.notifier.ready(has_root);
        loop {
            let now_ms = sys::now_ms();
            self.do_what_is_due(now_ms);
            if self.has_drained(now_ms) {
                return Ok(Ended::Drained);
            }
            let mut events = [EpollEvent::empty(); LISTENERS_MAX + 3 + WORKERS_MAX];
            let count = match self.state.epoll.wait(&mut events, self.timeout(now_ms)) {
                Err(Errno::EINTR) => 0,
                result => result?,
            };
            for event in &events[..count] {
                if self.take_event(event.data()) {
                    return Ok(Ended::AtOnce);
                }
            }
        }
    }

    /// What comes in every turn, before the dispatcher waits for events.
    fn do_what_is_due(&mut self, now_ms: u64) {
        let (held, waiting) = (self.pool.held(), self.state.waiting());
        let has_root = self.equipment.root_monitor.has_root();
        let notifier = &mut self.equipment.notifier;
        notifier.beat(now_ms, has_root, held, waiting);
        self.pool.maintain(&mut self.state, now_ms);
        self.look_after_root(now_ms);
        self.dispatch(now_ms);
        self.make_way();
        self.answer_overflow(now_ms);
        let has_room = self.state.waiting() < RING_MAX && !self.state.is_draining();
        let acceptor = &mut self.equipment.acceptor;
        acceptor.open_or_close(&self.state.epoll, has_room, now_ms);
    }

    /// Takes one event of a batch; true when it is time to go at once. What the event is about may be gone
    /// by an event before it: a listener by a stop, a child by its end.
    fn take_event(&mut self, token: u64) -> bool {
        match token {
            SIGNALS_TOKEN => return self.take_signals(),
            CONTROL_TOKEN => self.equipment.control.on_connect(),
            MOUNTS_TOKEN => self.equipment.root_monitor.check_soon(),
            listener if listener < SIGNALS_TOKEN => {
                let DispatcherState { ring, tickets, .. } = &mut self.state;
                let acceptor = &mut self.equipment.acceptor;
                acceptor.accept(listener as usize, ring, tickets);
            }
            reports => {
                let source = (reports - REPORTS_TOKEN) as usize;
                self.pool.take_reports(&mut self.state, source);
            }
        }
        false
    }

    fn has_drained(&self, now_ms: u64) -> bool {
        let until_ms = self.state.drain_until_ms;
        until_ms.is_some_and(|until_ms| self.is_idle() || now_ms >= until_ms)
    }

    /// Ends the workers.
    pub fn end(&mut self, ended: Ended) {
        match ended {
            Ended::Drained => self.pool.shut_down(),
            Ended::AtOnce => self.pool.kill(),
        }
    }

    /// Looks after the root, and after who asks that it be let go.
    fn look_after_root(&mut self, now_ms: u64) {
        let gauges = self.state.gauges;
        let has_changed = self.equipment.root_monitor.check(gauges, now_ms);
        let is_ejected = self.equipment.control.poll_request(now_ms)
            && self.equipment.root_monitor.eject(gauges, now_ms);
        if has_changed || is_ejected {
            self.pool.wake_all();
        }
        if self.equipment.control.is_asked() {
            let generation = self.equipment.root_monitor.generation();
            let have_followed = (0..self.pool.workers())
                .all(|worker| gauges.acked_root_generation(worker) == generation);
            self.equipment.control.answer_if_due(
                have_followed,
                self.equipment.root_monitor.path(),
                now_ms,
            );
        }
    }

    fn is_idle(&self) -> bool {
        self.state.waiting() == 0 && self.pool.held() == 0 && self.equipment.overflow.is_idle()
    }

    fn timeout(&self, now_ms: u64) -> EpollTimeout {
        let is_waiting = self.state.waiting() > 0 || !self.equipment.overflow.is_idle();
        let waiting = is_waiting.then_some(now_ms + WAITING_POLL_MS);
        let retry = Some(self.retry_ms).filter(|retry_ms| *retry_ms > now_ms);
        let next = [
            waiting,
            retry,
            self.pool.maintain_ms(),
            self.equipment.acceptor.resume_ms(now_ms),
            self.equipment.notifier.next_ms(),
            Some(self.equipment.root_monitor.next_ms()),
            self.equipment.control.next_ms(now_ms),
            self.state.drain_until_ms,
        ]
        .into_iter()
        .flatten()
        .min();
        match next {
            Some(next_ms) => {
                EpollTimeout::try_from(next_ms.saturating_sub(now_ms).min(60_000) as u32)
                    .unwrap_or(EpollTimeout::ZERO)
            }
            None => EpollTimeout::NONE,
        }
    }

    /// Passes on who waits.
    fn dispatch(&mut self, now_ms: u64) {
        if !self.pool.dispatch(&mut self.state) {
            self.retry_ms = now_ms + RETRY_MS;
        }
    }

    /// Asks for an idle connection's place for each newcomer that waits, the oldest first.
    fn make_way(&mut self) {
        let waiting = self.state.waiting();
        let is_full = waiting > 0 && self.pool.is_full();
        let mut asked = if is_full {
            self.pool.asked_to_give_way()
        } else {
            0
        };
        while is_full && asked < waiting {
            let oldest = (0..WORKERS_MAX)
                .filter(|worker| self.pool.can_give_way(*worker))
                .filter_map(|worker| Some((self.state.gauges.idle_since_ms(worker)?, worker)))
                .min();
            let Some((_, worker)) = oldest else { break };
            if !self.pool.ask_to_give_way(worker) {
                break;
            }
            asked += 1;
        }
        // The others are taken from connections that become idle now, by the workers themselves.
        self.state.gauges.set_waiting(if is_full {
            waiting.saturating_sub(asked)
        } else {
            0
        });
    }

    /// Tells HTTP clients that have waited too long, or wait for a server that stops, to come later.
    fn answer_overflow(&mut self, now_ms: u64) {
        self.equipment.overflow.discard_rest(now_ms);
        let least_ms = if self.state.is_draining() {
            0
        } else {
            BOARD.wait_max_ms
        };
        while self.equipment.overflow.has_room() {
            let DispatcherState { ring, tickets, .. } = &mut self.state;
            let mut is_over = |waiting: &Waiting| {
                now_ms.saturating_sub(waiting.since_ms) >= least_ms
                    && tickets.protocol(waiting.ticket) == Protocol::Http
            };
            let Some(index) = ring.iter().position(&mut is_over) else {
                return;
            };
            // The ring turns once around, and keeps its order.
            let mut found = None;
            for number in 0..ring.len() {
                let waiting = ring.pop_front().expect("as many as there are");
                if number == index {
                    found = Some(waiting);
                } else if ring.push_back(waiting).is_err() {
                    unreachable!("its place has just become free");
                }
            }
            let waiting = found.expect("the index is that of a client");
            tickets.take_back(waiting.ticket);
            self.equipment.overflow.respond(waiting.socket, now_ms);
        }
    }

    /// Handles what has come; true when it is time to go at once.
    fn take_signals(&mut self) -> bool {
        while let Ok(Some(signal)) = self.signals.read_signal() {
            match Signal::try_from(signal.ssi_signo as i32) {
                Ok(Signal::SIGCHLD) => self.pool.reap(&mut self.state),
                Ok(Signal::SIGHUP) => {
                    let root_monitor = &mut self.equipment.root_monitor;
                    if root_monitor.reopen(self.state.gauges, sys::now_ms()) {
                        self.pool.wake_all();
                    }
                }
                _ if self.state.is_draining() => {
                    log::warn!("a second signal: stopping at once");
                    return true;
                }
                _ => self.begin_to_stop(),
            }
        }
        false
    }

    fn begin_to_stop(&mut self) {
        log::info!(
            "stopping: {} clients are held, {} wait; transfers have {} ms",
            self.pool.held(),
            self.state.waiting(),
            self.equipment.drain_ms
        );
        self.state.drain_until_ms = Some(sys::now_ms().saturating_add(self.equipment.drain_ms));
        self.equipment.acceptor.close(&self.state.epoll);
        self.equipment
            .notifier
            .stopping(self.pool.held(), self.state.waiting());
        self.pool.drain();
    }
}

/// Blocks the signals that the pool handles, and lets epoll tell of them instead.
fn watch_signals(epoll: &Epoll) -> Result<SignalFd, Errno> {
    let mut handled = SigSet::empty();
    for signal in [
        Signal::SIGCHLD,
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGTERM,
    ] {
        handled.add(signal);
    }
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&handled), None)?;
    let signals = SignalFd::with_flags(&handled, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
    epoll.add(
        &signals,
        EpollEvent::new(EpollFlags::EPOLLIN, SIGNALS_TOKEN),
    )?;
    Ok(signals)
}

#[cfg(test)]
mod tests;
