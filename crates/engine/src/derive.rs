//! Reads cause changes, behind the answer: access history and notifications are derived from synced audit entries and
//! appended to the log in bounded batches. After a crash, what was audited and not yet logged is derived again. It never
//! stands in front of a lookup.

use crate::audit_entry::AuditEntry;
use crate::rows::decode;
use crate::writer::{Command, Progress};
use kith_domain::change::{Accessed, Change};
use kith_domain::time::Moment;
use kith_store::{AuditRef, Journal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Audit entries read at once.
const BATCH: usize = 256;
/// Entries without consequences passed over before the position is written down.
const POSITION_EVERY: u64 = 1000;
/// Pause when there is nothing to derive: well under the second within which history shows.
const PAUSE: Duration = Duration::from_millis(10);
/// Pause after a failure: the log or the journal is in trouble and is tried again.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(500);

/// The deriving thread's own state.
pub(crate) struct Deriver {
    pub(crate) journal: Arc<Journal>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) stop: Arc<AtomicBool>,
}

impl Deriver {
    /// Derives until told to stop; what is left is derived at the next start.
    pub(crate) fn run(self) {
        let mut position = self.progress.derived_through.load(Ordering::Acquire);
        while !self.stop.load(Ordering::Acquire) {
            match self.step(position) {
                Ok(next) if next == position => std::thread::sleep(PAUSE),
                Ok(next) => position = next,
                Err(what) => {
                    tracing::warn!(what, "access history waits");
                    std::thread::sleep(PAUSE_AFTER_FAILURE);
                }
            }
        }
    }

    /// Derives one batch after `position` and gives the new position.
    fn step(&self, position: u64) -> Result<u64, &'static str> {
        let entries = self.journal.read_from(position + 1, BATCH).map_err(|_| "the audit journal cannot be read")?;
        let Some((last, _)) = entries.last() else { return Ok(position) };
        let last = last.sequence;
        let logged = self.progress.derived_through.load(Ordering::Acquire);
        let (at, mut changes) = changes_of(entries)?;
        if changes.is_empty() && last < logged + POSITION_EVERY {
            return Ok(last);
        }
        changes.push(Change::Accessed(Accessed { audit_sequence: last, access: None }));
        self.submit(at, changes)?;
        Ok(last)
    }

    fn submit(&self, at: Moment, changes: Vec<Change>) -> Result<(), &'static str> {
        let (reply, verdicts) = oneshot::channel();
        self.commands.blocking_send(Command { at, changes, reply }).map_err(|_| "the writer has stopped")?;
        let verdicts = verdicts.blocking_recv().map_err(|_| "the writer has stopped")?;
        let unavailable = |refused: &kith_domain::refused::Refused| {
            refused.kind == kith_domain::refused::RefusedKind::Unavailable
        };
        match verdicts.iter().filter_map(|verdict| verdict.as_ref().err()).any(unavailable) {
            true => Err("the log takes no writes"),
            false => Ok(()),
        }
    }
}

/// Changes of entries that count, and the moment of the last entry.
fn changes_of(entries: Vec<(AuditRef, Vec<u8>)>) -> Result<(Moment, Vec<Change>), &'static str> {
    let mut changes = Vec::new();
    let mut at = Moment::default();
    for (reference, bytes) in entries {
        let entry: AuditEntry = decode(&bytes).map_err(|_| "an audit entry cannot be decoded")?;
        at = entry.at;
        if let Some(access) = entry.access() {
            changes.push(Change::Accessed(Accessed { audit_sequence: reference.sequence, access: Some(access) }));
        }
    }
    Ok((at, changes))
}
