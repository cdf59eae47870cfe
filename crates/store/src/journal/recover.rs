//! What is on disk when the journal opens: which segments, how far they go, and whether the last end was clean.
//! It never writes to an old segment; a torn tail simply ends it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::format::{Header, HeaderFault, open_entry};
use super::reader::{SegmentReader, Step, read_header, was_being_made};
use super::types::{Gap, GapCause, JournalError, Recovered};
use super::verify::visit;
use crate::disk::{replace_durably, sync_parent};
use crate::keys::Keys;
use crate::watermark::Fields;

/// Numbers left out after an unclean end: more than can be given between two syncs, so that a reference that
/// left with an answer is never given again.
pub(crate) const UNCLEAN_STRIDE: u64 = 1 << 20;

/// So many numbers before one that is known to have been given, a loss may not have been announced yet: whoever announces looks
/// some times a second, and so many are not given meanwhile.
const ANNOUNCED_WITHIN: u64 = 1 << 17;

/// Entries of a segment that are tried with the keys: the first may have been altered.
const LOOKED_AT: usize = 16;

const SEGMENT_PREFIX: &str = "audit-";
const SEGMENT_SUFFIX: &str = ".seg";
/// The mark of a clean end: `[magic 8][last sequence u64][next sequence u64][crc32c u32]`.
const MARKER_NAME: &str = "closed";
const MARKER_MAGIC: [u8; 8] = *b"KITHCLSD";
const MARKER_BYTES: usize = 28;

/// A segment file by name.
#[derive(Debug, Clone)]
pub(crate) struct SegmentFile {
    /// Where.
    pub(crate) path: PathBuf,
    /// Its number in its directory.
    pub(crate) index: u32,
}

/// A segment that holds at least one entry.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    /// Where.
    pub(crate) path: PathBuf,
    /// Its header.
    pub(crate) header: Header,
    /// Number of its first entry.
    pub(crate) first: u64,
    /// Number of its last entry, as far as known: an upper bound for all but the newest.
    pub(crate) last: u64,
}

/// A segment file without a whole entry: one was being written, or none had been, or the file itself was being made, when its
/// opening ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Torn {
    /// Where.
    pub(crate) path: PathBuf,
    /// No number from here on can stand in it: the next opening began with it.
    pub(crate) before: u64,
}

/// Everything found.
pub(crate) struct Found {
    /// Segments with entries, in the order of their entries.
    pub(crate) segments: Vec<Segment>,
    /// Files that hold none.
    pub(crate) torn: Vec<Torn>,
    /// What to tell the caller.
    pub(crate) recovered: Recovered,
    /// The first number to give.
    pub(crate) next_sequence: u64,
    /// The next free file index.
    pub(crate) next_index: u32,
}

/// The path of a segment.
pub(crate) fn segment_path(dir: &Path, index: u32) -> PathBuf {
    dir.join(format!("{SEGMENT_PREFIX}{index:08}{SEGMENT_SUFFIX}"))
}

/// A file's name, for errors and reports.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// The segment files of one directory, oldest first.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<SegmentFile>> {
    let mut files = Vec::new();
    for item in std::fs::read_dir(dir)? {
        let path = item?.path();
        let name = file_name(&path);
        let digits = name.strip_prefix(SEGMENT_PREFIX).and_then(|rest| rest.strip_suffix(SEGMENT_SUFFIX));
        if let Some(index) = digits.and_then(|digits| digits.parse().ok()) {
            files.push(SegmentFile { path, index });
        }
    }
    files.sort_by_key(|file| file.index);
    Ok(files)
}

/// What the two directories hold.
struct Scan {
    segments: Vec<Segment>,
    /// Files without a whole entry, with the first number of their opening.
    torn: Vec<(PathBuf, u64)>,
    next_index: u32,
    /// The first numbers of all openings.
    starts: BTreeSet<u64>,
}

