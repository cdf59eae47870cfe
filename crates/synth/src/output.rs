//! Output files: buffered, hashed as they grow, and opened only while a block is written, so that a few hundred of them
//! need neither descriptors nor much memory. Never reads a file back.

use ring::digest::{Context, SHA256};
use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::SynthError;

/// Bytes collected before a block is appended: some 430 files hold at most about 30 MB.
const BLOCK: usize = 64 * 1024;

/// What was written to one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileEntry {
    /// Path below the output directory, with forward slashes.
    pub path: String,
    /// Rows without the header.
    pub rows: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 of the content, lowercase hexadecimal.
    pub sha256: String,
}

/// One file being written, row by row.
pub(crate) struct TableFile {
    full: PathBuf,
    relative: String,
    block: Vec<u8>,
    hash: Context,
    rows: u64,
    bytes: u64,
}

impl TableFile {
    /// Creates (or empties) `relative` below `out` and writes `header` as its first lines unless it is empty.
    pub(crate) fn create(out: &Path, relative: &str, header: &str) -> Result<Self, SynthError> {
        let full = out.join(relative);
        File::create(&full).map_err(|source| SynthError::Write { path: full.clone(), source })?;
        let mut block = Vec::with_capacity(BLOCK + 1_024);
        if !header.is_empty() {
            block.extend_from_slice(header.as_bytes());
            block.push(b'\n');
        }
        Ok(Self { full, relative: relative.to_owned(), block, hash: Context::new(&SHA256), rows: 0, bytes: 0 })
    }

    /// Rows written so far, without the header.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Appends one row; `fill` writes it without the line end.
    pub(crate) fn row(&mut self, fill: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> Result<(), SynthError> {
        fill(&mut self.block).map_err(|source| SynthError::Write { path: self.full.clone(), source })?;
        self.block.push(b'\n');
        self.rows += 1;
        if self.block.len() >= BLOCK { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), SynthError> {
        let append = || OpenOptions::new().append(true).open(&self.full)?.write_all(&self.block);
        append().map_err(|source| SynthError::Write { path: self.full.clone(), source })?;
        self.hash.update(&self.block);
        self.bytes += self.block.len() as u64;
        self.block.clear();
        Ok(())
    }

    /// Writes what is left.
    pub(crate) fn finish(mut self) -> Result<FileEntry, SynthError> {
        self.flush()?;
        let sha256 = hex::encode(self.hash.finish().as_ref());
        Ok(FileEntry { path: self.relative, rows: self.rows, bytes: self.bytes, sha256 })
    }
}
