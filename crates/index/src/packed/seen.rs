//! Presentations and rows of access history: nearly all that is held, so they take the fewest bytes.

use super::bytes::{Reader, Writer};
use super::closed::closed;
use kith_domain::child::Access;
use kith_domain::presentation::{CareSetting, Closing, Complaint, Details, Outcome, Presentation};
use kith_domain::text::{EncounterId, PersonText};

closed!(setting_code, setting_of, CareSetting:
    EmergencyDepartment = 0, WalkInCentre = 1, MinorInjuriesUnit = 2, UrgentTreatmentCentre = 3, Ambulance = 4,
    OutOfHours = 5);
closed!(complaint_code, complaint_of, Complaint:
    Injury = 0, HeadInjury = 1, BurnOrScald = 2, PoisoningOrIngestion = 3, Fracture = 4, Bite = 5, SelfHarm = 6,
    MentalHealth = 7, AlcoholOrDrugs = 8, SexualHealth = 9, Illness = 10, Other = 11, NotRecorded = 12);
closed!(outcome_code, outcome_of, Outcome:
    Waiting = 0, Discharged = 1, Admitted = 2, Transferred = 3, LeftBeforeBeingSeen = 4, LeftAgainstAdvice = 5,
    DischargedWithConcernsRecorded = 6, Died = 7, EnteredInError = 8);

/// The version that most encounters have.
const FIRST_VERSION: u64 = 1;

pub(super) fn presentation(out: &mut Writer<'_>, held: &Presentation) {
    let Presentation { organisation, encounter, details, closing } = held;
    out.code(*organisation);
    out.text(encounter.as_str());
    out.register(details, FIRST_VERSION, |out, held| {
        let Details { site, arrived_at, setting, complaint, birth_date } = held;
        out.code(*site);
        out.moment(*arrived_at);
        out.byte(setting_code(*setting) << 4 | complaint_code(*complaint));
        out.born(*birth_date);
    });
    out.register(closing, details.version(), |out, closing| {
        let Closing { outcome, at } = closing;
        out.byte(outcome_code(*outcome));
        match details.get() {
            Some(details) => out.span(*at, details.arrived_at),
            None => out.moment(*at),
        }
    });
}

pub(super) fn presentation_of(bytes: &mut Reader<'_>) -> Option<Presentation> {
    let organisation = bytes.code()?;
    let encounter = bytes.text(|text| EncounterId::parse(text).ok())?;
    let details = bytes.register(FIRST_VERSION, |bytes| {
        let (site, arrived_at, what) = (bytes.code()?, bytes.moment()?, bytes.byte()?);
        let (setting, complaint) = (setting_of(what >> 4)?, complaint_of(what & 0xf)?);
        Some(Details { site, arrived_at, setting, complaint, birth_date: bytes.born()? })
    })?;
    let closing = bytes.register(details.version(), |bytes| {
        let outcome = outcome_of(bytes.byte()?)?;
        let at = match details.get() {
            Some(details) => bytes.span(details.arrived_at)?,
            None => bytes.moment()?,
        };
        Some(Closing { outcome, at })
    })?;
    Some(Presentation { organisation, encounter, details, closing })
}

/// A row belongs to a presentation most often: a lookup at triage. Then it tells which, and how long after it; else its
/// organisation and when. Most are of one lookup.
pub(super) fn access(out: &mut Writer<'_>, row: &Access, presentations: &[Presentation]) {
    let Access { organisation, user_name, user_role, first_at, last_at, count } = row;
    let distance = |of: &Presentation| first_at.0.wrapping_sub(of.moment().0).unsigned_abs();
    let near = presentations.iter().enumerate().filter(|(_, of)| of.organisation == *organisation);
    let near = near.min_by_key(|(_, of)| distance(of));
    let is_single = last_at == first_at && *count == 1;
    let which = near.map_or(0, |(at, _)| at as u64 + 1);
    out.int(which << 1 | u64::from(is_single));
    match near {
        Some((_, of)) => out.span(*first_at, of.moment()),
        None => {
            out.code(*organisation);
            out.moment(*first_at);
        }
    }
    let (tables, viewer) = (out.tables, (user_name.clone(), user_role.clone()));
    out.interned(&tables.viewers, &viewer, |out, (name, role)| {
        out.text(name.as_str());
        out.text(role.as_str());
    });
    if !is_single {
        out.span(*last_at, *first_at);
        out.int(u64::from(*count));
    }
}

pub(super) fn access_of(bytes: &mut Reader<'_>, presentations: &[Presentation]) -> Option<Access> {
    let person = |bytes: &mut Reader<'_>| bytes.text(|text| PersonText::parse(text).ok());
    let head = bytes.int()?;
    let (organisation, first_at) = match usize::try_from(head >> 1).ok()? {
        0 => (bytes.code()?, bytes.moment()?),
        which => {
            let of = presentations.get(which - 1)?;
            (of.organisation, bytes.span(of.moment())?)
        }
    };
    let tables = bytes.tables;
    let viewer = bytes.interned(&tables.viewers, |bytes| Some((person(bytes)?, person(bytes)?)))?;
    let (user_name, user_role) = viewer;
    let (last_at, count) = match head & 1 {
        1 => (first_at, 1),
        _ => (bytes.span(first_at)?, u32::try_from(bytes.int()?).ok()?),
    };
    Some(Access { organisation, user_name, user_role, first_at, last_at, count })
}
