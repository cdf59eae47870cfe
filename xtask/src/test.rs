//! `cargo xtask test`: everything that guards the project, in one order, on the
//! dev profile. A step that cannot run here says so; it is never counted as passed.

pub mod cost;
pub mod proto;
mod runbook;
mod unit_file;
mod watching;

use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::steps::{Ended, Steps};
use crate::workspace::Workspace;
use crate::{prerequisites, process, sbom, tidy, tools};

#[derive(Args)]
pub struct TestArguments {
    /// How often the kill test kills the server (its own default when left out)
    #[arg(long)]
    kills: Option<u32>,
    /// How many power cuts the power-cut test makes
    #[arg(long)]
    cuts: Option<u32>,
    /// How many random steps the model test takes
    #[arg(long)]
    steps: Option<u32>,
}

impl TestArguments {
    /// The test programs read these.
    fn pass_on(&self, command: &mut Command) {
        let named = [("KITH_TEST_KILLS", self.kills), ("KITH_TEST_CUTS", self.cuts), ("KITH_TEST_STEPS", self.steps)];
        for (name, value) in named {
            if let Some(value) = value {
                command.env(name, value.to_string());
            }
        }
    }
}

pub fn run(workspace: &Workspace, arguments: &TestArguments) -> Result<()> {
    prerequisites::ensure(prerequisites::BUILD, prerequisites::TEST_EXTRAS)?;
    components(workspace)?;
    if !prerequisites::may_mount() {
        println!("    NOTE: no right to mount here: the power-cut test will be skipped.");
    }
    let mut steps = Steps::new();
    source_steps(workspace, &mut steps);
    if compile_steps(workspace, &mut steps) {
        test_steps(workspace, arguments, &mut steps);
    }
    steps.finish()
}

/// rustfmt and clippy: parts of the usual toolchain, but not of a minimal one.
fn components(workspace: &Workspace) -> Result<()> {
    let missing: Vec<&str> = [("fmt", "rustfmt"), ("clippy", "clippy")]
        .into_iter()
        .filter(|(verb, _)| process::capture(workspace.cargo().args([verb, "--version"])).is_err())
        .map(|(_, component)| component)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("The Rust toolchain has no {}; asking rustup for it", missing.join(" and no "));
    process::run(workspace.command("rustup").args(["component", "add"]).args(&missing))
}

/// What reads the source without compiling it.
fn source_steps(workspace: &Workspace, steps: &mut Steps) {
    steps.run("format", || passed(workspace.cargo().args(["fmt", "--all", "--check"])));
    steps.run("tidy", || tidy::run(workspace).map(|()| Ended::Passed));
    steps.run("licences, bans, sources", || deny(workspace));
    steps.run("software bill of materials", || sbom::check(workspace));
    steps.run("protocol: lint", || proto::lint(workspace));
    steps.run("protocol: no breaking change", || proto::breaking(workspace));
    steps.run("systemd unit", || unit_file::verify(workspace));
    steps.run("alert rules; metrics page in the tests", || watching::rules(workspace));
}

/// Says whether everything compiled: without that no test can run.
fn compile_steps(workspace: &Workspace, steps: &mut Steps) -> bool {
    let linted = steps.run("clippy, warnings are errors", || {
        let mut command = workspace.cargo();
        command.args(["clippy", "--workspace", "--all-targets", "--locked"]);
        passed(command.args(["--", "-D", "warnings"]))
    });
    let built = steps.run("build", || passed(workspace.cargo().args(["build", "--workspace", "--locked"])));
    linted && built
}

fn test_steps(workspace: &Workspace, arguments: &TestArguments, steps: &mut Steps) {
    steps.run("example configuration", || unit_file::example(workspace));
    steps.run("commands that the papers name", || runbook::check(workspace));
    steps.run("what a lookup costs", || cost::check(workspace));
    let mut packages = None;
    steps.run("MESH sandbox and client", || match tools::mesh_packages(workspace) {
        Ok(found) => {
            packages = Some(found);
            Ok(Ended::Passed)
        }
        Err(error) => Ok(Ended::Skipped(format!("the tests of kith mesh do nothing: {error:#}"))),
    });
    steps.run("tests", || {
        let mut command = workspace.cargo();
        command.env("KITH_MESH_PACKAGES", packages.unwrap_or_default());
        command.env("KITH_PROMTOOL", process::find("promtool").unwrap_or_default());
        command.args(["test", "--workspace", "--locked", "--no-fail-fast"]);
        command.args(["--lib", "--bins", "--tests"]);
        arguments.pass_on(&mut command);
        passed(&mut command)
    });
    steps.run("doc tests", || {
        let mut command = workspace.cargo();
        passed(command.args(["test", "--workspace", "--locked", "--doc"]))
    });
}

fn deny(workspace: &Workspace) -> Result<Ended> {
    let tool = tools::cargo_deny(workspace)?;
    let mut command = workspace.command(tool);
    command.args(["--locked", "check", "--hide-inclusion-graph"]);
    passed(command.args(["bans", "licenses", "sources"]))
}

fn passed(command: &mut Command) -> Result<Ended> {
    process::run(command).map(|()| Ended::Passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_given_numbers_are_passed_on() {
        let arguments = TestArguments { kills: Some(30), cuts: None, steps: Some(9) };
        let mut command = Command::new("true");
        arguments.pass_on(&mut command);
        let names: Vec<_> = command.get_envs().map(|(name, _)| name).collect();
        assert_eq!(names, ["KITH_TEST_KILLS", "KITH_TEST_STEPS"]);
    }
}
