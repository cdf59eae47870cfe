//! Proofs out of the tree that is on disk: that an entry is under a checkpoint, and that one checkpoint follows from another.
//! What they are worth, whoever asked for them checks.

use std::cmp::Ordering;

use kith_merkle::{Hash, consistency_proof, inclusion_proof};

use super::Tree;
use super::files::TreeReader;
use super::record::Record;
use super::types::TreeError;

/// How many records after those that passed it over a late entry is looked for.
pub(super) const LATE_WITHIN: u64 = 1 << 18;

/// An entry's place in the tree, with the proof of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// Index of its leaf, from 0.
    pub index: u64,
    /// Its leaf.
    pub leaf: Hash,
    /// Leaves of the tree that it is proven to be in.
    pub size: u64,
    /// Hashes beside its path, the lowest first.
    pub proof: Vec<Hash>,
}

impl Tree {
    /// Proves that the tree of `to` leaves begins with the tree of `from`; `None` when there are not so many.
    ///
    /// # Errors
    /// When the tree cannot be read.
    pub fn consistency(&self, from: u64, to: u64) -> Result<Option<Vec<Hash>>, TreeError> {
        if from > to || to > self.shared.lock().published.leaves {
            return Ok(None);
        }
        Ok(Some(consistency_proof(&TreeReader::open(&self.options.dir)?, from, to)?))
    }

    /// Proves that the entry `sequence` is among the first `size` leaves; `None` when it is not.
    ///
    /// # Errors
    /// When the tree cannot be read.
    pub fn inclusion(&self, sequence: u64, size: u64) -> Result<Option<Proven>, TreeError> {
        if size > self.shared.lock().published.leaves {
            return Ok(None);
        }
        let reader = TreeReader::open(&self.options.dir)?;
        let Some((index, leaf)) = find(&reader, sequence, size)? else { return Ok(None) };
        let proof = inclusion_proof(&reader, index, size)?;
        Ok(Some(Proven { index, leaf, size, proof }))
    }
}

/// The leaf of an entry. The records are in the order of their numbers, but for late ones, which stand after those that
/// passed them over.
fn find(reader: &TreeReader, sequence: u64, size: u64) -> Result<Option<(u64, Hash)>, TreeError> {
    let at = reaching(reader, sequence, size)?;
    if at < size && place(&reader.record(at)?, sequence) == Some(Ordering::Equal) {
        return held(reader, sequence, at, size);
    }
    Ok(None)
}

/// Index of the first record, in the order of the numbers, that holds a number or one after it; `size` when there is none.
pub(super) fn reaching(reader: &TreeReader, sequence: u64, size: u64) -> Result<u64, TreeError> {
    let (mut low, mut high) = (0, size);
    while low < high {
        // A late entry has no place in the order: the nearest before it that has one is looked at.
        let middle = low + (high - low) / 2;
        let mut at = middle;
        let placed = loop {
            match place(&reader.record(at)?, sequence) {
                None if at > low => at -= 1,
                placed => break placed,
            }
        };
        match placed {
            Some(Ordering::Equal | Ordering::Greater) => high = at,
            Some(Ordering::Less) | None => low = middle + 1,
        }
    }
    Ok(low)
}

/// Where a record stands to a number; `None` for a late entry.
fn place(record: &Record, sequence: u64) -> Option<Ordering> {
    match *record {
        Record::Entry { late: true, .. } => None,
        Record::Entry { sequence: own, late: false, .. } => Some(own.cmp(&sequence)),
        Record::PassedOver { first, last } if (first..=last).contains(&sequence) => Some(Ordering::Equal),
        Record::PassedOver { first, .. } => Some(first.cmp(&sequence)),
    }
}

/// The entry at record `at`, or, where that passed it over, the late one after it.
fn held(reader: &TreeReader, sequence: u64, at: u64, size: u64) -> Result<Option<(u64, Hash)>, TreeError> {
    for index in at..size.min(at + LATE_WITHIN) {
        match reader.record(index)? {
            Record::Entry { sequence: own, leaf, .. } if own == sequence => return Ok(Some((index, leaf))),
            Record::Entry { .. } | Record::PassedOver { .. } => {}
        }
    }
    Ok(None)
}
