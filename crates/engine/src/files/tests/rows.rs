//! Rows: their codes in order, and what becomes of the plans.

use super::place::{END, NOW, Place, authority, day, event, file, reasons, row, rows};
use kith_domain::change::{PlanAction, PlanEvent};
use kith_domain::plan_file::{FileCode, FileMode, PlanFile, PlanRow, RowCode, RowFault, RowVerdict};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const CHANGES: FileMode = FileMode::Changes;

#[tokio::test]
async fn good_rows_load_beside_bad_ones_and_each_has_its_verdict_in_order() {
    let place = Place::new();
    place.event(2, event(2, 5, 1)).await;
    let own = vec![PlanAction::Change, PlanAction::TransferOut(authority(1))];
    let sent = vec![
        row(1),
        PlanRow { end: Some(day("2025-01-01")), ..row(2) },
        PlanRow { shielded: true, ..row(3) },
        PlanRow { start: None, ..row(4) },
        PlanRow { birth_date: Some(day("2011-07-30")), ..row(5) },
        row(1),
        PlanRow { actions: own, ..row(6) },
        row(7),
        row(8),
    ];
    let mut sent = file(1, CHANGES, sent);
    sent.rows[7].plan = Err(RowFault::new(RowCode::OldStyleNumber, "nhs_number", "OLD_STYLE_NUMBER", "words"));
    let verdict = place.send(&sent, NOW).await;
    let expected = [
        "",
        "end END_BEFORE_START",
        "shielded",
        "start START_MISSING",
        "date_of_birth BIRTH_DATE_CONTRADICTS",
        "PLAN_TWICE",
        "remark SAME_AUTHORITY",
        "nhs_number OLD_STYLE_NUMBER",
        "",
    ];
    assert_eq!(reasons(&verdict), expected);
    assert_eq!((verdict.code, verdict.processed), (FileCode::SomeLoaded, Some(9)));
    let lines: Vec<u64> = verdict.rows.iter().map(|row| row.line).collect();
    assert_eq!(lines, (3..12).collect::<Vec<u64>>());
    let code = |at: usize| match &verdict.rows[at].verdict {
        RowVerdict::Fault(fault) | RowVerdict::Noted(fault) => fault.code,
        RowVerdict::Loaded { .. } => RowCode::Loaded,
    };
    assert_eq!((code(4), code(7), code(3)), (RowCode::NotVerified, RowCode::OldStyleNumber, RowCode::NotLoaded));
    assert!(place.record(1).is_some() && place.record(8).is_some() && place.record(2).is_none());
    assert_eq!(place.record(5).unwrap().plans.len(), 1, "the other authority's alone");
}

#[tokio::test]
async fn a_near_birth_date_and_an_own_correction_are_loaded() {
    let place = Place::new();
    place.event(2, event(2, 5, 1)).await;
    let near = PlanRow { birth_date: Some(day("2018-04-03")), ..row(5) };
    assert_eq!(reasons(&place.send(&file(1, CHANGES, vec![near, row(6)]), NOW).await), ["", ""]);
    let own = PlanRow { birth_date: Some(day("2011-07-30")), ..row(6) };
    assert_eq!(reasons(&place.send(&file(2, CHANGES, vec![own]), NOW).await), [""]);
}

#[tokio::test]
async fn a_child_shielded_by_another_authority_is_taken_and_stays_shielded() {
    let place = Place::new();
    place.event(2, PlanEvent { shielded: true, ..event(2, 1, 1) }).await;
    let verdict = place.send(&file(1, CHANGES, rows(1..2)), NOW).await;
    assert_eq!(reasons(&verdict), ["shielded"]);
    let record = place.record(1).unwrap();
    assert_eq!((record.plans.len(), record.setters()), (2, vec![authority(2)]));
}

