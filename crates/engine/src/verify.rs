//! Holding what is on disk against itself: every row opens, the chain is whole, the log replays, from the snapshot
//! that it was trimmed behind, to the very state that is stored, and every audit entry opens. Runs offline; answers nothing.

use crate::apply::{Applied, apply};
use crate::audit_entry::{AuditEntry, Decision};
use crate::keys;
use crate::rows::{MetaRow, decode};
use crate::state_hash;
use crate::tree::TreeCheck;
use crate::working::{Base, StateError, Working};
use kith_domain::change::{AuditHead, LogRecord};
use kith_domain::child::{ChildRecord, Subject};
use kith_domain::codes::LaCode;
use kith_store::{
    Journal, JournalReport, Keys, Row, Store, StoreError, StoreOptions, StoreReport, Table, Told, TreeError, TreeFault,
    TreeReport,
};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

/// What was found.
#[derive(Debug)]
pub struct VerifyReport {
    /// The store's own checks.
    pub store: StoreReport,
    /// The audit's checks.
    pub audit: JournalReport,
    /// Set when the audit ends before entries whose consequences are in the log: they were on disk before those were logged.
    pub rolled_back: Option<RolledBack>,
    /// The checks of the tree over the audit, where one is kept.
    pub tree: Option<TreeReport>,
    /// The stored state beside the one that the log replays to.
    pub state: StateReport,
}

/// An audit that ends too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RolledBack {
    /// The last entry that is there.
    pub last: u64,
    /// The last one whose consequences are in the log.
    pub derived: u64,
}

/// What comparing the stored state with the replayed one found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateReport {
    /// The log replays to the very state that is stored, with this hash.
    Same([u8; 32]),
    /// It replays to another one.
    Differs {
        /// Hash of the stored state.
        stored: [u8; 32],
        /// Hash of the replayed one.
        replayed: [u8; 32],
    },
    /// One of the two cannot be read whole.
    Unreadable(String),
}

impl VerifyReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let tree = self.tree.as_ref().is_none_or(TreeReport::is_sound);
        let audit = self.audit.is_sound() && self.rolled_back.is_none() && tree;
        self.store.is_sound() && audit && matches!(self.state, StateReport::Same(_))
    }

    /// Whether a signature stands for the audit: the log's key was there to look at them with, and has signed a head, or there is
    /// nothing yet to sign; and what stands after the newest head is under one as well, or comes under the next, because `signs`
    /// says that the next start has a key, and nothing keeps it from signing. Without that a report that is sound says nothing of
    /// who wrote the audit.
    #[must_use]
    pub fn is_signed(&self, signs: bool) -> bool {
        self.tree.as_ref().is_some_and(|tree| vouches(tree, self.audit.last_sequence, signs))
    }

    /// Whether all that is wrong is that the heads of the tree are signed with another key than the one that is configured. That
    /// may be a mistake in the configuration, or somebody who replaced every head: it is not sound.
    #[must_use]
    pub fn only_the_key_changed(&self) -> bool {
        let Some(tree) = &self.tree else { return false };
        let the_key = tree.faults.iter().all(|fault| matches!(fault, TreeFault::KeyChanged { .. }));
        let audit = self.audit.is_sound() && self.rolled_back.is_none();
        let beside = audit && self.store.is_sound() && matches!(self.state, StateReport::Same(_));
        beside && the_key && !tree.faults.is_empty() && tree.more_faults == 0
    }
}

/// Whether a tree's signatures stand for an audit that ends with `last`.
fn vouches(tree: &TreeReport, last: u64, signs: bool) -> bool {
    let is_begun = tree.signed_leaves > 0 || last == 0;
    let goes_on = signs && tree.suspected.is_empty();
    !tree.without_key && is_begun && (goes_on || tree.is_signed_to_its_end())
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.store, self.audit)?;
        if let Some(RolledBack { last, derived }) = self.rolled_back {
            writeln!(f, "FAULT audit rolled back: it ends with entry {last}, and the log was derived up to {derived}")?;
        }
        match &self.tree {
            Some(tree) => write!(f, "{tree}")?,
            None => writeln!(f, "tree: NONE is kept: a change of the audit that fits together is not found by this")?,
        }
        match &self.state {
            StateReport::Same(hash) => writeln!(f, "state: hash {}", hex::encode(hash)),
            StateReport::Differs { stored, replayed } => {
                let (stored, replayed) = (hex::encode(stored), hex::encode(replayed));
                writeln!(f, "FAULT state: hash {stored}, and the log replays to {replayed}")
            }
            StateReport::Unreadable(what) => writeln!(f, "FAULT state: it cannot be compared with the log: {what}"),
        }
    }
}

