//! System calls of a worker, as strace(1) shows them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::common::http::{Client, get, old_file, request};
use super::common::server::{LIMIT, Server};
use super::common::{program, wait_until};
use super::is_left_out;
use crate::common::uninterrupted;
use trainyard::limits::BOARD;

/// A server under strace. Its parent process would outlive a strace that is killed.
pub(super) struct Traced {
    pub(super) server: Server,
    parent: i32,
    folder: tempfile::TempDir,
}

impl Drop for Traced {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.parent), Signal::SIGKILL);
    }
}

impl Traced {
    fn start(root: &Path, options: &[&str]) -> Self {
        let options = [&["--train", "none", "--http", "127.0.0.1:0"], options].concat();
        Self::with(&[], root, &options)
    }

    /// The same with these options of strace, too, and with no listeners but those in `options`.
    pub(super) fn with(strace: &[&str], root: &Path, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let served = program::command("trainyard");
        let mut command = Command::new("strace");
        command
            .args(["-f", "-qq", "-s", "200", "-e", "signal=none"])
            .args(strace)
            .arg("-o")
            .arg(folder.path().join("trace"))
            .arg("--")
            .arg(served.get_program())
            .arg("serve")
            .args(options)
            .arg(root);
        let server = Server::from_command(command);
        let parent = *server.children().first().expect("what strace runs");
        Self {
            server,
            parent,
            folder,
        }
    }

    fn trace(&self) -> PathBuf {
        self.folder.path().join("trace")
    }

    /// Stops the server; the whole trace.
    pub(super) fn finish(mut self) -> String {
        kill(Pid::from_raw(self.parent), Signal::SIGTERM).unwrap();
        let status = self.server.wait(LIMIT);
        assert_eq!(status.code(), Some(0), "{}", self.server.log());
        fs::read_to_string(self.trace()).unwrap()
    }
}

/// Asks for what is not there, so that the trace shows where something begins or ends. What follows
/// is asked only when the trace has it.
fn mark(traced: &Traced, client: &mut Client<std::net::TcpStream>, name: &str) {
    assert_eq!(client.get(&format!("/{name}"), &[]).status, 404);
    wait_until("the mark", LIMIT, || {
        fs::read_to_string(traced.trace()).unwrap().contains(name)
    });
}

/// The lines of one process. A call that another process interrupts shows in two, which are put
/// together where it returns.
fn lines_of(trace: &str, process: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut begun = String::new();
    for line in trace.lines() {
        let Some(call) = line.strip_prefix(process) else {
            continue;
        };
        if let Some(begin) = call.strip_suffix("<unfinished ...>") {
            begun = begin.trim().to_string();
        } else if let Some((_, end)) = call.split_once(" resumed>") {
            lines.push(begun.clone() + end);
        } else {
            lines.push(call.trim().to_string());
        }
    }
    lines
}

/// The calls of the worker that met both marks, between them: each one's name and its whole line.
fn calls(trace: &str, begin: &str, end: &str) -> Vec<(String, String)> {
    let met = trace
        .lines()
        .find(|line| line.contains(begin) && line.contains(" HTTP/1.1"))
        .unwrap();
    let worker = format!("{} ", met.split_whitespace().next().unwrap());
    let lines = lines_of(trace, &worker).into_iter();
    let is_mark = |line: &str, mark: &str| line.starts_with("recvfrom(") && line.contains(mark);
    let after = lines.skip_while(|line| !is_mark(line, begin));
    // The answer to the mark itself.
    let after = after.skip_while(|line| !line.starts_with("sendto("));
    after
        .skip(1)
        .take_while(|line| !is_mark(line, end))
        .map(|line| (line.split('(').next().unwrap().to_string(), line))
        .collect()
}

fn count(calls: &[(String, String)]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for (name, _) in calls {
        *counts.entry(name.as_str()).or_insert(0) += 1;
    }
    counts
}

const ONE_WORKER: [&str; 4] = ["--workers", "1", "--per-worker", "40"];

