//! What a local authority withholds: deciding it, looking again, and lifting it.

use kith_api::client::{JsonError, to_json};
use kith_api::v1;
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::{Done, Text};
use crate::dates;
use crate::exit::Exit;
use crate::failure::{Failure, Sent};
use crate::person::{line_or, number, uuid_or};
use crate::render::Page;
use crate::settings::Settings;
use crate::withhold_args::{DecideArgs, LiftArgs};
use crate::words::WITHHOLDING_REASONS;

/// Said of a decision that nobody made about this child.
const CARRIED_OVER: &str = "CARRIED OVER at the birth from the mother, or from your own key: nobody decided it about this child; \
                            decide it anew, or lift it";
/// Largest page the service gives.
const PAGE_SIZE: u32 = 500;

fn caller(settings: &Settings) -> Result<v1::Caller, Failure> {
    settings.person.caller(&settings.organisation, v1::Purpose::RecordKeeping)
}

/// A number, or a key in its place; the one that was not given is empty.
fn number_or_key(nhs_number: Option<&str>, local_key: Option<&str>) -> Result<(String, String), Failure> {
    let nhs_number = nhs_number.map(number).transpose()?;
    Ok((nhs_number.unwrap_or_default(), local_key.unwrap_or_default().to_owned()))
}

/// Decides to withhold.
///
/// # Errors
/// No connection, or a refusal.
pub async fn decide(settings: &Settings, args: &DecideArgs) -> Result<Done, Failure> {
    let DecideArgs { nhs_number, local_key, reason, words, look_again, event_id } = args;
    let reason = WITHHOLDING_REASONS.read(reason).map_err(|words| Failure::bad_field("reason", words))?;
    let look_again = dates::date(look_again).map_err(|words| Failure::bad_field("look_again", words))?;
    let (nhs_number, local_key) = number_or_key(nhs_number.as_deref(), local_key.as_deref())?;
    let request = v1::DecideWithholdingRequest {
        caller: Some(caller(settings)?),
        nhs_number,
        local_key,
        reason: reason.into(),
        words: line_or(words, "words")?,
        look_again: Some(look_again),
        event_id: uuid_or(event_id.as_deref(), "event_id", Uuid::new_v4)?.to_string(),
    };
    let client = settings.connect().await?;
    let response = client.withholding().decide_withholding(client.request(request)).await;
    let response = response.map_err(|status| Failure::status(&status, Sent::Change))?.into_inner();
    acknowledged("Withheld", response.acknowledgement.as_ref(), to_json(&response))
}

/// Withholds no longer.
///
/// # Errors
/// No connection, or a refusal.
pub async fn lift(settings: &Settings, args: &LiftArgs) -> Result<Done, Failure> {
    let LiftArgs { nhs_number, local_key, event_id } = args;
    let (nhs_number, local_key) = number_or_key(nhs_number.as_deref(), local_key.as_deref())?;
    let request = v1::LiftWithholdingRequest {
        caller: Some(caller(settings)?),
        nhs_number,
        local_key,
        event_id: uuid_or(event_id.as_deref(), "event_id", Uuid::new_v4)?.to_string(),
    };
    let client = settings.connect().await?;
    let response = client.withholding().lift_withholding(client.request(request)).await;
    let response = response.map_err(|status| Failure::status(&status, Sent::Change))?.into_inner();
    acknowledged("Lifted", response.acknowledgement.as_ref(), to_json(&response))
}

/// Lists what the authority withholds.
///
/// # Errors
/// No connection, or a refusal: then nothing is listed, not even in part.
pub async fn list(settings: &Settings) -> Result<Done, Failure> {
    let caller = caller(settings)?;
    let client = settings.connect().await?;
    let mut listed = v1::ListWithholdingsResponse::default();
    loop {
        let request = v1::ListWithholdingsRequest {
            caller: Some(caller.clone()),
            page_size: PAGE_SIZE,
            page_token: std::mem::take(&mut listed.next_page_token),
        };
        let response = client.withholding().list_withholdings(client.request(request)).await;
        let page = response.map_err(|status| Failure::status(&status, Sent::Question))?.into_inner();
        listed.withholdings.extend(page.withholdings);
        listed.next_page_token = page.next_page_token;
        if listed.next_page_token.is_empty() {
            break;
        }
    }
    finished(Text::Page(standing(&listed.withholdings)), to_json(&listed))
}