/// Why the data could not be verified at all.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] kith_store::OpenError),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] kith_store::StoreError),
    /// The audit cannot be read.
    #[error(transparent)]
    Journal(#[from] kith_store::JournalError),
    /// The tree over the audit cannot be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The log does not replay.
    #[error("replay log record {sequence}: {what}")]
    Replay {
        /// The record.
        sequence: u64,
        /// What is wrong.
        what: String,
    },
}

impl VerifyError {
    /// Whether the data itself is at fault, not its place, its key or another process.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Open(error) => error.is_damage(),
            Self::Store(_) | Self::Replay { .. } => true,
            Self::Journal(_) | Self::Tree(_) => false,
        }
    }
}

/// Verifies a data directory, its audit sinks, and the tree over them where one is kept.
///
/// # Errors
/// [`VerifyError`] when they cannot be opened; what is wrong inside is in the report.
pub fn verify(
    data_dir: &Path,
    [primary, spill]: [&Path; 2],
    tree: Option<&TreeCheck<'_>>,
    keys: &Arc<Keys>,
) -> Result<VerifyReport, VerifyError> {
    let store = Store::open_read_only(data_dir, Arc::clone(keys), StoreOptions::default())?;
    let report = store.verify()?;
    let survey = Journal::survey(primary, spill, keys, &told_in)?;
    let fact = |key: &[u8]| store.get(Table::Meta, key).ok().flatten();
    let anchored = fact(keys::AUDIT_HEAD).and_then(|bytes| decode::<AuditHead>(&bytes).ok());
    let tree = tree.map(|tree| tree.verify([primary, spill], anchored, &survey.removals())).transpose()?;
    // Without a signed tree nothing says that what is missing was rightly removed.
    let audit = survey.judged(tree.as_ref().and_then(|tree| tree.accounted.as_ref()));
    let meta = fact(keys::META).and_then(|bytes| decode::<MetaRow>(&bytes).ok());
    let (last, derived) = (audit.last_sequence, meta.unwrap_or_default().derived_through);
    let rolled_back = (derived > last).then_some(RolledBack { last, derived });
    let state = match compared(&store, keys) {
        Ok((stored, replayed)) if stored == replayed => StateReport::Same(stored),
        Ok((stored, replayed)) => StateReport::Differs { stored, replayed },
        Err(error) => StateReport::Unreadable(error.to_string()),
    };
    Ok(VerifyReport { store: report, audit, rolled_back, tree, state })
}

/// What an entry tells of numbers that have none.
fn told_in(plain: &[u8]) -> Option<Told> {
    let entry = decode::<AuditEntry>(plain).ok()?;
    if let Decision::AuditRemoved { through, leaves: _, before: _ } = entry.decision {
        return Some(Told::Removed { through });
    }
    if let Decision::Gap(after) = entry.decision { Some(Told::Gap { after }) } else { None }
}

/// Hashes of the stored state and of the replayed one.
fn compared(store: &Store, keys: &Keys) -> Result<([u8; 32], [u8; 32]), VerifyError> {
    let stored = state_hash::of_rows(stored_rows(store)?.into_iter());
    Ok((stored, replayed(store, keys)?))
}

fn stored_rows(store: &Store) -> Result<Vec<Row>, VerifyError> {
    let mut rows = Vec::new();
    for table in Table::ALL {
        store.scan(table, &[], &[], &mut |key, value| {
            rows.push(Row { table, key: key.to_vec(), value: Some(value.to_vec()) });
            ControlFlow::Continue(())
        })?;
    }
    Ok(rows)
}

/// The state at the trim point, as the base of a replay.
struct Snapshot<'a> {
    keys: &'a Keys,
    rows: BTreeMap<(Table, Vec<u8>), Vec<u8>>,
}

