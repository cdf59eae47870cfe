//! Which record of a person an event belongs to. A plan or an encounter stays on the record of the number that it was first
//! sent with; while numbers are linked, its later events may come under any of them.

use crate::births;
use crate::working::{StateError, Working};
use kith_domain::change::{Change, PlanAction, PlanEvent, PresentationAction, PresentationEvent};
use kith_domain::child::{ChildRecord, Subject};
use kith_domain::codes::LaCode;
use kith_domain::links::Person;
use kith_domain::plan::{Plan, PlanName};
use kith_domain::presentation::Outcome;
use kith_domain::time::Day;
use std::borrow::Cow;

/// The record of a person that something stands on, where it is another than the one of the number used: where it goes on
/// before where it was taken back, and then the one of the number used before the others.
fn other_home(
    person: &Person,
    holds: impl Fn(&ChildRecord) -> bool,
    goes_on: impl Fn(&ChildRecord) -> bool,
) -> Option<Subject> {
    let own = person.own.as_deref();
    if person.linked.is_empty() || own.is_some_and(&goes_on) {
        return None;
    }
    let held = || person.linked.iter().find(|record| holds(record)).filter(|_| !own.is_some_and(&holds));
    let home = person.linked.iter().find(|record| goes_on(record)).or_else(held);
    home.map(|record| record.subject.clone())
}

/// The record that an event's plan stands on, where it is another than the one of the number used. A reference names one plan
/// of the authority, whoever it is about; kind and start alone may be those of another child's plan, whom a wrong link has
/// made the same person: such a plan stands under the number that it is sent with. So does what takes back once more a copy
/// that is withdrawn under that number: it must not withdraw the one that goes on.
pub(crate) fn home_of_plan(person: &Person, event: &PlanEvent) -> Option<Subject> {
    let name = event.name().filter(|name| matches!(name, PlanName::Reference(_)))?;
    let (holds, goes_on) = (holds_plan(event.authority, &name), goes_on(event.authority, &name));
    if event.action == PlanAction::Withdraw && person.own.as_deref().is_some_and(&holds) {
        return None;
    }
    other_home(person, holds, goes_on)
}

/// The same of an event's encounter.
fn home_of_encounter(person: &Person, event: &PresentationEvent) -> Option<Subject> {
    let (holds, goes_on) = (holds_encounter(event), encounter_goes_on(event));
    let takes_back = match &event.action {
        PresentationAction::Close(closing) | PresentationAction::Import(_, Some(closing)) => {
            closing.outcome == Outcome::EnteredInError
        }
        PresentationAction::Record(_) | PresentationAction::Amend(_) | PresentationAction::Import(_, None) => false,
    };
    if takes_back && person.own.as_deref().is_some_and(&holds) {
        return None;
    }
    other_home(person, holds, goes_on)
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

/// Whether a record holds a plan as withdrawn.
pub(crate) fn is_withdrawn<'a>(authority: LaCode, name: &'a PlanName) -> impl Fn(&ChildRecord) -> bool + 'a {
    move |record| holds_plan(authority, name)(record) && !goes_on(authority, name)(record)
}

/// Whether a record holds the encounter of an event.
fn holds_encounter(event: &PresentationEvent) -> impl Fn(&ChildRecord) -> bool + '_ {
    move |record| {
        let mut held = record.presentations.iter().filter(|one| one.organisation == event.organisation);
        held.any(|one| one.encounter == event.encounter)
    }
}

/// Whether a record holds the encounter of an event, and not as entered in error.
pub(crate) fn encounter_goes_on(event: &PresentationEvent) -> impl Fn(&ChildRecord) -> bool + '_ {
    move |record| {
        let mut held = record.presentations.iter().filter(|one| one.organisation == event.organisation);
        held.any(|one| one.encounter == event.encounter && one.outcome() != Outcome::EnteredInError)
    }
}

/// Whether a plan of this name goes on, on a day, under another number of the person than the one under which it was told to
/// end, or to have been an error when there is no day `until` which it goes on there. An end before the start ends nothing.
pub(crate) fn is_open_elsewhere(
    person: &Person,
    (authority, name): (LaCode, &PlanName),
    until: Option<Day>,
    today: Day,
) -> bool {
    let open = |plan: &Plan| {
        let start = plan.start.get();
        let end = plan.end.get().filter(|end| start.is_none_or(|start| *end >= start));
        let goes_on = end.is_none_or(|end| *end >= today && until.is_none_or(|until| *end > until));
        plan.authority == authority && plan.name == *name && !plan.is_withdrawn() && goes_on
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
            let home = home_of_encounter(&working.person(&event.subject)?, event);
            home.map(|subject| Change::Presentation(PresentationEvent { subject, ..event.clone() }))
        }
        Change::Heartbeat(_)
        | Change::Accessed(_)
        | Change::Acknowledged(_)
        | Change::AuditGap(_)
        | Change::AuditHead(_)
        | Change::Purge(_)
        | Change::FeedCounted(_)
        | Change::FileStarted(_)
        | Change::FileEnding(_)
        | Change::FileEnded(_)
        | Change::FilePositionReset(_)
        | Change::Identity(_)
        | Change::Proposed(_)
        | Change::ProposalClosed(_)
        | Change::Opened(_)
        | Change::OpeningReviewed(_)
        | Change::Flagged(_)
        | Change::Watched(_)
        | Change::FlagReviewed(_)
        | Change::Withheld(_)
        | Change::WithholdingLifted(_) => None,
    };
    Ok(home.map_or(Cow::Borrowed(change), Cow::Owned))
}

/// The record that a plan stands on, where it is another than the one of the number used.
pub(crate) fn plan_home(working: &Working<'_>, event: &PlanEvent) -> Result<Option<Subject>, StateError> {
    Ok(home_of_plan(&working.person(&event.subject)?, event))
}
