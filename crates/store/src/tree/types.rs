//! What a tree takes and gives: options, status, faults, errors. Nothing here touches a file.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kith_merkle::{CheckpointError, LogSigner, VerifierKey};

use crate::journal::JournalError;

/// Where a tree is kept, and how often its head is signed.
#[derive(Debug, Clone)]
pub struct TreeOptions {
    /// Its directory.
    pub dir: PathBuf,
    /// The log's key. Without one the tree grows and nothing of it is signed.
    pub signer: Option<Arc<LogSigner>>,
    /// Witnesses whose cosignatures are kept, and no others', at most [`TreeOptions::MAX_WITNESSES`]; empty: anybody's that may
    /// bring one.
    pub witnesses: Vec<VerifierKey>,
    /// Entries wait at most this long for the next checkpoint.
    pub every: Duration,
    /// So many entries wait at most.
    pub every_entries: u64,
}

impl TreeOptions {
    /// Most witnesses whose cosignatures are kept on one head.
    pub const MAX_WITNESSES: usize = 15;

    /// The defaults: a checkpoint every second, or every 1,000 entries, whichever comes first; of witnesses anybody's.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, signer: Option<Arc<LogSigner>>) -> Self {
        let (witnesses, every) = (Vec::new(), Duration::from_secs(1));
        Self { dir: dir.into(), signer, witnesses, every, every_entries: 1_000 }
    }
}

/// One thing that is not as it was written. A power cut leaves none of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeFault {
    /// There are entries, and there is no tree.
    #[error("there is no tree over entries up to {last}")]
    Absent {
        /// The last entry.
        last: u64,
    },
    /// The leaves file has another head.
    #[error("leaves: head damaged")]
    Head,
    /// The leaves file is of a newer version.
    #[error("leaves: version {found} is newer than this one")]
    NewerFormat {
        /// The version found.
        found: u16,
    },
    /// A record of the leaves file is not what was written.
    #[error("leaves: record {index} is damaged")]
    RecordDamaged {
        /// Its index, from 0.
        index: u64,
    },
    /// A record stands where it was never written: dropped, swapped or doubled ones.
    #[error("leaves: record {index} is out of order, after entry {covered}")]
    OrderDiffers {
        /// Its index, from 0.
        index: u64,
        /// All numbers up to this one stand before it.
        covered: u64,
    },
    /// A checkpoint was signed over more leaves than there are.
    #[error("tree truncated: signed over {signed} leaves, and {found} are there")]
    TreeTruncated {
        /// Leaves of the checkpoint.
        signed: u64,
        /// Leaves found.
        found: u64,
    },
    /// A kept hash is not that of its leaves.
    #[error("level-{kept}: hash {index} is not that of its leaves")]
    LevelDiffers {
        /// The level file.
        kept: u32,
        /// Which hash, from 0.
        index: u64,
    },
    /// The leaves are not those that were signed.
    #[error("checkpoint of {size} leaves: the leaves that are there have another root")]
    RootDiffers {
        /// Leaves of the checkpoint.
        size: u64,
    },
    /// Bytes in the middle are no checkpoint.
    #[error("checkpoints: damaged from byte {offset}")]
    CheckpointDamaged {
        /// Where it begins.
        offset: u64,
    },
    /// A checkpoint was not signed with the log's key.
    #[error("checkpoint forged, after the one of {after} leaves: {what}")]
    CheckpointForged {
        /// Leaves of the checkpoint before it.
        after: u64,
        /// Why.
        what: CheckpointError,
    },
    /// Every checkpoint was signed with another key of the log's name than the one that is configured.
    #[error("the signing key was changed: the checkpoints are signed with key {signed}, and {configured} is expected")]
    KeyChanged {
        /// Identifier of the key that signed them, in hexadecimal.
        signed: String,
        /// Identifier of the configured key, or of the one that was given to verify with.
        configured: String,
    },
    /// The newest cosigned head cannot be read, the log's key has not signed it, or it says of a configured witness what that has
    /// not said.
    #[error("cosigned head damaged or forged: {what}")]
    Cosigned {
        /// Why.
        what: String,
    },
    /// Whose the names of witnesses are cannot be read, and none is configured: no cosignature is kept before a person has looked.
    #[error("cosigners: damaged: it cannot be read whose witnesses have cosigned")]
    Cosigners,
    /// A checkpoint does not follow the one before it.
    #[error("checkpoint of {size} leaves stands after one of {after}")]
    CheckpointOrder {
        /// Its leaves.
        size: u64,
        /// Leaves of the one before it.
        after: u64,
    },
    /// Somebody holds a signed checkpoint over more leaves than the history has.
    #[error("rolled back: signed over {found} leaves, and a checkpoint over {known} was published")]
    RolledBack {
        /// Leaves of the checkpoint that was published.
        known: u64,
        /// Leaves of the newest checkpoint in the history.
        found: u64,
    },
    /// Two trees of one size were signed.
    #[error("forked: a checkpoint over {size} leaves was published with another root")]
    Forked {
        /// Leaves of both.
        size: u64,
    },
    /// An entry is not the one that was taken in.
    #[error("entry {sequence} is not the one that the tree was built over")]
    LeafDiffers {
        /// Its number.
        sequence: u64,
    },
    /// Entries that were taken in are not there.
    #[error("entries {first} to {last} are in the tree and not in the audit")]
    EntryMissing {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
    /// Entries are there that were never taken in, although later ones were, and under numbers that were never given, or not given
    /// up.
    #[error("entries {first} to {last} are in the audit and not in the tree")]
    NotInTree {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
}

/// Where a tree stands, for status and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeStatus {
    /// Leaves on disk.
    pub leaves: u64,
    /// Entries up to this number are in the tree, or were passed over.
    pub covered_through: u64,
    /// Leaves of the newest checkpoint; `None` when there never was one.
    pub signed_leaves: Option<u64>,
    /// How long ago that was published, or the tree was opened.
    pub signed_for: Duration,
    /// Checkpoints are to be signed.
    pub signs: bool,
    /// The last attempt to grow failed, and is made again; or one hangs, or nothing is left to make one.
    pub failing: bool,
    /// Why the tree is neither grown nor signed until a person has looked; empty when it is.
    pub suspected: Vec<String>,
}

/// Why a tree cannot be opened, grown or read.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// A file could not be used.
    #[error("use audit tree: {0}")]
    Io(#[from] io::Error),
    /// Another process has it open.
    #[error("lock audit tree: another process has it open")]
    Locked,
    /// The journal could not be read.
    #[error("grow audit tree: {0}")]
    Journal(#[from] JournalError),
    /// A checkpoint could not be signed.
    #[error("sign audit tree: {0}")]
    Sign(#[from] CheckpointError),
    /// A leaf that is asked for is damaged.
    #[error("read audit tree: leaf {index} is damaged")]
    Record {
        /// Its index, from 0.
        index: u64,
    },
}

impl From<super::files::ReadFault> for TreeError {
    fn from(fault: super::files::ReadFault) -> Self {
        match fault {
            super::files::ReadFault::Io(error) => Self::Io(error),
            super::files::ReadFault::Record { index } => Self::Record { index },
        }
    }
}
