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
    /// No date is held.
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

/// Compares a birth date with those held: the demographics service's before an authority's before a department's. What the
/// `asker` has recorded itself confirms nothing: its check-in would, on a second look, turn a warning into a match.
#[must_use]
pub fn check(standing: Standing, record: Option<&ChildRecord>, given: Option<Day>, asker: OdsCode) -> IdentityCheck {
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

/// Whether an authority's birth date says that a presentation sent without one is an adult's. What is held under the number
/// itself comes before what is held under others, for a link may be a mistake. Where authorities differ the youngest stands: a child's presentation is never turned away on a doubt.
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
        record.told_birth_date().or(plans.filter_map(|plan| plan.birth_date.get().copied()).max())
    };
    person
        .own
        .as_deref()
        .and_then(born)
        .or_else(|| person.whole().and_then(|record| born(&record)))
        .is_some_and(|born| is_adult(born, details.arrived_at.london_day()))
}

/// Whether a birth date that an authority gives contradicts the one that the demographics service or, without one, another
/// authority holds for the same number, and where none is held for it, for another of the person's: then the number is
/// likelier another child's than the date a new one. Near misses do not count: they are answered with a warning. `home` is the
/// record that the plan stands on.
#[must_use]
pub fn contradicts_another(home: Option<&ChildRecord>, person: &Person, authority: LaCode, given: Day) -> bool {
    let against = |record: &ChildRecord| {
        let others = record.plans.iter().filter(|plan| plan.authority != authority && !plan.is_withdrawn());
        let told = compare(record.told_birth_date().iter(), given, IdentityCheck::NotConfirmed);
        told.or_else(|| compare(others.filter_map(|plan| plan.birth_date.get()), given, IdentityCheck::NotConfirmed))
    };
    let check = home.and_then(against).or_else(|| person.whole().and_then(|record| against(&record)));
    check == Some(IdentityCheck::NotConfirmed)
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
}
