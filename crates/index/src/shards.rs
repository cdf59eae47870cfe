//! Bytes by subject: many small tables, each under a lock of its own that is held for as long as it takes to copy one
//! record, never for a disk. A table that grows moves only the few hundred entries of its own. Public to be measured beside
//! other layouts; answers are made by [`Index`](crate::Index) alone.

use crate::arena::{Arena, Place};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use kith_domain::child::Subject;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{PoisonError, RwLock};

/// So many that the table of one holds some 430 people of England, and growing it takes microseconds.
const SHARDS: usize = 8_192;
/// Bits of a hash that choose the shard: others than a table looks at first.
const SHARD_SHIFT: u32 = 40;
/// More people than there are: no room is made for a count beyond it.
const MOST_RESERVED: usize = 100_000_000;
/// Shards have room for one part in so many above the mean: they are not equally full.
const SPREAD: usize = 8;

/// Names one publication of one record: another one has another stamp, even if it says the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    copied: u32,
    place: Place,
}

/// A subject as a table's key.
#[derive(Debug, Clone, Copy)]
enum Key<'a> {
    /// The first nine digits; the tenth follows from them.
    Number(u32),
    /// A local key.
    Local(&'a Subject),
}

impl<'a> Key<'a> {
    fn of(subject: &'a Subject) -> Self {
        match subject {
            Subject::Nhs(number) => u32::try_from(number.value() / 10).map_or(Self::Local(subject), Self::Number),
            Subject::Local(..) => Self::Local(subject),
        }
    }

    fn hash(self, state: &RandomState) -> u64 {
        match self {
            Self::Number(number) => state.hash_one(number),
            Self::Local(subject) => state.hash_one(subject),
        }
    }
}

/// People whose hashes have some bits in common. What a reader looks at comes first, beside the lock.
#[derive(Debug, Default)]
#[repr(C)]
struct Shard {
    numbers: HashTable<(u32, Place)>,
    arena: Arena,
    locals: HashTable<(Subject, Place)>,
    /// How often the arena was copied: a place means something else after it.
    copied: u32,
}

impl Shard {
    fn find(&self, key: Key<'_>, hash: u64) -> Option<Place> {
        match key {
            Key::Number(number) => self.numbers.find(hash, |held| held.0 == number).map(|held| held.1),
            Key::Local(subject) => self.locals.find(hash, |held| held.0 == *subject).map(|held| held.1),
        }
    }

    fn stamp(&self, place: Place) -> Stamp {
        Stamp { copied: self.copied, place }
    }

    /// Puts a record in its place; the bytes of the one that stood there.
    fn put(&mut self, key: Key<'_>, hash: u64, record: &[u8], state: &RandomState) -> Option<Box<[u8]>> {
        let place = self.arena.add(record);
        let old = match key {
            Key::Number(number) => put(&mut self.numbers, hash, (number, place), state),
            Key::Local(subject) => put(&mut self.locals, hash, (subject.clone(), place), state),
        };
        old.map(|place| self.forget(place))
    }

    fn take(&mut self, key: Key<'_>, hash: u64) -> Option<Box<[u8]>> {
        let place = match key {
            Key::Number(number) => take(&mut self.numbers, hash, &number),
            Key::Local(subject) => take(&mut self.locals, hash, subject),
        };
        place.map(|place| self.forget(place))
    }

    fn forget(&mut self, place: Place) -> Box<[u8]> {
        let old = self.arena.get(place).into();
        self.arena.forget(place);
        if self.arena.is_gappy() {
            let gappy = std::mem::take(&mut self.arena);
            self.copied = self.copied.wrapping_add(1);
            let numbers = self.numbers.iter_mut().map(|held| &mut held.1);
            for place in numbers.chain(self.locals.iter_mut().map(|held| &mut held.1)) {
                *place = self.arena.add(gappy.get(*place));
            }
        }
        old
    }
}

/// Puts an entry into a table; the place of the one before.
fn put<K: Hash + Eq>(
    table: &mut HashTable<(K, Place)>,
    hash: u64,
    new: (K, Place),
    state: &RandomState,
) -> Option<Place> {
    match table.entry(hash, |held| held.0 == new.0, |held| state.hash_one(&held.0)) {
        Entry::Occupied(mut held) => Some(std::mem::replace(&mut held.get_mut().1, new.1)),
        Entry::Vacant(free) => {
            free.insert(new);
            None
        }
    }
}

/// Takes an entry out of a table; its place.
fn take<K: Eq>(table: &mut HashTable<(K, Place)>, hash: u64, key: &K) -> Option<Place> {
    let held = table.find_entry(hash, |held| held.0 == *key).ok()?;
    Some(held.remove().0.1)
}

/// Bytes by subject.
#[derive(Debug)]
pub struct Shards {
    shards: Box<[RwLock<Shard>]>,
    /// Seeded, so that nobody can choose numbers that meet in one shard.
    state: RandomState,
}

impl Default for Shards {
    fn default() -> Self {
        Self::of(SHARDS)
    }
}

impl Shards {
    fn of(shards: usize) -> Self {
        Self { shards: (0..shards).map(|_| RwLock::default()).collect(), state: RandomState::new() }
    }

    fn shard(&self, hash: u64) -> &RwLock<Shard> {
        &self.shards[(hash >> SHARD_SHIFT) as usize % self.shards.len()]
    }

    /// Makes room for so many people, so that tables need not grow while they come.
    pub fn reserve(&self, people: usize) {
        let each = people.min(MOST_RESERVED) / self.shards.len();
        for shard in &self.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            shard.numbers.reserve(each + each / SPREAD, |held| self.state.hash_one(held.0));
        }
    }

    /// The bytes of a subject and the stamp of their publication.
    #[must_use]
    pub fn read(&self, subject: &Subject) -> Option<(Box<[u8]>, Stamp)> {
        let key = Key::of(subject);
        let hash = key.hash(&self.state);
        let shard = self.shard(hash).read().unwrap_or_else(PoisonError::into_inner);
        let place = shard.find(key, hash)?;
        Some((shard.arena.get(place).into(), shard.stamp(place)))
    }

    /// Puts bytes in the place of older ones, which are given back.
    pub fn put(&self, subject: &Subject, bytes: &[u8]) -> Option<Box<[u8]>> {
        let key = Key::of(subject);
        let hash = key.hash(&self.state);
        self.shard(hash).write().unwrap_or_else(PoisonError::into_inner).put(key, hash, bytes, &self.state)
    }

    /// Takes the bytes of a subject away.
    pub fn take(&self, subject: &Subject) -> Option<Box<[u8]>> {
        let key = Key::of(subject);
        let hash = key.hash(&self.state);
        self.shard(hash).write().unwrap_or_else(PoisonError::into_inner).take(key, hash)
    }
}

#[cfg(test)]
#[path = "shards_tests.rs"]
mod tests;
