//! Late and out-of-order events settle to the same record as in-order ones: every order of several six-event histories over
//! two authorities. Of a transfer, whichever authority reports first, no order leaves a moment without a plan in force.

use crate::NhsNumber;
use crate::change::{Baby, PlanAction, PlanEvent};
use crate::child::{ChildRecord, Subject};
use crate::codes::LaCode;
use crate::fold::{apply_plan, note_transfer};
use crate::notify::{last_day, responsible};
use crate::plan::{PlanKind, PlanName, PlanState};
use crate::text::PlanReference;
use crate::time::Day;
use std::collections::BTreeMap;
use uuid::Uuid;

const A: &str = "E06000001";
const B: &str = "E06000002";
/// Orders of six events.
const ORDERS: usize = 720;

fn la(code: &str) -> LaCode {
    LaCode::parse(code).unwrap()
}

fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

fn event(by: &str, version: u64, action: PlanAction, start: &str, end: &str) -> PlanEvent {
    let maybe = |text: &str| (!text.is_empty()).then(|| day(text));
    PlanEvent {
        authority: la(by),
        event_id: Uuid::from_u128(u128::from(version)),
        subject: Subject::Nhs(NhsNumber::from_first_nine(999_000_001).unwrap()),
        action,
        kind: PlanKind::ChildProtection,
        reference: Some(PlanReference::parse("P").unwrap()),
        version,
        start: maybe(start),
        end: maybe(end),
        birth_date: None,
        shielded: false,
        unshield: false,
        family: None,
        babies: Vec::new(),
    }
}

fn empty() -> ChildRecord {
    ChildRecord::new(Subject::Nhs(NhsNumber::from_first_nine(999_000_001).unwrap()))
}

fn apply(record: &mut ChildRecord, event: &PlanEvent) {
    apply_plan(record, event, event.name().unwrap());
}

/// Visits every order of the history.
fn orders(history: &[PlanEvent; 6], mut visit: impl FnMut(&[usize])) {
    fn each(items: &mut [usize], at: usize, visit: &mut dyn FnMut(&[usize])) {
        if at == items.len() {
            return visit(items);
        }
        for other in at..items.len() {
            items.swap(at, other);
            each(items, at + 1, visit);
            items.swap(at, other);
        }
    }
    let mut items: Vec<usize> = (0..history.len()).collect();
    each(&mut items, 0, &mut visit);
}

/// State of each plan that is shown on a day.
fn states(record: &ChildRecord, today: &str) -> Vec<(LaCode, PlanState)> {
    let held = record.plans.iter().filter(|plan| !plan.is_withdrawn());
    let shown = held.filter_map(|plan| Some((plan.authority, plan.state(day(today), last_day(record, plan), 12)?)));
    shown.collect()
}

fn histories() -> Vec<(&'static str, [PlanEvent; 6])> {
    use PlanAction::{Change, End, Start, TransferIn, TransferOut, Withdraw};
    vec![
        (
            "a move that ends at the other authority",
            [
                event(A, 1, Start, "2025-01-10", ""),
                event(A, 2, Change, "2025-01-12", ""),
                event(A, 3, TransferOut(la(B)), "", ""),
                event(B, 1, TransferIn(la(A)), "2025-03-01", ""),
                event(B, 2, Change, "2025-03-02", ""),
                event(B, 3, End, "", "2025-09-30"),
            ],
        ),
        (
            "a correction of a correction, and an end taken back",
            [
                event(A, 1, Start, "2025-01-10", ""),
                event(A, 2, Change, "2025-01-01", ""),
                event(A, 3, End, "", "2025-05-01"),
                event(A, 4, Change, "2025-01-10", ""),
                event(B, 1, Start, "2025-02-01", ""),
                event(B, 2, Withdraw, "", ""),
            ],
        ),
        (
            "a move that never was, withdrawn by the one and taken back by the other",
            [
                event(A, 1, Start, "2025-01-10", ""),
                event(A, 2, TransferOut(la(B)), "", ""),
                event(B, 1, TransferIn(la(A)), "2025-03-01", ""),
                event(B, 2, Withdraw, "", ""),
                event(A, 3, Start, "2025-01-10", ""),
                event(A, 4, Change, "2025-01-11", ""),
            ],
        ),
        (
            "there and back again",
            [
                event(A, 1, Start, "2025-01-10", ""),
                event(A, 2, TransferOut(la(B)), "", ""),
                event(B, 1, TransferIn(la(A)), "2025-03-01", ""),
                event(B, 2, TransferOut(la(A)), "", ""),
                event(A, 3, TransferIn(la(B)), "2025-06-01", ""),
                event(A, 4, End, "", "2025-12-01"),
            ],
        ),
        (
            "withdrawn, sent again, and shielded by the other",
            [
                event(A, 1, Start, "2025-01-10", ""),
                event(A, 2, Withdraw, "", ""),
                event(A, 3, Start, "2025-01-20", ""),
                PlanEvent { shielded: true, ..event(B, 1, Start, "2025-02-01", "") },
                event(B, 2, Change, "2025-02-02", ""),
                event(B, 3, End, "", "2025-04-01"),
            ],
        ),
    ]
}

