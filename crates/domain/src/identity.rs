//! Whether the record found is the person asked about: the birth date given beside the dates held.
//! An authority's date outranks a department's.

use crate::change::{PresentationAction, PresentationEvent};
use crate::child::ChildRecord;
use crate::codes::{LaCode, OdsCode};
use crate::links::{Person, Standing};
use crate::time::Day;
use crate::validate::is_adult;

/// Outcome of the check. Closed: no value turns into another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum IdentityCheck {
    /// The date given is one held.
    Matched,
    /// No date was given.
    NotGiven,
    /// No date is held that may be compared; of a shielded record a department's may not.
    NothingToCompare,
    /// Day and month swapped, or one digit off: answered, with a warning.
    NearMiss,
    /// It differs from a department's date alone: answered, with a warning.
    DiffersFromPresentation,
    /// It differs from an authority's date: withheld.
    NotConfirmed,
    /// The number is not valid any more: withheld, whatever birth date is given.
    NumberInvalid,
}

impl IdentityCheck {
    /// Whether the answer is withheld: the identity is not confirmed.
    #[must_use]
    pub fn withholds(self) -> bool {
        match self {
            Self::NotConfirmed | Self::NumberInvalid => true,
            Self::Matched
            | Self::NotGiven
            | Self::NothingToCompare
            | Self::NearMiss
            | Self::DiffersFromPresentation => false,
        }
    }
}

/// Which dates of departments a birth date may be compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departments {
    /// Those of all but the asker. What it has recorded itself confirms nothing: its check-in would, on a second look, turn a
    /// warning into a match.
    OthersThan(OdsCode),
    /// None, for the record is shielded and nobody opened it. The outcome would tell whether the child was seen at the asker's or
    /// elsewhere: of the same records and the same date, only the place decides whether there is anything to compare.
    NotCompared,
}

/// Compares a birth date with those held: the demographics service's before an authority's before a department's. None of a
/// department's decides whether the identity is confirmed, whichever are compared.
#[must_use]
pub fn check(
    standing: Standing,
    record: Option<&ChildRecord>,
    given: Option<Day>,
    departments: Departments,
) -> IdentityCheck {
    match standing {
        Standing::Invalid => return IdentityCheck::NumberInvalid,
        Standing::Current | Standing::ReplacedBy(_) => {}
    }
    let Some(given) = given else { return IdentityCheck::NotGiven };
    let Some(record) = record else { return IdentityCheck::NothingToCompare };
    if let Some(check) = compare(record.told_birth_date().iter(), given, IdentityCheck::NotConfirmed) {
        return check;
    }
    let authorities = record.plans.iter().filter(|plan| !plan.is_withdrawn()).filter_map(|plan| plan.birth_date.get());
    if let Some(check) = compare(authorities, given, IdentityCheck::NotConfirmed) {
        return check;
    }
    let asker = match departments {
        Departments::OthersThan(asker) => asker,
        Departments::NotCompared => return IdentityCheck::NothingToCompare,
    };
    let departments = record
        .presentations
        .iter()
        .filter(|presentation| presentation.organisation != asker)
        .filter(|presentation| presentation.outcome() != crate::presentation::Outcome::EnteredInError)
        .filter_map(|presentation| presentation.details.get()?.birth_date.as_ref());
    compare_departments(departments, given)
}

/// The worst of the dates that departments hold: one that matches does not silence one that differs, for no department
/// outranks another, and a wrong number is found by the difference.
fn compare_departments<'a>(held: impl Iterator<Item = &'a Day>, given: Day) -> IdentityCheck {
    let mut worst = IdentityCheck::NothingToCompare;
    for day in held {
        if *day != given && !is_near(*day, given) {
            return IdentityCheck::DiffersFromPresentation;
        }
        if *day != given {
            worst = IdentityCheck::NearMiss;
        } else if worst == IdentityCheck::NothingToCompare {
            worst = IdentityCheck::Matched;
        }
    }
    worst
}

/// Whether the birth dates held say that a presentation sent without one is an adult's. Of all, under any of the person's
/// numbers, the youngest stands; and where none is held under the number used, it is nobody's: a child's presentation is never
/// turned away on a doubt, and a link may be a mistake.
#[must_use]
pub fn is_adult_presentation(person: &Person, event: &PresentationEvent) -> bool {
    let details = match &event.action {
        PresentationAction::Record(details)
        | PresentationAction::Amend(details)
        | PresentationAction::Import(details, _) => details,
        PresentationAction::Close(_) => return false,
    };
    if details.birth_date.is_some() {
        return false;
    }
    let born = |record: &ChildRecord| {
        let plans = record.plans.iter().filter(|plan| !plan.is_withdrawn());
        record.told_birth_date().into_iter().chain(plans.filter_map(|plan| plan.birth_date.get().copied())).max()
    };
    let Some(own) = person.own.as_deref().and_then(born) else { return false };
    let youngest = person.records().filter_map(born).fold(own, Day::max);
    is_adult(youngest, details.arrived_at.london_day())
}

/// Whether a birth date that an authority gives contradicts the one that the demographics service or, without one, another
/// authority holds for the same number: then the number is likelier another child's than the date a new one. Near misses do
/// not count: they are answered with a warning. What is held under another of the person's numbers contradicts nothing, for the
/// link may be a mistake, and bears out what it matches. `home` is the record that the plan stands on.
#[must_use]
pub fn contradicts_another(home: Option<&ChildRecord>, person: &Person, authority: LaCode, given: Day) -> bool {
    let Some(home) = home else { return false };
    let told = |record: &ChildRecord| compare(record.told_birth_date().iter(), given, IdentityCheck::NotConfirmed);
    if let Some(check) = told(home) {
        return check == IdentityCheck::NotConfirmed;
    }
    let of_plans = |record: &ChildRecord| {
        let others = record.plans.iter().filter(|plan| plan.authority != authority && !plan.is_withdrawn());
        compare(others.filter_map(|plan| plan.birth_date.get()), given, IdentityCheck::NotConfirmed)
    };
    let differs = |check: IdentityCheck| check == IdentityCheck::NotConfirmed;
    // One date that matches is enough: what another authority mistyped must not keep a plan from being loaded.
    of_plans(home).is_some_and(differs)
        && person.records().flat_map(|record| [told(record), of_plans(record)]).flatten().all(differs)
}

