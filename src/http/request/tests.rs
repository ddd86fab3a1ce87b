use super::*;

/// The head of a request with these field lines besides `Host`.
fn head(line: &str, fields: &str) -> Vec<u8> {
    let fields = fields.replace('\n', "\r\n");
    format!("{line}\r\nHost: board\r\n{fields}\r\n").into_bytes()
}

#[track_caller]
fn whole(bytes: &[u8]) -> Request<'_> {
    parse(bytes).expect("valid").expect("whole")
}

fn status_of(bytes: &[u8]) -> Option<u16> {
    parse(bytes).err().map(|refusal| refusal.status.0)
}

#[track_caller]
fn refused(bytes: &[u8], status: u16) {
    assert_eq!(status_of(bytes), Some(status), "{}", bytes.escape_ascii());
}

#[test]
fn a_request_is_taken_apart() {
    let bytes = head(
        "GET /a%20b?c=d?e HTTP/1.1",
        "Accept: a\nX: y\nACCEPT:\t b \n",
    );
    let request = whole(&bytes);
    assert_eq!(request.method, Method::Get);
    assert_eq!(request.target, b"/a%20b?c=d?e");
    assert_eq!(request.path, b"/a%20b");
    assert_eq!(request.query, Some(&b"c=d?e"[..]));
    assert!(request.keep_alive && !request.is_http10);
    assert_eq!(request.size, bytes.len());
    let values: Vec<&[u8]> = request.values(Field::Accept).collect();
    assert_eq!(values, [b"a", b"b"]);
    assert_eq!(request.value(Field::Accept), None, "there are two");
    assert_eq!(request.value(Field::Host), Some(&b"board"[..]));
    assert_eq!(request.value(Field::Range), None);
}

#[test]
fn a_request_is_whole_only_at_its_last_byte() {
    let bytes = [b"\r\n\r\n", &head("GET / HTTP/1.1", "A: b\n")[..]].concat();
    for end in 0..bytes.len() {
        assert_eq!(parse(&bytes[..end]), Ok(None), "at {end}");
    }
    let request = whole(&bytes);
    let followed = [&bytes[..], b"GET /next"].concat();
    assert_eq!(whole(&followed), request);
    assert_eq!(request.size, bytes.len());
}

#[test]
fn a_method_is_known_or_not() {
    for (name, method) in [
        ("GET", Method::Get),
        ("HEAD", Method::Head),
        ("OPTIONS", Method::Options),
        ("POST", Method::Known),
        ("TRACE", Method::Known),
        ("get", Method::Unknown),
        ("PROPFIND", Method::Unknown),
    ] {
        let bytes = head(&format!("{name} / HTTP/1.1"), "");
        assert_eq!(whole(&bytes).method, method, "{name}");
    }
    refused(&[b'A'; 33], 501);
    assert_eq!(parse(&[b'A'; 32]), Ok(None));
}

#[test]
fn a_target_has_four_forms() {
    for (line, path, query) in [
        ("GET /", "/", None),
        ("GET //a//b", "//a//b", None),
        ("GET /?", "/", Some("")),
        ("GET /a:b@c", "/a:b@c", None),
        ("GET http://board/a?b", "/a", Some("b")),
        ("GET HTTP://board:80", "/", None),
        ("GET https://[::1]:8080?b", "/", Some("b")),
        ("OPTIONS *", "*", None),
        ("OPTIONS http://board", "*", None),
        ("OPTIONS http://board/", "/", None),
        ("CONNECT board:443", "board:443", None),
    ] {
        let bytes = head(&format!("{line} HTTP/1.1"), "");
        let request = whole(&bytes);
        assert_eq!(request.path, path.as_bytes(), "{line}");
        assert_eq!(request.query, query.map(str::as_bytes), "{line}");
        assert_eq!(request.keep_alive, !line.starts_with("CONNECT"), "{line}");
    }
    for target in [
        "*",
        "a",
        "board:80",
        "ftp://board/",
        "http:///a",
        "http://",
        "http://a@board/",
        "/a#b",
        "http:/a",
        "?a",
        "http://board:x/",
    ] {
        refused(&head(&format!("GET {target} HTTP/1.1"), ""), 400);
    }
    let bytes = head("GET /\u{e9} HTTP/1.1", "");
    assert_eq!(whole(&bytes).path, "/\u{e9}".as_bytes());
}