#[test]
fn every_order_of_every_history_gives_the_same_record() {
    for (what, history) in histories() {
        let (mut first, mut seen) = (None, 0);
        orders(&history, |order| {
            let mut record = empty();
            order.iter().for_each(|at| apply(&mut record, &history[*at]));
            assert_eq!(first.get_or_insert_with(|| record.clone()), &record, "{what}: {order:?}");
            seen += 1;
        });
        assert_eq!(seen, ORDERS);
    }
}

#[test]
fn what_each_history_settles_to() {
    let expected: [&[(&str, PlanState)]; 5] = [
        &[(A, PlanState::Ended), (B, PlanState::Ended)],
        &[(A, PlanState::Active)],
        &[(A, PlanState::Active)],
        &[(A, PlanState::Ended), (B, PlanState::Ended)],
        &[(A, PlanState::Active), (B, PlanState::Ended)],
    ];
    for ((what, history), expected) in histories().into_iter().zip(expected) {
        let mut record = empty();
        history.iter().for_each(|event| apply(&mut record, event));
        let expected: Vec<_> = expected.iter().map(|(code, state)| (la(code), *state)).collect();
        assert_eq!(states(&record, "2025-12-31"), expected, "{what}");
    }
}

/// A child on a plan that moves is on a plan at every moment, whichever authority reports first and whatever arrives late:
/// from the first event on that tells of the plan itself.
#[test]
fn no_order_of_a_transfer_leaves_a_gap() {
    use PlanAction::{Change, Start, TransferIn, TransferOut};
    let history = [
        event(A, 1, Start, "2025-01-10", ""),
        event(A, 2, Change, "2025-01-12", ""),
        event(A, 3, TransferOut(la(B)), "", ""),
        event(B, 1, TransferIn(la(A)), "2025-03-01", ""),
        event(B, 2, Change, "2025-03-02", ""),
        event(B, 3, Change, "2025-03-03", ""),
    ];
    let mut moments = 0;
    orders(&history, |order| {
        let (mut record, mut told) = (empty(), false);
        for at in order {
            apply(&mut record, &history[*at]);
            told |= !matches!(history[*at].action, TransferOut(_));
            if told {
                let today = day("2025-06-01");
                assert!(!responsible(&record, today).is_empty(), "{order:?} up to {at}: nobody is responsible");
                let active = states(&record, "2025-06-01").iter().any(|(_, state)| *state == PlanState::Active);
                assert!(active, "{order:?} up to {at}: a gap");
                moments += 1;
            }
        }
        assert_eq!(responsible(&record, day("2025-06-01")), [la(B)], "{order:?}: it has arrived");
    });
    println!("transfer: {ORDERS} orders, {moments} moments");
    assert!(moments > 5 * ORDERS);
}

/// An authority touches only its own plans: the same reference of another is another plan.
#[test]
fn an_authority_touches_only_its_own_plans() {
    let mut record = empty();
    apply(&mut record, &event(A, 1, PlanAction::Start, "2025-01-10", ""));
    let before = record.plans[0].clone();
    for action in [PlanAction::End, PlanAction::Withdraw, PlanAction::TransferOut(la(A)), PlanAction::Change] {
        apply(&mut record, &event(B, 9, action, "2025-02-01", "2025-02-02"));
        assert_eq!(record.plans[0], before, "{action:?}");
    }
}

