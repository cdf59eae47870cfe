//! The bytes of a segment: a fixed header, then entries end to end.
//! It never guesses: bytes that are not exactly an entry are not one.

use crate::keys::Keys;
use crate::seal::{self, SEAL_OVERHEAD_BYTES, SealError};
use crate::watermark::Fields;

use super::types::{JOURNAL_ID, MAX_ENTRY_BYTES};

const MAGIC: [u8; 8] = *b"KITHAUDT";
/// The layout written by this version.
pub(crate) const VERSION: u16 = 1;
/// `[magic 8][version u16][journal u16][first u64][resumes after u64][boot id 36][reserved 28][crc32c u32]`.
pub(crate) const HEADER_BYTES: usize = 96;
pub(crate) const HEADER_LENGTH: u64 = 96;
/// Length of a boot id: a hyphenated UUID.
const BOOT_ID_BYTES: usize = 36;
const RESERVED_BYTES: usize = 28;
/// `[length u32][crc32c u32][sequence u64]`, before the sealed bytes. The sum covers length, sequence and sealed.
pub(crate) const ENTRY_HEAD_BYTES: usize = 16;
/// Longest sealed entry.
const MAX_SEALED_BYTES: usize = MAX_ENTRY_BYTES + SEAL_OVERHEAD_BYTES;
/// The tag that binds sealed entries.
const AUDIT_TAG: &str = "audit";

/// What a segment says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// The first number that the opening which made this segment could give.
    pub(crate) first_sequence: u64,
    /// The last number found by that opening: numbers between the two were never given or are a declared gap.
    pub(crate) resumes_after: u64,
    /// The machine's boot, cut or padded to its length.
    pub(crate) boot_id: [u8; BOOT_ID_BYTES],
}

/// Why bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    /// Torn, damaged, or another file altogether.
    NotAHeader,
    /// A newer layout.
    Newer(u16),
}

/// A boot id in its fixed length.
pub(crate) fn boot_id(text: &str) -> [u8; BOOT_ID_BYTES] {
    let mut fixed = [0; BOOT_ID_BYTES];
    for (to, from) in fixed.iter_mut().zip(text.trim().bytes()) {
        *to = from;
    }
    fixed
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_be_bytes());
        bytes.extend_from_slice(&JOURNAL_ID.to_be_bytes());
        bytes.extend_from_slice(&self.first_sequence.to_be_bytes());
        bytes.extend_from_slice(&self.resumes_after.to_be_bytes());
        bytes.extend_from_slice(&self.boot_id);
        bytes.extend_from_slice(&[0; RESERVED_BYTES]);
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_be_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, HeaderFault> {
        let (body, stored) = bytes.split_last_chunk::<4>().ok_or(HeaderFault::NotAHeader)?;
        if crc32c::crc32c(body) != u32::from_be_bytes(*stored) {
            return Err(HeaderFault::NotAHeader);
        }
        let mut fields = Fields(body);
        if fields.take() != Some(MAGIC) {
            return Err(HeaderFault::NotAHeader);
        }
        let version = fields.take().map(u16::from_be_bytes).ok_or(HeaderFault::NotAHeader)?;
        if version > VERSION {
            return Err(HeaderFault::Newer(version));
        }
        let journal = fields.take().map(u16::from_be_bytes);
        match (journal, fields.take(), fields.take(), fields.take()) {
            (Some(JOURNAL_ID), Some(first), Some(after), Some(boot_id)) => Ok(Self {
                first_sequence: u64::from_be_bytes(first),
                resumes_after: u64::from_be_bytes(after),
                boot_id,
            }),
            _ => Err(HeaderFault::NotAHeader),
        }
    }
}

/// The fixed front of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EntryHead {
    /// Length of the sealed bytes that follow.
    pub(crate) length: usize,
    /// The entry's number.
    pub(crate) sequence: u64,
    sum: u32,
}

impl EntryHead {
    /// Reads the front of an entry; `None` when no entry can begin like this.
    pub(crate) fn decode(bytes: &[u8; ENTRY_HEAD_BYTES]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let length = usize::try_from(u32::from_be_bytes(fields.take()?)).ok()?;
        let sum = u32::from_be_bytes(fields.take()?);
        let sequence = u64::from_be_bytes(fields.take()?);
        let fits = (SEAL_OVERHEAD_BYTES..=MAX_SEALED_BYTES).contains(&length) && sequence > 0;
        fits.then_some(Self { length, sequence, sum })
    }

    /// Whether `sealed` is what this front was written with.
    pub(crate) fn matches(&self, sealed: &[u8]) -> bool {
        sealed.len() == self.length && checksum(self.length, self.sequence, sealed) == self.sum
    }
}

fn checksum(length: usize, sequence: u64, sealed: &[u8]) -> u32 {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    let sum = crc32c::crc32c(&length.to_be_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(sum, &sequence.to_be_bytes()), sealed)
}

fn row_key(sequence: u64) -> [u8; 10] {
    let mut key = [0; 10];
    let bytes = JOURNAL_ID.to_be_bytes().into_iter().chain(sequence.to_be_bytes());
    for (to, from) in key.iter_mut().zip(bytes) {
        *to = from;
    }
    key
}

/// Seals one entry and lays it out in `buffer`, instead of what that held, as it stands in a segment.
pub(crate) fn encode_entry(
    buffer: &mut Vec<u8>,
    keys: &Keys,
    sequence: u64,
    plaintext: &[u8],
) -> Result<(), SealError> {
    buffer.clear();
    buffer.extend_from_slice(&[0; ENTRY_HEAD_BYTES]);
    seal::seal_onto(buffer, keys, AUDIT_TAG, &row_key(sequence), plaintext)?;
    if let Some((head, sealed)) = buffer.split_first_chunk_mut::<ENTRY_HEAD_BYTES>() {
        *head = entry_head(sequence, sealed);
    }
    Ok(())
}

fn entry_head(sequence: u64, sealed: &[u8]) -> [u8; ENTRY_HEAD_BYTES] {
    let length = u32::try_from(sealed.len()).unwrap_or(u32::MAX);
    let sum = checksum(sealed.len(), sequence, sealed);
    let mut head = [0; ENTRY_HEAD_BYTES];
    let bytes = length.to_be_bytes().into_iter().chain(sum.to_be_bytes()).chain(sequence.to_be_bytes());
    head.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    head
}

/// Opens the sealed bytes of entry `sequence`.
pub(crate) fn open_entry(keys: &Keys, sequence: u64, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    seal::open(keys, AUDIT_TAG, &row_key(sequence), sealed)
}
