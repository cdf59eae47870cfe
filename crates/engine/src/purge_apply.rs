//! Applying a purge: the part of the fold that removes. It works out anew, from the record as it is now and the rules that
//! the purge carries, what goes: an event taken since the purge was decided is kept.

use crate::flag_rows;
use crate::identity_apply;
use crate::keys;
use crate::openings;
use crate::rows::{EventRow, KeyRow, OwnerRow, ProposalRow, RemovedPlanRow, RequestRow, decode};
use crate::working::{StateError, Working};
use kith_domain::NhsNumber;
use kith_domain::change::{IdentityAction, Note, NoteRetention, Proposal, Purge};
use kith_domain::child::Subject;
use kith_domain::codes::LaCode;
use kith_domain::fold::Effect;
use kith_domain::links::{Person, Standing};
use kith_domain::notify::{Cause, Notification};
use kith_domain::plan::Plan;
use kith_domain::presentation::Presentation;
use kith_domain::retention::{Passed, Retention};
use kith_domain::time::{Day, Moment};
use kith_store::{Keys, Table};

/// Removes what the purge names, where its rules still say so.
pub(crate) fn purge(working: &mut Working<'_>, purge: &Purge) -> Result<Effect, StateError> {
    let mut effect = Effect::Overtaken;
    for subject in &purge.subjects {
        let Some(record) = working.peek(subject)? else { continue };
        let person = working.person(subject)?;
        let Some(passed) = purge.retention.split(&record, &person, purge.today) else { continue };
        effect = Effect::Applied;
        let Passed { kept, plans, presentations, accesses: _ } = passed;
        for plan in &plans {
            remove_plan(working, subject, plan, purge.today)?;
        }
        for presentation in &presentations {
            remove_presentation(working, subject, presentation)?;
        }
        working.replace(kept)?;
    }
    for (note, key) in &purge.rows {
        let table = table_of(*note);
        let Some(bytes) = working.bytes(table, key)? else { continue };
        let person = |subject: &Subject| working.person(subject);
        let row = (key.as_slice(), bytes.as_slice());
        if has_passed(*note, row, working.keys(), purge.today, (purge.retention, purge.notes), person)? {
            if *note == Note::Proposal {
                identity_apply::forget(working, &bytes)?;
            }
            if *note == Note::Opening {
                openings::forget(working, key);
            }
            working.delete(table, key.clone());
            effect = Effect::Applied;
        }
    }
    Ok(effect)
}

/// The table in which a kind of note stands.
pub(crate) fn table_of(note: Note) -> Table {
    match note {
        Note::UsedId => Table::Event,
        Note::Notification => Table::Notification,
        Note::RemovedPlan => Table::Plan,
        Note::Proposal => Table::Proposal,
        Note::Opening => Table::Opening,
        Note::Flag => Table::Flag,
    }
}

/// Whether a key of the table of plans is that of a note that a plan was removed.
pub(crate) fn is_removed_plan(key: &[u8]) -> bool {
    key.split_last_chunk::<1>()
        .is_some_and(|(plan, _)| plan.len() == kith_store::PSEUDONYM_BYTES && key == keys::removed_plan(plan))
}

/// Whether a note is a notification that nobody has acknowledged.
pub(crate) fn is_unacknowledged(note: Note, bytes: &[u8]) -> bool {
    note == Note::Notification && decode::<Notification>(bytes).is_ok_and(|row| !row.acknowledged)
}

/// Whether a note links a number with one that stands in its place no more: after an adoption nothing may.
fn links_no_more(
    subject: &Subject,
    number: NhsNumber,
    told: bool,
    person: impl Fn(&Subject) -> Result<Person, StateError>,
) -> Result<bool, StateError> {
    let (from, to) = (person(subject)?, person(&Subject::Nhs(number))?);
    let invalid = from.standing == Standing::Invalid || to.standing == Standing::Invalid;
    // The number stands in its place, or did before another came to stand in the place of both.
    let stands = match from.standing {
        Standing::ReplacedBy(last) => number == last || to.standing == from.standing,
        Standing::Current | Standing::Invalid => false,
    };
    Ok(invalid || (told && !stands))
}

/// Whether what an authority is told of a number is not so any more.
pub(crate) fn is_stale(
    notification: &Notification,
    person: impl Fn(&Subject) -> Result<Person, StateError>,
) -> Result<bool, StateError> {
    match notification.cause {
        Cause::NumberReplaced(number) => links_no_more(&notification.subject, number, true, person),
        Cause::Lookup(..) | Cause::Presentation(_) | Cause::NumberInvalidated | Cause::NumberReinstated => Ok(false),
    }
}

