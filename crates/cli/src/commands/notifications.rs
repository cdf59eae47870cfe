//! An authority's access notifications: lists them page by page, and acknowledges those named. It never acknowledges what
//! was only listed.

use kith_api::client::{Client, to_json};
use kith_api::v1;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{Done, Text};
use crate::dates;
use crate::exit::Exit;
use crate::failure::{Failure, Sent};
use crate::person::uuid_or;
use crate::render::Page;
use crate::settings::Settings;

/// Notifications listed when no limit is given.
pub const USUAL_LIMIT: u32 = 100;
/// Largest page the service gives.
const PAGE_SIZE: u32 = 500;
/// What an empty list does not say.
const NONE_LISTED: &str = "This is not a statement that nobody asked about a child.";

/// Lists them, oldest first.
///
/// # Errors
/// No connection, or a refusal.
pub async fn list(settings: &Settings, include_acknowledged: bool, limit: u32) -> Result<Done, Failure> {
    let caller = settings.person.caller(&settings.organisation, v1::Purpose::RecordKeeping)?;
    let client = settings.connect().await?;
    let mut listed = v1::ListResponse::default();
    loop {
        let left = limit - u32::try_from(listed.notifications.len()).unwrap_or(limit).min(limit);
        let request = v1::ListRequest {
            page_size: left.min(PAGE_SIZE),
            page_token: std::mem::take(&mut listed.next_page_token),
            include_acknowledged,
            caller: Some(caller.clone()),
        };
        let v1::ListResponse { notifications, next_page_token, gaps } = page_of(&client, request).await?;
        listed.notifications.extend(notifications);
        listed.gaps = gaps;
        listed.next_page_token = next_page_token;
        let full = u32::try_from(listed.notifications.len()).unwrap_or(u32::MAX) >= limit;
        if listed.next_page_token.is_empty() || full {
            break;
        }
    }
    let mut json = to_json(&listed).map_err(|error| Failure::could_not_ask(format!("failed to {error}")))?;
    json.insert("exit_code".to_owned(), Exit::Done.code().into());
    Ok(Done { text: Text::Page(page(&listed)), json: Json::Object(json), exit: Exit::Done })
}

async fn page_of(client: &Client, request: v1::ListRequest) -> Result<v1::ListResponse, Failure> {
    let response = client.notifications().list(client.request(request)).await;
    Ok(response.map_err(|status| Failure::status(&status, Sent::Question))?.into_inner())
}

fn page(listed: &v1::ListResponse) -> Page {
    let v1::ListResponse { notifications, next_page_token, gaps } = listed;
    let mut page = Page::default();
    for v1::AuditGap { after_audit_reference, found_at } in gaps {
        let at = shown(found_at.as_ref());
        let words = format!("GAP found {at}: notifications after audit entry {after_audit_reference} may be missing.");
        page.attention(0, 2, &words);
    }
    page.text(0, 2, &format!("{} notifications, oldest first (UK time)", notifications.len()));
    if notifications.is_empty() {
        page.text(0, 2, NONE_LISTED);
    }
    for notification in notifications {
        one(&mut page, notification);
    }
    if !next_page_token.is_empty() {
        page.text(0, 2, "There are more: acknowledge these, or ask with a greater --limit.");
    }
    page
}

fn one(page: &mut Page, notification: &v1::Notification) {
    let v1::Notification {
        id,
        subject,
        at,
        cause,
        organisation,
        organisation_name,
        user_name,
        user_role,
        shielded,
        acknowledged,
        replaced_by,
    } = notification;
    let whom = match subject.as_ref().and_then(|subject| subject.subject.as_ref()) {
        Some(v1::subject::Subject::NhsNumber(number)) => format!("NHS number {number}"),
        Some(v1::subject::Subject::LocalKey(key)) => format!("local key {key}"),
        None => "subject not given".to_owned(),
    };
    let cause = match v1::NotificationCause::try_from(*cause) {
        Ok(v1::NotificationCause::Lookup) => "looked up",
        Ok(v1::NotificationCause::Presentation) => "attended",
        Ok(v1::NotificationCause::NumberReplaced) => "the number has been REPLACED",
        Ok(v1::NotificationCause::NumberInvalidated) => "the number is NOT VALID any more",
        Ok(v1::NotificationCause::NumberReinstated) => "the number stands again as you sent it",
        Ok(v1::NotificationCause::Unspecified) | Err(_) => "cause unknown",
    };
    let state = if *acknowledged { ", acknowledged" } else { "" };
    page.text(0, 4, &format!("#{id}  {}  {whom}: {cause}{state}", shown(at.as_ref())));
    if !replaced_by.is_empty() {
        page.text(4, 4, &format!("Send NHS number {replaced_by} from now on."));
    }
    if *shielded {
        page.attention(4, 4, "SHIELDED RECORD: place not shown");
        return;
    }
    if organisation.is_empty() {
        return;
    }
    let person = if user_name.is_empty() { String::new() } else { format!("{user_name}, {user_role}, ") };
    page.text(4, 4, &format!("{person}{organisation_name} ({organisation})"));
}

