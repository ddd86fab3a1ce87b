//! What a worker keeps of its clients, and in which order it comes to them.

pub(crate) mod connection;
pub(crate) mod deadlines;
pub(crate) mod fair;
pub(crate) mod list;
pub(crate) mod slab;
pub(crate) mod state;
