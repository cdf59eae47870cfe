//! Plan events and acknowledgements.

use super::fault::Faults;
use super::{subject, time, words};
use crate::v1;
use kith_domain::change::{Baby, Change, Feed, Heartbeat, PlanAction, PlanEvent};
use kith_domain::codes::{LaCode, OdsCode};
use kith_domain::text::{FamilyReference, PlanReference};
use kith_domain::time::Moment;
use uuid::Uuid;

/// Takes one item of the stream apart. The authority is the certificate's.
///
/// # Errors
/// Every fault found.
pub fn parse(request: v1::SubmitEventsRequest, authority: LaCode, organisation: OdsCode) -> Result<Change, Faults> {
    let v1::SubmitEventsRequest { item } = request;
    let mut faults = Faults::default();
    let change = match faults.need("item", item) {
        Some(v1::submit_events_request::Item::Event(event)) => {
            parse_event(&mut faults, event, authority, organisation).map(Change::Plan)
        }
        Some(v1::submit_events_request::Item::Heartbeat(v1::FeedHeartbeat { event_id })) => {
            let event_id = time::uuid(&mut faults, "event_id", &event_id);
            event_id.map(|event_id| Change::Heartbeat(Heartbeat { feed: Feed::Plans(authority), event_id }))
        }
        None => None,
    };
    faults.finish(change)
}

/// The event id of an item as sent, if it is a UUID.
#[must_use]
pub fn sent_event_id(request: &v1::SubmitEventsRequest) -> Option<Uuid> {
    let text = match request.item.as_ref()? {
        v1::submit_events_request::Item::Event(event) => &event.event_id,
        v1::submit_events_request::Item::Heartbeat(beat) => &beat.event_id,
    };
    Uuid::try_parse(text).ok()
}

/// Whether an item says that whom it is about is shielded, or was, however faulty it is.
#[must_use]
pub fn tells_of_shield(request: &v1::SubmitEventsRequest) -> bool {
    match &request.item {
        Some(v1::submit_events_request::Item::Event(event)) => event.shielded || event.lift_shield,
        Some(v1::submit_events_request::Item::Heartbeat(_)) | None => false,
    }
}

fn parse_event(
    faults: &mut Faults,
    event: v1::PlanEvent,
    authority: LaCode,
    organisation: OdsCode,
) -> Option<PlanEvent> {
    let v1::PlanEvent {
        event_id,
        action,
        subject,
        date_of_birth,
        kind,
        start,
        end,
        other_authority,
        shielded,
        reference,
        version,
        lift_shield,
        family,
        babies,
    } = event;
    let event_id = time::uuid(faults, "event_id", &event_id);
    let action = parse_action(faults, action, &other_authority);
    let subject = subject::parse(faults, "subject", subject, organisation);
    let birth_date = time::day(faults, "date_of_birth", date_of_birth);
    let kind = words::parse_kind(faults, "kind", kind);
    let start = time::day(faults, "start", start);
    let end = time::day(faults, "end", end);
    let reference = plan_reference(faults, "reference", &reference);
    let family = match family.as_str() {
        "" => None,
        text => faults.take("family", "BAD_TEXT", FamilyReference::parse(text)),
    };
    let before = faults.0.len();
    let babies: Vec<Baby> = babies.into_iter().filter_map(|one| baby(faults, one, organisation)).collect();
    faults.keep_about(subject.as_ref(), event_id);
    if faults.0.len() > before {
        return None;
    }
    Some(PlanEvent {
        authority,
        event_id: event_id?,
        subject: subject?,
        action: action?,
        kind: kind?,
        reference,
        version,
        start,
        end,
        birth_date,
        shielded,
        unshield: lift_shield,
        family,
        babies,
    })
}

fn baby(faults: &mut Faults, baby: v1::Baby, organisation: OdsCode) -> Option<Baby> {
    let v1::Baby { subject, kind, reference, date_of_birth } = baby;
    let subject = subject::parse(faults, "babies.subject", subject, organisation);
    let kind = words::parse_kind(faults, "babies.kind", kind);
    let birth_date = time::day(faults, "babies.date_of_birth", date_of_birth);
    let reference = plan_reference(faults, "babies.reference", &reference);
    Some(Baby { subject: subject?, kind: kind?, reference, birth_date })
}

fn plan_reference(faults: &mut Faults, field: &str, text: &str) -> Option<PlanReference> {
    if text.is_empty() { None } else { faults.take(field, "BAD_TEXT", PlanReference::parse(text)) }
}

fn parse_action(faults: &mut Faults, action: i32, other_authority: &str) -> Option<PlanAction> {
    let mut other = || faults.take("other_authority", "UNKNOWN_AUTHORITY", LaCode::parse(other_authority));
    let action = match v1::PlanAction::try_from(action) {
        Ok(v1::PlanAction::Start) => PlanAction::Start,
        Ok(v1::PlanAction::Change) => PlanAction::Change,
        Ok(v1::PlanAction::End) => PlanAction::End,
        Ok(v1::PlanAction::Withdraw) => PlanAction::Withdraw,
        Ok(v1::PlanAction::TransferOut) => return other().map(PlanAction::TransferOut),
        Ok(v1::PlanAction::TransferIn) => return other().map(PlanAction::TransferIn),
        Ok(v1::PlanAction::Born) => PlanAction::Born,
        Ok(v1::PlanAction::Unspecified) | Err(_) => {
            faults.add("action", "UNKNOWN_ACTION", "an action of the list is needed");
            return None;
        }
    };
    if !other_authority.is_empty() {
        faults.add("other_authority", "NOT_A_TRANSFER", "another authority belongs to transfers only");
        return None;
    }
    Some(action)
}

/// An acknowledgement on the wire.
#[must_use]
pub fn acknowledgement(
    event_id: Uuid,
    sequence: u64,
    at: Moment,
    repeated: bool,
    effect: kith_domain::fold::Effect,
) -> v1::Acknowledgement {
    v1::Acknowledgement {
        event_id: event_id.to_string(),
        sequence,
        accepted_at: Some(time::timestamp(at)),
        repeated,
        effect: words::effect(effect).into(),
    }
}

/// Checks an acknowledgement of notifications and gives its event id.
///
/// # Errors
/// Every fault found.
pub fn acknowledging(ids: &[u64], event_id: &str, max: usize) -> Result<Uuid, Faults> {
    let mut faults = Faults::default();
    if ids.is_empty() || ids.len() > max {
        faults.add("ids", "ID_COUNT", format!("1 to {max} ids are needed"));
    }
    let event_id = time::uuid(&mut faults, "event_id", event_id);
    faults.finish(event_id)
}
