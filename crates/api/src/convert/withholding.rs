//! Decisions to withhold.

use super::fault::Faults;
use super::{caller, subject, time, words};
use crate::v1;
use kith_domain::caller::Caller;
use kith_domain::child::Subject;
use kith_domain::codes::LaCode;
use kith_domain::text::{LocalKey, WithholdingWords};
use kith_domain::time::{Day, Moment};
use kith_domain::withholding::{self, Withholding, WithholdingLifted, WithholdingReason};
use uuid::Uuid;

/// A decision as it is sent: everything but whose it is, which the certificate proves.
#[derive(Debug, Clone)]
pub struct ParsedDecision {
    /// Who decides.
    pub caller: Caller,
    subject: Subject,
    reason: WithholdingReason,
    words: WithholdingWords,
    look_again: Day,
    event_id: Uuid,
}

impl ParsedDecision {
    /// About whom it is, and its event id.
    #[must_use]
    pub fn about(&self) -> (&Subject, Uuid) {
        (&self.subject, self.event_id)
    }

    /// The decision as that of `authority`.
    #[must_use]
    pub fn of(self, authority: LaCode) -> Withholding {
        let Self { caller: _, subject, reason, words, look_again, event_id } = self;
        Withholding { authority, event_id, subject, reason, words, look_again }
    }
}

/// Whom a decision is about: a number, or the calling authority's own key.
fn subject_of(faults: &mut Faults, caller: Option<&Caller>, nhs_number: &str, local_key: &str) -> Option<Subject> {
    if local_key.is_empty() {
        return subject::number(faults, "nhs_number", nhs_number).map(Subject::Nhs);
    }
    if !nhs_number.is_empty() {
        faults.add("local_key", "BAD_LOCAL_KEY", "a number and a key: give the one that the child is known by");
        return None;
    }
    let key = faults.take("local_key", "BAD_LOCAL_KEY", LocalKey::parse(local_key))?;
    // Without a caller nobody's key it could be, and that there is none is a fault already.
    caller.map(|caller| Subject::Local(caller.organisation, key))
}

/// Takes a decision apart.
///
/// # Errors
/// Every fault found.
pub fn decide(request: v1::DecideWithholdingRequest) -> Result<ParsedDecision, Faults> {
    let v1::DecideWithholdingRequest { caller, nhs_number, reason, words: said, look_again, event_id, local_key } =
        request;
    let mut faults = Faults::default();
    let caller = caller::parse(&mut faults, "caller", caller);
    let subject = subject_of(&mut faults, caller.as_ref(), &nhs_number, &local_key);
    let reason = words::parse_withholding_reason(&mut faults, "reason", reason);
    let said = faults.take("words", "BAD_TEXT", WithholdingWords::parse(&said));
    let look_again = faults.need("look_again", look_again);
    let look_again = time::day(&mut faults, "look_again", look_again);
    let event_id = time::uuid(&mut faults, "event_id", &event_id);
    faults.keep(caller.as_ref());
    faults.keep_about(subject.as_ref(), event_id);
    let parsed = caller.zip(subject).zip(reason).zip(said).zip(look_again).zip(event_id);
    faults.finish(parsed.map(|(((((caller, subject), reason), words), look_again), event_id)| ParsedDecision {
        caller,
        subject,
        reason,
        words,
        look_again,
        event_id,
    }))
}

/// A lift as it is sent: everything but whose it is, which the certificate proves.
#[derive(Debug, Clone)]
pub struct ParsedLift {
    /// Who lifts.
    pub caller: Caller,
    subject: Subject,
    event_id: Uuid,
}

impl ParsedLift {
    /// About whom it is, and its event id.
    #[must_use]
    pub fn about(&self) -> (&Subject, Uuid) {
        (&self.subject, self.event_id)
    }

    /// The lift as that of `authority`.
    #[must_use]
    pub fn of(self, authority: LaCode) -> WithholdingLifted {
        let Self { caller: _, subject, event_id } = self;
        WithholdingLifted { authority, event_id, subject }
    }
}

/// Takes a lift apart.
///
/// # Errors
/// Every fault found.
pub fn lift(request: v1::LiftWithholdingRequest) -> Result<ParsedLift, Faults> {
    let v1::LiftWithholdingRequest { caller, nhs_number, event_id, local_key } = request;
    let mut faults = Faults::default();
    let caller = caller::parse(&mut faults, "caller", caller);
    let subject = subject_of(&mut faults, caller.as_ref(), &nhs_number, &local_key);
    let event_id = time::uuid(&mut faults, "event_id", &event_id);
    faults.keep(caller.as_ref());
    faults.keep_about(subject.as_ref(), event_id);
    let parsed = caller.zip(subject).zip(event_id);
    faults.finish(parsed.map(|((caller, subject), event_id)| ParsedLift { caller, subject, event_id }))
}

