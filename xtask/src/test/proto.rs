//! The protocol files: their style, and that no change breaks a client that was
//! generated from the recorded baseline. A missing baseline is a failure, never a pass.

use anyhow::{Result, ensure};

use crate::steps::Ended;
use crate::workspace::Workspace;
use crate::{process, tools};

/// `buf build` of the protocol that clients in the field may have been generated from.
const BASELINE: &str = "proto/baseline.binpb";

pub fn lint(workspace: &Workspace) -> Result<Ended> {
    process::run(workspace.command(tools::buf()?).args(["lint", "proto"]))?;
    Ok(Ended::Passed)
}

pub fn breaking(workspace: &Workspace) -> Result<Ended> {
    ensure!(
        workspace.path(BASELINE).is_file(),
        "{BASELINE} is missing: nothing to compare with (cargo xtask proto-baseline records one)"
    );
    process::run(workspace.command(tools::buf()?).args(["breaking", "proto", "--against", BASELINE]))?;
    Ok(Ended::Passed)
}

pub fn record_baseline(workspace: &Workspace) -> Result<()> {
    lint(workspace)?;
    process::run(workspace.command(tools::buf()?).args(["build", "proto", "--exclude-source-info", "-o", BASELINE]))?;
    println!("{BASELINE} recorded: commit it with a word on why the protocol may change.");
    Ok(())
}
