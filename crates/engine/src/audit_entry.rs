//! What the audit keeps of each decision: who asked, about whom, what was disclosed in codes and never in content. The
//! journal seals it; nothing of it is logged.

use crate::changed_one::{ChangedOne, ListedOne};
use crate::not_there::NotThere;
use kith_domain::answer::{Answer, Body, Mother, MotherView, Outcome, Siblings};
use kith_domain::caller::{Caller, CareContext, Peer, Role};
use kith_domain::change::AccessFacts;
use kith_domain::child::Subject;
use kith_domain::codes::{LaCode, OdsCode};
use kith_domain::fields::FieldSet;
use kith_domain::flag::{Flag, FlagOutcome};
use kith_domain::identity::IdentityCheck;
use kith_domain::method::Method;
use kith_domain::opening::{OpeningReason, ReviewOutcome};
use kith_domain::proof::{PersonProof, Unproven};
use kith_domain::refusal_code::RefusalCode;
use kith_domain::text::{OpeningWords, UserId, WithholdingWords};
use kith_domain::time::{Day, Moment};
use kith_domain::withholding::WithholdingReason;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One entry of the audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When.
    pub at: Moment,
    /// The organisation that the certificate proves; none for the service itself.
    pub organisation: Option<OdsCode>,
    /// Its role; none for the service itself.
    pub role: Option<Role>,
    /// The named person, where the request has one.
    pub caller: Option<Caller>,
    /// Planned or unplanned care, for questions.
    pub context: Option<CareContext>,
    /// Whom it was about.
    pub subject: Option<Subject>,
    /// The request's or the event's id; of an opening that is in the queue and was refused for want of an entry, the queue's
    /// reference.
    pub request_id: Option<Uuid>,
    /// What was decided.
    pub decision: Decision,
    /// Authorities that were responsible when an answer was given.
    pub responsible: Vec<LaCode>,
    /// The mother whose record was read for a baby's answer, or was to be read; of a check-in in every entry of it.
    pub mother: Option<MotherRead>,
    /// The call; none for the service itself.
    pub method: Option<Method>,
    /// The trace that the caller says it belongs to.
    pub trace: Option<TraceId>,
    /// Fields of an answer that the policy showed beside what is shown always.
    pub fields: FieldSet,
    /// Somebody whom it is about was or had been shielded when this was written: it is shown without a place, whatever is held by
    /// then. Whoever writes it need not know: the engine decides it, on the way to the journal (`audit_mark`).
    pub shielded: bool,
    /// A signed token proved the caller, when the call was taken. False where the request's word stands for them, for whoever was
    /// refused for want of such a proof, and where nobody is named.
    pub person_proven: bool,
}

/// Which call it is, whoever the person is and whatever becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// What the certificate proves.
    pub peer: Peer,
    /// The call.
    pub method: Method,
    /// The trace that the caller says it belongs to.
    pub trace: Option<TraceId>,
    /// What it proves of the person behind it.
    pub person: PersonProof,
}

/// The id of a trace, as other systems keep it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceId(pub [u8; 16]);

