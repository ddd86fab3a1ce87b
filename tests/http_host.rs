//! What can be tested only of a program that runs natively: its system calls, its clock, and the
//! clients that people use, which find a server only where it runs as fast as they expect.
//!
//! Needs strace, libfaketime, curl, wget, aria2, rsync, openssl, HAProxy, exfat-fuse and exfatprogs. Under
//! emulation nothing of this is tested: there the calls would be the emulator's, and no library of this machine
//! can be loaded.

#[path = "http_host/calls.rs"]
mod calls;
#[path = "http_host/clients.rs"]
mod clients;
#[path = "http_host/clock.rs"]
mod clock;
use crate::common;
#[path = "http_host/faults.rs"]
mod faults;
#[path = "http_host/kernel.rs"]
mod kernel;
#[path = "http_host/names.rs"]
mod names;
#[path = "http_host/proxy.rs"]
mod proxy;
#[path = "http_host/uploads.rs"]
mod uploads;

use common::program;

/// True, and said so, where the test cannot be made.
fn is_left_out() -> bool {
    if program::is_emulated() {
        eprintln!("emulated: left out");
    }
    program::is_emulated()
}
