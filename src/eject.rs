//! `trainyard eject`: asks the running servers to let go of their roots, so that the card can be unmounted.
//!
//! Each server listens at an abstract name (unix(7)), so those that run are found without a file that
//! could be left behind: in /proc/net/unix. Anybody can take any name there, so it counts only with the
//! number of the process that listens. Who asks sends the paths that he means, each behind a NUL, or
//! none; the server answers `gone PATH`, `held PATH`, or `other` if its root is not beneath any of them.
#![expect(
    clippy::disallowed_types,
    reason = "this part of the program asks and ends, so it may allocate"
)]

use std::fs::File;
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::limits::{EJECT_MS, PATH_MAX};
use crate::sys::{self, Descriptor, Errno};

/// What the names of all servers begin with; the process's number follows, and `/` and a random word
/// where somebody else has that name.
const NAME: &str = "trainyard/eject/";
const NAMES: &str = "/proc/net/unix";
const RANDOM: &str = "/proc/sys/kernel/random/uuid";
/// How long a server may take to answer.
const ANSWER_MS: u64 = EJECT_MS + 1000;
/// How long it may be busy with others who ask. Less than a second.
const CONNECT_MAX: Duration = Duration::from_millis(500);
/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = PATH_MAX + 8;

/// Opens the socket by which this server can be asked; for start-up. Without one it only cannot be.
#[must_use]
pub fn listen() -> Descriptor {
    let name = format!("{NAME}{}", sys::process_id());
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
        Ok(Answer::Gone(root)) => done += &format!("{root}: let go\n"),
        Ok(Answer::Held(root)) => failed.push(format!(
            "{root}: a worker has not let go of it, maybe because its device does not answer; \
             try again"
        )),
        Ok(Answer::Foreign) => are_foreign = true,
        Ok(Answer::None) => {}
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
enum Answer {
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
        if is_listening(&line)
            && let Some(name) = name_of(&line)
            && let Some(process) = process_of(name)
        {
            call(name, process);
        }
        line.clear();
    }
    Ok(())
}

/// Whether a line of [`NAMES`] is of a socket that listens: `SO_ACCEPTCON` in its fourth field.
fn is_listening(line: &[u8]) -> bool {
    let mut fields = line
        .split(|byte| *byte == b' ')
        .filter(|field| !field.is_empty());
    fields.nth(3) == Some(b"00010000")
}

/// The abstract name in a line of [`NAMES`], where an `@` stands for its first byte.
fn name_of(line: &[u8]) -> Option<&str> {
    let at = line.windows(2).position(|window| window == b" @")?;
    std::str::from_utf8(line[at + 2..].trim_ascii_end()).ok()
}

fn process_of(name: &str) -> Option<i32> {
    let number = name.strip_prefix(NAME)?.split('/').next()?;
    number.parse().ok()
}

fn ask(name: &str, named: i32, root: Option<&Path>) -> Result<Answer, Error> {
    let mut stream = match sys::connect_locally(name, CONNECT_MAX) {
        Ok(connected) => UnixStream::from(connected),
        Err(Errno::EAGAIN) => return Err(Error::from(Errno::ETIMEDOUT)),
        Err(_) => return Ok(Answer::None),
    };
    let own = sys::ids().user;
    let (process, user) = sys::listener_of(&stream).map_err(Error::from)?;
    // Anybody can take a name; but nobody can take another process's number.
    if process != named {
        return Ok(Answer::None);
    }
    if own != 0 && user != own {
        return Ok(Answer::Foreign);
    }
    let answer = match exchange(&mut stream, root) {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
            ) =>
        {
            return Ok(Answer::None);
        }
        answer => answer?,
    };
    // Of another user's making, maybe, and meant for a terminal.
    let text: String = String::from_utf8_lossy(&answer)
        .chars()
        .map(|character| {
            if character.is_control() {
                '?'
            } else {
                character
            }
        })
        .collect();
    match text.split_once(' ') {
        Some(("gone", root)) => Ok(Answer::Gone(root.into())),
        Some(("held", root)) => Ok(Answer::Held(root.into())),
        _ if text.is_empty() => Ok(Answer::Foreign),
        _ => Ok(Answer::None),
    }
}

fn exchange(stream: &mut UnixStream, root: Option<&Path>) -> Result<Vec<u8>, Error> {
    let until = Instant::now() + Duration::from_millis(ANSWER_MS);
    let mut request = Vec::new();
    for name in root.map(names_of).unwrap_or_default() {
        request.push(0);
        request.extend(name);
    }
    stream.write_all(&request)?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::from(Errno::ETIMEDOUT));
        }
        if answer.len() > ANSWER_BYTES_MAX {
            // No server of ours.
            return Ok(b"other".to_vec());
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
