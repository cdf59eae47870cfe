//! Withholding against a real store, with the moment as an argument: decided, decided anew, overdue, lifted, restarted, replayed
//! and left alone by the purge.

use super::{StandingWithholding, WithholdingCounts, WithholdingRow};
use crate::audit_entry::{AuditEntry, Call, Decision};
use crate::audit_search::AuditBounds;
use crate::carried::CarriedOver;
use crate::files::tests::place::*;
use crate::rows::encode;
use crate::working::{Base, StateError, Working};
use crate::{Acknowledgement, Verdict};
use kith_domain::audit_query::{AuditQuery, AuditScope};
use kith_domain::change::{Baby, Change, LogRecord, PlanAction, PlanEvent};
use kith_domain::child::{ChildRecord, Subject};
use kith_domain::codes::{LaCode, OdsCode};
use kith_domain::fold::Effect;
use kith_domain::method::Method;
use kith_domain::plan::PlanKind;
use kith_domain::proof::PersonProof;
use kith_domain::text::{LocalKey, PlanReference, WithholdingWords};
use kith_domain::time::{Day, Moment};
use kith_domain::withholding::{self, Withholding, WithholdingLifted, WithholdingReason};
use kith_store::Table;
use uuid::Uuid;

const SAID: &str = "the father looks for her through hospitals";

fn today() -> Day {
    NOW.london_day()
}

fn decision(by: u32, n: u32, days: i32) -> Withholding {
    Withholding {
        authority: authority(by),
        event_id: Uuid::new_v4(),
        subject: Subject::Nhs(nhs(n)),
        reason: WithholdingReason::HarmToChild,
        words: WithholdingWords::parse(SAID).unwrap(),
        look_again: today().plus_days(days),
    }
}

async fn withhold(place: &Place, by: u32, n: u32, days: i32) -> Verdict {
    place.engine.withhold(&permit(by), NOW, decision(by, n, days)).await
}

async fn lift(place: &Place, by: u32, n: u32) -> Verdict {
    let (authority, event_id) = (authority(by), Uuid::new_v4());
    let lifted = WithholdingLifted { authority, event_id, subject: Subject::Nhs(nhs(n)) };
    place.engine.lift_withholding(&permit(by), NOW, lifted).await
}

fn reason(verdict: &Verdict) -> &'static str {
    verdict.as_ref().expect_err("a refused change").reason
}

fn listed(place: &Place, by: u32) -> Vec<StandingWithholding> {
    let page = place.engine.withholdings(&permit(by), authority(by), 0, 100);
    assert_eq!(page.next_after, None);
    page.withholdings
}

#[tokio::test]
async fn a_decision_stands_with_its_reason_and_its_date_until_its_authority_lifts_it() {
    let place = Place::new();
    place.event(1, event(1, 1, 1)).await;
    withhold(&place, 1, 1, 30).await.unwrap();
    let one = listed(&place, 1).remove(0);
    assert_eq!((one.reason, one.words.as_str(), one.decided_at), (WithholdingReason::HarmToChild, SAID, NOW));
    assert_eq!((one.subject, one.look_again), (Subject::Nhs(nhs(1)), today().plus_days(30)));
    assert!(listed(&place, 2).is_empty(), "another authority's are not shown");
    assert_eq!(place.record(1).unwrap().withheld_by, [authority(1)]);
    assert_eq!(reason(&lift(&place, 2, 1).await), "WITHHOLDING_UNKNOWN", "nobody lifts another's");
    let place = place.reopened();
    assert_eq!(listed(&place, 1).len(), 1, "a restart lifts nothing");
    lift(&place, 1, 1).await.unwrap();
    assert!(listed(&place, 1).is_empty() && place.record(1).unwrap().withheld_by.is_empty());
    assert_eq!(reason(&lift(&place, 1, 1).await), "WITHHOLDING_UNKNOWN");
    place.hash();
}

