//! Whose rights this process has: giving root's up, for good.

use core::ffi::c_int;

use nix::sys::prctl;
use nix::unistd::{Gid, Uid, getegid, geteuid, setegid, seteuid, setgroups, setresgid, setresuid};

use super::{Errno, check};

/// Numbers of a user and a group.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ids {
    /// The user.
    pub user: u32,
    /// The group.
    pub group: u32,
}

/// Whose rights this process has now.
#[must_use]
pub fn ids() -> Ids {
    Ids {
        user: geteuid().as_raw(),
        group: getegid().as_raw(),
    }
}

/// Takes on these rights and no others, for good: no supplementary group, and no way back. For
/// start-up, before the first thread or child.
///
/// # Errors
/// `EPERM` for who is not root, or may not do it (user_namespaces(7)). The process must end then.
pub fn become_user(ids: Ids) -> Result<(), Errno> {
    let (user, group) = (Uid::from_raw(ids.user), Gid::from_raw(ids.group));
    // Groups first: the right to change them goes with the user.
    setgroups(&[])?;
    setresgid(group, group, group)?;
    setresuid(user, user, user)?;
    let root = Uid::from_raw(0);
    if !user.is_root() && setresuid(root, root, root).is_ok() {
        return Err(Errno::EPERM);
    }
    // As if the user had started it: otherwise /proc/self belongs to root (proc(5)), and with it the
    // names by which folders are watched.
    prctl::set_dumpable(true)
}

/// Does something with a user's rights, and takes root's back. For root at start-up, before the first
/// thread; supplementary groups are given up for good.
///
/// # Errors
/// `EPERM` or `EINVAL` for who may not become this user (user_namespaces(7)); then nothing was done.
pub fn try_as<T>(ids: Ids, work: impl FnOnce() -> T) -> Result<T, Errno> {
    setgroups(&[])?;
    let (own_user, own_group) = (geteuid(), getegid());
    setegid(Gid::from_raw(ids.group))?;
    let done = seteuid(Uid::from_raw(ids.user)).map(|()| {
        let done = work();
        seteuid(own_user).expect("the saved user is still root");
        done
    });
    setegid(own_group).expect("root may take any group");
    done
}

/// Stays the user that this process is, with the rights of one who is not root: no capability, and none to be
/// had by execve(2). For start-up, before the first thread or child.
///
/// # Errors
/// None by capset(2), which lets everybody have less.
pub fn stay_user_alone() -> Result<(), Errno> {
    // Whoever made this user namespace may have denied that (user_namespaces(7)), and has these groups.
    let _ = setgroups(&[]);
    renounce_capabilities()?;
    // It may have been tried whether another user can do: see become_user.
    prctl::set_dumpable(true)
}

/// Gives up every capability of this thread for good, so that user 0 has no more rights than what it
/// owns gives it: capabilities(7). Where the bounding set and the securebits may not be changed, as in
/// some containers, no_new_privs alone keeps a program that is run from getting any back.
///
/// # Errors
/// None by capset(2), which lets everybody have less.
fn renounce_capabilities() -> Result<(), Errno> {
    /// `_LINUX_CAPABILITY_VERSION_3`: two words of each set.
    const VERSION: u32 = 0x2008_0522;
    const CAPABILITIES_MAX: c_int = 64;
    const SECURE_BITS: c_int = libc::SECBIT_NOROOT
        | libc::SECBIT_NOROOT_LOCKED
        | libc::SECBIT_NO_SETUID_FIXUP
        | libc::SECBIT_NO_SETUID_FIXUP_LOCKED
        | libc::SECBIT_KEEP_CAPS_LOCKED
        | libc::SECBIT_NO_CAP_AMBIENT_RAISE
        | libc::SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
    // SAFETY: no memory is passed.
    unsafe { libc::prctl(libc::PR_SET_SECUREBITS, SECURE_BITS, 0, 0, 0) };
    for capability in 0..CAPABILITIES_MAX {
        // One that the kernel does not know is refused.
        // SAFETY: no memory is passed.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
    let header = [VERSION, 0];
    let sets = [0_u32; 6];
    // SAFETY: the kernel reads the header, of a version and a process, and two times three sets.
    let set = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) as i64 };
    check(set).map(drop)
}

/// Lets nothing that this process or its children could run have more rights than it has
/// (PR_SET_NO_NEW_PRIVS of prctl(2)).
///
/// # Errors
/// `EINVAL` before Linux 3.5.
pub fn renounce_new_privileges() -> Result<(), Errno> {
    prctl::set_no_new_privs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_do_not_come_back() {
        // They are a thread's own, so nobody else loses any.
        let test = std::thread::spawn(|| {
            renounce_capabilities().unwrap();
            let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
            for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
                assert!(status.contains(&format!("{set}:\t0000000000000000\n")));
            }
            if geteuid().is_root() && status.contains("CapBnd:\t0000000000000000\n") {
                // SAFETY: no memory is passed.
                let secure_bits = unsafe { libc::prctl(libc::PR_GET_SECUREBITS, 0, 0, 0, 0) };
                assert_eq!(secure_bits, 0xef);
            }
        });
        test.join().unwrap();
    }
}
