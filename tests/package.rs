//! The options' file that the Debian package brings: held against `--help`, and against the server. What
//! becomes of the whole package is told by tests/package/run.

use crate::common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use common::program;

/// An option as the file shows it.
struct Shown {
    value: String,
    /// Lines of text above it.
    told: usize,
}

fn file() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("board/package/trainyard.conf");
    fs::read_to_string(path).unwrap()
}

/// The options of the file; those behind a `#` without a blank are examples.
fn shown() -> BTreeMap<String, Shown> {
    let mut options = BTreeMap::new();
    let mut told = 0;
    for line in file().lines() {
        if line.is_empty() {
            told = 0;
        } else if line.starts_with("# ") || line == "#" {
            told += 1;
        } else {
            let (name, value) = line.trim_start_matches('#').split_once(" = ").unwrap();
            let value = value.into();
            let before = options.insert(name.into(), Shown { value, told });
            assert!(before.is_none(), "{name} is there twice");
        }
    }
    options
}

/// What `--help` says of each option, by the names of the file.
fn helped() -> BTreeMap<String, String> {
    let output = program::command("trainyard")
        .arg("--help")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let options = text.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("  --")?.split_once(' ')?;
        let name = name.strip_prefix("no-").unwrap_or(name);
        Some((name.to_string(), rest.to_string()))
    });
    // The second line of calls begins with the program's name, so it is none of these.
    let mut options: BTreeMap<_, _> = options.collect();
    assert!(options.len() > 10, "{text}");
    assert!(options.remove("config").is_some(), "{text}");
    options.insert("root".into(), String::new());
    options
}

#[test]
fn the_file_explains_every_option_of_help_and_no_other() {
    let (shown, helped) = (shown(), helped());
    let names: Vec<_> = shown.keys().collect();
    assert_eq!(names, helped.keys().collect::<Vec<_>>());
    for (name, option) in &shown {
        assert!(option.told > 0, "{name} is not explained");
    }
}

#[test]
fn a_default_that_the_file_shows_is_that_of_help() {
    let (shown, helped) = (shown(), helped());
    let mut compared = 0;
    for (name, text) in &helped {
        let value = &shown[name].value;
        // `sized (default) | raw`, or `(default 10)`.
        let word = match text.split_once(" (default)") {
            Some((before, _)) => before.split_whitespace().last(),
            None => match text.split_once("(default ") {
                Some((_, after)) => after.split(')').next(),
                None => None,
            },
        };
        if let Some(word) = word {
            assert_eq!(value, word, "{name}");
            compared += 1;
        }
    }
    assert!(compared >= 5, "only {compared} defaults are seen");
}

#[test]
fn the_server_takes_the_file_and_all_that_it_shows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trainyard.conf");
    let all = file()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(option) if !option.starts_with(' ') => option,
            _ => line,
        })
        .fold(String::new(), |text, line| text + line + "\n");
    assert_ne!(all, file());
    for text in [file(), all] {
        fs::write(&path, text).unwrap();
        let mut command = program::command("trainyard");
        let output = command
            .args(["budget", "--config"])
            .arg(&path)
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{error}");
    }
}
