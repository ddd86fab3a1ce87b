//! A running server, which ends with the test.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, Flock, FlockArg, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, connect, setsockopt, socket, sockopt,
};
use nix::unistd::{Pid, read};

use super::program;

/// Far beyond what any step needs, so that a hang is told from a slow machine.
pub const LIMIT: Duration = Duration::from_secs(60);

/// The pool under test.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pool {
    Process,
    Thread,
}

impl Pool {
    /// The options that choose it.
    pub fn options(self) -> [&'static str; 2] {
        match self {
            Self::Process => ["--pool", "process"],
            Self::Thread => ["--pool", "thread"],
        }
    }
}

/// The pool that TRAINYARD_POOL names; the process pool when it is not set.
pub fn pool() -> Pool {
    match std::env::var("TRAINYARD_POOL").as_deref() {
        Err(_) | Ok("process") => Pool::Process,
        Ok("thread") => Pool::Thread,
        Ok(other) => panic!("TRAINYARD_POOL={other}: must be process or thread"),
    }
}

/// Whether a test that is about one of the pools can run now; says so if not.
pub fn is_for(about: Pool, what: &str) -> bool {
    if pool() != about {
        // Not by a macro, whose text the harness keeps to itself.
        let line = format!("left out, it needs {}: {what}\n", about.options().join(" "));
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
    pool() == about
}

/// A running server.
pub struct Server {
    child: Child,
    /// Where it listens, in the order of its lines: for trains, then for HTTP.
    pub addresses: Vec<SocketAddr>,
    /// Where it listens at a path.
    pub paths: Vec<String>,
    output: Arc<Gathered>,
    log: Arc<Gathered>,
}

impl Server {
    /// Starts `serve ROOT` on a free port of 127.0.0.1, and waits until it is ready.
    pub fn start(root: &Path, options: &[&str]) -> Self {
        let mut command = program::command("trainyard");
        command
            .arg("serve")
            .arg(root)
            .args(["--http", "none", "--train", "127.0.0.1:0"])
            .args(options);
        Self::from_command(command)
    }

    /// Starts `serve ROOT` for HTTP only on a free port of 127.0.0.1, and waits until it is ready.
    pub fn http(root: &Path, options: &[&str]) -> Self {
        let mut command = program::command("trainyard");
        command
            .arg("serve")
            .arg(root)
            .args(["--train", "none", "--http", "127.0.0.1:0"])
            .args(options);
        Self::from_command(command)
    }

    /// Starts what pushes `file`, as [`Server::start`].
    pub fn push(file: &Path, form: &str, options: &[&str]) -> Self {
        let mut command = program::command("trainyard");
        command.arg("serve").arg(file.parent().unwrap()).args([
            "--http",
            "none",
            "--train",
            "127.0.0.1:0",
        ]);
        command
            .arg("--push")
            .arg(file)
            .args(["--push-form", form])
            .args(options);
        Self::from_command(command)
    }

    /// Starts a command that is to become a server, with the pool under test if it is a trainyard,
    /// and waits until it is ready.
    pub fn from_command(mut command: Command) -> Self {
        add_user(&mut command);
        Self::as_whoever_it_chooses(command)
    }

    /// The same, but root does not say as whom it runs.
    pub fn as_whoever_it_chooses(mut command: Command) -> Self {
        if pool() == Pool::Thread && command.get_args().any(|word| word == "serve") {
            command.args(Pool::Thread.options());
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Gathered::start(child.stderr.take().unwrap().into(), b"");
        let (mut addresses, mut paths) = (Vec::new(), Vec::new());
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while output.read_line(&mut line).unwrap() > 0 {
            let line = std::mem::take(&mut line);
            let line = line.trim_end_matches('\n');
            if line == "ready" {
                let rest = output.buffer().to_vec();
                return Self {
                    child,
                    addresses,
                    paths,
                    output: Gathered::start(output.into_inner().into(), &rest),
                    log,
                };
            }
            let address = line
                .strip_prefix("train ")
                .or_else(|| line.strip_prefix("http "))
                .unwrap_or_else(|| panic!("line {line:?}"));
            match address.strip_prefix("unix:") {
                Some(path) => paths.push(path.to_owned()),
                None => addresses.push(address.parse().unwrap()),
            }
        }
        let status = child.wait().unwrap();
        panic!("never ready, {status}: {}", log.text());
    }

    /// The first listener.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// A connection to the first listener, which gives up on a silent server.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
    }

    /// The same with little room for what is not read, so that the server notices soon.
    pub fn connect_narrow(&self) -> TcpStream {
        let family = if self.address().is_ipv6() {
            AddressFamily::Inet6
        } else {
            AddressFamily::Inet
        };
        let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
        setsockopt(&socket, sockopt::RcvBuf, &4096).unwrap();
        connect(socket.as_raw_fd(), &SockaddrStorage::from(self.address())).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
    }

    /// The process's number; under emulation that is the emulator's.
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// The numbers of its children, in no order.
    pub fn children(&self) -> Vec<i32> {
        let path = format!("/proc/{0}/task/{0}/children", self.pid());
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.split_whitespace()
            .map(|word| word.parse().unwrap())
            .collect()
    }

    /// The numbers of all its processes.
    pub fn processes(&self) -> Vec<i32> {
        [vec![self.pid()], self.children()].concat()
    }

    /// The numbers of its threads, in no order; an emulator has one more.
    pub fn threads(&self) -> Vec<i32> {
        std::fs::read_dir(format!("/proc/{}/task", self.pid()))
            .unwrap()
            .map(|entry| {
                let name = entry.unwrap().file_name();
                name.to_str().unwrap().parse().unwrap()
            })
            .collect()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// What it has written to standard output since it was ready.
    pub fn output(&self) -> String {
        self.output.text()
    }

    /// Sends a signal to the parent.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                start.elapsed() < limit,
                "still running after {limit:?}: {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Stops it as a supervisor does, and asserts that it ends cleanly.
    #[track_caller]
    pub fn stop(mut self) {
        self.signal(Signal::SIGTERM);
        let status = self.wait(LIMIT);
        assert_eq!(status.code(), Some(0), "{}", self.log());
        let log = self.log().replace("debug", "");
        assert!(!log.contains("bug"), "{log}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its children die with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the server's log\n{}---", self.log());
        }
    }
}

/// Adds the user that a server needs which root starts: root, unless a test is about users.
pub fn add_user(command: &mut Command) {
    let has = |wanted: &str| command.get_args().any(|word| word == wanted);
    if nix::unistd::geteuid().is_root() && has("serve") && !has("--user") {
        command.args(["--user", "root"]);
    }
}

/// What a pipe may hold: as much as the kernel gives to everybody (pipe(7)).
const PIPE_BYTES: i32 = 1 << 20;

/// What comes out of a pipe, gathered by a thread, so that who writes never waits.
struct Gathered {
    pipe: OwnedFd,
    text: Mutex<String>,
}

impl Gathered {
    /// Of a pipe of which this much has been read.
    fn start(pipe: OwnedFd, begin: &[u8]) -> Arc<Self> {
        // The thread may have to wait for a processor, and the server leaves out lines rather than wait.
        fcntl(&pipe, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES)).unwrap();
        let gathered = Arc::new(Self {
            pipe,
            text: Mutex::new(String::from_utf8_lossy(begin).into_owned()),
        });
        let copy = Arc::clone(&gathered);
        std::thread::spawn(move || {
            while copy.is_ready(PollTimeout::NONE) && copy.take(&mut copy.text.lock().unwrap()) {}
        });
        gathered
    }

    /// Whether there is something to read, or the end.
    fn is_ready(&self, limit: PollTimeout) -> bool {
        let mut polled = [PollFd::new(self.pipe.as_fd(), PollFlags::POLLIN)];
        loop {
            match poll(&mut polled, limit) {
                Err(Errno::EINTR) => {}
                result => return result.unwrap() > 0,
            }
        }
    }

    /// Takes in what the pipe holds by now; false at its end.
    fn take(&self, text: &mut String) -> bool {
        let mut bytes = [0; 64 * 1024];
        while self.is_ready(PollTimeout::ZERO) {
            match read(&self.pipe, &mut bytes).unwrap() {
                0 => return false,
                size => text.push_str(&String::from_utf8_lossy(&bytes[..size])),
            }
        }
        true
    }

    /// All that has been written by now, whether the thread has got to it or not.
    fn text(&self) -> String {
        let mut text = self.text.lock().unwrap();
        self.take(&mut text);
        text.clone()
    }
}

