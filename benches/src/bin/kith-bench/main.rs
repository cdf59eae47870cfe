//! `kith-bench`: the comparisons that `cargo xtask bench` prints. Every one is measured side by side in one run, in
//! alternation, with an A/A row beside it: a gap inside the A/A spread is undecided, and no figure is printed without its
//! spread. It starts servers of its own on loopback, and stops them.

mod bench;
mod cgroup;
mod cores;
mod disk;
mod drain;
mod england;
mod figures;
mod load;
mod peers;
mod programs;
mod punctual;
mod report;
mod rows;
mod servers;
mod spent;
mod spread;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

use bench::Bench;
use england::Place;
use figures::Row;
use load::WrongAnswers;

/// Exit codes beside clap's own, in its help.
const EXIT_CODES: &str = "Exit codes: 0 every row has its figures, whatever is reached; 1 could not run; 2 wrong usage; 3 rows are \
                          void or not measured; 4 an answer differed from what is true: the run ended there, and what was measured \
                          until then is written";
/// Rows have no figure that may be used.
const NO_FIGURES: u8 = 3;
/// The same as of kith-load.
const WRONG: u8 = 4;

/// What to measure, and for how long.
#[derive(Parser)]
#[command(
    name = "kith-bench",
    about = "The comparisons of Kith with an empty call, PostgreSQL, Redis and the disk",
    after_help = EXIT_CODES
)]
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
    /// Rounds of each comparison; of those that are noisy some times as many
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Rounds of the comparisons whose name contains this; may be given more than once
    #[arg(long, value_name = "NAME=ROUNDS", value_parser = rounds_of)]
    rounds_of: Vec<(String, usize)>,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Share of England: 1 is 3.5 million children and 6.3 million presentations
    #[arg(long, default_value = "1")]
    scale: String,
    /// Only comparisons whose name contains one of these; may be given more than once
    #[arg(long)]
    only: Vec<String>,
    /// How many children are held, on the wire: many, and few beside them
    #[arg(long, value_name = "MANY,FEW", num_args = 1, value_delimiter = ',', default_value = "12000000,1000000")]
    wire_children: Vec<u32>,
    /// Leaves that comparison out: twelve million children take a quarter of an hour to fill, the first time, and 8 GB
    #[arg(long)]
    no_wire_children: bool,
    /// Seconds for which a turn waits at most until the machine keeps time: nought waits for none
    #[arg(long, default_value_t = 60)]
    wait_s: u64,
    /// A processor of its own for the generator of what has a schedule: on two processors, one is left for what it asks
    #[arg(long)]
    apart: bool,
    /// Name of the files of results
    #[arg(long, default_value = "latest")]
    name: String,
    /// Instead of comparing, have perf look at the servers while they are asked, and write where their time goes
    #[arg(long)]
    profile: bool,
}

fn rounds_of(text: &str) -> Result<(String, usize), String> {
    // A name may hold the sign too.
    let (name, rounds) = text.rsplit_once('=').ok_or_else(|| format!("expected NAME=ROUNDS, found {text}"))?;
    let rounds: usize = rounds.parse().map_err(|_| format!("expected a number of rounds, found {rounds}"))?;
    if rounds == 0 { Err(String::from("expected one round at least")) } else { Ok((name.to_owned(), rounds)) }
}

impl Arguments {
    /// How many rounds rows that are measured together are given.
    fn rounds_for(&self, rows: &[Row]) -> usize {
        let named =
            |(name, rounds): &(String, usize)| rows.iter().any(|row| row.name.contains(name)).then_some(*rounds);
        let usual = || self.rounds * rows.iter().map(|row| row.times).max().unwrap_or(1);
        self.rounds_of.iter().filter_map(named).max().unwrap_or_else(usual)
    }
}

/// Runs the comparisons; gives how many have no figure that may be used.
fn run(arguments: &Arguments) -> Result<usize> {
    if arguments.profile {
        rows::can_profile()?;
    }
    let place = Place::new(arguments.folder.clone(), arguments.programs.clone())?;
    place.prepare(&arguments.scale).context("failed to prepare the England to measure")?;
    let mut bench = Bench::new(arguments, &place);
    cores::keep_apart(arguments.apart);
    bench.peer(cores::says());
    if arguments.profile {
        rows::profiles(&bench)?;
        return Ok(0);
    }
    let measured = rows::all(&mut bench);
    // Whatever else could not be done after it, a wrong answer is what is told.
    bench.answers_were_true()?;
    let rows = measured?;
    println!("\n{}\nwritten to {}/{}.md and .json", report::table(&rows), arguments.results.display(), arguments.name);
    Ok(rows.iter().filter(|row| row.is_lost()).count())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(count) => {
            eprintln!("kith-bench: {count} rows are void or not measured");
            ExitCode::from(NO_FIGURES)
        }
        Err(error) if error.is::<WrongAnswers>() => {
            eprintln!("kith-bench: {error:#}. Nothing more is measured");
            ExitCode::from(WRONG)
        }
        Err(error) => {
            eprintln!("kith-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use figures::Reach;

    #[test]
    fn noisy_rows_have_more_rounds_and_named_ones_as_many_as_are_asked_for() {
        let words = ["kith-bench", "--folder", "x", "--programs", "x", "--results", "x", "--rounds-of", "p99=12"];
        let arguments = Arguments::parse_from(words);
        let row = |name: &str, times| Row::new(name, "us", Reach::Report, ["a", "b"]).times(times);
        assert_eq!(arguments.rounds_for(&[row("p50", 1)]), 5);
        assert_eq!(arguments.rounds_for(&[row("p50", 1), row("tail", 3)]), 15);
        assert_eq!(arguments.rounds_for(&[row("p50", 3), row("p99", 3)]), 12);
        assert_eq!(rounds_of("a=b=3"), Ok((String::from("a=b"), 3)));
        assert!(rounds_of("a=0").is_err() && rounds_of("a").is_err() && rounds_of("a=x").is_err());
    }
}
