//! The mark of an entry that is about somebody who is or was shielded. It is decided when the entry is written, once for all that it
//! holds, for what is held of a shield may be gone when it is read: lifted, and removed with the record. Whoever reads is shown no
//! place of what is marked; the index is asked beside that, for a shield that was set since then (`audit_seen`).
//!
//! Careful without hiding what is ordinary: an answer that was confirmed knows whether the child was shielded, and is marked by
//! what it disclosed. Everything else is marked when the child is shielded, or was under something that is still held: a call that
//! began before the lift may be written behind it, and what the lift is about tells the place that it was to hide. Once nothing of
//! the shield is held, entries of then are ordinary. Nothing about a child is written before the index is loaded: until then there
//! is no engine, and refusals are counted without whom they were about. Where a subject cannot be read the entry names nobody, so
//! that no child leads to its place: it is not marked, for else nobody would ever find what is malformed by where it came from.
//! What was sent or listed together has a mark for each one of it (`changed_one`).

use crate::audit_entry::{AuditEntry, Code, Decision};
use crate::engine::Engine;
use kith_domain::child::Subject;
use kith_domain::links::{MAX_LINKED, Standing};
use std::borrow::Cow;

/// Whom an entry is about: the subject, and a mother whose record was read.
pub(crate) fn people(entry: &AuditEntry) -> impl Iterator<Item = &Subject> {
    entry.subject.iter().chain(entry.mother.as_ref().map(|mother| &mother.subject))
}

/// An entry as it is written. A mark that it has already is never taken back.
pub(crate) fn marked(entry: &AuditEntry, shielded: bool) -> Cow<'_, AuditEntry> {
    if entry.shielded || !shielded {
        return Cow::Borrowed(entry);
    }
    Cow::Owned(AuditEntry { shielded, ..entry.clone() })
}

impl Engine {
    /// Marks an entry that is about to be written, unless it is marked already.
    pub(crate) fn mark(&self, entry: &mut AuditEntry) {
        entry.shielded = entry.shielded || self.is_about_shielded(entry);
    }

    /// Whether an entry is about somebody who is or was shielded, by what it says and what is held now. Of a confirmed answer
    /// without a mother this asks nobody: it is on the way of every lookup.
    pub(crate) fn is_about_shielded(&self, entry: &AuditEntry) -> bool {
        let disclosed = entry.decision.disclosed();
        // Of an opening's answer nothing was left out, and only what is about a shielded child is opened or resolved.
        let by_decision = matches!(entry.decision, Decision::Opened { .. } | Decision::Resolved(_));
        if by_decision || disclosed.is_some_and(|disclosed| disclosed.shielded) {
            return true;
        }
        // Whoever was answered about a child was told whether it was shielded then. Nothing else knows.
        let knows = disclosed.is_some_and(|disclosed| disclosed.plans != Code::Withheld);
        let subject = entry.subject.as_ref().filter(|_| !knows);
        // Of the mother no answer says whether she was.
        let mother = entry.mother.as_ref().map(|mother| &mother.subject);
        subject.into_iter().chain(mother).any(|subject| self.is_or_was_shielded(subject))
    }

    /// Whom of those that an entry is about is or was shielded.
    pub(crate) fn shielded_in<'a>(&self, entry: &'a AuditEntry) -> Option<&'a Subject> {
        people(entry).find(|subject| self.is_or_was_shielded(subject))
    }

    /// Whether the person is shielded, or a shield of something that is held was lifted, under any of the numbers.
    pub(crate) fn is_or_was_shielded(&self, subject: &Subject) -> bool {
        let person = self.index().person(subject);
        match person.standing {
            Standing::Current | Standing::ReplacedBy(_) => person.was_shielded(),
            Standing::Invalid => self.was_shielded_through_links(subject),
        }
    }

    /// The same of a number that is not valid any more, or that leads to one. In an answer nothing is linked with such a number; who
    /// asks about it tells all the same where the person is whom the merged numbers were.
    fn was_shielded_through_links(&self, subject: &Subject) -> bool {
        let (mut known, mut at) = (vec![subject.clone()], 0);
        while let Some(one) = known.get(at).cloned() {
            at += 1;
            let Some(record) = self.index().for_writer(&one) else { continue };
            if record.was_shielded() {
                return true;
            }
            let Some(facts) = record.identity.as_deref() else { continue };
            let successor = facts.successor.get().copied().map(Subject::Nhs);
            for linked in successor.into_iter().chain(facts.predecessors.iter().cloned()) {
                if known.len() < MAX_LINKED && !known.contains(&linked) {
                    known.push(linked);
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests;
