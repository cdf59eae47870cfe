//! The journal's state under its one lock: which segment takes entries, what is not yet synced, what was given
//! up, and what the threads have to do next. Nothing here sleeps or syncs; the only call into the kernel is the
//! write of one entry.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::format::{HEADER_LENGTH, encode_entry};
use super::recover::Segment;
use super::types::{AuditError, Gap, GapCause, JOURNAL_ID, Sink};
use super::{AuditRef, JournalOptions};
use crate::disk::DataFile;
use crate::keys::Keys;

/// A sink that failed is tried again after this long.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Entries between two remembered places of a segment: reading never skips more than this many.
pub(crate) const MARK_EVERY: u64 = 1_024;
/// Most ranges given up before no entry is taken any more: such a journal needs a person.
const MAX_GIVEN_UP: usize = 65_536;

/// A segment open for writing.
pub(crate) struct OpenSegment {
    /// Unique in this opening.
    pub(crate) id: u64,
    pub(crate) sink: Sink,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn DataFile>,
}

/// Entries of one segment that share their fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) segment: u64,
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// When the first of them was written.
    pub(crate) since: Duration,
    /// A sync that covers all of them is under way.
    pub(crate) in_flight: bool,
}

impl Range {
    pub(crate) fn holds(&self, sequence: u64) -> bool {
        (self.first..=self.last).contains(&sequence)
    }

    fn count(&self) -> u64 {
        self.last - self.first + 1
    }
}

/// A range that is not known to be on disk and no longer waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GivenUp {
    pub(crate) range: Range,
    pub(crate) cause: GapCause,
    reported: bool,
}

/// A segment that takes no more entries.
pub(crate) struct Retiring {
    pub(crate) segment: Arc<OpenSegment>,
    pub(crate) ending: Ending,
}

/// What is left to do with a segment that takes no more entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Sync it one last time.
    Sync,
    /// Cut off what a failed write left after this many bytes, then sync.
    Truncate(u64),
    /// It holds no entry: remove it.
    Remove,
}

/// The segment that takes entries.
struct Active {
    segment: Arc<OpenSegment>,
    offset: u64,
}

/// One sink.
#[derive(Default)]
pub(crate) struct SinkState {
    /// A segment made, synced and ready to take entries.
    pub(crate) standby: Option<Arc<OpenSegment>>,
    pub(crate) retiring: VecDeque<Retiring>,
    /// Its thread is in the kernel.
    pub(crate) busy: bool,
    /// The interval has passed since its last sync.
    pub(crate) sync_due: bool,
    /// Not before this may a new segment be made.
    pub(crate) retry_at: Duration,
}

/// A segment as reading sees it.
pub(crate) struct Catalogued {
    pub(crate) path: PathBuf,
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// Numbers and where their entries begin.
    pub(crate) marks: Vec<(u64, u64)>,
}

/// Everything under the lock.
pub(crate) struct State {
    pub(crate) options: JournalOptions,
    pub(crate) next_sequence: u64,
    pub(crate) closing: bool,
    pub(crate) stopped: bool,
    pub(crate) ticker_idle: bool,
    pub(crate) next_index: u32,
    pub(crate) next_segment: u64,
    pub(crate) unsynced: VecDeque<Range>,
    pub(crate) given_up: Vec<GivenUp>,
    /// First and last numbers of ranges that were given up and are on disk after all.
    pub(crate) late: Vec<(u64, u64)>,
    pub(crate) catalogue: Vec<Catalogued>,
    pub(crate) last_window: Duration,
    pub(crate) max_window: Duration,
    pub(crate) closed_segments: u64,
    active: Option<Active>,
    primary: SinkState,
    spill: SinkState,
}

impl State {
    pub(crate) fn new(options: JournalOptions, next_sequence: u64, next_index: u32, old: Vec<Segment>) -> Self {
        let catalogue = old.into_iter().map(|segment| Catalogued {
            path: segment.path,
            first: segment.first,
            last: segment.last,
            marks: Vec::new(),
        });
        Self {
            options,
            next_sequence,
            closing: false,
            stopped: false,
            ticker_idle: false,
            next_index,
            next_segment: 1,
            unsynced: VecDeque::new(),
            given_up: Vec::new(),
            late: Vec::new(),
            catalogue: catalogue.collect(),
            last_window: Duration::ZERO,
            max_window: Duration::ZERO,
            closed_segments: 0,
            active: None,
            primary: SinkState::default(),
            spill: SinkState::default(),
        }
    }

