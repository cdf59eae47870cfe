//! `cargo xtask bench`: the benchmarks of `benches/`. Never part of the tests:
//! a machine's speed is no reason for them to fail.

use anyhow::Result;
use clap::Args;

use crate::workspace::Workspace;
use crate::{prerequisites, process};

#[derive(Args)]
pub struct BenchArguments {
    /// Handed to the benchmark program, e.g. a filter or --save-baseline NAME
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub fn run(workspace: &Workspace, arguments: &BenchArguments) -> Result<()> {
    prerequisites::ensure(prerequisites::BUILD, &[])?;
    let mut command = workspace.cargo();
    command.args(["bench", "--profile", "dev", "--package", "kith-benches", "--bench", "lookup", "--"]);
    process::run(command.args(&arguments.rest))
}
