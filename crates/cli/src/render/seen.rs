//! The block of the second question, "seen elsewhere?". It shows what a window or a cap cuts off, and no place for a
//! shielded child.

use kith_api::v1;

use super::{Page, blocks};
use crate::reading::{self, Reading};
use crate::{dates, words};

/// The reading of the headline, and what it adds. Seen here only is not "seen elsewhere", but it is said.
pub fn headline(answer: &v1::Answer) -> (Reading, String) {
    let Some(seen) = &answer.presentations else { return (Reading::CouldNotAsk, String::new()) };
    let overall = reading::presentations(answer);
    let reading = if answer.shielded { overall } else { reading::elsewhere(answer) };
    let days = seen.window_days;
    let here = seen.at_this_organisation.len();
    let here_older = seen.beyond_window.saturating_sub(seen.beyond_window_elsewhere);
    let detail = match reading {
        Reading::Held if answer.shielded => {
            let held = held_times(seen.shielded_presentations.len(), seen.beyond_cap, seen.beyond_window, days);
            format!(": {held}, places not shown")
        }
        Reading::Held => {
            let listed = seen.at_other_organisations.len();
            format!(": {}", held_times(listed, seen.beyond_cap_elsewhere, seen.beyond_window_elsewhere, days))
        }
        Reading::NoneHeld | Reading::CannotSay | Reading::CouldNotAsk if here > 0 || here_older > 0 => {
            let cap = seen.beyond_cap.saturating_sub(seen.beyond_cap_elsewhere);
            format!(" (seen here: {})", held_times(here, cap, here_older, days))
        }
        Reading::NoneHeld | Reading::CannotSay | Reading::CouldNotAsk | Reading::NotConfirmed => String::new(),
    };
    (reading, detail)
}

/// How often, without ever a zero beside "held".
fn held_times(listed: usize, cap: u32, older: u32, days: u32) -> String {
    let cut = if cap > 0 { " or more" } else { "" };
    match (listed, older) {
        (0, 0) => "how often is not told".to_owned(),
        (0, older) => format!("all older than {days} days: {older}"),
        (listed, 0) => format!("{}{cut} in the last {days} days", times(listed)),
        (listed, older) => format!("{}{cut} in the last {days} days, and {older} older", times(listed)),
    }
}

fn times(count: usize) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{more} times"),
    }
}

/// The block.
pub fn presentations(page: &mut Page, answer: &v1::Answer) {
    let (reading, _) = headline(answer);
    blocks::heading(page, "2. SEEN ELSEWHERE?", reading);
    let Some(seen) = &answer.presentations else {
        page.text(3, 3, "This part of the answer is missing.");
        return;
    };
    let v1::PresentationAnswer {
        outcome: _,
        elsewhere: _,
        at_this_organisation,
        at_other_organisations,
        shielded_presentations,
        beyond_window,
        beyond_cap,
        beyond_window_elsewhere,
        beyond_cap_elsewhere: _,
        window_days,
        completeness,
        words,
    } = seen;
    page.text(3, 3, words);
    list(page, &format!("At other organisations, last {window_days} days:"), at_other_organisations);
    list(page, &format!("At your organisation, last {window_days} days:"), at_this_organisation);
    shielded(page, *window_days, shielded_presentations);
    if *beyond_cap > 0 {
        page.text(3, 5, &format!("In that time, held and not listed here: {beyond_cap}"));
    }
    if *beyond_window > 0 {
        let elsewhere = if answer.shielded || *beyond_window_elsewhere == 0 {
            String::new()
        } else {
            format!(", {beyond_window_elsewhere} of them at other organisations")
        };
        let line = format!("Older than {window_days} days, held and not listed here: {beyond_window}{elsewhere}");
        page.text(3, 5, &line);
    }
    blocks::shown_completeness(page, completeness.as_ref(), "trusts and services", reading);
}

fn list(page: &mut Page, title: &str, presentations: &[v1::Presentation]) {
    if presentations.is_empty() {
        return;
    }
    page.text(3, 5, title);
    for presentation in presentations {
        let v1::Presentation {
            organisation,
            organisation_name,
            site,
            site_name,
            arrived_at,
            care_setting,
            complaint,
            outcome,
        } = presentation;
        let at = arrived_at.as_ref().map_or_else(|| "arrival not told".to_owned(), dates::show_moment);
        let place = if site_name.is_empty() { site } else { site_name };
        let what = format!("{}; {}", words::complaint(*complaint), words::presentation_outcome(*outcome));
        page.text(3, 5, &format!("- {at}  {what}"));
        let place = match organisation.is_empty() {
            true => "place not shown to you".to_owned(),
            false => format!("{place}, {organisation_name} ({organisation})"),
        };
        page.text(5, 7, &format!("{place}, {}", words::care_setting(*care_setting)));
    }
}

fn shielded(page: &mut Page, window_days: u32, presentations: &[v1::ShieldedPresentation]) {
    if presentations.is_empty() {
        return;
    }
    page.text(3, 5, &format!("Last {window_days} days, places not shown:"));
    for v1::ShieldedPresentation { arrived_on, complaint, outcome } in presentations {
        let on = arrived_on.map_or_else(|| "arrival not told".to_owned(), dates::show_date);
        let what = format!("{}; {}", words::complaint(*complaint), words::presentation_outcome(*outcome));
        page.text(3, 5, &format!("- {on}  {what}"));
    }
}
