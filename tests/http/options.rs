//! The command line of the HTTP listeners.

use crate::common::assert_bytes;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};

use super::common::program;
use super::common::server::run;
use super::*;

/// A server whose only listener is a Unix socket.
pub(super) fn at_path(root: &Path, socket: &Path, options: &[&str]) -> Server {
    let mut command = program::command("trainyard");
    command
        .arg("serve")
        .arg(root)
        .args(["--train", "none", "--http"])
        .arg(format!("unix:{}", socket.display()))
        .args(options);
    Server::from_command(command)
}

#[test]
fn a_unix_socket_is_a_listener_too() {
    let (root, bytes) = one_file(3_000_000);
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    // One that nobody listens to is left from before.
    drop(UnixListener::bind(&socket).unwrap());
    let server = at_path(root.path(), &socket, &["--workers", "2"]);
    assert_eq!(server.paths, [socket.to_str().unwrap()]);
    assert!(server.addresses.is_empty());
    let mut client = Client::new(UnixStream::connect(&socket).unwrap());
    for _ in 0..3 {
        assert_bytes(&client.ask(&get("/file", &[])).body, &bytes, "the body");
        let part = client.ask(&get("/file", &["Range: bytes=5-6,9-9"]));
        assert_eq!(common::http::parts_of(&part).unwrap().len(), 2);
    }
    // A second server does not take it away.
    let address = format!("unix:{}", socket.display());
    let arguments = [
        "serve",
        root.path().to_str().unwrap(),
        "--train",
        "none",
        "--http",
        &address,
    ];
    let (code, output, error) = run(&arguments);
    assert_eq!((code, output.as_str()), (1, ""), "{error}");
    assert!(error.contains(&address), "{error}");
    let begin = client.ask(&get("/file", &["Range: bytes=0-9"]));
    assert_bytes(&begin.body, &bytes[..10], "the body");
    drop(client);
    server.stop();
    assert!(!socket.exists(), "it is removed at the stop");
    // What is no socket stays.
    fs::write(&socket, b"precious").unwrap();
    let (code, _, error) = run(&arguments);
    assert_eq!(code, 1, "{error}");
    assert_eq!(fs::read(&socket).unwrap(), b"precious");
}

#[test]
fn a_unix_socket_lives_as_long_as_its_server() {
    let (root, bytes) = one_file(30);
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let is_socket =
        || fs::symlink_metadata(&socket).is_ok_and(|found| found.file_type().is_socket());
    for _ in 0..2 {
        let server = at_path(root.path(), &socket, &["--workers", "2"]);
        assert!(is_socket());
        let mut client = Client::new(UnixStream::connect(&socket).unwrap());
        assert_bytes(&client.ask(&get("/file", &[])).body, &bytes, "the body");
        // Killed, so that nobody removes it.
        drop(server);
        assert!(is_socket());
    }
}

#[test]
fn both_protocols_are_served_at_once() {
    let (root, bytes) = one_file(3000);
    let mut command = program::command("trainyard");
    command.arg("serve").arg(root.path()).args([
        "--train",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
        "--http",
        "[::1]:0",
        "--workers",
        "2",
    ]);
    let server = Server::from_command(command);
    assert_eq!(server.addresses.len(), 3);
    for address in &server.addresses[1..] {
        let stream = std::net::TcpStream::connect(address).unwrap();
        assert_bytes(
            &Client::new(stream).ask(&get("/file", &[])).body,
            &bytes,
            "the body",
        );
    }
    let answer = common::ask::ask(&mut server.connect(), b"file", &[]).unwrap();
    assert_bytes(&answer.data, &bytes, "the data");
    server.stop();
}

#[test]
fn the_first_index_file_that_is_there_is_sent() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    for folder in ["a", "b", "c", "c/home.htm"] {
        fs::create_dir(at(folder)).unwrap();
    }
    let first = old_file(&at("a/home.htm"), 1, 100);
    old_file(&at("a/index.txt"), 2, 100);
    let second = old_file(&at("b/index.txt"), 3, 100);
    let third = old_file(&at("c/index.txt"), 4, 100);
    old_file(&at("b/index.html"), 5, 100);
    let options = ["--index", "home.htm", "--index", "index.txt"];
    let server = server_with(root.path(), &options);
    let mut client = Client::connect(&server);
    for (target, expected, content_type) in [
        ("/a/", first, "text/html; charset=utf-8"),
        ("/b/", second, "text/plain; charset=utf-8"),
        ("/c/", third, "text/plain; charset=utf-8"),
    ] {
        let answer = client.get(target, &[]);
        assert_bytes(&answer.body, &expected, target);
        assert_eq!(answer.field("content-type"), Some(content_type));
    }
    server.stop();
}

