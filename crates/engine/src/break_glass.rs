//! Breaking the glass: a shielded record is opened for the answer of one call. The order is fixed: authorise, the limit, the
//! record, the privacy officer's queue on disk, the audit, and only then the answer. Nothing is left that opens anything
//! afterwards. Whatever fails on the way means that nothing was asked, and says nothing of the child.

use crate::audit_entry::{AuditEntry, Decision, Disclosed};
use crate::engine::Engine;
use crate::keys;
use crate::openings::{ListedOpening, OpeningCounts, WaitingOpening};
use crate::read::{Answered, Asked, ReadError, entry};
use crate::writer::Verdict;
use kith_domain::answer::Body;
use kith_domain::caller::{Caller, Peer, Role};
use kith_domain::change::Change;
use kith_domain::fields::FieldSet;
use kith_domain::method::Method;
use kith_domain::opening::{
    LIMIT_REACHED, Opener, Opening, OpeningLimits, OpeningReason, OpeningReview, ReviewOutcome, may_review,
};
use kith_domain::permit::{ActionPermit, authorise_opening};
use kith_domain::refusal_code::RefusalCode;
use kith_domain::refused::Refused;
use kith_domain::text::OpeningWords;
use kith_domain::time::Moment;
use kith_index::Responsible;
use uuid::Uuid;

/// Why a record is to be opened, and what is kept of it.
#[derive(Debug, Clone)]
pub struct WhyOpened {
    /// Random: by it the queue and the audit are brought together, and nothing else.
    pub reference: Uuid,
    /// Of the closed list.
    pub reason: OpeningReason,
    /// In the opener's words; the sealed audit alone keeps them.
    pub words: OpeningWords,
    /// How often records may be opened.
    pub limits: OpeningLimits,
}

/// What one viewing shows.
#[derive(Debug, Clone)]
pub struct Viewing {
    /// The answer; nothing else of the record leaves.
    pub answered: Answered,
    /// The reference under which the privacy officer finds it; none where the record was not shielded, or its identity was not
    /// confirmed, and nothing was opened.
    pub queued: Option<Uuid>,
}

/// Why nothing is shown. None of these says anything about the child.
#[derive(Debug, thiserror::Error)]
pub enum OpeningError {
    /// Not allowed, or not audited.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// As many have been opened as may be, or the queue takes no entry. Audited.
    #[error("open: {0}")]
    NotOpened(Refused),
}

/// A review as it is sent.
#[derive(Debug, Clone, Copy)]
pub struct SentReview {
    /// The event's id.
    pub event_id: Uuid,
    /// Which opening.
    pub reference: Uuid,
    /// What was found.
    pub outcome: ReviewOutcome,
}

/// A page of openings that nobody has reviewed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpeningPage {
    /// Oldest first; for an auditor by days.
    pub openings: Vec<ListedOpening>,
    /// After which one the next page begins; none at the end.
    pub next_after: Option<(Moment, Uuid)>,
}

/// What is told of an opening that stands in the queue and whose own entry the audit did not take, so that nothing was shown: a
/// refusal, under the reference that the queue has.
fn not_shown(entry: AuditEntry, reference: Uuid) -> AuditEntry {
    AuditEntry {
        request_id: Some(reference),
        decision: Decision::Refused(RefusalCode::of(Refused::NOT_AUDITED.reason)),
        responsible: Vec::new(),
        mother: None,
        fields: FieldSet::NONE,
        ..entry
    }
}

