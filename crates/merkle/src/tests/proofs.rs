//! Proofs of every small tree and of random ones, made and checked, and everything that must not pass for one.

use crate::{
    EMPTY_ROOT, Frontier, Hash, ProofError, consistency_proof, inclusion_proof, leaf_hash, node_hash, root_of,
    verify_consistency, verify_inclusion,
};

use super::model::Model;

/// All wrong proofs next to a right one: every hash with a bit turned, left out, doubled, swapped; and hashes too many.
fn wrong_proofs(proof: &[Hash], others: &[Hash]) -> Vec<Vec<Hash>> {
    let mut wrong = Vec::new();
    for at in 0..proof.len() {
        let mut turned = proof.to_vec();
        turned[at][at % 32] ^= 1 << (at % 8);
        wrong.push(turned);
        let mut without = proof.to_vec();
        without.remove(at);
        wrong.push(without);
        let mut twice = proof.to_vec();
        twice.insert(at, proof[at]);
        wrong.push(twice);
        if at > 0 && proof[at] != proof[at - 1] {
            let mut swapped = proof.to_vec();
            swapped.swap(at, at - 1);
            wrong.push(swapped);
        }
    }
    for other in others {
        wrong.push([&[*other][..], proof].concat());
        wrong.push([proof, &[*other]].concat());
    }
    wrong
}

/// A right inclusion proof passes, and nothing near it does.
pub(super) fn check_inclusion(tree: &Model, index: u64, size: u64, proof: &[Hash]) {
    let (leaf, root) = (tree.0[usize::try_from(index).unwrap()], tree.root(size));
    assert_eq!(verify_inclusion(index, size, &leaf, proof, &root), Ok(()), "leaf {index} of {size}");
    for wrong in wrong_proofs(proof, &[root, leaf, EMPTY_ROOT]) {
        assert!(verify_inclusion(index, size, &leaf, &wrong, &root).is_err(), "leaf {index} of {size}: {wrong:?}");
    }
    // Not only another root: a hash that nothing uses is a fault by itself.
    let (longer, length) = ([proof, &[root]].concat(), ProofError::Length { found: proof.len() + 1 });
    assert_eq!(verify_inclusion(index, size, &leaf, &longer, &root), Err(length));
    let other = leaf_hash(&[b"another"]);
    assert_eq!(verify_inclusion(index, size, &other, proof, &root), Err(ProofError::Root));
    assert_eq!(verify_inclusion(index, size, &leaf, proof, &other), Err(ProofError::Root));
    for wrong in [index.wrapping_sub(1), index + 1, index ^ 2, u64::MAX] {
        assert!(verify_inclusion(wrong, size, &leaf, proof, &root).is_err(), "{index} taken for {wrong} of {size}");
    }
    for wrong in [size * 2, size / 2, 0] {
        assert!(verify_inclusion(index, wrong, &leaf, proof, &root).is_err(), "{index} of {size} taken for {wrong}");
    }
}

/// A right consistency proof passes, and nothing near it does.
pub(super) fn check_consistency(tree: &Model, from: u64, to: u64, proof: &[Hash]) {
    let (old, new) = (tree.root(from), tree.root(to));
    assert_eq!(verify_consistency(from, to, &old, &new, proof), Ok(()), "{from} to {to}");
    for wrong in wrong_proofs(proof, &[old, new, EMPTY_ROOT]) {
        assert!(verify_consistency(from, to, &old, &new, &wrong).is_err(), "{from} to {to}: {wrong:?}");
    }
    let (longer, length) = ([proof, &[new]].concat(), ProofError::Length { found: proof.len() + 1 });
    assert_eq!(verify_consistency(from, to, &old, &new, &longer), Err(length));
    let other = leaf_hash(&[b"another"]);
    assert!(verify_consistency(from, to, &other, &new, proof).is_err());
    if from > 0 {
        assert!(verify_consistency(from, to, &old, &other, proof).is_err());
    }
    if 0 < from && from < to {
        assert!(verify_consistency(from, to, &new, &old, proof).is_err(), "roots the other way round");
        assert!(verify_consistency(from, to, &old, &new, &[]).is_err());
        assert_eq!(verify_consistency(to, from, &new, &old, proof), Err(ProofError::Shrinks { from: to, to: from }));
        for wrong in [from - 1, from + 1, from ^ 2, to] {
            assert!(verify_consistency(wrong, to, &old, &new, proof).is_err(), "{from} taken for {wrong} to {to}");
        }
        for wrong in [to * 2, to / 2] {
            assert!(verify_consistency(from, wrong, &old, &new, proof).is_err(), "{from} to {to} taken for {wrong}");
        }
    }
}

#[test]
fn every_leaf_of_every_tree_of_up_to_seventy_leaves_is_proven_as_the_model_proves_it() {
    let tree = Model::of(70);
    for size in 0..=70 {
        assert_eq!(root_of(&tree, size), Ok(tree.root(size)), "{size} leaves");
        for index in 0..size {
            let proof = inclusion_proof(&tree, index, size).unwrap();
            assert_eq!(proof, tree.path(index, size), "leaf {index} of {size}");
            check_inclusion(&tree, index, size, &proof);
        }
    }
}

#[test]
fn every_two_trees_of_up_to_seventy_leaves_are_proven_consistent_as_the_model_proves_it() {
    let tree = Model::of(70);
    for to in 0..=70 {
        for from in 0..=to {
            let proof = consistency_proof(&tree, from, to).unwrap();
            if from > 0 {
                assert_eq!(proof, tree.consistency(from, to), "{from} to {to}");
            }
            check_consistency(&tree, from, to, &proof);
        }
    }
}

