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

const WAITING: usize = 0;
const NUMBERS: usize = 4;
const ROOT: usize = 1 + NUMBERS * WORKERS_MAX;
const FAULTS: usize = ROOT + 1;
const COUNTERS: usize = FAULTS + 1;

/// What became of the root since the start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RootState {
    /// How often it was opened anew or let go: workers that have another one follow.
    pub generation: u32,
    /// How often it was let go: then nothing of it may stay open.
    pub releases: u16,
    /// It is not there now.
    pub is_gone: bool,
}

impl RootState {
    /// Nothing yet. All zeroes.
    pub const START: Self = Self {
        generation: 0,
        releases: 0,
        is_gone: false,
    };
}

impl Gauges {
    /// Gauges at zero, shared with the children that are forked later.
    ///
    /// # Errors
    /// `ENOMEM` when the system has no room.
    pub fn new() -> Result<Self, Errno> {
        shared_counters(COUNTERS).map(|counters| Self { counters })
    }

    fn idle(&self, worker: usize) -> &AtomicU64 {
        &self.counters[1 + NUMBERS * worker]
    }

    fn jobs(&self, worker: usize) -> &AtomicU64 {
        &self.counters[2 + NUMBERS * worker]
    }

    fn beats(&self, worker: usize) -> &AtomicU64 {
        &self.counters[3 + NUMBERS * worker]
    }

    fn root_acks(&self, worker: usize) -> &AtomicU64 {
        &self.counters[4 + NUMBERS * worker]
    }

    /// Says how many newcomers wait for a place.
    pub fn set_waiting(&self, newcomers: usize) {
        self.counters[WAITING].store(newcomers as u64, Relaxed);
    }

    /// Whether a newcomer waits for a place.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        self.counters[WAITING].load(Relaxed) > 0
    }

    /// Claims one of the newcomers that wait, who will have the caller's place; false when none waits.
    #[must_use]
    pub fn claim_waiting(&self) -> bool {
        self.has_waiting()
            && self.counters[WAITING]
                .fetch_update(Relaxed, Relaxed, |waiting| waiting.checked_sub(1))
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

    /// Counts one more round of the worker's loop, by which the watchdog sees that it is alive.
    pub fn heartbeat(&self, worker: usize) {
        self.beats(worker).fetch_add(1, Relaxed);
    }

    /// Rounds of the worker's loop since its start.
    #[must_use]
    pub fn heartbeats(&self, worker: usize) -> u64 {
        self.beats(worker).load(Relaxed)
    }

    /// Shows what became of the root.
    pub fn publish_root(&self, state: RootState) {
        let RootState {
            generation,
            releases,
            is_gone,
        } = state;
        let word = u64::from(generation) << 32 | u64::from(releases) << 16 | u64::from(is_gone);
        self.counters[ROOT].store(word, Relaxed);
    }

    /// What became of the root.
    #[must_use]
    pub fn root(&self) -> RootState {
        let word = self.counters[ROOT].load(Relaxed);
        RootState {
            generation: (word >> 32) as u32,
            releases: (word >> 16) as u16,
            is_gone: word & 1 != 0,
        }
    }

    /// Says that the worker holds nothing of any earlier generation of the root.
    pub fn ack_root_generation(&self, worker: usize, generation: u32) {
        self.root_acks(worker).store(generation.into(), Relaxed);
    }

    /// The root's generation that the worker has acknowledged.
    #[must_use]
    pub fn acked_root_generation(&self, worker: usize) -> u32 {
        self.root_acks(worker).load(Relaxed) as u32
    }

    /// Shows that something beneath the root could not be read.
    pub fn report_fault(&self) {
        self.counters[FAULTS].fetch_add(1, Relaxed);
    }

    /// How often that was so.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.counters[FAULTS].load(Relaxed)
    }

    /// Starts anew for a worker that is made again.
    pub fn reset(&self, worker: usize) {
        self.idle(worker).store(0, Relaxed);
        self.jobs(worker).store(0, Relaxed);
    }
}
