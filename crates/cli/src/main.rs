//! `kith`: asks the service and pushes to it, from a shell or a script. It never opens the data directory, never retries
//! by itself, and never means "none held" by an exit code that a shell, a signal or a crash could also give.

mod args;
mod audit_args;
mod break_glass_args;
mod commands;
mod core_files;
mod dates;
mod failure;
mod flag_args;
mod identity_args;
mod mesh;
mod person;
mod person_token;
mod plan_file;
mod profile;
mod push;
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
use kith_cli::{exit, reading};

use crate::exit::Exit;

fn main() -> ExitCode {
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
