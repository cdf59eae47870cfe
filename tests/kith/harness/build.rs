//! Messages as a hospital or an authority sends them, with invented people of the 999 range.

use std::time::{SystemTime, UNIX_EPOCH};

use kith_api::convert::time::{date, timestamp};
use kith_api::v1;
use kith_domain::NhsNumber;
use kith_domain::time::Moment;
use uuid::Uuid;

/// The named person of every request: such a name that it stands nowhere by chance.
pub const NURSE: &str = "Zebedee Quillfeather";
pub const USER: &str = "zq-canary-4471";

/// The `index`th NHS number of the fixtures.
pub fn nhs(index: u32) -> NhsNumber {
    let first_nine = 999_000_000 + 2 * index;
    let number = NhsNumber::from_first_nine(first_nine).or_else(|| NhsNumber::from_first_nine(first_nine + 1));
    number.unwrap()
}

pub fn now() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Moment(i64::try_from(since.as_millis()).unwrap())
}

/// A day so many days from today.
pub fn day(offset: i32) -> v1::Date {
    date(now().london_day().plus_days(offset))
}

/// A moment so many seconds ago.
pub fn ago(seconds: i64) -> kith_api::Timestamp {
    timestamp(now().plus_seconds(-seconds))
}

pub fn id() -> String {
    Uuid::new_v4().to_string()
}

/// A person who cares for a child; at an authority, demographics or operations one who keeps records.
pub fn caller(organisation: &str) -> v1::Caller {
    let keeps_records = organisation.starts_with('E') || ["X26", "KITH"].contains(&organisation);
    let purpose = if keeps_records { v1::Purpose::RecordKeeping } else { v1::Purpose::DirectCare };
    v1::Caller {
        user_id: USER.into(),
        user_name: NURSE.into(),
        user_role: "Triage nurse".into(),
        role_code: "R8000".into(),
        purpose: purpose.into(),
        organisation: organisation.into(),
    }
}

pub fn subject(number: NhsNumber) -> Option<v1::Subject> {
    Some(v1::Subject { subject: Some(v1::subject::Subject::NhsNumber(number.digits())) })
}

pub fn local(key: &str) -> Option<v1::Subject> {
    Some(v1::Subject { subject: Some(v1::subject::Subject::LocalKey(key.into())) })
}

pub fn lookup(organisation: &str, number: NhsNumber) -> v1::LookupRequest {
    v1::LookupRequest {
        caller: Some(caller(organisation)),
        care_context: v1::CareContext::Unscheduled.into(),
        subject: subject(number),
        number_traced: true,
        date_of_birth: None,
        request_id: id(),
        mother_nhs_number: None,
    }
}

/// Details of a presentation at the first site of a trust, an hour ago.
pub fn details(organisation: &str, encounter: &str) -> v1::PresentationDetails {
    v1::PresentationDetails {
        encounter_id: encounter.into(),
        version: 1,
        site: format!("{organisation}01"),
        arrived_at: Some(ago(3600)),
        care_setting: v1::CareSetting::EmergencyDepartment.into(),
        complaint: v1::ComplaintGroup::Injury.into(),
    }
}

pub fn record(organisation: &str, number: NhsNumber, encounter: &str) -> v1::RecordRequest {
    v1::RecordRequest {
        caller: Some(caller(organisation)),
        event_id: id(),
        subject: subject(number),
        date_of_birth: None,
        presentation: Some(details(organisation, encounter)),
    }
}

pub fn close(record: &v1::RecordRequest, outcome: v1::PresentationOutcome) -> v1::CloseRequest {
    let details = record.presentation.as_ref().unwrap();
    v1::CloseRequest {
        caller: record.caller.clone(),
        event_id: id(),
        subject: record.subject.clone(),
        encounter_id: details.encounter_id.clone(),
        version: details.version + 1,
        outcome: outcome.into(),
        outcome_at: Some(ago(60)),
    }
}

pub fn check_in(organisation: &str, number: NhsNumber, encounter: &str) -> v1::CheckInRequest {
    v1::CheckInRequest {
        lookup: Some(lookup(organisation, number)),
        presentation: Some(details(organisation, encounter)),
        event_id: id(),
    }
}

pub fn import(organisation: &str, number: NhsNumber, encounter: &str) -> v1::ImportRequest {
    v1::ImportRequest {
        caller: Some(caller(organisation)),
        event_id: id(),
        subject: subject(number),
        date_of_birth: None,
        presentation: Some(details(organisation, encounter)),
        outcome: v1::PresentationOutcome::Unspecified.into(),
        outcome_at: None,
    }
}

/// A plan in force since thirty days.
pub fn plan(number: NhsNumber, reference: &str) -> v1::PlanEvent {
    v1::PlanEvent {
        event_id: id(),
        action: v1::PlanAction::Start.into(),
        subject: subject(number),
        date_of_birth: None,
        kind: v1::PlanKind::ChildProtection.into(),
        start: Some(day(-30)),
        end: None,
        other_authority: String::new(),
        shielded: false,
        reference: reference.into(),
        version: 1,
        lift_shield: false,
        family: String::new(),
        babies: Vec::new(),
    }
}

pub fn event(event: v1::PlanEvent) -> v1::SubmitEventsRequest {
    v1::SubmitEventsRequest { item: Some(v1::submit_events_request::Item::Event(event)) }
}

pub fn heartbeat() -> v1::SubmitEventsRequest {
    let beat = v1::FeedHeartbeat { event_id: id() };
    v1::SubmitEventsRequest { item: Some(v1::submit_events_request::Item::Heartbeat(beat)) }
}
