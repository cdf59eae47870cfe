//! Many threads at once, with segments that end and writes that fail meanwhile: every number is given once, none is left
//! out, and every answer that left has its entry.

use std::collections::BTreeMap;

use super::*;

/// Threads: more than cores, so that some are stopped in the middle of their turn.
const THREADS: u64 = 8;
/// Entries of each in a round.
const ENTRIES: u64 = 500;
/// Entries of all threads and rounds.
const ALL: u64 = 3 * THREADS * ENTRIES;
/// Answers under way at once on one thread.
const AT_ONCE: u64 = 4;

/// One entry and its number. A refused one is asked again: no segment may be ready where writing is all that happens.
async fn answered(journal: &Journal, name: &str) -> u64 {
    loop {
        let outcome = match journal.record(name.as_bytes()) {
            Ok(Appended::Now(reference)) => Ok(reference),
            Ok(Appended::Later(later)) => later.settled().await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(reference) => return reference.sequence,
            Err(AuditError::NoSink) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Entries of one thread, some at once as tasks; what each was called and its number.
fn entries_of(journal: &Arc<Journal>, thread: u64) -> Vec<(u64, String)> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        let lanes = (0..AT_ONCE).map(|lane| {
            let journal = Arc::clone(journal);
            tokio::spawn(async move {
                let mut given = Vec::new();
                for number in 0..ENTRIES / AT_ONCE {
                    let name = format!("{thread}/{lane}/{number}");
                    given.push((answered(&journal, &name).await, name));
                    if number.is_multiple_of(16) {
                        tokio::task::yield_now().await;
                    }
                }
                given
            })
        });
        let mut all = Vec::new();
        for lane in lanes.collect::<Vec<_>>() {
            all.extend(lane.await.unwrap());
        }
        all
    })
}

#[test]
fn many_threads_share_no_number_and_every_answer_has_its_entry() {
    for mode in [AuditMode::Bounded, AuditMode::Strict] {
        let bench = Bench { segment_bytes: 4 * MAX_ENTRY_BYTES as u64, ..Bench::new(mode) };
        let (journal, _) = bench.open();
        let mut given = Vec::new();
        for round in 0..3 {
            // Each round begins at the primary and ends at the spill.
            eventually("primary back", || journal.shared.lock().is_quiet());
            bench.disk.fail_partly(&bench.primary(), Call::Write, 900, false, 28, 30);
            std::thread::scope(|scope| {
                let run = |thread| {
                    scope.spawn({
                        let journal = &journal;
                        move || entries_of(journal, round * THREADS + thread)
                    })
                };
                let threads: Vec<_> = (0..THREADS).map(run).collect();
                given.extend(threads.into_iter().flat_map(|thread| thread.join().unwrap()));
            });
            bench.clock.advance_ms(1_000);
        }
        let given: BTreeMap<u64, String> = given.into_iter().collect();
        assert_eq!(given.len() as u64, ALL, "a number was given twice");
        assert_eq!(given.last_key_value().unwrap().0, &ALL, "a number was left out");
        // As after a kill: nothing is synced in order, and nothing that was answered may be missing.
        kill(journal);
        assert!(bench.segments(&bench.primary()).len() + bench.segments(&bench.spill()).len() > 4);
        let (journal, recovered) = bench.open();
        assert_eq!(recovered.last_sequence, ALL);
        assert_eq!(read_all(&journal).into_iter().collect::<BTreeMap<_, _>>(), given);
        kill(journal);
        let report = bench.verify();
        assert!(report.is_sound(), "{report}");
    }
}
