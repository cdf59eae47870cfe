//! Committing: seal, one synced write, then the watermark, then the new head is shown.
//! It never retries a write after a failed sync, and never acknowledges what it is not sure of.

use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

use rocksdb::{DB, WriteBatch};

use super::rocks::WriteFailure;
use super::{Batch, CommitError, LOG_TAG, RefusedCause, Store, link, open, rocks, trim};
use crate::seal::{SealError, seal};
use crate::watermark::{Head, Watermark};

/// The one writer's state.
pub(super) struct Writer {
    /// `None` in a store opened read-only.
    watermark: Option<Watermark>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ready,
    /// A write was refused by the disk: RocksDB is opened anew before the next one.
    Reopen,
    /// It is not known what is on disk: nothing is ever written again.
    Dead,
    /// Closed in order, and never opened again.
    Closed,
}

impl Writer {
    pub(super) fn new(watermark: Option<Watermark>) -> Self {
        Self { watermark, state: State::Ready }
    }

    /// From now on the database is not opened anew, whatever was left to be done.
    pub(super) fn close(&mut self) {
        self.state = State::Closed;
    }

    /// After an attempt to open the database anew: one that was refused is made again before the next write.
    fn reopened(&mut self, outcome: &Result<(), CommitError>) {
        self.state = match outcome {
            Ok(()) => State::Ready,
            Err(CommitError::Fatal { .. }) => State::Dead,
            Err(CommitError::Refused { .. } | CommitError::Invalid(_)) => State::Reopen,
        };
    }
}

impl Store {
    /// Writes the batch, all or nothing: one synced write of log records, rows and head, then the watermark.
    /// When it returns the batch is on disk, and [`Store::head`] shows it.
    ///
    /// # Errors
    /// [`CommitError::Refused`]: nothing was written, the caller refuses its change and may try again later.
    /// [`CommitError::Invalid`]: the batch is out of bounds. [`CommitError::Fatal`]: the process must end.
    pub fn commit(&self, batch: Batch) -> Result<Head, CommitError> {
        batch.check()?;
        let mut writer = self.writer.lock().map_err(|_| CommitError::fatal("an earlier commit panicked"))?;
        let Writer { watermark, state } = &mut *writer;
        if *state == State::Dead {
            return Err(CommitError::fatal("an earlier write or sync failed"));
        }
        if *state == State::Closed {
            return Err(CommitError::refused(RefusedCause::Unusable("it is closed".to_owned())));
        }
        let Some(watermark) = watermark else {
            return Err(CommitError::refused(RefusedCause::OpenedReadOnly));
        };
        let head = self.head();
        if batch.is_empty() {
            return Ok(head);
        }
        self.check_room()?;
        let written = self.write(batch, head, state);
        let next = written.inspect_err(|error| {
            if matches!(error, CommitError::Fatal { .. }) {
                *state = State::Dead;
            }
        })?;
        if next != head
            && let Err(error) = watermark.advance(next)
        {
            *state = State::Dead;
            return Err(CommitError::fatal(format!("write of the watermark failed: {error}")));
        }
        *self.head.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(next)
    }

    /// Opens the database where a refused write has left it closed, because the disk took no new files either. Whoever makes a batch
    /// reads first, and would without this never come to [`Store::commit`] again, which opens it too.
    ///
    /// # Errors
    /// [`CommitError::Refused`]: the disk still takes no writes. [`CommitError::Fatal`]: the process must end.
    pub fn revive(&self) -> Result<(), CommitError> {
        if self.database().is_some() {
            return Ok(());
        }
        let mut writer = self.writer.lock().map_err(|_| CommitError::fatal("an earlier commit panicked"))?;
        if writer.state != State::Reopen {
            // Closed for good: whoever reads or writes hears it.
            return Ok(());
        }
        self.check_room()?;
        let outcome = self.reopen(self.head());
        writer.reopened(&outcome);
        outcome
    }

    /// Refuses while the disk is read-only or has less room than the reserve.
    pub(super) fn check_room(&self) -> Result<(), CommitError> {
        let space = self
            .disk
            .space(&self.dir)
            .map_err(|error| CommitError::refused(RefusedCause::Unusable(error.to_string())))?;
        if space.read_only {
            return Err(CommitError::refused(RefusedCause::ReadOnly));
        }
        if space.available_bytes < self.options.reserve_bytes {
            let cause = RefusedCause::DiskFull { available_bytes: space.available_bytes };
            return Err(CommitError::refused(cause));
        }
        Ok(())
    }

    fn write(&self, batch: Batch, head: Head, state: &mut State) -> Result<Head, CommitError> {
        if *state == State::Reopen {
            self.reopen(head)?;
            *state = State::Ready;
        }
        let guard = self.database();
        let db = guard.as_ref().ok_or_else(|| CommitError::fatal("database is closed"))?;
        let (sealed, next) = self.seal_batch(db, batch, head)?;
        self.write_synced(db, sealed, state)?;
        Ok(next)
    }

    fn write_synced(&self, db: &DB, sealed: WriteBatch, state: &mut State) -> Result<(), CommitError> {
        db.write_opt(sealed, &rocks::synced()).map_err(|error| {
            let failure = self.failure(&error.into_string());
            if matches!(failure, CommitError::Refused { .. }) {
                *state = State::Reopen;
            }
            failure
        })
    }

