//! Ways to hold a child's bytes by number, which are compared: each holds them by the first nine digits of the number.
//! `benches/layouts.rs` measures their times, `benches/layouts-memory.rs` what they allocate.

use arc_swap::ArcSwap;
use dashmap::DashMap;
use kith_domain::NhsNumber;
use kith_index::shards::Shards;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::records::mix;

/// Keys are spread over the range that was never issued.
const FIRST_KEY: u32 = 900_000_000;
const KEYS: u64 = 99_000_000;

/// The key of the `n`-th child, or of the `n`-th who is not held: all that have a check digit, in no order.
pub fn keys() -> impl Iterator<Item = u32> {
    // Coprime to the number of keys, so that each comes once.
    const STEP: u64 = 61_803_403;
    let all = (0..KEYS).map(|n| FIRST_KEY + (n * STEP % KEYS) as u32);
    all.filter(|key| kith_domain::NhsNumber::from_first_nine(*key).is_some())
}

/// As many bytes as packed records take: a head, and some thirty for each presentation and its lookup.
#[must_use]
pub fn bytes(key: u32, version: u64) -> Vec<u8> {
    let presentations = match mix(u64::from(key) + version) % 1_000 {
        0..=620 => 1,
        621..=815 => 2,
        816..=910 => 3,
        911..=960 => 4,
        _ => 7,
    };
    vec![key as u8; 1 + 32 * presentations]
}

/// A layout's name, and what makes an empty one.
pub type Kind = (&'static str, fn() -> Box<dyn Layout>);

/// All that are compared; first what measuring itself takes.
pub const KINDS: [Kind; 6] = [
    ("nothing (the clock)", || Box::new(Nothing)),
    ("dashmap, boxes", || Box::<Dash>::default()),
    ("lock-free (papaya), boxes", || Box::<LockFree>::default()),
    ("65,536 locks, boxes", || Box::<Sharded>::default()),
    (OURS, || Box::<Pieces>::default()),
    ("published snapshot, delta", || Box::<Snapshot>::default()),
];
/// The layout of the index.
pub const OURS: &str = "65,536 locks, pieces";
/// Children where no number is asked for.
pub const USUAL: [usize; 2] = [1_000_000, 12_000_000];

/// The numbers among a program's arguments, or the usual ones.
#[must_use]
pub fn sizes() -> Vec<usize> {
    let asked: Vec<usize> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    if asked.is_empty() { USUAL.to_vec() } else { asked }
}

/// What this thread has worked so far: waiting for a processor that others use does not count.
#[must_use]
pub fn worked() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32)
}

/// Bytes by key, read by many while one writes.
pub trait Layout: Sync {
    /// Copies the bytes of a key, and says whether it is held.
    fn get(&self, key: u32, into: &mut Vec<u8>) -> bool;
    /// Puts bytes in the place of older ones.
    fn put(&self, key: u32, bytes: &[u8]);
    /// Puts what is held before the measurement; what the longest put took.
    fn fill(&self, keys: &[u32], bytes: fn(u32) -> Vec<u8>) -> Duration {
        let one = |key: &u32| {
            let (bytes, start) = (bytes(*key), worked());
            self.put(*key, &bytes);
            worked() - start
        };
        keys.iter().map(one).max().unwrap_or_default()
    }
}

fn copy(held: &[u8], into: &mut Vec<u8>) -> bool {
    into.clear();
    into.extend_from_slice(held);
    true
}

/// Nothing: what measuring takes.
struct Nothing;

impl Layout for Nothing {
    fn get(&self, key: u32, _: &mut Vec<u8>) -> bool {
        key.is_multiple_of(2)
    }

    fn put(&self, _: u32, _: &[u8]) {}
}

/// dashmap with as many locks as it takes by itself.
#[derive(Default)]
struct Dash(DashMap<u32, Box<[u8]>>);

impl Layout for Dash {
    fn get(&self, key: u32, into: &mut Vec<u8>) -> bool {
        self.0.get(&key).is_some_and(|held| copy(held.value(), into))
    }

    fn put(&self, key: u32, bytes: &[u8]) {
        self.0.insert(key, bytes.into());
    }
}

/// A lock-free map.
#[derive(Default)]
struct LockFree(papaya::HashMap<u32, Box<[u8]>>);

impl Layout for LockFree {
    fn get(&self, key: u32, into: &mut Vec<u8>) -> bool {
        self.0.pin().get(&key).is_some_and(|held| copy(held, into))
    }

    fn put(&self, key: u32, bytes: &[u8]) {
        self.0.pin().insert(key, bytes.into());
    }
}

/// Locks enough that none is waited for, each over a map of boxes.
struct Sharded(Vec<RwLock<HashMap<u32, Box<[u8]>>>>);

/// Locks of [`Sharded`], as many as the index has.
const LOCKS: usize = 65_536;

impl Default for Sharded {
    fn default() -> Self {
        Self::of(LOCKS)
    }
}

impl Sharded {
    fn of(locks: usize) -> Self {
        Self((0..locks).map(|_| RwLock::default()).collect())
    }

