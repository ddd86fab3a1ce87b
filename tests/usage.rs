//! The command line: what is printed, which exit code, and one line that says what to do.

mod common;

use std::io::Write;
use std::process::Command;

use common::ask::ask;
use common::program;
use common::random_file;
use common::server::{Server, run};

#[track_caller]
fn assert_fails(arguments: &[&str], code: i32, named: &str) {
    let (got, out, err) = run(arguments);
    assert_eq!(got, code, "{arguments:?}: {err}");
    assert_eq!(out, "", "{arguments:?}");
    assert_eq!(err.lines().count(), 1, "{arguments:?}: {err}");
    assert!(
        err.starts_with("trainyard: ") && err.contains(named),
        "{arguments:?}: {err}"
    );
}

#[test]
fn wrong_usage_is_two() {
    assert_fails(&[], 2, "serve");
    assert_fails(&["sevre"], 2, "sevre");
    assert_fails(&["serve", "--bogus"], 2, "--bogus");
    assert_fails(&["serve", "--workers"], 2, "--workers");
    assert_fails(&["serve", "--workers", "0"], 2, "--workers 0");
    assert_fails(&["serve", "--workers", "100000"], 2, "--workers 100000");
    assert_fails(&["serve", "--per-worker", "x"], 2, "--per-worker x");
    assert_fails(
        &["serve", "--workers", "2", "--per-worker", "8192"],
        2,
        "connections",
    );
    assert_fails(&["serve", "--train", "nowhere:1"], 2, "nowhere:1");
    assert_fails(&["serve", "--train", "none"], 2, "none");
    assert_fails(&["serve", "--push-form", "cars"], 2, "cars");
    assert_fails(&["serve", "--pool", "swimming"], 2, "swimming");
    assert_fails(&["serve", "--log", "loud"], 2, "loud");
    assert_fails(&["serve", "a", "b"], 2, "b");
}

#[test]
fn what_cannot_be_served_is_one() {
    let root = tempfile::tempdir().unwrap();
    let root_text = root.path().to_str().unwrap();
    let file = root.path().join("file");
    random_file(&file, 1, 10);
    let file = file.to_str().unwrap();
    let missing = format!("{root_text}/missing");
    assert_fails(&["serve", &missing, "--train", "0"], 1, &missing);
    assert_fails(&["serve", file, "--train", "0"], 1, "not a folder");
    assert_fails(
        &["serve", root_text, "--train", "0", "--push", &missing],
        1,
        "no such file",
    );
    assert_fails(
        &["serve", root_text, "--train", "0", "--push", root_text],
        1,
        "folder",
    );
    let server = Server::start(root.path(), &["--workers", "1", "--per-worker", "2"]);
    let taken = server.address().to_string();
    let few = ["--workers", "1", "--per-worker", "2"];
    assert_fails(
        &[&["serve", root_text, "--train", &taken][..], &few].concat(),
        1,
        "in use",
    );
    server.stop();
}

#[test]
fn a_limit_of_open_files_that_is_too_low_is_said() {
    let root = tempfile::tempdir().unwrap();
    // An ordinary user cannot raise a hard limit; where the test is one already, no change is needed.
    let words = program::runner().join(" ");
    let path = program::path("trainyard");
    let copy = root.path().join("trainyard");
    std::fs::copy(path, &copy).unwrap();
    let script = format!(
        "chmod 755 {0}; ulimit -n 200; exec $AS {words} {0}/trainyard serve {0} --train 127.0.0.1:0 --per-worker 500 --workers 2",
        root.path().display()
    );
    let user = if nix::unistd::geteuid().is_root() {
        "setpriv --reuid 65534 --clear-groups"
    } else {
        ""
    };
    let output = Command::new("sh")
        .args(["-c", &script])
        .env("AS", user)
        .output()
        .unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(
        err.contains("open files") && err.contains("200") && err.contains("--per-worker"),
        "{err}"
    );
    assert_eq!(err.lines().count(), 1, "{err}");
}

#[test]
fn help_and_version_say_what_this_is() {
    let (code, out, err) = run(&["--help"]);
    assert_eq!((code, err.as_str()), (0, ""));
    for option in [
        "--train",
        "--push",
        "--push-form",
        "--pool",
        "--workers",
        "--per-worker",
        "--drain",
        "--log",
        "--json",
    ] {
        assert!(out.contains(option), "{option}");
    }
    assert_eq!(run(&["serve", "--help"]).1, out);
    let (code, out, _) = run(&["--version"]);
    assert_eq!(code, 0);
    assert!(
        out.contains(env!("CARGO_PKG_VERSION"))
            && out.contains("board generic")
            && out.contains("8192 connections"),
        "{out}"
    );
}

#[test]
fn listeners_are_printed_in_order_and_all_serve() {
    let root = tempfile::tempdir().unwrap();
    let bytes = random_file(&root.path().join("file"), 1, 1234);
    let few = ["--workers", "1", "--per-worker", "8"];
    let server = Server::start(
        root.path(),
        &[
            &[
                "--train",
                "[::1]:0",
                "--train",
                "localhost:0",
                "--train",
                ":0",
            ][..],
            &few,
        ]
        .concat(),
    );
    assert!(server.addresses.len() >= 4, "{:?}", server.addresses);
    assert!(server.addresses[0].is_ipv4() && server.addresses[1].is_ipv6());
    for address in &server.addresses {
        assert_ne!(address.port(), 0);
        let mut targets = vec![*address];
        if address.ip().is_unspecified() {
            targets = vec![
                ([127, 0, 0, 1], address.port()).into(),
                ("::1".parse::<std::net::IpAddr>().unwrap(), address.port()).into(),
            ];
        }
        for target in targets {
            let mut stream = std::net::TcpStream::connect(target).unwrap();
            assert_eq!(
                ask(&mut stream, b"file", &[]).unwrap().data,
                bytes,
                "{target}"
            );
            let _ = stream.flush();
        }
    }
    server.stop();
}

/// The numbers that follow `key` in a JSON text.
fn numbers(json: &str, key: &str) -> Vec<u64> {
    let digits = |rest: &str| {
        rest.chars()
            .take_while(char::is_ascii_digit)
            .collect::<String>()
    };
    json.split(&format!("\"{key}\":"))
        .skip(1)
        .map(|rest| digits(rest).parse().unwrap())
        .collect()
}

#[test]
fn the_budget_adds_up() {
    for options in [
        &["--workers", "2"][..],
        &["--workers", "16"],
        &["--workers", "1", "--per-worker", "1"],
    ] {
        let (code, json, _) = run(&[&["budget", "--json"][..], options].concat());
        assert_eq!(code, 0);
        for key in ["reserved_bytes", "resident_bytes"] {
            let mut all = numbers(&json, key);
            let total = all.pop().unwrap();
            assert!(
                all.len() > 5 && all.iter().sum::<u64>() == total,
                "{key}: {json}"
            );
        }
        let (code, text, _) = run(&[&["budget"][..], options].concat());
        let total = numbers(&json, "resident_bytes").pop().unwrap().to_string();
        assert!(code == 0 && text.contains(&total), "{text}");
    }
    let connections = |workers: &str| {
        numbers(
            &run(&["budget", "--json", "--workers", workers]).1,
            "connections",
        )[0]
    };
    for workers in ["1", "2", "3", "5", "7", "16"] {
        assert!(connections(workers) >= 8192, "at any number of workers");
    }
}
