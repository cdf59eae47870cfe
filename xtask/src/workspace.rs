//! Where things are: the workspace, its target directory, the user's cache.
//!
//! One rule for the target directory: `CARGO_TARGET_DIR` when set, else `target`,
//! exactly as cargo does. `.ci/run` sets the variable. Never creates anything.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

/// Set by cargo for the process it runs; a nested cargo would take them for a
/// change and rebuild crates whose build scripts watch them.
const INHERITED: [&str; 5] =
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE"];

/// The workspace this xtask was built from.
pub struct Workspace {
    root: PathBuf,
}

impl Workspace {
    pub fn find() -> Result<Self> {
        let manifest =
            env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest.parent().context("the folder of xtask has no parent")?;
        Ok(Self { root: root.to_path_buf() })
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    pub fn target(&self) -> PathBuf {
        // A relative value is relative to where cargo runs: the root, see `cargo`.
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.path("target"), |d| self.root.join(d))
    }

    /// A binary of ours, as the dev profile leaves it.
    pub fn binary(&self, name: &str) -> PathBuf {
        self.target().join("debug").join(name)
    }

    /// A command that runs in the root.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        for (name, _) in env::vars_os() {
            if let Some(name) = name.to_str()
                && INHERITED.iter().any(|prefix| name.starts_with(prefix))
            {
                command.env_remove(name);
            }
        }
        command
    }

    pub fn cargo(&self) -> Command {
        self.command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
    }
}

/// The user's cache folder for Kith: tools, and the target directory of `.ci/run`.
pub fn cache() -> Result<PathBuf> {
    let base = match env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?).join(".cache"),
    };
    Ok(base.join("kith"))
}
