//! Which record of a person an event belongs to. A plan or an encounter stays on the record of the number that it was first
//! sent with; while numbers are linked, its later events may come under any of them.

use crate::births;
use crate::working::{StateError, Working};
use kith_domain::change::{Change, PlanEvent, PresentationEvent};
use kith_domain::child::{ChildRecord, Subject};
use kith_domain::codes::LaCode;
use kith_domain::links::Person;
use kith_domain::plan::{Plan, PlanName};
use kith_domain::presentation::Outcome;
use std::borrow::Cow;

/// The record of a person that a plan stands on, where it is another than the one of the number used.
pub(crate) fn other_home(person: &Person, holds: impl Fn(&ChildRecord) -> bool) -> Option<Subject> {
    if person.linked.is_empty() || person.own.as_deref().is_some_and(&holds) {
        return None;
    }
    person.linked.iter().find(|record| holds(record)).map(|record| record.subject.clone())
}

/// The record that a plan of this name stands on. A reference names one plan of the authority, whoever it is about; kind and
/// start alone may be those of another child's plan, whom a wrong link has made the same person: such a plan stands under
/// the number that it is sent with.
pub(crate) fn home_of_plan(person: &Person, authority: LaCode, name: &PlanName) -> Option<Subject> {
    match name {
        PlanName::Reference(_) => other_home(person, holds_plan(authority, name)),
        PlanName::KindAndStart(..) => None,
    }
}

/// Whether a record holds a plan.
pub(crate) fn holds_plan<'a>(authority: LaCode, name: &'a PlanName) -> impl Fn(&ChildRecord) -> bool + 'a {
    move |record| record.plans.iter().any(|plan| plan.authority == authority && plan.name == *name)
}

/// Whether a record holds a plan that is not withdrawn.
pub(crate) fn goes_on<'a>(authority: LaCode, name: &'a PlanName) -> impl Fn(&ChildRecord) -> bool + 'a {
    move |record| {
        record.plans.iter().any(|plan| plan.authority == authority && plan.name == *name && !plan.is_withdrawn())
    }
}

/// Whether a record holds the encounter of an event, and not as entered in error.
pub(crate) fn encounter_goes_on(event: &PresentationEvent) -> impl Fn(&ChildRecord) -> bool + '_ {
    move |record| {
        let mut held = record.presentations.iter().filter(|one| one.organisation == event.organisation);
        held.any(|one| one.encounter == event.encounter && one.outcome() != Outcome::EnteredInError)
    }
}

/// Whether a plan of this name goes on under another number of the person than the one it was told of.
pub(crate) fn is_open_elsewhere(person: &Person, authority: LaCode, name: &PlanName) -> bool {
    let open = |plan: &Plan| {
        plan.authority == authority && plan.name == *name && !plan.is_withdrawn() && plan.end.get().is_none()
    };
    person.linked.iter().any(|record| record.plans.iter().any(open))
}

/// The change as it is applied: about the record that its plan or encounter stands on.
pub(crate) fn homed<'a>(working: &Working<'_>, change: &'a Change) -> Result<Cow<'a, Change>, StateError> {
    let home = match change {
        Change::Plan(event) => {
            let (home, babies) = (plan_home(working, event)?, births::homed(working, event)?);
            let moved = home.is_some() || babies != event.babies;
            let subject = home.unwrap_or_else(|| event.subject.clone());
            moved.then(|| Change::Plan(PlanEvent { subject, babies, ..event.clone() }))
        }
        Change::Presentation(event) => {
            let holds = |record: &ChildRecord| {
                let same = |p: &kith_domain::presentation::Presentation| {
                    p.organisation == event.organisation && p.encounter == event.encounter
                };
                record.presentations.iter().any(same)
            };
            let home = other_home(&working.person(&event.subject)?, holds);
            home.map(|subject| Change::Presentation(PresentationEvent { subject, ..event.clone() }))
        }
        Change::Heartbeat(_)
        | Change::Accessed(_)
        | Change::Acknowledged(_)
        | Change::AuditGap(_)
        | Change::Purge(_)
        | Change::FeedCounted(_)
        | Change::FileStarted(_)
        | Change::FileEnding(_)
        | Change::FileEnded(_)
        | Change::FilePositionReset(_)
        | Change::Identity(_)
        | Change::Proposed(_)
        | Change::ProposalClosed(_) => None,
    };
    Ok(home.map_or(Cow::Borrowed(change), Cow::Owned))
}

/// The record that a plan stands on, where it is another than the one of the number used.
pub(crate) fn plan_home(working: &Working<'_>, event: &PlanEvent) -> Result<Option<Subject>, StateError> {
    let Some(name) = event.name() else { return Ok(None) };
    Ok(home_of_plan(&working.person(&event.subject)?, event.authority, &name))
}
