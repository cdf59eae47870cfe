//! Who has a plan of which authority: what a snapshot is held against. Kept as records are published; answers never look
//! here. It holds subjects and not plans, so that an authority's thousand plans take little room.

use dashmap::DashMap;
use kith_domain::child::{ChildRecord, Subject};
use kith_domain::codes::LaCode;
use std::collections::BTreeSet;

/// Subjects by authority.
#[derive(Debug, Default)]
pub(crate) struct Planned {
    of: DashMap<LaCode, BTreeSet<Subject>>,
}

fn authorities(record: &ChildRecord) -> BTreeSet<LaCode> {
    record.plans.iter().map(|plan| plan.authority).collect()
}

impl Planned {
    /// Notes a record in the place of an older one.
    pub(crate) fn note(&self, old: Option<&ChildRecord>, new: &ChildRecord) {
        if new.plans.is_empty() && old.is_none_or(|old| old.plans.is_empty()) {
            return;
        }
        let (before, after) = (old.map(authorities).unwrap_or_default(), authorities(new));
        for authority in after.difference(&before) {
            self.of.entry(*authority).or_default().insert(new.subject.clone());
        }
        for authority in before.difference(&after) {
            if let Some(mut subjects) = self.of.get_mut(authority) {
                subjects.remove(&new.subject);
            }
        }
    }

    /// Forgets a record that is no longer held.
    pub(crate) fn forget(&self, old: &ChildRecord) {
        for authority in authorities(old) {
            if let Some(mut subjects) = self.of.get_mut(&authority) {
                subjects.remove(&old.subject);
            }
        }
    }

    /// Everyone with a plan of the authority, in order.
    pub(crate) fn of(&self, authority: LaCode) -> Vec<Subject> {
        self.of.get(&authority).map(|subjects| subjects.iter().cloned().collect()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_domain::NhsNumber;
    use kith_domain::plan::{Plan, PlanKind, PlanName};
    use kith_domain::time::Day;

    #[test]
    fn subjects_come_and_go_with_their_plans() {
        let authority = LaCode::parse("E06000001").unwrap();
        let subject = Subject::Nhs(NhsNumber::from_first_nine(999_000_001).unwrap());
        let bare = ChildRecord::new(subject.clone());
        let mut record = bare.clone();
        let name = PlanName::KindAndStart(PlanKind::LookedAfter, Day::parse("2026-01-01").unwrap());
        record.plans.push(Plan::new(authority, name));
        let planned = Planned::default();
        planned.note(None, &bare);
        assert!(planned.of(authority).is_empty());
        planned.note(Some(&bare), &record);
        assert_eq!(planned.of(authority), [subject]);
        planned.note(Some(&record), &record);
        planned.note(Some(&record), &bare);
        assert!(planned.of(authority).is_empty());
    }
}
