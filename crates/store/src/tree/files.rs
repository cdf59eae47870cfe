//! The files of a tree: the leaves, one hash for every 256 of them and for every 256 of those, and so on, and the signed
//! checkpoints. Reading them says exactly what is not as it should be; nothing here writes.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use kith_merkle::{HASH_BYTES, Hash, Hashes, node_hash};

use super::record::{RECORD_BYTES, RECORD_LENGTH, Record};
use crate::watermark::Fields;

/// Levels of the tree between two kept ones: of every 256 hashes, one is kept.
pub(crate) const KEPT_EVERY: u32 = 8;
/// Kept levels, beside the leaves: more than any number of leaves has.
pub(crate) const KEPT_LEVELS: u32 = 7;
pub(crate) const HASH_LENGTH: u64 = 32;
/// Read-ahead, in bytes.
const BUFFER_BYTES: usize = 256 << 10;

/// A checkpoint in the checkpoints file: `[magic 4][length u32][crc32c u32][leaves of the one before u64][note]`. The sum
/// covers all but magic and itself.
const FRAME_MAGIC: [u8; 4] = *b"KCPT";
const FRAME_HEAD_BYTES: usize = 20;
/// More than one checkpoint of ours ever takes; what is torn is at the end, and less.
const TAIL_BYTES: u64 = 64 << 10;

/// The leaves file.
pub(crate) fn leaves_path(dir: &Path) -> PathBuf {
    dir.join("leaves")
}

/// A file of kept hashes, `kept` from 1.
pub(crate) fn level_path(dir: &Path, kept: u32) -> PathBuf {
    dir.join(format!("level-{kept}"))
}

/// All signed checkpoints.
pub(crate) fn checkpoints_path(dir: &Path) -> PathBuf {
    dir.join("checkpoints")
}

/// The newest signed checkpoint, for whoever fetches it from the file.
pub(crate) fn checkpoint_path(dir: &Path) -> PathBuf {
    dir.join("checkpoint")
}

/// There only when the tree was found changed: why.
pub(crate) fn suspected_path(dir: &Path) -> PathBuf {
    dir.join("suspected")
}

/// Where record `index` stands in the leaves file.
pub(crate) fn record_offset(index: u64) -> u64 {
    (index + 1) * RECORD_LENGTH
}

/// How many hashes level file `kept` has for a tree of `size` leaves.
pub(crate) fn kept_hashes(size: u64, kept: u32) -> u64 {
    size >> (KEPT_EVERY * kept)
}

/// Why a hash of the tree cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadFault {
    #[error("read tree: {0}")]
    Io(#[from] io::Error),
    #[error("read tree: leaf {index} is damaged")]
    Record { index: u64 },
}

/// A file's length; 0 when there is none.
pub(crate) fn length_of(path: &Path) -> io::Result<u64> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

/// A whole small file; `None` when there is none.
pub(crate) fn read_small(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match File::open(path) {
        Ok(file) => {
            let mut bytes = Vec::new();
            file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
            Ok(Some(bytes))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads hashes of a tree at any place.
#[derive(Debug)]
pub(crate) struct TreeReader {
    dir: PathBuf,
    leaves: File,
}

impl TreeReader {
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        Ok(Self { dir: dir.to_owned(), leaves: File::open(leaves_path(dir))? })
    }

    /// Record `index`, if it is whole.
    pub(crate) fn record(&self, index: u64) -> Result<Record, ReadFault> {
        let mut bytes = [0; RECORD_BYTES];
        self.leaves.read_exact_at(&mut bytes, record_offset(index))?;
        Record::decode(&bytes).ok_or(ReadFault::Record { index })
    }

    /// The hash above `count` (a power of two, at most 256) hashes of a kept level, from `first` on.
    pub(crate) fn fold(&self, kept: u32, first: u64, count: usize) -> Result<Hash, ReadFault> {
        let mut hashes = if kept == 0 { self.leaves(first, count)? } else { self.kept(kept, first, count)? };
        while hashes.len() > 1 {
            hashes = hashes.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect();
        }
        hashes.pop().ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof).into())
    }

    fn leaves(&self, first: u64, count: usize) -> Result<Vec<Hash>, ReadFault> {
        let mut bytes = vec![0; count * RECORD_BYTES];
        self.leaves.read_exact_at(&mut bytes, record_offset(first))?;
        let records = (first..).zip(bytes.as_chunks::<RECORD_BYTES>().0);
        records.map(|(index, bytes)| Ok(Record::decode(bytes).ok_or(ReadFault::Record { index })?.leaf())).collect()
    }

    fn kept(&self, kept: u32, first: u64, count: usize) -> Result<Vec<Hash>, ReadFault> {
        let mut bytes = vec![0; count * HASH_BYTES];
        File::open(level_path(&self.dir, kept))?.read_exact_at(&mut bytes, first * HASH_LENGTH)?;
        Ok(bytes.as_chunks::<HASH_BYTES>().0.to_vec())
    }
}

impl Hashes for TreeReader {
    type Error = ReadFault;

    fn at(&self, level: u32, index: u64) -> Result<Hash, ReadFault> {
        let (kept, rest) = (level / KEPT_EVERY, level % KEPT_EVERY);
        self.fold(kept, index << rest, 1 << rest)
    }
}

