//! Starts the program under test, natively or under an emulator: the one place that knows which.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Far beyond what any test needs, so that a hang is told from a slow machine.
const RUN_TIMEOUT: Duration = Duration::from_secs(120);

/// `train-get`: from the folder TRAINYARD_PROGRAMS if that is set, and with the words of
/// TRAINYARD_RUNNER in front if there are any.
pub(crate) fn train_get() -> Command {
    let program = match std::env::var_os("TRAINYARD_PROGRAMS") {
        Some(folder) => Path::new(&folder).join("train-get"),
        None => env!("CARGO_BIN_EXE_train-get").into(),
    };
    let runner = std::env::var("TRAINYARD_RUNNER").unwrap_or_default();
    let mut words = runner.split_whitespace();
    match words.next() {
        None => Command::new(program),
        Some(first) => {
            let mut command = Command::new(first);
            command.args(words).arg(program);
            command
        }
    }
}

/// What a run left.
#[derive(Debug)]
pub(crate) struct Run {
    /// The exit code; -1 for a signal.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

impl Run {
    /// The lines on standard error that tell failures.
    pub(crate) fn failures(&self) -> Vec<&str> {
        self.err
            .lines()
            .filter(|line| line.starts_with("train-get: "))
            .collect()
    }

    /// Asserts that one thing failed, and that its line has all of `words`.
    #[track_caller]
    pub(crate) fn assert_failure(&self, words: &[&str]) {
        assert_eq!((self.code, self.failures().len()), (1, 1), "{self:?}");
        for word in words {
            assert!(self.failures()[0].contains(word), "no '{word}' in {self:?}");
        }
    }

    /// Asserts that all was got.
    #[track_caller]
    pub(crate) fn assert_whole(&self) {
        assert_eq!((self.code, self.failures().len()), (0, 0), "{self:?}");
    }
}

/// Starts train-get in `folder`.
pub(crate) fn start(folder: &Path, arguments: &[impl AsRef<OsStr>]) -> Child {
    let mut command = train_get();
    command.args(arguments).current_dir(folder);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().expect("train-get starts")
}

/// Waits for the end of a started train-get.
pub(crate) fn finish(mut child: Child) -> Run {
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let out = thread::spawn(move || text_of(&mut out));
    let err = thread::spawn(move || text_of(&mut err));
    let deadline = Instant::now() + RUN_TIMEOUT;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("train-get hangs: {:?}", err.join());
        }
        thread::sleep(Duration::from_millis(5));
    };
    let code = status.code().unwrap_or(-1);
    assert!(status.signal().is_none(), "train-get died of {status:?}");
    Run {
        code,
        out: out.join().unwrap(),
        err: err.join().unwrap(),
    }
}

/// Runs train-get in `folder` to its end.
pub(crate) fn run(folder: &Path, arguments: &[impl AsRef<OsStr>]) -> Run {
    finish(start(folder, arguments))
}

fn text_of(stream: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    String::from_utf8(bytes).expect("what is printed is always UTF-8")
}
