//! Snapshots: added, changed, unchanged, missing, and how little a truncated one can end.

use super::place::{END, NOW, Place, REPORT, authority, day, days_on, event, file, nhs, permit, reasons, row, rows};
use kith_domain::change::{Change, PlanAction, PlanEvent};
use kith_domain::child::Subject;
use kith_domain::codes::OdsCode;
use kith_domain::plan_file::{
    FileCode, FileMode, FileVerdict, Named, NoneEnded, PlanRow, RowCode, RowFault, SnapshotSummary, end_version,
    row_version,
};
use kith_domain::text::LocalKey;

fn summary(verdict: &FileVerdict) -> &SnapshotSummary {
    verdict.snapshot.as_ref().unwrap()
}

/// Added, changed, unchanged, missing, ended.
fn counts(verdict: &FileVerdict) -> [u32; 5] {
    let found = summary(verdict);
    [found.added, found.changed, found.unchanged, found.missing, found.ended]
}

fn missed(verdict: &FileVerdict) -> Vec<Subject> {
    summary(verdict).listed.iter().map(|plan| plan.subject.clone()).collect()
}

async fn loaded(plans: u32) -> Place {
    let place = Place::new();
    let verdict = place.send(&file(1, END, rows(0..plans)), days_on(-2)).await;
    assert_eq!(counts(&verdict), [plans, 0, 0, 0, 0]);
    place
}

#[tokio::test]
async fn a_snapshot_says_what_is_added_changed_unchanged_and_missing() {
    let place = loaded(20).await;
    place.event(2, event(2, 50, 1)).await;
    let mut next = rows(2..22);
    next[0].end = Some(day("2026-12-24"));
    let verdict = place.send(&file(2, REPORT, next), NOW).await;
    assert_eq!(counts(&verdict), [2, 1, 17, 2, 0]);
    assert_eq!(summary(&verdict).none_ended, Some(NoneEnded::NotAsked));
    assert_eq!(missed(&verdict), [Subject::Nhs(nhs(0)), Subject::Nhs(nhs(1))]);
    assert_eq!(
        (place.end(0), place.end(50)),
        (None, None),
        "reported and not ended; another authority's is not missed"
    );
}

#[tokio::test]
async fn missing_plans_end_on_the_day_of_the_file_when_it_asks() {
    let place = loaded(20).await;
    let verdict = place.send(&file(2, END, rows(3..20)), days_on(1)).await;
    assert_eq!((counts(&verdict), summary(&verdict).none_ended), ([0, 0, 17, 3, 3], None));
    assert_eq!((place.end(0), place.end(3)), (Some(day("2026-11-23")), None));
    let verdict = place.send(&file(3, END, rows(3..20)), days_on(3)).await;
    assert_eq!(counts(&verdict), [0, 0, 17, 0, 0], "an ended plan is not missed again");
    let verdict = place.send(&file(4, END, rows(0..20)), days_on(4)).await;
    assert_eq!((counts(&verdict), place.end(0)), ([0, 3, 17, 0, 0], None), "back in the file: in force again");
    assert!(place.hash().starts_with("Same"));
}

#[tokio::test]
async fn withdrawn_ended_and_grown_up_are_not_missed_and_a_plan_not_begun_is_not_ended() {
    let place = Place::new();
    let sent = vec![
        PlanRow { actions: vec![PlanAction::Withdraw], ..row(1) },
        PlanRow { end: Some(day("2026-11-21")), ..row(2) },
        PlanRow { birth_date: Some(day("2008-11-01")), ..row(3) },
        PlanRow { start: Some(day("2027-02-01")), ..row(4) },
        PlanRow { end: Some(day("2026-11-22")), ..row(5) },
    ];
    assert_eq!(place.send(&file(1, REPORT, sent), days_on(-2)).await.code, FileCode::AllLoaded);
    let verdict = place.send(&file(2, END, Vec::new()), NOW).await;
    assert_eq!(counts(&verdict), [0, 0, 0, 2, 1]);
    assert_eq!(missed(&verdict), [Subject::Nhs(nhs(4)), Subject::Nhs(nhs(5))]);
    assert_eq!(place.end(4), None);
}

#[tokio::test]
async fn a_plan_of_a_child_without_a_number_is_not_missed() {
    let place = loaded(9).await;
    let (organisation, key) = (OdsCode::parse("E06000001").unwrap(), LocalKey::parse("newborn-1").unwrap());
    let subject = Subject::Local(organisation, key);
    let newborn = PlanEvent { subject: subject.clone(), ..event(1, 60, 1) };
    place.event(1, newborn).await;
    let verdict = place.send(&file(2, END, rows(0..9)), NOW).await;
    assert_eq!(counts(&verdict), [0, 0, 9, 0, 0]);
    let record = place.engine.index().for_writer(&subject).unwrap();
    assert_eq!(record.plans[0].end.get(), None);
}

