//! A socket by which programs of the same machine ask this one for something. It has an abstract name
//! (unix(7)): nothing of it stays in the file system.

use core::time::Duration;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, accept4, bind, connect, getsockopt,
    listen, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;

use super::{Descriptor, Errno, borrow};

/// Opens the socket, which does not block; for start-up.
///
/// # Errors
/// `EADDRINUSE`, and what socket(2) says.
pub fn listen_locally(name: &str) -> Result<Descriptor, Errno> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let opened = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    bind(
        opened.as_raw_fd(),
        &UnixAddr::new_abstract(name.as_bytes())?,
    )?;
    listen(&opened, Backlog::new(4)?)?;
    Ok(opened.into())
}

/// Connects to such a socket, within this time. What is sent and received by it blocks.
///
/// # Errors
/// `EAGAIN` when too many others ask, and what connect(2) says.
pub fn connect_locally(name: &str, wait: Duration) -> Result<OwnedFd, Errno> {
    let opened = socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    let wait = TimeVal::new(0, wait.as_micros().try_into().unwrap_or(0));
    setsockopt(&opened, sockopt::SendTimeout, &wait)?;
    connect(
        opened.as_raw_fd(),
        &UnixAddr::new_abstract(name.as_bytes())?,
    )?;
    Ok(opened)
}

/// Who listens at the other end of a connected Unix socket: the process and the user that it was when it
/// began to, as SO_PEERCRED of unix(7) says.
///
/// # Errors
/// What getsockopt(2) says.
pub fn listener_of(connected: &impl AsFd) -> Result<(i32, u32), Errno> {
    let credentials = getsockopt(connected, sockopt::PeerCredentials)?;
    Ok((credentials.pid(), credentials.uid()))
}

/// Takes the next one who asks, and says which user that is.
///
/// # Errors
/// `EAGAIN` when there is none.
pub fn accept_local(listener: &Descriptor) -> Result<(Descriptor, u32), Errno> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let mut accepted = Descriptor::from(accept4(borrow(listener), flags)?);
    match getsockopt(&borrow(&accepted), sockopt::PeerCredentials) {
        Ok(credentials) => Ok((accepted, credentials.uid())),
        Err(errno) => {
            accepted.close();
            Err(errno)
        }
    }
}
