//! The links of the READMEs: what is within the project must be there, a heading too.

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

/// Asserts that all links of the README `name` lead somewhere. Returns how many there are.
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
    links.len()
}

#[test]
fn headings_and_links_are_found() {
    let text =
        "# TLS and HTTP/2\n```sh\n# none\n```\n### Pi Zero, Pi 1\n[a](b.md#c), [d](https://e/f)\n";
    assert_eq!(anchors(text), ["tls-and-http2", "pi-zero-pi-1"]);
    assert_eq!(links(text), [(6, "b.md#c")]);
}
