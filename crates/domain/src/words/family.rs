//! Siblings and the mother's unborn plans in words. Neither part ever says that there is nothing to look for: it tells what
//! authorities have linked, and that it is no more than that.

use super::{NOT_REASSURANCE, WITHHELD, details, doubt_words, held_states};
use crate::answer::{Answer, Body, KnownSiblings, Mother, MotherView, Outcome, SiblingNotice, Siblings};
use crate::directory::{Contact, Directory};
use crate::plan::{PlanKind, PlanState};

/// Said of siblings, whatever is told of them.
pub const ONLY_LINKED: &str = "This lists only what authorities have linked: ask about other children in the home.";

/// Words of the sibling part; none where the answer is withheld.
#[must_use]
pub fn siblings(answer: &Answer) -> Option<String> {
    match &answer.body {
        Body::IdentityNotConfirmed => None,
        Body::Open(body) | Body::Opened(body) => Some(of(&body.siblings)),
        Body::Shielded(body) => Some(of(&body.siblings)),
    }
}

fn of<R>(siblings: &Siblings<R>) -> String {
    let known = match siblings {
        Siblings::NoReference => {
            let none = "Siblings: NOT KNOWN: no authority has given a family reference.";
            return [none, " ", ONLY_LINKED].concat();
        }
        Siblings::NotShown => return ["Siblings: NOT SHOWN TO YOU, whatever is known. ", ONLY_LINKED].concat(),
        Siblings::Known(known) => known,
    };
    let KnownSiblings { notices, unshown, beyond, injury_days } = known;
    let is_unborn = |notice: &&SiblingNotice<R>| notice.plans.iter().any(|(kind, _)| *kind == Some(PlanKind::Unborn));
    let unborn = notices.iter().filter(is_unborn).count();
    let planned = notices.iter().filter(|notice| !notice.plans.is_empty()).count() - unborn;
    let injured = notices.iter().filter(|notice| notice.injured).count();
    let parts = [
        (planned > 0, format!("{planned} on a plan")),
        (unborn > 0, format!("{unborn} UNBORN on a plan")),
        (injured > 0, format!("{injured} seen with an INJURY in the last {injury_days} days")),
        (*unshown > 0, format!("{unshown} known of whom nothing is shown here")),
        (*beyond > 0, format!("{beyond} more not looked at")),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|(holds, _)| *holds).map(|(_, part)| part).collect();
    match parts.is_empty() {
        true => format!("Siblings: a family reference is held, and no other child here carries it. {ONLY_LINKED}"),
        false => format!("Siblings: KNOWN: {}. {ONLY_LINKED}", parts.join("; ")),
    }
}

/// One line for each sibling of whom something is told.
pub(super) fn sibling_details(body: &Body) -> Vec<String> {
    match body {
        Body::Open(body) | Body::Opened(body) => details_of(&body.siblings, |Contact { name, phone, why, code: _ }| {
            Some(format!("ring {name} on {phone} ({why})"))
        }),
        Body::Shielded(body) => details_of(&body.siblings, |()| None),
        Body::IdentityNotConfirmed => Vec::new(),
    }
}

fn details_of<R>(siblings: &Siblings<R>, ring: impl Fn(&R) -> Option<String>) -> Vec<String> {
    let Siblings::Known(known) = siblings else { return Vec::new() };
    let one = |notice: &SiblingNotice<R>| {
        let mut parts: Vec<String> = notice.plans.iter().map(|(kind, state)| on_a_plan(*kind, *state)).collect();
        let injury = || format!("a sibling was seen with an INJURY in the last {} days", known.injury_days);
        parts.extend(notice.injured.then(injury));
        parts.extend(ring(&notice.ring));
        format!("{}{}", details::MARK, parts.join("; "))
    };
    known.notices.iter().map(one).collect()
}

fn on_a_plan(kind: Option<PlanKind>, state: PlanState) -> String {
    let (who, kind) = match kind {
        Some(PlanKind::ChildProtection) => ("a sibling is on a plan", "child protection plan"),
        Some(PlanKind::LookedAfter) => ("a sibling is on a plan", "looked-after child"),
        Some(PlanKind::Unborn) => ("an UNBORN sibling is on a plan", "on the mother's record"),
        None => ("a sibling is on a plan", "plan of unknown kind"),
    };
    let state = match state {
        PlanState::Active => "IN FORCE",
        PlanState::Future => "starts later",
        PlanState::Ended => "ended",
    };
    format!("{who}: {kind}, {state}")
}