/// A decision that stands, on the wire, as of `today`.
#[must_use]
pub fn wire(
    (subject, carried_over): (&Subject, bool),
    (reason, said): (WithholdingReason, &WithholdingWords),
    (decided_at, look_again): (Moment, Day),
    today: Day,
) -> v1::Withholding {
    let (nhs_number, local_key) = match subject {
        Subject::Nhs(number) => (number.digits(), String::new()),
        Subject::Local(_, key) => (String::new(), key.as_str().to_owned()),
    };
    v1::Withholding {
        nhs_number,
        local_key,
        carried_over,
        reason: words::withholding_reason(reason).into(),
        words: said.as_str().to_owned(),
        decided_at: Some(time::timestamp(decided_at)),
        look_again: Some(time::date(look_again)),
        overdue: withholding::is_overdue(look_again, today),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller() -> Option<v1::Caller> {
        Some(v1::Caller {
            user_id: "m1".into(),
            user_name: "A Manager".into(),
            user_role: "Service manager".into(),
            purpose: v1::Purpose::RecordKeeping.into(),
            organisation: "E06000001".into(),
            role_code: "R8000".into(),
        })
    }

    fn number() -> String {
        kith_domain::NhsNumber::from_first_nine(999_000_001).unwrap().digits()
    }

    fn good() -> v1::DecideWithholdingRequest {
        v1::DecideWithholdingRequest {
            caller: caller(),
            nhs_number: number(),
            reason: v1::WithholdingReason::HarmToChild.into(),
            words: "the father looks for her".into(),
            look_again: Some(v1::Date { year: 2026, month: 12, day: 24 }),
            event_id: Uuid::from_u128(1).to_string(),
            local_key: String::new(),
        }
    }

    #[test]
    fn a_decision_needs_a_reason_of_the_list_words_and_a_date() {
        let authority = LaCode::parse("E06000001").unwrap();
        let decided = decide(good()).unwrap().of(authority);
        assert_eq!((decided.authority, decided.reason), (authority, WithholdingReason::HarmToChild));
        assert_eq!(
            (decided.words.as_str(), decided.look_again.text()),
            ("the father looks for her", "2026-12-24".into())
        );
        let of = |change: &dyn Fn(&mut v1::DecideWithholdingRequest)| {
            let mut request = good();
            change(&mut request);
            let found = decide(request).expect_err("a request at fault");
            found.0.into_iter().map(|fault| (fault.field, fault.reason)).collect::<Vec<_>>()
        };
        let one = |field: &str, reason| vec![(field.to_owned(), reason)];
        for unknown in [0, 5, -1] {
            assert_eq!(of(&|request| request.reason = unknown), one("reason", "UNKNOWN_WITHHOLDING_REASON"));
        }
        for words in ["", "   ", "\u{200b}", &"x".repeat(501)] {
            assert_eq!(of(&|request| request.words = words.to_owned()), one("words", "BAD_TEXT"), "{words:?}");
        }
        assert_eq!(of(&|request| request.look_again = None), one("look_again", "MISSING"));
        let no_day = Some(v1::Date { year: 2026, month: 2, day: 30 });
        assert_eq!(of(&|request| request.look_again = no_day), one("look_again", "BAD_DATE"));
        assert_eq!(of(&|request| request.nhs_number = "1".into()), one("nhs_number", "NHS_NUMBER_LENGTH"));
        assert_eq!(of(&|request| request.caller = None), one("caller", "MISSING"));
    }

    #[test]
    fn a_child_is_named_by_a_number_or_by_the_callers_own_key() {
        let authority = LaCode::parse("E06000001").unwrap();
        let keyed = |nhs_number: String, local_key: &str| {
            let local_key = local_key.to_owned();
            decide(v1::DecideWithholdingRequest { nhs_number, local_key, ..good() })
        };
        let subject = keyed(String::new(), "newborn-1").unwrap().of(authority).subject;
        let Subject::Local(organisation, key) = &subject else { panic!("{subject:?}") };
        assert_eq!((organisation.as_str(), key.as_str()), (authority.as_str(), "newborn-1"));
        let (nhs_number, event_id) = (String::new(), Uuid::from_u128(1).to_string());
        let lifted = lift(v1::LiftWithholdingRequest {
            caller: caller(),
            nhs_number,
            event_id,
            local_key: "newborn-1".to_owned(),
        });
        assert_eq!(lifted.unwrap().of(authority).subject, subject, "what is decided under a key is lifted under it");
        let said = WithholdingWords::parse("W").unwrap();
        let (today, why) = (Day::parse("2026-11-26").unwrap(), (WithholdingReason::CourtOrder, &said));
        let shown = wire((&subject, true), why, (Moment(0), today), today);
        assert_eq!((shown.nhs_number.as_str(), shown.local_key.as_str()), ("", "newborn-1"));
        assert!(shown.carried_over);
        let reason = |nhs_number, key: &str| keyed(nhs_number, key).expect_err("a request at fault").0[0].reason;
        assert_eq!(reason(number(), "newborn-1"), "BAD_LOCAL_KEY", "one of the two");
        assert_eq!(reason(String::new(), &"x".repeat(65)), "BAD_LOCAL_KEY");
        assert_eq!(reason(String::new(), ""), "NHS_NUMBER_LENGTH");
    }

    #[test]
    fn nothing_that_was_typed_is_shown() {
        let shown = format!("{:?} {:?}", decide(good()).unwrap(), good());
        assert!(!shown.contains("father") && !shown.contains(&number()), "{shown}");
    }

    #[test]
    fn a_decision_that_stands_says_when_it_is_overdue() {
        let (today, at) = (Day::parse("2026-11-26").unwrap(), Moment(1_795_359_600_000));
        let subject = Subject::Nhs(kith_domain::NhsNumber::parse(&number()).unwrap());
        let said = WithholdingWords::parse("W").unwrap();
        for (days, overdue) in [(-1, true), (0, false), (1, false)] {
            let why = (WithholdingReason::CourtOrder, &said);
            let shown = wire((&subject, false), why, (at, today.plus_days(days)), today);
            assert_eq!((shown.overdue, shown.nhs_number), (overdue, number()), "{days}");
        }
    }
}
