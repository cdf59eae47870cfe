//! What can go wrong with the database, told apart by what the caller must do about it.
//! It never carries a value, and of keys only what the engine made.

use std::io;

use super::table::{BatchFault, Table};
use crate::seal::SealError;
use crate::watermark::WatermarkError;

/// Why a data directory could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or one of its small files could not be read or made.
    #[error("use data directory: {0}")]
    Io(#[from] io::Error),
    /// Another process, or another store in this one, has the directory open.
    #[error("lock data directory: another process has it open")]
    Locked,
    /// Written by a newer version of the software.
    #[error("open data directory: format {found} is newer than {supported}")]
    NewerFormat {
        /// The format found.
        found: u32,
        /// The newest format this version reads.
        supported: u32,
    },
    /// Written by an older version of the software, which did not know a table. Opening for writing makes it; a reader that took
    /// it for empty could not tell it from one that is gone.
    #[error(
        "open data directory: an older kithd wrote it, without the table {table}: start this kithd on it once, or read it with \
         the older one"
    )]
    OlderTables {
        /// The table that is not there.
        table: &'static str,
    },
    /// A file that must be there is missing or unreadable.
    #[error("open data directory: {what}")]
    Damaged {
        /// What is wrong, by name.
        what: String,
    },
    /// The keys belong to another data directory.
    #[error("open data directory: the keys are not those it was sealed with")]
    KeyMismatch,
    /// There is no keyring where there was one, and the key alone does not open the data.
    #[error(
        "open data directory: its keyring is missing, and the key file alone does not open it: put the keyring back"
    )]
    KeyringMissing,
    /// The keyring does not hold a data key that is in use.
    #[error(
        "open data directory: it is sealed with version {version} of the data key, which the keyring does not hold"
    )]
    KeyMissing {
        /// The version.
        version: u8,
    },
    /// The keyring is an older one than was in force here: put back from a copy.
    #[error(
        "open data directory: the keyring is of generation {found}, and {known} was in force: put the newer one back"
    )]
    KeyringOlder {
        /// The generation found.
        found: u64,
        /// The generation that was in force.
        known: u64,
    },
    /// The log ends before, or differs from, what was acknowledged. Nothing may be served from it.
    #[error("open data directory: DATA_LOSS_SUSPECTED, recovered {recovered}, acknowledged {watermark}")]
    DataLossSuspected {
        /// Number of the last record recovered.
        recovered: u64,
        /// Number of the last record acknowledged.
        watermark: u64,
    },
    /// The watermark file is damaged or newer.
    #[error(transparent)]
    Watermark(#[from] WatermarkError),
    /// RocksDB could not open its files.
    #[error("open database: {0}")]
    Database(String),
}

impl OpenError {
    /// Whether the data itself is at fault, not its place, its key or another process.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } | Self::DataLossSuspected { .. } | Self::Watermark(_) | Self::Database(_) => true,
            Self::Io(_) | Self::Locked | Self::NewerFormat { .. } | Self::OlderTables { .. } => false,
            Self::KeyMismatch | Self::KeyringMissing | Self::KeyMissing { .. } | Self::KeyringOlder { .. } => false,
        }
    }

    /// Whether it is the key or the keyring that does not fit.
    #[must_use]
    pub fn is_of_keys(&self) -> bool {
        match self {
            Self::KeyMismatch | Self::KeyringMissing | Self::KeyMissing { .. } | Self::KeyringOlder { .. } => true,
            Self::Damaged { .. } | Self::DataLossSuspected { .. } | Self::Watermark(_) | Self::Database(_) => false,
            Self::Io(_) | Self::Locked | Self::NewerFormat { .. } | Self::OlderTables { .. } => false,
        }
    }
}

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// RocksDB could not read.
    #[error("read database: {0}")]
    Database(String),
    /// A row does not open under its key.
    #[error("open a row of table {table}: {source}")]
    Sealed {
        /// The table's name.
        table: &'static str,
        /// Why.
        source: SealError,
    },
    /// A log record is missing or out of place.
    #[error("read log record {sequence}: {what}")]
    Log {
        /// The record's number.
        sequence: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The chain over the records is not the one that was kept.
    #[error("verify log: chain differs at record {sequence}")]
    Chain {
        /// The last record covered.
        sequence: u64,
    },
    /// The snapshot that the log was trimmed behind is missing, damaged or not the one recorded.
    #[error("read snapshot {sequence}: {what}")]
    Snapshot {
        /// The last record whose effects it holds.
        sequence: u64,
        /// What is wrong.
        what: String,
    },
    /// The database is closed after a refused write and could not be opened again yet.
    #[error("read database: closed until the disk takes writes again")]
    Closed,
    /// A small file could not be read.
    #[error("read data directory: {0}")]
    Io(#[from] io::Error),
}

impl StoreError {
    pub(crate) fn sealed(table: Table, source: SealError) -> Self {
        Self::Sealed { table: table.name(), source }
    }
}

/// Why a commit was refused with nothing written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefusedCause {
    /// Less room than the reserve.
    #[error("disk full, {available_bytes} bytes left")]
    DiskFull {
        /// What is left, in bytes.
        available_bytes: u64,
    },
    /// The file system is read-only.
    #[error("disk read-only")]
    ReadOnly,
    /// The store was opened read-only.
    #[error("store opened read-only")]
    OpenedReadOnly,
    /// The disk did not say how much room it has, or RocksDB could not be opened again.
    #[error("disk not usable: {0}")]
    Unusable(String),
}

/// Why a commit was not made.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Nothing was written; the same batch may be tried again later, and this heals by itself.
    #[error("commit: refused, {cause}")]
    Refused {
        /// Why.
        cause: RefusedCause,
    },
    /// The batch itself is out of bounds; trying again cannot help.
    #[error("commit: batch out of bounds, {0}")]
    Invalid(#[from] BatchFault),
    /// It is not known what is on disk: nothing may be acknowledged and the process must end.
    #[error("commit: {what}; the process must end")]
    Fatal {
        /// What failed.
        what: String,
    },
}

impl CommitError {
    pub(crate) fn refused(cause: RefusedCause) -> Self {
        Self::Refused { cause }
    }

    pub(crate) fn fatal(what: impl Into<String>) -> Self {
        Self::Fatal { what: what.into() }
    }
}
