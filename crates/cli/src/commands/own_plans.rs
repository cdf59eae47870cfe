//! An authority's own plans as Kith holds them, to be compared with its own records.

use kith_api::client::to_json;
use kith_api::v1;
use serde_json::Value as Json;

use super::{Done, Text};
use crate::dates;
use crate::exit::Exit;
use crate::failure::{Failure, Sent};
use crate::render::{Page, plan_state};
use crate::settings::Settings;
use crate::words::plan_kind;

/// Largest page the service gives.
const PAGE_SIZE: u32 = 500;

/// Lists all of them.
///
/// # Errors
/// No connection, or a refusal: then nothing is listed, not even in part.
pub async fn run(settings: &Settings) -> Result<Done, Failure> {
    let caller = settings.person.caller(&settings.organisation, v1::Purpose::RecordKeeping)?;
    let client = settings.connect().await?;
    let mut listed = v1::ListOwnResponse::default();
    loop {
        let request = v1::ListOwnRequest {
            page_size: PAGE_SIZE,
            page_token: std::mem::take(&mut listed.next_page_token),
            caller: Some(caller.clone()),
        };
        let response = client.plans().list_own(client.request(request)).await;
        let page = response.map_err(|status| Failure::status(&status, Sent::Question))?.into_inner();
        listed.children.extend(page.children);
        listed.next_page_token = page.next_page_token;
        if listed.next_page_token.is_empty() {
            break;
        }
    }
    let mut json = to_json(&listed).map_err(|error| Failure::could_not_ask(format!("failed to {error}")))?;
    json.insert("exit_code".to_owned(), Exit::Done.code().into());
    Ok(Done {
        text: Text::Page(page(&listed.children, &settings.organisation)),
        json: Json::Object(json),
        exit: Exit::Done,
    })
}

fn page(children: &[v1::OwnChild], organisation: &str) -> Page {
    let mut page = Page::default();
    let plans: usize = children.iter().map(|child| child.plans.len()).sum();
    let found = format!(
        "{plans} plans of {organisation} are held, about {} people (mothers of unborn children too).",
        children.len()
    );
    page.text(0, 2, &found);
    page.text(
        0,
        2,
        "A plan that you have and that is not listed here, or is listed as WITHDRAWN, is NOT seen by any emergency department: send it again.",
    );
    page.text(0, 2, "What other authorities hold is not listed.");
    for v1::OwnChild { subject, plans } in children {
        let whom = match subject.as_ref().and_then(|subject| subject.subject.as_ref()) {
            Some(v1::subject::Subject::NhsNumber(number)) => format!("NHS number {number}"),
            Some(v1::subject::Subject::LocalKey(key)) => format!("local key {key}"),
            None => "subject not given".to_owned(),
        };
        page.text(0, 4, &whom);
        for plan in plans {
            page.text(3, 5, &line(plan));
        }
    }
    page
}

fn line(plan: &v1::OwnPlan) -> String {
    let v1::OwnPlan {
        kind,
        state,
        start,
        end,
        reference,
        family,
        date_of_birth,
        withdrawn,
        shielded,
        moving_to,
        moved_from,
        last_event_at,
    } = plan;
    let state = if *withdrawn { "WITHDRAWN".to_owned() } else { plan_state(*state).to_owned() };
    let mut line = format!("- {}, {state}", plan_kind(*kind));
    let dates = [(" from ", start), (" to ", end), ("; born ", date_of_birth)];
    for (word, date) in dates.into_iter().filter_map(|(word, date)| Some((word, (*date)?))) {
        line.push_str(&format!("{word}{}", dates::show_date(date)));
    }
    let texts =
        [("; reference ", reference), ("; family ", family), ("; moving to ", moving_to), ("; came from ", moved_from)];
    for (word, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        line.push_str(&format!("{word}{text}"));
    }
    if *shielded {
        line.push_str("; SHIELDED by it");
    }
    if let Some(at) = last_event_at {
        line.push_str(&format!("; last told of on {}", dates::show_moment(at)));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_that_is_missing_here_is_not_seen_anywhere_and_that_is_said() {
        let plan = v1::OwnPlan { reference: "P1".into(), withdrawn: true, shielded: true, ..Default::default() };
        let child = v1::OwnChild { subject: None, plans: vec![plan] };
        let words = |children: &[v1::OwnChild]| {
            let text = page(children, "E06000001").render(false);
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let text = words(&[child]);
        assert!(text.starts_with("1 plans of E06000001 are held, about 1 people"), "{text}");
        assert!(text.contains("or is listed as WITHDRAWN, is NOT seen by any emergency department"), "{text}");
        assert!(text.contains("WITHDRAWN; reference P1; SHIELDED by it"), "{text}");
        assert!(words(&[]).contains("0 plans of E06000001 are held"));
    }
}
