//! Writes that hang: they stop nobody else, their answers fail in time, and nothing that comes back late lets one leave.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;

use super::*;

const EIO: i32 = 5;

pub(super) type Outcome = Result<AuditRef, AuditError>;

pub(super) fn poll_once(future: Pin<&mut impl Future<Output = Outcome>>) -> Poll<Outcome> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Records an entry and waits, as a thread that answers does.
pub(super) fn answered(journal: &Journal, entry: &[u8]) -> Outcome {
    match journal.record(entry)? {
        Appended::Now(reference) => Ok(reference),
        Appended::Later(later) => settled(later),
    }
}

pub(super) fn settled(later: Later) -> Outcome {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(later.settled())
}

pub(super) fn later(journal: &Journal, entry: &[u8]) -> Later {
    match journal.record(entry).unwrap() {
        Appended::Later(later) => later,
        Appended::Now(reference) => panic!("{reference} may leave already"),
    }
}

/// A journal with one synced entry, and nothing left to do for its threads.
pub(super) fn quiet(mode: AuditMode) -> (Bench, Arc<Journal>) {
    let bench = Bench::new(mode);
    let (journal, _) = bench.open();
    append_all(&journal, 1..=1);
    synced(&journal, 1);
    eventually("quiet", || journal.shared.lock().is_quiet());
    (bench, journal)
}

/// As `quiet`, and a thread that hangs in the write of the second entry.
pub(super) fn hung(mode: AuditMode) -> (Bench, Arc<Journal>, JoinHandle<Outcome>) {
    let (bench, journal) = quiet(mode);
    let before = bench.disk.writes(&bench.primary());
    bench.disk.hang_writes(&bench.primary());
    let same = Arc::clone(&journal);
    let stuck = std::thread::spawn(move || answered(&same, b"entry 2"));
    eventually("write begun", || bench.disk.writes(&bench.primary()) > before);
    (bench, journal, stuck)
}

#[test]
fn a_hung_write_stops_nobody_else_and_its_answer_and_those_behind_it_fail_in_time() {
    for mode in [AuditMode::Bounded, AuditMode::Strict] {
        let (bench, journal, stuck) = hung(mode);
        let first = AuditRef { journal: 1, sequence: 1 };
        let mut behind = pin!(later(&journal, b"behind").settled());
        assert_eq!(poll_once(behind.as_mut()), Poll::Pending);
        bench.clock.advance_ms(10);
        let younger = later(&journal, b"younger");
        bench.clock.advance_ms(289);
        assert_eq!(poll_once(behind.as_mut()), Poll::Pending, "{mode:?}");
        // The verdicts, the window and who follows the journal go on.
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(journal.settled(first)), Ok(()));
        assert_eq!((journal.window().unsynced, journal.synced_through(), read_all(&journal).len()), (0, 1, 1));
        bench.clock.advance_ms(1);
        assert_eq!(runtime.block_on(behind), Err(AuditError::TooLate), "it waited for 300 ms");
        // What is younger goes on at the other sink, while the thread still hangs.
        let on_spill = settled(younger).unwrap();
        assert_eq!((on_spill.sequence, journal.window().sink), (3, Some(Sink::Spill)), "the second number is used up");
        assert_eq!(answered(&journal, b"entry 4").unwrap().sequence, 4);
        assert_eq!(journal.take_gaps(), [Gap { after_sequence: 1, before_sequence: 3, cause: GapCause::SyncHung }]);
        synced(&journal, 4);
        assert_eq!(journal.read_from(1, 9).unwrap().len(), 3);
        assert!(!stuck.is_finished());
        bench.clock.advance_ms(5_000);
        assert_eq!(answered(&journal, b"entry 5").unwrap().sequence, 5);
        synced(&journal, 5);
        assert_eq!(journal.window().sink, Some(Sink::Spill));
        let nothing_begun = || {
            let mut state = journal.shared.lock();
            let idle = !state.sink(Sink::Primary).busy;
            idle && state.take_job(Sink::Primary, &bench.primary(), bench.clock.now()).is_none()
        };
        eventually("the end of what had been begun", nothing_begun);
        assert!(nothing_begun(), "no segment is begun where a write hangs");
        bench.disk.release_writes();
        assert_eq!(stuck.join().unwrap(), Err(AuditError::TooLate), "late, so its answer does not leave");
        eventually("rescue", || journal.window().given_up == 0);
        assert_eq!(journal.take_late(Follower::History), [(2, 2)], "who follows the journal is told of it");
        assert_eq!(read_all(&journal)[1], (2, "entry 2".to_owned()));
        assert!(answered(&journal, b"entry 6").is_ok());
        journal.close().unwrap();
        let report = bench.verify();
        assert!(report.is_sound(), "{report}");
    }
}

