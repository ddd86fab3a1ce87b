//! An answer over HTTP on its way: what of it is made, and what follows.

use heapless::Vec;

use crate::files::FileSlot;
use crate::http::{Encoding, Status};
use crate::sys;
use crate::worker::conn::state::Decision;

/// Requests that are answered in one turn.
const BATCH_MAX: usize = 32;

/// When a request is answered.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    /// Milliseconds on the monotonic clock.
    pub(crate) now_ms: u64,
    /// Milliseconds since 1970, as far as the system knows.
    pub(crate) real_ms: u64,
}

impl Moment {
    pub(crate) fn now(now_ms: u64) -> Self {
        let real_ms = sys::real_ms();
        Self { now_ms, real_ms }
    }
}

/// What follows the bytes that a response has made.
pub(crate) enum Body {
    /// Nothing.
    None,
    /// Bytes of a file: from this offset, so many.
    File(FileSlot, u64, u64),
    /// Several parts of a file, as the request says.
    Multipart(FileSlot, Encoding),
    /// The entries of a folder, as the request says.
    Listing(FileSlot),
}

/// An answer, of which the first bytes are made.
pub(crate) struct Response {
    pub(crate) status: Status,
    /// Bytes made.
    pub(crate) made: usize,
    /// Bytes of the body that are among them.
    pub(crate) made_body: usize,
    pub(crate) body: Body,
    pub(crate) keep_alive: bool,
}

/// Where one answer of a batch ends, and where its request begins.
pub(crate) struct Answered {
    pub(crate) end: usize,
    pub(crate) request: usize,
    pub(crate) status: Status,
    /// Bytes of the body that were made.
    pub(crate) body: u64,
    pub(crate) decision: Decision,
}

/// The answers made in one turn.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) answers: Vec<Answered, BATCH_MAX>,
    /// Bytes of requests that are answered.
    pub(crate) used: usize,
    /// Bytes of the answers.
    pub(crate) made: usize,
    pub(crate) last: Option<Response>,
    /// More of what the last request belongs to is on its way.
    pub(crate) is_cut: bool,
    /// More requests may be there than fit the batch.
    pub(crate) is_full: bool,
}
