//! Records a presentation and asks, in one call: what triage does. An answer without a recording is shown with that fact,
//! and never ends like an ordinary answer.

use kith_api::client::to_json;
use kith_api::v1;
use serde_json::{Map, Value as Json};

use super::{Done, Text, lookup};
use crate::args::CheckInArgs;
use crate::exit::Exit;
use crate::failure::{Failure, Sent};
use crate::person::{content_id, uuid_or};
use crate::settings::Settings;
use crate::words::{CARE_SETTINGS, COMPLAINTS};
use crate::{dates, reading, render};

/// Records and asks.
///
/// # Errors
/// Every way of having no answer; how to repeat the same is added.
pub async fn run(settings: &Settings, args: &CheckInArgs) -> Result<Done, Failure> {
    let request = request(settings, args)?;
    let again = repeat_words(&request);
    let client = settings.connect().await.map_err(|failure| with_repeat(failure, "is NOT recorded", &again))?;
    let response = client.lookup().check_in(client.request(request)).await;
    let response = response.map_err(|status| unknown(Failure::status(&status, Sent::Question), &again))?;
    done(response.into_inner()).map_err(|failure| unknown(failure, &again))
}

fn request(settings: &Settings, args: &CheckInArgs) -> Result<v1::CheckInRequest, Failure> {
    let CheckInArgs { lookup, site, encounter_id, version, arrived_at, care_setting, complaint, event_id } = args;
    let arrived_at = match arrived_at {
        Some(text) => dates::moment(text).map_err(|words| Failure::bad_field("arrived_at", words))?,
        None => dates::now(),
    };
    let setting = CARE_SETTINGS.read(care_setting).map_err(|words| Failure::bad_field("care_setting", words))?;
    let group = COMPLAINTS.read(complaint).map_err(|words| Failure::bad_field("complaint", words))?;
    let event_id = uuid_or(event_id.as_deref(), "event_id", || {
        let (version, at) = (version.to_string(), arrived_at.to_string());
        let parts = [encounter_id.as_str(), &version, site, &at, care_setting, complaint];
        content_id("check-in", &settings.organisation, parts)
    })?;
    Ok(v1::CheckInRequest {
        lookup: Some(lookup::request(settings, lookup)?),
        presentation: Some(v1::PresentationDetails {
            encounter_id: encounter_id.clone(),
            version: *version,
            site: site.clone(),
            arrived_at: Some(arrived_at),
            care_setting: setting.into(),
            complaint: group.into(),
        }),
        event_id: event_id.to_string(),
    })
}

/// The flags that make a second try the same check-in.
fn repeat_words(request: &v1::CheckInRequest) -> String {
    let arrived = request.presentation.as_ref().and_then(|details| details.arrived_at.as_ref());
    let arrived = arrived.map(ToString::to_string).unwrap_or_default();
    let asked = request.lookup.as_ref().map(|lookup| lookup.request_id.as_str()).unwrap_or_default();
    format!("--event-id {} --request-id {asked} --arrived-at {arrived}", request.event_id)
}

/// A check-in that was sent, and of which nobody knows what became.
fn unknown(failure: Failure, again: &str) -> Failure {
    with_repeat(failure, "may or may NOT be recorded", again)
}

fn with_repeat(failure: Failure, recorded: &str, again: &str) -> Failure {
    if failure.exit != Exit::CouldNotAsk {
        return failure;
    }
    let again = format!("The presentation {recorded}: run the same command again with {again}");
    Failure { again: Some(again), ..failure }
}

