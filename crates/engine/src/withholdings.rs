//! What authorities withhold, as rows of the state: why, in whose words, and when somebody has to look again. The record itself
//! says only that an authority withholds, and that is all that an answer reads. What stands is held in memory too, for readers.

use crate::engine::Engine;
use crate::keys;
use crate::linked;
use crate::open::EngineError;
use crate::rows::{OwnerRow, decode};
use crate::working::{StateError, Working};
use crate::writer::Verdict;
use kith_domain::change::Change;
use kith_domain::child::{ChildRecord, Subject};
use kith_domain::codes::LaCode;
use kith_domain::fold::Effect;
use kith_domain::permit::ActionPermit;
use kith_domain::refused::Refused;
use kith_domain::text::WithholdingWords;
use kith_domain::time::{Day, Moment};
use kith_domain::withholding::{self, Withholding, WithholdingLifted, WithholdingReason};
use kith_store::{Store, Table};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is kept of a decision to withhold, until it is lifted or decided anew. Who decided it is in the audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WithholdingRow {
    pub(crate) authority: LaCode,
    pub(crate) subject: Subject,
    pub(crate) decided_at: Moment,
    pub(crate) reason: WithholdingReason,
    /// Without them nobody who looks again could tell whether the reason still holds.
    pub(crate) words: WithholdingWords,
    pub(crate) look_again: Day,
    /// It was decided about another record, from which it was carried over to this one.
    pub(crate) carried_over: bool,
}

/// A decision that stands, as its authority sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingWithholding {
    /// Whom it is about.
    pub subject: Subject,
    /// When it was decided last.
    pub decided_at: Moment,
    /// Why.
    pub reason: WithholdingReason,
    /// Why, in the words of who decided it.
    pub words: WithholdingWords,
    /// The day on which somebody has to look again. That it has passed ends nothing.
    pub look_again: Day,
    /// Nobody decided it about this child: at a birth it was carried over from the mother's record, or from the authority's own key
    /// when the number was known.
    pub carried_over: bool,
}

/// A page of an authority's decisions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WithholdingPage {
    /// Those to look at first come first.
    pub withholdings: Vec<StandingWithholding>,
    /// After how many the next page begins; none at the end.
    pub next_after: Option<u64>,
}

/// What operations see of withholding: how many, and no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WithholdingCounts {
    /// Decisions that stand.
    pub standing: u64,
    /// Those of which the day to look again has passed.
    pub overdue: u64,
}

/// What a change did to the decisions that readers see: the one that stands now, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) authority: LaCode,
    subject: Subject,
    stands: Option<StandingWithholding>,
}

impl Noted {
    fn of(row: WithholdingRow) -> Self {
        let WithholdingRow { authority, subject, decided_at, reason, words, look_again, carried_over } = row;
        let standing =
            StandingWithholding { subject: subject.clone(), decided_at, reason, words, look_again, carried_over };
        Self { authority, subject, stands: Some(standing) }
    }
}

/// Whether a decision may be taken at this moment: its date, and that so many of its authority may stand. Whether it was taken
/// before is known by then: one that is sent again when its date has come is told that it stands.
pub(crate) fn check(working: &Working<'_>, decided: &Withholding, at: Moment) -> Result<Option<Refused>, StateError> {
    let Withholding { authority, event_id: _, subject, reason: _, words: _, look_again } = decided;
    if let Err(refused) = withholding::check_look_again(*look_again, at.london_day()) {
        return Ok(Some(refused));
    }
    let key = keys::withholding(working.keys(), *authority, subject);
    let decided_anew = working.bytes(Table::Withholding, &key)?.is_some();
    let is_full = !decided_anew && working.withheld_by(*authority) >= withholding::MAX_STANDING;
    Ok(is_full.then_some(withholding::TOO_MANY))
}

