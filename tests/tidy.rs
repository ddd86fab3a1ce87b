//! Holds the code to its own rules: layers that only point down, sizes that one can read in a
//! sitting, `unsafe` in one place, no file that nothing uses.

mod imports;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a file, and of a function.
const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

const TOP_LEVEL: [&str; 14] = [
    ".cargo",
    ".ci",
    ".git",
    ".gitignore",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "Cross.toml",
    "LICENSE",
    "README.md",
    "board",
    "findings",
    "src",
    "tests",
];

struct Source {
    /// From the project's top.
    path: PathBuf,
    text: String,
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folders: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = folders.iter().map(|folder| top().join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // What cargo-fuzz builds is not part of the project.
                if !path.ends_with("target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push(Source {
                    path: path.strip_prefix(top()).unwrap().into(),
                    text,
                });
            }
        }
    }
    assert!(!found.is_empty());
    found
}

/// The modules of `lib.rs`, top down.
fn layers() -> Vec<String> {
    let lib = fs::read_to_string(top().join("src/lib.rs")).unwrap();
    let module = |line: &str| {
        Some(
            line.strip_prefix("pub mod ")?
                .split(';')
                .next()?
                .to_string(),
        )
    };
    lib.lines().filter_map(module).collect()
}

/// The words that follow `prefix` in the text, comments left out.
fn words_after(text: &str, prefix: &str) -> BTreeSet<String> {
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split(prefix).skip(1).map(word).collect::<Vec<_>>())
        .collect()
}

fn word(text: &str) -> String {
    text.chars()
        .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
        .collect()
}

#[test]
fn a_module_uses_only_those_below_it() {
    let layers = layers();
    assert!(layers.len() > 8, "lib.rs lists the modules, one a line");
    let mut uses = 0;
    for source in sources(&["src"]) {
        let mut parts = source
            .path
            .iter()
            .skip(1)
            .map(|part| part.to_str().unwrap());
        let module = parts.next().unwrap().trim_end_matches(".rs");
        let Some(own) = layers.iter().position(|layer| layer == module) else {
            assert!(
                ["lib", "main", "bin", "build"].contains(&module),
                "{module} is not in lib.rs"
            );
            continue;
        };
        for used in words_after(&source.text, "crate::") {
            let place = layers.iter().position(|layer| *layer == used);
            let place = place.unwrap_or_else(|| panic!("{}: crate::{used}", source.path.display()));
            assert!(
                place >= own,
                "{}: {module} uses {used}, which is above it",
                source.path.display()
            );
            uses += 1;
        }
    }
    assert!(uses > 20, "the uses are not seen any more");
}

#[test]
fn the_client_uses_the_protocol_and_the_first_process_system_calls_only() {
    for (program, module) in [("train-get", "train"), ("init", "sys")] {
        for source in sources(&[&format!("src/bin/{program}")]) {
            for used in words_after(&source.text, "trainyard::") {
                assert_eq!(used, module, "{}", source.path.display());
            }
        }
    }
}

#[test]
fn files_and_functions_are_short() {
    let mut functions = 0;
    for source in sources(&["src", "board", "tests"]) {
        let lines: Vec<&str> = source.text.lines().collect();
        let shown = source.path.display();
        assert!(
            lines.len() <= FILE_LINES_MAX,
            "{shown} has {} lines",
            lines.len()
        );
        for (start, line) in lines.iter().enumerate() {
            let Some(indent) = indent_of_function(line) else {
                continue;
            };
            // A trait's function may have no body.
            let ends = |line: &&&str| line.ends_with(['{', ';', '}']);
            if lines[start..]
                .iter()
                .find(ends)
                .is_some_and(|end| end.ends_with(';'))
            {
                continue;
            }
            let close = format!("{}}}", " ".repeat(indent));
            let body = lines[start..]
                .iter()
                .position(|line| **line == close || line.ends_with("{}"));
            let Some(body) = body else { continue };
            functions += 1;
            assert!(
                body < FUNCTION_LINES_MAX,
                "{shown}:{} is a function of {} lines",
                start + 1,
                body + 1
            );
        }
    }
    assert!(functions > 100, "the functions are not seen any more");
}

/// Where a function begins that has a body, the blanks before it.
fn indent_of_function(line: &str) -> Option<usize> {
    let code = line.trim_start();
    let before = code
        .split("fn ")
        .next()
        .filter(|before| before.len() < code.len())?;
    let is_function = before
        .split_whitespace()
        .all(|word| word.starts_with("pub") || ["const", "unsafe", "async"].contains(&word));
    (is_function && !code.ends_with(';')).then_some(line.len() - code.len())
}

#[test]
fn unsafe_code_stands_in_sys_and_memory_only() {
    let keyword = ["un", "safe"].concat();
    for source in sources(&["src", "board"]) {
        let allowed =
            source.path.starts_with("src/sys") || source.path == Path::new("src/memory.rs");
        let uses = words(&source.text).any(|word| word == keyword);
        assert!(allowed || !uses, "{}", source.path.display());
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split(|letter: char| !letter.is_alphanumeric() && letter != '_'))
}

#[test]
fn no_file_is_dead() {
    let all = sources(&["src", "board"]);
    for source in &all {
        if [
            "src/lib.rs",
            "src/main.rs",
            "src/build.rs",
            "src/bin/train-get/main.rs",
            "src/bin/init/main.rs",
        ]
        .iter()
        .any(|root| source.path == Path::new(root))
        {
            continue;
        }
        let stem = source.path.file_stem().unwrap().to_str().unwrap();
        let name = if stem == "mod" {
            source
                .path
                .parent()
                .unwrap()
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
        } else {
            stem
        };
        let by_name = format!("mod {name};");
        let by_path = format!("{name}.rs\"]");
        let used = all
            .iter()
            .any(|other| other.text.contains(&by_name) || other.text.contains(&by_path));
        assert!(used, "{} is used by nothing", source.path.display());
    }
}

/// Cargo takes no file of tests/ for a program by itself, so that each is a part of one that is named.
#[test]
fn no_test_is_left_out() {
    let manifest = fs::read_to_string(top().join("Cargo.toml")).unwrap();
    let roots = ["tests/suite.rs", "tests/tools.rs"];
    let roots = roots.map(|root| fs::read_to_string(top().join(root)).unwrap());
    for entry in fs::read_dir(top().join("tests")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let is_program = manifest.contains(&format!("[[test]]\nname = \"{stem}\"\n"));
        let module = format!("mod {stem};");
        let is_part = roots
            .iter()
            .any(|root| root.lines().any(|line| line.starts_with(&module)));
        assert!(
            is_program || is_part,
            "{} is part of no program",
            path.display()
        );
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for source in sources(&["src", "board", "tests"]) {
        let is_tests = source.path.ends_with("tests.rs") && source.path.starts_with("src");
        assert!(
            is_tests || source.text.starts_with("//!"),
            "{}",
            source.path.display()
        );
    }
}

#[test]
fn the_top_level_is_what_was_agreed() {
    for entry in fs::read_dir(top()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        // What .gitignore names is not part of the project.
        let known = TOP_LEVEL.contains(&name.as_str()) || name.starts_with("target");
        assert!(known, "{name} at the top level");
    }
}
