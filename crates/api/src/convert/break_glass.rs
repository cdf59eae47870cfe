//! Openings of shielded records, and what becomes of them.

use super::fault::Faults;
use super::lookup::{self, ParsedLookup};
use super::{caller, time, words};
use crate::v1;
use kith_domain::caller::{Caller, Role};
use kith_domain::codes::OdsCode;
use kith_domain::directory::Directory;
use kith_domain::opening::{OpeningReason, ReviewOutcome};
use kith_domain::text::OpeningWords;
use kith_domain::time::Moment;
use uuid::Uuid;

/// A question that opens, with the reason why.
#[derive(Debug, Clone)]
pub struct ParsedOpening {
    /// The question.
    pub lookup: ParsedLookup,
    /// Why.
    pub reason: OpeningReason,
    /// Why, in the opener's words.
    pub words: OpeningWords,
}

/// Takes a question that opens apart. A local key is `organisation`'s own.
///
/// # Errors
/// Every fault found.
pub fn open(request: v1::OpenShieldedRequest, organisation: OdsCode, now: Moment) -> Result<ParsedOpening, Faults> {
    let v1::OpenShieldedRequest { lookup, reason, words: said, review_accepted } = request;
    let mut faults = Faults::default();
    let lookup = faults.need("lookup", lookup);
    let lookup = lookup.and_then(|lookup| lookup::parse_into(&mut faults, "lookup.", lookup, organisation, now));
    let reason = words::parse_opening_reason(&mut faults, "reason", reason);
    let said = faults.take("words", "BAD_TEXT", OpeningWords::parse(&said));
    if !review_accepted {
        faults.add(
            "review_accepted",
            "REVIEW_NOT_ACCEPTED",
            "the person has to be told beforehand that every opening is reviewed, and to go on all the same",
        );
    }
    if let Some(lookup) = &lookup {
        faults.keep(Some(&lookup.caller));
        faults.keep_about(Some(&lookup.question.subject), Some(lookup.request_id));
        faults.keep_mother(lookup.question.mother);
    }
    let parsed = lookup.zip(reason).zip(said);
    faults.finish(parsed.map(|((lookup, reason), words)| ParsedOpening { lookup, reason, words }))
}

/// A review as it is sent.
#[derive(Debug, Clone)]
pub struct ParsedReview {
    /// Who reviews.
    pub caller: Caller,
    /// The event's id.
    pub event_id: Uuid,
    /// Which opening.
    pub reference: Uuid,
    /// What was found.
    pub outcome: ReviewOutcome,
}

/// Takes a review apart.
///
/// # Errors
/// Every fault found.
pub fn review(request: v1::ReviewOpeningRequest) -> Result<ParsedReview, Faults> {
    let v1::ReviewOpeningRequest { caller, reference, outcome, event_id } = request;
    let mut faults = Faults::default();
    let caller = caller::parse(&mut faults, "caller", caller);
    let reference = time::uuid(&mut faults, "reference", &reference);
    let outcome = words::parse_review_outcome(&mut faults, "outcome", outcome);
    let event_id = time::uuid(&mut faults, "event_id", &event_id);
    faults.keep(caller.as_ref());
    faults.keep_about(None, event_id);
    faults.finish(
        caller
            .zip(reference)
            .zip(outcome)
            .zip(event_id)
            .map(|(((caller, reference), outcome), event_id)| ParsedReview { caller, event_id, reference, outcome }),
    )
}

/// Where a page of openings begins: after one of them.
pub type Position = (Moment, Uuid);

/// Reads where a page begins; none for the first.
///
/// # Errors
/// The fault of a token that is none.
pub fn position(token: &str) -> Result<Option<Position>, Faults> {
    if token.is_empty() {
        return Ok(None);
    }
    let parts = token.split_once('.').and_then(|(at, id)| Some((at.parse::<i64>().ok()?, Uuid::try_parse(id).ok()?)));
    let mut faults = Faults::default();
    let read = faults.take("page_token", "BAD_PAGE_TOKEN", parts.ok_or("not a page token"));
    faults.finish(read.map(|(at, id)| Some((Moment(at), id))))
}

/// Where a page begins, as a token.
#[must_use]
pub fn token((Moment(at), reference): Position) -> String {
    format!("{at}.{reference}")
}

/// An opening that nobody has reviewed, on the wire; one without an organisation names none.
#[must_use]
pub fn wire(
    (at, reference): Position,
    (organisation, role): (Option<OdsCode>, Role),
    reason: OpeningReason,
    directory: &Directory,
) -> v1::Opening {
    v1::Opening {
        reference: reference.to_string(),
        at: Some(time::timestamp(at)),
        organisation: organisation.map(|code| code.to_string()).unwrap_or_default(),
        organisation_name: organisation.map(|code| directory.organisation_name(code)).unwrap_or_default(),
        role: role.word().to_owned(),
        reason: words::opening_reason(reason).into(),
    }
}

