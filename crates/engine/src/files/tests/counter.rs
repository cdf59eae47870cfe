//! Numbers: repeats, reuse, gaps, old ones, resets, and what they do to versions.

use super::place::{NOW, Place, authority, day, file, nhs, row, rows};
use kith_domain::caller::{Peer, Role};
use kith_domain::change::{Change, Feed, FileEnded, FilePositionReset, LogRecord};
use kith_domain::child::Subject;
use kith_domain::codes::OdsCode;
use kith_domain::method::Method;
use kith_domain::permit::authorise_action;
use kith_domain::plan::{PlanKind, PlanName};
use kith_domain::plan_file::{
    FileCode, FileMode, FileOutcome, FileState, FileVerdict, MAX_LISTED, MAX_ROWS, MissingPlan, NoneEnded, PlanRow,
    RowCode, RowFault, RowVerdict, SnapshotSummary,
};
use kith_domain::policy::Policy;
use kith_domain::text::PlanReference;
use kith_domain::time::Moment;
use uuid::Uuid;

const CHANGES: FileMode = FileMode::Changes;

fn refusal(verdict: &FileVerdict) -> (FileCode, &'static str, Option<u64>) {
    assert_eq!((verdict.processed, verdict.rows.len()), (Some(0), 0));
    (verdict.code, verdict.fault.as_ref().unwrap().0, verdict.expected)
}

async fn three_files() -> Place {
    let place = Place::new();
    for number in 1..=3 {
        place.send(&file(number.into(), CHANGES, rows(0..number)), NOW).await;
    }
    place
}

#[tokio::test]
async fn the_same_bytes_are_answered_as_before_also_after_a_restart() {
    let place = Place::new();
    let sent = file(1, CHANGES, vec![row(1), PlanRow { start: None, ..row(2) }]);
    let first = place.send(&sent, NOW).await;
    assert_eq!((first.code, first.repeated, first.expected), (FileCode::SomeLoaded, false, Some(2)));
    let place = place.reopened();
    let log = place.engine.positions().log_sequence;
    let again = place.send(&sent, NOW.plus_seconds(3600)).await;
    assert_eq!(again, FileVerdict { repeated: true, ..first });
    assert_eq!(place.engine.positions().log_sequence, log, "a repeat changes nothing");
}

#[tokio::test]
async fn the_same_number_with_other_bytes_a_gap_and_an_old_number_are_refused_with_the_expected_one() {
    let place = three_files().await;
    let log = place.engine.positions().log_sequence;
    let cases = [(3, "FILE_NUMBER_REUSED"), (5, "FILE_NUMBER_GAP"), (2, "FILE_NUMBER_OLD"), (1, "FILE_NUMBER_OLD")];
    for (number, reason) in cases {
        let verdict = place.send(&file(number, CHANGES, vec![row(9)]), NOW).await;
        assert_eq!(refusal(&verdict), (FileCode::NoneLoaded, reason, Some(4)), "{number}");
    }
    assert!(place.record(9).is_none());
    assert_eq!(place.engine.positions().log_sequence, log);
}

#[tokio::test]
async fn authorities_count_for_themselves() {
    let place = Place::new();
    assert_eq!(place.send(&file(1, CHANGES, rows(0..1)), NOW).await.code, FileCode::AllLoaded);
    assert_eq!(place.send_of(2, &file(1, CHANGES, rows(1..2)), NOW).await.code, FileCode::AllLoaded);
}

#[tokio::test]
async fn a_reset_lets_an_earlier_number_in_and_its_file_outranks_the_later_ones() {
    let place = three_files().await;
    let changed = PlanRow { end: Some(day("2026-12-31")), ..row(0) };
    place.send(&file(4, CHANGES, vec![changed]), NOW).await;
    let ops = Peer { organisation: OdsCode::parse("OPS").unwrap(), role: Role::Ops };
    let permit = authorise_action(&Policy::builtin(), ops, None, Method::ResetFilePosition).unwrap();
    let reset = FilePositionReset { authority: authority(1), event_id: Uuid::from_u128(5), next: 2 };
    place.engine.reset_files(&permit, NOW, reset).await.unwrap();
    assert!(place.engine.reset_files(&permit, NOW, reset).await.unwrap().repeated);
    let end = Some(day("2026-10-01"));
    let verdict = place.send(&file(2, CHANGES, vec![PlanRow { end, ..row(0) }]), NOW).await;
    assert_eq!((verdict.code, verdict.expected), (FileCode::AllLoaded, Some(3)));
    assert_eq!(place.end(0), end, "the file after the reset stands");
    assert!(place.hash().starts_with("Same"));
}

