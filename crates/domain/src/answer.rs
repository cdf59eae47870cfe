//! What an answer is. Outcomes are closed sums, one for plans and one for presentations; everything else is an error.
//! A shielded child's answer is a type of its own that has no field for a place.

use crate::codes::{LaCode, OdsCode, SiteCode};
use crate::directory::Contact;
use crate::fields::FieldSet;
use crate::identity::IdentityCheck;
use crate::nhs_number::NhsNumber;
use crate::plan::{PlanKind, PlanState};
use crate::presentation::{CareSetting, Complaint, Outcome as PresentationOutcome};
use crate::redacted::debug_without;
use crate::text::EncounterId;
use crate::time::{Day, Moment};

/// A question about one person, as asked at `now`.
#[derive(Clone)]
pub struct Question {
    /// Whom it is about.
    pub subject: crate::child::Subject,
    /// Whether the caller traced the NHS number.
    pub number_traced: bool,
    /// The birth date the caller has.
    pub birth_date: Option<Day>,
    /// The encounter being checked in, which is not listed as seen.
    pub checking_in: Option<EncounterId>,
    /// The moment of asking.
    pub now: Moment,
    /// The mother's number, for a baby: her unborn plans are shown as well, and nothing else of hers.
    pub mother: Option<NhsNumber>,
}

debug_without!(Question, shown: [subject, number_traced, checking_in, now, mother], hidden: [birth_date]);

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The moment of asking.
    pub as_of: Moment,
    /// Outcome of the identity check.
    pub identity: IdentityCheck,
    /// Whether the caller traced the number.
    pub number_traced: bool,
    /// Other numbers of the person; none are told where the identity is not confirmed.
    pub numbers: Numbers,
    /// The day of death that the demographics service has told.
    pub died_on: Option<Day>,
    /// The number to ring.
    pub ring: Contact,
    /// What is held.
    pub body: Body,
    /// What the policy leaves out, whatever is held of it.
    pub not_shown: FieldSet,
    /// An authority withholds what it holds of the child, or of the mother where she was asked about, by somebody's decision:
    /// the plans are held, and what of them is withheld is not listed.
    pub withheld: bool,
    /// It says of the child, or of the mother who was asked about too, that their whereabouts must not be revealed, if only by
    /// whom to ring: its reference is one that a broker alone resolves. So also where the identity is not confirmed, for there
    /// too the national contact is to be rung, and finds nobody without it.
    pub brokered: bool,
}

/// Numbers of a person beside the one asked about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Numbers {
    /// The number that stands in the place of the one asked about.
    pub current: Option<NhsNumber>,
    /// Every other NHS number of which facts are shown, the current one included.
    pub others: Vec<NhsNumber>,
    /// Records under an organisation's local key of which facts are shown.
    pub local_keys: u32,
}

/// What is held. Of a shielded record no form has a field for a place but the one that was opened for this viewing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// An ordinary record, or none.
    Open(OpenBody),
    /// A shielded record.
    Shielded(ShieldedBody),
    /// A shielded record that was opened for this one viewing: places are shown.
    Opened(OpenBody),
    /// The identity is not confirmed; both outcomes are withheld.
    IdentityNotConfirmed,
}

/// Outcome of one question. Closed; *cannot say* replaces only *none held*.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<H> {
    /// Something is held.
    Held(H),
    /// Nothing is held as of the moment of asking, which is not reassurance.
    NoneHeld,
    /// Kith cannot say.
    CannotSay(Vec<Doubt>),
}

/// Why Kith cannot say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// A feed that the child's own record points to is stale or absent.
    OwnFeedStale,
    /// More feeds are stale, absent or thin than the configured share.
    TooManyFeedsStale,
    /// The person has no NHS number.
    NoNhsNumber,
    /// A feed that the child's own record points to is far below its usual volume.
    OwnFeedThin,
    /// The mother's number that was given is not valid any more.
    MotherNumberInvalid,
    /// What is held has passed its retention by a clock that is not believed.
    ClockDoubtful,
}

/// A feed that an answer cannot rely on, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamedFeed<C> {
    /// The sender.
    pub code: C,
    /// Why: stale, absent or thin.
    pub state: crate::feed::FeedState,
}

/// What an answer does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completeness<N> {
    /// Counts over feeds.
    pub counts: crate::feed::FeedCounts,
    /// Stale, absent or thin feeds that the record points to; `()` where naming one would tell a place.
    pub named: N,
}

/// The answer about an ordinary record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenBody {
    /// On a plan?
    pub plans: Outcome<Vec<PlanView>>,
    /// Plans cut off by the cap.
    pub more_plans: u32,
    /// What the plan answer does not know.
    pub plan_completeness: Completeness<Vec<NamedFeed<LaCode>>>,
    /// Seen, at any organisation?
    pub presentations: Outcome<Seen>,
    /// Seen at another organisation?
    pub elsewhere: Outcome<()>,
    /// What the presentation answer does not know.
    pub presentation_completeness: Completeness<Vec<NamedFeed<OdsCode>>>,
    /// Earlier lookups, newest first.
    pub accesses: Vec<crate::child::Access>,
    /// Rows of history beyond these.
    pub more_accesses: u32,
    /// What authorities have linked.
    pub siblings: Siblings<Contact>,
    /// Unborn plans of the mother, where her number was given.
    pub mother: Option<MotherView>,
}

