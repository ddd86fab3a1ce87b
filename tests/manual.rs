//! The man pages in board/man: held against what the programs say of themselves, and the bytes that
//! train(7) shows against the server. tests/readme.rs runs their commands, and looks at their markup.

use crate::common;
#[path = "manual/exchange.rs"]
mod exchange;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use common::program;
use exchange::exchanges;

/// Pages of other packages that ours may refer to.
const FOREIGN: [&str; 5] = [
    "sd_listen_fds 3",
    "sd_notify 3",
    "systemd 1",
    "udev 7",
    "umount 8",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("board/man")
}

fn page(name: &str) -> String {
    fs::read_to_string(folder().join(name)).unwrap()
}

fn help_of(program: &str) -> String {
    let output = program::command(program).arg("--help").output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// The options that `--help` lists, as `--http ADDR`, and what it says of each.
fn helped(program: &str) -> BTreeMap<String, String> {
    let help = help_of(program);
    let mut options: BTreeMap<String, String> = BTreeMap::new();
    let mut last = None;
    for line in help.lines() {
        match line.strip_prefix("  ") {
            Some(option) if option.starts_with('-') => {
                let (option, text) = option.split_once("  ").unwrap();
                options.insert(option.into(), text.into());
                last = Some(option.to_owned());
            }
            // What an option's text goes on with stands further in.
            Some(text) if text.starts_with("    ") => {
                let option = last.as_ref().expect("a text of an option");
                *options.get_mut(option).unwrap() += text;
            }
            _ => last = None,
        }
    }
    assert!(options.len() > 5, "{help}");
    // Those that stand alone are named among the ways to call the program.
    for word in help.split([' ', '[', ']', '\n', ',']) {
        let is_known = options.keys().any(|option| option.starts_with(word));
        if word.starts_with("--") && word[2..].bytes().all(is_of_a_name) && !is_known {
            options.insert(word.into(), String::new());
        }
    }
    options
}

fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte == b'-'
}

/// The items of a page's lists whose head begins with `mark`, by that head as a reader sees it, and their
/// text.
fn items(page: &str, mark: &str) -> BTreeMap<String, String> {
    let mut items: BTreeMap<String, String> = BTreeMap::new();
    let mut last = None;
    for line in page.lines() {
        if let Some(head) = line.strip_prefix(".It ") {
            last = head.starts_with(mark).then(|| shown(head));
            if let Some(head) = &last {
                let before = items.insert(head.clone(), String::new());
                assert!(before.is_none(), "{head} is there twice");
            }
        } else if line.starts_with(".El") {
            last = None;
        } else if let Some(head) = &last {
            *items.get_mut(head).unwrap() += &format!("{line}\n");
        }
    }
    items
}

/// `Fl -http Ar ADDR` as it is rendered: `--http ADDR`.
fn shown(head: &str) -> String {
    let mut words = head.split(' ');
    let mut shown = Vec::new();
    while let Some(word) = words.next() {
        match word {
            "Fl" => shown.push(format!("-{}", words.next().unwrap())),
            "Ar" | "Cm" => {}
            word => shown.push(word.to_owned()),
        }
    }
    shown.join(" ")
}

/// The words that tell a default: those with digits or a dot behind `default`, and the one before `(default)`.
fn default_words(help: &str) -> Vec<&str> {
    if let Some((before, _)) = help.split_once(" (default)") {
        return before.split(' ').next_back().into_iter().collect();
    }
    let after = help.split_once("default").map_or("", |(_, after)| after);
    let words = after.split([' ', ',', ';', ':', ')']);
    words
        .filter(|word| word.contains(|letter: char| letter.is_ascii_digit() || letter == '.'))
        .collect()
}

#[track_caller]
fn assert_tells_default(name: &str, help: &str, text: &str) -> usize {
    let words: Vec<&str> = text
        .split_whitespace()
        .map(|word| word.trim_matches(['.', ',', '(', ')']))
        .collect();
    let expected = default_words(help);
    if !expected.is_empty() {
        assert!(words.contains(&"default"), "{name} tells no default");
    }
    for word in &expected {
        assert!(words.contains(word), "{name}: {word} is not in its item");
    }
    expected.len()
}

