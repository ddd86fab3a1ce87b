//! What can be tested only of a program that runs natively: its system calls, its clock, and the
//! clients that people use, which find a server only where it runs as fast as they expect.
//!
//! Needs strace, libfaketime, curl, wget and aria2. Under emulation nothing of this is tested: there
//! the calls would be the emulator's, and no library of this machine can be loaded.

#![allow(missing_docs)] // a test's name is its documentation

#[path = "http_host/calls.rs"]
mod calls;
#[path = "http_host/clients.rs"]
mod clients;
#[path = "http_host/clock.rs"]
mod clock;
mod common;

use common::program;

/// True, and said so, where the test cannot be made.
fn is_left_out() -> bool {
    if program::is_emulated() {
        eprintln!("emulated: left out");
    }
    program::is_emulated()
}
