//! `trainyard eject`: asks the running servers to let go of their roots, so that the card can be unmounted.
//!
//! Each server listens at an abstract name (unix(7)), so those that run are found without a file that
//! could be left behind: in /proc/net/unix. What is said there is in [`protocol`].
#![expect(
    clippy::disallowed_types,
    reason = "this part of the program asks and ends, so it may allocate"
)]

pub mod protocol;

use std::fs::File;
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::limits::EJECT_MS;
use crate::sys::{self, Descriptor, Errno};
use protocol::{ANSWER_BYTES_MAX, Answer};

const NAMES: &str = "/proc/net/unix";
const RANDOM: &str = "/proc/sys/kernel/random/uuid";
/// How long a server may take to answer.
const ANSWER_MS: u64 = EJECT_MS + 1000;
/// How long it may be busy with others who ask. Less than a second.
const CONNECT_MAX: Duration = Duration::from_millis(500);

/// Opens the socket by which this server can be asked; for start-up. Without one it only cannot be.
#[must_use]
pub fn listen() -> Descriptor {
    let name = protocol::name_of(sys::process_id());
    let listening = sys::listen_locally(&name).or_else(|errno| {
        let random = std::fs::read_to_string(RANDOM).map_err(|_| errno)?;
        sys::listen_locally(&format!("{name}/{}", random.trim_end()))
    });
    listening.unwrap_or_else(|errno| {
        log::warn!(
            "`trainyard eject` will not reach this server: {}",
            errno.desc()
        );
        Descriptor::NONE
    })
}

/// The paths by which a root can be named: as it was given, and without symbolic links.
#[must_use]
pub fn names_of(root: &Path) -> Vec<Vec<u8>> {
    let full = std::path::absolute(root).unwrap_or_else(|_| root.into());
    let mut names = vec![full.components().collect()];
    names.extend(root.canonicalize());
    names.dedup();
    let bytes = |name: std::path::PathBuf| name.into_os_string().as_bytes().to_vec();
    names.into_iter().map(bytes).collect()
}

/// Asks the servers whose roots lie at or beneath `root`, or all that this user may ask, and waits until
/// each has let go. Returns a line for each.
///
/// # Errors
/// What is wrong and what to do, a line for each server.
pub fn run(root: Option<&Path>) -> Result<String, String> {
    let (mut done, mut failed) = (String::new(), Vec::new());
    let mut are_foreign = false;
    let asked = for_each_server(|name, process| match ask(name, process, root) {
        Ok(Outcome::Gone(root)) => done += &format!("{root}: let go\n"),
        Ok(Outcome::Held(root)) => failed.push(format!(
            "{root}: a worker has not let go of it, maybe because its device does not answer; \
             try again"
        )),
        Ok(Outcome::Foreign) => are_foreign = true,
        Ok(Outcome::None) => {}
        Err(error) => failed.push(format!(
            "process {process} does not answer: {}",
            told(&error)
        )),
    });
    asked.map_err(|error| format!("{NAMES}: {}", told(&error)))?;
    if done.is_empty() && failed.is_empty() {
        let of = root.map_or_else(String::new, |root| format!("{}: ", root.display()));
        failed.push(if are_foreign {
            format!("{of}no server of this user runs here, but others': run this as root")
        } else {
            format!("{of}no server of it runs here")
        });
    }
    if failed.is_empty() {
        Ok(done)
    } else {
        Err(failed.join("\ntrainyard: "))
    }
}

/// What became of asking one.
enum Outcome {
    Gone(String),
    Held(String),
    /// It is not to be asked by this user.
    Foreign,
    /// It has ended, or serves something else.
    None,
}

/// Calls this with the name of each server that runs, and the process that it names. Line by line: how
/// many there are is in the hands of others, and memory is not.
fn for_each_server(mut call: impl FnMut(&str, i32)) -> Result<(), Error> {
    let mut lines = BufReader::with_capacity(4096, File::open(NAMES)?);
    let mut line = Vec::with_capacity(256);
    while lines.read_until(b'\n', &mut line)? > 0 {
        if let Some((name, process)) = protocol::listening_server(&line) {
            call(name, process);
        }
        line.clear();
    }
    Ok(())
}

fn ask(name: &str, named: i32, root: Option<&Path>) -> Result<Outcome, Error> {
    let mut stream = match sys::connect_locally(name, CONNECT_MAX) {
        Ok(connected) => UnixStream::from(connected),
        Err(Errno::EAGAIN) => return Err(Error::from(Errno::ETIMEDOUT)),
        Err(_) => return Ok(Outcome::None),
    };
    let own = sys::ids().user;
    let (process, user) = sys::listener_of(&stream).map_err(Error::from)?;
    // Anybody can take a name; but nobody can take another process's number.
    if process != named {
        return Ok(Outcome::None);
    }
    if own != 0 && user != own {
        return Ok(Outcome::Foreign);
    }
    let answer = match exchange(&mut stream, root) {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
            ) =>
        {
            return Ok(Outcome::None);
        }
        answer => answer?,
    };
    if answer.is_empty() {
        return Ok(Outcome::Foreign);
    }
    Ok(match Answer::parse(&answer) {
        Some(Answer::Gone(root)) => Outcome::Gone(shown(root)),
        Some(Answer::Held(root)) => Outcome::Held(shown(root)),
        Some(Answer::Other) | None => Outcome::None,
    })
}

/// A path that another user may have made up, fit for a terminal.
fn shown(path: &[u8]) -> String {
    let text = String::from_utf8_lossy(path);
    let plain = |letter: char| if letter.is_control() { '?' } else { letter };
    text.chars().map(plain).collect()
}

fn exchange(stream: &mut UnixStream, root: Option<&Path>) -> Result<Vec<u8>, Error> {
    let until = Instant::now() + Duration::from_millis(ANSWER_MS);
    let names = root.map(names_of).unwrap_or_default();
    stream.write_all(&protocol::request_of(&names))?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::from(Errno::ETIMEDOUT));
        }
        if answer.len() > ANSWER_BYTES_MAX {
            // No server of ours says so much, and what it says is none of our words.
            return Ok(answer);
        }
        stream.set_read_timeout(Some(left))?;
        let mut bytes = [0; 512];
        match stream.read(&mut bytes) {
            Ok(0) => return Ok(answer),
            Ok(size) => answer.extend_from_slice(&bytes[..size]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

fn told(error: &Error) -> &'static str {
    Errno::from_raw(error.raw_os_error().unwrap_or(0)).desc()
}