#[tokio::test]
async fn a_truncated_snapshot_ends_nothing_and_loads_the_rest() {
    let place = loaded(400).await;
    let mut rest = rows(0..200);
    rest[0].end = Some(day("2026-12-24"));
    let verdict = place.send(&file(2, END, rest), NOW).await;
    assert_eq!((counts(&verdict), verdict.code), ([0, 1, 199, 200, 0], FileCode::AllLoaded));
    assert_eq!(summary(&verdict).none_ended, Some(NoneEnded::BeyondBound));
    assert!((200..400).all(|n| place.end(n).is_none()));
}

#[tokio::test]
async fn a_row_that_cannot_be_read_does_not_make_its_plan_missing() {
    let place = loaded(20).await;
    let fault = || RowFault::new(RowCode::NotLoaded, "start", "DATE", "words");
    let mut sent = file(2, END, rows(0..20));
    sent.rows[0].named = Named { number: Some(nhs(0)), reference: None };
    sent.rows[1].named = Named { number: None, reference: row(1).reference };
    sent.rows[0].plan = Err(fault());
    sent.rows[1].plan = Err(fault());
    let verdict = place.send(&sent, NOW).await;
    assert_eq!((counts(&verdict), verdict.code), ([0, 0, 18, 0, 0], FileCode::SomeLoaded));
    let mut sent = file(3, END, rows(1..20));
    (sent.rows[0].plan, sent.rows[0].named) = (Err(fault()), Named::default());
    let verdict = place.send(&sent, NOW).await;
    assert_eq!(counts(&verdict), [0, 0, 18, 2, 0]);
    assert_eq!(summary(&verdict).none_ended, Some(NoneEnded::RowUnreadable));
    assert_eq!(place.end(0), None);
}

#[tokio::test]
async fn a_row_that_is_refused_does_not_make_its_plan_missing() {
    let place = loaded(10).await;
    let mut other = rows(0..10);
    other[3].number = nhs(30);
    let verdict = place.send(&file(2, END, other), NOW).await;
    assert_eq!(reasons(&verdict)[3], "nhs_number SUBJECT_MISMATCH");
    assert_eq!(counts(&verdict)[3..], [0, 0]);
}

/// Every night a little more is cut off, as much as the bound may let through.
#[tokio::test]
async fn truncated_every_night_for_fourteen_nights_ends_at_most_the_bound_in_any_seven_days() {
    const PLANS: u32 = 300;
    const BOUND: u32 = PLANS * 5 / 100;
    for cut in [1_u32, 5, 8, 15, 40] {
        let place = loaded(PLANS).await;
        let mut ended: Vec<u32> = Vec::new();
        for night in 1..=14_u32 {
            let held = PLANS - cut.saturating_mul(night).min(PLANS);
            let verdict = place.send(&file(u64::from(night) + 1, END, rows(0..held)), days_on(night.into())).await;
            ended.push(summary(&verdict).ended);
        }
        // Nights seven days apart are both within seven days.
        let worst = ended.windows(8).map(|week| week.iter().sum::<u32>()).max().unwrap();
        let left = u32::try_from((0..PLANS).filter(|n| place.end(*n).is_none()).count()).unwrap();
        println!("{cut} more a night: {ended:?}");
        assert!(worst <= BOUND, "{cut} a night: {ended:?}");
        assert!(left >= PLANS - 2 * BOUND && left == PLANS - ended.iter().sum::<u32>(), "{cut} a night: {left}");
        assert!(cut > 15 || worst > 0, "{cut} a night: the bound lets nothing through: {ended:?}");
    }
}

#[tokio::test]
async fn a_small_authority_may_end_five_in_seven_days() {
    let place = loaded(9).await;
    let verdict = place.send(&file(2, END, rows(0..4)), days_on(1)).await;
    assert_eq!(counts(&verdict)[3..], [5, 5]);
    let verdict = place.send(&file(3, END, rows(0..3)), days_on(8)).await;
    assert_eq!(counts(&verdict)[3..], [1, 0], "the seventh day still counts");
    let verdict = place.send(&file(4, END, rows(0..3)), days_on(9)).await;
    assert_eq!(counts(&verdict)[3..], [1, 1]);
}

#[tokio::test]
async fn a_restart_forgets_neither_whose_plans_they_are_nor_what_has_vanished() {
    let place = loaded(9).await;
    place.send(&file(2, END, rows(0..4)), days_on(1)).await;
    let place = place.reopened();
    let verdict = place.send(&file(3, END, rows(0..3)), days_on(2)).await;
    assert_eq!((counts(&verdict), summary(&verdict).none_ended), ([0, 0, 3, 1, 0], Some(NoneEnded::BeyondBound)));
    assert_eq!(place.engine.index().planned_by(authority(1)).len(), 9);
}