/// Reads both directories. `floor` is a number known to have been given, `boot_id` names the machine's boot.
pub(crate) fn recover(dirs: [&Path; 2], keys: &Keys, floor: u64, boot_id: [u8; 36]) -> Result<Found, JournalError> {
    let Scan { mut segments, torn, next_index, starts } = scan(dirs, keys)?;
    let highest_start = starts.last().copied();
    let mut last_sequence = 0;
    if let Some(newest) = segments.last_mut() {
        newest.last = last_entry(newest, keys)?;
        last_sequence = newest.last;
    }
    let lost_after = before_loss(&segments, floor)?;
    let marker = read_markers(dirs)?;
    remove_markers(dirs)?;
    let floor = floor.max(marker.map_or(0, |marker| marker.last));
    let marked_start = marker.map_or(0, |marker| marker.next.saturating_sub(1));
    let known = marked_start.max(last_sequence).max(floor).max(highest_start.unwrap_or(0).saturating_sub(1));
    let cause = if floor > last_sequence {
        Some(GapCause::EntriesMissing)
    } else if marker.is_some_and(|marker| marker.last == last_sequence) || highest_start.is_none() {
        lost_after.map(|_| GapCause::EntriesMissing)
    } else if segments.last().is_some_and(|newest| newest.header.boot_id == boot_id) {
        Some(GapCause::ProcessEnded)
    } else {
        Some(GapCause::MachineRestarted)
    };
    let left_out = if cause.is_some() { UNCLEAN_STRIDE } else { 0 };
    let next_sequence = known.saturating_add(1 + left_out);
    let after_sequence = lost_after.unwrap_or(last_sequence).min(last_sequence);
    let gap = cause.map(|cause| Gap { after_sequence, before_sequence: next_sequence, cause });
    let before = |start: u64| starts.range(start.saturating_add(1)..).next().copied().unwrap_or(next_sequence);
    let torn = torn.into_iter().map(|(path, start)| Torn { path, before: before(start) }).collect();
    Ok(Found { segments, torn, recovered: Recovered { last_sequence, gap }, next_sequence, next_index })
}

/// Finds the segments that hold entries and puts them in order.
fn scan(dirs: [&Path; 2], keys: &Keys) -> Result<Scan, JournalError> {
    let mut found = Scan { segments: Vec::new(), torn: Vec::new(), next_index: 1, starts: BTreeSet::new() };
    let (mut begins, mut unmade) = (BTreeMap::new(), Vec::new());
    let (mut any_opens, mut unopened) = (false, Vec::new());
    for dir in dirs {
        for file in list(dir)? {
            found.next_index = found.next_index.max(file.index.saturating_add(1));
            if let Some(header) = usable_header(&file.path)? {
                found.starts.insert(header.first_sequence);
                begins.insert(file.index, header.first_sequence);
                // What was written before the last end may still be in memory only.
                File::open(&file.path)?.sync_data()?;
                let (segment, opens) = examine(&file.path, header, keys, &mut unopened)?;
                any_opens |= opens;
                match segment {
                    Some(segment) => found.segments.push(segment),
                    None => found.torn.push((file.path, header.first_sequence)),
                }
            } else if was_being_made(&file.path)? {
                unmade.push(file);
            } else {
                tracing::warn!(segment = %file_name(&file.path), "audit segment has no readable header");
            }
        }
    }
    // One that does not open beside others that do was altered, and keeps nobody from being answered.
    if !any_opens && !found.segments.is_empty() {
        return Err(JournalError::KeyMismatch);
    }
    for sequence in unopened {
        tracing::error!(sequence, "an audit entry does not open under its number");
    }
    // Files are numbered over both sinks in the order in which they are made: it goes with the one before it.
    found.torn.extend(unmade.into_iter().map(|SegmentFile { path, index }| {
        tracing::info!(segment = %file_name(&path), "audit segment was being made at the last end, and holds nothing");
        (path, begins.range(..index).next_back().map_or(0, |(_, first)| *first))
    }));
    found.segments.sort_by_key(|segment| segment.first);
    let firsts: Vec<u64> = found.segments.iter().skip(1).map(|segment| segment.first).collect();
    for (segment, following) in found.segments.iter_mut().zip(firsts) {
        segment.last = following.saturating_sub(1);
    }
    Ok(found)
}

/// The header of a segment; `None` when it has none that can be read.
fn usable_header(path: &Path) -> Result<Option<Header>, JournalError> {
    match read_header(path)? {
        Ok(header) => Ok(Some(header)),
        Err(HeaderFault::Newer(found)) => Err(JournalError::NewerFormat { segment: file_name(path), found }),
        Err(HeaderFault::NotAHeader) => Ok(None),
    }
}

/// Looks at the first entries of a segment: the number of the first that opens under our keys places it, for whoever altered one before
/// it could give that any; and whether one opens, with those before it that do not.
fn examine(
    path: &Path,
    header: Header,
    keys: &Keys,
    unopened: &mut Vec<u64>,
) -> Result<(Option<Segment>, bool), JournalError> {
    let mut reader = SegmentReader::open(path, 0)?;
    let (mut first, mut looked_at) = (None, 0);
    let opens = loop {
        match reader.step()? {
            Step::Entry { sequence, sealed, .. } => {
                looked_at += 1;
                if open_entry(keys, sequence, &sealed).is_ok() {
                    first = Some(sequence);
                    break true;
                }
                first = Some(first.map_or(sequence, |first: u64| first.min(sequence)));
                unopened.push(sequence);
                if looked_at >= LOOKED_AT {
                    break false;
                }
            }
            Step::End => break false,
            Step::Bad { offset } => {
                tracing::warn!(segment = %file_name(path), offset, "audit segment is damaged or torn");
                if reader.skip_damage(offset)?.is_none() {
                    break false;
                }
            }
        }
    };
    Ok((first.map(|first| Segment { path: path.to_owned(), header, first, last: first }), opens))
}

