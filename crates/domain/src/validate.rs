//! Whether an event can be taken at all: dates, codes and what each action needs. Looks at the event, the directory and
//! the time it is given; never at what is held.

use crate::change::{
    IdentityAction, IdentityEvent, PlanAction, PlanEvent, PresentationAction, PresentationEvent, Proposal,
};
use crate::child::Subject;
use crate::codes::{LaCode, SiteCode};
use crate::directory::Directory;
use crate::plan::RecordRole;
use crate::presentation::{Closing, Details, Outcome};
use crate::refused::Refused;
use crate::time::{Day, Moment};

/// How far a sender's clock may run ahead.
const CLOCK_AHEAD_SECONDS: i64 = 60 * 60;

const VERSION_ZERO: Refused = Refused::invalid("version", "VERSION_ZERO", "versions begin at 1");
const BORN_LATER: Refused =
    Refused::invalid("date_of_birth", "BIRTH_DATE_IN_FUTURE", "the date of birth is in the future");
const END_BEFORE_START: Refused = Refused::invalid("end", "END_BEFORE_START", "the end is before the start");
const START_MISSING: Refused = Refused::invalid("start", "START_MISSING", "this event needs the first day of the plan");
const END_MISSING: Refused = Refused::invalid("end", "END_MISSING", "this event needs the last day of the plan");
const NOT_NAMED: Refused =
    Refused::invalid("reference", "PLAN_NOT_NAMED", "a plan without a reference needs its start on every event");
const SHIELD_BOTH: Refused =
    Refused::invalid("lift_shield", "SHIELD_BOTH", "an event cannot both set a shield and lift it");
const SAME_AUTHORITY: Refused =
    Refused::invalid("other_authority", "SAME_AUTHORITY", "a transfer needs another authority");
const UNKNOWN_OTHER: Refused =
    Refused::invalid("other_authority", "UNKNOWN_AUTHORITY", "the other authority is not known to this service");
const UNKNOWN_AUTHORITY: Refused =
    Refused::invalid("authority", "UNKNOWN_AUTHORITY", "this authority is not known to this service");
const UNKNOWN_ORGANISATION: Refused =
    Refused::invalid("organisation", "UNKNOWN_ORGANISATION", "this organisation is not known to this service");
const UNKNOWN_KEY_OWNER: Refused = Refused::invalid(
    "change.subject.local_key.organisation",
    "UNKNOWN_ORGANISATION",
    "this organisation is not known to this service",
);
const UNKNOWN_SITE: Refused = Refused::invalid("site", "UNKNOWN_SITE", "the site is not known to this service");
const SITE_ELSEWHERE: Refused =
    Refused::invalid("site", "SITE_OF_ANOTHER_ORGANISATION", "the site belongs to another organisation");
const FOREIGN_KEY: Refused = Refused::invalid(
    "change.subject.local_key",
    "FOREIGN_KEY",
    "a local key of another organisation cannot be proposed",
);
const REPLACED_BY_ITSELF: Refused =
    Refused::invalid("change.replaced_by", "LINK_CYCLE", "a number cannot stand in its own place");
const NEEDS_NUMBER: Refused =
    Refused::invalid("change.subject", "NEEDS_NHS_NUMBER", "this can be told of an NHS number only");
const TOLD_BORN_LATER: Refused =
    Refused::invalid("change.date", "BIRTH_DATE_IN_FUTURE", "the date of birth is in the future");
const DIED_LATER: Refused = Refused::invalid("change.date", "DEATH_IN_FUTURE", "the date of death is in the future");
const ARRIVAL_LATER: Refused = Refused::invalid("arrived_at", "ARRIVAL_IN_FUTURE", "the arrival is in the future");
const ARRIVAL_TOO_OLD: Refused = Refused::invalid(
    "arrived_at",
    "ARRIVAL_BEYOND_RETENTION",
    "the arrival is longer ago than presentations are kept: check the date",
);
const ARRIVAL_UNBORN: Refused =
    Refused::invalid("arrived_at", "ARRIVAL_BEFORE_BIRTH", "the arrival is before the date of birth");
