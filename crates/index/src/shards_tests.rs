//! Shards beside a plain map: whatever comes and goes, each number has its own bytes.

use super::*;
use std::collections::BTreeMap;

fn number(n: u32) -> NhsNumber {
    (999_000_000 + 20 * n..).find_map(NhsNumber::from_first_nine).unwrap()
}

fn next(dice: &mut u64) -> u64 {
    *dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *dice >> 33
}

/// Bytes of any length, most of them short.
fn bytes(dice: &mut u64) -> Box<[u8]> {
    let length = match next(dice) % 40 {
        0 => 20_000,
        1..=4 => next(dice) % 400,
        _ => next(dice) % 70,
    };
    vec![next(dice) as u8; length as usize].into()
}

#[test]
fn bytes_come_and_go_as_in_a_plain_map() {
    let (shards, mut expected, mut dice) = (Shards::default(), BTreeMap::new(), 7);
    for _ in 0..40_000 {
        let number = number((next(&mut dice) % 3_000) as u32);
        if next(&mut dice).is_multiple_of(4) {
            assert_eq!(shards.take(number), expected.remove(&number));
        } else {
            let new = bytes(&mut dice);
            assert_eq!(shards.put(number, &new), expected.insert(number, new));
        }
    }
    for number in (0..4_000).map(number) {
        let mut copy = vec![1, 2, 3];
        let found = shards.read(number, &mut copy).map(|_| copy.into());
        assert_eq!(found, expected.get(&number).cloned());
    }
    assert!(!expected.is_empty());
}

/// The same in one shard, with room made for some at first, and read after every step.
#[test]
fn one_shard_is_a_plain_map() {
    for (room, keys) in [(0, 3), (0, 300), (200, 300), (5, 1_000)] {
        let (mut shard, state, mut dice) = (Shard::default(), RandomState::new(), 11);
        let mut expected: BTreeMap<u32, Box<[u8]>> = BTreeMap::new();
        shard.reserve(room, &state);
        for _ in 0..20_000 {
            let key = 1 + (next(&mut dice) % keys) as u32;
            let hash = state.hash_one(key);
            if next(&mut dice).is_multiple_of(3) {
                assert_eq!(shard.take(key, hash, &state), expected.remove(&key));
            } else {
                let new = bytes(&mut dice);
                assert_eq!(shard.put(key, hash, &new, &state), expected.insert(key, new));
            }
            let key = 1 + (next(&mut dice) % keys) as u32;
            let found = shard.get(key, state.hash_one(key)).map(|found| found.1);
            assert_eq!(found, expected.get(&key).map(|bytes| &**bytes));
        }
        for key in 1..=keys as u32 {
            shard.take(key, state.hash_one(key), &state);
        }
        assert!(shard.bytes() < 1_000, "what was removed leaves no room behind");
    }
}

/// Keys that all look for the same slot first still find their own.
#[test]
fn keys_that_meet_are_told_apart() {
    let (mut shard, state) = (Shard::default(), RandomState::new());
    let one = state.hash_one(1_u32);
    let same: Vec<u32> = (1..200_000).filter(|key| state.hash_one(key) as u32 >> 24 == one as u32 >> 24).collect();
    for key in &same {
        shard.put(*key, state.hash_one(key), &key.to_le_bytes(), &state);
    }
    for key in &same {
        assert_eq!(shard.get(*key, state.hash_one(key)).unwrap().1, key.to_le_bytes());
    }
    assert!(same.len() > 500);
}

#[test]
fn every_publication_has_a_stamp_of_its_own() {
    let (shards, number) = (Shards::default(), number(1));
    let mut known = std::collections::BTreeSet::new();
    for n in 0..5_000 {
        assert_eq!(shards.read(number, &mut Vec::new()).is_none(), n == 0 || n % 3 == 1, "before {n}");
        shards.put(number, &[7; 60]);
        let stamp = shards.read(number, &mut Vec::new()).unwrap();
        assert!(known.insert(format!("{stamp:?}")), "publication {n}");
        if n % 3 == 0 {
            shards.take(number);
        }
    }
}

#[test]
fn anothers_bytes_leave_the_stamp_as_it_is() {
    let (mut shard, state) = (Shard::default(), RandomState::new());
    let hash = state.hash_one(1_u32);
    shard.put(1, hash, &[1], &state);
    let before = shard.get(1, hash).unwrap().0;
    for key in 2..2_000_u32 {
        shard.put(key, state.hash_one(key), &[1; 40], &state);
    }
    assert_eq!(shard.get(1, hash).unwrap().0, before);
}

#[test]
fn what_was_replaced_does_not_pile_up() {
    let (mut shard, state) = (Shard::default(), RandomState::new());
    for round in 0..20_000_u32 {
        let key = 1 + round % 100;
        shard.put(key, state.hash_one(key), &[7; 60], &state);
    }
    let standing = 100 * (60 + 4 + SLOT_ROOM);
    assert!(shard.bytes() < standing * 5 / 4 + 200, "{} bytes for {standing}", shard.bytes());
}

/// Bytes of a table for each of its records, when it was just made.
const SLOT_ROOM: usize = 12;
