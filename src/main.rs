//! trainyard: serves the files of one folder to many clients at once, on fixed memory.

use std::process::ExitCode;

use trainyard::command::{self, Command};
use trainyard::memory::Arena;
use trainyard::{budget, eject, logger, serve, sys};

#[global_allocator]
static ARENA: Arena = Arena::new();

fn main() -> ExitCode {
    logger::catch_panics();
    match command::parse(std::env::args_os().skip(1)) {
        Ok(Command::Help) => show(command::HELP),
        Ok(Command::Version) => show(&command::version()),
        Ok(Command::Budget(options, json)) => {
            let budget = budget::Budget::new(&options);
            show(&if json {
                budget.to_json()
            } else {
                budget.to_text()
            })
        }
        Ok(Command::Eject(root)) => match eject::run(root.as_deref()) {
            Ok(text) => show(&text),
            Err(reason) => fail(&reason, 1),
        },
        Ok(Command::Serve(options)) => match serve::run(&options, &ARENA) {
            Ok(()) => ExitCode::SUCCESS,
            Err(reason) => fail(&options.located(reason), 1),
        },
        Err(reason) => fail(&reason, 2),
    }
}

/// Prints `text`; `print!` would panic where that fails.
fn show(text: &str) -> ExitCode {
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        match sys::write(1, rest) {
            Ok(written) => rest = &rest[written..],
            Err(errno) => return fail(&format!("standard output: {}", errno.desc()), 1),
        }
    }
    ExitCode::SUCCESS
}

fn fail(reason: &str, code: u8) -> ExitCode {
    let _ = sys::write(2, format!("trainyard: {reason}\n").as_bytes());
    ExitCode::from(code)
}