#[tokio::test]
async fn remarks_become_what_happened_to_the_plan() {
    let place = Place::new();
    let (out, arrival) = (PlanAction::TransferOut(authority(2)), PlanAction::TransferIn(authority(2)));
    let sent = vec![
        PlanRow { actions: vec![PlanAction::Change, out], ..row(1) },
        PlanRow { actions: vec![arrival], ..row(2) },
        row(3),
    ];
    assert_eq!(reasons(&place.send(&file(1, CHANGES, sent), NOW).await), ["", "", ""]);
    let plan = |n: u32| place.record(n).unwrap().plans[0].clone();
    assert_eq!((plan(1).moving_to.get(), plan(1).start.get()), (Some(&authority(2)), Some(&day("2026-01-10"))));
    assert_eq!(plan(2).moved_from.get(), Some(&authority(2)));
    let withdrawn = PlanRow { actions: vec![PlanAction::Withdraw], ..row(3) };
    let stays = PlanRow { actions: vec![PlanAction::Start], ..row(1) };
    place.send(&file(2, CHANGES, vec![withdrawn, stays]), NOW).await;
    assert!(plan(3).is_withdrawn());
    assert_eq!(plan(1).moving_to.get(), None);
    place.send(&file(3, CHANGES, vec![row(3)]), NOW).await;
    assert!(!plan(3).is_withdrawn(), "a plan as its dates say is held again");
}

#[tokio::test]
async fn rows_that_tell_nothing_new_are_not_logged() {
    let place = Place::new();
    place.send(&file(1, CHANGES, rows(0..200)), NOW).await;
    let log = place.engine.positions().log_sequence;
    for number in 2..=510 {
        let verdict = place.send(&file(number, CHANGES, rows(0..3)), NOW).await;
        assert_eq!(verdict.code, FileCode::AllLoaded, "file {number}");
    }
    assert_eq!(place.engine.positions().log_sequence, log + 2 * 509, "a start and an end for each");
}

#[tokio::test]
async fn a_row_behind_an_event_of_a_greater_version_is_not_called_loaded() {
    let place = Place::new();
    place.event(1, event(1, 1, 1 << 40)).await;
    let other = PlanRow { end: Some(day("2026-12-01")), ..row(1) };
    assert_eq!(reasons(&place.send(&file(1, CHANGES, vec![other, row(2)]), NOW).await), ["OVERTAKEN", ""]);
    assert_eq!(place.end(1), None);
}

/// Withdrawn or ended by an event with a greater version, a plan stays so: the file's row is not called loaded, although
/// nothing has told the plan's other dates since.
#[tokio::test]
async fn a_row_taken_in_part_is_not_called_loaded() {
    let place = Place::new();
    let born = |n| PlanRow { birth_date: None, ..row(n) };
    place.send(&file(1, END, (0..4).map(born).collect()), NOW).await;
    let later = |n, action| PlanEvent { action, ..event(1, n, 1_795_000_000_000) };
    place.event(1, later(1, PlanAction::Withdraw)).await;
    place.event(1, PlanEvent { end: Some(day("2026-12-01")), ..later(2, PlanAction::End) }).await;
    let next: Vec<PlanRow> = (0..4).map(|n| PlanRow { birth_date: Some(day("2018-03-04")), ..born(n) }).collect();
    let verdict = place.send(&file(2, END, next), NOW).await;
    assert_eq!(reasons(&verdict), ["", "OVERTAKEN", "OVERTAKEN", ""]);
    assert!(place.record(1).unwrap().plans[0].is_withdrawn());
    assert_eq!(place.end(2), Some(day("2026-12-01")));
}

/// Nothing else waits for the runtime's clock here, so it stands still but for the rests.
#[test]
fn a_file_rests_between_its_groups_while_anybody_asks() {
    let place = Place::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let taking = |sent: &PlanFile| {
        runtime.block_on(async {
            let began = tokio::time::Instant::now();
            place.send(sent, NOW).await;
            began.elapsed()
        })
    };
    assert_eq!(taking(&file(1, CHANGES, rows(0..200))), Duration::ZERO, "nobody asks");
    let done = AtomicBool::new(false);
    let (took, last) = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                place.engine.answers.answered();
                std::thread::yield_now();
            }
        });
        let took = (taking(&file(2, CHANGES, rows(200..400))), taking(&file(3, CHANGES, rows(400..401))));
        done.store(true, Ordering::Relaxed);
        took
    });
    assert!(took >= Duration::from_millis(3), "between four groups: {took:?}");
    assert_eq!(last, Duration::ZERO, "behind its last group it does not rest");
}
