//! A change of state: a record of the ordered log. It carries its own id and time; applying it reads nothing else.

use crate::child::Subject;
use crate::codes::{LaCode, OdsCode};
use crate::flag::{FlagReviewed, Flagged, Watched};
use crate::nhs_number::NhsNumber;
use crate::opening::{Opening, OpeningReview};
use crate::plan::{PlanKind, PlanName};
use crate::plan_file::{FileMode, FileOutcome};
use crate::presentation::{Closing, Details};
use crate::redacted::debug_without;
use crate::retention::Retention;
use crate::text::{EncounterId, FamilyReference, PersonText, PlanReference};
use crate::time::{Day, Moment};
use crate::withholding::{Withholding, WithholdingLifted};
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// One record of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// When the service took it.
    pub at: Moment,
    /// The change.
    pub change: Change,
}

/// Everything that can change the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// An authority's event about a plan.
    Plan(PlanEvent),
    /// An organisation's event about a presentation.
    Presentation(PresentationEvent),
    /// A feed is alive and has nothing to tell.
    Heartbeat(Heartbeat),
    /// Someone asked about a child; derived from the audit.
    Accessed(Accessed),
    /// An authority acknowledged notifications.
    Acknowledged(Acknowledged),
    /// A power cut may have lost audit entries after this one.
    AuditGap(AuditGap),
    /// What retention has passed is removed.
    Purge(Purge),
    /// What a feed sent and was refused, or that it was taken whole.
    FeedCounted(FeedCounted),
    /// An authority's plan file begins.
    FileStarted(FileStarted),
    /// Plans that a snapshot does not name are going to be ended.
    FileEnding(FileEnding),
    /// An authority's plan file has ended.
    FileEnded(FileEnded),
    /// The next file number of an authority was set by hand.
    FilePositionReset(FilePositionReset),
    /// The demographics service tells who a number is.
    Identity(IdentityEvent),
    /// An organisation proposes an identity change.
    Proposed(Proposal),
    /// The demographics service has looked at a proposal.
    ProposalClosed(ProposalClosed),
    /// The head that the audit's tree had.
    AuditHead(AuditHead),
    /// A shielded child's record is opened for one viewing.
    Opened(Opening),
    /// A privacy officer has looked into an opening.
    OpeningReviewed(OpeningReview),
    /// Somebody's use was flagged; derived from the audit.
    Flagged(Flagged),
    /// The audit was watched up to an entry.
    Watched(Watched),
    /// A person has looked into a flag.
    FlagReviewed(FlagReviewed),
    /// An authority decides to withhold what it holds of a child.
    Withheld(Withholding),
    /// An authority withholds it no longer.
    WithholdingLifted(WithholdingLifted),
}

/// What happened to a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlanAction {
    /// It starts.
    Start,
    /// Its details change.
    Change,
    /// It ends.
    End,
    /// It was entered in error.
    Withdraw,
    /// It moves to another authority.
    TransferOut(LaCode),
    /// It comes from another authority.
    TransferIn(LaCode),
    /// The unborn child is born: its plan ends, and the plans of the babies named start.
    Born,
}

/// An authority's event about one of its plans.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanEvent {
    /// The authority; the client certificate's.
    pub authority: LaCode,
    /// The event's id.
    pub event_id: Uuid,
    /// The child, or the mother of an unborn child.
    pub subject: Subject,
    /// What happened.
    pub action: PlanAction,
    /// The kind of plan.
    pub kind: PlanKind,
    /// The authority's own reference.
    pub reference: Option<PlanReference>,
    /// The plan's version, from 1.
    pub version: u64,
    /// First day.
    pub start: Option<Day>,
    /// Last day.
    pub end: Option<Day>,
    /// Birth date of the subject.
    pub birth_date: Option<Day>,
    /// The child's whereabouts must not be revealed.
    pub shielded: bool,
    /// Lifts the shield that this plan's events, or the authority's removed plans, have set. A missing flag never does.
    pub unshield: bool,
    /// The authority's own reference of the family.
    pub family: Option<FamilyReference>,
    /// Children born, for the birth of an unborn child.
    pub babies: Vec<Baby>,
}

debug_without!(PlanEvent, shown: [authority, event_id, subject, action, kind, reference, version, start, end, shielded, unshield, family, babies], hidden: [birth_date]);