#[test]
fn a_hot_small_file_takes_two_calls_a_request() {
    if is_left_out() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    for (name, size) in [
        ("tiny", 1),
        ("small", 1000),
        ("medium", 10_000),
        ("full", 16_384),
    ] {
        old_file(&root.path().join(name), 1, size);
    }
    let traced = Traced::start(root.path(), &ONE_WORKER);
    let mut client = Client::connect(&traced.server);
    let names = ["tiny", "small", "medium", "full"];
    let start = Instant::now();
    for name in names {
        let ask = |client: &mut Client<_>| {
            let answer = client.get(&format!("/{name}"), &["Accept-Encoding: gzip"]);
            assert_eq!(answer.status, 200);
        };
        ask(&mut client);
        mark(&traced, &mut client, &format!("begin-{name}"));
        ask(&mut client);
        for _ in 0..20 {
            ask(&mut client);
        }
        mark(&traced, &mut client, &format!("end-{name}"));
    }
    // Each file is looked at once a second at least.
    let looks_max = start.elapsed().as_secs() as usize;
    drop(client);
    let trace = traced.finish();
    for name in names {
        let all = calls(&trace, &format!("begin-{name}"), &format!("end-{name}"));
        let mut requests: Vec<Vec<&str>> = Vec::new();
        for (call, _) in &all {
            if call == "recvfrom" {
                requests.push(Vec::new());
            }
            if let Some(request) = requests.last_mut() {
                request.push(call);
            }
        }
        let twenty = &requests[requests.len() - 20..];
        let is_hot = |request: &&Vec<&str>| {
            let rest = request.strip_prefix(&["recvfrom", "sendto"][..]);
            // Where strace holds the worker up between the event and the request, it looks for changes.
            let late = request.strip_prefix(&["recvfrom", "read", "sendto"][..]);
            rest.or(late)
                .is_some_and(|rest| rest.iter().all(|call| call.starts_with("epoll_")))
        };
        let hot = twenty.iter().filter(is_hot).count();
        assert!(hot + looks_max >= 20, "{hot} and {looks_max}: {all:#?}");
    }
}

#[test]
fn pipelined_requests_are_answered_with_few_sends() {
    if is_left_out() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    old_file(&root.path().join("file"), 1, 1000);
    let traced = Traced::start(root.path(), &ONE_WORKER);
    let mut client = Client::connect(&traced.server);
    let wire = get("/file", &[]).repeat(100);
    for round in ["warm", "hot"] {
        mark(&traced, &mut client, &format!("begin-{round}"));
        client.send(&wire);
        for _ in 0..100 {
            assert_eq!(client.answer(false).body.len(), 1000);
        }
        mark(&traced, &mut client, &format!("end-{round}"));
    }
    drop(client);
    let trace = traced.finish();
    let all = calls(&trace, "begin-hot", "end-hot");
    let counts = count(&all);
    assert!(counts["sendto"] <= 5, "{all:#?}");
    assert!(counts["recvfrom"] <= 6, "{all:#?}");
}

/// The request is there when the worker gets the connection: the kernel has waited for it.
#[test]
fn a_new_connection_with_its_request_is_never_watched() {
    if is_left_out() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    old_file(&root.path().join("file"), 1, 1000);
    let traced = Traced::start(root.path(), &ONE_WORKER);
    let mut client = Client::connect(&traced.server);
    assert_eq!(client.get("/file", &[]).status, 200);
    mark(&traced, &mut client, "begin");
    for _ in 0..10 {
        let mut fresh = Client::connect(&traced.server);
        let answer = fresh.get("/file", &["Connection: close"]);
        assert_eq!(answer.body.len(), 1000);
    }
    mark(&traced, &mut client, "end");
    drop(client);
    let trace = traced.finish();
    let all = calls(&trace, "begin", "end");
    let counts = count(&all);
    assert_eq!(counts.get("epoll_ctl"), None, "{all:#?}");
    assert_eq!(counts["sendto"], 10, "{all:#?}");
}

/// Head and file leave in as few calls as the turns allow.
#[test]
fn a_large_file_is_sent_from_the_page_cache_in_large_pieces() {
    if is_left_out() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    old_file(&root.path().join("large"), 1, 8 << 20);
    let traced = Traced::start(root.path(), &ONE_WORKER);
    let mut client = Client::connect(&traced.server);
    assert_eq!(client.get("/large", &[]).status, 200);
    mark(&traced, &mut client, "begin");
    assert_eq!(client.get("/large", &[]).body.len(), 8 << 20);
    mark(&traced, &mut client, "end");
    drop(client);
    let trace = traced.finish();
    let all = calls(&trace, "begin", "end");
    let counts = count(&all);
    let sent: usize = ["sendfile", "sendfile64"]
        .iter()
        .filter_map(|name| counts.get(name))
        .sum();
    // Whole turns, and those in which the socket was full.
    let turns = (8 << 20) / BOARD.turn_bytes;
    assert!((turns..=4 * turns + 40).contains(&sent), "{counts:?}");
    assert_eq!(counts["sendto"], 1, "the head: {counts:?}");
    assert_eq!(counts.get("read"), None, "{counts:?}");
}

