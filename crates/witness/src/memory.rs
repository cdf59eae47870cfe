//! What the witness remembers, on its own disk: the last head that it took, and whether history has changed. It is written
//! down for good before anything that follows from it leaves.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use kith_merkle::{Checkpoint, CheckpointError, VerifierKey};

/// Why the memory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// A file could not be read or written.
    #[error("use {path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is remembered is no head of this log.
    #[error("read {path}: {source}")]
    Changed {
        /// Which.
        path: PathBuf,
        /// Why.
        source: CheckpointError,
    },
}

/// A directory of the witness's own.
#[derive(Debug, Clone)]
pub struct Memory {
    dir: PathBuf,
}

impl Memory {
    /// The memory in a directory, which must be there.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    fn seen(&self) -> PathBuf {
        self.dir.join("seen")
    }

    /// The file that is there once history has changed.
    #[must_use]
    pub fn alarm_path(&self) -> PathBuf {
        self.dir.join("ALARM")
    }

    /// The last head that was taken, as it was signed.
    ///
    /// # Errors
    /// [`MemoryError`]: a memory that cannot be read is not an empty one.
    pub fn read(&self, key: &VerifierKey) -> Result<Option<(Checkpoint, String)>, MemoryError> {
        let path = self.seen();
        let note = match fs::read(&path) {
            Ok(note) => note,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(MemoryError::Io { path, source }),
        };
        match Checkpoint::open(&note, key) {
            Ok((checkpoint, note)) => Ok(Some((checkpoint, note.to_string()))),
            Err(source) => Err(MemoryError::Changed { path, source }),
        }
    }

    /// Remembers a head in place of the one before. When this returns, it is remembered for good.
    ///
    /// # Errors
    /// [`MemoryError::Io`]: nothing may be said of it.
    pub fn write(&self, note: &str) -> Result<(), MemoryError> {
        self.replace(&self.seen(), note)
    }

    /// Whether history has changed, in the words of when it was found.
    ///
    /// # Errors
    /// [`MemoryError::Io`].
    pub fn alarm(&self) -> Result<Option<String>, MemoryError> {
        let path = self.alarm_path();
        match fs::read_to_string(&path) {
            Ok(told) => Ok(Some(told)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(MemoryError::Io { path, source }),
        }
    }

    /// Writes down that history has changed, with both heads. Nothing is cosigned until a person removes the file.
    ///
    /// # Errors
    /// [`MemoryError::Io`].
    pub fn cry(&self, told: &str) -> Result<(), MemoryError> {
        self.replace(&self.alarm_path(), told)
    }

    fn replace(&self, path: &Path, text: &str) -> Result<(), MemoryError> {
        let staged = path.with_extension("new");
        let write = || {
            let mut file = File::create(&staged)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&staged, path)?;
            File::open(&self.dir)?.sync_all()
        };
        write().map_err(|source| MemoryError::Io { path: path.to_owned(), source })
    }
}
