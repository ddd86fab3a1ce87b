//! Which files use which, as far as `use` and paths say: no circle of files inside a module, and what a
//! type does stands with the type.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{sources, word};

/// Where a file stands in the tree of modules: the crate, then its modules.
type Module = Vec<String>;

struct File {
    path: PathBuf,
    code: String,
    /// Paths that its `use` lines name, and those of them that it gives on to others, by their names.
    uses: Vec<String>,
    exports: BTreeMap<String, String>,
    children: BTreeSet<String>,
}

/// All files of `src`, but for tests.
fn files() -> BTreeMap<Module, File> {
    let is_code = |path: &Path| {
        let stems = path.iter().filter_map(|part| Path::new(part).file_stem());
        stems
            .into_iter()
            .all(|stem| stem != "tests" && stem != "testing")
    };
    sources(&["src"])
        .into_iter()
        .filter(|source| is_code(&source.path))
        .map(|source| {
            (
                module_of(&source.path),
                File::new(source.path, &source.text),
            )
        })
        .collect()
}

fn module_of(path: &Path) -> Module {
    let path = path.strip_prefix("src").unwrap().with_extension("");
    let mut parts: Module = path
        .iter()
        .map(|part| part.to_str().unwrap().to_string())
        .collect();
    let name = if parts[0] == "bin" {
        parts.drain(..2).collect::<Vec<_>>().join("/")
    } else {
        "lib".into()
    };
    if ["mod", "main", "lib"].contains(&parts.last().unwrap().as_str()) {
        parts.pop();
    }
    parts.insert(0, name);
    parts
}

impl File {
    fn new(path: PathBuf, text: &str) -> Self {
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let lines = text.lines().map(|line| match line.split_once("//") {
            Some((code, _)) if !code.contains('"') => code,
            _ => line,
        });
        let all = lines.collect::<Vec<_>>().join("\n") + "\n";
        let (mut code, mut uses) = (String::new(), Vec::new());
        let (mut exports, mut children) = (BTreeMap::new(), BTreeSet::new());
        let mut rest = all.as_str();
        while let Some((line, behind)) = rest.split_once('\n') {
            let (is_given_on, item) = without_visibility(line);
            if let Some(name) = item.strip_prefix("mod ") {
                children.insert(word(name));
            }
            if !item.starts_with("use ") {
                code.push_str(line);
                code.push('\n');
                rest = behind;
                continue;
            }
            let (tree, behind) = rest.split_once(';').expect("a use ends");
            let tree = without_visibility(tree).1.trim_start_matches("use ");
            for path in expanded(tree) {
                if is_given_on {
                    let name = path.rsplit("::").next().unwrap().to_string();
                    exports.insert(name, path);
                } else {
                    uses.push(path);
                }
            }
            rest = behind;
        }
        Self {
            path,
            code,
            uses,
            exports,
            children,
        }
    }

    /// The paths that it uses: by `use`, and in its code.
    fn paths(&self) -> Vec<String> {
        let mut paths = self.uses.clone();
        for start in ["crate::", "super::", "self::"] {
            for (at, _) in self.code.match_indices(start) {
                let is_inside = self.code[..at].ends_with(|before: char| {
                    before.is_alphanumeric() || before == '_' || before == ':'
                });
                if !is_inside {
                    let is_path =
                        |letter: char| !letter.is_alphanumeric() && !"_:".contains(letter);
                    let path = self.code[at..].split(is_path).next().unwrap();
                    paths.push(path.trim_end_matches(':').to_string());
                }
            }
        }
        paths
    }

    /// The types and traits that it defines.
    fn types(&self) -> BTreeSet<String> {
        self.code
            .lines()
            .filter_map(|line| {
                let (kind, name) = without_visibility(line).1.split_once(' ')?;
                ["struct", "enum", "union", "trait"]
                    .contains(&kind)
                    .then(|| word(name))
            })
            .collect()
    }

    /// The types for which it has an `impl`.
    fn impls(&self) -> Vec<String> {
        let name = |line: &str| {
            let mut item = line.strip_prefix("impl")?;
            if item.starts_with('<') {
                item = after_generics(item);
            }
            let item = item.split(" where ").next().unwrap();
            let item = item.rsplit(" for ").next().unwrap();
            let path = item.trim_start().split(['<', ' ', '{']).next().unwrap();
            Some(path.rsplit("::").next().unwrap().to_string())
        };
        self.code.lines().filter_map(name).collect()
    }
}

/// Whether others see an item, and the item without that.
fn without_visibility(line: &str) -> (bool, &str) {
    let line = line.trim_start();
    match line.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => (
            true,
            rest.split_once(')').map_or(rest, |two| two.1).trim_start(),
        ),
        Some(rest) if rest.starts_with(' ') => (true, rest.trim_start()),
        _ => (false, line),
    }
}

/// What follows `<...>`.
fn after_generics(text: &str) -> &str {
    let mut depth = 0;
    for (at, letter) in text.char_indices() {
        match letter {
            '<' => depth += 1,
            // Not the arrow of a function's type.
            '>' if !text[..at].ends_with('-') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[at + 1..];
        }
    }
    text
}

