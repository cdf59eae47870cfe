//! `cargo xtask bench`: the comparisons of `benches/`, on release builds, in one command. It prints the table and writes it,
//! with the raw numbers, to `benches/results/`. Never part of the tests: a machine's speed is no reason for them to fail.

use anyhow::Result;
use clap::Args;

use crate::workspace::{Workspace, cache};
use crate::{prerequisites, process};

#[derive(Args)]
pub struct BenchArguments {
    /// Handed to kith-bench: --rounds 5, --seconds 8, --scale 1, --only NAME, --name NAME
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub fn run(workspace: &Workspace, arguments: &BenchArguments) -> Result<()> {
    prerequisites::ensure(prerequisites::BUILD, prerequisites::PEERS)?;
    println!("Release builds; RocksDB takes about 20 minutes on two cores, the first time only");
    process::run(workspace.cargo().args(["build", "--release", "--locked", "--workspace", "--bins"]))?;
    let programs = workspace.target().join("release");
    let mut command = workspace.command(programs.join("kith-bench"));
    command.arg("--folder").arg(cache()?.join("bench"));
    command.arg("--programs").arg(&programs);
    command.arg("--results").arg(workspace.path("benches/results"));
    process::run(command.args(&arguments.rest))
}
