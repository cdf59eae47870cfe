//! The read path: authorise, index, audit, answer. One shape for every outcome, and no answer without a durable audit
//! entry, whether something is held or not and whether the request is allowed or refused. Nothing of it is async unless
//! the audit says that the answer has to wait.

use crate::audit_entry::{AuditEntry, Decision, Disclosed, MotherRead, TraceId};
use crate::audit_mark::marked;
use crate::bursts::{Bursts, GATHER, Gathered, Kind};
use crate::engine::Engine;
use crate::rows::{encode, encode_into};
use kith_domain::answer::{Answer, Question};
use kith_domain::caller::{Caller, CareContext, Peer};
use kith_domain::child::Subject;
use kith_domain::fields::FieldSet;
use kith_domain::method::Method;
use kith_domain::permit::{self, ReadPermit, Refusal};
use kith_domain::refusal_code::RefusalCode;
use kith_domain::time::Moment;
use kith_index::Responsible;
use kith_store::{Appended, AuditError, AuditRef, Journal, Later};
use std::cell::RefCell;
use std::sync::Arc;
use tokio::runtime::Handle;
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
    /// A signed token proves the named person.
    pub person_proven: bool,
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
    pending: Pending,
    outcome: Outcome,
}

/// What is waited for.
#[derive(Debug)]
enum Pending {
    /// The entry's own sync.
    Entry(Later),
    /// The entry that counts it with others.
    Counted(Gathered),
}

impl Pending {
    async fn settled(self) -> Result<AuditRef, AuditError> {
        match self {
            Self::Entry(later) => later.settled().await,
            Self::Counted(gathered) => gathered.settled().await,
        }
    }
}

/// Where an entry is.
enum Recorded {
    /// In a durable sink.
    Now(AuditRef),
    /// Not there yet.
    Pending(Pending),
}

impl From<Appended> for Recorded {
    fn from(appended: Appended) -> Self {
        match appended {
            Appended::Now(reference) => Self::Now(reference),
            Appended::Later(later) => Self::Pending(Pending::Entry(later)),
        }
    }
}

/// What may leave once the question is audited.
pub(crate) type Outcome = Result<Answer, Refusal>;

impl Waiting {
    /// Waits until the answer may leave.
    ///
    /// # Errors
    /// [`ReadError`]: nothing was disclosed.
    pub async fn settled(self, engine: &Engine) -> Result<Answered, ReadError> {
        let audited = self.pending.settled().await;
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
        let recorded = match &outcome {
            Ok(_) => record(&self.journal, &entry).map(Recorded::from),
            Err(_) => self.record_refusal(&entry),
        };
        match recorded {
            Ok(Recorded::Now(reference)) => Asking::Now(self.conclude(Ok(reference), outcome)),
            Ok(Recorded::Pending(pending)) => Asking::Waiting(Waiting { pending, outcome }),
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
        let mut told = entry(asked, decision, responsible, permit.fields());
        self.mark(&mut told);
        (told, Ok(answer))
    }

    /// What leaves, now that the audit has the question or does not take it.
    pub(crate) fn conclude(
        &self,
        audited: Result<AuditRef, AuditError>,
        outcome: Outcome,
    ) -> Result<Answered, ReadError> {
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
        self.audit_as(entry, &mut None).await
    }

    /// As [`Engine::audit`]; `given` becomes the name under which the entry may stand though it failed, if any.
    pub(crate) async fn audit_as(
        &self,
        entry: &AuditEntry,
        given: &mut Option<AuditRef>,
    ) -> Result<AuditRef, AuditError> {
        #[cfg(test)]
        self.untold.trouble.met().await?;
        durable(&self.journal, &marked(entry, self.is_about_shielded(entry)), given).await
    }

    /// Puts decisions of the service itself into the audit, one behind the other, and leaves the disk to whoever is answered
    /// behind them. Blocks.
    ///
    /// # Errors
    /// [`AuditError`] when no sink takes one in time.
    pub fn tell(&self, at: Moment, told: impl IntoIterator<Item = Decision>) -> Result<(), AuditError> {
        for decision in told {
            let bytes = encode(&AuditEntry::of_service(at, decision)).map_err(|_| AuditError::NoSink)?;
            self.journal.append(&bytes)?;
        }
        Ok(())
    }

    /// As [`Engine::audit`], for a refusal: where the same person is refused the same call for the same reason again and
    /// again, one entry counts many of them, and none of them may leave before it is durable.
    ///
    /// # Errors
    /// [`AuditError`] when no sink takes the entry in time.
    pub async fn audit_refusal(&self, entry: &AuditEntry) -> Result<(), AuditError> {
        match self.record_refusal(entry)? {
            Recorded::Now(_) => Ok(()),
            Recorded::Pending(pending) => pending.settled().await.map(|_| ()),
        }
    }

    fn record_refusal(&self, entry: &AuditEntry) -> Result<Recorded, AuditError> {
        let shielded = self.shielded_in(entry);
        let written = marked(entry, shielded.is_some());
        let entry = &*written;
        // Without a runtime nobody could write what is gathered.
        let Ok(runtime) = Handle::try_current() else { return record(&self.journal, entry).map(Recorded::from) };
        let Some((gathered, opened)) = self.bursts.take(entry, shielded) else {
            return record(&self.journal, entry).map(Recorded::from);
        };
        if let Some(kind) = opened {
            // By itself: whoever was refused first may give up, and the others wait all the same.
            runtime.spawn(write_gathered(Arc::clone(&self.bursts), Arc::clone(&self.journal), kind));
        }
        Ok(Recorded::Pending(Pending::Counted(gathered)))
    }
}

/// Writes what is gathered of a burst, and tells all that wait for it.
async fn write_gathered(bursts: Arc<Bursts>, journal: Arc<Journal>, kind: Kind) {
    tokio::time::sleep(GATHER).await;
    let Some((entry, tell)) = bursts.close(&kind) else { return };
    let written = durable(&journal, &entry, &mut None).await;
    tell.send_replace(Some(written));
}

fn record(journal: &Journal, entry: &AuditEntry) -> Result<Appended, AuditError> {
    record_as(journal, entry, &mut None)
}

fn record_as(journal: &Journal, entry: &AuditEntry, given: &mut Option<AuditRef>) -> Result<Appended, AuditError> {
    ENTRY.with_borrow_mut(|bytes| {
        encode_into(bytes, entry).map_err(|_| AuditError::NoSink)?;
        journal.record_as(bytes, given)
    })
}

/// Puts an entry into a durable sink, as [`Engine::audit_as`].
pub(crate) async fn durable(
    journal: &Journal,
    entry: &AuditEntry,
    given: &mut Option<AuditRef>,
) -> Result<AuditRef, AuditError> {
    match record_as(journal, entry, given)? {
        Appended::Now(reference) => Ok(reference),
        Appended::Later(later) => later.settled_as(given).await,
    }
}

/// The audit entry of a question, not marked yet.
pub(crate) fn entry(asked: Asked, decision: Decision, responsible: Responsible, fields: FieldSet) -> AuditEntry {
    let Responsible { of_person, of_unborn } = responsible;
    let mother = |number| MotherRead { subject: Subject::Nhs(number), responsible: of_unborn };
    let person_proven = decision.keeps_proof(asked.person_proven);
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
        shielded: false,
        person_proven,
    }
}
