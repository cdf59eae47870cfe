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
    /// What is sent again carries nothing over; for ten minutes after an end without order, what was taken before that gives what stands
    /// of what it once carried, of which the audit may never have heard.
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
        let entry = |(over, shielded): (CarriedOver, bool)| {
            let CarriedOver { subject, reason, words, look_again } = over;
            let decision = Decision::Withheld { reason, words, look_again };
            // Without the event's id, which stands with the mother and would tell whose baby it is.
            let entry = AuditEntry::of_call(at, call, caller.cloned(), None, decision);
            AuditEntry { subject: Some(subject), shielded, ..entry }
        };
        self.audit_all_standing(carried.into_iter().map(entry).collect()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests::place::{NOW, Place, authority, event, nhs, permit};
    use kith_domain::change::{Baby, PlanAction, PlanEvent};
    use kith_domain::plan::PlanKind;
    use kith_domain::text::PlanReference;
    use kith_domain::withholding::{Withholding, WithholdingLifted};
    use uuid::Uuid;

    fn baby(n: u32) -> Baby {
        Baby {
            subject: Subject::Nhs(nhs(n)),
            kind: PlanKind::ChildProtection,
            reference: PlanReference::parse(&format!("B{n}")).ok(),
            birth_date: None,
        }
    }

    /// A mother whose plan is withheld, and the birth of the second and the third child, which is not taken yet.
    async fn withheld(place: &Place) -> Change {
        let unborn = PlanEvent { kind: PlanKind::Unborn, reference: PlanReference::parse("U").ok(), ..event(1, 1, 1) };
        place.event(1, unborn.clone()).await;
        let decided = Withholding {
            authority: authority(1),
            event_id: Uuid::new_v4(),
            subject: Subject::Nhs(nhs(1)),
            reason: WithholdingReason::HarmToChild,
            words: WithholdingWords::parse("he looks for her").unwrap(),
            look_again: NOW.london_day().plus_days(30),
        };
        place.engine.withhold(&permit(1), NOW, decided).await.unwrap();
        let (event_id, end) = (Uuid::new_v4(), Some(NOW.london_day()));
        let babies = vec![baby(2), baby(3)];
        let action = PlanAction::Born;
        Change::Plan(PlanEvent { action, version: 2, event_id, start: None, end, babies, ..unborn })
    }

    /// Whom a change carried a decision over to, or did before.
    async fn told(place: &Place, change: &Change) -> Vec<CarriedOver> {
        let (verdict, over) = place.engine.change_carrying(&permit(1), NOW, vec![change.clone()]).await.remove(0);
        assert!(verdict.is_ok(), "{verdict:?}");
        over
    }

    /// The log has the birth, the audit lacks what it carried over, and whoever sends it has no acknowledgement and sends it again.
    #[tokio::test]
    async fn what_a_birth_carried_over_is_told_when_it_is_sent_again_after_an_end_without_order() {
        let place = Place::new();
        let birth = withheld(&place).await;
        let first = told(&place, &birth).await;
        let whom: Vec<Subject> = first.iter().map(|over| over.subject.clone()).collect();
        assert_eq!(whom, [Subject::Nhs(nhs(2)), Subject::Nhs(nhs(3))]);
        let place = place.reopened();
        assert_eq!(told(&place, &birth).await, [], "after an end in order the audit has it");
        drop(place.engine.changing());
        let place = place.reopened();
        assert_eq!(told(&place, &birth).await, first, "with the reason, the words and the date");
        let other = Change::Plan(event(1, 4, 1));
        assert_eq!(
            (told(&place, &other).await, told(&place, &other).await),
            (vec![], vec![]),
            "no birth carried it over"
        );
        let (authority, event_id, subject) = (authority(1), Uuid::new_v4(), Subject::Nhs(nhs(2)));
        let lifted = WithholdingLifted { authority, event_id, subject };
        place.engine.lift_withholding(&permit(1), NOW, lifted).await.unwrap();
        assert_eq!(told(&place, &birth).await, first[1..], "what is lifted does not stand");
    }

    #[tokio::test]
    async fn what_a_birth_carries_over_after_an_end_without_order_is_told_when_it_is_taken_and_not_again() {
        let place = Place::new();
        place.event(1, event(1, 9, 1)).await;
        drop(place.engine.changing());
        let place = place.reopened();
        let birth = withheld(&place).await;
        assert_eq!(told(&place, &birth).await.len(), 2);
        assert_eq!(told(&place, &birth).await, [], "this run has told of it");
    }
}