impl Engine {
    /// Answers a question with a shielded record opened, once the privacy officer's queue and the audit have it. What is begun
    /// must go on to its end when the caller has gone, so that no entry of the queue stands without one of the audit.
    ///
    /// # Errors
    /// [`OpeningError`]: nothing was disclosed. Where the queue has an entry all the same, the audit is told of it later.
    pub async fn open_shielded(&self, asked: Asked, why: WhyOpened) -> Result<Viewing, OpeningError> {
        let asked = Asked { method: Method::OpenShielded, ..asked };
        let (peer, at) = (asked.peer, asked.question.now);
        let authorised = authorise_opening(&self.policy(), peer, &asked.caller, asked.context, self.directory());
        let permit = match authorised {
            Ok(permit) => permit,
            Err(refusal) => {
                let error = ReadError::Refused(refusal).into();
                return Err(self.not_opened(asked, refusal.reason(), error).await);
            }
        };
        let opener = self.named(peer, &asked.caller);
        if self.progress.openings.are_reached(&why.limits, (peer.organisation, &opener), at) {
            return Err(self.not_queued(asked, LIMIT_REACHED).await);
        }
        let (question, means) = (&asked.question, (self.settings(), self.directory()));
        let (answer, responsible) = self.index().answer(permit.read(), question, means.0, means.1);
        self.index().even_out(&answer, permit.read(), question, means);
        let (disclosed, fields) = (Disclosed::of(&answer), permit.read().fields());
        let WhyOpened { reference, reason, words, limits } = why;
        let opened = match answer.body {
            Body::Opened(_) => true,
            Body::Open(_) | Body::Shielded(_) | Body::IdentityNotConfirmed => false,
        };
        let decision = if opened {
            let Peer { organisation, role } = peer;
            let opening = Opening { reference, organisation, role, reason, opener, limits };
            if let Err(refused) = self.log_one(at, Change::Opened(opening)).await {
                return Err(self.not_queued(asked, refused).await);
            }
            Decision::Opened { disclosed, reason, words, queue: reference }
        } else {
            Decision::Answered { disclosed, counted: true }
        };
        let mut told = entry(asked, decision, responsible, fields);
        self.mark(&mut told);
        let audited = self.audit(&told).await;
        if let (true, Err(error)) = (opened, &audited) {
            self.tell_later(not_shown(told, reference), *error);
        }
        let answered = self.conclude(audited, Ok(answer))?;
        Ok(Viewing { answered, queued: opened.then_some(reference) })
    }

    /// What is said of an opening that the limit or the log refuses.
    async fn not_queued(&self, asked: Asked, refused: Refused) -> OpeningError {
        if refused.reason == LIMIT_REACHED.reason {
            self.progress.openings.refused();
        }
        self.not_opened(asked, refused.reason, OpeningError::NotOpened(refused)).await
    }

    /// The error, once the refusal is in the audit, or that of the audit. A burst of them is counted like any: who opens nothing
    /// in a loop fills no disk.
    async fn not_opened(&self, asked: Asked, reason: &str, error: OpeningError) -> OpeningError {
        let decision = Decision::Refused(RefusalCode::of(reason));
        match self.audit_refusal(&entry(asked, decision, Responsible::default(), FieldSet::NONE)).await {
            Ok(()) => {
                self.answers.refused();
                error
            }
            Err(unaudited) => {
                self.answers.not_audited();
                ReadError::Audit(unaudited).into()
            }
        }
    }

    async fn log_one(&self, at: Moment, change: Change) -> Verdict {
        self.may_change()?;
        self.submit(at, vec![change]).await.await.into_iter().next().unwrap_or(Err(Refused::STORAGE))
    }

    /// The keyed name of a person.
    fn named(&self, peer: Peer, caller: &Caller) -> Opener {
        keys::person(&self.keys, peer.organisation, &caller.user_id)
    }

    /// Lists openings that nobody has reviewed, oldest first: for an auditor of all organisations and without a place, for
    /// others of their own.
    #[must_use]
    pub fn unreviewed(&self, permit: &ActionPermit, after: Option<(Moment, Uuid)>, limit: usize) -> OpeningPage {
        let Peer { organisation, role } = permit.peer();
        let sees = |one: &WaitingOpening| may_review(role, organisation, one.organisation);
        let (openings, more) = match role == Role::Auditor {
            true => self.progress.openings.without_places(after, limit),
            false => self.progress.openings.waiting(after, limit, sees),
        };
        let next_after = openings.last().filter(|_| more).map(|last| (last.at, last.reference));
        OpeningPage { openings, next_after }
    }

    /// Takes a review of an opening by somebody else than who made it.
    pub async fn review_opening(
        &self,
        permit: &ActionPermit,
        caller: &Caller,
        at: Moment,
        SentReview { event_id, reference, outcome }: SentReview,
    ) -> Verdict {
        let peer = permit.peer();
        let (Peer { organisation, role }, reviewer) = (peer, self.named(peer, caller));
        let review = OpeningReview { organisation, role, event_id, reference, outcome, reviewer };
        self.change_one(permit, at, Change::OpeningReviewed(review)).await
    }

    /// How many openings wait for a review, and how many were refused.
    #[must_use]
    pub fn opening_counts(&self) -> OpeningCounts {
        self.progress.openings.counts()
    }
}