#[tokio::test]
async fn what_was_never_sent_is_withheld_too_and_its_record_goes_with_the_lift() {
    let place = Place::new();
    withhold(&place, 1, 7, 1).await.unwrap();
    assert_eq!(place.record(7).unwrap().withheld_by, [authority(1)]);
    lift(&place, 1, 7).await.unwrap();
    assert!(place.record(7).is_none());
    place.hash();
}

#[tokio::test]
async fn a_date_to_look_again_that_is_not_ahead_or_too_far_ahead_is_refused_and_changes_nothing() {
    let place = Place::new();
    for days in [-1, 0, 185] {
        assert_eq!(reason(&withhold(&place, 1, 1, days).await), "LOOK_AGAIN_OUT_OF_RANGE", "{days}");
    }
    assert!(listed(&place, 1).is_empty() && place.record(1).is_none());
    withhold(&place, 1, 1, 184).await.unwrap();
}

#[tokio::test]
async fn a_decision_made_anew_stands_in_the_place_of_the_one_before() {
    let place = Place::new();
    withhold(&place, 1, 1, 10).await.unwrap();
    withhold(&place, 1, 2, 20).await.unwrap();
    withhold(&place, 1, 1, 90).await.unwrap();
    let days: Vec<Day> = listed(&place, 1).iter().map(|one| one.look_again).collect();
    assert_eq!(days, [today().plus_days(20), today().plus_days(90)], "the one to look at first comes first");
    let page = place.engine.withholdings(&permit(1), authority(1), 0, 1);
    assert_eq!((page.withholdings.len(), page.next_after), (1, Some(1)));
    let page = place.engine.withholdings(&permit(1), authority(1), 1, 1);
    assert_eq!((page.withholdings[0].look_again, page.next_after), (days[1], None));
    assert!(place.engine.withholdings(&permit(1), authority(1), u64::MAX, 1).withholdings.is_empty());
    place.hash();
}

#[tokio::test]
async fn the_same_event_is_taken_once_and_its_id_for_no_other() {
    let place = Place::new();
    let decided = decision(1, 1, 10);
    let first: Acknowledgement = place.engine.withhold(&permit(1), NOW, decided.clone()).await.unwrap();
    let again = place.engine.withhold(&permit(1), NOW, decided.clone()).await.unwrap();
    assert_eq!(again, Acknowledgement { repeated: true, ..first });
    let other = Withholding { reason: WithholdingReason::CourtOrder, ..decided };
    assert_eq!(reason(&place.engine.withhold(&permit(1), NOW, other).await), "EVENT_ID_REUSED");
}

#[tokio::test]
async fn a_date_that_has_passed_lifts_nothing_and_is_counted_as_overdue() {
    let place = Place::new();
    withhold(&place, 1, 1, 10).await.unwrap();
    withhold(&place, 2, 1, 20).await.unwrap();
    let counts = |days: i32| place.engine.withholding_counts(today().plus_days(days));
    for (days, overdue) in [(0, 0), (10, 0), (11, 1), (20, 1), (21, 2), (4_000, 2)] {
        assert_eq!(counts(days), WithholdingCounts { standing: 2, overdue }, "{days}");
    }
    let later = days_on(300);
    // Something is told of that day, else the clock would not be believed.
    let told = PlanEvent { start: Some(later.london_day()), ..event(1, 9, 1) };
    place.engine.change(&permit(1), later, vec![Change::Plan(told)]).await.remove(0).unwrap();
    std::thread::scope(|scope| scope.spawn(|| place.engine.purge(later)).join().unwrap()).unwrap();
    assert_eq!(place.record(1).unwrap().withheld_by, [authority(1), authority(2)], "no purge lifts it");
    assert_eq!((listed(&place, 1).len(), listed(&place, 2).len()), (1, 1));
    let place = place.reopened();
    assert_eq!(place.engine.withholding_counts(later.london_day()), WithholdingCounts { standing: 2, overdue: 2 });
    place.hash();
}

