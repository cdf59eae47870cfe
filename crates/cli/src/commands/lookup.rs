//! Asks about one child. It never gives an answer that the service did not give.

use kith_api::client::to_json;
use kith_api::v1;
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::{Done, Text};
use crate::args::LookupArgs;
use crate::exit::Exit;
use crate::failure::{Failure, Sent};
use crate::person::{number, subject, uuid_or};
use crate::settings::Settings;
use crate::{reading, render};

/// Asks.
///
/// # Errors
/// Every way of having no answer.
pub async fn run(settings: &Settings, args: &LookupArgs) -> Result<Done, Failure> {
    let request = request(settings, args)?;
    let client = settings.connect().await?;
    let response = client.lookup().lookup(client.request(request)).await;
    let response = response.map_err(|status| Failure::status(&status, Sent::Question))?.into_inner();
    let v1::LookupResponse { answer, padding: _ } = response;
    let answer = answer.ok_or_else(no_answer)?;
    Ok(Done {
        text: Text::Page(render::answer::page(&answer, None)),
        exit: reading::exit(&answer),
        json: json(&answer, reading::exit(&answer), Map::new())?,
    })
}

/// The question of a command line.
///
/// # Errors
/// A person who is not named, a date or id that is none.
pub fn request(settings: &Settings, args: &LookupArgs) -> Result<v1::LookupRequest, Failure> {
    let LookupArgs { subject: asked, scheduled, traced, not_traced, mother_nhs_number, request_id } = args;
    let caller = settings.person.caller(&settings.organisation, v1::Purpose::DirectCare)?;
    let request_id = uuid_or(request_id.as_deref(), "request_id", Uuid::new_v4)?;
    let (subject, date_of_birth) = subject(asked)?;
    let context = if *scheduled { v1::CareContext::Scheduled } else { v1::CareContext::Unscheduled };
    Ok(v1::LookupRequest {
        caller: Some(caller),
        care_context: context.into(),
        subject: Some(subject),
        number_traced: *traced && !*not_traced,
        date_of_birth,
        request_id: request_id.to_string(),
        mother_nhs_number: mother_nhs_number.as_deref().map(number).transpose()?,
    })
}

/// A reply without an answer.
pub fn no_answer() -> Failure {
    Failure::could_not_ask("the service replied without an answer")
}

/// The answer's own fields, those of `more`, and the exit code.
///
/// # Errors
/// A message that cannot be rendered is an answer that cannot be given.
pub fn json(answer: &v1::Answer, exit: Exit, more: Map<String, Json>) -> Result<Json, Failure> {
    let mut fields = to_json(answer).map_err(|error| Failure::could_not_ask(format!("failed to {error}")))?;
    fields.extend(more);
    fields.insert("exit_code".to_owned(), exit.code().into());
    Ok(Json::Object(fields))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn json_has_the_protocols_names_and_the_exit_code() {
        let answer = samples::on_a_plan_and_seen();
        let json = json(&answer, reading::exit(&answer), Map::new()).unwrap();
        assert_eq!(json["exit_code"], 10);
        assert_eq!(json["identity"]["outcome"], "matched");
        assert_eq!(json["plans"]["plans"][0]["kind"], "child-protection");
        assert_eq!(json["plans"]["plans"][0]["authority"]["code"], "E08000035");
        assert_eq!(json["presentations"]["elsewhere"], "held");
        let seen = &json["presentations"]["at_other_organisations"][0];
        assert_eq!((&seen["complaint"], &seen["outcome"]), (&"head-injury".into(), &"left-before-being-seen".into()));
        assert_eq!(json["ring"]["phone"], "0113 496 0999");
    }

    #[test]
    fn json_of_none_held_is_explicit() {
        let answer = samples::none_held();
        let json = json(&answer, reading::exit(&answer), Map::new()).unwrap();
        assert_eq!((&json["plans"]["outcome"], &json["exit_code"]), (&"none-held".into(), &11.into()));
        assert_eq!(json["plans"]["plans"], Json::Array(Vec::new()));
    }
}
