//! The section of the configuration that says how what retention has passed is removed, its ranges and its odd values.

use std::time::Duration;

use kith_domain::change::NoteRetention;
use kith_engine::{Guard, PurgeOptions};
use serde::{Deserialize, Serialize};

use super::Config;
use super::check::Check;

/// Removing what retention has passed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Purge {
    /// Whether it runs.
    pub enabled: bool,
    /// Time between two runs.
    pub interval_minutes: u64,
    /// People or notes in one record of the log.
    pub slice: usize,
    /// Pause after each.
    pub pause_ms: u64,
    /// Least time between two trims of the log.
    pub trim_interval_hours: u64,
    /// Used event ids are kept this long.
    pub event_id_days: u32,
    /// Counted request ids are kept this long.
    pub request_id_days: u32,
    /// Acknowledged notifications are kept this long.
    pub acknowledged_days: u32,
    /// Notes that a plan was removed are kept this long.
    pub removed_plan_months: u32,
    /// More than this share in one day stops it.
    pub stop_percent: u32,
    /// So many may always go.
    pub stop_floor: u64,
    /// The day on which a person has lifted the bounds; empty for none.
    pub accept_once: String,
}

impl Default for Purge {
    fn default() -> Self {
        Self {
            enabled: true,
            interval_minutes: 60,
            slice: 256,
            pause_ms: 20,
            trim_interval_hours: 24,
            event_id_days: 400,
            request_id_days: 30,
            acknowledged_days: 90,
            removed_plan_months: 120,
            stop_percent: 1,
            stop_floor: 500,
            accept_once: String::new(),
        }
    }
}

/// Days or months that have been checked to be far below what an `i32` holds.
fn whole(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

impl Purge {
    /// What the engine runs with.
    pub fn options(&self) -> PurgeOptions {
        PurgeOptions {
            // Another section says it.
            audit_days: None,
            enabled: self.enabled,
            interval: Duration::from_secs(self.interval_minutes.saturating_mul(60)),
            slice: self.slice,
            pause: Duration::from_millis(self.pause_ms),
            notes: NoteRetention {
                event_id_days: whole(self.event_id_days),
                request_id_days: whole(self.request_id_days),
                acknowledged_days: whole(self.acknowledged_days),
                removed_plan_months: whole(self.removed_plan_months),
            },
            guard: Guard {
                stop_percent: self.stop_percent,
                stop_floor: self.stop_floor,
                accept_on: self.accepted_day(),
            },
            trim_interval: Duration::from_secs(self.trim_interval_hours.saturating_mul(3_600)),
        }
    }

    fn accepted_day(&self) -> Option<kith_domain::time::Day> {
        kith_domain::time::Day::parse(&self.accept_once).ok()
    }

    pub(super) fn check(&self, check: &mut Check<'_>) {
        check.range("purge.interval_minutes", self.interval_minutes, 1..=24 * 60);
        check.range("purge.slice", self.slice, 1..=1_024);
        check.range("purge.pause_ms", self.pause_ms, 0..=60_000);
        check.range("purge.trim_interval_hours", self.trim_interval_hours, 1..=24 * 31);
        check.range("purge.event_id_days", self.event_id_days, 1..=3_660);
        check.range("purge.request_id_days", self.request_id_days, 1..=3_660);
        check.range("purge.acknowledged_days", self.acknowledged_days, 1..=3_660);
        check.range("purge.removed_plan_months", self.removed_plan_months, 1..=1_200);
        check.range("purge.stop_percent", self.stop_percent, 1..=100);
        check.range("purge.stop_floor", self.stop_floor, 0..=1_000_000);
        let usable = self.accept_once.is_empty() || self.accepted_day().is_some();
        check.rule(usable, "purge.accept_once", "expected a date YYYY-MM-DD, or nothing");
    }

    /// What is allowed and odd.
    pub(super) fn warnings(&self, config: &Config, today: jiff::civil::Date) -> Vec<String> {
        let retention = config.answers.presentation_retention_days;
        let odd = [
            (!self.enabled, "purge.enabled is false: nothing is ever removed, whatever retention says"),
            (
                self.event_id_days < retention,
                "purge.event_id_days is less than answers.presentation_retention_days: an event repeated late is taken as new",
            ),
            (
                self.removed_plan_months < config.answers.plan_retention_months,
                "purge.removed_plan_months is less than answers.plan_retention_months: a late repeat may bring a plan back",
            ),
            (
                self.stop_percent > 5,
                "purge.stop_percent is over 5: a wrong clock may remove a large share before it is noticed",
            ),
            (
                !self.accept_once.is_empty() && self.accept_once != today.to_string(),
                "purge.accept_once is not today: it does nothing and can be emptied",
            ),
        ];
        odd.into_iter().filter(|(is_odd, _)| *is_odd).map(|(_, words)| words.to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Result<Config, String> {
        let contact = "[answers]\nnational_contact_name = \"Duty\"\nnational_contact_phone = \"01632 960001\"\n";
        Config::parse("kithd.toml", &format!("{contact}[purge]\n{text}"), []).map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_are_the_engines_and_warn_of_nothing() {
        let config = config("").unwrap();
        assert_eq!(config.purge.options(), PurgeOptions::default());
        assert_eq!(config.purge.warnings(&config, jiff::civil::date(2026, 6, 1)), Vec::<String>::new());
    }

    #[test]
    fn a_date_that_is_none_is_refused_and_another_day_warned_of() {
        assert!(config("accept_once = \"2026-02-30\"").unwrap_err().contains("purge.accept_once: expected a date"));
        let config = config("accept_once = \"2026-06-01\"\nstop_percent = 6\nenabled = false").unwrap();
        assert_eq!(config.purge.options().guard.accept_on.map(|day| day.text()).as_deref(), Some("2026-06-01"));
        let warned = |day| config.purge.warnings(&config, jiff::civil::date(2026, 6, day)).len();
        assert_eq!((warned(1), warned(2)), (2, 3));
    }
}
