//! `kith-fuzz`: runs one target for a while, or writes its corpus. `cargo xtask fuzz` starts it for every target.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use kith_fuzz::run::{self, Found, Place};
use kith_fuzz::targets::{self, TARGETS};
use kith_fuzz::{corpus, seeds};

/// Inputs of new outcomes that one target may add to its corpus, and how long each may be.
const KEPT: usize = 12;
const KEPT_BYTES: usize = 512;

/// The command line.
#[derive(Parser)]
#[command(name = "kith-fuzz", about = "Fuzz what reads bytes of the network or the disk")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// The names of the targets
    List,
    /// Run one target on mutations of its corpus
    Run(RunArguments),
    /// Write the good inputs that every corpus begins with
    Seeds,
}

#[derive(clap::Args)]
struct RunArguments {
    /// Which
    target: String,
    /// How long
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Chooses among mutations; the same number of inputs then gives the same ones
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where inputs that are findings are written
    #[arg(long, value_name = "DIR")]
    findings: PathBuf,
    /// Add the shortest inputs of new outcomes to the corpus
    #[arg(long)]
    keep: bool,
}

fn main() -> ExitCode {
    match act(Arguments::parse().verb) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("kith-fuzz: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn act(verb: Verb) -> Result<ExitCode> {
    match verb {
        Verb::List => TARGETS.iter().for_each(|target| println!("{}", target.name)),
        Verb::Seeds => {
            for target in TARGETS {
                for bytes in seeds::of(target.name) {
                    corpus::write(&corpus::folder().join(target.name), &bytes)?;
                }
            }
        }
        Verb::Run(arguments) => return fuzz(&arguments),
    }
    Ok(ExitCode::SUCCESS)
}

fn fuzz(arguments: &RunArguments) -> Result<ExitCode> {
    let target = targets::named(&arguments.target).with_context(|| format!("no target {}", arguments.target))?;
    let inputs = corpus::read(&corpus::folder(), target.name).context("failed to read the corpus")?;
    let inputs = inputs.into_iter().map(|(_, bytes)| bytes).collect();
    // In memory where that can be: readers of files get one for each input.
    let memory = std::path::Path::new("/dev/shm");
    let scratch = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let scratch = scratch.context("failed to make a scratch folder")?;
    let place = Place { scratch: scratch.path(), findings: &arguments.findings };
    // Each finding is told below; thousands of panics need no trace each.
    std::panic::set_hook(Box::new(|_| {}));
    let limits = (Duration::from_secs(arguments.seconds), u64::MAX);
    let found = run::run(target, inputs, arguments.seed, limits, place)?;
    let _usual = std::panic::take_hook();
    let Found { inputs, outcomes, findings, mut new } = found;
    println!("{}: {inputs} inputs, {outcomes} outcomes, {} findings", target.name, findings.len());
    findings.iter().for_each(|path| println!("    {}", path.display()));
    if arguments.keep {
        new.retain(|bytes| bytes.len() <= KEPT_BYTES);
        new.sort_by_key(Vec::len);
        for bytes in new.iter().take(KEPT) {
            corpus::write(&corpus::folder().join(target.name), bytes)?;
        }
    }
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
