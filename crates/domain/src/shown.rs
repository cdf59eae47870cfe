//! Whether a record shows what an event said. An event of which a later version overtook a part is not shown, whatever
//! else of it was taken: its sender is told so.

use crate::change::{PlanAction, PlanEvent, PresentationAction, PresentationEvent};
use crate::plan::Plan;
use crate::presentation::{Closing, Details, Outcome, Presentation};

/// Whether `plan` shows what the event said.
pub(crate) fn plan(plan: &Plan, event: &PlanEvent) -> bool {
    let shielded = plan.shields();
    let shield = (!event.shielded || shielded) && (!event.unshield || !shielded);
    let born = event.birth_date.is_none() || plan.birth_date.get() == event.birth_date.as_ref();
    let kind = plan.kind.get() == Some(&event.kind);
    kind && shield && born && happened(plan, event)
}

/// Whether `plan` shows what happened.
fn happened(plan: &Plan, event: &PlanEvent) -> bool {
    let end = plan.end.get() == event.end.as_ref();
    let details = || {
        let dates = end && plan.start.get() == event.start.as_ref();
        dates && !plan.is_withdrawn() && plan.family.get() == event.family.as_ref()
    };
    match event.action {
        PlanAction::Change => details(),
        PlanAction::Start => details() && plan.moving_to.get().is_none(),
        PlanAction::TransferIn(from) => {
            details() && plan.moving_to.get().is_none() && plan.moved_from.get() == Some(&from)
        }
        PlanAction::End | PlanAction::Born => end,
        PlanAction::Withdraw => plan.is_withdrawn(),
        PlanAction::TransferOut(to) => plan.moving_to.get() == Some(&to) && (event.end.is_none() || end),
    }
}

/// Whether `presentation` shows what the event said. One that was entered in error by a later version shows nothing of it, and must
/// not read as one that was recorded.
pub(crate) fn presentation(presentation: &Presentation, event: &PresentationEvent) -> bool {
    let details = |told: &Details| presentation.details.get() == Some(told);
    let closing = |told: &Closing| presentation.closing.get() == Some(told);
    let stands = presentation.outcome() != Outcome::EnteredInError;
    match &event.action {
        PresentationAction::Record(told) | PresentationAction::Amend(told) | PresentationAction::Import(told, None) => {
            details(told) && stands
        }
        PresentationAction::Close(told) => closing(told),
        PresentationAction::Import(told, Some(end)) => details(told) && closing(end),
    }
}
