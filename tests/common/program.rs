//! Finds the programs under test: the one place that knows whether they run natively or emulated.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The path of `name`: in the folder TRAINYARD_PROGRAMS if that is set, else as cargo built it.
pub fn path(name: &str) -> PathBuf {
    match std::env::var_os("TRAINYARD_PROGRAMS") {
        Some(folder) => Path::new(&folder).join(name),
        None if name == "trainyard" => env!("CARGO_BIN_EXE_trainyard").into(),
        None if name == "train-get" => env!("CARGO_BIN_EXE_train-get").into(),
        None => panic!("no program is called {name}"),
    }
}

/// The words that go before a program of the target: TRAINYARD_RUNNER, or what cargo itself was
/// given to run this test with, as in `cross test`.
pub fn runner() -> Vec<String> {
    let for_target = if cfg!(target_arch = "aarch64") {
        "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER"
    } else if cfg!(target_arch = "arm") {
        "CARGO_TARGET_ARMV7_UNKNOWN_LINUX_GNUEABIHF_RUNNER"
    } else {
        "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER"
    };
    let words = std::env::var("TRAINYARD_RUNNER")
        .or_else(|_| std::env::var(for_target))
        .unwrap_or_default();
    words.split_whitespace().map(String::from).collect()
}

/// Whether the programs run under an emulator: slower, and without some system calls.
pub fn is_emulated() -> bool {
    !runner().is_empty()
}

/// A command that starts the program `name`.
pub fn command(name: &str) -> Command {
    let mut words = runner();
    words.push(
        path(name)
            .into_os_string()
            .into_string()
            .expect("the programs' path is text"),
    );
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

/// The folder into which tests/setup/aside.sh has unpacked a program that the tests use.
#[track_caller]
pub fn aside(name: &str) -> PathBuf {
    let cache = match std::env::var_os("XDG_CACHE_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(&std::env::var_os("HOME").expect("HOME is set")).join(".cache"),
    };
    let folder = cache.join("trainyard").join(name);
    assert!(
        folder.is_dir(),
        "{} is missing: tests/run host sets it up",
        folder.display()
    );
    folder
}

/// The folder of QEMU's drivers beneath its `usr`; it is named after the machine.
#[track_caller]
pub fn module_folder(usr: &Path) -> PathBuf {
    let machines = std::fs::read_dir(usr.join("lib")).unwrap();
    let mut folders = machines.map(|entry| entry.unwrap().path().join("qemu"));
    folders
        .find(|folder| folder.join("block-curl.so").exists())
        .expect("QEMU's driver for HTTP is among its tools")
}
