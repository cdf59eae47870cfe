//! What the audit keeps of each of many that are sent together: a stream, an import, a file, a list of notifications. One entry
//! tells of some of them, each with whom it is about; whoever reads the audit is shown no more than what is about the child that
//! they ask for.

use crate::audit_entry::Decision;
use crate::engine::Engine;
use crate::not_there::NotThere;
use crate::writer::Verdict;
use kith_domain::child::Subject;
use kith_domain::fold::Effect;
use kith_domain::refusal_code::RefusalCode;
use kith_domain::refused::Refused;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Most of them in one entry: with a local key each it stays far below the longest that the journal takes.
pub const CHANGED_TOGETHER: usize = 128;

/// One of several that were sent together; of an event about several people, each of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedOne {
    /// Whom it is about; none where that could not be read, and for what is about nobody.
    pub subject: Option<Subject>,
    /// Its event id; none where it has none, or none that could be read, and for the babies of a birth.
    pub event_id: Option<Uuid>,
    /// What became of it.
    pub became: Became,
    /// Somebody whom the event is about was or had been shielded when this was written, or the event says so: it is shown to
    /// nobody, whatever is held by then.
    pub shielded: bool,
    /// Why an acknowledged row about a presentation does not tell that the child is there; none where it does, and of anything else.
    pub not_there: Option<NotThere>,
}

/// What became of one of several changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Became {
    /// Acknowledged, and the record shows it.
    Applied,
    /// Acknowledged and kept, and what is held contradicts it or waits for more.
    Kept,
    /// Acknowledged and kept, and a later version stands for all that it says or for a part.
    Overtaken,
    /// It had been acknowledged before, and changed nothing this time.
    Repeated,
    /// Refused, for this reason.
    Refused(RefusalCode),
}

/// One who stood in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedOne {
    /// Who.
    pub subject: Subject,
    /// Was or had been shielded when this was written: it is shown to nobody, whatever is held by then.
    pub shielded: bool,
}

impl Became {
    /// What a verdict says.
    #[must_use]
    pub fn of(verdict: &Verdict) -> Self {
        match verdict {
            Ok(told) if told.repeated => Self::Repeated,
            Ok(told) => match told.effect {
                Effect::Applied => Self::Applied,
                Effect::Overtaken => Self::Overtaken,
                Effect::Kept => Self::Kept,
            },
            Err(refused) => Self::refused(refused.reason),
        }
    }

    /// Refused for this reason.
    #[must_use]
    pub fn refused(reason: &str) -> Self {
        Self::Refused(RefusalCode::of(reason))
    }

    /// Whether the log has it from this call. What was overtaken stands there too, and may have changed a part.
    fn stands(self) -> bool {
        match self {
            Self::Applied | Self::Kept | Self::Overtaken => true,
            Self::Repeated | Self::Refused(_) => false,
        }
    }
}

impl ChangedOne {
    /// Why it was refused; none where it was acknowledged.
    #[must_use]
    pub fn refused(&self) -> Option<RefusalCode> {
        match self.became {
            Became::Refused(code) => Some(code),
            Became::Applied | Became::Kept | Became::Overtaken | Became::Repeated => None,
        }
    }

    /// Whether the log has it from this call.
    #[must_use]
    pub fn was_made(&self) -> bool {
        self.became.stands()
    }

    /// Whether it may stand though it was refused: where the log fails nobody knows what became of it until it is sent again.
    pub(crate) fn may_stand(&self) -> bool {
        self.refused().is_some_and(|code| code.word() == Refused::STORAGE.reason)
    }

    /// How many were acknowledged and how many refused.
    pub(crate) fn counts<'a>(all: impl IntoIterator<Item = &'a Self>) -> (u64, u64) {
        all.into_iter().fold((0, 0), |(acknowledged, refused), one| match one.refused() {
            None => (acknowledged + 1, refused),
            Some(_) => (acknowledged, refused + 1),
        })
    }
}

/// Most bytes of local keys in one entry: a page of the longest keys of one byte a character, half of what the journal takes.
const KEY_BYTES: usize = 32 << 10;

/// Parts that have room in an entry each, whatever keys they have.
fn entries<T>(all: Vec<T>, subject: impl Fn(&T) -> Option<&Subject>) -> Vec<Vec<T>> {
    let (mut parts, mut part, mut bytes) = (Vec::new(), Vec::new(), 0);
    for one in all {
        let more = match subject(&one) {
            Some(Subject::Local(_, key)) => key.as_str().len(),
            Some(Subject::Nhs(_)) | None => 0,
        };
        if bytes + more > KEY_BYTES {
            parts.push(std::mem::take(&mut part));
            bytes = 0;
        }
        bytes += more;
        part.push(one);
    }
    parts.push(part);
    parts
}

