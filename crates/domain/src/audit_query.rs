//! What is searched for in the audit. It says nothing of how the audit is kept.

use crate::caller::Caller;
use crate::child::Subject;
use crate::codes::{LaCode, OdsCode};
use crate::nhs_number::NhsNumber;
use crate::text::{LocalKey, UserId};
use crate::time::Moment;

/// Whose entries of the audit somebody may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditScope {
    /// Everybody's.
    All,
    /// Lookups of children that this authority holds a plan of.
    Own(LaCode),
    /// Answers that people of this organisation were given about a child, under this very code, and nobody else's.
    OwnPeople(OdsCode),
}

/// Which entries of the audit are wanted: those of which all that is given holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditQuery {
    /// About this child, under any of their numbers.
    pub child: Option<NhsNumber>,
    /// About the person with this local key, and whose key it is; never beside a number.
    pub local_key: Option<(OdsCode, LocalKey)>,
    /// By a person with this identifier, in any organisation.
    pub person: Option<UserId>,
    /// By somebody of this organisation.
    pub organisation: Option<OdsCode>,
    /// Made at this moment or after it.
    pub from: Option<Moment>,
    /// Made before this moment.
    pub until: Option<Moment>,
    /// The entry with this number.
    pub entry: Option<u64>,
    /// Answers about a child, and nothing else.
    pub lookups: bool,
}

impl AuditQuery {
    /// Whom it asks about, by number or by key.
    #[must_use]
    pub fn subject(&self) -> Option<Subject> {
        let by_key = self.local_key.clone().map(|(organisation, key)| Subject::Local(organisation, key));
        self.child.map(Subject::Nhs).or(by_key)
    }

    /// Whether what it finds tells where somebody was by being found: then nothing about a shielded child may be among it. A local
    /// key is an organisation's own: whom it finds was there.
    #[must_use]
    pub fn goes_by_place(&self) -> bool {
        self.person.is_some() || self.organisation.is_some() || self.local_key.is_some()
    }

    /// Whether a moment lies within what is asked for.
    #[must_use]
    pub fn covers(&self, at: Moment) -> bool {
        self.from.is_none_or(|from| at >= from) && self.until.is_none_or(|until| at < until)
    }

    /// Whether somebody of an organisation, named or not, is whom is asked for.
    #[must_use]
    pub fn is_by(&self, organisation: Option<OdsCode>, caller: Option<&Caller>) -> bool {
        let person = self.person.as_ref().is_none_or(|wanted| caller.is_some_and(|caller| caller.user_id == *wanted));
        person && self.organisation.is_none_or(|wanted| organisation == Some(wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::Purpose;
    use crate::text::{PersonText, RoleCode};

    #[test]
    fn a_range_has_its_beginning_and_not_its_end() {
        let range = AuditQuery { from: Some(Moment(5)), until: Some(Moment(9)), ..AuditQuery::default() };
        let covered: Vec<i64> = (0..12).filter(|at| range.covers(Moment(*at))).collect();
        assert_eq!(covered, [5, 6, 7, 8]);
        assert!(AuditQuery::default().covers(Moment(i64::MIN)));
        assert!(!range.goes_by_place());
    }

    #[test]
    fn who_is_asked_about_has_a_number_or_a_key_and_a_key_tells_a_place() {
        let trust = OdsCode::parse("R1H").unwrap();
        let key = LocalKey::parse("A-1").unwrap();
        let number = NhsNumber::from_first_nine(999_000_001).unwrap();
        let by_number = AuditQuery { child: Some(number), ..AuditQuery::default() };
        let by_key = AuditQuery { local_key: Some((trust, key.clone())), ..AuditQuery::default() };
        assert_eq!(by_number.subject(), Some(Subject::Nhs(number)));
        assert_eq!(by_key.subject(), Some(Subject::Local(trust, key)));
        assert_eq!(AuditQuery::default().subject(), None);
        assert!(by_key.goes_by_place() && !by_number.goes_by_place());
    }

    #[test]
    fn whoever_is_not_named_is_nobody_who_is_asked_for() {
        let trust = OdsCode::parse("R1H").unwrap();
        let caller = Caller {
            user_id: UserId::parse("u1").unwrap(),
            user_name: PersonText::parse("A Nurse").unwrap(),
            user_role: PersonText::parse("Nurse").unwrap(),
            purpose: Purpose::DirectCare,
            organisation: trust,
            role_code: RoleCode::parse("R8000").unwrap(),
        };
        let by = |person: Option<&str>, organisation: Option<&str>| AuditQuery {
            person: person.map(|id| UserId::parse(id).unwrap()),
            organisation: organisation.map(|code| OdsCode::parse(code).unwrap()),
            ..AuditQuery::default()
        };
        assert!(by(None, None).is_by(None, None));
        assert!(by(Some("u1"), None).is_by(Some(trust), Some(&caller)));
        assert!(by(Some("u1"), Some("R1H")).is_by(Some(trust), Some(&caller)));
        assert!(!by(Some("u1"), Some("RRK")).is_by(Some(trust), Some(&caller)));
        assert!(!by(Some("u2"), None).is_by(Some(trust), Some(&caller)));
        assert!(!by(Some("u1"), None).is_by(Some(trust), None));
        assert!(!by(None, Some("R1H")).is_by(None, None));
        assert!(by(Some("u1"), None).goes_by_place() && by(None, Some("R1H")).goes_by_place());
    }
}
