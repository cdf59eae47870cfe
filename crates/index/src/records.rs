//! Every record, packed, by subject: many small tables, each under a lock of its own that is held for as long as it takes to
//! copy one record, never for a disk. A table that grows moves only the few hundred entries of its own.

use crate::arena::{Arena, Place};
use crate::packed::{Tables, pack, unpack};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use kith_domain::child::{ChildRecord, Subject};
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{PoisonError, RwLock};

/// So many that the table of one holds some 430 people of England, and growing it takes microseconds.
const SHARDS: usize = 8_192;
/// Bits of a hash that choose the shard: others than a table looks at first.
const SHARD_SHIFT: u32 = 40;

/// Names one publication of one record: another one has another stamp, even if it says the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
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

/// People whose hashes have some bits in common.
#[derive(Debug, Default)]
struct Shard {
    numbers: HashTable<(u32, Place)>,
    locals: HashTable<(Subject, Place)>,
    arena: Arena,
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

/// Every record.
#[derive(Debug)]
pub(crate) struct Records {
    shards: Box<[RwLock<Shard>]>,
    tables: Tables,
    /// Seeded, so that nobody can choose numbers that meet in one shard.
    state: RandomState,
}

impl Default for Records {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| RwLock::default()).collect();
        Self { shards, tables: Tables::default(), state: RandomState::new() }
    }
}

impl Records {
    fn shard(&self, hash: u64) -> &RwLock<Shard> {
        &self.shards[(hash >> SHARD_SHIFT) as usize % self.shards.len()]
    }

    /// Makes room for so many people, so that tables need not grow while they come.
    pub(crate) fn reserve(&self, people: usize) {
        let each = people / SHARDS + people / SHARDS / 8;
        for shard in &self.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            shard.numbers.reserve(each, |held| self.state.hash_one(held.0));
        }
    }

    /// A record and the stamp of its publication.
    pub(crate) fn read(&self, subject: &Subject) -> Option<(ChildRecord, Stamp)> {
        let key = Key::of(subject);
        let hash = key.hash(&self.state);
        let (bytes, stamp): (Box<[u8]>, Stamp) = {
            let shard = self.shard(hash).read().unwrap_or_else(PoisonError::into_inner);
            let place = shard.find(key, hash)?;
            (shard.arena.get(place).into(), shard.stamp(place))
        };
        Some((self.unpacked(subject, &bytes), stamp))
    }

    /// Puts a record in the place of an older one, which is given back.
    pub(crate) fn put(&self, record: &ChildRecord) -> Option<ChildRecord> {
        let key = Key::of(&record.subject);
        let hash = key.hash(&self.state);
        let bytes = pack(record, &self.tables);
        let old = {
            let mut shard = self.shard(hash).write().unwrap_or_else(PoisonError::into_inner);
            shard.put(key, hash, &bytes, &self.state)
        };
        old.map(|old| self.unpacked(&record.subject, &old))
    }

    /// Takes a record away.
    pub(crate) fn take(&self, subject: &Subject) -> Option<ChildRecord> {
        let key = Key::of(subject);
        let hash = key.hash(&self.state);
        let old = self.shard(hash).write().unwrap_or_else(PoisonError::into_inner).take(key, hash)?;
        Some(self.unpacked(subject, &old))
    }

    /// A record that does not read back must never look like none: a panic fails the one question.
    fn unpacked(&self, subject: &Subject, bytes: &[u8]) -> ChildRecord {
        unpack(subject, bytes, &self.tables).expect("bytes in memory are those that packing made")
    }
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;