#[test]
fn every_option_of_help_has_its_item_and_no_other() {
    let mut defaults = 0;
    for (program, page_name) in [("trainyard", "trainyard.1"), ("train-get", "train-get.1")] {
        let (helped, items) = (helped(program), items(&page(page_name), "Fl "));
        assert_eq!(
            items.keys().collect::<Vec<_>>(),
            helped.keys().collect::<Vec<_>>(),
            "{page_name}, and --help"
        );
        for (option, text) in &items {
            assert!(!text.trim().is_empty(), "{option} is not explained");
            defaults += assert_tells_default(option, &helped[option], text);
        }
    }
    assert!(defaults >= 8, "only {defaults} words of defaults are seen");
}

#[test]
fn every_command_has_its_item() {
    let help = help_of("trainyard");
    let calls = help.lines().filter_map(|line| {
        let call = line.strip_prefix("  trainyard ")?;
        call.split(' ').next()
    });
    let calls: BTreeSet<_> = calls.filter(|word| !word.starts_with('-')).collect();
    assert!(calls.len() >= 3, "{help}");
    let page = page("trainyard.1");
    let items = items(&page, "Cm ");
    for command in calls {
        assert!(items.contains_key(command), "{command}");
    }
}

#[test]
fn every_option_of_a_file_has_its_item_and_no_other() {
    let helped: BTreeMap<String, String> = helped("trainyard")
        .into_iter()
        .map(|(option, text)| {
            let name = option.trim_start_matches('-').split(' ').next().unwrap();
            (name.strip_prefix("no-").unwrap_or(name).to_owned(), text)
        })
        .collect();
    let items = items(&page("trainyard.conf.5"), "Cm ");
    let mut names: BTreeSet<&str> = helped.keys().map(String::as_str).collect();
    // These are for the command line only.
    for name in ["config", "json", "help", "version"] {
        assert!(names.remove(name), "{name}");
    }
    names.insert("root");
    let in_page: BTreeSet<&str> = items.keys().map(String::as_str).collect();
    assert_eq!(in_page, names);
    for (name, text) in &items {
        assert!(!text.trim().is_empty(), "{name} is not explained");
        let help = helped.get(name).map_or("", String::as_str);
        assert_tells_default(name, help, text);
    }
}

#[test]
fn the_server_takes_the_file_that_the_page_shows() {
    let page = page("trainyard.conf.5");
    let (_, rest) = page.split_once(".Bd -literal").unwrap();
    let (example, _) = rest.split_once(".Ed").unwrap();
    let (_, example) = example.split_once('\n').unwrap();
    assert!(example.contains("\nroot = "), "{example}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trainyard.conf");
    fs::write(&file, example).unwrap();
    let output = program::command("trainyard")
        .args(["budget", "--config"])
        .arg(&file)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
}

#[test]
fn every_page_that_is_referred_to_is_there() {
    let mut referred = BTreeSet::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        for line in page(&name).lines() {
            let Some(reference) = line.strip_prefix(".Xr ") else {
                continue;
            };
            let mut words = reference.split(' ');
            let (Some(page), Some(section)) = (words.next(), words.next()) else {
                panic!("{name}: {line}");
            };
            let is_ours = folder().join(format!("{page}.{section}")).exists();
            if !is_ours {
                referred.insert(format!("{page} {section}"));
            }
        }
    }
    assert_eq!(
        Vec::from_iter(&referred),
        FOREIGN.iter().collect::<Vec<_>>()
    );
}

#[test]
fn the_server_and_its_clients_say_what_the_protocol_page_shows() {
    let exchanges = exchanges(&page("train.7"));
    let forms: Vec<&str> = exchanges
        .iter()
        .filter(|exchange| exchange.client.is_empty())
        .map(|exchange| &exchange.title[..])
        .collect();
    assert_eq!(forms, ["sized", "raw", "raw-end", "plain"]);
    assert!(exchanges.len() >= forms.len() + 4, "the requests");
    let folder = exchange::folder();
    for exchange in &exchanges {
        exchange.play(folder.path());
    }
}
