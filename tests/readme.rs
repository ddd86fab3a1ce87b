//! The commands of all READMEs and man pages do what they say: each of them is run here, or named with the
//! test that runs it.
//!
//! In a README a block of `sh` holds commands, one of `console` commands behind `$ ` with what they show; in a
//! man page a line `.Dl $ …` is a command. Those of a text are run in order, in a folder of their own, by a
//! shell, with the programs under test and free ports put in place of those that the text names. Needs curl,
//! rsync, openssl, mandoc, and what tests/setup/aside.sh unpacks.

#[path = "readme/blocks.rs"]
mod blocks;
use crate::common;
#[path = "readme/links.rs"]
mod links;

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use blocks::{Step, is_readme, steps};
use common::program::{self, aside};
use common::random_file;
use common::server::Server;

/// Folders whose README has commands.
const READMES: [&str; 5] = ["", "board/", "findings/", "src/", "tests/"];
const PAGES: &str = "board/man";

/// Lines of the README that everybody sees first, and bytes of its picture.
const FRONT_LINES_MAX: usize = 180;
const PICTURE_BYTES_MAX: u64 = 60_000;

/// What cannot be run here, by how the command begins, and the test that runs it.
const ELSEWHERE: [(&str, &str); 25] = [
    ("tests/run", "tests/run"),
    ("tests/bench/run", "tests/run"),
    ("tests/bench/pools", "tests/run"),
    ("tests/bench/http", "tests/run"),
    ("cargo test", "tests/run"),
    ("TRAINYARD_POOL=thread cargo test", "tests/run"),
    ("cargo install cargo-fuzz", "tests/fuzz_corpus.rs"),
    ("cargo +nightly fuzz run", "tests/fuzz_corpus.rs"),
    ("tests/findings", "tests/readme.rs"),
    ("cross build", "tests/artefacts.rs"),
    ("sudo apt install haproxy", "tests/http_host/proxy.rs"),
    ("sudo cp", "tests/http_host/proxy.rs"),
    ("sudo systemctl reload haproxy", "tests/http_host/proxy.rs"),
    ("board/deb", "tests/package"),
    ("scp", "tests/package"),
    ("ssh", "tests/package"),
    ("sudo apt", "tests/package"),
    ("sudo systemctl", "tests/package"),
    ("journalctl", "tests/package"),
    ("sudo trainyard eject", "tests/package"),
    ("sudo umount", "tests/package"),
    ("board/image", "tests/board"),
    ("BOARD=pi-4 board/image", "tests/board"),
    ("BOARD=pi-zero-2 board/armv6", "tests/run"),
    ("sudo dd", "tests/board"),
];

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text_of(name: &str) -> String {
    fs::read_to_string(top().join(name)).unwrap()
}

/// All texts, by their paths.
fn texts() -> Vec<String> {
    let readmes = READMES.map(|folder| format!("{folder}README.md"));
    [readmes.to_vec(), pages()].concat()
}

fn pages() -> Vec<String> {
    let entries = fs::read_dir(top().join(PAGES)).unwrap();
    let name = |name: std::ffi::OsString| name.into_string().unwrap();
    let mut pages: Vec<_> = entries
        .map(|entry| format!("{PAGES}/{}", name(entry.unwrap().file_name())))
        .collect();
    pages.sort();
    assert!(pages.len() >= 4, "{pages:?}");
    pages
}

/// Where the commands are run, and what they find there.
struct Place {
    folder: tempfile::TempDir,
    /// The text's path and what it says.
    name: String,
    text: String,
    server: Option<Server>,
}

