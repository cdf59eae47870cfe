//! Opens a shielded record for one answer, and looks into openings afterwards. What was not opened is no answer.

use kith_api::client::{JsonError, to_json};
use kith_api::v1;
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::lookup::{json, no_answer};
use super::{Done, Text};
use crate::args::LookupArgs;
use crate::break_glass_args::{OpenArgs, ReviewArgs};
use crate::exit::Exit;
use crate::failure::{Failure, Sent};
use crate::person::{line_or, uuid_or};
use crate::render::Page;
use crate::settings::Settings;
use crate::words::{OPENING_REASONS, REVIEW_OUTCOMES};
use crate::{dates, reading, render};

/// Largest page the service gives.
const PAGE_SIZE: u32 = 500;
/// Said to whoever has not said that they know.
const BEFOREHAND: &str = "opening a shielded record shows where a child is. It opens for one answer, its authorities are told that \
                          somebody looked, and a privacy officer reviews it with your name and your words. Give \
                          --review-accepted to go on";

/// Opens.
///
/// # Errors
/// Every way of having no answer.
pub async fn open(settings: &Settings, args: OpenArgs) -> Result<Done, Failure> {
    let request = request(settings, args)?;
    let client = settings.connect().await?;
    let response = client.break_glass().open_shielded(client.request(request)).await;
    let response = response.map_err(|status| Failure::status(&status, Sent::Question))?.into_inner();
    let v1::OpenShieldedResponse { answer, opened, padding: _ } = response;
    let answer = answer.ok_or_else(no_answer)?;
    let exit = reading::exit(&answer);
    let mut more = Map::new();
    let told = opened.as_ref().map(to_json).transpose();
    let told = told.map_err(|error| Failure::could_not_ask(format!("failed to {error}")))?;
    more.insert("opened".to_owned(), told.map_or(Json::Null, Json::Object));
    Ok(Done { json: json(&answer, exit, more)?, text: Text::Page(page(answer, opened.as_ref())), exit })
}

fn request(settings: &Settings, args: OpenArgs) -> Result<v1::OpenShieldedRequest, Failure> {
    let OpenArgs { subject, reason, words, review_accepted, traced, request_id } = args;
    if !review_accepted {
        return Err(Failure::usage(BEFOREHAND));
    }
    let reason = OPENING_REASONS.read(&reason).map_err(|words| Failure::bad_field("reason", words))?;
    let asked =
        LookupArgs { subject, scheduled: false, traced, not_traced: false, mother_nhs_number: None, request_id };
    let mut lookup = super::lookup::request(settings, &asked)?;
    lookup.caller = Some(settings.person.caller(&settings.organisation, v1::Purpose::ChildProtectionEnquiry)?);
    let words = line_or(&words, "words")?;
    Ok(v1::OpenShieldedRequest { lookup: Some(lookup), reason: reason.into(), words, review_accepted })
}

/// The answer; one that was opened is shown as any other, under what it is.
fn page(answer: v1::Answer, opened: Option<&v1::OpenedRecord>) -> Page {
    let Some(v1::OpenedRecord { reference, words }) = opened else { return render::answer::page(&answer, None) };
    let mut above = Page::default();
    above.rule();
    above.attention(0, 2, words);
    above.text(0, 2, &format!("The privacy officer finds it under {reference}."));
    let spoken = answer.words.into_iter().filter(|line| line != words).collect();
    let shown = v1::Answer { shielded: false, words: spoken, ..answer };
    above.followed_by(render::answer::page(&shown, None))
}

/// Lists openings that nobody has reviewed, oldest first.
///
/// # Errors
/// No connection, or a refusal.
pub async fn queue(settings: &Settings) -> Result<Done, Failure> {
    let caller = settings.person.caller(&settings.organisation, v1::Purpose::SafeguardingReview)?;
    let client = settings.connect().await?;
    let mut listed = v1::ListOpeningsResponse::default();
    loop {
        let request = v1::ListOpeningsRequest {
            caller: Some(caller.clone()),
            page_size: PAGE_SIZE,
            page_token: std::mem::take(&mut listed.next_page_token),
        };
        let response = client.break_glass().list_openings(client.request(request)).await;
        let page = response.map_err(|status| Failure::status(&status, Sent::Question))?.into_inner();
        listed.openings.extend(page.openings);
        listed.next_page_token = page.next_page_token;
        if listed.next_page_token.is_empty() {
            break;
        }
    }
    finished(Text::Page(waiting(&listed.openings)), to_json(&listed))
}

