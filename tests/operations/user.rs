//! `--user`: root opens the sockets, and somebody else serves.

use std::fs::{self, Permissions};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::common::program::{self, is_emulated};
use super::common::server::{LIMIT, Pool, Server, pool, run, while_all_answer};
use super::common::{random_file, wait_until};

/// Whether this test can try to become another user; says so if not.
pub(super) fn is_root() -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        let _ = std::io::stderr().write_all(b"left out, it needs root\n");
    }
    is_root
}

/// A folder with these rights.
pub(super) fn folder_of(mode: u32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
    folder
}

/// A folder that everybody may read.
pub(super) fn public() -> tempfile::TempDir {
    folder_of(0o755)
}

/// A line of a process's or thread's status (proc(5)).
pub(super) fn status_of(folder: &str, name: &str) -> Vec<String> {
    let text = fs::read_to_string(format!("{folder}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let words = line.unwrap().trim_start_matches(':').split_whitespace();
    words.map(String::from).collect()
}

/// The folders of proc(5) of all processes and threads of a server.
pub(super) fn all_of(server: &Server) -> Vec<String> {
    let mut threads = server.threads();
    threads.sort_unstable();
    if is_emulated() {
        // The emulator's own, which it makes before the program begins.
        threads.remove(1);
    }
    let threads = threads
        .into_iter()
        .map(|thread| format!("/proc/{}/task/{thread}", server.pid()));
    let children = server.children().into_iter();
    threads
        .chain(children.map(|child| format!("/proc/{child}")))
        .collect()
}

/// A port below 1024 that is free now.
pub(super) fn low_port() -> u16 {
    (600..1024)
        .rev()
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .unwrap()
}

#[test]
fn everything_runs_as_the_user_after_binding() {
    if !is_root() {
        return;
    }
    let folder = public();
    let path = folder.path().join("file");
    let bytes = random_file(&path, 1, 1000);
    let address = format!("127.0.0.1:{}", low_port());
    for (given, user, group) in [
        ("nobody", "65534", None),
        ("nobody:daemon", "65534", Some("1")),
        ("65534:7", "65534", Some("7")),
        ("4321:4322", "4321", Some("4322")),
    ] {
        let options = ["--http", &address, "--workers", "2", "--user", given];
        let server = Server::http(folder.path(), &options);
        assert_eq!(server.addresses[1].to_string(), address);
        assert_eq!(super::get(&server, "/file").body, bytes);
        let all = all_of(&server);
        assert!(all.len() >= 3, "{all:?}");
        for folder in all {
            assert_eq!(status_of(&folder, "Uid"), [user; 4], "{given}");
            if let Some(group) = group {
                assert_eq!(status_of(&folder, "Gid"), [group; 4], "{given}");
            }
            assert!(status_of(&folder, "Groups").is_empty());
            for rights in ["CapEff", "CapPrm"] {
                assert_eq!(status_of(&folder, rights), ["0000000000000000"]);
            }
            // An emulator does not pass it on.
            if !is_emulated() {
                assert_eq!(status_of(&folder, "NoNewPrivs"), ["1"]);
            }
        }
        server.stop();
    }
}

#[test]
fn changes_are_seen_at_once_whoever_serves() {
    if !is_root() {
        return;
    }
    let folder = public();
    let server = Server::http(folder.path(), &["--user", "nobody", "--workers", "1"]);
    for seed in 2..12 {
        let bytes = random_file(&folder.path().join("file"), seed, 1000);
        assert_eq!(super::get(&server, "/file").body, bytes);
    }
    assert!(!server.log().contains("warn"), "{}", server.log());
    server.stop();
}

#[test]
fn children_die_with_a_parent_that_changed_its_user() {
    if !is_root() || pool() == Pool::Thread {
        return;
    }
    let folder = public();
    let mut server = Server::http(folder.path(), &["--user", "nobody", "--workers", "3"]);
    let children = server.children();
    assert_eq!(children.len(), 3);
    server.signal(Signal::SIGKILL);
    server.wait(LIMIT);
    wait_until("the children's end", LIMIT, || {
        children.iter().all(|child| {
            let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            kill(Pid::from_raw(*child), None).is_err() || stat.contains(") Z ")
        })
    });
}

#[track_caller]
fn assert_refused(command: &mut Command, words: &[&str]) {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let start = std::time::Instant::now();
    while child.try_wait().unwrap().is_none() && start.elapsed() < LIMIT {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    for word in words {
        assert!(error.contains(word), "{word:?} is not in {error:?}");
    }
}

fn serve(root: &Path) -> Command {
    let mut command = program::command("trainyard");
    command.arg("serve").arg(root);
    command.args(["--http", "127.0.0.1:0", "--train", "none"]);
    command
}

#[test]
fn nobody_is_root_by_chance() {
    if !is_root() {
        return;
    }
    let folder = public();
    // The way to the root may be closed to others, as that to a folder in root's home is.
    let inner = folder_of(0o700);
    let root = inner.path().join("root");
    fs::create_dir(&root).unwrap();
    fs::set_permissions(&root, Permissions::from_mode(0o755)).unwrap();
    for root in [folder.path(), &root] {
        let bytes = random_file(&root.join("file"), 5, 1000);
        let mut command = program::command("trainyard");
        command.arg("serve").arg(root).args(["--workers", "2"]);
        command.args(["--http", "127.0.0.1:0", "--train", "none"]);
        let server = Server::as_whoever_it_chooses(command);
        assert_eq!(super::get(&server, "/file").body, bytes);
        for folder in all_of(&server) {
            assert_eq!(status_of(&folder, "Uid"), ["65534"; 4]);
        }
        assert!(server.log().contains("runs as user 65534"));
        server.stop();
    }
}

#[test]
fn a_user_that_cannot_be_is_refused() {
    if !is_root() {
        return;
    }
    let folder = public();
    let root = folder.path();
    for (given, words) in [
        ("no-such-user", &["no-such-user", "/etc/passwd"][..]),
        ("nobody:no-such-group", &["no-such-group", "/etc/group"]),
        ("4321", &["4321", "/etc/passwd", "4321:4321"]),
        ("nobody:4294967295", &["no group 4294967295"]),
        ("4294967295", &["no user 4294967295"]),
    ] {
        assert_refused(serve(root).args(["--user", given]), words);
    }
    // What the user may not read is not served, and that is told at the start.
    let hidden = folder_of(0o700);
    assert_refused(
        serve(hidden.path()).args(["--user", "nobody"]),
        &["permission denied", "65534", "--user"],
    );
    let socket = folder.path().join("socket");
    let unix = format!("unix:{}", socket.display());
    let missing = folder.path().join("missing");
    assert_refused(
        serve(&missing).args(["--user", "root", "--http", &unix]),
        &["no such folder"],
    );
    assert!(!socket.exists(), "a start that fails leaves nothing behind");
    let server = Server::http(hidden.path(), &[]);
    assert_eq!(
        super::get(&server, "/").status,
        200,
        "the tests' own option: root"
    );
    server.stop();
    for wrong in [":", "nobody:", ":nobody", "a:b:c", ""] {
        let (code, _, error) = run(&["serve", "--user", wrong]);
        assert_eq!(code, 2);
        assert!(error.contains("NAME or NAME:GROUP"), "{error}");
    }
}

/// Copies the program to where everybody can run it: the build's folder may be closed to others.
fn public_program(folder: &Path) -> PathBuf {
    let program = folder.join("trainyard");
    fs::copy(program::path("trainyard"), &program).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    program
}

#[test]
fn only_root_and_its_own_user_may_eject_a_servers_root() {
    if !is_root() || is_emulated() {
        return;
    }
    let folder = public();
    let program = public_program(folder.path());
    let server = Server::http(folder.path(), &["--user", "4321:4321"]);
    let eject = |user| {
        let mut command = Command::new(&program);
        command.arg("eject").arg(folder.path()).uid(user).gid(user);
        let _all_answer = while_all_answer();
        command.output().unwrap()
    };
    let output = eject(4322);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("run this as root"), "{error}");
    // Another's server does not keep a user from asking for its own.
    let mut command = Command::new(&program);
    command.args(["serve", ".", "--train", "none", "--http", "127.0.0.1:0"]);
    command.current_dir(folder.path()).uid(4322).gid(4322);
    let own = Server::as_whoever_it_chooses(command);
    assert_eq!(eject(4322).status.code(), Some(0));
    assert_eq!(super::get(&own, "/").status, 503);
    own.stop();
    assert_eq!(super::get(&server, "/").status, 200);
    for user in [4321, 0] {
        assert_eq!(eject(user).status.code(), Some(0));
        assert_eq!(super::get(&server, "/").status, 503);
        server.signal(Signal::SIGHUP);
        wait_until("the root", LIMIT, || super::get(&server, "/").status == 200);
    }
    server.stop();
}

#[test]
fn an_ordinary_user_needs_no_option() {
    if !is_root() || is_emulated() {
        return;
    }
    let folder = public();
    let program = public_program(folder.path());
    let serve = |options: &[&str]| {
        let mut command = Command::new(&program);
        command.args(["serve", ".", "--http", "127.0.0.1:0", "--train", "none"]);
        command.args(options);
        command.current_dir(folder.path()).uid(4321).gid(4321);
        command
    };
    assert_refused(serve(&[]).args(["--user", "root"]), &["only root"]);
    assert_refused(serve(&[]).args(["--user", "nobody"]), &["only root"]);
    if pool() == Pool::Thread {
        return;
    }
    for options in [&[][..], &["--user", "4321:4321"]] {
        let mut child = serve(options)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while line != "ready\n" {
            line.clear();
            let size = std::io::BufRead::read_line(&mut output, &mut line).unwrap();
            assert!(size > 0, "never ready");
        }
        let pid = child.id();
        assert_eq!(status_of(&format!("/proc/{pid}"), "NoNewPrivs"), ["1"]);
        kill(Pid::from_raw(pid as i32), Signal::SIGTERM).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}
