//! Names of plans and ids of encounters that go on under another number than the one they began with: what is refused, what
//! is shown, and that a shield goes with its plan.

use super::place::*;
use crate::Acknowledgement;
use kith_domain::change::{
    Change, IdentityAction, IdentityEvent, PlanAction, PlanEvent, PresentationAction, PresentationEvent, Purge,
};
use kith_domain::child::Subject;
use kith_domain::codes::{OdsCode, SiteCode};
use kith_domain::fold::Effect;
use kith_domain::notify::Cause;
use kith_domain::plan_file::{FileMode, PlanRow};
use kith_domain::presentation::{CareSetting, Closing, Complaint, Details, Outcome};
use kith_domain::refused::Refused;
use kith_domain::retention::Retention;
use kith_domain::text::{EncounterId, LocalKey, PlanReference};
use uuid::Uuid;

const BEGUN: &str = "2026-01-10";

pub fn subject(n: u32) -> Subject {
    Subject::Nhs(nhs(n))
}

pub async fn put(place: &Place, change: Change) -> Result<Acknowledgement, Refused> {
    place.engine.change(&permit(1), NOW, vec![change]).await.remove(0)
}

pub async fn effect(place: &Place, event: PlanEvent) -> Result<Effect, Refused> {
    put(place, Change::Plan(event)).await.map(|acknowledged| acknowledged.effect)
}

/// What the demographics service tells.
pub async fn told(place: &Place, subject: Subject, version: u64, action: IdentityAction) {
    let event = IdentityEvent {
        organisation: OdsCode::parse("X26").unwrap(),
        event_id: Uuid::new_v5(
            &Uuid::NAMESPACE_OID,
            &[crate::rows::encode(&subject).unwrap(), vec![version as u8]].concat(),
        ),
        subject,
        version,
        action,
        proposal: None,
    };
    put(place, Change::Identity(event)).await.unwrap();
}

/// An event of the first authority's plan "P", without dates but the start where the action needs one.
pub fn plan(subject: Subject, version: u64, action: PlanAction) -> PlanEvent {
    let (id, start) = (crate::rows::encode(&(&subject, version)).unwrap(), action != PlanAction::End);
    PlanEvent {
        event_id: Uuid::new_v5(&Uuid::NAMESPACE_OID, &id),
        subject,
        action,
        reference: Some(PlanReference::parse("P").unwrap()),
        version,
        start: (start && action != PlanAction::Withdraw).then(|| day(BEGUN)),
        end: (action == PlanAction::End).then(|| day("2026-11-01")),
        birth_date: None,
        ..event(1, 0, version)
    }
}

fn visit(subject: Subject, version: u64, action: PresentationAction) -> Change {
    Change::Presentation(PresentationEvent {
        organisation: OdsCode::parse("RRK").unwrap(),
        event_id: Uuid::new_v5(&Uuid::NAMESPACE_OID, &crate::rows::encode(&(&subject, version)).unwrap()),
        subject,
        encounter: EncounterId::parse("E1").unwrap(),
        version,
        action,
    })
}

fn details() -> Details {
    Details {
        site: SiteCode::parse("RRK01").unwrap(),
        arrived_at: NOW.plus_seconds(-600),
        setting: CareSetting::EmergencyDepartment,
        complaint: Complaint::Illness,
        birth_date: None,
    }
}

fn closing(outcome: Outcome) -> PresentationAction {
    PresentationAction::Close(Closing { outcome, at: NOW })
}

pub fn key_of(owner: &str) -> Subject {
    Subject::Local(OdsCode::parse(owner).unwrap(), LocalKey::parse("newborn-1").unwrap())
}

/// The last day of each plan that is in force or over, and not withdrawn, under a number.
pub fn ends(place: &Place, n: u32) -> Vec<Option<kith_domain::time::Day>> {
    let held = place.record(n).map(|record| record.plans.clone()).unwrap_or_default();
    held.iter().filter(|plan| !plan.is_withdrawn()).map(|plan| plan.end.get().copied()).collect()
}

