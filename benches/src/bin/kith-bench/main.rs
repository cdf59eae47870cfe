//! `kith-bench`: the comparisons that `cargo xtask bench` prints. Every one is measured side by side in one run, in
//! alternation, with an A/A row beside it: a gap inside the A/A spread is undecided, and no figure is printed without its
//! spread. It starts servers of its own on loopback, and stops them.

mod bench;
mod cgroup;
mod disk;
mod england;
mod figures;
mod load;
mod peers;
mod programs;
mod report;
mod rows;
mod servers;
mod spent;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

use bench::Bench;
use england::Place;

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
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Share of England: 1 is 3.5 million children and 6.3 million presentations
    #[arg(long, default_value = "1")]
    scale: String,
    /// Only comparisons whose name contains one of these; may be given more than once
    #[arg(long)]
    only: Vec<String>,
    /// Also measure many children beside few on the wire; twelve million take a quarter of an hour to fill, and 8 GB
    #[arg(
        long,
        value_name = "MANY,FEW",
        num_args = 0..=1,
        require_equals = true,
        value_delimiter = ',',
        default_missing_value = "12000000,1000000"
    )]
    wire_children: Vec<u32>,
    /// Name of the files of results
    #[arg(long, default_value = "latest")]
    name: String,
}

/// Runs the comparisons; gives how many have no figure that may be used.
fn run(arguments: &Arguments) -> Result<usize> {
    let place = Place::new(arguments.folder.clone(), arguments.programs.clone())?;
    place.prepare(&arguments.scale).context("failed to prepare the England to measure")?;
    let rows = rows::all(&mut Bench::new(arguments, &place))?;
    println!("\n{}\nwritten to {}/{}.md and .json", report::table(&rows), arguments.results.display(), arguments.name);
    Ok(rows.iter().filter(|row| row.is_lost()).count())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(count) => {
            eprintln!("kith-bench: {count} rows are void or not measured");
            ExitCode::from(3)
        }
        Err(error) => {
            eprintln!("kith-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
