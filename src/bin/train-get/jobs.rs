//! The workers that empty the queue of files and folders.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::thread;

use crate::command::Options;
use crate::connection::{Client, Server};
use crate::destination::Destination;
use crate::download::{Got, Want, download};
use crate::failure::Failure;
use crate::folder::list;
use crate::names::check_name;
use crate::queue::{Folder, Job, Queue};
use crate::shared::Shared;

/// Gets all URLs into `destination` and counts what failed.
pub(crate) fn run_all(
    shared: &Shared,
    options: &Options,
    destination: &Destination,
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
            scope.spawn(|| work(shared, &queue, destination, name));
        }
    });
    shared.failures()
}

fn work(shared: &Shared, queue: &Queue, destination: &Destination, name: Option<&OsStr>) {
    let mut client = Client::new(shared);
    while let Some(job) = queue.take(|| client.close()) {
        let (url, result) = match &job {
            Job::Url { server, path } => (
                server.shown(path),
                get_url(&mut client, queue, server, path, destination, name),
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
    destination: &Destination,
    name: Option<&OsStr>,
) -> Result<(), Failure> {
    let want = Want {
        server,
        path,
        destination,
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
    let destination = match (name, answer.name.strip_suffix(b"/").unwrap_or(&answer.name)) {
        (Some(name), _) => destination.below(name),
        // The root has no name of its own. Elsewhere an empty one is refused like any other.
        (None, b"") if is_root => destination.clone(),
        (None, its_name) => {
            let its_name = check_name(its_name)?;
            client.shared.claim(its_name)?;
            destination.below(its_name)
        }
    };
    let mut path = if is_root { Vec::new() } else { path.to_vec() };
    if !is_root && !path.ends_with(b"/") {
        path.push(b'/');
    }
    let folder = Arc::new(Folder {
        server: Arc::clone(server),
        path,
        destination,
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
        destination: &folder.destination,
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
    let destination = parent.destination.below(name);
    let folder = Arc::new(Folder {
        server: Arc::clone(&parent.server),
        path,
        destination,
    });
    list(client, queue, &folder, connection)
}