#[test]
fn a_request_line_has_two_single_spaces() {
    for line in [
        " GET / HTTP/1.1",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET\t/ HTTP/1.1",
        "GET /\tHTTP/1.1",
        "GET / b HTTP/1.1",
        "GET HTTP/1.1",
        "GET /",
        "G(T / HTTP/1.1",
        "GET / http/1.1",
        "GET / HTTP/1",
        "GET / HTTP/11",
        "GET / HTTP/1.10",
        "GET / HTTP/1.1\r",
        "GET /\u{b} HTTP/1.1",
        "GET /\u{7f} HTTP/1.1",
        "GET /\0 HTTP/1.1",
    ] {
        refused(&head(line, ""), 400);
    }
    refused(b"\n", 400);
    refused(b"\rG", 400);
    refused(&b"\r\n".repeat(5), 400);
    assert_eq!(parse(&b"\r\n".repeat(4)), Ok(None));
}

#[test]
fn only_the_first_major_version_is_spoken() {
    let bytes = head("GET / HTTP/1.0", "");
    assert!(whole(&bytes).is_http10);
    let bytes = head("GET / HTTP/1.9", "");
    assert!(!whole(&bytes).is_http10);
    refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
    refused(&head("GET / HTTP/0.9", ""), 505);
}

#[test]
fn the_connection_field_decides_with_the_version() {
    for (version, fields, keep_alive) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\n", false),
        ("1.1", "Connection: keep-alive\n", true),
        ("1.1", "Connection: upgrade, Close\n", false),
        ("1.1", "Connection: keep-alive\nConnection: close\n", false),
        ("1.1", "Connection: closed\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\n", true),
        ("1.0", "Connection: keep-alive, close\n", false),
    ] {
        let bytes = head(&format!("GET / HTTP/{version}"), fields);
        assert_eq!(whole(&bytes).keep_alive, keep_alive, "{version} {fields}");
    }
}

#[test]
fn a_host_is_there_once_and_valid() {
    refused(b"GET / HTTP/1.1\r\n\r\n", 400);
    assert!(whole(b"GET / HTTP/1.0\r\n\r\n").is_http10);
    refused(&head("GET / HTTP/1.1", "Host: board\n"), 400);
    refused(&head("GET / HTTP/1.0", "host: board\n"), 400);
    for (host, is_valid) in [
        ("", true),
        ("a", true),
        ("a.b-c_d:8080", true),
        ("a:", true),
        ("192.168.0.1", true),
        ("[fe80::1]:80", true),
        ("a%2db", true),
        ("a%2", false),
        (":80", false),
        ("a:b", false),
        ("a:80:80", false),
        ("a b", false),
        ("a/b", false),
        ("a@b", false),
        ("[::1", false),
        ("[]", false),
        ("[::1]a", false),
        ("[::g]", false),
        ("\u{e9}", false),
    ] {
        let bytes = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(parse(bytes.as_bytes()).is_ok(), is_valid, "{host}");
    }
}

#[test]
fn a_field_line_has_one_reading() {
    for field in [
        "A : b\n",
        " A: b\n",
        "A: b\n c\n",
        "A: b\n\tc\n",
        "A\n",
        ": b\n",
        "A\u{e9}: b\n",
    ] {
        refused(&head("GET / HTTP/1.1", field), 400);
    }
    for bytes in [
        &b"GET / HTTP/1.1\nHost: a\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\nHost: a\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\n",
        b"GET / HTTP/1.1\r\nHost: a\n\n",
        b"GET / HTTP/1.1\r\nHost: a\nB: c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nB:\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nB: c\rD: e\r\n\r\n",
        b"GET / HTTP/1.0\r\n\n",
        b"GET / HTTP/1.0\n\r\n",
    ] {
        refused(bytes, 400);
    }
}

