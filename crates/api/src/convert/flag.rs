//! Flags, their reviews and their rates.

use super::fault::Faults;
use super::{caller, time};
use crate::v1;
use kith_domain::caller::Caller;
use kith_domain::codes::OdsCode;
use kith_domain::flag::{FlagKind, FlagOutcome, FlagReviewed};
use kith_domain::time::Day;

/// Most days that rates are asked for at once: for so long they are kept by default.
const MOST_DAYS: i32 = 400;

/// Takes a review apart. The organisation is the certificate's; whose flags may be reviewed is not the message's to say.
///
/// # Errors
/// Every fault found.
pub fn review(request: v1::ReviewFlagRequest, organisation: OdsCode) -> Result<(Caller, FlagReviewed), Faults> {
    let v1::ReviewFlagRequest { caller, id, outcome, event_id } = request;
    let mut faults = Faults::default();
    let caller = caller::parse(&mut faults, "caller", caller);
    let event_id = time::uuid(&mut faults, "event_id", &event_id);
    if id == 0 {
        faults.add("id", "FLAG_UNKNOWN", "the id of a flag is needed");
    }
    let outcome = match v1::FlagOutcome::try_from(outcome) {
        Ok(v1::FlagOutcome::Explained) => Some(FlagOutcome::Explained),
        Ok(v1::FlagOutcome::TakenFurther) => Some(FlagOutcome::TakenFurther),
        Ok(v1::FlagOutcome::Unspecified) | Err(_) => {
            faults.add("outcome", "UNKNOWN_OUTCOME", "an outcome of the list is needed");
            None
        }
    };
    faults.keep(caller.as_ref());
    faults.keep_about(None, event_id);
    let told = caller.zip(event_id).zip(outcome);
    faults.finish(told.map(|((caller, event_id), outcome)| {
        let user_id = caller.user_id.clone();
        (caller, FlagReviewed { organisation, event_id, user_id, only_of: Some(organisation), id, outcome })
    }))
}

/// Takes the days apart for which rates are asked.
///
/// # Errors
/// Every fault found.
pub fn rates(request: v1::GetFlagRatesRequest) -> Result<(Caller, (Day, Day)), Faults> {
    let v1::GetFlagRatesRequest { caller, first, last } = request;
    let mut faults = Faults::default();
    let caller = caller::parse(&mut faults, "caller", caller);
    let first = faults.need("first", first).and_then(|date| time::day(&mut faults, "first", Some(date)));
    let last = faults.need("last", last).and_then(|date| time::day(&mut faults, "last", Some(date)));
    if let Some((first, last)) = first.zip(last)
        && (last < first || last > first.plus_days(MOST_DAYS))
    {
        faults.add("last", "BAD_DATE", format!("a day from the first on, at most {MOST_DAYS} days later, is needed"));
    }
    faults.keep(caller.as_ref());
    faults.finish(caller.zip(first.zip(last)))
}

/// A kind on the wire.
#[must_use]
pub fn kind(kind: FlagKind) -> v1::FlagKind {
    match kind {
        FlagKind::Volume => v1::FlagKind::Volume,
        FlagKind::NumberWalk => v1::FlagKind::NumberWalk,
        FlagKind::FewHeld => v1::FlagKind::FewHeld,
        FlagKind::SameChild => v1::FlagKind::SameChild,
        FlagKind::NoPresentation => v1::FlagKind::NoPresentation,
    }
}

/// An outcome on the wire.
#[must_use]
pub fn outcome(outcome: FlagOutcome) -> v1::FlagOutcome {
    match outcome {
        FlagOutcome::Explained => v1::FlagOutcome::Explained,
        FlagOutcome::TakenFurther => v1::FlagOutcome::TakenFurther,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller() -> Option<v1::Caller> {
        Some(v1::Caller {
            user_id: "u".into(),
            user_name: "A Lead".into(),
            user_role: "Safeguarding lead".into(),
            purpose: v1::Purpose::SafeguardingReview.into(),
            organisation: "R1H".into(),
            role_code: "R8000".into(),
        })
    }

    #[test]
    fn a_review_is_by_the_caller_and_reaches_no_other_organisation_by_what_it_says() {
        let request = v1::ReviewFlagRequest {
            caller: caller(),
            id: 9,
            outcome: v1::FlagOutcome::Explained.into(),
            event_id: "0198c7a0-0000-7000-8000-000000000001".into(),
        };
        let organisation = OdsCode::parse("R1H").unwrap();
        let (_, reviewed) = review(request.clone(), organisation).unwrap();
        assert_eq!((reviewed.user_id.as_str(), reviewed.only_of, reviewed.id), ("u", Some(organisation), 9));
        for wrong in [
            v1::ReviewFlagRequest { id: 0, ..request.clone() },
            v1::ReviewFlagRequest { outcome: 0, ..request.clone() },
            v1::ReviewFlagRequest { outcome: 99, ..request.clone() },
            v1::ReviewFlagRequest { event_id: String::new(), ..request.clone() },
            v1::ReviewFlagRequest { caller: None, ..request },
        ] {
            assert_eq!(review(wrong, organisation).unwrap_err().0.len(), 1);
        }
    }

    #[test]
    fn days_are_in_order_and_few_enough() {
        let date = |day| Some(v1::Date { year: 2026, month: 3, day });
        let asked = |first, last| rates(v1::GetFlagRatesRequest { caller: caller(), first, last });
        assert!(asked(date(1), date(1)).is_ok());
        let far = Some(v1::Date { year: 2027, month: 6, day: 1 });
        for (first, last) in [(date(2), date(1)), (date(1), far), (None, date(1)), (date(32), date(1))] {
            assert_eq!(asked(first, last).unwrap_err().0.len(), 1);
        }
    }
}
