//! One file: finds what is there of it, asks for the rest, and lets no half file look whole.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::connection::{Client, Connection, Server};
use crate::destination::{Destination, open_in};
use crate::failure::Failure;
use crate::names::check_name;
use crate::part::{Identity, Part, is_same_time};
use crate::progress::Meter;
use crate::wire::{Answer, Car};

/// What is wanted, and where to.
pub(crate) struct Want<'a> {
    pub(crate) server: &'a Arc<Server>,
    pub(crate) path: &'a [u8],
    pub(crate) destination: &'a Destination,
    /// None takes the name that the server says, if it is a fair one.
    pub(crate) name: Option<&'a OsStr>,
    /// Size and mtime_ns by the listing, if it stands in one.
    pub(crate) listed: Option<(u64, i64)>,
}

/// What the path turned out to be.
pub(crate) enum Got {
    /// A file, and it is there now.
    File,
    /// A folder; its listing is to be read.
    Folder(Answer, Connection),
}

/// What an earlier run left, for `-c`.
enum Found {
    /// Some or all bytes, under the part's name.
    Part {
        part: Part,
        identity: Identity,
        size: u64,
    },
    /// The file itself.
    Whole { size: u64, mtime_ns: i128 },
}

impl Found {
    fn offset(&self) -> u64 {
        match self {
            Found::Part { size, .. } | Found::Whole { size, .. } => *size,
        }
    }

    fn is_of(&self, path: &[u8], file_size: u64, file_mtime_ns: i64) -> bool {
        match self {
            Found::Part { identity, .. } => {
                identity.path == path
                    && identity.size == file_size
                    && identity.mtime_ns == file_mtime_ns
            }
            Found::Whole { size, mtime_ns } => {
                *size == file_size && is_same_time(*mtime_ns, file_mtime_ns)
            }
        }
    }
}

/// Gets `want`, unless it is a folder.
pub(crate) fn download(client: &mut Client<'_>, want: &Want<'_>) -> Result<Got, Failure> {
    let name_expected = expected_name(want);
    let found = match &name_expected {
        Some(name) if client.shared.resume => find(want.destination, name)?,
        _ => None,
    };
    if let (Some(found @ Found::Whole { .. }), Some((size, mtime_ns))) = (&found, want.listed)
        && found.is_of(want.path, size, mtime_ns)
    {
        say_there_already(client, want, name_expected.as_deref());
        return Ok(Got::File);
    }
    let (answer, connection, found) = ask(client, want, name_expected.as_deref(), found)?;
    if answer.is_folder() {
        return Ok(Got::Folder(answer, connection));
    }
    let name = match want.name {
        Some(name) => name,
        None => {
            let name = check_name(&answer.name)?;
            client.shared.claim(name)?;
            name
        }
    };
    receive(client, want, name, &answer, connection, found)?;
    Ok(Got::File)
}

/// The name under which a part would be: the server's name is not known before it is asked.
fn expected_name(want: &Want<'_>) -> Option<OsString> {
    let last = want.path.rsplit(|&byte| byte == b'/').next()?;
    let name = want.name.or_else(|| check_name(last).ok())?;
    Some(name.to_owned())
}

fn find(destination: &Destination, name: &OsStr) -> Result<Option<Found>, Failure> {
    if let Some((part, identity, size)) = Part::find(destination, name)? {
        return Ok(Some(Found::Part {
            part,
            identity,
            size,
        }));
    }
    let doing = || format!("look at {}", destination.shown(name));
    let file = match open_in(&destination.open()?, name, OFlag::O_PATH) {
        Ok(file) => file,
        Err(Errno::ENOENT) => return Ok(None),
        Err(errno) => return Err(Failure::local(doing())(errno)),
    };
    let metadata = file.metadata().map_err(Failure::local(doing()))?;
    let mtime_ns = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
    Ok(metadata.is_file().then_some(Found::Whole {
        size: metadata.len(),
        mtime_ns,
    }))
}

