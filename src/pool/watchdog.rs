//! Whether the workers still come round: one that does not, though it was called, is stuck.

use crate::gauge::Gauges;
use crate::limits::{STUCK_MS, WATCHDOG_MS, WORKERS_MAX};

/// What was last seen of one worker. All zeroes is nothing.
#[derive(Clone, Copy)]
struct Heartbeat {
    rounds: u64,
    /// Since when it has been called without coming round, 0 for not at all.
    called_ms: u64,
}

/// Watches over the workers while there is something to do for them.
pub(super) struct Watchdog {
    all: [Heartbeat; WORKERS_MAX],
    checked_ms: u64,
}

/// What is to be done about a worker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// Nothing.
    Alive,
    /// It may only be waiting: wake it, so that it comes round.
    Wake,
    /// It was called long ago.
    Stuck,
}

impl Watchdog {
    pub(super) const fn new() -> Self {
        const NONE: Heartbeat = Heartbeat {
            rounds: 0,
            called_ms: 0,
        };
        Self {
            all: [NONE; WORKERS_MAX],
            checked_ms: 0,
        }
    }

    /// When they have to be felt next.
    pub(super) fn next_ms(&self) -> u64 {
        self.checked_ms + WATCHDOG_MS
    }

    /// Begins to check them, if it is time.
    pub(super) fn begin_check(&mut self, now_ms: u64) -> bool {
        if now_ms < self.next_ms() {
            return false;
        }
        if now_ms >= self.checked_ms + 2 * WATCHDOG_MS {
            // This process did not come round itself: it was stopped, or had nothing to do.
            self.all
                .iter_mut()
                .for_each(|heartbeat| heartbeat.called_ms = 0);
        }
        self.checked_ms = now_ms;
        true
    }

    /// Feels one; `is_busy` if the worker has something to do.
    pub(super) fn check(&mut self, gauges: Gauges, worker: usize, is_busy: bool) -> Verdict {
        let now_ms = self.checked_ms;
        let heartbeat = &mut self.all[worker];
        let rounds = gauges.heartbeats(worker);
        if rounds != heartbeat.rounds || !is_busy {
            (heartbeat.rounds, heartbeat.called_ms) = (rounds, 0);
            return Verdict::Alive;
        }
        if heartbeat.called_ms == 0 {
            heartbeat.called_ms = now_ms;
        }
        if now_ms - heartbeat.called_ms >= STUCK_MS {
            heartbeat.called_ms = 0;
            return Verdict::Stuck;
        }
        Verdict::Wake
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_called_and_does_not_come_is_stuck() {
        let gauges = Gauges::new().unwrap();
        let mut watchdog = Watchdog::new();
        let mut now_ms = 100_000;
        let mut check = |watchdog: &mut Watchdog, passed_ms, is_busy| {
            now_ms += passed_ms;
            assert!(watchdog.begin_check(now_ms));
            watchdog.check(gauges, 1, is_busy)
        };
        for round in 0..3 {
            assert_eq!(
                check(&mut watchdog, WATCHDOG_MS, true),
                Verdict::Wake,
                "{round}"
            );
            gauges.heartbeat(1);
            assert_eq!(check(&mut watchdog, WATCHDOG_MS, true), Verdict::Alive);
        }
        for _ in 0..2 * STUCK_MS / WATCHDOG_MS {
            assert_eq!(
                check(&mut watchdog, WATCHDOG_MS, false),
                Verdict::Alive,
                "idle"
            );
        }
        for _ in 0..STUCK_MS / WATCHDOG_MS {
            assert_eq!(check(&mut watchdog, WATCHDOG_MS, true), Verdict::Wake);
        }
        // The dispatcher itself was stopped: everybody is called anew.
        assert_eq!(check(&mut watchdog, 10 * STUCK_MS, true), Verdict::Wake);
        for _ in 1..STUCK_MS / WATCHDOG_MS {
            assert_eq!(check(&mut watchdog, WATCHDOG_MS, true), Verdict::Wake);
        }
        assert_eq!(check(&mut watchdog, WATCHDOG_MS, true), Verdict::Stuck);
    }

    #[test]
    fn a_check_is_due_once_in_its_time() {
        let gauges = Gauges::new().unwrap();
        let mut watchdog = Watchdog::new();
        assert!(watchdog.begin_check(50_000));
        assert_eq!(watchdog.next_ms(), 50_000 + WATCHDOG_MS);
        assert!(!watchdog.begin_check(50_000 + WATCHDOG_MS - 1));
        assert_eq!(watchdog.next_ms(), 50_000 + WATCHDOG_MS);
        assert_eq!(watchdog.check(gauges, 0, true), Verdict::Wake);
        // One that comes late, but not twice as late, has seen all of the time.
        for _ in 0..STUCK_MS / (2 * WATCHDOG_MS - 1) {
            assert!(watchdog.begin_check(watchdog.next_ms() + WATCHDOG_MS - 1));
            assert_eq!(watchdog.check(gauges, 0, true), Verdict::Wake);
        }
        assert!(watchdog.begin_check(watchdog.next_ms() + WATCHDOG_MS - 1));
        assert_eq!(watchdog.check(gauges, 0, true), Verdict::Stuck);
    }

    #[test]
    fn each_worker_is_watched_by_itself() {
        let gauges = Gauges::new().unwrap();
        let mut watchdog = Watchdog::new();
        for round in 1..=STUCK_MS / WATCHDOG_MS {
            assert!(watchdog.begin_check(round * WATCHDOG_MS));
            assert_eq!(watchdog.check(gauges, 0, true), Verdict::Wake);
            gauges.heartbeat(1);
            assert_eq!(watchdog.check(gauges, 1, true), Verdict::Alive);
        }
        assert!(watchdog.begin_check(STUCK_MS + WATCHDOG_MS));
        assert_eq!(watchdog.check(gauges, 1, true), Verdict::Wake);
        assert_eq!(watchdog.check(gauges, 0, true), Verdict::Stuck);
        // Who takes its place has all of the time again.
        assert!(watchdog.begin_check(STUCK_MS + 2 * WATCHDOG_MS));
        assert_eq!(watchdog.check(gauges, 0, true), Verdict::Wake);
    }
}