/// That a record was opened, on the wire.
#[must_use]
pub fn opened(reference: Uuid) -> v1::OpenedRecord {
    v1::OpenedRecord { reference: reference.to_string(), words: kith_domain::words::OPENED.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment(1_795_359_600_000);

    fn organisation() -> OdsCode {
        OdsCode::parse("R1H").unwrap()
    }

    fn good() -> v1::OpenShieldedRequest {
        let caller = v1::Caller {
            user_id: "s1".into(),
            user_name: "A Lead".into(),
            user_role: "Safeguarding lead".into(),
            purpose: v1::Purpose::ChildProtectionEnquiry.into(),
            organisation: "R1H".into(),
            role_code: "R8000".into(),
        };
        let number = kith_domain::NhsNumber::from_first_nine(999_000_001).unwrap().digits();
        let lookup = v1::LookupRequest {
            caller: Some(caller),
            subject: Some(v1::Subject { subject: Some(v1::subject::Subject::NhsNumber(number)) }),
            request_id: Uuid::from_u128(1).to_string(),
            ..v1::LookupRequest::default()
        };
        v1::OpenShieldedRequest {
            lookup: Some(lookup),
            reason: v1::OpeningReason::MissingChild.into(),
            words: "seen at the station".into(),
            review_accepted: true,
        }
    }

    /// Field and reason of each fault.
    fn faults(request: v1::OpenShieldedRequest) -> Vec<(String, &'static str)> {
        let found = open(request, organisation(), NOW).expect_err("a request at fault");
        found.0.into_iter().map(|fault| (fault.field, fault.reason)).collect()
    }

    #[test]
    fn a_reason_of_the_list_and_words_are_needed_and_the_person_must_know_of_the_review() {
        let parsed = open(good(), organisation(), NOW).unwrap();
        assert_eq!((parsed.reason, parsed.words.as_str()), (OpeningReason::MissingChild, "seen at the station"));
        let of = |change: &dyn Fn(&mut v1::OpenShieldedRequest)| {
            let mut request = good();
            change(&mut request);
            faults(request)
        };
        let one = |field: &str, reason| vec![(field.to_owned(), reason)];
        for unknown in [0, 5, -1] {
            assert_eq!(of(&|request| request.reason = unknown), one("reason", "UNKNOWN_OPENING_REASON"));
        }
        for words in ["", "   ", "\u{200b}", &"x".repeat(501)] {
            assert_eq!(of(&|request| request.words = words.to_owned()), one("words", "BAD_TEXT"), "{words:?}");
        }
        assert_eq!(of(&|request| request.review_accepted = false), one("review_accepted", "REVIEW_NOT_ACCEPTED"));
        assert_eq!(of(&|request| request.lookup = None), one("lookup", "MISSING"));
        let nobody = of(&|request| request.lookup.as_mut().unwrap().caller = None);
        assert_eq!(nobody, one("lookup.caller", "MISSING"));
        assert_eq!(faults(v1::OpenShieldedRequest::default()).len(), 4, "every fault is told");
    }

    #[test]
    fn a_request_at_fault_keeps_who_sent_it_where_that_can_be_read() {
        let sent_by = |change: &dyn Fn(&mut v1::OpenShieldedRequest)| {
            let mut request = good();
            change(&mut request);
            let faults = open(request, organisation(), NOW).expect_err("a request at fault");
            faults.caller().map(|caller| caller.user_id.as_str().to_owned())
        };
        let lookup = |request: &mut v1::OpenShieldedRequest| request.lookup.take().unwrap();
        assert_eq!(sent_by(&|request| request.words.clear()).as_deref(), Some("s1"));
        let no_subject = |request: &mut v1::OpenShieldedRequest| {
            request.lookup = Some(v1::LookupRequest { subject: None, ..lookup(request) });
        };
        assert_eq!(sent_by(&no_subject).as_deref(), Some("s1"), "whatever is at fault");
        let nobody = |request: &mut v1::OpenShieldedRequest| {
            request.lookup = Some(v1::LookupRequest { caller: None, ..lookup(request) });
        };
        assert_eq!(sent_by(&nobody), None);
    }

    #[test]
    fn a_request_at_fault_keeps_whom_it_is_about_and_its_id() {
        let refused = v1::OpenShieldedRequest { review_accepted: false, ..good() };
        let asked = good().lookup.unwrap();
        let faults = open(refused, organisation(), NOW).expect_err("a request at fault");
        let (subject, id) = faults.about();
        assert!(matches!(subject, Some(kith_domain::child::Subject::Nhs(_))));
        assert_eq!(id.map(|id| id.to_string()), Some(asked.request_id));
        assert_eq!(faults.mother(), None);
        let mother = kith_domain::NhsNumber::from_first_nine(999_000_002).unwrap();
        let mother_nhs_number = Some(mother.digits());
        let no_id = v1::LookupRequest { request_id: "none".into(), mother_nhs_number, ..good().lookup.unwrap() };
        let faults = open(v1::OpenShieldedRequest { lookup: Some(no_id), ..good() }, organisation(), NOW)
            .expect_err("a request at fault");
        let (subject, id) = faults.about();
        assert!(subject.is_some() && id.is_none(), "what can be read of it");
        assert_eq!(faults.mother(), Some(mother), "a baby is where she is");
    }

    #[test]
    fn an_unknown_outcome_of_a_review_is_none() {
        let request = v1::ReviewOpeningRequest {
            caller: good().lookup.unwrap().caller,
            reference: Uuid::from_u128(1).to_string(),
            outcome: v1::ReviewOutcome::NotJustified.into(),
            event_id: Uuid::from_u128(2).to_string(),
        };
        assert_eq!(review(request.clone()).unwrap().outcome, ReviewOutcome::NotJustified);
        for outcome in [0, 4] {
            let found = review(v1::ReviewOpeningRequest { outcome, ..request.clone() }).unwrap_err();
            assert_eq!(found.0[0].reason, "UNKNOWN_REVIEW_OUTCOME");
        }
    }

    #[test]
    fn a_page_token_reads_back_and_any_other_text_is_refused() {
        let place = (Moment(-7), Uuid::from_u128(9));
        assert_eq!(position(&token(place)), Ok(Some(place)));
        assert_eq!(position(""), Ok(None));
        for text in ["7", "x.y", "7.", ".00000000-0000-0000-0000-000000000009", "1.2.3"] {
            assert_eq!(position(text).unwrap_err().0[0].reason, "BAD_PAGE_TOKEN", "{text}");
        }
    }
}