/// `trainyard eject` asks every server of this machine: while this is held, no test holds one up.
#[must_use]
pub fn while_all_answer() -> Flock<File> {
    lock(FlockArg::LockShared)
}

/// Nobody ejects while this is held, so a server may be stopped that then does not answer.
#[must_use]
pub fn while_one_does_not_answer() -> Flock<File> {
    lock(FlockArg::LockExclusive)
}

/// Tests of other processes have servers, too, so the lock is one that every process of this machine sees.
fn lock(manner: FlockArg) -> Flock<File> {
    let folder = File::open(std::env::temp_dir()).unwrap();
    Flock::lock(folder, manner).unwrap()
}

/// Lets this process open as many files as it may: hundreds of clients are in it.
pub fn raise_open_files() {
    let (_, hard) = trainyard::sys::open_files_limit().unwrap();
    trainyard::sys::raise_open_files_limit(hard).unwrap();
}

/// Runs the program to its end: exit code, standard output, standard error.
pub fn run<S: AsRef<OsStr>>(arguments: &[S]) -> (i32, String, String) {
    let mut command = program::command("trainyard");
    if let Some((first, rest)) = arguments.split_first() {
        command.arg(first);
        // Before the others, whose last one may lack its value.
        add_user(&mut command);
        command.args(rest);
    }
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap_or(-1),
        text(output.stdout),
        text(output.stderr),
    )
}
