//! `trainyard eject`: asks the running servers to let go of their roots, so that the card can be unmounted.
//!
//! Each server listens at an abstract name (unix(7)), so those that run are found without a file that
//! could be left behind: in /proc/net/unix. It answers `gone PATH` or `held PATH`, or closes without a
//! word if who asks may not.

#![expect(
    clippy::disallowed_types,
    reason = "this part of the program asks and ends, so it may allocate"
)]

use core::ffi::CStr;
use std::io::Read;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::Path;
use std::time::Duration;

use crate::limits::EJECT_MS;
use crate::sys::{self, Descriptor, Errno};

/// What the names of all servers begin with; the process's number follows, and [`sign`].
const NAME: &str = "trainyard/eject/";
const NAMES: &str = "/proc/net/unix";

/// Opens the socket by which the server of this root can be asked; for start-up. Without one it only
/// cannot be.
#[must_use]
pub fn listen(root: &CStr) -> Descriptor {
    let name = format!("{NAME}{}/{}", sys::process_id(), sign(root.to_bytes()));
    match sys::listen_locally(&name) {
        Ok(listener) => listener,
        Err(errno) => {
            log::warn!(
                "`trainyard eject` will not reach this server: {}",
                errno.desc()
            );
            Descriptor::NONE
        }
    }
}

/// Stands for a root's full path, which may be longer than a name.
fn sign(root: &[u8]) -> String {
    let root = root.strip_suffix(b"/").unwrap_or(root);
    // FNV-1a.
    let hash = root.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// Asks the servers of this root, or all that run here, and waits until each has let go. Returns a line
/// for each.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub fn run(root: Option<&Path>) -> Result<String, String> {
    let mut lines = String::new();
    for name in servers(root)? {
        // One that has ended meanwhile holds nothing.
        let Some(answer) = ask(&name)? else { continue };
        match answer.split_once(' ') {
            Some(("gone", root)) => lines += &format!("{root}: let go\n"),
            Some(("held", root)) => {
                return Err(format!(
                    "{root}: a worker has not let go of it, maybe because its device does not answer; \
                     try again"
                ));
            }
            _ => {
                let process = name.trim_start_matches(NAME).split('/').next();
                return Err(format!(
                    "process {} is not to be asked by this user: run this as root",
                    process.unwrap_or_default()
                ));
            }
        }
    }
    if lines.is_empty() {
        return Err(match root {
            Some(root) => format!("{}: no server of it runs here", root.display()),
            None => "no server runs here".into(),
        });
    }
    Ok(lines)
}

/// The names of the servers that run, of all or of one root.
fn servers(root: Option<&Path>) -> Result<Vec<String>, String> {
    let full = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.into());
    let wanted = root.map(|root| sign(full(root).as_os_str().as_bytes()));
    let names =
        std::fs::read_to_string(NAMES).map_err(|error| format!("{NAMES}: {}", told(&error)))?;
    let own = |line: &str| {
        let name = line.split_ascii_whitespace().last()?.strip_prefix('@')?;
        let is_wanted = wanted.as_ref().is_none_or(|sign| name.ends_with(sign));
        (name.starts_with(NAME) && is_wanted).then(|| name.to_owned())
    };
    let mut names: Vec<String> = names.lines().filter_map(own).collect();
    // Whoever is about to be served has a line of the same name.
    names.sort();
    names.dedup();
    Ok(names)
}

/// Asks one; `None` when it is there no more.
fn ask(name: &str) -> Result<Option<String>, String> {
    let shown = |error: std::io::Error| format!("a server cannot be asked: {}", told(&error));
    let address = SocketAddr::from_abstract_name(name).map_err(shown)?;
    let Ok(mut stream) = UnixStream::connect_addr(&address) else {
        return Ok(None);
    };
    stream
        .set_read_timeout(Some(Duration::from_millis(2 * EJECT_MS + 1000)))
        .map_err(shown)?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => Ok(Some(String::from_utf8_lossy(&answer).into_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(None),
        Err(error) => Err(shown(error)),
    }
}

fn told(error: &std::io::Error) -> &'static str {
    Errno::from_raw(error.raw_os_error().unwrap_or(0)).desc()
}
