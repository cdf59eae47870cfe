//! The blocks about siblings and about the mother's unborn plans. Neither changes what the two questions say; what asks for
//! attention is a sibling of whom something is told, and a plan on the mother's record.

use kith_api::v1;

use super::{Page, answer, blocks};
use crate::words;

/// The headline about siblings, where something is told of one.
pub fn headline(page: &mut Page, answer: &v1::Answer) {
    let Some(siblings) = &answer.siblings else { return };
    let (planned, injured) = counts(siblings);
    let parts = [(planned, "on a plan"), (injured, "seen with an INJURY")];
    let parts: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    if !parts.is_empty() {
        page.attention(0, 17, &format!("SIBLINGS         {}", parts.join(", ")));
    } else if !siblings.notices.is_empty() {
        page.attention(0, 17, "SIBLINGS         something is told: read below");
    }
}

fn counts(siblings: &v1::SiblingAnswer) -> (usize, usize) {
    let count = |holds: fn(&&v1::SiblingNotice) -> bool| siblings.notices.iter().filter(holds).count();
    (count(|notice| !notice.plans.is_empty()), count(|notice| notice.seen_with_injury))
}

/// The block about siblings; none where the answer has no such part.
pub fn siblings(page: &mut Page, answer: &v1::Answer) {
    let Some(v1::SiblingAnswer { linked, notices, unshown, beyond, injury_days, words }) = &answer.siblings else {
        return;
    };
    match v1::SiblingLink::try_from(*linked) {
        Ok(v1::SiblingLink::NoReference) => page.text(0, 3, "SIBLINGS not known"),
        Ok(v1::SiblingLink::Reference) => page.text(0, 3, "SIBLINGS"),
        Ok(v1::SiblingLink::NotShown) => page.attention(0, 3, "SIBLINGS not shown to you"),
        Ok(v1::SiblingLink::Unspecified) | Err(_) => {
            page.attention(0, 3, "SIBLINGS COULD NOT ASK: no answer that this program knows.");
        }
    }
    page.text(3, 3, words);
    for notice in notices {
        one_sibling(page, notice, *injury_days, answer.shielded);
    }
    for (n, what) in [(*unshown, "known, of whom nothing is shown here"), (*beyond, "more, not looked at")] {
        if n > 0 {
            page.text(3, 5, &format!("- {n} {what}"));
        }
    }
    page.gap();
}

fn one_sibling(page: &mut Page, notice: &v1::SiblingNotice, injury_days: u32, shielded: bool) {
    let v1::SiblingNotice { plans, seen_with_injury, ring } = notice;
    for v1::SiblingPlan { kind, state } in plans {
        let unborn = *kind == i32::from(v1::PlanKind::Unborn);
        let who = if unborn { "An UNBORN sibling is on a plan" } else { "A sibling is on a plan" };
        page.attention(3, 5, &format!("- {who}: {}, {}", words::plan_kind(*kind), blocks::state(*state)));
    }
    if *seen_with_injury {
        page.attention(3, 5, &format!("- A sibling was seen with an INJURY in the last {injury_days} days"));
    }
    if plans.is_empty() && !seen_with_injury {
        page.attention(3, 5, "- Something is told of a sibling that this program does not know");
    }
    match ring {
        Some(v1::Contact { name, phone, why, code: _ }) => page.text(5, 5, &format!("Ring {name} on {phone} ({why})")),
        None if shielded => page.text(5, 5, "authority not shown: shielded record"),
        None => page.text(5, 5, "no number to ring was given"),
    }
}

/// The block about the mother's unborn plans; none where her number was not given.
pub fn mother(page: &mut Page, answer: &v1::Answer) {
    let Some(v1::MotherAnswer { outcome: _, plans, more, doubts, shielded, words }) = &answer.mother else { return };
    page.gap();
    if *shielded && !answer.shielded {
        page.attention(3, 3, "THE MOTHER'S RECORD IS SHIELDED: never reveal where she is.");
    }
    if plans.is_empty() {
        page.text(3, 3, words)
    } else {
        page.attention(3, 3, words)
    }
    for plan in plans {
        blocks::one_plan(page, plan, *shielded || answer.shielded);
    }
    if *more > 0 {
        page.text(3, 5, &format!("Held and not listed here: {more} more"));
    }
    answer::doubts(page, &v1::Completeness { doubts: doubts.clone(), ..v1::Completeness::default() });
}
