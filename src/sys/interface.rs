//! Network interfaces: addresses and routes, as the first process of a board sets them (netdevice(7)).

use core::ffi::c_char;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::{Errno, check};

/// Raises an interface, so that it sends and receives.
///
/// # Errors
/// `ENODEV` for a name that is none; `EPERM` for who may not.
pub fn raise_interface(name: &str) -> Result<(), Errno> {
    let control = control()?;
    let mut request = request_for(name)?;
    // SAFETY: `request` outlives the call, which writes its flags.
    check_ioctl(unsafe { libc::ioctl(control.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request) })?;
    // SAFETY: the call above has filled in this field of the union.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    request.ifr_ifru.ifru_flags = flags | libc::IFF_UP as i16;
    // SAFETY: the call only reads `request`.
    check_ioctl(unsafe { libc::ioctl(control.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) })
}

/// Gives an interface its only IPv4 address; an unspecified one takes it away. Routes by the address
/// that it had go with that.
///
/// # Errors
/// As [`raise_interface`]; `EINVAL` for a prefix beyond 32 bits.
pub fn set_address(name: &str, address: Ipv4Addr, prefix: u8) -> Result<(), Errno> {
    let control = control()?;
    let mask = u32::MAX.checked_shl(32_u32.checked_sub(prefix.into()).ok_or(Errno::EINVAL)?);
    let mut request = request_for(name)?;
    request.ifr_ifru.ifru_addr = internet(address);
    // SAFETY: the call only reads `request`.
    check_ioctl(unsafe {
        libc::ioctl(control.as_raw_fd(), libc::SIOCSIFADDR, &raw const request)
    })?;
    if address.is_unspecified() {
        return Ok(());
    }
    request.ifr_ifru.ifru_netmask = internet(mask.unwrap_or(0).into());
    // SAFETY: the call only reads `request`.
    check_ioctl(unsafe {
        libc::ioctl(
            control.as_raw_fd(),
            libc::SIOCSIFNETMASK,
            &raw const request,
        )
    })
}

/// Sends what is for other networks to `gateway`.
///
/// # Errors
/// `ENETUNREACH` where the gateway is not in the network of an interface; `EEXIST` if it is set already.
pub fn add_gateway(gateway: Ipv4Addr) -> Result<(), Errno> {
    let control = control()?;
    // SAFETY: numbers and a pointer that may be null: all zeroes is a route to everywhere.
    let mut route: libc::rtentry = unsafe { core::mem::zeroed() };
    route.rt_dst = internet(Ipv4Addr::UNSPECIFIED);
    route.rt_genmask = internet(Ipv4Addr::UNSPECIFIED);
    route.rt_gateway = internet(gateway);
    route.rt_flags = libc::RTF_UP | libc::RTF_GATEWAY;
    // SAFETY: the call only reads `route`.
    check_ioctl(unsafe { libc::ioctl(control.as_raw_fd(), libc::SIOCADDRT, &raw const route) })
}

/// Any socket will do to ask by.
fn control() -> Result<OwnedFd, Errno> {
    socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )
}

fn request_for(name: &str) -> Result<libc::ifreq, Errno> {
    // SAFETY: all zeroes is a request with an empty name and no value.
    let mut request: libc::ifreq = unsafe { core::mem::zeroed() };
    // The last byte stays NUL.
    if name.len() >= request.ifr_name.len() {
        return Err(Errno::ENODEV);
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as c_char;
    }
    Ok(request)
}

fn internet(address: Ipv4Addr) -> libc::sockaddr {
    let mut generic = libc::sockaddr {
        sa_family: libc::AF_INET as libc::sa_family_t,
        sa_data: [0; 14],
    };
    // As in `sockaddr_in`: two bytes of port, then the address.
    for (to, from) in generic.sa_data.iter_mut().skip(2).zip(address.octets()) {
        *to = from as c_char;
    }
    generic
}

fn check_ioctl(returned: i32) -> Result<(), Errno> {
    check(i64::from(returned)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_interface_is_refused() {
        assert_eq!(raise_interface("no-such-one"), Err(Errno::ENODEV));
        assert_eq!(raise_interface("a-name-of-16-byt"), Err(Errno::ENODEV));
        let address = Ipv4Addr::new(192, 0, 2, 1);
        assert_eq!(set_address("lo", address, 33), Err(Errno::EINVAL));
    }

    #[test]
    fn an_address_stands_where_the_kernel_looks_for_it() {
        let generic = internet(Ipv4Addr::new(192, 0, 2, 1));
        let bytes = generic.sa_data.map(|byte| byte as u8);
        assert_eq!(bytes[..6], [0, 0, 192, 0, 2, 1]);
    }
}