/// The last entry before the first that the opening which wrote last has lost although later ones are there; `None` when there is
/// none. The sinks are two disks: a power cut can take what one had still to sync, and leave what the other took after it. What
/// earlier openings lost, the first entry of the next one told; unless that entry is lost as well.
fn before_loss(segments: &[Segment], floor: u64) -> Result<Option<u64>, JournalError> {
    let Some(newest) = segments.last() else { return Ok(None) };
    let Header { first_sequence, resumes_after, boot_id: _ } = newest.header;
    let older = segments.partition_point(|segment| segment.header.first_sequence < first_sequence);
    let mut previous = floor.saturating_sub(ANNOUNCED_WITHIN).max(first_sequence.saturating_sub(1));
    let looked_at = segments.iter().skip(older).filter(|segment| segment.last > previous);
    for segment in looked_at.collect::<Vec<_>>() {
        let mut lost = false;
        visit(&segment.path, &mut |sequence, _| {
            lost = sequence > previous.saturating_add(1);
            if lost {
                return ControlFlow::Break(());
            }
            previous = previous.max(sequence);
            ControlFlow::Continue(())
        })?;
        if lost && previous >= first_sequence {
            return Ok(Some(previous));
        }
        if lost {
            let earlier = before_loss(segments.get(..older).unwrap_or_default(), floor)?;
            return Ok(Some(earlier.map_or(resumes_after, |earlier| earlier.min(resumes_after))));
        }
    }
    Ok(None)
}

/// The number of the last whole entry of a segment. One that does not follow those before it is believed only of an entry that opens:
/// numbers go on after it, and a sum anybody can mend.
fn last_entry(segment: &Segment, keys: &Keys) -> Result<u64, JournalError> {
    let mut reader = SegmentReader::open(&segment.path, 0)?;
    let mut last = segment.first;
    loop {
        match reader.step()? {
            Step::Entry { sequence, sealed, .. } => {
                if sequence <= last.saturating_add(1) || open_entry(keys, sequence, &sealed).is_ok() {
                    last = last.max(sequence);
                }
            }
            Step::End => return Ok(last),
            Step::Bad { offset } => {
                tracing::warn!(segment = %file_name(&segment.path), offset, "audit segment is damaged or torn");
                if reader.skip_damage(offset)?.is_none() {
                    return Ok(last);
                }
            }
        }
    }
}

/// What the journal said when it was closed. Ordered by its last number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Marker {
    /// The last number given.
    pub(crate) last: u64,
    /// The next it would have given: beyond what was left out after earlier unclean ends.
    pub(crate) next: u64,
}

/// The mark of a clean end; `None` when the journal was not closed.
pub(crate) fn read_markers(dirs: [&Path; 2]) -> io::Result<Option<Marker>> {
    let mut marker = None;
    for dir in dirs {
        match std::fs::read(dir.join(MARKER_NAME)) {
            Ok(bytes) => marker = marker.max(decode_marker(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(marker)
}

/// From here on the journal is open, so its end is not clean until it is closed again.
fn remove_markers(dirs: [&Path; 2]) -> io::Result<()> {
    for dir in dirs {
        let path = dir.join(MARKER_NAME);
        match std::fs::remove_file(&path) {
            Ok(()) => sync_parent(&path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes the mark of a clean end into one directory.
pub(crate) fn write_marker(dir: &Path, marker: Marker) -> io::Result<()> {
    replace_durably(&dir.join(MARKER_NAME), &encode_marker(marker))
}

pub(crate) fn encode_marker(marker: Marker) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(MARKER_BYTES);
    bytes.extend_from_slice(&MARKER_MAGIC);
    bytes.extend_from_slice(&marker.last.to_be_bytes());
    bytes.extend_from_slice(&marker.next.to_be_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_be_bytes());
    bytes
}

pub(crate) fn decode_marker(bytes: &[u8]) -> Option<Marker> {
    let whole: &[u8; MARKER_BYTES] = bytes.try_into().ok()?;
    let (body, stored) = whole.split_last_chunk::<4>()?;
    let mut fields = Fields(body);
    let right = crc32c::crc32c(body) == u32::from_be_bytes(*stored) && fields.take() == Some(MARKER_MAGIC);
    let (last, next) = (fields.take()?, fields.take()?);
    right.then(|| Marker { last: u64::from_be_bytes(last), next: u64::from_be_bytes(next) })
}
