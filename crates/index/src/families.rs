//! Who has a part in which family, as authorities name it. Kept as records are published, and looked at for each answer about
//! a child with a family reference. A family that nobody has a part in any more is forgotten.

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use kith_domain::child::{ChildRecord, Subject};
use kith_domain::family::{self, Family};
use std::collections::BTreeSet;

/// Most members held as a list: nearly every family. A reference that somebody types as a placeholder gathers thousands.
const FEW: usize = 16;
/// So many that the map of one holds some 150 families of England, and growing it takes microseconds.
const SHARDS: usize = 1_024;

/// Subjects of one family, in order.
#[derive(Debug)]
enum Members {
    /// In memory of just their size: a tree takes ten times as much for a family of two.
    Few(Vec<Subject>),
    Many(BTreeSet<Subject>),
}

impl Members {
    fn add(&mut self, subject: &Subject) {
        match self {
            Self::Few(list) => {
                let Err(at) = list.binary_search(subject) else { return };
                if list.len() < FEW {
                    list.reserve_exact(1);
                    list.insert(at, subject.clone());
                } else {
                    *self = Self::Many(list.drain(..).chain([subject.clone()]).collect());
                }
            }
            Self::Many(tree) => {
                tree.insert(subject.clone());
            }
        }
    }

    fn remove(&mut self, subject: &Subject) {
        match self {
            Self::Few(list) => list.retain(|held| held != subject),
            Self::Many(tree) => {
                tree.remove(subject);
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Few(list) => list.len(),
            Self::Many(tree) => tree.len(),
        }
    }

    fn first(&self, most: usize) -> Vec<Subject> {
        match self {
            Self::Few(list) => list.iter().take(most).cloned().collect(),
            Self::Many(tree) => tree.iter().take(most).cloned().collect(),
        }
    }
}

/// Subjects by family.
#[derive(Debug)]
pub(crate) struct Families {
    of: DashMap<Family, Members>,
}

impl Default for Families {
    fn default() -> Self {
        Self { of: DashMap::with_shard_amount(SHARDS) }
    }
}

impl Families {
    /// Notes a record in the place of an older one.
    pub(crate) fn note(&self, old: Option<&ChildRecord>, new: &ChildRecord) {
        if new.plans.is_empty() && old.is_none_or(|old| old.plans.is_empty()) {
            return;
        }
        let (before, after) = (old.map(family::families).unwrap_or_default(), family::families(new));
        for family in after.difference(&before) {
            self.of.entry(family.clone()).or_insert_with(|| Members::Few(Vec::new())).add(&new.subject);
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
            if held.get().len() == 0 {
                held.remove();
            }
        }
    }

    /// At most so many subjects of a family, in order, and how many more there are.
    pub(crate) fn members(&self, family: &Family, most: usize) -> (Vec<Subject>, usize) {
        let Some(held) = self.of.get(family) else { return (Vec::new(), 0) };
        (held.first(most), held.len().saturating_sub(most))
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

    #[test]
    fn a_family_of_any_size_is_in_order_and_shrinks_again() {
        let (families, most) = (Families::default(), 3 * u32::try_from(FEW).unwrap());
        let one = |n: u32| record((n * 7) % most, Some("F"));
        let mut all: Vec<Subject> = (0..most).map(|n| one(n).subject).collect();
        all.sort();
        for _ in 0..2 {
            (0..most).for_each(|n| families.note(None, &one(n)));
            assert_eq!(families.members(&family("F"), all.len()), (all.clone(), 0));
        }
        assert_eq!(families.members(&family("F"), 5), (all[..5].to_vec(), all.len() - 5));
        (1..most).for_each(|n| families.forget(&one(n)));
        assert_eq!(families.members(&family("F"), 5), (vec![one(0).subject], 0));
    }
}
