//! Whose the name of a plan or the id of an encounter is, and which versions it has seen: a name is one person's until it is
//! given up. Says nothing of what an event does to a record.

use crate::keys;
use crate::linked;
use crate::rows::{KeyRow, OwnerRow};
use crate::working::{StateError, Working};
use kith_domain::change::{PlanAction, PlanEvent, PresentationEvent};
use kith_domain::child::{ChildRecord, Subject};
use kith_domain::plan::PlanName;
use kith_domain::refused::Refused;
use kith_store::{Keys, Table};

/// Most versions of one plan or encounter: far over a plan's life, far under a loop that never stops.
const MAX_VERSIONS: usize = 500;

/// Removes the note of the key under which a plan was begun.
fn forget_key(working: &mut Working<'_>, note: Vec<u8>) -> Result<(), StateError> {
    if working.row::<KeyRow>(Table::Plan, &note)?.is_some() {
        working.delete(Table::Plan, note);
    }
    Ok(())
}

/// Removes the notes of a key that is not valid any more: nothing that is stored may lead from it to a number.
pub(crate) fn forget_keys_of(working: &mut Working<'_>, key: &Subject) -> Result<(), StateError> {
    let plans = working.peek(key)?.map(|record| record.plans).unwrap_or_default();
    for plan in plans {
        let of_plan = keys::plan(working.keys(), plan.authority, &plan.name, key);
        forget_key(working, keys::key_of_plan(&of_plan))?;
    }
    Ok(())
}

/// A name as an event uses it.
pub(crate) struct Name<'a> {
    table: Table,
    pub(crate) key: Vec<u8>,
    sender: &'a str,
    subject: &'a Subject,
    /// What it names stands under this subject, and is not taken back.
    pub(crate) goes_on: bool,
    /// It is withdrawn under this subject, and the event lifts what shield is left of it: whoever has the name now keeps it.
    lifts_withdrawn: bool,
}

impl<'a> Name<'a> {
    /// The name of an event's plan. `held` is the record that the event is about.
    pub(crate) fn of_plan(keys: &Keys, event: &'a PlanEvent, name: &PlanName, held: Option<&ChildRecord>) -> Self {
        Self {
            table: Table::Plan,
            key: keys::plan(keys, event.authority, name, &event.subject),
            sender: event.authority.as_str(),
            subject: &event.subject,
            goes_on: held.is_some_and(linked::goes_on(event.authority, name)),
            lifts_withdrawn: event.unshield
                && event.action == PlanAction::Withdraw
                && held.is_some_and(linked::is_withdrawn(event.authority, name)),
        }
    }

    /// The encounter of an event. `held` is the record that the event is about.
    pub(crate) fn of_encounter(keys: &Keys, event: &'a PresentationEvent, held: Option<&ChildRecord>) -> Self {
        Self {
            table: Table::Encounter,
            key: keys::encounter(keys, event.organisation, &event.encounter),
            sender: event.organisation.as_str(),
            subject: &event.subject,
            goes_on: held.is_some_and(linked::encounter_goes_on(event)),
            lifts_withdrawn: false,
        }
    }

    /// The owner of the name. None where it begins anew under this subject, with versions of its own: its owner's number is
    /// not valid any more, or is the sender's own key, which gives way to the number once that is known; or the name goes on
    /// under this one too.
    pub(crate) fn owner(&self, working: &Working<'_>) -> Result<Option<OwnerRow>, StateError> {
        let Some(row) = working.row::<OwnerRow>(self.table, &self.key)? else { return Ok(None) };
        let gone = row.subject != *self.subject
            && (self.goes_on || self.replaces(&row.subject) || working.is_invalid(&row.subject)?);
        Ok((!gone).then_some(row))
    }

    /// Whether the subject is the number of whom the sender has named by a key of its own.
    fn replaces(&self, owner: &Subject) -> bool {
        let own_key = matches!(owner, Subject::Local(by, _) if by.as_str() == self.sender);
        own_key && matches!(self.subject, Subject::Nhs(_))
    }

    /// The record under the sender's own key that gives way to the number by this event, at once or behind another number that
    /// was mistyped, under which the shield of the plan was not `lifted`; none when either leads to a number that is not valid
    /// any more, from which nothing is carried over.
    pub(crate) fn key_before(
        &self,
        working: &Working<'_>,
        lifted: impl Fn(&ChildRecord, &ChildRecord) -> bool,
    ) -> Result<Option<ChildRecord>, StateError> {
        let row = working.row::<OwnerRow>(self.table, &self.key)?;
        let Some(owner) = row.map(|row| row.subject).filter(|owner| owner != self.subject) else { return Ok(None) };
        if self.lifts_withdrawn || working.is_invalid(&owner)? {
            return Ok(None);
        }
        if self.replaces(&owner) {
            return working.peek(&owner);
        }
        let begun = working.row::<KeyRow>(self.table, &keys::key_of_plan(&self.key))?.map(|row| row.subject);
        let Some(begun) = begun.filter(|key| self.replaces(key)) else { return Ok(None) };
        if working.is_invalid(&begun)? {
            return Ok(None);
        }
        let (between, before) = (working.peek(&owner)?, working.peek(&begun)?);
        Ok(before.filter(|before| !between.is_some_and(|between| lifted(&between, before))))
    }

    /// Notes the sender's own key when it gives way to a number, and forgets it past a number that is not valid any more.
    fn note_key(&self, working: &mut Working<'_>) -> Result<(), StateError> {
        let row = working.row::<OwnerRow>(self.table, &self.key)?;
        let Some(owner) = row.map(|row| row.subject).filter(|owner| owner != self.subject) else { return Ok(()) };
        let note = keys::key_of_plan(&self.key);
        if working.is_invalid(&owner)? {
            forget_key(working, note)?;
        } else if self.table == Table::Plan && self.replaces(&owner) {
            working.put(self.table, note, &KeyRow { subject: owner })?;
        }
        Ok(())
    }

    /// Whether the subject may use the name with this version. `released` says that its `owner` has given it up: withdrawn, or
    /// entered in error.
    pub(crate) fn check(&self, owner: Option<&OwnerRow>, version: u64, released: bool) -> Option<Refused> {
        let row = owner?;
        if row.subject != *self.subject {
            if self.lifts_withdrawn {
                return None;
            }
            if !released {
                return Some(Refused::SUBJECT_MISMATCH);
            }
        }
        if row.versions.contains(&version) {
            return Some(Refused::VERSION_REUSED);
        }
        (row.versions.len() >= MAX_VERSIONS).then_some(Refused::TOO_MANY)
    }

    /// Notes that the name is the subject's, and a version of it.
    pub(crate) fn own(self, working: &mut Working<'_>, version: u64) -> Result<(), StateError> {
        let held = self.owner(working)?;
        if self.lifts_withdrawn && held.as_ref().is_some_and(|row| row.subject != *self.subject) {
            return Ok(());
        }
        self.note_key(working)?;
        let versions = held.map(|row| row.versions).unwrap_or_default();
        let mut row = OwnerRow { subject: self.subject.clone(), versions };
        if let Err(at) = row.versions.binary_search(&version) {
            row.versions.insert(at, version);
        }
        working.put(self.table, self.key, &row)
    }
}
