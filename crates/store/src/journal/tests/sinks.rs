//! Failing sinks: writing moves over, failed segments are never touched again, and what may be lost is said.

use super::*;

/// Input/output error.
const EIO: i32 = 5;
/// No space left on device.
const ENOSPC: i32 = 28;

#[test]
fn a_failed_or_short_write_goes_to_the_other_sink_under_the_same_number() {
    for partial in [0, 1, 15, 16, 40] {
        let bench = Bench::new(AuditMode::Bounded);
        let (journal, _) = bench.open();
        append_all(&journal, 1..=3);
        bench.disk.fail_partly(&bench.primary(), Call::Write, 1, false, ENOSPC, partial);
        assert_eq!(append_all(&journal, 4..=6), [4, 5, 6]);
        synced(&journal, 6);
        assert_eq!(read_all(&journal).len(), 6);
        let window = journal.window();
        assert_eq!((window.sink, window.closed_segments, window.given_up), (Some(Sink::Spill), 1, 0));
        journal.close().unwrap();
        let report = bench.verify();
        assert!(report.is_sound() && report.torn_tails.is_empty(), "{report}");
        assert_eq!(report.entries, 6);
    }
}

#[test]
fn a_short_write_that_cannot_be_cut_off_is_a_torn_tail() {
    let bench = Bench::new(AuditMode::Bounded);
    let (journal, _) = bench.open();
    append_all(&journal, 1..=3);
    bench.disk.fail_partly(&bench.primary(), Call::Write, 1, false, EIO, 20);
    bench.disk.fail(&bench.primary(), Call::Truncate, 1, false, EIO);
    append_all(&journal, 4..=6);
    synced(&journal, 6);
    assert_eq!(read_all(&journal).len(), 6);
    journal.close().unwrap();
    let report = bench.verify();
    assert!(report.is_sound(), "{report}");
    assert_eq!((report.entries, report.torn_tails.len()), (6, 1));
}

#[test]
fn a_healed_primary_starts_a_new_segment_after_a_second() {
    let bench = Bench::new(AuditMode::Bounded);
    let (journal, _) = bench.open();
    bench.disk.fail(&bench.primary(), Call::Write, 1, true, EIO);
    append_all(&journal, 1..=3);
    synced(&journal, 3);
    assert_eq!(journal.window().sink, Some(Sink::Spill));
    bench.disk.heal();
    bench.clock.advance_ms(999);
    append_all(&journal, 4..=4);
    assert_eq!(journal.window().sink, Some(Sink::Spill), "not before its time");
    synced(&journal, 4);
    bench.clock.advance_ms(1);
    eventually("new segment", || journal.shared.lock().sink(Sink::Primary).standby.is_some());
    append_all(&journal, 5..=5);
    assert_eq!(journal.window().sink, Some(Sink::Primary));
    synced(&journal, 5);
    assert_eq!(read_all(&journal).len(), 5);
    journal.close().unwrap();
    assert!(bench.verify().is_sound());
}

#[test]
fn both_sinks_failing_is_no_sink_and_heals() {
    let bench = Bench::new(AuditMode::Bounded);
    let (journal, _) = bench.open();
    append_all(&journal, 1..=2);
    assert!(journal.takes_entries());
    bench.disk.fail(&bench.primary(), Call::Write, 1, true, ENOSPC);
    bench.disk.fail(&bench.spill(), Call::Write, 1, true, ENOSPC);
    for _ in 0..3 {
        assert_eq!(journal.append(b"x"), Err(AuditError::NoSink));
    }
    assert_eq!(journal.window().sink, None);
    assert!(!journal.takes_entries());
    bench.disk.heal();
    bench.clock.advance_ms(1_000);
    eventually("healing", || journal.append(b"x").is_ok());
    assert!(journal.takes_entries());
    assert_eq!(journal.shared.lock().next_sequence, 4, "refused entries take no number");
    synced(&journal, 3);
    journal.close().unwrap();
    assert!(bench.verify().is_sound());
}

