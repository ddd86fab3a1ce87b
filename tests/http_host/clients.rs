//! The clients that people use.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::common::client::buffer_max;
use super::common::http::{get, long_past, old_file, once, set_modified};
use super::common::server::{LIMIT, Server};
use super::common::{assert_bytes, checksum, random_bytes, wait_until};
use super::is_left_out;

pub(super) const SIZE: usize = 12_000_000;

/// A folder with one file and a server of it, and a folder for its clients.
pub(super) struct Yard {
    pub(super) root: tempfile::TempDir,
    /// Where the clients put what they get.
    pub(super) home: tempfile::TempDir,
    pub(super) server: Server,
    pub(super) bytes: Vec<u8>,
}

impl Yard {
    pub(super) fn new() -> Self {
        Self::with(&[])
    }

    /// With these options of the server, too.
    pub(super) fn with(options: &[&str]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let bytes = old_file(&root.path().join("file.bin"), 1, SIZE);
        let options = [&["--workers", "2", "--per-worker", "40"], options].concat();
        let server = Server::http(root.path(), &options);
        let home = tempfile::tempdir().unwrap();
        Self {
            root,
            home,
            server,
            bytes,
        }
    }

    fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.server.address())
    }

    /// A command that works in the clients' folder, without its user's settings.
    fn client(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command
            .current_dir(self.home.path())
            .env("HOME", self.home.path())
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        for proxy in ["http_proxy", "all_proxy", "ALL_PROXY"] {
            command.env_remove(proxy);
        }
        command
    }

    fn run(&self, name: &str, arguments: &[&str]) -> Output {
        self.client(name).args(arguments).output().unwrap()
    }

    /// Runs a client that must be content; its standard output.
    #[track_caller]
    pub(super) fn passes(&self, name: &str, arguments: &[&str]) -> String {
        let output = self.run(name, arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (told, error) = (text(&output.stdout), text(&output.stderr));
        assert!(
            output.status.success(),
            "{name} {arguments:?}: {told}{error}"
        );
        told
    }

    /// Whether a file that a client got is the one that is served.
    #[track_caller]
    pub(super) fn assert_got(&self, name: &str) {
        self.assert_is(name, &self.bytes);
    }

    /// Whether a file that a client got holds these bytes.
    #[track_caller]
    fn assert_is(&self, name: &str, expected: &[u8]) {
        let got = fs::read(self.home.path().join(name)).unwrap();
        assert_bytes(&got, expected, name);
    }

    /// Puts the first bytes of the file where a client will go on.
    fn put_begin(&self, name: &str, size: usize) {
        let path = self.home.path().join(name);
        fs::write(&path, &self.bytes[..size]).unwrap();
        set_modified(&path, long_past());
    }
}

#[test]
fn curl_gets_goes_on_and_compares() {
    if is_left_out() {
        return;
    }
    let yard = Yard::new();
    let url = yard.url("file.bin");
    yard.passes("curl", &["-sSf", "-o", "whole", &url]);
    yard.assert_got("whole");
    yard.passes("curl", &["-sSf", "--http1.0", "-o", "old", &url]);
    yard.assert_got("old");
    yard.put_begin("begun", SIZE / 3);
    yard.passes("curl", &["-sSf", "--continue-at", "-", "-o", "begun", &url]);
    yard.assert_got("begun");
    let head = yard.passes("curl", &["-sSfI", &url]);
    assert!(
        head.contains(&format!("Content-Length: {SIZE}\r\n")),
        "{head}"
    );
    let ranges = yard.passes(
        "curl",
        &[
            "-sSf",
            "-r",
            "0-1,5-6",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code} %{content_type}",
            &url,
        ],
    );
    assert!(ranges.starts_with("206 multipart/byteranges"), "{ranges}");
    // Twice the same: the second time it has not changed.
    let again = ["-sSf", "--etag-save", "tag", "-o", "tagged", &url];
    yard.passes("curl", &again);
    let known = [
        "-sSf",
        "--etag-compare",
        "tag",
        "-o",
        "none",
        "-w",
        "%{http_code}",
        &url,
    ];
    assert_eq!(yard.passes("curl", &known), "304");
    let since = [
        "-sSf",
        "-z",
        "whole",
        "-o",
        "none",
        "-w",
        "%{http_code}",
        &url,
    ];
    assert_eq!(yard.passes("curl", &since), "304");
    yard.server.stop();
}

#[test]
fn curl_decodes_and_asks_for_many_at_once() {
    if is_left_out() {
        return;
    }
    let yard = Yard::new();
    let page = "a line of a page\n".repeat(3000);
    let path = yard.root.path().join("page.html");
    fs::write(&path, &page).unwrap();
    let packed = Command::new("gzip").arg("-k").arg(&path).status();
    assert!(packed.unwrap().success());
    let url = yard.url("page.html");
    let got = yard.passes("curl", &["-sSf", "--compressed", &url]);
    assert_eq!(got, page);
    let size = [
        "-sSf",
        "--compressed",
        "-o",
        "page",
        "-w",
        "%{size_download}",
        &url,
    ];
    let sent: usize = yard.passes("curl", &size).parse().unwrap();
    assert!(sent < page.len() / 10, "{sent} bytes were sent");
    // Parallel, over connections that are used again.
    for index in 0..60 {
        let name = format!("part{index}");
        old_file(&yard.root.path().join(name), index, 30_000);
    }
    let urls = yard.url("part[0-59]");
    yard.passes(
        "curl",
        &["-sSfZ", "--parallel-max", "12", "-o", "got#1", &urls],
    );
    for index in 0..60 {
        let got = fs::read(yard.home.path().join(format!("got{index}"))).unwrap();
        assert!(got == random_bytes(index, 30_000), "{index}");
    }
    yard.server.stop();
}

