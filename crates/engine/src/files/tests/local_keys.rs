//! Plans that begin under their authority's own key and go on under the number: the name, the shield, and the note of the key.

use super::names::*;
use super::place::*;
use kith_domain::change::{IdentityAction, PlanAction, PlanEvent};
use kith_domain::fold::Effect;
use kith_domain::plan::PlanName;
use kith_domain::plan_file::PlanRow;
use kith_domain::refused::Refused;
use kith_domain::text::PlanReference;
use uuid::Uuid;

/// The number is known the day after, and both the next event and the night's row are about it.
#[tokio::test]
async fn a_plan_begun_under_a_local_key_goes_on_under_the_number() {
    let place = Place::new();
    effect(&place, plan(key_of("E06000001"), 4, PlanAction::Start)).await.unwrap();
    let row = PlanRow { number: nhs(7), reference: Some(PlanReference::parse("P").unwrap()), ..row(7) };
    assert_eq!(reasons(&place.send(&file(1, END, vec![row]), NOW).await), [""]);
    assert_eq!(ends(&place, 7), [None]);
    assert_eq!(effect(&place, plan(subject(8), 1 << 60, PlanAction::Change)).await, Err(Refused::SUBJECT_MISMATCH));
    // Versions begin anew, and the one of the key goes on beside it.
    let place = Place::new();
    effect(&place, plan(key_of("E06000001"), 4, PlanAction::Start)).await.unwrap();
    assert_eq!(effect(&place, plan(subject(7), 1, PlanAction::Change)).await, Ok(Effect::Applied));
    assert_eq!(effect(&place, plan(subject(7), 2, PlanAction::End)).await, Ok(Effect::Applied));
    assert_eq!(effect(&place, plan(key_of("E06000001"), 5, PlanAction::End)).await, Ok(Effect::Applied));
    assert_eq!(ends(&place, 7), [Some(day("2026-11-01"))]);
}

#[tokio::test]
async fn the_shield_of_a_plan_begun_under_a_local_key_goes_with_it() {
    let place = Place::new();
    let key = || key_of("E06000001");
    effect(&place, PlanEvent { shielded: true, ..plan(key(), 4, PlanAction::Start) }).await.unwrap();
    effect(&place, plan(subject(7), 5, PlanAction::Change)).await.unwrap();
    assert!(place.record(7).unwrap().is_shielded(), "a missing flag lifts none");
    let lifted = effect(&place, PlanEvent { unshield: true, ..plan(subject(7), 6, PlanAction::Change) }).await;
    assert_eq!((lifted, place.record(7).unwrap().is_shielded()), (Ok(Effect::Applied), false));
    // Another plan under the key shields as well.
    let other = PlanReference::parse("Q").ok();
    let unshielded =
        PlanEvent { reference: other.clone(), event_id: Uuid::from_u128(1), ..plan(key(), 1, PlanAction::Start) };
    effect(&place, unshielded).await.unwrap();
    let under_number =
        PlanEvent { reference: other, event_id: Uuid::from_u128(2), ..plan(subject(8), 1, PlanAction::Start) };
    effect(&place, under_number).await.unwrap();
    assert_eq!(place.record(8).unwrap().setters(), [authority(1)]);
}

/// Neither to a child for whom the name is used after it was entered in error, nor past a number that is not valid any more.
#[tokio::test]
async fn the_shield_of_a_plan_begun_under_a_local_key_goes_to_no_other_child() {
    let place = Place::new();
    let key = || key_of("E06000001");
    effect(&place, PlanEvent { shielded: true, ..plan(key(), 1, PlanAction::Start) }).await.unwrap();
    effect(&place, plan(key(), 2, PlanAction::Withdraw)).await.unwrap();
    effect(&place, plan(subject(7), 3, PlanAction::Start)).await.unwrap();
    assert!(!place.record(7).unwrap().is_shielded());

    let place = Place::new();
    effect(&place, PlanEvent { shielded: true, ..plan(key(), 1, PlanAction::Start) }).await.unwrap();
    told(&place, key(), 1, IdentityAction::ReplacedBy(nhs(7))).await;
    told(&place, subject(7), 1, IdentityAction::Invalidated).await;
    effect(&place, plan(subject(8), 1, PlanAction::Start)).await.unwrap();
    assert!(!place.record(8).unwrap().is_shielded());
}

