//! The root is opened anew, and waited for.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::common::ask::{ask, read_answer};
use super::common::client::{assert_refused, has_begun, large_file, stopped_reader};
use super::common::http::{Client, old_file};
use super::common::server::{LIMIT, Server, run};
use super::common::{checksum, wait_until};

/// Two folders with a file each, and a link that leads to the first one.
fn two_roots(folder: &Path) -> (PathBuf, [Vec<u8>; 2]) {
    let files = [1, 2].map(|number| {
        let root = folder.join(number.to_string());
        fs::create_dir(&root).unwrap();
        old_file(&root.join("file"), number, 3000)
    });
    let link = folder.join("root");
    symlink(folder.join("1"), &link).unwrap();
    (link, files)
}

/// Lets the link lead elsewhere, in one step.
fn lead(link: &Path, to: &Path) {
    let next = link.with_extension("next");
    symlink(to, &next).unwrap();
    fs::rename(&next, link).unwrap();
}

const BOTH: [&str; 4] = ["--train", "127.0.0.1:0", "--workers", "2"];

/// Starts a server for trains and HTTP: addresses in this order.
fn serve(root: &Path, options: &[&str]) -> Server {
    let mut command = super::common::program::command("trainyard");
    command.arg("serve").arg(root).args(BOTH).args(options);
    command.args(["--http", "127.0.0.1:0"]);
    Server::from_command(command)
}

/// Clients of HTTP that are with both workers.
fn clients(server: &Server) -> Vec<Client<TcpStream>> {
    let connect = |_| Client::new(TcpStream::connect(server.addresses[1]).unwrap());
    (0..8).map(connect).collect()
}

#[test]
fn a_hangup_opens_the_root_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (link, files) = two_roots(folder.path());
    let expected = large_file(&folder.path().join("1"), 3);
    let server = serve(&link, &[]);
    let mut kept = clients(&server);
    for client in &mut kept {
        assert_eq!(client.get("/file", &[]).body, files[0]);
    }
    let mut reader = stopped_reader(&server);
    assert!(has_begun(&reader));
    lead(&link, &folder.path().join("2"));
    server.signal(Signal::SIGHUP);
    wait_until("the new root", LIMIT, || {
        let answers = kept.iter_mut().map(|client| client.get("/file", &[]));
        answers.filter(|answer| answer.body == files[1]).count() == 8
    });
    let mut train = TcpStream::connect(server.address()).unwrap();
    assert_eq!(ask(&mut train, b"file", &[]).unwrap().data, files[1]);
    // What was in flight is finished from the old one.
    let answer = read_answer(&mut reader).unwrap();
    assert_eq!(checksum(&answer.data), expected);

    // One that cannot be opened changes nothing.
    lead(&link, &folder.path().join("nowhere"));
    server.signal(Signal::SIGHUP);
    wait_until("a line that says so", LIMIT, || {
        server.log().contains("served on")
    });
    for client in &mut kept {
        assert_eq!(client.get("/file", &[]).body, files[1]);
    }
    server.stop();
}

#[test]
fn a_root_that_is_not_there_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("card");
    let server = serve(&root, &["--wait-root"]);
    for target in ["/file", "/", "/-/health"] {
        let mut client = clients(&server).pop().unwrap();
        let answer = client.get(target, &[]);
        assert_eq!(answer.status, 503, "{target}");
        assert!(answer.field("retry-after").is_some(), "{target}");
    }
    let mut train = TcpStream::connect(server.address()).unwrap();
    std::io::Write::write_all(&mut train, &super::common::ask::request(b"file", &[])).unwrap();
    assert_refused(&mut train, 5);

    let next = folder.path().join("next");
    fs::create_dir(&next).unwrap();
    let bytes = old_file(&next.join("file"), 4, 3000);
    fs::rename(&next, &root).unwrap();
    let mut kept = clients(&server);
    wait_until("the root", Duration::from_secs(10), || {
        let answers = kept.iter_mut().map(|client| client.get("/file", &[]));
        answers.filter(|answer| answer.body == bytes).count() == 8
    });
    let mut train = TcpStream::connect(server.address()).unwrap();
    assert_eq!(ask(&mut train, b"file", &[]).unwrap().data, bytes);

    // It goes, and comes again.
    fs::rename(&root, &next).unwrap();
    server.signal(Signal::SIGHUP);
    let mut kept = clients(&server);
    wait_until("nothing is served", LIMIT, || {
        let mut answers = kept.iter_mut().map(|client| client.get("/file", &[]));
        answers.all(|answer| answer.status == 503)
    });
    fs::rename(&next, &root).unwrap();
    let mut kept = clients(&server);
    wait_until("the root again", Duration::from_secs(10), || {
        let answers = kept.iter_mut().map(|client| client.get("/file", &[]));
        answers.filter(|answer| answer.body == bytes).count() == 8
    });
    server.stop();
}

#[test]
fn without_the_option_the_root_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let file = folder.path().join("file");
    fs::write(&file, b"file").unwrap();
    let (missing, file) = (missing.to_str().unwrap(), file.to_str().unwrap());
    for arguments in [&["serve", missing][..], &["serve", file, "--wait-root"]] {
        let ports = ["--http", "127.0.0.1:0", "--train", "none"];
        let (code, _, error) = run(&[arguments, &ports].concat());
        assert_eq!(code, 1, "{error}");
    }
}