#[tokio::test]
async fn a_file_keeps_its_feed_fresh_unless_no_row_could_be_loaded() {
    let place = Place::new();
    let heard = |place: &Place| {
        let lines = place.engine.feeds().lines(NOW);
        lines.iter().find(|line| line.feed == Feed::Plans(authority(1))).unwrap().last
    };
    let bad = PlanRow { start: None, ..row(1) };
    assert_eq!(place.send(&file(1, CHANGES, vec![bad]), NOW).await.code, FileCode::NoneLoaded);
    assert_eq!(heard(&place), None);
    assert_eq!(place.send(&file(2, CHANGES, Vec::new()), NOW).await.code, FileCode::AllLoaded);
    assert_eq!(heard(&place), Some(NOW), "nothing to tell is a sign of life");
    place.send(&file(3, CHANGES, rows(1..2)), NOW).await;
    let later = NOW.plus_seconds(60);
    place.send(&file(4, CHANGES, rows(1..2)), later).await;
    assert_eq!(heard(&place), Some(later), "a file that tells nothing new is one too");
}

/// The stored row, byte by byte: a field or variant that moves turns this red.
#[test]
fn the_row_has_these_bytes() {
    let fault = RowFault::new(RowCode::NotLoaded, "end", "R", "w");
    let rows = [RowVerdict::Loaded { shielded: true }, RowVerdict::Fault(fault)];
    let plan = MissingPlan {
        subject: Subject::Nhs(nhs(1)),
        name: PlanName::Reference(PlanReference::parse("P").unwrap()),
        kind: Some(PlanKind::Unborn),
        start: None,
    };
    let (added, changed, unchanged, missing, ended) = (1, 2, 3, 4, 0);
    let none_ended = Some(NoneEnded::RowUnreadable);
    let summary = SnapshotSummary { added, changed, unchanged, missing, listed: vec![plan], ended, none_ended };
    let mut state = FileState { next: 300, ..FileState::default() };
    state.start(300, [1; 16], Moment(1_000));
    state.note_ending(5, Moment(2_000));
    state.end(FileOutcome::new(&rows, Some(summary)), Moment(2_000));
    state.start(301, [2; 16], Moment(3_000));
    let bytes: String = crate::rows::encode(&state).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(bytes, KEPT_BYTES);
}

const KEPT_BYTES: &str = concat!(
    "01ad02ad0201ad02ad0202020202020202020202020202020202f02e0001ac0201010101010101010101010101010101a01f",
    "020201010603656e64015201770201000102010000010102030401009a9bcd9b25000150010200000102000001a01f05",
);

#[test]
fn the_largest_verdict_fits_into_one_record_of_the_log() {
    let fault = RowVerdict::Fault(RowFault::new(RowCode::NotLoaded, "end", "R", "w"));
    let name = PlanName::Reference(PlanReference::parse(&"\u{1f9d2}".repeat(PlanReference::MAX)).unwrap());
    let plan = |n: u32| MissingPlan {
        subject: Subject::Nhs(nhs(n)),
        name: name.clone(),
        kind: Some(PlanKind::Unborn),
        start: Some(day("2026-01-10")),
    };
    let listed: Vec<MissingPlan> = (0..u32::try_from(MAX_LISTED).unwrap()).map(plan).collect();
    let (added, changed, unchanged, missing, ended) = (0, 0, 0, 90_000, 0);
    let none_ended = Some(NoneEnded::BeyondBound);
    let summary = SnapshotSummary { added, changed, unchanged, missing, listed, ended, none_ended };
    let outcome = FileOutcome::new(&vec![fault; MAX_ROWS], Some(summary));
    let change = Change::FileEnded(FileEnded { authority: authority(1), number: 999_999_999, outcome });
    let bytes = crate::rows::encode(&LogRecord { at: NOW, change }).unwrap().len();
    assert!(bytes < (1 << 20) * 3 / 4, "{bytes} bytes");
}
