//! What is known of one invented person before any of it is written down.
//! Never a name or an address: only what the service itself would hold.

use crate::calendar::{ADULT_YEARS, Calendar, Day};
use crate::geography::Home;

/// The closed set of plan kinds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Cpp,
    Lac,
    Ucpp,
}

impl Kind {
    /// The code used in the files.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Cpp => "cpp",
            Self::Lac => "lac",
            Self::Ucpp => "ucpp",
        }
    }
}

/// What happened to a plan after (or at) its start, beyond its dates.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Course {
    /// Started; ended when it has a past end date.
    Plain,
    /// Its end was fixed by a later change.
    Changed,
    /// Entered in error and withdrawn.
    Withdrawn,
    /// Announced as moving to this authority, which has not started its own plan yet.
    MovingTo(u16),
    /// Moved to this authority and then ended.
    MovedTo(u16),
    /// Taken over from this authority.
    MovedFrom(u16),
}

/// One plan of one authority.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    pub(crate) authority: u16,
    pub(crate) start: Day,
    pub(crate) end: Option<Day>,
    pub(crate) course: Course,
    /// Whether the authority's rows carry a reference of their own.
    pub(crate) referenced: bool,
}

/// Where a plan stands on the as-of day.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    Future,
    Active,
    Ended,
}

impl Plan {
    /// The state on the as-of day; `None` for a plan that was withdrawn. No plan written is older than its retention.
    pub(crate) fn state(&self) -> Option<State> {
        match self.course {
            Course::Withdrawn => None,
            Course::Plain | Course::Changed | Course::MovingTo(_) | Course::MovedTo(_) | Course::MovedFrom(_) => {
                Some(match self.end {
                    _ if self.start > 0 => State::Future,
                    Some(end) if end < 0 => State::Ended,
                    Some(_) | None => State::Active,
                })
            }
        }
    }
}

/// How an attendance ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Waiting,
    Discharged,
    Admitted,
    Transferred,
    LeftBeforeBeingSeen,
    LeftAgainstAdvice,
    DischargedWithConcerns,
    Died,
    EnteredInError,
}

impl Outcome {
    /// The code used in the files.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Discharged => "discharged",
            Self::Admitted => "admitted",
            Self::Transferred => "transferred",
            Self::LeftBeforeBeingSeen => "left-before-being-seen",
            Self::LeftAgainstAdvice => "left-against-advice",
            Self::DischargedWithConcerns => "discharged-with-concerns-recorded",
            Self::Died => "died",
            Self::EnteredInError => "entered-in-error",
        }
    }
}

/// One attendance.
#[derive(Clone, Copy)]
pub(crate) struct Visit {
    pub(crate) trust: u16,
    pub(crate) site: u16,
    pub(crate) day: Day,
    /// Seconds after midnight, London clock.
    pub(crate) second: u32,
    pub(crate) setting: &'static str,
    pub(crate) complaint: &'static str,
    pub(crate) outcome: Outcome,
    /// From arrival to outcome.
    pub(crate) stay_minutes: u32,
    /// Written as a waiting row first, then with its outcome.
    pub(crate) in_two_rows: bool,
    /// From arrival to the lookup made at triage.
    pub(crate) triage_minutes: u32,
    /// Which of the trust's users looked.
    pub(crate) user: u32,
}

/// A person, with the facts of either role.
pub(crate) struct Person {
    pub(crate) number: u64,
    pub(crate) born: Day,
    /// A mother's birth date may be missing from the authority's file.
    pub(crate) birth_known: bool,
    pub(crate) home: Home,
    pub(crate) shielded: bool,
    pub(crate) plans: Vec<Plan>,
    pub(crate) visits: Vec<Visit>,
}

impl Person {
    /// Under 18 on the as-of day.
    pub(crate) fn is_child(&self, calendar: &Calendar) -> bool {
        self.born > calendar.years_back(ADULT_YEARS)
    }
}

/// People who live together; with `twins`, the first two share a birth date.
pub(crate) struct Household {
    pub(crate) people: Vec<Person>,
    pub(crate) twins: bool,
}
