//! What comes after an invalidation, an adoption or a wrong merge: the plan that is sent under the present number is shown,
//! nobody is told where the child is now, and nothing that links the numbers is left.

use kith_api::v1::{self, IdentityAction, NotificationCause, Outcome, PlanAction};

use crate::harness::build::{self, nhs};
use crate::harness::site::{AUTHORITIES, TRUSTS};
use crate::harness::{calls, offline};
use crate::identity::{PDS, ask, change, local, number, place, proposals, replaced, shown, superseded, tell, told};

const A: &str = AUTHORITIES[0];
const ED: &str = TRUSTS[0];

fn held(answer: &v1::Answer) -> (Outcome, usize) {
    let plans = answer.plans.as_ref().unwrap();
    (plans.outcome(), plans.plans.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_sent_again_under_the_present_number_is_held() {
    let (site, server, pds) = place().await;
    let (a, ed) = (server.client(A).await, server.client(ED).await);
    let first = build::plan(nhs(70), "P70");
    let changed =
        v1::PlanEvent { event_id: build::id(), action: PlanAction::Change.into(), version: 2, ..first.clone() };
    calls::accept(&a, vec![first, changed]).await;
    calls::record(&ed, build::record(ED, nhs(70), "e70")).await.unwrap();
    tell(&pds, change(number(nhs(70)), IdentityAction::Adopted), 1).await;
    // The same reference, from version 1 again: nothing is carried over, not even a version.
    calls::accept(&a, vec![build::plan(nhs(71), "P70")]).await;
    calls::record(&ed, build::record(ED, nhs(71), "e70")).await.unwrap();
    let answer = ask(&ed, 71).await;
    assert_eq!(held(&answer), (Outcome::Held, 1));
    assert_eq!(shown(&answer), (vec![A.to_owned()], vec![ED.to_owned()]));
    let end = v1::PlanEvent {
        event_id: build::id(),
        action: PlanAction::End.into(),
        end: Some(build::day(-1)),
        version: 2,
        ..build::plan(nhs(71), "P70")
    };
    assert_eq!(calls::accept(&a, vec![end]).await[0].effect(), v1::Effect::Applied);
    tokio::task::block_in_place(|| server.stop());
    offline::verify(site.dir());
    site.finish(&[]);
}

/// The number that the plan was sent with had been merged into the one that is adopted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_is_one_whose_number_had_been_merged_before() {
    let (site, server, pds) = place().await;
    let (a, ed) = (server.client(A).await, server.client(ED).await);
    calls::accept(&a, vec![build::plan(nhs(80), "P80")]).await;
    calls::record(&ed, build::record(ED, nhs(80), "e80")).await.unwrap();
    tell(&pds, superseded(80, 81), 1).await;
    tell(&pds, change(number(nhs(81)), IdentityAction::Adopted), 1).await;
    assert_eq!(held(&ask(&ed, 80).await).0, Outcome::IdentityNotConfirmed);
    let of_number = async || {
        let all = told(&server, A, 80).await.into_iter();
        all.filter(|(cause, _)| *cause != NotificationCause::Presentation).collect::<Vec<_>>()
    };
    assert_eq!(of_number().await, [(NotificationCause::NumberInvalidated, String::new())]);
    calls::accept(&a, vec![build::plan(nhs(82), "P80")]).await;
    calls::record(&ed, build::record(ED, nhs(82), "e80")).await.unwrap();
    assert_eq!(held(&ask(&ed, 82).await), (Outcome::Held, 1));
    for version in [2, 3] {
        let changed = v1::PlanEvent {
            event_id: build::id(),
            action: PlanAction::Change.into(),
            version,
            ..build::plan(nhs(82), "P80")
        };
        calls::accept(&a, vec![changed]).await;
    }

    // It was a mistake after all: the plan of either number can be ended, and its authority hears which number stands.
    tell(&pds, change(number(nhs(81)), IdentityAction::Reinstated), 2).await;
    assert!(of_number().await.contains(&(NotificationCause::NumberReplaced, nhs(81).digits())));
    // Each number's versions are its own: 80 has had one, and what 82 has had counts for nothing there.
    for (of, version) in [(80, 2), (80, 3), (82, 4)] {
        let end = v1::PlanEvent {
            event_id: build::id(),
            action: PlanAction::End.into(),
            end: Some(build::day(-1)),
            version,
            ..build::plan(nhs(of), "P80")
        };
        assert_eq!(calls::accept(&a, vec![end]).await[0].effect(), v1::Effect::Applied, "{of}");
        let states: Vec<_> = ask(&ed, of).await.plans.unwrap().plans.iter().map(v1::Plan::state).collect();
        assert_eq!(states, [v1::PlanState::Ended], "{of}");
    }
    for of in [80, 82] {
        // So can the visit that either number came with, under the same id.
        let visit = build::record(ED, nhs(of), "e80");
        let close = build::close(&visit, v1::PresentationOutcome::Discharged);
        assert_eq!(calls::close(&ed, close).await.unwrap().effect(), v1::Effect::Applied, "{of}");
    }
    tokio::task::block_in_place(|| server.stop());
    offline::verify(site.dir());
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_hears_of_the_last_number_of_a_chain() {
    let (site, server, pds) = place().await;
    let a = server.client(A).await;
    tell(&pds, superseded(83, 84), 1).await;
    tell(&pds, superseded(84, 85), 1).await;
    calls::accept(&a, vec![build::plan(nhs(83), "P83")]).await;
    assert_eq!(told(&server, A, 83).await, [(NotificationCause::NumberReplaced, nhs(85).digits())]);
    tell(&pds, change(number(nhs(83)), IdentityAction::LinkUndone), 2).await;
    assert_eq!(told(&server, A, 83).await, [(NotificationCause::NumberReinstated, String::new())]);
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

/// A birth told under the mother's present number does not end the unborn plan of her old one, and says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_under_one_number_and_goes_on_under_another_is_to_be_looked_at() {
    let (site, server, pds) = place().await;
    let a = server.client(A).await;
    let unnamed = |of| v1::PlanEvent { reference: String::new(), ..build::plan(nhs(of), "") };
    calls::accept(&a, vec![unnamed(86)]).await;
    tell(&pds, superseded(86, 87), 1).await;
    // As the authority was told: the plan under the present number, and later its end there.
    calls::accept(&a, vec![unnamed(87)]).await;
    let end = v1::PlanEvent {
        event_id: build::id(),
        action: PlanAction::End.into(),
        end: Some(build::day(-1)),
        version: 2,
        ..unnamed(87)
    };
    assert_eq!(calls::accept(&a, vec![end]).await[0].effect(), v1::Effect::Kept);
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_merge_swallows_no_plan_of_the_other_child() {
    let (site, server, pds) = place().await;
    let (a, ed) = (server.client(A).await, server.client(ED).await);
    let unnamed = |of| v1::PlanEvent { reference: String::new(), ..build::plan(nhs(of), "") };
    calls::accept(&a, vec![unnamed(72)]).await;
    tell(&pds, superseded(72, 73), 1).await;
    // A twin who became looked after on the same day, sent while the two are taken for one.
    calls::accept(&a, vec![unnamed(73)]).await;
    tell(&pds, change(number(nhs(72)), IdentityAction::LinkUndone), 2).await;
    for of in [72, 73] {
        assert_eq!(held(&ask(&ed, of).await), (Outcome::Held, 1), "{of}");
    }
    // What is told to end under the number that does not hold it is kept, to be looked at, and hides nothing.
    calls::accept(&a, vec![unnamed(74)]).await;
    tell(&pds, superseded(74, 75), 1).await;
    let end = |of| v1::PlanEvent {
        event_id: build::id(),
        action: PlanAction::End.into(),
        end: Some(build::day(-1)),
        version: 2,
        ..unnamed(of)
    };
    assert_eq!(calls::accept(&a, vec![end(75)]).await[0].effect(), v1::Effect::Kept);
    let states = |answer: v1::Answer| answer.plans.unwrap().plans.iter().map(v1::Plan::state).collect::<Vec<_>>();
    assert!(states(ask(&ed, 75).await).contains(&v1::PlanState::Active));
    assert_eq!(calls::accept(&a, vec![end(74)]).await[0].effect(), v1::Effect::Applied);
    assert!(!states(ask(&ed, 75).await).contains(&v1::PlanState::Active));
    tokio::task::block_in_place(|| server.stop());
    offline::verify(site.dir());
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_told_before_links_an_adopted_child() {
    let (site, server, pds) = place().await;
    let (a, ed) = (server.client(A).await, server.client(ED).await);
    calls::accept(&a, vec![build::plan(nhs(76), "P76")]).await;
    let proposal = v1::ProposeIdentityRequest {
        caller: Some(build::caller(ED)),
        change: Some(superseded(76, 77)),
        event_id: build::id(),
    };
    ed.identity().propose_identity(ed.request(proposal)).await.unwrap();
    tell(&pds, superseded(76, 77), 1).await;
    assert_eq!(told(&server, A, 76).await.len(), 1);
    tell(&pds, change(number(nhs(76)), IdentityAction::Adopted), 2).await;
    assert_eq!(told(&server, A, 76).await, [(NotificationCause::NumberInvalidated, String::new())]);
    assert!(proposals(&ed, ED, true).await.is_empty() && proposals(&pds, PDS, true).await.is_empty());

    // Whoever held a plan under the old number does not hear where it is used now.
    let before = calls::notifications(&server, A, 500).await.len();
    assert_eq!(held(&ask(&ed, 76).await).0, Outcome::IdentityNotConfirmed);
    calls::record(&ed, build::record(ED, nhs(76), "e76")).await.unwrap();
    calls::accept(&a, vec![build::plan(nhs(78), "P78")]).await;
    // Derived in order: when the later lookup is told, the earlier one would have been.
    ask(&ed, 78).await;
    crate::harness::wait::until_async("the later lookup is told", async || {
        let all = calls::notifications(&server, A, 500).await;
        all.iter().any(|one| one.subject == build::subject(nhs(78))).then_some(())
    })
    .await;
    assert_eq!(calls::notifications(&server, A, 500).await.len(), before + 1);
    tokio::task::block_in_place(|| server.stop());
    offline::verify(site.dir());
    site.finish(&[]);
}

/// A baby without a number yet: its plan is sent under the authority's own key, and with the number when that is known.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_begun_under_a_local_key_is_held_under_the_number() {
    let (site, server, pds) = place().await;
    let (a, ed) = (server.client(A).await, server.client(ED).await);
    let of_key = v1::PlanEvent { subject: build::local("newborn-9"), ..build::plan(nhs(79), "P79") };
    calls::accept(&a, vec![of_key.clone()]).await;
    assert_eq!(held(&ask(&ed, 79).await), (Outcome::NoneHeld, 0));
    let next = |event: v1::PlanEvent, action: PlanAction, version| v1::PlanEvent {
        event_id: build::id(),
        action: action.into(),
        end: (action == PlanAction::End).then(|| build::day(-1)),
        version,
        ..event
    };
    let of_number = build::plan(nhs(79), "P79");
    let changed = next(of_number.clone(), PlanAction::Change, 2);
    assert_eq!(calls::accept(&a, vec![changed]).await[0].effect(), v1::Effect::Applied);
    assert_eq!(held(&ask(&ed, 79).await), (Outcome::Held, 1));

    // Linked, both are shown, and an end under the number says that the key's goes on.
    tell(&pds, replaced(local(A, "newborn-9"), IdentityAction::NumberAssigned, nhs(79)), 1).await;
    assert_eq!(held(&ask(&ed, 79).await), (Outcome::Held, 2));
    let ended = next(of_number, PlanAction::End, 3);
    assert_eq!(calls::accept(&a, vec![ended]).await[0].effect(), v1::Effect::Kept);
    assert_eq!(calls::accept(&a, vec![next(of_key, PlanAction::End, 4)]).await[0].effect(), v1::Effect::Applied);
    let states: Vec<_> = ask(&ed, 79).await.plans.unwrap().plans.iter().map(v1::Plan::state).collect();
    assert_eq!(states, [v1::PlanState::Ended; 2]);
    tokio::task::block_in_place(|| server.stop());
    offline::verify(site.dir());
    site.finish(&[]);
}