#[tokio::test]
async fn a_file_of_changes_misses_nothing() {
    let place = loaded(9).await;
    assert_eq!(place.send(&file(2, FileMode::Changes, rows(0..1)), NOW).await.snapshot, None);
}

/// What retention has removed is not brought back by the file that still names it, the purge of a service that is fed by
/// files alone runs, and a shield told with such a plan is kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_removed_plan_does_not_come_back_with_the_next_file() {
    let place = Place::new();
    let over = |n: u32| PlanRow { start: Some(day("2024-01-10")), end: Some(day("2024-06-01")), ..row(n) };
    let (start, end) = (over(1).start, over(1).end);
    place.event(1, PlanEvent { start, end, reference: row(1).reference, ..event(1, 1, 1) }).await;
    let recent = || PlanRow { start: Some(day("2026-11-22")), ..row(2) };
    place.send(&file(1, REPORT, vec![recent()]), NOW).await;
    assert!(place.record(1).is_some());
    let purged = tokio::task::block_in_place(|| place.engine.purge(NOW));
    assert_eq!(purged.unwrap().going.plans, 1, "a file's row has told that the clock is right");
    assert!(place.record(1).is_none());
    let grown_up = PlanRow { birth_date: Some(day("2005-01-02")), start: Some(day("2020-01-01")), ..row(4) };
    let shielded = PlanRow { shielded: true, ..over(3) };
    let verdict = place.send(&file(2, REPORT, vec![over(1), recent(), shielded, grown_up]), NOW).await;
    assert_eq!((verdict.code, counts(&verdict)), (FileCode::AllLoaded, [1, 0, 3, 0, 0]));
    assert!(place.record(1).is_none() && place.record(4).is_none(), "brought back");
    assert!(place.record(3).unwrap().is_shielded());
}

/// An adopted child's plan stands under the number that is not valid any more as well as under the present one: the file names
/// the present one alone, and must not use up its bound on the other.
#[tokio::test]
async fn a_plan_under_a_number_that_is_not_valid_any_more_is_not_missed() {
    let place = loaded(5).await;
    place.invalidate(1).await;
    let mut rows = rows(0..5);
    rows[1].number = nhs(9);
    let verdict = place.send(&file(2, END, rows), days_on(1)).await;
    assert_eq!((summary(&verdict).missing, missed(&verdict)), (0, Vec::new()));
    assert_eq!(verdict.code, FileCode::AllLoaded);
    assert_eq!((place.end(1), place.end(9)), (None, None));
}

/// A file says nothing of when it was made: a plan told an hour before it came may be newer than the file.
#[tokio::test]
async fn a_plan_told_within_a_day_before_a_file_is_ended_by_the_next_one() {
    let place = loaded(20).await;
    place.event(1, event(1, 50, 1)).await;
    let verdict = place.send(&file(2, END, rows(0..20)), NOW.plus_seconds(3_600)).await;
    assert_eq!((counts(&verdict), place.end(50)), ([0, 0, 20, 1, 0], None));
    let verdict = place.send(&file(3, END, rows(0..20)), NOW.plus_seconds(86_400)).await;
    assert_eq!(counts(&verdict), [0, 0, 20, 1, 1]);
    assert!(place.end(50).is_some());
}

/// The very number that a row of the first file has, and the one above all its rows.
#[tokio::test]
async fn an_event_is_not_taken_for_a_row_by_its_version() {
    for version in [row_version(1, 1, 0), end_version(1)] {
        let place = loaded(20).await;
        let until = Some(day("2027-03-01"));
        let told = Change::Plan(PlanEvent { end: until, ..event(1, 50, version) });
        place.engine.change(&permit(1), NOW.plus_seconds(60), vec![told]).await.remove(0).unwrap();
        let verdict = place.send(&file(2, END, rows(0..20)), NOW.plus_seconds(3_600)).await;
        assert_eq!((counts(&verdict), place.end(50)), ([0, 0, 20, 1, 0], until), "{version}");
    }
}

/// What a file has told is known to be older than the next file, however soon that comes.
#[tokio::test]
async fn a_plan_of_a_file_is_ended_by_the_next_one_of_the_same_hour() {
    let place = loaded(20).await;
    let told = place.send(&file(2, END, rows(0..21)), NOW).await;
    assert_eq!(counts(&told), [1, 0, 20, 0, 0]);
    let verdict = place.send(&file(3, END, rows(0..20)), NOW.plus_seconds(3_600)).await;
    assert_eq!(counts(&verdict), [0, 0, 20, 1, 1]);
    assert!(place.end(20).is_some());
}
