//! What an organisation's own safeguarding team is shown of who looked up a child: a view of its own beside that of auditors and that
//! of authorities. Who was told, whether a token proved them, when, why and by which call, shielded child or not and by a worklist or
//! alone, for the place is their own and is known to them. Never what was told, nor which authorities hold anything: of a shielded
//! child and of one who is not, asked about in the same way, it is the same. Nothing here asks whether a child is shielded.
//!
//! That a broker resolved the reference of an answer is no part of it, whoever runs the broker: only those of shielded children are.

use super::{Child, SeenEntry, SeenPlace, StandsAs, named};
use crate::audit_entry::{AuditEntry, Decision, MotherRead};
use crate::engine::Engine;
use kith_domain::caller::Role;
use kith_domain::child::Subject;
use kith_domain::codes::OdsCode;
use kith_domain::fields::FieldSet;
use kith_store::AuditRef;

/// Whether somebody of an organisation was given an answer, under this very code: one that it took over is another.
pub(crate) fn is_answer_to(organisation: OdsCode, entry: &AuditEntry) -> bool {
    entry.organisation == Some(organisation) && entry.decision.disclosed().is_some()
}

/// Whether a safeguarding team read who of its own people had looked. How many it was given, and within which time, is told of no
/// child. Of a shielded one it would lead to the worklist that had the child, whose every entry has a place. And of one who is not, to
/// the place of a shielded baby whose mother they are, or of a shielded mother: what the team, whose place is told, was given beyond
/// what a search by the same child shows with that place is what the search shows without one, or not at all.
pub(super) fn is_reading(entry: &AuditEntry) -> bool {
    entry.role == Some(Role::Safeguarding) && matches!(entry.decision, Decision::AuditRead(_))
}

impl Engine {
    /// An answer as it is shown to the safeguarding team of whose people it was given to.
    pub(crate) fn seen_by_own(&self, reference: AuditRef, entry: AuditEntry, child: Option<&Child>) -> SeenEntry {
        let as_mother = child.and_then(|child| child.stands_in(&entry)) == Some(StandsAs::Mother);
        let AuditEntry {
            at,
            organisation,
            role,
            caller,
            context,
            subject,
            request_id,
            decision: _,
            responsible: _,
            mother,
            method,
            trace: _,
            fields: _,
            shielded: _,
            person_proven,
        } = entry;
        let whom = |subject: &Subject| self.whom(subject, child);
        let mother = mother.map(|MotherRead { subject, responsible: _ }| whom(&subject)).filter(|_| as_mother);
        // Who was the baby of whom they asked, or the mother, is not told: nobody asked for that one here.
        let about = subject.as_ref().map(whom).filter(|_| !as_mother);
        let purpose = caller.as_ref().map(|caller| caller.purpose);
        let person = caller.map(|caller| named(caller, person_proven));
        let place = |organisation| SeenPlace { organisation, person, request_id, trace: None, responsible: Vec::new() };
        SeenEntry {
            reference,
            at,
            method,
            role,
            purpose,
            context,
            about,
            mother,
            as_mother,
            decision: Decision::Listed(0),
            changes: Vec::new(),
            uncounted: true,
            fields: FieldSet::NONE,
            place: organisation.map(place),
            shielded: false,
        }
    }
}