/// Numbers that look random and are the same every time (SplitMix64).
fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[test]
fn random_trees_and_sizes_about_powers_of_two_agree_with_the_model() {
    let tree = Model::of(1_100);
    let mut seed = 6_962;
    let edges = (0..=10).flat_map(|power: u32| {
        let size = 1_u64 << power;
        [size.saturating_sub(1).max(1), size, size + 1]
    });
    let sizes: Vec<u64> = edges.chain((0..40).map(|_| 1)).collect();
    for (round, edge) in sizes.into_iter().enumerate() {
        let to = if round < 33 { edge } else { 1 + random(&mut seed) % 1_100 };
        let index = random(&mut seed) % to;
        let proof = inclusion_proof(&tree, index, to).unwrap();
        assert_eq!(proof, tree.path(index, to), "leaf {index} of {to}");
        check_inclusion(&tree, index, to, &proof);
        let from = 1 + random(&mut seed) % to;
        let proof = consistency_proof(&tree, from, to).unwrap();
        assert_eq!(proof, tree.consistency(from, to), "{from} to {to}");
        check_consistency(&tree, from, to, &proof);
    }
}

#[test]
fn a_tree_of_no_leaves_proves_nothing_and_is_the_beginning_of_every_tree() {
    let tree = Model::of(5);
    let leaf = tree.0[0];
    assert_eq!(root_of(&tree, 0), Ok(EMPTY_ROOT));
    assert_eq!(inclusion_proof(&tree, 0, 0), Ok(vec![]));
    let outside = ProofError::Outside { index: 0, size: 0 };
    assert_eq!(verify_inclusion(0, 0, &leaf, &[], &EMPTY_ROOT), Err(outside));
    assert_eq!(verify_inclusion(0, 0, &EMPTY_ROOT, &[], &EMPTY_ROOT), Err(outside));
    assert_eq!(verify_consistency(0, 0, &EMPTY_ROOT, &EMPTY_ROOT, &[]), Ok(()));
    assert_eq!(verify_consistency(0, 0, &EMPTY_ROOT, &leaf, &[]), Err(ProofError::Root));
    assert_eq!(verify_consistency(0, 0, &leaf, &leaf, &[]), Err(ProofError::Root));
    assert_eq!(verify_consistency(0, 5, &EMPTY_ROOT, &tree.root(5), &[]), Ok(()));
    assert_eq!(verify_consistency(0, 5, &leaf, &tree.root(5), &[]), Err(ProofError::Root));
    let length = ProofError::Length { found: 1 };
    assert_eq!(verify_consistency(0, 5, &EMPTY_ROOT, &tree.root(5), &[leaf]), Err(length));
    assert_eq!(verify_consistency(0, 0, &EMPTY_ROOT, &EMPTY_ROOT, &[leaf]), Err(length));
}

#[test]
fn a_node_is_not_proven_as_a_leaf() {
    let tree = Model::of(8);
    let node = node_hash(&tree.0[4], &tree.0[5]);
    let shorter = inclusion_proof(&tree, 4, 8).unwrap()[1..].to_vec();
    // It does lead to the root, with one hash less than a leaf of this tree has: the length tells.
    for index in 0..8 {
        let found = verify_inclusion(index, 8, &node, &shorter, &tree.root(8));
        assert_eq!(found, Err(ProofError::Length { found: 2 }), "as leaf {index}");
    }
    assert_eq!(verify_inclusion(2, 4, &node, &shorter, &tree.root(8)), Ok(()), "only under another size");
}

#[test]
fn huge_trees_neither_overflow_nor_go_on_for_ever() {
    let hash = leaf_hash(&[b"x"]);
    for size in [u64::MAX, 1 << 63, (1 << 63) + 1, (1 << 63) - 1] {
        for length in [0, 1, 62, 63, 64, 65, 200] {
            let proof = vec![hash; length];
            for index in [0, 1, size / 2, size - 1] {
                assert!(verify_inclusion(index, size, &hash, &proof, &hash).is_err());
            }
            for from in [1, 2, size / 2, size - 1] {
                assert!(verify_consistency(from, size, &hash, &hash, &proof).is_err());
            }
        }
    }
}

#[test]
fn a_growing_edge_tells_every_subtree_and_can_be_taken_up_at_any_size() {
    let tree = Model::of(300);
    let mut edge = Frontier::default();
    assert_eq!((edge.size(), edge.root()), (0, EMPTY_ROOT));
    for (size, leaf) in (1..).zip(&tree.0) {
        let mut made = Vec::new();
        edge.push(*leaf, |level, index, hash| made.push((level, index, hash)));
        let expected: Vec<_> = (0..=u64::trailing_zeros(size)).map(|level| (level, (size >> level) - 1)).collect();
        assert_eq!(made.iter().map(|made| (made.0, made.1)).collect::<Vec<_>>(), expected);
        for (level, index, hash) in made {
            assert_eq!(crate::Hashes::at(&tree, level, index), Ok(hash));
        }
        assert_eq!((edge.size(), edge.root()), (size, tree.root(size)));
        assert_eq!(Frontier::of(&tree, size).unwrap(), edge);
    }
}

#[test]
fn a_hash_that_cannot_be_read_is_told() {
    let tree = Model::of(5);
    assert_eq!(root_of(&tree, 6), Err((1, 2)));
    assert!(inclusion_proof(&tree, 0, 8).is_err());
    assert!(consistency_proof(&tree, 3, 8).is_err());
    assert!(Frontier::of(&tree, 8).is_err());
}
