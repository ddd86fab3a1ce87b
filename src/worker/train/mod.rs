//! The train protocol on one connection.
//!
//! ```text
//! receive ──request──▶ send ──folder's head sent──▶ listing ──┐
//!    ▲                  │  │                                   │
//!    │                  │  └─raw-end: all sent─▶ acknowledging │
//!    └──────all sent────┘◀─────────────────all sent────────────┘
//! ```
//! A client that is pushed to begins at `send`, and ends behind it.

pub(crate) mod cars;
pub(crate) mod exchange;
pub(crate) mod listing;