/// A mother's record that was read for her baby's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MotherRead {
    /// The mother.
    pub subject: Subject,
    /// Authorities of her unborn plans that were responsible when the answer was given.
    pub responsible: Vec<LaCode>,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decision {
    /// An answer was given; `counted` says whether it makes access history.
    Answered {
        /// What was disclosed.
        disclosed: Disclosed,
        /// Makes access history and notifications.
        counted: bool,
    },
    /// A request was refused.
    Refused(RefusalCode),
    /// A change, or changes that are about nobody, were sent: how many were acknowledged and refused.
    Changed {
        /// Acknowledged.
        acknowledged: u64,
        /// Refused.
        refused: u64,
    },
    /// Feeds, flags or the like were listed, which are about no child: how many.
    Listed(u64),
    /// The service started.
    Started,
    /// The service stopped in order.
    Stopped,
    /// Entries after this one may be missing.
    Gap(u64),
    /// The next file number of this authority was set to this one.
    FilePositionReset(LaCode, u64),
    /// What is configured changed while the service runs, or is in force from its start: what, and its SHA-256, of a policy's
    /// file or of the DER encodings of certificates and lists one after the other; all zeros where none is named, and the policy
    /// is the one built in.
    ConfigChanged(Configured, [u8; 32]),
    /// A changed file could not be used; what was in force stays in force.
    ConfigRefused(Configured),
    /// Calls were refused of which no handler wrote an entry, or a burst of them: why, how many, and when the first and the last.
    /// The entry has a subject only where the first of a burst, which is an entry of its own, was about a child who is or was shielded:
    /// that one.
    RefusedMany {
        /// Why.
        code: RefusalCode,
        /// How many.
        count: u64,
        /// The first.
        first: Moment,
        /// The last.
        last: Moment,
    },
    /// An entry of the audit was proven: which.
    Proven {
        /// Its journal.
        journal: u16,
        /// Its number there.
        sequence: u64,
    },
    /// The audit was read; the entry's subject is the child that was asked for.
    AuditRead(Box<AuditRead>),
    /// A shielded record was opened for this viewing. Makes access history and notifications.
    Opened {
        /// What was disclosed.
        disclosed: Disclosed,
        /// Why.
        reason: OpeningReason,
        /// Why, in the opener's words.
        words: OpeningWords,
        /// The reference in the privacy officer's queue.
        queue: Uuid,
    },
    /// A privacy officer has reviewed the opening of this reference.
    OpeningReviewed(Uuid, ReviewOutcome),
    /// Somebody's use was flagged, for a person to look into. It holds no child.
    Flagged(Flag),
    /// A flag was reviewed: which, and what was found.
    FlagReviewed(u64, FlagOutcome),
    /// An authority decided to withhold what it holds of the entry's subject.
    Withheld {
        /// Why.
        reason: WithholdingReason,
        /// Why, in the words of who decided it.
        words: WithholdingWords,
        /// The day on which somebody has to look again.
        look_again: Day,
    },
    /// An authority withholds what it holds of the entry's subject no longer.
    WithholdingLifted,
    /// Entries whose time had passed are removed; their leaves in the tree are kept.
    AuditRemoved {
        /// Every entry up to this number.
        through: u64,
        /// Leaves that the tree had when it was decided, all of which it keeps.
        leaves: u64,
        /// Every one of them, and of those removed earlier, was made before this moment.
        before: Moment,
    },
    /// The reference of an answer about the entry's subject, who is or was shielded, was resolved: the number of its entry.
    Resolved(u64),
    /// Changes were sent together: each with whom it was about and what became of it.
    ChangedEach(Vec<ChangedOne>),
    /// Children were listed, each with what the list holds of them: whom.
    ListedEach(Vec<ListedOne>),
    /// The same as another entry, if that stands: its write was given up, and a change that stands had to be told.
    ToldAgain {
        /// Numbers under which it may stand as well.
        earlier: Vec<u64>,
        /// The decision, encoded: none within another.
        decision: Vec<u8>,
    },
    /// Of what was sent together more was refused within a second, or had been acknowledged before, than stands by name: how many
    /// for each reason, and how many again. Nothing was changed by them. Whom they were about is not kept.
    RefusedRows {
        /// Reasons, each with how many; none where all had been acknowledged before.
        counted: Vec<(RefusalCode, u64)>,
        /// When the first was refused, or acknowledged again.
        first: Moment,
        /// When the last was.
        last: Moment,
        /// How many had been acknowledged before and changed nothing this time.
        repeated: u64,
    },
    /// One event of a presentation was acknowledged as any change is, and it does not tell that the child is there: why.
    NotThere(NotThere),
    /// A revocation list stays in force, for what the files hold cannot take its place: the file that it was read from, and the name of
    /// its issuer, each as far as it can be shown, in 200 letters at most.
    ListKept {
        /// The file.
        file: String,
        /// Its issuer.
        issuer: String,
    },
}

/// What of the audit was read: everything that was asked for beside the child, and how much was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRead {
    /// By a person with this identifier.
    pub person: Option<UserId>,
    /// By somebody of this organisation.
    pub organisation: Option<OdsCode>,
    /// From this moment on.
    pub from: Option<Moment>,
    /// Before this moment.
    pub until: Option<Moment>,
    /// The entry with this number.
    pub entry: Option<u64>,
    /// Entries given.
    pub given: u64,
    /// Entries looked at.
    pub looked_at: u64,
}