fn standing(withholdings: &[v1::Withholding]) -> Page {
    let mut page = Page::default();
    let overdue = withholdings.iter().filter(|one| one.overdue).count();
    let count = withholdings.len();
    page.text(
        0,
        2,
        &format!("{count} decisions to withhold stand, {overdue} of them OVERDUE for another look (UK time)"),
    );
    for one in withholdings {
        let v1::Withholding { nhs_number, reason, words, decided_at, look_again, overdue, local_key, carried_over } =
            one;
        let at = decided_at.as_ref().map_or_else(|| "time not given".to_owned(), dates::show_moment);
        let by = look_again.map_or_else(|| "date not given".to_owned(), dates::show_date);
        let reason = v1::WithholdingReason::try_from(*reason).ok().and_then(|reason| WITHHOLDING_REASONS.word(reason));
        let reason = reason.unwrap_or("a reason that this program does not know");
        let late = if *overdue { "OVERDUE, look again: was to be by" } else { "look again by" };
        let child = match local_key.is_empty() {
            true => format!("NHS number {nhs_number}"),
            false => format!("Your own key {local_key}"),
        };
        page.text(0, 4, &format!("{child}: {late} {by}"));
        page.text(4, 4, &format!("{reason}, decided {at}: {words}"));
        if *carried_over {
            page.text(4, 4, CARRIED_OVER);
        }
    }
    page
}

/// What became of a change that is on disk.
fn acknowledged(
    what: &str,
    acknowledgement: Option<&v1::Acknowledgement>,
    json: Result<Map<String, Json>, JsonError>,
) -> Result<Done, Failure> {
    let Some(ack) = acknowledgement else {
        return Err(Failure::could_not_ask("the service replied without an acknowledgement: send it again"));
    };
    let again = if ack.repeated { " (told before with this id)" } else { "" };
    finished(Text::Plain(format!("{what}{again}; event id {}\n", ack.event_id)), json)
}

fn finished(text: Text, json: Result<Map<String, Json>, JsonError>) -> Result<Done, Failure> {
    let mut json = json.map_err(|error| Failure::could_not_ask(format!("failed to {error}")))?;
    json.insert("exit_code".to_owned(), Exit::Done.code().into());
    Ok(Done { text, json: Json::Object(json), exit: Exit::Done })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_overdue_is_said_to_be_and_what_is_not_known_is_said_not_to_be_known() {
        let day = Some(v1::Date { year: 2026, month: 11, day: 22 });
        let one = |overdue, reason: i32| v1::Withholding {
            nhs_number: "n".into(),
            reason,
            words: "because".into(),
            decided_at: None,
            look_again: day,
            overdue,
            local_key: String::new(),
            carried_over: false,
        };
        let shown = standing(&[one(true, v1::WithholdingReason::CourtOrder.into()), one(false, 99)]).render(false);
        assert!(shown.contains("2 decisions to withhold stand, 1 of them OVERDUE"), "{shown}");
        assert_eq!(shown.matches("OVERDUE, look again").count(), 1, "{shown}");
        assert!(shown.contains("court-order, decided time not given: because"), "{shown}");
        assert!(shown.contains("a reason that this program does not know"), "{shown}");
        assert!(shown.contains("NHS number n: ") && !shown.contains("CARRIED OVER"), "{shown}");
        let carried = v1::Withholding { local_key: "newborn-1".into(), carried_over: true, ..one(false, 1) };
        let shown = standing(&[carried]).render(false);
        assert!(shown.contains("Your own key newborn-1: ") && shown.contains("CARRIED OVER at the birth"), "{shown}");
    }
}