fn waiting(openings: &[v1::Opening]) -> Page {
    let mut page = Page::default();
    let count = openings.len();
    page.text(0, 2, &format!("{count} openings that nobody has reviewed, oldest first (UK time)"));
    for v1::Opening { reference, at, organisation, organisation_name, role, reason } in openings {
        // An auditor is told the day alone, and not where.
        let day_alone = organisation.is_empty();
        let place = match day_alone {
            true => "an organisation that is not told".to_owned(),
            false => format!("{organisation_name} ({organisation})"),
        };
        let at = match at {
            Some(at) if day_alone => dates::show_day(at),
            Some(at) => dates::show_moment(at),
            None => "time not given".to_owned(),
        };
        let reason = v1::OpeningReason::try_from(*reason).ok().and_then(|reason| OPENING_REASONS.word(reason));
        let reason = reason.unwrap_or("a reason that this program does not know");
        page.text(0, 4, &format!("{reference}  {at}"));
        page.text(4, 4, &format!("{place}, {role}: {reason}"));
    }
    page
}

/// Tells what a review has found.
///
/// # Errors
/// No connection, or a refusal.
pub async fn review(settings: &Settings, args: &ReviewArgs) -> Result<Done, Failure> {
    let ReviewArgs { reference, outcome, event_id } = args;
    let caller = settings.person.caller(&settings.organisation, v1::Purpose::SafeguardingReview)?;
    let outcome = REVIEW_OUTCOMES.read(outcome).map_err(|words| Failure::bad_field("outcome", words))?;
    let event_id = uuid_or(event_id.as_deref(), "event_id", Uuid::new_v4)?.to_string();
    let request = v1::ReviewOpeningRequest {
        caller: Some(caller),
        reference: reference.clone(),
        outcome: outcome.into(),
        event_id,
    };
    let client = settings.connect().await?;
    let response = client.break_glass().review_opening(client.request(request)).await;
    let response = response.map_err(|status| Failure::status(&status, Sent::Change))?.into_inner();
    let Some(ack) = &response.acknowledgement else {
        return Err(Failure::could_not_ask("the service replied without an acknowledgement: send it again"));
    };
    let again = if ack.repeated { " (told before with this id)" } else { "" };
    finished(Text::Plain(format!("Reviewed{again}; event id {}\n", ack.event_id)), to_json(&response))
}

fn finished(text: Text, json: Result<Map<String, Json>, JsonError>) -> Result<Done, Failure> {
    let mut json = json.map_err(|error| Failure::could_not_ask(format!("failed to {error}")))?;
    json.insert("exit_code".to_owned(), Exit::Done.code().into());
    Ok(Done { text, json: Json::Object(json), exit: Exit::Done })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn an_opened_record_says_first_what_it_is_and_then_shows_places() {
        let mut answer = samples::on_a_plan_and_seen();
        answer.shielded = true;
        let words = "SHIELDED RECORD, OPENED FOR THIS ONE VIEWING: never reveal where this child is.".to_owned();
        answer.words.insert(0, words.clone());
        let opened = v1::OpenedRecord { reference: Uuid::from_u128(7).to_string(), words };
        let shown = page(answer.clone(), Some(&opened)).render(false);
        let mut lines = shown.lines().skip(1);
        assert!(lines.next().unwrap().starts_with("SHIELDED RECORD, OPENED FOR THIS ONE VIEWING"), "{shown}");
        assert!(shown.contains(&opened.reference) && shown.contains("Leeds City Council"), "{shown}");
        assert_eq!(shown.matches("OPENED FOR THIS ONE VIEWING").count(), 1, "{shown}");
        assert!(!shown.contains("not shown"), "{shown}");
        let ordinary = samples::on_a_plan_and_seen();
        assert_eq!(page(ordinary.clone(), None).render(false), render::answer::page(&ordinary, None).render(false));
    }

    #[test]
    fn an_opening_without_a_place_has_a_day_and_no_time() {
        let at = Some(dates::moment("2026-07-14T00:00:00Z").unwrap());
        let opening = v1::Opening { reference: "r".into(), at, reason: 1, ..v1::Opening::default() };
        let words = |opening| {
            let shown = waiting(&[opening]).render(false);
            shown.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let shown = words(opening.clone());
        assert!(shown.contains("r Tue 14 Jul 2026 an organisation that is not told"), "{shown}");
        let whole = v1::Opening { organisation: "R1H".into(), organisation_name: "A Trust".into(), ..opening };
        let shown = words(whole);
        assert!(shown.contains("14 Jul 2026 01:00") && shown.contains("A Trust (R1H)"), "{shown}");
    }

    #[test]
    fn a_reason_that_is_not_known_is_said_to_be_unknown() {
        let opening = v1::Opening { reference: "r".into(), reason: 99, ..v1::Opening::default() };
        assert!(waiting(&[opening]).render(false).contains("a reason that this program does not know"));
    }
}
