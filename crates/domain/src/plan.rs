//! A plan: what a local authority has put in place, folded from versioned events so that any order of arrival gives the
//! same plan. States that depend on today are computed when read, never stored.

use crate::codes::LaCode;
use crate::redacted::debug_without;
use crate::text::{FamilyReference, PlanReference};
use crate::time::{Day, Moment};
use crate::transfer::Transfers;
use serde::{Deserialize, Serialize};

/// The three kinds, a closed set of SNOMED CT concepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PlanKind {
    /// Child protection plan, 342191000000101.
    ChildProtection,
    /// Looked-after child, 764841000000100.
    LookedAfter,
    /// Unborn child subject to a plan, 818901000000100; it sits on the mother's record.
    Unborn,
}

/// In which role a person carries a plan. The two never mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecordRole {
    /// The child's own plan.
    Child,
    /// An unborn child's plan, on the mother's record.
    Mother,
}

impl PlanKind {
    /// The role of the record that a plan of this kind sits on.
    #[must_use]
    pub fn role(self) -> RecordRole {
        match self {
            Self::ChildProtection | Self::LookedAfter => RecordRole::Child,
            Self::Unborn => RecordRole::Mother,
        }
    }
}

/// State of a plan on one day. A withdrawn or expired plan has no shown state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PlanState {
    /// In force.
    Active,
    /// Starts later.
    Future,
    /// Ended, still within the retention window.
    Ended,
}

/// What names a plan within its authority and subject.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PlanName {
    /// The authority's own reference.
    Reference(PlanReference),
    /// Without one: kind and start date.
    KindAndStart(PlanKind, Day),
}

/// A value with the version that set it. The greatest version stands, whatever the order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register<T> {
    version: u64,
    value: Option<T>,
}

impl<T> Default for Register<T> {
    fn default() -> Self {
        Self { version: 0, value: None }
    }
}

impl<T> Register<T> {
    /// A register as it was held before: what [`Self::version`] and [`Self::get`] gave.
    #[must_use]
    pub fn held(version: u64, value: Option<T>) -> Self {
        Self { version, value }
    }

    /// Sets the value if `version` is greater than the one that stands; says whether it did.
    pub fn set(&mut self, version: u64, value: Option<T>) -> bool {
        let newer = version > self.version;
        if newer {
            *self = Self { version, value };
        }
        newer
    }

    /// The value that stands.
    #[must_use]
    pub fn get(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// The version that set it; 0 when none did.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }
}

/// A plan as held.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The authority whose plan it is; only its events touch it.
    pub authority: LaCode,
    /// Its name within authority and subject.
    pub name: PlanName,
    /// Its kind.
    pub kind: Register<PlanKind>,
    /// First day.
    pub start: Register<Day>,
    /// Last day.
    pub end: Register<Day>,
    /// The subject's birth date as the authority has it.
    pub birth_date: Register<Day>,
    /// Entered in error.
    pub withdrawn: Register<bool>,
    /// The authority it moves to.
    pub moving_to: Register<LaCode>,
    /// The authority it came from.
    pub moved_from: Register<LaCode>,
    /// When its last event was taken: a withdrawn plan is kept for a while after it.
    pub last_event_at: Moment,
    /// The child is shielded by this plan's authority.
    pub shield: Register<bool>,
    /// The authority's reference of the family.
    pub family: Register<FamilyReference>,
    /// When it was told that it moves.
    pub transfers: Transfers,
}

debug_without!(Plan, shown: [authority, name, kind, start, end, withdrawn, moving_to, moved_from, last_event_at, shield, family, transfers], hidden: [birth_date]);

impl Plan {
    /// A plan about which no event has been applied.
    #[must_use]
    pub fn new(authority: LaCode, name: PlanName) -> Self {
        Self {
            authority,
            name,
            kind: Register::default(),
            start: Register::default(),
            end: Register::default(),
            birth_date: Register::default(),
            withdrawn: Register::default(),
            moving_to: Register::default(),
            moved_from: Register::default(),
            last_event_at: Moment::default(),
            shield: Register::default(),
            family: Register::default(),
            transfers: Transfers::default(),
        }
    }

    /// True when the plan was entered in error.
    #[must_use]
    pub fn is_withdrawn(&self) -> bool {
        self.withdrawn.get().copied().unwrap_or(false)
    }

    /// True when this plan's authority shields the child by it. A plan that has ended or was withdrawn still does.
    #[must_use]
    pub fn shields(&self) -> bool {
        self.shield.get().copied().unwrap_or(false)
    }

    /// State on `today` given the last day that counts; `None` when it is expired. A plan whose start has not been told
    /// counts as started: what is held is shown.
    #[must_use]
    pub fn state(&self, today: Day, last_day: Option<Day>, retention_months: i32) -> Option<PlanState> {
        if let Some(end) = last_day
            && today > end
        {
            return (today <= end.plus_months(retention_months)).then_some(PlanState::Ended);
        }
        match self.start.get() {
            Some(start) if *start > today => Some(PlanState::Future),
            Some(_) | None => Some(PlanState::Active),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    #[test]
    fn states_by_day() {
        let mut plan = Plan::new(
            LaCode::parse("E06000001").unwrap(),
            PlanName::KindAndStart(PlanKind::LookedAfter, day("2025-01-10")),
        );
        plan.start.set(1, Some(day("2025-01-10")));
        let end = Some(day("2025-03-01"));
        let cases = [
            ("2025-01-09", Some(PlanState::Future)),
            ("2025-01-10", Some(PlanState::Active)),
            ("2025-03-01", Some(PlanState::Active)),
            ("2025-03-02", Some(PlanState::Ended)),
            ("2026-03-01", Some(PlanState::Ended)),
            ("2026-03-02", None),
        ];
        for (today, expected) in cases {
            assert_eq!(plan.state(day(today), end, 12), expected, "{today}");
        }
        assert_eq!(plan.state(day("2030-01-01"), None, 12), Some(PlanState::Active));
    }

    #[test]
    fn a_register_keeps_the_greatest_version() {
        let mut register = Register::default();
        assert!(register.set(2, Some('b')));
        assert!(!register.set(1, Some('a')));
        assert!(!register.set(2, Some('c')));
        assert_eq!(register.get(), Some(&'b'));
        assert!(register.set(u64::MAX, None));
        assert_eq!(register.get(), None);
    }
}
