//! Opening a data directory: one list in a fixed order, each step with its own refusal.
//! It never repairs, and never serves a log that is not the one acknowledged.

use std::fs::{File, OpenOptions, TryLockError};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU8};
use std::sync::{Arc, Mutex, RwLock};

use rocksdb::{DB, WriteBatch};

use super::commit::Writer;
use super::{LogWalk, OpenError, Store, StoreError, StoreOptions, reseal, rocks, scan_sealed, snapshot, trim};
use crate::disk::{Disk, create_dir_durably, replace_durably};
use crate::keys::{KeyringStamp, Keys, Unwritten};
use crate::seal::{self, SealError};
use crate::watermark::{Fields, Head, Reading, Watermark};

/// The format of the data directory as a whole.
const FORMAT: u32 = 1;
/// What the format file begins with.
const FORMAT_PREFIX: &str = "kith-store ";
/// Longest format file read, in bytes.
const FORMAT_FILE_BYTES: u64 = 64;

/// Sealed rows of the store itself stand in the default column family under this tag.
pub(super) const SYSTEM_TAG: &str = "sys";
pub(super) const HEAD_KEY: &[u8] = b"head";
pub(super) const KEY_CHECK_KEY: &[u8] = b"key check";
/// The known plaintext by which a wrong key file is told from damage.
const KEY_CHECK: &[u8] = b"these keys open this data directory";

/// Whether anything was ever written to a data directory, sealed or not.
pub(crate) fn is_begun(dir: &Path) -> bool {
    rocks::exists(dir) || Watermark::path(dir).exists() || dir.join("format").exists()
}

/// Opens for reading and writing.
pub(super) fn open(
    dir: &Path,
    keys: Arc<Keys>,
    options: StoreOptions,
    disk: Arc<dyn Disk>,
) -> Result<Store, OpenError> {
    create_dir_durably(dir)?;
    let lock = lock(dir)?;
    // Before anything is sealed.
    keys.keep(Unwritten::Fresh)?;
    keys.settle()?;
    check_format(dir, true)?;
    let path = Watermark::path(dir);
    let reading = Watermark::read(&path)?;
    let acknowledged = reading.map_or(0, |found| found.head.sequence);
    if acknowledged > 0 && !rocks::exists(dir) {
        return Err(OpenError::DataLossSuspected { recovered: 0, watermark: acknowledged });
    }
    let db = rocks::open(dir, &options).map_err(|error| OpenError::Database(error.into_string()))?;
    let (head, noted) = begin(&db, &keys, acknowledged)?;
    let resealed = AtomicU8::new(reseal::checked_version(&db, &keys)?);
    let trimmed = trim::read_point(&db, &keys)?;
    let watermark = match reading {
        None if head.sequence > 0 => {
            return Err(OpenError::Damaged { what: "the watermark file is missing".to_owned() });
        }
        None => Watermark::create(&*disk, &path, head)?,
        Some(reading) => {
            check_recovered(&db, head, reading)?;
            let mut watermark = Watermark::open(&*disk, &path, reading)?;
            if head != reading.head || !reading.both_whole {
                watermark.advance(head)?;
            }
            watermark
        }
    };
    // Only now that nothing is missing: where something is, a snapshot may be all that is left of it.
    snapshot::remove_others(dir, trimmed.head.sequence)?;
    Ok(Store {
        dir: dir.to_owned(),
        keys,
        options,
        disk,
        db: RwLock::new(Some(db)),
        head: RwLock::new(head),
        trimmed: RwLock::new(trimmed),
        resealed,
        noted: Mutex::new(noted),
        interrupt: AtomicBool::new(false),
        writer: Mutex::new(Writer::new(Some(watermark))),
        _lock: Some(lock),
    })
}

/// The head, and the keyring that was noted last. Writes the rows of an empty store, and the keyring of one from before there
/// were any once the keys are known to open it.
fn begin(db: &DB, keys: &Keys, acknowledged: u64) -> Result<(Head, Option<KeyringStamp>), OpenError> {
    let head = match read_head(db, keys)? {
        Some(head) => head,
        None if acknowledged > 0 => {
            return Err(OpenError::DataLossSuspected { recovered: 0, watermark: acknowledged });
        }
        None => {
            keys.keep(Unwritten::Adopted)?;
            initialise(db, keys)?
        }
    };
    let noted = reseal::read_noted(db, keys)?;
    // Only now that the keys are known to open it.
    keys.keep(Unwritten::Adopted)?;
    Ok((head, noted))
}

/// Opens without ever writing.
pub(super) fn open_read_only(
    dir: &Path,
    keys: Arc<Keys>,
    options: StoreOptions,
    disk: Arc<dyn Disk>,
) -> Result<Store, OpenError> {
    check_format(dir, false)?;
    let database = |error: rocksdb::Error| OpenError::Database(error.into_string());
    if let Some(table) = rocks::lacking(dir).map_err(database)? {
        return Err(OpenError::OlderTables { table });
    }
    let db = rocks::open_read_only(dir, &options).map_err(database)?;
    let head = read_head(&db, &keys)?.unwrap_or(Head::EMPTY);
    let trimmed = trim::read_point(&db, &keys)?;
    let noted = reseal::read_noted(&db, &keys)?;
    let resealed = AtomicU8::new(reseal::checked_version(&db, &keys)?);
    Ok(Store {
        dir: dir.to_owned(),
        keys,
        options,
        disk,
        db: RwLock::new(Some(db)),
        head: RwLock::new(head),
        trimmed: RwLock::new(trimmed),
        resealed,
        noted: Mutex::new(noted),
        interrupt: AtomicBool::new(false),
        writer: Mutex::new(Writer::new(None)),
        _lock: None,
    })
}