/// Transfers told of again: the plan that B took in and ended long ago is not where this transfer has led, so the child is on
/// a plan in every order of the same log records. The other authority's plan of this transfer then takes over.
#[test]
fn a_transfer_told_after_an_earlier_one_was_over_ends_nothing() {
    use PlanAction::{Change, End, Start, TransferIn, TransferOut};
    let there_and_back = [
        ("2024-01-10", event(A, 1, Start, "2024-01-10", "")),
        ("2024-02-20", event(A, 2, TransferOut(la(B)), "", "")),
        ("2024-03-01", event(B, 1, TransferIn(la(A)), "2024-03-01", "")),
        ("2024-03-05", event(B, 2, End, "", "2024-03-05")),
        ("2024-03-06", event(A, 3, Start, "2024-01-10", "")),
        ("2026-01-10", event(A, 4, TransferOut(la(B)), "", "")),
    ];
    let never_told = [
        ("2024-01-10", event(A, 1, Start, "2024-01-10", "")),
        ("2024-03-01", event(B, 1, TransferIn(la(A)), "2024-03-01", "")),
        ("2024-03-05", event(B, 2, End, "", "2024-03-05")),
        ("2025-03-01", event(A, 2, Change, "2024-01-10", "")),
        ("2026-01-10", event(A, 3, TransferOut(la(B)), "", "")),
        ("2026-01-12", event(A, 4, TransferOut(la(B)), "", "")),
    ];
    for dated in [there_and_back, never_told] {
        let history = dated.clone().map(|(_, event)| event);
        let mut first = None;
        orders(&history, |order| {
            let mut record = empty();
            for (taken, event) in order.iter().map(|at| &dated[*at]) {
                apply(&mut record, event);
                note_transfer(&mut record, event, &event.name().unwrap(), day(taken).utc_start());
            }
            assert_eq!(states(&record, "2026-01-13"), [(la(A), PlanState::Active)], "{order:?}");
            assert_eq!(record.plans[0].moving_to.get(), Some(&la(B)));
            assert_eq!(first.get_or_insert_with(|| record.clone()), &record, "{order:?}");
        });
        let mut record = first.unwrap();
        let arrival = PlanEvent {
            reference: Some(PlanReference::parse("R").unwrap()),
            ..event(B, 1, TransferIn(la(A)), "2026-02-01", "")
        };
        apply(&mut record, &arrival);
        let moved = [(la(A), PlanState::Ended), (la(B), PlanState::Active)];
        assert_eq!(states(&record, "2026-02-02"), moved, "it has arrived");
        let end = PlanEvent { action: End, end: Some(day("2026-05-01")), version: 2, ..arrival };
        apply(&mut record, &end);
        let ended = moved.map(|(code, _)| (code, PlanState::Ended));
        assert_eq!(states(&record, "2026-06-01"), ended, "and its end there brings nothing back");
    }
}

fn person(n: u32) -> Subject {
    Subject::Nhs((999_000_000 + 20 * n..).find_map(NhsNumber::from_first_nine).unwrap())
}

/// An event of the plan `reference` of person `n`; the mother is person 1.
fn of(n: u32, reference: &str, event: PlanEvent) -> PlanEvent {
    let kind = if n == 1 { PlanKind::Unborn } else { PlanKind::ChildProtection };
    PlanEvent { subject: person(n), kind, reference: Some(PlanReference::parse(reference).unwrap()), ..event }
}

/// A birth of the mother's plan: babies by person and reference.
fn birth(version: u64, day: &str, babies: &[(u32, &str)]) -> PlanEvent {
    let baby = |(n, reference): &(u32, &str)| Baby {
        subject: person(*n),
        kind: PlanKind::ChildProtection,
        reference: Some(PlanReference::parse(reference).unwrap()),
        birth_date: None,
    };
    let event = of(1, "U", event(A, version, PlanAction::Born, "", day));
    PlanEvent { babies: babies.iter().map(baby).collect(), ..event }
}

