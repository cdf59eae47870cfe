//! `kith`: asks the service and pushes to it, from a shell or a script. It never opens the data directory, never retries
//! by itself, and never means "none held" by an exit code that a shell, a signal or a crash could also give. All of it is here, apart
//! from the program, so that fuzzing reaches what it reads.

mod args;
mod audit_args;
mod break_glass_args;
mod commands;
mod core_files;
mod dates;
pub mod exit;
mod failure;
mod flag_args;
pub mod fuzz_entry;
mod identity_args;
mod mesh;
pub mod message;
pub mod note;
mod person;
mod person_token;
mod plan_file;
mod profile;
mod push;
pub mod reading;
mod redacted;
mod render;
#[cfg(test)]
mod samples;
mod settings;
mod withhold_args;
mod words;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::Parser;

use crate::exit::Exit;

/// What the program does: reads its arguments, does what they say, and gives the code that it ends with. A panic ends with that of
/// "could not ask".
#[must_use]
pub fn program() -> ExitCode {
    if let Err(error) = core_files::forbid() {
        // The question is asked all the same: a person waits for the answer.
        eprintln!("kith: a crash could leave a core file: {error}");
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        eprintln!("kith: fault in the program at {place}");
    }));
    let exit = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        eprintln!("kith: COULD NOT ASK: the program itself failed. This says nothing about a child.");
        Exit::CouldNotAsk
    });
    ExitCode::from(exit.code())
}

fn run() -> Exit {
    match args::Cli::try_parse() {
        Ok(cli) => commands::run(cli),
        Err(error) => args::usage(&error),
    }
}
