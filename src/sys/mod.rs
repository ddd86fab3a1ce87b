//! The system calls that nix lacks, or offers only with allocation or with 32-bit offsets.
//!
//! This is where a reviewer looks for `unsafe`. Nothing here allocates, blocks on a socket or
//! retries by itself, except that `EINTR` never leaves this module.
#![allow(unsafe_code)] // system calls

mod bell;
mod control;
mod descriptor;
mod file;
mod interface;
mod mount;
mod process;
mod shared;
mod socket;
mod supervise;
mod user;
mod watch;

pub use bell::Bell;
pub use control::{accept_local, connect_locally, listen_locally, listener_of};
pub use descriptor::{Descriptor, borrow, is_writable, write};
pub use file::{
    Directory, Metadata, advise_needed, getdents, open_beneath, open_file, open_folder,
    open_folder_in, open_followed, read_at, read_cars, rewind, send_file,
};
pub use interface::{add_gateway, raise_interface, set_address};
pub use mount::{Mount, leave_working_folder, mount_changes, no_folder, read_from_device};
pub use nix::errno::Errno;
pub use process::{
    Exit, abort, become_child, close_all_but, exit_now, fork, heap_bytes, keep_one_heap,
    kill_child, open_files_limit, page_bytes, process_id, raise_open_files_limit, reap, sleep_us,
};
pub use shared::shared_counters;
pub use socket::{
    Peer, Received, abort_at_close, accept, cork, listen, listen_unix, pair, peer, receive,
    receive_message, send, send_message, shutdown_write, unacknowledged,
};

pub use supervise::{Name, adopt_listener, datagrams_to};
pub use user::{Ids, become_user, ids, renounce_new_privileges, stay_user_alone, try_as};
pub use watch::{Event, Events, events, unwatch, watch, watcher};

use std::time::SystemTime;

use nix::time::{ClockId, clock_gettime};

/// Milliseconds on the monotonic clock, which no change of the date moves. Never 0.
#[must_use]
pub fn now_ms() -> u64 {
    now_us() / 1000
}

/// Microseconds on the monotonic clock.
#[must_use]
pub fn now_us() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("CLOCK_MONOTONIC is always there");
    // Both parts are never negative on this clock. One second more, so that 0 can mean "never".
    (now.tv_sec() as u64 + 1) * 1_000_000 + now.tv_nsec() as u64 / 1000
}

/// Milliseconds since 1970, as far as the system knows. A board without a clock starts anywhere.
#[must_use]
pub fn real_ms() -> u64 {
    // Not by clock_gettime(2), whose seconds have 32 bits on armv7 and end in 2038.
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

/// The result of a raw system call: what it returned, or `errno`.
fn check(returned: i64) -> Result<usize, Errno> {
    if returned < 0 {
        Err(Errno::last())
    } else {
        Ok(returned as usize)
    }
}

/// Calls until a signal does not interrupt.
fn retry(mut call: impl FnMut() -> i64) -> Result<usize, Errno> {
    loop {
        match check(call()) {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}
