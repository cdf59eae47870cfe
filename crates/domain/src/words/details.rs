//! Plans and presentations of an answer in words, one line each: whoever reads the words alone misses nothing that matters.

use crate::answer::{Body, Outcome, PlanView, PresentationView, ShieldedPlanView};
use crate::directory::Directory;
use crate::plan::{PlanKind, PlanState};
use crate::presentation::{CareSetting, Complaint, Outcome as Ending};
use crate::time::Day;

/// How a line of details begins.
pub const MARK: &str = "- ";
/// Most plans, and most presentations, told one by one; the answer lists all of them.
const MOST: usize = 10;

/// One line for each plan held.
pub fn plans(body: &Body, directory: &Directory) -> Vec<String> {
    match body {
        Body::Open(body) | Body::Opened(body) => {
            capped(&body.plans, |plans| plans.iter().map(|plan| open_plan(plan, directory)).collect())
        }
        Body::Shielded(body) => capped(&body.plans, |plans| plans.iter().map(shielded_plan).collect()),
        Body::IdentityNotConfirmed => Vec::new(),
    }
}

/// One line for each presentation listed, those elsewhere first.
pub fn presentations(body: &Body, directory: &Directory) -> Vec<String> {
    match body {
        Body::Open(body) | Body::Opened(body) => capped(&body.presentations, |seen| {
            seen.elsewhere.iter().chain(&seen.here).map(|one| open_presentation(one, directory)).collect()
        }),
        Body::Shielded(body) => capped(&body.presentations, |seen| {
            let one = |(day, what, end): &(Option<Day>, Option<Complaint>, Ending)| {
                told(&[&date(*day), complaint(*what), ending(*end)])
            };
            seen.presentations.iter().map(one).collect()
        }),
        Body::IdentityNotConfirmed => Vec::new(),
    }
}

fn capped<H>(outcome: &Outcome<H>, lines: impl Fn(&H) -> Vec<String>) -> Vec<String> {
    let Outcome::Held(held) = outcome else { return Vec::new() };
    let mut lines = lines(held);
    let more = lines.len().saturating_sub(MOST);
    if more > 0 {
        lines.truncate(MOST);
        lines.push(format!("{MARK}and {more} more in the lists of this answer"));
    }
    lines
}

fn told(parts: &[&str]) -> String {
    let mut line = String::with_capacity(MARK.len() + parts.iter().map(|part| part.len() + 2).sum::<usize>());
    line.push_str(MARK);
    for (n, part) in parts.iter().enumerate() {
        if n > 0 {
            line.push_str("; ");
        }
        line.push_str(part);
    }
    line
}

/// One plan with its authority.
pub(super) fn open_plan(plan: &PlanView, directory: &Directory) -> String {
    let PlanView { kind, state, start, end, authority, moving_to } = plan;
    let (words, name) = (plan_words(*kind, *state, *start, *end), directory.authority_name(*authority));
    match moving_to.map(|to| ["MOVING to ", &directory.authority_name(to)].concat()) {
        Some(moving) => told(&[&words, &name, &moving]),
        None => told(&[&words, &name]),
    }
}

/// One plan without a place.
pub(super) fn shielded_plan(plan: &ShieldedPlanView) -> String {
    let ShieldedPlanView { kind, state, start, end, moving } = plan;
    let words = plan_words(*kind, *state, *start, *end);
    if *moving { told(&[&words, "MOVING to another authority"]) } else { told(&[&words]) }
}

fn plan_words(kind: Option<PlanKind>, state: PlanState, start: Option<Day>, end: Option<Day>) -> String {
    let kind = match kind {
        Some(PlanKind::ChildProtection) => "child protection plan",
        Some(PlanKind::LookedAfter) => "looked-after child",
        Some(PlanKind::Unborn) => "UNBORN child on a plan (this is the mother's record)",
        None => "plan of unknown kind",
    };
    let on = |word: &str, day: Option<Day>| day.map_or_else(String::new, |day| [word, &day.text()].concat());
    match state {
        PlanState::Active => [kind, ", IN FORCE", &on(" from ", start), &on(", ends ", end)].concat(),
        PlanState::Future => [kind, ", starts later", &on(" from ", start), &on(", ends ", end)].concat(),
        PlanState::Ended => [kind, ", ended", &on(" ", end)].concat(),
    }
}

/// Instead of a place that the policy leaves out.
const NO_PLACE: &str = "place not shown to you";

/// One presentation with its place.
#[must_use]
pub fn open_presentation(one: &PresentationView, directory: &Directory) -> String {
    let PresentationView { organisation, details, outcome } = one;
    let place = organisation.map_or_else(|| NO_PLACE.to_owned(), |code| directory.organisation_name(code));
    let Some((_, arrived_at, setting, what)) = details else {
        return told(&["arrival not told", &place, ending(*outcome)]);
    };
    let place = [&place, ", ", care_setting(*setting)].concat();
    told(&[&arrived_at.london_text(), &place, complaint(Some(*what)), ending(*outcome)])
}

fn date(day: Option<Day>) -> String {
    day.map_or_else(|| "arrival not told".to_owned(), Day::text)
}

fn care_setting(setting: CareSetting) -> &'static str {
    match setting {
        CareSetting::EmergencyDepartment => "emergency department",
        CareSetting::WalkInCentre => "walk-in centre",
        CareSetting::MinorInjuriesUnit => "minor injuries unit",
        CareSetting::UrgentTreatmentCentre => "urgent treatment centre",
        CareSetting::Ambulance => "ambulance service",
        CareSetting::OutOfHours => "out-of-hours service",
    }
}

fn complaint(what: Option<Complaint>) -> &'static str {
    match what {
        Some(Complaint::Injury) => "injury",
        Some(Complaint::HeadInjury) => "head injury",
        Some(Complaint::BurnOrScald) => "burn or scald",
        Some(Complaint::PoisoningOrIngestion) => "poisoning or ingestion",
        Some(Complaint::Fracture) => "fracture",
        Some(Complaint::Bite) => "bite",
        Some(Complaint::SelfHarm) => "self-harm",
        Some(Complaint::MentalHealth) => "mental health",
        Some(Complaint::AlcoholOrDrugs) => "alcohol or drugs",
        Some(Complaint::SexualHealth) => "sexual health",
        Some(Complaint::Illness) => "illness",
        Some(Complaint::Other) => "another complaint",
        Some(Complaint::NotRecorded) | None => "complaint not recorded",
    }
}

/// How a presentation ended; the endings that a reader must not miss are in capitals.
fn ending(outcome: Ending) -> &'static str {
    match outcome {
        Ending::Waiting => "outcome not told yet",
        Ending::Discharged => "discharged",
        Ending::Admitted => "admitted",
        Ending::Transferred => "transferred to another provider",
        Ending::LeftBeforeBeingSeen => "LEFT BEFORE BEING SEEN",
        Ending::LeftAgainstAdvice => "LEFT AGAINST ADVICE",
        Ending::DischargedWithConcernsRecorded => "discharged WITH CONCERNS RECORDED",
        Ending::Died => "DIED",
        Ending::EnteredInError => "entered in error",
    }
}
