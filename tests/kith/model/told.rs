//! What one event tells of each fact of a plan or a presentation, and which of several events counts.

use kith_domain::change::{PlanAction, PlanEvent, PresentationAction, PresentationEvent};
use kith_domain::child::Subject;
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

/// The events of a name up to `event` that have one line of versions and one owner: a name begins anew where its sender's own
/// key gives way to a number, or under a person for whom it goes on already.
pub fn line_of<'a, E>(
    same: &[&'a E],
    event: &'a E,
    of: impl for<'e> Fn(&'e E) -> (&'e str, &'e Subject),
    goes_on: impl Fn(&[&'a E], &Subject) -> bool,
) -> Vec<&'a E> {
    let all: Vec<&E> = same.iter().copied().chain([event]).collect();
    let anew = |at: usize| {
        let ((_, before), (sender, subject)) = (of(all[at - 1]), of(all[at]));
        let own_key = matches!(before, Subject::Local(by, _) if by.as_str() == sender);
        before != subject && ((own_key && matches!(subject, Subject::Nhs(_))) || goes_on(&all[..at], subject))
    };
    let begin = (1..all.len()).rfind(|at| anew(*at)).unwrap_or(0);
    all[begin..all.len() - 1].to_vec()
}

/// The fact with the greatest version among the events that tell it.
pub fn latest<E, T>(events: &[&E], version: impl Fn(&E) -> u64, tells: impl Fn(&E) -> Option<T>) -> Option<(u64, T)> {
    events.iter().filter_map(|event| Some((version(event), tells(event)?))).max_by_key(|(version, _)| *version)
}
