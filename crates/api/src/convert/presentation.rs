//! Presentations to record, amend, close and import.

use super::fault::Faults;
use super::lookup::{self, ParsedLookup};
use super::{caller, subject, time, words};
use crate::v1;
use kith_domain::caller::Caller;
use kith_domain::change::{PresentationAction, PresentationEvent};
use kith_domain::child::Subject;
use kith_domain::codes::{OdsCode, SiteCode};
use kith_domain::presentation::{Closing, Details, Outcome};
use kith_domain::text::EncounterId;
use kith_domain::time::{Day, Moment};
use uuid::Uuid;

/// Details with the encounter's id and version.
struct Encounter {
    id: EncounterId,
    version: u64,
    details: Details,
}

fn details(
    faults: &mut Faults,
    field: &str,
    details: Option<v1::PresentationDetails>,
    birth_date: Option<Day>,
) -> Option<Encounter> {
    let v1::PresentationDetails { encounter_id, version, site, arrived_at, care_setting, complaint } =
        faults.need(field, details)?;
    let path = |name: &str| format!("{field}.{name}");
    let id = faults.take(path("encounter_id"), "BAD_TEXT", EncounterId::parse(&encounter_id));
    let site = faults.take(path("site"), "UNKNOWN_SITE", SiteCode::parse(&site));
    let arrived_at = time::moment(faults, &path("arrived_at"), arrived_at);
    let setting = words::parse_setting(faults, &path("care_setting"), care_setting);
    let complaint = words::parse_complaint(faults, &path("complaint"), complaint);
    let details =
        Details { site: site?, arrived_at: arrived_at?, setting: setting?, complaint: complaint?, birth_date };
    Some(Encounter { id: id?, version, details })
}

/// A person's event about a presentation.
pub type CalledEvent = (Caller, PresentationEvent);

/// Takes a recording apart.
///
/// # Errors
/// Every fault found.
pub fn record(request: v1::RecordRequest, organisation: OdsCode) -> Result<CalledEvent, Faults> {
    let v1::RecordRequest { caller, event_id, subject, date_of_birth, presentation } = request;
    let parts = (caller, event_id, subject, date_of_birth, presentation);
    detailed(parts, organisation, PresentationAction::Record)
}

/// Takes a correction apart.
///
/// # Errors
/// Every fault found.
pub fn amend(request: v1::AmendRequest, organisation: OdsCode) -> Result<CalledEvent, Faults> {
    let v1::AmendRequest { caller, event_id, subject, date_of_birth, presentation } = request;
    let parts = (caller, event_id, subject, date_of_birth, presentation);
    detailed(parts, organisation, PresentationAction::Amend)
}

type DetailedParts =
    (Option<v1::Caller>, String, Option<v1::Subject>, Option<v1::Date>, Option<v1::PresentationDetails>);

fn detailed(
    (caller, event_id, subject, date_of_birth, presentation): DetailedParts,
    organisation: OdsCode,
    action: fn(Details) -> PresentationAction,
) -> Result<CalledEvent, Faults> {
    let mut faults = Faults::default();
    let caller = caller::parse(&mut faults, "caller", caller);
    let event_id = time::uuid(&mut faults, "event_id", &event_id);
    let subject = subject::parse(&mut faults, "subject", subject, organisation);
    let birth_date = time::day(&mut faults, "date_of_birth", date_of_birth);
    let encounter = details(&mut faults, "presentation", presentation, birth_date);
    faults.keep(caller.as_ref());
    faults.keep_about(subject.as_ref(), event_id);
    let parsed = match (caller, event_id, subject, encounter) {
        (Some(caller), Some(event_id), Some(subject), Some(Encounter { id, version, details })) => {
            let action = action(details);
            Some((caller, PresentationEvent { organisation, event_id, subject, encounter: id, version, action }))
        }
        (_, _, _, _) => None,
    };
    faults.finish(parsed)
}

