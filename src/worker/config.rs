//! What a worker is told at its start.

use crate::files::{Lookup, Root};
use crate::gauge::Gauges;
use crate::http::{HttpConfig, content_type};
use crate::train::Framing;

/// What a worker is told at its start.
pub struct WorkerConfig<'a> {
    /// The worker's number.
    pub index: usize,
    /// The root.
    pub root: &'a Root,
    /// The framing in which the pushed file is sent.
    pub framing: Framing,
    /// Workers of the same process.
    pub cache_sharers: usize,
    /// How files are served over HTTP.
    pub http_config: &'a HttpConfig,
    /// Seconds since 1970 before which the clock cannot be right.
    pub clock_floor_s: u64,
    /// What dispatcher and workers show each other.
    pub gauges: Gauges,
}

impl WorkerConfig<'_> {
    /// Where files are looked for, and how.
    pub(crate) fn lookup(&self) -> Lookup<'_> {
        Lookup {
            root: self.root,
            index: self.http_config.index(),
            content_type,
        }
    }
}
