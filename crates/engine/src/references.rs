//! References of answers. An answer carries its entry's number, which whoever has it can hold a proof against. One about a shielded
//! child carries a reference that tells nothing: a broker alone finds with it which child it was, who asked, and who shields.

use crate::audit_entry::{AuditEntry, MotherRead};
use crate::audit_retention::AuditRemoval;
use crate::engine::Engine;
use crate::read::Answered;
use crate::rows::decode;
use kith_domain::caller::Caller;
use kith_domain::child::Subject;
use kith_domain::codes::{LaCode, OdsCode};
use kith_domain::links::Standing;
use kith_domain::method::Method;
use kith_domain::permit::ActionPermit;
use kith_domain::time::Moment;
use kith_store::{AnswerRef, AuditRef};

/// A person whom an answer was about, and who shields them now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedPerson {
    /// The number or key that was asked about.
    pub subject: Subject,
    /// Authorities that shield the person now, under any of their numbers; none of a number that is not valid any more, for who
    /// held its plans may be the authority of before an adoption.
    pub setters: Vec<LaCode>,
    /// The demographics service marks the person as sensitive.
    pub nationally: bool,
    /// The number is not valid any more: whose it was is not confirmed.
    pub invalid: bool,
    /// The birth date that was asked with was not the record's: whom the answer was about is not confirmed.
    pub unconfirmed: bool,
}

/// What a reference leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The entry of the audit.
    pub entry: AuditRef,
    /// When the answer was given.
    pub at: Moment,
    /// The organisation that asked.
    pub organisation: OdsCode,
    /// The person who asked, and why.
    pub caller: Caller,
    /// Whom the answer was about.
    pub child: ResolvedPerson,
    /// The mother whose record was read for it.
    pub mother: Option<ResolvedPerson>,
}

/// Why a reference leads to nothing. None of these says anything about a child.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The permit is for something else.
    #[error("resolve reference: the permit is for another call")]
    NotPermitted,
    /// No answer about a shielded child ever had it.
    #[error("resolve reference: no answer about a shielded child has it")]
    Unknown,
    /// It was given, and its entry was removed when its time had passed.
    #[error("resolve reference: entries up to {} were removed under retention", .0.through)]
    Removed(AuditRemoval),
    /// It was given, and its entry is not on disk yet.
    #[error("resolve reference: its entry is not on disk yet")]
    NotYet,
    /// It was given, and its entry cannot be read: lost, or damaged.
    #[error("resolve reference: its entry cannot be read: {0}")]
    Unreadable(String),
}

impl Engine {
    /// The reference that an answer carries.
    #[must_use]
    pub fn reference_of(&self, answered: &Answered) -> String {
        let Answered { answer, reference } = answered;
        // Both are written for every answer: the time it takes does not tell which one was wanted.
        let (counted, random) = (reference.text(), self.keys.answer_ref(*reference).text());
        if answer.brokered { random } else { counted }
    }

    /// The entry of the answer about a shielded child with this reference; `None` when no answer ever had it.
    #[must_use]
    pub fn answered_by(&self, reference: AnswerRef) -> Option<AuditRef> {
        self.keys.answered_by(reference)
    }

    /// What a reference leads to. Blocks.
    ///
    /// # Errors
    /// [`ResolveError`]: nothing was told of anybody.
    pub fn resolve(&self, permit: &ActionPermit, reference: AnswerRef) -> Result<Resolved, ResolveError> {
        if permit.method() != Method::ResolveReference {
            return Err(ResolveError::NotPermitted);
        }
        let reference = self.answered_by(reference).ok_or(ResolveError::Unknown)?;
        let entry = self.entry_of(reference)?;
        // A reference that was made up may be taken once in a thousand million times: it must lead to an answer at least.
        let disclosed = entry.decision.disclosed().ok_or(ResolveError::Unknown)?;
        let AuditEntry { at, organisation, caller, subject, mother, .. } = entry;
        let (Some(organisation), Some(caller), Some(subject)) = (organisation, caller, subject) else {
            return Err(ResolveError::Unknown);
        };
        let mother = mother.map(|MotherRead { subject, responsible: _ }| self.shielded_by(subject));
        let child = self.shielded_by(subject);
        let child = ResolvedPerson { unconfirmed: child.unconfirmed || disclosed.identity.withholds(), ..child };
        Ok(Resolved { entry: reference, at, organisation, caller, child, mother })
    }

    fn entry_of(&self, reference: AuditRef) -> Result<AuditEntry, ResolveError> {
        if reference.sequence > self.journal().synced_through() {
            return Err(ResolveError::NotYet);
        }
        let read = self.journal().read_from(reference.sequence, 1);
        let read = read.map_err(|error| ResolveError::Unreadable(error.to_string()))?;
        let plain = read.into_iter().find_map(|(found, plain)| (found == reference).then_some(plain));
        if let Some(plain) = plain {
            return decode(&plain).map_err(|error| ResolveError::Unreadable(error.to_string()));
        }
        match self.audit_kept().removed.filter(|removed| reference.sequence <= removed.through) {
            Some(removed) => Err(ResolveError::Removed(removed)),
            None => Err(ResolveError::Unreadable("there is none of this number".to_owned())),
        }
    }

    /// A person, and who shields them now.
    fn shielded_by(&self, subject: Subject) -> ResolvedPerson {
        let person = self.index().person(&subject);
        if person.standing == Standing::Invalid {
            return ResolvedPerson {
                subject,
                setters: Vec::new(),
                nationally: false,
                invalid: true,
                unconfirmed: true,
            };
        }
        let marked = person.records().any(|record| record.identity.as_ref().is_some_and(|facts| facts.is_shielded()));
        let setters = person.setters();
        ResolvedPerson { subject, setters, nationally: marked, invalid: false, unconfirmed: false }
    }
}

#[cfg(test)]
mod tests;
