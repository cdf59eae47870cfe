//! Who has a part in which family, as authorities name it. Kept as records are published, and looked at for each answer about
//! a child with a family reference. A family that nobody has a part in any more is forgotten.

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use kith_domain::child::{ChildRecord, Subject};
use kith_domain::family::{self, Family};
use std::collections::BTreeSet;

/// Subjects by family.
#[derive(Debug, Default)]
pub(crate) struct Families {
    of: DashMap<Family, BTreeSet<Subject>>,
}

impl Families {
    /// Notes a record in the place of an older one.
    pub(crate) fn note(&self, old: Option<&ChildRecord>, new: &ChildRecord) {
        if new.plans.is_empty() && old.is_none_or(|old| old.plans.is_empty()) {
            return;
        }
        let (before, after) = (old.map(family::families).unwrap_or_default(), family::families(new));
        for family in after.difference(&before) {
            self.of.entry(family.clone()).or_default().insert(new.subject.clone());
        }
        for family in before.difference(&after) {
            self.leave(family.clone(), &new.subject);
        }
    }

    /// Forgets a record that is no longer held.
    pub(crate) fn forget(&self, old: &ChildRecord) {
        for family in family::families(old) {
            self.leave(family, &old.subject);
        }
    }

    fn leave(&self, family: Family, subject: &Subject) {
        if let Entry::Occupied(mut held) = self.of.entry(family) {
            held.get_mut().remove(subject);
            if held.get().is_empty() {
                held.remove();
            }
        }
    }

    /// At most so many subjects of a family, in order, and how many more there are.
    pub(crate) fn members(&self, family: &Family, most: usize) -> (Vec<Subject>, usize) {
        let Some(held) = self.of.get(family) else { return (Vec::new(), 0) };
        (held.iter().take(most).cloned().collect(), held.len().saturating_sub(most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_domain::NhsNumber;
    use kith_domain::codes::LaCode;
    use kith_domain::plan::{Plan, PlanKind, PlanName};
    use kith_domain::text::FamilyReference;
    use kith_domain::time::Day;

    fn family(reference: &str) -> Family {
        let authority = LaCode::parse("E06000001").unwrap();
        Family { authority, reference: FamilyReference::parse(reference).unwrap() }
    }

    fn record(n: u32, reference: Option<&str>) -> ChildRecord {
        let number = (999_000_000 + 20 * n..).find_map(NhsNumber::from_first_nine).unwrap();
        let mut record = ChildRecord::new(Subject::Nhs(number));
        let name = PlanName::KindAndStart(PlanKind::LookedAfter, Day::parse("2026-01-01").unwrap());
        let mut plan = Plan::new(LaCode::parse("E06000001").unwrap(), name);
        plan.family.set(1, reference.map(|text| FamilyReference::parse(text).unwrap()));
        record.plans.push(plan);
        record
    }

    #[test]
    fn members_come_and_go_with_their_plans_and_an_empty_family_is_forgotten() {
        let families = Families::default();
        let (one, other) = (record(1, Some("F")), record(2, Some("F")));
        families.note(None, &one);
        families.note(None, &other);
        assert_eq!(families.members(&family("F"), 9), (vec![one.subject.clone(), other.subject.clone()], 0));
        assert_eq!(families.members(&family("F"), 1), (vec![one.subject.clone()], 1));
        assert_eq!(families.members(&family("G"), 9), (Vec::new(), 0));
        let moved = record(1, Some("G"));
        families.note(Some(&one), &moved);
        assert_eq!(families.members(&family("F"), 9), (vec![other.subject.clone()], 0));
        assert_eq!(families.members(&family("G"), 9), (vec![one.subject.clone()], 0));
        let mut withdrawn = moved.clone();
        withdrawn.plans[0].withdrawn.set(2, Some(true));
        families.note(Some(&moved), &withdrawn);
        families.forget(&other);
        assert!(families.of.is_empty(), "nothing is left behind");
    }
}
