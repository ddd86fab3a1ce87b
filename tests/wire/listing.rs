//! Listings of folders.

use trainyard::limits::BOARD;

use super::*;
use crate::common::uninterrupted;

/// More names than a worker keeps at once, so that a listing takes several passes.
const MANY: usize = 40_000;

fn expected_entries(folder: &Path) -> Vec<Entry> {
    let mut entries: Vec<Entry> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let metadata = fs::metadata(entry.path()).unwrap();
            let time = metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec();
            let (kind, size) = if metadata.is_dir() {
                (b'd', 0)
            } else {
                (b'f', metadata.len())
            };
            (kind, size, time, entry.file_name().as_bytes().to_vec())
        })
        .collect();
    entries.sort_by(|a, b| a.3.cmp(&b.3));
    entries
}

#[test]
fn a_folder_is_listed_sorted_by_bytes() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("folder");
    fs::create_dir_all(folder.join("sub folder")).unwrap();
    fs::create_dir(folder.join("empty")).unwrap();
    for (size, name) in [
        &b"b"[..],
        b"B",
        b"a",
        b"a b",
        b"a\nb",
        b"\xff",
        b"\xc3\xbc",
        b"10",
        b"9",
        b"-",
        b".hidden",
    ]
    .iter()
    .enumerate()
    {
        fs::write(path_of(&folder, name), vec![0; size * 777]).unwrap();
    }
    let server = small_server(root.path());
    let mut stream = server.connect();
    for path in [&b"folder"[..], b"folder/", b"/folder//", b"./folder/."] {
        let answer = ask(&mut stream, path, &[]).unwrap();
        assert_eq!(answer.name, b"folder/");
        assert_eq!(answer.mtime_ns, mtime_ns(&folder));
        assert_eq!(entries_of(&answer), expected_entries(&folder));
    }
    let empty = ask(&mut stream, b"folder/empty", &[]).unwrap();
    assert_eq!((&empty.name[..], empty.data.len()), (&b"empty/"[..], 0));
    assert_eq!(empty.size, u64::MAX);
    for path in [&b"/"[..], b".", b"./", b"//"] {
        let answer = ask(&mut stream, path, &[0]).unwrap();
        assert_eq!(answer.name, b"/");
        assert_eq!(entries_of(&answer), expected_entries(root.path()));
    }
    server.stop();
}

#[test]
fn what_cannot_be_asked_for_is_not_listed() {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("root");
    fs::create_dir_all(root.join("folder")).unwrap();
    fs::write(root.join("file"), b"content").unwrap();
    nix::unistd::mkfifo(
        &root.join("fifo"),
        nix::sys::stat::Mode::from_bits_truncate(0o644),
    )
    .unwrap();
    std::os::unix::fs::symlink("missing", root.join("dangling")).unwrap();
    // Neither content nor size of what is outside is told.
    fs::write(outer.path().join("secret"), b"secret").unwrap();
    std::os::unix::fs::symlink("../secret", root.join("relative")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", root.join("absolute")).unwrap();
    let server = small_server(&root);
    let answer = ask(&mut server.connect(), b"/", &[]).unwrap();
    let names: Vec<Vec<u8>> = entries_of(&answer)
        .into_iter()
        .map(|entry| entry.3)
        .collect();
    assert_eq!(names, [&b"file"[..], b"folder"]);
    server.stop();
}

/// More entries that are not shown than a worker keeps at once: their listing ends, and the others'.
#[test]
fn entries_that_are_not_shown_hold_up_nobody() {
    let root = tempfile::tempdir().unwrap();
    let dangling = root.path().join("dangling");
    fs::create_dir(&dangling).unwrap();
    for index in 0..3 * BOARD.listing_bytes / 256 {
        let name = format!("{index:06}{}", "-".repeat(240));
        std::os::unix::fs::symlink("nowhere", dangling.join(name)).unwrap();
    }
    let server = small_server(root.path());
    assert!(
        ask(&mut server.connect(), b"dangling", &[])
            .unwrap()
            .data
            .is_empty()
    );
    for name in ["000000", "005000", "999999"] {
        fs::write(dangling.join(name), b"content").unwrap();
    }
    let answer = ask(&mut server.connect(), b"dangling", &[]).unwrap();
    let names: Vec<_> = entries_of(&answer)
        .into_iter()
        .map(|entry| entry.3)
        .collect();
    assert_eq!(names, [b"000000", b"005000", b"999999"]);
    // Its client has gone.
    server
        .connect()
        .write_all(&request(b"dangling", &[]))
        .unwrap();
    assert_eq!(
        entries_of(&ask(&mut server.connect(), b"/", &[]).unwrap()).len(),
        1
    );
    server.stop();
}

/// A folder of [`MANY`] files whose names differ in length, and what its listing must be.
fn many_files() -> (tempfile::TempDir, Vec<Vec<u8>>) {
    let root = tempfile::tempdir().unwrap();
    let mut names: Vec<Vec<u8>> = (0..MANY as u64)
        .map(|index| {
            let mut name = format!("{:08x}", index.wrapping_mul(0x9e37_79b1) as u32).into_bytes();
            name.resize(8 + (index % 30) as usize, b'.');
            name
        })
        .collect();
    for name in &names {
        fs::File::create(path_of(root.path(), name)).unwrap();
    }
    names.sort();
    (root, names)
}

fn names_of(answer: &Answer) -> Vec<Vec<u8>> {
    entries_of(answer)
        .into_iter()
        .map(|entry| entry.3)
        .collect()
}

#[test]
fn a_large_folder_is_listed_whole_for_several_at_once() {
    let (root, names) = many_files();
    let server = Server::start(root.path(), &["--workers", "1", "--per-worker", "8"]);
    let slow = {
        let mut stream = connect_narrow(server.address());
        stream.write_all(&request(b"/", &[])).unwrap();
        std::thread::spawn(move || {
            let (mut wire, mut room) = (Vec::new(), vec![0; 30_000]);
            let end = [&[0_u8][..], &0_i32.to_le_bytes()].concat();
            // The listing's last byte is a NUL, then comes the end car; within it are neither.
            while !wire.ends_with(&end) {
                let size = uninterrupted(|| stream.read(&mut room)).unwrap();
                assert!(size > 0, "ended after {} bytes", wire.len());
                wire.extend_from_slice(&room[..size]);
                std::thread::sleep(Duration::from_millis(3));
            }
            read_answer(&mut &wire[..]).unwrap()
        })
    };
    let fast: Vec<_> = (0..2)
        .map(|_| {
            let mut stream = server.connect();
            std::thread::spawn(move || ask(&mut stream, b"/", &[]).unwrap())
        })
        .collect();
    // A file is not kept waiting by the listings.
    let first = ask(&mut server.connect(), &names[0], &[]).unwrap();
    assert_eq!(first.name, names[0]);
    for thread in fast {
        assert!(names_of(&thread.join().unwrap()) == names, "in one run");
    }
    assert!(names_of(&slow.join().unwrap()) == names, "in small pieces");
    server.stop();
}
