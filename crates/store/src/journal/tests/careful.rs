//! While a disk is in trouble no thread that answers writes to it. Every call that records here is made by the test's own
//! thread: were it to write to a disk whose writes hang, the test would not end.

use super::turns::{answered, hung, later, poll_once, quiet, settled};
use super::*;
use std::pin::pin;
use std::task::Poll;

/// After a hang on the primary: time enough for its thread to lose its turn.
fn after_a_hang() -> (Bench, Arc<Journal>, std::thread::JoinHandle<Result<AuditRef, AuditError>>) {
    let (bench, journal, stuck) = hung(AuditMode::Bounded);
    bench.clock.advance_ms(300);
    (bench, journal, stuck)
}

#[test]
fn while_answers_wait_for_a_sync_their_threads_do_not_write() {
    let (bench, journal) = quiet(AuditMode::Bounded);
    bench.disk.hang(&bench.primary());
    assert_eq!(append_all(&journal, 2..=2), [2]);
    bench.clock.advance_ms(49);
    assert!(matches!(journal.record(b"entry 3"), Ok(Appended::Now(_))), "the disk is only slow");
    bench.clock.advance_ms(1);
    bench.disk.hang_writes(&bench.primary());
    let writes = bench.disk.writes(&bench.primary());
    let mut waiting = pin!(later(&journal, b"entry 4").settled());
    eventually("write begun", || bench.disk.writes(&bench.primary()) > writes);
    let mut behind = pin!(later(&journal, b"entry 5").settled());
    assert_eq!(poll_once(waiting.as_mut()), Poll::Pending);
    assert_eq!(poll_once(behind.as_mut()), Poll::Pending);
    bench.clock.advance_ms(250);
    // The oldest is 300 ms old: the segment goes, and with it what was being written. What waited for its turn is younger.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(waiting), Err(AuditError::TooLate));
    assert_eq!(runtime.block_on(behind).unwrap().sequence, 5);
    assert_eq!(journal.take_gaps(), [Gap { after_sequence: 1, before_sequence: 5, cause: GapCause::SyncHung }]);
    bench.disk.release_writes();
    bench.disk.release();
    eventually("rescue", || journal.window().given_up == 0);
    synced(&journal, 5);
    assert_eq!(read_all(&journal).len(), 5);
    journal.close().unwrap();
    assert!(bench.verify().is_sound());
}

#[test]
fn both_disks_hanging_in_writes_stop_one_thread_that_answers_and_no_more() {
    let (bench, journal, stuck) = after_a_hang();
    bench.disk.hang_writes(&bench.spill());
    let writes = bench.disk.writes(&bench.spill());
    let on_spill = later(&journal, b"entry 3");
    eventually("write begun", || bench.disk.writes(&bench.spill()) > writes);
    bench.clock.advance_ms(300);
    assert_eq!(settled(on_spill), Err(AuditError::TooLate));
    assert!(matches!(journal.record(b"entry 4"), Err(AuditError::NoSink)));
    assert_eq!(journal.window().sink, None);
    // Entry 2 was answered. Entry 3 was not: when its time is up before its write is known to have begun, it is taken back.
    let gaps = journal.take_gaps();
    let first = gaps.first().map(|gap| (gap.after_sequence, gap.cause));
    assert_eq!(first, Some((1, GapCause::SyncHung)));
    assert!(gaps.iter().all(|gap| matches!(gap.before_sequence, 3 | 4)), "{gaps:?}");
    assert!(!stuck.is_finished());
    bench.disk.release_writes();
    assert_eq!(stuck.join().unwrap(), Err(AuditError::TooLate));
    eventually("rescue", || journal.window().given_up == 0);
    eventually("healing", || answered(&journal, b"entry 4").is_ok());
    journal.close().unwrap();
    let report = bench.verify();
    assert!(report.is_sound(), "{report}");
    assert!(matches!(report.entries, 3 | 4), "{report}");
}

#[test]
fn a_handed_entry_that_fails_goes_to_the_other_sink_under_its_number() {
    let (bench, journal, stuck) = after_a_hang();
    bench.disk.release_writes();
    assert_eq!(stuck.join().unwrap(), Err(AuditError::TooLate));
    eventually("primary back", || journal.shared.lock().is_quiet());
    assert_eq!(settled(later(&journal, b"entry 3")).unwrap().sequence, 3);
    eventually("next segment", || journal.shared.lock().is_quiet());
    bench.disk.fail_partly(&bench.primary(), Call::Write, 1, false, 28, 30);
    assert_eq!(settled(later(&journal, b"entry 4")).unwrap().sequence, 4);
    assert_eq!(journal.window().sink, Some(Sink::Spill));
    synced(&journal, 4);
    assert_eq!(read_all(&journal).len(), 4);
    journal.close().unwrap();
    assert!(bench.verify().is_sound());
}

#[test]
fn care_ends_after_a_while() {
    let (bench, journal, stuck) = after_a_hang();
    bench.disk.release_writes();
    assert_eq!(stuck.join().unwrap(), Err(AuditError::TooLate));
    eventually("primary back", || journal.shared.lock().is_quiet());
    let until = journal.shared.lock().careful_until;
    bench.clock.advance_ms(until.as_millis() as u64 - 301);
    assert!(settled(later(&journal, b"entry 3")).is_ok());
    eventually("quiet", || journal.shared.lock().is_quiet());
    bench.clock.advance_ms(1);
    assert!(matches!(journal.record(b"entry 4"), Ok(Appended::Now(_))));
    journal.close().unwrap();
}

#[test]
fn a_handed_entry_that_was_not_begun_is_taken_back_without_a_number() {
    let (bench, journal) = quiet(AuditMode::Bounded);
    let shared = &journal.shared;
    let turn = shared.lock().take_turn(100, false, Duration::ZERO).unwrap().unwrap();
    // As if its thread had not come to it yet.
    let (segment, kept) = (turn.segment.id, turn.clone());
    shared.lock().lose_turn(segment, GapCause::SyncHung);
    let mut handed = shared.hand_over(kept, b"bytes");
    assert!(handed.reply.try_recv().is_err());
    assert!(shared.lock().lost.is_empty(), "no write is waited for that never began");
    assert_eq!(journal.window().given_up, 1);
    bench.clock.advance_ms(300);
    assert_eq!(answered(&journal, b"entry 3").unwrap().sequence, 3);
    kill(journal);
}
