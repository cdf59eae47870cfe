//! Siblings and the mother's unborn plans on the wire. Where no place may be told, the types have no field for one.

use super::answer::{doubts, open_plan, outcome, shielded_plan};
use super::words;
use crate::v1;
use kith_domain::answer::{Answer, Body, KnownSiblings, Mother, MotherView, Outcome, SiblingNotice, Siblings};
use kith_domain::directory::{Contact, Directory};
use kith_domain::words::family as lines;

/// A number to ring.
pub(super) fn contact(contact: &Contact) -> v1::Contact {
    let Contact { code, name, phone, why } = contact.clone();
    v1::Contact { name, phone, why, code }
}

/// The sibling part; absent where the answer is withheld.
pub(super) fn siblings(answer: &Answer) -> Option<v1::SiblingAnswer> {
    let mut part = match &answer.body {
        Body::Open(body) | Body::Opened(body) => of(&body.siblings, |ring| Some(contact(ring))),
        Body::Shielded(body) => of(&body.siblings, |()| None),
        Body::IdentityNotConfirmed => return None,
    };
    part.words = lines::siblings(answer).unwrap_or_default();
    Some(part)
}

fn of<R>(siblings: &Siblings<R>, ring: impl Fn(&R) -> Option<v1::Contact>) -> v1::SiblingAnswer {
    let known = match siblings {
        Siblings::NoReference => {
            let linked = v1::SiblingLink::NoReference.into();
            return v1::SiblingAnswer { linked, ..v1::SiblingAnswer::default() };
        }
        Siblings::NotShown => {
            let linked = v1::SiblingLink::NotShown.into();
            return v1::SiblingAnswer { linked, ..v1::SiblingAnswer::default() };
        }
        Siblings::Known(known) => known,
    };
    let KnownSiblings { notices, unshown, beyond, injury_days } = known;
    let one = |notice: &SiblingNotice<R>| {
        let SiblingNotice { plans, injured, ring: whom } = notice;
        let plan = |(kind, state): &(Option<_>, _)| v1::SiblingPlan {
            kind: kind.map_or(v1::PlanKind::Unspecified, words::kind).into(),
            state: words::plan_state(*state).into(),
        };
        v1::SiblingNotice { plans: plans.iter().map(plan).collect(), seen_with_injury: *injured, ring: ring(whom) }
    };
    v1::SiblingAnswer {
        linked: v1::SiblingLink::Reference.into(),
        notices: notices.iter().map(one).collect(),
        unshown: *unshown,
        beyond: *beyond,
        injury_days: u32::try_from(*injury_days).unwrap_or(0),
        words: String::new(),
    }
}

/// The mother's part; absent where her number was not given, and where the answer is withheld.
pub(super) fn mother(answer: &Answer, directory: &Directory) -> Option<v1::MotherAnswer> {
    let mut part = match &answer.body {
        Body::Open(body) | Body::Opened(body) => match body.mother.as_ref()? {
            MotherView::Open(part) => of_mother(part, false, |plan| open_plan(plan, directory)),
            MotherView::Shielded(part) => of_mother(part, true, shielded_plan),
        },
        Body::Shielded(body) => of_mother(body.mother.as_ref()?, true, shielded_plan),
        Body::IdentityNotConfirmed => return None,
    };
    part.words = lines::mother(answer).unwrap_or_default();
    Some(part)
}

fn of_mother<P>(part: &Mother<P>, shielded: bool, plan: impl Fn(&P) -> v1::Plan) -> v1::MotherAnswer {
    let (held, more) = match part {
        Mother::NumberInvalid => {
            let outcome = v1::Outcome::IdentityNotConfirmed.into();
            return v1::MotherAnswer { outcome, shielded, ..v1::MotherAnswer::default() };
        }
        Mother::Plans { held, more } => (held, *more),
    };
    let plans = match held {
        Outcome::Held(plans) => plans.iter().map(plan).collect(),
        Outcome::NoneHeld | Outcome::CannotSay(_) => Vec::new(),
    };
    let doubts = doubts(held).iter().map(|doubt| words::doubt(*doubt).into()).collect();
    v1::MotherAnswer { outcome: outcome(held), plans, more, doubts, shielded, words: String::new() }
}
