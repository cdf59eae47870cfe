//! A few records in one piece of memory: a table of keys and places first, and the records behind it, each as it came.
//! Whoever looks one up finds both in the same pages of memory. When there is no room left, all that still stands is
//! copied into a new piece; so what was replaced or removed never takes more than a part of the whole.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

/// Bytes of a slot of the table: a key and a place, or zeros.
const SLOT_BYTES: usize = 8;
/// Slots that are taken, in four; the rest keep runs short.
const TAKEN_OF_FOUR: usize = 3;
/// Bytes left free in a new piece, at least, and one part in so many of what stands.
const FREE_BYTES: usize = 128;
const FREE_PART: usize = 8;
/// What usual records take: room for those that are expected.
const EXPECTED_BYTES: usize = 52;
/// No number begins with nine zeros, so no key is 0.
const NO_KEY: u32 = 0;
/// The place of a slot whose record was removed: the table lies there, and no record.
const REMOVED: u32 = 1;

/// Names one publication of one record: another one has another stamp, even if it says the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(u32);

/// Records by key: the first nine digits of a number.
#[derive(Default)]
pub(crate) struct Shard {
    /// The slots, and behind them the records.
    piece: Vec<u8>,
    slots: u32,
    /// Slots with a record, or whose record was removed.
    taken: u32,
    /// Bytes of records that were replaced or removed.
    gaps: u32,
    publications: u32,
}

/// The bytes are records, so they are counted and not shown.
impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { piece, slots, taken, gaps, publications: _ } = self;
        let mut shown = f.debug_struct("Shard");
        shown.field("bytes", &piece.len()).field("slots", slots).field("taken", taken).field("gaps", gaps);
        shown.finish_non_exhaustive()
    }
}

/// Appends a number, seven bits in each byte.
fn append(piece: &mut Vec<u8>, mut value: u32) {
    while value > 0x7f {
        piece.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    piece.push(value as u8);
}

/// Reads a number, and where it ends.
fn number(piece: &[u8], mut at: usize) -> (u32, usize) {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = piece[at];
        at += 1;
        value |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return (value, at);
        }
        shift += 7;
    }
}

/// A length or place: a piece is far smaller than four gigabytes.
fn small(length: usize) -> u32 {
    u32::try_from(length).expect("a piece holds less than four gigabytes")
}

impl Shard {
    fn slot(&self, slot: u32) -> (u32, u32) {
        let at = slot as usize * SLOT_BYTES;
        let [a, b, c, d, e, f, g, h] = self.piece[at..at + SLOT_BYTES] else { return (NO_KEY, 0) };
        (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
    }

    fn set_slot(&mut self, slot: u32, key: u32, place: u32) {
        let at = slot as usize * SLOT_BYTES;
        self.piece[at..at + 4].copy_from_slice(&key.to_le_bytes());
        self.piece[at + 4..at + SLOT_BYTES].copy_from_slice(&place.to_le_bytes());
    }

    /// The slot of a key, or the free one where it would be. There always is a free one.
    fn seek(&self, key: u32, hash: u64) -> (u32, Option<u32>) {
        let mut slot = (((hash & u64::from(u32::MAX)) * u64::from(self.slots)) >> u32::BITS) as u32;
        for _ in 0..self.slots {
            match self.slot(slot) {
                (found, place) if found == key => return (slot, Some(place)),
                (NO_KEY, 0) => return (slot, None),
                _ => slot = if slot + 1 == self.slots { 0 } else { slot + 1 },
            }
        }
        panic!("a table is made anew before it is full")
    }

    /// The record at a place: its stamp, its bytes, and where it ends.
    fn record(&self, place: u32) -> (Stamp, &[u8], usize) {
        let (stamp, at) = number(&self.piece, place as usize);
        let (length, at) = number(&self.piece, at);
        let end = at + length as usize;
        (Stamp(stamp), &self.piece[at..end], end)
    }

    /// The bytes of a key, and the stamp of their publication.
    pub(crate) fn get(&self, key: u32, hash: u64) -> Option<(Stamp, &[u8])> {
        if self.slots == 0 {
            return None;
        }
        let (stamp, bytes, _) = self.record(self.seek(key, hash).1?);
        Some((stamp, bytes))
    }

    /// Puts bytes in the place of older ones, which are given back.
    pub(crate) fn put(&mut self, key: u32, hash: u64, bytes: &[u8], state: &RandomState) -> Option<Box<[u8]>> {
        self.publications = self.publications.wrapping_add(1);
        // Two numbers of at most five bytes stand before them.
        let need = bytes.len() + 10;
        if self.is_full() || self.piece.capacity() - self.piece.len() < need {
            self.renew(1, need, state);
        }
        let (slot, old) = self.seek(key, hash);
        let old = old.map(|place| self.forget(place));
        self.taken += u32::from(old.is_none());
        let place = small(self.piece.len());
        append(&mut self.piece, self.publications);
        append(&mut self.piece, small(bytes.len()));
        self.piece.extend_from_slice(bytes);
        self.set_slot(slot, key, place);
        old
    }

    /// Takes the bytes of a key away.
    pub(crate) fn take(&mut self, key: u32, hash: u64, state: &RandomState) -> Option<Box<[u8]>> {
        if self.slots == 0 {
            return None;
        }
        let (slot, place) = self.seek(key, hash);
        let old = self.forget(place?);
        self.set_slot(slot, NO_KEY, REMOVED);
        if self.gaps as usize > self.piece.len() / 2 {
            self.renew(0, 0, state);
        }
        Some(old)
    }

    /// Makes room for so many records of usual length.
    pub(crate) fn reserve(&mut self, records: usize, state: &RandomState) {
        self.renew(records, records * EXPECTED_BYTES, state);
    }

    fn forget(&mut self, place: u32) -> Box<[u8]> {
        let (_, bytes, end) = self.record(place);
        let old = bytes.into();
        self.gaps += small(end) - place;
        old
    }

    fn is_full(&self) -> bool {
        (self.taken as usize + 1) * 4 > self.slots as usize * TAKEN_OF_FOUR
    }

    /// Copies what stands into a new piece with room for so many more records of so many bytes in all.
    fn renew(&mut self, more: usize, bytes: usize, state: &RandomState) {
        let held = (0..self.slots).map(|slot| self.slot(slot)).filter(|(key, _)| *key != NO_KEY);
        let held: Vec<(u32, u32)> = held.collect();
        let records = held.len() + more;
        // A ninth above what may be taken, so that not every further record makes it full.
        let slots = records * 4 / TAKEN_OF_FOUR * 9 / 8 + 2;
        let standing = self.piece.len() - self.slots as usize * SLOT_BYTES - self.gaps as usize;
        let free = bytes + (standing / FREE_PART).max(FREE_BYTES);
        let old = std::mem::take(self);
        self.piece = Vec::with_capacity(slots * SLOT_BYTES + standing + free);
        self.piece.resize(slots * SLOT_BYTES, 0);
        (self.slots, self.taken, self.publications) = (small(slots), small(held.len()), old.publications);
        for (key, place) in held {
            let (slot, _) = self.seek(key, state.hash_one(key));
            self.set_slot(slot, key, small(self.piece.len()));
            let end = old.record(place).2;
            self.piece.extend_from_slice(&old.piece[place as usize..end]);
        }
    }

    /// Bytes in use.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.piece.capacity()
    }
}
