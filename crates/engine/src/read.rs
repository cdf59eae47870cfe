//! The read path: authorise, index, audit, answer. One shape for every outcome, and no answer without a durable audit
//! entry, whether something is held or not and whether the request is allowed or refused. Nothing of it is async unless
//! the audit says that the answer has to wait.

use crate::audit_entry::{AuditEntry, Decision, Disclosed, MotherRead, TraceId};
use crate::engine::Engine;
use crate::rows::encode_into;
use kith_domain::answer::{Answer, Question};
use kith_domain::caller::{Caller, CareContext, Peer};
use kith_domain::child::Subject;
use kith_domain::fields::FieldSet;
use kith_domain::method::Method;
use kith_domain::permit::{self, ReadPermit, Refusal};
use kith_domain::refusal_code::RefusalCode;
use kith_index::Responsible;
use kith_store::{Appended, AuditError, AuditRef, Later};
use std::cell::RefCell;
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
    /// The call. Entries of a worklist are audited, but make neither history nor notifications.
    pub method: Method,
    /// The trace that the caller says it belongs to.
    pub trace: Option<TraceId>,
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

/// What became of a question.
#[derive(Debug)]
pub enum Asking {
    /// It is audited, and the answer or the refusal may leave.
    Now(Result<Answered, ReadError>),
    /// Its audit entry is not durable yet: nothing may leave.
    Waiting(Waiting),
}

/// A question whose audit entry is not durable yet. Dropped, it discloses nothing.
#[derive(Debug)]
pub struct Waiting {
    later: Later,
    outcome: Outcome,
}

/// What may leave once the question is audited.
type Outcome = Result<Answer, Refusal>;

impl Waiting {
    /// Waits until the answer may leave.
    ///
    /// # Errors
    /// [`ReadError`]: nothing was disclosed.
    pub async fn settled(self, engine: &Engine) -> Result<Answered, ReadError> {
        let audited = self.later.settled().await;
        engine.conclude(audited, self.outcome)
    }
}

thread_local! {
    /// Where a thread encodes its audit entries, one after another, so that none needs memory of its own.
    static ENTRY: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Engine {
    /// Answers a question once its audit entry is durable.
    ///
    /// # Errors
    /// [`ReadError`]: nothing was disclosed.
    pub async fn ask(&self, asked: Asked) -> Result<Answered, ReadError> {
        match self.ask_now(asked) {
            Asking::Now(result) => result,
            Asking::Waiting(waiting) => waiting.settled(self).await,
        }
    }

    /// As [`Engine::ask`], without async work: nearly always the audit entry is durable at once.
    #[must_use]
    pub fn ask_now(&self, asked: Asked) -> Asking {
        let call = (asked.method, asked.context);
        let permit = permit::authorise_read(&self.policy.load(), asked.peer, &asked.caller, call, self.directory());
        self.ask_decided(asked, permit)
    }

    /// As [`Engine::ask`], for somebody whose permit has been decided by what `asked` tells.
    ///
    /// # Errors
    /// [`ReadError`]: nothing was disclosed.
    pub async fn ask_permitted(&self, asked: Asked, permit: ReadPermit) -> Result<Answered, ReadError> {
        match self.ask_decided(asked, Ok(permit)) {
            Asking::Now(result) => result,
            Asking::Waiting(waiting) => waiting.settled(self).await,
        }
    }

    /// Refuses a question for a reason that lies outside of the policy, once that is in the audit.
    ///
    /// # Errors
    /// [`ReadError`], always: the refusal, or that it could not be audited.
    pub async fn refuse(&self, asked: Asked, refusal: Refusal) -> Result<Answered, ReadError> {
        match self.ask_decided(asked, Err(refusal)) {
            Asking::Now(result) => result,
            Asking::Waiting(waiting) => waiting.settled(self).await,
        }
    }

    fn ask_decided(&self, asked: Asked, permit: Result<ReadPermit, Refusal>) -> Asking {
        let (entry, outcome) = self.decide(asked, permit);
        match self.record(&entry) {
            Ok(Appended::Now(reference)) => Asking::Now(self.conclude(Ok(reference), outcome)),
            Ok(Appended::Later(later)) => Asking::Waiting(Waiting { later, outcome }),
            Err(error) => Asking::Now(self.conclude(Err(error), outcome)),
        }
    }

    /// Answers whoever is authorised: what goes into the audit, and what may leave once it is there.
    fn decide(&self, asked: Asked, permit: Result<ReadPermit, Refusal>) -> (AuditEntry, Outcome) {
        let permit = match permit {
            Ok(permit) => permit,
            Err(refusal) => {
                let decision = Decision::Refused(RefusalCode::of(refusal.reason()));
                return (entry(asked, decision, Responsible::default(), FieldSet::NONE), Err(refusal));
            }
        };
        let (answer, responsible) = self.index().answer(&permit, &asked.question, self.settings(), self.directory());
        self.index().even_out(&answer, &permit, &asked.question, (self.settings(), self.directory()));
        let counted = permit.context() == CareContext::Unscheduled && asked.method != Method::LookupMany;
        let disclosed = Disclosed::of(&answer);
        let decision = Decision::Answered { disclosed, counted };
        (entry(asked, decision, responsible, permit.fields()), Ok(answer))
    }

    /// What leaves, now that the audit has the question or does not take it.
    fn conclude(&self, audited: Result<AuditRef, AuditError>, outcome: Outcome) -> Result<Answered, ReadError> {
        let reference = audited.inspect_err(|_| self.answers.not_audited())?;
        match outcome {
            Ok(answer) => {
                self.answers.answered();
                Ok(Answered { answer, reference })
            }
            Err(refusal) => {
                self.answers.refused();
                Err(refusal.into())
            }
        }
    }

    /// Puts an entry into a durable sink and waits as long as the mode asks for.
    ///
    /// # Errors
    /// [`AuditError`] when no sink takes it in time.
    pub async fn audit(&self, entry: &AuditEntry) -> Result<AuditRef, AuditError> {
        match self.record(entry)? {
            Appended::Now(reference) => Ok(reference),
            Appended::Later(later) => later.settled().await,
        }
    }

    fn record(&self, entry: &AuditEntry) -> Result<Appended, AuditError> {
        ENTRY.with_borrow_mut(|bytes| {
            encode_into(bytes, entry).map_err(|_| AuditError::NoSink)?;
            self.journal().record(bytes)
        })
    }
}

fn entry(asked: Asked, decision: Decision, responsible: Responsible, fields: FieldSet) -> AuditEntry {
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
        method: Some(asked.method),
        trace: asked.trace,
        fields,
    }
}