/// The best of the dates held; `None` when there is none.
fn compare<'a>(held: impl Iterator<Item = &'a Day>, given: Day, differs: IdentityCheck) -> Option<IdentityCheck> {
    let mut best = None;
    for day in held {
        if *day == given {
            return Some(IdentityCheck::Matched);
        }
        if is_near(*day, given) {
            best = Some(IdentityCheck::NearMiss);
        } else if best.is_none() {
            best = Some(differs);
        }
    }
    best
}

/// Day and month swapped, or exactly one digit off.
fn is_near(a: Day, b: Day) -> bool {
    let ((ay, am, ad), (by, bm, bd)) = (a.ymd(), b.ymd());
    if ay == by && am == bd && ad == bm {
        return true;
    }
    let (left, right) = (a.text(), b.text());
    left.bytes().zip(right.bytes()).filter(|(x, y)| x != y).count() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_is_a_swap_or_one_digit() {
        let day = |text| Day::parse(text).unwrap();
        assert!(is_near(day("2019-03-04"), day("2019-04-03")));
        assert!(is_near(day("2019-03-04"), day("2018-03-04")));
        assert!(!is_near(day("2019-03-04"), day("2018-03-05")));
        assert!(!is_near(day("2019-03-04"), day("2018-04-03")));
    }

    /// The record of a number, with a plan's date and one that the demographics service has told.
    fn record(nine: u32, plan: Option<&str>, told: Option<&str>) -> ChildRecord {
        use crate::plan::{Plan, PlanKind, PlanName};
        let day = |text: &str| Day::parse(text).unwrap();
        let number = (nine..).find_map(crate::NhsNumber::from_first_nine).unwrap();
        let mut record = ChildRecord::new(crate::child::Subject::Nhs(number));
        if let Some(born) = plan {
            let name = PlanName::KindAndStart(PlanKind::LookedAfter, day("2026-01-01"));
            let mut plan = Plan::new(LaCode::parse("E06000001").unwrap(), name);
            plan.birth_date.set(1, Some(day(born)));
            record.plans.push(plan);
        }
        if let Some(born) = told {
            record.identity.get_or_insert_default().birth_date.set(1, Some(day(born)));
        }
        record
    }

    /// A number in whose place another stands.
    fn linked(mut own: ChildRecord, mut other: ChildRecord) -> Person {
        let crate::child::Subject::Nhs(number) = other.subject else { panic!("no number") };
        own.identity.get_or_insert_default().successor.set(1, Some(number));
        crate::links::link(&mut other, &own.subject);
        let other = std::sync::Arc::new(other);
        Person::find(Some(std::sync::Arc::new(own)), |subject| (*subject == other.subject).then(|| other.clone()))
    }

    #[test]
    fn a_child_is_turned_away_by_a_date_of_its_own_number_alone_and_saved_by_one_of_any() {
        let details = crate::presentation::Details {
            site: crate::codes::SiteCode::parse("RRK01").unwrap(),
            arrived_at: crate::time::Moment(1_790_000_000_000),
            setting: crate::presentation::CareSetting::EmergencyDepartment,
            complaint: crate::presentation::Complaint::Illness,
            birth_date: None,
        };
        let event = PresentationEvent {
            organisation: OdsCode::parse("RRK").unwrap(),
            event_id: uuid::Uuid::nil(),
            subject: record(999_000_001, None, None).subject,
            encounter: crate::text::EncounterId::parse("E1").unwrap(),
            version: 1,
            action: PresentationAction::Record(details),
        };
        let (other, given) = (LaCode::parse("E06000002").unwrap(), Day::parse("2015-02-01").unwrap());
        // A plan's date and what is told of the number used, then of the other; whether a presentation is an adult's, and 2015
        // contradicted.
        for (own, theirs, adult, contradicted) in [
            ((Some("1985-02-01"), None), (None, Some("2015-02-01")), false, false),
            ((Some("1985-02-01"), None), (Some("2015-02-01"), None), false, false),
            ((Some("2015-02-01"), None), (None, Some("1980-06-07")), false, false),
            ((Some("1985-02-01"), None), (None, Some("1980-06-07")), true, true),
            ((None, Some("1985-02-01")), (None, Some("1980-06-07")), true, true),
            ((None, Some("1985-02-01")), (None, Some("2015-02-01")), false, true),
            ((None, Some("2015-02-01")), (Some("1980-06-07"), Some("1980-06-07")), false, false),
            ((Some("2015-02-01"), Some("1980-06-07")), (None, None), false, true),
            ((None, None), (None, Some("1980-06-07")), false, false),
            ((None, None), (Some("1980-06-07"), None), false, false),
            ((None, None), (None, None), false, false),
        ] {
            let person = linked(record(999_000_001, own.0, own.1), record(999_000_020, theirs.0, theirs.1));
            assert_eq!(is_adult_presentation(&person, &event), adult, "{own:?} {theirs:?}");
            let home = person.own.as_deref();
            assert_eq!(contradicts_another(home, &person, other, given), contradicted, "{own:?} {theirs:?}");
        }
    }
}
