//! Requests that follow one another on a connection, and those that no server may take.

use proptest::prelude::*;
use trainyard::http::{Request, parse};

/// A request that is valid, with a body or without, and what it asks for.
fn request() -> impl Strategy<Value = (String, Vec<u8>)> {
    let target = r"/[a-zA-Z0-9%/._~-]{0,20}(\?[a-z=&]{0,8})?";
    let fields = prop::collection::vec(("X-[A-Za-z-]{1,12}", "[ -~]{0,30}"), 0..8);
    let body = prop::collection::vec(any::<u8>(), 0..60);
    let kind = prop::sample::select(vec!["none", "sized", "chunked"]);
    let empty_lines = 0..=4_usize;
    (target, fields, body, kind, empty_lines).prop_map(
        |(target, fields, body, kind, empty_lines)| {
            let mut bytes = "\r\n".repeat(empty_lines).into_bytes();
            bytes.extend(format!("GET {target} HTTP/1.1\r\nHost: board\r\n").bytes());
            for (name, value) in fields {
                bytes.extend(format!("{name}: {value}\r\n").bytes());
            }
            match kind {
                "sized" => {
                    bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
                    bytes.extend(&body);
                }
                "chunked" => {
                    bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
                    for chunk in body.chunks(17) {
                        bytes.extend(format!("{:X};a=b\r\n", chunk.len()).bytes());
                        bytes.extend(chunk);
                        bytes.extend(b"\r\n");
                    }
                    bytes.extend(b"0\r\nX-Trailer: a\r\n\r\n");
                }
                _ => bytes.extend(b"\r\n"),
            }
            (target, bytes)
        },
    )
}

/// Whatever is in the way of one reading of a request.
const SMUGGLED: [&str; 24] = [
    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    "Content-Length: 5\r\nContent-Length: 5\r\n",
    "Content-Length: 5\r\nContent-Length: 0\r\n",
    "Content-Length: 5, 5\r\n",
    "Content-Length: +5\r\n",
    "Content-Length: 5a\r\n",
    "Content-Length: 99999999999999999999\r\n",
    "Content-Length : 5\r\n",
    "Content-Length: 5\r\n 6\r\n",
    "Content-Length\r\n: 5\r\n",
    "Content-Length: 5\nX: y\r\n",
    "Content-Length: 5\rX: y\r\n",
    "Content-Length: \u{0}5\r\n",
    "Transfer-Encoding: chunked, chunked\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    "Transfer-Encoding: xchunked\r\n",
    "Transfer-Encoding: \u{b}chunked\r\n",
    "Transfer-Encoding : chunked\r\n",
    "Transfer-Encoding:\r\n chunked\r\n",
    "Transfer-Encoding: chunked, gzip\r\n",
    "Host: other\r\n",
    "\r\u{0}\r\n",
];

#[track_caller]
fn first(bytes: &[u8]) -> Request<'_> {
    parse(bytes).expect("valid").expect("whole")
}

proptest! {
    /// However the bytes of several requests arrive, they are cut at the same places.
    #[test]
    fn requests_are_cut_where_they_end(requests in prop::collection::vec(request(), 1..5)) {
        let bytes: Vec<u8> = requests.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
        prop_assume!(bytes.len() < 8192);
        let mut rest = &bytes[..];
        for (target, request) in &requests {
            let read = first(rest);
            prop_assert_eq!(read.target, target.as_bytes());
            prop_assert_eq!(read.size, request.len());
            prop_assert!(read.keep_alive);
            prop_assert_eq!(&first(request), &read, "alone it is the same");
            rest = &rest[read.size..];
        }
        prop_assert_eq!(parse(rest), Ok(None));
    }

    #[test]
    fn a_request_is_whole_at_its_last_byte_only((_, bytes) in request()) {
        for end in 0..bytes.len() {
            prop_assert_eq!(parse(&bytes[..end]), Ok(None), "at {}", end);
        }
        prop_assert_eq!(first(&bytes).size, bytes.len());
    }

    /// Also among other fields, and whatever follows: not one of them becomes a request.
    #[test]
    fn what_has_two_readings_is_refused(
        smuggled in prop::sample::select(&SMUGGLED[..]),
        before in prop::collection::vec("X-[A-Za-z]{1,9}: [ -~]{0,20}\r\n", 0..4),
        after in prop::collection::vec("X-[A-Za-z]{1,9}: [ -~]{0,20}\r\n", 0..4),
        body in "(0\r\n\r\n|GET / HTTP/1.1\r\n)?",
    ) {
        let (before, after) = (before.concat(), after.concat());
        let head = format!("GET / HTTP/1.1\r\nHost: board\r\n{before}{smuggled}{after}\r\n{body}");
        let refusal = parse(head.as_bytes()).expect_err("two readings");
        prop_assert!(matches!(refusal.status.0, 400 | 501));
    }

    /// No single byte in place of a line's end or a blank makes another request of it.
    #[test]
    fn a_line_ends_in_one_way(byte in any::<u8>(), place in 0..8_usize) {
        let bytes = b"GET / HTTP/1.1\r\nHost: board\r\nConnection: close\r\n\r\n";
        let breaks = [3, 5, 14, 15, 27, 28, bytes.len() - 2, bytes.len() - 1];
        let mut changed = bytes.to_vec();
        prop_assume!(byte != changed[breaks[place]]);
        changed[breaks[place]] = byte;
        let read = parse(&changed);
        prop_assert!(!matches!(read, Ok(Some(_))), "{:?}", read);
    }
}
