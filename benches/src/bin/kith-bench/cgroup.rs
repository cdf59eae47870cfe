//! Holds a process to a share of a core by a cgroup of its own, of version 2 or 1, and lets go of it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The length of a turn: short, so that a stall is one of the server and not of its bound.
const TURN_US: u64 = 10_000;
const NAME: &str = "kith-bench";

/// A process that is held.
pub struct Held {
    group: PathBuf,
    parent: PathBuf,
    pid: u32,
}

/// Where cgroups with a bound on processor time are made, and whether they are of version 2.
fn root() -> Result<(PathBuf, bool)> {
    for (root, two) in [("/sys/fs/cgroup", true), ("/sys/fs/cgroup/cpu", false), ("/sys/fs/cgroup/cpu,cpuacct", false)]
    {
        let root = Path::new(root);
        let marker = if two { "cgroup.subtree_control" } else { "cgroup.procs" };
        if root.join(marker).exists() {
            return Ok((root.to_owned(), two));
        }
    }
    bail!("there is no cgroup that bounds processor time")
}

impl Held {
    /// Holds a process, with all its threads.
    pub fn to(pid: u32, cores: f64) -> Result<Self> {
        let (parent, two) = root()?;
        let group = parent.join(NAME);
        if two {
            fs::write(parent.join("cgroup.subtree_control"), "+cpu").context("failed to enable the cpu controller")?;
        }
        if !group.exists() {
            fs::create_dir(&group).context("failed to make a cgroup")?;
        }
        let held = Self { group, parent, pid };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "microseconds of a turn")]
        let quota = (cores * TURN_US as f64) as u64;
        if two {
            held.write("cpu.max", &format!("{quota} {TURN_US}"))?;
        } else {
            held.write("cpu.cfs_period_us", &TURN_US.to_string())?;
            held.write("cpu.cfs_quota_us", &quota.to_string())?;
        }
        held.write("cgroup.procs", &pid.to_string())?;
        Ok(held)
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        fs::write(self.group.join(file), text).with_context(|| format!("failed to write {file} of a cgroup"))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let back = fs::write(self.parent.join("cgroup.procs"), self.pid.to_string());
        // A process that has ended is in no group any more.
        if let Err(error) = fs::remove_dir(&self.group) {
            println!("NOTE: a cgroup stays behind: {error} (moved back: {back:?})");
        }
    }
}
