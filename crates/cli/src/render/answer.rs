//! An answer for a tired person at three in the morning: what is held first, then whom to ring, then each question by
//! itself with what it does not know. The words of the service are shown as they are; none is left out.

use kith_api::v1;

use super::{Page, blocks, family, seen};
use crate::reading::{self, Identity, Reading};
use crate::{dates, words};

/// Accesses shown as text; the rest is counted.
const ACCESSES_SHOWN: usize = 8;

/// The whole answer.
pub fn page(answer: &v1::Answer, not_recorded: Option<&v1::NotRecorded>) -> Page {
    let mut page = Page::default();
    banner(&mut page, answer, not_recorded.is_some());
    identity(&mut page, answer);
    numbers(&mut page, answer);
    ring(&mut page, answer.ring.as_ref());
    for words in remaining_words(answer) {
        page.text(0, 2, words);
    }
    page.gap();
    blocks::plans(&mut page, answer);
    family::mother(&mut page, answer);
    page.gap();
    seen::presentations(&mut page, answer);
    page.gap();
    family::siblings(&mut page, answer);
    accesses(&mut page, answer);
    footer(&mut page, answer);
    if let Some(not_recorded) = not_recorded {
        recording_failed(&mut page, not_recorded);
    }
    page
}

fn banner(page: &mut Page, answer: &v1::Answer, not_recorded: bool) {
    page.rule();
    if answer.shielded {
        page.attention(0, 2, "SHIELDED RECORD: never reveal where this child is.");
    }
    if reading::identity(answer) == Identity::NotConfirmed {
        page.attention(0, 2, "IDENTITY NOT CONFIRMED: the answer is withheld. Ring the number below.");
    }
    let plans = reading::plans(answer);
    let plan_completeness = answer.plans.as_ref().and_then(|part| part.completeness.as_ref());
    let detail = blocks::plan_headline(answer, plans);
    headline(page, &format!("ON A PLAN?       {}{detail}", plans.words()), plans, plan_completeness);
    let (reading, detail) = seen::headline(answer);
    let seen_completeness = answer.presentations.as_ref().and_then(|part| part.completeness.as_ref());
    headline(page, &format!("SEEN ELSEWHERE?  {}{detail}", reading.words()), reading, seen_completeness);
    family::headline(page, answer);
    if not_recorded {
        page.attention(0, 2, "THIS PRESENTATION IS NOT RECORDED: read why below.");
    }
    page.rule();
}

/// One question's line; a "none held" never stands bare.
fn headline(page: &mut Page, text: &str, reading: Reading, completeness: Option<&v1::Completeness>) {
    match reading {
        Reading::NoneHeld => {
            let (silent, thin) =
                completeness.map_or((0, 0), |known| (known.stale.saturating_add(known.absent), known.thin));
            let silent = match (silent, thin) {
                (0, 0) => String::new(),
                (silent, 0) => format!("; {silent} senders late or never heard of"),
                (silent, thin) => {
                    format!("; {} senders late, far below usual or never heard of", silent.saturating_add(thin))
                }
            };
            page.text(0, 17, &format!("{text}: this is NOT reassurance{silent}"));
        }
        Reading::Held | Reading::CannotSay | Reading::NotConfirmed | Reading::CouldNotAsk => {
            page.attention(0, 17, text);
        }
    }
}

fn identity(page: &mut Page, answer: &v1::Answer) {
    let said = answer.identity.as_ref().map_or("", |identity| identity.words.as_str());
    match reading::identity(answer) {
        Identity::Answered { warning: false } => page.text(0, 10, &format!("IDENTITY: {said}")),
        Identity::Answered { warning: true } => page.attention(0, 10, &format!("IDENTITY: {said}")),
        Identity::NotConfirmed => page.attention(0, 2, said),
        Identity::Unknown => page.attention(
            0,
            10,
            &format!("IDENTITY: COULD NOT ASK: this program does not know the identity answer. {said}"),
        ),
    }
}

/// Under which other numbers facts are shown, and a death that has been told.
fn numbers(page: &mut Page, answer: &v1::Answer) {
    let Some(v1::IdentityAnswer { current_nhs_number, other_nhs_numbers, local_keys, died_on, .. }) = &answer.identity
    else {
        return;
    };
    if let Some(day) = died_on {
        let day = dates::show_date(*day);
        page.attention(0, 10, &format!("WARNING: a death on {day} is recorded for this person. Check who this is."));
    }
    if let Some(number) = current_nhs_number {
        page.attention(0, 10, &format!("This number has been REPLACED by NHS number {number}: use that one."));
    }
    if !other_nhs_numbers.is_empty() {
        let others = other_nhs_numbers.join(", ");
        page.text(0, 10, &format!("What is held under NHS number {others} is shown too: it is the same person."));
    }
    if *local_keys > 0 {
        page.text(0, 10, "What was held before this person had an NHS number is shown too.");
    }
}

