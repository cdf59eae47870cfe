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
    let cut = if seen.beyond_cap > 0 { " or more" } else { "" };
    let detail = match reading {
        Reading::Held if answer.shielded => {
            format!(
                ": seen {}{cut} in the last {days} days, places not shown",
                times(seen.shielded_presentations.len())
            )
        }
        Reading::Held => format!(": {}{cut} in the last {days} days", times(seen.at_other_organisations.len())),
        Reading::NoneHeld | Reading::CannotSay | Reading::CouldNotAsk => match seen.at_this_organisation.len() {
            0 => String::new(),
            here => format!(" (seen here {} in the last {days} days)", times(here)),
        },
        Reading::NotConfirmed => String::new(),
    };
    (reading, detail)
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
        page.text(3, 5, &format!("Older than {window_days} days, held and not listed here: {beyond_window}"));
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
        page.text(
            5,
            7,
            &format!("{place}, {organisation_name} ({organisation}), {}", words::care_setting(*care_setting)),
        );
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