fn shown(moment: Option<&dates::ProtoTimestamp>) -> String {
    moment.map_or_else(|| "time not given".to_owned(), dates::show_moment)
}

/// Acknowledges those named.
///
/// # Errors
/// No connection, or a refusal.
pub async fn acknowledge(settings: &Settings, ids: Vec<u64>, event_id: Option<&str>) -> Result<Done, Failure> {
    let event_id = uuid_or(event_id, "event_id", Uuid::new_v4)?.to_string();
    let asked = ids.len();
    let caller = Some(settings.person.caller(&settings.organisation, v1::Purpose::RecordKeeping)?);
    let client = settings.connect().await?;
    let request = v1::AcknowledgeRequest { ids, event_id, caller };
    let response = client.notifications().acknowledge(client.request(request)).await;
    let response = response.map_err(|status| Failure::status(&status, Sent::Change))?.into_inner();
    acknowledged(&response, asked)
}

fn acknowledged(response: &v1::AcknowledgeResponse, asked: usize) -> Result<Done, Failure> {
    let v1::AcknowledgeResponse { acknowledgement, unknown_ids } = response;
    if acknowledgement.is_none() {
        return Err(Failure::could_not_ask("the service replied without an acknowledgement: send it again"));
    }
    let exit = if unknown_ids.is_empty() { Exit::Done } else { Exit::ChangeRefused };
    let mut text = format!("{} acknowledged\n", asked.saturating_sub(unknown_ids.len()));
    if !unknown_ids.is_empty() {
        let ids: Vec<String> = unknown_ids.iter().map(u64::to_string).collect();
        text.push_str(&format!("not known, or not this authority's: {}\n", ids.join(", ")));
    }
    let mut fields = to_json(response).map_err(|error| Failure::could_not_ask(format!("failed to {error}")))?;
    fields.insert("exit_code".to_owned(), json!(exit.code()));
    Ok(Done { text: Text::Plain(text), json: Json::Object(fields), exit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shielded_notification_shows_no_place_and_a_gap_stands_first() {
        let notification = v1::Notification {
            id: 7,
            organisation_name: "must not be shown".into(),
            shielded: true,
            cause: 99,
            ..Default::default()
        };
        let gap = v1::AuditGap { after_audit_reference: "a/1".into(), found_at: None };
        let listed =
            v1::ListResponse { notifications: vec![notification], next_page_token: "x".into(), gaps: vec![gap] };
        let text = page(&listed).render(false);
        assert!(text.starts_with("GAP found"), "{text}");
        assert!(text.contains("cause unknown") && text.contains("There are more"), "{text}");
        assert!(!text.contains("must not be shown"), "{text}");
    }

    #[test]
    fn an_empty_list_does_not_read_as_nobody_asked() {
        let words =
            |listed: &v1::ListResponse| page(listed).render(false).split_whitespace().collect::<Vec<_>>().join(" ");
        let none = words(&v1::ListResponse::default());
        assert!(none.starts_with("0 notifications") && none.contains("not a statement that nobody asked"), "{none}");
        let one = v1::ListResponse { notifications: vec![v1::Notification::default()], ..Default::default() };
        assert!(!words(&one).contains("not a statement"), "what is listed speaks for itself");
    }

    #[test]
    fn ids_that_are_not_known_are_a_refused_change() {
        let mut response = v1::AcknowledgeResponse { acknowledgement: Some(Default::default()), unknown_ids: vec![9] };
        let done = acknowledged(&response, 3).unwrap();
        assert_eq!((done.exit, &done.json["unknown_ids"][0]), (Exit::ChangeRefused, &9.into()));
        response.unknown_ids.clear();
        assert_eq!(acknowledged(&response, 3).unwrap().exit, Exit::Done);
        response.acknowledgement = None;
        assert!(acknowledged(&response, 3).is_err());
    }
}