/// httparse looks at many bytes at once, so each is tried at several places of a long run.
#[test]
fn no_field_holds_a_control_byte() {
    for byte in 0..=u8::MAX {
        for place in [0, 7, 15, 31, 47] {
            let mut run = [b'x'; 48];
            run[place] = byte;
            let value = [b"GET / HTTP/1.0\r\nA: x", &run[..], b"x\r\n\r\n"].concat();
            let is_valid = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
            assert_eq!(parse(&value).is_ok(), is_valid, "{byte:#x} at {place}");
            let name = [b"GET / HTTP/1.0\r\nA", &run[..], b"x: y\r\n\r\n"].concat();
            let is_valid = crate::http::list::is_token_byte(byte) || byte == b':';
            assert_eq!(parse(&name).is_ok(), is_valid, "{byte:#x} at {place}");
        }
    }
}

#[test]
fn what_is_too_long_is_named() {
    let target = |size: usize| head(&format!("GET /{} HTTP/1.1", "x".repeat(size - 1)), "");
    assert!(parse(&target(4096)).unwrap().is_some());
    refused(&target(4097), 414);
    refused(&target(4097)[..4 + 4097], 414);
    assert_eq!(parse(&target(4097)[..4 + 4096]), Ok(None));

    let fields = |count: usize| head("GET / HTTP/1.1", &"A: b\n".repeat(count - 1));
    assert!(parse(&fields(64)).unwrap().is_some());
    refused(&fields(65), 431);

    let of_size = |size: usize| {
        let value = "x".repeat(size - head("GET / HTTP/1.1", "A: \n").len());
        head("GET / HTTP/1.1", &format!("A: {value}\n"))
    };
    assert_eq!(whole(&of_size(8192)).size, 8192);
    assert_eq!(parse(&of_size(8192)[..8191]), Ok(None));
    refused(&of_size(8193)[..8192], 431);
    refused(&of_size(8193), 431);
}

#[test]
fn a_refusal_knows_who_asked() {
    let html = "Accept: text/html,*/*;q=0.8\n";
    let of = |bytes: &[u8]| {
        let refusal = parse(bytes).unwrap_err();
        (refusal.is_head, refusal.accepts_html)
    };
    let bad = "Content-Length: x\n";
    assert_eq!(of(&head("HEAD / HTTP/1.1", bad)), (true, false));
    assert_eq!(
        of(&head("GET / HTTP/1.1", &[html, bad].concat())),
        (false, true)
    );
    assert_eq!(of(b"\r\nHEAD  / HTTP/1.1\r\n"), (true, false));
}

#[test]
fn a_body_that_fits_is_skipped() {
    for (fields, body) in [
        ("Content-Length: 0\n", ""),
        ("Content-Length: 5\n", "GET /"),
        ("content-length: 0005\n", "GET /"),
        ("Transfer-Encoding: Chunked\n", "5\r\nGET /\r\n0\r\n\r\n"),
        (
            "Transfer-Encoding: chunked\n",
            "1;a=\"b\"\r\nx\r\n000A\r\n0123456789\r\n0\r\n\r\n",
        ),
        ("Transfer-Encoding: chunked\n", "0\r\nTrailer: x\r\n\r\n"),
        ("Content-Length: 5\nExpect: 100-continue\n", "GET /"),
    ] {
        let head = head("POST / HTTP/1.1", fields);
        let bytes = [&head[..], body.as_bytes()].concat();
        if !fields.contains("Expect") {
            for end in head.len()..bytes.len() {
                assert_eq!(parse(&bytes[..end]), Ok(None), "{fields} at {end}");
            }
        }
        let followed = [&bytes[..], b"GET / HTTP/1.1\r\n"].concat();
        let request = whole(&followed);
        assert_eq!(
            (request.size, request.keep_alive),
            (bytes.len(), true),
            "{fields}"
        );
    }
}

#[test]
fn a_body_that_is_not_waited_for_ends_the_connection() {
    for fields in [
        "Content-Length: 8192\n",
        "Content-Length: 18446744073709551615\n",
        "Content-Length: 5\nExpect: 100-continue\n",
        "Transfer-Encoding: chunked\nExpect: 100-Continue\n",
    ] {
        for begun in ["", "5\r\n"] {
            let bytes = [&head("POST / HTTP/1.1", fields)[..], begun.as_bytes()].concat();
            let request = whole(&bytes);
            assert_eq!(
                (request.size, request.keep_alive),
                (bytes.len(), false),
                "{fields}"
            );
        }
    }
    let head = head("POST / HTTP/1.1", "Transfer-Encoding: chunked\n");
    let large = [&head[..], b"ffffffffffffffff\r\n"].concat();
    assert!(!whole(&large).keep_alive);
    let mut endless = head;
    endless.extend(b"1\r\nx\r\n".repeat(2000));
    assert_eq!(parse(&endless[..8100]), Ok(None));
    let request = whole(&endless[..8192]);
    assert_eq!((request.size, request.keep_alive), (8192, false));
    let old = "POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    assert_eq!(parse(old.as_bytes()), Ok(None), "1.0 knows no 100 Continue");
}

