//! The read path: authorise, index, audit, answer. One shape for every outcome, and no answer without a durable audit
//! entry, whether something is held or not and whether the request is allowed or refused.

use crate::audit_entry::{AuditEntry, Decision, Disclosed, MotherRead};
use crate::engine::Engine;
use crate::rows::encode;
use kith_domain::answer::{Answer, Question};
use kith_domain::caller::{Caller, CareContext, Peer};
use kith_domain::child::Subject;
use kith_domain::permit::{self, Refusal};
use kith_index::Responsible;
use kith_store::{AuditError, AuditRef};
use uuid::Uuid;

/// One question and everything the audit keeps of it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// What the certificate proves.
    pub peer: Peer,
    /// The named person.
    pub caller: Caller,
    /// Planned or unplanned care.
    pub context: CareContext,
    /// The question.
    pub question: Question,
    /// The request's id; a retry counts once.
    pub request_id: Uuid,
    /// One entry of a worklist: audited, but it makes neither history nor notifications.
    pub worklist: bool,
}

/// An answer that may leave: its audit entry is in a durable sink.
#[derive(Debug, Clone)]
pub struct Answered {
    /// The answer.
    pub answer: Answer,
    /// Where the question stands in the audit.
    pub reference: AuditRef,
}

/// Why no answer is given. None of these says anything about the child.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Not allowed; audited.
    #[error("ask: {0}")]
    Refused(#[from] Refusal),
    /// The audit takes no entry, so nothing may be answered.
    #[error("ask: the audit takes no entry")]
    Audit(#[from] AuditError),
}

impl Engine {
    /// Answers a question once its audit entry is durable.
    ///
    /// # Errors
    /// [`ReadError`]: nothing was disclosed.
    pub async fn ask(&self, asked: Asked) -> Result<Answered, ReadError> {
        let permit = match permit::authorise_read(asked.peer, &asked.caller, asked.context, self.directory()) {
            Ok(permit) => permit,
            Err(refusal) => {
                let decision = Decision::Refused(refusal.to_string());
                self.asked(&entry(asked, decision, Responsible::default())).await?;
                self.answers.refused();
                return Err(refusal.into());
            }
        };
        let (answer, responsible) = self.index().answer(&permit, &asked.question, self.settings(), self.directory());
        let counted = permit.context() == CareContext::Unscheduled && !asked.worklist;
        let disclosed = Disclosed::of(&answer);
        let reference = self.asked(&entry(asked, Decision::Answered { disclosed, counted }, responsible)).await?;
        self.answers.answered(disclosed);
        Ok(Answered { answer, reference })
    }

    /// Audits a question, and counts it when the audit takes no entry.
    async fn asked(&self, entry: &AuditEntry) -> Result<AuditRef, AuditError> {
        self.audit(entry).await.inspect_err(|_| self.answers.not_audited())
    }

    /// Puts an entry into a durable sink and waits as long as the mode asks for.
    ///
    /// # Errors
    /// [`AuditError`] when no sink takes it in time.
    pub async fn audit(&self, entry: &AuditEntry) -> Result<AuditRef, AuditError> {
        let bytes = encode(entry).map_err(|_| AuditError::NoSink)?;
        let reference = self.journal().append(&bytes)?;
        self.journal().settled(reference).await?;
        Ok(reference)
    }
}

fn entry(asked: Asked, decision: Decision, responsible: Responsible) -> AuditEntry {
    let Responsible { of_person, of_unborn } = responsible;
    let mother = |number| MotherRead { subject: Subject::Nhs(number), responsible: of_unborn };
    AuditEntry {
        at: asked.question.now,
        organisation: Some(asked.peer.organisation),
        role: Some(asked.peer.role),
        caller: Some(asked.caller),
        context: Some(asked.context),
        subject: Some(asked.question.subject),
        request_id: Some(asked.request_id),
        decision,
        responsible: of_person,
        mother: asked.question.mother.map(mother),
    }
}
