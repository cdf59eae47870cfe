//! What a snapshot does not name, and how much of it may be ended. A truncated file, or a truncated file every night, must
//! not erase a council's children.

use crate::child::{ChildRecord, Subject};
use crate::notify::last_day;
use crate::plan::{Plan, PlanKind, PlanName};
use crate::time::{Day, Moment};
use serde::{Deserialize, Serialize};

/// Share of an authority's current plans that snapshots may end within [`WINDOW_SECONDS`], in percent.
const MAX_PERCENT: u64 = 5;
/// Plans that snapshots may always end within it: a small authority has few.
const MAX_FEW: u64 = 5;
/// Seven days.
const WINDOW_SECONDS: i64 = 7 * 86_400;

/// Plans that a snapshot ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vanished {
    /// When.
    pub at: Moment,
    /// How many.
    pub count: u32,
}

/// A plan that a snapshot does not name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingPlan {
    /// Whose it is.
    pub subject: Subject,
    /// Its name.
    pub name: PlanName,
    /// Its kind.
    pub kind: Option<PlanKind>,
    /// Its first day.
    pub start: Option<Day>,
}

/// Why no missing plan was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoneEnded {
    /// The file does not ask for it.
    NotAsked,
    /// More would be ended within seven days than may be.
    BeyondBound,
    /// A row names neither a number nor a reference that can be read: what is missing is not certain.
    RowUnreadable,
}

/// What a snapshot found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotSummary {
    /// Plans that were not held before.
    pub added: u32,
    /// Plans that were held otherwise.
    pub changed: u32,
    /// Plans that were held as the file says.
    pub unchanged: u32,
    /// Plans held and current that the file does not name.
    pub missing: u32,
    /// Those, in order; at most [`super::MAX_LISTED`].
    pub listed: Vec<MissingPlan>,
    /// How many of them were ended.
    pub ended: u32,
    /// Why none was, although some are missing.
    pub none_ended: Option<NoneEnded>,
}

/// Whether a plan counts for a snapshot of that day: held, not withdrawn, and its last day not past.
#[must_use]
pub fn is_current(record: &ChildRecord, plan: &Plan, day: Day) -> bool {
    !plan.is_withdrawn() && last_day(record, plan).is_none_or(|last| last >= day)
}

/// Whether so many of `current` plans may be ended now, given what snapshots have ended before.
#[must_use]
pub fn may_end(vanished: &[Vanished], at: Moment, count: u32, current: u32) -> bool {
    let window = vanished.iter().filter(|before| within(before, at)).map(|before| u64::from(before.count));
    let total = window.sum::<u64>() + u64::from(count);
    total <= MAX_FEW || total * 100 <= u64::from(current) * MAX_PERCENT
}

/// Drops what no window of seven days can reach any more.
pub(super) fn forget(vanished: &mut Vec<Vanished>, at: Moment) {
    vanished.retain(|before| within(before, at));
}

/// A moment in the future tells of a clock that was wrong: it counts.
fn within(before: &Vanished, at: Moment) -> bool {
    before.at.plus_seconds(WINDOW_SECONDS) >= at
}
