//! `kith-bench`: the comparisons that `cargo xtask bench` prints. Every one is measured side by side in one run, in
//! alternation, with an A/A row beside it: a gap inside the A/A spread is undecided, and no figure is printed without its
//! spread. It starts servers of its own on loopback, and stops them.

mod disk;
mod england;
mod figures;
mod load;
mod peers;
mod report;
mod rows;
mod servers;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

/// What to measure, and for how long.
#[derive(Parser)]
#[command(name = "kith-bench", about = "The comparisons of Kith with an empty call, PostgreSQL, Redis and the disk")]
pub struct Arguments {
    /// Folder of the England that is measured; filled when it is not there, a year of England takes some minutes and 10 GB
    #[arg(long)]
    folder: PathBuf,
    /// Folder of our programs
    #[arg(long)]
    programs: PathBuf,
    /// Folder that the results are written to
    #[arg(long)]
    results: PathBuf,
    /// Rounds of each comparison
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 8.0)]
    seconds: f64,
    /// Share of England: 1 is 3.5 million children and 6.3 million presentations
    #[arg(long, default_value = "1")]
    scale: String,
    /// Only comparisons whose name contains one of these; may be given more than once
    #[arg(long)]
    only: Vec<String>,
    /// Name of the files of results
    #[arg(long, default_value = "latest")]
    name: String,
}

fn run(arguments: &Arguments) -> Result<bool> {
    let place = england::prepare(arguments).context("failed to prepare the England to measure")?;
    let mut bench = rows::Bench::new(arguments, place)?;
    let rows = bench.all()?;
    report::write(arguments, &rows)?;
    Ok(rows.iter().all(|row| !row.void))
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("kith-bench: a generator missed its schedule: those rows are void");
            ExitCode::from(3)
        }
        Err(error) => {
            eprintln!("kith-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