impl Place {
    /// As a user finds it who reads the text `name`: in the repository, with a server that runs, a card that it
    /// serves, and a folder for copies.
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["board", "tests"] {
            std::os::unix::fs::symlink(top().join(name), folder.path().join(name)).unwrap();
        }
        let mut place = Self {
            folder,
            name: name.into(),
            text: text_of(name),
            server: None,
        };
        fs::create_dir(place.folder.path().join("copies")).unwrap();
        for folder in [place.folder.path(), &place.card()] {
            fs::create_dir_all(folder.join("photos")).unwrap();
            fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
            fs::copy(top().join("README.md"), folder.join("README.md")).unwrap();
            random_file(&folder.join("disk.img"), 1, 1 << 20);
            random_file(&folder.join("photos/one.jpeg"), 2, 100_000);
            let film = File::create(folder.join("film.mp4")).unwrap();
            film.set_len(64 << 20).unwrap();
        }
        place.serve(&place.put_in("trainyard serve ."));
        place
    }

    fn card(&self) -> std::path::PathBuf {
        self.folder.path().join("card")
    }

    /// A command with what is under test in place of what the text names.
    fn put_in(&self, command: &str) -> String {
        let run = |name| {
            let mut words = program::runner();
            words.push(program::path(name).display().to_string());
            words.join(" ")
        };
        let card = self.card().display().to_string();
        let copies = self.folder.path().join("copies").display().to_string();
        let mut places = vec![
            // First, because the others may have it in them.
            ("/tmp", copies),
            ("cargo run --release --", "trainyard".into()),
            ("sudo trainyard", "trainyard".into()),
            ("pi@raspberrypi.local:/srv/films", card.clone()),
            (
                "sudo install -d -o pi /srv/films",
                format!("install -d {card}"),
            ),
            ("/media/sd", card.clone()),
            ("/srv/trainyard", card),
        ];
        if let Some(server) = &self.server {
            let [train, http] = server.addresses[..] else {
                panic!("a listener for trains and one for HTTP")
            };
            places.extend([
                ("http://localhost:8080/", format!("http://{http}/")),
                ("http://localhost/", format!("http://{http}/")),
                ("http://raspberrypi.local/", format!("http://{http}/")),
                ("train://localhost/", format!("train://{train}/")),
                ("train://raspberrypi.local/", format!("train://{train}/")),
            ]);
        }
        let put = |text: String, (named, used): &(&str, String)| text.replace(named, used);
        let command = places.iter().fold(command.to_owned(), put);
        match command.split_once(' ') {
            Some((name @ ("trainyard" | "train-get"), rest)) => format!("{} {rest}", run(name)),
            _ => command,
        }
    }

    /// A shell for a command, with the tools that are not installed.
    fn shell(&self, command: &str) -> Command {
        let tools = aside("disk-tools").join("usr");
        let path = std::env::var("PATH").unwrap();
        let mut shell = Command::new("timeout");
        shell
            .args(["120", "bash", "-euo", "pipefail", "-c", command])
            .current_dir(self.folder.path())
            .env("PATH", format!("{}:{path}", tools.join("bin").display()))
            .env("QEMU_MODULE_DIR", program::module_folder(&tools))
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        for proxy in ["http_proxy", "all_proxy", "ALL_PROXY"] {
            shell.env_remove(proxy);
        }
        shell
    }

    /// Starts a server in place of the one that runs.
    fn serve(&mut self, command: &str) {
        if let Some(server) = self.server.take() {
            server.stop();
        }
        let words = self.shell(&format!("printf '%s\\0' {command}"));
        let words = output(words, command);
        let mut words: Vec<&str> = words.split_terminator('\0').collect();
        for (option, default) in [("--http", "8080"), ("--train", "2000")] {
            match words.iter().position(|word| *word == option) {
                Some(index) => assert!(words[index + 1].parse::<u16>().is_ok(), "{command}"),
                None => words.extend([option, default]),
            }
            let index = words.iter().position(|word| *word == option).unwrap();
            words[index + 1] = "127.0.0.1:0";
        }
        let mut server = Command::new(words[0]);
        server.args(&words[1..]).current_dir(self.folder.path());
        self.server = Some(Server::from_command(server));
    }

    /// Does what a step of the text says.
    fn take(&mut self, step: &Step) {
        let command = self.put_in(&step.command);
        if command.contains(" serve ") {
            return self.serve(&command);
        }
        let at = format!("{}:{}", self.name, step.line);
        let shell = self.shell(&command);
        let told = output(shell, &format!("{at}: {command}"));
        if let Some(shown) = &step.shown {
            assert_eq!(told, *shown, "{at}: {}", step.command);
        }
        // A table is shown as what it is.
        let is_measured = command != step.command;
        if told.starts_with("| ") && !is_measured {
            assert!(self.text.contains(&told), "not in {}:\n{told}", self.name);
        }
    }
}

/// Runs a command that must be content; what it shows.
#[track_caller]
fn output(mut command: Command, what: &str) -> String {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let (told, error) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{what}: {told}{error}");
    told
}

