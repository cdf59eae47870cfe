//! A directory of one test: gone after it, kept and named when it failed.

use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The directory.
pub struct Scratch(Option<TempDir>);

impl Scratch {
    pub fn new() -> Self {
        Self(Some(tempfile::Builder::new().prefix("kith-test-").tempdir().unwrap()))
    }

    pub fn path(&self) -> &Path {
        self.0.as_ref().unwrap().path()
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(dir) = self.0.take()
            && std::thread::panicking()
        {
            println!("the directory of this test is kept: {}", dir.keep().display());
        }
    }
}
