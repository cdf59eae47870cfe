//! Removing whole segments: the oldest first, none that is written to, and nobody who reads is told of a file that is gone.

use super::*;

/// Three runs of ten entries, each in a segment of its own.
fn three_runs() -> Bench {
    let bench = Bench::new(AuditMode::Bounded);
    for run in 0..3 {
        let (journal, _) = bench.open();
        append_all(&journal, 10 * run + 1..=10 * run + 10);
        journal.close().unwrap();
    }
    bench
}

#[test]
fn only_whole_segments_go_the_oldest_first_and_never_the_newest() {
    let bench = three_runs();
    let (journal, _) = bench.open();
    let spans = |journal: &Journal| -> Vec<(u64, u64)> {
        journal.closed_segments().iter().map(|segment| (segment.first, segment.last)).collect()
    };
    // The newest that holds entries may be the only one that tells the last number.
    assert_eq!(spans(&journal), [(1, 10), (11, 20)]);
    assert_eq!(journal.remove_through(9).unwrap(), 0, "a part of a segment");
    assert_eq!(journal.remove_through(15).unwrap(), 1);
    assert_eq!(spans(&journal), [(11, 20)]);
    assert_eq!(read_all(&journal).first().map(|entry| entry.0), Some(11));
    assert!(journal.read_before(11).is_none(), "nothing is there, and no file is asked for");
    assert_eq!(journal.remove_through(u64::MAX).unwrap(), 1);
    assert_eq!(append_all(&journal, 31..=31), [31]);
    synced(&journal, 31);
    assert_eq!(spans(&journal), [(21, 30)]);
    assert_eq!(read_all(&journal).len(), 11);
    journal.close().unwrap();
    drop(journal);
    let (journal, recovered) = bench.open();
    assert_eq!(recovered, Recovered { last_sequence: 31, gap: None });
    assert_eq!(append_all(&journal, 32..=32), [32], "no number is given twice");
    journal.close().unwrap();
}

#[test]
fn a_segment_that_cannot_be_removed_stays_and_so_do_those_after_it() {
    let bench = three_runs();
    let (journal, _) = bench.open();
    let oldest = bench.segments(&bench.primary()).remove(0);
    let aside = oldest.with_extension("aside");
    fs::rename(&oldest, &aside).unwrap();
    fs::create_dir(&oldest).unwrap();
    assert!(matches!(journal.remove_through(20), Err(JournalError::Io(_))));
    fs::remove_dir(&oldest).unwrap();
    fs::rename(&aside, &oldest).unwrap();
    assert_eq!(read_all(&journal).len(), 30);
    assert_eq!(journal.remove_through(20).unwrap(), 2);
    journal.close().unwrap();
}

/// Parts of entries are as old as what was written beside them.
#[test]
fn a_file_without_a_whole_entry_goes_with_those_of_its_opening() {
    let bench = three_runs();
    let header = |run: usize| fs::read(&bench.segments(&bench.primary())[run]).unwrap()[..96].to_vec();
    let torn = [0, 1].map(|run: usize| {
        let path = bench.primary().join(format!("audit-0000009{run}.seg"));
        (path, [&header(run)[..], b"a part"].concat())
    });
    for (path, bytes) in &torn {
        fs::write(path, bytes).unwrap();
    }
    let (journal, _) = bench.open();
    let there = || [torn[0].0.exists(), torn[1].0.exists()];
    assert_eq!((journal.remove_through(9).unwrap(), there()), (0, [true, true]));
    assert_eq!((journal.remove_through(10).unwrap(), there()), (1, [false, true]));
    assert_eq!((journal.remove_through(20).unwrap(), there()), (1, [false, false]));
    assert_eq!(read_all(&journal).len(), 10);
    journal.close().unwrap();
}

#[test]
fn the_mark_is_read_from_either_sink() {
    let bench = three_runs();
    let (journal, _) = bench.open();
    assert_eq!(journal.removal_mark(), None);
    assert!(journal.signed_removals().is_empty());
    journal.mark_removed(30, b"a note").unwrap();
    assert_eq!(journal.signed_removals(), [b"a note", b"a note"]);
    assert_eq!(journal.removal_mark(), Some(30));
    fs::remove_file(bench.primary().join("removed")).unwrap();
    fs::remove_file(bench.primary().join("removed-signed")).unwrap();
    assert_eq!((journal.removal_mark(), journal.signed_removals()), (Some(30), vec![b"a note".to_vec()]));
    fs::write(bench.spill().join("removed"), b"no mark").unwrap();
    assert_eq!(journal.removal_mark(), None, "a mark that cannot be read says nothing");
    journal.close().unwrap();
}