/// A plan that began again above the note is the one that was removed: a late repeat of its old events lifts no shield.
#[tokio::test]
async fn an_old_event_of_a_removed_plan_that_has_begun_again_is_refused() {
    let place = Place::new();
    effect(&place, PlanEvent { shielded: true, ..long_over(1, 5) }).await.unwrap();
    purge(&place, &[1]).await;
    effect(&place, plan(subject(1), 11, PlanAction::Change)).await.unwrap();
    assert!(place.record(1).unwrap().is_shielded());
    let late = PlanEvent { unshield: true, ..plan(subject(1), 3, PlanAction::Change) };
    assert_eq!(effect(&place, late).await, Err(Refused::PLAN_REMOVED));
    assert!(place.record(1).unwrap().is_shielded());
}

#[tokio::test]
async fn a_visit_begun_under_a_local_key_goes_on_under_the_number() {
    let place = Place::new();
    put(&place, visit(key_of("RRK"), 1, PresentationAction::Record(details()))).await.unwrap();
    put(&place, visit(subject(7), 2, PresentationAction::Amend(details()))).await.unwrap();
    put(&place, visit(subject(7), 3, closing(Outcome::Discharged))).await.unwrap();
    assert_eq!(place.record(7).unwrap().presentations[0].outcome(), Outcome::Discharged);
    let other = put(&place, visit(subject(8), 4, PresentationAction::Amend(details()))).await;
    assert_eq!(other.unwrap_err(), Refused::SUBJECT_MISMATCH);
}

/// The lesser of two numbers is found first.
fn in_order() -> (u32, u32) {
    if nhs(1) < nhs(2) { (1, 2) } else { (2, 1) }
}

/// Withdrawn under the wrong number and sent under the right one; then both are replaced by a third, in which the authority sends.
#[tokio::test]
async fn a_withdrawn_copy_blocks_no_plan_that_goes_on_under_a_number_linked_with_it() {
    for swapped in [false, true] {
        let (low, high) = in_order();
        let (wrong, right) = if swapped { (high, low) } else { (low, high) };
        let place = Place::new();
        effect(&place, plan(subject(wrong), 1, PlanAction::Start)).await.unwrap();
        effect(&place, plan(subject(wrong), 2, PlanAction::Withdraw)).await.unwrap();
        effect(&place, plan(subject(right), 3, PlanAction::Start)).await.unwrap();
        told(&place, subject(wrong), 1, IdentityAction::ReplacedBy(nhs(5))).await;
        told(&place, subject(right), 1, IdentityAction::ReplacedBy(nhs(5))).await;
        assert_eq!(effect(&place, plan(subject(5), 4, PlanAction::End)).await, Ok(Effect::Applied));
        assert_eq!((ends(&place, right), ends(&place, wrong)), (vec![Some(day("2026-11-01"))], vec![]));
        // And under the number of the withdrawn copy itself.
        let again = effect(&place, plan(subject(wrong), 5, PlanAction::Change)).await;
        assert_eq!((again, ends(&place, right)), (Ok(Effect::Applied), vec![None]));
    }
}

#[tokio::test]
async fn a_withdrawn_copy_blocks_no_row_of_the_plan_and_its_own_row_withdraws_nothing_else() {
    let (wrong, right) = in_order();
    let place = Place::new();
    let row_of = |n: u32| PlanRow { number: nhs(n), ..row(0) };
    let withdrawn = || PlanRow { actions: vec![PlanAction::Withdraw], ..row_of(wrong) };
    place.send(&file(1, END, vec![row_of(wrong)]), NOW).await;
    place.send(&file(2, END, vec![withdrawn()]), NOW).await;
    place.send(&file(3, END, vec![row_of(right)]), NOW).await;
    told(&place, subject(wrong), 1, IdentityAction::ReplacedBy(nhs(5))).await;
    told(&place, subject(right), 1, IdentityAction::ReplacedBy(nhs(5))).await;
    // The correction still stands in the night's file.
    let verdict = place.send(&file(4, END, vec![withdrawn(), row_of(5)]), NOW).await;
    assert_eq!(
        (reasons(&verdict), ends(&place, right)),
        (vec!["nhs_number NUMBER_SUPERSEDED".into(), String::new()], vec![None])
    );
    let ended = PlanRow { end: Some(day("2026-11-01")), ..row_of(5) };
    assert_eq!(reasons(&place.send(&file(5, END, vec![ended]), NOW).await), [""]);
    assert_eq!(ends(&place, right), [Some(day("2026-11-01"))]);
}

