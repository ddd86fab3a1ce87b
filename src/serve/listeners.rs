//! Opening the listening sockets, at start-up.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use heapless::Vec as FixedVec;

use crate::command::{Address, Options};
use crate::limits::{DEFER_ACCEPT_S, LISTENERS_MAX};
use crate::link::Protocol;
use crate::pool::Listener;
use crate::sys::{self, Errno};

/// Where a listener ended up.
pub(super) enum Bound {
    /// At an address, its port never 0.
    Ip(SocketAddr),
    /// At a path.
    Unix(PathBuf),
}

impl core::fmt::Display for Bound {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(formatter),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

/// All listeners, and where each is, in the order of the command line: train, then HTTP.
#[derive(Default)]
pub(super) struct Listening {
    pub(super) listeners: FixedVec<Listener, LISTENERS_MAX>,
    pub(super) train: Vec<Bound>,
    pub(super) http: Vec<Bound>,
}

/// Opens all listeners.
///
/// # Errors
/// One line that says which cannot be opened and what to do.
pub(super) fn open(options: &Options) -> Result<Listening, String> {
    let mut listening = Listening::default();
    let train = if options.push.is_some() {
        Protocol::Push
    } else {
        Protocol::Ask
    };
    for address in &options.train {
        listening.open(address, train)?;
    }
    for address in &options.http {
        listening.open(address, Protocol::Http)?;
    }
    Ok(listening)
}

impl Listening {
    /// Removes the sockets that were made in the file system, as far as that is permitted.
    pub(super) fn remove_paths(&self) {
        for bound in &self.http {
            if let Bound::Unix(path) = bound {
                let _ = nix::unistd::unlink(path.as_path());
            }
        }
    }

    fn open(&mut self, address: &Address, protocol: Protocol) -> Result<(), String> {
        let option = if protocol == Protocol::Http {
            "--http"
        } else {
            "--train"
        };
        let (shown, result) = match address {
            Address::All(port) => (format!("port {port}"), self.open_all(*port, protocol)),
            Address::Localhost(port) => (
                format!("localhost:{port}"),
                self.open_localhost(*port, protocol),
            ),
            Address::One(address) => (
                address.to_string(),
                self.listen(*address, false, protocol).map(drop),
            ),
            Address::Unix(path) => (
                format!("unix:{}", path.display()),
                self.listen_unix(path, protocol),
            ),
        };
        result.map_err(|errno| match errno {
            Errno::EADDRINUSE => format!("{option} {shown}: in use by another program; stop that, or choose another port"),
            Errno::EACCES if matches!(address, Address::Unix(_)) => format!("{option} {shown}: permission denied; the folder must be writable"),
            Errno::EACCES => format!("{option} {shown}: ports below 1024 need root (and --user NAME) or CAP_NET_BIND_SERVICE; choose a higher one"),
            Errno::EADDRNOTAVAIL => format!("{option} {shown}: this machine has no such address"),
            Errno::ENOENT => format!("{option} {shown}: there is no such folder"),
            Errno::ENAMETOOLONG => format!("{option} {shown}: the path of a Unix socket has at most 107 bytes"),
            Errno::E2BIG => format!("{option} {shown}: more than this board's {LISTENERS_MAX} listeners"),
            other => format!("{option} {shown}: cannot listen: {}", other.desc()),
        })
    }

    fn open_all(&mut self, port: u16, protocol: Protocol) -> Result<(), Errno> {
        let six = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port);
        match self.listen(six, true, protocol) {
            // A kernel without IPv6.
            Err(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL) => {
                let four = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port);
                self.listen(four, false, protocol).map(drop)
            }
            other => other.map(drop),
        }
    }

    fn open_localhost(&mut self, port: u16, protocol: Protocol) -> Result<(), Errno> {
        let four = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let port = self.listen(four, false, protocol)?;
        let six = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), port);
        match self.listen(six, false, protocol) {
            Err(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Returns the port.
    fn listen(
        &mut self,
        address: SocketAddr,
        both: bool,
        protocol: Protocol,
    ) -> Result<u16, Errno> {
        // A pushed file goes to clients that say nothing, so theirs must not be waited for.
        let defer_s = (protocol != Protocol::Push).then_some(DEFER_ACCEPT_S);
        let (socket, bound) = sys::listen(address, both, defer_s)?;
        self.keep(Listener { socket, protocol }, Bound::Ip(bound))?;
        Ok(bound.port())
    }

    fn listen_unix(&mut self, path: &Path, protocol: Protocol) -> Result<(), Errno> {
        let socket = sys::listen_unix(path)?;
        self.keep(Listener { socket, protocol }, Bound::Unix(path.into()))
    }

    fn keep(&mut self, listener: Listener, bound: Bound) -> Result<(), Errno> {
        let is_http = listener.protocol == Protocol::Http;
        self.listeners.push(listener).map_err(|mut listener| {
            listener.socket.close();
            Errno::E2BIG
        })?;
        if is_http {
            self.http.push(bound);
        } else {
            self.train.push(bound);
        }
        Ok(())
    }
}
