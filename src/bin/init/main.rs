//! trainyard-init: the first process of a board that only serves its card.
//!
//! It mounts and remounts the card, gets the board an address, runs the server as the only other
//! process, and ends the system. It looks at all of that a few times a second: there is no message
//! from the kernel that could be missed. It never ends, whatever fails. `board/image` puts it on a card.

// The ban on `std::io::Error` is for the server, whose errors must not allocate.
#![allow(clippy::disallowed_types)]

mod card;
mod console;
mod dhcp;
mod filesystem;
mod message;
mod network;
mod server;
mod settings;
mod signals;
mod system;

use std::os::fd::AsFd;
use std::process::ExitCode;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::reboot::RebootMode;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use trainyard::sys;

use card::{Change, Slot};
use console::say;
use network::Network;
use server::Server;
use settings::Settings;
use signals::Signals;

/// How long nothing is looked at, unless something comes.
const WATCHDOG_MS: u16 = 200;
/// How long a card with settings is waited for, before the board goes on without any.
const SETTINGS_WAIT_MS: u64 = 10_000;
/// Transfers in flight get the server's own time at the end, and a little more.
const STOP_MS: u64 = 15_000;
/// Nothing withstands SIGKILL but what hangs in the kernel.
const KILL_MS: u64 = 2000;

fn main() -> ExitCode {
    if std::process::id() != 1 {
        eprintln!("trainyard-init: runs as the first process of a board only; see board/image");
        return ExitCode::from(2);
    }
    system::mount_own();
    say!("started");
    let signals = Signals::new();
    system::take_restart_key();
    system::make_folder(card::FOLDER);
    system::load_modules();
    Network::raise_loopback();
    let mut slot = Slot::default();
    let settings = settings(&mut slot);
    system::set_name(&settings.name);
    let mut server = Server::new(&settings.server);
    let mut network = Network::default();
    loop {
        let now_ms = sys::now_ms();
        reap(&mut server, now_ms);
        if slot.look(!server.is_ejecting(), now_ms) == Some(Change::Went) {
            server.eject(now_ms);
        }
        server.look(now_ms);
        network.look(&settings, now_ms);
        if let Some(mode) = wait(&signals, &network) {
            end(mode, &mut server, &mut slot);
        }
    }
}

/// Takes note of the processes that have ended, the server's and orphans alike.
fn reap(server: &mut Server, now_ms: u64) {
    while let Some((process, exit)) = sys::reap() {
        server.ended(Pid::from_raw(process), exit, now_ms);
    }
}

/// The owner's settings, once there is a card, or without those of a card.
fn settings(slot: &mut Slot) -> Settings {
    let end_ms = sys::now_ms() + SETTINGS_WAIT_MS;
    let file = loop {
        match slot.read_settings(sys::now_ms()) {
            Some(file) => break file,
            None if sys::now_ms() < end_ms => pause(50),
            None => {
                say!("settings: there is no card; going on without");
                break Vec::new();
            }
        }
    };
    let command_line = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
    let settings = Settings::new(&file, &command_line);
    for complaint in &settings.complaints {
        say!("settings: {complaint}");
    }
    settings
}

fn pause(ms: u64) {
    std::thread::sleep(core::time::Duration::from_millis(ms));
}

/// Waits for a signal, an answer to DHCP, or the next look; the way to end, if a signal asks for it.
fn wait(signals: &Signals, network: &Network) -> Option<RebootMode> {
    let sources = [signals.descriptor(), network.socket().map(AsFd::as_fd)];
    let wanted = sources.into_iter().flatten();
    let mut polled: Vec<PollFd> = wanted
        .map(|source| PollFd::new(source, PollFlags::POLLIN))
        .collect();
    if poll(&mut polled, PollTimeout::from(WATCHDOG_MS)).is_err() {
        pause(WATCHDOG_MS.into());
    }
    signals.next()
}

/// Stops the server, unmounts the card, and ends the system.
fn end(mode: RebootMode, server: &mut Server, slot: &mut Slot) -> ! {
    say!("ending");
    for (signal, wait_ms) in [(Signal::SIGTERM, STOP_MS), (Signal::SIGKILL, KILL_MS)] {
        server.stop(signal);
        let end_ms = sys::now_ms() + wait_ms;
        while server.is_ending() && sys::now_ms() < end_ms {
            pause(20);
            reap(server, sys::now_ms());
        }
    }
    slot.close();
    say!("the end");
    system::end(mode)
}