/// Whoever heard nothing of what they sent sends it again, perhaps days later: it was taken, and is not refused for its date.
#[tokio::test]
async fn a_decision_sent_again_when_its_date_has_come_says_that_it_stands() {
    let place = Place::new();
    let decided = decision(1, 1, 10);
    let first = place.engine.withhold(&permit(1), NOW, decided.clone()).await.unwrap();
    let again = place.engine.withhold(&permit(1), days_on(40), decided.clone()).await.unwrap();
    assert_eq!(again, Acknowledgement { repeated: true, ..first });
    let anew = Withholding { event_id: Uuid::new_v4(), ..decided };
    assert_eq!(reason(&place.engine.withhold(&permit(1), days_on(40), anew).await), "LOOK_AGAIN_OUT_OF_RANGE");
    assert_eq!(listed(&place, 1).len(), 1);
}

/// One fewer stand of authority 1 than may.
struct NearlyFull;

impl Base for NearlyFull {
    fn child(&self, _: &Subject) -> Result<Option<ChildRecord>, StateError> {
        Ok(None)
    }

    fn row(&self, _: Table, _: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(None)
    }

    fn withheld_by(&self, of: LaCode) -> usize {
        if of == authority(1) { withholding::MAX_STANDING - 1 } else { 0 }
    }
}

#[test]
fn an_authority_withholds_so_much_at_once_and_may_decide_anew_what_it_withholds() {
    let keys = keys();
    let mut working = Working::new(&NearlyFull, &keys, crate::rows::MetaRow::default());
    let found = |working: &Working<'_>, by: u32, n: u32| super::check(working, &decision(by, n, 10), NOW).unwrap();
    assert_eq!(found(&working, 1, 1), None, "there is room for one");
    super::decide(&mut working, &decision(1, 1, 10), NOW).unwrap();
    assert_eq!(found(&working, 1, 2), Some(withholding::TOO_MANY), "those of one group count too");
    assert_eq!(found(&working, 1, 1), None, "what is withheld already is decided anew");
    super::decide(&mut working, &decision(1, 1, 20), NOW).unwrap();
    assert_eq!(found(&working, 2, 2), None, "another authority's do not count");
    let lifted = WithholdingLifted { authority: authority(1), event_id: Uuid::new_v4(), subject: Subject::Nhs(nhs(1)) };
    super::lift(&mut working, &lifted).unwrap();
    assert_eq!(found(&working, 1, 2), None, "a lifted one makes room");
}

/// An unborn plan of the mother, and the event of her giving birth to whom it names.
fn unborn(mother: u32) -> PlanEvent {
    let reference = PlanReference::parse(&format!("U{mother}")).ok();
    PlanEvent { kind: PlanKind::Unborn, reference, ..event(1, mother, 1) }
}

fn born(mother: u32, version: u64, babies: &[Subject]) -> PlanEvent {
    let one = |(n, subject): (usize, &Subject)| Baby {
        subject: subject.clone(),
        kind: PlanKind::ChildProtection,
        reference: PlanReference::parse(&format!("B{mother}-{n}")).ok(),
        birth_date: None,
    };
    let (action, end) = (PlanAction::Born, Some(today()));
    let babies = babies.iter().enumerate().map(one).collect();
    PlanEvent { action, version, event_id: Uuid::new_v4(), start: None, end, babies, ..unborn(mother) }
}

fn own_key() -> Subject {
    Subject::Local(OdsCode::parse(authority(1).as_str()).unwrap(), LocalKey::parse("newborn-1").unwrap())
}

async fn told(place: &Place, event: PlanEvent) -> Effect {
    let verdict = place.engine.change(&permit(1), NOW, vec![Change::Plan(event)]).await.remove(0);
    verdict.expect("a change that is taken").effect
}

fn withheld_by(place: &Place, subject: &Subject) -> Vec<LaCode> {
    place.engine.index().for_writer(subject).map(|record| record.withheld_by.clone()).unwrap_or_default()
}

