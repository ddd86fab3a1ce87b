//! Processes: forking, dying together, limits.

use core::ffi::c_int;
use std::os::fd::RawFd;

use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, kill, sigaction, sigprocmask,
};
use nix::unistd::{ForkResult, Pid};

use super::{Errno, check, retry};

/// How a child ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By the signal of this number.
    Signal(c_int),
}

impl core::fmt::Display for Exit {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Code(code) => write!(formatter, "code {code}"),
            Self::Signal(number) => match Signal::try_from(*number) {
                Ok(signal) => write!(formatter, "by {signal}"),
                Err(_) => write!(formatter, "by signal {number}"),
            },
        }
    }
}

/// This process's number.
#[must_use]
pub fn process_id() -> i32 {
    // Not cached: after a fork it is another.
    nix::unistd::getpid().as_raw()
}

/// Bytes of a page of memory, which the kernel was built with: 4, 16 or 64 KiB (sysconf(3)).
#[must_use]
pub fn page_bytes() -> usize {
    // SAFETY: no memory is passed.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(bytes).expect("every system has pages")
}

/// Makes a child: `None` in the child, its number in the parent.
///
/// `EAGAIN` or `ENOMEM` when the system has no room for another process.
pub fn fork() -> Result<Option<i32>, Errno> {
    // SAFETY: the process pool's parent has one thread, so no lock is held by another one.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(Some(child.as_raw())),
        ForkResult::Child => Ok(None),
    }
}

/// What a new child does first: it dies with its parent (prctl(2), PR_SET_PDEATHSIG), also if that
/// is dead already, and leaves SIGINT and SIGTERM, which a terminal or supervisor sends to all
/// processes, to the parent.
pub fn become_child(parent: i32) {
    // SAFETY: no memory is passed.
    let set = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) };
    if set != 0 || nix::unistd::getppid().as_raw() != parent {
        exit_now(1);
    }
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: ignoring runs no code.
        let _ = unsafe { sigaction(signal, &ignore) };
    }
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}

/// Closes every descriptor from 3 up that is not in `keep` (close_range(2), or one by one).
pub fn close_all_but(keep: &mut [RawFd]) {
    keep.sort_unstable();
    let mut first: RawFd = 3;
    for &kept in keep.iter() {
        if kept > first {
            close_range(first, kept - 1);
        }
        first = first.max(kept + 1);
    }
    close_range(first, RawFd::MAX);
}

fn close_range(first: RawFd, last: RawFd) {
    // SAFETY: the caller keeps no owner of a descriptor in the range: the child owns what it keeps.
    unsafe {
        if libc::syscall(libc::SYS_close_range, first, last, 0) == 0 {
            return;
        }
        // Linux before 5.9.
        let limit = open_files_limit().map_or(1024, |(soft, _)| soft.min(1 << 20)) as RawFd;
        for descriptor in first..=last.min(limit) {
            libc::close(descriptor);
        }
    }
}

/// Reaps one child that ended; `None` when there is none.
pub fn reap() -> Option<(i32, Exit)> {
    let mut status = 0;
    // Not by nix, which has no word for real-time signals: to it, who ended by one never ended.
    // SAFETY: the kernel writes `status` only.
    let waited = retry(|| i64::from(unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) }));
    let pid = waited.ok().filter(|pid| *pid > 0)? as i32;
    let exit = if libc::WIFSIGNALED(status) {
        Exit::Signal(libc::WTERMSIG(status))
    } else {
        Exit::Code(libc::WEXITSTATUS(status))
    };
    Some((pid, exit))
}

/// Ends a child at once.
pub fn kill_child(child: i32) {
    assert!(child > 1, "never a group, never init");
    let _ = kill(Pid::from_raw(child), Signal::SIGKILL);
}

/// Ends this process without running anything at its exit.
pub fn exit_now(code: c_int) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

/// Ends this process as a bug does.
pub fn abort() -> ! {
    // SAFETY: ends the process.
    unsafe { libc::abort() }
}

/// The soft and the hard limit of open files.
pub fn open_files_limit() -> Result<(u64, u64), Errno> {
    // Not nix's: its numbers have 32 bits where `long` has.
    let mut limit = libc::rlimit64 {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the call writes `limit` only.
    check(i64::from(unsafe {
        libc::getrlimit64(libc::RLIMIT_NOFILE, &raw mut limit)
    }))?;
    Ok((limit.rlim_cur, limit.rlim_max))
}

/// Makes room for `needed` open files; the hard limit too, where that is permitted.
pub fn raise_open_files_limit(needed: u64) -> Result<(), Errno> {
    let (soft, hard) = open_files_limit()?;
    if soft >= needed {
        return Ok(());
    }
    let limit = libc::rlimit64 {
        rlim_cur: needed,
        rlim_max: hard.max(needed),
    };
    // SAFETY: the call reads `limit` only.
    check(i64::from(unsafe {
        libc::setrlimit64(libc::RLIMIT_NOFILE, &raw const limit)
    }))
    .map(drop)
}

/// Bytes that C's own malloc has handed out: mallinfo(3). For a check: it must not change.
#[must_use]
pub fn heap_bytes() -> i32 {
    // SAFETY: the call has no arguments. mallinfo2 would need glibc 2.33.
    unsafe { libc::mallinfo() }.uordblks
}

/// Keeps C's malloc from giving each thread a heap of its own, of which every one would set apart
/// 64 MiB of addresses: mallopt(3). For start-up, before the first thread.
pub fn keep_one_heap() {
    // SAFETY: no memory is passed. A C library without this parameter has one heap anyway.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

/// Sleeps for some microseconds; a signal cuts it short.
pub fn sleep_us(us: u64) {
    let pause = libc::timespec {
        tv_sec: (us / 1_000_000) as _,
        tv_nsec: (us % 1_000_000 * 1000) as _,
    };
    // SAFETY: the kernel reads `pause` only.
    let _ = check(i64::from(unsafe {
        libc::nanosleep(&raw const pause, core::ptr::null_mut())
    }));
}