/// What the audit is to hold of notifications that were acknowledged together, as of a list: in one entry where it has room.
#[must_use]
pub fn heard(each: Vec<ChangedOne>) -> Vec<Decision> {
    entries(each, |one| one.subject.as_ref()).into_iter().map(Decision::ChangedEach).collect()
}

impl Engine {
    /// What the audit is to hold of one of several changes, about these: of a birth the mother first, then her babies. Those have
    /// no event id, which would tell whose they are. Where one of them is or was shielded, or the event says so, none is shown.
    #[must_use]
    pub fn each_of(
        &self,
        event_id: Option<Uuid>,
        about: Vec<Subject>,
        became: Became,
        tells_of_shield: bool,
    ) -> Vec<ChangedOne> {
        let shielded = tells_of_shield || about.iter().any(|subject| self.is_or_was_shielded(subject));
        if about.is_empty() {
            return vec![ChangedOne { subject: None, event_id, became, shielded, not_there: None }];
        }
        let ids = std::iter::once(event_id).chain(std::iter::repeat(None));
        let one = |(subject, event_id)| {
            let subject = Some(subject);
            ChangedOne { subject, event_id, became, shielded, not_there: None }
        };
        about.into_iter().zip(ids).map(one).collect()
    }

    /// What the audit is to hold of a list that these stood in.
    /// In one entry, for how many there are would tell how long it was; in more only where keys are so long that one has no room.
    #[must_use]
    pub fn each_listed(&self, listed: Vec<Subject>) -> Vec<Decision> {
        let one = |subject: Subject| ListedOne { shielded: self.is_or_was_shielded(&subject), subject };
        let each = listed.into_iter().map(one).collect();
        entries(each, |one| Some(&one.subject)).into_iter().map(Decision::ListedEach).collect()
    }
}

impl Decision {
    /// How many changes were acknowledged, those that had been before among them, and how many refused; none for what is no sending
    /// of changes.
    #[must_use]
    pub fn changed(&self) -> Option<(u64, u64)> {
        match self {
            Self::Changed { acknowledged, refused } => Some((*acknowledged, *refused)),
            Self::NotThere(_) => Some((1, 0)),
            Self::ChangedEach(each) => Some(ChangedOne::counts(each)),
            Self::RefusedRows { counted, repeated, .. } => {
                Some((*repeated, counted.iter().fold(0, |sum: u64, (_, count)| sum.saturating_add(*count))))
            }
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
            | Self::ListedEach(_)
            | Self::ToldAgain { .. }
            | Self::ListKept { .. } => None,
        }
    }

