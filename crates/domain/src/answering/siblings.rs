//! What an answer tells of siblings: that one is on a plan, that one was seen with an injury lately, and whom to ring; never
//! who. A shielded sibling is known and nothing more. What is held of a sibling never touches the child's own outcomes.

use super::{Found, Means, count, shown_plans};
use crate::answer::{KnownSiblings, PlanView, Question, SiblingNotice, Siblings};
use crate::child::ChildRecord;
use crate::codes::LaCode;
use crate::directory::Contact;
use crate::family::{self, Family, MAX_SIBLINGS};
use crate::links::{Person, Standing};
use crate::plan::{PlanKind, PlanState, RecordRole};
use crate::presentation::{Complaint, Outcome as Ending, Presentation};
use crate::time::Day;
use std::collections::BTreeSet;

/// Siblings of the person whose held record this is.
pub(super) fn siblings(
    record: Option<&ChildRecord>,
    found: &Found,
    question: &Question,
    means: Means<'_>,
) -> Siblings<Contact> {
    let families = record.map(family::as_child).unwrap_or_default();
    if families.is_empty() {
        return Siblings::NoReference;
    }
    let mut told = Told { families, question, means, notices: Vec::new(), unshown: 0 };
    found.relatives.people.iter().for_each(|person| told.person(person));
    let Told { mut notices, unshown, .. } = told;
    notices.sort_by_key(|notice| (!notice.injured, notice.plans.is_empty(), notice.plans.clone()));
    let cut = count(notices.len().saturating_sub(MAX_SIBLINGS));
    notices.truncate(MAX_SIBLINGS);
    Siblings::Known(KnownSiblings {
        notices,
        unshown,
        beyond: found.relatives.beyond.saturating_add(cut),
        injury_days: means.settings.sibling_injury_days,
    })
}

/// The same without whom to ring, which would tell a place.
pub(super) fn without_place(siblings: Siblings<Contact>) -> Siblings<()> {
    match siblings {
        Siblings::NoReference => Siblings::NoReference,
        Siblings::NotShown => Siblings::NotShown,
        Siblings::Known(KnownSiblings { notices, unshown, beyond, injury_days }) => {
            let one = |SiblingNotice { plans, injured, ring: _ }| SiblingNotice { plans, injured, ring: () };
            let notices = notices.into_iter().map(one).collect();
            Siblings::Known(KnownSiblings { notices, unshown, beyond, injury_days })
        }
    }
}

/// Whether a complaint is an injury.
fn is_injury(complaint: Complaint) -> bool {
    match complaint {
        Complaint::Injury
        | Complaint::HeadInjury
        | Complaint::BurnOrScald
        | Complaint::PoisoningOrIngestion
        | Complaint::Fracture
        | Complaint::Bite => true,
        Complaint::SelfHarm
        | Complaint::MentalHealth
        | Complaint::AlcoholOrDrugs
        | Complaint::SexualHealth
        | Complaint::Illness
        | Complaint::Other
        | Complaint::NotRecorded => false,
    }
}

struct Told<'a> {
    families: BTreeSet<Family>,
    question: &'a Question,
    means: Means<'a>,
    notices: Vec<SiblingNotice<Contact>>,
    unshown: u32,
}

impl Told<'_> {
    /// Tells of one member of the families: as a child, and as the mother of an unborn one.
    fn person(&mut self, person: &Person) {
        if person.standing == Standing::Invalid {
            return;
        }
        let today = self.question.now.london_day();
        let Some(held) = person.held(self.means.settings.retention(), today) else { return };
        let links =
            |plan: &&crate::plan::Plan| family::of_plan(plan).is_some_and(|family| self.families.contains(&family));
        let is_child = held.plans.iter().filter(links).any(|plan| family::role(plan) == RecordRole::Child);
        let mut of_mother = ChildRecord::new(held.subject.clone());
        of_mother.plans = held.plans.iter().filter(links).filter(|plan| family::is_unborn(plan)).cloned().collect();
        let shown = shown_plans((person, &held), today, self.means.settings);
        let shielded = held.is_shielded();
        if is_child {
            let own: Vec<PlanView> = shown.into_iter().filter(|plan| plan.kind != Some(PlanKind::Unborn)).collect();
            let injured = !shielded && self.is_injured(&held, today);
            self.child(own, injured, shielded, held.withheld_by.first().copied());
        }
        let mut unborn = current(shown_plans((person, &of_mother), today, self.means.settings));
        // On the day of birth the plan is in force for the last time, and the child has a plan of its own.
        unborn.retain(|plan| plan.end.is_none_or(|end| end > today));
        if !unborn.is_empty() {
            // One that is withheld is known like a born child whose plan is, and nothing is told of it.
            unborn.retain(|plan| !held.withheld_by.contains(&plan.authority));
            self.child(unborn, false, shielded, None);
        }
    }

    fn is_injured(&self, held: &ChildRecord, today: Day) -> bool {
        let first = today.plus_days(-self.means.settings.sibling_injury_days);
        let injury = |seen: &Presentation| {
            let details = seen.details.get().is_some_and(|details| is_injury(details.complaint));
            details && seen.outcome() != Ending::EnteredInError && seen.moment().london_day() >= first
        };
        held.presentations.iter().any(injury)
    }

    /// Tells of one child; the first of its plans says whom to ring, or the authority that withholds them.
    fn child(&mut self, plans: Vec<PlanView>, injured: bool, shielded: bool, withheld: Option<LaCode>) {
        let authority = plans.first().map(|plan| plan.authority).or(withheld);
        let plans: Vec<_> = current(plans).into_iter().map(|plan| (plan.kind, plan.state)).collect();
        let Some(authority) = authority.filter(|_| !shielded && (injured || !plans.is_empty())) else {
            self.unshown += 1;
            return;
        };
        let because = "authority of the sibling's plan";
        let ring = self.means.directory.authority_contact(authority, self.question.now, because);
        self.notices.push(SiblingNotice { plans, injured, ring });
    }
}

/// Plans in force or starting later.
fn current(plans: Vec<PlanView>) -> Vec<PlanView> {
    plans.into_iter().filter(|plan| plan.state != PlanState::Ended).collect()
}

#[cfg(test)]
#[path = "siblings_tests.rs"]
mod tests;
