//! Which versions of the data key are in use, and by what: read from the first bytes of everything that is sealed, so that no
//! key is needed for it. Meant for whoever wants to forget one; it never changes anything.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use rocksdb::{DB, IteratorMode};

use super::{Store, StoreError, Table, TrimPoint, rocks, scan_sealed, snapshot};
use crate::seal::version_of;

/// How many sealed things stand under each version of the data key, by where they stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyUses {
    /// Rows of the state, and the store's own.
    pub state: BTreeMap<u8, u64>,
    /// Records of the log, which are never sealed anew and go with the next trim.
    pub log: BTreeMap<u8, u64>,
    /// Rows of the snapshot that the log was trimmed behind.
    pub snapshot: BTreeMap<u8, u64>,
    /// Entries of the audit, which are never sealed anew.
    pub audit: BTreeMap<u8, u64>,
}

impl KeyUses {
    /// What needs a version, in words, with how many.
    #[must_use]
    pub fn of(&self, version: u8) -> Vec<(&'static str, u64)> {
        let Self { state, log, snapshot, audit } = self;
        [("rows of the state", state), ("records of the log", log), ("rows of the snapshot", snapshot)]
            .into_iter()
            .chain([("entries of the audit", audit)])
            .filter_map(|(what, counts)| counts.get(&version).map(|count| (what, *count)))
            .collect()
    }
}

pub(crate) fn count(counts: &mut BTreeMap<u8, u64>, sealed: &[u8]) {
    // Shorter than any sealed value: it opens with no key.
    if let Some(version) = version_of(sealed) {
        *counts.entry(version).or_default() += 1;
    }
}

impl Store {
    /// Which versions are in use in the data directory, without the audit.
    ///
    /// # Errors
    /// When anything of it cannot be read: then nobody can say what is not in use.
    pub fn key_uses(&self) -> Result<KeyUses, StoreError> {
        let guard = self.database();
        let db = guard.as_ref().ok_or(StoreError::Closed)?;
        let mut uses = KeyUses::default();
        for table in Table::ALL {
            all_of(db, table.name(), &mut uses.state)?;
        }
        for row in db.iterator(IteratorMode::Start) {
            let (_, sealed) = row.map_err(|error| StoreError::Database(error.into_string()))?;
            count(&mut uses.state, &sealed);
        }
        all_of(db, rocks::LOG, &mut uses.log)?;
        let point = self.trimmed();
        if point != TrimPoint::NONE {
            snapshot::each_sealed(&self.dir, point.head, &mut |_, _, sealed| {
                count(&mut uses.snapshot, sealed);
                Ok(ControlFlow::Continue(()))
            })
            .map_err(|what| StoreError::Snapshot { sequence: point.head.sequence, what })?;
        }
        Ok(uses)
    }
}

fn all_of(db: &DB, family: &str, counts: &mut BTreeMap<u8, u64>) -> Result<(), StoreError> {
    scan_sealed(db, family, &[], &[], &mut |_, sealed| {
        count(counts, sealed);
        Ok(ControlFlow::Continue(()))
    })
}
