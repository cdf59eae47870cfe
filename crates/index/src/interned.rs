//! Values that many records share, each held once under a small number. Reading one by its number takes no lock. A value
//! is never forgotten before the process ends, so there is a bound; beyond it a record holds the value itself.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{OnceLock, PoisonError, RwLock};

/// Values in the first block; every further one is twice as long.
const FIRST: u32 = 32;
/// Blocks: room for two million values.
const BLOCKS: usize = 16;

type Block<T> = OnceLock<Box<[OnceLock<T>]>>;

/// Values of one kind.
#[derive(Debug)]
pub(crate) struct Interned<T> {
    /// Blocks never move, so that a number leads to its value without a lock.
    blocks: [Block<T>; BLOCKS],
    numbers: RwLock<HashTable<u32>>,
    hash: RandomState,
    most: u32,
}

/// The block of a number, the place in it, and the block's length.
fn place(number: u32) -> (usize, usize, usize) {
    let from_first = number.saturating_add(FIRST);
    let block = from_first.ilog2() - FIRST.ilog2();
    let length = FIRST << block;
    (block as usize, (from_first - length) as usize, length as usize)
}

impl<T: Hash + Eq + Clone> Interned<T> {
    /// Room for `most` values.
    pub(crate) fn new(most: u32) -> Self {
        Self { blocks: [const { OnceLock::new() }; BLOCKS], numbers: RwLock::default(), hash: RandomState::new(), most }
    }

    /// The value with a number.
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        let (block, at, _) = place(number);
        self.blocks.get(block)?.get()?.get(at)?.get()
    }

    /// The number of a value, which gets one if it has none; `None` when there is no room for it.
    pub(crate) fn number(&self, value: &T) -> Option<u32> {
        let hash = self.hash.hash_one(value);
        let is_it = |number: &u32| self.get(*number) == Some(value);
        let numbers = self.numbers.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = numbers.find(hash, is_it) {
            return Some(*number);
        }
        drop(numbers);
        let mut numbers = self.numbers.write().unwrap_or_else(PoisonError::into_inner);
        let next = u32::try_from(numbers.len()).ok().filter(|next| *next < self.most);
        let hash_of = |number: &u32| self.get(*number).map_or(0, |value| self.hash.hash_one(value));
        match numbers.entry(hash, is_it, hash_of) {
            Entry::Occupied(held) => Some(*held.get()),
            Entry::Vacant(free) => {
                let (block, at, length) = place(next?);
                let block = self.blocks.get(block)?.get_or_init(|| (0..length).map(|_| OnceLock::new()).collect());
                block.get(at)?.set(value.clone()).ok()?;
                free.insert(next?);
                next
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_follow_each_other_block_by_block() {
        let mut expected = (0, 0);
        for number in 0..1_000_000 {
            let (block, at, length) = place(number);
            assert_eq!((block, at), expected);
            expected = if at + 1 == length { (block + 1, 0) } else { (block, at + 1) };
        }
    }

    #[test]
    fn a_value_keeps_its_number_and_the_bound_holds() {
        let values = Interned::new(1_000);
        for round in 0..2 {
            for n in 0_u32..1_000 {
                assert_eq!(values.number(&n.to_string()), Some(n), "round {round}");
            }
        }
        assert_eq!(values.number(&"1000".to_owned()), None);
        assert_eq!(values.number(&"999".to_owned()), Some(999));
        assert_eq!(values.get(999), Some(&"999".to_owned()));
        assert_eq!(values.get(1_000), None);
        assert_eq!(values.get(u32::MAX), None);
    }

    #[test]
    fn threads_that_meet_agree() {
        let values = Interned::new(10_000);
        let each = || (0_u32..10_000).map(|n| values.number(&(n * 7)).unwrap()).collect::<Vec<_>>();
        let (one, other) = std::thread::scope(|scope| {
            let one = scope.spawn(each);
            let other = scope.spawn(each);
            (one.join().unwrap(), other.join().unwrap())
        });
        assert_eq!(one, other);
        assert!(one.iter().zip(0_u32..).all(|(number, n)| values.get(*number) == Some(&(n * 7))));
    }
}
