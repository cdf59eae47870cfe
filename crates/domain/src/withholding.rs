//! Withholding: an authority holds back what it knows of a child, because it considers telling it worse for the child than not
//! telling it. A person decides it, with a reason, for as long as it takes to look again. What is told to whoever asks is never
//! that nothing is held: it is that something is, and whom to ring. No passing of time begins or ends it, and no birth ends it.

use crate::child::{ChildRecord, Subject};
use crate::codes::LaCode;
use crate::refused::{Refused, RefusedKind};
use crate::text::WithholdingWords;
use crate::time::Day;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The date to look again is at most so many days ahead. Plans of protected and of looked-after children are reviewed at least
/// every six months (Working Together to Safeguard Children; the Care Planning Regulations 2010): a withholding no later.
pub const MAX_LOOK_AGAIN_DAYS: i32 = 184;

/// Most decisions of one authority that stand at once: as many as the largest have children on plans. More would be no decisions of
/// persons any more, and they are held in memory. What a birth carries over counts, and is not kept out: each stands beside a plan.
pub const MAX_STANDING: usize = 5_000;

/// Why it is withheld. A closed list; the numbers stand on disk: new ones are added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum WithholdingReason {
    /// Telling it would put the child in danger.
    HarmToChild,
    /// Telling it would put somebody else in danger.
    HarmToOther,
    /// Telling it would get in the way of an investigation of a crime.
    Investigation,
    /// A court has ordered it.
    CourtOrder,
}

impl WithholdingReason {
    /// Every reason with its word.
    pub const WORDS: [(Self, &'static str); 4] = [
        (Self::HarmToChild, "harm-to-child"),
        (Self::HarmToOther, "harm-to-other"),
        (Self::Investigation, "investigation"),
        (Self::CourtOrder, "court-order"),
    ];

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize].1
    }
}

/// An authority decides to withhold what it holds of a child, or decides it anew: the later decision stands in the place of the
/// one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withholding {
    /// The authority; the client certificate's.
    pub authority: LaCode,
    /// The event's id.
    pub event_id: Uuid,
    /// Whom it is about.
    pub subject: Subject,
    /// Why.
    pub reason: WithholdingReason,
    /// Why, in the words of the person who decides.
    pub words: WithholdingWords,
    /// The day on which somebody has to look again.
    pub look_again: Day,
}

/// An authority withholds no longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithholdingLifted {
    /// The authority; the client certificate's.
    pub authority: LaCode,
    /// The event's id.
    pub event_id: Uuid,
    /// Whom it is about.
    pub subject: Subject,
}

/// The date to look again is not within its bounds.
pub const LOOK_AGAIN: Refused = Refused {
    kind: RefusedKind::Invalid,
    field: "look_again",
    reason: "LOOK_AGAIN_OUT_OF_RANGE",
    words: "the date to look again is from tomorrow to 184 days ahead: nothing was changed",
};

/// There is nothing to lift.
pub const UNKNOWN: Refused = Refused {
    kind: RefusedKind::Conflict,
    field: "nhs_number",
    reason: "WITHHOLDING_UNKNOWN",
    words: "your authority withholds nothing under this number or key: nothing was changed",
};

/// As many decisions of the authority stand as may be.
pub const TOO_MANY: Refused = Refused {
    kind: RefusedKind::TooMany,
    field: "",
    reason: "TOO_MANY_WITHHOLDINGS",
    words: "your authority withholds as much as may be at once: nothing was changed; lift what is not needed any more",
};

/// Whether a date to look again may be set on `today`: after it, and not too far ahead.
///
/// # Errors
/// [`LOOK_AGAIN`].
pub fn check_look_again(look_again: Day, today: Day) -> Result<(), Refused> {
    let last = today.plus_days(MAX_LOOK_AGAIN_DAYS);
    if look_again > today && look_again <= last { Ok(()) } else { Err(LOOK_AGAIN) }
}

/// Whether the day to look again has passed. That ends nothing.
#[must_use]
pub fn is_overdue(look_again: Day, today: Day) -> bool {
    today > look_again
}

/// Puts an authority among those that withhold.
pub fn withhold(record: &mut ChildRecord, authority: LaCode) {
    if let Err(place) = record.withheld_by.binary_search(&authority) {
        record.withheld_by.insert(place, authority);
    }
}

/// Takes an authority out of those that withhold.
pub fn lift(record: &mut ChildRecord, authority: LaCode) {
    record.withheld_by.retain(|one| *one != authority);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nhs_number::NhsNumber;

    #[test]
    fn words_stand_in_the_order_of_the_numbers() {
        for (position, (reason, word)) in WithholdingReason::WORDS.into_iter().enumerate() {
            assert_eq!((reason as usize, reason.word()), (position, word));
        }
    }

    #[test]
    fn the_date_to_look_again_lies_ahead_and_not_too_far() {
        let today = Day::parse("2026-11-26").unwrap();
        for (days, accepted) in [(-1, false), (0, false), (1, true), (184, true), (185, false)] {
            assert_eq!(check_look_again(today.plus_days(days), today).is_ok(), accepted, "{days}");
        }
    }

    #[test]
    fn a_withholding_is_overdue_from_the_day_after_the_one_to_look_again() {
        let look_again = Day::parse("2026-11-26").unwrap();
        assert!(!is_overdue(look_again, look_again.plus_days(-1)));
        assert!(!is_overdue(look_again, look_again), "the day itself is for looking");
        assert!(is_overdue(look_again, look_again.plus_days(1)));
    }

    #[test]
    fn each_authority_withholds_once_and_lifts_its_own_alone() {
        let [first, second] = ["E06000001", "E06000002"].map(|code| LaCode::parse(code).unwrap());
        let mut record = ChildRecord::new(Subject::Nhs(NhsNumber::from_first_nine(999_000_001).unwrap()));
        for authority in [second, first, second] {
            withhold(&mut record, authority);
        }
        assert_eq!(record.withheld_by, [first, second]);
        assert!(!record.holds_nothing(), "no purge removes a person's decision");
        lift(&mut record, second);
        assert_eq!(record.withheld_by, [first]);
        lift(&mut record, second);
        lift(&mut record, first);
        assert!(record.holds_nothing());
    }
}