/// Notes a decision, in the place of the one before. One about the authority's own key counts for the number as well under which what
/// was begun there goes on: answers are about the number, and whoever decided would take for withheld what is shown.
pub(crate) fn decide(working: &mut Working<'_>, decided: &Withholding, at: Moment) -> Result<Effect, StateError> {
    let Withholding { authority, event_id: _, subject, reason, words, look_again } = decided.clone();
    withholding::withhold(working.child(&subject)?, authority);
    let key = keys::withholding(working.keys(), authority, &subject);
    let more = isize::from(working.bytes(Table::Withholding, &key)?.is_none());
    let numbers = gone_on(working, authority, &subject)?;
    let decided = working.peek(&subject)?;
    let row = WithholdingRow { authority, subject, decided_at: at, reason, words, look_again, carried_over: false };
    working.put(Table::Withholding, key, &row)?;
    working.note_withholding(Noted::of(row), more);
    for number in numbers {
        carry_over(working, authority, decided.iter(), &number)?;
    }
    Ok(Effect::Applied)
}

/// Numbers under which plans of an authority go on that were begun under this key of its own.
fn gone_on(working: &Working<'_>, authority: LaCode, key: &Subject) -> Result<BTreeSet<Subject>, StateError> {
    let mut numbers = BTreeSet::new();
    if matches!(key, Subject::Nhs(_)) {
        return Ok(numbers);
    }
    let plans = working.peek(key)?.map(|record| record.plans).unwrap_or_default();
    for plan in plans.iter().filter(|plan| plan.authority == authority && !plan.is_withdrawn()) {
        let name = keys::plan(working.keys(), authority, &plan.name, key);
        let owner = working.row::<OwnerRow>(Table::Plan, &name)?.map(|row| row.subject);
        let Some(number) = owner.filter(|owner| owner != key) else { continue };
        let held = working.peek(&number)?;
        if held.as_ref().is_some_and(linked::goes_on(authority, &plan.name)) && !working.is_invalid(&number)? {
            numbers.insert(number);
        }
    }
    Ok(numbers)
}

/// Carries an authority's decision over from any of the records on which it may stand to one to which a plan of theirs goes on,
/// with its reason, its words and its date; gives what was carried, where there was one. It goes by no bound: a newborn's plan is
/// not kept out for want of room for a decision, and each that is carried stands beside a plan. What was decided about the person
/// itself stays as it is.
pub(crate) fn carry_over<'r>(
    working: &mut Working<'_>,
    authority: LaCode,
    from: impl Iterator<Item = &'r ChildRecord>,
    to: &Subject,
) -> Result<Option<WithholdingRow>, StateError> {
    let withholds = |record: &&ChildRecord| record.withheld_by.contains(&authority);
    let mut before: Option<WithholdingRow> = None;
    for record in from.filter(withholds) {
        let key = keys::withholding(working.keys(), authority, &record.subject);
        before = before.or(working.row(Table::Withholding, &key)?);
    }
    let Some(before) = before else { return Ok(None) };
    if working.person(to)?.records().any(|record| withholds(&record)) {
        return Ok(None);
    }
    withholding::withhold(working.child(to)?, authority);
    let key = keys::withholding(working.keys(), authority, to);
    let row = WithholdingRow { subject: to.clone(), carried_over: true, ..before };
    working.put(Table::Withholding, key, &row)?;
    working.note_withholding(Noted::of(row.clone()), 1);
    Ok(Some(row))
}

/// Whether there is anything to lift.
pub(crate) fn check_lift(working: &Working<'_>, lifted: &WithholdingLifted) -> Result<Option<Refused>, StateError> {
    let key = keys::withholding(working.keys(), lifted.authority, &lifted.subject);
    let stands = working.bytes(Table::Withholding, &key)?.is_some();
    Ok((!stands).then_some(withholding::UNKNOWN))
}

/// Lifts a decision. A record of which nothing else is held goes with it.
pub(crate) fn lift(working: &mut Working<'_>, lifted: &WithholdingLifted) -> Result<Effect, StateError> {
    let WithholdingLifted { authority, event_id: _, subject } = lifted;
    let Some(mut record) = working.peek(subject)? else { return Ok(Effect::Overtaken) };
    withholding::lift(&mut record, *authority);
    working.replace(record)?;
    let key = keys::withholding(working.keys(), *authority, subject);
    working.delete(Table::Withholding, key);
    working.note_withholding(Noted { authority: *authority, subject: subject.clone(), stands: None }, -1);
    Ok(Effect::Applied)
}