    /// Whether something that somebody sent stands: the log has it, whatever becomes of this entry.
    #[must_use]
    pub fn stands(&self) -> bool {
        let reviewed = matches!(self, Self::OpeningReviewed(..) | Self::FlagReviewed(..));
        let decided = matches!(self, Self::FilePositionReset(..) | Self::Withheld { .. } | Self::WithholdingLifted);
        if let Self::ChangedEach(each) = self {
            return each.iter().any(ChangedOne::was_made);
        }
        // What it has as acknowledged had been before, and stands by another entry.
        if matches!(self, Self::RefusedRows { .. }) {
            return false;
        }
        reviewed || decided || self.changed().is_some_and(|(acknowledged, _)| acknowledged > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit_entry::AuditEntry;
    use crate::rows::{Acknowledgement, encode};
    use kith_domain::NhsNumber;
    use kith_domain::codes::OdsCode;
    use kith_domain::text::LocalKey;
    use kith_domain::time::Moment;

    fn one(refused: Option<&str>) -> ChangedOne {
        let subject = Some(Subject::Nhs(NhsNumber::from_first_nine(999_000_001).unwrap()));
        let became = refused.map_or(Became::Applied, Became::refused);
        ChangedOne { subject, event_id: Some(Uuid::from_u128(7)), became, shielded: false, not_there: None }
    }

    #[test]
    fn what_changed_nothing_stands_by_no_entry() {
        let told = |repeated, effect| {
            let at = Moment(1_000);
            Became::of(&Ok(Acknowledgement { event_id: Uuid::from_u128(7), sequence: 1, at, effect, repeated }))
        };
        let all = [Effect::Applied, Effect::Kept, Effect::Overtaken];
        assert_eq!(all.map(|effect| told(false, effect)), [Became::Applied, Became::Kept, Became::Overtaken]);
        assert_eq!(all.map(|effect| told(true, effect)), [Became::Repeated; 3]);
        assert_eq!(Became::of(&Err(Refused::STORAGE)), Became::refused(Refused::STORAGE.reason));
        assert!(one(Some(Refused::STORAGE.reason)).may_stand(), "the log may have it");
        assert!(!one(Some("ADULT")).may_stand() && !one(None).may_stand());
        let stands = |became| Decision::ChangedEach(vec![ChangedOne { became, ..one(None) }]).stands();
        assert!(all.into_iter().all(|effect| stands(told(false, effect))));
        assert!(!stands(Became::Repeated) && !stands(Became::refused("ADULT")));
        assert_eq!(
            Decision::ChangedEach(vec![ChangedOne { became: Became::Repeated, ..one(None) }]).changed(),
            Some((1, 0))
        );
        let counted = vec![(RefusalCode::of("ADULT"), 2), (RefusalCode::of("END_MISSING"), 3)];
        let rows = Decision::RefusedRows { counted, first: Moment(1), last: Moment(2), repeated: 7 };
        assert_eq!((rows.changed(), rows.stands()), (Some((7, 5)), false), "it had been acknowledged before");
    }

    #[test]
    fn what_stands_is_told_from_what_does_not() {
        let each = Decision::ChangedEach;
        assert!(each(vec![one(Some("ADULT")), one(None)]).stands());
        assert_eq!(each(vec![one(Some("ADULT")), one(None)]).changed(), Some((1, 1)));
        assert!(!each(vec![one(Some("ADULT"))]).stands() && !each(Vec::new()).stands());
        assert!(Decision::Changed { acknowledged: 1, refused: 0 }.stands());
        assert!(!Decision::Changed { acknowledged: 0, refused: 1 }.stands());
        assert_eq!(Decision::NotThere(NotThere::Again).changed(), Some((1, 0)));
        assert!(Decision::WithholdingLifted.stands() && !Decision::Listed(1).stands());
        assert_eq!(Decision::Listed(1).changed(), None);
    }

    #[test]
    fn each_has_the_bytes_that_are_kept() {
        let became = Became::refused("UNLISTED");
        let not_there = Some(NotThere::InError);
        let nobody = ChangedOne { subject: None, event_id: None, became, shielded: true, not_there };
        let entry = AuditEntry::of_service(Moment(1_000), Decision::ChangedEach(vec![one(None), nobody]));
        let bytes = encode(&entry).unwrap();
        let id = format!("{}07", "00".repeat(15));
        let expected = format!("01d00f00000000000015020100929bcd9b250110{id}0000000000040001010200000000000000");
        assert_eq!(hex::encode(bytes), expected);
    }

    #[test]
    fn who_was_listed_has_the_bytes_that_are_kept() {
        let listed = ListedOne { subject: one(None).subject.unwrap(), shielded: true };
        let entry = AuditEntry::of_service(Moment(1_000), Decision::ListedEach(vec![listed]));
        assert_eq!(hex::encode(encode(&entry).unwrap()), "01d00f000000000000160100929bcd9b250100000000000000");
    }

    /// The longest keys there are, and the longest pages: 500 children in a list, or of notifications that are acknowledged at once.
    #[test]
    fn a_full_entry_is_below_what_the_journal_takes() {
        let key = LocalKey::parse(&"x".repeat(LocalKey::MAX)).unwrap();
        let subject = Subject::Local(OdsCode::parse("E06000001").unwrap(), key);
        let long = ChangedOne { subject: Some(subject.clone()), ..one(Some("CHANGE_NOT_AUDITED")) };
        let heard = ChangedOne { event_id: None, became: Became::Applied, ..long.clone() };
        let listed = ListedOne { subject, shielded: true };
        for decision in [
            Decision::ChangedEach(vec![long; CHANGED_TOGETHER]),
            Decision::ChangedEach(vec![heard.clone(); 500]),
            Decision::ListedEach(vec![listed; 500]),
        ] {
            let entry = AuditEntry::of_service(Moment(1_000), decision);
            assert!(encode(&entry).unwrap().len() < 48 << 10);
        }
        assert_eq!(super::heard(vec![heard.clone(); 500]).len(), 1, "how many entries there are tells nothing");

        let wide = LocalKey::parse(&"\u{1f600}".repeat(LocalKey::MAX)).unwrap();
        let subject = Some(Subject::Local(OdsCode::parse("E06000001").unwrap(), wide));
        let parts = super::heard(vec![ChangedOne { subject, ..heard }; 500]);
        let of = |decision: &Decision| decision.changed().unwrap().0;
        assert_eq!(parts.iter().map(of).sum::<u64>(), 500, "none is left out");
        let fewest = 500_usize.div_ceil(KEY_BYTES / (4 * LocalKey::MAX));
        assert_eq!(parts.len(), fewest, "and each part takes what it has room for");
        for decision in parts {
            let entry = AuditEntry::of_service(Moment(1_000), decision);
            assert!(
                encode(&entry).unwrap().len() < 48 << 10,
                "an entry that is never taken would stand untold for ever"
            );
        }
    }
}
