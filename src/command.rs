//! The command line of `trainyard`. Runs at start-up only, so it may allocate.

mod address;

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::*;
use log::LevelFilter;

use crate::http::{self, Site};
use crate::limits::{BOARD, CONNECTIONS_MAX, LISTENERS_MAX, RING_MAX, WORKERS_MAX};
use crate::train::{self, Form};

pub use address::Address;
use address::address;

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// `serve`
    Serve(Options),
    /// `budget`, as JSON if true
    Budget(Options, bool),
    /// `--help`
    Help,
    /// `--version`
    Version,
}

/// The options of `serve` and `budget`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Options {
    /// The folder whose files are served.
    pub root: PathBuf,
    /// Train listeners.
    pub train: Vec<Address>,
    /// HTTP listeners.
    pub http: Vec<Address>,
    /// How files are served over HTTP.
    pub site: Site,
    /// The file that train clients are sent unasked.
    pub push: Option<PathBuf>,
    /// The form in which it is sent.
    pub push_form: Form,
    /// The pool.
    pub pool: Pool,
    /// Workers.
    pub workers: usize,
    /// Connections that one worker may hold.
    pub per_worker: usize,
    /// How long a stop waits for transfers, in seconds.
    pub drain_s: u64,
    /// The least severe level that is logged.
    pub log: LevelFilter,
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
}

/// The text of `--help`.
pub const HELP: &str = "\
trainyard serves the files of one folder to many clients at once, on memory that is
fixed before the first client connects.

  trainyard serve [ROOT] [options]            serve the files under ROOT (default: this folder)
  trainyard budget [options] [--json]         print where every byte goes; same options
  trainyard --help | --version

Options:
  --http ADDR        HTTP listener, may be repeated (default: port 8080 on all addresses; `none`)
  --index NAME       a folder's index file, may be repeated (default index.html)
  --fallback FILE    sent for a path that is not there, with 200; 404:FILE with 404; beneath ROOT
  --no-listing       no listings: 403 instead
  --dotfiles         serve names that begin with a dot over HTTP too (trains always do)
  --header TEXT      'NAME: VALUE' is added to every answer, may be repeated
  --access-log       one line per request on standard output, in the combined format
  --train ADDR       train listener, may be repeated (default: port 2000 on all addresses; `none`)
  --push FILE        train clients get FILE as soon as they connect, without asking
  --push-form FORM   sized (default) | raw | raw-end | plain
  --pool KIND        process (default) | thread: what each worker is
  --workers N        workers (default: one per core, at least 2)
  --per-worker N     connections one worker may hold (default: the board's total / workers)
  --drain SECONDS    how long a stop waits for transfers in flight (default 10)
  --log LEVEL        error | warn | info (default) | debug, on standard error

ADDR is PORT, :PORT, HOST:PORT or [V6]:PORT; HOST is a literal address or localhost, and port 0
takes a free one. For HTTP it can also be unix:PATH. SIGTERM and SIGINT stop the server once the
transfers are done; a second one stops it at once. Exit code: 0 after a clean stop, 2 for wrong
usage, 1 for anything else.
";

/// The text of `--version`.
#[must_use]
pub fn version() -> String {
    format!(
        "trainyard {}\nboard {}, {}-{}\n{CONNECTIONS_MAX} connections, {WORKERS_MAX} workers, {RING_MAX} waiting, {LISTENERS_MAX} listeners\n",
        env!("CARGO_PKG_VERSION"),
        BOARD.name,
        std::env::consts::ARCH,
        std::env::consts::OS,
    )
}

/// Reads the command line, without the program's name.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    let mut parser = lexopt::Parser::from_args(arguments);
    match parser.next().map_err(|error| error.to_string())? {
        Some(Long("help") | Short('h')) => Ok(Command::Help),
        Some(Long("version") | Short('V')) => Ok(Command::Version),
        Some(Value(word)) if word == "help" => Ok(Command::Help),
        Some(Value(word)) if word == "serve" => match parse_options(&mut parser, false)? {
            Some((options, _)) => Ok(Command::Serve(options)),
            None => Ok(Command::Help),
        },
        Some(Value(word)) if word == "budget" => match parse_options(&mut parser, true)? {
            Some((options, json)) => Ok(Command::Budget(options, json)),
            None => Ok(Command::Help),
        },
        Some(argument) => Err(format!(
            "{}; the commands are serve and budget, see trainyard --help",
            argument.unexpected()
        )),
        None => Err(
            "say what to do: `trainyard serve .` serves this folder, see trainyard --help".into(),
        ),
    }
}

