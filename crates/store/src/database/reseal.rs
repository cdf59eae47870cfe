//! Sealing the state anew with the newest data key: a stretch of rows at a time, beside commits and readings. Log, audit and
//! tree keep the bytes they have. Killed anywhere it leaves rows of both keys, which open alike; whoever begins again passes over
//! what is done. That it has ended is one row, written last.

use std::ops::ControlFlow;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use rocksdb::{DB, WriteBatch};
use zeroize::Zeroizing;

use super::open::{HEAD_KEY, KEY_CHECK_KEY, SYSTEM_TAG, unopened};
use super::trim::TRIM_KEY;
use super::{CommitError, OpenError, Store, StoreError, Table, rocks, scan_sealed};
use crate::keys::{KeyringStamp, Keys};
use crate::seal::{self, SealError, version_of};
use crate::watermark::Fields;

/// The row that says which keyring was noted last.
const KEYRING_KEY: &[u8] = b"keyring";
/// Rows looked at in one stretch: a few milliseconds.
const LOOKED_AT_ONCE: usize = 4_096;
/// Rows sealed anew in one write, and bytes of them: commits wait for no more than this.
const RESEALED_AT_ONCE: usize = 256;
const BYTES_AT_ONCE: usize = 1 << 20;

/// Where a walk over the state is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResealPosition {
    table: usize,
    from: Vec<u8>,
    /// Rows of the table that were passed.
    passed: u64,
}

/// Why a stretch was not sealed anew. Nothing is lost, and all of it may be tried again.
#[derive(Debug, thiserror::Error)]
pub enum ResealError {
    /// A row could not be read, or does not open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store takes no writes, or failed: only [`CommitError::Fatal`] means that the process must end.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// The next rows that stand under an older key.
#[derive(Default)]
struct Stretch {
    keys: Vec<Vec<u8>>,
    bytes: usize,
    looked_at: usize,
    next: Option<Vec<u8>>,
}

impl Stretch {
    fn is_full(&self) -> bool {
        self.looked_at >= LOOKED_AT_ONCE || self.keys.len() >= RESEALED_AT_ONCE || self.bytes >= BYTES_AT_ONCE
    }
}

/// The version that everything of the state stands under, or under a newer one: that of the key check, which is written last.
pub(super) fn checked_version(db: &DB, keys: &Keys) -> Result<u8, OpenError> {
    let row = db.get(KEY_CHECK_KEY).map_err(|error| OpenError::Database(error.into_string()))?;
    Ok(row.as_deref().and_then(version_of).unwrap_or_else(|| keys.newest()))
}

/// Which keyring was noted last; refuses an older one than that.
pub(super) fn read_noted(db: &DB, keys: &Keys) -> Result<Option<KeyringStamp>, OpenError> {
    let damaged = || OpenError::Damaged { what: "the row of the keyring does not open".to_owned() };
    let row = db.get(KEYRING_KEY).map_err(|error| OpenError::Database(error.into_string()))?;
    let Some(row) = row else { return Ok(None) };
    let plain = seal::open(keys, SYSTEM_TAG, KEYRING_KEY, &row).map_err(|error| unopened(error, damaged()))?;
    let noted = noted_of(&plain).ok_or_else(damaged)?;
    match keys.stamp() {
        Some(stamp) if stamp.generation < noted.generation => {
            Err(OpenError::KeyringOlder { found: stamp.generation, known: noted.generation })
        }
        Some(_) | None => Ok(Some(noted)),
    }
}

/// Which keyring was noted, as its row says it.
pub(super) fn noted_of(plain: &[u8]) -> Option<KeyringStamp> {
    let mut fields = Fields(plain);
    match (fields.take(), fields.take(), fields.0) {
        (Some(generation), Some(sha256), []) => {
            Some(KeyringStamp { generation: u64::from_be_bytes(generation), sha256 })
        }
        _ => None,
    }
}

impl Store {
    /// The version of the data key under which, or under a newer one, everything of the state stands.
    #[must_use]
    pub fn resealed_to(&self) -> u8 {
        self.resealed.load(Ordering::Acquire)
    }

    /// Whether anything of the state may stand under an older data key than the newest.
    #[must_use]
    pub fn reseal_is_due(&self) -> bool {
        self.resealed_to() != self.keys.newest()
    }

