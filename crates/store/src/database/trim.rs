//! Trimming the log behind a verified snapshot of the state, so that what was removed is really gone: from the log, the
//! tables, the write-ahead log and RocksDB's own list of files. Killed at any step it leaves a store that opens and
//! verifies, and the next trim finishes the work. It never removes a record before the state it led to is verified.

use std::ops::ControlFlow;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use rocksdb::{BottommostLevelCompaction, CompactOptions, DB, FlushOptions, WriteBatch};

use super::open::{SYSTEM_TAG, unopened};
use super::snapshot::{self, StateHash, VisitSnapshot, Writing};
use super::{CommitError, OpenError, Store, StoreError, Table, rocks};
use crate::keys::Keys;
use crate::seal;
use crate::watermark::{Fields, Head};

/// The row of the trim point in the default column family.
pub(super) const TRIM_KEY: &[u8] = b"trim";

/// Up to where the log has been trimmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrimPoint {
    /// The last record removed and the chain up to it: the first record still held continues it.
    pub head: Head,
    /// Hash of the state there, which the snapshot must have.
    pub state_hash: [u8; 32],
}

impl TrimPoint {
    /// Nothing has been trimmed.
    pub const NONE: Self = Self { head: Head::EMPTY, state_hash: [0; 32] };
}

/// The steps of a trim, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TrimStep {
    /// A row of the snapshot has been written; asked again and again.
    Writing,
    /// The snapshot is on disk under its name.
    Written,
    /// It has been read back and has the hash of the running state.
    Verified,
    /// The trim point is recorded and the records are removed, in one write.
    Marked,
    /// Older snapshots are gone.
    Replaced,
    /// Tables and log are rewritten without what was removed.
    Compacted,
    /// The write-ahead log and the list of files are new.
    Rolled,
}

