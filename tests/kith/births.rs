//! Births through the engine: one record ends the mother's plan and starts the babies', a reader of either sees the old, the
//! new or both, every order of arrival settles to the same answers, and a purge changes none of them. In process; it never
//! starts a server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kith_domain::NhsNumber;
use kith_domain::answer::{Answer, Body, Mother, MotherView, OpenBody, Outcome, Question, Siblings};
use kith_domain::caller::{CareContext, Peer, Role};
use kith_domain::change::{Baby, Change, PlanAction, PlanEvent};
use kith_domain::child::Subject;
use kith_domain::method::Method;
use kith_domain::plan::{PlanKind, PlanState};
use kith_domain::text::{FamilyReference, PlanReference};
use kith_domain::time::{Day, Moment};
use kith_engine::{Asked, Verdict};
use rand::seq::SliceRandom as _;
use uuid::Uuid;

use crate::harness::seeded;
use crate::model::place::{Place, assert_sound, authority, caller, sender, trust};

/// When everything is sent: 2026-09-21.
const NOW: Moment = Moment(1_790_000_000_000);
/// Orders tried, each in an engine of its own.
const ORDERS: usize = 10;
/// Mothers and babies born while readers ask.
const BORN: u32 = 150;

fn number(n: u32) -> NhsNumber {
    (999_300_000 + 20 * n..).find_map(NhsNumber::from_first_nine).unwrap()
}

fn subject(n: u32) -> Subject {
    Subject::Nhs(number(n))
}

fn day(text: &str) -> Option<Day> {
    Day::parse(text).ok()
}

/// An event of the plan `U<n>` of person `n`, which is unborn for mothers (below 1000) and a child's for others.
fn plan(n: u32, version: u64, action: PlanAction, start: &str, end: &str) -> PlanEvent {
    PlanEvent {
        authority: authority(0),
        event_id: Uuid::new_v4(),
        subject: subject(n),
        action,
        kind: if n < 1000 { PlanKind::Unborn } else { PlanKind::ChildProtection },
        reference: PlanReference::parse(&format!("U{n}")).ok(),
        version,
        start: day(start),
        end: day(end),
        birth_date: None,
        shielded: false,
        unshield: false,
        family: FamilyReference::parse(&format!("F{}", n % 1000)).ok(),
        babies: Vec::new(),
    }
}

fn baby(n: u32) -> Baby {
    let reference = PlanReference::parse(&format!("U{n}")).ok();
    Baby { subject: subject(n), kind: PlanKind::ChildProtection, reference, birth_date: None }
}

fn birth(mother: u32, version: u64, babies: &[u32]) -> PlanEvent {
    let babies = babies.iter().map(|n| baby(*n)).collect();
    PlanEvent { babies, ..plan(mother, version, PlanAction::Born, "", "2026-09-20") }
}

async fn send(place: &Place, at: Moment, events: Vec<PlanEvent>) -> Vec<Verdict> {
    place.engine().change(&sender(), at, events.into_iter().map(Change::Plan).collect()).await
}

fn asked(n: u32, mother: Option<u32>, now: Moment) -> Asked {
    let mother = mother.map(number);
    Asked {
        peer: Peer { organisation: trust(2), role: Role::Ed },
        caller: caller(trust(2), 0),
        context: CareContext::Unscheduled,
        question: Question {
            subject: subject(n),
            number_traced: true,
            birth_date: None,
            checking_in: None,
            mother,
            now,
        },
        request_id: Uuid::new_v4(),
        trace: None,
        method: Method::LookupMany,
        person_proven: false,
    }
}

async fn ask(place: &Place, n: u32, mother: Option<u32>, now: Moment) -> Answer {
    place.engine().ask(asked(n, mother, now)).await.expect("an answer").answer
}

fn open(answer: &Answer) -> &OpenBody {
    match &answer.body {
        Body::Open(body) => body,
        other @ (Body::Shielded(_) | Body::Opened(_) | Body::IdentityNotConfirmed) => {
            panic!("not an open record: {other:?}")
        }
    }
}