/// A child born, whose mother's record holds an unborn plan.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baby {
    /// The child.
    pub subject: Subject,
    /// The kind of the child's own plan.
    pub kind: PlanKind,
    /// The authority's own reference of the child's plan.
    pub reference: Option<PlanReference>,
    /// The day of birth, where it is not the last day of the mother's plan: twins may be born on two.
    pub birth_date: Option<Day>,
}

debug_without!(Baby, shown: [subject, kind, reference], hidden: [birth_date]);

impl PlanEvent {
    /// Whether it says that whom it is about is shielded, or was.
    #[must_use]
    pub fn tells_of_shield(&self) -> bool {
        self.shielded || self.unshield
    }

    /// The plan's name: its reference, else kind and start; `None` when it has neither, which is refused on entry.
    #[must_use]
    pub fn name(&self) -> Option<PlanName> {
        match (&self.reference, self.start) {
            (Some(reference), _) => Some(PlanName::Reference(reference.clone())),
            (None, Some(start)) => Some(PlanName::KindAndStart(self.kind, start)),
            (None, None) => None,
        }
    }
}

/// What an event says of a presentation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PresentationAction {
    /// It happens now: authorities of a child on a plan are notified.
    Record(Details),
    /// Its details are corrected.
    Amend(Details),
    /// It has an outcome.
    Close(Closing),
    /// It happened in the past: nobody is notified.
    Import(Details, Option<Closing>),
}

/// An organisation's event about one of its presentations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresentationEvent {
    /// The organisation; the client certificate's.
    pub organisation: OdsCode,
    /// The event's id.
    pub event_id: Uuid,
    /// Whom it is about.
    pub subject: Subject,
    /// The organisation's own encounter id.
    pub encounter: EncounterId,
    /// The encounter's version, from 1.
    pub version: u64,
    /// What it says.
    pub action: PresentationAction,
}

/// A sign of life of a feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The feed.
    pub feed: Feed,
    /// The event's id.
    pub event_id: Uuid,
}

/// A feed: an authority's plans or an organisation's presentations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Feed {
    /// An authority's plans.
    Plans(LaCode),
    /// An organisation's presentations.
    Presentations(OdsCode),
}

/// An unscheduled lookup, derived from its audit entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accessed {
    /// Sequence of the audit entry; the log remembers how far the audit has been derived.
    pub audit_sequence: u64,
    /// Who was asked about and by whom; `None` when the entry has no consequence but its position.
    pub access: Option<AccessFacts>,
}

/// Who asked about whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessFacts {
    /// Whom the question was about.
    pub subject: Subject,
    /// The asking organisation.
    pub organisation: OdsCode,
    /// The request's id: a retry counts once.
    pub request_id: Uuid,
    /// When it was asked.
    pub at: Moment,
    /// The viewer's name.
    pub user_name: PersonText,
    /// The viewer's role.
    pub user_role: PersonText,
    /// Authorities that were responsible when the answer was given: they hear of it, whatever has changed since.
    pub responsible: Vec<LaCode>,
}

/// Notifications an authority has seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// The authority.
    pub authority: LaCode,
    /// The event's id.
    pub event_id: Uuid,
    /// Ids of the notifications, all of this authority.
    pub ids: Vec<u64>,
}

/// A range in which audit entries may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditGap {
    /// The last entry known before it.
    pub after_audit_sequence: u64,
}

/// A removal of what retention has passed. It names whom and what, and the rules it was decided by; what is removed is
/// worked out anew from them when it is applied, so that an event taken in between is not lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purge {
    /// The London day on which it was decided.
    pub today: Day,
    /// For how long people's records keep what they hold.
    pub retention: Retention,
    /// For how long the service keeps its own notes.
    pub notes: NoteRetention,
    /// People of whose record something has passed.
    pub subjects: Vec<Subject>,
    /// The service's own notes that have passed, by the key of their row.
    pub rows: Vec<(Note, Vec<u8>)>,
}

/// For how long the service keeps its own notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoteRetention {
    /// Used event ids: a sender may repeat an event for so many days.
    pub event_id_days: i32,
    /// Request ids counted in the access history.
    pub request_id_days: i32,
    /// Notifications that have been acknowledged, proposals that have been looked at, and openings and flags that have been
    /// reviewed.
    pub acknowledged_days: i32,
    /// That a plan was removed, so that a late repeat of an old event does not bring it back.
    pub removed_plan_months: i32,
}

