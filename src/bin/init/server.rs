//! The server, as the only other process: started, restarted when it ends, stopped at the end.

use std::process::{Command, Stdio};

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use trainyard::sys::Exit;

use crate::card::FOLDER;
use crate::console::say;

const PROGRAM: &str = "/trainyard";
const CONFIG: &str = "/run/trainyard.conf";
/// An unprivileged user: `nobody` and `nogroup`, where users have names.
const USER: &str = "65534:65534";

/// The first pause before a restart; each further one is twice as long.
const PAUSE_MIN_MS: u64 = 250;
const PAUSE_MAX_MS: u64 = 30_000;
/// A server that ran this long was in order: the pauses begin anew.
const SOUND_MS: u64 = 60_000;
/// `trainyard eject` waits for the server; it must not wait for ever.
const EJECT_MAX_MS: u64 = 10_000;

enum State {
    /// To be started at this time.
    Due(u64),
    /// As this process, since this time.
    Running(Pid, u64),
    /// As this process, which was asked to end.
    Ending(Pid),
    /// For good.
    Ended,
}

/// The server, and what is said to it.
pub(crate) struct Server {
    state: State,
    pause_ms: u64,
    /// `trainyard eject`, and when it is ended.
    ejecting: Option<(Pid, u64)>,
}

impl Server {
    /// One that is due at once; `config` is the text of its configuration file.
    pub(crate) fn new(config: &str) -> Self {
        if let Err(error) = std::fs::write(CONFIG, config) {
            say!("{CONFIG}: cannot be written: {error}");
        }
        Self {
            state: State::Due(0),
            pause_ms: PAUSE_MIN_MS,
            ejecting: None,
        }
    }

    /// Starts it when it is due. To be called a few times a second.
    pub(crate) fn look(&mut self, now_ms: u64) {
        if let Some((process, end_ms)) = self.ejecting
            && now_ms >= end_ms
        {
            say!("server: did not let go of the card in time");
            let _ = kill(process, Signal::SIGKILL);
            self.ejecting = None;
        }
        if let State::Due(due_ms) = self.state
            && now_ms >= due_ms
        {
            self.start(now_ms);
        }
    }

    fn start(&mut self, now_ms: u64) {
        let options = [
            "serve",
            FOLDER,
            "--wait-root",
            "--user",
            USER,
            "--config",
            CONFIG,
        ];
        match spawn(&options) {
            Ok(process) => {
                say!("server: started");
                self.state = State::Running(process, now_ms);
            }
            Err(error) => self.pause(now_ms, 0, &format!("cannot be started: {error}")),
        }
    }

    fn pause(&mut self, now_ms: u64, ran_ms: u64, what: &str) {
        if ran_ms >= SOUND_MS {
            self.pause_ms = PAUSE_MIN_MS;
        }
        say!("server: {what}; again in {} ms", self.pause_ms);
        self.state = State::Due(now_ms + self.pause_ms);
        self.pause_ms = (self.pause_ms * 2).min(PAUSE_MAX_MS);
    }

    /// Has it let go of a card that was pulled: only then does the kernel forget that card.
    pub(crate) fn eject(&mut self, now_ms: u64) {
        match spawn(&["eject"]) {
            Ok(process) => self.ejecting = Some((process, now_ms + EJECT_MAX_MS)),
            Err(error) => say!("server: cannot be told that the card went: {error}"),
        }
    }

    /// Whether it is being told that the card went: one that came now would be let go, too.
    pub(crate) fn is_ejecting(&self) -> bool {
        self.ejecting.is_some()
    }

    /// Takes note of a process that has ended, which may be an orphan that is nobody's here.
    pub(crate) fn ended(&mut self, process: Pid, exit: Exit, now_ms: u64) {
        if self
            .ejecting
            .is_some_and(|(ejecting, _)| ejecting == process)
        {
            self.ejecting = None;
            match exit {
                Exit::Code(0) => say!("server: let go of the card"),
                exit => say!("server: could not be told to let go of the card: ended {exit}"),
            }
        }
        match self.state {
            State::Running(running, since_ms) if running == process => {
                let ran_ms = now_ms.saturating_sub(since_ms);
                self.pause(now_ms, ran_ms, &format!("ended {exit}"));
            }
            State::Ending(ending) if ending == process => {
                say!("server: ended {exit}");
                self.state = State::Ended;
            }
            _ => {}
        }
    }

    /// Has it end by this signal; it is not started again.
    pub(crate) fn stop(&mut self, signal: Signal) {
        match self.state {
            State::Running(process, _) | State::Ending(process) => {
                let _ = kill(process, signal);
                self.state = State::Ending(process);
            }
            State::Due(_) | State::Ended => self.state = State::Ended,
        }
    }

    /// Whether it is to end, but has not yet.
    pub(crate) fn is_ending(&self) -> bool {
        matches!(self.state, State::Ending(_))
    }
}

/// Starts the program with this process's own output.
fn spawn(arguments: &[&str]) -> std::io::Result<Pid> {
    // A child inherits the signals that are blocked, and this process blocks those that it waits for.
    // What comes in between is ignored, as all is that the first process has no handler for.
    let blocked = SigSet::thread_get_mask().unwrap_or_else(|_| SigSet::empty());
    let _ = SigSet::empty().thread_set_mask();
    let child = Command::new(PROGRAM)
        .args(arguments)
        .current_dir("/")
        .stdin(Stdio::null())
        .spawn();
    let _ = blocked.thread_set_mask();
    let number = i32::try_from(child?.id()).map_err(std::io::Error::other)?;
    Ok(Pid::from_raw(number))
}
