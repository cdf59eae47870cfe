//! `systemd-analyze verify` on the unit we ship.
//!
//! It also checks that the programs named in the unit are installed, which they are
//! not on a build machine: a copy that names `/bin/true` in their place is checked.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::process;
use crate::steps::Ended;
use crate::workspace::Workspace;

const UNIT: &str = "deploy/kithd.service";

pub fn verify(workspace: &Workspace) -> Result<Ended> {
    let Some(tool) = process::find("systemd-analyze") else {
        return Ok(Ended::Skipped("systemd-analyze is not here and could not be installed".into()));
    };
    let unit = fs::read_to_string(workspace.path(UNIT)).with_context(|| format!("failed to read {UNIT}"))?;
    let folder = workspace.target().join("xtask");
    fs::create_dir_all(&folder).context("failed to make a folder for the copy")?;
    let copy = folder.join("kithd.service");
    fs::write(&copy, without_programs(&unit)).context("failed to write the copy")?;
    let output = process::output(workspace.command(tool).args(["verify", "--man=no"]).arg(&copy))?;
    let said = String::from_utf8_lossy(&output.stderr);
    print!("{said}");
    ensure!(output.status.success(), "{UNIT}: {}", output.status);
    // An unknown key is only a warning to systemd; in a unit of ours it is a mistake.
    ensure!(!said.contains("kithd.service"), "{UNIT}: systemd-analyze warned, see above");
    Ok(Ended::Passed)
}

/// `ExecStart=/usr/local/bin/kithd serve ...` becomes `ExecStart=/bin/true serve ...`.
fn without_programs(unit: &str) -> String {
    let mut copy = String::new();
    for line in unit.lines() {
        match line.split_once('=') {
            Some((key, value)) if key.starts_with("Exec") && key != "ExecSearchPath" => {
                let rest = value.split_once(' ').map_or("", |(_, rest)| rest);
                copy.push_str(&format!("{key}=/bin/true {rest}\n"));
            }
            _ => copy.push_str(&format!("{line}\n")),
        }
    }
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_program_is_replaced() {
        let unit = "[Service]\nExecStart=/usr/bin/kithd serve --config /etc/k.toml\nUser=kith\n";
        let copy = "[Service]\nExecStart=/bin/true serve --config /etc/k.toml\nUser=kith\n";
        assert_eq!(without_programs(unit), copy);
    }
}
