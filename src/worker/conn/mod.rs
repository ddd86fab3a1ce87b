//! What a worker keeps of its clients, and in which order it comes to them.
//!
//! `state` and `activity` are plain data; a `connection` is made of them. The `slab` holds all
//! connections; each `list` runs through the nodes in its entries, and the `deadlines` and the `fair`
//! queue are made of such lists.

pub(crate) mod activity;
pub(crate) mod connection;
pub(crate) mod cursor;
pub(crate) mod deadlines;
pub(crate) mod fair;
pub(crate) mod list;
pub(crate) mod slab;
pub(crate) mod state;
