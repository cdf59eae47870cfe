//! An import: what its sender hears and what the audit holds of it where it ends before its end, and what tells that a feed is alive.

use kith_api::convert::time::timestamp;
use kith_domain::NhsNumber;
use kith_domain::caller::Role;
use kith_domain::codes::OdsCode;
use kith_domain::proof::PersonProof;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, yield_now};
use tokio_stream::wrappers::ReceiverStream;

use super::*;
use crate::person_tokens;
use crate::services::testing::{self, Place, TRUST, reason};

struct Running {
    rows: mpsc::Sender<Result<v1::ImportRequest, Status>>,
    importing: JoinHandle<Result<v1::ImportResponse, Status>>,
    /// Whoever waits for the verdict.
    _open: oneshot::Sender<()>,
}

/// Begins an import of a trust.
fn begin_import(place: &Place, services: &Services) -> Running {
    let peer = Peer { organisation: OdsCode::parse(TRUST).expect("a code"), role: Role::Ed };
    let call = Call { peer, method: Method::Import, trace: None, person: PersonProof::NotAsked };
    let import = Import {
        engine: Arc::clone(&place.engine),
        call,
        named: None,
        sender: None,
        verdict: v1::ImportResponse::default(),
        refusals: feeds::Refusals::default(),
    };
    let (rows, stream) = mpsc::channel(1);
    let (open, gone) = oneshot::channel();
    let held = services.begin_stream(call).expect("a place");
    let importing = tokio::spawn(import.run(ReceiverStream::new(stream), services.clone(), gone, held));
    Running { rows, importing, _open: open }
}

/// A child who came an hour ago.
fn row(child: u32) -> v1::ImportRequest {
    let number = (999_000_000 + 20 * child..).find_map(NhsNumber::from_first_nine).expect("one of a few is valid");
    v1::ImportRequest {
        caller: Some(v1::Caller {
            user_id: "u1".to_owned(),
            user_name: "A Clerk".to_owned(),
            user_role: "Clerk".to_owned(),
            purpose: v1::Purpose::RecordKeeping.into(),
            organisation: TRUST.to_owned(),
            role_code: "R8000".to_owned(),
        }),
        event_id: Uuid::new_v4().to_string(),
        subject: Some(v1::Subject { subject: Some(v1::subject::Subject::NhsNumber(number.digits())) }),
        date_of_birth: None,
        presentation: Some(v1::PresentationDetails {
            encounter_id: format!("E{child}"),
            version: 1,
            site: format!("{TRUST}01"),
            arrived_at: Some(timestamp(Moment(now().0 - 3_600_000))),
            care_setting: v1::CareSetting::EmergencyDepartment.into(),
            complaint: v1::ComplaintGroup::Injury.into(),
        }),
        outcome: v1::PresentationOutcome::Unspecified.into(),
        outcome_at: None,
    }
}

/// How an import ended that was not to come to its end.
async fn end_of(importing: JoinHandle<Result<v1::ImportResponse, Status>>) -> Status {
    importing.await.expect("it ends").expect_err("it has no verdict")
}

/// Each import takes a row; then it is refused, or breaks, or the server stops.
#[tokio::test]
async fn an_import_that_ends_behind_a_row_is_told_that_the_row_may_stand_and_of_no_rest() {
    for expected in ["MESSAGE_TOO_LARGE", "ROLE_NOT_ALLOWED", "DRAINING"] {
        let place = Place::new();
        let (services, stop) = testing::services(&place);
        let before = testing::last(&place.engine);
        let Running { rows, importing, _open } = begin_import(&place, &services);
        rows.send(Ok(row(1))).await.expect("it is read");
        while testing::last(&place.engine) == before {
            yield_now().await;
        }
        match expected {
            "MESSAGE_TOO_LARGE" => {
                rows.send(Err(Status::out_of_range("more than may be"))).await.expect("it is read");
            }
            "ROLE_NOT_ALLOWED" => {
                place.engine.set_policy(Arc::new(testing::grants_nothing_to_senders()));
                rows.send(Ok(row(2))).await.expect("it is read");
            }
            _ => stop.drain(),
        }
        let end = end_of(importing).await;
        assert_eq!(reason(&end), expected);
        let said = end.message();
        assert!(said.contains("what was sent may stand"), "{said}");
        assert!(!["nothing was", "acknowledged", "the rest"].iter().any(|words| said.contains(words)), "{said}");
        assert!(kith_api::client::Trouble::from(&end).may_stand, "a program reads no words");
    }
}

#[tokio::test]
async fn an_import_that_breaks_before_its_first_row_is_told_that_nothing_was_changed() {
    let place = Place::new();
    let (services, _stop) = testing::services(&place);
    let Running { rows, importing, _open } = begin_import(&place, &services);
    rows.send(Err(Status::out_of_range("more than may be"))).await.expect("it is read");
    let end = end_of(importing).await;
    assert!(end.message().starts_with("nothing was asked or changed"), "{}", end.message());
    assert!(!kith_api::client::Trouble::from(&end).may_stand);
}

/// It begins without a token, as it may, and the list of who needs one is another by its first row.
#[tokio::test]
async fn an_import_that_is_refused_before_a_row_was_taken_is_one_entry() {
    let place = Place::new();
    let tokens = person_tokens::needed_by_one_trust();
    let (services, _stop) = testing::services_with(&place, crate::config::Limits::default(), tokens);
    let before = testing::last(&place.engine);
    let Running { rows, importing, _open } = begin_import(&place, &services);
    rows.send(Ok(row(1))).await.expect("it is read");
    assert_eq!(reason(&end_of(importing).await), "PERSON_TOKEN_MISSING");
    assert_eq!(testing::last(&place.engine), before + 1, "nothing is told beside the refusal");
}

#[test]
fn an_import_whose_rows_all_fail_is_no_sign_of_life() {
    let verdict = |processed, accepted| v1::ImportResponse {
        processed,
        accepted,
        rejected: processed - accepted,
        ..Default::default()
    };
    assert!(!is_sign_of_life(&verdict(3, 0)));
    assert!(is_sign_of_life(&verdict(3, 1)));
    assert!(is_sign_of_life(&verdict(0, 0)));
}

#[test]
fn a_refusal_names_the_field_by_its_path() {
    let site = Refused::invalid("site", "UNKNOWN_SITE", "w");
    assert_eq!(placed(site, true).field, "presentation.site");
    assert_eq!(placed(Refused::VERSION_REUSED, true).field, "presentation.version");
    assert_eq!(placed(Refused::VERSION_REUSED, false).field, "version");
    assert_eq!(placed(Refused::SUBJECT_MISMATCH, true).field, "subject");
}
