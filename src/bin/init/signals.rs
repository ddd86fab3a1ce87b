//! Signals as things to read: what the first process does not ask for, the kernel keeps from it.

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::reboot::RebootMode;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::console::say;

/// The signals that end the system: SIGINT is how the kernel tells Ctrl-Alt-Del.
const ENDS: [(Signal, RebootMode); 3] = [
    (Signal::SIGINT, RebootMode::RB_AUTOBOOT),
    (Signal::SIGTERM, RebootMode::RB_POWER_OFF),
    (Signal::SIGPWR, RebootMode::RB_POWER_OFF),
];

/// The signals to this process, or none where the kernel has no room for them.
pub(crate) struct Signals(Option<SignalFd>);

impl Signals {
    /// Blocks the signals, so that they can be read.
    pub(crate) fn new() -> Self {
        // SIGCHLD only wakes up: who ended is asked of waitpid(2).
        let mut set = SigSet::from(Signal::SIGCHLD);
        for (signal, _) in ENDS {
            set.add(signal);
        }
        let made = set.thread_block().and_then(|()| {
            SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        });
        Self(
            made.map_err(|errno| say!("signals cannot be read: {}", errno.desc()))
                .ok(),
        )
    }

    /// What to wait for.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(AsFd::as_fd)
    }

    /// Reads all that came; the way to end the system, if one asks for it.
    pub(crate) fn next(&self) -> Option<RebootMode> {
        let source = self.0.as_ref()?;
        let mut mode = None;
        loop {
            match source.read_signal() {
                Ok(Some(info)) => {
                    let asked = ENDS
                        .iter()
                        .find(|(signal, _)| *signal as u32 == info.ssi_signo);
                    mode = asked.map(|(_, mode)| *mode).or(mode);
                }
                Err(Errno::EINTR) => {}
                Ok(None) | Err(_) => return mode,
            }
        }
    }
}
