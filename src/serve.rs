//! Serving, in the order of start-up: root, sockets, limits, pool, seal, children, ready.

use core::fmt::Write;
use std::ffi::CString;
use std::io::IsTerminal;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::budget::Budget;
use crate::command::{Address, Options, Pool};
use crate::files::{self, Found, Root};
use crate::limits::{
    DEFER_ACCEPT_S, LISTENERS_MAX, RING_MAX, parent_descriptors, thread_pool_descriptors,
    worker_descriptors,
};
use crate::link::Protocol;
use crate::logger::{self, Line};
use crate::memory::Arena;
use crate::pool::dispatcher::{Crew, Dispatcher, Ended};
use crate::pool::process::ProcessPool;
use crate::pool::thread::ThreadPool;
use crate::pool::{Intake, Listener, PoolSetting};
use crate::sys::{self, Errno};

/// A backlog below this is worth a warning: a burst of clients would overflow it.
const BACKLOG_SMALL: u64 = 1024;

/// Serves until a signal stops the server; returns after a clean stop.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub fn run(options: &Options, arena: &'static Arena) -> Result<(), String> {
    logger::start(options.log);
    let root = open_root(&options.root)?;
    let pushed = options.push.as_deref().map(open_pushed).transpose()?;
    raise_limit(options)?;
    let protocol = if pushed.is_some() {
        Protocol::Push
    } else {
        Protocol::Ask
    };
    let (listeners, addresses) = open_listeners(options, protocol)?;
    warn_of_small_backlog();
    let setting = PoolSetting {
        workers: options.workers,
        per_worker: options.per_worker,
        root,
        pushed,
        form: options.push_form,
    };
    let (intake, drain_ms) = (Intake::new(listeners), options.drain_s * 1000);
    let told = |errno| format!("the pool cannot start: {errno}");
    match options.pool {
        Pool::Process => {
            let pool = Dispatcher::new(intake, drain_ms, |_| Ok(ProcessPool::new(setting)));
            serve(options, arena, &addresses, pool.map_err(told)?)
        }
        Pool::Thread => {
            let pool = Dispatcher::new(intake, drain_ms, |desk| ThreadPool::new(setting, desk));
            serve(options, arena, &addresses, pool.map_err(told)?)
        }
    }
}

/// The end of start-up, and what follows.
fn serve<C: Crew>(
    options: &Options,
    arena: &Arena,
    addresses: &[SocketAddr],
    mut pool: Dispatcher<C>,
) -> ! {
    let message = std::io::stderr()
        .is_terminal()
        .then(|| start_message(options, addresses));

    log::debug!("start-up took {} bytes of the arena", arena.used());
    arena.seal();
    let heap_bytes = sys::heap_bytes();
    if pool.begin().is_err() {
        refuse("the children cannot be made: the system has no room for more processes\n");
    }
    if let Some(message) = &message {
        let _ = sys::write(2, message.as_bytes());
    }
    for address in addresses {
        say(format_args!("train {address}"));
    }
    say(format_args!("ready"));
    let ended = pool.run();
    if sys::heap_bytes() != heap_bytes {
        refuse("C's heap has changed while serving: this is a bug, please report it\n");
    }
    match ended {
        Ok(ended) => {
            pool.end(ended);
            sys::exit_now(i32::from(ended == Ended::AtOnce))
        }
        Err(errno) => {
            log::error!("the server cannot go on: {errno}");
            sys::exit_now(1)
        }
    }
}

/// Ends the process with a line, where a `String` can no longer be made.
fn refuse(message: &str) -> ! {
    let _ = sys::write(2, b"trainyard: ");
    let _ = sys::write(2, message.as_bytes());
    sys::exit_now(1)
}

fn say(text: core::fmt::Arguments) {
    let mut line = Line::default();
    let _ = line.write_fmt(text);
    if let Err(errno) = line.write_to(1) {
        log::warn!("standard output takes no more, so it lacks the line `{text}`: {errno}");
    }
}

fn c_path(path: &Path) -> Result<CString, String> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| format!("{}: a path cannot hold NUL", path.display()))
}

fn open_root(path: &Path) -> Result<Root, String> {
    let shown = path.display();
    Root::open(&c_path(path)?).map_err(|errno| match errno {
        Errno::ENOENT => format!(
            "{shown}: no such folder; name the folder to serve, as in `trainyard serve FOLDER`"
        ),
        Errno::ENOTDIR => format!(
            "{shown}: not a folder; name the folder to serve, or push this file with --push"
        ),
        Errno::EACCES => format!(
            "{shown}: permission denied; the folder must be readable for user {}",
            nix::unistd::geteuid()
        ),
        other => format!("{shown}: cannot be opened: {}", other.desc()),
    })
}

fn open_pushed(path: &Path) -> Result<Found, String> {
    let shown = path.display();
    files::pushed(&c_path(path)?).map_err(|errno| match errno {
        Errno::ENOENT => format!("--push {shown}: no such file"),
        Errno::EISDIR => format!("--push {shown}: is a folder; it takes one file"),
        Errno::EACCES => format!(
            "--push {shown}: must be a regular file, readable for user {}",
            nix::unistd::geteuid()
        ),
        other => format!("--push {shown}: cannot be opened: {}", other.desc()),
    })
}

