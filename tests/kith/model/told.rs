//! What one event tells of each fact of a plan or a presentation; it knows nothing of other events.

use kith_domain::change::{PlanAction, PlanEvent, PresentationAction, PresentationEvent};
use kith_domain::codes::LaCode;
use kith_domain::presentation::{Closing, Details};
use kith_domain::time::Day;

/// What a plan event tells: end, whether it is withdrawn, where it moves.
pub fn end_told(event: &PlanEvent) -> Option<Option<Day>> {
    match event.action {
        PlanAction::Start | PlanAction::Change | PlanAction::TransferIn(_) | PlanAction::End | PlanAction::Born => {
            Some(event.end)
        }
        PlanAction::TransferOut(_) => event.end.map(Some),
        PlanAction::Withdraw => None,
    }
}

pub fn start_told(event: &PlanEvent) -> Option<Option<Day>> {
    let tells = matches!(event.action, PlanAction::Start | PlanAction::Change | PlanAction::TransferIn(_));
    tells.then_some(event.start)
}

pub fn withdrawal_told(event: &PlanEvent) -> Option<bool> {
    match event.action {
        PlanAction::Withdraw => Some(true),
        PlanAction::Start | PlanAction::Change | PlanAction::TransferIn(_) => Some(false),
        PlanAction::End | PlanAction::Born | PlanAction::TransferOut(_) => None,
    }
}

pub fn move_told(event: &PlanEvent) -> Option<Option<LaCode>> {
    match event.action {
        PlanAction::TransferOut(to) => Some(Some(to)),
        PlanAction::Start | PlanAction::TransferIn(_) => Some(None),
        PlanAction::Change | PlanAction::End | PlanAction::Born | PlanAction::Withdraw => None,
    }
}

pub fn origin_told(event: &PlanEvent) -> Option<LaCode> {
    match event.action {
        PlanAction::TransferIn(from) => Some(from),
        PlanAction::Start
        | PlanAction::Change
        | PlanAction::End
        | PlanAction::Born
        | PlanAction::Withdraw
        | PlanAction::TransferOut(_) => None,
    }
}

pub fn details_told(event: &PresentationEvent) -> Option<Details> {
    match &event.action {
        PresentationAction::Record(d) | PresentationAction::Amend(d) | PresentationAction::Import(d, _) => {
            Some(d.clone())
        }
        PresentationAction::Close(_) => None,
    }
}

pub fn closing_told(event: &PresentationEvent) -> Option<Closing> {
    match &event.action {
        PresentationAction::Close(closing) | PresentationAction::Import(_, Some(closing)) => Some(*closing),
        PresentationAction::Record(_) | PresentationAction::Amend(_) | PresentationAction::Import(_, None) => None,
    }
}