/// One store per data directory, over all processes.
fn lock(dir: &Path) -> Result<File, OpenError> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(dir.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Reads the format file, or makes it in a new data directory. Standing outside RocksDB, it is read before
/// anything that a newer version may have laid out otherwise.
fn check_format(dir: &Path, may_create: bool) -> Result<(), OpenError> {
    let path = dir.join("format");
    let damaged = |what: &str| OpenError::Damaged { what: what.to_owned() };
    if !path.exists() {
        if !may_create || rocks::exists(dir) || Watermark::path(dir).exists() {
            return Err(damaged("the format file is missing"));
        }
        return Ok(replace_durably(&path, format!("{FORMAT_PREFIX}{FORMAT}\n").as_bytes())?);
    }
    let mut text = String::new();
    let file = File::open(&path)?;
    std::io::Read::read_to_string(&mut std::io::Read::take(file, FORMAT_FILE_BYTES), &mut text)
        .map_err(|_| damaged("the format file is not text"))?;
    let number = text.trim_end().strip_prefix(FORMAT_PREFIX).and_then(|digits| digits.parse::<u32>().ok());
    match number {
        Some(found) if found > FORMAT => Err(OpenError::NewerFormat { found, supported: FORMAT }),
        Some(FORMAT) => Ok(()),
        Some(_) | None => Err(damaged("the format file names no known format")),
    }
}

/// The head that the database holds; `None` when it holds nothing of ours yet.
pub(super) fn read_head(db: &DB, keys: &Keys) -> Result<Option<Head>, OpenError> {
    let row = |key| db.get(key).map_err(|error| OpenError::Database(error.into_string()));
    let damaged = |what: &str| OpenError::Damaged { what: what.to_owned() };
    let (check, head) = (row(KEY_CHECK_KEY)?, row(HEAD_KEY)?);
    let (check, head) = match (check, head) {
        (None, None) => return Ok(None),
        (Some(check), Some(head)) => (check, head),
        (Some(_), None) => return Err(damaged("the head row is missing")),
        (None, Some(_)) => return Err(damaged("the key check row is missing")),
    };
    match seal::open(keys, SYSTEM_TAG, KEY_CHECK_KEY, &check) {
        Ok(known) if known == KEY_CHECK => {}
        Ok(_) | Err(_) if keys.is_unwritten() => return Err(OpenError::KeyringMissing),
        Ok(_) => return Err(OpenError::KeyMismatch),
        Err(error) => return Err(unopened(error, OpenError::KeyMismatch)),
    }
    let plain = seal::open(keys, SYSTEM_TAG, HEAD_KEY, &head)
        .map_err(|error| unopened(error, damaged("the head row does not open")))?;
    head_of(&plain).map(Some).ok_or_else(|| damaged("the head row has another length"))
}

/// The head as its row says it.
pub(super) fn head_of(plain: &[u8]) -> Option<Head> {
    let mut fields = Fields(plain);
    match (fields.take(), fields.take(), fields.0) {
        (Some(sequence), Some(chain), []) => Some(Head { sequence: u64::from_be_bytes(sequence), chain }),
        _ => None,
    }
}

/// What it means that a row of the store itself does not open; `otherwise` unless its key is not held.
pub(super) fn unopened(error: SealError, otherwise: OpenError) -> OpenError {
    match error {
        SealError::UnknownKeyVersion { found } => OpenError::KeyMissing { version: found },
        SealError::TooShort { .. } | SealError::NewerSchema { .. } | SealError::Forged | SealError::TooLong { .. } => {
            otherwise
        }
    }
}

/// The head row's key and sealed value.
pub(super) fn head_row(keys: &Keys, head: Head) -> Result<(&'static [u8], Vec<u8>), SealError> {
    let mut plain = Vec::with_capacity(40);
    plain.extend_from_slice(&head.sequence.to_be_bytes());
    plain.extend_from_slice(&head.chain);
    Ok((HEAD_KEY, seal::seal(keys, SYSTEM_TAG, HEAD_KEY, &plain)?))
}

/// Writes the rows of an empty store.
fn initialise(db: &DB, keys: &Keys) -> Result<Head, OpenError> {
    let sealed = |error: SealError| OpenError::Database(error.to_string());
    let (key, value) = head_row(keys, Head::EMPTY).map_err(sealed)?;
    let mut batch = WriteBatch::default();
    batch.put(key, value);
    batch.put(KEY_CHECK_KEY, seal::seal(keys, SYSTEM_TAG, KEY_CHECK_KEY, KEY_CHECK).map_err(sealed)?);
    db.write_opt(batch, &rocks::synced()).map_err(|error| OpenError::Database(error.into_string()))?;
    Ok(Head::EMPTY)
}

/// Holds what was recovered against what was acknowledged: not shorter, and a continuation of it.
fn check_recovered(db: &DB, head: Head, reading: Reading) -> Result<(), OpenError> {
    let acknowledged = reading.head;
    let suspected = OpenError::DataLossSuspected { recovered: head.sequence, watermark: acknowledged.sequence };
    if head.sequence < acknowledged.sequence {
        return Err(suspected);
    }
    let mut walk = LogWalk::new(acknowledged.sequence.saturating_add(1), acknowledged.chain);
    let result = scan_sealed(db, rocks::LOG, &walk.next.to_be_bytes(), &[], &mut |key, sealed| {
        walk.step(key, sealed).map(|_| ControlFlow::Continue(()))
    });
    match result {
        Ok(()) if walk.next == head.sequence + 1 && walk.chain == head.chain => Ok(()),
        Ok(()) | Err(StoreError::Log { .. }) => Err(suspected),
        Err(other) => Err(OpenError::Damaged { what: other.to_string() }),
    }
}
