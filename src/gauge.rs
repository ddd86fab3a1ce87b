//! Gauges: the few numbers that dispatcher and workers show each other without a message.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::limits::WORKERS_MAX;
use crate::sys::{Errno, shared_counters};

/// What the dispatcher shows the workers, and each worker the dispatcher. They see each other's
/// numbers soon, not at once: a gauge decides who is asked, never who holds what.
#[derive(Clone, Copy)]
pub struct Gauges {
    counters: &'static [AtomicU64],
}

const WANTED: usize = 0;
const ROOT_CHANGES: usize = 1 + 3 * WORKERS_MAX;
const COUNTERS: usize = ROOT_CHANGES + 1;

impl Gauges {
    /// Gauges at zero, shared with the children that are forked later.
    ///
    /// # Errors
    /// `ENOMEM` when the system has no room.
    pub fn new() -> Result<Self, Errno> {
        shared_counters(COUNTERS).map(|counters| Self { counters })
    }

    fn idle(&self, worker: usize) -> &AtomicU64 {
        &self.counters[1 + 3 * worker]
    }

    fn jobs(&self, worker: usize) -> &AtomicU64 {
        &self.counters[2 + 3 * worker]
    }

    fn coming(&self, worker: usize) -> &AtomicU64 {
        &self.counters[3 + 3 * worker]
    }

    /// Says how many newcomers wait for a place.
    pub fn want(&self, places: usize) {
        self.counters[WANTED].store(places as u64, Relaxed);
    }

    /// Whether a newcomer waits for a place.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.counters[WANTED].load(Relaxed) > 0
    }

    /// Promises one place to a newcomer; false when none waits for one.
    #[must_use]
    pub fn promise(&self) -> bool {
        self.is_wanted()
            && self.counters[WANTED]
                .fetch_update(Relaxed, Relaxed, |wanted| wanted.checked_sub(1))
                .is_ok()
    }

    /// Shows since when (milliseconds, monotonic) the worker's oldest idle connection is idle.
    pub fn show_idle(&self, worker: usize, since_ms: Option<u64>) {
        self.idle(worker).store(since_ms.unwrap_or(0), Relaxed);
    }

    /// Since when the worker's oldest idle connection is idle; `None` when it has none.
    #[must_use]
    pub fn idle_since_ms(&self, worker: usize) -> Option<u64> {
        Some(self.idle(worker).load(Relaxed)).filter(|since| *since > 0)
    }

    /// Shows that the worker has taken so many jobs more.
    pub fn take(&self, worker: usize, jobs: usize) {
        self.jobs(worker).fetch_add(jobs as u64, Relaxed);
    }

    /// The jobs that the worker has taken since its start.
    #[must_use]
    pub fn taken(&self, worker: usize) -> u64 {
        self.jobs(worker).load(Relaxed)
    }

    /// Shows that the worker has come round once more.
    pub fn come_round(&self, worker: usize) {
        self.coming(worker).fetch_add(1, Relaxed);
    }

    /// How often the worker has come round.
    #[must_use]
    pub fn rounds(&self, worker: usize) -> u64 {
        self.coming(worker).load(Relaxed)
    }

    /// Shows that the root has changed once more; how often, all in all.
    pub fn change_root(&self) -> u64 {
        self.counters[ROOT_CHANGES].fetch_add(1, Relaxed) + 1
    }

    /// How often the root has changed.
    #[must_use]
    pub fn root_changes(&self) -> u64 {
        self.counters[ROOT_CHANGES].load(Relaxed)
    }

    /// Starts anew for a worker that is made again.
    pub fn reset(&self, worker: usize) {
        self.idle(worker).store(0, Relaxed);
        self.jobs(worker).store(0, Relaxed);
    }
}
