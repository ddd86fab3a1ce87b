//! Whose rights this process has: giving root's up, for good.

use nix::sys::prctl;
use nix::unistd::{Gid, Uid, getegid, geteuid, setgroups, setresgid, setresuid};

use super::Errno;

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

/// Lets nothing that this process or its children could run have more rights than it has
/// (PR_SET_NO_NEW_PRIVS of prctl(2)).
///
/// # Errors
/// `EINVAL` before Linux 3.5.
pub fn renounce_new_privileges() -> Result<(), Errno> {
    prctl::set_no_new_privs()
}