#[test]
fn wget_goes_on() {
    if is_left_out() {
        return;
    }
    let yard = Yard::new();
    let url = yard.url("file.bin");
    for begin in [0, 1, SIZE / 2, SIZE - 1, SIZE] {
        yard.put_begin("file.bin", begin);
        yard.passes("wget", &["-nv", "-c", &url]);
        yard.assert_got("file.bin");
    }
    // By time: once it has the file's, nothing is sent.
    fs::remove_file(yard.home.path().join("file.bin")).unwrap();
    for _ in 0..2 {
        yard.passes("wget", &["-nv", "-N", &url]);
        yard.assert_got("file.bin");
    }
    let got = fs::metadata(yard.home.path().join("file.bin")).unwrap();
    let age = got.modified().unwrap().duration_since(long_past());
    assert!(
        age.is_err() || age.unwrap() < Duration::from_secs(1),
        "the server's time"
    );
    yard.server.stop();
}

#[test]
fn aria2_gets_a_file_in_eight_pieces() {
    if is_left_out() {
        return;
    }
    let yard = Yard::new();
    let url = yard.url("file.bin");
    let pieces = [
        "--no-conf",
        "-q",
        "-x8",
        "-s8",
        "-k1M",
        "--file-allocation=none",
        "--allow-overwrite=true",
    ];
    yard.passes("aria2c", &[&pieces[..], &["-o", "got", &url]].concat());
    yard.assert_got("got");
    let sum = format!("--checksum=sha-256={}", checksum(&yard.bytes));
    yard.passes(
        "aria2c",
        &[&pieces[..], &[&sum, "-o", "checked", &url]].concat(),
    );
    yard.assert_got("checked");
    yard.server.stop();
}

/// Starts a slow download, and suspends it in the midst.
fn suspended(yard: &Yard, name: &str, arguments: &[&str]) -> Child {
    let mut command = yard.client(name);
    command.args(arguments).stderr(Stdio::null());
    let child = command.spawn().unwrap();
    let path = yard.home.path().join(name);
    wait_until("a begin", LIMIT, || {
        fs::metadata(&path).is_ok_and(|found| found.len() > 200_000)
    });
    signal(&child, Signal::SIGSTOP);
    child
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id() as i32), signal).unwrap();
}

/// Another server at the same place, as after a restart of the board.
fn restart(yard: Yard) -> Yard {
    let address = yard.server.address().to_string();
    let Yard {
        root,
        home,
        server,
        bytes,
    } = yard;
    drop(server);
    let options = ["--workers", "2", "--per-worker", "40", "--http", &address];
    let mut server = Server::http(root.path(), &options);
    server.addresses.swap(0, 1);
    Yard {
        root,
        home,
        server,
        bytes,
    }
}

#[test]
fn a_suspended_client_goes_on_after_a_restart() {
    if is_left_out() {
        return;
    }
    // More than what a client has when it is suspended, and what the kernel takes for it after that.
    let size = SIZE + buffer_max("tcp_wmem") + buffer_max("tcp_rmem");
    let rate = (size / 5).to_string();
    let yard = Yard::new();
    let bytes = old_file(&yard.root.path().join("larger"), 3, size);
    let url = yard.url("larger");
    let tag = once(&yard.server, &get("/larger", &["Range: bytes=0-1"]));
    let if_range = format!("If-Range: {}", tag.field("etag").unwrap());
    let slow = ["-sS", "--limit-rate", &rate, "-o", "curl", &url];
    let mut curl = suspended(&yard, "curl", &slow);
    let retry = ["-q", "--limit-rate", &rate, "--waitretry", "1", "-t", "5"];
    let mut wget = suspended(&yard, "wget", &[&retry[..], &["-O", "wget", &url]].concat());
    let yard = restart(yard);
    signal(&curl, Signal::SIGCONT);
    signal(&wget, Signal::SIGCONT);
    assert!(!curl.wait().unwrap().success(), "its connection is gone");
    let begun = fs::metadata(yard.home.path().join("curl")).unwrap().len();
    assert!((200_000..size as u64).contains(&begun), "{begun} bytes");
    let told = ["-w", "%{http_code}", "-H", &if_range, &url];
    let go_on = [&["-sSf", "-C", "-", "-o", "curl"], &told[..]].concat();
    assert_eq!(yard.passes("curl", &go_on), "206");
    yard.assert_is("curl", &bytes);
    // wget asks again by itself.
    assert!(wget.wait().unwrap().success());
    yard.assert_is("wget", &bytes);
    // Had the file changed, all of it would come.
    let changed = old_file(&yard.root.path().join("larger"), 2, size - 1);
    yard.put_begin("other", 1000);
    let go_on = [&["-sS", "-r", "1000-", "-o", "other"], &told[..]].concat();
    assert_eq!(yard.passes("curl", &go_on), "200");
    yard.assert_is("other", &changed);
    yard.server.stop();
}

#[test]
fn curl_speaks_over_a_unix_socket() {
    if is_left_out() {
        return;
    }
    let yard = Yard::new();
    let socket = yard.home.path().join("socket");
    let address = format!("unix:{}", socket.display());
    let server = Server::http(yard.root.path(), &["--http", &address]);
    let socket = socket.to_str().unwrap();
    let arguments = [
        "-sSf",
        "--unix-socket",
        socket,
        "-o",
        "got",
        "http://yard/file.bin",
    ];
    yard.passes("curl", &arguments);
    yard.assert_got("got");
    server.stop();
    assert!(!Path::new(socket).exists());
}
