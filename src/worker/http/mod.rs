//! HTTP/1.1 on one connection.
//!
//! ```text
//!            ┌──────────── generated response, sent whole ────────────┐
//!            ▼                                                        │
//!         receive ──requests──▶ respond ──head──▶ send the batch ─────┤
//!            ▲                                        │               │ body of its own
//!            │                                        ▼               ▼
//!            │                            part of a response     file | multipart | listing
//!            │                            (kept as its request)       │
//!            └────────────────────────────────────────────────────────┘
//! ```

pub(crate) mod access_log;
pub(crate) mod exchange;
pub(crate) mod file;
pub(crate) mod listing;
pub(crate) mod multipart;
pub(crate) mod requests;
pub(crate) mod respond;
pub(crate) mod response;
pub(crate) mod rows;
pub(crate) mod turn_away;
