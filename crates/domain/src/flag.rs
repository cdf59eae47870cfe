//! A flag: somebody's use of the service looks unlike ordinary use, or that of an organisation's people taken together. It is about
//! who asked and never about a child: it holds no identity of one, and neither a flag nor the absence of one says anything of a
//! child, or that a use was right or wrong.

use crate::codes::OdsCode;
use crate::text::UserId;
use crate::time::{Day, Moment};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What looked unlike ordinary use. It stands in the audit and in rows: new ones are added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FlagKind {
    /// Far more children in a day than this person, or all of an organisation, usually asks about, with no presentation of them.
    Volume,
    /// NHS numbers that follow one another in equal steps.
    NumberWalk,
    /// Something is held of far fewer of the children asked about than of those whom others ask about in the same way.
    FewHeld,
    /// A child whom many people have asked about; the flag is about each of them from the so-manieth on.
    SameChild,
    /// Far fewer of the children asked about in unscheduled care present than of those whom others there ask about, or, for all of an
    /// organisation, than of those whom other organisations in the role ask about.
    NoPresentation,
}

impl FlagKind {
    /// Every kind with its word.
    pub const WORDS: [(Self, &'static str); 5] = [
        (Self::Volume, Self::Volume.word()),
        (Self::NumberWalk, Self::NumberWalk.word()),
        (Self::FewHeld, Self::FewHeld.word()),
        (Self::SameChild, Self::SameChild.word()),
        (Self::NoPresentation, Self::NoPresentation.word()),
    ];

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Volume => "volume",
            Self::NumberWalk => "number-walk",
            Self::FewHeld => "few-held",
            Self::SameChild => "same-child",
            Self::NoPresentation => "no-presentation",
        }
    }
}

/// A flag. What `counted`, `out_of` and `threshold` are goes by kind:
///
/// | kind | counted | out of | threshold |
/// |---|---|---|---|
/// | volume | children asked about that day without a presentation | usual in a day | from how many on |
/// | number walk | numbers in equal steps | 0 | from how many on |
/// | few held | children of whom something is held | children asked about | up to how many |
/// | same child | people who asked | 0 | from how many on |
/// | no presentation | children without a presentation | children asked about | from how many on |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flag {
    /// What looked unlike ordinary use.
    pub kind: FlagKind,
    /// The time of the audit entry with which the threshold was reached.
    pub at: Moment,
    /// The organisation of whoever asked.
    pub organisation: OdsCode,
    /// The person's identifier in it; none for what its people did together, each of whom did too little for a flag.
    pub user_id: Option<UserId>,
    /// What was counted.
    pub counted: u32,
    /// Of how many; nought where there is no such number.
    pub out_of: u32,
    /// From or up to how many it is flagged.
    pub threshold: u32,
    /// The first entry of the audit that was counted. Entries of others lie between it and the last.
    pub first_entry: u64,
    /// The last entry of the audit that was counted.
    pub last_entry: u64,
}

/// From when on use is flagged. Starting points: none of them rests on a measured rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlagRules {
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
    /// A share of at most so many hundredths of what is to be expected is far below it.
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

impl Default for FlagRules {
    fn default() -> Self {
        Self {
            enabled: true,
            repeat_hours: 24,
            volume_least: 50,
            volume_times: 5,
            walk_numbers: 8,
            share_least_expected: 16,
            share_percent: 25,
            organisation_volume_least: 200,
            organisation_volume_times: 12,
            organisation_walk_numbers: 12,
            organisation_share_least_expected: 64,
            same_child_people: 10,
            same_child_hours: 24,
            presentation_after_minutes: 120,
            presentation_before_minutes: 24 * 60,
            most_people: 20_000,
            most_children: 100_000,
            read_again_days: 28,
            read_again_entries: 20_000_000,
        }
    }
}

/// A flag as the log takes it from the audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flagged {
    /// The entry of the audit that tells of it: the flag's id.
    pub audit_sequence: u64,
    /// The flag.
    pub flag: Flag,
}

/// How far the audit has been watched, and how many questions there were since the last such record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// The last entry of the audit that was watched.
    pub through: u64,
    /// Questions answered, by day and organisation.
    pub asked: Vec<AskedOnDay>,
}

/// Questions of one organisation on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedOnDay {
    /// The London day.
    pub day: Day,
    /// The organisation.
    pub organisation: OdsCode,
    /// Questions answered, whatever the answer.
    pub lookups: u64,
}

/// What a person found who looked into a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FlagOutcome {
    /// The person's work accounts for it.
    Explained,
    /// It is being looked into further, outside this service.
    TakenFurther,
}

impl FlagOutcome {
    /// Every outcome with its word.
    pub const WORDS: [(Self, &'static str); 2] =
        [(Self::Explained, Self::Explained.word()), (Self::TakenFurther, Self::TakenFurther.word())];

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Explained => "explained",
            Self::TakenFurther => "taken-further",
        }
    }
}

/// A person has looked into a flag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlagReviewed {
    /// The organisation; the client certificate's.
    pub organisation: OdsCode,
    /// The event's id.
    pub event_id: Uuid,
    /// Who looked: never whom the flag is about.
    pub user_id: UserId,
    /// Whose flags may be reviewed; none for all.
    pub only_of: Option<OdsCode>,
    /// The flag.
    pub id: u64,
    /// What was found.
    pub outcome: FlagOutcome,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_in_the_order_of_the_numbers() {
        for (at, (kind, word)) in FlagKind::WORDS.into_iter().enumerate() {
            assert_eq!((kind as usize, kind.word()), (at, word));
        }
        assert!(FlagOutcome::WORDS.into_iter().all(|(outcome, word)| outcome.word() == word));
    }

    #[test]
    fn a_flag_shows_nobody_in_a_log() {
        let flag = Flag {
            kind: FlagKind::Volume,
            at: Moment(0),
            organisation: OdsCode::parse("R1H").unwrap(),
            user_id: UserId::parse("jo.nurse").ok(),
            counted: 60,
            out_of: 5,
            threshold: 50,
            first_entry: 1,
            last_entry: 99,
        };
        assert!(!format!("{flag:?}").contains("jo.nurse"));
    }
}
