//! The block of the first question, "on a plan?", and what both blocks share: how complete the answer is.

use kith_api::v1;

use super::{Page, answer::doubts};
use crate::reading::{self, Reading};
use crate::{dates, words};

/// What the headline adds for plans: the first one, and how many more.
pub fn plan_headline(answer: &v1::Answer, reading: Reading) -> String {
    if reading != Reading::Held {
        return String::new();
    }
    let Some(v1::PlanAnswer { plans, more, withheld, .. }) = &answer.plans else { return String::new() };
    let Some(first) = plans.first() else {
        let of_mother = answer.mother.as_ref().is_some_and(|mother| !mother.plans.is_empty());
        return match (of_mother, withheld) {
            (true, _) => ": an UNBORN child's plan, on the mother's record".to_owned(),
            (false, true) => ": WITHHELD by a person's decision, ring the number below".to_owned(),
            (false, false) => String::new(),
        };
    };
    let others = u64::from(*more) + u64::try_from(plans.len() - 1).unwrap_or(u64::MAX);
    let others = if others > 0 { format!(", and {others} more") } else { String::new() };
    format!(": {}, {}{others}", words::plan_kind(first.kind), state(first.state))
}

/// The block.
pub fn plans(page: &mut Page, answer: &v1::Answer) {
    let reading = reading::plans(answer);
    heading(page, "1. ON A PLAN?", reading);
    let Some(v1::PlanAnswer { outcome: _, plans, more, completeness, words, withheld }) = &answer.plans else {
        page.text(3, 3, "This part of the answer is missing.");
        return;
    };
    page.text(3, 3, words);
    for plan in plans {
        one_plan(page, plan, answer.shielded);
    }
    if *more > 0 {
        page.text(3, 5, &format!("Held and not listed here: {more} more"));
    }
    if *withheld {
        page.text(3, 5, "Held and WITHHELD by a person's decision: ring the number below");
    }
    shown_completeness(page, completeness.as_ref(), "local authorities", reading);
}

/// One plan.
pub fn one_plan(page: &mut Page, plan: &v1::Plan, shielded: bool) {
    let v1::Plan { kind, state: plan_state, start, end, authority, moving_to, moving } = plan;
    let began = start.map(|date| format!(", from {}", dates::show_date(date))).unwrap_or_default();
    let ends = end.map(|date| format!(", to {}", dates::show_date(date))).unwrap_or_default();
    page.text(3, 5, &format!("- {}, {}{began}{ends}", words::plan_kind(*kind), state(*plan_state)));
    match authority {
        Some(v1::Authority { code, name }) => page.text(5, 5, &format!("{name} ({code})")),
        None if shielded => page.text(5, 5, "authority not shown: shielded record"),
        None => page.text(5, 5, "authority not given"),
    }
    match (moving, moving_to) {
        (_, Some(v1::Authority { code, name })) => page.text(5, 5, &format!("MOVING to {name} ({code})")),
        (true, None) => page.text(5, 5, "MOVING to another authority"),
        (false, None) => {}
    }
}

/// State of a plan.
pub fn state(state: i32) -> &'static str {
    match v1::PlanState::try_from(state) {
        Ok(v1::PlanState::Active) => "IN FORCE",
        Ok(v1::PlanState::Future) => "STARTS LATER",
        Ok(v1::PlanState::Ended) => "ended",
        Ok(v1::PlanState::Unspecified) | Err(_) => "held, state unknown",
    }
}

/// The heading of a block.
pub fn heading(page: &mut Page, question: &str, reading: Reading) {
    let text = format!("{question} {}", reading.words());
    match reading {
        Reading::NoneHeld => page.text(0, 3, &text),
        Reading::Held | Reading::CannotSay | Reading::NotConfirmed | Reading::CouldNotAsk => {
            page.attention(0, 3, &text);
        }
    }
    if reading == Reading::CouldNotAsk {
        page.text(3, 3, "No answer that this program knows. Use the telephone procedure.");
    }
}

/// What the answer does not know.
pub fn shown_completeness(page: &mut Page, completeness: Option<&v1::Completeness>, who: &str, reading: Reading) {
    if reading == Reading::NotConfirmed {
        return;
    }
    let Some(completeness) = completeness else {
        page.text(3, 5, "How complete this is was not said.");
        return;
    };
    // The service's own words tell the age of the oldest.
    let v1::Completeness { feeds, fresh, stale, absent, named, oldest_fresh_seconds: _, doubts: _, thin, named_feeds } =
        completeness;
    doubts(page, completeness);
    let thin = if *thin > 0 { format!(", {thin} far below usual") } else { String::new() };
    page.text(
        3,
        5,
        &format!("Heard of in time: {fresh} of {feeds} {who}; {stale} late, {absent} never heard of{thin}."),
    );
    let by_name = named_feeds.iter().map(|v1::NamedFeed { code, name, state }| {
        if name.is_empty() || name == code {
            format!("{code} {}", words::feed_state(*state))
        } else {
            format!("{name} ({code}) {}", words::feed_state(*state))
        }
    });
    let by_name: Vec<String> = by_name.collect();
    if !by_name.is_empty() {
        page.attention(3, 5, &format!("Not to be relied on, and on this record: {}", by_name.join("; ")));
    } else if !named.is_empty() {
        // An older service tells codes alone.
        page.attention(3, 5, &format!("Late or never heard of, and on this record: {}", named.join(", ")));
    }
}
