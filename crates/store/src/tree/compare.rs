//! Holding entries against their leaves while the tree is open, before their files may go: what is not as it was taken in must
//! stay for whoever looks into it. Nothing is changed.

use std::collections::BTreeMap;

use kith_merkle::Hash;

use super::Tree;
use super::files::{Records, TreeReader};
use super::prove::{LATE_WITHIN, reaching};
use super::record::{Record, entry_leaf, may_come};
use super::types::TreeError;
use crate::journal::Journal;

/// Entries read at once.
const AT_ONCE: usize = 1_024;

/// What comparing entries with their leaves came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// Each is the one that the tree was built over, and none is missing.
    Same,
    /// One is another than that, or is not there, or is not in the tree.
    Differs {
        /// Its number.
        entry: u64,
    },
    /// The caller gave up.
    Stopped,
}

impl Tree {
    /// Holds the entries from `first` to `last`, all of which the tree has taken in, against their leaves. What was passed over
    /// and never taken in has none, and is not looked at. Calls `go_on` after each thousand, and gives up when it says so.
    /// Blocks.
    ///
    /// # Errors
    /// When the tree or the journal cannot be read.
    pub fn compare(
        &self,
        journal: &Journal,
        (first, last): (u64, u64),
        go_on: &dyn Fn() -> bool,
    ) -> Result<Compared, TreeError> {
        let size = self.shared.lock().published.leaves;
        let begin = reaching(&TreeReader::open(&self.options.dir)?, first, size)?;
        let records = Records::open(&self.options.dir, begin)?;
        let mut leaves = Leaves { records, index: begin, size, next: None, passed_at: None };
        let (mut unplaced, mut from) = (BTreeMap::new(), first);
        while from <= last {
            let read = journal.read_sealed(from, AT_ONCE, entry_leaf)?;
            let Some((newest, _)) = read.last() else { break };
            from = newest.saturating_add(1);
            for (sequence, leaf) in read.into_iter().take_while(|(sequence, _)| *sequence <= last) {
                match leaves.place(sequence)? {
                    Place::Leaf(own) if own == leaf => {}
                    Place::Leaf(_) => return Ok(Compared::Differs { entry: sequence }),
                    Place::PassedOver => {
                        unplaced.insert(sequence, leaf);
                    }
                    Place::Differs(entry) => return Ok(Compared::Differs { entry }),
                }
            }
            if !go_on() {
                return Ok(Compared::Stopped);
            }
        }
        let missing = match leaves.left(last)? {
            None => self.late(leaves.passed_at, size, (first, last), &unplaced)?,
            missing => missing,
        };
        Ok(missing.map_or(Compared::Same, |entry| Compared::Differs { entry }))
    }

    /// The first late entry of a range that is not among those found on disk. They stand after those that passed them over, the
    /// first of which is at `from`.
    fn late(
        &self,
        from: Option<u64>,
        size: u64,
        (first, last): (u64, u64),
        unplaced: &BTreeMap<u64, Hash>,
    ) -> Result<Option<u64>, TreeError> {
        let Some(from) = from else { return Ok(None) };
        let mut records = Records::open(&self.options.dir, from)?;
        for index in from..size.min(from.saturating_add(LATE_WITHIN)) {
            let record = records.step()?.flatten().ok_or(TreeError::Record { index })?;
            if let Record::Entry { sequence, leaf, late: true } = record
                && (first..=last).contains(&sequence)
                && unplaced.get(&sequence) != Some(&leaf)
            {
                return Ok(Some(sequence));
            }
        }
        Ok(None)
    }
}

/// Where a number stands among the leaves.
enum Place {
    /// It has this one.
    Leaf(Hash),
    /// It was passed over; it may have come late.
    PassedOver,
    /// This number is not where it was: an earlier one that was left out, or the number itself, which has no leaf.
    Differs(u64),
}

/// The leaves in the order of their numbers, from one on.
struct Leaves {
    records: Records,
    /// Index of the record that is read next.
    index: u64,
    size: u64,
    next: Option<Record>,
    /// Index of the first record that passes numbers over.
    passed_at: Option<u64>,
}

impl Leaves {
    /// The next record in that order: late ones have no place in it.
    fn peek(&mut self) -> Result<Option<Record>, TreeError> {
        while self.next.is_none() && self.index < self.size {
            let index = self.index;
            self.index += 1;
            let record = self.records.step()?.flatten().ok_or(TreeError::Record { index })?;
            match record {
                Record::Entry { late: true, .. } => continue,
                Record::Entry { late: false, .. } => {}
                Record::PassedOver { .. } => self.passed_at = self.passed_at.or(Some(index)),
            }
            self.next = Some(record);
        }
        Ok(self.next)
    }

    fn place(&mut self, sequence: u64) -> Result<Place, TreeError> {
        loop {
            match self.peek()? {
                Some(Record::PassedOver { last, .. }) if last < sequence => self.next = None,
                // What an opening left out was never given, and none of it is there by right.
                Some(Record::PassedOver { first, last }) if first <= sequence => {
                    return Ok(if may_come((first, last)) { Place::PassedOver } else { Place::Differs(sequence) });
                }
                Some(Record::Entry { sequence: own, .. }) if own < sequence => return Ok(Place::Differs(own)),
                Some(Record::Entry { sequence: own, leaf, .. }) if own == sequence => {
                    self.next = None;
                    return Ok(Place::Leaf(leaf));
                }
                Some(Record::PassedOver { .. } | Record::Entry { .. }) | None => return Ok(Place::Differs(sequence)),
            }
        }
    }

    /// The first entry up to `last` that was not met.
    fn left(&mut self, last: u64) -> Result<Option<u64>, TreeError> {
        loop {
            match self.peek()? {
                Some(Record::Entry { sequence, .. }) if sequence <= last => return Ok(Some(sequence)),
                Some(Record::PassedOver { first, .. }) if first <= last => self.next = None,
                Some(Record::PassedOver { .. } | Record::Entry { .. }) | None => return Ok(None),
            }
        }
    }
}
