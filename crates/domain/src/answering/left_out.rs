//! Leaving out of an answer what the policy does not show. Outcomes, doubts, counts, what happened and whom to ring are never
//! touched. Everything is taken apart field by field, so that a new part of an answer stops the build until somebody decides
//! about it.

use crate::answer::{
    Answer, Body, Completeness, Numbers, OpenBody, Outcome, PresentationView, Seen, ShieldedBody, Siblings,
};
use crate::fields::{Field, FieldSet};

/// The answer with `shown` alone of the fields that may be left out.
pub(super) fn leave_out(answer: Answer, shown: FieldSet) -> Answer {
    let not_shown = shown.others();
    if not_shown.is_empty() {
        return answer;
    }
    let Answer { as_of, identity, number_traced, numbers, died_on, ring, body, not_shown: _, withheld, brokered } =
        answer;
    let numbers = if shown.has(Field::Numbers) { numbers } else { Numbers::default() };
    let body = match body {
        Body::Open(body) => Body::Open(open(body, shown)),
        Body::Shielded(body) => Body::Shielded(shielded(body, shown)),
        Body::Opened(body) => Body::Opened(open(body, shown)),
        Body::IdentityNotConfirmed => Body::IdentityNotConfirmed,
    };
    Answer { as_of, identity, number_traced, numbers, died_on, ring, body, not_shown, withheld, brokered }
}

fn open(body: OpenBody, shown: FieldSet) -> OpenBody {
    let OpenBody {
        plans,
        more_plans,
        plan_completeness,
        presentations,
        elsewhere,
        presentation_completeness,
        accesses,
        more_accesses,
        siblings,
        mother,
    } = body;
    let history = shown.has(Field::History);
    OpenBody {
        plans,
        more_plans,
        plan_completeness: named(plan_completeness, shown),
        presentations: if shown.has(Field::VisitPlaces) { presentations } else { without_places(presentations) },
        elsewhere,
        presentation_completeness: named(presentation_completeness, shown),
        accesses: if history { accesses } else { Vec::new() },
        more_accesses: if history { more_accesses } else { 0 },
        siblings: if shown.has(Field::Siblings) { siblings } else { Siblings::NotShown },
        mother: mother.filter(|_| shown.has(Field::Mother)),
    }
}

fn shielded(body: ShieldedBody, shown: FieldSet) -> ShieldedBody {
    let ShieldedBody {
        plans,
        more_plans,
        plan_completeness,
        presentations,
        presentation_completeness,
        looked_up_days,
        siblings,
        mother,
    } = body;
    ShieldedBody {
        plans,
        more_plans,
        plan_completeness,
        presentations,
        presentation_completeness,
        looked_up_days: if shown.has(Field::History) { looked_up_days } else { 0 },
        siblings: if shown.has(Field::Siblings) { siblings } else { Siblings::NotShown },
        mother: mother.filter(|_| shown.has(Field::Mother)),
    }
}

fn named<C>(known: Completeness<Vec<C>>, shown: FieldSet) -> Completeness<Vec<C>> {
    let Completeness { counts, named } = known;
    Completeness { counts, named: if shown.has(Field::NamedFeeds) { named } else { Vec::new() } }
}

/// Presentations elsewhere without organisation and site; the asker knows its own.
fn without_places(presentations: Outcome<Seen>) -> Outcome<Seen> {
    let Outcome::Held(Seen { here, elsewhere, beyond_here, beyond_elsewhere }) = presentations else {
        return presentations;
    };
    let one = |view| {
        let PresentationView { organisation: _, details, outcome } = view;
        let details = details.map(|(_, arrived_at, setting, complaint)| (None, arrived_at, setting, complaint));
        PresentationView { organisation: None, details, outcome }
    };
    let elsewhere = elsewhere.into_iter().map(one).collect();
    Outcome::Held(Seen { here, elsewhere, beyond_here, beyond_elsewhere })
}

#[cfg(test)]
#[path = "left_out_tests.rs"]
mod tests;
