//! Commands: each runs, reports, and ends with the exit code that says how it went.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::args::{Arguments, ReportArguments, RunArguments, Verb};
use crate::outcome::Outcome;
use crate::progress;
use crate::report;
use crate::run;

/// Exit codes beside clap's own.
mod code {
    /// It could not run.
    pub const COULD_NOT_RUN: u8 = 1;
    /// Wrong usage.
    pub const USAGE: u8 = 2;
    /// The generator missed its own schedule.
    pub const VOID: u8 = 3;
    /// An answer differs from what is true.
    pub const WRONG: u8 = 4;
    /// Counters differ, or something did not drain.
    pub const UNACCOUNTED: u8 = 5;
}

/// Wrong usage that clap cannot see.
#[derive(Debug)]
struct Usage(String);

impl std::fmt::Display for Usage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Does what the arguments say.
#[must_use]
pub fn run(arguments: Arguments) -> ExitCode {
    let done = match arguments.verb {
        Verb::Run(arguments) => measure(arguments),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("kith-load: {error:#}");
            let code = if error.is::<Usage>() { code::USAGE } else { code::COULD_NOT_RUN };
            ExitCode::from(code)
        }
    }
}

fn measure(arguments: RunArguments) -> Result<ExitCode> {
    let RunArguments { target, traffic, shape, reports } = arguments;
    let plan = traffic.plan(&shape).map_err(Usage)?;
    let target = target.target(traffic.empty_path);
    let setup = run::prepare(&target, plan)?;
    let running = run::begin(&target, &setup)?;
    let bar = progress::watch(&running, setup.window);
    let outcome = running.finish(&target, "run")?;
    bar.finish();
    write(&outcome, &reports)?;
    Ok(exit_code(&outcome))
}

/// Writes what was asked for.
fn write(outcome: &Outcome, reports: &ReportArguments) -> Result<()> {
    if let Some(path) = &reports.json {
        let text = serde_json::to_string_pretty(outcome).context("failed to encode the outcome")?;
        std::fs::write(path, text + "\n").with_context(|| format!("failed to write {}", path.display()))?;
    }
    if !reports.quiet {
        print!("{}", report::table(outcome));
    }
    Ok(())
}

/// What an outcome ends with: an untrue answer outranks everything.
#[must_use]
pub fn exit_code(outcome: &Outcome) -> ExitCode {
    if outcome.verification.wrong > 0 {
        ExitCode::from(code::WRONG)
    } else if !outcome.failures.is_empty() {
        ExitCode::from(code::UNACCOUNTED)
    } else if outcome.void {
        ExitCode::from(code::VOID)
    } else {
        ExitCode::SUCCESS
    }
}
