//! Applying one record of the log to the state: a deterministic fold, the same when it happens and when it is replayed.
//! It reads no clock, no randomness and no setting.

use crate::births;
use crate::changes::{self, Checked};
use crate::file_rows;
use crate::flag_rows;
use crate::identity_apply;
use crate::keys;
use crate::linked;
use crate::names::Name;
use crate::openings;
use crate::purge_apply;
use crate::rows::{Acknowledgement, EventRow, RequestRow};
use crate::withholdings;
use crate::working::{StateError, Working};
use kith_domain::change::{
    Accessed, Acknowledged, AuditGap, Change, Feed, LogRecord, PlanAction, PlanEvent, PresentationAction,
    PresentationEvent,
};
use kith_domain::child::{ChildRecord, Subject};
use kith_domain::codes::LaCode;
use kith_domain::feed_health;
use kith_domain::fold::{self, Effect};
use kith_domain::links::Standing;
use kith_domain::notify::{self, Cause, Notification};
use kith_domain::plan::PlanName;
use kith_domain::refused::Refused;
use kith_domain::shield;
use kith_domain::time::{Day, Moment};
use kith_store::Table;
use uuid::Uuid;

/// Gaps kept for listing.
const MAX_GAPS: usize = 20;

/// What became of a change.
pub(crate) enum Applied {
    /// A record of the log with this acknowledgement.
    Logged(Acknowledgement),
    /// Acknowledged before; nothing to log.
    Repeated(Acknowledgement),
    /// Refused; nothing to log.
    Refused(Refused),
}

/// Checks and applies one change as record `sequence` of the log.
pub(crate) fn apply(working: &mut Working<'_>, sequence: u64, record: &LogRecord) -> Result<Applied, StateError> {
    let homed = linked::homed(working, &record.change)?;
    let checked = match file_rows::check(working, record)? {
        Some(checked) => checked,
        None => match openings::check(working, record)? {
            Some(checked) => checked,
            None => changes::check(working, record, &homed)?,
        },
    };
    let fresh = match checked {
        Checked::New(fresh) => fresh,
        Checked::Repeated(first) => return Ok(Applied::Repeated(first)),
        Checked::Refused(refused) => return Ok(Applied::Refused(refused)),
    };
    let at = record.at;
    let effect = match &*homed {
        Change::Plan(event) => plan_and_babies(working, event, &record.change, at)?,
        Change::Presentation(event) => presentation(working, event, at)?,
        Change::Heartbeat(beat) => {
            working.feed(beat.feed)?.heard(at);
            Effect::Applied
        }
        Change::Accessed(accessed) => access(working, accessed)?,
        Change::Acknowledged(ack) => acknowledge(working, ack)?,
        Change::AuditGap(gap) => audit_gap(working, *gap, at),
        Change::Purge(purge) => purge_apply::purge(working, purge)?,
        Change::FeedCounted(counted) => {
            working.feed(counted.feed)?.counted(counted, at);
            Effect::Applied
        }
        Change::FileStarted(_) | Change::FileEnding(_) | Change::FileEnded(_) | Change::FilePositionReset(_) => {
            file_rows::apply(working, record)?
        }
        Change::Identity(event) => identity_apply::apply(working, event, at)?,
        Change::Proposed(proposal) => identity_apply::propose(working, proposal, at)?,
        Change::ProposalClosed(closed) => identity_apply::decline(working, closed, at)?,
        Change::AuditHead(head) => {
            working.put(Table::Meta, keys::AUDIT_HEAD.to_vec(), head)?;
            Effect::Applied
        }
        Change::Opened(opening) => openings::open(working, opening, at)?,
        Change::OpeningReviewed(review) => openings::review(working, review, at)?,
        Change::Flagged(flagged) => flag_rows::flagged(working, flagged)?,
        Change::Watched(watched) => flag_rows::watched(working, watched)?,
        Change::FlagReviewed(reviewed) => flag_rows::reviewed(working, reviewed, at)?,
        Change::Withheld(decided) => withholdings::decide(working, decided, at)?,
        Change::WithholdingLifted(lifted) => withholdings::lift(working, lifted)?,
    };
    let event_id = fresh.as_ref().map_or(Uuid::nil(), |fresh| fresh.event_id);
    let acknowledgement = Acknowledgement { event_id, sequence, at, effect, repeated: false };
    if let Some(fresh) = fresh {
        working.put(Table::Event, fresh.key, &EventRow { body_hash: fresh.body_hash, acknowledgement })?;
    }
    Ok(Applied::Logged(acknowledgement))
}

/// Applies a plan event, and where it is a birth the starts of the babies' plans. The event may have been `sent` for other
/// numbers of the same people.
fn plan_and_babies(
    working: &mut Working<'_>,
    event: &PlanEvent,
    sent: &Change,
    at: Moment,
) -> Result<Effect, StateError> {
    let sent = if let Change::Plan(sent) = sent { sent } else { event };
    let effect = plan(working, event, &sent.subject, at)?;
    let babies = births::apply(working, event, &sent.babies, at)?;
    Ok(babies.map_or(effect, |babies| births::both(effect, babies)))
}

