//! What a supervisor passes at the start: listening sockets (sd_listen_fds(3)), and a socket to tell it
//! by (sd_notify(3)).

use core::ffi::CStr;
use std::os::fd::RawFd;
use std::path::PathBuf;

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrLike, SockaddrStorage, UnixAddr, connect,
    getsockname, getsockopt, setsockopt, socket, sockopt,
};

use super::socket::{address_of, defer_accept};
use super::{Descriptor, Errno, borrow};

/// Where an inherited socket listens.
pub enum Name {
    /// At an address.
    Ip(std::net::SocketAddr),
    /// At a path; empty for a name outside the file system.
    Unix(PathBuf),
}

/// Takes an inherited listening socket as [`super::listen`] would have made it, but for its backlog.
///
/// # Errors
/// `EBADF` or `ENOTSOCK` for what is none; `EINVAL` for one that does not listen, or not to streams.
pub fn adopt_listener(raw: RawFd, defer_s: Option<u32>) -> Result<(Descriptor, Name), Errno> {
    let number = usize::try_from(raw).map_err(|_| Errno::EBADF)?;
    let mut listener = Descriptor::from_raw(number);
    let adopted = adopt(&listener, defer_s);
    match adopted {
        Ok(name) => Ok((listener, name)),
        Err(Errno::EBADF) => Err(Errno::EBADF),
        Err(errno) => {
            listener.close();
            Err(errno)
        }
    }
}

fn adopt(listener: &Descriptor, defer_s: Option<u32>) -> Result<Name, Errno> {
    let socket = borrow(listener);
    if !getsockopt(&socket, sockopt::AcceptConn)?
        || getsockopt(&socket, sockopt::SockType)? != SockType::Stream
    {
        return Err(Errno::EINVAL);
    }
    fcntl(socket, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    let flags = OFlag::from_bits_retain(fcntl(socket, FcntlArg::F_GETFL)?);
    fcntl(socket, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    let name: SockaddrStorage = getsockname(listener.raw())?;
    if name.family() == Some(AddressFamily::Unix) {
        let path = name.as_unix_addr().and_then(UnixAddr::path);
        return Ok(Name::Unix(path.map(Into::into).unwrap_or_default()));
    }
    setsockopt(&socket, sockopt::TcpNoDelay, &true)?;
    // It may still be set by the server before, which may have had other options.
    defer_accept(listener.raw(), defer_s.unwrap_or(0))?;
    Ok(Name::Ip(address_of(&name)))
}

/// A datagram socket that is connected to a path, or to an abstract name if that begins with `@`
/// (unix(7)). It does not block.
///
/// # Errors
/// `ENAMETOOLONG`, and what connect(2) says.
pub fn datagrams_to(path: &CStr) -> Result<Descriptor, Errno> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let address = match path.to_bytes().strip_prefix(b"@") {
        Some(name) => UnixAddr::new_abstract(name)?,
        None => UnixAddr::new(path)?,
    };
    let mut socket = Descriptor::from(socket(
        AddressFamily::Unix,
        SockType::Datagram,
        flags,
        None,
    )?);
    match connect(socket.raw(), &address) {
        Ok(()) => Ok(socket),
        Err(errno) => {
            socket.close();
            Err(errno)
        }
    }
}