/// How many of the mother's unborn plans are held, by state; empty when none is.
pub(super) fn held_of_mother(body: &Body) -> String {
    let states = match body {
        Body::Open(body) | Body::Opened(body) => match &body.mother {
            Some(MotherView::Open(Mother::Plans { held, .. })) => held_states(held, |plan| plan.state),
            Some(MotherView::Shielded(Mother::Plans { held, .. })) => held_states(held, |plan| plan.state),
            Some(MotherView::Open(Mother::NumberInvalid) | MotherView::Shielded(Mother::NumberInvalid)) | None => {
                String::new()
            }
        },
        Body::Shielded(body) => match &body.mother {
            Some(Mother::Plans { held, .. }) => held_states(held, |plan| plan.state),
            Some(Mother::NumberInvalid) | None => String::new(),
        },
        Body::IdentityNotConfirmed => String::new(),
    };
    if states.is_empty() { states } else { format!("of an UNBORN child, on the mother's record: {states}") }
}

/// Words of the mother's part; none where no number of hers was given, and where the answer is withheld.
#[must_use]
pub fn mother(answer: &Answer) -> Option<String> {
    let shielded = "HER RECORD IS SHIELDED: never reveal where she is. ";
    match &answer.body {
        Body::IdentityNotConfirmed => None,
        Body::Open(body) | Body::Opened(body) => match body.mother.as_ref()? {
            MotherView::Open(part) => Some(of_mother(part, "", answer)),
            MotherView::Shielded(part) => Some(of_mother(part, shielded, answer)),
        },
        Body::Shielded(body) => Some(of_mother(body.mother.as_ref()?, "", answer)),
    }
}

fn of_mother<P>(part: &Mother<P>, first: &str, answer: &Answer) -> String {
    let compared = "Her number was not compared with a date of birth: check that it is hers.";
    match part {
        Mother::NumberInvalid => "Mother: CANNOT SAY: her NHS number is not valid any more and could not be used. \
                                  Trace her anew, and ask by telephone."
            .to_owned(),
        Mother::Plans { held: Outcome::Held(listed), more: 0 } if listed.is_empty() => {
            format!("Mother: {first}HELD: {WITHHELD}. {compared}")
        }
        Mother::Plans { held: Outcome::Held(_), more } => {
            let more = if *more > 0 { format!(" {more} more are held than listed.") } else { String::new() };
            format!(
                "Mother: {first}HELD: an UNBORN child of hers is or was on a plan: it may be this baby.{more} {compared}"
            )
        }
        Mother::Plans { held: Outcome::NoneHeld, .. } => {
            let as_of = answer.as_of.london_text();
            format!("Mother: {first}no plan of an unborn child held as of {as_of}. {compared} {NOT_REASSURANCE}")
        }
        Mother::Plans { held: Outcome::CannotSay(doubts), .. } => {
            let why: Vec<&str> = doubts.iter().map(|doubt| doubt_words(*doubt)).collect();
            format!("Mother: {first}CANNOT SAY: {}. {compared} Ask by telephone.", why.join("; "))
        }
    }
}

/// One line for each of the mother's unborn plans.
pub(super) fn mother_details(body: &Body, directory: &Directory) -> Vec<String> {
    let placeless = |part: &Mother<_>| match part {
        Mother::Plans { held: Outcome::Held(plans), .. } => plans.iter().map(details::shielded_plan).collect(),
        Mother::Plans { .. } | Mother::NumberInvalid => Vec::new(),
    };
    match body {
        Body::Open(body) | Body::Opened(body) => match &body.mother {
            Some(MotherView::Open(Mother::Plans { held: Outcome::Held(plans), .. })) => {
                plans.iter().map(|plan| details::open_plan(plan, directory)).collect()
            }
            Some(MotherView::Shielded(part)) => placeless(part),
            Some(MotherView::Open(_)) | None => Vec::new(),
        },
        Body::Shielded(body) => body.mother.as_ref().map(placeless).unwrap_or_default(),
        Body::IdentityNotConfirmed => Vec::new(),
    }
}