/// Applies an event of one plan. It may have been `sent_for` another number of the same person.
pub(crate) fn plan(
    working: &mut Working<'_>,
    event: &PlanEvent,
    sent_for: &Subject,
    at: Moment,
) -> Result<Effect, StateError> {
    let feed = Feed::Plans(event.authority);
    let standing = working.person(sent_for)?.standing;
    let matched = standing == Standing::Current
        && feed_health::is_matched(working.child(&event.subject)?, feed, event.birth_date, false);
    working.feed(feed)?.plan_event(at, event.version, matched);
    let Some(name) = event.name() else { return Ok(Effect::Overtaken) };
    // Who holds a plan under this number was told when it was replaced.
    let heard =
        *sent_for == event.subject && linked::holds_plan(event.authority, &name)(working.child(&event.subject)?);
    if standing != Standing::Current && !heard {
        identity_apply::tell_of_number(working, sent_for, event.authority, at)?;
    }
    let used = Name::of_plan(working.keys(), event, &name, Some(working.child(&event.subject)?));
    keep_shield(working, event, (&name, &used))?;
    keep_withheld(working, event, (&name, &used))?;
    used.own(working, event.version)?;
    // Plan files tell of starts as changes.
    let starts = matches!(event.action, PlanAction::Start | PlanAction::TransferIn(_) | PlanAction::Change);
    if let Some(start) = event.start.filter(|_| starts) {
        told(working, start.utc_start(), at);
    }
    let person = working.person(&event.subject)?;
    let named = (event.authority, &name);
    let another = ends(event) && linked::is_open_elsewhere(&person, named, until(event), at.london_day());
    let record = working.child(&event.subject)?;
    let effect = fold::apply_plan(record, event, name.clone());
    fold::note_plan_event(record, event.authority, &name, at);
    fold::note_transfer(record, event, &name, at);
    let still_shields = lift_elsewhere(working, event, &name)?;
    // Kept, and not shown: the answer for such a number is withheld. Or what is told to end stands under another number of the
    // person, and without a reference nothing says that it is that one; or the plan shields under another one still.
    let looked_at = standing == Standing::Invalid || another || still_shields;
    Ok(if looked_at && effect == Effect::Applied { Effect::Kept } else { effect })
}

