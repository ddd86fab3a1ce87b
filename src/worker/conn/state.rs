//! The plain words of a connection's state. They use nothing but the limits, so that all else of the
//! worker can use them.

use crate::limits::{ACKNOWLEDGED_POLL_MS, BOARD, NOT_CACHED_RETRY_MS, RAW_END_PAUSE_MS};

/// A connection, by its entry in the slab.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Slot(pub(crate) u16);

impl Slot {
    pub(crate) const fn from_index(index: u16) -> Self {
        Self(index)
    }

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A node of an intrusive list: a connection's neighbours, 0 for none, else slot + 1.
#[derive(Clone, Copy, Default)]
pub(crate) struct ListNode {
    pub(crate) previous: u16,
    pub(crate) next: u16,
}

impl ListNode {
    pub(crate) const NONE: Self = Self {
        previous: 0,
        next: 0,
    };
}

/// The queue that a connection stands in; it can stand in one only.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Queue {
    None,
    /// Of those that can be polled.
    Ready,
    /// Of those that want the worker's listing.
    Listing,
    /// Of those that the pool is to be told of.
    Ended,
}

/// What a connection waits for. Each wait has one fixed length.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Wait {
    None,
    /// The first byte after the connection was made.
    Silent,
    /// The rest of a request.
    Request,
    /// The next request.
    Idle,
    /// The client's acknowledgements: the stall window.
    Stall,
    /// The client's end, after the last response.
    Linger,
    /// Pages that the page cache lacks.
    NotCached,
    /// The next look whether everything is acknowledged.
    Acknowledge,
    /// The pause before the end car of `raw-end`.
    Pause,
}

impl Wait {
    pub(crate) const ALL: [Self; 9] = [
        Self::None,
        Self::Silent,
        Self::Request,
        Self::Idle,
        Self::Stall,
        Self::Linger,
        Self::NotCached,
        Self::Acknowledge,
        Self::Pause,
    ];

    /// How long it may take, in milliseconds.
    pub(crate) const fn length_ms(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Silent => BOARD.silent_ms,
            Self::Request => BOARD.request_ms,
            Self::Idle => BOARD.idle_ms,
            Self::Stall => BOARD.stall_ms,
            Self::Linger => BOARD.linger_ms,
            Self::NotCached => NOT_CACHED_RETRY_MS,
            Self::Acknowledge => ACKNOWLEDGED_POLL_MS,
            Self::Pause => RAW_END_PAUSE_MS,
        }
    }
}

/// A connection's deadline. What polls the connection starts and stops it; the worker's loop then
/// moves the connection to the list of what it waits for now.
#[derive(Clone, Copy)]
pub(crate) struct Timer {
    pub(super) expires_ms: u64,
    wait: Wait,
    /// In which list the connection stands.
    pub(super) listed: Wait,
    /// It was started since it was listed.
    pub(super) is_restarted: bool,
}

impl Timer {
    pub(crate) const STOPPED: Self = Self {
        expires_ms: 0,
        wait: Wait::None,
        listed: Wait::None,
        is_restarted: false,
    };

    /// What the connection waits for.
    pub(crate) fn wait(&self) -> Wait {
        self.wait
    }

    /// Begins a wait of its full length, in place of the one before.
    pub(crate) fn start(&mut self, wait: Wait) {
        (self.wait, self.is_restarted) = (wait, true);
    }

    /// Begins a wait, unless it is under way.
    pub(crate) fn start_unless(&mut self, wait: Wait) {
        if self.wait != wait {
            self.start(wait);
        }
    }

    /// Waits for nothing that has a deadline.
    pub(crate) fn stop(&mut self) {
        self.start(Wait::None);
    }

    /// Since when it is as it is, of a timer that is listed.
    pub(crate) fn since_ms(&self) -> u64 {
        self.expires_ms - self.listed.length_ms()
    }
}

/// A client of the fair queue. 0 is none, so that a free connection is all zeroes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ClientSlot(pub(crate) u16);

impl ClientSlot {
    pub(crate) const NONE: Self = Self(0);

    pub(crate) fn index(self) -> usize {
        usize::from(self.0.checked_sub(1).expect("a client"))
    }
}

/// A buffer of the stash. 0 is none, so that a free connection is all zeroes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct StashSlot(pub(crate) u8);

impl StashSlot {
    pub(crate) const NONE: Self = Self(0);

    pub(crate) fn is_some(self) -> bool {
        self != Self::NONE
    }
}