    pub(crate) fn sink(&self, sink: Sink) -> &SinkState {
        match sink {
            Sink::Primary => &self.primary,
            Sink::Spill => &self.spill,
        }
    }

    pub(crate) fn sink_mut(&mut self, sink: Sink) -> &mut SinkState {
        match sink {
            Sink::Primary => &mut self.primary,
            Sink::Spill => &mut self.spill,
        }
    }

    /// The sink that takes entries, or would take the next one.
    pub(crate) fn current_sink(&self) -> Option<Sink> {
        let active = self.active.as_ref().map(|active| active.segment.sink);
        active.or_else(|| Sink::ALL.into_iter().find(|sink| self.sink(*sink).standby.is_some()))
    }

    pub(crate) fn active_segment(&self) -> Option<&Arc<OpenSegment>> {
        self.active.as_ref().map(|active| &active.segment)
    }

    /// Every entry up to here is on disk or was given up.
    pub(crate) fn synced_through(&self) -> u64 {
        self.unsynced.front().map_or(self.next_sequence, |range| range.first) - 1
    }

    pub(crate) fn unsynced_count(&self) -> u64 {
        self.unsynced.iter().map(Range::count).sum()
    }

    pub(crate) fn given_up_count(&self) -> u64 {
        self.given_up.iter().map(|given| given.range.count()).sum()
    }

    /// Writes one entry into the kernel. A failed write moves on to the other sink, with the same number.
    pub(crate) fn append(&mut self, keys: &Keys, plaintext: &[u8], now: Duration) -> Result<AuditRef, AuditError> {
        if self.closing || self.stopped {
            return Err(AuditError::Closed);
        }
        let sequence = self.next_sequence;
        let entry =
            encode_entry(keys, sequence, plaintext).map_err(|_| AuditError::TooLarge { found: plaintext.len() })?;
        for _ in Sink::ALL {
            if !self.choose(entry.len() as u64, now) {
                break;
            }
            if self.write(&entry, sequence, now) {
                return Ok(AuditRef { journal: JOURNAL_ID, sequence });
            }
        }
        Err(AuditError::NoSink)
    }

    /// Sees to it that a segment takes entries: the primary's whenever it has one, a new one when full.
    fn choose(&mut self, length: u64, now: Duration) -> bool {
        self.give_up_hung(now);
        if self.given_up.len() >= MAX_GIVEN_UP {
            return false;
        }
        if let Some(active) = &self.active {
            let sink = active.segment.sink;
            let full = active.offset + length > self.options.segment_bytes;
            let overfull = active.offset + length > self.options.segment_bytes.saturating_mul(2);
            let home = sink == Sink::Spill && self.primary.standby.is_some();
            let next_is_ready = self.sink(sink).standby.is_some();
            if home || (full && next_is_ready) || overfull {
                self.retire(Ending::Sync);
            }
        }
        if self.active.is_none() {
            let standby = self.primary.standby.take().or_else(|| self.spill.standby.take());
            self.active = standby.map(|segment| Active { segment, offset: HEADER_LENGTH });
        }
        self.active.is_some()
    }

    /// Ends the active segment; its thread syncs what it holds.
    fn retire(&mut self, ending: Ending) {
        if let Some(Active { segment, .. }) = self.active.take() {
            let sink = segment.sink;
            self.sink_mut(sink).retiring.push_back(Retiring { segment, ending });
        }
    }

    /// Throws away the segment that a sink held ready: what has failed is tried anew before it takes entries.
    fn drop_standby(&mut self, sink: Sink) {
        let state = self.sink_mut(sink);
        if let Some(segment) = state.standby.take() {
            state.retiring.push_back(Retiring { segment, ending: Ending::Remove });
        }
    }

