//! The train protocol on one connection.

pub(crate) mod exchange;
pub(crate) mod listing;