/// Takes a closing apart.
///
/// # Errors
/// Every fault found.
pub fn close(request: v1::CloseRequest, organisation: OdsCode) -> Result<CalledEvent, Faults> {
    let v1::CloseRequest { caller, event_id, subject, encounter_id, version, outcome, outcome_at } = request;
    let mut faults = Faults::default();
    let caller = caller::parse(&mut faults, "caller", caller);
    let event_id = time::uuid(&mut faults, "event_id", &event_id);
    let subject = subject::parse(&mut faults, "subject", subject, organisation);
    let encounter = faults.take("encounter_id", "BAD_TEXT", EncounterId::parse(&encounter_id));
    let outcome = words::parse_outcome(&mut faults, "outcome", outcome);
    let at = time::moment(&mut faults, "outcome_at", outcome_at);
    faults.keep(caller.as_ref());
    faults.keep_about(subject.as_ref(), event_id);
    let parsed = match (caller, event_id, subject, encounter, outcome, at) {
        (Some(caller), Some(event_id), Some(subject), Some(encounter), Some(outcome), Some(at)) => {
            let action = PresentationAction::Close(Closing { outcome, at });
            Some((caller, PresentationEvent { organisation, event_id, subject, encounter, version, action }))
        }
        (_, _, _, _, _, _) => None,
    };
    faults.finish(parsed)
}

/// Takes one row of an import apart; the caller is the stream's.
///
/// # Errors
/// Every fault found.
pub fn import(request: v1::ImportRequest, organisation: OdsCode) -> Result<PresentationEvent, Faults> {
    let v1::ImportRequest { caller, event_id, subject, date_of_birth, presentation, outcome, outcome_at } = request;
    let mut faults = Faults::default();
    if caller.is_some_and(|caller| caller.organisation != organisation.as_str()) {
        let words = "the row names another organisation than the certificate";
        faults.add("caller.organisation", "ORGANISATION_MISMATCH", words);
    }
    let event_id = time::uuid(&mut faults, "event_id", &event_id);
    let subject = subject::parse(&mut faults, "subject", subject, organisation);
    let birth_date = time::day(&mut faults, "date_of_birth", date_of_birth);
    let encounter = details(&mut faults, "presentation", presentation, birth_date);
    let closing = closing(&mut faults, outcome, outcome_at);
    faults.keep_about(subject.as_ref(), event_id);
    let parsed = match (event_id, subject, encounter, closing) {
        (Some(event_id), Some(subject), Some(Encounter { id, version, details }), Some(closing)) => {
            let action = PresentationAction::Import(details, closing);
            Some(PresentationEvent { organisation, event_id, subject, encounter: id, version, action })
        }
        (_, _, _, _) => None,
    };
    faults.finish(parsed)
}

/// An import's optional outcome: `Some(None)` when the child was still waiting or nothing is known.
fn closing(faults: &mut Faults, outcome: i32, at: Option<prost_types::Timestamp>) -> Option<Option<Closing>> {
    if outcome == i32::from(v1::PresentationOutcome::Unspecified) {
        if at.is_some() {
            faults.add("outcome", "MISSING", "a time of the outcome is given without the outcome");
        }
        return Some(None);
    }
    let outcome = words::parse_outcome(faults, "outcome", outcome)?;
    if outcome == Outcome::Waiting {
        return Some(None);
    }
    time::moment(faults, "outcome_at", at).map(|at| Some(Closing { outcome, at }))
}

/// A check-in taken apart: the question, and what is to be recorded.
#[derive(Debug, Clone)]
pub struct ParsedCheckIn {
    /// The question.
    pub lookup: ParsedLookup,
    /// The event that records the presentation, or every fault of it: the question is answered all the same.
    pub recording: Result<PresentationEvent, Faults>,
    /// The event's id, when it is one.
    pub event_id: Option<Uuid>,
}

/// Takes a check-in apart. A presentation that cannot be recorded does not refuse the question.
///
/// # Errors
/// Every fault of the question.
pub fn check_in(request: v1::CheckInRequest, organisation: OdsCode, now: Moment) -> Result<ParsedCheckIn, Faults> {
    let v1::CheckInRequest { lookup, presentation, event_id } = request;
    let mut faults = Faults::default();
    let lookup = faults.need("lookup", lookup);
    let lookup = lookup.and_then(|lookup| lookup::parse_into(&mut faults, "lookup.", lookup, organisation, now));
    let mut lookup = faults.finish(lookup)?;

    let mut faults = Faults::default();
    let encounter = details(&mut faults, "presentation", presentation, lookup.question.birth_date);
    let event_id = time::uuid(&mut faults, "event_id", &event_id);
    lookup.question.checking_in = encounter.as_ref().map(|encounter| encounter.id.clone());
    let subject: Subject = lookup.question.subject.clone();
    let event = encounter.zip(event_id).map(|(Encounter { id, version, details }, event_id)| {
        let action = PresentationAction::Record(details);
        PresentationEvent { organisation, event_id, subject, encounter: id, version, action }
    });
    Ok(ParsedCheckIn { lookup, recording: faults.finish(event), event_id })
}

#[cfg(test)]
#[path = "presentation_tests.rs"]
mod tests;
