//! The order in which events arrive does not matter: versions decide within a plan or an encounter, and independent
//! people have nothing to do with each other. In process; it never starts a server.

use kith_domain::NhsNumber;
use kith_domain::answer::{Answer, Body, Outcome, Question};
use kith_domain::caller::{CareContext, Peer, Role};
use kith_domain::change::{Change, PlanAction, PlanEvent, PresentationAction, PresentationEvent};
use kith_domain::child::Subject;
use kith_domain::codes::SiteCode;
use kith_domain::method::Method;
use kith_domain::notify::Notification;
use kith_domain::plan::PlanKind;
use kith_domain::presentation::{CareSetting, Closing, Complaint, Details, Outcome as Ended};
use kith_domain::text::{EncounterId, PlanReference};
use kith_domain::time::{Day, Moment};
use kith_engine::Asked;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

use crate::harness::seeded;
use crate::model::place::{Place, assert_sound, authority, caller, sender, trust};

/// When everything is sent: 2026-09-21.
const NOW: Moment = Moment(1_790_000_000_000);
/// People, each with a plan and a presentation or with one of them.
const PEOPLE: u32 = 6;
/// Orders tried, each in an engine of its own.
const ORDERS: usize = 10;

fn number(n: u32) -> NhsNumber {
    (999_100_000 + 20 * n..).find_map(NhsNumber::from_first_nine).unwrap()
}

fn plan(n: u32, of: usize, action: PlanAction, version: u64, start: Option<&str>, end: Option<&str>) -> Change {
    let day = |text| Day::parse(text).unwrap();
    Change::Plan(PlanEvent {
        authority: authority(of),
        event_id: Uuid::from_u128(u128::from(n) * 100 + u128::from(version) * 10 + of as u128),
        subject: Subject::Nhs(number(n)),
        action,
        kind: PlanKind::ChildProtection,
        reference: Some(PlanReference::parse(&format!("P{n}")).unwrap()),
        version,
        start: start.map(day),
        end: end.map(day),
        birth_date: Some(day("2018-03-04")),
        shielded: n == 5,
        unshield: false,
        family: None,
        babies: Vec::new(),
    })
}

fn seen(n: u32, of: usize, version: u64, action: PresentationAction) -> Change {
    Change::Presentation(PresentationEvent {
        organisation: trust(of),
        event_id: Uuid::from_u128(10_000 + u128::from(n) * 100 + u128::from(version) * 10 + of as u128),
        subject: Subject::Nhs(number(n)),
        encounter: EncounterId::parse(&format!("E{n}")).unwrap(),
        version,
        action,
    })
}

fn details(hours: i64) -> Details {
    Details {
        site: SiteCode::parse("R0A01").unwrap(),
        arrived_at: NOW.plus_seconds(-3_600 * hours),
        setting: CareSetting::EmergencyDepartment,
        complaint: Complaint::Fracture,
        birth_date: None,
    }
}

fn closing(outcome: Ended) -> PresentationAction {
    PresentationAction::Close(Closing { outcome, at: NOW.plus_seconds(-600) })
}

/// What happened to each person, in the order in which it happened.
fn histories() -> Vec<Vec<Change>> {
    let record = |hours| PresentationAction::Record(details(hours));
    let amend = |hours| PresentationAction::Amend(details(hours));
    vec![
        vec![
            plan(0, 0, PlanAction::Start, 1, Some("2026-01-10"), None),
            plan(0, 0, PlanAction::Change, 2, Some("2026-01-12"), None),
            seen(0, 0, 1, record(30)),
        ],
        vec![
            plan(1, 0, PlanAction::Start, 1, Some("2026-01-10"), None),
            plan(1, 0, PlanAction::End, 2, None, Some("2026-06-01")),
            seen(1, 1, 1, record(20)),
            seen(1, 1, 2, closing(Ended::LeftBeforeBeingSeen)),
        ],
        vec![
            plan(2, 0, PlanAction::Start, 1, Some("2026-01-10"), None),
            plan(2, 0, PlanAction::TransferOut(authority(1)), 2, None, None),
            plan(2, 1, PlanAction::TransferIn(authority(0)), 1, Some("2026-07-01"), None),
        ],
        vec![
            plan(3, 1, PlanAction::Start, 1, Some("2026-01-10"), None),
            plan(3, 1, PlanAction::Withdraw, 2, None, None),
            seen(3, 0, 1, record(10)),
            seen(3, 0, 2, closing(Ended::EnteredInError)),
        ],
        vec![seen(4, 0, 1, record(50)), seen(4, 0, 2, amend(49)), seen(4, 1, 1, record(5))],
        vec![plan(5, 1, PlanAction::Start, 1, Some("2026-02-01"), None), seen(5, 1, 1, record(40))],
    ]
}

