//! Rows and events that end or withdraw a plan under one number of a person while it goes on under another: never called done,
//! and the same however often the file is broken off.

use super::broken::cut_short;
use super::names::{effect, plan, subject, told};
use super::place::*;
use kith_domain::change::{Feed, IdentityAction, PlanAction, PlanEvent};
use kith_domain::fold::Effect;
use kith_domain::plan_file::{FileMode, FileVerdict, PlanRow};
use kith_domain::text::PlanReference;

/// The number replaced, under which the plan goes on, and the present one, under which it was withdrawn before.
const OLD: u32 = 901;
const NEW: u32 = 902;

fn of(n: u32, end: Option<&str>) -> PlanRow {
    PlanRow { number: nhs(n), reference: PlanReference::parse("PX").ok(), end: end.map(day), ..row(0) }
}

fn withdrawn(n: u32) -> PlanRow {
    PlanRow { actions: vec![PlanAction::Withdraw], ..of(n, None) }
}

/// After three files, beside some other plans.
async fn place(end: Option<&str>) -> Place {
    let place = Place::new();
    place.send(&file(1, REPORT, vec![of(NEW, None)]), NOW).await;
    place.send(&file(2, REPORT, vec![withdrawn(NEW)]), NOW).await;
    let more = rows(0..160).into_iter().chain([of(OLD, end)]).collect();
    place.send(&file(3, REPORT, more), NOW).await;
    told(&place, subject(OLD), 1, IdentityAction::ReplacedBy(nhs(NEW))).await;
    place
}

#[tokio::test]
async fn a_plan_goes_on_until_its_last_day() {
    for (end, goes_on) in
        [(None, true), (Some("2027-03-01"), true), (Some("2026-11-22"), true), (Some("2026-11-21"), false)]
    {
        let place = place(end).await;
        let verdict = place.send(&file(4, FileMode::Changes, vec![withdrawn(NEW)]), NOW).await;
        let expected = if goes_on { "nhs_number GOES_ON_UNDER_OTHER_NUMBER" } else { "" };
        assert_eq!(reasons(&verdict), [expected], "{end:?}");
    }
}

/// The same of an event: the name is the present number's, and the replaced one is valid again.
#[tokio::test]
async fn an_end_is_kept_while_the_plan_goes_on_until_a_later_day() {
    // An end before the start ends nothing.
    let cases = [("2027-03-01", Effect::Kept), ("2026-10-01", Effect::Applied), ("2026-01-09", Effect::Kept)];
    for (end, expected) in cases {
        let place = Place::new();
        effect(&place, PlanEvent { end: Some(day(end)), ..plan(subject(OLD), 1, PlanAction::Start) }).await.unwrap();
        told(&place, subject(OLD), 1, IdentityAction::Invalidated).await;
        effect(&place, plan(subject(NEW), 1, PlanAction::Start)).await.unwrap();
        effect(&place, plan(subject(NEW), 2, PlanAction::Withdraw)).await.unwrap();
        told(&place, subject(OLD), 2, IdentityAction::Reinstated).await;
        told(&place, subject(OLD), 3, IdentityAction::ReplacedBy(nhs(NEW))).await;
        assert_eq!(effect(&place, plan(subject(NEW), 3, PlanAction::Withdraw)).await, Ok(expected), "{end}");
    }
}

/// A row that takes a plan back may name its last day: that one under the other number goes on all the same.
#[tokio::test]
async fn a_withdrawal_that_names_a_last_day_is_not_called_done_while_the_plan_goes_on_until_that_day() {
    let end = Some("2027-03-01");
    let place = place(end).await;
    let row = PlanRow { actions: vec![PlanAction::Withdraw], ..of(NEW, end) };
    let verdict = place.send(&file(4, FileMode::Changes, vec![row]), NOW).await;
    assert!(!reasons(&verdict)[0].is_empty(), "{:?}", reasons(&verdict));
}

/// The same last day under both numbers, or an earlier one under the other, leaves nothing to be sent.
#[tokio::test]
async fn an_end_under_both_numbers_is_loaded() {
    let told_until = "2027-03-01";
    for (held, noted) in [("2027-03-01", false), ("2027-02-01", false), ("2027-04-01", true)] {
        let place = place(Some(held)).await;
        told(&place, subject(OLD), 2, IdentityAction::Invalidated).await;
        place.send(&file(4, FileMode::Changes, vec![of(NEW, None)]), NOW).await;
        told(&place, subject(OLD), 3, IdentityAction::Reinstated).await;
        told(&place, subject(OLD), 4, IdentityAction::ReplacedBy(nhs(NEW))).await;
        let verdict = place.send(&file(5, FileMode::Changes, vec![of(NEW, Some(told_until))]), NOW).await;
        assert_eq!(!reasons(&verdict)[0].is_empty(), noted, "{held}: {:?}", reasons(&verdict));
    }
}

/// The number matched: what goes on under another says nothing against it.
#[tokio::test]
async fn a_row_that_is_noted_counts_as_matched_every_night() {
    let place = place(None).await;
    let matched = || {
        let lines = place.engine.feeds().lines(NOW);
        let rows = lines.iter().find(|line| line.feed == Feed::Plans(authority(1))).unwrap().rows;
        (rows.seen, rows.matched)
    };
    for number in 4..7 {
        let (seen, before) = matched();
        place.send(&file(number, FileMode::Changes, vec![withdrawn(NEW)]), NOW).await;
        assert_eq!(matched(), (seen + 1, before + 1), "file {number}");
    }
}

/// Later rows, or the end of the file, withdraw or end the plan under the other number, begin it again, tell its end once more, or
/// shield the child: of the first row the same is said as when all of it was taken at once.
#[tokio::test]
async fn broken_off_at_every_step_a_file_says_the_same_of_a_plan_that_it_changes_later() {
    let over = Some("2026-10-01");
    let shielded = PlanRow { shielded: true, ..of(OLD, over) };
    let cases = [
        (None, None, "nhs_number GOES_ON_UNDER_OTHER_NUMBER"),
        (None, Some(withdrawn(OLD)), ""),
        (over, Some(of(OLD, None)), "nhs_number GOES_ON_UNDER_OTHER_NUMBER"),
        (over, Some(PlanRow { birth_date: Some(day("2018-03-05")), ..of(OLD, over) }), ""),
        (over, Some(shielded), "shielded"),
    ];
    for (case, (end, more, said)) in cases.into_iter().enumerate() {
        let ends = u32::from(more.is_none());
        let sent = [withdrawn(NEW)].into_iter().chain(rows(0..160)).chain(more).collect();
        let last = file(4, END, sent);
        let unbroken = place(end).await;
        let expected = unbroken.send(&last, NOW).await;
        assert_eq!((reasons(&expected)[0].as_str(), case), (said, case));
        assert_eq!(expected.snapshot.as_ref().unwrap().ended, ends, "case {case}");
        let hash = unbroken.hash();
        for waits in 0.. {
            let place = place(end).await;
            let whole = cut_short(place.send(&last, NOW), waits).await.is_some();
            let verdict = place.send(&last, NOW).await;
            assert_eq!(FileVerdict { repeated: false, ..verdict }, expected, "after {waits} waits, case {case}");
            assert_eq!(place.hash(), hash, "after {waits} waits, case {case}");
            if whole {
                break;
            }
        }
    }
}
