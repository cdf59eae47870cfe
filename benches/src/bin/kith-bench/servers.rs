//! The servers that are measured: kithd, and the empty call in the same process around it, on ports of their own.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::programs::child;

/// A year of England is read in seconds; a cold disk may be slow.
const READY_LIMIT: Duration = Duration::from_secs(300);
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// One that is asked for while one runs is made after it.
const ASK_AGAIN: Duration = Duration::from_millis(500);
const POLL: Duration = Duration::from_millis(20);

/// A running server.
pub struct Server {
    child: Child,
    pub address: String,
    /// From the start to the first answer that it is serving.
    pub ready_after: Duration,
}

/// A port of the loopback address that nobody listens on.
pub fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0)).context("failed to find a free port")?.local_addr()?)
}

impl Server {
    /// Starts `program serve` with a configuration, and waits until `log` says that it is serving.
    pub fn start(program: &Path, config: &Path, address: &str, log: &Path, envs: &[(&str, String)]) -> Result<Self> {
        let file = File::create(log).context("failed to make a log file")?;
        let mut command = child(program);
        command.arg("serve").arg("--config").arg(config).envs(envs.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let began = Instant::now();
        let child = command.spawn().with_context(|| format!("failed to start {}", program.display()))?;
        let mut server = Self { child, address: address.to_owned(), ready_after: Duration::ZERO };
        loop {
            let text = std::fs::read_to_string(log).unwrap_or_default();
            if text.lines().any(says_serving) {
                server.ready_after = began.elapsed();
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                bail!("{} ended before it was ready: {status}\n{text}", program.display());
            }
            ensure!(began.elapsed() < READY_LIMIT, "{} was not ready in time\n{text}", program.display());
            thread::sleep(POLL);
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Resident bytes, as the kernel counts them.
    pub fn resident_bytes(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib * 1024)
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        signal(self.id(), "TERM")?;
        let began = Instant::now();
        while began.elapsed() < STOP_LIMIT {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            thread::sleep(POLL);
        }
        bail!("a server did not stop in time")
    }
}

fn signal(id: u32, name: &str) -> Result<()> {
    let status = Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", name, &id.to_string()]).status();
    ensure!(status.context("failed to signal a server")?.success(), "failed to signal a server");
    Ok(())
}

/// Checkpoints of kithd, one after another: a snapshot of the state, and the log trimmed behind it. No more with this value.
pub struct Checkpoints(Option<mpsc::Sender<()>>, Option<JoinHandle<()>>);

impl Checkpoints {
    pub fn of(server: &Server) -> Self {
        let (id, (stop, stopped)) = (server.id(), mpsc::channel());
        let ask = move || {
            while signal(id, "USR1").is_ok() && stopped.recv_timeout(ASK_AGAIN) == Err(RecvTimeoutError::Timeout) {}
        };
        Self(Some(stop), Some(thread::spawn(ask)))
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        drop(self.0.take());
        drop(self.1.take().map(JoinHandle::join));
    }
}

/// The log's own words, in text or in JSON.
fn says_serving(line: &str) -> bool {
    line.ends_with(" serving") || line.contains("\"message\":\"serving\"")
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) && self.end().is_err() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}
