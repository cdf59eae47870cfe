//! When the purge stops by itself: a wrong clock must not erase England. It decides from what senders tell, what is held
//! and what would go; it removes nothing.

use crate::audit_retention::Passed as PassedOfAudit;
use kith_domain::retention::{CLOCK_AHEAD_SECONDS, Passed, clock_ahead};
use kith_domain::time::{Day, Moment};
use kith_index::Sizes;

/// What goes from people's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Going {
    /// People about whom nothing is held afterwards.
    pub people: u64,
    /// Plans.
    pub plans: u64,
    /// Presentations.
    pub presentations: u64,
    /// Rows of access history.
    pub accesses: u64,
}

impl Going {
    /// What goes with one record.
    pub(crate) fn of(passed: &Passed) -> Self {
        Self {
            people: u64::from(passed.kept.holds_nothing()),
            plans: passed.plans.len() as u64,
            presentations: passed.presentations.len() as u64,
            accesses: passed.accesses as u64,
        }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            people: self.people + other.people,
            plans: self.plans + other.plans,
            presentations: self.presentations + other.presentations,
            accesses: self.accesses + other.accesses,
        }
    }
}

/// Why nothing is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Held {
    /// The clock is ahead of everything that senders tell of.
    #[error("the clock is {days} days ahead of the newest event")]
    ClockAhead {
        /// By so many whole days.
        days: u64,
    },
    /// Too much would go on one day.
    #[error("{going} of {held} {what} would go on one day")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// So much would go, at least.
        going: u64,
        /// Of so many.
        held: u64,
    },
    /// An entry of the audit is not the one that its tree was built over. No day that is accepted lifts this.
    #[error("entry {entry} of the audit is not the one that its tree was built over, or cannot be compared with it")]
    Differs {
        /// Its number; where nothing could be compared, the first in its file.
        entry: u64,
    },
    /// When entries of the audit were made is not to be told from one of them, and none may go before it. No day that is accepted
    /// lifts this.
    #[error("entry {entry} of the audit {what}")]
    Blocked {
        /// Its number; where it cannot be read, that of the first that was asked for and not given.
        entry: u64,
        /// What is the matter with it.
        what: &'static str,
    },
}

impl Held {
    /// Whether the reason is of the same kind, so that it need not be told again.
    pub(crate) fn is_same_kind(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }

    /// Stable reason for readers.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::ClockAhead { .. } => "CLOCK_AHEAD",
            Self::TooMuch { .. } => "TOO_MUCH_AT_ONCE",
            Self::Differs { .. } => "AUDIT_DIFFERS",
            Self::Blocked { .. } => "AUDIT_BLOCKED",
        }
    }
}

/// The bounds of one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// More than this share of what is held is too much.
    pub stop_percent: u32,
    /// So many may always go: in a small service one person is a large share.
    pub stop_floor: u64,
    /// On this London day both bounds are lifted: a person has looked, and says what day it is.
    pub accept_on: Option<Day>,
}

impl Default for Guard {
    fn default() -> Self {
        Self { stop_percent: 1, stop_floor: 500, accept_on: None }
    }
}

impl Guard {
    /// Whether a person has lifted the bounds for this day.
    pub(crate) fn is_accepted(&self, today: Day) -> bool {
        self.accept_on == Some(today)
    }

    /// Set when `now` is more than a day ahead of the newest moment told. Moments told are senders', not our own: they
    /// stay behind when our clock jumps.
    pub(crate) fn ahead(&self, now: Moment, told_at: Moment) -> Option<Held> {
        clock_ahead(now, told_at).map(|seconds| Held::ClockAhead { days: seconds / CLOCK_AHEAD_SECONDS })
    }

    /// Refuses when what goes today is too large a share of what was held this morning.
    pub(crate) fn check(&self, today: Day, before: Going, going: Going, sizes: Sizes) -> Result<(), Held> {
        if self.is_accepted(today) {
            return Ok(());
        }
        let shares = [
            ("people", before.people, going.people, sizes.children),
            ("plans", before.plans, going.plans, sizes.plans),
            ("presentations", before.presentations, going.presentations, sizes.presentations),
            ("accesses", before.accesses, going.accesses, sizes.accesses),
        ];
        for (what, before, going, held) in shares {
            let (going, held) = (before + going, before + held);
            if going > self.stop_floor && going * 100 > held * u64::from(self.stop_percent) {
                return Err(Held::TooMuch { what, going, held });
            }
        }
        Ok(())
    }

    /// Refuses when more than one segment of the audit, and too large a share of what was closed this morning, would go today.
    /// One may always go: in a small audit it is a large share.
    pub(crate) fn check_audit(
        &self,
        before: PassedOfAudit,
        going: PassedOfAudit,
        closed_bytes: u64,
    ) -> Result<(), Held> {
        let (going, held) = (going.after(before), closed_bytes.saturating_add(before.bytes));
        let share = going.bytes.saturating_mul(100) > held.saturating_mul(u64::from(self.stop_percent));
        if going.segments > 1 && share {
            return Err(Held::TooMuch { what: "bytes of the audit", going: going.bytes, held });
        }
        Ok(())
    }
}
