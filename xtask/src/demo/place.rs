//! The demo's folder and address: `.kith-demo/` with `certs/`, `england/`, `data/` and
//! `kithd.toml`. Never touches anything outside that folder.

use std::env;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::workspace::Workspace;

use super::server;

pub struct Place {
    root: PathBuf,
    folder: PathBuf,
    bin: PathBuf,
    pub address: SocketAddr,
}

impl Place {
    /// An empty folder; a server that an earlier demo left running is stopped first.
    pub fn fresh(workspace: &Workspace) -> Result<Self> {
        let folder = workspace.path(".kith-demo");
        server::stop_left_over(&folder.join("kithd.pid"))?;
        if folder.exists() {
            fs::remove_dir_all(&folder).context("failed to empty .kith-demo")?;
        }
        fs::create_dir_all(&folder).context("failed to make .kith-demo")?;
        Ok(Self { root: workspace.path(""), folder, bin: workspace.binary(""), address: free_port()? })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn certificate(&self, name: &str) -> PathBuf {
        self.folder.join("certs").join(name)
    }

    pub fn england(&self, name: &str) -> PathBuf {
        self.folder.join("england").join(name)
    }

    /// One of our programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// Runs one of our programs in the root, without the caller's own settings for it:
    /// a profile or an override must not change what the demo shows.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.program(program));
        command.current_dir(&self.root).env("KITH_PROFILE_FILE", "/dev/null");
        for (name, _) in env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("KITH")) && name != "KITH_PROFILE_FILE" {
                command.env_remove(name);
            }
        }
        command
    }

    /// The files of a folder of the synthetic England, with their names without `.csv`.
    pub fn feeds(&self, folder: &str) -> Result<Vec<(String, PathBuf)>> {
        let mut found = Vec::new();
        let path = self.england(folder);
        let listed = fs::read_dir(&path).with_context(|| format!("failed to list {}", path.display()))?;
        for entry in listed {
            let path = entry.context("failed to list a folder")?.path();
            if let Some(code) = path.file_stem().and_then(|stem| stem.to_str()) {
                found.push((code.to_owned(), path.clone()));
            }
        }
        found.sort();
        Ok(found)
    }
}

/// The port that the README's examples use.
const USUAL_PORT: u16 = 7443;

/// The usual port of the loopback address, or another one when somebody listens there.
fn free_port() -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", USUAL_PORT))
        .or_else(|_| TcpListener::bind(("127.0.0.1", 0)))
        .context("failed to find a free port")?;
    listener.local_addr().context("failed to read the port")
}