/// A baby's number is mistyped, the mistake withdrawn, and the plan sent with the right one: there the shield is as well. When
/// the right one, or the key's, is not valid any more, nothing is carried to another.
#[tokio::test]
async fn the_shield_of_a_plan_begun_under_a_local_key_goes_with_it_past_a_mistyped_number() {
    for invalid in [None, Some(subject(6)), Some(key_of("E06000001"))] {
        let place = Place::new();
        effect(&place, PlanEvent { shielded: true, ..plan(key_of("E06000001"), 1, PlanAction::Start) }).await.unwrap();
        effect(&place, plan(subject(6), 2, PlanAction::Start)).await.unwrap();
        effect(&place, plan(subject(6), 3, PlanAction::Withdraw)).await.unwrap();
        if let Some(subject) = invalid.clone() {
            told(&place, subject, 1, IdentityAction::Invalidated).await;
        }
        effect(&place, plan(subject(7), 4, PlanAction::Start)).await.unwrap();
        assert_eq!(place.record(7).unwrap().is_shielded(), invalid.is_none(), "{invalid:?}");
        // Once more: past a number that is not valid any more the key is forgotten.
        effect(&place, plan(subject(7), 5, PlanAction::Withdraw)).await.unwrap();
        effect(&place, plan(subject(8), 6, PlanAction::Start)).await.unwrap();
        assert_eq!(place.record(8).unwrap().is_shielded(), invalid.is_none(), "{invalid:?}");
    }
}

#[tokio::test]
async fn a_shield_that_its_setter_has_lifted_under_the_mistyped_number_does_not_come_back() {
    let place = Place::new();
    effect(&place, PlanEvent { shielded: true, ..plan(key_of("E06000001"), 1, PlanAction::Start) }).await.unwrap();
    effect(&place, plan(subject(6), 2, PlanAction::Start)).await.unwrap();
    effect(&place, PlanEvent { unshield: true, ..plan(subject(6), 3, PlanAction::Change) }).await.unwrap();
    effect(&place, plan(subject(6), 4, PlanAction::Withdraw)).await.unwrap();
    effect(&place, plan(subject(7), 5, PlanAction::Start)).await.unwrap();
    assert!(!place.record(7).unwrap().is_shielded());
}

/// What frees the child of the mistyped number says nothing of the right one: the withdrawal lifts, or a later event of
/// another plan of that child.
#[tokio::test]
async fn a_shield_that_is_lifted_to_free_the_wrong_child_goes_on_to_the_right_one() {
    for by_another in [false, true] {
        let place = Place::new();
        effect(&place, PlanEvent { shielded: true, ..plan(key_of("E06000001"), 5, PlanAction::Start) }).await.unwrap();
        effect(&place, plan(subject(6), 12, PlanAction::Start)).await.unwrap();
        let withdraw = PlanEvent { unshield: !by_another, ..plan(subject(6), 13, PlanAction::Withdraw) };
        effect(&place, withdraw).await.unwrap();
        if by_another {
            let q = PlanReference::parse("Q").ok();
            let start = PlanEvent { reference: q, unshield: true, ..plan(subject(6), 1, PlanAction::Start) };
            effect(&place, start).await.unwrap();
        }
        assert!(!place.record(6).unwrap().is_shielded(), "by another plan: {by_another}");
        effect(&place, plan(subject(7), 14, PlanAction::Start)).await.unwrap();
        assert!(place.record(7).unwrap().is_shielded(), "by another plan: {by_another}");
    }
}