#[test]
fn no_sink_at_the_start_is_refused_and_one_is_enough() {
    let bench = Bench::new(AuditMode::Bounded);
    bench.disk.fail(&bench.primary(), Call::Create, 1, true, EIO);
    let (journal, _) = bench.open();
    append_all(&journal, 1..=2);
    assert_eq!(journal.window().sink, Some(Sink::Spill));
    kill(journal);
    bench.disk.fail(&bench.spill(), Call::Create, 1, true, EIO);
    assert!(matches!(bench.try_open(0, BOOT), Err(JournalError::NoSink)));
}

#[test]
fn a_failed_sync_closes_its_segment_for_good_and_names_what_may_be_lost() {
    for sticky in [false, true] {
        let bench = Bench::new(AuditMode::Bounded);
        let (journal, _) = bench.open();
        append_all(&journal, 1..=2);
        synced(&journal, 2);
        eventually("quiet", || journal.shared.lock().sink(Sink::Primary).standby.is_some());
        bench.disk.fail(&bench.primary(), Call::Sync, 1, sticky, EIO);
        let lost = journal.append(b"entry 3").unwrap();
        eventually("failed sync", || journal.window().given_up == 1);
        let failed = bench.segments(&bench.primary())[0].clone();
        let length = fs::metadata(&failed).unwrap().len();
        let gap = Gap { after_sequence: 2, before_sequence: 4, cause: GapCause::SyncFailed };
        assert_eq!(journal.take_gaps(), [gap]);
        assert_eq!(journal.take_gaps(), []);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(journal.settled(lost)), Err(AuditError::SyncFailed));
        assert_eq!(append_all(&journal, 4..=6), [4, 5, 6]);
        synced(&journal, 6);
        assert_eq!(journal.window().sink, Some(Sink::Spill));
        let read: Vec<u64> = journal.read_from(1, 10).unwrap().into_iter().map(|entry| entry.0.sequence).collect();
        assert_eq!(read, [1, 2, 4, 5, 6], "what is not known to be on disk is not read");
        bench.clock.advance_ms(2_000);
        if !sticky {
            eventually("new segment", || journal.shared.lock().sink(Sink::Primary).standby.is_some());
            append_all(&journal, 7..=7);
            assert_eq!(journal.window().sink, Some(Sink::Primary));
            synced(&journal, 7);
        }
        assert_eq!(fs::metadata(&failed).unwrap().len(), length, "never written to again");
        assert!(matches!(journal.close(), Err(JournalError::Unsynced { unsynced: 1 })));
        kill(journal);
        assert!(bench.verify().is_sound(), "here the entry reached the disk after all");
    }
}

/// Entries of a sync that hung and came back well are passed over by whoever follows, and handed to it again.
#[test]
fn what_was_given_up_and_synced_after_all_is_handed_to_who_follows() {
    let bench = Bench::new(AuditMode::Bounded);
    let (journal, _) = bench.open();
    append_all(&journal, 1..=1);
    synced(&journal, 1);
    eventually("quiet", || journal.shared.lock().sink(Sink::Primary).standby.is_some());
    assert!(journal.take_late(Follower::Tree).is_empty(), "and from here on it follows");
    bench.disk.hang(&bench.primary());
    journal.append(b"entry 2").unwrap();
    bench.clock.advance_ms(400);
    append_all(&journal, 3..=3);
    synced(&journal, 3);
    let numbers = |from| journal.read_from(from, 256).unwrap().iter().map(|(at, _)| at.sequence).collect::<Vec<_>>();
    assert_eq!((numbers(2), journal.take_late(Follower::History)), (vec![3], vec![]), "passed over while it hangs");
    bench.disk.release();
    eventually("synced after all", || journal.window().given_up == 0);
    assert_eq!((journal.take_late(Follower::History), numbers(2)), (vec![(2, 2)], vec![2, 3]));
    assert!(journal.take_late(Follower::History).is_empty(), "once");
    assert_eq!(journal.take_late(Follower::Tree), [(2, 2)], "one who follows takes nothing from the other");
    assert!(journal.take_late(Follower::Tree).is_empty(), "once");
}
