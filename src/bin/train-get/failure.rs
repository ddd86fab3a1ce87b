//! What can go wrong, as the one line that a person reads: what it is, and what to do about it.

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;

use trainyard::train::Fault;

/// Why something was not got.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error car: the server's own reason, Linux's errno number.
    Answer(u32),
    /// No connection to any address of the host.
    Connect(io::Error),
    /// The host has no address.
    Resolve(io::Error),
    /// The host was given up already by an earlier file.
    GivenUp,
    /// The connection ended or fell silent before the end car.
    Lost(io::Error),
    /// The server does not speak the protocol.
    Malformed(String),
    /// More or fewer data bytes than the size said.
    Count {
        /// What the size car led to expect.
        expected: u64,
        /// What came, or at least so much.
        got: u64,
    },
    /// A name or a destination that we do not write to.
    Refused(String),
    /// A folder without `-r`.
    Folder,
    /// The local disk, folder or file.
    Local {
        /// What was being done, with the name.
        doing: String,
        /// Why it did not work.
        error: io::Error,
    },
}

impl Failure {
    /// For `map_err` on local work: `doing` completes "cannot …".
    pub(crate) fn local<E: Into<io::Error>>(doing: String) -> impl FnOnce(E) -> Failure {
        move |error| Failure::Local {
            doing,
            error: error.into(),
        }
    }

    /// Whether asking again a little later may help, given that no part of an answer had come.
    pub(crate) fn may_pass(&self) -> bool {
        const FULL: u32 = Fault::Full as u32;
        match self {
            Failure::Answer(errno) => *errno == FULL,
            Failure::Connect(error) | Failure::Lost(error) => matches!(
                error.kind(),
                ErrorKind::ConnectionRefused
                    | ErrorKind::ConnectionReset
                    | ErrorKind::ConnectionAborted
                    | ErrorKind::BrokenPipe
                    | ErrorKind::UnexpectedEof
            ),
            _ => false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Answer(errno) => write_answer(out, *errno),
            Failure::Connect(error) if is_timeout(error) => {
                write!(
                    out,
                    "no answer from the host in time: check its address, and that it is on"
                )
            }
            Failure::Connect(error) => {
                write!(
                    out,
                    "cannot connect ({error}): check host and port, and that the server runs"
                )
            }
            Failure::Resolve(error) => write!(out, "the host's name leads nowhere: {error}"),
            Failure::GivenUp => write!(out, "not tried, the host could not be reached before"),
            Failure::Lost(error) if is_timeout(error) => {
                write!(out, "nothing came for too long: use -c to continue")
            }
            Failure::Lost(error) if error.kind() == ErrorKind::UnexpectedEof => {
                write!(
                    out,
                    "short transfer, the connection closed before the end: use -c to continue"
                )
            }
            Failure::Lost(error) => {
                write!(
                    out,
                    "short transfer, the connection broke ({error}): use -c to continue"
                )
            }
            Failure::Malformed(what) => write!(out, "not the train protocol, {what}"),
            Failure::Count { expected, got } if got > expected => {
                write!(
                    out,
                    "more than the {expected} data bytes that the server announced: get it again"
                )
            }
            Failure::Count { expected, got } => write!(
                out,
                "only {got} of the {expected} data bytes that the server announced: use -c to continue"
            ),
            Failure::Refused(why) => out.write_str(why),
            Failure::Folder => write!(out, "is a folder: use -r to get all that is in it"),
            Failure::Local { doing, error } if error.kind() == ErrorKind::StorageFull => {
                write!(
                    out,
                    "cannot {doing}: the disk is full, make room, then use -c to continue"
                )
            }
            Failure::Local { doing, error } => write!(out, "cannot {doing}: {error}"),
        }
    }
}

fn write_answer(out: &mut fmt::Formatter<'_>, errno: u32) -> fmt::Result {
    let meaning = match errno {
        2 => "no such file",
        5 => "the server cannot read it, or it shrank meanwhile (I/O error): try -c later",
        11 => "the server is full: try later",
        13 => "not allowed",
        22 => "malformed request, or an offset beyond the end",
        36 => "the path is too long for the server",
        110 => "too slow, the server gave up: use -c to continue",
        _ => return write!(out, "the server gave up with error {errno}"),
    };
    write!(out, "{meaning} (error {errno})")
}

fn is_timeout(error: &io::Error) -> bool {
    // A socket's timeout is WouldBlock, connect_timeout's is TimedOut.
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
}

/// A name of any bytes, fit for a terminal: nothing in it can move the cursor.
pub(crate) fn shown(name: &OsStr) -> String {
    let text = String::from_utf8_lossy(name.as_bytes());
    text.chars().fold(String::new(), |mut shown, letter| {
        if letter.is_control() {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
        shown
    })
}