    /// The keyring that was last noted.
    #[must_use]
    pub fn noted_keyring(&self) -> Option<KeyringStamp> {
        *self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes durably which keyring is in force: an older one is refused from then on, and a start finds out by it whether
    /// the keyring was changed meanwhile.
    ///
    /// # Errors
    /// When the store takes no writes.
    pub fn note_keyring(&self, stamp: KeyringStamp) -> Result<(), ResealError> {
        let plain = [&stamp.generation.to_be_bytes()[..], &stamp.sha256].concat();
        let sealed = seal::seal(&self.keys, SYSTEM_TAG, KEYRING_KEY, &plain).map_err(system)?;
        let make = |_: &DB| {
            let mut batch = WriteBatch::default();
            batch.put(KEYRING_KEY, sealed);
            Ok(batch)
        };
        self.check_room()?;
        let noted = || *self.noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(stamp);
        Ok(self.write_own(make, noted)?)
    }

    /// Begins a walk over the state; gives the version that it is to be sealed with. When it returns, no commit is under
    /// way that began to seal with an older one.
    ///
    /// # Errors
    /// When the store takes no writes.
    pub fn reseal_begin(&self) -> Result<u8, ResealError> {
        let version = self.keys.newest();
        drop(self.quiet()?);
        Ok(version)
    }

    /// Seals the next stretch anew where it stands under an older data key; says whether there is more. Commits wait for
    /// the write of one stretch at most.
    ///
    /// # Errors
    /// [`ResealError`]; the walk stays where it was.
    pub fn reseal_stretch(&self, at: &mut ResealPosition) -> Result<bool, ResealError> {
        let Some(table) = Table::ALL.get(at.table).copied() else { return Ok(false) };
        let stretch = self.stale_rows(table, &at.from)?;
        if !stretch.keys.is_empty() {
            self.check_room()?;
            self.write_resealed(|db| self.resealed_rows(db, table, &stretch.keys), || {})?;
        }
        match stretch.next {
            Some(next) => {
                at.from = next;
                at.passed += stretch.looked_at as u64;
            }
            None => *at = ResealPosition { table: at.table + 1, ..ResealPosition::default() },
        }
        Ok(at.table < Table::ALL.len())
    }

    /// About how many rows a walk has not passed yet, as far as RocksDB can tell without reading them.
    #[must_use]
    pub fn reseal_left(&self, at: &ResealPosition) -> u64 {
        let guard = self.database();
        let Some(db) = guard.as_ref() else { return 0 };
        let rows = |table: &Table| {
            let family = rocks::family(db, table.name()).ok()?;
            db.property_int_value_cf(family, "rocksdb.estimate-num-keys").ok()?
        };
        let left = Table::ALL.iter().skip(at.table).filter_map(rows).sum::<u64>();
        left.saturating_sub(at.passed)
    }

    /// Ends a walk that began with `version`, once no snapshot of the state stands under an older one either: the store's own
    /// rows follow, and with them that it has ended.
    ///
    /// # Errors
    /// [`ResealError`]; it has not ended then.
    pub fn reseal_end(&self, version: u8) -> Result<(), ResealError> {
        self.check_room()?;
        let ended = || self.resealed.store(version, Ordering::Release);
        self.write_resealed(|db| self.resealed_own_rows(db, version), ended)
    }

    /// The next rows of a table that stand under an older key.
    fn stale_rows(&self, table: Table, from: &[u8]) -> Result<Stretch, StoreError> {
        let guard = self.database();
        let db = guard.as_ref().ok_or(StoreError::Closed)?;
        let newest = self.keys.newest();
        let mut stretch = Stretch::default();
        scan_sealed(db, table.name(), from, &[], &mut |key, sealed| {
            if stretch.is_full() {
                stretch.next = Some(key.to_vec());
                return Ok(ControlFlow::Break(()));
            }
            stretch.looked_at += 1;
            if version_of(sealed) != Some(newest) {
                stretch.bytes += sealed.len();
                stretch.keys.push(key.to_vec());
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(stretch)
    }

    /// Writes what `make` makes between two commits. A row that does not open is told and ends nothing but the walk.
    fn write_resealed(
        &self,
        make: impl FnOnce(&DB) -> Result<WriteBatch, StoreError>,
        written: impl FnOnce(),
    ) -> Result<(), ResealError> {
        let mut fault = None;
        let made = std::cell::Cell::new(false);
        self.write_own(
            |db| {
                let batch = make(db);
                made.set(batch.is_ok());
                Ok(batch.unwrap_or_else(|error| {
                    fault = Some(error);
                    WriteBatch::default()
                }))
            },
            || {
                if made.get() {
                    written();
                }
            },
        )?;
        fault.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Rows as they are now, sealed with the newest key: since they were looked at they may have been removed, or written by a
    /// commit.
    fn resealed_rows(&self, db: &DB, table: Table, keys: &[Vec<u8>]) -> Result<WriteBatch, StoreError> {
        let family = rocks::family(db, table.name()).map_err(StoreError::Database)?;
        let newest = self.keys.newest();
        let of_table = |source| StoreError::sealed(table, source);
        let mut batch = WriteBatch::default();
        for key in keys {
            let found = db.get_pinned_cf(family, key).map_err(|error| StoreError::Database(error.into_string()))?;
            let Some(sealed) = found.filter(|sealed| version_of(sealed) != Some(newest)) else { continue };
            let plain = Zeroizing::new(seal::open(&self.keys, table.name(), key, &sealed).map_err(of_table)?);
            batch.put_cf(family, key, seal::seal(&self.keys, table.name(), key, &plain).map_err(of_table)?);
        }
        Ok(batch)
    }

    /// The store's own rows, sealed with the key of `version`, that of the key check among them.
    fn resealed_own_rows(&self, db: &DB, version: u8) -> Result<WriteBatch, StoreError> {
        let mut batch = WriteBatch::default();
        for key in [HEAD_KEY, TRIM_KEY, KEYRING_KEY, KEY_CHECK_KEY] {
            let found = db.get(key).map_err(|error| StoreError::Database(error.into_string()))?;
            let Some(sealed) = found else { continue };
            let plain = seal::open(&self.keys, SYSTEM_TAG, key, &sealed).map_err(system)?;
            batch.put(key, seal::seal_under(&self.keys, version, SYSTEM_TAG, key, &plain).map_err(system)?);
        }
        Ok(batch)
    }
}

fn system(source: SealError) -> StoreError {
    StoreError::Sealed { table: SYSTEM_TAG, source }
}

#[cfg(test)]
#[path = "reseal_tests.rs"]
mod tests;
