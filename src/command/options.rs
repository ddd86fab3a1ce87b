//! The options of `serve` and `budget`, as the command line and the file of options give them.

use std::path::PathBuf;

use log::LevelFilter;

use super::address::Address;
use super::user::UserName;
use crate::http::HttpConfig;
use crate::train::Framing;

/// The options of `serve` and `budget`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Options {
    /// The folder whose files are served.
    pub root: PathBuf,
    /// Whether to start although it is not there yet.
    pub wait_root: bool,
    /// Train listeners.
    pub train: Vec<Address>,
    /// They are the default: sockets that a supervisor passes take their place.
    pub train_is_default: bool,
    /// HTTP listeners.
    pub http: Vec<Address>,
    /// The same of them.
    pub http_is_default: bool,
    /// How files are served over HTTP.
    pub http_config: HttpConfig,
    /// The file that train clients are sent unasked.
    pub push: Option<PathBuf>,
    /// The framing in which it is sent.
    pub push_framing: Framing,
    /// The pool.
    pub pool: Pool,
    /// Workers.
    pub workers: usize,
    /// Connections that one worker may hold.
    pub per_worker: usize,
    /// How long a stop waits for transfers, in seconds.
    pub drain_s: u64,
    /// The user to run as, for whom root starts the server.
    pub user: Option<UserName>,
    /// The least severe level that is logged.
    pub log: LevelFilter,
    /// Names of options that the file of options gives, and where: `FILE:LINE: `.
    pub origins: Vec<(String, String)>,
}

/// How the workers are made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pool {
    /// Each is a process.
    Process,
    /// Each is a thread.
    Thread,
}

impl Options {
    /// Connections that all workers may hold.
    #[must_use]
    pub fn places(&self) -> usize {
        self.workers * self.per_worker
    }

    /// What is wrong with an option, with the place in the file of options in front if it is from there.
    #[must_use]
    pub fn located(&self, reason: String) -> String {
        let is_of = |name: &str| match name {
            "root" => reason.starts_with(&*self.root.to_string_lossy()),
            _ => reason.starts_with(&format!("--{name} ")),
        };
        match self.origins.iter().find(|(name, _)| is_of(name)) {
            Some((_, at)) => at.clone() + reason.trim_start_matches('-'),
            None => reason,
        }
    }
}
