//! Serving, in the order of start-up: limits, sockets, user, root, pool, seal, children, ready.

mod files;
mod listeners;
mod supervisor;
mod user;

use core::fmt::Write;
use std::io::IsTerminal;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::budget::Budget;
use crate::command::{Options, Pool};
use crate::eject;
use crate::files::Root;
use crate::limits::{RING_MAX, parent_descriptors, thread_pool_descriptors, worker_descriptors};
use crate::logger::{self, Line};
use crate::memory::Arena;
use crate::pool::dispatcher::{Dispatcher, Ended, Equipment};
use crate::pool::process::ProcessPool;
use crate::pool::thread::ThreadPool;
use crate::pool::{
    Acceptor, Control, Notifier, OverflowResponder, PoolConfig, RootMonitor, WorkerPool,
};
use crate::sys;

use listeners::{Bound, Listening};
use user::{Needed, User};

/// A backlog below this is worth a warning: a burst of clients would overflow it.
const BACKLOG_SMALL: u64 = 1024;

/// Serves until a signal stops the server; returns after a clean stop.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub fn run(options: &Options, arena: &'static Arena) -> Result<(), String> {
    logger::start(options.log);
    let user = user::find(options.user.as_ref())?;
    raise_limit(options)?;
    let listening = listeners::open(options, supervisor::passed()?)?;
    warn_of_small_backlog();
    // Its socket may be closed to the user that the server becomes.
    let notifier = supervisor::notifier();
    let started = files::open_root(&options.root, options.wait_root)
        .and_then(|root| become_user(options, user, &root).map(|()| root))
        .and_then(|root| config_of(options, root));
    match started {
        Ok(config) => start(options, arena, listening, config, notifier),
        Err(reason) => {
            listening.remove_paths();
            Err(reason)
        }
    }
}

/// Serves from now on as this user, who must be able to read all that is served.
fn become_user(options: &Options, user: User, root: &Root) -> Result<(), String> {
    let needed = Needed {
        root: (root, &options.root),
        waits: options.wait_root,
        pushed: options.push.as_deref(),
    };
    user::become_found(user, &needed)
}

/// What the pool is told. All files are opened by the rights of the user that the server runs as; of
/// the way to the root, which may lead through folders that are closed to it, only the end must be
/// readable.
fn config_of(options: &Options, root: Root) -> Result<PoolConfig, String> {
    files::check_root(&root, &options.root, options.wait_root)?;
    let pushed = options.push.as_deref();
    let pushed = pushed.map(|path| files::open_pushed(path, options.wait_root));
    let root: &'static Root = Box::leak(Box::new(root.with_pushed(pushed.transpose()?)));
    if !options.http.is_empty() {
        files::warn_of_own_paths(root);
    }
    Ok(PoolConfig {
        workers: options.workers,
        per_worker: options.per_worker,
        framing: options.push_framing,
        http_config: Box::leak(Box::new(options.http_config.clone())),
        clock_floor_s: files::clock_floor_s(root),
        root,
    })
}

/// Makes the pool and serves.
fn start(
    options: &Options,
    arena: &'static Arena,
    mut listening: Listening,
    config: PoolConfig,
    notifier: Notifier,
) -> Result<(), String> {
    let equipment = Equipment {
        acceptor: Acceptor::new(core::mem::take(&mut listening.listeners)),
        overflow: OverflowResponder::new(config.http_config, config.clock_floor_s),
        notifier,
        root_monitor: RootMonitor::new(config.root, options.wait_root),
        control: Control::new(eject::listen(), eject::names_of(&options.root).leak()),
        drain_ms: options.drain_s * 1000,
    };
    let told = |errno| format!("the pool cannot start: {errno}");
    match options.pool {
        Pool::Process => {
            let dispatcher = Dispatcher::new(equipment, |_| Ok(ProcessPool::new(config)));
            serve(options, arena, &listening, dispatcher.map_err(told)?)
        }
        Pool::Thread => {
            let dispatcher = Dispatcher::new(equipment, |state| ThreadPool::new(config, state));
            serve(options, arena, &listening, dispatcher.map_err(told)?)
        }
    }
}

/// The end of start-up, and what follows.
fn serve<P: WorkerPool>(
    options: &Options,
    arena: &Arena,
    listening: &Listening,
    mut dispatcher: Dispatcher<P>,
) -> ! {
    let message = std::io::stderr()
        .is_terminal()
        .then(|| start_message(options, listening));

    // Where it was started may be on the card, which could not be unmounted then.
    if let Err(errno) = sys::leave_working_folder() {
        log::warn!("the working folder cannot be left: {errno}");
    }
    log::debug!("start-up took {} bytes of the arena", arena.used());
    arena.seal();
    let heap_bytes = sys::heap_bytes();
    if dispatcher.start().is_err() {
        refuse("the children cannot be made: the system has no room for more processes\n");
    }
    if let Some(message) = &message {
        let _ = sys::write(2, message.as_bytes());
    }
    for bound in &listening.train {
        say(format_args!("train {bound}"));
    }
    for bound in &listening.http {
        say(format_args!("http {bound}"));
    }
    say(format_args!("ready"));
    let ended = dispatcher.run();
    listening.remove_paths();
    if sys::heap_bytes() != heap_bytes {
        refuse("C's heap has changed while serving: this is a bug, please report it\n");
    }
    match ended {
        Ok(ended) => {
            dispatcher.end(ended);
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

/// How many clients the system lets wait for a listener; `None` where a supervisor hides that
/// (`ProcSubset=` of systemd).
fn backlog() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/sys/net/core/somaxconn").ok()?;
    text.trim().parse().ok()
}

fn warn_of_small_backlog() {
    if let Some(backlog) = backlog()
        && backlog < BACKLOG_SMALL
    {
        log::warn!(
            "the system lets only {backlog} clients wait in a backlog; a burst of more may hang: \
             sysctl net.core.somaxconn=4096"
        );
    }
}

/// What a person at a terminal wants to know.
fn start_message(options: &Options, listening: &Listening) -> String {
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
    for bound in &listening.http {
        for shown in reachable(bound) {
            let _ = writeln!(text, "  http     http://{shown}/");
        }
    }
    for bound in &listening.train {
        for shown in reachable(bound) {
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
    let listeners = listening.train.len() + listening.http.len();
    let waiting = RING_MAX as u64 + backlog().unwrap_or(128) * listeners as u64;
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

/// How other machines reach a listener; its own address when it has only one.
fn reachable(bound: &Bound) -> Vec<String> {
    let address = match bound {
        Bound::Ip(address) if address.ip().is_unspecified() => *address,
        _ => return vec![bound.to_string()],
    };
    let interfaces = nix::ifaddrs::getifaddrs().into_iter().flatten();
    let mut found: Vec<String> = interfaces
        .filter_map(|interface| {
            let own = interface.address?;
            let four = own.as_sockaddr_in().map(|four| IpAddr::V4(four.ip()));
            let ip = four.or_else(|| own.as_sockaddr_in6().map(|six| IpAddr::V6(six.ip())))?;
            let is_local = matches!(ip, IpAddr::V6(six) if six.is_unicast_link_local());
            let fits = ip.is_ipv4() || address.is_ipv6();
            (fits && !ip.is_loopback() && !is_local)
                .then(|| SocketAddr::new(ip, address.port()).to_string())
        })
        .collect();
    if found.is_empty() {
        found.push(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port()).to_string());
    }
    found
}