/// A birth ends no decision: each baby's plan is withheld from its start, under a number or a key, and the authority sees both, with
/// the date on which it has to look again.
#[tokio::test]
async fn a_birth_carries_what_is_withheld_of_the_mother_over_to_each_baby() {
    let place = Place::new();
    told(&place, unborn(1)).await;
    withhold(&place, 1, 1, 30).await.unwrap();
    withhold(&place, 2, 1, 10).await.unwrap();
    let babies = [Subject::Nhs(nhs(2)), own_key()];
    assert_eq!(told(&place, born(1, 2, &babies)).await, Effect::Kept, "the sender is to look at it");
    for baby in &babies {
        let record = place.engine.index().for_writer(baby).expect("a baby who is known");
        assert_eq!((record.plans.len(), &record.withheld_by[..]), (1, &[authority(1)][..]), "its own plan, by its own");
    }
    let place = place.reopened();
    let stands = |place: &Place, carried: bool| -> Vec<Subject> {
        let all = listed(place, 1).into_iter();
        let as_decided = all.inspect(|one| {
            let StandingWithholding { reason, words, decided_at, look_again, .. } = one;
            assert_eq!((*reason, words.as_str(), *decided_at), (WithholdingReason::HarmToChild, SAID, NOW));
            assert_eq!(*look_again, today().plus_days(30));
        });
        as_decided.filter(|one| one.carried_over == carried).map(|one| one.subject).collect()
    };
    assert_eq!(stands(&place, false), [Subject::Nhs(nhs(1))]);
    assert_eq!(stands(&place, true), babies);
    assert_eq!(place.engine.withholding_counts(today().plus_days(31)).overdue, 4, "and one of another authority's");
    // Lifting the one lifts no other.
    lift(&place, 1, 2).await.unwrap();
    assert_eq!((withheld_by(&place, &babies[0]), withheld_by(&place, &babies[1])), (vec![], vec![authority(1)]));
    place.hash();
}

/// Whom each change of a group has carried a decision over to.
fn carried(told: &[(Verdict, Vec<CarriedOver>)]) -> Vec<Vec<Subject>> {
    told.iter().map(|(_, over)| over.iter().map(|one| one.subject.clone()).collect()).collect()
}

/// What an auditor finds of decisions about a child.
fn decisions(place: &Place, n: u32) -> Vec<(Decision, bool)> {
    let query = AuditQuery { child: Some(nhs(n)), ..AuditQuery::default() };
    let bounds = AuditBounds { given: 100, looked_at: 1_000 };
    while place.engine.journal().window().unsynced > 0 {
        std::thread::yield_now();
    }
    let page = place.engine.search_audit(AuditScope::All, &query, None, bounds, NOW).unwrap();
    page.found.into_iter().map(|entry| (entry.decision, entry.place.is_some())).collect()
}

/// Each baby's decision stands in the audit as any other does, once, and of a shielded one no search finds it: what was sent with it
/// has a place.
#[tokio::test]
async fn what_a_birth_carries_over_is_told_to_the_audit_once_for_each_baby() {
    let place = Place::new();
    told(&place, unborn(1)).await;
    withhold(&place, 1, 1, 30).await.unwrap();
    let babies = [Subject::Nhs(nhs(2)), Subject::Nhs(nhs(3)), own_key()];
    let group = vec![Change::Plan(event(1, 9, 1)), Change::Plan(born(1, 2, &babies))];
    let first = place.engine.change_carrying(&permit(1), NOW, group.clone()).await;
    assert!(first.iter().all(|(verdict, _)| verdict.is_ok()));
    assert_eq!(carried(&first), [Vec::new(), babies.to_vec()]);
    let again = place.engine.change_carrying(&permit(1), NOW, group).await;
    assert!(again.iter().all(|(verdict, _)| verdict.is_ok_and(|ack| ack.repeated)));
    assert_eq!(carried(&again).concat(), [], "what is sent again decides nothing");
    let anew = place.engine.change_carrying(&permit(1), NOW, vec![Change::Plan(born(1, 3, &babies))]).await;
    assert_eq!(carried(&anew).concat(), [], "nor does a birth that is told anew");

    let (peer, method) = (permit(1).peer(), Method::SubmitEvents);
    let call = Call { peer, method, trace: None, person: PersonProof::NotAsked };
    let marked = |over: CarriedOver| {
        let shielded = over.subject == babies[1];
        (over, shielded)
    };
    let over = first.into_iter().flat_map(|(_, over)| over).map(marked).collect();
    place.engine.audit_carried(NOW, call, None, over).await.unwrap();
    let (reason, look_again) = (WithholdingReason::HarmToChild, today().plus_days(30));
    let words = WithholdingWords::parse(SAID).unwrap();
    assert_eq!(decisions(&place, 2), [(Decision::Withheld { reason, words, look_again }, true)]);
    assert!(decisions(&place, 3).is_empty(), "somebody of the birth is shielded");
    assert!(decisions(&place, 1).is_empty(), "nothing of it is about the mother");
}

