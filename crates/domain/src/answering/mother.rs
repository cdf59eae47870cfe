//! A baby whose mother's number is given is answered from her unborn plans as well, and from nothing else of hers: not her
//! own plans as a child, not where she was seen, not who she is.

use super::{Means, count, outcome, shown_plans};
use crate::answer::{Doubt, Mother, Outcome, PlanView, Question, ShieldedPlanView};
use crate::child::ChildRecord;
use crate::codes::LaCode;
use crate::links::{Person, Standing};
use crate::plan::PlanKind;

/// What is held of the mother that a baby's answer may be made from.
pub(super) struct OfMother {
    /// Her number is not valid any more.
    pub(super) invalid: bool,
    /// Her whereabouts must not be revealed.
    pub(super) shielded: bool,
    /// Unborn plans shown today.
    pub(super) plans: Vec<PlanView>,
    /// Authorities that hold or held an unborn plan about her.
    pub(super) authorities: Vec<LaCode>,
    /// Authorities that withhold something of her: it may be an unborn plan.
    pub(super) withheld_by: Vec<LaCode>,
}

/// Takes her unborn plans, and leaves everything else.
pub(super) fn of(mother: Option<&Person>, question: &Question, means: Means<'_>) -> Option<OfMother> {
    let person = mother?;
    if person.standing == Standing::Invalid {
        let (plans, authorities, withheld_by) = (Vec::new(), Vec::new(), Vec::new());
        return Some(OfMother { invalid: true, shielded: false, plans, authorities, withheld_by });
    }
    let today = question.now.london_day();
    let mut held = person.held(means.settings.retention(), today).map(std::borrow::Cow::into_owned);
    let shielded = held.as_ref().is_some_and(ChildRecord::is_shielded);
    if let Some(record) = &mut held {
        record.plans.retain(|plan| plan.kind.get() == Some(&PlanKind::Unborn));
    }
    let plans = held.as_ref().map(|record| shown_plans((person, record), today, means.settings)).unwrap_or_default();
    let authorities = held.iter().flat_map(|record| &record.plans).map(|plan| plan.authority).collect();
    let withheld_by = held.map(|record| record.withheld_by).unwrap_or_default();
    Some(OfMother { invalid: false, shielded, plans, authorities, withheld_by })
}

impl OfMother {
    /// Whether an unborn plan is held, or withheld.
    pub(super) fn is_held(&self) -> bool {
        !self.plans.is_empty() || self.is_withheld()
    }

    /// Whether an authority withholds something of her.
    pub(super) fn is_withheld(&self) -> bool {
        !self.withheld_by.is_empty()
    }

    /// Authorities that withhold, where a place may be told.
    pub(super) fn open_withheld_by(&self) -> &[LaCode] {
        if self.shielded { &[] } else { &self.withheld_by }
    }

    /// Her plans, where a place may be told.
    pub(super) fn open_plans(&self) -> &[PlanView] {
        if self.shielded { &[] } else { &self.plans }
    }

    /// Authorities of her plans, where a place may be told.
    pub(super) fn open_authorities(&self) -> &[LaCode] {
        if self.shielded { &[] } else { &self.authorities }
    }
}

/// Doubts about hers: that the baby has no number of its own is none.
fn doubts(all: &[Doubt]) -> Vec<Doubt> {
    let of_baby = |doubt: &Doubt| matches!(doubt, Doubt::NoNhsNumber | Doubt::MotherNumberInvalid);
    all.iter().copied().filter(|doubt| !of_baby(doubt)).collect()
}

fn part<P>(mother: OfMother, known: &[Doubt], max: usize, view: impl Fn(PlanView) -> P) -> Mother<P> {
    if mother.invalid {
        return Mother::NumberInvalid;
    }
    let (any, more) = (mother.is_held(), count(mother.plans.len().saturating_sub(max)));
    let plans: Vec<P> = mother.plans.into_iter().take(max).map(view).collect();
    let held: Outcome<Vec<P>> = outcome(any.then_some(plans), doubts(known));
    Mother::Plans { held, more }
}

/// Her part of an answer.
pub(super) fn open(mother: OfMother, known: &[Doubt], max: usize) -> Mother<PlanView> {
    part(mother, known, max, |plan| plan)
}

/// Her part of an answer in which no place may be told.
pub(super) fn shielded(mother: OfMother, known: &[Doubt], max: usize) -> Mother<ShieldedPlanView> {
    part(mother, known, max, super::shielded_plan)
}
