//! Reading entries back, in order, over segments and sinks: synced ones only.
//! It never skips damage silently.

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
    fn of(segment: &Catalogued, from: u64) -> Self {
        let near = segment.marks.partition_point(|mark| mark.0 <= from).saturating_sub(1);
        let (marked, offset) = segment.marks.get(near).copied().unwrap_or_default();
        Self {
            path: Arc::clone(&segment.path),
            last: segment.last,
            offset,
            marks: Vec::new(),
            next_mark: marked + MARK_EVERY,
        }
    }

    fn note(&mut self, sequence: u64, offset: u64) {
        if sequence >= self.next_mark {
            self.marks.push((sequence, offset));
            self.next_mark = sequence + MARK_EVERY;
        }
    }
}

impl State {
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
        let mut entries = Vec::new();
        let mut bytes = 0;
        for mut part in segments {
            let whole = self.read_segment(&mut part, &request, &mut entries, &mut bytes);
            self.shared.lock().remember(&part);
            if !whole? {
                break;
            }
        }
        Ok(entries)
    }

    /// Reads one segment; gives whether it was read to its end, so that the next one follows.
    fn read_segment(
        &self,
        part: &mut Part,
        request: &Request,
        entries: &mut Entries,
        bytes: &mut usize,
    ) -> Result<bool, JournalError> {
        let mut reader = SegmentReader::open(&part.path, part.offset)?;
        let mut seen = 0;
        loop {
            if entries.len() >= request.limit || *bytes >= MAX_BYTES {
                return Ok(false);
            }
            match reader.step()? {
                Step::Entry { sequence, .. } if sequence > request.through => return Ok(false),
                Step::Entry { sequence, sealed, offset } => {
                    seen = sequence;
                    part.note(sequence, offset);
                    if sequence >= request.from && !request.given_up.iter().any(|range| range.holds(sequence)) {
                        let Ok(plain) = open_entry(&self.shared.keys, sequence, &sealed) else {
                            // What was read before it is given first.
                            return if entries.is_empty() { Err(JournalError::Sealed { sequence }) } else { Ok(false) };
                        };
                        *bytes += plain.len();
                        entries.push((AuditRef { journal: JOURNAL_ID, sequence }, plain));
                    }
                }
                Step::End => return Ok(true),
                // Beyond the last synced entry another thread may be writing this very moment.
                Step::Bad { .. } if seen >= part.last.min(request.through) => return Ok(true),
                Step::Bad { offset } => match reader.skip_damage(offset)? {
                    None => return Ok(true),
                    Some(next) if next <= request.from => {}
                    Some(_) if !entries.is_empty() => return Ok(false),
                    Some(next_sequence) => {
                        let segment = file_name(&part.path);
                        return Err(JournalError::Damaged { segment, offset, next_sequence });
                    }
                },
            }
        }
    }
}
