//! `--config`: the same options from a file.

use std::fs;
use std::path::{Path, PathBuf};

use super::common::program;
use super::common::random_file;
use super::common::server::{Server, run};

/// A folder with a file of options, which begins with a root beside it.
fn folder_with(options: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fs::create_dir(&root).unwrap();
    let config = folder.path().join("trainyard.conf");
    let text = format!("root = {}\n{options}", root.display());
    fs::write(&config, text).unwrap();
    (folder, config)
}

/// `serve` with a file of options, and with these.
fn serve(config: &Path, options: &[&str]) -> Server {
    let mut command = program::command("trainyard");
    command
        .arg("serve")
        .arg("--config")
        .arg(config)
        .args(options);
    Server::from_command(command)
}

#[test]
fn a_file_says_what_the_command_line_can() {
    let options = "\n# a comment\n  train=none\r\nhttp = 127.0.0.1:0\nhttp = 127.0.0.2:0\n\
                   listing = no\ndotfiles = yes\nheader = X-From: file = # here\nworkers = 1\n";
    let (folder, config) = folder_with(options);
    let bytes = random_file(&folder.path().join("root/.file"), 1, 1000);
    let server = serve(&config, &[]);
    assert_eq!(server.addresses.len(), 2);
    assert_eq!(server.addresses[1].ip().to_string(), "127.0.0.2");
    let answer = super::get(&server, "/.file");
    assert_eq!(answer.body, bytes);
    assert_eq!(answer.field("x-from"), Some("file = # here"));
    assert_eq!(super::get(&server, "/").status, 403);
    server.stop();
}

#[test]
fn the_command_line_wins() {
    let options = "train = 127.0.0.3:0\nhttp = 127.0.0.2:0\nlisting = no\nworkers = 1\n\
                   dotfiles = yes\nheader = X-From: file\nindex = one\n";
    let (folder, config) = folder_with(options);
    random_file(&folder.path().join("root/.file"), 2, 10);
    let switches = ["--no-dotfiles", "--listing", "--train", "none"];
    let repeated = ["--http", "127.0.0.1:0", "--header", "X-By: line"];
    let server = serve(&config, &[&switches[..], &repeated].concat());
    let ips: Vec<_> = server
        .addresses
        .iter()
        .map(|address| address.ip())
        .collect();
    assert_eq!(ips, ["127.0.0.1".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(super::get(&server, "/.file").status, 404);
    let listing = super::get(&server, "/");
    assert_eq!(listing.status, 200);
    assert_eq!(listing.field("x-by"), Some("line"));
    assert_eq!(
        listing.field("x-from"),
        None,
        "all of the file's are replaced"
    );
    server.stop();

    let other = folder.path().join("other");
    fs::create_dir(&other).unwrap();
    let bytes = random_file(&other.join("file"), 3, 1000);
    let server = serve(&config, &[other.to_str().unwrap(), "--train", "none"]);
    assert_eq!(super::get(&server, "/file").body, bytes);
    server.stop();
}

#[test]
fn budget_reads_it_too() {
    let (_folder, config) = folder_with("workers = 3\nper-worker = 70\n");
    let config = config.to_str().unwrap();
    let given = run(&["budget", "--config", config]);
    let same = run(&["budget", "--workers", "3", "--per-worker", "70"]);
    assert_eq!(given, same);
    let won = run(&["budget", "--config", config, "--workers", "2"]);
    assert_eq!(
        won,
        run(&["budget", "--workers", "2", "--per-worker", "70"])
    );
    assert_ne!(won, given);
}

#[test]
fn errors_name_file_and_line() {
    let (folder, config) = folder_with("");
    let config = config.to_str().unwrap();
    let refused = |words: &[&str]| {
        let (code, out, error) = run(&["budget", "--config", config]);
        assert_eq!((code, &out[..]), (2, ""), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        for word in words {
            assert!(error.contains(word), "{word:?} is not in {error:?}");
        }
    };
    let at = |line: usize| format!("trainyard: {config}:{line}: ");
    for (line, word) in [
        ("workers = two", "workers two: must be"),
        ("wrokers = 2", "wrokers: no such option"),
        ("config = other", "config: no such option"),
        ("json = yes", "json: no such option"),
        ("no-listing = yes", "no-listing: no such option"),
        ("listing = maybe", "listing maybe: must be yes or no"),
        ("listing", "name = value"),
        ("http =", "http: has no value"),
        ("http = example.org:80", "http example.org:80"),
        ("header = Date: now", "header"),
        ("index = a/b", "index a/b"),
    ] {
        fs::write(config, format!("# first\n\n{line}\n")).unwrap();
        refused(&[&at(3), word]);
    }
    fs::write(config, "root = a\nhttp = 1\nhttp = 2\n# root\nroot = b\n").unwrap();
    refused(&[&at(5), &format!("root: is there already: {config}:1")]);
    for (bytes, word) in [
        (&b"root = a\0b\n"[..], "root: has a NUL"),
        (b"= x\n", "has no name"),
    ] {
        fs::write(config, bytes).unwrap();
        refused(&[&at(1), word]);
    }
    // What shows only when the server starts.
    for (line, word) in [
        ("user = no-such-user", "user no-such-user: no user"),
        ("root = /no/such/folder", "/no/such/folder: no such folder"),
        ("push = /no/such/file", "push /no/such/file: no such file"),
    ] {
        // With the mark that some editors put in front.
        fs::write(config, format!("\u{feff}# first\n{line}\n")).unwrap();
        let mut options = vec!["serve", "--config", config];
        options.extend(["--http", "127.0.0.1:0", "--train", "none"]);
        if !line.starts_with("user") && nix::unistd::geteuid().is_root() {
            options.extend(["--user", "root"]);
        }
        let mut command = program::command("trainyard");
        let output = command.args(&options).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(&(at(2) + word)), "{error}");
    }
    fs::write(config, vec![b'#'; 1 << 20]).unwrap();
    refused(&["--config", config, "at most"]);
    fs::remove_file(config).unwrap();
    refused(&["--config", config, "No such file"]);
    fs::create_dir(folder.path().join("trainyard.conf")).unwrap();
    refused(&["--config", config, "directory"]);
}