/// Why the log was not trimmed. Nothing is lost; the next trim begins anew.
#[derive(Debug, thiserror::Error)]
pub enum TrimError {
    /// The snapshot could not be written.
    #[error("write snapshot: {0}")]
    Io(#[from] std::io::Error),
    /// The state could not be read, or the snapshot not read back.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store takes no writes, or failed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// Less room than the reserve.
    #[error("write snapshot: less room than the reserve")]
    NoRoom,
    /// What was read back is not the running state.
    #[error("verify snapshot {sequence}: it is not the running state")]
    Differs {
        /// The snapshot's record.
        sequence: u64,
    },
    /// Told to stop; what is on disk is whole.
    #[error("trim: given up, the service is stopping or the disk refused a write")]
    GivenUp,
}

/// Reads the trim point.
pub(super) fn read_point(db: &DB, keys: &Keys) -> Result<TrimPoint, OpenError> {
    let damaged = || OpenError::Damaged { what: "the row of the trim point does not open".to_owned() };
    let row = db.get(TRIM_KEY).map_err(|error| OpenError::Database(error.into_string()))?;
    let Some(row) = row else { return Ok(TrimPoint::NONE) };
    let plain = seal::open(keys, SYSTEM_TAG, TRIM_KEY, &row).map_err(|error| unopened(error, damaged()))?;
    point_of(&plain).ok_or_else(damaged)
}

/// The trim point as its row says it.
pub(super) fn point_of(plain: &[u8]) -> Option<TrimPoint> {
    let mut fields = Fields(plain);
    match (fields.take(), fields.take(), fields.take(), fields.0) {
        (Some(sequence), Some(chain), Some(state_hash), []) => {
            Some(TrimPoint { head: Head { sequence: u64::from_be_bytes(sequence), chain }, state_hash })
        }
        _ => None,
    }
}

fn point_row(keys: &Keys, point: TrimPoint) -> Result<Vec<u8>, String> {
    let mut plain = Vec::with_capacity(72);
    plain.extend_from_slice(&point.head.sequence.to_be_bytes());
    plain.extend_from_slice(&point.head.chain);
    plain.extend_from_slice(&point.state_hash);
    seal::seal(keys, SYSTEM_TAG, TRIM_KEY, &plain).map_err(|error| error.to_string())
}

impl Store {
    /// Up to where the log has been trimmed.
    #[must_use]
    pub fn trimmed(&self) -> TrimPoint {
        *self.trimmed.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Visits every row of the snapshot that the log was trimmed behind, opened, in order of table and key; none when
    /// nothing was trimmed. The whole of it is held against its own hash and the recorded state.
    ///
    /// # Errors
    /// [`StoreError::Snapshot`]; what came before the fault has been visited.
    pub fn snapshot_rows(&self, visit: &mut VisitSnapshot<'_>) -> Result<(), StoreError> {
        let point = self.trimmed();
        if point == TrimPoint::NONE {
            return Ok(());
        }
        let fault = |what: String| StoreError::Snapshot { sequence: point.head.sequence, what };
        match snapshot::read(&self.dir, &self.keys, point.head, visit).map_err(fault)? {
            Some(hash) if hash != point.state_hash => Err(fault("its state is not the one recorded".to_owned())),
            Some(_) | None => Ok(()),
        }
    }

    /// Writes a snapshot of the state, verifies it, removes the log up to it, and takes what was removed off the disk.
    /// Runs beside commits and readings; commits wait only while the state's position is taken, while the records are
    /// removed, and while RocksDB is opened anew at the end. `go_on` is asked after each step, and for each row written:
    /// `false` gives up.
    ///
    /// # Errors
    /// [`TrimError`]; only a fatal [`CommitError`] means that the process must end.
    pub fn trim(&self, go_on: &dyn Fn(TrimStep) -> bool) -> Result<TrimPoint, TrimError> {
        let step = |done| if go_on(done) { Ok(()) } else { Err(TrimError::GivenUp) };
        let point = self.export(go_on)?;
        step(TrimStep::Written)?;
        let sequence = point.head.sequence;
        let read = snapshot::read(&self.dir, &self.keys, point.head, &mut |_, _, _| self.visited(go_on));
        match read.map_err(|what| StoreError::Snapshot { sequence, what })? {
            None => return Err(TrimError::GivenUp),
            Some(hash) if hash != point.state_hash => return Err(TrimError::Differs { sequence }),
            Some(_) => step(TrimStep::Verified)?,
        }
        self.mark(point)?;
        step(TrimStep::Marked)?;
        snapshot::remove_others(&self.dir, sequence)?;
        step(TrimStep::Replaced)?;
        self.rewrite()?;
        step(TrimStep::Compacted)?;
        self.roll()?;
        step(TrimStep::Rolled)?;
        Ok(point)
    }

    fn visited(&self, go_on: &dyn Fn(TrimStep) -> bool) -> ControlFlow<()> {
        let stop = self.interrupt.load(Ordering::Acquire) || !go_on(TrimStep::Writing);
        if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Writes the state at one record into a file, and gives the record and the hash of what RocksDB holds.
    fn export(&self, go_on: &dyn Fn(TrimStep) -> bool) -> Result<TrimPoint, TrimError> {
        let result = self.export_rows(go_on);
        if result.is_err() {
            // What is left of it has no name of a snapshot; the next start removes it too.
            if let Err(error) = snapshot::remove_others(&self.dir, self.trimmed().head.sequence) {
                tracing::warn!(%error, "an unfinished snapshot could not be removed");
            }
        }
        result
    }

    fn export_rows(&self, go_on: &dyn Fn(TrimStep) -> bool) -> Result<TrimPoint, TrimError> {
        let quiet = self.quiet()?;
        let guard = self.database();
        let db = guard.as_ref().ok_or(StoreError::Closed)?;
        let (head, state) = (self.head(), db.snapshot());
        drop(quiet);
        let mut writing = Writing::begin(&*self.disk, &self.dir, head)?;
        let mut hash = StateHash::default();
        for table in Table::ALL {
            let family = rocks::family(db, table.name()).map_err(StoreError::Database)?;
            let mut rows = state.raw_iterator_cf_opt(family, rocks::scanning_beside());
            rows.seek_to_first();
            while let Some((key, sealed)) = rows.item() {
                let value = seal::open(&self.keys, table.name(), key, sealed);
                hash.row(table, key, &value.map_err(|source| StoreError::sealed(table, source))?);
                if writing.row(table, key, sealed)? && !self.has_room()? {
                    return Err(TrimError::NoRoom);
                }
                if self.visited(go_on).is_break() {
                    return Err(TrimError::GivenUp);
                }
                rows.next();
            }
            rows.status().map_err(|error| StoreError::Database(error.into_string()))?;
        }
        writing.end(&self.dir, head)?;
        Ok(TrimPoint { head, state_hash: hash.finish() })
    }

    fn has_room(&self) -> Result<bool, std::io::Error> {
        Ok(self.disk.space(&self.dir)?.available_bytes >= self.options.reserve_bytes)
    }

    /// Records the trim point and removes the records up to it, in one synced write.
    fn mark(&self, point: TrimPoint) -> Result<(), CommitError> {
        let make = |db: &DB| {
            let mut batch = WriteBatch::default();
            let (from, to) = (0_u64.to_be_bytes(), (point.head.sequence + 1).to_be_bytes());
            batch.delete_range_cf(rocks::family(db, rocks::LOG)?, from, to);
            batch.put(TRIM_KEY, point_row(&self.keys, point)?);
            Ok(batch)
        };
        self.write_own(make, || *self.trimmed.write().unwrap_or_else(PoisonError::into_inner) = point)
    }

    /// Writes out what is in memory and rewrites every file, so that removed rows and records are in none of them.
    fn rewrite(&self) -> Result<(), TrimError> {
        let guard = self.database();
        let db = guard.as_ref().ok_or(StoreError::Closed)?;
        let database = |error: rocksdb::Error| StoreError::Database(error.into_string());
        let names = || rocks::names().map(|name| rocks::family(db, name).map_err(StoreError::Database));
        let families = names().collect::<Result<Vec<_>, _>>()?;
        db.flush_cfs_opt(&families, &FlushOptions::default()).map_err(database)?;
        let mut options = CompactOptions::default();
        options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
        options.set_exclusive_manual_compaction(false);
        for family in families {
            if self.interrupt.load(Ordering::Acquire) {
                return Err(TrimError::GivenUp);
            }
            db.compact_range_cf_opt(family, None::<&[u8]>, None::<&[u8]>, &options);
        }
        Ok(())
    }
}