fn ring(page: &mut Page, ring: Option<&v1::Contact>) {
    page.gap();
    let Some(v1::Contact { name, phone, why, code }) = ring else {
        page.attention(0, 5, "RING no number was given: use the telephone procedure.");
        return;
    };
    let code = if code.is_empty() { String::new() } else { format!(" ({code})") };
    page.attention(0, 5, &format!("RING {phone}"));
    page.text(5, 5, &format!("{name}{code}"));
    page.text(5, 5, &format!("Why: {why}"));
    page.gap();
}

/// Lines of the service that no block shows.
fn remaining_words(answer: &v1::Answer) -> impl Iterator<Item = &str> {
    let own = [
        answer.identity.as_ref().map(|part| part.words.as_str()),
        answer.plans.as_ref().map(|part| part.words.as_str()),
        answer.presentations.as_ref().map(|part| part.words.as_str()),
        answer.siblings.as_ref().map(|part| part.words.as_str()),
        answer.mother.as_ref().map(|part| part.words.as_str()),
    ];
    let ring = answer.ring.as_ref().map(|ring| ring.phone.as_str()).unwrap_or_default();
    answer.words.iter().map(String::as_str).filter(move |line| {
        let in_block = own.contains(&Some(*line));
        let in_ring = line.starts_with("Ring ") && !ring.is_empty() && line.contains(ring);
        let in_banner = answer.shielded && line.starts_with("SHIELDED RECORD");
        // The blocks tell plans and presentations one by one from the answer's lists.
        let in_list = line.starts_with("- ");
        !(in_block || in_ring || in_banner || in_list)
    })
}

fn accesses(page: &mut Page, answer: &v1::Answer) {
    let Some(v1::AccessHistory { accesses, more }) = &answer.access_history else { return };
    if accesses.is_empty() && *more == 0 {
        page.text(0, 2, "LOOKED UP BEFORE: no unscheduled lookup on record; somebody may have looked.");
        page.gap();
        return;
    }
    if answer.shielded && accesses.is_empty() {
        page.text(0, 2, "LOOKED UP BEFORE (unscheduled)");
        let days = if *more == 1 { "one day".to_owned() } else { format!("{more} days") };
        page.text(2, 6, &format!("on {days}; who looked is not listed of a shielded record"));
        page.gap();
        return;
    }
    page.text(0, 2, "LOOKED UP BEFORE (unscheduled, newest first)");
    for access in accesses.iter().take(ACCESSES_SHOWN) {
        page.text(2, 6, &format!("- {}", access_line(access)));
    }
    let left = u64::from(*more) + u64::try_from(accesses.len().saturating_sub(ACCESSES_SHOWN)).unwrap_or(u64::MAX);
    if left > 0 {
        page.text(2, 6, &format!("and {left} more on record, not listed here"));
    }
    page.gap();
}

fn access_line(access: &v1::Access) -> String {
    let v1::Access { first_at, last_at, count, user_name, user_role, organisation, organisation_name } = access;
    let at = last_at.as_ref().or(first_at.as_ref()).map_or_else(|| "time not given".to_owned(), dates::show_moment);
    let place = if organisation_name.is_empty() { organisation } else { organisation_name };
    let times = if *count > 1 { format!(" ({count} times)") } else { String::new() };
    format!("{at}  {user_name}, {user_role}, {place}{times}")
}

fn footer(page: &mut Page, answer: &v1::Answer) {
    let at = answer.as_of.as_ref().map_or_else(|| "time not given".to_owned(), dates::show_moment);
    page.text(0, 2, &format!("As of {at} (UK time). Audit reference {}", spoken(&answer.audit_reference)));
}

/// A reference as it is read out: one that is nothing but letters and digits in groups of four.
fn spoken(reference: &str) -> String {
    if !reference.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return reference.to_owned();
    }
    let mut words = String::new();
    for (place, letter) in reference.chars().enumerate() {
        if place > 0 && place.is_multiple_of(4) {
            words.push(' ');
        }
        words.push(letter);
    }
    words
}

fn recording_failed(page: &mut Page, not_recorded: &v1::NotRecorded) {
    let v1::NotRecorded { words, reason } = not_recorded;
    page.gap();
    let words = if words.is_empty() { "presentation NOT recorded, send again" } else { words };
    let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
    page.attention(0, 2, &format!("{words}{reason}"));
}

/// Why it cannot say, in one line per reason.
pub fn doubts(page: &mut Page, completeness: &v1::Completeness) {
    for doubt in &completeness.doubts {
        page.text(3, 5, &format!("- {}", words::doubt(*doubt)));
    }
}

#[cfg(test)]
mod tests;
