//! The command line of `trainyard`. Runs at start-up only, so it may allocate.

mod address;
mod config;
mod given;
mod options;
mod user;

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::*;

use crate::limits::{BOARD, CONNECTIONS_MAX, LISTENERS_MAX, RING_MAX, WORKERS_MAX};

pub use address::Address;
use given::{Given, OptionValue};
pub use options::{Options, Pool};
pub use user::UserName;

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// `serve`
    Serve(Options),
    /// `budget`, as JSON if true
    Budget(Options, bool),
    /// Ask the servers of this root, or all that run, to let go of it.
    Eject(Option<PathBuf>),
    /// `--help`
    Help,
    /// `--version`
    Version,
}

/// The text of `--help`.
pub const HELP: &str = "\
trainyard serves the files of one folder to many clients at once, on memory that is
fixed before the first client connects.

  trainyard serve [ROOT] [options]            serve the files under ROOT (default: this folder)
  trainyard budget [options] [--json]         print where every byte goes; same options
  trainyard eject [ROOT]                      let all servers, or those of ROOT, let go of it
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
  --wait-root        start although ROOT is not there yet, and serve it when it comes
  --user NAME[:GROUP]  run as this user once it listens (started by root: default nobody)
  --log LEVEL        error | warn | info (default) | debug, on standard error
  --config FILE      these options, one `name = value` a line; the command line wins

In FILE, ROOT is `root`, and a switch is `yes` or `no`, as in `listing = no`. What is on there,
--no-NAME turns off. Lines that begin with # are comments.

ADDR is PORT, :PORT, HOST:PORT or [V6]:PORT; HOST is a literal address or localhost, and port 0
takes a free one. For HTTP it can also be unix:PATH. SIGTERM and SIGINT stop the server once the
transfers are done; a second one stops it at once. SIGHUP opens ROOT anew.
Exit code: 0 after a clean stop, 2 for wrong usage, 1 for anything else.
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
        Some(Value(word)) if word == "eject" => parse_eject(&mut parser),
        Some(argument) => Err(format!(
            "{}; the commands are serve, budget and eject, see trainyard --help",
            argument.unexpected()
        )),
        None => Err(
            "say what to do: `trainyard serve .` serves this folder, see trainyard --help".into(),
        ),
    }
}

fn parse_eject(parser: &mut lexopt::Parser) -> Result<Command, String> {
    let mut root = None;
    while let Some(argument) = parser.next().map_err(told)? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help),
            Value(value) if root.is_none() => root = Some(PathBuf::from(value)),
            other => return Err(told(other.unexpected())),
        }
    }
    Ok(Command::Eject(root))
}

/// Reads the options behind a command; `None` when help is wanted instead.
fn parse_options(
    parser: &mut lexopt::Parser,
    with_json: bool,
) -> Result<Option<(Options, bool)>, String> {
    let (mut line, mut config, mut json) = (Vec::new(), None, false);
    let option_value = |name: &str, value: OsString| OptionValue {
        name: name.into(),
        value,
    };
    while let Some(argument) = parser.next().map_err(told)? {
        match argument {
            Short('h') | Long("help") => return Ok(None),
            Long("json") if with_json => json = true,
            Value(root)
                if !line
                    .iter()
                    .any(|option_value: &OptionValue| option_value.name == "root") =>
            {
                line.push(option_value("root", root));
            }
            Long(name) => {
                let name = name.to_string();
                if name == "config" {
                    config = Some(PathBuf::from(parser.value().map_err(told)?));
                } else if given::has_value(&name) {
                    line.push(option_value(&name, parser.value().map_err(told)?));
                } else if let Some((name, is_on)) = given::switch(&name) {
                    line.push(option_value(name, if is_on { "yes" } else { "no" }.into()));
                } else {
                    return Err(told(Long(&name).unexpected()));
                }
            }
            other => return Err(told(other.unexpected())),
        }
    }
    let mut given = Given::new();
    if let Some(file) = &config {
        config::read(file, &line, &mut given)?;
    }
    line.into_iter()
        .try_for_each(|option_value| given.take(option_value))?;
    given.settle().map(|options| Some((options, json)))
}

fn told(error: lexopt::Error) -> String {
    format!("{error}; see trainyard --help")
}

#[cfg(test)]
mod tests;
