//! `kith-inside`: what a lookup takes in process, without any transport. `engine` asks a synthetic England, without and with the
//! audit entry; `children` asks an index with many children beside one with few. Half of the questions find something. Prints the
//! figures of each round as JSON, in nanoseconds: the first, what it is compared with, and the first again. `disk` measures no time:
//! it tells what children and lookups take on the disk.

mod asking;
mod children;
mod disk;
mod engine;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use kith_benches::Failure;
use mimalloc::MiMalloc;

/// As in kithd.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Asks in process.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
    /// Rounds
    #[arg(long, default_value_t = 5, global = true)]
    rounds: u64,
}

#[derive(Subcommand)]
enum What {
    /// A synthetic England: median and p99 without audit, then with it
    Engine(engine::Arguments),
    /// Indexes of two sizes: median and p99 of each
    Children(children::Arguments),
    /// What a child, its first lookup and a further one add to the state, its snapshot and the audit, in a scratch directory
    Disk(disk::Arguments),
}

/// For each round the figures of its three turns.
type Rounds = Vec<[Vec<f64>; 3]>;

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let rounds = match &arguments.what {
        What::Engine(what) => engine::rounds(what, arguments.rounds)?,
        What::Children(what) => children::rounds(what, arguments.rounds)?,
        What::Disk(what) => return disk::tell(what),
    };
    println!("{}", serde_json::to_string(&rounds)?);
    Ok(())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kith-inside: failed to measure: {error}");
            ExitCode::FAILURE
        }
    }
}
