//! Whether a change may be taken, given what is held: event ids, versions, owners and bounds. Checks come before any
//! change of the working state, so a refused change leaves nothing behind.

use crate::births;
use crate::flag_rows;
use crate::identity_apply;
use crate::keys;
use crate::linked;
use crate::names::Name;
use crate::openings;
use crate::rows::{Acknowledgement, EventRow, RemovedPlanRow, encode};
use crate::withholdings;
use crate::working::{StateError, Working};
use kith_domain::change::{Change, LogRecord, PlanAction, PlanEvent, PresentationAction, PresentationEvent};
use kith_domain::identity;
use kith_domain::plan::Plan;
use kith_domain::presentation::{Outcome, Presentation};
use kith_domain::refused::Refused;
use kith_domain::validate;
use kith_store::Table;
use uuid::Uuid;

/// Most plans in one record.
const MAX_PLANS: usize = 100;
/// Most presentations in one record: more than one a day for the whole retention.
const MAX_PRESENTATIONS: usize = 500;

/// What a check found.
pub(crate) enum Checked {
    /// It may be applied; the keyed hash of its body, when it has an event id.
    New(Option<Fresh>),
    /// It was acknowledged before.
    Repeated(Acknowledgement),
    /// It may not be taken.
    Refused(Refused),
}

/// A new event: where its id is kept, and its body's hash.
pub(crate) struct Fresh {
    pub(crate) key: Vec<u8>,
    pub(crate) event_id: Uuid,
    pub(crate) body_hash: [u8; 16],
}

/// Organisation and event id of a change that has one.
fn identity(change: &Change) -> Option<(String, Uuid)> {
    match change {
        Change::Plan(event) => Some((event.authority.to_string(), event.event_id)),
        Change::Presentation(event) => Some((event.organisation.to_string(), event.event_id)),
        Change::Heartbeat(beat) => {
            let code = match beat.feed {
                kith_domain::change::Feed::Plans(code) => code.to_string(),
                kith_domain::change::Feed::Presentations(code) => code.to_string(),
            };
            Some((code, beat.event_id))
        }
        Change::Acknowledged(ack) => Some((ack.authority.to_string(), ack.event_id)),
        Change::Identity(event) => Some((event.organisation.to_string(), event.event_id)),
        Change::Proposed(proposal) => Some((proposal.organisation.to_string(), proposal.event_id)),
        Change::ProposalClosed(closed) => Some((closed.organisation.to_string(), closed.event_id)),
        Change::FilePositionReset(reset) => Some((reset.authority.to_string(), reset.event_id)),
        Change::OpeningReviewed(review) => Some((review.organisation.to_string(), review.event_id)),
        Change::FlagReviewed(reviewed) => Some((reviewed.organisation.to_string(), reviewed.event_id)),
        Change::Withheld(decided) => Some((decided.authority.to_string(), decided.event_id)),
        Change::WithholdingLifted(lifted) => Some((lifted.authority.to_string(), lifted.event_id)),
        Change::Flagged(_)
        | Change::Watched(_)
        | Change::Accessed(_)
        | Change::AuditGap(_)
        | Change::AuditHead(_)
        | Change::Purge(_)
        | Change::FeedCounted(_)
        | Change::FileStarted(_)
        | Change::FileEnding(_)
        | Change::FileEnded(_)
        | Change::Opened(_) => None,
    }
}

/// Checks a change against the working state. `homed` is the same about the record that its plan or encounter stands on.
pub(crate) fn check(working: &Working<'_>, record: &LogRecord, homed: &Change) -> Result<Checked, StateError> {
    let LogRecord { at, change } = record;
    let Some((organisation, event_id)) = identity(change) else { return Ok(Checked::New(None)) };
    let key = keys::event(working.keys(), &organisation, event_id);
    let body_hash = working.keys().body_hash(&encode(change)?);
    if let Some(row) = working.row::<EventRow>(Table::Event, &key)? {
        return Ok(if row.body_hash == body_hash {
            Checked::Repeated(Acknowledgement { repeated: true, ..row.acknowledgement })
        } else {
            Checked::Refused(Refused::EVENT_ID_REUSED)
        });
    }
    let refused = match homed {
        Change::Identity(event) => identity_apply::check(working, event)?,
        Change::Proposed(proposal) => identity_apply::check_proposal(working, proposal),
        Change::ProposalClosed(closed) => identity_apply::check_closing(working, closed)?,
        Change::OpeningReviewed(review) => openings::check_review(working, review)?,
        Change::Withheld(decided) => withholdings::check(working, decided, *at)?,
        Change::WithholdingLifted(lifted) => withholdings::check_lift(working, lifted)?,
        Change::Plan(event) => match check_plan(working, event)? {
            None => births::check(working, event)?,
            refused => refused,
        },
        Change::Presentation(event) => check_presentation(working, event)?,
        Change::FlagReviewed(reviewed) => flag_rows::check(working, reviewed)?,
        Change::Heartbeat(_)
        | Change::Flagged(_)
        | Change::Watched(_)
        | Change::Acknowledged(_)
        | Change::Accessed(_)
        | Change::AuditGap(_)
        | Change::AuditHead(_)
        | Change::Purge(_)
        | Change::FeedCounted(_)
        | Change::FileStarted(_)
        | Change::FileEnding(_)
        | Change::FileEnded(_)
        | Change::FilePositionReset(_)
        | Change::Opened(_) => None,
    };
    Ok(match refused {
        Some(refused) => Checked::Refused(refused),
        None => Checked::New(Some(Fresh { key, event_id, body_hash })),
    })
}

