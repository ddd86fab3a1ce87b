//! HTTP: bytes in, bytes out. No system calls here.

pub mod listing;
pub mod page;
mod text;

pub use text::{Room, Sink};
