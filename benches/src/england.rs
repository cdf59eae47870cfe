//! Reads the presentations and lookups of a synthetic England into changes, as an engine takes them. For filling a data
//! directory before a measurement: the feeds' own way, over the network, takes an hour for a year of England.

use std::path::Path;

use kith_domain::NhsNumber;
use kith_domain::change::{AccessFacts, Accessed, Change, PresentationAction, PresentationEvent};
use kith_domain::child::Subject;
use kith_domain::codes::{OdsCode, SiteCode};
use kith_domain::presentation::{CareSetting, Closing, Complaint, Details, Outcome};
use kith_domain::text::{EncounterId, PersonText};
use kith_domain::time::{Day, Moment};
use serde::Deserialize;
use uuid::Uuid;

use crate::Failure;

/// A row of `presentations/<ODS code>.csv`.
#[derive(Deserialize)]
struct PresentationRow {
    site: String,
    encounter_id: String,
    version: u64,
    nhs_number: String,
    date_of_birth: String,
    arrived_at: String,
    care_setting: String,
    complaint: String,
    outcome: String,
    outcome_at: Option<String>,
}

/// A row of `accesses/<ODS code>.csv`.
#[derive(Deserialize)]
struct AccessRow {
    nhs_number: String,
    at: String,
    user_name: String,
    role: String,
}

fn moment(time: &str) -> Result<Moment, Failure> {
    Ok(Moment(time.parse::<jiff::Timestamp>()?.as_millisecond()))
}

fn id(organisation: OdsCode, what: &str, place: usize) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{organisation}/{what}/{place}").as_bytes())
}

/// The words of the files: kebab case of the domain's own names.
fn setting(word: &str) -> Result<CareSetting, Failure> {
    Ok(match word {
        "emergency-department" => CareSetting::EmergencyDepartment,
        "walk-in-centre" => CareSetting::WalkInCentre,
        "minor-injuries-unit" => CareSetting::MinorInjuriesUnit,
        "urgent-treatment-centre" => CareSetting::UrgentTreatmentCentre,
        "ambulance" => CareSetting::Ambulance,
        "out-of-hours" => CareSetting::OutOfHours,
        other => return Err(format!("care setting {other}").into()),
    })
}

fn complaint(word: &str) -> Result<Complaint, Failure> {
    Ok(match word {
        "injury" => Complaint::Injury,
        "head-injury" => Complaint::HeadInjury,
        "burn-or-scald" => Complaint::BurnOrScald,
        "poisoning-or-ingestion" => Complaint::PoisoningOrIngestion,
        "fracture" => Complaint::Fracture,
        "bite" => Complaint::Bite,
        "self-harm" => Complaint::SelfHarm,
        "mental-health" => Complaint::MentalHealth,
        "alcohol-or-drugs" => Complaint::AlcoholOrDrugs,
        "sexual-health" => Complaint::SexualHealth,
        "illness" => Complaint::Illness,
        "other" => Complaint::Other,
        "not-recorded" => Complaint::NotRecorded,
        other => return Err(format!("complaint {other}").into()),
    })
}

fn outcome(word: &str) -> Result<Outcome, Failure> {
    Ok(match word {
        "" | "waiting" => Outcome::Waiting,
        "discharged" => Outcome::Discharged,
        "admitted" => Outcome::Admitted,
        "transferred" => Outcome::Transferred,
        "left-before-being-seen" => Outcome::LeftBeforeBeingSeen,
        "left-against-advice" => Outcome::LeftAgainstAdvice,
        "discharged-with-concerns-recorded" => Outcome::DischargedWithConcernsRecorded,
        "died" => Outcome::Died,
        "entered-in-error" => Outcome::EnteredInError,
        other => return Err(format!("outcome {other}").into()),
    })
}

/// Calls `take` with each presentation of a trust's file.
///
/// # Errors
/// When a row cannot be read, or `take` fails.
pub fn presentations(
    file: &Path,
    organisation: OdsCode,
    mut take: impl FnMut(Change) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for (place, row) in csv::Reader::from_path(file)?.deserialize().enumerate() {
        let row: PresentationRow = row?;
        let details = Details {
            site: SiteCode::parse(&row.site)?,
            arrived_at: moment(&row.arrived_at)?,
            setting: setting(&row.care_setting)?,
            complaint: complaint(&row.complaint)?,
            birth_date: Some(Day::parse(&row.date_of_birth)?),
        };
        let closing = match row.outcome_at {
            Some(at) => Some(Closing { outcome: outcome(&row.outcome)?, at: moment(&at)? }),
            None => None,
        };
        take(Change::Presentation(PresentationEvent {
            organisation,
            event_id: id(organisation, "presentation", place),
            subject: Subject::Nhs(NhsNumber::parse(&row.nhs_number)?),
            encounter: EncounterId::parse(&row.encounter_id)?,
            version: row.version,
            action: PresentationAction::Import(details, closing),
        }))?;
    }
    Ok(())
}

/// Calls `take` with the access history that each lookup of a trust's file leaves.
///
/// # Errors
/// When a row cannot be read, or `take` fails.
pub fn accesses(
    file: &Path,
    organisation: OdsCode,
    mut take: impl FnMut(Change) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for (place, row) in csv::Reader::from_path(file)?.deserialize().enumerate() {
        let row: AccessRow = row?;
        let facts = AccessFacts {
            subject: Subject::Nhs(NhsNumber::parse(&row.nhs_number)?),
            organisation,
            request_id: id(organisation, "access", place),
            at: moment(&row.at)?,
            user_name: PersonText::parse(&row.user_name)?,
            user_role: PersonText::parse(&row.role)?,
            responsible: Vec::new(),
        };
        take(Change::Accessed(Accessed { audit_sequence: 0, access: Some(facts) }))?;
    }
    Ok(())
}
