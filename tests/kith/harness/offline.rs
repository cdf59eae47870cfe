//! What is on disk after the server has stopped: the audit's entries and the verification of everything.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use kith_engine::AuditEntry;
use kith_store::{Journal, JournalOptions, Keys, SystemMonotonic};

/// Schema version in front of every encoded entry.
const SCHEMA: u8 = 1;
const BATCH: usize = 10_000;

fn keys(dir: &Path) -> Arc<Keys> {
    Arc::new(Keys::load(&dir.join("storage.key")).unwrap())
}

/// Every entry of the audit, by its number.
pub fn audit(dir: &Path) -> BTreeMap<u64, AuditEntry> {
    let options = JournalOptions::new(dir.join("disk/audit"), dir.join("disk/spill"));
    let (journal, _) = Journal::open(options, keys(dir), 0, "offline", Arc::new(SystemMonotonic::default())).unwrap();
    let mut found = BTreeMap::new();
    let mut from = 1;
    loop {
        let entries = journal.read_from(from, BATCH).unwrap();
        let Some((last, _)) = entries.last() else { return found };
        from = last.sequence + 1;
        for (reference, bytes) in entries {
            let (schema, rest) = bytes.split_first().unwrap();
            assert_eq!(*schema, SCHEMA);
            found.insert(reference.sequence, postcard::from_bytes(rest).unwrap());
        }
    }
}

/// Every row opens, the chains are whole, and the log replays to the stored state.
pub fn verify(dir: &Path) {
    let report =
        kith_engine::verify(&dir.join("disk/data"), &dir.join("disk/audit"), &dir.join("disk/spill"), &keys(dir))
            .unwrap();
    assert!(report.is_sound(), "{report}");
}