/// States of the plans on the person's own record.
fn states(answer: &Answer) -> Vec<PlanState> {
    match &open(answer).plans {
        Outcome::Held(plans) => plans.iter().map(|plan| plan.state).collect(),
        Outcome::NoneHeld | Outcome::CannotSay(_) => Vec::new(),
    }
}

fn of_mother(answer: &Answer) -> Vec<PlanState> {
    match &open(answer).mother {
        Some(MotherView::Open(Mother::Plans { held: Outcome::Held(plans), .. })) => {
            plans.iter().map(|plan| plan.state).collect()
        }
        Some(MotherView::Open(_) | MotherView::Shielded(_)) | None => Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_birth_in_any_order_gives_the_same_answers() {
    let mut random = seeded("births");
    let mut first: Option<Vec<Answer>> = None;
    for _ in 0..ORDERS {
        let mut place = Place::new(NOW);
        let mut events = vec![
            plan(1, 1, PlanAction::Start, "2026-03-01", ""),
            plan(1, 2, PlanAction::Change, "2026-03-02", ""),
            birth(1, 3, &[1001]),
            birth(1, 4, &[1001, 2001]),
            plan(2001, 5, PlanAction::End, "", "2026-09-20"),
            plan(1, 6, PlanAction::Withdraw, "", ""),
        ];
        events.shuffle(&mut random);
        for group in events.chunks(2) {
            for verdict in send(&place, NOW, group.to_vec()).await {
                verdict.expect("taken");
            }
        }
        for verdict in send(&place, NOW, events).await {
            assert!(verdict.expect("taken").repeated);
        }
        let mut found = Vec::new();
        for n in [1, 1001, 2001] {
            found.push(ask(&place, n, None, NOW).await);
        }
        assert_eq!(states(&found[0]), [], "withdrawn");
        assert_eq!(states(&found[1]), [PlanState::Active]);
        assert_eq!(states(&found[2]), [PlanState::Ended]);
        assert!(matches!(&open(&found[1]).siblings, Siblings::Known(known) if known.unshown == 1), "her twin");
        assert_eq!(first.get_or_insert_with(|| found.clone()), &found);
        place.shut(NOW);
        assert_sound(&place.verify());
    }
}

/// A birth that cannot be taken whole changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_birth_is_taken_whole_or_not_at_all() {
    let place = Place::new(NOW);
    let taken = send(&place, NOW, vec![plan(1, 1, PlanAction::Start, "2026-03-01", "")]).await;
    assert!(taken.into_iter().all(|verdict| verdict.is_ok()));
    let other = PlanEvent { subject: subject(3001), ..plan(2001, 1, PlanAction::Start, "2026-03-01", "") };
    assert!(send(&place, NOW, vec![other]).await.remove(0).is_ok(), "the reference is another child's");
    let refused = send(&place, NOW, vec![birth(1, 2, &[1001, 2001])]).await.remove(0).unwrap_err();
    assert_eq!(refused.reason, "SUBJECT_MISMATCH");
    assert_eq!(states(&ask(&place, 1, None, NOW).await), [PlanState::Active]);
    assert_eq!(states(&ask(&place, 1001, None, NOW).await), []);
    assert!(send(&place, NOW, vec![birth(1, 2, &[1001])]).await.remove(0).is_ok());
    assert_eq!(states(&ask(&place, 1, None, NOW).await), [PlanState::Ended]);
    assert_eq!(states(&ask(&place, 1001, None, NOW).await), [PlanState::Active]);
    // The mother's record being shielded, a birth says whether the baby's is.
    let shielded = PlanEvent { shielded: true, ..plan(2, 1, PlanAction::Start, "2026-03-01", "") };
    assert!(send(&place, NOW, vec![shielded]).await.remove(0).is_ok());
    assert_eq!(send(&place, NOW, vec![birth(2, 2, &[1002])]).await.remove(0).unwrap_err().reason, "SHIELD_NOT_TOLD");
    let told = PlanEvent { shielded: true, ..birth(2, 2, &[1002]) };
    assert!(send(&place, NOW, vec![told]).await.remove(0).is_ok());
    assert!(matches!(ask(&place, 1002, None, NOW).await.body, Body::Shielded(_)));
}

/// While births are applied, a reader who asks about the baby with the mother's number finds a plan in force on one of the two
/// records at every moment; and one who reads the mother's record before the baby's finds one too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_of_either_never_sees_neither() {
    let place = Arc::new(Place::new(NOW));
    let starts = (0..BORN).map(|n| plan(n, 1, PlanAction::Start, "2026-03-01", "")).collect();
    assert!(send(&place, NOW, starts).await.into_iter().all(|verdict| verdict.is_ok()));
    let done = Arc::new(AtomicBool::new(false));
    let (reading, stop) = (Arc::clone(&place), Arc::clone(&done));
    let reader = tokio::spawn(async move {
        let mut looked = 0_u32;
        while !stop.load(Ordering::Acquire) || looked < BORN {
            let n = looked % BORN;
            let answer = ask(&reading, 1000 + n, Some(n), NOW).await;
            let any = states(&answer).into_iter().chain(of_mother(&answer)).any(|state| state == PlanState::Active);
            assert!(any, "neither is in force: {answer:?}");
            let mother = states(&ask(&reading, n, None, NOW).await);
            let baby = states(&ask(&reading, 1000 + n, None, NOW).await);
            assert!(mother.iter().chain(&baby).any(|state| *state == PlanState::Active), "{mother:?} {baby:?}");
            looked += 1;
        }
        looked
    });
    for n in (0..BORN).collect::<Vec<_>>().chunks(25) {
        let births = n.iter().map(|n| birth(*n, 2, &[1000 + n])).collect();
        assert!(send(&place, NOW, births).await.into_iter().all(|verdict| verdict.is_ok()));
    }
    done.store(true, Ordering::Release);
    println!("read beside births: {}", reader.await.unwrap());
}