/// Decisions as readers see them: a few hundred bytes for each that stands, which are few.
#[derive(Debug, Default)]
pub(crate) struct Withheld {
    standing: Mutex<BTreeMap<(LaCode, Subject), StandingWithholding>>,
}

impl Withheld {
    /// Reads what stands in the state.
    pub(crate) fn read(store: &Store) -> Result<Self, EngineError> {
        let (withheld, mut fault) = (Self::default(), None);
        store.scan(Table::Withholding, &[], &[], &mut |_, bytes| match decode::<WithholdingRow>(bytes) {
            Ok(row) => {
                withheld.publish(vec![Noted::of(row)]);
                ControlFlow::Continue(())
            }
            Err(error) => {
                fault = Some(error);
                ControlFlow::Break(())
            }
        })?;
        match fault {
            Some(error) => Err(error.into()),
            None => Ok(withheld),
        }
    }

    fn standing(&self) -> MutexGuard<'_, BTreeMap<(LaCode, Subject), StandingWithholding>> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what a committed group has changed.
    pub(crate) fn publish(&self, noted: Vec<Noted>) {
        if noted.is_empty() {
            return;
        }
        let mut standing = self.standing();
        for Noted { authority, subject, stands } in noted {
            match stands {
                Some(one) => standing.insert((authority, subject), one),
                None => standing.remove(&(authority, subject)),
            };
        }
    }

    /// How many decisions of an authority stand.
    pub(crate) fn count(&self, authority: LaCode) -> usize {
        self.standing().keys().filter(|(of, _)| *of == authority).count()
    }

    fn of(&self, authority: LaCode) -> Vec<StandingWithholding> {
        let standing = self.standing();
        let all = standing.iter().filter(|((of, _), _)| *of == authority);
        let mut all: Vec<StandingWithholding> = all.map(|(_, one)| one.clone()).collect();
        all.sort_by(|a, b| (a.look_again, &a.subject).cmp(&(b.look_again, &b.subject)));
        all
    }

    fn counts(&self, today: Day) -> WithholdingCounts {
        let standing = self.standing();
        let overdue = standing.values().filter(|one| withholding::is_overdue(one.look_again, today)).count();
        WithholdingCounts { standing: standing.len() as u64, overdue: overdue as u64 }
    }
}

impl Engine {
    /// Takes an authority's decision to withhold. The date to look again is held against the day of `at`.
    pub async fn withhold(&self, permit: &ActionPermit, at: Moment, decided: Withholding) -> Verdict {
        self.change_one(permit, at, Change::Withheld(decided)).await
    }

    /// Takes an authority's decision to withhold no longer.
    pub async fn lift_withholding(&self, permit: &ActionPermit, at: Moment, lifted: WithholdingLifted) -> Verdict {
        self.change_one(permit, at, Change::WithholdingLifted(lifted)).await
    }

    /// Lists the decisions of one authority, those to look at first before the others.
    #[must_use]
    pub fn withholdings(&self, _permit: &ActionPermit, authority: LaCode, after: u64, limit: usize) -> WithholdingPage {
        let all = self.progress.withheld.of(authority);
        let from = usize::try_from(after).unwrap_or(usize::MAX).min(all.len());
        let page: Vec<StandingWithholding> = all.iter().skip(from).take(limit).cloned().collect();
        let end = from + page.len();
        WithholdingPage { withholdings: page, next_after: (end < all.len()).then_some(end as u64) }
    }

    /// How many decisions stand on `today`, and how many of these somebody should have looked at again.
    #[must_use]
    pub fn withholding_counts(&self, today: Day) -> WithholdingCounts {
        self.progress.withheld.counts(today)
    }
}

#[cfg(test)]
mod tests;
