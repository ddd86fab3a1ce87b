//! Root serves a folder of its own home, which nobody else may enter, without saying as whom.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;

use super::common::program::{self, is_emulated};
use super::common::server::{LIMIT, Server};
use super::common::{random_file, wait_until};
use super::user::{all_of, folder_of, is_root, low_port, public, status_of};

const NONE: [&str; 1] = ["0000000000000000"];

/// All processes and threads are user 0, and can do nothing that only root can.
#[track_caller]
fn assert_no_capabilities(server: &Server) {
    for folder in all_of(server) {
        assert_eq!(status_of(&folder, "Uid"), ["0"; 4]);
        assert!(status_of(&folder, "Groups").is_empty());
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(status_of(&folder, set), NONE, "{set}");
        }
        assert_eq!(status_of(&folder, "NoNewPrivs"), ["1"]);
    }
    assert_says_once(server, "as user 0 without any capability");
}

#[track_caller]
fn assert_runs_as(server: &Server, user: &str, group: &str) {
    for folder in all_of(server) {
        assert_eq!(status_of(&folder, "Uid"), [user; 4]);
        assert_eq!(status_of(&folder, "Gid"), [group; 4]);
        assert!(status_of(&folder, "Groups").is_empty());
        for set in ["CapPrm", "CapEff"] {
            assert_eq!(status_of(&folder, set), NONE, "{set}");
        }
        assert_eq!(status_of(&folder, "NoNewPrivs"), ["1"]);
    }
    assert_says_once(server, &format!("runs as user {user}"));
}

/// The line may be on its way still when the server does what it tells of.
#[track_caller]
fn assert_says_once(server: &Server, words: &str) {
    wait_until(words, LIMIT, || server.log().contains(words));
    assert_eq!(server.log().matches(words).count(), 1);
}

fn serve(root: &Path, options: &[&str]) -> Server {
    let mut command = program::command("trainyard");
    command.arg("serve").arg(root).args(["--workers", "2"]);
    command.args(["--http", "127.0.0.1:0", "--train", "none"]);
    command.args(options);
    Server::as_whoever_it_chooses(command)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A folder in a home, each with its owner, neither open to others.
fn home_of(user: u32) -> (tempfile::TempDir, PathBuf) {
    let home = folder_of(0o700);
    let root = home.path().join("yard");
    fs::create_dir(&root).unwrap();
    set_mode(&root, 0o700);
    for path in [home.path(), &root] {
        chown(path, Some(user), None).unwrap();
    }
    (home, root)
}

/// The words of the README, in a name space that has a home of root's of its own.
#[test]
fn root_serves_a_folder_of_its_home() {
    const SCRIPT: &str = "set -e
        exec 9<\"$1\"
        umask 077
        mount -t tmpfs -o mode=0700 home /root
        mkdir /root/yard
        cd /root/yard
        echo bytes >file
        shift
        exec /proc/self/fd/9 \"$@\"";
    if !is_root() || is_emulated() {
        return;
    }
    let permitted = Command::new("unshare").args(["--mount", "true"]).status();
    if !permitted.unwrap().success() {
        eprintln!("left out, it needs name spaces");
        return;
    }
    let address = format!("127.0.0.1:{}", low_port());
    let mut command = Command::new("unshare");
    command.args(["--mount", "--", "sh", "-c", SCRIPT, "sh"]);
    command.arg(program::path("trainyard"));
    command.args(["serve", ".", "--workers", "2", "--train", "none"]);
    command.args(["--http", "127.0.0.1:0", "--http", &address]);
    let server = Server::as_whoever_it_chooses(command);
    assert_eq!(server.addresses[1].to_string(), address);
    let get = || super::get(&server, "/file");
    assert_eq!(get().body, b"bytes\n");
    assert_no_capabilities(&server);

    // Another folder takes its place, and is found by its path.
    let home = PathBuf::from(format!("/proc/{}/root/root", server.pid()));
    fs::rename(home.join("yard"), home.join("before")).unwrap();
    fs::create_dir(home.join("yard")).unwrap();
    set_mode(&home.join("yard"), 0o700);
    fs::write(home.join("yard/file"), b"others").unwrap();
    assert_eq!(get().body, b"bytes\n");
    server.signal(Signal::SIGHUP);
    wait_until("the other folder", LIMIT, || get().body == b"others");
    // What root may read only because it is root is out of reach.
    fs::write(home.join("yard/foreign"), b"closed").unwrap();
    set_mode(&home.join("yard/foreign"), 0o600);
    chown(home.join("yard/foreign"), Some(1), Some(1)).unwrap();
    assert_eq!(super::get(&server, "/foreign").status, 403);
    server.stop();
}

#[test]
fn a_folder_that_is_its_owners_alone_is_served_by_the_owner() {
    if !is_root() || is_emulated() {
        return;
    }
    // Known to every system, and known to none.
    for (user, group) in [(1, "1"), (4321, "65534")] {
        let (_home, root) = home_of(user);
        let bytes = random_file(&root.join("file"), 8, 1000);
        set_mode(&root.join("file"), 0o600);
        chown(root.join("file"), Some(user), None).unwrap();
        let server = serve(&root, &[]);
        assert_eq!(super::get(&server, "/file").body, bytes);
        assert_runs_as(&server, &user.to_string(), group);
        server.stop();
    }
}

#[test]
fn root_that_says_so_keeps_its_rights() {
    if !is_root() || is_emulated() {
        return;
    }
    let (_home, root) = home_of(0);
    let server = serve(&root, &["--user", "root"]);
    let own = status_of("/proc/self", "CapEff");
    for folder in all_of(&server) {
        assert_eq!(status_of(&folder, "CapEff"), own);
    }
    assert!(!server.log().contains("capability"), "{}", server.log());
    server.stop();
}

#[test]
fn what_is_pushed_must_be_readable_too() {
    if !is_root() || is_emulated() {
        return;
    }
    let (home, _) = home_of(0);
    let pushed = home.path().join("pushed");
    fs::write(&pushed, b"bytes").unwrap();
    let config = home.path().join("options");
    fs::write(&config, format!("push = {}\n", pushed.display())).unwrap();
    set_mode(&config, 0o600);
    let root = public();
    let server = serve(root.path(), &["--config", config.to_str().unwrap()]);
    assert_no_capabilities(&server);
    server.stop();
    let server = serve(root.path(), &[]);
    assert_runs_as(&server, "65534", "65534");
    server.stop();
}

#[test]
fn the_way_to_what_is_waited_for_must_be_open() {
    if !is_root() || is_emulated() {
        return;
    }
    for user in [0, 4321] {
        let (_home, root) = home_of(user);
        let card = root.join("card");
        let server = serve(&card, &["--wait-root"]);
        match user {
            0 => assert_no_capabilities(&server),
            _ => assert_runs_as(&server, "4321", "65534"),
        }
        assert_eq!(super::get(&server, "/file").status, 503);
        fs::create_dir(&card).unwrap();
        let bytes = random_file(&card.join("file"), 9, 1000);
        wait_until("the card", LIMIT, || {
            super::get(&server, "/file").body == bytes
        });
        server.stop();
    }
    // Where all may pass, what is waited for is nobody's business but nobody's.
    let above = public();
    let server = serve(&above.path().join("card"), &["--wait-root"]);
    for folder in all_of(&server) {
        assert_eq!(status_of(&folder, "Uid"), ["65534"; 4]);
    }
    server.stop();
}
