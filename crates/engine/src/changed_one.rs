//! What the audit keeps of each of many that are sent together: a stream, an import, a file, a list of notifications. One entry
//! tells of some of them, each with whom it is about; whoever reads the audit is shown no more than what is about the child that
//! they ask for.

use crate::audit_entry::Decision;
use kith_domain::child::Subject;
use kith_domain::refusal_code::RefusalCode;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Most of them in one entry: with a local key each it stays far below the longest that the journal takes.
pub const CHANGED_TOGETHER: usize = 128;

/// One of several that were sent together; of an event about several people, each of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedOne {
    /// Whom it is about; none where that could not be read, and for what is about nobody.
    pub subject: Option<Subject>,
    /// Its event id; none where it has none, or none that could be read.
    pub event_id: Option<Uuid>,
    /// Why it was refused; none where it was acknowledged.
    pub refused: Option<RefusalCode>,
}

impl ChangedOne {
    /// One that was refused for this reason; acknowledged, where there is none. What is only told anew, or was overtaken, is
    /// acknowledged too.
    #[must_use]
    pub fn new(subject: Option<Subject>, event_id: Option<Uuid>, reason: Option<&str>) -> Self {
        Self { subject, event_id, refused: reason.map(RefusalCode::of) }
    }

    /// How many were acknowledged and how many refused.
    pub(crate) fn counts<'a>(all: impl IntoIterator<Item = &'a Self>) -> (u64, u64) {
        all.into_iter().fold((0, 0), |(acknowledged, refused), one| match one.refused {
            None => (acknowledged + 1, refused),
            Some(_) => (acknowledged, refused + 1),
        })
    }
}

impl Decision {
    /// How many changes were acknowledged and how many refused; none for what is no sending of changes.
    #[must_use]
    pub fn changed(&self) -> Option<(u64, u64)> {
        match self {
            Self::Changed { acknowledged, refused } => Some((*acknowledged, *refused)),
            Self::ChangedEach(each) => Some(ChangedOne::counts(each)),
            Self::Answered { .. }
            | Self::Refused(_)
            | Self::Listed(_)
            | Self::Started
            | Self::Stopped
            | Self::Gap(_)
            | Self::FilePositionReset(..)
            | Self::ConfigChanged(..)
            | Self::ConfigRefused(_)
            | Self::RefusedMany { .. }
            | Self::Proven { .. }
            | Self::AuditRead(_)
            | Self::Opened { .. }
            | Self::OpeningReviewed(..)
            | Self::Flagged(_)
            | Self::FlagReviewed(..)
            | Self::Withheld { .. }
            | Self::WithholdingLifted
            | Self::AuditRemoved { .. }
            | Self::Resolved(_)
            | Self::ListedEach(_) => None,
        }
    }

    /// Whether something that somebody sent stands: the log has it, whatever becomes of this entry.
    #[must_use]
    pub fn stands(&self) -> bool {
        let reviewed = matches!(self, Self::OpeningReviewed(..) | Self::FlagReviewed(..));
        let decided = matches!(self, Self::FilePositionReset(..) | Self::Withheld { .. } | Self::WithholdingLifted);
        reviewed || decided || self.changed().is_some_and(|(acknowledged, _)| acknowledged > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit_entry::AuditEntry;
    use crate::rows::encode;
    use kith_domain::NhsNumber;
    use kith_domain::codes::OdsCode;
    use kith_domain::text::LocalKey;
    use kith_domain::time::Moment;

    fn one(refused: Option<&str>) -> ChangedOne {
        let subject = Some(Subject::Nhs(NhsNumber::from_first_nine(999_000_001).unwrap()));
        ChangedOne { subject, event_id: Some(Uuid::from_u128(7)), refused: refused.map(RefusalCode::of) }
    }

    #[test]
    fn what_stands_is_told_from_what_does_not() {
        let each = Decision::ChangedEach;
        assert!(each(vec![one(Some("ADULT")), one(None)]).stands());
        assert_eq!(each(vec![one(Some("ADULT")), one(None)]).changed(), Some((1, 1)));
        assert!(!each(vec![one(Some("ADULT"))]).stands() && !each(Vec::new()).stands());
        assert!(Decision::Changed { acknowledged: 1, refused: 0 }.stands());
        assert!(!Decision::Changed { acknowledged: 0, refused: 1 }.stands());
        assert!(Decision::WithholdingLifted.stands() && !Decision::Listed(1).stands());
        assert_eq!(Decision::Listed(1).changed(), None);
    }

    #[test]
    fn each_has_the_bytes_that_are_kept() {
        let nobody = ChangedOne { subject: None, event_id: None, refused: Some(RefusalCode::of("UNLISTED")) };
        let entry = AuditEntry::of_service(Moment(1_000), Decision::ChangedEach(vec![one(None), nobody]));
        let bytes = encode(&entry).unwrap();
        let id = format!("{}07", "00".repeat(15));
        let expected = format!("01d00f00000000000015020100929bcd9b250110{id}00000001000000000000");
        assert_eq!(hex::encode(bytes), expected);
    }

    #[test]
    fn who_was_listed_has_the_bytes_that_are_kept() {
        let entry =
            AuditEntry::of_service(Moment(1_000), Decision::ListedEach(one(None).subject.into_iter().collect()));
        assert_eq!(hex::encode(encode(&entry).unwrap()), "01d00f000000000000160100929bcd9b250000000000");
    }

    /// The longest keys there are, and the longest pages: 500 children in a list, or of notifications that are acknowledged at once.
    #[test]
    fn a_full_entry_is_below_what_the_journal_takes() {
        let key = LocalKey::parse(&"x".repeat(LocalKey::MAX)).unwrap();
        let subject = Subject::Local(OdsCode::parse("E06000001").unwrap(), key);
        let long = ChangedOne { subject: Some(subject.clone()), ..one(Some("CHANGE_NOT_AUDITED")) };
        let heard = ChangedOne { event_id: None, refused: None, ..long.clone() };
        for decision in [
            Decision::ChangedEach(vec![long; CHANGED_TOGETHER]),
            Decision::ChangedEach(vec![heard; 500]),
            Decision::ListedEach(vec![subject; 500]),
        ] {
            let entry = AuditEntry::of_service(Moment(1_000), decision);
            assert!(encode(&entry).unwrap().len() < 48 << 10);
        }
    }
}
