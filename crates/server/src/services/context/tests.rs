//! What a caller hears of a change that is in the change log and whose entry the audit did not take, and whether the log for people is
//! told of all such calls.

use std::time::Duration;

use kith_domain::change::FilePositionReset;
use kith_engine::{AuditError, Became, CHANGED_TOGETHER, ChangedOne};

use super::*;
use crate::services::testing::{self, Place, StandingClock, caller, reason};

fn sender(event_id: Uuid) -> Sender {
    Sender::of_event(testing::call(Method::ResetFilePosition), caller(), event_id)
}

fn one(refused: Option<&str>) -> ChangedOne {
    let became = refused.map_or(Became::Applied, Became::refused);
    ChangedOne { subject: None, event_id: Some(Uuid::from_u128(7)), became, shielded: false, not_there: None }
}

async fn told(place: &Place, each: &[ChangedOne]) -> Result<(), String> {
    let call = testing::call(Method::SubmitEvents);
    let told = place.engine.audit_each(now(), call, Some(&caller()), each.to_vec()).await;
    told.map_err(|error| reason(&untaken(&place.engine, error)))
}

#[tokio::test]
async fn a_change_that_was_made_and_whose_entry_fails_is_kept_and_not_told_as_refused() {
    let place = Place::new();
    let (event_id, permit) = (Uuid::from_u128(7), testing::permit(Method::SubmitPlanFile));
    let reset = FilePositionReset { authority: testing::authority(), event_id, next: 9 };
    let verdict = place.engine.reset_files(&permit, now(), reset).await;
    assert!(verdict.is_ok(), "{verdict:?}");
    place.fail();
    let status = one_changed(&place.engine, sender(event_id), verdict).await.unwrap_err();
    assert_eq!(reason(&status), "CHANGE_NOT_AUDITED");
    assert!(place.engine.has_untold(), "it is told once the audit takes entries");
}

#[tokio::test]
async fn a_change_that_was_refused_and_whose_entry_fails_is_no_change_that_stands() {
    let place = Place::new();
    place.fail();
    let status = one_changed(&place.engine, sender(Uuid::from_u128(7)), Err(Refused::STORAGE)).await.unwrap_err();
    assert_eq!(reason(&status), "AUDIT_UNAVAILABLE");
    assert!(!place.engine.has_untold());
}

/// They are more than one entry, and the first one that fails is about refused ones alone.
#[tokio::test]
async fn whoever_sent_many_of_which_one_stands_never_hears_that_nothing_was_changed() {
    let place = Place::new();
    let refused = vec![one(Some("ADULT")); CHANGED_TOGETHER];
    let stands = [refused.clone(), vec![one(None)]].concat();
    assert_eq!(told(&place, &stands).await, Ok(()));
    place.fail();
    assert_eq!(told(&place, &stands).await, Err("CHANGE_NOT_AUDITED".to_owned()));
    let stands_first = [vec![one(None)], refused.clone()].concat();
    assert_eq!(told(&place, &stands_first).await, Err("CHANGE_NOT_AUDITED".to_owned()));
    assert_eq!(told(&place, &[refused.clone(), refused].concat()).await, Err("AUDIT_UNAVAILABLE".to_owned()));
}

/// Their statuses are as ever. The engine's clock stands, and the services' goes on when there is nothing else to do.
#[tokio::test(start_paused = true)]
async fn the_log_is_told_of_every_call_that_the_audit_did_not_take_though_no_more_come() {
    let clock = Arc::<StandingClock>::default();
    let place = Place::with_clock(clock.clone());
    let fail = || {
        for _ in 0..3 {
            let (no_answer, stands) = (errors::audit(&place.engine), errors::untold(&place.engine));
            assert_eq!(reason(&no_answer(AuditError::TooLate)), "AUDIT_UNAVAILABLE");
            assert_eq!(reason(&stands(AuditError::TooLate)), "CHANGE_NOT_AUDITED");
        }
    };
    fail();
    clock.advance_ms(1_000);
    assert_eq!(place.engine.log_unaudited_rest(), 4, "all but the first of either");
    let (_services, _stop) = testing::services(&place);
    fail();
    clock.advance_ms(1_000);
    tokio::time::sleep(Duration::from_secs(2)).await;
    clock.advance_ms(1_000);
    assert_eq!(place.engine.log_unaudited_rest(), 0, "the services see to it by themselves");
}
