//! A person's record: plans, presentations and the last accesses, and no more. Not held: address, parents' names,
//! reasons for a plan, abuse category, clinical notes, social worker's name.

use crate::codes::{LaCode, OdsCode};
use crate::links::IdentityFacts;
use crate::nhs_number::NhsNumber;
use crate::plan::Plan;
use crate::presentation::Presentation;
use crate::text::{LocalKey, PersonText};
use crate::time::{Day, Moment};
use serde::{Deserialize, Serialize};

/// Whom a record is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Subject {
    /// A person with an NHS number.
    Nhs(NhsNumber),
    /// A person without one yet: an organisation's own key.
    Local(OdsCode, LocalKey),
}

/// Lookups by one organisation within [`ACCESS_WINDOW_SECONDS`]: one row with a count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// The organisation.
    pub organisation: OdsCode,
    /// The last viewer's name.
    pub user_name: PersonText,
    /// The last viewer's role.
    pub user_role: PersonText,
    /// The first lookup.
    pub first_at: Moment,
    /// The last lookup.
    pub last_at: Moment,
    /// How many.
    pub count: u32,
}

/// The last notified moment per organisation and authority, so that one encounter notifies each authority once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notified {
    /// The organisation that saw or looked up the child.
    pub organisation: OdsCode,
    /// The authority that was notified.
    pub authority: LaCode,
    /// When its encounter began.
    pub first_at: Moment,
}

/// Everything held about one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildRecord {
    /// Whom it is about.
    pub subject: Subject,
    /// Plans, withdrawn and expired ones included, in order of authority and name.
    pub plans: Vec<Plan>,
    /// Presentations in order of organisation and encounter.
    pub presentations: Vec<Presentation>,
    /// The newest accesses, at most [`MAX_ACCESSES`], oldest first.
    pub accesses: Vec<Access>,
    /// Rows of access history that the bound pushed out, each by the London day of its last lookup: the days alone, so
    /// that retention passes them like the rows that are kept. At most [`MAX_ACCESSES_BEYOND`].
    pub accesses_beyond: Box<[Day]>,
    /// Encounters lately notified.
    pub notified: Vec<Notified>,
    /// Authorities whose shield has outlived the plan that it was set with. Plans hold the others.
    pub shielded_by: Vec<LaCode>,
    /// What the demographics service has told; most records have none.
    pub identity: Option<Box<IdentityFacts>>,
    /// Authorities that withhold what they hold of this person by somebody's decision, in order.
    pub withheld_by: Vec<LaCode>,
}

/// Rows of access history kept: CP-IS shows the last 25.
pub const MAX_ACCESSES: usize = 25;
/// Rows pushed out that are counted: more than one a day for the whole retention.
pub const MAX_ACCESSES_BEYOND: usize = 500;
/// Lookups of one organisation within four hours are one encounter.
pub const ACCESS_WINDOW_SECONDS: i64 = 4 * 60 * 60;
/// Encounters remembered for notifying once, one for each authority; more than this within four hours notify again.
pub const MAX_NOTIFIED: usize = 64;

impl ChildRecord {
    /// A record about which nothing is held yet.
    #[must_use]
    pub fn new(subject: Subject) -> Self {
        Self {
            subject,
            plans: Vec::new(),
            presentations: Vec::new(),
            accesses: Vec::new(),
            accesses_beyond: Box::default(),
            notified: Vec::new(),
            shielded_by: Vec::new(),
            identity: None,
            withheld_by: Vec::new(),
        }
    }

    /// True when nothing is held about the person any more. A shield is something: only its setter lifts it. So is what the
    /// demographics service has told: a number that is not valid any more must not look like one that is. And so is a decision to
    /// withhold: only who made it lifts it.
    #[must_use]
    pub fn holds_nothing(&self) -> bool {
        let Self {
            subject: _,
            plans,
            presentations,
            accesses,
            accesses_beyond: _,
            notified,
            shielded_by,
            identity,
            withheld_by,
        } = self;
        plans.is_empty()
            && presentations.is_empty()
            && accesses.is_empty()
            && notified.is_empty()
            && shielded_by.is_empty()
            && identity.is_none()
            && withheld_by.is_empty()
    }

    /// The birth date that the demographics service has told of this number.
    #[must_use]
    pub fn told_birth_date(&self) -> Option<Day> {
        self.identity.as_ref().and_then(|facts| facts.birth_date.get().copied())
    }

    /// True when the child's whereabouts must not be revealed.
    #[must_use]
    pub fn is_shielded(&self) -> bool {
        !self.shielded_by.is_empty()
            || self.plans.iter().any(Plan::shields)
            || self.identity.as_ref().is_some_and(|facts| facts.is_shielded())
    }

    /// True when the child's whereabouts must not be revealed, or a shield of something that is still held was lifted.
    #[must_use]
    pub fn was_shielded(&self) -> bool {
        self.is_shielded()
            || self.plans.iter().any(|plan| plan.shield.get().is_some())
            || self.identity.as_ref().is_some_and(|facts| facts.shielded.get().is_some())
    }

    /// On how many days from `first_held` on anybody looked the person up, as far as rows tell: of one that went past midnight and was
    /// pushed out, the last day alone. Of a shielded record neither rows nor lookups may be counted: a row takes an organisation's
    /// lookups of four hours together, and of one that was pushed out no count is left, so that whoever asks twice would see whether
    /// somebody of their own had asked before, where the child then is. A day counts once, whoever asked on it.
    #[must_use]
    pub fn looked_up_days(&self, first_held: Day) -> usize {
        let last = self.accesses.iter().map(|row| row.last_at.london_day());
        let longer = self.accesses.iter().filter(|row| row.count > 1);
        let days = last.chain(longer.map(|row| row.first_at.london_day())).chain(self.accesses_beyond.iter().copied());
        let mut days: Vec<Day> = days.filter(|day| *day >= first_held).collect();
        days.sort_unstable();
        days.dedup();
        days.len()
    }

    /// Authorities that shield this child, in order. A missing flag never removes one.
    #[must_use]
    pub fn setters(&self) -> Vec<LaCode> {
        let by_plan = self.plans.iter().filter(|plan| plan.shields()).map(|plan| plan.authority);
        let mut setters: Vec<LaCode> = by_plan.chain(self.shielded_by.iter().copied()).collect();
        setters.sort_unstable();
        setters.dedup();
        setters
    }

    /// Whether `number` stands in the place of this record's.
    #[must_use]
    pub fn is_replaced_by(&self, number: &Subject) -> bool {
        let Some(facts) = self.identity.as_deref().filter(|facts| !facts.is_invalidated()) else { return false };
        facts.successor.get().is_some_and(|successor| Subject::Nhs(*successor) == *number)
    }
}