/// Sends changes in groups of three.
async fn send(place: &Place, changes: &[Change]) {
    for group in changes.chunks(3) {
        for verdict in place.engine().change(&sender(), NOW, group.to_vec()).await {
            verdict.expect("taken");
        }
    }
}

/// What two trusts are answered about everyone. Asked as worklists, so that asking leaves nothing behind.
async fn answers(place: &Place) -> Vec<Answer> {
    let mut all = Vec::new();
    for n in 0..PEOPLE {
        for organisation in [trust(0), trust(1)] {
            let question = Question {
                subject: Subject::Nhs(number(n)),
                number_traced: true,
                birth_date: None,
                checking_in: None,
                mother: None,
                now: NOW,
            };
            let asked = Asked {
                peer: Peer { organisation, role: Role::Ed },
                caller: caller(organisation, 0),
                context: CareContext::Unscheduled,
                question,
                request_id: Uuid::new_v4(),
                trace: None,
                method: Method::LookupMany,
                person_proven: false,
            };
            all.push(place.engine().ask(asked).await.expect("an answer").answer);
        }
    }
    all
}

/// What two authorities are told, without the ids that number it in order of arrival.
fn told(place: &Place) -> Vec<Vec<Notification>> {
    let of = |n| {
        let mut all: Vec<Notification> =
            place.notifications(authority(n), true).into_iter().map(|stored| stored.notification).collect();
        all.sort_by_key(|one| one.subject.clone());
        all
    };
    vec![of(0), of(1)]
}

/// The answers are those that the histories call for, so that equal ones are not equally wrong.
fn assert_as_told(all: &[Answer]) {
    let plans: Vec<usize> = all
        .iter()
        .map(|answer| match &answer.body {
            Body::Open(body) => match &body.plans {
                Outcome::Held(plans) => plans.len(),
                Outcome::NoneHeld | Outcome::CannotSay(_) => 0,
            },
            Body::Shielded(_) => 100,
            Body::Opened(_) => panic!("nobody opened it"),
            Body::IdentityNotConfirmed => panic!("no birth date was given"),
        })
        .collect();
    assert_eq!(plans, [1, 1, 1, 1, 2, 2, 0, 0, 0, 0, 100, 100]);
}

/// People's histories mixed at random, each in its own order.
fn interleaved(random: &mut ChaCha8Rng) -> Vec<Change> {
    let mut turns: Vec<usize> = histories().iter().enumerate().flat_map(|(n, all)| vec![n; all.len()]).collect();
    turns.shuffle(random);
    let mut left: Vec<_> = histories().into_iter().map(Vec::into_iter).collect();
    turns.into_iter().filter_map(|n| left[n].next()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_in_any_order_give_the_same_answers() {
    let mut random = seeded("order");
    let mut first = None;
    for _ in 0..ORDERS {
        let mut changes: Vec<Change> = histories().into_iter().flatten().collect();
        changes.shuffle(&mut random);
        let mut place = Place::new(NOW);
        send(&place, &changes).await;
        let found = answers(&place).await;
        assert_as_told(&found);
        assert_eq!(first.get_or_insert_with(|| found.clone()), &found);
        place.shut(NOW);
        assert_sound(&place.verify());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_mixed_in_any_order_give_the_same_answers_and_notifications() {
    let mut random = seeded("interleaving");
    let mut first = None;
    for _ in 0..ORDERS {
        let mut place = Place::new(NOW);
        send(&place, &interleaved(&mut random)).await;
        let found = (answers(&place).await, told(&place));
        assert!(!found.1[0].is_empty() && !found.1[1].is_empty(), "somebody is told");
        assert_eq!(first.get_or_insert_with(|| found.clone()), &found);
        place.shut(NOW);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_crash_the_log_replays_to_the_same_state_and_answers() {
    let mut place = Place::new(NOW);
    let changes: Vec<Change> = histories().into_iter().flatten().collect();
    send(&place, &changes).await;
    let before = (answers(&place).await, told(&place));
    tokio::task::block_in_place(|| place.crash(NOW));
    assert_eq!((answers(&place).await, told(&place)), before);
    for verdict in place.engine().change(&sender(), NOW.plus_seconds(60), changes).await {
        assert!(verdict.expect("taken").repeated, "every change is remembered");
    }
    place.shut(NOW);
    assert_sound(&place.verify());
}
