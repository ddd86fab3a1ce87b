//! What a supervisor such as systemd says by variables: sockets that it opened, and where to tell it how
//! the server is.

use std::env;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;

use crate::pool::Notifier;
use crate::sys::{self, Descriptor};

/// The first descriptor that is passed (sd_listen_fds(3)).
const FIRST: i32 = 3;

/// A socket that was passed.
pub(super) struct Passed {
    /// Its descriptor.
    pub(super) raw: i32,
    /// What it is called.
    pub(super) name: String,
}

/// The sockets that were passed to this process, in order.
///
/// # Errors
/// One line that says what is wrong.
pub(super) fn passed() -> Result<Vec<Passed>, String> {
    if !is_for_us("LISTEN_PID") {
        return Ok(Vec::new());
    }
    let text = |name| env::var(name).unwrap_or_default();
    let count = text("LISTEN_FDS");
    let count: u16 = match count.parse() {
        Ok(count) => count,
        Err(_) if count.is_empty() => 0,
        Err(_) => return Err(format!("LISTEN_FDS={count}: must be a number")),
    };
    let names = text("LISTEN_FDNAMES");
    let mut names = names.split(':');
    let socket = |number| Passed {
        raw: FIRST + i32::from(number),
        name: names.next().unwrap_or_default().into(),
    };
    Ok((0..count).map(socket).collect())
}

/// Connects to where the supervisor wants to be told; for start-up.
pub(super) fn notifier() -> Notifier {
    let path = env::var_os("NOTIFY_SOCKET").unwrap_or_default();
    let mut socket = Descriptor::NONE;
    if !path.is_empty() {
        let c_path = CString::new(path.as_bytes()).unwrap_or_default();
        match sys::datagrams_to(&c_path) {
            Ok(connected) => socket = connected,
            Err(errno) => {
                log::warn!(
                    "NOTIFY_SOCKET {}: cannot be reached: {errno}",
                    path.display()
                );
            }
        }
    }
    Notifier::new(socket, beat_ms())
}

/// Half of the time after which the supervisor takes the server for dead (sd_watchdog_enabled(3)).
fn beat_ms() -> Option<u64> {
    let us: u64 = env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    let is_ours = env::var_os("WATCHDOG_PID").is_none() || is_for_us("WATCHDOG_PID");
    (is_ours && us > 0).then_some((us / 2000).max(1))
}

/// Whether a variable names this process: it may have been meant for another one, above.
fn is_for_us(name: &str) -> bool {
    env::var(name).is_ok_and(|pid| pid == sys::process_id().to_string())
}
