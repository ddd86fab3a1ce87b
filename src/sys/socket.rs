//! Sockets: listening, accepting, sending, and passing descriptors over a pair.

use core::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::FileTypeExt;

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, UnixAddr, bind, getsockname,
    setsockopt, socket, socketpair, sockopt,
};

use super::{Descriptor, Errno, borrow, check, retry};
use crate::limits::JOBS_PER_MESSAGE_MAX;

/// Opens a non-blocking listening socket at `address`, its backlog as deep as the system allows.
///
/// `both` makes an IPv6 wildcard address take IPv4 clients too. With `defer_s` the kernel keeps a
/// client back until it has sent something, or so many seconds passed (tcp(7)).
/// Returns the address it got, whose port is never 0.
pub fn listen(
    address: SocketAddr,
    both: bool,
    defer_s: Option<u32>,
) -> Result<(Descriptor, SocketAddr), Errno> {
    let family = if address.is_ipv6() {
        AddressFamily::Inet6
    } else {
        AddressFamily::Inet
    };
    let owned = socket(
        family,
        SockType::Stream,
        SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    setsockopt(&owned, sockopt::ReuseAddr, &true)?;
    // What is accepted inherits this. Every send here is as large as it can be, so none has to wait
    // for others.
    setsockopt(&owned, sockopt::TcpNoDelay, &true)?;
    if address.is_ipv6() {
        setsockopt(&owned, sockopt::Ipv6V6Only, &!both)?;
    }
    let mut listener = Descriptor::from(owned);
    let bound = bind(listener.raw(), &SockaddrStorage::from(address))
        .and_then(|()| match defer_s {
            Some(seconds) => defer_accept(listener.raw(), seconds),
            None => Ok(()),
        })
        .and_then(|()| nix::sys::socket::listen(&borrow(&listener), Backlog::MAXALLOWABLE))
        .and_then(|()| getsockname::<SockaddrStorage>(listener.raw()));
    match bound {
        Ok(name) => Ok((listener, address_of(&name))),
        Err(errno) => {
            listener.close();
            Err(errno)
        }
    }
}

/// Opens a non-blocking listening socket at a path of the file system (unix(7)). A socket that is
/// left there from before, and that nobody listens to, is replaced; `EEXIST` for anything else.
pub fn listen_unix(path: &std::path::Path) -> Result<Descriptor, Errno> {
    let new = || {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        socket(AddressFamily::Unix, SockType::Stream, flags, None)
    };
    let owned = new()?;
    let address = UnixAddr::new(path)?;
    let bound = match bind(owned.as_raw_fd(), &address) {
        Err(Errno::EADDRINUSE) => {
            let is_socket = std::fs::symlink_metadata(path)
                .is_ok_and(|metadata| metadata.file_type().is_socket());
            if !is_socket {
                return Err(Errno::EEXIST);
            }
            let is_left_over =
                nix::sys::socket::connect(new()?.as_raw_fd(), &address) == Err(Errno::ECONNREFUSED);
            if !is_left_over {
                return Err(Errno::EADDRINUSE);
            }
            nix::unistd::unlink(path)?;
            bind(owned.as_raw_fd(), &address)
        }
        result => result,
    };
    bound?;
    nix::sys::socket::listen(&owned, Backlog::MAXALLOWABLE)?;
    Ok(owned.into())
}

/// TCP_DEFER_ACCEPT of tcp(7).
pub(super) fn defer_accept(listener: RawFd, seconds: u32) -> Result<(), Errno> {
    let size = size_of::<u32>() as libc::socklen_t;
    let value = (&raw const seconds).cast();
    // SAFETY: the kernel reads one int.
    let set = unsafe {
        libc::setsockopt(
            listener,
            libc::IPPROTO_TCP,
            libc::TCP_DEFER_ACCEPT,
            value,
            size,
        )
    };
    check(i64::from(set)).map(drop)
}

pub(super) fn address_of(name: &SockaddrStorage) -> SocketAddr {
    match (name.as_sockaddr_in(), name.as_sockaddr_in6()) {
        (Some(four), _) => SocketAddr::new(IpAddr::V4(four.ip()), four.port()),
        (_, Some(six)) => SocketAddr::new(IpAddr::V6(six.ip()), six.port()),
        _ => SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
    }
}

/// A client's address and port; IPv4 ones as IPv6 ones (RFC 4291, section 2.5.5.2).
pub type Peer = (Ipv6Addr, u16);

/// Takes a client from a listener's queue: accept4(2), non-blocking, closed on exec.
pub fn accept(listener: &Descriptor) -> Result<(Descriptor, Peer), Errno> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    let mut address = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let mut size = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    let (room, raw) = (address.as_mut_ptr().cast(), listener.raw());
    // SAFETY: `room` has the size that is said.
    let socket = retry(|| unsafe { libc::accept4(raw, room, &raw mut size, flags) } as i64)?;
    // SAFETY: zeroes are a value of it, and so is what the kernel wrote.
    let peer = peer_of(&unsafe { address.assume_init() });
    Ok((Descriptor::from_raw(socket), peer))
}

