//! Who gets what when: a queue of files and folders, and the workers that empty it.

use std::collections::{HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use crate::command::Options;
use crate::connection::{Client, Server};
use crate::download::{Got, Want, download};
use crate::failure::{Failure, shown};
use crate::folder::{Folder, list};
use crate::place::{Place, check_name};
use crate::progress::Progress;

/// What all workers look at.
pub(crate) struct Shared {
    pub(crate) progress: Progress,
    pub(crate) resume: bool,
    pub(crate) recurse: bool,
    pub(crate) timeout: Duration,
    failures: AtomicUsize,
    /// Names in the chosen folder that a URL of this run has had.
    claimed: Mutex<HashSet<OsString>>,
}

impl Shared {
    pub(crate) fn new(options: &Options) -> Shared {
        Shared {
            progress: Progress::new(options.quiet, options.verbose),
            resume: options.resume,
            recurse: options.recurse,
            timeout: options.timeout,
            failures: AtomicUsize::new(0),
            claimed: Mutex::default(),
        }
    }

    /// Tells and counts one failure; the rest still gets done.
    pub(crate) fn fail(&self, url: &str, failure: &Failure) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.progress.complain(&format!("{url}: {failure}"));
    }

    /// Lets one URL alone write `name`: two files of one name would leave only the later one.
    pub(crate) fn claim(&self, name: &OsStr) -> Result<(), Failure> {
        if self
            .claimed
            .lock()
            .expect("no panic under the lock")
            .insert(name.to_owned())
        {
            return Ok(());
        }
        let name = shown(name);
        Err(Failure::Refused(format!(
            "another URL has the name '{name}' too: get it by itself, with -o or -O"
        )))
    }
}

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

/// Gets all URLs into `place` and counts what failed.
pub(crate) fn run_all(
    shared: &Shared,
    options: &Options,
    place: &Place,
    name: Option<&OsStr>,
) -> usize {
    let queue = Queue::default();
    let mut servers: Vec<Arc<Server>> = Vec::new();
    for url in &options.urls {
        let known = servers
            .iter()
            .find(|server| server.host == url.host && server.port == url.port);
        let server = known.cloned().unwrap_or_else(|| {
            let server = Arc::new(Server::new(url.host.clone(), url.port));
            servers.push(Arc::clone(&server));
            server
        });
        queue.push(Job::Url {
            server,
            path: url.path.clone(),
        });
    }
    // Without folders there is never more to do than the URLs.
    let workers_max = if options.recurse {
        usize::MAX
    } else {
        options.urls.len()
    };
    thread::scope(|scope| {
        for _ in 0..options.files_at_once.min(workers_max) {
            scope.spawn(|| work(shared, &queue, place, name));
        }
    });
    shared.failures.load(Ordering::Relaxed)
}

fn work(shared: &Shared, queue: &Queue, place: &Place, name: Option<&OsStr>) {
    let mut client = Client::new(shared);
    while let Some(job) = queue.take(|| client.close()) {
        let (url, result) = match &job {
            Job::Url { server, path } => (
                server.shown(path),
                get_url(&mut client, queue, server, path, place, name),
            ),
            Job::File {
                folder,
                name,
                size,
                mtime_ns,
            } => {
                let url = folder
                    .server
                    .shown(&[folder.path.as_slice(), name.as_bytes()].concat());
                (url, get_file(&mut client, folder, name, (*size, *mtime_ns)))
            }
            Job::Folder { folder, name } => {
                let url = folder
                    .server
                    .shown(&[folder.path.as_slice(), name.as_bytes(), b"/"].concat());
                (url, get_folder(&mut client, queue, folder, name))
            }
        };
        if let Err(failure) = result {
            shared.fail(&url, &failure);
        }
        queue.done();
    }
}

fn get_url(
    client: &mut Client<'_>,
    queue: &Queue,
    server: &Arc<Server>,
    path: &[u8],
    place: &Place,
    name: Option<&OsStr>,
) -> Result<(), Failure> {
    let want = Want {
        server,
        path,
        place,
        name,
        listed: None,
    };
    let Got::Folder(answer, connection) = download(client, &want)? else {
        return Ok(());
    };
    if !client.shared.recurse {
        return Err(Failure::Folder);
    }
    let is_root = path == b"/";
    let place = match (name, answer.name.strip_suffix(b"/").unwrap_or(&answer.name)) {
        (Some(name), _) => place.below(name),
        // The root has no name of its own. Elsewhere an empty one is refused like any other.
        (None, b"") if is_root => place.clone(),
        (None, its_name) => {
            let its_name = check_name(its_name)?;
            client.shared.claim(its_name)?;
            place.below(its_name)
        }
    };
    let mut path = if is_root { Vec::new() } else { path.to_vec() };
    if !is_root && !path.ends_with(b"/") {
        path.push(b'/');
    }
    let folder = Arc::new(Folder {
        server: Arc::clone(server),
        path,
        place,
    });
    list(client, queue, &folder, connection)
}

fn get_file(
    client: &mut Client<'_>,
    folder: &Folder,
    name: &OsStr,
    listed: (u64, i64),
) -> Result<(), Failure> {
    let path = folder.path_of(name.as_bytes(), b"")?;
    let want = Want {
        server: &folder.server,
        path: &path,
        place: &folder.place,
        name: Some(name),
        listed: Some(listed),
    };
    match download(client, &want)? {
        Got::File => Ok(()),
        Got::Folder(..) => Err(Failure::Refused(
            "was a file when listed, and is a folder now".into(),
        )),
    }
}

fn get_folder(
    client: &mut Client<'_>,
    queue: &Queue,
    parent: &Folder,
    name: &OsStr,
) -> Result<(), Failure> {
    let path = parent.path_of(name.as_bytes(), b"/")?;
    let (answer, connection) = client.ask(&parent.server, &path, 0)?;
    if !answer.is_folder() {
        return Err(Failure::Refused(
            "was a folder when listed, and is a file now".into(),
        ));
    }
    let place = parent.place.below(name);
    let folder = Arc::new(Folder {
        server: Arc::clone(&parent.server),
        path,
        place,
    });
    list(client, queue, &folder, connection)
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
    fn take(&self, idle: impl FnOnce()) -> Option<Job> {
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

    fn done(&self) {
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
