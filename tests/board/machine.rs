//! An emulated board: started from a card's image, its card pulled and put in, its power cut.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::ask::{Answer as TrainAnswer, Failure, ask};
use crate::common::http::{Answer, Client, get};
use crate::common::wait_until;

/// An emulated board is up in 5 s, but this machine may be busy.
pub(crate) const BOOT_MAX: Duration = Duration::from_secs(120);
/// How long a client waits for the next byte.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Which board.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Model {
    /// QEMU's own: an SDHCI card slot, a fast network.
    Virt,
    /// A Raspberry Pi 3: the Pi's own card slot, a network by USB that carries 120 kB/s.
    Raspi3b,
}

/// A running board, as its clients see it.
#[derive(Clone, Copy)]
pub(crate) struct Board {
    http: SocketAddr,
    train: SocketAddr,
}

/// A running board.
pub(crate) struct Machine {
    pub(crate) board: Board,
    qemu: Child,
    to_control: ChildStdin,
    control: BufReader<ChildStdout>,
    started: Instant,
    folder: tempfile::TempDir,
}

/// The folder into which `tests/run board` has unpacked QEMU.
fn emulator() -> PathBuf {
    let folder = std::env::var_os("TRAINYARD_EMULATOR");
    folder
        .expect("TRAINYARD_EMULATOR is not set: `tests/run board` sets up what this test needs")
        .into()
}

impl Machine {
    /// Switches a board on, with this card in its slot. What a Pi's firmware does is done here: kernel and
    /// first files are read from the card's boot partition.
    pub(crate) fn start(model: Model, card: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "kernel8.img",
            "initramfs.gz",
            "cmdline.txt",
            "bcm2837-rpi-3-b.dtb",
        ] {
            copy_from_boot_partition(card, name, folder.path());
        }
        let line = fs::read_to_string(folder.path().join("cmdline.txt")).unwrap();
        let (http, train) = (free_port(), free_port());
        let mut command = Command::new(emulator().join("usr/bin/qemu-system-aarch64"));
        command
            .arg("-L")
            .arg(emulator().join("usr/share/qemu"))
            .args([
                "-nodefaults",
                "-display",
                "none",
                "-no-reboot",
                "-qmp",
                "stdio",
            ])
            .args(["-serial", "file:console", "-kernel", "kernel8.img"])
            .args(["-initrd", "initramfs.gz", "-append"])
            .arg(format!("{} console=ttyAMA0", line.trim()))
            .arg("-netdev")
            .arg(format!(
                "user,id=net,hostfwd=tcp:{http}-:80,hostfwd=tcp:{train}-:2000"
            ))
            .args(["-blockdev", &block_device("card", card).to_string()]);
        command.args(
            match model {
                Model::Virt => [
                    "-machine virt -cpu cortex-a53 -smp 2 -m 256 -device sdhci-pci",
                    "-device virtio-net-pci,netdev=net,romfile= -device virtio-keyboard-pci",
                ]
                .join(" "),
                Model::Raspi3b => {
                    "-machine raspi3b -dtb bcm2837-rpi-3-b.dtb -device usb-net,netdev=net".into()
                }
            }
            .split(' '),
        );
        let started = Instant::now();
        let mut qemu = command
            .args(["-device", "sd-card,id=slot,drive=card"])
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("QEMU starts");
        let mut machine = Self {
            to_control: qemu.stdin.take().unwrap(),
            control: BufReader::new(qemu.stdout.take().unwrap()),
            qemu,
            board: Board { http, train },
            started,
            folder,
        };
        machine.control("qmp_capabilities", json!({}));
        machine
    }

    /// Waits until the server listens and the board has its address: before, QEMU takes connections
    /// by itself, which lead nowhere.
    pub(crate) fn wait_for_start(&self) {
        self.wait_for_line("the server", "ready");
        self.wait_for_line("the network", ": 10.0.2.15/24 by 10.0.2.2");
        self.wait_for_line("the card", " mounted, ");
    }

    /// Waits for a line of the console that ends so, or has this in it.
    #[track_caller]
    pub(crate) fn wait_for_line(&self, what: &str, part: &str) {
        wait_until(&format!("{what} ({part:?})"), BOOT_MAX, || {
            self.console().contains(part)
        });
    }

    /// What was said on the console.
    pub(crate) fn console(&self) -> String {
        let bytes = fs::read(self.folder.path().join("console")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\r', "")
    }

    /// Since power-on.
    pub(crate) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Pulls the card.
    pub(crate) fn pull_card(&mut self, card: &str) {
        self.control("blockdev-remove-medium", json!({ "id": "slot" }));
        self.control("blockdev-del", json!({ "node-name": card }));
    }

    /// Puts a card in.
    pub(crate) fn put_in_card(&mut self, card: &str, image: &Path) {
        self.control("blockdev-add", block_device(card, image));
        self.control(
            "blockdev-insert-medium",
            json!({ "id": "slot", "node-name": card }),
        );
    }

    /// Cuts the power.
    pub(crate) fn cut_power(mut self) {
        self.qemu.kill().unwrap();
        self.qemu.wait().unwrap();
    }

    /// Presses Ctrl-Alt-Del, and waits until the board would start anew; what it said.
    #[track_caller]
    pub(crate) fn restart(mut self) -> String {
        let keys = ["ctrl", "alt", "delete"].map(|key| json!({ "type": "qcode", "data": key }));
        self.control("send-key", json!({ "keys": keys }));
        wait_until("the end", BOOT_MAX, || {
            self.qemu.try_wait().unwrap().is_some()
        });
        self.console()
    }

    /// One command of QEMU's, with its answer.
    #[track_caller]
    fn control(&mut self, command: &str, arguments: Value) -> Value {
        let order = json!({ "execute": command, "arguments": arguments });
        writeln!(self.to_control, "{order}").unwrap();
        loop {
            let mut line = String::new();
            let length = self.control.read_line(&mut line).unwrap();
            assert!(length > 0, "QEMU ended at {command}");
            let said: Value = serde_json::from_str(&line).unwrap();
            assert!(said.get("error").is_none(), "{command}: {line}");
            if let Some(answer) = said.get("return") {
                return answer.clone();
            }
        }
    }
}

