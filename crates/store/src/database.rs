//! The database: the change log and the tables, in RocksDB, each value sealed.
//! It never interprets a row, and never acknowledges what is not on disk.

mod commit;
mod errors;
mod open;
mod reseal;
mod rocks;
pub(crate) mod snapshot;
mod table;
mod trim;
mod uses;
mod verify;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use ring::digest;
use rocksdb::DB;

pub use errors::{CommitError, OpenError, RefusedCause, StoreError};
pub(crate) use open::is_begun;
pub use reseal::{ResealError, ResealPosition};
pub use snapshot::{StateHash, VisitSnapshot};
pub use table::{Batch, BatchFault, MAX_BATCH_BYTES, MAX_BATCH_ITEMS, MAX_KEY_BYTES, MAX_VALUE_BYTES, Row, Table};
pub use trim::{TrimError, TrimPoint, TrimStep};
pub use uses::KeyUses;
pub(crate) use uses::count;
pub use verify::{StoreFault, StoreReport};

use crate::disk::{Disk, RealDisk};
use crate::keys::{KeyringStamp, Keys};
use crate::seal;
use crate::watermark::Head;

/// What the store's own rows say once they are open, for fuzzing: each as if it were the head's, the trim point's or the keyring's.
pub(crate) fn own_rows(plain: &[u8]) -> (Option<Head>, Option<TrimPoint>, Option<KeyringStamp>) {
    (open::head_of(plain), trim::point_of(plain), reseal::noted_of(plain))
}

/// Limits of an open store, all in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreOptions {
    /// Commits are refused when less than this is left on the disk, so that a start still has room.
    pub reserve_bytes: u64,
    /// The cache of read blocks, indexes and filters.
    pub block_cache_bytes: usize,
    /// All memtables together.
    pub write_buffer_bytes: usize,
}

impl Default for StoreOptions {
    /// 64 MiB each: questions are answered from the index, so the store needs little memory.
    fn default() -> Self {
        Self { reserve_bytes: 64 << 20, block_cache_bytes: 64 << 20, write_buffer_bytes: 64 << 20 }
    }
}

/// What a scan calls for each row: its key and its opened value; breaking ends the scan.
pub type VisitRow<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;
/// What a reading of the log calls for each record: its number and its opened content; breaking ends it.
pub type VisitRecord<'a> = dyn FnMut(u64, &[u8]) -> ControlFlow<()> + 'a;
/// What a scan over sealed rows calls.
type VisitSealed<'a> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, StoreError> + 'a;

/// The tag that binds sealed log records.
const LOG_TAG: &str = "log";

/// A data directory's log and tables. One writer at a time; readers never wait for a write.
pub struct Store {
    dir: PathBuf,
    keys: Arc<Keys>,
    options: StoreOptions,
    disk: Arc<dyn Disk>,
    /// `None` between a refused write and the next successful start of RocksDB.
    db: RwLock<Option<DB>>,
    head: RwLock<Head>,
    /// Up to where the log has been trimmed, and the state there.
    trimmed: RwLock<TrimPoint>,
    /// The version of the data key under which, or a newer one, everything of the state stands.
    resealed: AtomicU8,
    /// The keyring that was last noted to be in force.
    noted: Mutex<Option<KeyringStamp>>,
    /// A trim under way gives up: the database is to be closed or opened anew.
    interrupt: AtomicBool,
    writer: Mutex<commit::Writer>,
    /// Held for as long as the store is open; the lock goes with the file.
    _lock: Option<std::fs::File>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("head", &self.head().sequence).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the data directory `dir` for reading and writing, making it when there is none.
    ///
    /// # Errors
    /// [`OpenError::DataLossSuspected`] when the log recovered is not the one acknowledged,
    /// [`OpenError::KeyMismatch`] and what else does not fit of the keys, [`OpenError::NewerFormat`],
    /// [`OpenError::Locked`], and what the disk says.
    pub fn open(dir: &Path, keys: Arc<Keys>, options: StoreOptions) -> Result<Self, OpenError> {
        open::open(dir, keys, options, Arc::new(RealDisk))
    }

    /// Opens an existing data directory without ever writing to it, to verify or inspect it. A log that is
    /// short of the watermark is not refused here: [`Store::verify`] names it.
    ///
    /// # Errors
    /// As [`Store::open`], except for the watermark.
    pub fn open_read_only(dir: &Path, keys: Arc<Keys>, options: StoreOptions) -> Result<Self, OpenError> {
        open::open_read_only(dir, keys, options, Arc::new(RealDisk))
    }

