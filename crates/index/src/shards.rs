//! Bytes by number: many shards, each under a lock of its own that is held for as long as it takes to copy one record, and
//! now and then the hundred or so of one shard; never for a disk. Public to be measured beside other layouts; answers are
//! made by [`Index`](crate::Index) alone.

use crate::shard::Shard;
pub use crate::shard::Stamp;
use kith_domain::NhsNumber;
use std::hash::{BuildHasher, RandomState};
use std::sync::{OnceLock, PoisonError, RwLock};

/// Shards are made a group at a time, when the first record comes: an index of a few people is small.
const GROUPS: usize = 256;
/// With as many groups, a shard holds some 55 people of England in about a page of memory.
const SHARDS_OF_A_GROUP: usize = 256;
/// More people than there are: no room is made for a count beyond it.
const MOST_RESERVED: usize = 100_000_000;
/// Shards have room for one part in so many above the mean: they are not equally full.
const SPREAD: usize = 8;

/// A shard and its lock, in one line of the processor's cache.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Locked(RwLock<Shard>);

/// Bytes by number.
#[derive(Debug)]
pub struct Shards {
    groups: Box<[OnceLock<Box<[Locked]>>]>,
    /// Seeded, so that nobody can choose numbers that meet in one shard.
    state: RandomState,
}

impl Default for Shards {
    fn default() -> Self {
        Self { groups: (0..GROUPS).map(|_| OnceLock::new()).collect(), state: RandomState::new() }
    }
}

/// The first nine digits; the tenth follows from them.
fn key(number: NhsNumber) -> u32 {
    u32::try_from(number.value() / 10).expect("nine digits")
}

/// The group of a hash, and the shard in it. A shard's table is looked at by other bits.
fn place(hash: u64) -> (usize, usize) {
    ((hash >> 56) as usize % GROUPS, (hash >> 48) as usize % SHARDS_OF_A_GROUP)
}

impl Shards {
    /// The shard of a hash, if its group was made.
    fn found(&self, hash: u64) -> Option<&RwLock<Shard>> {
        let (group, shard) = place(hash);
        Some(&self.groups[group].get()?[shard].0)
    }

    fn made(&self, hash: u64) -> &RwLock<Shard> {
        let (group, shard) = place(hash);
        let group = self.groups[group].get_or_init(|| (0..SHARDS_OF_A_GROUP).map(|_| Locked::default()).collect());
        &group[shard].0
    }

    /// Makes room for so many people, so that shards need not be copied while they come.
    pub fn reserve(&self, people: usize) {
        let each = people.min(MOST_RESERVED) / (GROUPS * SHARDS_OF_A_GROUP);
        if each == 0 {
            return;
        }
        for hash in (0..1_u64 << 16).map(|shard| shard << 48) {
            let mut shard = self.made(hash).write().unwrap_or_else(PoisonError::into_inner);
            shard.reserve(each + each / SPREAD, &self.state);
        }
    }

    /// Copies the bytes of a number in the place of what is in `copy`, and gives the stamp of their publication.
    pub fn read(&self, number: NhsNumber, copy: &mut Vec<u8>) -> Option<Stamp> {
        let key = key(number);
        let hash = self.state.hash_one(key);
        let shard = self.found(hash)?.read().unwrap_or_else(PoisonError::into_inner);
        let (stamp, bytes) = shard.get(key, hash)?;
        copy.clear();
        copy.extend_from_slice(bytes);
        Some(stamp)
    }

    /// Puts bytes in the place of older ones, which are given back.
    pub fn put(&self, number: NhsNumber, bytes: &[u8]) -> Option<Box<[u8]>> {
        let key = key(number);
        let hash = self.state.hash_one(key);
        self.made(hash).write().unwrap_or_else(PoisonError::into_inner).put(key, hash, bytes, &self.state)
    }

    /// Takes the bytes of a number away.
    pub fn take(&self, number: NhsNumber) -> Option<Box<[u8]>> {
        let key = key(number);
        let hash = self.state.hash_one(key);
        self.found(hash)?.write().unwrap_or_else(PoisonError::into_inner).take(key, hash, &self.state)
    }
}

#[cfg(test)]
#[path = "shards_tests.rs"]
mod tests;
