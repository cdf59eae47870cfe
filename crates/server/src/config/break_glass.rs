//! The section of the configuration that says how often shielded records may be opened, and the ranges of its keys.

use kith_domain::opening::{MAX_WINDOW_SECONDS, OpeningLimits};
use serde::{Deserialize, Serialize};

use super::check::Check;

/// How often shielded records may be opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakGlass {
    /// Openings of this time count.
    pub window_minutes: u32,
    /// By one person.
    pub per_person: u32,
    /// By one organisation.
    pub per_organisation: u32,
}

impl Default for BreakGlass {
    fn default() -> Self {
        Self { window_minutes: 24 * 60, per_person: 3, per_organisation: 10 }
    }
}

impl BreakGlass {
    /// What the engine counts by.
    pub fn limits(&self) -> OpeningLimits {
        OpeningLimits {
            window_seconds: self.window_minutes.saturating_mul(60),
            per_person: self.per_person,
            per_organisation: self.per_organisation,
        }
    }

    pub(super) fn check(&self, check: &mut Check<'_>) {
        check.range("break_glass.window_minutes", self.window_minutes, 1..=MAX_WINDOW_SECONDS / 60);
        check.range("break_glass.per_person", self.per_person, 1..=100);
        check.range("break_glass.per_organisation", self.per_organisation, 1..=1_000);
        check.rule(
            self.per_person <= self.per_organisation,
            "break_glass.per_person",
            "expected at most break_glass.per_organisation",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn config(text: &str) -> Result<Config, String> {
        let contact = "[answers]\nnational_contact_name = \"Duty\"\nnational_contact_phone = \"01632 960001\"\n";
        Config::parse("kithd.toml", &format!("{contact}[break_glass]\n{text}"), []).map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_are_the_engines() {
        assert_eq!(config("").unwrap().break_glass.limits(), OpeningLimits::default());
    }

    #[test]
    fn limits_are_bounded_and_none_is_nought() {
        for (text, expected) in [
            ("window_minutes = 0", "break_glass.window_minutes: expected 1 to 10080"),
            ("window_minutes = 10081", "break_glass.window_minutes: expected 1 to 10080"),
            ("per_person = 0", "break_glass.per_person: expected 1 to 100"),
            ("per_organisation = 1001", "break_glass.per_organisation: expected 1 to 1000"),
            ("per_person = 11", "break_glass.per_person: expected at most break_glass.per_organisation"),
            ("per_child = 1", "break_glass.per_child: unknown field"),
        ] {
            assert!(config(text).unwrap_err().contains(expected), "{text}");
        }
        assert!(config("window_minutes = 10080\nper_person = 1\nper_organisation = 1").is_ok());
    }
}