    fn write(&mut self, entry: &[u8], sequence: u64, now: Duration) -> bool {
        let Some(active) = &mut self.active else { return false };
        let offset = active.offset;
        if let Err(error) = active.segment.file.write_at(entry, offset) {
            let sink = active.segment.sink;
            tracing::error!(sink = sink.name(), %error, "audit sink failed to write, moving to the other");
            self.retire(if offset == HEADER_LENGTH { Ending::Remove } else { Ending::Truncate(offset) });
            self.fail_sink(sink, now);
            return false;
        }
        active.offset += entry.len() as u64;
        let (id, path) = (active.segment.id, active.segment.path.clone());
        self.next_sequence += 1;
        match self.unsynced.back_mut() {
            Some(range) if range.segment == id && !range.in_flight => range.last = sequence,
            Some(_) | None => self.unsynced.push_back(Range {
                segment: id,
                first: sequence,
                last: sequence,
                since: now,
                in_flight: false,
            }),
        }
        self.note(path, sequence, offset);
        true
    }

    /// Remembers where an entry stands, for reading.
    fn note(&mut self, path: PathBuf, sequence: u64, offset: u64) {
        match self.catalogue.last_mut() {
            Some(segment) if segment.path == path => {
                segment.last = sequence;
                if (sequence - segment.first).is_multiple_of(MARK_EVERY) {
                    segment.marks.push((sequence, offset));
                }
            }
            Some(_) | None => self.catalogue.push(Catalogued {
                path,
                first: sequence,
                last: sequence,
                marks: vec![(sequence, offset)],
            }),
        }
    }

    /// A sink that failed is left alone for a while.
    pub(crate) fn fail_sink(&mut self, sink: Sink, now: Duration) {
        self.closed_segments += 1;
        self.drop_standby(sink);
        self.sink_mut(sink).retry_at = now + RETRY_AFTER;
    }

    /// Gives up segments whose oldest entry has waited too long for its sync. Their sync is still awaited: when
    /// it comes back well after all, the entries are no longer missing.
    pub(crate) fn give_up_hung(&mut self, now: Duration) {
        while let Some(oldest) = self.unsynced.front()
            && now.saturating_sub(oldest.since) >= self.options.fail_after
        {
            let segment = oldest.segment;
            let sink = self.active.as_ref().filter(|active| active.segment.id == segment).map(|a| a.segment.sink);
            tracing::error!(first = oldest.first, "audit sync hangs, its segment is given up");
            self.give_up(segment, GapCause::SyncHung);
            self.closed_segments += 1;
            if let Some(sink) = sink {
                self.retire(Ending::Sync);
                self.drop_standby(sink);
            }
        }
    }

    /// Moves all unsynced entries of a segment to those given up.
    pub(crate) fn give_up(&mut self, segment: u64, cause: GapCause) {
        let (gone, kept): (VecDeque<Range>, _) = self.unsynced.drain(..).partition(|range| range.segment == segment);
        self.unsynced = kept;
        self.given_up.extend(gone.into_iter().map(|range| GivenUp { range, cause, reported: false }));
    }

    /// The segment's last sync failed: what was not synced before stays given up, and nothing is written to it.
    pub(crate) fn close_failed(&mut self, segment: &OpenSegment, now: Duration) {
        self.give_up(segment.id, GapCause::SyncFailed);
        for given in &mut self.given_up {
            if given.range.segment == segment.id {
                given.cause = GapCause::SyncFailed;
                given.range.in_flight = false;
            }
        }
        if self.active.as_ref().is_some_and(|active| active.segment.id == segment.id) {
            self.active = None;
        }
        self.fail_sink(segment.sink, now);
        self.sink_mut(segment.sink).retiring.retain(|retiring| retiring.segment.id != segment.id);
    }

    /// Gaps not yet handed out, joined where they touch.
    pub(crate) fn take_gaps(&mut self) -> Vec<Gap> {
        let mut gaps: Vec<Gap> = Vec::new();
        for given in self.given_up.iter_mut().filter(|given| !given.reported) {
            given.reported = true;
            let Range { first, last, .. } = given.range;
            match gaps.last_mut() {
                Some(gap) if gap.before_sequence == first && gap.cause == given.cause => gap.before_sequence = last + 1,
                Some(_) | None => {
                    gaps.push(Gap { after_sequence: first - 1, before_sequence: last + 1, cause: given.cause });
                }
            }
        }
        gaps
    }
}