/// Siblings, as far as authorities have linked them; nothing else links two children. `R`: whom to ring about one, which is
/// `()` where it would tell a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Siblings<R> {
    /// No plan of the child carries a family reference.
    NoReference,
    /// There is a reference; who carries it beside the child.
    Known(KnownSiblings<R>),
    /// The policy leaves it out; there may be any.
    NotShown,
}

/// Siblings known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownSiblings<R> {
    /// Those of whom something is told, the gravest first.
    pub notices: Vec<SiblingNotice<R>>,
    /// Those that are known to be and of whom nothing is told: nothing is held, or nothing may be told.
    pub unshown: u32,
    /// How many more carry the reference and were not looked at or not listed.
    pub beyond: u32,
    /// An injury counts for so many days.
    pub injury_days: i32,
}

/// What is told of one sibling: no name, number, birth date, place or day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiblingNotice<R> {
    /// Kind and state of plans in force or starting later. An unborn one is a child that is not born yet.
    pub plans: Vec<(Option<PlanKind>, PlanState)>,
    /// Seen with an injury within the days that count.
    pub injured: bool,
    /// Whom to ring about this one.
    pub ring: R,
}

/// Unborn plans on the record of the mother whose number was given, and nothing else of hers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mother<P> {
    /// Her number is not valid any more: it could not be used.
    NumberInvalid,
    /// Her unborn plans.
    Plans {
        /// Those shown today.
        held: Outcome<Vec<P>>,
        /// Plans cut off by the cap.
        more: u32,
    },
}

/// The mother's part of an ordinary record's answer: she may be shielded herself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MotherView {
    /// Her record is an ordinary one.
    Open(Mother<PlanView>),
    /// Her record is shielded.
    Shielded(Mother<ShieldedPlanView>),
}

/// Presentations held.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// At the asking organisation, newest first.
    pub here: Vec<PresentationView>,
    /// At others, newest first.
    pub elsewhere: Vec<PresentationView>,
    /// Beyond the window and the cap, at the asking organisation.
    pub beyond_here: Beyond,
    /// Beyond the window and the cap, at others.
    pub beyond_elsewhere: Beyond,
}

/// How many more are held than listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Beyond {
    /// Older than the window.
    pub window: u32,
    /// Cut off by the cap.
    pub cap: u32,
}

/// One plan as shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanView {
    /// Kind; `None`: held, kind unknown.
    pub kind: Option<PlanKind>,
    /// State today.
    pub state: PlanState,
    /// First day.
    pub start: Option<Day>,
    /// Last day.
    pub end: Option<Day>,
    /// The authority.
    pub authority: LaCode,
    /// Where it is moving to.
    pub moving_to: Option<LaCode>,
}

/// One presentation as shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentationView {
    /// The organisation; none where the policy leaves places out.
    pub organisation: Option<OdsCode>,
    /// Site, arrival, setting and complaint; none when only the closing has been told. The site is none where the policy
    /// leaves places out.
    pub details: Option<(Option<SiteCode>, Moment, CareSetting, Complaint)>,
    /// Outcome so far.
    pub outcome: PresentationOutcome,
}

/// The answer about a shielded record: no field can hold a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShieldedBody {
    /// On a plan?
    pub plans: Outcome<Vec<ShieldedPlanView>>,
    /// Plans cut off by the cap.
    pub more_plans: u32,
    /// What the plan answer does not know.
    pub plan_completeness: Completeness<()>,
    /// Seen, at any organisation?
    pub presentations: Outcome<ShieldedSeen>,
    /// What the presentation answer does not know.
    pub presentation_completeness: Completeness<()>,
    /// Days held on which anybody looked the child up, none of them shown.
    pub looked_up_days: u32,
    /// What authorities have linked.
    pub siblings: Siblings<()>,
    /// Unborn plans of the mother, where her number was given.
    pub mother: Option<Mother<ShieldedPlanView>>,
}

/// One plan of a shielded record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShieldedPlanView {
    /// Kind; `None`: held, kind unknown.
    pub kind: Option<PlanKind>,
    /// State today.
    pub state: PlanState,
    /// First day.
    pub start: Option<Day>,
    /// Last day.
    pub end: Option<Day>,
    /// A transfer is under way.
    pub moving: bool,
}

/// Presentations of a shielded record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShieldedSeen {
    /// Within the window, newest first: day of arrival, complaint and outcome.
    pub presentations: Vec<(Option<Day>, Option<Complaint>, PresentationOutcome)>,
    /// How many more.
    pub beyond: Beyond,
}