/// Withdrawn under the present number before, and in force under the one that it has replaced: what is withdrawn under the
/// present one once more is not called done while the plan is shown.
#[tokio::test]
async fn what_is_withdrawn_once_more_is_not_called_done_while_the_plan_goes_on_under_another_number() {
    let place = Place::new();
    let row_of = |n: u32| PlanRow { number: nhs(n), ..row(0) };
    let withdrawn = || PlanRow { actions: vec![PlanAction::Withdraw], ..row_of(2) };
    place.send(&file(1, FileMode::Changes, vec![row_of(2)]), NOW).await;
    place.send(&file(2, FileMode::Changes, vec![withdrawn()]), NOW).await;
    place.send(&file(3, FileMode::Changes, vec![row_of(1)]), NOW).await;
    assert_eq!(reasons(&place.send(&file(4, FileMode::Changes, vec![withdrawn()]), NOW).await), [""], "two children");
    told(&place, subject(1), 1, IdentityAction::ReplacedBy(nhs(2))).await;
    let verdict = place.send(&file(5, FileMode::Changes, vec![withdrawn()]), NOW).await;
    assert_eq!(
        (reasons(&verdict), ends(&place, 1)),
        (vec!["nhs_number GOES_ON_UNDER_OTHER_NUMBER".into()], vec![None])
    );
    let reference = row(0).reference;
    let event = |n, version| PlanEvent {
        reference: reference.clone(),
        event_id: Uuid::from_u128(n),
        ..plan(subject(n as u32), version, PlanAction::Withdraw)
    };
    assert_eq!(effect(&place, event(2, 1 << 60)).await, Err(Refused::GOES_ON));
    assert_eq!(ends(&place, 1), [None]);
    // Under the number that it goes on under it is taken back.
    assert_eq!(effect(&place, event(1, 1 << 60)).await, Ok(Effect::Applied));
    assert_eq!(ends(&place, 1), []);
}

#[tokio::test]
async fn a_visit_entered_in_error_under_one_number_is_closed_where_it_goes_on() {
    let place = Place::new();
    put(&place, visit(subject(2), 1, PresentationAction::Record(details()))).await.unwrap();
    put(&place, visit(subject(2), 2, closing(Outcome::EnteredInError))).await.unwrap();
    put(&place, visit(subject(1), 3, PresentationAction::Record(details()))).await.unwrap();
    told(&place, subject(1), 1, IdentityAction::ReplacedBy(nhs(2))).await;
    put(&place, visit(subject(2), 4, closing(Outcome::LeftBeforeBeingSeen))).await.unwrap();
    let outcome = |n: u32| place.record(n).unwrap().presentations[0].outcome();
    assert_eq!((outcome(1), outcome(2)), (Outcome::LeftBeforeBeingSeen, Outcome::EnteredInError));
    let again = put(&place, visit(subject(2), 5, closing(Outcome::EnteredInError))).await;
    assert_eq!(outcome(1), Outcome::LeftBeforeBeingSeen, "it is that of the number used: {again:?}");
}

