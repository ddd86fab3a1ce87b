//! The plain words of a connection's state. They use nothing but the limits, so that all else of the
//! worker can use them.

use crate::limits::{ACKNOWLEDGED_POLL_MS, BOARD, COLD_RETRY_MS, RAW_END_PAUSE_MS};

/// A place in the slab.
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

/// What a connection is doing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// The place is free.
    Free,
    /// Waits for a request to be whole.
    Asking,
    /// Sends the bytes of its layout.
    Answering,
    /// Sends several ranges of a file, as the request says that is kept.
    Multipart,
    /// Sends the listing of a folder over HTTP, as the request says that is kept.
    Page,
    /// Sends the listing of a folder whose head is sent.
    Listing,
    /// Has sent everything, and waits until the client has acknowledged it (`raw-end`).
    Acknowledging,
    /// Has sent everything, and reads what the client still sends, so that no reset eats the answer.
    Lingering,
    /// Its socket is closed; the dispatcher is yet to be told.
    Ended,
}

/// The queue that a connection stands in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Queue {
    None,
    Ready,
    Listing,
    Ended,
}

/// A connection's place in a list: its neighbours, 0 for none, else slot + 1.
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

/// What a connection waits for.
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
    /// The client's acknowledgements.
    Stall,
    /// The client's end, after the last answer.
    Linger,
    /// The card.
    Cold,
    /// The next look whether all is acknowledged.
    Acknowledge,
    /// The pause before the end car of `raw-end`.
    Pause,
}

pub(crate) const KINDS: [Wait; 9] = [
    Wait::None,
    Wait::Silent,
    Wait::Request,
    Wait::Idle,
    Wait::Stall,
    Wait::Linger,
    Wait::Cold,
    Wait::Acknowledge,
    Wait::Pause,
];

impl Wait {
    /// How long it may take, in milliseconds.
    pub(crate) const fn length_ms(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Silent => BOARD.silent_ms,
            Self::Request => BOARD.request_ms,
            Self::Idle => BOARD.idle_ms,
            Self::Stall => BOARD.stall_ms,
            Self::Linger => BOARD.linger_ms,
            Self::Cold => COLD_RETRY_MS,
            Self::Acknowledge => ACKNOWLEDGED_POLL_MS,
            Self::Pause => RAW_END_PAUSE_MS,
        }
    }
}

/// A client among the worker's. 0 is none, so that a free connection is all zeroes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ClientSlot(pub(crate) u16);

impl ClientSlot {
    pub(crate) const NONE: Self = Self(0);

    pub(crate) fn index(self) -> usize {
        usize::from(self.0.checked_sub(1).expect("a client"))
    }
}

/// What an answer depends on beside its request, and what must not change while it is sent.
#[derive(Clone, Copy, Default)]
pub(crate) struct Decision {
    /// The server was full, or about to stop.
    pub(crate) is_busy: bool,
    /// The connection could be kept.
    pub(crate) keeps: bool,
    /// It was made before, and a part of it may be sent.
    pub(crate) is_begun: bool,
}

impl Decision {
    pub(crate) const NONE: Self = Self {
        is_busy: false,
        keeps: false,
        is_begun: false,
    };
}

/// A place. 0 is none, so that a free connection is all zeroes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct KeptSlot(pub(crate) u8);

impl KeptSlot {
    pub(crate) const NONE: Self = Self(0);

    pub(crate) fn is_some(self) -> bool {
        self != Self::NONE
    }
}

/// What of a page is sent next. All zeroes is its head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Stage {
    Head,
    Rows,
    Foot,
}
