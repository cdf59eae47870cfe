//! Opening a shielded child's record: for one viewing, by a named person with a reason, rarely, and never without somebody who
//! looks into it afterwards. Nothing here opens anything by itself: a permit does, and its answer is all that comes of it.

use crate::caller::Role;
use crate::codes::OdsCode;
use crate::refused::{Refused, RefusedKind};
use crate::time::Moment;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Longest time over which openings are counted, in seconds: a week. Configuration asks for no more.
pub const MAX_WINDOW_SECONDS: u32 = 7 * 86_400;
/// Bytes of the keyed name of a person.
pub const OPENER_BYTES: usize = 16;

/// Why a shielded record is opened. A closed list; the numbers stand on disk: new ones are added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum OpeningReason {
    /// Somebody may come to harm before the national contact can answer.
    ImmediateDanger,
    /// An enquiry under section 47 of the Children Act 1989 or its like.
    ProtectionEnquiry,
    /// The child is missing.
    MissingChild,
    /// A court has ordered it.
    CourtOrder,
}

impl OpeningReason {
    /// Every reason with its word.
    pub const WORDS: [(Self, &'static str); 4] = [
        (Self::ImmediateDanger, "immediate-danger"),
        (Self::ProtectionEnquiry, "protection-enquiry"),
        (Self::MissingChild, "missing-child"),
        (Self::CourtOrder, "court-order"),
    ];

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize].1
    }
}

/// What a privacy officer found. A closed list; the numbers stand on disk: new ones are added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum ReviewOutcome {
    /// There was a reason to open it.
    Justified,
    /// There was none.
    NotJustified,
    /// It is looked into by others: an employer, a regulator, the police.
    TakenFurther,
}

impl ReviewOutcome {
    /// Every outcome with its word.
    pub const WORDS: [(Self, &'static str); 3] =
        [(Self::Justified, "justified"), (Self::NotJustified, "not-justified"), (Self::TakenFurther, "taken-further")];

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize].1
    }
}

/// A keyed name of a person of an organisation: the same person has the same one, and it names nobody.
pub type Opener = [u8; OPENER_BYTES];

/// How often records may be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpeningLimits {
    /// Openings of the last so many seconds count.
    pub window_seconds: u32,
    /// By one person.
    pub per_person: u32,
    /// By one organisation.
    pub per_organisation: u32,
}

impl Default for OpeningLimits {
    fn default() -> Self {
        Self { window_seconds: 86_400, per_person: 3, per_organisation: 10 }
    }
}

/// An opening as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountedOpening {
    /// When.
    pub at: Moment,
    /// By whom.
    pub opener: Opener,
}

impl OpeningLimits {
    /// Whether an opening counts at `at`. One that lies further ahead than the window was counted by a clock that was wrong.
    #[must_use]
    pub fn counts(&self, opening: &CountedOpening, at: Moment) -> bool {
        at.0.abs_diff(opening.at.0) < u64::from(self.window_seconds) * 1_000
    }

    /// Whether one more opening by `opener` is one too many beside those of their organisation.
    #[must_use]
    pub fn are_reached(&self, of_organisation: &[CountedOpening], opener: &Opener, at: Moment) -> bool {
        let counted = || of_organisation.iter().filter(|opening| self.counts(opening, at));
        let own = counted().filter(|opening| opening.opener == *opener).count();
        let reached = |count: usize, limit: u32| count as u64 >= u64::from(limit);
        reached(own, self.per_person) || reached(counted().count(), self.per_organisation)
    }
}

/// A shielded record is opened for one viewing: what the privacy officer's queue keeps, and what the next openings are counted
/// by. It tells neither whose record it is nor what the opener said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// Random; the audit entry of the viewing carries it too.
    pub reference: Uuid,
    /// The organisation; the client certificate's.
    pub organisation: OdsCode,
    /// Its role; the client certificate's.
    pub role: Role,
    /// Why.
    pub reason: OpeningReason,
    /// Who, as a keyed name.
    pub opener: Opener,
    /// The limits of the moment.
    pub limits: OpeningLimits,
}

/// A privacy officer has looked into an opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpeningReview {
    /// The organisation; the client certificate's.
    pub organisation: OdsCode,
    /// Its role; the client certificate's.
    pub role: Role,
    /// The event's id.
    pub event_id: Uuid,
    /// Which opening.
    pub reference: Uuid,
    /// What was found.
    pub outcome: ReviewOutcome,
    /// Who looked, as a keyed name.
    pub reviewer: Opener,
}

