//! `kith-synth`: writes a synthetic England into a directory. It never talks to a service.

use anyhow::Context;
use clap::Parser;
use jiff::civil::Date;
use kith_synth::{Request, Scale, generate};
use std::path::PathBuf;
use std::process::ExitCode;

/// Write a synthetic England: real trusts and local authorities, invented children. The same arguments give the same
/// bytes on any machine.
#[derive(Parser)]
#[command(name = "kith-synth", version)]
struct Arguments {
    /// Chooses among Englands of the same shape
    #[arg(long)]
    seed: u64,
    /// Share of England, 0.0001 to 10; 1 is 3.5 million attending children, 6.3 million presentations, 230,000 plans
    #[arg(long)]
    scale: Scale,
    /// The day it is as of, YYYY-MM-DD; nothing presents on or after it
    #[arg(long, value_name = "DATE", value_parser = parse_date)]
    as_of: Date,
    /// The directory to fill; files of an earlier run are overwritten
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

fn parse_date(text: &str) -> Result<Date, String> {
    let parsed = (text.len() == "YYYY-MM-DD".len()).then(|| text.parse::<Date>().ok()).flatten();
    let accepted = parsed.filter(|date| (1970..=2200).contains(&date.year()));
    accepted.ok_or_else(|| "expected a date as YYYY-MM-DD between the years 1970 and 2200".to_owned())
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kith-synth failed to {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { seed, scale, as_of, out } = arguments;
    let request = Request { seed, scale, as_of, out };
    let manifest =
        generate(&request).with_context(|| format!("write a synthetic England to {}", request.out.display()))?;
    let counts = &manifest.counts;
    println!(
        "{} children attending {} times, {} plans, {} accesses, {} questions with known answers, in {} files below {}",
        counts.attending_children,
        counts.presentations,
        counts.plans,
        counts.accesses,
        manifest.truth.values().sum::<u64>(),
        manifest.files.len() + 1,
        request.out.display(),
    );
    Ok(())
}
