//! What a start writes first: the gap before it is told whatever fails after that, and is told again where it could not be.

use super::*;
use crate::files::tests::place::{NOW, keys};
use std::path::Path;

/// Opens the journal in a directory, as a start does.
fn opened(dir: &Path) -> (Arc<Journal>, Recovered) {
    let options = JournalOptions::new(dir.join("audit"), dir.join("spill"));
    let clock = Arc::new(kith_store::SystemMonotonic::default());
    Journal::open(options, keys(), 0, "a boot", clock).unwrap()
}

/// A start of which the audit takes so many entries, and then none; then it is killed. Gives the gap that it found, and whether it
/// went on.
fn start(dir: &Path, room: usize) -> (Option<u64>, bool) {
    let (journal, recovered) = opened(dir);
    let mut left = room;
    let outcome = first_entries(&recovered, |decision| {
        left = left.checked_sub(1).ok_or(AuditError::NoSink)?;
        Ok(journal.append(&encode(&AuditEntry::of_service(NOW, decision))?)?.sequence)
    });
    journal.close_unmarked().unwrap();
    (recovered.gap.map(|gap| gap.after_sequence), outcome.is_ok())
}

/// What the entries after a number decided.
fn told(dir: &Path, after: u64) -> Vec<Decision> {
    let (journal, _) = opened(dir);
    let entries = journal.read_from(after + 1, 100).unwrap();
    journal.close_unmarked().unwrap();
    entries.into_iter().map(|(_, bytes)| decode::<AuditEntry>(&bytes).unwrap().decision).collect()
}

#[test]
fn a_start_that_cannot_tell_of_a_gap_leaves_it_to_the_next_and_one_that_cannot_go_on_has_told_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    assert_eq!(start(dir, 2), (None, true));
    // Killed: something may be missing after the first entry.
    assert_eq!(start(dir, 0), (Some(1), false), "no room for the gap");
    assert_eq!(start(dir, 1), (Some(1), false), "no room for the start");
    assert_eq!(told(dir, 1), [Decision::Gap(1)], "and nothing stands before it");
    let (gap, went_on) = start(dir, 2);
    assert!(gap > Some(1) && went_on);
    assert_eq!(told(dir, 1), [Decision::Gap(1), Decision::Gap(gap.unwrap()), Decision::Started]);
}
