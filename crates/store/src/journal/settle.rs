//! Whether an answer may leave: the rule of ages, decided with the journal's own clock.
//! It never lets an answer go whose entry was given up.

use std::time::Duration;

use super::state::State;
use super::types::{AuditError, AuditMode, AuditRef, GapCause, JOURNAL_ID};
use super::{Journal, Shared};

/// What to do with an answer now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It may leave.
    Go,
    /// Ask again when something has changed.
    Wait,
    /// It must not leave.
    Fail(AuditError),
}

impl State {
    pub(crate) fn verdict(&self, reference: AuditRef, now: Duration) -> Verdict {
        let sequence = reference.sequence;
        if reference.journal != JOURNAL_ID || sequence == 0 || sequence >= self.next_sequence {
            return Verdict::Fail(AuditError::Unknown);
        }
        if let Some(given) = self.given_up.iter().rev().find(|given| given.range.holds(sequence)) {
            return Verdict::Fail(match given.cause {
                GapCause::SyncFailed => AuditError::SyncFailed,
                GapCause::ProcessEnded | GapCause::MachineRestarted | GapCause::EntriesMissing | GapCause::SyncHung => {
                    AuditError::TooLate
                }
            });
        }
        let Some(own) = self.unsynced.iter().find(|range| range.holds(sequence)) else { return Verdict::Go };
        let oldest = match self.options.mode {
            AuditMode::Bounded => self.oldest().map_or(own.since, |oldest| oldest.2),
            AuditMode::Strict => own.since,
        };
        let age = now.saturating_sub(oldest);
        if age >= self.options.fail_after {
            Verdict::Fail(AuditError::TooLate)
        } else if self.options.mode == AuditMode::Bounded && age < self.options.wait_after {
            Verdict::Go
        } else if self.stopped {
            Verdict::Fail(AuditError::Closed)
        } else {
            Verdict::Wait
        }
    }
}

impl Shared {
    fn verdict(&self, reference: AuditRef) -> Verdict {
        let now = self.clock.now();
        self.lock().verdict(reference, now)
    }

    pub(crate) async fn settled(&self, reference: AuditRef) -> Result<(), AuditError> {
        match self.verdict(reference) {
            Verdict::Go => return Ok(()),
            Verdict::Fail(error) => return Err(error),
            Verdict::Wait => {}
        }
        let mut progress = self.progress.subscribe();
        loop {
            match self.verdict(reference) {
                Verdict::Go => return Ok(()),
                Verdict::Fail(error) => return Err(error),
                Verdict::Wait => progress.changed().await.map_err(|_| AuditError::Closed)?,
            }
        }
    }
}

impl Journal {
    /// Waits until the answer that `reference` belongs to may leave. Bounded: at once while the oldest unsynced
    /// entry is younger than `wait_after`, else when the entry is synced. Strict: when the entry is synced.
    ///
    /// # Errors
    /// [`AuditError::TooLate`] when the age reaches `fail_after`, [`AuditError::SyncFailed`] when the sync that
    /// should have covered the entry failed. In both cases the answer must not leave.
    pub async fn settled(&self, reference: AuditRef) -> Result<(), AuditError> {
        self.shared.settled(reference).await
    }
}
