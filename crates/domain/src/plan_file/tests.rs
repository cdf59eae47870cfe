//! The counter, the bound on ending, the outcome and its verdicts.

use super::*;
use crate::change::Feed;
use crate::refused::Refused;

const A: [u8; 16] = [1; 16];
const B: [u8; 16] = [2; 16];
const DAY: i64 = 86_400;

fn outcome() -> FileOutcome {
    FileOutcome::new(&[], None)
}

fn after_file(number: u64) -> FileState {
    let mut state = FileState { next: number, ..FileState::default() };
    state.start(number, A, Moment(0));
    state.end(outcome(), Moment(1));
    state
}

#[test]
fn numbers_follow_one_another() {
    let state = after_file(7);
    let cases: [(u64, [u8; 16], Result<Standing, Refused>); 6] = [
        (7, A, Ok(Standing::Answered)),
        (7, B, Err(refusals::REUSED)),
        (8, A, Ok(Standing::New)),
        (6, A, Err(refusals::OLD)),
        (9, B, Err(refusals::GAP)),
        (0, B, Err(refusals::OLD)),
    ];
    for (number, hash, expected) in cases {
        assert_eq!(state.standing(number, hash), expected, "{number}");
    }
    assert_eq!(state.expected(), 8);
}

#[test]
fn a_started_file_goes_on_with_the_same_bytes_only() {
    let mut state = after_file(7);
    state.start(8, A, Moment(2));
    assert_eq!(state.standing(8, A), Ok(Standing::Continues));
    assert_eq!(state.standing(8, B), Err(refusals::REUSED));
    assert_eq!(state.standing(9, B), Err(refusals::UNFINISHED));
    assert_eq!(state.standing(7, A), Err(refusals::UNFINISHED));
    assert_eq!(state.expected(), 8);
}

#[test]
fn after_a_reset_later_files_still_outrank_earlier_ones() {
    let mut state = after_file(7);
    let before = row_version(state.ordinal, 20_000, 3);
    state.reset(2);
    assert_eq!(state.standing(2, A), Ok(Standing::New));
    assert_eq!(state.standing(7, A), Err(refusals::GAP));
    state.start(2, A, Moment(3));
    assert!(row_version(state.ordinal, 1, 0) > before);
    state.end(outcome(), Moment(4));
    assert_eq!(state.next, 3);
}

#[test]
fn versions_of_rows_stay_below_the_end_and_within_their_file() {
    let last = row_version(3, u32::try_from(MAX_ROWS).unwrap(), 3);
    assert!(
        row_version(3, 1, 1) < row_version(3, 2, 0) && last < end_version(3) && end_version(3) < row_version(4, 1, 0)
    );
    assert!(is_version_of(3, end_version(3)) && !is_version_of(3, row_version(4, 1, 0)));
}

#[test]
fn at_most_the_bound_ends_in_any_seven_days() {
    let at = |day: i64| Moment(0).plus_seconds(day * DAY);
    let before = [Vanished { at: at(0), count: 30 }, Vanished { at: at(5), count: 10 }];
    assert!(may_end(&[], at(0), 5, 0), "a small authority's few");
    assert!(!may_end(&[], at(0), 6, 100));
    assert!(may_end(&[], at(0), 50, 1000) && !may_end(&[], at(0), 51, 1000));
    assert!(may_end(&before, at(6), 10, 1000) && !may_end(&before, at(6), 11, 1000));
    assert!(!may_end(&before, at(7), 11, 1000), "seven days include both ends");
    assert!(may_end(&before, at(8), 40, 1000) && !may_end(&before, at(8), 41, 1000));
    assert!(!may_end(&before, at(-3), 11, 1000), "a clock that went back forgets nothing");
}

#[test]
fn an_outcome_gives_its_verdicts_back() {
    let fault = |reason| RowFault::new(RowCode::NotLoaded, "start", reason, "words");
    let rows = vec![
        RowVerdict::Loaded { shielded: false },
        RowVerdict::Fault(fault("A")),
        RowVerdict::Loaded { shielded: true },
        RowVerdict::Fault(fault("B")),
        RowVerdict::Fault(fault("A")),
    ];
    let outcome = FileOutcome::new(&rows, None);
    assert_eq!((outcome.code, outcome.loaded, outcome.faults.len()), (FileCode::SomeLoaded, 2, 2));
    assert_eq!(outcome.verdicts(), rows);
    assert!(outcome.is_sign_of_life());
}

/// Loaded rows are counted as they are taken; refused ones and those that tell nothing new only here, and once.
#[test]
fn what_a_file_adds_to_its_feeds_health() {
    let fault = |code| RowFault::new(code, "nhs_number", "R", "w");
    let rows = [
        RowVerdict::Loaded { shielded: true },
        RowVerdict::Noted(fault(RowCode::Superseded)),
        RowVerdict::Fault(fault(RowCode::NoSuchNumber)),
        RowVerdict::Fault(fault(RowCode::NotLoaded)),
    ];
    let unlogged = Rows { seen: 7, matched: 6 };
    let outcome = FileOutcome { unlogged, ..FileOutcome::new(&rows, None) };
    let feed = Feed::Plans(LaCode::parse("E06000001").unwrap());
    let counted = outcome.counted(feed);
    assert_eq!((counted.seen, counted.matched, counted.rejected, counted.taken_whole), (9, 7, 2, false));
    let noted = FileOutcome::new(&rows[..2], None).counted(feed);
    assert_eq!((noted.seen, noted.rejected, noted.taken_whole), (0, 0, true), "what is loaded is not refused");
}

#[test]
fn codes_of_files_and_signs_of_life() {
    let fault = RowVerdict::Fault(RowFault::new(RowCode::NotLoaded, "", "A", ""));
    let all = FileOutcome::new(&[RowVerdict::Loaded { shielded: true }], None);
    let none = FileOutcome::new(&[fault], None);
    assert_eq!((all.code, none.code, outcome().code), (FileCode::AllLoaded, FileCode::NoneLoaded, FileCode::AllLoaded));
    assert!(!none.is_sign_of_life() && outcome().is_sign_of_life());
    let summary = SnapshotSummary {
        added: 0,
        changed: 0,
        unchanged: 0,
        missing: 1,
        listed: Vec::new(),
        ended: 0,
        none_ended: Some(NoneEnded::NotAsked),
    };
    assert!(!FileOutcome::new(&[], Some(summary)).is_sign_of_life(), "an empty file of an authority that has plans");
}
