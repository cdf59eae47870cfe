//! Decisions to withhold that nobody sent: at a birth what an authority withholds of the mother is carried over to each baby. It stands
//! like any other decision, with its reason, its words and its date, so the audit is told of it as of any other, about each baby,
//! beside what was sent. Whoever sent the birth tells it, in the same piece of work.

use crate::audit_entry::{AuditEntry, Call, Decision};
use crate::engine::Engine;
use crate::withholdings::WithholdingRow;
use crate::writer::{CarriedBy, Verdict};
use kith_domain::caller::Caller;
use kith_domain::change::Change;
use kith_domain::child::Subject;
use kith_domain::permit::ActionPermit;
use kith_domain::text::WithholdingWords;
use kith_domain::time::{Day, Moment};
use kith_domain::withholding::WithholdingReason;
use kith_store::AuditError;

/// A decision to withhold that a change carried over to somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarriedOver {
    /// Whom it is about now.
    pub subject: Subject,
    /// Why, as it was decided.
    pub reason: WithholdingReason,
    /// Why, in the words of who decided it.
    pub words: WithholdingWords,
    /// The day on which somebody has to look again.
    pub look_again: Day,
}

impl CarriedOver {
    /// What a row says that was carried over.
    pub(crate) fn of(row: WithholdingRow) -> Self {
        let WithholdingRow { authority: _, subject, decided_at: _, reason, words, look_again, carried_over: _ } = row;
        Self { subject, reason, words, look_again }
    }
}

/// Each verdict with what its change carried over.
pub(crate) fn each_with(verdicts: Vec<Verdict>, carried: Vec<CarriedBy>) -> Vec<(Verdict, Vec<CarriedOver>)> {
    let mut all: Vec<(Verdict, Vec<CarriedOver>)> = verdicts.into_iter().map(|verdict| (verdict, Vec::new())).collect();
    for (nth, over) in carried {
        if let Some((_, of_change)) = all.get_mut(nth) {
            of_change.push(over);
        }
    }
    all
}

impl Engine {
    /// As [`Engine::change`], and gives with each verdict what the change carried over, which whoever sends it is to tell the audit.
    /// What is sent again carries nothing over.
    pub async fn change_carrying(
        &self,
        permit: &ActionPermit,
        at: Moment,
        changes: Vec<Change>,
    ) -> Vec<(Verdict, Vec<CarriedOver>)> {
        let mut submitted = self.hand_over(permit, at, changes).await;
        let verdicts = (&mut submitted).await;
        submitted.with_carried(verdicts)
    }

    /// Puts what was carried over into the audit, an entry for each, and of each whether it is to have no place: somebody whom the
    /// change is about is or was shielded, or it says so. What the audit does not take is told later, as of any change.
    ///
    /// # Errors
    /// [`AuditError`] when no sink takes one in time: the change that carried it over stands and is not to be acknowledged.
    pub async fn audit_carried(
        &self,
        at: Moment,
        call: Call,
        caller: Option<&Caller>,
        carried: Vec<(CarriedOver, bool)>,
    ) -> Result<(), AuditError> {
        let mut taken = Ok(());
        for (CarriedOver { subject, reason, words, look_again }, shielded) in carried {
            let decision = Decision::Withheld { reason, words, look_again };
            // Without the event's id, which stands with the mother and would tell whose baby it is.
            let entry = AuditEntry::of_call(at, call, caller.cloned(), None, decision);
            let entry = AuditEntry { subject: Some(subject), shielded, ..entry };
            taken = self.audit_change(entry).await.and(taken);
        }
        taken
    }
}