/// No presentation of an adult is kept.
pub const ADULT: Refused =
    Refused::invalid("date_of_birth", "ADULT", "aged 18 or over at arrival: no presentation of an adult is kept");
const ADULT_AT_START: Refused = Refused::invalid(
    "date_of_birth",
    "ADULT_AT_START",
    "aged 18 or over when the plan starts: check the date of birth",
);
const OUTCOME_LATER: Refused = Refused::invalid("outcome_at", "OUTCOME_IN_FUTURE", "the outcome is in the future");
const OUTCOME_TOO_OLD: Refused = Refused::invalid(
    "outcome_at",
    "OUTCOME_BEYOND_RETENTION",
    "the outcome is longer ago than presentations are kept: check the date",
);
/// An outcome cannot come before the arrival.
pub const OUTCOME_EARLY: Refused =
    Refused::invalid("outcome_at", "OUTCOME_BEFORE_ARRIVAL", "the outcome is before the arrival");

fn check(fault: bool, refused: Refused) -> Result<(), Refused> {
    if fault { Err(refused) } else { Ok(()) }
}

fn later(at: Moment, now: Moment) -> bool {
    at > now.plus_seconds(CLOCK_AHEAD_SECONDS)
}

/// Checks a plan event.
///
/// # Errors
/// The first fault found.
pub fn plan_event(event: &PlanEvent, directory: &Directory, now: Moment) -> Result<(), Refused> {
    let today = now.london_day();
    check(!directory.authorities.contains_key(&event.authority), UNKNOWN_AUTHORITY)?;
    check(event.version == 0, VERSION_ZERO)?;
    check(event.birth_date.is_some_and(|day| day > today), BORN_LATER)?;
    check(matches!((event.start, event.end), (Some(start), Some(end)) if end < start), END_BEFORE_START)?;
    check(
        matches!((event.birth_date, event.start), (Some(born), Some(start))
        if event.kind.role() == RecordRole::Child && is_adult(born, start)),
        ADULT_AT_START,
    )?;
    check(event.name().is_none(), NOT_NAMED)?;
    check(event.shielded && event.unshield, SHIELD_BOTH)?;
    crate::birth::check_birth(event, today)?;
    match event.action {
        PlanAction::Start | PlanAction::Change => check(event.start.is_none(), START_MISSING),
        PlanAction::End => check(event.end.is_none(), END_MISSING),
        // Checked above.
        PlanAction::Born | PlanAction::Withdraw => Ok(()),
        PlanAction::TransferOut(other) => other_authority(event.authority, other, directory),
        PlanAction::TransferIn(other) => {
            other_authority(event.authority, other, directory)?;
            check(event.start.is_none(), START_MISSING)
        }
    }
}

fn other_authority(own: LaCode, other: LaCode, directory: &Directory) -> Result<(), Refused> {
    check(own == other, SAME_AUTHORITY)?;
    check(!directory.authorities.contains_key(&other), UNKNOWN_OTHER)
}

/// Checks what is told of a number.
///
/// # Errors
/// The first fault found.
pub fn identity_event(event: &IdentityEvent, directory: &Directory, now: Moment) -> Result<(), Refused> {
    check(event.version == 0, VERSION_ZERO)?;
    identity_change(&event.subject, event.action, directory, now)
}

/// Checks a proposal. A local key is the proposer's own.
///
/// # Errors
/// The first fault found.
pub fn proposal(proposal: &Proposal, directory: &Directory, now: Moment) -> Result<(), Refused> {
    let foreign = matches!(&proposal.subject, Subject::Local(owner, _) if *owner != proposal.organisation);
    check(foreign, FOREIGN_KEY)?;
    identity_change(&proposal.subject, proposal.action, directory, now)
}

