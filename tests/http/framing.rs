//! Where a request ends: heads in pieces, bodies, and what could be read in two ways.

use crate::common::assert_bytes;
use std::io::Write;

use super::*;

/// What would be seen if a body, or a part of one, were taken for a request.
const INNER: &str = "GET /secret HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn a_head_may_come_in_any_two_pieces() {
    let (root, bytes) = one_file(300);
    let server = small_server(root.path());
    let wire = get("/file?a=b", &["Range: bytes=5-", "Accept-Encoding: gzip"]);
    let mut client = Client::connect(&server);
    client.stream.set_nodelay(true).unwrap();
    for at in 1..wire.len() {
        client.send(&wire[..at]);
        std::thread::sleep(std::time::Duration::from_millis(1));
        client.send(&wire[at..]);
        let answer = client.answer(false);
        assert_eq!(answer.status, 206, "cut at {at}");
        assert_bytes(&answer.body, &bytes[5..], format_args!("cut at {at}"));
    }
    // Byte by byte, and the next request begins within the piece that ends this one.
    for byte in &wire {
        client.send(&[*byte]);
    }
    assert_bytes(&client.answer(false).body, &bytes[5..], "the body");
    let (begin, end) = wire.split_at(10);
    client.send(&[&wire, begin].concat());
    assert_bytes(&client.answer(false).body, &bytes[5..], "the body");
    client.send(&[end, &wire, begin].concat());
    for _ in 0..2 {
        assert_bytes(&client.answer(false).body, &bytes[5..], "the body");
    }
    client.send(end);
    assert_bytes(&client.answer(false).body, &bytes[5..], "the body");
    server.stop();
}

#[test]
fn empty_lines_before_a_request_are_passed_over() {
    let (root, bytes) = one_file(30);
    let server = small_server(root.path());
    let mut client = Client::connect(&server);
    for _ in 0..3 {
        let wire = [&b"\r\n"[..], &get("/file", &[]), b"\r\n"].concat();
        assert_bytes(&client.ask(&wire).body, &bytes, "the body");
    }
    client.send(b"\r\n\r\n\r\n\r\n\r\n\r\n");
    assert_eq!(client.answer(false).status, 400);
    server.stop();
}

#[test]
fn a_body_is_never_taken_for_the_next_request() {
    let (root, bytes) = one_file(300);
    old_file(&root.path().join("secret"), 7, 40);
    let server = small_server(root.path());
    let sized = |size: usize| format!("Content-Length: {size}\r\n\r\n");
    let large = INNER.repeat(6000 / INNER.len());
    let chunked = "Transfer-Encoding: chunked\r\n\r\n";
    let size = INNER.len();
    for (what, rest) in [
        ("sized", sized(size) + INNER),
        ("nothing", sized(0)),
        ("large", sized(large.len()) + &large),
        (
            "chunked",
            format!("{chunked}{size:x}\r\n{INNER}\r\n0\r\n\r\n"),
        ),
        (
            "chunks, with extension and trailer",
            format!("{chunked}5;a=b\r\nGET /\r\n{size:X}\r\n{INNER}\r\n000\r\nGET: x\r\n\r\n"),
        ),
        (
            "CHUNKED",
            format!("transfer-encoding: CHUNKED\r\n\r\n{size:x}\r\n{INNER}\r\n0\r\n\r\n"),
        ),
    ] {
        let wire = format!("GET /file HTTP/1.1\r\nHost: x\r\n{rest}");
        for method in ["GET", "HEAD", "POST", "OPTIONS"] {
            let wire = wire.replacen("GET", method, 1);
            let mut client = Client::connect(&server);
            client.stream.set_nodelay(true).unwrap();
            let answer = client.ask(wire.as_bytes());
            let status = [("POST", 405), ("OPTIONS", 204)];
            let status = status.iter().find(|(other, _)| *other == method);
            assert_eq!(answer.status, status.map_or(200, |(_, status)| *status));
            assert!(answer.is_kept(), "{what}");
            assert_bytes(
                &client.get("/file", &[]).body,
                &bytes,
                format_args!("{what} {method}"),
            );
            // In two pieces, the body with the next request.
            let (head, body) = wire.split_at(wire.find("\r\n\r\n").unwrap() + 4);
            client.send(head.as_bytes());
            std::thread::sleep(std::time::Duration::from_millis(2));
            client.send(&[body.as_bytes(), &get("/file", &["Range: bytes=1-1"])].concat());
            let first = client.answer(method == "HEAD");
            assert_eq!(first.status, answer.status, "{what}");
            assert_eq!(client.answer(false).body, [bytes[1]], "{what} {method}");
        }
    }
    server.stop();
}

