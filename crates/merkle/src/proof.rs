//! Checking proofs that somebody else made. Every hash of a proof is used exactly once: a proof that is too long is as wrong
//! as one that is too short.

use crate::hash::{EMPTY_ROOT, Hash, node_hash};

/// Why a proof proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The tree has no such leaf.
    #[error("verify inclusion: leaf {index} of a tree of {size}")]
    Outside {
        /// Index of the leaf, from 0.
        index: u64,
        /// Leaves of the tree.
        size: u64,
    },
    /// The later tree is the smaller one.
    #[error("verify consistency: a tree of {to} leaves cannot follow one of {from}")]
    Shrinks {
        /// Leaves of the earlier tree.
        from: u64,
        /// Leaves of the later tree.
        to: u64,
    },
    /// The proof has too many hashes or too few.
    #[error("verify proof: {found} hashes are not as many as it takes")]
    Length {
        /// Hashes of the proof.
        found: usize,
    },
    /// The proof leads to another root, or another earlier root.
    #[error("verify proof: it leads to another root")]
    Root,
}

/// A path up a tree: the leaf's index and the last index, one level at a time.
struct Path {
    node: u64,
    last: u64,
}

impl Path {
    /// Whether the next hash of the proof is to the left of the path. `None` at the root.
    fn is_left(&self) -> Option<bool> {
        (self.last > 0).then_some(self.node & 1 == 1 || self.node == self.last)
    }

    /// Goes up a level, and further past levels at which the path had no neighbour.
    fn go_up(&mut self, was_left: bool) {
        if was_left {
            while self.node & 1 == 0 && self.node > 0 {
                self.rise();
            }
        }
        self.rise();
    }

    fn rise(&mut self) {
        self.node >>= 1;
        self.last >>= 1;
    }
}

/// Checks that `leaf` is leaf `index` (from 0) of the tree of `size` leaves with this root (RFC 9162, 2.1.3.2).
///
/// # Errors
/// Every [`ProofError`] except `Shrinks`.
pub fn verify_inclusion(index: u64, size: u64, leaf: &Hash, proof: &[Hash], root: &Hash) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::Outside { index, size });
    }
    let length = ProofError::Length { found: proof.len() };
    let mut path = Path { node: index, last: size - 1 };
    let mut hash = *leaf;
    for beside in proof {
        let left = path.is_left().ok_or(length)?;
        hash = if left { node_hash(beside, &hash) } else { node_hash(&hash, beside) };
        path.go_up(left);
    }
    if path.last > 0 {
        return Err(length);
    }
    if hash == *root { Ok(()) } else { Err(ProofError::Root) }
}

/// Checks that the tree of `to` leaves with root `to_root` begins with the tree of `from` leaves with root `from_root`
/// (RFC 9162, 2.1.4.2). The tree without leaves is the beginning of every tree, without a proof.
///
/// # Errors
/// Every [`ProofError`] except `Outside`.
pub fn verify_consistency(
    from: u64,
    to: u64,
    from_root: &Hash,
    to_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if from > to {
        return Err(ProofError::Shrinks { from, to });
    }
    let length = ProofError::Length { found: proof.len() };
    if from == 0 || from == to {
        let expected = if from == 0 { &EMPTY_ROOT } else { to_root };
        // Two empty trees have the root of an empty tree, both of them.
        let same = from_root == expected && (to > 0 || to_root == expected);
        return if !proof.is_empty() {
            Err(length)
        } else if same {
            Ok(())
        } else {
            Err(ProofError::Root)
        };
    }
    let mut path = Path { node: from - 1, last: to - 1 };
    while path.node & 1 == 1 {
        path.rise();
    }
    // A whole subtree needs no proof of itself: its root is known.
    let whole = from.is_power_of_two();
    let (first, rest) = if whole { (from_root, proof) } else { proof.split_first().ok_or(length)? };
    let (mut old, mut new) = (*first, *first);
    for beside in rest {
        let left = path.is_left().ok_or(length)?;
        if left {
            old = node_hash(beside, &old);
            new = node_hash(beside, &new);
        } else {
            new = node_hash(&new, beside);
        }
        path.go_up(left);
    }
    if path.last > 0 {
        return Err(length);
    }
    if old == *from_root && new == *to_root { Ok(()) } else { Err(ProofError::Root) }
}