impl Board {
    /// A connection to the board's HTTP port.
    pub(crate) fn http(&self) -> std::io::Result<Client<TcpStream>> {
        connect(self.http).map(Client::new)
    }

    /// A connection to the board's train port.
    pub(crate) fn train(&self) -> std::io::Result<TcpStream> {
        connect(self.train)
    }

    /// Gets a file over a connection of its own.
    pub(crate) fn try_get(&self, target: &str, fields: &[&str]) -> std::io::Result<Answer> {
        let mut client = self.http()?;
        client.stream.write_all(&get(target, fields))?;
        client.try_answer(false)
    }

    /// The same, which must work.
    #[track_caller]
    pub(crate) fn get(&self, target: &str, fields: &[&str]) -> Answer {
        self.try_get(target, fields)
            .unwrap_or_else(|error| panic!("{target}: {error}"))
    }

    /// Asks for a file, or a range of it, by train.
    pub(crate) fn ask(&self, path: &str, range: &[u64]) -> Result<TrainAnswer, Failure> {
        let mut stream = self.train().map_err(Failure::Short)?;
        ask(&mut stream, path.as_bytes(), range)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
        if std::thread::panicking() {
            eprintln!("--- the board's console\n{}---", self.console());
        }
    }
}

fn block_device(name: &str, image: &Path) -> Value {
    json!({ "node-name": name, "driver": "raw", "file": { "driver": "file", "filename": image } })
}

fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    Ok(stream)
}

/// One that was free a moment ago.
fn free_port() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}

fn copy_from_boot_partition(card: &Path, name: &str, folder: &Path) {
    let copied = Command::new("mcopy")
        .arg("-i")
        .arg(format!("{}@@4M", card.display()))
        .arg(format!("::{name}"))
        .arg(folder)
        .status()
        .expect("mcopy is part of mtools");
    assert!(copied.success(), "{name} is not on the boot partition");
}

/// Makes a card's image as large as one that QEMU takes, a power of two.
pub(crate) fn round_up(image: &Path) {
    let file = File::options().write(true).open(image).unwrap();
    let size = file.metadata().unwrap().len();
    file.set_len(size.next_power_of_two()).unwrap();
}
