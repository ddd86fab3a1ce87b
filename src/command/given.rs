//! The options as they are given, one by one, and what becomes of them together.

use std::ffi::OsString;
use std::path::PathBuf;

use log::LevelFilter;

use super::address::{Address, address};
use super::options::{Options, Pool};
use super::user::UserName;
use crate::http::{self, HttpConfig};
use crate::limits::{BOARD, CONNECTIONS_MAX, LISTENERS_MAX, WORKERS_MAX};
use crate::train::{self, Framing};

/// Options that are on or off.
const SWITCHES: [&str; 4] = ["access-log", "dotfiles", "listing", "wait-root"];

/// Options that have a value.
const VALUED: [&str; 13] = [
    "train",
    "http",
    "index",
    "fallback",
    "header",
    "push",
    "push-form",
    "pool",
    "workers",
    "per-worker",
    "drain",
    "user",
    "log",
];

/// Options that may be given several times, each time for one more.
const REPEATED: [&str; 4] = ["train", "http", "index", "header"];

/// Whether each one of this name counts, and not only the last.
pub(super) fn may_be_repeated(name: &str) -> bool {
    REPEATED.contains(&name)
}

/// Which switch `--NAME` or `--no-NAME` is, and whether it turns it on.
pub(super) fn switch(name: &str) -> Option<(&str, bool)> {
    let off = name.strip_prefix("no-");
    let plain = off.unwrap_or(name);
    SWITCHES.contains(&plain).then_some((plain, off.is_none()))
}

/// Whether there is such an option with a value.
pub(super) fn has_value(name: &str) -> bool {
    VALUED.contains(&name)
}

/// Whether a file of options may have this name.
pub(super) fn is_for_file(name: &str) -> bool {
    name == "root" || has_value(name) || SWITCHES.contains(&name)
}

/// One option as it is given.
pub(super) struct OptionValue {
    /// Its name without hyphens; `root` for ROOT.
    pub(super) name: String,
    /// Its value; that of a switch is yes or no.
    pub(super) value: OsString,
}

/// The options as given, before what depends on several of them.
pub(super) struct Given {
    root: Option<PathBuf>,
    wait_root: bool,
    train: Option<Vec<Address>>,
    http: Option<Vec<Address>>,
    http_config: HttpConfig,
    push: Option<PathBuf>,
    push_framing: Framing,
    pool: Pool,
    workers: Option<usize>,
    per_worker: Option<usize>,
    drain_s: u64,
    user: Option<UserName>,
    log: LevelFilter,
    /// Names of options that a file gives, and where.
    pub(super) origins: Vec<(String, String)>,
}

impl Given {
    /// Nothing given.
    pub(super) fn new() -> Self {
        Self {
            root: None,
            wait_root: false,
            train: None,
            http: None,
            http_config: HttpConfig::default(),
            push: None,
            push_framing: Framing::Sized,
            pool: Pool::Process,
            workers: None,
            per_worker: None,
            drain_s: 10,
            user: None,
            log: LevelFilter::Info,
            origins: Vec::new(),
        }
    }

    /// Where the file gives the option of this name: `FILE:LINE`.
    pub(super) fn origin(&self, name: &str) -> Option<&str> {
        let (_, at) = self.origins.iter().find(|(own, _)| own == name)?;
        Some(at.trim_end_matches(": "))
    }

    /// Takes one option.
    ///
    /// # Errors
    /// One line that begins with the option and says what is wrong.
    pub(super) fn take(&mut self, option_value: OptionValue) -> Result<(), String> {
        let OptionValue { name, value } = option_value;
        let option = &format!("--{name}")[..];
        match &name[..] {
            "root" => self.root = Some(PathBuf::from(value)),
            "train" => self
                .train
                .get_or_insert_default()
                .extend(address(option, &value, false)?),
            "http" => self
                .http
                .get_or_insert_default()
                .extend(address(option, &value, true)?),
            "index" => self.http_config.add_index(&text(option, value)?)?,
            "fallback" => self.http_config.set_fallback(&text(option, value)?)?,
            "header" => self.http_config.add_header(&text(option, value)?)?,
            "listing" => self.http_config.listing = is_on(option, value)?,
            "dotfiles" => self.http_config.dotfiles = is_on(option, value)?,
            "access-log" => self.http_config.access_log = is_on(option, value)?,
            "wait-root" => self.wait_root = is_on(option, value)?,
            "push" => self.push = Some(PathBuf::from(value)),
            "push-form" => self.push_framing = framing(&text(option, value)?)?,
            "pool" => self.pool = pool(&text(option, value)?)?,
            "workers" => self.workers = Some(count(option, value, WORKERS_MAX)?),
            "per-worker" => self.per_worker = Some(count(option, value, CONNECTIONS_MAX)?),
            "drain" => self.drain_s = number(option, value, 0, 86_400)?,
            "user" => self.user = Some(UserName::read(option, &text(option, value)?)?),
            "log" => self.log = level(&text(option, value)?)?,
            other => panic!("{other} is in no list of options"),
        }
        Ok(())
    }