fn raise_limit(options: &Options) -> Result<(), String> {
    let (workers, per_worker) = (options.workers, options.per_worker);
    let needed = match options.pool {
        Pool::Process => parent_descriptors(workers).max(worker_descriptors(per_worker)),
        Pool::Thread => thread_pool_descriptors(workers, per_worker),
    } as u64;
    sys::raise_open_files_limit(needed).map_err(|_| {
        let hard = sys::open_files_limit().map_or(0, |(_, hard)| hard);
        format!(
            "{needed} open files are needed for {} connections a worker, the limit is {hard}; \
             raise it (ulimit -n, or LimitNOFILE= of systemd) or give fewer places with --per-worker",
            options.per_worker
        )
    })
}

type Listeners = heapless::Vec<Listener, LISTENERS_MAX>;

fn open_listeners(
    options: &Options,
    protocol: Protocol,
) -> Result<(Listeners, Vec<SocketAddr>), String> {
    // A pushed file goes to clients that say nothing, so theirs must not be waited for.
    let defer_s = (protocol == Protocol::Ask).then_some(DEFER_ACCEPT_S);
    let (mut listeners, mut addresses) = (Listeners::new(), Vec::new());
    let mut open = |address: SocketAddr, both| -> Result<u16, Errno> {
        let (socket, bound) = sys::listen(address, both, defer_s)?;
        if listeners.push(Listener { socket, protocol }).is_err() {
            return Err(Errno::E2BIG);
        }
        addresses.push(bound);
        Ok(bound.port())
    };
    for address in &options.train {
        let (shown, opened) = match *address {
            Address::All(port) => {
                let six = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port);
                let opened = match open(six, true) {
                    // A kernel without IPv6.
                    Err(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL) => open(
                        SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port),
                        false,
                    ),
                    other => other,
                };
                (format!("port {port}"), opened)
            }
            Address::Localhost(port) => {
                let opened = open(
                    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port),
                    false,
                )
                .and_then(|port| {
                    match open(
                        SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), port),
                        false,
                    ) {
                        Err(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL) => Ok(port),
                        other => other,
                    }
                });
                (format!("localhost:{port}"), opened)
            }
            Address::One(address) => (address.to_string(), open(address, false)),
        };
        opened.map_err(|errno| match errno {
            Errno::EADDRINUSE => format!("--train {shown}: in use by another program; stop that, or choose another port"),
            Errno::EACCES => format!("--train {shown}: ports below 1024 need root or CAP_NET_BIND_SERVICE; choose a higher one"),
            Errno::EADDRNOTAVAIL => format!("--train {shown}: this machine has no such address"),
            Errno::E2BIG => format!("--train {shown}: more than this board's {LISTENERS_MAX} listeners"),
            other => format!("--train {shown}: cannot listen: {}", other.desc()),
        })?;
    }
    Ok((listeners, addresses))
}

fn backlog() -> u64 {
    std::fs::read_to_string("/proc/sys/net/core/somaxconn")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(128)
}

fn warn_of_small_backlog() {
    let backlog = backlog();
    if backlog < BACKLOG_SMALL {
        log::warn!(
            "the system lets only {backlog} clients wait in a backlog; a burst of more may hang: \
             sysctl net.core.somaxconn=4096"
        );
    }
}

/// What a person at a terminal wants to know.
fn start_message(options: &Options, addresses: &[SocketAddr]) -> String {
    let mut text = String::new();
    let root = options
        .root
        .canonicalize()
        .unwrap_or_else(|_| options.root.clone());
    let _ = writeln!(
        text,
        "trainyard {} serves {}",
        env!("CARGO_PKG_VERSION"),
        root.display()
    );
    if let Some(file) = &options.push {
        let _ = writeln!(text, "  pushing  {} to every train client", file.display());
    }
    for address in addresses {
        for shown in reachable(*address) {
            let _ = writeln!(text, "  train    train://{shown}/");
        }
    }
    let budget = Budget::new(options);
    let _ = writeln!(
        text,
        "  pool     {} {}, {} connections each",
        options.workers,
        match options.pool {
            Pool::Process => "processes",
            Pool::Thread => "threads",
        },
        options.per_worker
    );
    let _ = writeln!(
        text,
        "  memory   {} KiB at full load, fixed",
        budget.resident_bytes().div_ceil(1024)
    );
    let waiting = RING_MAX as u64 + backlog() * addresses.len() as u64;
    let _ = writeln!(
        text,
        "  clients  {} at once, {waiting} more can wait",
        options.places()
    );
    let _ = writeln!(
        text,
        "  network  {} congestion control",
        congestion_control()
    );
    let _ = writeln!(text, "  stop     Ctrl-C");
    text
}

fn congestion_control() -> String {
    std::fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control")
        .map_or_else(|_| "unknown".into(), |text| text.trim().into())
}

/// The addresses by which other machines reach a listener; its own when it has only one.
fn reachable(address: SocketAddr) -> Vec<SocketAddr> {
    if !address.ip().is_unspecified() {
        return vec![address];
    }
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else {
        return vec![address];
    };
    let mut found: Vec<SocketAddr> = interfaces
        .filter_map(|interface| {
            let own = interface.address?;
            let four = own.as_sockaddr_in().map(|four| IpAddr::V4(four.ip()));
            let ip = four.or_else(|| own.as_sockaddr_in6().map(|six| IpAddr::V6(six.ip())))?;
            let is_local = matches!(ip, IpAddr::V6(six) if six.is_unicast_link_local());
            let fits = ip.is_ipv4() || address.is_ipv6();
            (fits && !ip.is_loopback() && !is_local).then(|| SocketAddr::new(ip, address.port()))
        })
        .collect();
    if found.is_empty() {
        found.push(SocketAddr::new(
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            address.port(),
        ));
    }
    found
}
