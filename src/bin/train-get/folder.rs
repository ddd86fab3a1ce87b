//! Whole folders: each entry of a listing becomes a job as soon as it has come.

use std::ffi::OsString;
use std::sync::Arc;

use crate::connection::{Client, Connection};
use crate::failure::Failure;
use crate::listing::{Entry, Kind, Splitter};
use crate::names::check_name;
use crate::queue::{Folder, Job, Queue};
use crate::wire::Car;

/// Beyond this a server is taken to send entries without end, and our memory is not.
const ENTRIES_MAX: u64 = 10_000_000;

/// Reads the listing that follows on `connection` and queues what is in it.
pub(crate) fn list(
    client: &mut Client<'_>,
    queue: &Queue,
    folder: &Arc<Folder>,
    mut connection: Connection,
) -> Result<(), Failure> {
    folder.destination.make()?; // also when there is nothing in it
    let shared = client.shared;
    let mut splitter = Splitter::default();
    let mut count = 0;
    while let Car::Data(data) = connection.next_car()? {
        splitter.push(data, |entry| {
            count += 1;
            if count > ENTRIES_MAX {
                return Err(Failure::Refused(format!(
                    "the folder has more than {ENTRIES_MAX} entries"
                )));
            }
            match check_name(entry.name) {
                Ok(name) => queue.push(job(folder, &entry, name.to_owned())),
                Err(failure) => shared.fail(&folder.server.shown(&folder.path), &failure),
            }
            Ok(())
        })?;
    }
    splitter.finish()?;
    client.give_back(&folder.server, connection);
    Ok(())
}

fn job(folder: &Arc<Folder>, entry: &Entry<'_>, name: OsString) -> Job {
    let folder = Arc::clone(folder);
    match entry.kind {
        Kind::File => Job::File {
            folder,
            name,
            size: entry.size,
            mtime_ns: entry.mtime_ns,
        },
        Kind::Folder => Job::Folder { folder, name },
    }
}
