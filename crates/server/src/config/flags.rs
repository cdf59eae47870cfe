//! The section of the configuration that says from when on use is flagged, and its ranges.

use kith_domain::flag::FlagRules;
use serde::{Deserialize, Serialize};

use super::check::Check;

/// From when on use is flagged for a person to look into.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Flags {
    /// Whether anything is counted.
    pub enabled: bool,
    /// One flag of a kind and person, or of a kind and organisation as a whole, in so many hours.
    pub repeat_hours: u32,
    /// Fewer in a day are never a volume.
    pub volume_least: u32,
    /// So many times the usual are a volume.
    pub volume_times: u32,
    /// Numbers in equal steps.
    pub walk_numbers: u32,
    /// Nothing is said of shares before so many were to be expected.
    pub share_least_expected: u32,
    /// A share of at most so much of what is to be expected is far below it.
    pub share_percent: u32,
    /// Fewer of an organisation in a day are never a volume of the whole of it.
    pub organisation_volume_least: u32,
    /// So many times its usual are a volume of the whole of it.
    pub organisation_volume_times: u32,
    /// Numbers in equal steps about which several of an organisation ask.
    pub organisation_walk_numbers: u32,
    /// Nothing is said of an organisation's share before so many were to be expected.
    pub organisation_share_least_expected: u32,
    /// People who ask about one child.
    pub same_child_people: u32,
    /// Within so many hours.
    pub same_child_hours: u32,
    /// A presentation told so long after a question belongs to it.
    pub presentation_after_minutes: u32,
    /// A presentation told so long before a question belongs to it.
    pub presentation_before_minutes: u32,
    /// People remembered at most.
    pub most_people: u32,
    /// Children remembered at most.
    pub most_children: u32,
    /// At a start the audit of the last so many days is read again.
    pub read_again_days: u32,
    /// Numbers of the audit that this goes back at most.
    pub read_again_entries: u64,
}

impl Default for Flags {
    fn default() -> Self {
        let FlagRules {
            enabled,
            repeat_hours,
            volume_least,
            volume_times,
            walk_numbers,
            share_least_expected,
            share_percent,
            organisation_volume_least,
            organisation_volume_times,
            organisation_walk_numbers,
            organisation_share_least_expected,
            same_child_people,
            same_child_hours,
            presentation_after_minutes,
            presentation_before_minutes,
            most_people,
            most_children,
            read_again_days,
            read_again_entries,
        } = FlagRules::default();
        Self {
            enabled,
            repeat_hours,
            volume_least,
            volume_times,
            walk_numbers,
            share_least_expected,
            share_percent,
            organisation_volume_least,
            organisation_volume_times,
            organisation_walk_numbers,
            organisation_share_least_expected,
            same_child_people,
            same_child_hours,
            presentation_after_minutes,
            presentation_before_minutes,
            most_people,
            most_children,
            read_again_days,
            read_again_entries,
        }
    }
}

impl Flags {
    /// What the engine runs with.
    pub fn rules(&self) -> FlagRules {
        let Self {
            enabled,
            repeat_hours,
            volume_least,
            volume_times,
            walk_numbers,
            share_least_expected,
            share_percent,
            organisation_volume_least,
            organisation_volume_times,
            organisation_walk_numbers,
            organisation_share_least_expected,
            same_child_people,
            same_child_hours,
            presentation_after_minutes,
            presentation_before_minutes,
            most_people,
            most_children,
            read_again_days,
            read_again_entries,
        } = *self;
        FlagRules {
            enabled,
            repeat_hours,
            volume_least,
            volume_times,
            walk_numbers,
            share_least_expected,
            share_percent,
            organisation_volume_least,
            organisation_volume_times,
            organisation_walk_numbers,
            organisation_share_least_expected,
            same_child_people,
            same_child_hours,
            presentation_after_minutes,
            presentation_before_minutes,
            most_people,
            most_children,
            read_again_days,
            read_again_entries,
        }
    }

