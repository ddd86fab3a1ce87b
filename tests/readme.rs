//! The README's commands do what it says: each of them is run here, or named with the test that runs it.
//!
//! A block of `sh` holds commands, one of `console` commands behind `$ ` with what they show. They are run in
//! order, in a folder of their own, by a shell, with the programs under test and free ports put in place of
//! those that the README names. Needs curl, rsync, openssl, and what tests/setup/aside.sh unpacks.

#![allow(missing_docs)] // a test's name is its documentation

#[path = "readme/blocks.rs"]
mod blocks;
mod common;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use blocks::{Block, Step, blocks};
use common::program::{self, aside};
use common::random_file;
use common::server::Server;

/// What cannot be run here, by how the command begins, and the test that runs it.
const ELSEWHERE: [(&str, &str); 19] = [
    ("tests/run", "tests/run"),
    ("tests/bench/run", "tests/run"),
    ("tests/bench/pools", "tests/run"),
    ("tests/bench/http", "tests/run"),
    ("cross build", "tests/artefacts.rs"),
    ("sudo apt install haproxy", "tests/http_host/proxy.rs"),
    ("sudo cp", "tests/http_host/proxy.rs"),
    ("sudo systemctl reload haproxy", "tests/http_host/proxy.rs"),
    ("board/deb", "tests/package"),
    ("scp ", "tests/package"),
    ("ssh ", "tests/package"),
    ("sudo apt", "tests/package"),
    ("sudo systemctl", "tests/package"),
    ("journalctl", "tests/package"),
    ("sudo trainyard eject", "tests/package"),
    ("sudo umount", "tests/package"),
    ("board/image", "tests/board"),
    ("board/armv6", "tests/run"),
    ("sudo dd", "tests/board"),
];

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    fs::read_to_string(top().join("README.md")).unwrap()
}

/// Where the commands are run, and what they find there.
struct Place {
    folder: tempfile::TempDir,
    readme: String,
    server: Option<Server>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let readme = readme();
        for name in ["board", "tests"] {
            std::os::unix::fs::symlink(top().join(name), folder.path().join(name)).unwrap();
        }
        let place = Self {
            folder,
            readme,
            server: None,
        };
        // As a user finds it in the repository, on the card and beside it.
        fs::create_dir(place.card()).unwrap();
        for folder in [place.folder.path(), &place.card()] {
            fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
            fs::write(folder.join("README.md"), &place.readme).unwrap();
            random_file(&folder.join("disk.img"), 1, 1 << 20);
            let film = File::create(folder.join("film.mp4")).unwrap();
            film.set_len(64 << 20).unwrap();
        }
        place
    }

    fn card(&self) -> std::path::PathBuf {
        self.folder.path().join("card")
    }

    /// A command with what is under test in place of what the README names.
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
            ("cargo run --release --bin train-get --", run("train-get")),
            ("cargo run --release --", run("trainyard")),
            ("sudo trainyard", run("trainyard")),
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
                ("http://raspberrypi.local/", format!("http://{http}/")),
                ("train://localhost/", format!("train://{train}/")),
            ]);
        }
        let put = |text: String, (named, used): &(&str, String)| text.replace(named, used);
        places.iter().fold(command.to_owned(), put)
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

    /// Does what a step of the README says.
    fn take(&mut self, step: &Step) {
        let command = self.put_in(&step.command);
        if step.command.contains(" serve ") {
            return self.serve(&command);
        }
        let shell = self.shell(&command);
        let told = output(shell, &format!("README.md:{}: {command}", step.line));
        if let Some(shown) = &step.shown {
            assert_eq!(told, *shown, "README.md:{}: {}", step.line, step.command);
        }
        // A table is shown as what it is.
        let is_measured = command != step.command;
        if told.starts_with("| ") && !is_measured {
            assert!(self.readme.contains(&told), "not in the README:\n{told}");
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

fn elsewhere(command: &str) -> Option<&'static (&'static str, &'static str)> {
    ELSEWHERE
        .iter()
        .find(|(begin, _)| command.starts_with(begin))
}

#[test]
fn every_command_does_what_the_readme_says() {
    let mut place = Place::new();
    fs::create_dir(place.folder.path().join("copies")).unwrap();
    let steps: Vec<_> = blocks(&place.readme)
        .iter()
        .flat_map(Block::steps)
        .collect();
    let mut ran = 0;
    for step in &steps {
        match elsewhere(&step.command) {
            Some((_, test)) => println!("{}: {}: see {test}", step.line, step.command),
            None => {
                println!("{}: {}", step.line, step.command);
                place.take(step);
                ran += 1;
            }
        }
    }
    assert!(ran > 10, "{ran} commands are run");
    // What was got is what is served.
    for copy in ["copy", "copies/README.md"] {
        let copy = fs::read_to_string(place.folder.path().join(copy)).unwrap();
        assert!(copy == place.readme);
    }
    place.server.take().unwrap().stop();
}

#[test]
fn what_runs_elsewhere_is_in_the_readme_and_has_its_test() {
    let text = readme();
    let steps: Vec<_> = blocks(&text).iter().flat_map(Block::steps).collect();
    for (begin, test) in &ELSEWHERE {
        let is_there = steps.iter().any(|step| step.command.starts_with(begin));
        assert!(
            is_there,
            "the README has no command that begins with {begin:?}"
        );
        assert!(top().join(test).exists(), "{begin}: {test} is not there");
    }
}
