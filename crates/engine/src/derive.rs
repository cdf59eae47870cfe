//! Reads cause changes, behind the answer: access history and notifications are derived from synced audit entries and
//! appended to the log in bounded batches. After a crash, what was audited and not yet logged is derived again. It never
//! stands in front of a lookup.

use crate::audit_entry::{AuditEntry, Decision};
use crate::open::WallClock;
use crate::rows::{decode, encode};
use crate::writer::{Command, Progress};
use kith_domain::change::{Accessed, AuditGap, Change};
use kith_domain::refused::RefusedKind;
use kith_domain::time::Moment;
use kith_store::{AuditRef, Journal, JournalError};
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
    /// The time of day, for gaps found while running.
    pub(crate) wall_clock: WallClock,
}

impl Deriver {
    /// Derives until told to stop; what is left is derived at the next start.
    pub(crate) fn run(self) {
        let mut position = self.progress.derived_through.load(Ordering::Acquire);
        let mut limit = BATCH;
        while !self.stop.load(Ordering::Acquire) {
            self.note_gaps();
            match self.step(position, limit) {
                Ok(next) if next == position => std::thread::sleep(PAUSE),
                Ok(next) => (position, limit) = (next, BATCH),
                Err(Trouble::TooMany) if limit > 1 => limit /= 2,
                Err(what) => {
                    tracing::warn!(%what, "access history waits");
                    std::thread::sleep(PAUSE_AFTER_FAILURE);
                }
            }
        }
    }

    /// Derives one batch after `position` and gives the new position.
    fn step(&self, position: u64, limit: usize) -> Result<u64, Trouble> {
        let entries = match self.journal.read_from(position + 1, limit) {
            Ok(entries) => entries,
            Err(JournalError::Damaged { next_sequence, .. }) => {
                tracing::error!(position, next_sequence, "the audit is damaged: history goes on after it");
                return Ok(next_sequence.saturating_sub(1).max(position));
            }
            Err(error) => {
                tracing::error!(%error, "the audit journal cannot be read");
                return Err(Trouble::Unreadable);
            }
        };
        let Some((last, _)) = entries.last() else { return Ok(position) };
        let last = last.sequence;
        let logged = self.progress.derived_through.load(Ordering::Acquire);
        let (at, mut changes) = changes_of(entries);
        if changes.is_empty() && last < logged + POSITION_EVERY {
            return Ok(last);
        }
        changes.push(Change::Accessed(Accessed { audit_sequence: last, access: None }));
        self.submit(at, changes)?;
        Ok(last)
    }

    /// Entries given up while running are a gap: written into the audit, and from there derived into the log, so that
    /// every authority hears of it even when the log takes no writes now.
    fn note_gaps(&self) {
        for gap in self.journal.take_gaps() {
            let after = gap.after_sequence;
            tracing::error!(after, "a sync of the audit failed: entries after this may be missing");
            let entry = AuditEntry::of_service((self.wall_clock)(), Decision::Gap(after));
            if !encode(&entry).is_ok_and(|bytes| self.journal.append(&bytes).is_ok()) {
                tracing::error!(after, "the gap could not be written into the audit");
            }
        }
    }

    /// Gives changes to the writer; the worst refusal is the outcome.
    fn submit(&self, at: Moment, changes: Vec<Change>) -> Result<(), Trouble> {
        let (reply, verdicts) = oneshot::channel();
        self.commands.blocking_send(Command { at, changes, reply }).map_err(|_| Trouble::Stopped)?;
        let verdicts = verdicts.blocking_recv().map_err(|_| Trouble::Stopped)?;
        match verdicts.iter().find_map(|verdict| verdict.as_ref().err()) {
            None => Ok(()),
            Some(refused) if refused.kind == RefusedKind::TooMany => Err(Trouble::TooMany),
            Some(_) => Err(Trouble::Refused),
        }
    }
}

/// Why a batch was not derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Trouble {
    #[error("the audit journal cannot be read")]
    Unreadable,
    #[error("the writer has stopped")]
    Stopped,
    #[error("the log takes no writes")]
    Refused,
    #[error("the batch is too large")]
    TooMany,
}

/// Changes of entries that count, and the moment of the last entry. An entry that cannot be decoded is passed over, so that
/// one of them does not stop the history of everyone; `verify` names it.
fn changes_of(entries: Vec<(AuditRef, Vec<u8>)>) -> (Moment, Vec<Change>) {
    let mut changes = Vec::new();
    let mut at = Moment::default();
    for (reference, bytes) in entries {
        let sequence = reference.sequence;
        let entry = match decode::<AuditEntry>(&bytes) {
            Ok(entry) => entry,
            Err(error) => {
                tracing::error!(sequence, %error, "an audit entry cannot be decoded: its consequences are left out");
                continue;
            }
        };
        at = entry.at;
        if let Decision::Gap(after) = entry.decision {
            changes.push(Change::AuditGap(AuditGap { after_audit_sequence: after }));
        } else {
            let accessed = |access| Change::Accessed(Accessed { audit_sequence: sequence, access: Some(access) });
            changes.extend(entry.accesses().into_iter().map(accessed));
        }
    }
    (at, changes)
}