/// A shield that was set on the wrong child, whose plan's reference has gone to the right one.
#[tokio::test]
async fn the_setter_lifts_the_shield_of_a_withdrawn_plan_by_its_reference_or_another() {
    let shielded = |n, version, action| PlanEvent { shielded: true, ..plan(subject(n), version, action) };
    let lifting = |event| PlanEvent { unshield: true, ..event };
    for by_another in [false, true] {
        let place = Place::new();
        effect(&place, shielded(1, 1, PlanAction::Start)).await.unwrap();
        effect(&place, plan(subject(1), 2, PlanAction::Withdraw)).await.unwrap();
        effect(&place, shielded(2, 3, PlanAction::Start)).await.unwrap();
        assert_eq!(place.record(1).unwrap().setters(), [authority(1)]);
        // Another authority lifts nothing, and without the flag nothing is lifted.
        let id = Uuid::from_u128(77);
        effect(&place, PlanEvent { authority: authority(2), ..lifting(plan(subject(1), 9, PlanAction::Start)) })
            .await
            .unwrap();
        let q = PlanReference::parse("Q").ok();
        let other = PlanEvent { reference: q.clone(), event_id: id, ..plan(subject(1), 1, PlanAction::Start) };
        effect(&place, other).await.unwrap();
        assert_eq!(place.record(1).unwrap().setters(), [authority(1)]);
        let lift = match by_another {
            true => PlanEvent { reference: q, ..lifting(plan(subject(1), 4, PlanAction::Change)) },
            false => lifting(plan(subject(1), 4, PlanAction::Withdraw)),
        };
        assert_eq!(effect(&place, lift).await, Ok(Effect::Applied));
        assert!(!place.record(1).unwrap().is_shielded(), "by another reference: {by_another}");
        assert_eq!(place.record(2).unwrap().setters(), [authority(1)], "the right child stays shielded");
        // The reference is the right child's all the same.
        let start = effect(&place, plan(subject(1), 5, PlanAction::Start)).await;
        assert_eq!(start, Err(Refused::SUBJECT_MISMATCH));
        assert_eq!(effect(&place, plan(subject(2), 5, PlanAction::End)).await, Ok(Effect::Applied));
    }
}

async fn purge(place: &Place, of: &[u32]) {
    purge_of(place, of.iter().map(|n| subject(*n)).collect()).await;
}

pub async fn purge_of(place: &Place, subjects: Vec<Subject>) {
    let purge = Purge {
        today: NOW.london_day(),
        retention: Retention { presentation_days: 365, plan_months: 12 },
        notes: crate::PurgeOptions::default().notes,
        subjects,
        rows: Vec::new(),
    };
    put(place, Change::Purge(purge)).await.unwrap();
}

/// An event that ends the plan so long ago that a purge removes it.
pub fn long_over(n: u32, version: u64) -> PlanEvent {
    PlanEvent {
        start: Some(day("2024-01-10")),
        end: Some(day("2025-01-10")),
        ..plan(subject(n), version, PlanAction::Start)
    }
}

#[tokio::test]
async fn the_setter_lifts_under_the_present_number_what_a_removed_plan_has_left() {
    let place = Place::new();
    effect(&place, PlanEvent { shielded: true, ..long_over(1, 1) }).await.unwrap();
    purge(&place, &[1]).await;
    told(&place, subject(1), 1, IdentityAction::ReplacedBy(nhs(2))).await;
    let is_shielded = || place.engine.index().person(&subject(2)).is_shielded();
    let q = |version| PlanEvent {
        reference: PlanReference::parse("Q").ok(),
        unshield: true,
        ..plan(subject(2), version, PlanAction::Start)
    };
    effect(&place, PlanEvent { authority: authority(2), ..q(1) }).await.unwrap();
    assert!(is_shielded(), "another's lift");
    assert_eq!((effect(&place, q(2)).await, is_shielded()), (Ok(Effect::Applied), false));
}

/// Under two numbers the same plan may stand twice: a lift is not called applied while one of them shields.
#[tokio::test]
async fn a_lift_is_not_called_applied_while_the_plan_shields_under_another_number() {
    let place = Place::new();
    let key = || key_of("E06000001");
    effect(&place, PlanEvent { shielded: true, ..plan(key(), 1, PlanAction::Start) }).await.unwrap();
    effect(&place, plan(subject(7), 2, PlanAction::Change)).await.unwrap();
    told(&place, key(), 1, IdentityAction::ReplacedBy(nhs(7))).await;
    let is_shielded = || place.engine.index().person(&subject(7)).is_shielded();
    let lift = |of, version| PlanEvent { unshield: true, ..plan(of, version, PlanAction::Change) };
    assert_eq!((effect(&place, lift(subject(7), 3)).await, is_shielded()), (Ok(Effect::Kept), true));
    assert_eq!((effect(&place, lift(key(), 4)).await, is_shielded()), (Ok(Effect::Applied), false));
}