/// Who is at the other end of a socket: getpeername(2). An unspecified address for a socket of the
/// file system; `ENOTCONN` once the client has broken off.
pub fn peer(socket: RawFd) -> Result<Peer, Errno> {
    let mut address = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let mut size = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: `address` has the size that is said; zeroes are a value of it.
    let (done, address) = unsafe {
        let done = libc::getpeername(socket, address.as_mut_ptr().cast(), &raw mut size);
        (done, address.assume_init())
    };
    check(i64::from(done))?;
    Ok(peer_of(&address))
}

fn peer_of(address: &libc::sockaddr_storage) -> Peer {
    let address: *const libc::sockaddr_storage = address;
    // SAFETY: the storage is larger than either form, aligned for both, and the family says which.
    unsafe {
        match i32::from((*address).ss_family) {
            libc::AF_INET => {
                let four = &*address.cast::<libc::sockaddr_in>();
                (
                    Ipv4Addr::from(u32::from_be(four.sin_addr.s_addr)).to_ipv6_mapped(),
                    u16::from_be(four.sin_port),
                )
            }
            libc::AF_INET6 => {
                let six = &*address.cast::<libc::sockaddr_in6>();
                (
                    Ipv6Addr::from(six.sin6_addr.s6_addr),
                    u16::from_be(six.sin6_port),
                )
            }
            _ => (Ipv6Addr::UNSPECIFIED, 0),
        }
    }
}

/// Sends what the socket takes at once: send(2), never waits, never raises SIGPIPE. With `more`
/// the kernel may hold it back until the next bytes follow.
pub fn send(socket: RawFd, bytes: &[u8], more: bool) -> Result<usize, Errno> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL | if more { libc::MSG_MORE } else { 0 };
    // SAFETY: the kernel reads `bytes` only.
    retry(|| unsafe { libc::send(socket, bytes.as_ptr().cast(), bytes.len(), flags) } as i64)
}

/// Receives what is there: recv(2), never waits; with `peek` it also stays there. 0 is the end.
pub fn receive(socket: RawFd, room: &mut [u8], peek: bool) -> Result<usize, Errno> {
    let flags = libc::MSG_DONTWAIT | if peek { libc::MSG_PEEK } else { 0 };
    // SAFETY: the kernel writes at most the room's length.
    retry(|| unsafe { libc::recv(socket, room.as_mut_ptr().cast(), room.len(), flags) } as i64)
}

/// Holds back what does not fill a segment, or sends it: TCP_CORK of tcp(7). Nothing on other sockets.
pub fn cork(socket: RawFd, holds: bool) {
    let value = i32::from(holds);
    let (room, size) = (
        (&raw const value).cast(),
        size_of::<i32>() as libc::socklen_t,
    );
    // SAFETY: the kernel reads one int. A failure changes nothing but the size of segments.
    unsafe { libc::setsockopt(socket, libc::IPPROTO_TCP, libc::TCP_CORK, room, size) };
}

/// Makes the close a reset, by which the client knows that not all has come: SO_LINGER of socket(7).
pub fn abort_at_close(socket: RawFd) {
    let value = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    let (room, size) = (
        (&raw const value).cast(),
        size_of::<libc::linger>() as libc::socklen_t,
    );
    // SAFETY: the kernel reads one struct linger. A failure means that the connection is gone already.
    unsafe { libc::setsockopt(socket, libc::SOL_SOCKET, libc::SO_LINGER, room, size) };
}

/// Tells the client that nothing more follows; it may still send.
pub fn shutdown_write(socket: RawFd) {
    // SAFETY: no memory is passed. A failure means that the connection is gone already.
    unsafe { libc::shutdown(socket, libc::SHUT_WR) };
}

/// Bytes sent that the client has not acknowledged yet: SIOCOUTQ of tcp(7).
#[must_use]
pub fn unacknowledged(socket: RawFd) -> u64 {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the call writes one int.
    let done = unsafe { libc::ioctl(socket, libc::TIOCOUTQ, &raw mut bytes) };
    if done == 0 {
        u64::try_from(bytes).unwrap_or(0)
    } else {
        0
    }
}

/// A connected pair that keeps messages whole: socketpair(2) with SOCK_SEQPACKET.
pub fn pair() -> Result<(Descriptor, Descriptor), Errno> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let (left, right) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
    Ok((left.into(), right.into()))
}