/// Whoever has to tell again what it was written for names it by that.
#[test]
fn a_write_that_is_given_up_is_known_by_the_number_that_it_used_up() {
    let (bench, journal) = quiet(AuditMode::Bounded);
    let before = bench.disk.writes(&bench.primary());
    bench.disk.hang_writes(&bench.primary());
    let same = Arc::clone(&journal);
    let stuck = std::thread::spawn(move || {
        let mut given = None;
        let outcome = same.record_as(b"entry 2", &mut given).map(|_| ());
        (outcome, given)
    });
    eventually("write begun", || bench.disk.writes(&bench.primary()) > before);
    bench.clock.advance_ms(300);
    assert_eq!(answered(&journal, b"entry 3").unwrap().sequence, 3);
    assert!(journal.may_be_read(1) && !journal.may_be_read(2), "whoever tells it again waits for no disk that hangs");
    bench.disk.release_writes();
    let second = AuditRef { journal: 1, sequence: 2 };
    assert_eq!(stuck.join().unwrap(), (Err(AuditError::TooLate), Some(second)));
    eventually("rescue", || journal.window().given_up == 0);
    assert_eq!(read_all(&journal)[1], (2, "entry 2".to_owned()), "it came about after all");
    assert!(journal.may_be_read(2));
    journal.close().unwrap();
    let mut given = None;
    assert!(matches!(journal.record_as(b"entry 4", &mut given), Err(AuditError::Closed)));
    assert_eq!(given, None, "nothing of it can be written");
}

#[test]
fn an_answer_behind_a_slow_write_leaves_when_that_comes_back() {
    let (bench, journal, stuck) = hung(AuditMode::Bounded);
    let behind = later(&journal, b"behind");
    bench.clock.advance_ms(20);
    bench.disk.release_writes();
    let mut numbers = [stuck.join().unwrap().unwrap().sequence, settled(behind).unwrap().sequence];
    numbers.sort_unstable();
    assert_eq!(numbers, [2, 3]);
    synced(&journal, 3);
    assert_eq!(read_all(&journal).len(), 3);
    assert_eq!((journal.take_gaps(), journal.take_late(Follower::History)), (vec![], vec![]));
    journal.close().unwrap();
    assert!(bench.verify().is_sound());
}

#[test]
fn a_write_that_fails_after_it_was_given_up_stays_a_gap_and_is_cut_off() {
    for partial in [0, 20] {
        let (bench, journal, stuck) = hung(AuditMode::Bounded);
        bench.clock.advance_ms(300);
        assert_eq!(answered(&journal, b"entry 3").unwrap().sequence, 3);
        bench.disk.fail_partly(&bench.primary(), Call::Write, 1, false, EIO, partial);
        bench.disk.release_writes();
        assert_eq!(stuck.join().unwrap(), Err(AuditError::TooLate));
        eventually("primary back", || journal.shared.lock().sink(Sink::Primary).standby.is_some());
        assert_eq!(answered(&journal, b"entry 4").unwrap().sequence, 4);
        synced(&journal, 4);
        assert_eq!(
            (journal.window().given_up, journal.take_late(Follower::History)),
            (1, vec![]),
            "no sync makes it whole"
        );
        let read: Vec<u64> = read_all(&journal).into_iter().map(|entry| entry.0).collect();
        assert_eq!(read, [1, 3, 4]);
        assert!(matches!(journal.close(), Err(JournalError::Unsynced { unsynced: 1 })));
        let report = bench.verify();
        assert_eq!(report.faults, [JournalFault::Missing { first: 2, last: 2 }], "no entry told of it");
        assert!(report.torn_tails.is_empty(), "{report}");
    }
}

