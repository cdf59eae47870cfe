//! What a wrong clock hides must not read as none held. Where our clock runs too far ahead of what senders tell of, what
//! is held and has passed its retention by that clock makes "cannot say" of "none held". Nothing held is hidden by it.

use crate::answer::{Body, Doubt, Mother, MotherView, Outcome, Question};
use crate::answering::{Found, Means};
use crate::codes::OdsCode;
use crate::links::Person;
use crate::notify::last_day_of;
use crate::plan::{Plan, PlanKind};
use crate::presentation::{Outcome as Ended, Presentation};

/// Adds the doubt to the outcomes from which something held is left out by a clock that is not believed.
pub(crate) fn tell(body: &mut Body, found: &Found, question: &Question, asker: OdsCode, means: Means<'_>) {
    if !means.feeds.is_clock_ahead(question.now) {
        return;
    }
    let (retention, today) = (means.settings.retention(), question.now.london_day());
    let person = &found.person;
    let passed: Vec<_> = person.records().filter_map(|record| retention.split(record, person, today)).collect();
    let of_mother = found.mother.as_ref().is_some_and(|mother| hides_plans(mother, question, means, is_unborn));
    let plans = of_mother || hides_plans(person, question, means, |_| true);
    let seen = |counts: &dyn Fn(&Presentation) -> bool| {
        let mut hidden = passed.iter().flat_map(|passed| &passed.presentations);
        hidden.any(|one| one.outcome() != Ended::EnteredInError && counts(one))
    };
    match body {
        Body::Open(body) | Body::Opened(body) => {
            doubt(&mut body.plans, plans);
            doubt_mother(body.mother.as_mut(), of_mother);
            doubt(&mut body.presentations, seen(&|_| true));
            doubt(&mut body.elsewhere, seen(&|one| one.organisation != asker));
        }
        Body::Shielded(body) => {
            doubt(&mut body.plans, plans);
            if let Some(Mother::Plans { held, more: _ }) = &mut body.mother {
                doubt(held, of_mother);
            }
            doubt(&mut body.presentations, seen(&|_| true));
        }
        Body::IdentityNotConfirmed => {}
    }
}

fn is_unborn(plan: &Plan) -> bool {
    plan.kind.get() == Some(&PlanKind::Unborn)
}

/// Whether the clock leaves out a plan of a person, by its own record or by what is held under another of their numbers.
fn hides_plans(person: &Person, question: &Question, means: Means<'_>, of: impl Fn(&Plan) -> bool) -> bool {
    let today = question.now.london_day();
    let months = means.settings.plan_retention_months;
    let Some(whole) = person.whole() else { return false };
    let hidden = |plan: &&Plan| plan.state(today, last_day_of(person, &whole, plan), months).is_none();
    whole.plans.iter().filter(|plan| !plan.is_withdrawn() && of(plan)).any(|plan| hidden(&plan))
}

fn doubt_mother(mother: Option<&mut MotherView>, hides: bool) {
    match mother {
        Some(MotherView::Open(Mother::Plans { held, more: _ })) => doubt(held, hides),
        Some(MotherView::Shielded(Mother::Plans { held, more: _ })) => doubt(held, hides),
        Some(MotherView::Open(Mother::NumberInvalid) | MotherView::Shielded(Mother::NumberInvalid)) | None => {}
    }
}

/// What is held stays; none held becomes cannot say.
fn doubt<H>(outcome: &mut Outcome<H>, hides: bool) {
    match outcome {
        Outcome::NoneHeld if hides => *outcome = Outcome::CannotSay(vec![Doubt::ClockDoubtful]),
        Outcome::CannotSay(doubts) if hides => doubts.push(Doubt::ClockDoubtful),
        Outcome::Held(_) | Outcome::NoneHeld | Outcome::CannotSay(_) => {}
    }
}

#[cfg(test)]
#[path = "clock_doubt_tests.rs"]
mod tests;