    pub(super) fn check(&self, check: &mut Check<'_>) {
        check.range("flags.repeat_hours", self.repeat_hours, 1..=24 * 31);
        check.range("flags.volume_least", self.volume_least, 1..=1_000_000);
        check.range("flags.volume_times", self.volume_times, 2..=1_000);
        check.range("flags.walk_numbers", self.walk_numbers, 4..=24);
        check.range("flags.share_least_expected", self.share_least_expected, 4..=64);
        check.range("flags.share_percent", self.share_percent, 1..=90);
        check.range("flags.organisation_volume_least", self.organisation_volume_least, 1..=10_000_000);
        check.range("flags.organisation_volume_times", self.organisation_volume_times, 2..=1_000);
        // So many numbers are remembered of an organisation, and its share is that of 512 questions.
        check.range("flags.organisation_walk_numbers", self.organisation_walk_numbers, 4..=96);
        let expected = self.organisation_share_least_expected;
        check.range("flags.organisation_share_least_expected", expected, 16..=448);
        check.range("flags.same_child_people", self.same_child_people, 2..=60);
        check.range("flags.same_child_hours", self.same_child_hours, 1..=24 * 7);
        check.range("flags.presentation_after_minutes", self.presentation_after_minutes, 1..=24 * 60);
        check.range("flags.presentation_before_minutes", self.presentation_before_minutes, 0..=7 * 24 * 60);
        check.range("flags.most_people", self.most_people, 100..=1_000_000);
        check.range("flags.most_children", self.most_children, 1_000..=10_000_000);
        check.range("flags.read_again_days", self.read_again_days, 1..=366);
        check.range("flags.read_again_entries", self.read_again_entries, 0..=1_000_000_000);
    }

    /// What is allowed and odd.
    pub(super) fn warnings(&self) -> Option<String> {
        let words = "flags.enabled is false: trawling is recorded in the audit, and nobody is told of it";
        (!self.enabled).then(|| words.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn config(text: &str) -> Result<Config, String> {
        let contact = "[answers]\nnational_contact_name = \"Duty\"\nnational_contact_phone = \"01632 960001\"\n";
        Config::parse("kithd.toml", &format!("{contact}[flags]\n{text}"), []).map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_are_the_engines() {
        assert_eq!(config("").unwrap().flags.rules(), FlagRules::default());
    }

    #[test]
    fn every_threshold_is_the_configurations_and_bounded() {
        let found =
            config("walk_numbers = 12\nsame_child_people = 60\npresentation_after_minutes = 30").unwrap().flags.rules();
        let expected = FlagRules {
            walk_numbers: 12,
            same_child_people: 60,
            presentation_after_minutes: 30,
            ..FlagRules::default()
        };
        assert_eq!(found, expected);
        for (text, expected) in [
            ("walk_numbers = 3", "flags.walk_numbers: expected 4 to 24"),
            ("volume_times = 1", "flags.volume_times: expected 2 to 1000"),
            // No more people than this are remembered of a child.
            ("same_child_people = 61", "flags.same_child_people: expected 2 to 60"),
            ("organisation_walk_numbers = 97", "flags.organisation_walk_numbers: expected 4 to 96"),
            ("organisation_volume_times = 1", "flags.organisation_volume_times: expected 2 to 1000"),
            ("organisation_share_least_expected = 449", "flags.organisation_share_least_expected: expected 16 to 448"),
            ("most_people = 0", "flags.most_people: expected 100 to 1000000"),
            ("refuse = true", "flags.refuse: unknown field"),
        ] {
            assert!(config(text).unwrap_err().contains(expected), "{text}");
        }
    }

    #[test]
    fn that_nobody_is_told_of_trawling_is_said() {
        assert!(config("").unwrap().flags.warnings().is_none());
        assert!(config("enabled = false").unwrap().flags.warnings().is_some());
    }
}
