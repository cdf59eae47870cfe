//! What is on disk after the server has stopped: the audit's entries and the verification of everything.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use kith_engine::{AuditEntry, TreeCheck, VerifyReport};
use kith_merkle::{LogSigner, VerifierKey};
use kith_store::{Journal, JournalError, JournalOptions, KeySource, Keys, Store, StoreOptions, SystemMonotonic};

use super::wait::until;

/// Schema version in front of every encoded entry.
const SCHEMA: u8 = 1;
const BATCH: usize = 10_000;

/// The keys of a site.
pub fn keys(dir: &Path) -> Arc<Keys> {
    Arc::new(Keys::open(&dir.join("disk/data"), &KeySource::File(dir.join("storage.key"))).unwrap())
}

/// Gives another site the keys of this one, before either is started: then their rows can be compared.
pub fn share_keys(from: &Path, to: &Path) {
    std::fs::copy(from.join("storage.key"), to.join("storage.key")).unwrap();
    Store::open(&from.join("disk/data"), keys(from), StoreOptions::default()).unwrap().close();
    std::fs::create_dir_all(to.join("disk/data")).unwrap();
    std::fs::copy(from.join("disk/data/keyring"), to.join("disk/data/keyring")).unwrap();
}

/// Every entry of the audit, by its number.
pub fn audit(dir: &Path) -> BTreeMap<u64, AuditEntry> {
    // Whoever read it before may still be letting go of it.
    let journal = until("nobody else holds the audit", || {
        let options = JournalOptions::new(dir.join("disk/audit"), dir.join("disk/spill"));
        match Journal::open(options, keys(dir), 0, "offline", Arc::new(SystemMonotonic::default())) {
            Ok((journal, _)) => Some(journal),
            Err(JournalError::Locked(_)) => None,
            Err(error) => panic!("{error}"),
        }
    });
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
    let report = report(dir, &[]);
    assert!(report.is_sound(), "{report}");
    // Whatever ended the server, it was no change of the audit.
    assert_eq!(report.tree.unwrap().suspected, Vec::<String>::new());
}

/// What verifying everything finds; `kept` are checkpoints that somebody kept.
pub fn report(dir: &Path, kept: &[Vec<u8>]) -> VerifyReport {
    let sinks = [dir.join("disk/audit"), dir.join("disk/spill")];
    let (key, witnesses) = (Some(audit_key(dir)), Vec::new());
    let tree = TreeCheck { dir: &dir.join("disk/audit-tree"), key, witnesses, kept: kept.to_vec() };
    kith_engine::verify(&dir.join("disk/data"), [&sinks[0], &sinks[1]], Some(&tree), &keys(dir)).unwrap()
}

/// The public half of the key that signs the audit's tree.
pub fn audit_key(dir: &Path) -> VerifierKey {
    let pem = std::fs::read_to_string(dir.join("audit.key")).unwrap();
    LogSigner::from_pem("kith.test/audit", &pem).unwrap().key().clone()
}
