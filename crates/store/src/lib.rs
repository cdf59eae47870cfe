//! The store of Kith: it keeps the change log, the state and the audit durably and gives them back in order.
//! It is the sole owner of RocksDB and of the files of the audit journal and of its tree. It never knows gRPC, policy or the
//! index: it takes opaque plaintext rows, seals them, and says plainly when it cannot vouch for what is on disk.

mod answer_ref;
mod database;
mod disk;
#[doc(hidden)]
pub mod fuzz_entry;
mod histogram;
mod journal;
mod key_encryption;
mod keyring;
mod keys;
mod priority;
mod seal;
#[cfg(test)]
mod testing;
mod tree;
mod watermark;

pub use answer_ref::{AnswerRef, AnswerRefError};
pub use database::{
    Batch, BatchFault, CommitError, KeyUses, MAX_BATCH_BYTES, MAX_BATCH_ITEMS, MAX_KEY_BYTES, MAX_VALUE_BYTES,
    OpenError, RefusedCause, ResealError, ResealPosition, Row, StateHash, Store, StoreError, StoreFault, StoreOptions,
    StoreReport, Table, TrimError, TrimPoint, TrimStep, VisitRecord, VisitRow, VisitSnapshot,
};
pub use histogram::{BOUNDS_NS, Counted, Histogram};
pub use journal::{
    Accounted, Appended, AuditError, AuditMode, AuditRef, AuditRefError, ClosedSegment, Follower, Gap, GapCause,
    Journal, JournalError, JournalFault, JournalOptions, JournalReport, JournalSurvey, Later, MAX_ENTRY_BYTES,
    Monotonic, Recovered, Removal, Sink, Stretch, SystemMonotonic, TellsOf, Times, Told, Window,
};
pub use key_encryption::{KeyEncryptionKey, KeyError, KeyId, KeySource};
pub use keyring::{KeyringEdit, KeyringStatus};
pub use keys::{KeyringStamp, Keys, NewKeys, PSEUDONYM_BYTES};
pub use priority::{give_way, stand_back};
pub use seal::{SEAL_OVERHEAD_BYTES, SEAL_SCHEMA, SealError, open, seal};
pub use tree::{
    COSIGNED_GONE, Compared, NOT_COSIGNED, Proven, Tree, TreeError, TreeFault, TreeOptions, TreeReport, TreeStatus,
};
pub use watermark::{Head, WatermarkError};
