//! `cargo xtask fuzz`: every target of `fuzz/`, each in a process of its own and for a minute, with what it found. Never part of
//! the tests, which run the corpora alone.

use anyhow::{Result, bail};
use clap::Args;

use crate::steps::{Ended, Steps};
use crate::workspace::Workspace;
use crate::{prerequisites, process};

#[derive(Args)]
pub struct FuzzArguments {
    /// Only these targets
    targets: Vec<String>,
    /// Seconds of each
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Chooses among mutations
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Add the shortest inputs of new outcomes to the corpora
    #[arg(long)]
    keep: bool,
}

pub fn run(workspace: &Workspace, arguments: &FuzzArguments) -> Result<()> {
    prerequisites::ensure(prerequisites::BUILD, &[])?;
    process::run(workspace.cargo().args(["build", "--package", "kith-fuzz", "--locked"]))?;
    let program = workspace.binary("kith-fuzz");
    let listed = process::capture(workspace.command(&program).arg("list"))?;
    let all: Vec<&str> = listed.lines().collect();
    if let Some(unknown) = arguments.targets.iter().find(|wanted| !all.contains(&wanted.as_str())) {
        bail!("no target {unknown}: expected one of {}", all.join(", "));
    }
    let findings = workspace.target().join("fuzz");
    let mut steps = Steps::new();
    for name in all.into_iter().filter(|name| is_wanted(&arguments.targets, name)) {
        steps.run(name, || {
            let mut command = workspace.command(&program);
            command.args(["run", name, "--findings"]).arg(&findings);
            command.args(["--seconds", &arguments.seconds.to_string(), "--seed", &arguments.seed.to_string()]);
            if arguments.keep {
                command.arg("--keep");
            }
            process::run(&mut command).map(|()| Ended::Passed)
        });
    }
    println!(
        "\nAn input that is a finding lies in {}: mend the reader, then put the file into fuzz/corpus.",
        findings.display()
    );
    steps.finish()
}

fn is_wanted(wanted: &[String], name: &str) -> bool {
    wanted.is_empty() || wanted.iter().any(|one| one == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_wanted_unless_some_are_named() {
        assert!(is_wanted(&[], "rows"));
        assert!(is_wanted(&["rows".to_owned()], "rows") && !is_wanted(&["rows".to_owned()], "codes"));
    }
}
