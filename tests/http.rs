//! HTTP/1.1, byte by byte: requests in every form, answers in order and whole.

#[path = "http/access_log.rs"]
mod access_log;
use crate::common;
#[path = "http/conditions.rs"]
mod conditions;
#[path = "http/ends.rs"]
mod ends;
#[path = "http/framing.rs"]
mod framing;
#[path = "http/options.rs"]
mod options;
#[path = "http/paths.rs"]
mod paths;
#[path = "http/pipeline.rs"]
mod pipeline;
#[path = "http/ranges.rs"]
mod ranges;

use crate::common::assert_bytes;
use std::path::Path;

use common::http::{Client, get, old_file, once, request};
use common::server::Server;

/// A server that has two workers of few places each, enough for a test of single clients.
fn small_server(root: &Path) -> Server {
    server_with(root, &[])
}

/// The same with more options.
fn server_with(root: &Path, options: &[&str]) -> Server {
    let mut all = vec!["--workers", "2", "--per-worker", "32"];
    all.extend(options);
    Server::http(root, &all)
}

/// A folder with `file`, of these bytes.
fn one_file(size: usize) -> (tempfile::TempDir, Vec<u8>) {
    let root = tempfile::tempdir().unwrap();
    let bytes = old_file(&root.path().join("file"), 1, size);
    (root, bytes)
}

#[test]
fn get_head_and_options_are_answered() {
    let (root, bytes) = one_file(5000);
    let server = small_server(root.path());
    let mut client = Client::connect(&server);
    let got = client.get("/file", &[]);
    assert_eq!(got.status, 200);
    assert_eq!(got.field("content-type"), Some("application/octet-stream"));
    assert_eq!(got.field("x-content-type-options"), Some("nosniff"));
    assert_eq!(got.field("accept-ranges"), Some("bytes"));
    assert_eq!(
        got.field("last-modified"),
        Some("Sun, 09 Sep 2001 01:46:40 GMT")
    );
    assert_eq!(got.field("server"), None);
    assert_eq!(got.field("connection"), None);
    assert_bytes(&got.body, &bytes, "the body");
    let options = client.ask(&request("OPTIONS", "/file", &[]));
    assert_eq!(options.status, 204);
    assert_eq!(options.field("allow"), Some("GET, HEAD, OPTIONS"));
    let whole = client.ask(&request("OPTIONS", "*", &[]));
    assert_eq!(whole.status, 204);
    // Another second may show another date.
    let same = (0..5).any(|_| {
        let got = client.get("/file", &[]);
        let head = client.ask(&request("HEAD", "/file", &[]));
        assert!(head.body.is_empty());
        got.head == head.head
    });
    assert!(same, "HEAD has the head of GET");
    server.stop();
}

#[test]
fn a_head_request_has_the_head_of_every_answer() {
    let root = tempfile::tempdir().unwrap();
    old_file(&root.path().join("small.txt"), 2, 100);
    old_file(&root.path().join("large"), 3, 300_000);
    old_file(&root.path().join("small.txt.gz"), 4, 50);
    old_file(&root.path().join("empty"), 5, 0);
    std::fs::create_dir(root.path().join("folder")).unwrap();
    let server = server_with(root.path(), &["--no-listing", "--header", "X-Yard: a b"]);
    let mut client = Client::connect(&server);
    for (target, fields, status) in [
        ("/small.txt", &[][..], 200),
        ("/small.txt", &["Accept-Encoding: gzip"], 200),
        ("/large", &[], 200),
        ("/empty", &[], 200),
        ("/missing", &[], 404),
        ("/missing", &["Accept: text/html"], 404),
        ("/folder", &[], 301),
        ("/folder/", &[], 403),
        ("/-/health", &[], 200),
        ("/-/other", &[], 404),
        ("/large", &["If-None-Match: *"], 304),
        ("/large", &["If-Match: \"x\""], 412),
    ] {
        let same = (0..5).any(|_| {
            let got = client.get(target, fields);
            let head = client.ask(&request("HEAD", target, fields));
            assert_eq!(got.status, status, "{target} {fields:?}: {}", got.shown());
            assert_eq!(got.field("x-yard"), Some("a b"), "{}", got.shown());
            got.head == head.head
        });
        assert!(same, "{target} {fields:?}");
    }
    server.stop();
}

#[test]
fn other_methods_are_refused_and_the_connection_goes_on() {
    let (root, bytes) = one_file(10);
    let server = small_server(root.path());
    let mut client = Client::connect(&server);
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE"] {
        let answer = client.ask(&request(method, "/file", &["Content-Length: 0"]));
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.field("allow"), Some("GET, HEAD, OPTIONS"));
        let mut with_body = request(method, "/file", &["Content-Length: 30"]);
        with_body.extend(b"GET /missing HTTP/1.1\r\nHost: x");
        let answer = client.ask(&with_body);
        assert_eq!(answer.status, 405, "{method} with a body");
        assert!(answer.is_kept());
        assert_bytes(&client.get("/file", &[]).body, &bytes, method);
    }
    for method in ["BREW", "get", "Get", "PROPFIND", "G", "!#$%&'*+-.^_`|~0"] {
        let answer = client.ask(&request(method, "/file", &[]));
        assert_eq!(answer.status, 501, "{method}");
        assert_bytes(&client.get("/file", &[]).body, &bytes, method);
    }
    let answer = client.ask(&request("CONNECT", "yard:80", &[]));
    assert_eq!(answer.status, 405);
    assert!(!answer.is_kept(), "what follows could be a tunnel's bytes");
    client.assert_end();
    server.stop();
}

