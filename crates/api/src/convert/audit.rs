//! Requests to read the audit.

use super::fault::Faults;
use super::{subject, time};
use crate::v1;
use kith_domain::audit_query::AuditQuery;
use kith_domain::codes::OdsCode;
use kith_domain::text::{LocalKey, UserId};
use kith_domain::time::Moment;
use prost_types::Timestamp;

/// Entries in a page when the caller names no number.
const DEFAULT_PAGE: u32 = 100;
/// Most entries in a page: each has some hundred bytes.
const MAX_PAGE: u32 = 500;

/// What a search is for, but for the reference, the page and its token: those are the service's own words.
pub fn search(faults: &mut Faults, request: &v1::SearchRequest) -> AuditQuery {
    let v1::SearchRequest {
        nhs_number,
        person_id,
        organisation,
        from,
        until,
        audit_reference: _,
        page_size: _,
        page_token: _,
        local_key,
    } = request;
    let given = |text: &str| !text.is_empty();
    let child = given(nhs_number).then(|| subject::number(faults, "nhs_number", nhs_number)).flatten();
    if given(nhs_number) && local_key.is_some() {
        faults.add("local_key", "SUBJECT_MISMATCH", "a child is asked for by number or by local key, not by both");
    }
    let local_key = local_key.as_ref().and_then(|key| own_key(faults, key));
    let person = given(person_id).then(|| faults.take("person_id", "BAD_TEXT", UserId::parse(person_id))).flatten();
    let code = given(organisation).then(|| faults.take("organisation", "BAD_CODE", OdsCode::parse(organisation)));
    let (from, until) = range(faults, *from, *until);
    AuditQuery { child, local_key, person, organisation: code.flatten(), from, until, entry: None, lookups: false }
}

/// A local key, and whose it is.
fn own_key(faults: &mut Faults, key: &v1::LocalKey) -> Option<(OdsCode, LocalKey)> {
    let v1::LocalKey { organisation, key } = key;
    let organisation = faults.take("local_key.organisation", "BAD_CODE", OdsCode::parse(organisation));
    let key = faults.take("local_key.key", "BAD_LOCAL_KEY", LocalKey::parse(key));
    organisation.zip(key)
}

/// Who looked up a child.
pub fn who_looked(faults: &mut Faults, request: &v1::WhoLookedRequest) -> AuditQuery {
    let v1::WhoLookedRequest { nhs_number, from, until, page_size: _, page_token: _ } = request;
    let child = subject::number(faults, "nhs_number", nhs_number);
    let (from, until) = range(faults, *from, *until);
    AuditQuery { child, from, until, lookups: true, ..AuditQuery::default() }
}

fn range(faults: &mut Faults, from: Option<Timestamp>, until: Option<Timestamp>) -> (Option<Moment>, Option<Moment>) {
    let from = from.and_then(|stamp| time::moment(faults, "from", Some(stamp)));
    let until = until.and_then(|stamp| time::moment(faults, "until", Some(stamp)));
    if from.zip(until).is_some_and(|(from, until)| until <= from) {
        faults.add("until", "RANGE_EMPTY", "the range ends where it begins, or before");
    }
    (from, until)
}

/// How many entries a page has.
pub fn page_size(faults: &mut Faults, size: u32) -> usize {
    if size > MAX_PAGE {
        faults.add("page_size", "PAGE_TOO_LARGE", format!("a page has at most {MAX_PAGE} entries"));
    }
    if size == 0 { DEFAULT_PAGE as usize } else { size as usize }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp { seconds, nanos: 0 })
    }

    fn reasons(request: &v1::SearchRequest) -> Vec<&'static str> {
        let mut faults = Faults::default();
        let _query = search(&mut faults, request);
        faults.0.iter().map(|fault| fault.reason).collect()
    }

    #[test]
    fn what_is_not_given_is_not_asked_for() {
        let mut faults = Faults::default();
        assert_eq!(search(&mut faults, &v1::SearchRequest::default()), AuditQuery::default());
        let request = v1::SearchRequest {
            nhs_number: "999 000 0018".into(),
            person_id: "u1".into(),
            organisation: "R1H".into(),
            from: at(1),
            until: at(2),
            ..v1::SearchRequest::default()
        };
        let query = search(&mut faults, &request);
        assert!(query.child.is_some() && query.person.is_some() && query.organisation.is_some() && !query.lookups);
        assert_eq!((query.from, query.until), (Some(Moment(1_000)), Some(Moment(2_000))));
        assert_eq!(faults, Faults::default());
    }

    #[test]
    fn a_child_is_asked_for_by_number_or_by_a_key_with_its_organisation() {
        let key = |organisation: &str, key: &str| v1::SearchRequest {
            local_key: Some(v1::LocalKey { organisation: organisation.into(), key: key.into() }),
            ..v1::SearchRequest::default()
        };
        let mut faults = Faults::default();
        let query = search(&mut faults, &key("R1H", "A-1"));
        let expected = (OdsCode::parse("R1H").unwrap(), LocalKey::parse("A-1").unwrap());
        assert_eq!((query.local_key, query.child, faults), (Some(expected), None, Faults::default()));
        assert_eq!(reasons(&key("", "")), ["BAD_CODE", "BAD_LOCAL_KEY"]);
        let both = v1::SearchRequest { nhs_number: "9990000018".into(), ..key("R1H", "A-1") };
        assert_eq!(reasons(&both), ["SUBJECT_MISMATCH"]);
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let bad = v1::SearchRequest {
            nhs_number: "9990000019".into(),
            person_id: "x".repeat(65),
            organisation: "r1h".into(),
            from: at(2),
            until: at(2),
            ..v1::SearchRequest::default()
        };
        assert_eq!(reasons(&bad), ["NHS_NUMBER_CHECK_DIGIT", "BAD_TEXT", "BAD_CODE", "RANGE_EMPTY"]);
        assert_eq!(reasons(&v1::SearchRequest { from: at(i64::MAX), ..Default::default() }), ["BAD_TIMESTAMP"]);
        let mut faults = Faults::default();
        assert!(who_looked(&mut faults, &v1::WhoLookedRequest::default()).lookups);
        assert_eq!(faults.0[0].reason, "NHS_NUMBER_LENGTH", "a child is asked for");
    }

    #[test]
    fn pages() {
        let mut faults = Faults::default();
        assert_eq!([0, 1, 500].map(|size| page_size(&mut faults, size)), [100, 1, 500]);
        assert_eq!(faults, Faults::default());
        page_size(&mut faults, 501);
        assert_eq!(faults.0[0].reason, "PAGE_TOO_LARGE");
    }
}