    /// Fills in the defaults, and checks what belongs together.
    ///
    /// # Errors
    /// One line that says what is wrong and what to do.
    pub(super) fn settle(self) -> Result<Options, String> {
        let (train_is_default, http_is_default) = (self.train.is_none(), self.http.is_none());
        let train = self
            .train
            .unwrap_or_else(|| vec![Address::All(train::PORT_DEFAULT)]);
        let http = self
            .http
            .unwrap_or_else(|| vec![Address::All(http::PORT_DEFAULT)]);
        let given = train.len() + http.len();
        if given == 0 {
            return Err("nothing to listen on: leave out `--train none` or `--http none`".into());
        }
        if given > LISTENERS_MAX {
            return Err(format!(
                "--train and --http name {given} addresses; this board has {LISTENERS_MAX} listeners"
            ));
        }
        let workers = self.workers.unwrap_or_else(workers_by_cores);
        let most = CONNECTIONS_MAX.div_ceil(workers);
        let per_worker = self.per_worker.unwrap_or(most);
        if per_worker > most {
            return Err(format!(
                "--workers {workers} with --per-worker {per_worker} is more than this board's \
                 {CONNECTIONS_MAX} connections; --per-worker can be {most}"
            ));
        }
        Ok(Options {
            root: self.root.unwrap_or_else(|| PathBuf::from(".")),
            wait_root: self.wait_root,
            train,
            train_is_default,
            http,
            http_is_default,
            http_config: self.http_config,
            push: self.push,
            push_framing: self.push_framing,
            pool: self.pool,
            workers,
            per_worker,
            drain_s: self.drain_s,
            user: self.user,
            log: self.log,
            origins: self.origins,
        })
    }
}

fn workers_by_cores() -> usize {
    std::thread::available_parallelism()
        .map_or(2, std::num::NonZero::get)
        .clamp(2, WORKERS_MAX)
}

fn text(option: &str, value: OsString) -> Result<String, String> {
    value
        .into_string()
        .map_err(|value| format!("{option} {}: not text", value.display()))
}

fn is_on(option: &str, value: OsString) -> Result<bool, String> {
    match value.to_str() {
        Some("yes") => Ok(true),
        Some("no") => Ok(false),
        _ => Err(format!("{option} {}: must be yes or no", value.display())),
    }
}

fn count(option: &str, value: OsString, most: usize) -> Result<usize, String> {
    number(option, value, 1, most as u64).map(|number| number as usize)
}

fn number(option: &str, value: OsString, least: u64, most: u64) -> Result<u64, String> {
    let value = text(option, value)?;
    match value.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!(
            "{option} {value}: must be a whole number from {least} to {most} (board {})",
            BOARD.name
        )),
    }
}

fn framing(name: &str) -> Result<Framing, String> {
    match name {
        "sized" => Ok(Framing::Sized),
        "raw" => Ok(Framing::Raw),
        "raw-end" => Ok(Framing::RawEnd),
        "plain" => Ok(Framing::Plain),
        _ => Err(format!(
            "--push-form {name}: must be sized, raw, raw-end or plain"
        )),
    }
}

fn pool(name: &str) -> Result<Pool, String> {
    match name {
        "process" => Ok(Pool::Process),
        "thread" => Ok(Pool::Thread),
        _ => Err(format!("--pool {name}: must be process or thread")),
    }
}

fn level(name: &str) -> Result<LevelFilter, String> {
    match name {
        "error" => Ok(LevelFilter::Error),
        "warn" => Ok(LevelFilter::Warn),
        "info" => Ok(LevelFilter::Info),
        "debug" => Ok(LevelFilter::Debug),
        _ => Err(format!("--log {name}: must be error, warn, info or debug")),
    }
}