#[test]
fn the_connection_is_kept_as_the_version_and_the_fields_say() {
    let (root, bytes) = one_file(100);
    let server = small_server(root.path());
    for (version, fields, kept) in [
        ("1.1", "", true),
        ("1.1", "Connection: keep-alive\r\n", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: CLOSE\r\n", false),
        ("1.1", "Connection: keep-alive, close\r\n", false),
        ("1.1", "Connection: x\r\nConnection: close\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: keep-alive\r\n", true),
        ("1.0", "Connection: close\r\n", false),
        ("1.2", "", true),
    ] {
        let mut client = Client::connect(&server);
        let bytes_sent = format!("GET /file HTTP/{version}\r\nHost: x\r\n{fields}\r\n");
        let answer = client.ask(bytes_sent.as_bytes());
        assert_eq!(answer.status, 200);
        assert_bytes(&answer.body, &bytes, "the body");
        assert_eq!(answer.is_kept(), kept, "HTTP/{version} {fields:?}");
        let said = answer.field("connection");
        if version == "1.0" && kept {
            assert_eq!(said, Some("keep-alive"));
        }
        if kept {
            assert_bytes(&client.get("/file", &[]).body, &bytes, "the body");
        } else {
            client.assert_end();
        }
    }
    server.stop();
}

#[test]
fn a_request_without_a_host_is_as_good_as_its_version() {
    let (root, bytes) = one_file(100);
    let server = small_server(root.path());
    for (text, status) in [
        ("GET /file HTTP/1.1\r\n\r\n", 400),
        ("GET /file HTTP/1.0\r\n\r\n", 200),
        ("GET /file HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("GET /file HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET /file HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
        ("GET /file HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        ("GET /file HTTP/1.1\r\nHost: a@b\r\n\r\n", 400),
        ("GET /file HTTP/1.1\r\nHost:\r\n\r\n", 200),
        ("GET /file HTTP/1.1\r\nhOST: [::1]:8080\r\n\r\n", 200),
        ("GET http://a:1/file HTTP/1.1\r\nHost: b\r\n\r\n", 200),
        ("GET HTTPS://a/file?x HTTP/1.1\r\nHost: b\r\n\r\n", 200),
        ("GET http://a/file HTTP/1.1\r\n\r\n", 400),
        ("GET ftp://a/file HTTP/1.1\r\nHost: b\r\n\r\n", 400),
        ("GET http:///file HTTP/1.1\r\nHost: b\r\n\r\n", 400),
        ("GET file HTTP/1.1\r\nHost: b\r\n\r\n", 400),
        ("GET * HTTP/1.1\r\nHost: b\r\n\r\n", 400),
    ] {
        let answer = once(&server, text.as_bytes());
        assert_eq!(answer.status, status, "{text:?}");
        assert_eq!(answer.is_kept(), status == 200 && !text.contains("/1.0"));
        if status == 200 {
            assert_bytes(&answer.body, &bytes, format_args!("{text:?}"));
        }
    }
    server.stop();
}

#[test]
fn every_kind_of_file_has_its_type() {
    let root = tempfile::tempdir().unwrap();
    let server = small_server(root.path());
    let mut client = Client::connect(&server);
    for (name, expected) in [
        ("a.html", "text/html; charset=utf-8"),
        ("a.txt", "text/plain; charset=utf-8"),
        ("a.JPG", "image/jpeg"),
        ("a.mp4", "video/mp4"),
        ("a.tar.gz", "application/gzip"),
        ("noname", "application/octet-stream"),
    ] {
        let bytes = old_file(&root.path().join(name), 9, 77);
        let answer = client.get(&format!("/{name}"), &[]);
        assert_eq!(answer.field("content-type"), Some(expected), "{name}");
        assert_eq!(answer.field("content-encoding"), None, "{name}");
        assert_bytes(&answer.body, &bytes, name);
    }
    server.stop();
}

#[test]
fn an_error_is_a_page_for_browsers_and_two_lines_for_others() {
    let (root, _) = one_file(1);
    let server = small_server(root.path());
    let mut client = Client::connect(&server);
    let plain = client.get("/missing", &[]);
    assert_eq!(plain.status, 404);
    let plain_text = Some("text/plain; charset=utf-8");
    assert_eq!(plain.field("content-type"), plain_text);
    assert!(plain.body.starts_with(b"404 Not Found\n"));
    let page = client.get("/missing", &["Accept: text/html,*/*;q=0.8"]);
    assert_eq!(page.status, 404);
    let html = Some("text/html; charset=utf-8");
    assert_eq!(page.field("content-type"), html);
    assert!(page.body.starts_with(b"<!DOCTYPE html>"));
    assert!(page.body.ends_with(b"</html>\n") && page.body.len() < 4096);
    assert!(page.is_kept() && plain.is_kept());
    assert_eq!(plain.field("cache-control"), Some("no-store"));
    // What the client wrote is not shown back to it.
    let hostile = "/%3Cscript%3Ealert(1)%3C/script%3E";
    let page = client.get(hostile, &["Accept: text/html"]);
    assert!(!page.body.windows(6).any(|six| six == b"script"));
    server.stop();
}