#[test]
fn a_body_that_is_not_waited_for_ends_the_connection() {
    let (root, bytes) = one_file(300);
    let server = small_server(root.path());
    let long = INNER.repeat(20_000 / INNER.len());
    let size = long.len();
    for (what, rest) in [
        ("sized", format!("Content-Length: {size}\r\n\r\n{long}")),
        (
            "chunked",
            format!("Transfer-Encoding: chunked\r\n\r\n{size:x}\r\n{long}\r\n0\r\n\r\n"),
        ),
        (
            "far too long",
            format!("Content-Length: 18446744073709551615\r\n\r\n{INNER}"),
        ),
        (
            "expected",
            format!(
                "Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
                INNER.len()
            ),
        ),
    ] {
        let mut client = Client::connect(&server);
        let answer = client.ask(format!("GET /file HTTP/1.1\r\nHost: x\r\n{rest}").as_bytes());
        assert_eq!(answer.status, 200, "{what}");
        assert_bytes(&answer.body, &bytes, what);
        assert!(!answer.is_kept(), "{what}");
        if what == "expected" {
            client.send(INNER.as_bytes());
        }
        client.assert_end();
    }
    let wire = get("/file", &["Expect: 200-ok", "Content-Length: 3"]);
    assert_eq!(once(&server, &wire).status, 417);
    server.stop();
}

const HOST: &str = "Host: x\r\n";
const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

/// Heads that could be read in two ways.
fn heads() -> Vec<String> {
    vec![
        format!("GET /file HTTP/1.1\n{HOST}\r\n"),
        format!("GET /file HTTP/1.1\r\n{HOST}X: a\n\r\n"),
        format!("GET /file HTTP/1.1\r\n{HOST}\n"),
        format!("GET /file HTTP/1.1\r\nHost: x\r\r\n\r\n"),
        format!("GET /file HTTP/1.1\r\n{HOST}X: a\rb\r\n\r\n"),
        format!("GET /file HTTP/1.1\r\n{HOST}X : a\r\n\r\n"),
        format!("GET /file HTTP/1.1\r\n{HOST} X: a\r\n\r\n"),
        format!("GET /file HTTP/1.1\r\n{HOST}X: a\r\n b\r\n\r\n"),
        format!("GET /file HTTP/1.1\r\n{HOST}X: a\r\n\tb\r\n\r\n"),
        format!("GET /file HTTP/1.1\r\n{HOST}X: a\0b\r\n\r\n"),
        format!("GET /file HTTP/1.1\r\n{HOST}X\0: a\r\n\r\n"),
        format!("GET /file HTTP/1.1\r\n{HOST}X\r\n\r\n"),
        format!("GET /file HTTP/1.1\r\n{HOST}: a\r\n\r\n"),
        format!("GET /file HTTP/1.1\r\n{HOST}X@: a\r\n\r\n"),
        format!("GET /file\0 HTTP/1.1\r\n{HOST}\r\n"),
        format!("GET  /file HTTP/1.1\r\n{HOST}\r\n"),
        format!("GET /file  HTTP/1.1\r\n{HOST}\r\n"),
        format!("GET\t/file HTTP/1.1\r\n{HOST}\r\n"),
        format!("GET /file\tHTTP/1.1\r\n{HOST}\r\n"),
        format!("GET /a b HTTP/1.1\r\n{HOST}\r\n"),
        format!("GET /file HTTP/1.1 \r\n{HOST}\r\n"),
        format!(" GET /file HTTP/1.1\r\n{HOST}\r\n"),
        format!("GET /file http/1.1\r\n{HOST}\r\n"),
        format!("GET /file HTTP/1\r\n{HOST}\r\n"),
        format!("GET /file HTTP/1.11\r\n{HOST}\r\n"),
        format!("GET /file#a HTTP/1.1\r\n{HOST}\r\n"),
        "GET /file\r\n".to_string(),
        "GET / HTTP/1.1\r\n\r\nHost: x\r\n\r\n".to_string(),
        "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03".to_string(),
    ]
}