/// Reads the records one after the other.
pub(crate) struct Records {
    input: BufReader<File>,
}

impl Records {
    /// From record `index` on.
    pub(crate) fn open(dir: &Path, index: u64) -> io::Result<Self> {
        let mut input = BufReader::with_capacity(BUFFER_BYTES, File::open(leaves_path(dir))?);
        input.seek(SeekFrom::Start(record_offset(index)))?;
        Ok(Self { input })
    }

    /// The next record: `None` at the end or in the middle of one, `Some(None)` when it is damaged.
    pub(crate) fn step(&mut self) -> io::Result<Option<Option<Record>>> {
        let mut bytes = [0; RECORD_BYTES];
        match self.input.read_exact(&mut bytes) {
            Ok(()) => Ok(Some(Record::decode(&bytes))),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A checkpoint with how many leaves the one before it had: so that one left out is noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Framed {
    pub(crate) before: u64,
    pub(crate) note: Vec<u8>,
}

impl Framed {
    /// As it stands in the checkpoints file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let length = u32::try_from(self.note.len()).unwrap_or(u32::MAX).to_be_bytes();
        let before = self.before.to_be_bytes();
        let sum = frame_sum(length, before, &self.note).to_be_bytes();
        [&FRAME_MAGIC[..], &length, &sum, &before, &self.note].concat()
    }

    /// The whole one that `bytes` begin with, and its length there.
    pub(crate) fn decode(bytes: &[u8]) -> Option<(Self, usize)> {
        let mut fields = Fields(bytes);
        if fields.take() != Some(FRAME_MAGIC) {
            return None;
        }
        let length: [u8; 4] = fields.take()?;
        let sum = u32::from_be_bytes(fields.take()?);
        let before: [u8; 8] = fields.take()?;
        let note = fields.0.get(..usize::try_from(u32::from_be_bytes(length)).ok()?)?;
        let whole = Self { before: u64::from_be_bytes(before), note: note.to_vec() };
        (frame_sum(length, before, note) == sum).then(|| (whole, FRAME_HEAD_BYTES + note.len()))
    }
}

fn frame_sum(length: [u8; 4], before: [u8; 8], note: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(&length), &before), note)
}

/// The end of a checkpoints file.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// The last whole checkpoint's note.
    pub(crate) note: Option<Vec<u8>>,
    /// Where its frame ends; what follows is torn.
    pub(crate) end: u64,
    /// The file is longer than what could be torn, and no whole checkpoint is near its end.
    pub(crate) damaged: bool,
}

/// Finds the last whole checkpoint of the checkpoints file.
pub(crate) fn checkpoints_tail(dir: &Path) -> io::Result<Tail> {
    let path = checkpoints_path(dir);
    let length = length_of(&path)?;
    if length == 0 {
        return Ok(Tail::default());
    }
    let start = length.saturating_sub(TAIL_BYTES);
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let found = (0..bytes.len()).rev().find_map(|at| Some((at, Framed::decode(bytes.get(at..)?)?)));
    Ok(match found {
        Some((at, (framed, length))) => {
            Tail { note: Some(framed.note), end: start + (at + length) as u64, damaged: false }
        }
        None => Tail { note: None, end: 0, damaged: start > 0 },
    })
}

/// Reads the checkpoints one after the other.
pub(crate) struct Frames {
    input: File,
    buffer: Vec<u8>,
    at: usize,
    offset: u64,
    /// The file has nothing more.
    ended: bool,
}

/// One step through the checkpoints.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FrameStep {
    /// A whole one.
    Whole(Framed),
    /// What stands here is none; the next whole one follows.
    Bad {
        /// Where it begins.
        offset: u64,
    },
    /// No whole one follows.
    End,
}

impl Frames {
    pub(crate) fn open(dir: &Path) -> io::Result<Option<Self>> {
        match File::open(checkpoints_path(dir)) {
            Ok(input) => Ok(Some(Self { input, buffer: Vec::new(), at: 0, offset: 0, ended: false })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Fills the buffer with what follows, so that a whole frame is in it if there is one.
    fn fill(&mut self) -> io::Result<()> {
        if !self.ended && self.buffer.len() - self.at < FRAME_HEAD_BYTES + kith_merkle::MAX_NOTE_BYTES {
            self.buffer.drain(..self.at);
            self.at = 0;
            self.ended = (&mut self.input).take(BUFFER_BYTES as u64).read_to_end(&mut self.buffer)? == 0;
        }
        Ok(())
    }

    pub(crate) fn step(&mut self) -> io::Result<FrameStep> {
        self.fill()?;
        let rest = self.buffer.get(self.at..).unwrap_or_default();
        if let Some((framed, length)) = Framed::decode(rest) {
            self.pass(length);
            return Ok(FrameStep::Whole(framed));
        }
        let offset = self.offset;
        loop {
            self.fill()?;
            let rest = self.buffer.get(self.at..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(FrameStep::End);
            }
            if self.offset > offset && Framed::decode(rest).is_some() {
                return Ok(FrameStep::Bad { offset });
            }
            self.pass(1);
        }
    }

    fn pass(&mut self, length: usize) {
        self.at += length;
        self.offset += length as u64;
    }
}
