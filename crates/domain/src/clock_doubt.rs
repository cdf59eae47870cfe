//! What a wrong clock hides must not read as none held. Where our clock runs too far ahead of what senders tell of, what
//! is held and has passed its retention by that clock makes "cannot say" of "none held". Nothing held is hidden by it.

use crate::answer::{Body, Doubt, Outcome, Question};
use crate::answering::Means;
use crate::codes::OdsCode;
use crate::links::Person;
use crate::presentation::{Outcome as Ended, Presentation};

/// Adds the doubt to the outcomes from which something held is left out by a clock that is not believed.
pub(crate) fn tell(body: &mut Body, person: &Person, question: &Question, asker: OdsCode, means: Means<'_>) {
    if !means.feeds.is_clock_ahead(question.now) {
        return;
    }
    let (retention, today) = (means.settings.retention(), question.now.london_day());
    let passed: Vec<_> = person.records().filter_map(|record| retention.split(record, today)).collect();
    let plans = passed.iter().flat_map(|passed| &passed.plans).any(|plan| !plan.is_withdrawn());
    let seen = |counts: &dyn Fn(&Presentation) -> bool| {
        let mut hidden = passed.iter().flat_map(|passed| &passed.presentations);
        hidden.any(|one| one.outcome() != Ended::EnteredInError && counts(one))
    };
    match body {
        Body::Open(body) => {
            doubt(&mut body.plans, plans);
            doubt(&mut body.presentations, seen(&|_| true));
            doubt(&mut body.elsewhere, seen(&|one| one.organisation != asker));
        }
        Body::Shielded(body) => {
            doubt(&mut body.plans, plans);
            doubt(&mut body.presentations, seen(&|_| true));
        }
        Body::IdentityNotConfirmed => {}
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