/// Whether a proposal names a link with a number that is not valid any more.
pub(crate) fn is_void(
    proposal: &Proposal,
    person: impl Fn(&Subject) -> Result<Person, StateError>,
) -> Result<bool, StateError> {
    if let IdentityAction::ReplacedBy(number) = proposal.action {
        return links_no_more(&proposal.subject, number, false, person);
    }
    Ok(false)
}

/// Whether the authority under whose pseudonym a notification stands has a plan under any number of the person.
fn has_plan(keys: &Keys, key: &[u8], person: &Person) -> bool {
    let is_reader = |authority: LaCode| key.starts_with(&keys::notifications(keys, authority));
    person.records().flat_map(|record| &record.plans).any(|plan| is_reader(plan.authority))
}

/// Whether a note, by its key and its bytes, has passed its time, given the records of whom it is about.
pub(crate) fn has_passed(
    note: Note,
    (key, bytes): (&[u8], &[u8]),
    keys: &Keys,
    today: Day,
    rules: (Retention, NoteRetention),
    person: impl Fn(&Subject) -> Result<Person, StateError>,
) -> Result<bool, StateError> {
    let (retention, notes) = rules;
    let older = |at: Moment, days: i32| at.london_day() < today.plus_days(-days);
    match note {
        Note::UsedId => Ok(match decode::<RequestRow>(bytes) {
            Ok(row) => older(row.at, notes.request_id_days),
            // The two rows of this table differ in length, so neither decodes as the other.
            Err(_) => {
                let row = decode::<EventRow>(bytes)?;
                older(row.acknowledgement.at, notes.event_id_days)
            }
        }),
        Note::Notification => {
            let row = decode::<Notification>(bytes)?;
            if is_stale(&row, &person)? {
                return Ok(true);
            }
            if row.acknowledged {
                return Ok(older(row.at, notes.acknowledged_days));
            }
            // One that nobody has acknowledged goes only with the plans of whom it is for.
            let passed = today > row.at.london_day().plus_months(retention.plan_months);
            Ok(passed && !has_plan(keys, key, &person(&row.subject)?))
        }
        Note::Proposal => {
            let row = decode::<ProposalRow>(bytes)?;
            Ok(is_void(&row.proposal, &person)? || row.closed_at.is_some_and(|at| older(at, notes.acknowledged_days)))
        }
        Note::Opening => openings::has_passed((key, bytes), notes.acknowledged_days, today),
        Note::Flag => {
            let since_reviewed = |at| older(at, notes.acknowledged_days);
            // The counts of a day name nobody, and are kept as long as the events of that day can be repeated.
            Ok(flag_rows::has_passed((key, bytes), since_reviewed, today.plus_days(-notes.event_id_days))?)
        }
        Note::RemovedPlan => {
            let row = decode::<RemovedPlanRow>(bytes)?;
            Ok(today > row.removed.plus_months(notes.removed_plan_months))
        }
    }
}

/// Leaves a note by which a late repeat of an old event of a plan is told, and removes the owner of its name, unless the name
/// has been given to another person since: that one's plan stands.
fn remove_plan(working: &mut Working<'_>, subject: &Subject, plan: &Plan, today: Day) -> Result<(), StateError> {
    let key = keys::plan(working.keys(), plan.authority, &plan.name, subject);
    let owner = working.row::<OwnerRow>(Table::Plan, &key)?.filter(|owner| owner.subject == *subject);
    let note = keys::removed_plan(&key);
    let before = working.row::<RemovedPlanRow>(Table::Plan, &note)?.map_or(0, |row| row.version);
    let owned = owner.as_ref().and_then(|owner| owner.versions.last().copied()).unwrap_or(0);
    // Every event of a plan tells its kind.
    let version = plan.kind.version().max(owned).max(before);
    working.put(Table::Plan, note, &RemovedPlanRow { version, removed: today })?;
    let begun = keys::key_of_plan(&key);
    let names_subject = working.row::<KeyRow>(Table::Plan, &begun)?.map(|row| row.subject == *subject);
    if names_subject.is_some_and(|it_does| it_does || owner.is_some()) {
        working.delete(Table::Plan, begun);
    }
    if owner.is_some() {
        working.delete(Table::Plan, key);
    }
    Ok(())
}

/// Removes the owner of an encounter id. A late repeat of an old event is refused by its dates.
fn remove_presentation(working: &mut Working<'_>, subject: &Subject, seen: &Presentation) -> Result<(), StateError> {
    let key = keys::encounter(working.keys(), seen.organisation, &seen.encounter);
    if working.row::<OwnerRow>(Table::Encounter, &key)?.is_some_and(|owner| owner.subject == *subject) {
        working.delete(Table::Encounter, key);
    }
    Ok(())
}
