//! Processor time of the generator, and of the server when it runs on this machine.

use std::fs;

use anyhow::{Context, Result};
use rustix::time::{ClockId, clock_gettime};

/// Clock ticks of /proc/<pid>/stat a second: 100 on every Linux that this is built for.
const TICKS: f64 = 100.0;

/// Processor time of this process so far, in seconds.
#[must_use]
pub fn own_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The server's process.
pub struct ServerProcess(u32);

impl ServerProcess {
    /// The process of this id.
    ///
    /// # Errors
    /// There is none that may be looked at.
    pub fn new(pid: u32) -> Result<Self> {
        let process = Self(pid);
        process.cpu_seconds()?;
        Ok(process)
    }

    fn read(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.0);
        fs::read_to_string(&path).with_context(|| format!("failed to read {path}: is the server's process id right?"))
    }

    /// Its processor time so far, in seconds.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn cpu_seconds(&self) -> Result<f64> {
        let stat = self.read("stat")?;
        // The name in parentheses may hold anything; the times are the 14th and 15th field.
        let rest = stat.rsplit_once(')').map(|(_, rest)| rest).context("a stat without a name")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
        let (user, system) = ticks(11).zip(ticks(12)).context("a stat without times")?;
        Ok((user + system) as f64 / TICKS)
    }

    /// Its resident memory, in bytes.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn resident_bytes(&self) -> Result<u64> {
        let status = self.read("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: Option<u64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        Ok(kib.context("a status without VmRSS")? * 1024)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_figures_are_read_both_ways() {
        let process = ServerProcess::new(std::process::id()).unwrap();
        assert!(process.cpu_seconds().unwrap() <= own_seconds() + 1.0);
        assert!(process.resident_bytes().unwrap() > 100_000);
        assert!(own_seconds() > 0.0);
    }
}
