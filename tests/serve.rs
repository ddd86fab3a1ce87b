//! The server's main job: files, byte for byte.

mod common;

use common::ask::ask;
use common::server::Server;
use common::{checksum, random_file};

#[test]
fn a_file_is_served_byte_for_byte() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(root.path(), &["--workers", "1", "--per-worker", "4"]);
    for (seed, size) in [
        (1, 0),
        (2, 1),
        (3, 999),
        (4, 1000),
        (5, 1001),
        (6, 3_000_000),
    ] {
        let bytes = random_file(&root.path().join("file"), seed, size);
        let answer = ask(&mut server.connect(), b"file", &[]).unwrap();
        assert_eq!(
            (answer.name.as_slice(), answer.size),
            (&b"file"[..], size as u64)
        );
        assert_eq!(checksum(&answer.data), checksum(&bytes));
    }
    server.stop();
}
