//! Reading a segment from its file, entry by entry, and finding the next whole entry after damage.
//! It never holds more than one entry in memory, except to search beyond damage.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::format::{ENTRY_HEAD_BYTES, EntryHead, HEADER_BYTES, HEADER_LENGTH, Header, HeaderFault};

/// Read-ahead of a segment, in bytes.
const BUFFER_BYTES: usize = 256 << 10;
/// How much of a damaged segment is searched for its next whole entry, in bytes: more than any segment holds.
const SEARCH_BYTES: u64 = 1 << 30;

/// One step through a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// A whole entry.
    Entry {
        /// Its number.
        sequence: u64,
        /// Its sealed bytes.
        sealed: Vec<u8>,
        /// Where it begins.
        offset: u64,
    },
    /// The file ends after the last entry.
    End,
    /// The bytes from here on are not a whole entry.
    Bad {
        /// Where they begin.
        offset: u64,
    },
}

/// A segment being read.
pub(crate) struct SegmentReader {
    input: BufReader<File>,
    offset: u64,
}

/// Reads the header of the segment at `path`.
pub(crate) fn read_header(path: &Path) -> io::Result<Result<Header, HeaderFault>> {
    let mut bytes = [0; HEADER_BYTES];
    let mut file = File::open(path)?;
    Ok(if fill(&mut file, &mut bytes)? == HEADER_BYTES { Header::decode(&bytes) } else { Err(HeaderFault::NotAHeader) })
}

/// Whether the file at `path`, which has no whole header, was being made when everything stopped. A header is on disk before the
/// first entry, so what such a file holds is less than a header, or noughts where bytes never reached the disk; anything else
/// was a segment, and is one no more.
pub(crate) fn was_being_made(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() < HEADER_LENGTH {
        return Ok(true);
    }
    let mut bytes = vec![0; BUFFER_BYTES];
    loop {
        let count = fill(&mut file, &mut bytes)?;
        if bytes.iter().take(count).any(|byte| *byte != 0) {
            return Ok(false);
        }
        if count < BUFFER_BYTES {
            return Ok(true);
        }
    }
}

impl SegmentReader {
    /// Reads the segment at `path` from `offset` on, which must be where an entry begins.
    pub(crate) fn open(path: &Path, offset: u64) -> io::Result<Self> {
        let mut reader = Self { input: BufReader::with_capacity(BUFFER_BYTES, File::open(path)?), offset: 0 };
        reader.seek(offset.max(HEADER_LENGTH))?;
        Ok(reader)
    }

    fn seek(&mut self, offset: u64) -> io::Result<()> {
        self.offset = self.input.seek(SeekFrom::Start(offset))?;
        Ok(())
    }

    /// The next entry, the end, or damage. After damage the reader stays where the damage begins.
    pub(crate) fn step(&mut self) -> io::Result<Step> {
        let offset = self.offset;
        let mut front = [0; ENTRY_HEAD_BYTES];
        match fill(&mut self.input, &mut front)? {
            0 => return Ok(Step::End),
            ENTRY_HEAD_BYTES => {}
            _ => return Ok(Step::Bad { offset }),
        }
        let Some(head) = EntryHead::decode(&front) else { return Ok(Step::Bad { offset }) };
        let mut sealed = vec![0; head.length];
        if fill(&mut self.input, &mut sealed)? != head.length || !head.matches(&sealed) {
            return Ok(Step::Bad { offset });
        }
        self.offset = offset + (ENTRY_HEAD_BYTES + head.length) as u64;
        Ok(Step::Entry { sequence: head.sequence, sealed, offset })
    }

    /// Finds the next whole entry beyond damage at `offset` and goes there; gives its number. `None` when there
    /// is none: then the damage is a torn tail.
    pub(crate) fn skip_damage(&mut self, offset: u64) -> io::Result<Option<u64>> {
        self.input.seek(SeekFrom::Start(offset + 1))?;
        let mut rest = Vec::new();
        (&mut self.input).take(SEARCH_BYTES).read_to_end(&mut rest)?;
        let found = (0..rest.len()).find_map(|at| Some((at, whole_entry(rest.get(at..)?)?)));
        let Some((at, sequence)) = found else { return Ok(None) };
        self.seek(offset + 1 + at as u64)?;
        Ok(Some(sequence))
    }
}

/// The number of the whole entry that `bytes` begin with.
fn whole_entry(bytes: &[u8]) -> Option<u64> {
    let (front, rest) = bytes.split_first_chunk()?;
    let head = EntryHead::decode(front)?;
    head.matches(rest.get(..head.length)?).then_some(head.sequence)
}

/// Reads until `buffer` is full or the input ends; gives how much was read.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..)
        && !rest.is_empty()
    {
        match input.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