impl Decision {
    /// What was told of a child, by whichever call; none where nothing was told. Every decision is named here, so that a new one
    /// stops the build until somebody has said whether a child was looked at.
    #[must_use]
    pub fn disclosed(&self) -> Option<Disclosed> {
        match self {
            Self::Answered { disclosed, counted: _ } | Self::Opened { disclosed, .. } => Some(*disclosed),
            Self::Refused(_)
            | Self::Changed { .. }
            | Self::Listed(_)
            | Self::Started
            | Self::Stopped
            | Self::Gap(_)
            | Self::FilePositionReset(..)
            | Self::ConfigChanged(..)
            | Self::ConfigRefused(_)
            | Self::RefusedMany { .. }
            | Self::Proven { .. }
            | Self::AuditRead(_)
            | Self::OpeningReviewed(..)
            | Self::Flagged(_)
            | Self::FlagReviewed(..)
            | Self::Withheld { .. }
            | Self::WithholdingLifted
            | Self::AuditRemoved { .. }
            | Self::Resolved(_)
            | Self::ChangedEach(_)
            | Self::ListedEach(_)
            | Self::ToldAgain { .. }
            | Self::RefusedRows { .. }
            | Self::NotThere(_)
            | Self::ListKept { .. } => None,
        }
    }

    /// Whether it refuses somebody whom no token proves, though one has to, or whom the one that was sent does not.
    fn is_for_want_of_proof(&self) -> bool {
        matches!(self, Self::Refused(code) if Unproven::ALL.iter().any(|why| why.reason() == code.word()))
    }

    /// Whether the caller of an entry with this decision is proven, where the call's token proves somebody. Every handler asks
    /// first whether that is whom the request names, and refuses whoever it is not with a reason of its own.
    pub(crate) fn keeps_proof(&self, proven: bool) -> bool {
        proven && !self.is_for_want_of_proof()
    }

    /// Whether somebody was told of the child: by an answer, or as a broker whom a reference led to the record.
    #[must_use]
    pub fn is_look(&self) -> bool {
        self.disclosed().is_some() || matches!(self, Self::Resolved(_))
    }
}

/// What can be configured anew while the service runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Configured {
    /// Who may do what.
    Policy,
    /// The server's certificate.
    Certificate,
    /// The authorities of client certificates.
    ClientAuthorities,
    /// The revocation lists.
    RevocationLists,
    /// Whose people are proven by tokens, and by which keys.
    PersonTokens,
    /// The keys: rotated, wrapped anew, or one forgotten. The hash is that of the keyring, in which every key is wrapped.
    Keys,
    /// The settings of the process, as they are printed: they name files of keys and hold none.
    Settings,
    /// The key that signs the audit's tree. The hash is that of its public half, as witnesses pin it.
    AuditKey,
    /// The organisations, sites and authorities that are known: who may ask, and whom an answer says to ring. The hash is that of
    /// the three files, each behind its length.
    Directory,
    /// Who may call beside those whom the directory knows: who runs, checks and witnesses the service.
    Services,
}

/// What was disclosed, in codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disclosed {
    /// Outcome of the identity check.
    pub identity: IdentityCheck,
    /// Outcome of the plan question.
    pub plans: Code,
    /// Outcome of the presentation question.
    pub presentations: Code,
    /// The record was shielded.
    pub shielded: bool,
    /// Siblings of whom something was told, if only that they are.
    pub siblings: u32,
    /// Outcome of the question about the mother's unborn plans; none when her number was not given.
    pub mother: Option<Code>,
}

/// Outcome of one question as a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Code {
    /// Held: so many.
    Held(u32),
    /// None held.
    NoneHeld,
    /// Cannot say.
    CannotSay,
    /// Withheld, identity not confirmed.
    Withheld,
}

fn code<H>(outcome: &Outcome<H>, count: impl Fn(&H) -> usize) -> Code {
    match outcome {
        Outcome::Held(held) => Code::Held(u32::try_from(count(held)).unwrap_or(u32::MAX)),
        Outcome::NoneHeld => Code::NoneHeld,
        Outcome::CannotSay(_) => Code::CannotSay,
    }
}

