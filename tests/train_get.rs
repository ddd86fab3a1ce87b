//! train-get against a server that plays the protocol, its edges and its abuses.

#[path = "train_get/fake.rs"]
mod fake;
#[path = "train_get/folders.rs"]
mod folders;
#[path = "train_get/hostile.rs"]
mod hostile;
#[path = "train_get/program.rs"]
mod program;
#[path = "train_get/resume.rs"]
mod resume;

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use fake::{Fake, Gate, Request, Step, bare_car, content, file};
use program::run;

const MTIME_NS: i64 = 1_600_000_000_123_456_789;

/// A server whose every file is what `content_of` says for its path.
fn honest(content_of: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) -> Fake {
    Fake::start(move |request| {
        vec![Step::Send(honest_answer(
            request,
            &content_of(&request.path),
        ))]
    })
}

fn honest_answer(request: &Request, content: &[u8]) -> Vec<u8> {
    let name = request.path.rsplit(|&byte| byte == b'/').next().unwrap();
    file(name, content, MTIME_NS, request.offset)
}

/// The names in `folder`, sorted.
fn names_in(folder: &Path) -> Vec<String> {
    let name =
        |entry: Result<fs::DirEntry, _>| entry.unwrap().file_name().to_string_lossy().into_owned();
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    names
}

#[test]
fn files_of_all_sizes_over_one_connection() {
    let server = honest(|path| content(1, String::from_utf8_lossy(path).parse().unwrap()));
    let folder = tempfile::tempdir().unwrap();
    let sizes = [0, 1, 999, 1000, 1001, 2500, 65_536, 3_000_001];
    let urls: Vec<_> = sizes
        .iter()
        .map(|size| server.url(&size.to_string()))
        .collect();
    let run = run(folder.path(), &urls);
    run.assert_whole();
    for size in sizes {
        let path = folder.path().join(size.to_string());
        assert!(fs::read(&path).unwrap() == content(1, size), "{size}");
        let metadata = path.metadata().unwrap();
        assert_eq!(
            metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec(),
            MTIME_NS
        );
    }
    assert_eq!(
        names_in(folder.path()).len(),
        sizes.len(),
        "nothing else is left"
    );
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.connection == 0 && request.offset == 0)
    );
    assert_eq!(
        run.err.lines().count(),
        sizes.len(),
        "a plain line per file: {}",
        run.err
    );
    assert_eq!(run.out, "");
}

#[test]
fn where_to_and_what_is_there() {
    let server = honest(|path| path.to_vec());
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["-q", "-O", "a/b", &server.url("one")]).assert_whole();
    run(folder.path(), &["-q", "-o", "a/two", &server.url("one")]).assert_whole();
    fs::write(folder.path().join("three"), "of old").unwrap();
    let run = run(
        folder.path(),
        &["-qo", "three", &server.url("x/y/one%20%25")],
    );
    run.assert_whole();
    assert_eq!(run.err, "", "-q");
    assert_eq!(fs::read(folder.path().join("a/b/one")).unwrap(), b"one");
    assert_eq!(fs::read(folder.path().join("a/two")).unwrap(), b"one");
    assert_eq!(fs::read(folder.path().join("three")).unwrap(), b"x/y/one %");
    assert_eq!(server.requests()[2].path, b"x/y/one %");
}

#[test]
fn several_at_once() {
    const AT_ONCE: usize = 4;
    let gate = Arc::new(Gate::default());
    let waiting = AtomicUsize::new(0);
    let connections = Arc::new(Mutex::new(HashSet::new()));
    let (in_server, seen) = (Arc::clone(&gate), Arc::clone(&connections));
    let server = Fake::start(move |request| {
        seen.lock().unwrap().insert(request.connection);
        if waiting.fetch_add(1, Ordering::SeqCst) + 1 == AT_ONCE {
            in_server.open();
        }
        let answer = honest_answer(request, &request.path.repeat(5000));
        vec![Step::Wait(Arc::clone(&in_server)), Step::Send(answer)]
    });
    let folder = tempfile::tempdir().unwrap();
    let mut arguments = vec!["-j".to_owned(), AT_ONCE.to_string()];
    arguments.extend((0..20).map(|number| server.url(&format!("file-{number}"))));
    run(folder.path(), &arguments).assert_whole();
    for number in 0..20 {
        let name = format!("file-{number}");
        assert!(fs::read(folder.path().join(&name)).unwrap() == name.as_bytes().repeat(5000));
    }
    assert_eq!(connections.lock().unwrap().len(), AT_ONCE);
}

#[test]
fn a_connection_that_was_closed_between_requests_is_made_anew() {
    for last in [|| Step::Close, || Step::Reset] {
        let server = Fake::start(move |request| {
            vec![Step::Send(honest_answer(request, b"content")), last()]
        });
        let folder = tempfile::tempdir().unwrap();
        let urls: Vec<_> = ["a", "b", "c"].map(|name| server.url(name)).to_vec();
        run(folder.path(), &urls).assert_whole();
        assert_eq!(names_in(folder.path()), ["a", "b", "c"]);
    }
}

