//! Commands: each runs, reports, and ends with the exit code that says how it went.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::args::{
    Arguments, CompareArguments, KneeArguments, ReportAgainArguments, ReportArguments, RunArguments, SearchArguments,
    SteadyArguments, StormArguments, StormsArguments, Verb,
};
use crate::hostile;
use crate::kind::Kind;
use crate::knee::{self, Search};
use crate::outcome::{FORMAT, Outcome};
use crate::plan::Shape;
use crate::progress;
use crate::report;
use crate::run;
use crate::storm::{self, Storms};

/// Exit codes beside clap's own.
mod code {
    /// Done, and nothing to say against it.
    pub const DONE: u8 = 0;
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
        Verb::Knee(arguments) => knee(arguments),
        Verb::Storm(arguments) => storm(arguments),
        Verb::Hostile(arguments) => hostile::arguments::run(arguments),
        Verb::Compare(arguments) => compare(&arguments),
        Verb::Report(arguments) => report_again(&arguments),
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
    let step = &shape.step;
    let plan = traffic.plan(shape.shape(), (step.warm_up_s, step.duration_s), &step.late).map_err(Usage)?;
    let target = target.target(traffic.empty_path);
    let setup = run::prepare(&target, plan)?;
    let running = run::begin(&target, &setup)?;
    let bar = progress::watch(&running, setup.window);
    let (outcome, _) = running.finish(&target, "run")?;
    bar.finish();
    end(&outcome, &reports)
}

fn knee(arguments: KneeArguments) -> Result<ExitCode> {
    let KneeArguments { target, traffic, step, search, reports } = arguments;
    let plan = traffic.plan(Shape::Closed, (step.warm_up_s, step.duration_s), &step.late).map_err(Usage)?;
    let target = target.target(traffic.empty_path);
    let SearchArguments { start_rate, factor, most_rate, halvings, p99_bound_us, goodput_percent } = search;
    let goodput_bound = goodput_percent / 100.0;
    let search = Search { start: start_rate, factor, most: most_rate, halvings, p99_bound_us, goodput_bound };
    let outcome = knee::find(&target, &plan, &search, step.arrivals.arrivals())?;
    end(&outcome, &reports)
}

fn storm(arguments: StormArguments) -> Result<ExitCode> {
    let StormArguments { target, traffic, steady, storms, reports } = arguments;
    let SteadyArguments { rate, arrivals, warm_up_s, late } = steady;
    let StormsArguments { clients, storms, quiet_s, patience_ms } = storms;
    let empty = !traffic.mix.split(',').any(|part| !part.trim().starts_with(Kind::Empty.name()));
    let storms = Storms { clients: clients as usize, storms, quiet_seconds: quiet_s, patience_ms, empty };
    let shape = Shape::Open { rate_per_second: rate, arrivals: arrivals.arrivals() };
    let plan = traffic.plan(shape, (warm_up_s, storms.seconds()), &late).map_err(Usage)?;
    let target = target.target(traffic.empty_path);
    let outcome = storm::run(&target, plan, &storms)?;
    end(&outcome, &reports)
}

fn compare(arguments: &CompareArguments) -> Result<ExitCode> {
    let (first, second) = (read(&arguments.first)?, read(&arguments.second)?);
    print!("{}", report::compare(&first, &second));
    // The worse of the two: what was wrong stays wrong, whatever it is compared with.
    let codes = [code_of(&first), code_of(&second)];
    let worst = [code::WRONG, code::UNACCOUNTED, code::VOID].into_iter().find(|code| codes.contains(code));
    Ok(worst.map_or(ExitCode::SUCCESS, ExitCode::from))
}

fn report_again(arguments: &ReportAgainArguments) -> Result<ExitCode> {
    let outcome = read(&arguments.outcome)?;
    end(&outcome, &arguments.reports)
}

fn read(path: &Path) -> Result<Outcome> {
    let text = std::fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
    let outcome: Outcome = serde_json::from_str(&text)
        .with_context(|| format!("failed to understand {}: expected an outcome of kith-load", path.display()))?;
    anyhow::ensure!(outcome.format == FORMAT, "expected the format {FORMAT}, found {}", outcome.format);
    Ok(outcome)
}

fn end(outcome: &Outcome, reports: &ReportArguments) -> Result<ExitCode> {
    write(outcome, reports)?;
    Ok(exit_code(outcome))
}

/// Writes what was asked for.
fn write(outcome: &Outcome, reports: &ReportArguments) -> Result<()> {
    let ReportArguments { json, html, hgrm, quiet } = reports;
    let save = |path: &Path, text: String| {
        std::fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
    };
    if let Some(path) = json {
        save(path, serde_json::to_string_pretty(outcome).context("failed to encode the outcome")? + "\n")?;
    }
    if let Some(path) = html {
        save(path, report::html(outcome))?;
    }
    if let Some(path) = hgrm {
        save(path, report::hgrm(&outcome.total.latency_ns))?;
    }
    if !quiet {
        print!("{}", report::table(outcome));
    }
    Ok(())
}

/// What an outcome ends with: an untrue answer outranks everything.
#[must_use]
pub fn exit_code(outcome: &Outcome) -> ExitCode {
    ExitCode::from(code_of(outcome))
}

fn code_of(outcome: &Outcome) -> u8 {
    if outcome.verification.wrong > 0 {
        code::WRONG
    } else if !outcome.failures.is_empty() {
        code::UNACCOUNTED
    } else if outcome.void {
        code::VOID
    } else {
        code::DONE
    }
}