impl<'a> Snapshot<'a> {
    fn read(store: &Store, keys: &'a Keys) -> Result<Self, StoreError> {
        let mut rows = BTreeMap::new();
        store.snapshot_rows(&mut |table, key, value| {
            rows.insert((table, key.to_vec()), value.to_vec());
            ControlFlow::Continue(())
        })?;
        Ok(Self { keys, rows })
    }
}

impl Base for Snapshot<'_> {
    fn child(&self, subject: &Subject) -> Result<Option<ChildRecord>, StateError> {
        let row = self.row(Table::Child, &keys::child(self.keys, subject))?;
        Ok(row.map(|bytes| decode(&bytes)).transpose()?)
    }

    fn row(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.rows.get(&(table, key.to_vec())).cloned())
    }

    fn withheld_by(&self, _: LaCode) -> usize {
        0
    }
}

/// Replays the log from the snapshot that it was trimmed behind, or from nothing.
fn replayed(store: &Store, keys: &Keys) -> Result<[u8; 32], VerifyError> {
    let base = Snapshot::read(store, keys)?;
    let of_state =
        |error: StateError| VerifyError::Replay { sequence: store.trimmed().head.sequence, what: error.to_string() };
    let meta = base.row(Table::Meta, keys::META).map_err(of_state)?;
    let meta = meta.map(|bytes| decode(&bytes)).transpose().map_err(|error| of_state(error.into()))?;
    let mut working = Working::new(&base, keys, meta.unwrap_or_default());
    let mut fault = None;
    store.log_from(1, &mut |sequence, bytes| {
        let outcome = decode::<LogRecord>(bytes).map_err(|error| error.to_string()).and_then(|record| {
            match apply(&mut working, sequence, &record) {
                Ok(Applied::Logged(_)) => Ok(()),
                Ok(Applied::Repeated(_) | Applied::Refused(_)) => Err("not taken again".to_owned()),
                Err(error) => Err(error.to_string()),
            }
        });
        match outcome {
            Ok(()) => ControlFlow::Continue(()),
            Err(what) => {
                fault = Some(VerifyError::Replay { sequence, what });
                ControlFlow::Break(())
            }
        }
    })?;
    if let Some(fault) = fault {
        return Err(fault);
    }
    let changed = working.finish().map_err(|error| VerifyError::Replay { sequence: 0, what: error.to_string() })?;
    let held = base.rows.into_iter().map(|((table, key), value)| Row { table, key, value: Some(value) });
    Ok(state_hash::of_rows(held.chain(changed.rows)))
}

/// Counts rows of each table and records of the log, by name: what is there, without any of it.
///
/// # Errors
/// [`VerifyError`] when the store cannot be read.
pub fn inspect(data_dir: &Path, keys: &Arc<Keys>) -> Result<Vec<(&'static str, u64)>, VerifyError> {
    let store = Store::open_read_only(data_dir, Arc::clone(keys), StoreOptions::default())?;
    let mut counts = vec![("log", store.head().sequence - store.trimmed().head.sequence)];
    for table in Table::ALL {
        let mut rows = 0;
        store.scan(table, &[], &[], &mut |_, _| {
            rows += 1;
            ControlFlow::Continue(())
        })?;
        counts.push((table.name(), rows));
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key in the configuration signs nothing of a tree that is suspected, and leaves that fit are no signature.
    #[test]
    fn signatures_stand_for_an_audit_as_far_as_its_newest_head_or_where_the_next_start_goes_on_from_it() {
        let whole = TreeReport { leaves: 3, signed_leaves: 3, ..TreeReport::default() };
        let after = TreeReport { after: 5, ..whole.clone() };
        let leaf = TreeReport { leaves: 4, ..whole.clone() };
        let suspected = vec!["rolled back".to_owned()];
        for (tree, last, with_key, without) in [
            (whole.clone(), 3, true, true),
            (after.clone(), 8, true, false),
            (leaf, 4, true, false),
            (TreeReport { suspected: suspected.clone(), ..whole.clone() }, 3, true, true),
            (TreeReport { suspected, ..after }, 8, false, false),
            (TreeReport { without_key: true, ..whole }, 3, false, false),
            (TreeReport::default(), 0, true, true),
            (TreeReport { after: 1, ..TreeReport::default() }, 1, false, false),
        ] {
            assert_eq!((vouches(&tree, last, true), vouches(&tree, last, false)), (with_key, without), "{tree:?}");
        }
    }
}