/// Siblings of whom something was told.
fn siblings(body: &Body) -> u32 {
    fn told<R>(siblings: &Siblings<R>) -> u32 {
        match siblings {
            Siblings::NoReference | Siblings::NotShown => 0,
            Siblings::Known(known) => {
                u32::try_from(known.notices.len()).unwrap_or(u32::MAX).saturating_add(known.unshown)
            }
        }
    }
    match body {
        Body::Open(body) | Body::Opened(body) => told(&body.siblings),
        Body::Shielded(body) => told(&body.siblings),
        Body::IdentityNotConfirmed => 0,
    }
}

/// Outcome of the question about the mother's unborn plans.
fn mother(body: &Body) -> Option<Code> {
    fn told<P>(part: &Mother<P>) -> Code {
        match part {
            Mother::NumberInvalid => Code::Withheld,
            Mother::Plans { held, more: _ } => code(held, Vec::len),
        }
    }
    match body {
        Body::Open(body) | Body::Opened(body) => body.mother.as_ref().map(|view| match view {
            MotherView::Open(part) => told(part),
            MotherView::Shielded(part) => told(part),
        }),
        Body::Shielded(body) => body.mother.as_ref().map(told),
        Body::IdentityNotConfirmed => None,
    }
}

impl Disclosed {
    /// The codes of an answer.
    #[must_use]
    pub fn of(answer: &Answer) -> Self {
        let (siblings, mother) = (siblings(&answer.body), mother(&answer.body));
        let (plans, presentations, shielded) = match &answer.body {
            Body::IdentityNotConfirmed => (Code::Withheld, Code::Withheld, false),
            Body::Open(body) | Body::Opened(body) => {
                let seen = code(&body.presentations, |seen| seen.here.len() + seen.elsewhere.len());
                (code(&body.plans, Vec::len), seen, matches!(answer.body, Body::Opened(_)))
            }
            Body::Shielded(body) => {
                let seen = code(&body.presentations, |seen| seen.presentations.len());
                (code(&body.plans, Vec::len), seen, true)
            }
        };
        Self { identity: answer.identity, plans, presentations, shielded, siblings, mother }
    }
}

impl AuditEntry {
    /// An entry of the service itself.
    #[must_use]
    pub fn of_service(at: Moment, decision: Decision) -> Self {
        Self {
            at,
            organisation: None,
            role: None,
            caller: None,
            context: None,
            subject: None,
            request_id: None,
            decision,
            responsible: Vec::new(),
            mother: None,
            method: None,
            trace: None,
            fields: FieldSet::NONE,
            shielded: false,
            person_proven: false,
        }
    }

    /// An entry of a call without a question.
    #[must_use]
    pub fn of_call(
        at: Moment,
        Call { peer, method, trace, person }: Call,
        caller: Option<Caller>,
        request_id: Option<Uuid>,
        decision: Decision,
    ) -> Self {
        let person_proven = caller.is_some() && decision.keeps_proof(person.is_proven());
        Self {
            organisation: Some(peer.organisation),
            role: Some(peer.role),
            caller,
            request_id,
            method: Some(method),
            trace,
            person_proven,
            ..Self::of_service(at, decision)
        }
    }

    /// What of this entry belongs in the access history: an answer that counts, by a named person. The mother's record gets
    /// a row of its own when something of it was told; else nothing is kept of her, who may be an adult without a record.
    #[must_use]
    pub fn accesses(self) -> Vec<AccessFacts> {
        let (Decision::Answered { disclosed, counted: true } | Decision::Opened { disclosed, .. }) = self.decision
        else {
            return Vec::new();
        };
        let (Some(caller), Some(subject), Some(organisation), Some(request_id)) =
            (self.caller, self.subject, self.organisation, self.request_id)
        else {
            return Vec::new();
        };
        let of_mother = self.mother.filter(|_| matches!(disclosed.mother, Some(Code::Held(_))));
        let of_mother = of_mother.map(|MotherRead { subject, responsible }| (subject, responsible));
        let people = std::iter::once((subject, self.responsible)).chain(of_mother);
        let facts = |(subject, responsible)| AccessFacts {
            subject,
            organisation,
            request_id,
            at: self.at,
            user_name: caller.user_name.clone(),
            user_role: caller.user_role.clone(),
            responsible,
        };
        people.map(facts).collect()
    }
}