/// The birth stands, whatever the audit takes.
#[tokio::test]
async fn what_a_birth_carried_over_and_the_audit_did_not_take_is_told_later() {
    let place = Place::new();
    told(&place, unborn(1)).await;
    withhold(&place, 1, 1, 30).await.unwrap();
    let babies = [Subject::Nhs(nhs(2)), Subject::Nhs(nhs(3))];
    let first = place.engine.change_carrying(&permit(1), NOW, vec![Change::Plan(born(1, 2, &babies))]).await;
    let over = first.into_iter().flat_map(|(_, over)| over).map(|over| (over, false)).collect();
    let (peer, method) = (permit(1).peer(), Method::SubmitEvents);
    let call = Call { peer, method, trace: None, person: PersonProof::NotAsked };
    place.engine.untold.trouble.set(true);
    assert!(place.engine.audit_carried(NOW, call, None, over).await.is_err());
    assert!(place.engine.has_untold() && decisions(&place, 2).is_empty());
    let refused = place.engine.change_carrying(&permit(1), NOW, vec![Change::Plan(event(1, 9, 1))]).await;
    assert!(refused.len() == 1 && refused[0].0.is_err(), "nothing is changed before it is told");
    place.engine.untold.trouble.set(false);
    assert!(place.engine.tell_untold().await);
    assert_eq!((decisions(&place, 2).len(), decisions(&place, 3).len()), (1, 1), "of each");
}

#[tokio::test]
async fn a_birth_told_anew_withholds_nothing_again_and_changes_no_decision_about_a_baby() {
    let place = Place::new();
    let (first, second, third) = (Subject::Nhs(nhs(2)), Subject::Nhs(nhs(3)), Subject::Nhs(nhs(4)));
    told(&place, unborn(1)).await;
    // Nothing is withheld of her yet.
    assert_eq!(told(&place, born(1, 2, std::slice::from_ref(&first))).await, Effect::Applied);
    assert!(withheld_by(&place, &first).is_empty());
    withhold(&place, 1, 1, 30).await.unwrap();
    withhold(&place, 1, 4, 90).await.unwrap();
    told(&place, born(1, 3, &[first.clone(), second.clone(), third.clone()])).await;
    assert!(withheld_by(&place, &first).is_empty(), "its plan was shown before, and nobody decided about it");
    assert_eq!(withheld_by(&place, &second), [authority(1)]);
    let of_third = listed(&place, 1).into_iter().find(|one| one.subject == third).unwrap();
    assert_eq!((of_third.look_again, of_third.carried_over), (today().plus_days(90), false), "its own decision stands");
    lift(&place, 1, 3).await.unwrap();
    assert_eq!(told(&place, born(1, 4, &[first, second.clone()])).await, Effect::Applied);
    assert!(withheld_by(&place, &second).is_empty(), "what a person has lifted stays lifted");
    place.hash();
}

/// The number of a newborn is known, and the birth is told again with it: what was decided under the key counts, and not once more
/// what was decided about the mother.
#[tokio::test]
async fn a_birth_told_anew_with_the_number_leaves_what_was_lifted_under_the_key_lifted() {
    for lifted in [false, true] {
        let (place, number) = (Place::new(), Subject::Nhs(nhs(2)));
        told(&place, unborn(1)).await;
        withhold(&place, 1, 1, 30).await.unwrap();
        told(&place, born(1, 2, &[own_key()])).await;
        assert_eq!(withheld_by(&place, &own_key()), [authority(1)]);
        if lifted {
            let (authority, event_id, subject) = (authority(1), Uuid::new_v4(), own_key());
            let lifted = WithholdingLifted { authority, event_id, subject };
            place.engine.lift_withholding(&permit(1), NOW, lifted).await.unwrap();
        }
        told(&place, born(1, 3, std::slice::from_ref(&number))).await;
        let expected = if lifted { vec![] } else { vec![authority(1)] };
        assert_eq!(withheld_by(&place, &number), expected, "lifted {lifted}");
        place.hash();
    }
}