/// Requests whose bodies could be read in two ways.
fn bodies() -> Vec<String> {
    let mut all = Vec::new();
    for fields in [
        format!("Content-Length: 5\r\n{CHUNKED}"),
        format!("{CHUNKED}Content-Length: 5\r\n"),
        "Content-Length: 5\r\nContent-Length: 5\r\n".into(),
        "Content-Length: 5\r\nContent-Length: 6\r\n".into(),
        "Content-Length: 5, 5\r\n".into(),
        "Content-Length: +5\r\n".into(),
        "Content-Length: -5\r\n".into(),
        "Content-Length: 0x5\r\n".into(),
        "Content-Length: 5 5\r\n".into(),
        "Content-Length: \r\n".into(),
        "Content-Length: 18446744073709551616\r\n".into(),
        format!("{CHUNKED}{CHUNKED}"),
        "Transfer-Encoding: chunked, chunked\r\n".into(),
        "Transfer-Encoding: \"chunked\"\r\n".into(),
        "Transfer-Encoding:\r\n".into(),
        "Transfer-Encoding: \u{b}chunked\r\n".into(),
    ] {
        all.push(format!("POST /file HTTP/1.1\r\n{HOST}{fields}\r\n"));
    }
    all.push(format!("GET /file HTTP/1.0\r\n{CHUNKED}\r\n0\r\n\r\n"));
    for chunks in [
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhelloo\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "g\r\n",
        "00000000000000005\r\nhello\r\n0\r\n\r\n",
        "0\r\nX: a\n\r\n",
        "0\r\nX : a\r\n\r\n",
        "0\r\n X: a\r\n\r\n",
    ] {
        all.push(format!(
            "POST /file HTTP/1.1\r\n{HOST}{CHUNKED}\r\n{chunks}"
        ));
    }
    all
}

/// Each of these is refused, the connection ends, and what follows is not read as a request.
#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let (root, _) = one_file(300);
    old_file(&root.path().join("secret"), 7, 40);
    let server = small_server(root.path());
    for text in heads().into_iter().chain(bodies()) {
        let wire: Vec<u8> = text.chars().map(|letter| letter as u8).collect();
        let mut client = Client::connect(&server);
        let answer = client.ask(&[&wire, INNER.as_bytes()].concat());
        assert_eq!(answer.status, 400, "{text:?}");
        assert!(!answer.is_kept(), "{text:?}");
        client.assert_end();
    }
    server.stop();
}

#[test]
fn what_this_server_does_not_know_is_told_apart() {
    let (root, _) = one_file(300);
    let server = small_server(root.path());
    for (line, fields, status) in [
        ("GET /file HTTP/2.0", "", 505),
        ("GET /file HTTP/0.9", "", 505),
        ("GET /file HTTP/3.1", "", 505),
        (
            "POST /file HTTP/1.1",
            "Transfer-Encoding: gzip, chunked\r\n",
            501,
        ),
        ("POST /file HTTP/1.1", "Transfer-Encoding: gzip\r\n", 501),
    ] {
        let mut client = Client::connect(&server);
        let wire = format!("{line}\r\nHost: x\r\n{fields}\r\n{INNER}");
        let answer = client.ask(wire.as_bytes());
        assert_eq!(answer.status, status, "{line} {fields}");
        assert!(!answer.is_kept());
        client.assert_end();
    }
    server.stop();
}

/// Those before the refused request are answered, and the refusal comes after them.
#[test]
fn a_refusal_comes_in_its_turn() {
    let (root, bytes) = one_file(40_000);
    let server = small_server(root.path());
    let mut client = Client::connect(&server);
    let wire = [
        &get("/file", &[])[..],
        &get("/missing", &[]),
        b"nonsense\r\n\r\n",
    ]
    .concat();
    client.stream.write_all(&wire).unwrap();
    assert_bytes(&client.answer(false).body, &bytes, "the body");
    assert_eq!(client.answer(false).status, 404);
    assert_eq!(client.answer(false).status, 400);
    client.assert_end();
    server.stop();
}
