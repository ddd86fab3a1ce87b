//! No memory is taken after `ready`.
//!
//! Three proofs. The sealed arena ends the program at any allocation of Rust's, in every test. The
//! server itself compares C's malloc statistics at ready and at its end, in every process, and
//! [`Server::stop`] asserts the clean end. And here strace watches that no process asks the kernel
//! for memory. Under emulation the watched process would be the emulator, which does take memory as
//! it translates; there the same load runs without strace, for the first two proofs.

use crate::common;

use crate::common::assert_bytes;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use common::ask::{Failure, ask, connect_narrow, request};
use common::server::{LIMIT, Pool, Server, pool};
use common::{checksum, program, random_file, wait_until};

/// System calls that take or give back memory.
const MEMORY: &str = "brk,mmap,mmap2,mremap,munmap,mprotect,madvise,shmat,memfd_create";

fn root() -> (tempfile::TempDir, Vec<u8>) {
    let root = tempfile::tempdir().unwrap();
    let bytes = random_file(&root.path().join("file"), 1, 3_000_000);
    for index in 0..3000 {
        fs::write(root.path().join(format!("small {index}")), b"small").unwrap();
    }
    (root, bytes)
}

/// A server, and its parent process, which would outlive a strace that is killed.
struct Traced {
    server: Server,
    parent: i32,
}

impl Drop for Traced {
    fn drop(&mut self) {
        if self.parent > 0 {
            let _ = kill(Pid::from_raw(self.parent), Signal::SIGKILL);
        }
    }
}

/// Starts the server, under strace where that shows the server itself.
fn start(root: &Path, trace: &Path, options: &[&str]) -> Traced {
    let served = program::command("trainyard");
    let mut command = if program::is_emulated() {
        eprintln!("emulated: no strace, but the arena and C's malloc statistics are checked");
        program::command("trainyard")
    } else {
        let mut command = Command::new("strace");
        command
            .args(["-f", "--seccomp-bpf", "-qq", "-s", "80"])
            .args(["-e", "signal=none", "-e"])
            .arg(format!("trace=write,fork,vfork,clone,clone3,{MEMORY}"))
            .arg("-o")
            .arg(trace)
            .arg("--")
            .arg(served.get_program())
            .args(served.get_args());
        command
    };
    command
        .args([
            "serve",
            "--http",
            "none",
            "--train",
            "127.0.0.1:0",
            "--log",
            "debug",
        ])
        .args(options)
        .arg(root);
    let server = Server::from_command(command);
    let parent = if program::is_emulated() {
        server.pid()
    } else {
        *server.children().first().expect("what strace runs")
    };
    Traced { server, parent }
}

fn children_of(pid: i32) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace()
        .map(|word| word.parse().unwrap())
        .collect()
}

/// Memory calls that the trace shows after `ready`, or none.
fn taken_after_ready(trace: &str) -> Vec<String> {
    // A line: process, call, arguments. A call that another process interrupts shows in two.
    let lines: Vec<&str> = trace.lines().collect();
    let ready = lines
        .iter()
        .position(|line| line.contains("write(1, \"ready\\n\""))
        .unwrap_or_else(|| panic!("no ready in the trace:\n{trace}"));
    // Threads that end give their stacks back: after the last client, and so after this line.
    let end = lines
        .iter()
        .position(|line| line.contains("write(2,") && line.contains("the threads end"))
        .unwrap_or(lines.len());
    lines[ready..end]
        .iter()
        .filter(|line| {
            let call = line.split_whitespace().nth(1).unwrap_or("");
            let name = call.split('(').next().unwrap();
            MEMORY.split(',').any(|memory| memory == name)
        })
        .map(|line| (*line).to_string())
        .collect()
}

/// Asks, ranges, listings, errors, slow readers, clients that leave, more clients than places.
fn load_asking(server: &Server, bytes: &[u8]) {
    for _ in 0..10 {
        let mut stream = server.connect();
        let answer = ask(&mut stream, b"file", &[]).unwrap();
        assert_eq!(checksum(&answer.data), checksum(bytes));
        let part = ask(&mut stream, b"file", &[1_000_000, 12_345]).unwrap();
        assert_bytes(&part.data, &bytes[1_000_000..1_012_345], "the data");
        assert!(ask(&mut stream, b"/", &[]).unwrap().data.len() > 3000 * 10);
        for path in [&b"missing"[..], b"../out", &[b'x'; 300]] {
            let answer = ask(&mut server.connect(), path, &[]);
            assert!(matches!(answer, Err(Failure::Fault(2 | 13 | 36))));
        }
        server.connect().write_all(b"no request at all").unwrap();
    }
    let mut held: Vec<_> = (0..30).map(|_| connect_narrow(server.address())).collect();
    for stream in &mut held {
        stream.write_all(&request(b"file", &[])).unwrap();
    }
    for (index, mut stream) in held.into_iter().enumerate() {
        if index % 3 == 0 {
            let mut wire = vec![0; 3_000_000];
            stream.read_exact(&mut wire).unwrap();
        }
    }
}