/// Whether somebody may see where an opening was made and when, and review it: those of their own organisation. An auditor sees
/// that one waits, of all organisations, and empties the queue of none: whoever reads the audit would else learn by it where a
/// shielded child was asked about.
#[must_use]
pub fn may_review(role: Role, own: OdsCode, of: OdsCode) -> bool {
    role != Role::Auditor && own == of
}

/// As many records have been opened as may be: nothing was asked.
pub const LIMIT_REACHED: Refused = Refused {
    kind: RefusedKind::TooMany,
    field: "",
    reason: "OPENING_LIMIT",
    words: "could not ask now: you or your organisation have opened records in this way as often as may be in this time; \
            nothing was looked up, and nothing is said about the child",
};

/// There is no such opening for this reviewer.
pub const UNKNOWN: Refused = Refused {
    kind: RefusedKind::Conflict,
    field: "reference",
    reason: "OPENING_UNKNOWN",
    words: "there is no such opening for your organisation: nothing was changed",
};

/// Somebody has reviewed it before.
pub const REVIEWED: Refused = Refused {
    kind: RefusedKind::Conflict,
    field: "reference",
    reason: "OPENING_REVIEWED",
    words: "this opening has been reviewed already: nothing was changed",
};

/// Nobody reviews what they opened themselves.
pub const OWN: Refused = Refused {
    kind: RefusedKind::Conflict,
    field: "reference",
    reason: "OWN_OPENING",
    words: "you opened this record yourself: somebody else has to review it",
};

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: OpeningLimits = OpeningLimits { window_seconds: 100, per_person: 2, per_organisation: 3 };
    const ME: Opener = [1; OPENER_BYTES];
    const ANOTHER: Opener = [2; OPENER_BYTES];

    fn at(second: i64) -> Moment {
        Moment(second * 1_000)
    }

    fn by(opener: Opener, second: i64) -> CountedOpening {
        CountedOpening { at: at(second), opener }
    }

    #[test]
    fn words_stand_in_the_order_of_the_numbers() {
        for (position, (reason, word)) in OpeningReason::WORDS.into_iter().enumerate() {
            assert_eq!((reason as usize, reason.word()), (position, word));
        }
        for (position, (outcome, word)) in ReviewOutcome::WORDS.into_iter().enumerate() {
            assert_eq!((outcome as usize, outcome.word()), (position, word));
        }
    }

    #[test]
    fn a_person_and_an_organisation_each_have_a_limit() {
        let now = at(1_000);
        assert!(!LIMITS.are_reached(&[], &ME, now));
        assert!(!LIMITS.are_reached(&[by(ME, 990)], &ME, now), "one more is the second");
        assert!(LIMITS.are_reached(&[by(ME, 990), by(ME, 995)], &ME, now), "the person's");
        assert!(!LIMITS.are_reached(&[by(ME, 990), by(ME, 995)], &ANOTHER, now), "another person has their own");
        let three = [by(ME, 990), by(ANOTHER, 991), by(ANOTHER, 992)];
        assert!(LIMITS.are_reached(&three, &[3; OPENER_BYTES], now), "the organisation's");
    }

    #[test]
    fn what_is_older_than_the_window_counts_no_more_and_a_wrong_clock_locks_nobody_out_for_good() {
        let two = [by(ME, 1_000), by(ME, 1_000)];
        assert!(LIMITS.are_reached(&two, &ME, Moment(at(1_100).0 - 1)), "the last millisecond of the window");
        assert!(!LIMITS.are_reached(&two, &ME, at(1_100)));
        assert!(LIMITS.are_reached(&two, &ME, at(950)), "the clock was put back: they count all the same");
        assert!(!LIMITS.are_reached(&two, &ME, at(900)), "they were counted by a clock that was far ahead");
        assert!(!LIMITS.are_reached(&[by(ME, i64::MIN / 1_000), by(ME, i64::MIN / 1_000)], &ME, Moment(i64::MAX)));
    }

    #[test]
    fn everybody_reviews_for_their_own_organisation_and_an_auditor_for_none() {
        let [own, other] = ["R1H", "RRK"].map(|code| OdsCode::parse(code).unwrap());
        for (role, _) in Role::WORDS {
            assert_eq!(may_review(role, own, own), role != Role::Auditor, "{role}");
            assert!(!may_review(role, own, other), "{role}");
        }
    }
}