#[test]
fn a_full_server_is_asked_again() {
    let tries = AtomicUsize::new(0);
    let server = Fake::start(move |request| match tries.fetch_add(1, Ordering::SeqCst) {
        0 => vec![Step::Send(bare_car(-11)), Step::Close],
        1 => vec![Step::Reset],
        _ => vec![Step::Send(honest_answer(request, b"content"))],
    });
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path(), &[server.url("a")]);
    run.assert_whole();
    assert_eq!(server.requests().len(), 3);
    assert!(
        run.err.contains("full") && run.err.contains("trying again"),
        "{run:?}"
    );
    assert_eq!(fs::read(folder.path().join("a")).unwrap(), b"content");
}

#[test]
fn a_server_that_stays_full_is_left_alone_after_five_tries() {
    let server = Fake::start(|_| vec![Step::Send(bare_car(-11)), Step::Close]);
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &[server.url("a")]).assert_failure(&["full", "try later"]);
    assert_eq!(server.requests().len(), 5);
    assert_eq!(names_in(folder.path()).len(), 0);
}

#[test]
fn nobody_there() {
    let server = honest(|path| path.to_vec());
    let (dead, other) = (server.url("a"), server.url("b"));
    drop(server);
    let living = honest(|path| path.to_vec());
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path(), &[&dead, &other, &living.url("c")]);
    assert_eq!((run.code, run.failures().len()), (1, 2), "{run:?}");
    assert!(run.failures()[0].contains("cannot connect"), "{run:?}");
    assert!(
        run.failures()[1].contains("not tried"),
        "a dead host costs its pauses once: {run:?}"
    );
    assert_eq!(names_in(folder.path()), ["c"]);
}

#[test]
fn every_failure_has_its_line_and_the_rest_is_got() {
    let server = Fake::start(|request| match request.path[0] {
        b'0'..=b'9' => {
            let errno: i32 = std::str::from_utf8(&request.path).unwrap().parse().unwrap();
            vec![Step::Send(bare_car(-errno)), Step::Close]
        }
        _ => vec![Step::Send(honest_answer(request, b"content"))],
    });
    let folder = tempfile::tempdir().unwrap();
    let mut urls = vec![server.url("first")];
    let meanings = [
        ("2", "no such file"),
        ("5", "I/O error"),
        ("13", "not allowed"),
        ("22", "malformed request"),
        ("36", "too long"),
        ("110", "too slow"),
        ("99", "error 99"),
    ];
    urls.extend(meanings.iter().map(|(number, _)| server.url(number)));
    urls.push(server.url("last"));
    let run = run(folder.path(), &urls);
    assert_eq!(
        (run.code, run.failures().len()),
        (1, meanings.len()),
        "{run:?}"
    );
    for (line, (number, meaning)) in run.failures().iter().zip(meanings) {
        assert!(
            line.contains(meaning) && line.contains(&server.url(number)),
            "{line}"
        );
    }
    assert_eq!(names_in(folder.path()), ["first", "last"]);
}

#[test]
fn a_silent_server_is_given_up() {
    let gate = Arc::new(Gate::default());
    let in_server = Arc::clone(&gate);
    let server = Fake::start(move |_| vec![Step::Wait(Arc::clone(&in_server))]);
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["--timeout", "1", &server.url("a")]).assert_failure(&["nothing came"]);
    gate.open();
}

#[test]
fn usage() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &[][..],
        &["--nothing"],
        &["-j", "0", "train://h/a"],
        &["http://h/a"],
        &["train://h/%zz"],
    ] {
        let run = run(folder.path(), arguments);
        assert_eq!(
            (run.code, run.err.lines().count()),
            (2, 1),
            "{arguments:?}: {run:?}"
        );
        assert!(run.err.contains("--help"), "{run:?}");
    }
    let help = run(folder.path(), &["--help"]);
    assert!(
        help.code == 0 && help.out.contains("-O DIR") && help.err.is_empty(),
        "{help:?}"
    );
    let version = run(folder.path(), &["--version"]);
    assert_eq!(
        version.out,
        concat!("train-get ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn local_obstacles_are_one_line_each() {
    let server = honest(|path| path.to_vec());
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("a")).unwrap();
    fs::write(folder.path().join("plain"), "").unwrap();
    run(folder.path(), &[server.url("a")]).assert_failure(&["a is a folder here"]);
    run(folder.path(), &["-O", "plain", &server.url("b")])
        .assert_failure(&["cannot make the folder plain"]);
    run(folder.path(), &["-o", "none/b", &server.url("b")])
        .assert_failure(&["cannot open the folder none"]);
    assert_eq!(names_in(folder.path()), ["a", "plain"]);
}
