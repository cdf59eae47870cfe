//! RFC 6962, section 2.1, as it is written: slow, over slices of leaves. What is tested is held against it.

use crate::tree::Hashes;
use crate::{EMPTY_ROOT, Hash, leaf_hash, node_hash};

/// Some leaves.
pub(super) struct Model(pub(super) Vec<Hash>);

impl Model {
    /// Different leaves, the same every time.
    pub(super) fn of(size: u64) -> Self {
        Self((0..size).map(|number| leaf_hash(&[b"leaf ", number.to_string().as_bytes()])).collect())
    }

    pub(super) fn root(&self, size: u64) -> Hash {
        mth(&self.0[..usize::try_from(size).unwrap()])
    }

    pub(super) fn path(&self, index: u64, size: u64) -> Vec<Hash> {
        path(usize::try_from(index).unwrap(), &self.0[..usize::try_from(size).unwrap()])
    }

    pub(super) fn consistency(&self, from: u64, to: u64) -> Vec<Hash> {
        subproof(usize::try_from(from).unwrap(), &self.0[..usize::try_from(to).unwrap()], true)
    }
}

/// "The largest power of two smaller than n."
fn k_of(n: usize) -> usize {
    let mut k = 1;
    while k * 2 < n {
        k *= 2;
    }
    k
}

fn mth(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => EMPTY_ROOT,
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(k_of(leaves.len()));
            node_hash(&mth(left), &mth(right))
        }
    }
}

fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let k = k_of(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut proof, beside) =
        if index < k { (path(index, left), mth(right)) } else { (path(index - k, right), mth(left)) };
    proof.push(beside);
    proof
}

fn subproof(m: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if m == leaves.len() {
        return if whole { Vec::new() } else { vec![mth(leaves)] };
    }
    let k = k_of(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut proof, beside) =
        if m <= k { (subproof(m, left, whole), mth(right)) } else { (subproof(m - k, right, false), mth(left)) };
    proof.push(beside);
    proof
}

impl Hashes for Model {
    type Error = (u32, u64);

    fn at(&self, level: u32, index: u64) -> Result<Hash, (u32, u64)> {
        let first = usize::try_from(index << level).unwrap();
        self.0.get(first..first + (1 << level)).map(mth).ok_or((level, index))
    }
}
