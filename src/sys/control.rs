//! A socket by which programs of the same machine ask this one for something. It has an abstract name
//! (unix(7)): nothing of it stays in the file system.

use std::os::fd::{AsFd, AsRawFd};

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, accept4, bind, getsockopt, listen,
    socket, sockopt,
};

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