/// The entry for a command that begins with its words.
fn elsewhere(command: &str) -> Option<&'static (&'static str, &'static str)> {
    let begins_with = |begin: &str| {
        let rest = command.strip_prefix(begin);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    ELSEWHERE.iter().find(|(begin, _)| begins_with(begin))
}

#[test]
fn every_command_does_what_its_text_says() {
    let mut ran = 0;
    for name in texts() {
        let steps = steps(&name, &text_of(&name));
        if steps.iter().all(|step| elsewhere(&step.command).is_some()) {
            continue;
        }
        let mut place = Place::new(&name);
        for step in &steps {
            println!("{name}:{}: {}", step.line, step.command);
            match elsewhere(&step.command) {
                Some((_, test)) => println!("  see {test}"),
                None => {
                    place.take(step);
                    ran += 1;
                }
            }
        }
        if name == "README.md" {
            // What was got is what is served.
            for copy in ["copy", "copies/README.md"] {
                let copy = fs::read_to_string(place.folder.path().join(copy)).unwrap();
                assert!(copy == place.text);
            }
        }
        place.server.take().unwrap().stop();
    }
    assert!(ran >= 20, "{ran} commands are run");
}

#[test]
fn what_runs_elsewhere_is_in_a_text_and_has_its_test() {
    let mut used = BTreeSet::new();
    for name in texts() {
        for step in steps(&name, &text_of(&name)) {
            if let Some((begin, test)) = elsewhere(&step.command) {
                assert!(top().join(test).exists(), "{begin}: {test} is not there");
                assert_starts_what_is_there(&step.command);
                used.insert(*begin);
            }
        }
    }
    for (begin, _) in &ELSEWHERE {
        assert!(
            used.contains(begin),
            "no command of a text begins with {begin:?}"
        );
    }
}

/// What a command starts that is not run here: a script of the project, or one of its test programs.
#[track_caller]
fn assert_starts_what_is_there(command: &str) {
    let mut words = command.split(' ');
    let program = words.find(|word| !word.contains('=')).unwrap();
    assert!(
        !program.contains('/') || top().join(program).exists(),
        "{command}: {program} is not there"
    );
    if let Some((_, rest)) = command.split_once("cargo test --test ") {
        let test = format!("tests/{}.rs", rest.split(' ').next().unwrap());
        assert!(top().join(&test).exists(), "{command}: {test} is not there");
    }
}

#[test]
fn what_a_readme_refers_to_is_there() {
    let readmes = texts();
    let readmes = readmes.iter().filter(|name| is_readme(name));
    let referred: usize = readmes
        .map(|name| links::check(top(), name, &text_of(name)))
        .sum();
    assert!(referred > 60, "{referred} links and files are seen");
}

#[test]
fn the_front_page_is_short_and_its_picture_small() {
    let lines = text_of("README.md").lines().count();
    assert!(lines <= FRONT_LINES_MAX, "{lines} lines");
    let picture = fs::metadata(top().join("board/listing.png")).unwrap().len();
    assert!(picture <= PICTURE_BYTES_MAX, "{picture} bytes");
}

/// Whether a page refers to one that is there is told by tests/manual.rs: mandoc looks among what is installed.
#[test]
fn the_pages_have_no_fault_of_markup() {
    for name in pages() {
        let mut mandoc = Command::new("mandoc");
        mandoc.args(["-T", "lint", &name]).current_dir(top());
        let output = mandoc.output().expect("Debian's package mandoc");
        // It ends with an error for the least of what it has to say.
        let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let is_installed = |line: &&str| {
            !line.contains("referenced manual not found") && !line.contains("outdated mandoc.db")
        };
        let told: Vec<&str> = told.lines().filter(is_installed).collect();
        assert!(told.is_empty(), "{told:#?}");
    }
}

#[test]
fn the_findings_are_run_by_one_command() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["tests", "findings"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    let run = folder.path().join("tests/findings");
    fs::copy(top().join("tests/findings"), &run).unwrap();
    let put = |name: &str, text| fs::write(folder.path().join("findings").join(name), text);
    let code = || Command::new(&run).output().unwrap();
    assert!(code().status.success(), "without any");
    put("as-ever.sh", "exit 0\n").unwrap();
    assert!(code().status.success());
    put("another.sh", "exit 3\n").unwrap();
    let output = code();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(told, "CHANGED    another.sh\nas stated  as-ever.sh\n");
}