/// The options as given, before what depends on several of them.
struct Given {
    root: Option<PathBuf>,
    train: Option<Vec<Address>>,
    http: Option<Vec<Address>>,
    site: Site,
    push: Option<PathBuf>,
    push_form: Form,
    pool: Pool,
    workers: Option<usize>,
    per_worker: Option<usize>,
    drain_s: u64,
    log: LevelFilter,
    json: bool,
}

/// Reads the options behind a command; `None` when help is wanted instead.
fn parse_options(
    parser: &mut lexopt::Parser,
    with_json: bool,
) -> Result<Option<(Options, bool)>, String> {
    let mut given = Given {
        root: None,
        train: None,
        http: None,
        site: Site::default(),
        push: None,
        push_form: Form::Sized,
        pool: Pool::Process,
        workers: None,
        per_worker: None,
        drain_s: 10,
        log: LevelFilter::Info,
        json: false,
    };
    while let Some(argument) = parser.next().map_err(told)? {
        let option = match argument {
            Short('h') | Long("help") => return Ok(None),
            Long("json") if with_json => {
                given.json = true;
                continue;
            }
            Long("no-listing") => {
                given.site.listing = false;
                continue;
            }
            Long("dotfiles") => {
                given.site.dotfiles = true;
                continue;
            }
            Long("access-log") => {
                given.site.access_log = true;
                continue;
            }
            Value(root) if given.root.is_none() => {
                given.root = Some(PathBuf::from(root));
                continue;
            }
            Long(name) => name.to_string(),
            other => return Err(told(other.unexpected())),
        };
        given.take(&option, parser)?;
    }
    let json = given.json;
    given.settle().map(|options| Some((options, json)))
}

fn told(error: lexopt::Error) -> String {
    format!("{error}; see trainyard --help")
}

impl Given {
    /// Takes an option that has a value.
    fn take(&mut self, option: &str, parser: &mut lexopt::Parser) -> Result<(), String> {
        const KNOWN: [&str; 12] = [
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
            "log",
        ];
        if !KNOWN.contains(&option) {
            return Err(told(Long(option).unexpected()));
        }
        let value = parser.value().map_err(told)?;
        match option {
            "train" => self
                .train
                .get_or_insert_default()
                .extend(address("--train", &value, false)?),
            "http" => self
                .http
                .get_or_insert_default()
                .extend(address("--http", &value, true)?),
            "index" => self.site.add_index(&text("--index", value)?)?,
            "fallback" => self.site.set_fallback(&text("--fallback", value)?)?,
            "header" => self.site.add_header(&text("--header", value)?)?,
            "push" => self.push = Some(PathBuf::from(value)),
            "push-form" => self.push_form = form(&text("--push-form", value)?)?,
            "pool" => self.pool = pool(&text("--pool", value)?)?,
            "workers" => self.workers = Some(count("--workers", value, WORKERS_MAX)?),
            "per-worker" => self.per_worker = Some(count("--per-worker", value, CONNECTIONS_MAX)?),
            "drain" => self.drain_s = number("--drain", value, 0, 86_400)?,
            _ => self.log = level(&text("--log", value)?)?,
        }
        Ok(())
    }

    /// Fills in the defaults, and checks what belongs together.
    fn settle(self) -> Result<Options, String> {
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
            train,
            http,
            site: self.site,
            push: self.push,
            push_form: self.push_form,
            pool: self.pool,
            workers,
            per_worker,
            drain_s: self.drain_s,
            log: self.log,
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

fn form(name: &str) -> Result<Form, String> {
    match name {
        "sized" => Ok(Form::Sized),
        "raw" => Ok(Form::Raw),
        "raw-end" => Ok(Form::RawEnd),
        "plain" => Ok(Form::Plain),
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

#[cfg(test)]
mod tests;
