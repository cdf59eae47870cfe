//! Settings of answers: what is shown, and for how long. Nothing here changes what is stored.

use crate::retention::Retention;

/// How answers are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerSettings {
    /// Presentations whose London day is at most so many days ago are listed.
    pub presentation_window_days: i32,
    /// Presentations older than this are no longer held.
    pub presentation_retention_days: i32,
    /// An ended plan is shown so many months after its last day (London's procedure: 12; one borough: 6).
    pub plan_retention_months: i32,
    /// Most presentations listed in one answer.
    pub max_presentations: usize,
    /// Most plans listed in one answer.
    pub max_plans: usize,
    /// More stale or absent feeds than this share turn "none held" into "cannot say".
    pub cannot_say_percent: u32,
    /// A sibling's injury is told for so many days.
    pub sibling_injury_days: i32,
}

impl Default for AnswerSettings {
    fn default() -> Self {
        Self {
            presentation_window_days: 90,
            presentation_retention_days: 365,
            plan_retention_months: 12,
            max_presentations: 50,
            max_plans: 20,
            cannot_say_percent: 10,
            sibling_injury_days: 90,
        }
    }
}

impl AnswerSettings {
    /// For how long a record keeps what it holds.
    #[must_use]
    pub fn retention(&self) -> Retention {
        Retention { presentation_days: self.presentation_retention_days, plan_months: self.plan_retention_months }
    }
}
