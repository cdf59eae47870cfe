//! The reference of an answer about a shielded child, resolved for a broker. What is not known is said not to be known, and that nobody
//! shields a record now is never said to mean anything.

use kith_api::client::to_json;
use kith_api::v1;
use serde_json::Value as Json;

use super::{Done, Text};
use crate::args::ResolveArgs;
use crate::dates;
use crate::exit::Exit;
use crate::failure::{Failure, Sent};
use crate::render::Page;
use crate::settings::Settings;
use crate::words::purpose;

/// Resolves a reference.
///
/// # Errors
/// No connection, or a refusal: then nothing is told of anybody.
pub async fn run(settings: &Settings, args: &ResolveArgs) -> Result<Done, Failure> {
    let request = v1::ResolveReferenceRequest {
        caller: Some(settings.person.caller(&settings.organisation, v1::Purpose::DirectCare)?),
        audit_reference: args.reference.concat(),
    };
    let client = settings.connect().await?;
    let response = client.broker().resolve_reference(client.request(request)).await;
    let response = response.map_err(|status| Failure::status(&status, Sent::Question))?.into_inner();
    let json = to_json(&response).map_err(|error| Failure::could_not_ask(format!("failed to {error}")));
    let mut json = json?;
    json.insert("exit_code".to_owned(), Exit::Done.code().into());
    Ok(Done { text: Text::Page(shown(&response)), json: Json::Object(json), exit: Exit::Done })
}

fn shown(response: &v1::ResolveReferenceResponse) -> Page {
    let v1::ResolveReferenceResponse {
        child,
        mother,
        asked_at,
        organisation,
        organisation_name,
        user_id,
        user_name,
        user_role,
        purpose: why,
        asker,
        entry_reference,
    } = response;
    let mut page = Page::default();
    page.attention(0, 2, "SHIELDED RECORD: tell nobody where the child is or was asked about but those who shield it.");
    match child {
        Some(child) => person(&mut page, "The answer was about", child),
        None => page.attention(0, 2, "whom the answer was about is not told: ask again"),
    }
    if let Some(mother) = mother {
        person(&mut page, "The mother whose record was read:", mother);
    }
    let at = asked_at.as_ref().map_or_else(|| "time not given".to_owned(), dates::show_moment);
    page.text(0, 2, &format!("Asked {at} (UK time), {}, entry {entry_reference}:", purpose(*why)));
    page.text(2, 4, &format!("{user_name}, {user_role} ({user_id}), {organisation_name} ({organisation})"));
    ring(&mut page, asker.as_ref());
    page
}

fn person(page: &mut Page, what: &str, person: &v1::ResolvedPerson) {
    let v1::ResolvedPerson {
        nhs_number,
        local_key,
        shielded_by,
        shielded_nationally,
        number_invalid,
        identity_not_confirmed,
    } = person;
    let whom = match local_key {
        Some(v1::LocalKey { organisation, key }) => format!("local key {key} of {organisation}"),
        None if nhs_number.is_empty() => "somebody whom this program cannot tell".to_owned(),
        None => format!("NHS number {nhs_number}"),
    };
    page.text(0, 2, &format!("{what} {whom}"));
    if *number_invalid {
        page.attention(2, 4, "The number is not valid any more: IDENTITY NOT CONFIRMED. No authority is named for it.");
        return;
    }
    if *identity_not_confirmed {
        page.attention(
            2,
            4,
            "IDENTITY NOT CONFIRMED: the birth date that was asked with is not the record's. It may be another child's record: \
             confirm who the child is before anything is told.",
        );
    }
    for contact in shielded_by {
        ring(page, Some(contact));
    }
    if *shielded_nationally {
        page.text(2, 4, "The demographics service marks the record as sensitive.");
    }
    if shielded_by.is_empty() && !*shielded_nationally {
        page.text(2, 4, "Nobody shields the record now, under any of its numbers. This says nothing about the person.");
    }
}

fn ring(page: &mut Page, contact: Option<&v1::Contact>) {
    let Some(v1::Contact { name, phone, why, code: _ }) = contact else {
        page.attention(2, 4, "whom to ring is not told");
        return;
    };
    page.text(2, 4, &format!("RING {name}, {phone} ({why})"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(name: &str) -> v1::Contact {
        v1::Contact {
            name: name.into(),
            phone: "01632 960001".into(),
            why: "it shields the record".into(),
            code: "x".into(),
        }
    }

    fn told(child: v1::ResolvedPerson) -> String {
        let response = v1::ResolveReferenceResponse {
            child: Some(child),
            user_name: "A Nurse".into(),
            asker: Some(contact("Trust")),
            ..v1::ResolveReferenceResponse::default()
        };
        said(&response)
    }

    /// What is shown, without its line breaks.
    fn said(response: &v1::ResolveReferenceResponse) -> String {
        shown(response).render(false).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn it_says_who_shields_and_whom_to_ring_on_either_side() {
        let child = v1::ResolvedPerson {
            nhs_number: "n".into(),
            shielded_by: vec![contact("Borough")],
            ..v1::ResolvedPerson::default()
        };
        let text = told(child);
        assert!(text.contains("NHS number n") && text.contains("RING Borough, 01632 960001"), "{text}");
        assert!(text.contains("A Nurse") && text.contains("RING Trust") && !text.contains("Nobody shields"), "{text}");
    }

    /// Three different things: a number that is not valid any more, a shield that was lifted, and what is not told.
    #[test]
    fn nothing_that_is_missing_reads_as_anything_about_the_child() {
        let invalid = told(v1::ResolvedPerson { number_invalid: true, ..v1::ResolvedPerson::default() });
        assert!(invalid.contains("IDENTITY NOT CONFIRMED") && !invalid.contains("Nobody shields"), "{invalid}");
        let unconfirmed = told(v1::ResolvedPerson {
            identity_not_confirmed: true,
            shielded_by: vec![contact("Borough")],
            ..v1::ResolvedPerson::default()
        });
        let (doubt, ring) = (unconfirmed.find("IDENTITY NOT CONFIRMED"), unconfirmed.find("RING Borough"));
        assert!(doubt.is_some() && doubt < ring, "{unconfirmed}");
        let lifted = told(v1::ResolvedPerson::default());
        assert!(!lifted.contains("IDENTITY NOT CONFIRMED"), "{lifted}");
        assert!(lifted.contains("This says nothing about the person"), "{lifted}");
        let national = told(v1::ResolvedPerson { shielded_nationally: true, ..v1::ResolvedPerson::default() });
        assert!(
            national.contains("marks the record as sensitive") && !national.contains("Nobody shields"),
            "{national}"
        );
        let nothing = said(&v1::ResolveReferenceResponse::default());
        assert!(
            nothing.contains("is not told: ask again") && nothing.contains("whom to ring is not told"),
            "{nothing}"
        );
    }
}
