//! The running kithd: started, waited for until it says it is ready, stopped with
//! SIGTERM. Never killed while there is another way.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::process;
use crate::steps::seconds;

use super::client;
use super::place::Place;

/// A first start reads nothing; a restart reads a hundredth of England.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// kithd drains for at most 10 s.
const STOP_LIMIT: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(50);

pub struct Server {
    child: Child,
    ended: bool,
}

impl Server {
    /// Starts kithd and returns once it answers questions.
    pub fn start(place: &Place) -> Result<Self> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(place.file("kithd.log"))
            .context("failed to open kithd.log")?;
        let child = place
            .command("kithd")
            .arg("serve")
            .arg("--config")
            .arg(place.file("kithd.toml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("failed to share kithd.log")?)
            .stderr(log)
            .spawn()
            .context("failed to start kithd")?;
        fs::write(place.file("kithd.pid"), child.id().to_string()).context("failed to write kithd.pid")?;
        let mut server = Self { child, ended: false };
        server.until_ready(place)?;
        Ok(server)
    }

    fn until_ready(&mut self, place: &Place) -> Result<()> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().context("failed to watch kithd")? {
                self.ended = true;
                let log = fs::read_to_string(place.file("kithd.log")).unwrap_or_default();
                bail!("kithd ended before it was ready: {status}\n{log}");
            }
            if client::is_ready(place)? {
                println!("  ready on {} after {}", place.address, seconds(started.elapsed()));
                return Ok(());
            }
            ensure!(
                started.elapsed() < READY_LIMIT,
                "kithd was not ready within {}; see .kith-demo/kithd.log",
                seconds(READY_LIMIT)
            );
            thread::sleep(POLL);
        }
    }

    /// SIGTERM, and waits for the drain.
    pub fn stop(&mut self) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        terminate(self.child.id())?;
        let started = Instant::now();
        while started.elapsed() < STOP_LIMIT {
            if let Some(status) = self.child.try_wait().context("failed to watch kithd")? {
                self.ended = true;
                ensure!(status.success(), "kithd stopped with {status}");
                return Ok(());
            }
            thread::sleep(POLL);
        }
        bail!("kithd did not stop within {}", seconds(STOP_LIMIT));
    }

    /// Until it ends by itself or by Ctrl-C.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        let status = self.child.wait().context("failed to wait for kithd")?;
        self.ended = true;
        Ok(status)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.stop().is_err() {
            // The demo is ending with an error already; what counts now is leaving nothing behind.
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

fn terminate(pid: u32) -> Result<()> {
    // The shell's own `kill`: a fresh machine may have no other.
    process::capture(Command::new("sh").args(["-c", "kill -TERM \"$0\"", &pid.to_string()]))
        .context("failed to signal kithd")?;
    Ok(())
}

/// Stops the kithd of an earlier demo, if that process still is one.
pub fn stop_left_over(pid_file: &Path) -> Result<()> {
    let Ok(text) = fs::read_to_string(pid_file) else {
        return Ok(());
    };
    let Ok(pid) = text.trim().parse::<u32>() else {
        return Ok(());
    };
    let program = Path::new("/proc").join(pid.to_string()).join("exe");
    let is_ours = || fs::read_link(&program).is_ok_and(|path| names_kithd(&path));
    if !is_ours() {
        return Ok(());
    }
    println!("  stopping the kithd of an earlier demo (process {pid})");
    terminate(pid)?;
    let started = Instant::now();
    while is_ours() {
        ensure!(started.elapsed() < STOP_LIMIT, "the kithd of an earlier demo (process {pid}) does not stop");
        thread::sleep(POLL);
    }
    Ok(())
}

/// A binary that was built anew since shows as "kithd (deleted)".
fn names_kithd(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name == "kithd" || name == "kithd (deleted)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_kithd_is_taken_for_a_left_over() {
        assert!(names_kithd(Path::new("/x/target/debug/kithd")));
        assert!(names_kithd(Path::new("/x/target/debug/kithd (deleted)")));
        assert!(!names_kithd(Path::new("/usr/bin/bash")));
    }
}