/// The single paths of a `use` tree.
fn expanded(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((before, inside)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap().trim();
        return vec![path.trim_end_matches("::self").to_string()];
    };
    let inside = inside.trim_end();
    let inside = inside.strip_suffix('}').unwrap_or(inside);
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, letter) in inside.char_indices().chain([(inside.len(), ',')]) {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inside[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts
        .into_iter()
        .filter(|part| !part.trim().is_empty())
        .flat_map(|part| expanded(&format!("{before}{}", part.trim())))
        .collect()
}

/// The file in which what a path names is defined, if it is one of `files`.
fn resolve(files: &BTreeMap<Module, File>, from: &Module, path: &str) -> Option<Module> {
    let mut parts = path.split("::").peekable();
    let mut module = from.clone();
    match *parts.peek()? {
        "crate" => {
            module.truncate(1);
            parts.next();
        }
        "super" | "self" => {
            while let Some(part) = parts.next_if(|part| ["super", "self"].contains(part)) {
                if part == "super" {
                    module.pop();
                }
            }
        }
        first if files[from].children.contains(first) => {}
        _ => return None,
    }
    while let Some(part) = parts.peek() {
        let child = [&module[..], &[part.to_string()]].concat();
        if !files.contains_key(&child) {
            break;
        }
        module = child;
        parts.next();
    }
    let file = files.get(&module)?;
    match parts.next().and_then(|item| file.exports.get(item)) {
        Some(given_on) => resolve(files, &module, given_on).or(Some(module)),
        None => Some(module),
    }
}

/// The files of the same module, or program, that each file uses.
fn graph(files: &BTreeMap<Module, File>) -> BTreeMap<&Module, BTreeSet<Module>> {
    let shares = |from: &Module, to: &Module| {
        from[0] == to[0] && (from[0] != "lib" || from.get(1) == to.get(1))
    };
    files
        .iter()
        .map(|(from, file)| {
            let paths = file.paths();
            let used = paths.iter().filter_map(|path| resolve(files, from, path));
            (
                from,
                used.filter(|to| to != from && shares(from, to)).collect(),
            )
        })
        .collect()
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let files = files();
    let mut graph = graph(&files);
    let uses: usize = graph.values().map(BTreeSet::len).sum();
    assert!(uses > 150, "the uses are not seen any more: {uses}");
    // Who uses none of those that are left is no part of a circle.
    loop {
        let (left, before) = (
            graph
                .keys()
                .map(|module| (*module).clone())
                .collect::<BTreeSet<_>>(),
            graph.len(),
        );
        graph.retain(|_, used| used.iter().any(|to| left.contains(to)));
        if graph.len() == before {
            break;
        }
    }
    let left: BTreeSet<_> = graph.keys().map(|module| (*module).clone()).collect();
    let shown: Vec<_> = graph
        .iter()
        .map(|(from, used)| {
            let used: Vec<_> = used.intersection(&left).map(|to| to.join("::")).collect();
            format!("{} uses {}", from.join("::"), used.join(", "))
        })
        .collect();
    assert!(
        graph.is_empty(),
        "in a circle, or above one:\n{}",
        shown.join("\n")
    );
}

/// A type's functions are found where it is, or in the folder of its file. The worker is in two files.
#[test]
fn what_a_type_does_stands_with_the_type() {
    let files = files();
    let mut seen = 0;
    for (module, file) in &files {
        for name in file.impls() {
            let is_near = |other: &&Module| {
                other[0] == module[0] && (other[0] != "lib" || other.get(1) == module.get(1))
            };
            let homes: Vec<_> = files
                .keys()
                .filter(is_near)
                .filter(|other| files[*other].types().contains(&name))
                .collect();
            seen += homes.len();
            let is_home = homes.iter().any(|home| {
                let is_beneath = module.starts_with(home) && !files[*home].path.ends_with("mod.rs");
                *home == module || is_beneath
            });
            let is_worker = name == "Worker" && file.path == Path::new("src/worker/lifecycle.rs");
            let shown = file.path.display();
            assert!(
                homes.is_empty() || is_home || is_worker,
                "{shown}: impl {name}, which is defined elsewhere"
            );
        }
    }
    assert!(seen > 100, "the impls are not seen any more: {seen}");
}

#[test]
fn trees_and_generics_are_taken_apart() {
    assert_eq!(
        expanded("a::{self, b::{C, d::{E, F as G}}, h}"),
        ["a", "a::b::C", "a::b::d::E", "a::b::d::F", "a::h"]
    );
    let text =
        "impl<T: Fn() -> u8> Foo<T> {\nimpl Bar for a::Baz<'_> {\nimpl<'a> From<B<'a>> for D<'a>\n";
    let file = File::new(PathBuf::new(), text);
    assert_eq!(file.impls(), ["Foo", "Baz", "D"]);
}
