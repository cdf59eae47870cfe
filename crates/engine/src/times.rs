//! How long the access history lags behind the questions, counted for metrics. Keeps nothing of a question.

use kith_domain::change::{Accessed, Change};
use kith_domain::time::Moment;
use kith_store::{Counted, Histogram};
use std::time::Duration;

/// How long things took since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Audit entries: from when one had its turn, or had to wait for it, until its answer might leave.
    pub audit_accepted: Counted,
    /// Audit entries: at each sync, the age of the oldest one that it put on disk.
    pub audit_unsynced: Counted,
    /// Questions that make access history: from the question until its history was in the log.
    pub history_lag: Counted,
}

/// When the questions were asked that a batch of changes is derived from: each audit entry once, however much follows from
/// it, for how much does tells what was found.
pub(crate) fn asked_at(changes: &[Change]) -> Vec<Moment> {
    let (mut asked, mut counted) = (Vec::new(), None);
    for change in changes {
        if let Change::Accessed(Accessed { audit_sequence, access: Some(access) }) = change
            && counted != Some(*audit_sequence)
        {
            counted = Some(*audit_sequence);
            asked.push(access.at);
        }
    }
    asked
}

/// Counts questions whose access history is in the log at `now`. A clock set back meanwhile counts as no time.
pub(crate) fn in_the_log(lag: &Histogram, asked: &[Moment], now: Moment) {
    for at in asked {
        lag.observe(Duration::from_millis(u64::try_from(now.0.saturating_sub(at.0)).unwrap_or(0)));
    }
}
