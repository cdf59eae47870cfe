//! `cargo xtask bench`: the comparisons of `benches/`, on release builds, in one command. It prints the table and writes it,
//! with the raw numbers, to `benches/results/`. Never part of the tests: a machine's speed is no reason for them to fail.
//! `cargo xtask profile` lets perf look at the same servers under the same load, and writes there where their time goes.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;

use crate::workspace::{Workspace, cache};
use crate::{prerequisites, process, release};

#[derive(Args)]
pub struct BenchArguments {
    /// Folder of programs that are built already: kithd, kith, kith-bench and those beside it; without it they are built
    #[arg(long, env = "KITH_BENCH_PROGRAMS", value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Handed to kith-bench: --rounds 5, --rounds-of NAME=15, --seconds 4, --scale 1, --only NAME, --no-wire-children, --name NAME
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub fn run(workspace: &Workspace, arguments: &BenchArguments) -> Result<()> {
    prerequisites::ensure(prerequisites::BUILD, prerequisites::PEERS)?;
    kith_bench(workspace, arguments, &[])
}

pub fn profile(workspace: &Workspace, arguments: &BenchArguments) -> Result<()> {
    prerequisites::ensure(prerequisites::BUILD, prerequisites::PROFILER)?;
    // Before anything is built: that may take half an hour.
    ensure!(process::find("perf").is_some(), "perf is not here, and without it there is no profile");
    kith_bench(workspace, arguments, &["--profile"])
}

fn kith_bench(workspace: &Workspace, arguments: &BenchArguments, more: &[&str]) -> Result<()> {
    let programs = match &arguments.programs {
        Some(programs) => workspace.path("").join(programs),
        None => release::everything(workspace)?,
    };
    let mut command = workspace.command(programs.join("kith-bench"));
    command.arg("--folder").arg(cache()?.join("bench"));
    command.arg("--programs").arg(&programs);
    command.arg("--results").arg(workspace.path("benches/results"));
    process::run(command.args(more).args(&arguments.rest))
}
