//! Requests: read at once or byte by byte, they are the same, and each ends where a plain reading
//! of its head says.

use trainyard::http::{Field, HEAD_BYTES_MAX, Method, Request, Status, parse};

/// The bytes are what came over a connection.
pub(crate) fn check(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
    let whole = parse(bytes).map_err(|refusal| refusal.status);
    if let Ok(Some(request)) = &whole {
        plausible(request, bytes);
        if request.keep_alive {
            as_read_plainly(request, bytes);
        }
    }
    // All prefixes of a short one, and some of a long one.
    for end in (0..bytes.len()).step_by(1 + bytes.len() / 500) {
        prefix(&bytes[..end], &whole);
    }
}

/// What a prefix says is said of the whole, unless it was not waited for the rest of the body.
fn prefix(bytes: &[u8], whole: &Result<Option<Request<'_>>, Status>) {
    match parse(bytes) {
        Ok(None) => {}
        Ok(Some(request)) if !request.keep_alive && request.size == bytes.len() => {
            if let Ok(whole) = whole {
                let whole = whole.as_ref().expect("its beginning was whole");
                assert_eq!(request.target, whole.target);
            }
        }
        Ok(Some(request)) => assert_eq!(whole.as_ref().ok(), Some(&Some(request))),
        Err(refusal) => assert_eq!(whole.as_ref().err(), Some(&refusal.status)),
    }
}

fn plausible(request: &Request<'_>, bytes: &[u8]) {
    assert!(request.size > 0 && request.size <= bytes.len());
    assert!(
        request
            .target
            .iter()
            .all(|byte| *byte > b' ' && *byte != 0x7f)
    );
    let is_special = request.method == Method::Options || request.method == Method::Known;
    assert!(request.path.starts_with(b"/") || is_special);
    assert!(!request.path.is_empty());
    for field in [Field::Accept, Field::UserAgent, Field::Referer, Field::Host] {
        for value in request.values(field) {
            let is_text = |byte: &u8| *byte == b'\t' || *byte >= b' ' && *byte != 0x7f;
            assert!(value.iter().all(is_text));
        }
    }
    let head = request.target.as_ptr().addr() - bytes.as_ptr().addr();
    assert!(head < request.size);
}

/// Reads the head a second time, line by line, as simply as can be.
fn as_read_plainly(request: &Request<'_>, bytes: &[u8]) {
    let mut start = 0;
    while bytes[start..].starts_with(b"\r\n") {
        start += 2;
    }
    let end = bytes[start..]
        .windows(4)
        .position(|part| part == b"\r\n\r\n")
        .expect("a head ends in an empty line");
    let head_size = start + end + 4;
    let head = String::from_utf8_lossy(&bytes[start..start + end]).to_ascii_lowercase();
    let mut lines = head.split("\r\n");
    assert!(
        lines
            .next()
            .is_some_and(|line| line.split(' ').count() == 3)
    );
    let fields: Vec<(&str, &str)> = lines
        .map(|line| {
            assert!(!line.contains(['\r', '\n', '\0']));
            line.split_once(':').expect("a name and a colon")
        })
        .collect();
    let values = |name: &str| -> Vec<&str> {
        let named = fields.iter().filter(|(known, _)| known.trim() == name);
        named.map(|(_, value)| value.trim()).collect()
    };
    assert!(values("host").len() == 1 || request.is_http10 && values("host").is_empty());
    match (
        &values("content-length")[..],
        &values("transfer-encoding")[..],
    ) {
        ([], []) => assert_eq!(request.size, head_size),
        ([length], []) => {
            let length: usize = length.parse().expect("digits");
            assert_eq!(request.size, head_size + length);
        }
        ([], ["chunked"]) => {
            let body = &bytes[head_size..request.size];
            assert!(body.ends_with(b"\r\n\r\n") && body.len() >= 5);
        }
        other => panic!("{other:?} has two readings"),
    }
}