/// System calls that take or give back memory.
const MEMORY: [&str; 9] = [
    "brk",
    "mmap",
    "mmap2",
    "mremap",
    "munmap",
    "mprotect",
    "madvise",
    "shmat",
    "memfd_create",
];

/// All kinds of answers, and clients that leave.
fn ask_for_everything(server: &Server) {
    let mut client = Client::connect(server);
    for method in ["GET", "HEAD", "OPTIONS", "POST", "BREW"] {
        for target in [
            "/file.txt",
            "/large",
            "/folder",
            "/folder/",
            "/missing",
            "/-/health",
            "/%00",
        ] {
            for fields in [
                &[][..],
                &["Accept: text/html", "Accept-Encoding: gzip"],
                &["Accept: application/json"],
                &["Range: bytes=1-2,5-90,-4"],
                &["If-None-Match: *"],
            ] {
                client.ask(&request(method, target, fields));
            }
        }
    }
    for index in 0..600 {
        assert_eq!(client.get(&format!("/folder/{index}"), &[]).status, 200);
    }
    for wire in [
        &b"nonsense\r\n\r\n"[..],
        b"GET /file HTTP/1.1\r\nHost: x\r\n",
    ] {
        Client::connect(server).send(wire);
    }
    let mut leaving = Client::narrow(server);
    leaving.send(&get("/large", &["Range: bytes=0-1000000,2000000-"]).repeat(5));
    uninterrupted(|| leaving.stream.peek(&mut [0])).unwrap();
}

#[test]
fn serving_takes_no_memory_after_ready() {
    if is_left_out() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    old_file(&root.path().join("file.txt"), 1, 3000);
    old_file(&root.path().join("file.txt.gz"), 1, 1000);
    old_file(&root.path().join("large"), 2, 5_000_000);
    fs::create_dir(root.path().join("folder")).unwrap();
    for index in 0..600 {
        old_file(&root.path().join(format!("folder/{index}")), index, 50);
    }
    let options = [&ONE_WORKER[..], &["--access-log", "--log", "debug"]].concat();
    let traced = Traced::start(root.path(), &options);
    (0..3).for_each(|_| ask_for_everything(&traced.server));
    let trace = traced.finish();
    let lines: Vec<&str> = trace.lines().collect();
    let is_ready = |line: &&str| line.contains("write(1, \"ready\\n\"");
    let ready = lines.iter().position(is_ready).expect("ready in the trace");
    // Threads that end give their stacks back: after the last client, and so after this line.
    let is_end = |line: &&str| line.contains("write(2,") && line.contains("the threads end");
    let end = lines.iter().position(is_end).unwrap_or(lines.len());
    let taken: Vec<_> = lines[ready..end]
        .iter()
        .filter(|line| {
            let call = line.split_whitespace().nth(1).unwrap_or("");
            MEMORY.contains(&call.split('(').next().unwrap())
        })
        .collect();
    assert!(taken.is_empty(), "{taken:#?}");
    assert!(
        trace[..trace.len() / 2].contains("mmap("),
        "start-up makes some"
    );
    assert!(end - ready > 2000, "the load is in the trace");
}

/// A request that is begun before a change and ended after it, and read at once only then: the worker was
/// called for the beginning, and has not been told of the change.
#[test]
fn a_request_that_ends_behind_a_change_sees_it() {
    if is_left_out() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("file");
    old_file(&path, 1, 1000);
    let traced = Traced::with(
        &[
            "-e",
            "trace=recvfrom,sendto",
            "-e",
            "inject=recvfrom:delay_enter=300000",
        ],
        root.path(),
        &["--train", "none", "--http", "127.0.0.1:0", "--workers", "1"],
    );
    let mut client = Client::connect(&traced.server);
    for _ in 0..2 {
        assert_eq!(client.get("/file", &[]).status, 200);
    }
    let wire = get("/file", &[]);
    let (begin, end) = wire.split_at(7);
    client.send(begin);
    // The worker is about to read what has come.
    std::thread::sleep(Duration::from_millis(100));
    fs::write(&path, "new").unwrap();
    client.send(end);
    let answer = client.answer(false);
    assert_eq!(answer.status, 200);
    assert!(answer.body == b"new", "{} bytes", answer.body.len());
    drop(client);
    traced.finish();
}
