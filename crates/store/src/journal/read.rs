//! Reading entries back, in order or from the newest on, over segments and sinks: synced ones only.
//! It never skips damage silently, and never holds the lock while it reads.

use std::path::Path;
use std::sync::Arc;

use super::Journal;
use super::format::open_entry;
use super::reader::{SegmentReader, Step};
use super::recover::file_name;
use super::state::{Catalogued, MARK_EVERY, Range, State};
use super::types::{AuditRef, JOURNAL_ID, JournalError};

/// Most entries given at once.
const MAX_ENTRIES: usize = 65_536;
/// Plaintext bytes after which a reading ends early.
const MAX_BYTES: usize = 16 << 20;

/// Entries with their references.
type Entries = Vec<(AuditRef, Vec<u8>)>;

/// What one reading wants.
struct Request {
    from: u64,
    through: u64,
    limit: usize,
    given_up: Vec<Range>,
}

/// What a reading makes of an entry's number and sealed bytes, with how much of the reading's room it takes; `None` when the
/// bytes are not what was sealed.
type Take<'a, T> = &'a dyn Fn(u64, &[u8]) -> Option<(T, usize)>;

/// What a reading has found so far.
struct Taken<T> {
    entries: Vec<(u64, T)>,
    bytes: usize,
}

/// A segment to read, from the nearest place that is known.
struct Part {
    path: Arc<Path>,
    last: u64,
    offset: u64,
    /// Places met that were not known.
    marks: Vec<(u64, u64)>,
    next_mark: u64,
}

impl Part {
    /// The number at which it begins, in a segment that begins with `first`.
    fn begins_at(&self, first: u64) -> u64 {
        (self.next_mark - MARK_EVERY).max(first)
    }

    fn of(segment: &Catalogued, from: u64) -> Self {
        let near = segment.marks.partition_point(|mark| mark.0 <= from).checked_sub(1);
        // Without a place before it the reading begins where the segment does, and never at a place beyond what is asked for.
        let (marked, offset) = near.and_then(|near| segment.marks.get(near)).copied().unwrap_or_default();
        Self {
            path: Arc::clone(&segment.path),
            last: segment.last,
            offset,
            marks: Vec::new(),
            next_mark: marked + MARK_EVERY,
        }
    }

    /// Whether a number beyond those that are wanted ends the reading, after one that was `seen`. One beyond the segment's last is none
    /// that was given: somebody wrote it there, and it hides nothing that stands after it.
    fn ends_before(&self, sequence: u64, seen: u64, through: u64) -> bool {
        sequence > through && (sequence <= self.last || seen >= self.last.min(through))
    }

    /// Notes a place, and says whether it did: not every entry's is worth it.
    fn note(&mut self, sequence: u64, offset: u64) -> bool {
        let worth_it = sequence >= self.next_mark;
        if worth_it {
            self.marks.push((sequence, offset));
            self.next_mark = sequence + MARK_EVERY;
        }
        worth_it
    }
}

/// Entries that stand one after another in a segment, up to a number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stretch {
    /// What can be read of them, in order.
    pub entries: Vec<(AuditRef, Vec<u8>)>,
    /// The lowest number that was looked at. A number from here on that has no entry above was never given, was given up, or
    /// cannot be read.
    pub from: u64,
}

impl State {
    /// Whether a segment is there to be read: it has not been removed.
    fn reads(&self, path: &Path) -> bool {
        self.catalogue.iter().any(|segment| *segment.path == *path)
    }

    /// Keeps the places that a reading met, so that the next one need not go over the segment again.
    fn remember(&mut self, part: &Part) {
        if part.marks.is_empty() {
            return;
        }
        if let Some(segment) = self.catalogue.iter_mut().find(|segment| segment.path == part.path) {
            let known = segment.marks.last().map_or(0, |mark| mark.0);
            segment.marks.extend(part.marks.iter().filter(|mark| mark.0 >= known + MARK_EVERY));
        }
    }
}

