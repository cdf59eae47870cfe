//! Roots and proofs of a tree whose whole subtrees can be asked for, and the right edge of a tree that grows.
//! Nothing here holds a tree: whoever keeps one answers for its hashes.

use crate::hash::{EMPTY_ROOT, Hash, node_hash};

/// The hashes of a tree's whole subtrees.
pub trait Hashes {
    /// Why a hash cannot be given.
    type Error;

    /// The hash over the `2^level` leaves from `index * 2^level` on. Level 0 is the leaves themselves.
    ///
    /// # Errors
    /// When the hash cannot be read, or not all of its leaves are there.
    fn at(&self, level: u32, index: u64) -> Result<Hash, Self::Error>;
}

/// The root over the first `size` leaves.
///
/// # Errors
/// What `hashes` fails with.
pub fn root_of<H: Hashes>(hashes: &H, size: u64) -> Result<Hash, H::Error> {
    range(hashes, 0, size)
}

/// The hash over leaves `start` to `end`, where `start` is a multiple of a power of two that is at least their number.
fn range<H: Hashes>(hashes: &H, start: u64, end: u64) -> Result<Hash, H::Error> {
    let mut right: Option<Hash> = None;
    let mut end = end;
    while end > start {
        let level = (end - start).trailing_zeros();
        end -= 1 << level;
        let left = hashes.at(level, end >> level)?;
        right = Some(right.map_or(left, |right| node_hash(&left, &right)));
    }
    Ok(right.unwrap_or(EMPTY_ROOT))
}

/// The proof that leaf `index` is in the tree of `size` leaves: hashes beside its path, the lowest first (RFC 6962, 2.1.1).
/// Empty when the tree has no such leaf.
///
/// # Errors
/// What `hashes` fails with.
pub fn inclusion_proof<H: Hashes>(hashes: &H, index: u64, size: u64) -> Result<Vec<Hash>, H::Error> {
    let (mut start, mut end) = (0, size);
    let mut proof = Vec::new();
    while index < size && end - start > 1 {
        let middle = start + half(end - start);
        if index < middle {
            proof.push(range(hashes, middle, end)?);
            end = middle;
        } else {
            proof.push(range(hashes, start, middle)?);
            start = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The proof that the tree of `to` leaves begins with the tree of `from` leaves (RFC 6962, 2.1.2). Empty when they are the
/// same, when `from` is 0, and when `from` is not the smaller one.
///
/// # Errors
/// What `hashes` fails with.
pub fn consistency_proof<H: Hashes>(hashes: &H, from: u64, to: u64) -> Result<Vec<Hash>, H::Error> {
    let mut proof = Vec::new();
    if from == 0 || from >= to {
        return Ok(proof);
    }
    let (mut start, mut end) = (0, to);
    while end != from {
        let middle = start + half(end - start);
        if from <= middle {
            proof.push(range(hashes, middle, end)?);
            end = middle;
        } else {
            proof.push(range(hashes, start, middle)?);
            start = middle;
        }
    }
    if start > 0 {
        // The old tree is no whole subtree of the new one: its last part has to be given.
        proof.push(range(hashes, start, end)?);
    }
    proof.reverse();
    Ok(proof)
}

/// The largest power of two below `size`, which is at least 2.
fn half(size: u64) -> u64 {
    1 << (u64::BITS - 1 - (size - 1).leading_zeros())
}

/// The right edge of a growing tree: the hashes of its largest whole subtrees, from left to right. All that is needed to add
/// leaves and to tell the root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The edge of the tree of the first `size` leaves.
    ///
    /// # Errors
    /// What `hashes` fails with.
    pub fn of<H: Hashes>(hashes: &H, size: u64) -> Result<Self, H::Error> {
        let mut peaks = Vec::new();
        let mut before = 0;
        for level in (0..u64::BITS).rev().filter(|level| (size >> level) & 1 == 1) {
            peaks.push(hashes.at(level, before >> level)?);
            before += 1 << level;
        }
        Ok(Self { size, peaks })
    }

    /// Leaves so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf and tells of each whole subtree that it completes, the leaf itself first: level, index, hash.
    pub fn push(&mut self, leaf: Hash, mut made: impl FnMut(u32, u64, Hash)) {
        let (mut level, mut index, mut hash) = (0, self.size, leaf);
        made(level, index, hash);
        while index & 1 == 1
            && let Some(left) = self.peaks.pop()
        {
            (level, index, hash) = (level + 1, index >> 1, node_hash(&left, &hash));
            made(level, index, hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root over all leaves so far.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return EMPTY_ROOT };
        peaks.fold(*last, |right, left| node_hash(left, &right))
    }
}
