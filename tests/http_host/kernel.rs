//! A kernel that has no room for what a server wants it to watch, as strace(1) can make it.

use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::common::http::{Client, old_file};
use super::common::program;
use super::common::server::{LIMIT, Pool, Server, add_user, pool};
use super::common::wait_until;
use super::is_left_out;

/// Calls of epoll_ctl(2) that the main process makes up to `ready`: the signals, who asks to eject, the
/// mounts, the listener, and the reports of the one worker.
const AT_START: usize = 5;

/// Those that follow: it watches its listener, and loses and replaces a child.
fn later() -> usize {
    match pool() {
        Pool::Process => 3,
        Pool::Thread => 1,
    }
}

/// A process that would outlive a strace that is killed.
struct Traced(Pid);

impl Drop for Traced {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGKILL);
    }
}

/// A server of one worker, whose main process has three of these calls fail from `first` on.
fn failing(root: &Path, first: usize, errno: &str) -> Command {
    let served = program::command("trainyard");
    let mut command = Command::new("strace");
    command
        .args(["-qq", "-e", "signal=none", "-e", "trace=epoll_ctl", "-e"])
        .arg(format!(
            "inject=epoll_ctl:error={errno}:when={first}..{}",
            first + 2
        ))
        .args(["-o", "/dev/null", "--"])
        .arg(served.get_program())
        .args(["serve", "--train", "none", "--http", "127.0.0.1:0"])
        .args(["--workers", "1"])
        .arg(root);
    command.args(pool().options());
    add_user(&mut command);
    command
}

#[test]
fn a_start_that_the_kernel_has_no_room_for_is_refused() {
    if is_left_out() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    for first in 1..=AT_START {
        for errno in ["ENOMEM", "ENOSPC"] {
            let output = failing(root.path(), first, errno).output().unwrap();
            let error = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{first}: {error}");
            assert_eq!(error.lines().count(), 1, "{first}: {error}");
            assert!(error.contains("cannot"), "{first}: {error}");
            assert!(output.stdout.is_empty(), "{first}: never ready");
        }
    }
}

/// Kills what the server's one child is, and waits for the next.
fn replace_child(parent: Pid) {
    let children = || {
        let path = format!("/proc/{parent}/task/{parent}/children");
        std::fs::read_to_string(path).unwrap()
    };
    let first = children();
    let child = Pid::from_raw(first.trim().parse().unwrap());
    kill(child, Signal::SIGKILL).unwrap();
    wait_until("another child", LIMIT, || {
        let now = children();
        !now.trim().is_empty() && now != first
    });
}

#[test]
fn a_server_outlives_a_kernel_that_has_no_room_for_a_while() {
    if is_left_out() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let bytes = old_file(&root.path().join("file"), 1, 1000);
    for first in AT_START + 1..=AT_START + later() {
        for errno in ["ENOMEM", "ENOSPC"] {
            let mut server = Server::from_command(failing(root.path(), first, errno));
            let traced = server.children()[0];
            let traced = Traced(Pid::from_raw(traced));
            let get = || Client::connect(&server).get("/file", &[]).body;
            assert_eq!(get(), bytes, "{first}");
            if pool() == Pool::Process {
                replace_child(traced.0);
            }
            assert_eq!(get(), bytes, "{first}");
            assert!(server.log().contains(errno), "{first}: {}", server.log());
            kill(traced.0, Signal::SIGTERM).unwrap();
            let status = server.wait(LIMIT);
            assert_eq!(status.code(), Some(0), "{first}: {}", server.log());
        }
    }
}
