//! What `trainyard eject` and a server say: each reads what the other wrote, and a root is meant by what
//! lies above it only.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use trainyard::eject::protocol::{
    ANSWER_BYTES_MAX, Answer, REQUEST_BYTES_MAX, is_meant, listening_server, name_of, request_of,
};
use trainyard::limits::PATH_MAX;

/// The bytes are what the other side says, a line of /proc/net/unix, and paths between NULs.
pub(crate) fn check(bytes: &[u8]) {
    answers(bytes);
    lines(bytes);
    requests(bytes);
}

fn answers(bytes: &[u8]) {
    if let Some(answer) = Answer::parse(bytes) {
        assert_eq!(answer.to_bytes(), bytes);
    }
    for answer in [Answer::Gone(bytes), Answer::Held(bytes), Answer::Other] {
        let sent = answer.to_bytes();
        assert!(sent.len() <= ANSWER_BYTES_MAX);
        let is_whole = bytes.len() <= PATH_MAX;
        let read = Answer::parse(&sent).expect("it is one of the three");
        assert!(read == answer || !is_whole);
    }
}

fn lines(bytes: &[u8]) {
    let line = |name: &[u8]| {
        let head = b"0000000000000000: 00000002 00000000 00010000 0001 01 24630 @";
        [head, name, b"\n"].concat()
    };
    if let Some((name, process)) = listening_server(bytes) {
        assert!(
            bytes
                .windows(name.len())
                .any(|part| part == name.as_bytes())
        );
        let again = line(name.as_bytes());
        assert_eq!(listening_server(&again), Some((name, process)));
    }
    if let Some((number, rest)) = bytes.split_first_chunk() {
        let process = i32::from_le_bytes(*number);
        let name = name_of(process);
        let found = line(name.as_bytes());
        assert_eq!(listening_server(&found), Some((name.as_str(), process)));
        // Whatever word stands behind it, it is no other process.
        let worded = line(&[name.as_bytes(), b"/", rest].concat());
        if let Some((_, other)) = listening_server(&worded) {
            assert_eq!(other, process);
        }
    }
}

fn requests(bytes: &[u8]) {
    let paths: Vec<Vec<u8>> = bytes.split(|byte| *byte == 0).take(4).map(plain).collect();
    let (names, asked) = paths.split_at(paths.len() / 2);
    assert!(is_meant(&request_of(&[]), names));
    let request = request_of(asked);
    let fits = asked.len() <= 2 && asked.iter().all(|path| path.len() <= PATH_MAX);
    assert!(!fits || request.len() <= REQUEST_BYTES_MAX);
    if !asked.is_empty() {
        let path = |bytes| Path::new(OsStr::from_bytes(bytes));
        let is_above = |asked| names.iter().any(|name| path(name).starts_with(path(asked)));
        let expected = asked.iter().any(|asked| is_above(asked));
        assert_eq!(is_meant(&request, names), expected);
    }
    if !names.is_empty() {
        assert!(is_meant(&request_of(names), names));
    }
    // Of whatever is sent.
    let _ = is_meant(bytes, names);
}

/// An absolute path with nothing in it that could be left out, as roots are named.
fn plain(bytes: &[u8]) -> Vec<u8> {
    let path = Path::new("/").join(OsStr::from_bytes(bytes));
    let path: PathBuf = path.components().collect();
    path.into_os_string().into_vec()
}