/// A history, and the state of each person's plans at the end of it.
type Birth = (&'static str, [PlanEvent; 6], Vec<(u32, LaCode, PlanState)>);

/// Histories from unborn to born over two authorities.
fn births() -> Vec<Birth> {
    use PlanAction::{Change, End, Start, TransferIn, TransferOut, Withdraw};
    use PlanState::{Active, Ended};
    vec![
        (
            "born, and the child moves to the other authority",
            [
                of(1, "U", event(A, 1, Start, "2025-01-10", "")),
                of(1, "U", event(A, 2, Change, "2025-01-12", "")),
                birth(3, "2025-04-01", &[(2, "K")]),
                of(2, "K", event(A, 4, TransferOut(la(B)), "", "")),
                of(2, "K", event(B, 1, TransferIn(la(A)), "2025-06-01", "")),
                of(2, "K", event(B, 2, Change, "2025-06-02", "")),
            ],
            vec![(1, la(A), Ended), (2, la(A), Ended), (2, la(B), Active)],
        ),
        (
            "a twin told later, and the day corrected",
            [
                of(1, "U", event(A, 1, Start, "2025-01-10", "")),
                birth(2, "2025-04-01", &[(2, "K")]),
                birth(3, "2025-04-02", &[(2, "K"), (3, "L")]),
                of(3, "L", event(A, 4, End, "", "2025-08-01")),
                of(2, "M", event(B, 1, Start, "2025-05-01", "")),
                of(2, "M", event(B, 2, End, "", "2025-07-01")),
            ],
            vec![(1, la(A), Ended), (2, la(A), Active), (2, la(B), Ended), (3, la(A), Ended)],
        ),
        (
            "another baby than the first one told, whose plan is withdrawn",
            [
                of(1, "U", event(A, 1, Start, "2025-01-10", "")),
                birth(2, "2025-04-01", &[(2, "K")]),
                birth(3, "2025-04-01", &[(3, "L")]),
                of(2, "K", event(A, 4, Withdraw, "", "")),
                of(1, "V", event(B, 1, Start, "2025-02-01", "")),
                of(1, "V", event(B, 2, End, "", "2025-03-31")),
            ],
            vec![(1, la(A), Ended), (1, la(B), Ended), (3, la(A), Active)],
        ),
        (
            "ended without a birth, which is told late, and then withdrawn",
            [
                of(1, "U", event(A, 1, Start, "2025-01-10", "")),
                of(1, "U", event(A, 2, End, "", "2025-03-30")),
                birth(3, "2025-04-01", &[(2, "K"), (3, "L")]),
                of(1, "U", event(A, 4, Withdraw, "", "")),
                of(3, "L", event(A, 5, Change, "2025-04-01", "")),
                of(2, "N", event(B, 1, Start, "2025-05-01", "")),
            ],
            vec![(2, la(A), Active), (2, la(B), Active), (3, la(A), Active)],
        ),
    ]
}

/// Everyone's record; a birth is its own event and the starts of the babies' plans.
fn tell(records: &mut BTreeMap<Subject, ChildRecord>, event: &PlanEvent) {
    for one in std::iter::once(event.clone()).chain(event.starts()) {
        let record = records.entry(one.subject.clone()).or_insert_with(|| ChildRecord::new(one.subject.clone()));
        apply(record, &one);
    }
}

/// Every order of every history from unborn to born settles to the same records. From the birth on nobody who was on a plan
/// is on none: each baby that a birth has named is on the authority's plan unless that has been ended or withdrawn itself.
#[test]
fn every_order_from_unborn_to_born_gives_the_same_records() {
    for (what, history, expected) in births() {
        let (mut first, mut seen) = (None, 0);
        orders(&history, |order| {
            let mut records = BTreeMap::new();
            for at in order {
                tell(&mut records, &history[*at]);
                for baby in &history[*at].babies {
                    let held = &records[&baby.subject].plans;
                    let name = baby.reference.clone().map(PlanName::Reference);
                    let plan = held.iter().find(|plan| Some(&plan.name) == name.as_ref()).unwrap();
                    assert!(plan.start.get().is_some() && plan.birth_date.get().is_some(), "{what}: {order:?}");
                }
            }
            assert_eq!(first.get_or_insert_with(|| records.clone()), &records, "{what}: {order:?}");
            seen += 1;
        });
        assert_eq!(seen, ORDERS);
        let records = first.unwrap();
        let of = |n| records.get(&person(n)).into_iter().flat_map(|one| states(one, "2025-12-31"));
        let shown = (1..4).flat_map(|n| of(n).map(move |(code, state)| (n, code, state)));
        assert_eq!(shown.collect::<Vec<_>>(), expected, "{what}");
    }
}