/// Whether an event of a plan may be taken, without the babies it may name.
pub(crate) fn check_plan(working: &Working<'_>, event: &PlanEvent) -> Result<Option<Refused>, StateError> {
    let Some(name) = event.name() else { return Ok(None) };
    let held = working.peek(&event.subject)?;
    let used = Name::of_plan(working.keys(), event, &name, held.as_ref());
    let removed = working.row::<RemovedPlanRow>(Table::Plan, &keys::removed_plan(&used.key))?;
    // What is held under this number with lower versions is another plan than the one that was removed: it tells itself what
    // is late. What has begun again above them is the same one, and its old events stay refused.
    let same = |plan: &&Plan| plan.authority == event.authority && plan.name == name;
    let held_version = held.as_ref().and_then(|record| record.plans.iter().find(same)).map(|plan| plan.kind.version());
    let another = |note: u64| held_version.is_some_and(|version| version <= note);
    if removed.is_some_and(|removed| event.version <= removed.version && !another(removed.version)) {
        return Ok(Some(Refused::PLAN_REMOVED));
    }
    let row = used.owner(working)?;
    if row.is_none() && !used.goes_on && held.as_ref().is_some_and(|record| record.plans.len() >= MAX_PLANS) {
        return Ok(Some(Refused::TOO_MANY));
    }
    let owner = row.as_ref().map(|row| working.peek(&row.subject)).transpose()?.flatten();
    let withdrawn = |plan: &Plan| plan.authority == event.authority && plan.name == name && plan.is_withdrawn();
    let released = owner.is_some_and(|record| record.plans.iter().any(withdrawn));
    let refused = used.check(row.as_ref(), event.version, released);
    let taken_back = || held.as_ref().is_some_and(linked::is_withdrawn(event.authority, &name));
    if refused == Some(Refused::SUBJECT_MISMATCH) && event.action == PlanAction::Withdraw && taken_back() {
        let mut others = working.person(&event.subject)?.linked.into_iter();
        if others.any(|record| linked::goes_on(event.authority, &name)(&record)) {
            return Ok(Some(Refused::GOES_ON));
        }
    }
    Ok(refused)
}

fn check_presentation(working: &Working<'_>, event: &PresentationEvent) -> Result<Option<Refused>, StateError> {
    let held = working.peek(&event.subject)?;
    let used = Name::of_encounter(working.keys(), event, held.as_ref());
    let row = used.owner(working)?;
    let many = held.as_ref().is_some_and(|record| record.presentations.len() >= MAX_PRESENTATIONS);
    if row.is_none() && !used.goes_on && many {
        return Ok(Some(Refused::TOO_MANY));
    }
    let person = working.person(&event.subject)?;
    if identity::is_adult_presentation(&person, event) {
        return Ok(Some(validate::ADULT));
    }
    let owner = match &row {
        Some(row) => working.peek(&row.subject)?,
        None => held.filter(|_| used.goes_on),
    };
    let same = |p: &&Presentation| p.organisation == event.organisation && p.encounter == event.encounter;
    let known = owner.as_ref().and_then(|record| record.presentations.iter().find(same));
    let released = known.is_some_and(|known| known.outcome() == Outcome::EnteredInError);
    let refused = used.check(row.as_ref(), event.version, released);
    let early = known.is_some_and(|known| is_before_arrival(known, event));
    Ok(refused.or(early.then_some(validate::OUTCOME_EARLY)))
}

/// Whether an event closes an encounter before the arrival that is held. Taking an entry back has no such order.
fn is_before_arrival(known: &Presentation, event: &PresentationEvent) -> bool {
    let PresentationAction::Close(closing) = &event.action else { return false };
    let ends = !matches!(closing.outcome, Outcome::Waiting | Outcome::EnteredInError);
    ends && known.details.get().is_some_and(|details| closing.at < details.arrived_at)
}
