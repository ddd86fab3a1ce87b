//! Opening the listening sockets, at start-up.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use heapless::Vec as FixedVec;

use crate::command::{Address, Options};
use crate::limits::{DEFER_ACCEPT_S, LISTENERS_MAX};
use crate::link::Protocol;
use crate::pool::Listener;
use crate::sys::{self, Errno};

use super::supervisor::Passed;

/// Where a listener ended up.
pub(super) enum Bound {
    /// At an address, its port never 0.
    Ip(SocketAddr),
    /// At a path, as the file of this number.
    Unix(PathBuf, u64),
    /// At a path of somebody else, who passed the socket.
    Passed(PathBuf),
}

impl Bound {
    /// Removes the socket from the file system, if it is still the one that was made.
    fn remove(&self) {
        if let Self::Unix(path, inode) = self
            && std::fs::symlink_metadata(path).is_ok_and(|now| now.ino() == *inode)
        {
            let _ = nix::unistd::unlink(path.as_path());
        }
    }
}

impl core::fmt::Display for Bound {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(formatter),
            Self::Unix(path, _) | Self::Passed(path) => {
                write!(formatter, "unix:{}", path.display())
            }
        }
    }
}

/// All listeners, and where each is: train, then HTTP; those that were passed, then those of the
/// command line.
#[derive(Default)]
pub(super) struct Listening {
    pub(super) listeners: FixedVec<Listener, LISTENERS_MAX>,
    pub(super) train: Vec<Bound>,
    pub(super) http: Vec<Bound>,
}

/// Opens all listeners, those that were passed first. These replace the default one of their protocol.
///
/// # Errors
/// One line that says which cannot be opened and what to do.
pub(super) fn open(options: &Options, passed: Vec<Passed>) -> Result<Listening, String> {
    let mut listening = Listening::default();
    let train = if options.push.is_some() {
        Protocol::Push
    } else {
        Protocol::Ask
    };
    for socket in passed {
        listening.adopt(&socket, train)?;
    }
    for (bound, wanted, name) in [
        (&listening.train, &options.train, "train"),
        (&listening.http, &options.http, "http"),
    ] {
        // Whoever connects would be left waiting by a socket that nobody serves.
        if !bound.is_empty() && wanted.is_empty() {
            return Err(format!(
                "{name} is none, but LISTEN_FDS has a socket called {name}: disable its socket unit, \
                 or leave out none"
            ));
        }
    }
    if listening.train.is_empty() || !options.train_is_default {
        for address in &options.train {
            listening.open(address, train)?;
        }
    }
    if listening.http.is_empty() || !options.http_is_default {
        for address in &options.http {
            listening.open(address, Protocol::Http)?;
        }
    }
    Ok(listening)
}

impl Listening {
    /// Removes the sockets that were made in the file system, as far as that is permitted.
    pub(super) fn remove_paths(&self) {
        for bound in &self.http {
            bound.remove();
        }
    }

    /// Takes a socket that was passed; its name says what it is for.
    fn adopt(&mut self, passed: &Passed, train: Protocol) -> Result<(), String> {
        let Passed { raw, name } = passed;
        let protocol = match &name[..] {
            "train" => train,
            "http" => Protocol::Http,
            _ => {
                return Err(format!(
                    "descriptor {raw} of LISTEN_FDS is called {name:?}: must be http or train \
                     (FileDescriptorName= of the socket unit)"
                ));
            }
        };
        let adopted = sys::adopt_listener(*raw, defer_s(protocol)).and_then(|(socket, at)| {
            let bound = match at {
                sys::Name::Ip(address) => Bound::Ip(address),
                sys::Name::Unix(path) => Bound::Passed(path),
            };
            self.keep(Listener { socket, protocol }, bound)
        });
        adopted.map_err(|errno| match errno {
            Errno::E2BIG => format!("LISTEN_FDS: more than this board's {LISTENERS_MAX} listeners"),
            _ => format!(
                "descriptor {raw} of LISTEN_FDS ({name}): must be a stream socket that listens \
                 (ListenStream= of the socket unit)"
            ),
        })
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
            Errno::EEXIST => format!("{option} {shown}: there is a file or folder of that name; choose another path"),
            Errno::EINVAL => format!("{option} {shown}: cannot be listened on; a link-local address needs an interface, which ADDR cannot name: listen on all addresses instead"),
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
        let (socket, bound) = sys::listen(address, both, defer_s(protocol))?;
        self.keep(Listener { socket, protocol }, Bound::Ip(bound))?;
        Ok(bound.port())
    }

    fn listen_unix(&mut self, path: &Path, protocol: Protocol) -> Result<(), Errno> {
        let socket = sys::listen_unix(path)?;
        let inode = std::fs::symlink_metadata(path).map_or(0, |now| now.ino());
        // To be removed from anywhere: the working folder is left.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
        self.keep(Listener { socket, protocol }, Bound::Unix(path, inode))
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

/// A pushed file goes to clients that say nothing, so theirs must not be waited for.
fn defer_s(protocol: Protocol) -> Option<u32> {
    (protocol != Protocol::Push).then_some(DEFER_ACCEPT_S)
}
