//! Tests of the journal, with real files, a disk that fails on purpose and a clock that moves when told to.

mod backwards;
mod bytes;
mod careful;
mod removing;
mod reopening;
mod sinks;
mod stress;
mod times;
mod timing;
mod turns;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use crate::testing::{Call, FaultyDisk, ManualClock, eventually, keys};

const BOOT: &str = "6f7f4b7e-1111-4222-8333-944444444444";

/// A journal under test with all that it was made of.
struct Bench {
    dir: tempfile::TempDir,
    disk: FaultyDisk,
    clock: Arc<ManualClock>,
    mode: AuditMode,
    segment_bytes: u64,
}

impl Bench {
    fn new(mode: AuditMode) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            disk: FaultyDisk::default(),
            clock: Arc::new(ManualClock::default()),
            mode,
            segment_bytes: 64 << 20,
        }
    }

    fn primary(&self) -> PathBuf {
        self.dir.path().join("primary")
    }

    fn spill(&self) -> PathBuf {
        self.dir.path().join("spill")
    }

    fn try_open(&self, floor: u64, boot: &str) -> Result<(Arc<Journal>, Recovered), JournalError> {
        let mut options = JournalOptions::new(self.primary(), self.spill());
        options.mode = self.mode;
        options.segment_bytes = self.segment_bytes;
        let clock: Arc<dyn Monotonic> = self.clock.clone();
        Journal::open_on(Arc::new(self.disk.clone()), options, keys(), floor, boot, clock)
    }

    fn open(&self) -> (Arc<Journal>, Recovered) {
        self.try_open(0, BOOT).unwrap()
    }

    fn verify(&self) -> JournalReport {
        Journal::verify(&self.primary(), &self.spill(), &keys()).unwrap()
    }

    fn segments(&self, dir: &Path) -> Vec<PathBuf> {
        recover::list(dir).unwrap().into_iter().map(|file| file.path).collect()
    }
}

/// Ends a journal as a killed process would: threads gone, locks gone, no mark.
fn kill(journal: Arc<Journal>) {
    journal.shared.stop();
    for thread in journal.threads.lock().unwrap().drain(..) {
        thread.join().unwrap();
    }
    drop(journal);
}

fn append_all(journal: &Journal, numbers: std::ops::RangeInclusive<u64>) -> Vec<u64> {
    numbers.map(|number| journal.append(format!("entry {number}").as_bytes()).unwrap().sequence).collect()
}

fn synced(journal: &Journal, sequence: u64) {
    eventually("sync", || journal.synced_through() >= sequence);
}

/// All entries, read a few at a time.
fn read_all(journal: &Journal) -> Vec<(u64, String)> {
    let mut found: Vec<(u64, String)> = Vec::new();
    loop {
        let from = found.last().map_or(0, |entry| entry.0) + 1;
        let some = journal.read_from(from, 7).unwrap();
        if some.is_empty() {
            return found;
        }
        found
            .extend(some.into_iter().map(|(reference, plain)| (reference.sequence, String::from_utf8(plain).unwrap())));
    }
}

#[test]
fn what_was_appended_is_read_back_in_order_and_a_clean_end_leaves_no_gap() {
    let bench = Bench::new(AuditMode::Bounded);
    let (journal, recovered) = bench.open();
    assert_eq!(recovered, Recovered { last_sequence: 0, gap: None });
    assert_eq!(append_all(&journal, 1..=30), (1..=30).collect::<Vec<_>>());
    synced(&journal, 30);
    let read = read_all(&journal);
    assert_eq!(read.len(), 30);
    assert_eq!(read[9], (10, "entry 10".to_owned()));
    journal.close().unwrap();
    assert_eq!(journal.append(b"late"), Err(AuditError::Closed));
    drop(journal);
    let (journal, recovered) = bench.open();
    assert_eq!(recovered, Recovered { last_sequence: 30, gap: None });
    assert_eq!(append_all(&journal, 31..=40), (31..=40).collect::<Vec<_>>());
    synced(&journal, 40);
    assert_eq!(read_all(&journal).len(), 40);
    journal.close().unwrap();
    let report = bench.verify();
    assert!(report.is_sound(), "{report}");
    assert_eq!((report.entries, report.last_sequence, report.declared_gaps.len()), (40, 40, 0));
}

#[test]
fn segments_roll_over_and_reading_goes_on_across_them() {
    let bench = Bench { segment_bytes: 2 * MAX_ENTRY_BYTES as u64, ..Bench::new(AuditMode::Bounded) };
    let (journal, _) = bench.open();
    let large = vec![b'x'; 30_000];
    for number in 1..=40 {
        assert_eq!(journal.append(&large).unwrap().sequence, number);
        synced(&journal, number);
        eventually("next segment", || journal.shared.lock().sink(Sink::Primary).standby.is_some());
    }
    assert!(bench.segments(&bench.primary()).len() > 8);
    let sequences: Vec<u64> =
        (0..6).flat_map(|part| journal.read_from(part * 7 + 1, 7).unwrap()).map(|e| e.0.sequence).collect();
    assert_eq!(sequences, (1..=40).collect::<Vec<_>>());
    journal.close().unwrap();
    assert!(bench.verify().is_sound());
}

#[test]
fn many_threads_never_share_a_number_and_nothing_is_lost() {
    let bench = Bench::new(AuditMode::Bounded);
    let (journal, _) = bench.open();
    let mut all: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| append_all(&journal, 1..=500))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    all.sort_unstable();
    assert_eq!(all, (1..=2_000).collect::<Vec<_>>());
    synced(&journal, 2_000);
    assert_eq!(read_all(&journal).len(), 2_000);
    journal.close().unwrap();
}

#[test]
fn references_have_one_spelling() {
    let reference = AuditRef { journal: 1, sequence: 1_234 };
    assert_eq!(reference.to_string(), "1-000000001234");
    assert_eq!("1-000000001234".parse(), Ok(reference));
    let long = AuditRef { journal: 65_535, sequence: u64::MAX };
    assert_eq!(long.to_string().parse(), Ok(long));
    for bad in [
        "",
        "1",
        "1-",
        "-000000001234",
        "1-1234",
        "01-000000001234",
        "1-0000000001234",
        "1-00000000123x",
        "1-+00000001234",
        "70000-000000001234",
    ] {
        assert_eq!(bad.parse::<AuditRef>(), Err(AuditRefError), "{bad}");
    }
}

#[test]
fn no_plaintext_reaches_the_disk_and_large_entries_are_refused() {
    let bench = Bench::new(AuditMode::Bounded);
    let (journal, _) = bench.open();
    journal.append(b"CANARY-77aa").unwrap();
    journal.append(&vec![1; MAX_ENTRY_BYTES]).unwrap();
    assert!(matches!(journal.append(&vec![1; MAX_ENTRY_BYTES + 1]), Err(AuditError::TooLarge { .. })));
    journal.close().unwrap();
    for path in bench.segments(&bench.primary()) {
        assert!(!fs::read(path).unwrap().windows(11).any(|window| window == b"CANARY-77aa"));
    }
}

#[test]
fn options_out_of_order_and_a_second_opening_are_refused() {
    let bench = Bench::new(AuditMode::Bounded);
    let (journal, _) = bench.open();
    assert!(matches!(bench.try_open(0, BOOT), Err(JournalError::Locked(Sink::Primary))));
    kill(journal);
    let same = JournalOptions::new(bench.primary(), bench.primary());
    let clock: Arc<dyn Monotonic> = bench.clock.clone();
    assert!(matches!(Journal::open(same, keys(), 0, BOOT, clock), Err(JournalError::Options(_))));
}