impl Journal {
    /// The synced entries from `sequence` on, in order, at most `limit` of them (fewer when they are large, none
    /// at the end). Entries given up are left out.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] when the next entries are damaged; it says where reading can go on.
    pub fn read_from(&self, sequence: u64, limit: usize) -> Result<Entries, JournalError> {
        let opened = |sequence, sealed: &[u8]| {
            let plain = open_entry(&self.shared.keys, sequence, sealed).ok()?;
            let length = plain.len();
            Some((plain, length))
        };
        let read = self.read_as(sequence, limit, &opened)?;
        let named = |(sequence, plain)| (AuditRef { journal: JOURNAL_ID, sequence }, plain);
        Ok(read.into_iter().map(named).collect())
    }

    /// Whether the entry of a number may be there to be read: up to it all is synced, and it is not among those given up. Asks no
    /// disk, so that nobody waits for one that hangs to hear of an entry that it has not.
    #[must_use]
    pub fn may_be_read(&self, sequence: u64) -> bool {
        let state = self.shared.lock();
        sequence <= state.synced_through() && !state.given_up.iter().any(|given| given.range.holds(sequence))
    }

    /// As [`Journal::read_from`], with what `take` makes of each entry's number and sealed bytes: nothing is opened.
    pub(crate) fn read_sealed<T>(
        &self,
        sequence: u64,
        limit: usize,
        take: impl Fn(u64, &[u8]) -> T,
    ) -> Result<Vec<(u64, T)>, JournalError> {
        self.read_as(sequence, limit, &|sequence, sealed| Some((take(sequence, sealed), sealed.len())))
    }

    /// An entry as it stands on disk, sealed; `None` when it is not there, or not synced.
    ///
    /// # Errors
    /// Those of [`Journal::read_from`].
    pub fn sealed(&self, sequence: u64) -> Result<Option<Vec<u8>>, JournalError> {
        let read = self.read_sealed(sequence, 1, |_, sealed| sealed.to_vec())?;
        Ok(read.into_iter().find_map(|(found, sealed)| (found == sequence).then_some(sealed)))
    }

    /// The synced entries before `sequence` down to the nearest place that is known in their segment: some thousand, or
    /// fewer. `None` when no segment holds any. What cannot be read is left out, and [`Stretch::from`] tells.
    #[must_use]
    pub fn read_before(&self, sequence: u64) -> Option<Stretch> {
        let (mut part, first, request) = {
            let state = self.shared.lock();
            let through = sequence.saturating_sub(1).min(state.synced_through());
            let at = state.catalogue.partition_point(|segment| segment.first <= through).checked_sub(1)?;
            let segment = state.catalogue.get(at)?;
            let given_up = state.given_up.iter().map(|given| given.range).filter(|range| range.first <= through);
            let request = Request { from: segment.first, through, limit: MAX_ENTRIES, given_up: given_up.collect() };
            (Part::of(segment, through), segment.first, request)
        };
        let mut sealed = Vec::new();
        let mut from = part.begins_at(first);
        let read = read_to_the_end(&mut part, &request, &mut from, &mut sealed);
        self.shared.lock().remember(&part);
        // What was removed meanwhile, the caller knows of.
        if let Err(error) = read
            && self.shared.lock().reads(&part.path)
        {
            tracing::error!(segment = %file_name(&part.path), %error, "an audit segment cannot be read to its end");
        }
        let opened = |(sequence, sealed): (u64, Vec<u8>)| {
            let plain = open_entry(&self.shared.keys, sequence, &sealed);
            let plain =
                plain.inspect_err(|_| tracing::error!(sequence, "an audit entry does not open under its number"));
            Some((AuditRef { journal: JOURNAL_ID, sequence }, plain.ok()?))
        };
        Some(Stretch { entries: sealed.into_iter().filter_map(opened).collect(), from })
    }

