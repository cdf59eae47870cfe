//! The words of an answer, as a tired person reads them. They raise attention and never lower it: every "none held" says
//! as of when, what is not known, and that it is not reassurance.

use crate::answer::{Answer, Body, Doubt, OpenBody, Outcome, ShieldedBody};
use crate::feed::FeedCounts;
use crate::identity::IdentityCheck;
use crate::plan::PlanState;
use crate::time::Moment;

/// Said with every "none held".
pub const NOT_REASSURANCE: &str = "This is not reassurance: use your own judgement and procedures.";
/// Said when a check-in could not record.
pub const NOT_RECORDED: &str = "presentation NOT recorded, send again";
/// Said when no answer can be given.
pub const TELEPHONE: &str = "Kith could not be asked: use the telephone procedure.";

/// Words of the identity check.
#[must_use]
pub fn identity(check: IdentityCheck) -> &'static str {
    match check {
        IdentityCheck::Matched => "Date of birth matches the one held.",
        IdentityCheck::NotGiven => "No date of birth was given: check that this is the right person.",
        IdentityCheck::NothingToCompare => "No date of birth is held to compare with.",
        IdentityCheck::NearMiss => {
            "WARNING: date of birth nearly matches (swapped or one digit off). Check who this is."
        }
        IdentityCheck::DiffersFromPresentation => {
            "WARNING: date of birth differs from the one another department recorded. Check who this is."
        }
        IdentityCheck::NotConfirmed => {
            "IDENTITY NOT CONFIRMED: date of birth differs from the authority's. The answer is withheld. Ring the number shown."
        }
    }
}

/// Words of the plan answer.
#[must_use]
pub fn plans(answer: &Answer) -> String {
    match &answer.body {
        Body::IdentityNotConfirmed => "Plans: withheld, identity not confirmed.".to_owned(),
        Body::Open(body) => {
            let states = held_states(&body.plans, |plan| plan.state);
            question("Plans", "on record", states, &body.plans, &body.plan_completeness.counts, answer.as_of)
        }
        Body::Shielded(body) => {
            let states = held_states(&body.plans, |plan| plan.state);
            question("Plans", "on record", states, &body.plans, &body.plan_completeness.counts, answer.as_of)
        }
    }
}

fn held_states<P>(outcome: &Outcome<Vec<P>>, state: impl Fn(&P) -> PlanState) -> String {
    let Outcome::Held(plans) = outcome else { return String::new() };
    let count = |wanted| plans.iter().filter(|plan| state(plan) == wanted).count();
    let parts = [(PlanState::Active, "in force"), (PlanState::Future, "starting later"), (PlanState::Ended, "ended")];
    let parts = parts.map(|(wanted, word)| (count(wanted), word));
    let parts: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    parts.join(", ")
}

/// Words of the presentation answer.
#[must_use]
pub fn presentations(answer: &Answer, window_days: i32) -> String {
    match &answer.body {
        Body::IdentityNotConfirmed => "Presentations: withheld, identity not confirmed.".to_owned(),
        Body::Open(body) => open_presentations(body, answer.as_of, window_days),
        Body::Shielded(body) => shielded_presentations(body, answer.as_of, window_days),
    }
}

fn open_presentations(body: &OpenBody, as_of: Moment, window_days: i32) -> String {
    let counts = &body.presentation_completeness.counts;
    let held = match &body.presentations {
        Outcome::Held(seen) => {
            let elsewhere = match &body.elsewhere {
                Outcome::Held(()) => format!("{} elsewhere", seen.elsewhere.len()),
                Outcome::NoneHeld => "none held from elsewhere".to_owned(),
                Outcome::CannotSay(_) => "elsewhere: CANNOT SAY".to_owned(),
            };
            let more = beyond(seen.beyond_window, seen.beyond_cap);
            format!("{elsewhere}, {} here in {window_days} days{more}", seen.here.len())
        }
        Outcome::NoneHeld | Outcome::CannotSay(_) => String::new(),
    };
    question("Presentations", "from any hospital", held, &body.presentations, counts, as_of)
}

fn shielded_presentations(body: &ShieldedBody, as_of: Moment, window_days: i32) -> String {
    let held = match &body.presentations {
        Outcome::Held(seen) => {
            let more = beyond(seen.beyond_window, seen.beyond_cap);
            format!("{} in {window_days} days{more}, places not shown", seen.presentations.len())
        }
        Outcome::NoneHeld | Outcome::CannotSay(_) => String::new(),
    };
    question(
        "Presentations",
        "from any hospital",
        held,
        &body.presentations,
        &body.presentation_completeness.counts,
        as_of,
    )
}

fn beyond(window: u32, cap: u32) -> String {
    match (window, cap) {
        (0, 0) => String::new(),
        (older, 0) => format!(", {older} older held"),
        (0, cut) => format!(", {cut} more not listed"),
        (older, cut) => format!(", {cut} more not listed, {older} older held"),
    }
}

/// One question's line.
fn question<H>(
    what: &str,
    kind: &str,
    held: String,
    outcome: &Outcome<H>,
    counts: &FeedCounts,
    as_of: Moment,
) -> String {
    let feeds = feeds(counts);
    match outcome {
        Outcome::Held(_) => format!("{what}: HELD: {held}. {feeds}"),
        Outcome::NoneHeld => {
            format!("{what}: none held {kind} as of {}. {feeds} {NOT_REASSURANCE}", as_of.london_text())
        }
        Outcome::CannotSay(doubts) => {
            let why: Vec<&str> = doubts.iter().map(|doubt| doubt_words(*doubt)).collect();
            format!("{what}: CANNOT SAY: {}. {feeds} Ask by telephone.", why.join("; "))
        }
    }
}

fn doubt_words(doubt: Doubt) -> &'static str {
    match doubt {
        Doubt::OwnFeedStale => "a sender that this record points to has not been heard of in time",
        Doubt::TooManyFeedsStale => "too many senders have not been heard of in time",
        Doubt::NoNhsNumber => "no NHS number was given, and records elsewhere are found by it",
    }
}

/// What the feeds say of completeness.
fn feeds(counts: &FeedCounts) -> String {
    let all = counts.feeds();
    if counts.fresh == all && all > 0 {
        let age = counts.oldest_fresh_seconds.map(minutes).unwrap_or_default();
        return format!("All {all} senders heard of in time{age}.");
    }
    format!("Of {all} senders {} not heard of in time, {} never heard of.", counts.stale, counts.absent)
}

fn minutes(seconds: u64) -> String {
    format!(", the oldest {} min ago", seconds / 60)
}

/// The lines a person reads, most important first.
#[must_use]
pub fn lines(answer: &Answer, window_days: i32) -> Vec<String> {
    let mut lines = Vec::with_capacity(6);
    match &answer.body {
        Body::Shielded(_) => lines.push("SHIELDED RECORD: never reveal where this child is.".to_owned()),
        Body::Open(_) | Body::IdentityNotConfirmed => {}
    }
    let check = identity(answer.identity).to_owned();
    let first = matches!(
        answer.identity,
        IdentityCheck::NotConfirmed | IdentityCheck::NearMiss | IdentityCheck::DiffersFromPresentation
    );
    if first {
        lines.push(check.clone());
    }
    lines.push(plans(answer));
    lines.push(presentations(answer, window_days));
    if !first {
        lines.push(check);
    }
    if !answer.number_traced {
        lines.push("The NHS number was not traced: a record may stand under another number.".to_owned());
    }
    lines.push(format!("Ring {} on {} ({}).", answer.ring.name, answer.ring.phone, answer.ring.why));
    lines
}