    /// Holds off commits, while it is held, in a store that takes them: what is read is the state at the head.
    pub(super) fn quiet(&self) -> Result<MutexGuard<'_, Writer>, CommitError> {
        let writer = self.writer.lock().map_err(|_| CommitError::fatal("an earlier commit panicked"))?;
        match (&writer.watermark, writer.state) {
            (None, _) => Err(CommitError::refused(RefusedCause::OpenedReadOnly)),
            (Some(_), State::Ready) => Ok(writer),
            (Some(_), State::Reopen | State::Dead | State::Closed) => {
                let what = "an earlier write was refused or failed, or it is closed".to_owned();
                Err(CommitError::refused(RefusedCause::Unusable(what)))
            }
        }
    }

    /// Writes a batch of the store's own, synced, between two commits; it moves no head.
    pub(super) fn write_own(
        &self,
        make: impl FnOnce(&DB) -> Result<WriteBatch, String>,
        written: impl FnOnce(),
    ) -> Result<(), CommitError> {
        let mut writer = self.quiet()?;
        let guard = self.database();
        let db = guard.as_ref().ok_or_else(|| CommitError::refused(RefusedCause::Unusable("closed".to_owned())))?;
        let batch = make(db).map_err(CommitError::fatal)?;
        let state = &mut writer.state;
        self.write_synced(db, batch, state).inspect_err(|error| {
            if matches!(error, CommitError::Fatal { .. }) {
                *state = State::Dead;
            }
        })?;
        written();
        Ok(())
    }

    /// Opens RocksDB anew between two commits, so that neither an old write-ahead log nor an old list of files stays.
    pub(super) fn roll(&self) -> Result<(), CommitError> {
        let mut writer = self.quiet()?;
        if self.interrupt.load(Ordering::Acquire) {
            return Ok(());
        }
        // Should it fail, the next commit tries again before it writes.
        writer.state = State::Reopen;
        let outcome = self.reopen(self.head());
        writer.reopened(&outcome);
        outcome
    }

    fn seal_batch(&self, db: &DB, batch: Batch, head: Head) -> Result<(WriteBatch, Head), CommitError> {
        let cannot_seal = |error: SealError| CommitError::fatal(error.to_string());
        let mut sealed_batch = WriteBatch::default();
        let log = rocks::family(db, rocks::LOG).map_err(CommitError::fatal)?;
        let mut next = head;
        for record in &batch.log {
            next.sequence += 1;
            let key = next.sequence.to_be_bytes();
            let sealed = seal(&self.keys, LOG_TAG, &key, record).map_err(cannot_seal)?;
            next.chain = link(&next.chain, next.sequence, &sealed);
            sealed_batch.put_cf(log, key, sealed);
        }
        for row in &batch.rows {
            let name = row.table.name();
            let family = rocks::family(db, name).map_err(CommitError::fatal)?;
            match &row.value {
                Some(value) => {
                    let sealed = seal(&self.keys, name, &row.key, value).map_err(cannot_seal)?;
                    sealed_batch.put_cf(family, &row.key, sealed);
                }
                None => sealed_batch.delete_cf(family, &row.key),
            }
        }
        if next != head {
            let (key, value) = open::head_row(&self.keys, next).map_err(cannot_seal)?;
            sealed_batch.put(key, value);
        }
        Ok((sealed_batch, next))
    }

    /// What a failed write or start of RocksDB means for the caller.
    fn failure(&self, message: &str) -> CommitError {
        match rocks::classify(message, &self.dir) {
            WriteFailure::NoRoom => {
                let available_bytes = self.disk.space(&self.dir).map_or(0, |space| space.available_bytes);
                CommitError::refused(RefusedCause::DiskFull { available_bytes })
            }
            WriteFailure::ReadOnly => CommitError::refused(RefusedCause::ReadOnly),
            WriteFailure::Unknown => CommitError::fatal(format!("write of the change log failed: {message}")),
        }
    }

    /// After a refused write RocksDB refuses all others until it is opened anew. What it then recovers must be
    /// exactly what was acknowledged: the refused batch must not have come through.
    fn reopen(&self, expected: Head) -> Result<(), CommitError> {
        self.interrupt_trim();
        let mut guard = self.db.write().unwrap_or_else(PoisonError::into_inner);
        drop(guard.take());
        let db = rocks::open(&self.dir, &self.options).map_err(|error| self.failure(&error.into_string()))?;
        let found = open::read_head(&db, &self.keys).map_err(|error| CommitError::fatal(error.to_string()))?;
        if found != Some(expected) {
            return Err(CommitError::fatal("log differs after a refused write"));
        }
        // A refused trim may have come through or not; either is whole.
        let trimmed = trim::read_point(&db, &self.keys).map_err(|error| CommitError::fatal(error.to_string()))?;
        *self.trimmed.write().unwrap_or_else(PoisonError::into_inner) = trimmed;
        *guard = Some(db);
        self.interrupt.store(false, Ordering::Release);
        Ok(())
    }
}
