//! What verifying a tree found, and how it is told. Nothing here reads a file.

use std::fmt;

use super::types::TreeFault;
use crate::journal::Accounted;

/// What is said where no head is there that a witness which is known has signed, by a start and by `kithd verify` alike. Why follows.
pub const NOT_COSIGNED: &str = "NOT COSIGNED: a witness is known, and no head that it cosigned is there";

/// Why, where nothing is kept as cosigned.
pub const COSIGNED_GONE: &str = "it was removed, or never came";

/// Most faults listed one by one; beyond them only their number grows.
const MAX_FAULTS_LISTED: usize = 1_000;

/// What [`super::Tree::verify`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TreeReport {
    /// There was no key, and no signature was looked at.
    pub without_key: bool,
    /// Whole leaves.
    pub leaves: u64,
    /// Signed checkpoints.
    pub checkpoints: u64,
    /// Leaves of the newest one.
    pub signed_leaves: u64,
    /// Every number up to here is an entry in the tree, or was passed over.
    pub covered_through: u64,
    /// Entries after that: they were written after the last growth.
    pub after: u64,
    /// Entries that were passed over, and are on disk.
    pub passed_over: u64,
    /// Their numbers: ranges, first and last, at most 1,000 of them.
    pub passed_over_ranges: Vec<(u64, u64)>,
    /// Leaves whose entries were removed when their time had passed.
    pub removed: u64,
    /// How many of those came late: which they were, nothing says any more.
    pub removed_late: u64,
    /// Up to this number entries are rightly missing, by an entry that is under a signed head. 0 when there is none.
    pub removed_through: u64,
    /// What it says of the audit's numbers, where it is as it was signed; `None` when nothing of it is to be believed.
    pub accounted: Option<Accounted>,
    /// Checkpoints that others kept, and that were held against the tree.
    pub outside: u64,
    /// Leaves of the head that is kept as the newest cosigned one; `None` when there is none that can be read.
    pub cosigned: Option<u64>,
    /// How many of the configured witnesses have signed that head; `None` where no key of one was there to verify with.
    pub cosignatures: Option<usize>,
    /// How many statements on that head are not what a configured witness said, and are no fault, because it is written beside the tree
    /// that they were brought before keys were configured. Nothing signs that.
    pub excused: usize,
    /// There is no head that was cosigned, though a witness is known: one is configured, or has brought one. Somebody removed it, or
    /// none ever came, or the machine went down over the first; or one is there, and none of the configured witnesses has signed it:
    /// others were configured when it was. That is no fault.
    pub not_cosigned: bool,
    /// Whose the names of witnesses are cannot be read, and witnesses are configured: it is not asked then, and that is no fault.
    pub cosigners_damaged: bool,
    /// What was suspected at a start.
    pub suspected: Vec<String>,
    /// What is wrong, at most 1,000 of it.
    pub faults: Vec<TreeFault>,
    /// Faults found beyond those listed.
    pub more_faults: u64,
}

impl TreeReport {
    /// Whether nothing is wrong now.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty() && self.more_faults == 0
    }

    /// Whether nothing stands after the newest signed head: no entry, and no leaf either, for whoever has the disks can write one
    /// that fits.
    #[must_use]
    pub fn is_signed_to_its_end(&self) -> bool {
        self.after == 0 && self.leaves == self.signed_leaves
    }

    /// An entry that was taken in is not there.
    pub(crate) fn not_there(&mut self, sequence: u64) {
        if sequence <= self.removed_through {
            self.removed += 1;
        } else {
            self.add(TreeFault::EntryMissing { first: sequence, last: sequence });
        }
    }

    /// An entry is on disk that was passed over.
    pub(crate) fn passed(&mut self, sequence: u64) {
        self.passed_over += 1;
        if let Some((_, last)) = self.passed_over_ranges.last_mut()
            && *last + 1 == sequence
        {
            *last = sequence;
        } else if self.passed_over_ranges.len() < MAX_FAULTS_LISTED {
            self.passed_over_ranges.push((sequence, sequence));
        }
    }

    /// What is known of cosignatures. That a head was cosigned is said where a key of a witness says so, and nowhere else.
    fn write_cosigned(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.cosigned, self.cosignatures) {
            (Some(leaves), None) => writeln!(
                f,
                "audit tree: the head that is kept as cosigned has {leaves} leaves; its cosignatures were not verified: no key"
            ),
            (Some(leaves), Some(0)) => writeln!(
                f,
                "audit tree: {NOT_COSIGNED}: the one that is kept has {leaves} leaves, and no signature of a configured witness"
            ),
            (Some(leaves), Some(_)) => writeln!(f, "audit tree: the newest cosigned head has {leaves} leaves"),
            (None, _) if self.not_cosigned => writeln!(f, "audit tree: {NOT_COSIGNED}: {COSIGNED_GONE}"),
            (None, _) => Ok(()),
        }
    }

    pub(crate) fn add(&mut self, fault: TreeFault) {
        if self.faults.last_mut().is_some_and(|before| *before == fault || joined(before, &fault)) {
            return;
        }
        if self.faults.len() < MAX_FAULTS_LISTED {
            self.faults.push(fault);
        } else {
            self.more_faults += 1;
        }
    }
}

/// Makes one range of two that touch.
fn joined(before: &mut TreeFault, next: &TreeFault) -> bool {
    match (before, next) {
        (TreeFault::EntryMissing { last: end, .. }, TreeFault::EntryMissing { first, last })
        | (TreeFault::NotInTree { last: end, .. }, TreeFault::NotInTree { first, last })
            if *first == *end + 1 =>
        {
            *end = *last;
            true
        }
        _ => false,
    }
}

impl fmt::Display for TreeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "audit tree: {} leaves over entries up to {}, {} checkpoints, signed {}",
            self.leaves, self.covered_through, self.checkpoints, self.signed_leaves
        )?;
        if self.without_key {
            writeln!(
                f,
                "audit tree: NO KEY: no signature was looked at, so whoever has the disks could have written all of it"
            )?;
        }
        self.write_cosigned(f)?;
        if self.cosigners_damaged {
            writeln!(
                f,
                "audit tree: cosigners: damaged: it cannot be read whose witnesses cosigned before those that are configured"
            )?;
        }
        for (count, what) in [
            (self.after, "entries after the last growth"),
            (self.passed_over, "entries passed over and on disk"),
            (self.removed, "entries removed under retention, their leaves kept"),
            (self.removed_late, "of them came late, and no head says which they were"),
            (self.outside, "checkpoints kept by others"),
            (
                self.excused as u64,
                "statements on the cosigned head are not what a configured witness said: the file cosigners, which nothing signs, \
                 says that they were brought before its key was configured",
            ),
        ] {
            if count > 0 {
                writeln!(f, "audit tree: {count} {what}")?;
            }
        }
        for (first, last) in &self.passed_over_ranges {
            writeln!(
                f,
                "audit tree: entries {first} to {last} were passed over, are on disk, and are proven by nothing"
            )?;
        }
        for told in &self.suspected {
            writeln!(f, "audit tree: suspected at a start: {told}")?;
        }
        for fault in &self.faults {
            writeln!(f, "FAULT {fault}")?;
        }
        if self.more_faults > 0 {
            writeln!(f, "FAULT and {} more", self.more_faults)?;
        }
        Ok(())
    }
}
