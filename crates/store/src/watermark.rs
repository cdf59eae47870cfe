//! The watermark: the last acknowledged position of the log, kept outside RocksDB, because a recovery that
//! drops a damaged tail opens without a word. It never says what is in the log, only how far it went.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{DataFile, Disk, replace_durably};

/// The position of the change log: the last record's number and the hash chain up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Number of the last record; 0 when the log is empty, the first record is 1.
    pub sequence: u64,
    /// `chain(n) = SHA-256(chain(n-1) || n as 8 bytes || sealed record n)`; 32 zero bytes when empty.
    pub chain: [u8; 32],
}

impl Head {
    /// The position of an empty log.
    pub const EMPTY: Self = Self { sequence: 0, chain: [0; 32] };
}

/// First bytes of each slot.
const MAGIC: [u8; 8] = *b"KITHWMRK";
/// Layout of the slots.
const VERSION: u16 = 1;
/// `[magic 8][version u16][reserved u16][sequence u64][chain 32][reserved 8][crc32c u32]`.
pub(crate) const SLOT_BYTES: usize = 64;
const SLOT_LENGTH: u64 = 64;
/// Slots stand in different blocks, so that a torn write spoils one of them at most.
const SLOT_STRIDE: u64 = 4096;
/// Two slots, written in turn.
const FILE_BYTES: usize = 2 * 4096;

/// Why the watermark could not be read.
#[derive(Debug, thiserror::Error)]
pub enum WatermarkError {
    /// The file could not be read or made.
    #[error("use watermark file: {0}")]
    Io(#[from] io::Error),
    /// Neither slot holds a whole watermark.
    #[error("read watermark: both slots are damaged")]
    Damaged,
    /// Written by a newer version.
    #[error("read watermark: version {found} is newer than {VERSION}")]
    NewerFormat {
        /// The version found.
        found: u16,
    },
}

/// The open watermark file.
pub(crate) struct Watermark {
    file: Arc<dyn DataFile>,
    next_slot: u64,
}

/// What the file said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The newest whole slot.
    pub(crate) head: Head,
    /// Which slot that was.
    pub(crate) slot: u64,
    /// The other slot is whole too.
    pub(crate) both_whole: bool,
}

impl Watermark {
    /// Where the file stands in a data directory.
    pub(crate) fn path(dir: &Path) -> PathBuf {
        dir.join("watermark")
    }

    /// Reads the file; `None` when there is none.
    pub(crate) fn read(path: &Path) -> Result<Option<Reading>, WatermarkError> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut slots = [None, None];
        for (slot, at) in slots.iter_mut().zip([0, SLOT_STRIDE as usize]) {
            if let Some(found) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
                *slot = decode(found)?;
            }
        }
        match slots {
            [Some(a), Some(b)] if b.sequence > a.sequence => Ok(Some(Reading { head: b, slot: 1, both_whole: true })),
            [Some(a), Some(_)] => Ok(Some(Reading { head: a, slot: 0, both_whole: true })),
            [Some(a), None] => Ok(Some(Reading { head: a, slot: 0, both_whole: false })),
            [None, Some(b)] => Ok(Some(Reading { head: b, slot: 1, both_whole: false })),
            [None, None] => Err(WatermarkError::Damaged),
        }
    }

    /// Makes a new file that says `head` in both slots.
    pub(crate) fn create(disk: &dyn Disk, path: &Path, head: Head) -> Result<Self, WatermarkError> {
        let mut bytes = vec![0_u8; FILE_BYTES];
        let slot = encode(head);
        for (index, byte) in slot.iter().enumerate() {
            for at in [index, index + SLOT_STRIDE as usize] {
                if let Some(to) = bytes.get_mut(at) {
                    *to = *byte;
                }
            }
        }
        replace_durably(path, &bytes)?;
        Ok(Self { file: disk.open(path)?, next_slot: 0 })
    }

    /// Opens an existing file, to be written next in the slot that is not the newest.
    pub(crate) fn open(disk: &dyn Disk, path: &Path, reading: Reading) -> Result<Self, WatermarkError> {
        Ok(Self { file: disk.open(path)?, next_slot: 1 - reading.slot })
    }

    /// Writes and syncs `head`. After an error nothing may be acknowledged any more.
    pub(crate) fn advance(&mut self, head: Head) -> io::Result<()> {
        self.file.write_at(&encode(head), self.next_slot * SLOT_STRIDE)?;
        self.file.sync_data()?;
        self.next_slot = 1 - self.next_slot;
        Ok(())
    }
}

pub(crate) fn encode(head: Head) -> [u8; SLOT_BYTES] {
    let mut bytes = Vec::with_capacity(SLOT_BYTES);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&[0; 2]);
    bytes.extend_from_slice(&head.sequence.to_be_bytes());
    bytes.extend_from_slice(&head.chain);
    bytes.extend_from_slice(&[0; 8]);
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_be_bytes());
    let mut slot = [0; SLOT_BYTES];
    debug_assert_eq!(bytes.len() as u64, SLOT_LENGTH, "the fields fill a slot");
    for (to, from) in slot.iter_mut().zip(bytes) {
        *to = from;
    }
    slot
}

/// A whole slot's head; `None` when it is torn or was never written.
fn decode(slot: &[u8; SLOT_BYTES]) -> Result<Option<Head>, WatermarkError> {
    let Some((body, stored)) = slot.split_last_chunk::<4>() else { return Ok(None) };
    if crc32c::crc32c(body) != u32::from_be_bytes(*stored) {
        return Ok(None);
    }
    let mut fields = Fields(body);
    if fields.take::<8>() != Some(MAGIC) {
        return Ok(None);
    }
    let Some(version) = fields.take().map(u16::from_be_bytes) else { return Ok(None) };
    if version > VERSION {
        return Err(WatermarkError::NewerFormat { found: version });
    }
    let _reserved: Option<[u8; 2]> = fields.take();
    let (Some(sequence), Some(chain)) = (fields.take(), fields.take()) else { return Ok(None) };
    Ok(Some(Head { sequence: u64::from_be_bytes(sequence), chain }))
}

/// Takes fixed-size fields off the front of bytes.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl Fields<'_> {
    /// The next `N` bytes, or `None` at the end.
    pub(crate) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }
}

#[cfg(test)]
#[path = "watermark_tests.rs"]
mod tests;
