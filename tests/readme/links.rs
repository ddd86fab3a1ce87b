//! What the READMEs refer to must be there: where their links lead within the project, headings too, and the
//! files that the first column of a table names.

use std::path::Path;

/// Where the links of a text lead that stay within the project: the line, and the target as written.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut links = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for part in line.split("](").skip(1) {
            let (target, _) = part.split_once(')').expect("a link's end");
            if !target.starts_with("https://") {
                links.push((index + 1, target));
            }
        }
    }
    links
}

/// The names by which a code host knows the headings of a text.
fn anchors(text: &str) -> Vec<String> {
    let mut anchors = Vec::new();
    let mut is_code = false;
    for line in text.lines() {
        is_code ^= line.starts_with("```");
        if is_code || !line.starts_with('#') {
            continue;
        }
        let heading = line.trim_start_matches('#').trim();
        let letters = heading.to_lowercase().replace(' ', "-");
        let is_kept = |letter: &char| letter.is_alphanumeric() || "-_".contains(*letter);
        anchors.push(letters.chars().filter(is_kept).collect());
    }
    anchors
}

/// The files that the rows of tables are about: the line, and the path as written.
fn files(text: &str) -> Vec<(usize, &str)> {
    let mut files = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let Some(row) = line.strip_prefix("| ") else {
            continue;
        };
        let cell = row.split(" |").next().unwrap();
        // Every second piece stands between two backquotes.
        for word in cell.split('`').skip(1).step_by(2) {
            let is_path = word.ends_with('/') || word.contains('.');
            if is_path && !word.contains(['*', ' ']) && !word.starts_with('-') {
                files.push((index + 1, word));
            }
        }
    }
    files
}

/// Asserts that all links of the README `name` lead somewhere, and that its files are there. Returns
/// how many there are.
#[track_caller]
pub(super) fn check(top: &Path, name: &str, text: &str) -> usize {
    let links = links(text);
    for (line, target) in &links {
        let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
        let file = match path {
            "" => top.join(name),
            path => top.join(name).parent().unwrap().join(path),
        };
        assert!(file.exists(), "{name}:{line}: {target} is not there");
        if !anchor.is_empty() {
            let text = std::fs::read_to_string(&file).unwrap();
            let is_there = anchors(&text).iter().any(|other| other == anchor);
            assert!(is_there, "{name}:{line}: {target} has no such heading");
        }
    }
    let files = files(text);
    for (line, path) in &files {
        let file = top.join(name).parent().unwrap().join(path);
        assert!(file.exists(), "{name}:{line}: {path} is not there");
    }
    links.len() + files.len()
}

#[test]
fn headings_links_and_files_are_found() {
    let text =
        "# TLS and HTTP/2\n```sh\n# none\n```\n### Pi Zero, Pi 1\n[a](b.md#c), [d](https://e/f)\n";
    assert_eq!(anchors(text), ["tls-and-http2", "pi-zero-pi-1"]);
    assert_eq!(links(text), [(6, "b.md#c")]);
    let table = "| where | what |\n| --- | --- |\n| `a.rs`, `b/` | `c.rs` |\n| `--d` | `*.rs` |\n";
    assert_eq!(files(table), [(3, "a.rs"), (3, "b/")]);
}