/// A plan that is not shielded, beside one that is under the same key: what lifts under a number lifts, however often.
#[tokio::test]
async fn a_late_lift_shields_nobody() {
    let place = Place::new();
    let (key, q) = (|| key_of("E06000001"), PlanReference::parse("Q").ok());
    let other =
        PlanEvent { reference: q, shielded: true, event_id: Uuid::from_u128(3), ..plan(key(), 1, PlanAction::Start) };
    effect(&place, other).await.unwrap();
    effect(&place, plan(key(), 1, PlanAction::Start)).await.unwrap();
    effect(&place, plan(subject(6), 2, PlanAction::Start)).await.unwrap();
    effect(&place, plan(subject(6), 3, PlanAction::Withdraw)).await.unwrap();
    effect(&place, plan(subject(7), 4, PlanAction::Start)).await.unwrap();
    assert_eq!((place.record(6).unwrap().is_shielded(), place.record(7).unwrap().is_shielded()), (true, true));
    for version in [9, 5] {
        let lift = PlanEvent { unshield: true, ..plan(subject(6), version, PlanAction::Withdraw) };
        effect(&place, lift).await.unwrap();
        assert!(!place.record(6).unwrap().is_shielded(), "{version}");
    }
}

/// An adopted baby's key, number, or the number that stands in the place of the key: nothing stored leads past it any more.
#[tokio::test]
async fn the_note_of_a_key_goes_when_it_leads_past_what_is_not_valid_any_more() {
    for invalid in [key_of("E06000001"), subject(6), subject(9)] {
        let place = Place::new();
        let key = || key_of("E06000001");
        effect(&place, PlanEvent { shielded: true, ..plan(key(), 1, PlanAction::Start) }).await.unwrap();
        told(&place, key(), 1, IdentityAction::ReplacedBy(nhs(9))).await;
        effect(&place, plan(subject(6), 2, PlanAction::Start)).await.unwrap();
        assert!(is_key_noted(&place));
        told(&place, invalid.clone(), 2, IdentityAction::Invalidated).await;
        assert!(!is_key_noted(&place), "{invalid:?}");
    }
}

/// Whether the key is kept under which the first authority's plan "P" was begun.
fn is_key_noted(place: &Place) -> bool {
    let name = PlanName::Reference(PlanReference::parse("P").unwrap());
    let key = crate::keys::key_of_plan(&crate::keys::plan(&keys(), authority(1), &name, &subject(7)));
    place.engine.store.get(kith_store::Table::Plan, &key).unwrap().is_some()
}

/// The note of the key goes with the plan of the name, and with the one under the key.
#[tokio::test]
async fn the_note_of_a_key_goes_with_either_plan() {
    for by_key in [false, true] {
        let place = Place::new();
        let over = |subject, version| PlanEvent { subject, ..long_over(7, version) };
        effect(&place, over(key_of("E06000001"), 1)).await.unwrap();
        effect(&place, over(subject(7), 2)).await.unwrap();
        assert!(is_key_noted(&place));
        let of = if by_key { key_of("E06000001") } else { subject(7) };
        purge_of(&place, vec![of]).await;
        assert!(!is_key_noted(&place), "by the plan under the key: {by_key}");
    }
}

/// A key is an organisation's own: another's gives way to nothing.
#[tokio::test]
async fn only_the_senders_own_key_gives_way() {
    let place = Place::new();
    effect(&place, plan(key_of("E06000002"), 1, PlanAction::Start)).await.unwrap();
    assert_eq!(effect(&place, plan(subject(7), 2, PlanAction::Change)).await, Err(Refused::SUBJECT_MISMATCH));
    effect(&place, plan(subject(7), 2, PlanAction::Start)).await.unwrap_err();
    let place = Place::new();
    effect(&place, plan(subject(7), 1, PlanAction::Start)).await.unwrap();
    let back = effect(&place, plan(key_of("E06000001"), 2, PlanAction::Change)).await;
    assert_eq!(back, Err(Refused::SUBJECT_MISMATCH), "a number does not give way to a key");
}