fn done(response: v1::CheckInResponse) -> Result<Done, Failure> {
    let v1::CheckInResponse { answer, recording, padding: _ } = response;
    let answer = answer.ok_or_else(lookup::no_answer)?;
    let unknown = || v1::NotRecorded {
        words: "presentation NOT recorded, send again: the reply does not say that it was".to_owned(),
        reason: String::new(),
    };
    let (name, not_recorded, fields) = match recording {
        Some(v1::check_in_response::Recording::Recorded(recorded)) => ("recorded", None, to_json(&recorded)),
        Some(v1::check_in_response::Recording::NotRecorded(not)) => ("not_recorded", Some(not.clone()), to_json(&not)),
        None => ("not_recorded", Some(unknown()), to_json(&unknown())),
    };
    let fields = fields.map_err(|error| Failure::could_not_ask(format!("failed to {error}")))?;
    let answered = reading::exit(&answer);
    let exit = if not_recorded.is_some() { answered.not_recorded() } else { answered };
    Ok(Done {
        text: Text::Page(render::answer::page(&answer, not_recorded.as_ref())),
        json: lookup::json(&answer, exit, Map::from_iter([(name.to_owned(), Json::Object(fields))]))?,
        exit,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use tonic::Code;
    use v1::check_in_response::Recording;

    fn text(done: Done) -> String {
        match done.text {
            Text::Page(page) => page.render(false),
            Text::Plain(text) => text,
        }
    }

    #[test]
    fn recorded_ends_like_the_answer() {
        let recording = Some(Recording::Recorded(v1::Acknowledgement { sequence: 7, ..Default::default() }));
        let done =
            done(v1::CheckInResponse { answer: Some(samples::none_held()), recording, ..Default::default() }).unwrap();
        assert_eq!((done.exit, &done.json["recorded"]["sequence"]), (Exit::NoneHeld, &7.into()));
        assert!(!text(done).contains("NOT RECORDED"));
    }

    #[test]
    fn not_recorded_stands_beside_every_answer_and_hides_none() {
        for answer in samples::all() {
            let code = match reading::exit(&answer).code() {
                answered @ 10..=13 => answered + 20,
                _ => 24,
            };
            let not =
                v1::NotRecorded { words: "presentation NOT recorded, send again".into(), reason: "DISK_FULL".into() };
            let done = done(v1::CheckInResponse {
                answer: Some(answer),
                recording: Some(Recording::NotRecorded(not)),
                ..Default::default()
            });
            let done = done.unwrap();
            assert_eq!((done.exit.code(), done.json["exit_code"].clone()), (code, code.into()));
            assert_eq!(done.json["not_recorded"]["reason"], "DISK_FULL");
            let text = text(done);
            assert!(text.contains("THIS PRESENTATION IS NOT RECORDED") && text.contains("ON A PLAN?"), "{text}");
            assert!(text.trim_end().ends_with("presentation NOT recorded, send again (DISK_FULL)"), "{text}");
        }
    }

    #[test]
    fn a_reply_that_does_not_say_counts_as_not_recorded() {
        let done =
            done(v1::CheckInResponse { answer: Some(samples::none_held()), recording: None, ..Default::default() })
                .unwrap();
        assert_eq!(done.exit, Exit::NoneHeldNotRecorded);
    }

    #[test]
    fn without_an_answer_it_says_how_to_repeat() {
        let failure =
            done(v1::CheckInResponse { answer: None, recording: None, ..Default::default() }).map(|_| ()).unwrap_err();
        let failure = unknown(failure, "--event-id X");
        assert_eq!(failure.exit, Exit::CouldNotAsk);
        assert!(failure.again.unwrap().ends_with("NOT be recorded: run the same command again with --event-id X"));
    }

    #[test]
    fn where_the_certificate_fell_meanwhile_it_says_how_to_repeat_and_does_not_read_as_refused() {
        let said = |reason| {
            let fell = samples::status(Code::Unauthenticated, reason, None);
            unknown(Failure::status(&fell, Sent::Question), "--event-id X")
        };
        let fell = said("CERTIFICATE_NOT_TRUSTED");
        assert_eq!((fell.exit, fell.kind()), (Exit::CouldNotAsk, "could-not-ask"));
        let again = fell.again.expect("it may be recorded");
        assert!(again.contains("may or may NOT be recorded") && again.ends_with("--event-id X"), "{again}");
        let refused = said("NO_IDENTITY");
        assert_eq!((refused.exit, refused.again), (Exit::Refused, None));
    }
}