fn identity_change(
    subject: &Subject,
    action: IdentityAction,
    directory: &Directory,
    now: Moment,
) -> Result<(), Refused> {
    let today = now.london_day();
    if let Subject::Local(owner, _) = subject {
        let authority = LaCode::parse(owner.as_str()).is_ok_and(|code| directory.authorities.contains_key(&code));
        check(!authority && !directory.organisations.contains_key(owner), UNKNOWN_KEY_OWNER)?;
    }
    match action {
        IdentityAction::ReplacedBy(number) => check(Subject::Nhs(number) == *subject, REPLACED_BY_ITSELF),
        IdentityAction::Invalidated | IdentityAction::Reinstated => {
            check(matches!(subject, Subject::Local(..)), NEEDS_NUMBER)
        }
        IdentityAction::BirthDate(day) => check(day > today, TOLD_BORN_LATER),
        IdentityAction::Died(day) => check(day.is_some_and(|day| day > today), DIED_LATER),
        IdentityAction::LinkUndone | IdentityAction::Shielded | IdentityAction::Unshielded => Ok(()),
    }
}

/// Checks a presentation event.
///
/// # Errors
/// The first fault found.
pub fn presentation_event(
    event: &PresentationEvent,
    directory: &Directory,
    retention_days: i32,
    now: Moment,
) -> Result<(), Refused> {
    check(!directory.organisations.contains_key(&event.organisation), UNKNOWN_ORGANISATION)?;
    check(event.version == 0, VERSION_ZERO)?;
    match &event.action {
        PresentationAction::Record(details) | PresentationAction::Amend(details) => {
            check_details(event, details, directory, retention_days, now)
        }
        PresentationAction::Close(closing) => {
            check(later(closing.at, now), OUTCOME_LATER)?;
            // Else it would bring back, by its outcome alone, a presentation that was removed.
            let oldest = now.london_day().plus_days(-retention_days - 1);
            check(closing.at.london_day() < oldest, OUTCOME_TOO_OLD)
        }
        PresentationAction::Import(details, closing) => {
            check_details(event, details, directory, retention_days, now)?;
            closing.as_ref().map_or(Ok(()), |closing| check_closing(closing, details, now))
        }
    }
}

fn check_closing(closing: &Closing, details: &Details, now: Moment) -> Result<(), Refused> {
    check(later(closing.at, now), OUTCOME_LATER)?;
    let waiting = closing.outcome == Outcome::Waiting;
    check(!waiting && closing.at < details.arrived_at, OUTCOME_EARLY)
}

fn check_details(
    event: &PresentationEvent,
    details: &Details,
    directory: &Directory,
    retention_days: i32,
    now: Moment,
) -> Result<(), Refused> {
    check_site(event, details.site, directory)?;
    check(later(details.arrived_at, now), ARRIVAL_LATER)?;
    let arrived = details.arrived_at.london_day();
    // A day more, so that a file made before midnight loads after it.
    check(arrived < now.london_day().plus_days(-retention_days - 1), ARRIVAL_TOO_OLD)?;
    let Some(born) = details.birth_date else { return Ok(()) };
    check(born > now.london_day(), BORN_LATER)?;
    check(arrived < born, ARRIVAL_UNBORN)?;
    check(is_adult(born, arrived), ADULT)
}

/// True from the 18th birthday on.
#[must_use]
pub fn is_adult(born: Day, on: Day) -> bool {
    on >= born.eighteenth_birthday()
}

fn check_site(event: &PresentationEvent, site: SiteCode, directory: &Directory) -> Result<(), Refused> {
    let Some(entry) = directory.sites.get(&site) else { return Err(UNKNOWN_SITE) };
    let successor = directory.organisations.get(&entry.organisation).and_then(|o| o.successor);
    let own = entry.organisation == event.organisation || successor == Some(event.organisation);
    check(!own, SITE_ELSEWHERE)
}
