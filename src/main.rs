//! trainyard: serves the files of one folder to many clients at once, on fixed memory.

use std::process::ExitCode;

use trainyard::command::{self, Command};
use trainyard::memory::Arena;
use trainyard::{budget, serve};

#[global_allocator]
static ARENA: Arena = Arena::new();

fn main() -> ExitCode {
    match command::parse(std::env::args_os().skip(1)) {
        Ok(Command::Help) => {
            print!("{}", command::HELP);
            ExitCode::SUCCESS
        }
        Ok(Command::Version) => {
            print!("{}", command::version());
            ExitCode::SUCCESS
        }
        Ok(Command::Budget(options, json)) => {
            let budget = budget::Budget::new(&options);
            print!(
                "{}",
                if json {
                    budget.to_json()
                } else {
                    budget.to_text()
                }
            );
            ExitCode::SUCCESS
        }
        Ok(Command::Serve(options)) => match serve::run(&options, &ARENA) {
            Ok(()) => ExitCode::SUCCESS,
            Err(reason) => fail(&reason, 1),
        },
        Err(reason) => fail(&reason, 2),
    }
}

fn fail(reason: &str, code: u8) -> ExitCode {
    eprintln!("trainyard: {reason}");
    ExitCode::from(code)
}