    fn lock(&self, key: u32) -> &RwLock<HashMap<u32, Box<[u8]>>> {
        let mixed = u64::from(key).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        &self.0[mixed as usize % self.0.len()]
    }
}

impl Layout for Sharded {
    fn get(&self, key: u32, into: &mut Vec<u8>) -> bool {
        let map = self.lock(key).read().unwrap_or_else(PoisonError::into_inner);
        map.get(&key).is_some_and(|held| copy(held, into))
    }

    fn put(&self, key: u32, bytes: &[u8]) {
        self.lock(key).write().unwrap_or_else(PoisonError::into_inner).insert(key, bytes.into());
    }
}

/// What the index has: locks enough, and for each one piece of memory in the place of boxes.
#[derive(Default)]
struct Pieces(Shards);

impl Layout for Pieces {
    fn get(&self, key: u32, into: &mut Vec<u8>) -> bool {
        let number = NhsNumber::from_first_nine(key);
        number.and_then(|number| self.0.read(number, into)).is_some()
    }

    fn put(&self, key: u32, bytes: &[u8]) {
        if let Some(number) = NhsNumber::from_first_nine(key) {
            self.0.put(number, bytes);
        }
    }
}

/// A table that never changes, published whole, and what was put since it was made.
struct Snapshot {
    base: ArcSwap<Base>,
    since: Sharded,
    puts: std::sync::atomic::AtomicUsize,
}

/// Locks over what was put since.
const LOCKS_SINCE: usize = 256;
/// A new table is made when one in so many was put again.
const REMADE_AT: usize = 16;
/// A key's high bits choose where in the table to look.
const LOW_BITS: u32 = 12;

#[derive(Default)]
struct Base {
    keys: Vec<u32>,
    /// Where the bytes of each key end.
    ends: Vec<u64>,
    bytes: Vec<u8>,
    /// The first place of each run of keys with the same high bits.
    starts: Vec<u32>,
}

impl Base {
    fn get(&self, key: u32) -> Option<&[u8]> {
        let run = (key >> LOW_BITS) as usize;
        let (from, to) = (*self.starts.get(run)? as usize, *self.starts.get(run + 1)? as usize);
        let at = from + self.keys[from..to].binary_search(&key).ok()?;
        let begin = if at == 0 { 0 } else { self.ends[at - 1] };
        Some(&self.bytes[begin as usize..self.ends[at] as usize])
    }

    fn of(old: &Self, mut newer: Vec<(u32, Box<[u8]>)>) -> Self {
        newer.sort_unstable_by_key(|put| put.0);
        let mut made = Self::default();
        made.keys.reserve_exact(old.keys.len() + newer.len());
        made.ends.reserve_exact(old.keys.len() + newer.len());
        let mut held = old.keys.iter().peekable();
        for (key, bytes) in &newer {
            while let Some(before) = held.next_if(|before| *before < key) {
                made.add(*before, old.get(*before).unwrap_or_default());
            }
            held.next_if_eq(&key);
            made.add(*key, bytes);
        }
        held.for_each(|before| made.add(*before, old.get(*before).unwrap_or_default()));
        made.indexed()
    }

    fn indexed(mut self) -> Self {
        let runs = (1_u32 << (32 - LOW_BITS)) + 1;
        self.starts = (0..runs).map(|run| self.keys.partition_point(|key| key >> LOW_BITS < run) as u32).collect();
        self
    }

    fn add(&mut self, key: u32, bytes: &[u8]) {
        self.keys.push(key);
        self.bytes.extend_from_slice(bytes);
        self.ends.push(self.bytes.len() as u64);
    }
}

impl Default for Snapshot {
    fn default() -> Self {
        Self { base: ArcSwap::default(), since: Sharded::of(LOCKS_SINCE), puts: 0.into() }
    }
}

impl Snapshot {
    fn remake(&self) {
        let all = || self.since.0.iter().map(|map| map.write().unwrap_or_else(PoisonError::into_inner));
        let newer =
            all().flat_map(|map| map.iter().map(|(key, held)| (*key, held.clone())).collect::<Vec<_>>()).collect();
        let made = Base::of(&self.base.load(), newer);
        self.base.store(Arc::new(made));
        all().for_each(|mut map| *map = HashMap::new());
        self.puts.store(0, std::sync::atomic::Ordering::Relaxed);
    }
}

impl Layout for Snapshot {
    fn get(&self, key: u32, into: &mut Vec<u8>) -> bool {
        self.since.get(key, into) || self.base.load().get(key).is_some_and(|held| copy(held, into))
    }

    fn put(&self, key: u32, bytes: &[u8]) {
        self.since.put(key, bytes);
        let puts = self.puts.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        let held = self.base.load().keys.len();
        if held > 0 && puts > held / REMADE_AT {
            self.remake();
        }
    }

    fn fill(&self, keys: &[u32], bytes: fn(u32) -> Vec<u8>) -> Duration {
        let mut sorted = keys.to_vec();
        sorted.sort_unstable();
        let mut made = Base::default();
        sorted.iter().for_each(|key| made.add(*key, &bytes(*key)));
        self.base.store(Arc::new(made.indexed()));
        Duration::ZERO
    }
}
