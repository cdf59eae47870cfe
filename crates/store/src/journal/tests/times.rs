//! What the journal tells of how long entries took, by a clock that the tests move.

use super::*;

/// Records an entry whose answer has to wait.
fn later(journal: &Journal, plaintext: &[u8]) -> Later {
    match journal.record(plaintext).unwrap() {
        Appended::Later(later) => later,
        Appended::Now(reference) => panic!("{reference} was to wait"),
    }
}

fn settle(later: Later) -> Result<AuditRef, AuditError> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(later.settled())
}

/// Counts and sums in milliseconds: accepted, and at syncs.
fn told(journal: &Journal) -> [(u64, u64); 2] {
    let Times { accepted, unsynced } = journal.times();
    [accepted, unsynced].map(|counted| (counted.count(), counted.sum_ns / 1_000_000))
}

#[test]
fn bounded_an_entry_is_accepted_in_the_kernel_and_unsynced_until_its_sync_ends() {
    let bench = Bench::new(AuditMode::Bounded);
    let (journal, _) = bench.open();
    let before = bench.disk.syncs(&bench.primary());
    bench.disk.hang(&bench.primary());
    assert!(matches!(journal.record(b"at once").unwrap(), Appended::Now(_)));
    eventually("sync begun", || bench.disk.syncs(&bench.primary()) > before);
    assert_eq!(told(&journal), [(1, 0), (0, 0)]);
    bench.clock.advance_ms(60);
    let waiting = later(&journal, b"waits, for the oldest is old");
    bench.clock.advance_ms(40);
    bench.disk.release();
    settle(waiting).unwrap();
    synced(&journal, 2);
    let [accepted, unsynced] = told(&journal);
    assert_eq!(accepted, (2, 40));
    // One sync of both, when what hung was the making of the next segment; else one each, of 100 ms and of 40 ms.
    assert!([(1, 100), (2, 140)].contains(&unsynced), "{unsynced:?}");
    journal.close().unwrap();
}

#[test]
fn strict_an_entry_is_accepted_on_disk() {
    let bench = Bench::new(AuditMode::Strict);
    let (journal, _) = bench.open();
    bench.disk.hang(&bench.primary());
    let waiting = later(&journal, b"entry");
    assert_eq!(told(&journal), [(0, 0), (0, 0)]);
    bench.clock.advance_ms(70);
    bench.disk.release();
    settle(waiting).unwrap();
    assert_eq!(told(&journal), [(1, 70), (1, 70)]);
    journal.close().unwrap();
}

#[test]
fn what_is_given_up_was_not_accepted() {
    let bench = Bench::new(AuditMode::Strict);
    let (journal, _) = bench.open();
    bench.disk.hang(&bench.primary());
    let waiting = later(&journal, b"entry");
    bench.clock.advance_ms(300);
    assert_eq!(settle(waiting).unwrap_err(), AuditError::TooLate);
    assert_eq!(told(&journal), [(0, 0), (0, 0)]);
    bench.disk.release();
}