    fn read_as<T>(&self, sequence: u64, limit: usize, take: Take<'_, T>) -> Result<Vec<(u64, T)>, JournalError> {
        let (segments, request) = {
            let state = self.shared.lock();
            if sequence > state.synced_through() {
                // Whoever follows the journal asks so all the time: no file is opened for it.
                return Ok(Vec::new());
            }
            let start = state.catalogue.partition_point(|segment| segment.first <= sequence).saturating_sub(1);
            let request = Request {
                from: sequence,
                through: state.synced_through(),
                limit: limit.min(MAX_ENTRIES),
                given_up: state.given_up.iter().map(|given| given.range).collect(),
            };
            let wanted = state.catalogue.iter().skip(start).take_while(|segment| segment.first <= request.through);
            (wanted.map(|segment| Part::of(segment, sequence)).collect::<Vec<_>>(), request)
        };
        let mut taken = Taken { entries: Vec::new(), bytes: 0 };
        for mut part in segments {
            let whole = read_segment(&mut part, &request, take, &mut taken);
            self.shared.lock().remember(&part);
            // Removed while it was to be read.
            if whole.is_err() && !self.shared.lock().reads(&part.path) {
                continue;
            }
            if !whole? {
                break;
            }
        }
        Ok(taken.entries)
    }
}

/// Reads one segment; gives whether it was read to its end, so that the next one follows.
fn read_segment<T>(
    part: &mut Part,
    request: &Request,
    take: Take<'_, T>,
    taken: &mut Taken<T>,
) -> Result<bool, JournalError> {
    let mut reader = SegmentReader::open(&part.path, part.offset)?;
    let mut seen = 0;
    loop {
        if taken.entries.len() >= request.limit || taken.bytes >= MAX_BYTES {
            return Ok(false);
        }
        match reader.step()? {
            Step::Entry { sequence, .. } if part.ends_before(sequence, seen, request.through) => {
                return Ok(part.last < request.through);
            }
            Step::Entry { sequence, .. } if sequence > request.through => {}
            Step::Entry { sequence, sealed, offset } => {
                seen = sequence;
                let _noted = part.note(sequence, offset);
                if sequence >= request.from && !request.given_up.iter().any(|range| range.holds(sequence)) {
                    let Some((entry, length)) = take(sequence, &sealed) else {
                        // What was read before it is given first.
                        return if taken.entries.is_empty() {
                            Err(JournalError::Sealed { sequence })
                        } else {
                            Ok(false)
                        };
                    };
                    taken.bytes += length;
                    taken.entries.push((sequence, entry));
                }
            }
            Step::End => return Ok(true),
            // Beyond the last synced entry another thread may be writing this very moment.
            Step::Bad { .. } if seen >= part.last.min(request.through) => return Ok(true),
            Step::Bad { offset } => match reader.skip_damage(offset)? {
                None => return Ok(true),
                Some(next) if next <= request.from => {}
                Some(_) if request.from > part.last => return Ok(true),
                Some(_) if !taken.entries.is_empty() => return Ok(false),
                Some(next) => {
                    // A number that cannot stand here leads nobody beyond the segment.
                    let next_sequence = next.min(part.last.saturating_add(1));
                    let segment = file_name(&part.path);
                    return Err(JournalError::Damaged { segment, offset, next_sequence });
                }
            },
        }
    }
}

/// Reads on to the last number wanted, and keeps what follows the last place met, which `from` tells.
fn read_to_the_end(
    part: &mut Part,
    request: &Request,
    from: &mut u64,
    kept: &mut Vec<(u64, Vec<u8>)>,
) -> std::io::Result<()> {
    let mut reader = SegmentReader::open(&part.path, part.offset)?;
    let mut seen = 0;
    loop {
        match reader.step()? {
            Step::Entry { sequence, .. } if part.ends_before(sequence, seen, request.through) => return Ok(()),
            Step::Entry { sequence, .. } if sequence > request.through => {}
            Step::Entry { sequence, sealed, offset } => {
                seen = sequence;
                if part.note(sequence, offset) {
                    kept.clear();
                    *from = sequence;
                }
                if !request.given_up.iter().any(|range| range.holds(sequence)) {
                    kept.push((sequence, sealed));
                }
            }
            Step::End => return Ok(()),
            // Beyond the last synced entry another thread may be writing this very moment.
            Step::Bad { .. } if seen >= part.last.min(request.through) => return Ok(()),
            Step::Bad { offset } => {
                if reader.skip_damage(offset)?.is_none() {
                    return Ok(());
                }
            }
        }
    }
}