/// A mistyped number leads to a child of whom the authority has told something: nobody decided to withhold that.
#[tokio::test]
async fn a_birth_hides_nothing_that_was_shown_of_a_child_before() {
    let (place, another) = (Place::new(), Subject::Nhs(nhs(2)));
    place.event(1, PlanEvent { birth_date: None, ..event(1, 2, 1) }).await;
    told(&place, unborn(1)).await;
    withhold(&place, 1, 1, 30).await.unwrap();
    assert_eq!(told(&place, born(1, 2, std::slice::from_ref(&another))).await, Effect::Kept, "somebody is to look");
    assert!(withheld_by(&place, &another).is_empty() && listed(&place, 1).iter().all(|one| !one.carried_over));
    // Taken back there, and told with the right number.
    let number = Subject::Nhs(nhs(3));
    assert_eq!(told(&place, born(1, 3, std::slice::from_ref(&another))).await, Effect::Applied);
    let start = born(1, 4, std::slice::from_ref(&another)).starts().next().unwrap();
    told(&place, PlanEvent { action: PlanAction::Withdraw, event_id: Uuid::new_v4(), ..start }).await;
    assert_eq!(told(&place, born(1, 5, std::slice::from_ref(&number))).await, Effect::Kept);
    assert_eq!(withheld_by(&place, &number), [authority(1)]);
    assert!(withheld_by(&place, &another).is_empty());
    place.hash();
}

#[tokio::test]
async fn what_is_withheld_under_an_own_key_is_withheld_under_the_number_once_that_is_known() {
    let plan = |subject: &Subject, version, action| {
        let reference = PlanReference::parse("P").ok();
        PlanEvent { subject: subject.clone(), version, action, reference, event_id: Uuid::new_v4(), ..event(1, 7, 1) }
    };
    for in_error in [false, true] {
        let (place, number) = (Place::new(), Subject::Nhs(nhs(7)));
        told(&place, plan(&own_key(), 1, PlanAction::Start)).await;
        let decided = Withholding { subject: own_key(), ..decision(1, 7, 30) };
        place.engine.withhold(&permit(1), NOW, decided).await.unwrap();
        if in_error {
            told(&place, plan(&own_key(), 2, PlanAction::Withdraw)).await;
        }
        told(&place, plan(&number, 3, PlanAction::Start)).await;
        let expected = if in_error { vec![] } else { vec![authority(1)] };
        assert_eq!(withheld_by(&place, &number), expected, "a name that was an error is another child's by now");
        let carried = listed(&place, 1).iter().filter(|one| one.carried_over && one.subject == number).count();
        assert_eq!(carried, expected.len());
        place.hash();
    }
}

