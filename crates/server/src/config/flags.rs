//! The section of the configuration that says from when on use is flagged, and its ranges.

use super::check::Check;
use kith_domain::flag::FlagRules;
use serde::{Deserialize, Serialize};

/// The section as it is written; its words are the rules' own.
#[derive(Serialize, Deserialize)]
#[serde(remote = "FlagRules", default = "FlagRules::default", deny_unknown_fields)]
pub(super) struct Section {
    /// Whether anything is counted.
    enabled: bool,
    /// One flag of a kind and person, or of a kind and organisation as a whole, in so many hours.
    repeat_hours: u32,
    /// Fewer in a day are never a volume.
    volume_least: u32,
    /// So many times the usual are a volume.
    volume_times: u32,
    /// Numbers in equal steps.
    walk_numbers: u32,
    /// Nothing is said of shares before so many were to be expected.
    share_least_expected: u32,
    /// A share of at most so much of what is to be expected is far below it.
    share_percent: u32,
    /// Fewer of an organisation in a day are never a volume of the whole of it.
    organisation_volume_least: u32,
    /// So many times its usual are a volume of the whole of it.
    organisation_volume_times: u32,
    /// Numbers in equal steps about which several of an organisation ask.
    organisation_walk_numbers: u32,
    /// Nothing is said of an organisation's share before so many were to be expected.
    organisation_share_least_expected: u32,
    /// People who ask about one child.
    same_child_people: u32,
    /// Within so many hours.
    same_child_hours: u32,
    /// A presentation told so long after a question belongs to it.
    presentation_after_minutes: u32,
    /// A presentation told so long before a question belongs to it.
    presentation_before_minutes: u32,
    /// People remembered at most.
    most_people: u32,
    /// Children remembered at most.
    most_children: u32,
    /// At a start the audit of the last so many days is read again.
    read_again_days: u32,
    /// Numbers of the audit that this goes back at most.
    read_again_entries: u64,
}

pub(super) fn check(flags: &FlagRules, check: &mut Check<'_>) {
    check.range("flags.repeat_hours", flags.repeat_hours, 1..=24 * 31);
    check.range("flags.volume_least", flags.volume_least, 1..=1_000_000);
    check.range("flags.volume_times", flags.volume_times, 2..=1_000);
    check.range("flags.walk_numbers", flags.walk_numbers, 4..=24);
    check.range("flags.share_least_expected", flags.share_least_expected, 4..=64);
    check.range("flags.share_percent", flags.share_percent, 1..=90);
    check.range("flags.organisation_volume_least", flags.organisation_volume_least, 1..=10_000_000);
    check.range("flags.organisation_volume_times", flags.organisation_volume_times, 2..=1_000);
    // So many numbers are remembered of an organisation, and its share is that of 512 questions.
    check.range("flags.organisation_walk_numbers", flags.organisation_walk_numbers, 4..=96);
    let expected = flags.organisation_share_least_expected;
    check.range("flags.organisation_share_least_expected", expected, 16..=448);
    check.range("flags.same_child_people", flags.same_child_people, 2..=60);
    check.range("flags.same_child_hours", flags.same_child_hours, 1..=24 * 7);
    check.range("flags.presentation_after_minutes", flags.presentation_after_minutes, 1..=24 * 60);
    check.range("flags.presentation_before_minutes", flags.presentation_before_minutes, 0..=7 * 24 * 60);
    check.range("flags.most_people", flags.most_people, 100..=1_000_000);
    check.range("flags.most_children", flags.most_children, 1_000..=10_000_000);
    check.range("flags.read_again_days", flags.read_again_days, 1..=366);
    check.range("flags.read_again_entries", flags.read_again_entries, 0..=1_000_000_000);
}

/// What is allowed and odd.
pub(super) fn warnings(flags: &FlagRules) -> Option<String> {
    let words = "flags.enabled is false: trawling is recorded in the audit, and nobody is told of it";
    (!flags.enabled).then(|| words.to_owned())
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
        assert_eq!(config("").unwrap().flags, FlagRules::default());
    }

    #[test]
    fn every_threshold_is_the_configurations_and_bounded() {
        let found = config("walk_numbers = 12\nsame_child_people = 60\npresentation_after_minutes = 30").unwrap().flags;
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
        assert!(warnings(&config("").unwrap().flags).is_none());
        assert!(warnings(&config("enabled = false").unwrap().flags).is_some());
    }
}
