//! What the first process says, on the board's console.

use core::fmt;
use std::io::Write;

use nix::time::{ClockId, clock_gettime};

/// Writes one line with the seconds since power-on; where the console takes none, nobody is told.
pub(crate) fn say_line(text: fmt::Arguments) {
    let (seconds, centis) = clock_gettime(ClockId::CLOCK_BOOTTIME)
        .map_or((0, 0), |now| (now.tv_sec(), now.tv_nsec() / 10_000_000));
    let line = format!("trainyard-init: {seconds}.{centis:02} s: {text}\n");
    let _ = std::io::stdout().write_all(line.as_bytes());
}

/// [`say_line`] with the arguments of `format!`.
macro_rules! say {
    ($($argument:tt)*) => { $crate::console::say_line(format_args!($($argument)*)) };
}
pub(crate) use say;