/// Whoever decides under a key though the number is known would take for withheld what every answer shows.
#[tokio::test]
async fn what_is_decided_under_a_key_counts_for_the_number_under_which_its_plan_goes_on() {
    let plan = |subject: &Subject, version| {
        let reference = PlanReference::parse("P").ok();
        PlanEvent { subject: subject.clone(), version, reference, event_id: Uuid::new_v4(), ..event(1, 7, 1) }
    };
    for key_first in [false, true] {
        let (place, number) = (Place::new(), Subject::Nhs(nhs(7)));
        told(&place, plan(&own_key(), 1)).await;
        told(&place, plan(&number, 2)).await;
        let decided = Withholding { subject: own_key(), ..decision(1, 7, 30) };
        place.engine.withhold(&permit(1), NOW, decided).await.unwrap();
        assert_eq!(withheld_by(&place, &number), [authority(1)]);
        let carried: Vec<Subject> =
            listed(&place, 1).into_iter().filter(|one| one.carried_over).map(|one| one.subject).collect();
        assert_eq!(carried, std::slice::from_ref(&number), "and is shown as that");
        // Each is lifted by itself, in either order.
        let key = WithholdingLifted { authority: authority(1), event_id: Uuid::new_v4(), subject: own_key() };
        let of_number = WithholdingLifted { event_id: Uuid::new_v4(), subject: number.clone(), ..key.clone() };
        let in_order = if key_first { [key, of_number] } else { [of_number, key] };
        for (lifted, left) in in_order.into_iter().zip([1, 0]) {
            place.engine.lift_withholding(&permit(1), NOW, lifted).await.unwrap();
            assert_eq!(listed(&place, 1).len(), left);
        }
        told(&place, plan(&number, 3)).await;
        assert!(withheld_by(&place, &number).is_empty(), "what was lifted stays lifted");
        place.hash();
    }
}

#[tokio::test]
async fn what_stands_is_counted_by_authority() {
    let place = Place::new();
    for (by, n) in [(1, 1), (1, 2), (1, 1), (2, 1)] {
        withhold(&place, by, n, 10).await.unwrap();
    }
    let count = |place: &Place, by| place.engine.progress.withheld.count(authority(by));
    assert_eq!((count(&place, 1), count(&place, 2), count(&place, 3)), (2, 1, 0));
    let place = place.reopened();
    assert_eq!(count(&place, 1), 2);
}

#[test]
fn words_are_shown_by_no_debug() {
    let decided = decision(1, 1, 10);
    let record = LogRecord { at: NOW, change: Change::Withheld(decided.clone()) };
    let (reason, words) = (decided.reason, decided.words.clone());
    let audited = AuditEntry::of_service(NOW, Decision::Withheld { reason, words, look_again: decided.look_again });
    let told = format!("{decided:?} {record:?} {audited:?}");
    assert!(!told.contains("father") && !told.contains(&nhs(1).digits()), "{told}");
}

#[test]
fn what_is_stored_has_these_bytes() {
    let (at, authority, event_id) = (Moment(1_000), authority(1), Uuid::from_u128(1));
    let (reason, words) = (WithholdingReason::CourtOrder, WithholdingWords::parse("W").unwrap());
    let (subject, look_again) = (Subject::Nhs(nhs(1)), Day::new(2026, 11, 22).unwrap());
    let decided =
        Withholding { authority, event_id, subject: subject.clone(), reason, words: words.clone(), look_again };
    let lifted = WithholdingLifted { authority, event_id, subject: subject.clone() };
    let (words_of_row, carried_over) = (words.clone(), true);
    let row =
        WithholdingRow { authority, subject, decided_at: at, reason, words: words_of_row, look_again, carried_over };
    let (la, id) = ("09453036303030303031", format!("10{:032x}", event_id.as_u128()));
    let (who, why) = (hex::encode(&encode(&row.subject).unwrap()[1..]), "030157");
    let day = hex::encode(&encode(&look_again).unwrap()[1..]);
    let found = [
        hex::encode(encode(&LogRecord { at, change: Change::Withheld(decided) }).unwrap()),
        hex::encode(encode(&LogRecord { at, change: Change::WithholdingLifted(lifted) }).unwrap()),
        hex::encode(encode(&row).unwrap()),
        hex::encode(encode(&AuditEntry::of_service(at, Decision::Withheld { reason, words, look_again })).unwrap()),
        hex::encode(encode(&AuditEntry::of_service(at, Decision::WithholdingLifted)).unwrap()),
    ];
    let expected = [
        format!("01d00f15{la}{id}{who}{why}{day}"),
        format!("01d00f16{la}{id}{who}"),
        format!("01{la}{who}d00f{why}{day}01"),
        format!("01d00f00000000000011{why}{day}00000000000000"),
        "01d00f0000000000001200000000000000".to_owned(),
    ];
    assert_eq!(found, expected);
}