/// Siblings and mothers are answered the same before and after a purge.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_changes_no_answer_about_siblings_or_mothers() {
    let mut place = Place::new(NOW);
    let family = |event: PlanEvent| PlanEvent { family: FamilyReference::parse("F").ok(), ..event };
    let events = vec![
        family(plan(1001, 1, PlanAction::Start, "2026-03-01", "")),
        family(plan(1002, 1, PlanAction::Start, "2025-01-01", "2025-09-19")),
        family(plan(1003, 1, PlanAction::Start, "2025-01-01", "2025-09-21")),
        family(plan(1004, 1, PlanAction::Start, "2025-01-01", "")),
        family(plan(1, 1, PlanAction::Start, "2025-01-01", "2025-09-19")),
        family(plan(2, 1, PlanAction::Start, "2026-09-21", "")),
    ];
    assert!(send(&place, NOW, events).await.into_iter().all(|verdict| verdict.is_ok()));
    let people = [(1001, None), (1002, Some(1)), (1003, Some(2)), (1004, None), (1, None), (2, None)];
    let mut before = Vec::new();
    for (n, mother) in people {
        before.push(ask(&place, n, mother, NOW).await);
    }
    let Siblings::Known(known) = &open(&before[0]).siblings else { panic!("a reference is held") };
    assert_eq!((known.notices.len(), known.unshown), (2, 1), "one on a plan, one unborn, one whose plan has ended");
    assert_eq!(open(&before[1]).siblings, Siblings::NoReference, "passed, and so not held");
    let report = tokio::task::block_in_place(|| place.engine().purge(NOW)).unwrap();
    println!("{report:?}");
    for restarted in [false, true] {
        for ((n, mother), before) in people.iter().zip(&before) {
            assert_eq!(&ask(&place, *n, *mother, NOW).await, before, "{n}, restarted {restarted}");
        }
        if !restarted {
            place.restart(NOW);
        }
    }
    place.shut(NOW);
    assert_sound(&place.verify());
}
