//! `kith-hostile`: what one hostile organisation does to a steady client of another, of Kith and of the empty call in the same
//! process with the same limits under the same attack, in alternation, with an A/A row. It starts servers of its own on
//! loopback that hold nobody, and stops them. A measurement, never a test: a machine's speed is no reason to fail.

mod place;
mod rounds;
mod runs;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

use place::Place;
use runs::Side;

/// What is done at once, by the names of `kith-load hostile`.
/// Stalled handshakes keep others of the same address from theirs, so they come alone. So do changes: beside slow reads, which hold all
/// places of their organisation, none would be kept. The last row is all the others at once.
const ATTACKS: [(&str, &str); 9] = [
    ("none", ""),
    ("floods", "pings,settings,control,empty,resets"),
    ("huge headers", "headers"),
    ("thousands of connections", "connections,silent"),
    ("stalled handshakes", "stalled"),
    ("slow reads", "slow-reads,deaf"),
    ("calls", "calls"),
    ("changes nobody waits for", "changes"),
    ("all that go together", "pings,settings,control,empty,resets,headers,connections,silent,slow-reads,deaf,calls"),
];

/// What to measure, and for how long.
#[derive(Parser)]
#[command(name = "kith-hostile", about = "A steady client beside a hostile organisation, of Kith and of an empty call")]
struct Arguments {
    /// Folder of our programs: kithd, kith-empty, kith-load
    #[arg(long)]
    programs: PathBuf,
    /// Rounds of each attack: Kith, empty call, Kith, empty call; up to three times as many where noise decides
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Requests of the steady client due in a second
    #[arg(long, default_value_t = 300.0)]
    rate: f64,
    /// Only attacks whose name contains one of these; may be given more than once
    #[arg(long)]
    only: Vec<String>,
    /// Write the table to this file as well
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    match measure(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kith-hostile: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<()> {
    let place = Place::new(&arguments.programs)?;
    let (kithd, empty) = (place.serve(Side::Kith)?, place.serve(Side::Empty)?);
    let is_wanted =
        |name: &str| arguments.only.is_empty() || arguments.only.iter().any(|part| name.contains(part.as_str()));
    let wanted: Vec<(&str, &str)> = ATTACKS.into_iter().filter(|(name, _)| is_wanted(name)).collect();
    println!("{}", takes(&wanted, arguments));
    let mut rows = Vec::new();
    for (name, attacks) in wanted {
        rows.push(rounds::row(name, !attacks.is_empty(), arguments.rounds, |side| {
            let server = match side {
                Side::Kith => &kithd,
                Side::Empty => &empty,
            };
            runs::one(&place, server, attacks, arguments.seconds, arguments.rate)
        })?);
    }
    kithd.stop()?;
    empty.stop()?;
    let text = table::table(&rows, arguments.rounds, arguments.seconds, arguments.rate);
    println!("\n{text}");
    if let Some(path) = &arguments.out {
        std::fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))?;
    }
    Ok(())
}

/// How long it will take, before it begins.
#[expect(clippy::cast_precision_loss, reason = "for people")]
fn takes(wanted: &[(&str, &str)], arguments: &Arguments) -> String {
    let attacked = wanted.iter().filter(|(_, attacks)| !attacks.is_empty()).count();
    let (least, most) = rounds::runs(attacked, wanted.len() - attacked, arguments.rounds);
    let minutes = |runs: usize| (runs as f64 * runs::run_seconds(arguments.seconds) / 60.0).ceil();
    format!("takes about {} minutes, {} where noise decides about everything", minutes(least), minutes(most))
}