/// A kind of note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Note {
    /// A used event id, or a request id that has been counted.
    UsedId,
    /// A notification: acknowledged, or about a child whose plans have all been removed.
    Notification,
    /// That a plan was removed.
    RemovedPlan,
    /// A proposal that has been looked at.
    Proposal,
    /// An opening of a shielded record that has been reviewed, or that is not counted any more.
    Opening,
    /// A flag that has been reviewed, or the counts of a day.
    Flag,
}

/// Rows and events of a feed that never reach the log, counted so that its health is durable. Counts alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedCounted {
    /// The feed.
    pub feed: Feed,
    /// Seen beside those that are records of their own.
    pub seen: u64,
    /// Of those: number valid and current, birth date not contradicted.
    pub matched: u64,
    /// Refused.
    pub rejected: u64,
    /// A whole batch was taken before these: earlier rejections are not open any more.
    pub taken_whole: bool,
}

/// The start of a plan file. Its rows follow as plan events of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStarted {
    /// The authority; the client certificate's.
    pub authority: LaCode,
    /// The file's number.
    pub number: u64,
    /// Keyed hash of its bytes.
    pub body_hash: [u8; 16],
    /// What it says it is.
    pub mode: FileMode,
    /// How many rows it has.
    pub rows: u32,
}

/// The decision to end plans that the snapshot under way does not name, before the first of them ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEnding {
    /// The authority.
    pub authority: LaCode,
    /// The file's number.
    pub number: u64,
    /// How many will be ended.
    pub count: u32,
    /// How many current plans the authority has.
    pub current: u32,
}

/// The end of a plan file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEnded {
    /// The authority.
    pub authority: LaCode,
    /// The file's number.
    pub number: u64,
    /// How it ended.
    pub outcome: FileOutcome,
}

/// An operator sets an authority's next file number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePositionReset {
    /// The authority.
    pub authority: LaCode,
    /// The event's id.
    pub event_id: Uuid,
    /// The number that its next file must have.
    pub next: u64,
}

/// The head of the tree over the audit, as it was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    /// Leaves.
    pub leaves: u64,
    /// The root over them (RFC 6962).
    pub root: [u8; 32],
}

/// What the demographics service tells of a number.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdentityAction {
    /// Another number stands in its place: superseded, or, for a local key, the number that the person has now.
    ReplacedBy(NhsNumber),
    /// What [`Self::ReplacedBy`] told was wrong.
    LinkUndone,
    /// The number is not valid any more and nothing stands in its place. Adoption is told by this and nothing else, so
    /// that nothing tells the two apart.
    Invalidated,
    /// The number was invalidated in error.
    Reinstated,
    /// The person's birth date.
    BirthDate(Day),
    /// The day of death; none when a death was told in error.
    Died(Option<Day>),
    /// The record is sensitive: the person's whereabouts must not be revealed.
    Shielded,
    /// The record is not sensitive any more.
    Unshielded,
}

impl fmt::Debug for IdentityAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReplacedBy(number) => f.debug_tuple("ReplacedBy").field(number).finish(),
            Self::LinkUndone => f.write_str("LinkUndone"),
            Self::Invalidated => f.write_str("Invalidated"),
            Self::Reinstated => f.write_str("Reinstated"),
            Self::BirthDate(_) => f.write_str("BirthDate(redacted)"),
            Self::Died(day) => f.debug_tuple("Died").field(day).finish(),
            Self::Shielded => f.write_str("Shielded"),
            Self::Unshielded => f.write_str("Unshielded"),
        }
    }
}

/// The demographics service's event about a number or a local key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityEvent {
    /// The organisation; the client certificate's.
    pub organisation: OdsCode,
    /// The event's id.
    pub event_id: Uuid,
    /// Whom it is about.
    pub subject: Subject,
    /// The version of what is told of this subject, from 1.
    pub version: u64,
    /// What it tells.
    pub action: IdentityAction,
    /// The proposal that it follows.
    pub proposal: Option<u64>,
}

/// A change of identity that an organisation proposes. It changes no record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The organisation; the client certificate's.
    pub organisation: OdsCode,
    /// The event's id.
    pub event_id: Uuid,
    /// Whom it is about.
    pub subject: Subject,
    /// What it proposes.
    pub action: IdentityAction,
}

/// The demographics service has looked at a proposal and did not follow it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalClosed {
    /// The organisation; the client certificate's.
    pub organisation: OdsCode,
    /// The event's id.
    pub event_id: Uuid,
    /// The proposal.
    pub id: u64,
}
