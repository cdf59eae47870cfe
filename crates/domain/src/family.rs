//! Who belongs to a family, and what an authority says of it: children whose plans carry the same reference of the same
//! authority are siblings, and nothing else links two children. A child's plan and an unborn child's on the mother's record
//! never mix: the mother is no sibling of anyone by the second.

use crate::child::{ChildRecord, Subject};
use crate::codes::LaCode;
use crate::links::Person;
use crate::notify::last_day;
use crate::plan::{Plan, PlanKind, PlanState, RecordRole};
use crate::text::FamilyReference;
use crate::time::Day;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Most members of a family that one answer looks at; the rest is counted. Far over any family: a reference that more
/// children carry is likelier a placeholder that somebody types.
pub const MAX_LOOKED_AT: usize = 64;
/// Most siblings told of one by one in an answer.
pub const MAX_SIBLINGS: usize = 20;

/// A family as an authority names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Family {
    /// The authority.
    pub authority: LaCode,
    /// Its reference.
    pub reference: FamilyReference,
}

/// The family that a plan links with; a withdrawn plan links nothing. One that has ended links as long as it is held.
#[must_use]
pub fn of_plan(plan: &Plan) -> Option<Family> {
    let reference = plan.family.get().filter(|_| !plan.is_withdrawn())?;
    Some(Family { authority: plan.authority, reference: reference.clone() })
}

/// The role in which a record carries a plan.
#[must_use]
pub fn role(plan: &Plan) -> RecordRole {
    plan.kind.get().map_or(RecordRole::Child, |kind| kind.role())
}

/// Every family in which a record has a part, as a child or as the mother of an unborn one.
#[must_use]
pub fn families(record: &ChildRecord) -> BTreeSet<Family> {
    record.plans.iter().filter_map(of_plan).collect()
}

/// The families in which a record is a child.
#[must_use]
pub fn as_child(record: &ChildRecord) -> BTreeSet<Family> {
    record.plans.iter().filter(|plan| role(plan) == RecordRole::Child).filter_map(of_plan).collect()
}

/// People with a part in the families of a person, as far as they are looked at.
#[derive(Debug, Clone, Default)]
pub struct Relatives {
    /// Each of them once, under whatever numbers, and never the person.
    pub people: Vec<Person>,
    /// How many subjects were not looked at.
    pub beyond: u32,
}

impl Relatives {
    /// Finds the people of the person's families. `members` gives at most so many subjects of a family, and how many more
    /// there are. A number that is not valid any more is linked with nobody.
    pub fn find(
        person: &Person,
        members: impl Fn(&Family, usize) -> (Vec<Subject>, usize),
        find: impl Fn(&Subject) -> Option<Arc<ChildRecord>>,
    ) -> Self {
        let named: BTreeSet<Family> = person.records().flat_map(as_child).collect();
        if named.is_empty() {
            // Nearly everyone: no set of the person's own numbers is needed.
            return Self::default();
        }
        let mut known: BTreeSet<Subject> = person.records().map(|record| record.subject.clone()).collect();
        let mut relatives = Self::default();
        for family in &named {
            let (subjects, more) = members(family, MAX_LOOKED_AT);
            // The person is no sibling of their own, and may be among those not looked at.
            let own = person.records().filter(|own| families(own).contains(family) && !subjects.contains(&own.subject));
            let more = more.saturating_sub(own.count());
            relatives.beyond = relatives.beyond.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
            for subject in subjects {
                if known.contains(&subject) {
                    continue;
                }
                let found = Person::find(find(&subject), &find);
                known.extend(found.records().map(|record| record.subject.clone()));
                relatives.people.push(found);
            }
        }
        relatives
    }
}

/// Authorities with an active or future unborn plan on a mother's record.
#[must_use]
pub fn responsible_for_unborn(mother: &Person, today: Day) -> Vec<LaCode> {
    let current = |record: &ChildRecord, plan: &Plan| {
        let state = plan.state(today, last_day(record, plan), 0);
        is_unborn(plan) && matches!(state, Some(PlanState::Active | PlanState::Future))
    };
    let of = |record: &ChildRecord| -> Vec<LaCode> {
        record.plans.iter().filter(|plan| current(record, plan)).map(|plan| plan.authority).collect()
    };
    let mut authorities: Vec<LaCode> = mother.records().flat_map(of).collect();
    authorities.sort_unstable();
    authorities.dedup();
    authorities
}

/// Whether a plan is that of an unborn child.
#[must_use]
pub fn is_unborn(plan: &Plan) -> bool {
    !plan.is_withdrawn() && plan.kind.get() == Some(&PlanKind::Unborn)
}
