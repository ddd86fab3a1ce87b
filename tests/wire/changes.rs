//! Files that change while they are sent.

use crate::common::assert_bytes;
use crate::common::client::LARGE;

use super::*;

/// The head and first 100 cars of the file, by a client that then waits.
fn begin(server: &Server) -> (std::net::TcpStream, Vec<u8>) {
    let mut stream = connect_narrow(server.address());
    stream.write_all(&request(b"file", &[])).unwrap();
    let mut wire = vec![0; 8 + 20 + 100 * 1004];
    stream.read_exact(&mut wire).unwrap();
    (stream, wire)
}

#[test]
fn a_file_that_shrinks_never_looks_whole() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("file");
    let bytes = random_file(&path, 21, *LARGE);
    let expected = expected_answer(&path, &bytes);
    let server = small_server(root.path());
    for left in [0, 1, 200_000, *LARGE as u64 - 1] {
        fs::write(&path, &bytes).unwrap();
        let (mut stream, mut wire) = begin(&server);
        fs::File::options()
            .write(true)
            .open(&path)
            .and_then(|file| file.set_len(left))
            .unwrap();
        let end = stream.read_to_end(&mut wire);
        assert!(
            end.is_ok() || end.unwrap_err().kind() == std::io::ErrorKind::ConnectionReset,
            "it ends"
        );
        let fault = (-5_i32).to_le_bytes();
        let cars = (wire.len() - 28) % 1004;
        let content = match wire.strip_suffix(&fault) {
            Some(before) if cars == 4 => before,
            _ => &wire[..],
        };
        assert!(content.len() < expected.len() - 8, "{left} bytes are left");
        // The head differs in the file's time.
        assert!(content[28..] == expected[28..content.len()], "exact so far");
    }
    server.stop();
}

/// Such files say that they are a page long and give less: as if they shrank before the first car.
#[test]
fn a_file_shorter_than_it_says_is_an_error() {
    let folder = Path::new("/sys/devices/virtual/net/lo");
    assert_eq!(fs::metadata(folder.join("mtu")).unwrap().len(), 4096);
    let server = small_server(folder);
    let wire = wire_of(&server, &request(b"mtu", &[]));
    assert_eq!(wire, (-5_i32).to_le_bytes());
    // The server lives, and the range that is there can be had.
    let mtu = fs::read(folder.join("mtu")).unwrap();
    let answer = ask(&mut server.connect(), b"mtu", &[0, 2]).unwrap();
    assert_eq!(answer.data, mtu[..2]);
    server.stop();
}

#[test]
fn a_file_that_is_replaced_is_sent_as_it_was() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("file");
    let bytes = random_file(&path, 22, *LARGE);
    let expected = expected_answer(&path, &bytes);
    let server = small_server(root.path());
    let (mut stream, mut wire) = begin(&server);
    let other = random_file(&root.path().join("other"), 23, 5000);
    fs::rename(root.path().join("other"), &path).unwrap();
    // Who asks now gets the new one.
    let answer = ask(&mut server.connect(), b"file", &[]).unwrap();
    assert_bytes(&answer.data, &other, "the data");
    stream.shutdown(Shutdown::Write).unwrap();
    stream.read_to_end(&mut wire).unwrap();
    assert_eq!(checksum(&wire), checksum(&expected));
    server.stop();
}

#[test]
fn a_file_that_grows_is_sent_as_long_as_it_was() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("file");
    let bytes = random_file(&path, 24, *LARGE);
    let expected = expected_answer(&path, &bytes);
    let server = small_server(root.path());
    let (mut stream, mut wire) = begin(&server);
    fs::File::options()
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(&bytes[..5000]))
        .unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    stream.read_to_end(&mut wire).unwrap();
    assert_eq!(checksum(&wire), checksum(&expected));
    server.stop();
}