#[test]
fn a_write_that_comes_back_to_a_segment_whose_sync_failed_changes_nothing() {
    let (bench, journal) = quiet(AuditMode::Bounded);
    let (syncs, writes) = (bench.disk.syncs(&bench.primary()), bench.disk.writes(&bench.primary()));
    bench.disk.hang(&bench.primary());
    append_all(&journal, 2..=2);
    eventually("sync begun", || bench.disk.syncs(&bench.primary()) > syncs);
    bench.disk.hang_writes(&bench.primary());
    let same = Arc::clone(&journal);
    let stuck = std::thread::spawn(move || answered(&same, b"entry 3"));
    eventually("write begun", || bench.disk.writes(&bench.primary()) > writes + 1);
    bench.disk.fail(&bench.primary(), Call::Sync, 1, false, EIO);
    bench.disk.release();
    eventually("sync failed", || journal.window().given_up == 2);
    assert_eq!(journal.take_gaps(), [Gap { after_sequence: 1, before_sequence: 4, cause: GapCause::SyncFailed }]);
    assert_eq!(answered(&journal, b"entry 4").unwrap().sequence, 4, "the turn is free again");
    let syncs = bench.disk.syncs(&bench.primary());
    bench.disk.release_writes();
    assert_eq!(stuck.join().unwrap(), Err(AuditError::SyncFailed));
    synced(&journal, 4);
    assert_eq!((journal.window().given_up, journal.take_late(Follower::History)), (2, vec![]));
    assert_eq!(bench.disk.syncs(&bench.primary()), syncs, "nothing is done with it any more");
    kill(journal);
}

#[test]
fn many_strict_answers_share_a_sync() {
    let (bench, journal) = quiet(AuditMode::Strict);
    let before = bench.disk.syncs(&bench.primary());
    bench.disk.hang(&bench.primary());
    let waiting: Vec<Later> = (2..=400).map(|number| later(&journal, format!("{number}").as_bytes())).collect();
    bench.disk.release();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let numbers = runtime.block_on(async {
        let tasks: Vec<_> = waiting.into_iter().map(|later| tokio::spawn(later.settled())).collect();
        let mut numbers = Vec::new();
        for task in tasks {
            numbers.push(task.await.unwrap().unwrap().sequence);
        }
        numbers
    });
    assert_eq!(numbers, (2..=400).collect::<Vec<_>>());
    assert_eq!(journal.synced_through(), 400, "no strict answer leaves before its sync");
    // One that had begun with the first of them, and one for all others.
    assert!(bench.disk.syncs(&bench.primary()) - before <= 2);
    journal.close().unwrap();
}

#[test]
fn an_answer_that_waits_when_the_journal_ends_does_not_leave() {
    let (bench, journal, stuck) = hung(AuditMode::Bounded);
    let for_turn = later(&journal, b"behind");
    journal.shared.stop();
    assert_eq!(settled(for_turn), Err(AuditError::Closed));
    bench.disk.release_writes();
    // Its own is in the kernel, and young: in bounded mode that is enough.
    assert!(stuck.join().unwrap().is_ok());
    let (bench, journal) = quiet(AuditMode::Strict);
    bench.disk.hang(&bench.primary());
    let for_sync = later(&journal, b"strict");
    let waiting = std::thread::spawn(move || settled(for_sync));
    journal.shared.stop();
    assert_eq!(waiting.join().unwrap(), Err(AuditError::Closed));
    bench.disk.release();
}

#[test]
fn the_ticker_stays_awake_for_a_while_after_an_entry_and_rests_then() {
    let (_bench, journal) = quiet(AuditMode::Bounded);
    let idle = || journal.shared.lock().ticker_idle;
    let interval = journal.shared.lock().options.sync_interval;
    // A machine that stands still for a second may let it rest early once.
    let awake = (2..7).any(|number| {
        append_all(&journal, number..=number);
        synced(&journal, number);
        eventually("quiet", || journal.shared.lock().is_quiet());
        std::thread::sleep(8 * interval);
        !idle()
    });
    assert!(awake, "it rests as soon as there is nothing to do");
    eventually("the ticker rests", idle);
}