    /// The position of the last acknowledged commit.
    #[must_use]
    pub fn head(&self) -> Head {
        *self.head.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the database once no reading is under way; from then on every reading is refused. A process must not
    /// end with it open: RocksDB's own threads would run on while its statics are taken down.
    pub fn close(&self) {
        self.interrupt_trim();
        // First: what a refused write left closed must not be opened again behind this.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).close();
        drop(self.db.write().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Makes a trim under way give up its hold of the database, so that nobody waits for it. RocksDB's background work
    /// stops with it: the store is to be closed or opened anew.
    pub fn interrupt_trim(&self) {
        self.interrupt.store(true, Ordering::Release);
        if let Some(db) = self.database().as_ref() {
            db.cancel_all_background_work(false);
        }
    }

    fn database(&self) -> RwLockReadGuard<'_, Option<DB>> {
        self.db.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The plaintext value of one row; `None` when the table has no such row.
    ///
    /// # Errors
    /// When RocksDB cannot read, or the value does not open under its key.
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let guard = self.database();
        let db = guard.as_ref().ok_or(StoreError::Closed)?;
        let family = rocks::family(db, table.name()).map_err(StoreError::Database)?;
        let found = db.get_pinned_cf(family, key).map_err(|error| StoreError::Database(error.into_string()))?;
        found
            .map(|sealed| seal::open(&self.keys, table.name(), key, &sealed))
            .transpose()
            .map_err(|source| StoreError::sealed(table, source))
    }

    /// Visits the rows whose key begins with `prefix` and is not before `from`, in key order, opened.
    /// The visitor sees one consistent moment and must not call [`Store::commit`]; ranges may be scanned by
    /// several threads at once.
    ///
    /// # Errors
    /// When RocksDB cannot read, or a value does not open under its key; what came before has been visited.
    pub fn scan(&self, table: Table, from: &[u8], prefix: &[u8], visit: &mut VisitRow<'_>) -> Result<(), StoreError> {
        let guard = self.database();
        let db = guard.as_ref().ok_or(StoreError::Closed)?;
        scan_sealed(db, table.name(), from.max(prefix), prefix, &mut |key, sealed| {
            let opened = seal::open(&self.keys, table.name(), key, sealed);
            Ok(visit(key, &opened.map_err(|source| StoreError::sealed(table, source))?))
        })
    }

    /// Visits the log records from `sequence` on, in order, opened. Started at the first record that is still held,
    /// or before it, it also verifies the hash chain up to [`Store::head`]. The visitor must not call [`Store::commit`].
    ///
    /// # Errors
    /// [`StoreError::Log`] for a missing record or one that does not open, [`StoreError::Chain`] when the chain differs.
    pub fn log_from(&self, sequence: u64, visit: &mut VisitRecord<'_>) -> Result<(), StoreError> {
        let guard = self.database();
        let db = guard.as_ref().ok_or(StoreError::Closed)?;
        let head = self.head();
        let trimmed = self.trimmed().head;
        let whole = sequence <= trimmed.sequence + 1;
        let mut walk = LogWalk::new(sequence.max(trimmed.sequence + 1), trimmed.chain);
        let mut stopped = false;
        scan_sealed(db, rocks::LOG, &walk.next.to_be_bytes(), &[], &mut |key, sealed| {
            let number = walk.step(key, sealed)?;
            if whole && number == head.sequence && walk.chain != head.chain {
                return Err(StoreError::Chain { sequence: number });
            }
            let record = open_record(&self.keys, number, sealed)?;
            let flow = visit(number, &record);
            stopped = flow.is_break();
            Ok(flow)
        })?;
        if !stopped && walk.next <= head.sequence {
            return Err(StoreError::Log { sequence: walk.next, what: "missing" });
        }
        Ok(())
    }
}

/// Visits sealed rows in key order.
fn scan_sealed(
    db: &DB,
    family: &str,
    from: &[u8],
    prefix: &[u8],
    visit: &mut VisitSealed<'_>,
) -> Result<(), StoreError> {
    let family = rocks::family(db, family).map_err(StoreError::Database)?;
    let mut rows = db.raw_iterator_cf_opt(family, rocks::scanning());
    rows.seek(from);
    while let Some((key, sealed)) = rows.item() {
        if !key.starts_with(prefix) || visit(key, sealed)?.is_break() {
            break;
        }
        rows.next();
    }
    rows.status().map_err(|error| StoreError::Database(error.into_string()))
}

/// Follows the log record by record: no gap, and the chain recomputed.
struct LogWalk {
    next: u64,
    chain: [u8; 32],
}

impl LogWalk {
    fn new(next: u64, chain: [u8; 32]) -> Self {
        Self { next, chain }
    }

    fn step(&mut self, key: &[u8], sealed: &[u8]) -> Result<u64, StoreError> {
        let Ok(bytes) = <[u8; 8]>::try_from(key) else {
            return Err(StoreError::Log { sequence: self.next, what: "key is not a number" });
        };
        let number = u64::from_be_bytes(bytes);
        if number != self.next {
            return Err(StoreError::Log { sequence: self.next, what: "missing" });
        }
        self.chain = link(&self.chain, number, sealed);
        self.next += 1;
        Ok(number)
    }
}

/// The next link of the hash chain.
fn link(previous: &[u8; 32], sequence: u64, sealed: &[u8]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(previous);
    context.update(&sequence.to_be_bytes());
    context.update(sealed);
    let mut chain = [0; 32];
    for (to, from) in chain.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    chain
}

fn open_record(keys: &Keys, sequence: u64, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
    seal::open(keys, LOG_TAG, &sequence.to_be_bytes(), sealed)
        .map_err(|_| StoreError::Log { sequence, what: "does not open under its number" })
}

#[cfg(test)]
mod tests;