/// A plan that was begun under its authority's own key goes on under the number with the shield that it was given there: an
/// event without the flag lifts none.
fn keep_shield(
    working: &mut Working<'_>,
    event: &PlanEvent,
    (name, used): (&PlanName, &Name<'_>),
) -> Result<(), StateError> {
    let lifted =
        |between: &ChildRecord, before: &ChildRecord| shield::was_lifted(between, before, event.authority, name);
    if let Some(before) = used.key_before(working, lifted)? {
        shield::keep(working.child(&event.subject)?, &before, event.authority, name);
    }
    Ok(())
}

/// A plan that was begun under its authority's own key goes on under the number withheld as it was there: that the number is known is
/// no decision to tell. One that was entered in error there is somebody else's by now.
fn keep_withheld(
    working: &mut Working<'_>,
    event: &PlanEvent,
    (name, used): (&PlanName, &Name<'_>),
) -> Result<(), StateError> {
    let before = used.key_before(working, |_, _| false)?;
    if let Some(before) = before.filter(|before| !linked::is_withdrawn(event.authority, name)(before)) {
        withholdings::carry_over(working, event.authority, std::iter::once(&before), &event.subject)?;
    }
    Ok(())
}

/// Lifts with a plan's own shield what its authority has left under other numbers of the person; whether a plan of this name
/// shields under one of them still.
fn lift_elsewhere(working: &mut Working<'_>, event: &PlanEvent, name: &PlanName) -> Result<bool, StateError> {
    if !shield::is_lifted_by(working.child(&event.subject)?, event, name) {
        return Ok(false);
    }
    let linked = working.person(&event.subject)?.linked;
    for record in linked.iter().filter(|record| shield::is_left(record, event.authority)) {
        shield::lift_left(working.child(&record.subject)?, event.authority);
    }
    let mut goes_on = linked.iter().filter(|record| linked::goes_on(event.authority, name)(record));
    Ok(goes_on.any(|record| shield::shields(record, event.authority, name)))
}

/// Whether a plan is not in force any more after an event. Plan files tell of ends as changes.
pub(crate) fn ends(event: &PlanEvent) -> bool {
    match event.action {
        PlanAction::End | PlanAction::Withdraw | PlanAction::TransferOut(_) | PlanAction::Born => true,
        PlanAction::Start | PlanAction::TransferIn(_) | PlanAction::Change => event.end.is_some(),
    }
}

/// The last day that an event which ends a plan tells; what takes a plan back says that there was none, whatever day it names.
pub(crate) fn until(event: &PlanEvent) -> Option<Day> {
    event.end.filter(|_| event.action != PlanAction::Withdraw)
}

/// Notes a moment that a sender tells of: by it a clock of ours that runs ahead is known. What lies ahead tells nothing.
fn told(working: &mut Working<'_>, moment: Moment, at: Moment) {
    if moment <= at && moment > working.meta().told_at {
        working.meta_mut().told_at = moment;
    }
}

fn presentation(working: &mut Working<'_>, event: &PresentationEvent, at: Moment) -> Result<Effect, StateError> {
    let feed = Feed::Presentations(event.organisation);
    let (given, shielded) = (birth_date(&event.action), working.person(&event.subject)?.is_shielded());
    let matched = feed_health::is_matched(working.child(&event.subject)?, feed, given, shielded);
    working.feed(feed)?.event(at, matched);
    let used = Name::of_encounter(working.keys(), event, Some(working.child(&event.subject)?));
    used.own(working, event.version)?;
    let effect = fold::apply_presentation(working.child(&event.subject)?, event);
    let moment = match &event.action {
        PresentationAction::Record(details)
        | PresentationAction::Amend(details)
        | PresentationAction::Import(details, _) => details.arrived_at,
        PresentationAction::Close(closing) => closing.at,
    };
    // A sender's clock may run ahead of ours by a little.
    told(working, moment.min(at), at);
    match event.action {
        PresentationAction::Record(_) => {
            working.feed(feed)?.volume.count(at);
            let responsible = notify::responsible_for(&working.person(&event.subject)?, at.london_day());
            notify_all(working, &event.subject, responsible, Cause::Presentation(event.organisation), at)?
        }
        PresentationAction::Amend(_) | PresentationAction::Close(_) | PresentationAction::Import(..) => {}
    }
    Ok(effect)
}

fn birth_date(action: &PresentationAction) -> Option<Day> {
    match action {
        PresentationAction::Record(details)
        | PresentationAction::Amend(details)
        | PresentationAction::Import(details, _) => details.birth_date,
        PresentationAction::Close(_) => None,
    }
}

fn access(working: &mut Working<'_>, accessed: &Accessed) -> Result<Effect, StateError> {
    let meta = working.meta_mut();
    meta.derived_through = meta.derived_through.max(accessed.audit_sequence);
    let Some(facts) = &accessed.access else { return Ok(Effect::Applied) };
    let key = keys::request(working.keys(), facts.organisation, facts.request_id, &facts.subject);
    if working.row::<RequestRow>(Table::Event, &key)?.is_some() {
        return Ok(Effect::Overtaken);
    }
    working.put(Table::Event, key, &RequestRow { at: facts.at })?;
    fold::apply_access(working.child(&facts.subject)?, facts);
    let cause = Cause::Lookup(facts.organisation, facts.user_name.clone(), facts.user_role.clone());
    notify_all(working, &facts.subject, facts.responsible.clone(), cause, facts.at)?;
    Ok(Effect::Applied)
}

/// Queues one notification for each authority due.
fn notify_all(
    working: &mut Working<'_>,
    subject: &Subject,
    responsible: Vec<LaCode>,
    cause: Cause,
    at: Moment,
) -> Result<(), StateError> {
    let Some(organisation) = cause.organisation() else { return Ok(()) };
    let person = working.person(subject)?;
    let mut authorities = notify::due(&person, working.child(subject)?, responsible, organisation, at);
    // Asked before an adoption or the undoing of a link, and derived after it.
    authorities.retain(|authority| notify::concerns(&person, *authority));
    tell(working, subject, authorities, &cause, at)
}

/// Queues one notification for each of `authorities`.
pub(crate) fn tell(
    working: &mut Working<'_>,
    subject: &Subject,
    authorities: Vec<LaCode>,
    cause: &Cause,
    at: Moment,
) -> Result<(), StateError> {
    let shielded = working.person(subject)?.is_shielded();
    for authority in authorities {
        let meta = working.meta_mut();
        meta.last_notification += 1;
        let key = keys::notification(working.keys(), authority, working.meta().last_notification);
        let notification =
            Notification { subject: subject.clone(), at, cause: cause.clone(), shielded, acknowledged: false };
        working.put(Table::Notification, key, &notification)?;
    }
    Ok(())
}

fn acknowledge(working: &mut Working<'_>, ack: &Acknowledged) -> Result<Effect, StateError> {
    let mut effect = Effect::Overtaken;
    for id in &ack.ids {
        let key = keys::notification(working.keys(), ack.authority, *id);
        let Some(mut notification) = working.row::<Notification>(Table::Notification, &key)? else { continue };
        if !notification.acknowledged {
            notification.acknowledged = true;
            working.put(Table::Notification, key, &notification)?;
            effect = Effect::Applied;
        }
    }
    Ok(effect)
}

fn audit_gap(working: &mut Working<'_>, gap: AuditGap, at: Moment) -> Effect {
    let gaps = &mut working.meta_mut().gaps;
    gaps.push((at, gap));
    if gaps.len() > MAX_GAPS {
        gaps.remove(0);
    }
    Effect::Applied
}
