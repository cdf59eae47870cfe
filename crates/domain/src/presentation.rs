//! A presentation: one attendance of a child at an unscheduled-care setting, folded from versioned events.

use crate::codes::{OdsCode, SiteCode};
use crate::plan::Register;
use crate::redacted::debug_without;
use crate::text::EncounterId;
use crate::time::{Day, Moment};
use serde::{Deserialize, Serialize};

/// Where it took place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CareSetting {
    /// Emergency department.
    EmergencyDepartment,
    /// Walk-in centre.
    WalkInCentre,
    /// Minor injuries unit.
    MinorInjuriesUnit,
    /// Urgent treatment centre.
    UrgentTreatmentCentre,
    /// Ambulance service.
    Ambulance,
    /// Out-of-hours service.
    OutOfHours,
}

/// Why the child came: coarse groups on purpose (proportionality).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Complaint {
    /// Injury.
    Injury,
    /// Head injury.
    HeadInjury,
    /// Burn or scald.
    BurnOrScald,
    /// Poisoning or ingestion.
    PoisoningOrIngestion,
    /// Fracture.
    Fracture,
    /// Bite.
    Bite,
    /// Self-harm.
    SelfHarm,
    /// Mental health.
    MentalHealth,
    /// Alcohol or drugs.
    AlcoholOrDrugs,
    /// Sexual health.
    SexualHealth,
    /// Illness.
    Illness,
    /// Another reason.
    Other,
    /// The department did not record one.
    NotRecorded,
}

/// How it ended, structured because free text hides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Still in the department.
    Waiting,
    /// Discharged.
    Discharged,
    /// Admitted.
    Admitted,
    /// Transferred to another provider.
    Transferred,
    /// Left before being seen.
    LeftBeforeBeingSeen,
    /// Left against advice.
    LeftAgainstAdvice,
    /// Discharged with concerns recorded.
    DischargedWithConcernsRecorded,
    /// Died.
    Died,
    /// Entered in error: vanishes from answers.
    EnteredInError,
}

/// The details of a presentation; an amendment replaces all of them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// Site.
    pub site: SiteCode,
    /// Arrival.
    pub arrived_at: Moment,
    /// Setting.
    pub setting: CareSetting,
    /// Complaint group.
    pub complaint: Complaint,
    /// Birth date as the department has it.
    pub birth_date: Option<Day>,
}

debug_without!(Details, shown: [site, arrived_at, setting, complaint], hidden: [birth_date]);

/// An outcome and when it came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// The outcome.
    pub outcome: Outcome,
    /// When.
    pub at: Moment,
}

/// A presentation as held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presentation {
    /// The trust or service.
    pub organisation: OdsCode,
    /// Its own encounter id.
    pub encounter: EncounterId,
    /// Details; none when only the closing has been told.
    pub details: Register<Details>,
    /// Outcome; none means waiting.
    pub closing: Register<Closing>,
}

impl Presentation {
    /// A presentation about which no event has been applied.
    #[must_use]
    pub fn new(organisation: OdsCode, encounter: EncounterId) -> Self {
        Self { organisation, encounter, details: Register::default(), closing: Register::default() }
    }

    /// The outcome so far.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self.closing.get().map(|closing| closing.outcome) {
            // Recorded again under a greater version: it was no error after all.
            Some(Outcome::EnteredInError) if self.details.version() > self.closing.version() => Outcome::Waiting,
            Some(outcome) => outcome,
            None => Outcome::Waiting,
        }
    }

    /// Arrival, or the closing while the arrival has not been told.
    #[must_use]
    pub fn moment(&self) -> Moment {
        let closing = self.closing.get().map(|closing| closing.at);
        self.details.get().map(|details| details.arrived_at).or(closing).unwrap_or_default()
    }
}
