//! The servers that are measured over HTTP: trainyard in both pools, and Debian's nginx and lighttpd.
//!
//! Each has one worker, an equal chance to be good (kept connections without bounds, `sendfile`, no
//! access log, open files remembered), and processor number [`Cpus::server`] to itself.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};

use super::common::program;
use super::common::server::{Pool, Server};

/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(10);

/// A kind of server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Trainyard(Pool),
    Nginx,
    Lighttpd,
}

impl Kind {
    pub const ALL: [Self; 4] = [
        Self::Trainyard(Pool::Process),
        Self::Trainyard(Pool::Thread),
        Self::Nginx,
        Self::Lighttpd,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Trainyard(Pool::Process) => "trainyard, process pool",
            Self::Trainyard(Pool::Thread) => "trainyard, thread pool",
            Self::Nginx => "nginx",
            Self::Lighttpd => "lighttpd",
        }
    }

    pub fn is_ours(self) -> bool {
        matches!(self, Self::Trainyard(_))
    }
}

/// The processors of servers and of clients: the same one if there is no other.
#[derive(Clone, Copy)]
pub struct Cpus {
    pub server: usize,
    pub client: usize,
}

impl Cpus {
    /// The last and the first of those that this process may use (proc(5), Cpus_allowed_list).
    pub fn of_this_process() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let list = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
            .unwrap();
        let mut numbers = list
            .trim()
            .split([',', '-'])
            .map(|word| word.parse().unwrap());
        let client = numbers.next().unwrap();
        Self {
            client,
            server: numbers.next_back().unwrap_or(client),
        }
    }

    /// Keeps a thread of this process, and what it starts from now on, to one processor (taskset(1)).
    pub fn pin(thread: Pid, cpu: usize) {
        let done = Command::new("taskset")
            .args(["--cpu-list", "--pid", &cpu.to_string(), &thread.to_string()])
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(done.success(), "taskset: {done}");
    }
}

/// A running server.
pub struct Peer {
    pub kind: Kind,
    pub address: SocketAddr,
    /// Its numbers, the parent's first.
    pub processes: Vec<i32>,
    _running: Running,
}

/// What ends it.
enum Running {
    Trainyard { _server: Server },
    Other { _program: Program },
}

impl Peer {
    /// Starts a server of the files in `root` on a free port of 127.0.0.1, with its own files in
    /// `work`, at `nice` (nice(1)).
    pub fn start(kind: Kind, root: &Path, work: &Path, cpus: Cpus, nice: u32) -> Self {
        let mut command = launcher(cpus, nice);
        if let Kind::Trainyard(pool) = kind {
            let own = program::command("trainyard");
            command.arg(own.get_program()).args(own.get_args());
            command.arg("serve").arg(root).args(pool.options()).args([
                "--workers",
                "1",
                "--train",
                "none",
                "--http",
                "127.0.0.1:0",
            ]);
            let server = Server::from_command(command);
            return Self {
                kind,
                address: server.address(),
                processes: server.processes(),
                _running: Running::Trainyard { _server: server },
            };
        }
        let address = free_address();
        let (text, children) = match kind {
            Kind::Nginx => (nginx(root, work, address), 1),
            _ => (lighttpd(root, work, address), 0),
        };
        let file = work.join(format!("{}.conf", kind.name()));
        std::fs::write(&file, text).unwrap();
        match kind {
            Kind::Nginx => command.arg("nginx").arg("-e").arg(work.join("nginx.log")),
            _ => command.args(["lighttpd", "-D"]),
        };
        let mut program = Program(
            command
                .arg(if kind == Kind::Nginx { "-c" } else { "-f" })
                .arg(file)
                .stdin(Stdio::null())
                .spawn()
                .unwrap(),
        );
        program.wait_until_ready(address, children);
        Self {
            kind,
            address,
            processes: program.processes(),
            _running: Running::Other { _program: program },
        }
    }

    /// All four, in the order of [`Kind::ALL`].
    pub fn start_all(root: &Path, work: &Path, cpus: Cpus) -> Vec<Self> {
        let start = |kind| Self::start(kind, root, work, cpus, 0);
        Kind::ALL.into_iter().map(start).collect()
    }
}

/// What a server is started by: each of these becomes the next one, so that the number stays.
fn launcher(cpus: Cpus, nice: u32) -> Command {
    let mut command = Command::new("setpriv");
    // Servers of others than us do not end by themselves with who started them.
    command.args(["--pdeathsig", "TERM", "nice", "-n", &nice.to_string()]);
    command.args(["taskset", "--cpu-list", &cpus.server.to_string()]);
    command
}

/// A server of others, which is asked to stop when it is dropped.
struct Program(Child);

impl Program {
    fn processes(&self) -> Vec<i32> {
        let pid = self.0.id() as i32;
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.unwrap_or_default();
        let children = children
            .split_whitespace()
            .map(|word| word.parse().unwrap());
        [pid].into_iter().chain(children).collect()
    }

    fn wait_until_ready(&mut self, address: SocketAddr, children: usize) {
        let start = Instant::now();
        while TcpStream::connect(address).is_err() || self.processes().len() <= children {
            if let Some(status) = self.0.try_wait().unwrap() {
                panic!("a server did not start: {status}");
            }
            assert!(start.elapsed() < PATIENCE, "{address} is not served");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let processes = self.processes();
        let _ = kill(Pid::from_raw(processes[0]), Signal::SIGTERM);
        let start = Instant::now();
        while matches!(self.0.try_wait(), Ok(None)) {
            if start.elapsed() > PATIENCE {
                for process in &processes {
                    let _ = kill(Pid::from_raw(*process), Signal::SIGKILL);
                }
                let _ = self.0.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A port that was free a moment ago.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn nginx(root: &Path, work: &Path, address: SocketAddr) -> String {
    let user = if Uid::effective().is_root() {
        "user root;"
    } else {
        ""
    };
    let (root, work) = (root.display(), work.display());
    let folders: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {work}/{kind};\n"))
        .concat();
    format!(
        "{user}
daemon off;
worker_processes 1;
worker_rlimit_nofile 16384;
pid {work}/nginx.pid;
events {{ worker_connections 8192; multi_accept on; }}
http {{
{folders}access_log off;
sendfile on;
tcp_nopush on;
keepalive_timeout 600;
keepalive_requests 1000000000;
open_file_cache max=1000;
server {{
  listen {address} backlog=4096;
  root {root};
  autoindex on;
  location /json/ {{ alias {root}/; autoindex_format json; }}
}}
}}
"
    )
}

fn lighttpd(root: &Path, work: &Path, address: SocketAddr) -> String {
    let (root, work) = (root.display(), work.display());
    format!(
        "server.document-root = \"{root}\"
server.bind = \"{}\"
server.port = {}
server.errorlog = \"{work}/lighttpd.log\"
server.modules = ( \"mod_dirlisting\" )
server.max-fds = 16384
server.max-connections = 8000
server.listen-backlog = 4096
server.max-keep-alive-requests = 65535
server.max-keep-alive-idle = 600
server.network-backend = \"sendfile\"
dir-listing.activate = \"enable\"
",
        address.ip(),
        address.port(),
    )
}
