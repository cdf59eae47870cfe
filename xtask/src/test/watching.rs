//! What operations watch the service with: the alert rules in `deploy/`, held against Prometheus's own tool, and whether each
//! is raised by what it is for. The page of a running server is held against the same tool by `tests/kith`.

use anyhow::Result;

use crate::process;
use crate::steps::Ended;
use crate::workspace::Workspace;

/// Checks and tests the rules.
pub fn rules(workspace: &Workspace) -> Result<Ended> {
    let Some(promtool) = process::find("promtool") else {
        let why =
            "promtool is not here and could not be installed: nothing is held against it, the metrics page neither";
        return Ok(Ended::Skipped(why.into()));
    };
    let check = ["check", "rules", "--lint=all", "--lint-fatal", "deploy/kith-alerts.yml"];
    process::run(workspace.command(&promtool).args(check))?;
    process::run(workspace.command(&promtool).args(["test", "rules", "deploy/kith-alerts-test.yml"]))?;
    Ok(Ended::Passed)
}