/// Room for one SCM_RIGHTS control message (cmsg(3)), aligned as its head must be.
#[repr(C, align(8))]
struct Control([u8; CONTROL_BYTES]);

/// What CMSG_SPACE gives for that many descriptors: head and data, each padded to a long.
const CONTROL_BYTES: usize =
    16 + (JOBS_PER_MESSAGE_MAX * size_of::<RawFd>()).next_multiple_of(8) + 8;

/// Sends a message with up to 16 descriptors over a pair (sendmsg(2), unix(7)); never waits.
///
/// `EAGAIN` when the pair is full, `ETOOMANYREFS` when too many descriptors are on their way.
pub fn send_message(pair: RawFd, bytes: &[u8], descriptors: &[RawFd]) -> Result<(), Errno> {
    assert!(descriptors.len() <= JOBS_PER_MESSAGE_MAX);
    assert!(!bytes.is_empty(), "descriptors need a byte to travel with");
    let mut control = Control([0; CONTROL_BYTES]);
    let mut iovec = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let size = size_of_val(descriptors) as u32;
    // SAFETY: every pointer in `message` outlives the call. CMSG_FIRSTHDR points into `control`,
    // which has the alignment of a head and the room for it and the descriptors.
    let sent = unsafe {
        let mut message: libc::msghdr = core::mem::zeroed();
        message.msg_iov = &raw mut iovec;
        message.msg_iovlen = 1;
        if !descriptors.is_empty() {
            message.msg_control = (&raw mut control).cast();
            message.msg_controllen = libc::CMSG_SPACE(size) as _;
            let head = libc::CMSG_FIRSTHDR(&raw const message);
            (*head).cmsg_level = libc::SOL_SOCKET;
            (*head).cmsg_type = libc::SCM_RIGHTS;
            (*head).cmsg_len = libc::CMSG_LEN(size) as _;
            core::ptr::copy_nonoverlapping(
                descriptors.as_ptr().cast::<u8>(),
                libc::CMSG_DATA(head),
                size as usize,
            );
        }
        retry(|| {
            libc::sendmsg(
                pair,
                &raw const message,
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            ) as i64
        })?
    };
    assert_eq!(sent, bytes.len(), "a SOCK_SEQPACKET message is never split");
    Ok(())
}

/// A message as it came over a pair.
pub struct Received {
    /// Bytes of the message; 0 when the other end is closed.
    pub size: usize,
    /// The descriptors that came with it.
    pub descriptors: heapless::Vec<Descriptor, JOBS_PER_MESSAGE_MAX>,
}

/// Receives a message with its descriptors (recvmsg(2)); never waits: `EAGAIN` when there is none.
///
/// `EMSGSIZE` when something was cut off, which a receiver short of descriptors meets (`MSG_CTRUNC`).
pub fn receive_message(pair: RawFd, room: &mut [u8]) -> Result<Received, Errno> {
    let mut control = MaybeUninit::<Control>::zeroed();
    let mut iovec = libc::iovec {
        iov_base: room.as_mut_ptr().cast(),
        iov_len: room.len(),
    };
    let mut descriptors = heapless::Vec::new();
    // SAFETY: every pointer in `message` outlives the call; heads and descriptors are read only
    // within what the kernel says it wrote, by cmsg(3)'s own functions.
    let (size, flags) = unsafe {
        let mut message: libc::msghdr = core::mem::zeroed();
        message.msg_iov = &raw mut iovec;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = CONTROL_BYTES as _;
        let size = retry(|| {
            libc::recvmsg(
                pair,
                &raw mut message,
                libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC,
            ) as i64
        })?;
        let head = libc::CMSG_FIRSTHDR(&raw const message);
        if !head.is_null()
            && (*head).cmsg_level == libc::SOL_SOCKET
            && (*head).cmsg_type == libc::SCM_RIGHTS
        {
            let bytes = (*head).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
            for index in 0..bytes / size_of::<RawFd>() {
                let raw = libc::CMSG_DATA(head)
                    .cast::<RawFd>()
                    .add(index)
                    .read_unaligned();
                // There is room: the control block holds 16 descriptors (and padding for one).
                let _ = descriptors.push(Descriptor::from_raw(raw as usize));
            }
        }
        (size, message.msg_flags)
    };
    if flags & (libc::MSG_CTRUNC | libc::MSG_TRUNC) != 0 {
        descriptors.iter_mut().for_each(Descriptor::close);
        return Err(Errno::EMSGSIZE);
    }
    check(size as i64)?;
    Ok(Received { size, descriptors })
}
