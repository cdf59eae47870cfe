//! What the audit keeps of each decision: who asked, about whom, what was disclosed in codes and never in content. The
//! journal seals it; nothing of it is logged.

use kith_domain::answer::{Answer, Body, Outcome};
use kith_domain::caller::{Caller, CareContext, Peer, Role};
use kith_domain::change::AccessFacts;
use kith_domain::child::Subject;
use kith_domain::codes::{LaCode, OdsCode};
use kith_domain::identity::IdentityCheck;
use kith_domain::time::Moment;
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
    /// The request's or the event's id.
    pub request_id: Option<Uuid>,
    /// What was decided.
    pub decision: Decision,
    /// Authorities that were responsible when an answer was given.
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
    /// A request was refused, for this stable reason.
    Refused(String),
    /// Changes were sent: how many were acknowledged and refused.
    Changed {
        /// Acknowledged.
        acknowledged: u64,
        /// Refused.
        refused: u64,
    },
    /// Notifications, or feeds, were listed: how many.
    Listed(u64),
    /// The service started.
    Started,
    /// The service stopped in order.
    Stopped,
    /// Entries after this one may be missing.
    Gap(u64),
    /// The next file number of this authority was set to this one.
    FilePositionReset(LaCode, u64),
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

impl Disclosed {
    /// The codes of an answer.
    #[must_use]
    pub fn of(answer: &Answer) -> Self {
        let (plans, presentations, shielded) = match &answer.body {
            Body::IdentityNotConfirmed => (Code::Withheld, Code::Withheld, false),
            Body::Open(body) => {
                let seen = code(&body.presentations, |seen| seen.here.len() + seen.elsewhere.len());
                (code(&body.plans, Vec::len), seen, false)
            }
            Body::Shielded(body) => {
                let seen = code(&body.presentations, |seen| seen.presentations.len());
                (code(&body.plans, Vec::len), seen, true)
            }
        };
        Self { identity: answer.identity, plans, presentations, shielded }
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
        }
    }

    /// An entry of a peer without a question.
    #[must_use]
    pub fn of_peer(
        at: Moment,
        peer: Peer,
        caller: Option<Caller>,
        request_id: Option<Uuid>,
        decision: Decision,
    ) -> Self {
        Self {
            organisation: Some(peer.organisation),
            role: Some(peer.role),
            caller,
            request_id,
            ..Self::of_service(at, decision)
        }
    }

    /// What of this entry belongs in the access history: an answer that counts, by a named person.
    #[must_use]
    pub fn access(self) -> Option<AccessFacts> {
        let counted = matches!(self.decision, Decision::Answered { counted: true, .. });
        let caller = self.caller.filter(|_| counted)?;
        Some(AccessFacts {
            subject: self.subject?,
            organisation: self.organisation?,
            request_id: self.request_id?,
            at: self.at,
            user_name: caller.user_name,
            user_role: caller.user_role,
            responsible: self.responsible,
        })
    }
}
