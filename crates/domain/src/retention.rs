//! Retention: what of a record has passed its time on a day, and what is left. Answers and the purge use the same
//! function, so that a purge changes no answer: what has passed is not held, whether or not it has been removed yet.

use crate::child::ChildRecord;
use crate::links::Person;
use crate::notify::{has_moved_to, last_day_by};
use crate::plan::Plan;
use crate::presentation::Presentation;
use crate::time::{Day, Moment};
use serde::{Deserialize, Serialize};

/// For how long a person's record keeps what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// Presentations and rows of access history, from their London day on.
    pub presentation_days: i32,
    /// Plans, after their last day; withdrawn ones, after their last event.
    pub plan_months: i32,
}

/// How far our clock may run ahead of the newest moment that a sender told of.
pub const CLOCK_AHEAD_SECONDS: u64 = 24 * 60 * 60;

/// By how many seconds the clock is ahead of the newest moment that a sender told of, when that is too much to believe it.
/// Moments told are senders', not our own: they stay behind when our clock jumps. Then nothing is removed, and what has
/// passed by that clock does not read as none held.
#[must_use]
pub fn clock_ahead(now: Moment, told_at: Moment) -> Option<u64> {
    Some(now.seconds_since(told_at)).filter(|seconds| *seconds > CLOCK_AHEAD_SECONDS)
}

/// A record of which something has passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// What is left, which may be nothing.
    pub kept: ChildRecord,
    /// Plans that have passed.
    pub plans: Vec<Plan>,
    /// Presentations that have passed.
    pub presentations: Vec<Presentation>,
    /// How many rows of access history have passed.
    pub accesses: usize,
}

impl Retention {
    /// The first day of which presentations are held.
    #[must_use]
    pub fn first_day(&self, today: Day) -> Day {
        today.plus_days(-self.presentation_days)
    }

    /// Splits a record into what is left on `today` and what has passed; `None` when nothing has. `person` is whose
    /// record it is.
    #[must_use]
    pub fn split(&self, record: &ChildRecord, person: &Person, today: Day) -> Option<Passed> {
        let first = self.first_day(today);
        let latest = person.latest_told_birth_date();
        let over = |plan: &Plan| self.has_plan_passed(record, plan, latest, today);
        let needed = match record.plans.iter().any(over) {
            true => self.needed(record, person, latest, today),
            false => Vec::new(),
        };
        let plan = |plan: &Plan| over(plan) && !needed.contains(&plan);
        let seen = |presentation: &Presentation| before(presentation.moment(), first);
        let any = record.plans.iter().any(plan)
            || record.presentations.iter().any(seen)
            || record.accesses.iter().any(|row| before(row.last_at, first))
            || record.accesses_beyond.iter().any(|day| *day < first)
            || record.notified.iter().any(|mark| before(mark.first_at, today.plus_days(-1)));
        if !any {
            return None;
        }
        let mut kept = record.clone();
        let plans: Vec<Plan> = kept.plans.extract_if(.., |held| plan(held)).collect();
        for plan in plans.iter().filter(|plan| plan.shields()) {
            // Only its setter lifts a shield.
            if let Err(at) = kept.shielded_by.binary_search(&plan.authority) {
                kept.shielded_by.insert(at, plan.authority);
            }
        }
        let presentations = kept.presentations.extract_if(.., |held| seen(held)).collect();
        kept.accesses.retain(|row| !before(row.last_at, first));
        let accesses = record.accesses.len() - kept.accesses.len();
        kept.accesses_beyond = record.accesses_beyond.iter().copied().filter(|day| *day >= first).collect();
        // An encounter lasts hours: a mark of the day before yesterday decides nothing any more.
        kept.notified.retain(|mark| !before(mark.first_at, today.plus_days(-1)));
        Some(Passed { kept, plans, presentations, accesses })
    }

    /// Plans of a person that have passed by themselves, and are held as long as one under another number that has moved to
    /// them: without them that one would come back in force. It goes by its own record alone, for a link may be a mistake.
    fn needed<'a>(
        &self,
        record: &'a ChildRecord,
        person: &'a Person,
        latest: Option<Day>,
        today: Day,
    ) -> Vec<&'a Plan> {
        if person.linked.is_empty() {
            return Vec::new();
        }
        let others = person.records().filter(|other| other.subject != record.subject);
        let of = |record: &'a ChildRecord| record.plans.iter().map(move |plan| (record, plan));
        let plans = std::iter::once(record).chain(others).flat_map(of).filter(|(_, plan)| !plan.is_withdrawn());
        let (mut over, held): (Vec<_>, Vec<_>) =
            plans.partition(|(record, plan)| self.has_plan_passed(record, plan, latest, today));
        let (mut moved, mut needed) = (held, Vec::new());
        while let Some((_, plan)) = moved.pop() {
            for next in over.extract_if(.., |(_, later)| has_moved_to(plan, later)) {
                moved.push(next);
                needed.push(next.1);
            }
        }
        needed
    }

    fn has_plan_passed(&self, record: &ChildRecord, plan: &Plan, latest: Option<Day>, today: Day) -> bool {
        if plan.is_withdrawn() {
            return today > plan.last_event_at.london_day().plus_months(self.plan_months);
        }
        plan.state(today, last_day_by(record, plan, latest), self.plan_months).is_none()
    }
}

/// Whether a moment lies before a London day. The London day is never before the UTC day, so most need no time zone.
fn before(moment: Moment, day: Day) -> bool {
    moment.utc_day() < day && moment.london_day() < day
}

#[cfg(test)]
#[path = "retention_tests.rs"]
mod tests;