/// Asks from where `found` ends; if the server's file is another one by now, from the start.
fn ask(
    client: &mut Client<'_>,
    want: &Want<'_>,
    name_expected: Option<&OsStr>,
    found: Option<Found>,
) -> Result<(Answer, Connection, Option<Found>), Failure> {
    /// Also what the offset's being beyond the end of a file that shrank is answered with.
    const MALFORMED: u32 = Errno::EINVAL as u32;
    let offset = found.as_ref().map_or(0, Found::offset);
    let asked = match client.ask(want.server, want.path, offset) {
        Err(Failure::Answer(MALFORMED)) if offset > 0 => None,
        asked => Some(asked?),
    };
    let Some(found) = found else {
        let (answer, connection) = asked.expect("without an offset every failure has returned");
        return Ok((answer, connection, None));
    };
    if let Some((answer, connection)) = asked {
        let same_name = want.name.is_some() || check_name(&answer.name).ok() == name_expected;
        if same_name && found.is_of(want.path, answer.size, answer.mtime_ns) {
            return Ok((answer, connection, Some(found)));
        }
        if offset == 0 {
            return Ok((answer, connection, None));
        }
    }
    // Its connection is closed by now: what comes on it is of no use.
    let url = want.server.shown(want.path);
    client.shared.progress.say(&format!(
        "{url}: not the file of the earlier try, starting again"
    ));
    drop(found);
    let (answer, connection) = client.ask(want.server, want.path, 0)?;
    Ok((answer, connection, None))
}

fn receive(
    client: &mut Client<'_>,
    want: &Want<'_>,
    name: &OsStr,
    answer: &Answer,
    mut connection: Connection,
    found: Option<Found>,
) -> Result<(), Failure> {
    refuse_target(want.destination, name)?;
    let offset = found.as_ref().map_or(0, Found::offset);
    let meter = client
        .shared
        .progress
        .meter(want.destination.shown(name), offset, answer.size);
    let mut part = match found {
        Some(Found::Whole { .. }) => {
            receive_data(&mut connection, None, 0, meter)?;
            client.give_back(want.server, connection);
            say_there_already(client, want, Some(name));
            return Ok(());
        }
        Some(Found::Part { part, .. }) => part,
        None => {
            let path = want.path.to_vec();
            Part::begin(
                want.destination,
                name,
                &Identity {
                    size: answer.size,
                    mtime_ns: answer.mtime_ns,
                    path,
                },
            )?
        }
    };
    match receive_data(
        &mut connection,
        Some(&mut part),
        answer.size - offset,
        meter,
    ) {
        Ok(meter) => {
            client.give_back(want.server, connection);
            part.finish(answer.mtime_ns)?;
            meter.finish();
            Ok(())
        }
        Err(failure) => {
            match failure {
                // A server that lost count may have done so before: nothing of it is to be trusted.
                Failure::Malformed(_) => part.discard(),
                Failure::Count { expected, got } if got > expected => part.discard(),
                _ => part.keep(),
            }
            Err(failure)
        }
    }
}

/// Takes data cars up to the end car, which must come after `expected` bytes exactly.
fn receive_data<'a>(
    connection: &mut Connection,
    mut part: Option<&mut Part>,
    expected: u64,
    mut meter: Meter<'a>,
) -> Result<Meter<'a>, Failure> {
    let mut got = 0;
    while let Car::Data(data) = connection.next_car()? {
        got += data.len() as u64;
        if got > expected {
            return Err(Failure::Count { expected, got });
        }
        if let Some(part) = &mut part {
            part.write(data)?;
        }
        meter.advance(data.len());
    }
    if got < expected {
        return Err(Failure::Count { expected, got });
    }
    Ok(meter)
}

/// Finds out before gigabytes have come that they could not or must not be renamed to `name`: one that is
/// too long for the file system, a folder, or a device, pipe or link, of which the rename would leave nothing.
fn refuse_target(destination: &Destination, name: &OsStr) -> Result<(), Failure> {
    let shown = destination.shown(name);
    let there = match open_in(&destination.open()?, name, OFlag::O_PATH) {
        Ok(there) => there,
        Err(Errno::ENAMETOOLONG) => {
            return Err(Failure::Refused(format!(
                "the name '{shown}' is refused: the file system here has none as long, use -o"
            )));
        }
        Err(_) => return Ok(()),
    };
    let kind = there
        .metadata()
        .map_err(Failure::local(format!("look at {shown}")))?
        .file_type();
    if kind.is_dir() {
        return Err(Failure::Refused(format!(
            "{shown} is a folder here: use -O or -o"
        )));
    }
    if !kind.is_file() {
        return Err(Failure::Refused(format!(
            "{shown} is no regular file: move it away, or use -o"
        )));
    }
    Ok(())
}

fn say_there_already(client: &Client<'_>, want: &Want<'_>, name: Option<&OsStr>) {
    let shown = want.destination.shown(name.unwrap_or_default());
    client
        .shared
        .progress
        .say(&format!("{shown}: there already"));
}
