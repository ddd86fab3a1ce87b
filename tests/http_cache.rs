//! Files that are kept open between requests: whatever happens to them, the next request sees it.

use crate::common;
#[path = "http_cache/load.rs"]
mod load;

use crate::common::assert_bytes;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileExt, symlink};
use std::path::PathBuf;
use std::time::Duration;

use common::http::{Client, get, old_file};
use common::random_bytes;
use common::server::Server;

type Connection = Client<std::net::TcpStream>;

/// A folder with a server of one worker, so that one cache sees everything.
struct Yard {
    root: tempfile::TempDir,
    server: Server,
    seed: u64,
}

impl Yard {
    fn new(options: &[&str]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut all = vec!["--workers", "1", "--per-worker", "64", "--no-listing"];
        all.extend(options);
        let server = Server::http(root.path(), &all);
        Self {
            root,
            server,
            seed: 0,
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Bytes that no other call has given.
    fn fresh(&mut self, size: usize) -> Vec<u8> {
        self.seed += 1;
        random_bytes(self.seed, size)
    }

    /// Writes a file anew, in place if it is there.
    fn write(&mut self, name: &str, size: usize) -> Vec<u8> {
        let bytes = self.fresh(size);
        fs::write(self.at(name), &bytes).unwrap();
        bytes
    }

    /// Puts a new file at a name in one step.
    fn replace(&mut self, name: &str, size: usize) -> Vec<u8> {
        let bytes = self.fresh(size);
        let new = self.at("new file");
        fs::write(&new, &bytes).unwrap();
        fs::rename(new, self.at(name)).unwrap();
        bytes
    }
}

/// Asserts what is at a target, twice, so that the second answer comes from the cache.
#[track_caller]
fn assert_is(client: &mut Connection, target: &str, fields: &[&str], expected: &[u8]) {
    for time in ["first", "second"] {
        let answer = client.get(target, fields);
        assert_eq!(answer.status, 200, "{target}, {time} time");
        assert_eq!(answer.body.len(), expected.len(), "{target}, {time} time");
        assert_bytes(
            &answer.body,
            expected,
            format_args!("{target}, {time} time"),
        );
    }
}

#[track_caller]
fn assert_status(client: &mut Connection, target: &str, status: u16) {
    assert_eq!(client.get(target, &[]).status, status, "{target}");
}

/// Small enough to be kept in memory; the largest such; too large for that.
const SIZES: [usize; 4] = [1, 900, 16_384, 60_000];

#[test]
fn a_file_that_changes_is_seen_by_the_next_request() {
    let mut yard = Yard::new(&[]);
    fs::create_dir_all(yard.at("a/b")).unwrap();
    let mut client = Client::connect(&yard.server);
    for round in 0..60 {
        let name = ["file", "a/file", "a/b/file"][round % 3];
        let (target, size) = (format!("/{name}"), SIZES[round % 4]);
        let expected = yard.replace(name, size);
        assert_is(&mut client, &target, &[], &expected);
        // In place, with the same size and soon after; then a single byte.
        let mut expected = yard.write(name, size);
        assert_is(&mut client, &target, &[], &expected);
        expected[size / 2] ^= 1;
        let file = fs::File::options().write(true).open(yard.at(name)).unwrap();
        file.write_all_at(&expected[size / 2..=size / 2], size as u64 / 2)
            .unwrap();
        assert_is(&mut client, &target, &[], &expected);
        // Also while the writer keeps it open.
        file.set_len(size as u64 / 2).unwrap();
        assert_is(&mut client, &target, &[], &expected[..size / 2]);
        drop(file);
        fs::File::options()
            .append(true)
            .open(yard.at(name))
            .and_then(|mut file| file.write_all(b"and more"))
            .unwrap();
        let longer = [&expected[..size / 2], b"and more"].concat();
        assert_is(&mut client, &target, &[], &longer);
        fs::remove_file(yard.at(name)).unwrap();
        assert_status(&mut client, &target, 404);
        let expected = yard.write(name, size);
        assert_is(&mut client, &target, &[], &expected);
    }
    yard.server.stop();
}

#[test]
fn copies_and_index_files_come_and_go() {
    let mut yard = Yard::new(&["--index", "first", "--index", "second"]);
    fs::create_dir(yard.at("a")).unwrap();
    let gzip = &["Accept-Encoding: gzip, br"];
    let mut client = Client::connect(&yard.server);
    for _ in 0..20 {
        assert_status(&mut client, "/a/", 403);
        let second = yard.write("a/second", 500);
        assert_is(&mut client, "/a/", &[], &second);
        let first = yard.write("a/first", 500);
        assert_is(&mut client, "/a/", &[], &first);
        assert_is(&mut client, "/a/", gzip, &first);
        assert_eq!(client.get("/a/", gzip).field("vary"), None);
        let packed = yard.write("a/first.gz", 200);
        assert_is(&mut client, "/a/", gzip, &packed);
        assert_is(&mut client, "/a/first", gzip, &packed);
        assert_is(&mut client, "/a/first", &[], &first);
        assert!(client.get("/a/first", &[]).field("vary").is_some());
        let denser = yard.replace("a/first.br", 100);
        assert_is(&mut client, "/a/", gzip, &denser);
        assert_is(&mut client, "/a/first", gzip, &denser);
        fs::remove_file(yard.at("a/first.br")).unwrap();
        assert_is(&mut client, "/a/first", gzip, &packed);
        fs::rename(yard.at("a/first.gz"), yard.at("a/other.gz")).unwrap();
        assert_is(&mut client, "/a/first", gzip, &first);
        assert_is(&mut client, "/a/", gzip, &first);
        assert_eq!(client.get("/a/first", &[]).field("vary"), None);
        fs::remove_file(yard.at("a/first")).unwrap();
        assert_is(&mut client, "/a/", &[], &second);
        assert_status(&mut client, "/a/first", 404);
        fs::remove_file(yard.at("a/second")).unwrap();
        // A file where the folder was, and back.
        fs::remove_file(yard.at("a/other.gz")).unwrap();
        fs::remove_dir(yard.at("a")).unwrap();
        let plain = yard.write("a", 300);
        assert_is(&mut client, "/a", &[], &plain);
        assert_status(&mut client, "/a/", 404);
        fs::remove_file(yard.at("a")).unwrap();
        fs::create_dir(yard.at("a")).unwrap();
        assert_status(&mut client, "/a", 301);
    }
    yard.server.stop();
}

#[test]
fn folders_on_the_way_are_exchanged() {
    let mut yard = Yard::new(&[]);
    let mut client = Client::connect(&yard.server);
    for side in ["x", "y"] {
        fs::create_dir_all(yard.at(&format!("{side}/b/c"))).unwrap();
    }
    let exchange = |yard: &Yard, one: &str, other: &str| {
        let third = yard.at("third");
        fs::rename(yard.at(one), &third).unwrap();
        fs::rename(yard.at(other), yard.at(one)).unwrap();
        fs::rename(third, yard.at(other)).unwrap();
    };
    let mut files = [
        (
            yard.write("x/b/c/file", 700),
            yard.write("x/b/index.html", 80),
        ),
        (
            yard.write("y/b/c/file", 700),
            yard.write("y/b/index.html", 80),
        ),
    ];
    for round in 0..40 {
        for (side, (file, index)) in ["x", "y"].iter().zip(&files) {
            assert_is(&mut client, &format!("/{side}/b/c/file"), &[], file);
            assert_is(&mut client, &format!("/{side}/b/"), &[], index);
        }
        match round % 4 {
            0 => {
                exchange(&yard, "x", "y");
                files.swap(0, 1);
            }
            1 => {
                exchange(&yard, "x/b", "y/b");
                files.swap(0, 1);
            }
            2 => {
                exchange(&yard, "x/b/c", "y/b/c");
                let [(one, _), (other, _)] = &mut files;
                std::mem::swap(one, other);
            }
            _ => {
                fs::rename(yard.at("x/b"), yard.at("gone")).unwrap();
                assert_status(&mut client, "/x/b/c/file", 404);
                assert_status(&mut client, "/x/b/", 404);
                fs::rename(yard.at("gone"), yard.at("x/b")).unwrap();
            }
        }
    }
    yard.server.stop();
}

/// Without openat2(2), as under emulation, no symbolic link is followed.
#[test]
fn symbolic_links_are_swapped() {
    let mut yard = Yard::new(&[]);
    let mut client = Client::connect(&yard.server);
    fs::create_dir_all(yard.at("releases/1")).unwrap();
    fs::create_dir_all(yard.at("releases/2")).unwrap();
    let one = yard.write("releases/1/file", 1000);
    let two = yard.write("releases/2/file", 1000);
    symlink("releases/1", yard.at("current")).unwrap();
    if client.get("/current/file", &[]).status == 403 && common::program::is_emulated() {
        return;
    }
    for round in 0..40 {
        let (target, expected) = [("releases/2", &two), ("releases/1", &one)][round % 2];
        symlink(target, yard.at("next")).unwrap();
        fs::rename(yard.at("next"), yard.at("current")).unwrap();
        assert_is(&mut client, "/current/file", &[], expected);
        symlink(format!("{target}/file"), yard.at("next")).unwrap();
        fs::rename(yard.at("next"), yard.at("link")).unwrap();
        assert_is(&mut client, "/link", &[], expected);
    }
    yard.server.stop();
}

/// What changes at the other end of a link to a file.
#[test]
fn the_target_of_a_symbolic_link_changes() {
    let mut yard = Yard::new(&[]);
    let mut client = Client::connect(&yard.server);
    fs::create_dir(yard.at("a")).unwrap();
    yard.write("a/target", 500);
    symlink("a/target", yard.at("link")).unwrap();
    symlink("a", yard.at("first")).unwrap();
    symlink("first", yard.at("second")).unwrap();
    if client.get("/link", &[]).status == 403 && common::program::is_emulated() {
        return;
    }
    for _ in 0..10 {
        let bytes = yard.write("a/target", 500);
        assert_is(&mut client, "/second/target", &[], &bytes);
        assert_is(&mut client, "/link", &[], &bytes);
        let bytes = yard.replace("a/target", 500);
        assert_is(&mut client, "/second/target", &[], &bytes);
        assert_is(&mut client, "/link", &[], &bytes);
        // A link on the way to a link.
        fs::create_dir(yard.at("b")).unwrap();
        let other = yard.write("b/target", 400);
        fs::remove_file(yard.at("first")).unwrap();
        symlink("b", yard.at("first")).unwrap();
        assert_is(&mut client, "/second/target", &[], &other);
        fs::remove_file(yard.at("first")).unwrap();
        symlink("a", yard.at("first")).unwrap();
        fs::remove_dir_all(yard.at("b")).unwrap();
        assert_is(&mut client, "/second/target", &[], &bytes);
    }
    yard.server.stop();
}

/// The other name of a file is in a folder that nobody has asked for.
#[test]
fn a_file_is_written_by_another_name() {
    let mut yard = Yard::new(&[]);
    let mut client = Client::connect(&yard.server);
    fs::create_dir(yard.at("elsewhere")).unwrap();
    yard.write("elsewhere/name", 500);
    fs::hard_link(yard.at("elsewhere/name"), yard.at("file")).unwrap();
    for _ in 0..10 {
        let bytes = yard.write("elsewhere/name", 500);
        assert_is(&mut client, "/file", &[], &bytes);
    }
    yard.server.stop();
}

/// Deeper than what is watched, and with more folders than are watched: a second later it is seen.
#[test]
fn what_cannot_be_watched_is_seen_a_second_later() {
    let mut yard = Yard::new(&[]);
    let mut client = Client::connect(&yard.server);
    let deep = (0..12).map(|_| "d/").collect::<String>();
    fs::create_dir_all(yard.at(&deep)).unwrap();
    let mut names = vec![format!("{deep}file")];
    for index in 0..100 {
        fs::create_dir(yard.at(&format!("f{index}"))).unwrap();
        names.push(format!("f{index}/file"));
    }
    for name in &names {
        let bytes = yard.write(name, 300);
        assert_is(&mut client, &format!("/{name}"), &[], &bytes);
    }
    let all: Vec<_> = names.iter().map(|name| yard.write(name, 301)).collect();
    std::thread::sleep(Duration::from_millis(1050));
    for (name, bytes) in names.iter().zip(&all) {
        assert_is(&mut client, &format!("/{name}"), &[], bytes);
    }
    yard.server.stop();
}

#[test]
fn many_more_files_than_the_cache_has_are_served() {
    const FILES: usize = 1500;
    let mut yard = Yard::new(&[]);
    let names: Vec<_> = (0..FILES).map(|index| format!("file{index}")).collect();
    let sizes = |index: usize| [10, 3000, 20_000][index % 3];
    let mut all: Vec<_> = (0..FILES)
        .map(|index| old_file(&yard.at(&names[index]), 5000 + index as u64, sizes(index)))
        .collect();
    let mut client = Client::connect(&yard.server);
    let random = random_bytes(1, 8000 * 2);
    for (turn, two) in random.chunks(2).enumerate() {
        let index = usize::from(u16::from_le_bytes([two[0], two[1]])) % FILES;
        if turn % 5 == 0 {
            all[index] = yard.write(&names[index], sizes(index));
        }
        let answer = client.get(&format!("/{}", names[index]), &[]);
        assert_bytes(
            &answer.body,
            &all[index],
            format_args!("{turn}: {}", names[index]),
        );
    }
    // All in one go, with pipelining.
    for group in (0..FILES).collect::<Vec<_>>().chunks(50) {
        let wire: Vec<u8> = group
            .iter()
            .flat_map(|index| get(&format!("/{}", names[*index]), &[]))
            .collect();
        client.send(&wire);
        for index in group {
            assert_bytes(&client.answer(false).body, &all[*index], index);
        }
    }
    yard.server.stop();
}
