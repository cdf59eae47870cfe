//! `cargo xtask decade` and `cargo xtask nightly`: the long forms of two tests, which the test command runs in short. They
//! are tests of `tests/kith`, ignored there; here they are only started, with what they are to run on.

use anyhow::Result;
use clap::Args;

use crate::workspace::Workspace;
use crate::{prerequisites, process};

#[derive(Args)]
pub struct DecadeArguments {
    /// Chooses among decades; the same seed gives the same one
    #[arg(long, default_value_t = 1)]
    seed: u32,
    /// Simulated years
    #[arg(long, default_value_t = 10)]
    years: u32,
    /// Children at a time: a thousandth of England
    #[arg(long, default_value_t = 12_200)]
    children: u32,
}

/// Ten simulated years, every answer held against a naive model.
pub fn decade(workspace: &Workspace, arguments: &DecadeArguments) -> Result<()> {
    let DecadeArguments { seed, years, children } = *arguments;
    let named = [("KITH_DECADE_SEED", seed), ("KITH_DECADE_YEARS", years), ("KITH_DECADE_CHILDREN", children)];
    start(workspace, "decade::ten_years_of_a_thousandth_of_england", &named)
}

#[derive(Args)]
pub struct NightlyArguments {
    /// Rows of all authorities' files together
    #[arg(long, default_value_t = 230_000)]
    rows: u32,
    /// Chooses among nights; the same seed gives the same files
    #[arg(long, default_value_t = 1)]
    seed: u32,
}

/// Every authority's full file, two nights, beside readers.
pub fn nightly(workspace: &Workspace, arguments: &NightlyArguments) -> Result<()> {
    let NightlyArguments { rows, seed } = *arguments;
    start(workspace, "nightly::every_authoritys_full_file", &[("KITH_NIGHTLY_ROWS", rows), ("KITH_TEST_SEED", seed)])
}

/// Builds the programs, which the test starts, and runs one ignored test.
fn start(workspace: &Workspace, test: &str, named: &[(&str, u32)]) -> Result<()> {
    prerequisites::ensure(prerequisites::BUILD, &[])?;
    process::run(workspace.cargo().args(["build", "--workspace", "--bins", "--locked"]))?;
    let mut command = workspace.cargo();
    command.args(["test", "--package", "kith-tests", "--test", "kith", "--locked", "--"]);
    command.args(["--ignored", "--exact", "--nocapture", test]);
    command.envs(named.iter().map(|(name, value)| (name, value.to_string())));
    process::run(&mut command)
}