/// A child dies with what it serves, and another one takes its place.
fn replace_a_child(traced: &Traced) {
    let before = children_of(traced.parent);
    assert_eq!(before.len(), 2);
    kill(Pid::from_raw(before[0]), Signal::SIGKILL).unwrap();
    wait_until("another child", LIMIT, || {
        let now = children_of(traced.parent);
        now.len() == 2 && !now.contains(&before[0])
    });
}

#[test]
fn asking_takes_no_memory_after_ready() {
    let (root, bytes) = root();
    let outside = tempfile::tempdir().unwrap();
    let trace = outside.path().join("trace");
    let options = ["--workers", "2", "--per-worker", "4"];
    let mut traced = start(root.path(), &trace, &options);
    load_asking(&traced.server, &bytes);
    if pool() == Pool::Process {
        replace_a_child(&traced);
    }
    load_asking(&traced.server, &bytes);
    finish(&mut traced, &trace);
}

#[test]
fn pushing_takes_no_memory_after_ready() {
    let (root, bytes) = root();
    let path = root.path().join("file");
    for form in ["sized", "raw", "raw-end", "plain"] {
        let outside = tempfile::tempdir().unwrap();
        let trace = outside.path().join("trace");
        let pushed = path.to_str().unwrap();
        let options = ["--push", pushed, "--push-form", form, "--workers", "2"];
        let mut traced = start(root.path(), &trace, &options);
        for round in 0..10 {
            // Every other one leaves in the midst.
            if round % 2 == 0 {
                let mut wire = Vec::new();
                let mut stream = traced.server.connect();
                stream.read_to_end(&mut wire).unwrap();
                assert!(wire.len() >= bytes.len());
            } else {
                drop(connect_narrow(traced.server.address()));
            }
        }
        finish(&mut traced, &trace);
    }
}

/// Stops the server cleanly, and looks at the trace.
#[track_caller]
fn finish(traced: &mut Traced, trace: &Path) {
    let server = &mut traced.server;
    kill(Pid::from_raw(traced.parent), Signal::SIGTERM).unwrap();
    let status = server.wait(LIMIT);
    traced.parent = 0;
    assert_eq!(status.code(), Some(0), "{}", server.log());
    assert!(
        !server.log().contains("heap has changed"),
        "{}",
        server.log()
    );
    if program::is_emulated() {
        return;
    }
    let trace = fs::read_to_string(trace).unwrap();
    let taken = taken_after_ready(&trace);
    assert!(taken.is_empty(), "{}", taken.join("\n"));
    // The trace would show such calls: start-up makes some.
    assert!(trace.contains("mmap("), "{trace}");
    assert!(trace.lines().count() > 20, "{trace}");
}

#[test]
fn the_trace_is_read_rightly() {
    let start = "7 brk(NULL) = 0x1\n7 mmap(NULL, 4096) = 0x2\n";
    let ready = "7 write(1, \"ready\\n\", 6) = 6\n";
    let quiet = format!("{start}{ready}8 write(2, \"mmap(\", 5) = 5\n7 fork() = 9\n");
    assert!(taken_after_ready(&quiet).is_empty());
    for call in [
        "brk(0x5)",
        "mmap(NULL <unfinished ...>",
        "mremap(0x1, 1, 2, 0)",
    ] {
        let late = format!("{start}{ready}8 {call} = 0\n");
        assert_eq!(taken_after_ready(&late).len(), 1, "{call}");
        let end = "7 write(2, \"trainyard[7] debug: the threads end\\n\", 38) = 38\n";
        assert_eq!(taken_after_ready(&format!("{late}{end}")).len(), 1);
        assert!(taken_after_ready(&format!("{start}{ready}{end}8 {call} = 0\n")).is_empty());
    }
}
