//! What we ship for running under systemd: the unit, and the example configuration.
//! Never looks at what is installed on this machine.

use anyhow::Result;

use crate::process;
use crate::steps::Ended;
use crate::workspace::Workspace;

/// `systemd-analyze verify`, in a tree in which the unit's programs exist.
pub fn verify(workspace: &Workspace) -> Result<Ended> {
    if process::find("systemd-analyze").is_none() {
        return Ok(Ended::Skipped("systemd-analyze is not here and could not be installed".into()));
    }
    process::run(workspace.command("sh").arg("deploy/verify-unit"))?;
    Ok(Ended::Passed)
}

/// kithd's own judgement on the example; the files it names belong to another machine.
pub fn example(workspace: &Workspace) -> Result<Ended> {
    let mut kithd = workspace.command(workspace.binary("kithd"));
    process::run(kithd.args(["check-config", "--syntax-only", "--config", "deploy/kithd.example.toml"]))?;
    Ok(Ended::Passed)
}
