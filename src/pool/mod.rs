//! Pools: who gets a socket. What happens to it afterwards is the worker's.

mod intake;
mod pass_fd;
pub mod process;
mod ticket;

pub use intake::{Intake, Listener};