#[test]
fn a_fallback_is_sent_for_what_is_not_there() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("errors")).unwrap();
    let page = old_file(&root.path().join("errors/app.html"), 1, 5000);
    let packed = old_file(&root.path().join("errors/app.html.gz"), 2, 800);
    let file = old_file(&root.path().join("file"), 3, 70);
    for (option, status) in [
        ("errors/app.html", 200),
        ("404:errors/app.html", 404),
        ("/errors/app.html", 200),
    ] {
        let server = server_with(root.path(), &["--fallback", option]);
        let mut client = Client::connect(&server);
        for target in ["/missing", "/some/route/", "/file/x", "/.hidden"] {
            let answer = client.get(target, &[]);
            assert_eq!(answer.status, status, "{option} {target}");
            assert_bytes(&answer.body, &page, format_args!("{option} {target}"));
            assert_eq!(
                answer.field("content-type"),
                Some("text/html; charset=utf-8")
            );
            let answer = client.get(target, &["Accept-Encoding: gzip"]);
            assert_bytes(&answer.body, &packed, format_args!("{option} {target}"));
            assert_eq!(answer.field("content-encoding"), Some("gzip"));
            let head = client.ask(&request("HEAD", target, &[]));
            assert_eq!(head.status, status);
            assert_eq!(head.field("content-length"), Some("5000"));
            // An error is one, whatever the client has.
            let known = client.get(target, &["If-None-Match: *"]);
            assert_eq!(known.status, if status == 200 { 304 } else { 404 });
            let part = client.get(target, &["Range: bytes=0-1"]);
            assert_eq!(part.status, if status == 200 { 206 } else { 404 });
        }
        assert_bytes(&client.get("/file", &[]).body, &file, "the body");
        assert_eq!(client.get("/a%2fb", &[]).status, 400);
        assert_ne!(
            client.get("/-/missing", &[]).body,
            page,
            "not for the server's own"
        );
        fs::rename(root.path().join("errors"), root.path().join("other")).unwrap();
        assert_eq!(
            client.get("/missing", &[]).status,
            404,
            "the fallback is not there either"
        );
        fs::rename(root.path().join("other"), root.path().join("errors")).unwrap();
        assert_bytes(&client.get("/missing", &[]).body, &page, "the body");
        server.stop();
    }
}

#[test]
fn added_headers_are_in_every_answer() {
    let (root, _) = one_file(300);
    let options = [
        "--header",
        "Cache-Control: max-age=60",
        "--header",
        "X-Empty:",
        "--header",
        "a:b",
    ];
    let server = server_with(root.path(), &options);
    for wire in [
        get("/file", &[]),
        get("/file", &["Range: bytes=0-1"]),
        get("/file", &["Range: bytes=0-1,5-6"]),
        get("/file", &["Range: bytes=1000-"]),
        get("/file", &["If-None-Match: *"]),
        request("OPTIONS", "/file", &[]),
        b"GET /file HTTP/1.1\r\nHost: x\r\nX : y\r\n\r\n".to_vec(),
    ] {
        let answer = once(&server, &wire);
        assert_eq!(answer.field("a"), Some("b"), "{}", answer.shown());
        assert_eq!(answer.field("x-empty"), Some(""));
        let all: Vec<_> = answer
            .fields
            .iter()
            .filter(|(name, _)| name == "Cache-Control")
            .collect();
        // An error must not be kept, and two of these would contradict each other.
        let is_error = answer.status >= 400;
        let expected = if is_error { "no-store" } else { "max-age=60" };
        assert!(
            matches!(all[..], [(_, value)] if value == expected),
            "{all:?}"
        );
    }
    server.stop();
}

#[test]
fn what_makes_no_sense_is_refused_at_the_start() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().to_str().unwrap();
    for (options, told) in [
        (
            &["--http", "none", "--train", "none"][..],
            "nothing to listen on",
        ),
        (&["--http", "nowhere"], "--http nowhere"),
        (&["--http", "unix:"], "--http unix:"),
        (&["--http", "1.2.3.4.5:80"], "--http 1.2.3.4.5:80"),
        (&["--train", "unix:/tmp/x"], "--train unix:/tmp/x"),
        (&["--index", "a/b"], "--index a/b"),
        (&["--index", ".."], "--index .."),
        (&["--index", ""], "--index"),
        (&["--fallback", "../x"], "--fallback ../x"),
        (&["--fallback", "404:"], "--fallback 404:"),
        (&["--header", "no colon"], "NAME: VALUE"),
        (&["--header", "a b: c"], "--header"),
        (&["--header", ": c"], "--header"),
        (&["--header", "a: b\r\nc: d"], "--header"),
        (&["--header", "a: b\nc"], "--header"),
        (
            &["--header", "Content-Length: 5"],
            "makes this header itself",
        ),
        (
            &["--header", "transfer-encoding: chunked"],
            "makes this header itself",
        ),
        (
            &["--header", "CONNECTION: close"],
            "makes this header itself",
        ),
        (&["--header", "ETag: x"], "makes this header itself"),
        (&["--header", "Date: x"], "makes this header itself"),
        (&["--pool", "none"], "--pool none"),
        (&["--no-such-option"], "--no-such-option"),
        (&["--http"], "--http"),
    ] {
        let arguments = [&["serve", root][..], options].concat();
        let (code, output, error) = run(&arguments);
        assert_eq!(code, 2, "{options:?}: {error}");
        assert_eq!(output, "", "{options:?}");
        assert!(error.contains(told), "{options:?}: {error}");
    }
    let long = format!("X: {}", "x".repeat(1500));
    let (code, _, error) = run(&["serve", root, "--header", &long, "--header", &long]);
    assert_eq!(code, 2, "{error}");
    let nowhere = format!("unix:{root}/missing/socket");
    let (code, _, error) = run(&["serve", root, "--train", "none", "--http", &nowhere]);
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("no such folder"), "{error}");
}
