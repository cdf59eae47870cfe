//! NHS England's mesh-sandbox and mesh-client, against which `kith mesh` is tested: every package pinned by version and
//! hash, in a folder of the user's cache. Never part of what is shipped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::remove;
use crate::workspace::{self, Workspace};
use crate::{prerequisites, process};

/// The pinned packages. A copy of it in the folder says which ones are there.
const REQUIREMENTS: &str = "xtask/mesh-requirements.txt";
/// Python versions for which all of them are published.
const PYTHON: std::ops::RangeInclusive<u64> = 11..=13;

/// The folder that goes into PYTHONPATH; fetched once.
pub fn packages(workspace: &Workspace) -> Result<PathBuf> {
    let list = workspace.path(REQUIREMENTS);
    let wanted = fs::read(&list).with_context(|| format!("failed to read {}", list.display()))?;
    let folder = workspace::cache()?.join("tools").join("mesh");
    if fs::read(folder.join("requirements.txt")).is_ok_and(|there| there == wanted) && usable(&folder) {
        return Ok(folder);
    }
    python_fits()?;
    prerequisites::ensure(&[prerequisites::PIP], &[])?;
    let beside = folder.with_extension("new");
    remove(&beside)?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes"]);
    pip.args(["--disable-pip-version-check", "--root-user-action", "ignore"]);
    process::run(pip.arg("--target").arg(&beside).arg("--requirement").arg(&list))?;
    if !usable(&beside) {
        bail!("mesh-sandbox was installed and cannot be imported");
    }
    fs::write(beside.join("requirements.txt"), wanted).context("failed to note which packages are there")?;
    remove(&folder)?;
    fs::rename(&beside, &folder).with_context(|| format!("failed to install {}", folder.display()))?;
    Ok(folder)
}

fn usable(folder: &Path) -> bool {
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", folder).args(["-c", "import mesh_sandbox.api, mesh_client, uvicorn"]);
    process::capture(&mut python).is_ok()
}

fn python_fits() -> Result<()> {
    let said = process::capture(Command::new("python3").arg("--version"))?;
    match super::version(&said) {
        Some((3, minor)) if PYTHON.contains(&minor) => Ok(()),
        _ => bail!("mesh-sandbox needs Python 3.{} to 3.{}, found {}", PYTHON.start(), PYTHON.end(), said.trim()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_package_is_pinned_by_version_and_hash() {
        let text = include_str!("../../mesh-requirements.txt");
        let mut pinned = 0;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let hash = line.trim().strip_prefix("--hash=sha256:").map(|hash| hash.trim_end_matches(" \\"));
            match hash {
                Some(hash) => assert_eq!(hash.len(), 64, "{line}"),
                None => {
                    assert!(line.contains("==") && line.ends_with(" \\"), "{line}");
                    pinned += 1;
                }
            }
        }
        assert!(pinned > 20 && text.contains("mesh-sandbox==") && text.contains("mesh-client=="));
    }
}
