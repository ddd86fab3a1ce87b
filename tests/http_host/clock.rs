//! Clocks that are wrong, or are set while the server runs, shown to it by libfaketime.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::common::http::{Answer, Client, get, old_file, once, set_modified};
use super::common::program;
use super::common::server::{Pool, Server, is_for};
use super::is_left_out;

/// In each thread, so that C's heap is not what it was.
const ALLOCATES: &str = "libfaketime allocates in threads";

/// A server whose clock is what a file says.
struct Yard {
    root: tempfile::TempDir,
    folder: tempfile::TempDir,
    server: Server,
}

/// Where Debian's package libfaketime has the library.
fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap();
    folders
        .map(|entry| entry.unwrap().path().join("faketime/libfaketimeMT.so.1"))
        .find(|path| path.exists())
        .expect("Debian's package libfaketime")
}

fn set(folder: &Path, clock: &str) {
    let new = folder.join("new");
    fs::write(&new, clock).unwrap();
    fs::rename(new, folder.join("clock")).unwrap();
}

impl Yard {
    /// `clock` is a date, or a difference such as `-1y`.
    fn new(clock: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let folder = tempfile::tempdir().unwrap();
        old_file(&root.path().join("file"), 1, 3000);
        set(folder.path(), clock);
        let mut command = program::command("trainyard");
        command
            .env("LD_PRELOAD", library())
            .env("FAKETIME_TIMESTAMP_FILE", folder.path().join("clock"))
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("NO_FAKE_STAT", "1")
            .env("TZ", "UTC")
            .arg("serve")
            .arg(root.path())
            .args(["--train", "none", "--http", "127.0.0.1:0"])
            .args(["--workers", "1", "--per-worker", "40"]);
        let server = Server::from_command(command);
        Self {
            root,
            folder,
            server,
        }
    }

    fn set(&self, clock: &str) {
        set(self.folder.path(), clock);
    }
}

fn seconds(value: &str) -> u64 {
    trainyard::http::date::parse(value.as_bytes()).unwrap()
}

#[test]
fn no_date_is_told_while_the_clock_cannot_be_right() {
    if is_left_out() || !is_for(Pool::Process, ALLOCATES) {
        return;
    }
    let yard = Yard::new("@2000-01-01 00:00:00");
    let assert_undated = |answer: &Answer, status: u16| {
        assert_eq!(answer.status, status);
        assert_eq!(answer.field("date"), None, "{}", answer.shown());
    };
    let mut client = Client::connect(&yard.server);
    let file = client.get("/file", &[]);
    assert_undated(&file, 200);
    // The file's own time is no date of the clock.
    assert_eq!(
        file.field("last-modified"),
        Some("Sun, 09 Sep 2001 01:46:40 GMT")
    );
    assert!(file.field("etag").unwrap().starts_with('"'));
    assert_undated(&client.get("/file", &["Range: bytes=0-1"]), 206);
    assert_undated(&client.get("/missing", &[]), 404);
    assert_undated(&client.get("/file", &["If-None-Match: *"]), 304);
    assert_undated(&client.get("/-/health", &[]), 200);
    let since = "If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT";
    assert_undated(&client.get("/file", &[since]), 304);
    // Then the clock is set.
    yard.set("+0");
    std::thread::sleep(Duration::from_millis(20));
    let file = client.get("/file", &[]);
    assert!(seconds(file.field("date").unwrap()) > 1_700_000_000);
    yard.set("@2001-01-01 00:00:00");
    std::thread::sleep(Duration::from_millis(20));
    assert_undated(&client.get("/file", &[]), 200);
    yard.server.stop();
}

#[test]
fn a_file_is_never_newer_than_the_date() {
    if is_left_out() || !is_for(Pool::Process, ALLOCATES) {
        return;
    }
    let yard = Yard::new("+0");
    let path = yard.root.path().join("file");
    for age in [-86_400_i64, -10, -1, 0, 1, 3600] {
        let now = std::time::SystemTime::now();
        let difference = Duration::from_secs(age.unsigned_abs());
        set_modified(
            &path,
            if age < 0 {
                now + difference
            } else {
                now - difference
            },
        );
        let answer = once(&yard.server, &get("/file", &[]));
        let date = seconds(answer.field("date").unwrap());
        match answer.field("last-modified") {
            Some(modified) => assert!(age >= -1 && seconds(modified) <= date, "{age}"),
            None => assert!(age < 0, "{age}"),
        }
        assert_eq!(answer.body.len(), 3000);
    }
    yard.server.stop();
}

/// A year forth and back, while clients are served: nothing else changes, and no deadline is met.
#[test]
fn a_clock_that_is_set_changes_nothing_but_the_date() {
    if is_left_out() || !is_for(Pool::Process, ALLOCATES) {
        return;
    }
    let yard = Yard::new("+0");
    let large = old_file(&yard.root.path().join("large"), 2, 8_000_000);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|number| {
                let (yard, is_over, large) = (&yard, &is_over, &large);
                scope.spawn(move || {
                    let mut client = Client::narrow(&yard.server);
                    let fields = ["Range: bytes=0-4999999,6000000-"];
                    let fields = if number % 2 == 0 { &fields[..] } else { &[] };
                    let mut tags = std::collections::BTreeSet::new();
                    while !is_over.load(Ordering::Relaxed) {
                        client
                            .send(&[get("/file", &[]).repeat(20), get("/large", fields)].concat());
                        for _ in 0..20 {
                            let answer = client.answer(false);
                            assert_eq!(answer.body.len(), 3000);
                            tags.insert(answer.field("etag").unwrap().to_string());
                        }
                        let answer = client.answer(false);
                        let whole = answer.status == 206 || answer.body == *large;
                        assert!(whole && answer.is_kept());
                    }
                    assert_eq!(tags.len(), 1);
                })
            })
            .collect();
        let mut idle = Client::connect(&yard.server);
        assert_eq!(idle.get("/file", &[]).status, 200);
        let mut half = Client::connect(&yard.server);
        half.send(b"GET /file HT");
        for clock in ["+1y", "+0", "-1y", "+1y", "-30y", "+0"] {
            yard.set(clock);
            std::thread::sleep(Duration::from_millis(250));
        }
        assert_eq!(idle.get("/file", &[]).status, 200);
        half.send(b"TP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(half.answer(false).status, 200);
        is_over.store(true, Ordering::Relaxed);
        clients
            .into_iter()
            .for_each(|client| client.join().unwrap());
    });
    yard.server.stop();
}
