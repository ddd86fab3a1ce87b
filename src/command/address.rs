//! Where a listener listens, as it is written on the command line.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Where a listener listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Address {
    /// All addresses, IPv4 and IPv6.
    All(u16),
    /// This machine only, IPv4 and IPv6.
    Localhost(u16),
    /// One address.
    One(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// Reads an ADDR; `none` is no address.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub(super) fn address(
    option: &str,
    value: &OsString,
    takes_unix: bool,
) -> Result<Option<Address>, String> {
    let wrong = || {
        format!(
            "{option} {}: must be PORT, :PORT, HOST:PORT or [V6]:PORT, HOST an address or localhost{}; or none",
            value.display(),
            if takes_unix { "; or unix:PATH" } else { "" }
        )
    };
    if takes_unix && let Some(path) = value.as_bytes().strip_prefix(b"unix:") {
        let path = PathBuf::from(std::ffi::OsStr::from_bytes(path));
        return if path.as_os_str().is_empty() {
            Err(wrong())
        } else {
            Ok(Some(Address::Unix(path)))
        };
    }
    let text = value.to_str().ok_or_else(wrong)?;
    if text == "none" {
        return Ok(None);
    }
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let port: u16 = port.parse().map_err(|_| wrong())?;
    if host.is_empty() {
        return Ok(Some(Address::All(port)));
    }
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(Some(Address::Localhost(port)));
    }
    let ip = match host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(six) => six.parse::<Ipv6Addr>().map(IpAddr::V6),
        None => host.parse::<Ipv4Addr>().map(IpAddr::V4),
    };
    ip.map(|ip| Some(Address::One(SocketAddr::new(ip, port))))
        .map_err(|_| wrong())
}
