//! The records of the leaves file, one for each leaf of the tree, in the order in which they were taken in.
//! Together they account for every number of the audit: each is an entry, or was passed over.

use kith_merkle::{HASH_BYTES, Hash, leaf_hash};

use crate::journal::JOURNAL_ID;
use crate::journal::recover::UNCLEAN_STRIDE;
use crate::watermark::Fields;

/// Length of a record, and of the file's head before the first: `[kind u32][crc32c u32][number u64][32 bytes]`. The sum
/// covers all but itself.
pub(crate) const RECORD_BYTES: usize = 48;
pub(crate) const RECORD_LENGTH: u64 = 48;
/// `[magic 8][version u16][journal u16][reserved 32][crc32c u32]`.
const MAGIC: [u8; 8] = *b"KITHTREE";
/// The layout written by this version.
pub(crate) const VERSION: u16 = 1;
const RESERVED_BYTES: usize = 32;

const ENTRY: u32 = 1;
const LATE: u32 = 2;
const PASSED_OVER: u32 = 3;

/// What a leaf stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Record {
    /// An entry of the audit.
    Entry {
        /// Its number.
        sequence: u64,
        /// The hash of what stands in its segment.
        leaf: Hash,
        /// It had been passed over, and came after all.
        late: bool,
    },
    /// Numbers without an entry on disk when the next one was taken in: never given, given up, or damaged.
    PassedOver {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
}

/// The leaf of an entry: journal, number, and its sealed bytes as they stand in the segment. Those are never rewritten.
pub(crate) fn entry_leaf(sequence: u64, sealed: &[u8]) -> Hash {
    leaf_hash(&[&JOURNAL_ID.to_be_bytes(), &sequence.to_be_bytes(), sealed])
}

/// The leaf of numbers passed over. No entry has the number 0, so that it is never the leaf of one.
fn passed_over_leaf(first: u64, last: u64) -> Hash {
    leaf_hash(&[&JOURNAL_ID.to_be_bytes(), &[0; 8], &first.to_be_bytes(), &last.to_be_bytes()])
}

/// Whether numbers that were passed over together had been given, so that an entry of theirs may still come: what an opening left out
/// never was, and none stands beside it.
pub(crate) fn may_come((first, last): (u64, u64)) -> bool {
    last - first < UNCLEAN_STRIDE - 1
}

impl Record {
    /// The leaf in the tree.
    pub(crate) fn leaf(&self) -> Hash {
        match self {
            Self::Entry { leaf, .. } => *leaf,
            Self::PassedOver { first, last } => passed_over_leaf(*first, *last),
        }
    }

    pub(crate) fn encode(&self) -> [u8; RECORD_BYTES] {
        let (kind, number, rest) = match *self {
            Self::Entry { sequence, leaf, late: false } => (ENTRY, sequence, leaf),
            Self::Entry { sequence, leaf, late: true } => (LATE, sequence, leaf),
            Self::PassedOver { first, last } => {
                let mut rest = [0; HASH_BYTES];
                rest.iter_mut().zip(last.to_be_bytes()).for_each(|(to, from)| *to = from);
                (PASSED_OVER, first, rest)
            }
        };
        let sum = checksum(kind, number, &rest);
        let bytes = kind.to_be_bytes().into_iter().chain(sum.to_be_bytes()).chain(number.to_be_bytes()).chain(rest);
        let mut record = [0; RECORD_BYTES];
        record.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        record
    }

    /// Reads a record; `None` when the bytes are not exactly one.
    pub(crate) fn decode(bytes: &[u8; RECORD_BYTES]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let kind = u32::from_be_bytes(fields.take()?);
        let sum = u32::from_be_bytes(fields.take()?);
        let number = u64::from_be_bytes(fields.take()?);
        let rest: Hash = fields.take()?;
        if checksum(kind, number, &rest) != sum || number == 0 {
            return None;
        }
        match kind {
            ENTRY | LATE => Some(Self::Entry { sequence: number, leaf: rest, late: kind == LATE }),
            PASSED_OVER => {
                let (last, unused) = rest.split_first_chunk()?;
                let last = u64::from_be_bytes(*last);
                let whole = last >= number && unused.iter().all(|byte| *byte == 0);
                whole.then_some(Self::PassedOver { first: number, last })
            }
            _ => None,
        }
    }
}

fn checksum(kind: u32, number: u64, rest: &Hash) -> u32 {
    let sum = crc32c::crc32c(&kind.to_be_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(sum, &number.to_be_bytes()), rest)
}

/// What the head of a leaves file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Head {
    /// This layout.
    Known,
    /// A newer one.
    Newer(u16),
    /// Torn, damaged, or another file altogether.
    None,
}

/// The head of a leaves file.
pub(crate) fn head() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(RECORD_BYTES);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&JOURNAL_ID.to_be_bytes());
    bytes.extend_from_slice(&[0; RESERVED_BYTES]);
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_be_bytes());
    bytes
}

/// Reads the head of a leaves file.
pub(crate) fn read_head(bytes: &[u8]) -> Head {
    let Some((body, stored)) = bytes.get(..RECORD_BYTES).and_then(<[u8]>::split_last_chunk::<4>) else {
        return Head::None;
    };
    if crc32c::crc32c(body) != u32::from_be_bytes(*stored) {
        return Head::None;
    }
    let mut fields = Fields(body);
    let magic: Option<[u8; 8]> = fields.take();
    match (magic, fields.take().map(u16::from_be_bytes), fields.take().map(u16::from_be_bytes)) {
        (Some(MAGIC), Some(version), _) if version > VERSION => Head::Newer(version),
        (Some(MAGIC), Some(_), Some(JOURNAL_ID)) => Head::Known,
        _ => Head::None,
    }
}

/// Whether records follow each other as they were taken in: every number once, from 1 on, and late ones among those that
/// had been passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Order {
    /// Every number up to here is accounted for.
    pub(crate) covered: u64,
}

impl Order {
    /// Takes the next record; gives whether it may stand here.
    pub(crate) fn takes(&mut self, record: &Record) -> bool {
        let next = self.covered.saturating_add(1);
        match *record {
            Record::Entry { sequence, late: true, .. } => sequence <= self.covered,
            Record::Entry { sequence, late: false, .. } => {
                self.covered = self.covered.max(sequence);
                sequence == next
            }
            Record::PassedOver { first, last } => {
                self.covered = self.covered.max(last);
                first == next
            }
        }
    }
}
