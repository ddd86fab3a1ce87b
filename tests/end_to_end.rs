//! The client against the server, both the real programs: what a user does.

use crate::common;

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::program;
use common::server::Server;
use common::{checksum, random_bytes, random_file};

/// The client in `folder`, so the programs' path must not hang on where the test runs.
fn client(folder: &Path, arguments: &[&str]) -> Command {
    assert!(
        program::path("train-get").is_absolute(),
        "TRAINYARD_PROGRAMS is an absolute path"
    );
    let mut command = program::command("train-get");
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null());
    command
}

fn train_get(folder: &Path, arguments: &[&str]) -> Output {
    client(folder, arguments).output().unwrap()
}

#[track_caller]
fn assert_got(output: &Output) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}");
}

#[test]
fn files_and_whole_folders_arrive_as_they_are() {
    let (root, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let big = random_file(&root.path().join("big file"), 1, 20_000_000);
    fs::create_dir_all(root.path().join("a/b")).unwrap();
    fs::create_dir(root.path().join("empty")).unwrap();
    let small = random_file(&root.path().join("a/b/small"), 2, 1001);
    random_file(&root.path().join("a/nothing"), 3, 0);
    let server = Server::start(root.path(), &["--workers", "2", "--per-worker", "8"]);
    let url = format!("train://{}/", server.address());
    assert_got(&train_get(
        here.path(),
        &[
            "-q",
            &format!("{url}big%20file"),
            &format!("{url}a/b/small"),
        ],
    ));
    assert_eq!(
        checksum(&fs::read(here.path().join("big file")).unwrap()),
        checksum(&big)
    );
    assert_eq!(fs::read(here.path().join("small")).unwrap(), small);
    let mtime = |path: &Path| {
        fs::metadata(path)
            .map(|metadata| (metadata.mtime(), metadata.mtime_nsec()))
            .unwrap()
    };
    assert_eq!(
        mtime(&here.path().join("big file")),
        mtime(&root.path().join("big file"))
    );

    assert_got(&train_get(
        here.path(),
        &["-q", "-r", "-j", "3", "-O", "all", &url],
    ));
    let all = here.path().join("all");
    assert_eq!(
        checksum(&fs::read(all.join("big file")).unwrap()),
        checksum(&big)
    );
    assert_eq!(fs::read(all.join("a/b/small")).unwrap(), small);
    assert_eq!(fs::read(all.join("a/nothing")).unwrap(), b"");
    assert!(all.join("empty").is_dir());
    server.stop();
}

#[test]
fn what_is_not_there_is_an_error_and_the_rest_is_got() {
    let (root, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    random_file(&root.path().join("file"), 1, 5000);
    let server = Server::start(root.path(), &["--workers", "1", "--per-worker", "8"]);
    let url = format!("train://{}/", server.address());
    let output = train_get(
        here.path(),
        &["-q", &format!("{url}none"), &format!("{url}file")],
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("none"));
    assert_eq!(
        fs::read(here.path().join("file")).unwrap(),
        random_bytes(1, 5000)
    );
    server.stop();
}

#[test]
fn a_link_or_a_pipe_is_never_replaced() {
    let (root, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    random_file(&root.path().join("file"), 1, 5000);
    let server = Server::start(root.path(), &["--workers", "1", "--per-worker", "8"]);
    let url = format!("train://{}/file", server.address());
    std::os::unix::fs::symlink("elsewhere", here.path().join("link")).unwrap();
    let mode = nix::sys::stat::Mode::S_IRUSR;
    nix::unistd::mkfifo(&here.path().join("pipe"), mode).unwrap();
    for name in ["link", "pipe"] {
        let output = train_get(here.path(), &["-q", "-o", name, &url]);
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("no regular file"));
    }
    assert!(
        fs::symlink_metadata(here.path().join("link"))
            .unwrap()
            .is_symlink()
    );
    let names = fs::read_dir(here.path()).unwrap().count();
    assert_eq!(names, 2, "nothing else was made");
    server.stop();
}

#[test]
fn a_download_goes_on_after_the_server_was_killed() {
    let (root, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let size = 3_u64 << 30;
    let path = root.path().join("file");
    File::create(&path).unwrap().set_len(size).unwrap();
    let mut server = Server::start(root.path(), &["--workers", "1", "--per-worker", "8"]);
    let url = format!("train://{}/file", server.address());
    let mut client = client(here.path(), &["-q", &url])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let part = here.path().join(".file.train-part");
    common::wait_until("a part is there", common::server::LIMIT, || {
        fs::metadata(&part).is_ok_and(|metadata| metadata.len() > 10_000_000)
    });
    server.signal(nix::sys::signal::Signal::SIGKILL);
    server.wait(common::server::LIMIT);
    assert_eq!(
        client.wait().unwrap().code(),
        Some(1),
        "a short transfer is an error"
    );
    let kept = fs::metadata(&part).unwrap().len();
    assert!(kept > 10_000_000 && kept < size && !here.path().join("file").exists());
    // A smaller end of the same file would take long under emulation: the rest is cut here, and
    // with its size and time as they were it would be another file, so the client starts again.
    let whole = random_file(&path, 7, 2_000_000);
    let server = Server::start(root.path(), &["--workers", "1", "--per-worker", "8"]);
    let url = format!("train://{}/file", server.address());
    assert_got(&train_get(here.path(), &["-q", "-c", &url]));
    assert_eq!(
        checksum(&fs::read(here.path().join("file")).unwrap()),
        checksum(&whole)
    );
    assert!(!part.exists());
    server.stop();
}

#[test]
fn a_part_is_continued_where_it_ends() {
    let (root, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let size = 60_000_000;
    let bytes = random_file(&root.path().join("file"), 5, size);
    let server = Server::start(root.path(), &["--workers", "1", "--per-worker", "8"]);
    let url = format!("train://{}/file", server.address());
    let mut client = client(here.path(), &["-q", &url])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let part = here.path().join(".file.train-part");
    common::wait_until("a part is there", common::server::LIMIT, || {
        fs::metadata(&part).is_ok_and(|metadata| metadata.len() > 1_000_000)
            || here.path().join("file").exists()
    });
    // The power goes, as it were; on a fast machine the file may be whole by then.
    client.kill().unwrap();
    client.wait().unwrap();
    assert_got(&train_get(here.path(), &["-q", "-c", &url]));
    assert_eq!(
        checksum(&fs::read(here.path().join("file")).unwrap()),
        checksum(&bytes)
    );
    assert!(!part.exists());
    server.stop();
}