/// Removed under one number, in force under the other, to which it was given while the first was not valid.
#[tokio::test]
async fn the_note_of_a_removed_plan_refuses_no_plan_that_is_held_under_another_number() {
    let place = Place::new();
    effect(&place, plan(subject(1), 12, PlanAction::Start)).await.unwrap();
    told(&place, subject(1), 1, IdentityAction::Invalidated).await;
    effect(&place, plan(subject(2), 1, PlanAction::Start)).await.unwrap();
    told(&place, subject(1), 2, IdentityAction::Reinstated).await;
    effect(&place, long_over(1, 13)).await.unwrap();
    purge(&place, &[1]).await;
    assert!(place.record(1).unwrap().plans.is_empty());
    let shielded = PlanEvent { shielded: true, ..plan(subject(2), 2, PlanAction::Change) };
    assert_eq!(effect(&place, shielded).await, Ok(Effect::Applied));
    assert!(place.record(2).unwrap().is_shielded());
    // What was removed is not brought back by a late event.
    assert_eq!(effect(&place, plan(subject(1), 11, PlanAction::Change)).await, Err(Refused::PLAN_REMOVED));
}

/// The name is the other number's now, and its plan is removed as well: each leaves its greatest version.
#[tokio::test]
async fn a_plan_removed_under_a_number_that_has_lost_its_name_leaves_a_note() {
    let place = Place::new();
    effect(&place, long_over(1, 12)).await.unwrap();
    told(&place, subject(1), 1, IdentityAction::Invalidated).await;
    effect(&place, plan(subject(2), 1, PlanAction::Start)).await.unwrap();
    told(&place, subject(1), 2, IdentityAction::Reinstated).await;
    purge(&place, &[1]).await;
    effect(&place, long_over(2, 2)).await.unwrap();
    purge(&place, &[2]).await;
    for n in [1, 2] {
        assert_eq!(effect(&place, plan(subject(n), 11, PlanAction::Change)).await, Err(Refused::PLAN_REMOVED), "{n}");
    }
    assert_eq!(effect(&place, plan(subject(1), 13, PlanAction::Start)).await, Ok(Effect::Applied));
}

/// Whom the first authority is told to send instead of whom.
fn replaced(place: &Place) -> Vec<(Subject, Cause)> {
    let page = place.engine.notifications(&permit(1), 0, 500, true).unwrap();
    let one = |stored: crate::StoredNotification| (stored.notification.subject, stored.notification.cause);
    page.notifications.into_iter().map(one).collect()
}

#[tokio::test]
async fn who_has_sent_a_number_that_is_replaced_twice_hears_of_the_last() {
    let place = Place::new();
    let to = |n: u32| Cause::NumberReplaced(nhs(n));
    place.send(&file(1, FileMode::Changes, rows(1..2)), NOW).await;
    told(&place, subject(1), 1, IdentityAction::ReplacedBy(nhs(11))).await;
    told(&place, subject(11), 1, IdentityAction::ReplacedBy(nhs(12))).await;
    assert_eq!(replaced(&place), [(subject(1), to(11)), (subject(1), to(12))]);
    // Sent with the one in the middle it is told of that one too: the row's words say so.
    let row = PlanRow { number: nhs(11), start: Some(day("2026-01-12")), ..row(1) };
    let verdict = place.send(&file(2, FileMode::Changes, vec![row]), NOW).await;
    assert_eq!(reasons(&verdict), ["nhs_number NUMBER_SUPERSEDED"]);
    assert_eq!(replaced(&place).last(), Some(&(subject(11), to(12))));
    // The last link undone, the one before stands again, and is told.
    told(&place, subject(11), 2, IdentityAction::LinkUndone).await;
    assert_eq!(replaced(&place), [(subject(1), to(11)), (subject(1), to(11))], "the last is not so any more");
}

#[tokio::test]
async fn who_has_sent_a_number_hears_of_the_last_where_the_second_link_was_told_first() {
    let place = Place::new();
    place.send(&file(1, FileMode::Changes, rows(1..2)), NOW).await;
    told(&place, subject(11), 1, IdentityAction::ReplacedBy(nhs(12))).await;
    told(&place, subject(1), 1, IdentityAction::ReplacedBy(nhs(11))).await;
    assert_eq!(replaced(&place), [(subject(1), Cause::NumberReplaced(nhs(12)))]);
}
