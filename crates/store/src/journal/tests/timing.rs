//! When answers may leave, decided by a clock that the tests move. Nothing here measures real time.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;

/// Asks once.
fn poll_once(future: std::pin::Pin<&mut impl Future<Output = Result<(), AuditError>>>) -> Poll<Result<(), AuditError>> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Asks until there is an answer.
fn wait(journal: &Journal, reference: AuditRef) -> Result<(), AuditError> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(journal.settled(reference))
}

/// A journal whose primary does not come back from its syncs, and one entry in it.
fn hanging(mode: AuditMode) -> (Bench, Arc<Journal>, AuditRef) {
    let bench = Bench::new(mode);
    let (journal, _) = bench.open();
    let before = bench.disk.syncs(&bench.primary());
    bench.disk.hang(&bench.primary());
    let reference = journal.append(b"entry").unwrap();
    eventually("sync begun", || bench.disk.syncs(&bench.primary()) > before);
    (bench, journal, reference)
}

#[test]
fn bounded_answers_leave_at_once_then_wait_then_fail() {
    let (bench, journal, reference) = hanging(AuditMode::Bounded);
    bench.clock.advance_ms(49);
    assert_eq!(poll_once(pin!(journal.settled(reference))), Poll::Ready(Ok(())));
    bench.clock.advance_ms(1);
    let mut waiting = pin!(journal.settled(reference));
    assert_eq!(poll_once(waiting.as_mut()), Poll::Pending);
    // A younger entry waits as well: the oldest decides.
    let younger = journal.append(b"younger").unwrap();
    assert_eq!(poll_once(pin!(journal.settled(younger))), Poll::Pending);
    bench.clock.advance_ms(249);
    assert_eq!(poll_once(pin!(journal.settled(reference))), Poll::Pending);
    bench.clock.advance_ms(1);
    assert_eq!(wait(&journal, reference), Err(AuditError::TooLate));
    assert_eq!(wait(&journal, younger), Err(AuditError::TooLate));
    bench.disk.release();
}

#[test]
fn a_waiting_answer_leaves_when_the_sync_comes_back() {
    let (bench, journal, reference) = hanging(AuditMode::Bounded);
    bench.clock.advance_ms(120);
    assert_eq!(poll_once(pin!(journal.settled(reference))), Poll::Pending);
    bench.disk.release();
    assert_eq!(wait(&journal, reference), Ok(()));
    let window = journal.window();
    assert_eq!((window.last_ms, window.max_ms, window.unsynced), (120, 120, 0));
    journal.append(b"another").unwrap();
    synced(&journal, 2);
    assert_eq!((journal.window().last_ms, journal.window().max_ms), (0, 120));
}

#[test]
fn a_hanging_sink_is_left_and_its_entries_are_given_up_until_it_comes_back() {
    let (bench, journal, reference) = hanging(AuditMode::Bounded);
    bench.clock.advance_ms(300);
    let next = journal.append(b"next").unwrap();
    assert_eq!(journal.window().sink, Some(Sink::Spill));
    assert_eq!(wait(&journal, reference), Err(AuditError::TooLate));
    assert_eq!(wait(&journal, next), Ok(()));
    let gap = Gap { after_sequence: 0, before_sequence: 2, cause: GapCause::SyncHung };
    assert_eq!(journal.take_gaps(), [gap]);
    synced(&journal, 2);
    assert_eq!(journal.read_from(1, 9).unwrap().len(), 1);
    bench.disk.release();
    eventually("rescue", || journal.window().given_up == 0);
    assert_eq!(journal.read_from(1, 9).unwrap().len(), 2);
    eventually("primary back", || journal.shared.lock().sink(Sink::Primary).standby.is_some());
    journal.append(b"home").unwrap();
    assert_eq!(journal.window().sink, Some(Sink::Primary));
    journal.close().unwrap();
    assert!(bench.verify().is_sound());
}

#[test]
fn both_sinks_hanging_takes_no_entry_and_heals() {
    let (bench, journal, _) = hanging(AuditMode::Bounded);
    bench.disk.hang(&bench.spill());
    bench.clock.advance_ms(300);
    let before = bench.disk.syncs(&bench.spill());
    let on_spill = journal.append(b"spill").unwrap();
    eventually("sync begun", || bench.disk.syncs(&bench.spill()) > before);
    bench.clock.advance_ms(300);
    assert!(!journal.takes_entries());
    assert_eq!(journal.append(b"none"), Err(AuditError::NoSink));
    assert_eq!(wait(&journal, on_spill), Err(AuditError::TooLate));
    bench.disk.release();
    eventually("healing", || journal.append(b"again").is_ok());
    assert!(journal.takes_entries());
    journal.close().unwrap();
    assert!(!journal.takes_entries(), "a closed one takes none");
    assert!(bench.verify().is_sound());
}

#[test]
fn strict_answers_wait_for_their_own_sync() {
    let (bench, journal, reference) = hanging(AuditMode::Strict);
    assert_eq!(poll_once(pin!(journal.settled(reference))), Poll::Pending);
    bench.clock.advance_ms(299);
    assert_eq!(poll_once(pin!(journal.settled(reference))), Poll::Pending);
    bench.disk.release();
    assert_eq!(wait(&journal, reference), Ok(()));
    let next = journal.append(b"next").unwrap();
    assert_eq!(wait(&journal, next), Ok(()));
    assert_eq!(journal.synced_through(), 2);
}

#[test]
fn strict_answers_fail_at_the_limit() {
    let (bench, journal, reference) = hanging(AuditMode::Strict);
    bench.clock.advance_ms(300);
    assert_eq!(wait(&journal, reference), Err(AuditError::TooLate));
    bench.disk.release();
}

#[test]
fn an_unknown_reference_never_settles() {
    let bench = Bench::new(AuditMode::Bounded);
    let (journal, _) = bench.open();
    let reference = journal.append(b"entry").unwrap();
    for unknown in [
        AuditRef { sequence: 2, ..reference },
        AuditRef { sequence: 0, ..reference },
        AuditRef { journal: 2, ..reference },
    ] {
        assert_eq!(wait(&journal, unknown), Err(AuditError::Unknown));
    }
}

#[test]
fn a_group_of_entries_costs_one_sync() {
    let (bench, journal, _) = hanging(AuditMode::Bounded);
    let before = bench.disk.syncs(&bench.primary());
    append_all(&journal, 2..=500);
    bench.disk.release();
    synced(&journal, 500);
    assert!(bench.disk.syncs(&bench.primary()) - before <= 2);
}
