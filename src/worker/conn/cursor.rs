//! How a file is read that is sent: as far as the page cache holds it, and in which portions.

use crate::limits::{BOARD, CARS_PER_BATCH_FIRST, NOT_CACHED_RETRIES_MAX};
use crate::sys;

/// How a file is read that is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct FileCursor {
    /// Where the part of the file ends that was last seen in the page cache.
    pub(crate) cached_until: u64,
    /// Tries in a row that found the next bytes not cached.
    pub(crate) not_cached_tries: u8,
    /// Cars in the next batch, where it is sent in cars.
    pub(crate) batch: u16,
}

impl FileCursor {
    /// At the beginning of a file of which nothing is known.
    pub(crate) const START: Self = Self {
        cached_until: 0,
        not_cached_tries: 0,
        batch: CARS_PER_BATCH_FIRST,
    };

    /// Whether the file is sent whether it is cached or not: it was waited for long enough.
    pub(crate) fn may_block(&self) -> bool {
        self.not_cached_tries >= NOT_CACHED_RETRIES_MAX
    }

    /// Requests the pages that are missing from `offset` on, once in a while.
    pub(crate) fn request_readahead(&mut self, file: i32, offset: u64) {
        self.not_cached_tries += 1;
        if self.not_cached_tries % 8 == 1 {
            sys::advise_needed(file, offset, 2 * BOARD.turn_bytes as u64);
        }
    }
}
