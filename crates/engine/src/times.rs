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

#[cfg(test)]
mod tests {
    use super::*;
    use kith_domain::NhsNumber;
    use kith_domain::change::AccessFacts;
    use kith_domain::child::Subject;
    use kith_domain::codes::OdsCode;
    use kith_domain::text::PersonText;

    fn accessed(audit_sequence: u64, at: i64) -> Change {
        let subject = Subject::Nhs(NhsNumber::from_first_nine(999_000_001).unwrap());
        let access = AccessFacts {
            subject,
            organisation: OdsCode::parse("RZ1").unwrap(),
            request_id: uuid::Uuid::from_u128(1),
            at: Moment(at),
            user_name: PersonText::parse("A Nurse").unwrap(),
            user_role: PersonText::parse("Nurse").unwrap(),
            responsible: Vec::new(),
        };
        Change::Accessed(Accessed { audit_sequence, access: Some(access) })
    }

    #[test]
    fn a_question_counts_once_however_many_rows_of_history_it_makes() {
        let position = Change::Accessed(Accessed { audit_sequence: 9, access: None });
        // The second question was a baby's, with a mother of whom something was told.
        let changes = [accessed(7, 1_000), accessed(8, 3_000), accessed(8, 3_000), accessed(9, 4_000), position];
        let asked = asked_at(&changes);
        assert_eq!(asked, [Moment(1_000), Moment(3_000), Moment(4_000)]);
        let lag = Histogram::default();
        // The clock was set back by half a second after the last question.
        in_the_log(&lag, &asked, Moment(3_500));
        assert_eq!((lag.read().count(), lag.read().sum_ns), (3, 3_000_000_000));
    }
}