#[test]
fn a_body_that_just_fits_is_waited_for() {
    let sized = |size: usize| head("POST / HTTP/1.1", &format!("Content-Length: {size}\n"));
    let most = 8192 - sized(8000).len();
    let mut bytes = sized(most);
    assert_eq!(parse(&bytes), Ok(None));
    assert!(!whole(&sized(most + 1)).keep_alive, "one more does not fit");
    bytes.resize(8192, b'x');
    let request = whole(&bytes);
    assert_eq!((request.size, request.keep_alive), (8192, true));

    let chunked = |size: usize| {
        let mut bytes = head("POST / HTTP/1.1", "Transfer-Encoding: chunked\n");
        bytes.extend(format!("{size:x}\r\n").bytes());
        bytes
    };
    let most = 8192 - chunked(8000).len() - b"\r\n0\r\n\r\n".len();
    let mut bytes = chunked(most);
    assert_eq!(parse(&bytes), Ok(None));
    assert!(
        !whole(&chunked(most + 1)).keep_alive,
        "one more does not fit"
    );
    bytes.resize(8192 - 7, b'x');
    bytes.extend(b"\r\n0\r\n\r\n");
    let request = whole(&bytes);
    assert_eq!((request.size, request.keep_alive), (8192, true));
}

#[test]
fn a_body_has_one_length() {
    for (fields, status) in [
        ("Content-Length: 5\nTransfer-Encoding: chunked\n", 400),
        ("Transfer-Encoding: chunked\nContent-Length: 5\n", 400),
        ("Content-Length: 5\nContent-Length: 6\n", 400),
        ("Content-Length: 5\nContent-Length: 5\n", 400),
        ("Content-Length: 5, 5\n", 400),
        ("Content-Length: +5\n", 400),
        ("Content-Length: -5\n", 400),
        ("Content-Length: 0x5\n", 400),
        ("Content-Length: 5 5\n", 400),
        ("Content-Length:\n", 400),
        ("Content-Length: 18446744073709551616\n", 400),
        (
            "Transfer-Encoding: chunked\nTransfer-Encoding: chunked\n",
            400,
        ),
        ("Transfer-Encoding: chunked, chunked\n", 400),
        ("Transfer-Encoding: , chunked\n", 400),
        ("Transfer-Encoding: \"chunked\"\n", 400),
        ("Transfer-Encoding: chunked;q=1\n", 400),
        ("Transfer-Encoding:\n", 400),
        ("Transfer-Encoding: xchunked\n", 501),
        ("Transfer-Encoding: gzip, chunked\n", 501),
        ("Transfer-Encoding: identity\n", 501),
        ("Expect: 200-ok\n", 417),
    ] {
        refused(&head("POST / HTTP/1.1", fields), status);
    }
    refused(
        &head("POST / HTTP/1.0", "Transfer-Encoding: chunked\n"),
        400,
    );
}

#[test]
fn a_chunk_has_one_size() {
    for body in [
        "\r\n",
        "x\r\n",
        " 1\r\nx\r\n",
        "1 \r\nx\r\n",
        "+1\r\nx\r\n",
        "0x1\r\nx\r\n",
        "1\nx\r\n",
        "1\rx\r\n",
        "1;\n\r\nx",
        "1;a\rb\r\n",
        "1\r\nxx",
        "1\r\nx\n",
        "1\r\nx\rx",
        "11111111111111111\r\n",
        "0\r\n\n",
        "0\r\nA : b\r\n\r\n",
        "0\r\nA: b\n\r\n",
        "-1\r\nx\r\n",
    ] {
        let head = head("POST / HTTP/1.1", "Transfer-Encoding: chunked\n");
        refused(&[&head[..], body.as_bytes()].concat(), 400);
    }
}
