//! The commands in a text: in the blocks of code of a README, and in the lines of a man page that show one.

/// What a block can hold; anything else is a mistake.
const LANGUAGES: [&str; 4] = ["sh", "console", "ini", "text"];

/// A block of code of a README.
struct Block {
    language: String,
    /// Where its text begins.
    line: usize,
    text: Vec<String>,
}

/// A command, and what it shows where the text says so.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Step {
    pub(super) line: usize,
    pub(super) command: String,
    pub(super) shown: Option<String>,
}

/// The commands of a text, in their order. `name` is its path, which tells a README from a man page.
pub(super) fn steps(name: &str, text: &str) -> Vec<Step> {
    if is_readme(name) {
        blocks(name, text).iter().flat_map(Block::steps).collect()
    } else {
        steps_of_page(name, text)
    }
}

pub(super) fn is_readme(name: &str) -> bool {
    name.ends_with(".md")
}

/// All blocks of a README, each of which must say what it holds.
fn blocks(name: &str, text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        match (&mut open, line.strip_prefix("```")) {
            (Some(block), Some(rest)) => {
                assert_eq!(rest, "", "{name}:{number}: behind a block's end");
                assert!(!block.text.is_empty(), "{name}:{number}: an empty block");
                blocks.extend(open.take());
            }
            (Some(block), None) => block.text.push(line.into()),
            (None, Some(language)) => {
                let is_known = LANGUAGES.contains(&language);
                assert!(is_known, "{name}:{number}: must be one of {LANGUAGES:?}");
                open = Some(Block {
                    language: language.into(),
                    line: number + 1,
                    text: Vec::new(),
                });
            }
            // Indented text is code too, and would be overlooked.
            (None, None) => assert!(
                !line.starts_with("    ") && !line.contains("```"),
                "{name}:{number}: code outside a block"
            ),
        }
    }
    assert!(open.is_none(), "{name}: the last block has no end");
    blocks
}

impl Block {
    /// The block's commands, without comments; none unless it holds some.
    fn steps(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        let mut lines = self.text.iter().zip(self.line..);
        while let Some((text, line)) = lines.next() {
            let command = match (&self.language[..], text.strip_prefix("$ ")) {
                ("sh", _) => Some(&text[..]),
                ("console", found) => found,
                _ => return Vec::new(),
            };
            let Some(command) = command else {
                let step = steps.last_mut().expect("what is shown follows a command");
                let shown = step.shown.get_or_insert_default();
                shown.push_str(text);
                shown.push('\n');
                continue;
            };
            let mut command = command.to_owned();
            while let Some(begin) = command.strip_suffix('\\') {
                let (next, _) = lines.next().expect("a line that goes on");
                command = format!("{begin}{}", next.trim_start());
            }
            let command = command.split("  #").next().unwrap().trim_end();
            if !command.is_empty() && !command.starts_with('#') {
                steps.push(Step {
                    line,
                    command: command.into(),
                    shown: None,
                });
            }
        }
        steps
    }
}

/// The commands of a man page: each is a line of its own, `.Dl $ COMMAND`.
fn steps_of_page(name: &str, text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let Some(shown) = line.strip_prefix(".Dl ") else {
            continue;
        };
        let command = shown.strip_prefix("$ ");
        let command = command.unwrap_or_else(|| panic!("{name}:{}: no command", index + 1));
        assert!(
            !command.contains('\\'),
            "{name}:{}: needs to be read as roff(7) reads it",
            index + 1
        );
        steps.push(Step {
            line: index + 1,
            command: command.into(),
            shown: None,
        });
    }
    steps
}

#[test]
fn every_command_is_found() {
    let text = "```sh\none  # comment\n# comment\ntwo \\\n    more\n\n```\n\
                ```console\n$ three\nshown\nshown too\n$ four\n```\n```ini\nfive = 5\n```\n";
    let step = |line, command: &str, shown: Option<&str>| Step {
        line,
        command: command.into(),
        shown: shown.map(String::from),
    };
    let expected = [
        step(2, "one", None),
        step(4, "two more", None),
        step(9, "three", Some("shown\nshown too\n")),
        step(12, "four", None),
    ];
    assert_eq!(steps("README.md", text), expected);
    let page = ".Sh EXAMPLES\nFirst:\n.Pp\n.Dl $ one --two\n.Dl $ three\n";
    let expected = [step(4, "one --two", None), step(5, "three", None)];
    assert_eq!(steps("page.1", page), expected);
}

#[test]
fn no_code_hides() {
    for text in [
        "```\ncode\n```\n",
        "\n    code\n",
        "```sh\ncode\n",
        "```sh\n```\n",
    ] {
        assert!(
            std::panic::catch_unwind(|| steps("README.md", text)).is_err(),
            "{text}"
        );
    }
    assert!(std::panic::catch_unwind(|| steps("page.1", ".Dl code\n")).is_err());
}
