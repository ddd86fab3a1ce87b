//! The queue of files and folders that are still to get.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use trainyard::train::CAR_DATA_MAX;

use crate::connection::Server;
use crate::destination::Destination;
use crate::failure::Failure;

/// One thing to get.
pub(crate) enum Job {
    /// What the command line names; only the server knows what it is.
    Url { server: Arc<Server>, path: Vec<u8> },
    /// A file in a folder.
    File {
        folder: Arc<Folder>,
        name: OsString,
        size: u64,
        mtime_ns: i64,
    },
    /// A folder in a folder.
    Folder { folder: Arc<Folder>, name: OsString },
}

/// A folder of a server and its counterpart here; each entry's job refers to it.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) server: Arc<Server>,
    /// Empty for the root, else with a `/` at the end.
    pub(crate) path: Vec<u8>,
    pub(crate) destination: Destination,
}

impl Folder {
    /// The path of the entry `name`; `end` is `/` for a folder.
    pub(crate) fn path_of(&self, name: &[u8], end: &[u8]) -> Result<Vec<u8>, Failure> {
        let path = [&self.path, name, end].concat();
        if path.len() > CAR_DATA_MAX {
            let shown = self.server.shown(&path);
            return Err(Failure::Refused(format!(
                "the path is over {CAR_DATA_MAX} bytes long: {shown}"
            )));
        }
        Ok(path)
    }
}

/// The jobs that wait, and how many are at work: only when both are none is all done, since a
/// folder at work makes new ones.
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    files: VecDeque<Job>,
    /// The last one first, and only when no file waits: so listings don't pile up.
    folders: Vec<Job>,
    working: usize,
}

impl Queue {
    pub(crate) fn push(&self, job: Job) {
        let mut state = self.lock();
        match job {
            Job::Folder { .. } => state.folders.push(job),
            _ => state.files.push_back(job),
        }
        self.changed.notify_one();
    }

    /// The next job, to be followed by `done`. Calls `idle` once before it waits. None: all is done.
    pub(crate) fn take(&self, idle: impl FnOnce()) -> Option<Job> {
        let mut idle = Some(idle);
        let mut state = self.lock();
        loop {
            if let Some(job) = state.files.pop_front().or_else(|| state.folders.pop()) {
                state.working += 1;
                return Some(job);
            }
            if state.working == 0 {
                return None;
            }
            if let Some(idle) = idle.take() {
                idle();
            }
            state = self.changed.wait(state).expect("no panic under the lock");
        }
    }

    pub(crate) fn done(&self) {
        let mut state = self.lock();
        state.working -= 1;
        if state.working == 0 {
            self.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under the lock")
    }
}
