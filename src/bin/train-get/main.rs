//! train-get: the hosted client of the train protocol. Unlike the server it may allocate, so it
//! takes std's own errors, strings and threads.

// The ban on `std::io::Error` is for the server, whose errors must not allocate.
#![allow(clippy::disallowed_types)]

mod command;
mod connection;
mod destination;
mod download;
mod failure;
mod folder;
mod jobs;
mod listing;
mod names;
mod part;
mod progress;
mod queue;
mod shared;
mod url;
mod wire;

use std::io::Write;
use std::process::ExitCode;

use command::{Command, Options};
use failure::Failure;
use shared::Shared;

/// Everything was got.
const EXIT_WHOLE: u8 = 0;
/// Something could not be got; each such thing has its line on standard error.
const EXIT_FAILED: u8 = 1;
/// The command line makes no sense; nothing was tried.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let code = match command::parse(lexopt::Parser::from_env()) {
        Ok(Command::Help) => print(command::HELP),
        Ok(Command::Version) => print(concat!("train-get ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Command::Get(options)) => get(options),
        Err(message) => {
            complain(&format!("{message} (train-get --help tells how)"));
            EXIT_USAGE
        }
    };
    ExitCode::from(code)
}

fn get(options: Options) -> u8 {
    let level = if options.verbose {
        log::LevelFilter::Debug
    } else {
        log::LevelFilter::Off
    };
    if let Err(error) = simple_logger::SimpleLogger::new().with_level(level).init() {
        complain(&format!("no log: {error}"));
    }
    match run(options) {
        Ok(0) => EXIT_WHOLE,
        Ok(_) => EXIT_FAILED,
        Err(failure) => {
            complain(&failure.to_string());
            EXIT_FAILED
        }
    }
}

/// Gets everything that was asked for and counts what failed. An error means that nothing was tried.
fn run(options: Options) -> Result<usize, Failure> {
    let (destination, name) = destination::chosen(&options.output)?;
    let shared = Shared::new(&options);
    Ok(jobs::run_all(
        &shared,
        &options,
        &destination,
        name.as_deref(),
    ))
}

/// Text for standard output. A reader that left (`| head`) is no failure of ours.
fn print(text: &str) -> u8 {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => EXIT_FAILED,
        _ => EXIT_WHOLE,
    }
}

fn complain(message: &str) {
    // With standard error gone there is nobody left to tell.
    let _ = writeln!(std::io::stderr(), "train-get: {message}");
}
