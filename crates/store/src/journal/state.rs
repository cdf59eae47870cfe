//! The journal's state under its one lock: which segment takes entries, what is not yet synced, what was given
//! up, and what the threads have to do next. Nothing here sleeps or calls into the kernel.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::JournalOptions;
use super::format::HEADER_LENGTH;
use super::handing::{CAREFUL_FOR, Handed};
use super::late::Late;
use super::locked::Said;
use super::recover::{Segment, Torn};
use super::turn::{Lost, Turn};
use super::types::{Gap, GapCause, Sink};
use crate::disk::DataFile;
use crate::histogram::Histogram;

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
    pub(crate) path: Arc<Path>,
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
    /// The one entry of a turn.
    pub(crate) fn of(turn: &Turn) -> Self {
        let Turn { segment, sequence, offset: _, since, careful: _ } = turn;
        Self { segment: segment.id, first: *sequence, last: *sequence, since: *since, in_flight: false }
    }

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
    /// Its write has not come back, or failed: no sync covers it.
    pub(crate) unwritten: bool,
    reported: bool,
}

impl GivenUp {
    pub(crate) fn new(range: Range, cause: GapCause) -> Self {
        Self { range, cause, unwritten: false, reported: false }
    }

    /// The one entry of a turn that was lost.
    pub(crate) fn unwritten(turn: &Turn, cause: GapCause) -> Self {
        Self { unwritten: true, ..Self::new(Range::of(turn), cause) }
    }
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
    /// An entry for its writing thread.
    pub(crate) handed: Option<Handed>,
    /// Its thread is in the kernel.
    pub(crate) busy: bool,
    /// The interval has passed since its last sync.
    pub(crate) sync_due: bool,
    /// Not before this may a new segment be made.
    pub(crate) retry_at: Duration,
}

/// A segment as reading sees it.
pub(crate) struct Catalogued {
    pub(crate) path: Arc<Path>,
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// Numbers and where their entries begin.
    pub(crate) marks: Vec<(u64, u64)>,
}

/// Everything under the lock.
pub(crate) struct State {
    pub(crate) options: JournalOptions,
    pub(crate) next_sequence: u64,
    /// The entry that is being written.
    pub(crate) turn: Option<Turn>,
    /// Somebody waits to be woken when the turn is given back.
    pub(crate) turn_wanted: bool,
    /// Writes that lost their turn and have not come back.
    pub(crate) lost: Vec<Lost>,
    /// Until then no thread that answers writes.
    pub(crate) careful_until: Duration,
    pub(crate) closing: bool,
    pub(crate) stopped: bool,
    pub(crate) ticker_idle: bool,
    pub(crate) next_index: u32,
    pub(crate) next_segment: u64,
    pub(crate) unsynced: VecDeque<Range>,
    pub(crate) given_up: Vec<GivenUp>,
    /// First and last numbers of ranges that were given up and are on disk after all, for each who follows.
    pub(crate) late: Late,
    pub(crate) catalogue: Vec<Catalogued>,
    /// Files of earlier openings that hold no whole entry: nobody reads them, and they go with what was written beside them.
    pub(crate) torn: Vec<Torn>,
    /// To be logged once the lock is given back.
    pub(crate) said: Vec<Said>,
    pub(crate) last_window: Duration,
    pub(crate) max_window: Duration,
    pub(crate) windows: Histogram,
    pub(crate) closed_segments: u64,
    active: Option<Active>,
    primary: SinkState,
    spill: SinkState,
}

impl State {
    pub(crate) fn new(options: JournalOptions, next_sequence: u64, next_index: u32, old: Vec<Segment>) -> Self {
        let catalogue = old.into_iter().map(|segment| Catalogued {
            path: segment.path.into(),
            first: segment.first,
            last: segment.last,
            marks: Vec::new(),
        });
        Self {
            options,
            next_sequence,
            turn: None,
            turn_wanted: false,
            lost: Vec::new(),
            careful_until: Duration::ZERO,
            closing: false,
            stopped: false,
            ticker_idle: false,
            next_index,
            next_segment: 1,
            unsynced: VecDeque::new(),
            given_up: Vec::new(),
            late: Late::default(),
            catalogue: catalogue.collect(),
            torn: Vec::new(),
            said: Vec::new(),
            last_window: Duration::ZERO,
            max_window: Duration::ZERO,
            windows: Histogram::default(),
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

    /// Whether there is a segment for the next entry.
    pub(crate) fn would_take(&mut self, now: Duration) -> bool {
        self.give_up_hung(now);
        let open = !self.closing && !self.stopped && self.given_up.len() < MAX_GIVEN_UP;
        open && self.current_sink().is_some()
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

    /// The oldest entry that is not known to be on disk: its segment, its number, and since when.
    pub(crate) fn oldest(&self) -> Option<(u64, u64, Duration)> {
        let written = self.unsynced.front().map(|range| (range.segment, range.first, range.since));
        let writing = self.turn.as_ref().map(|turn| (turn.segment.id, turn.sequence, turn.since));
        written.into_iter().chain(writing).min_by_key(|oldest| oldest.2)
    }

    /// The segment that takes the next entry, and where in it: the primary's whenever it has one, a new one when full.
    pub(crate) fn choose(&mut self, length: u64) -> Option<(Arc<OpenSegment>, u64)> {
        if self.given_up.len() >= MAX_GIVEN_UP {
            return None;
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
        self.active.as_ref().map(|active| (Arc::clone(&active.segment), active.offset))
    }

    /// The active segment has grown.
    pub(crate) fn advance_active(&mut self, length: u64) {
        if let Some(active) = &mut self.active {
            active.offset += length;
        }
    }

    /// Ends the active segment before what a failed write left behind.
    pub(crate) fn cut_active(&mut self, offset: u64) {
        self.retire(if offset == HEADER_LENGTH { Ending::Remove } else { Ending::Truncate(offset) });
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

    /// Remembers where an entry stands, for reading.
    pub(crate) fn note(&mut self, path: &Arc<Path>, sequence: u64, offset: u64) {
        match self.catalogue.last_mut() {
            Some(segment) if Arc::ptr_eq(&segment.path, path) => {
                segment.last = sequence;
                if (sequence - segment.first).is_multiple_of(MARK_EVERY) {
                    segment.marks.push((sequence, offset));
                }
            }
            Some(_) | None => self.catalogue.push(Catalogued {
                path: Arc::clone(path),
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

    /// Gives up segments whose oldest entry has waited too long for its write or its sync. Both are still awaited: when
    /// they come back well after all, the entries are no longer missing.
    pub(crate) fn give_up_hung(&mut self, now: Duration) {
        while let Some((segment, first, since)) = self.oldest()
            && now.saturating_sub(since) >= self.options.fail_after
        {
            let sink = self.active.as_ref().filter(|active| active.segment.id == segment).map(|a| a.segment.sink);
            self.said.push(Said::Hangs { first });
            self.give_up(segment, GapCause::SyncHung);
            self.closed_segments += 1;
            self.careful_until = now + CAREFUL_FOR;
            if let Some(sink) = sink {
                self.retire(Ending::Sync);
                self.drop_standby(sink);
            }
        }
    }

    /// Moves all unsynced entries of a segment to those given up, the one that is being written as well.
    pub(crate) fn give_up(&mut self, segment: u64, cause: GapCause) {
        let (gone, kept): (VecDeque<Range>, _) = self.unsynced.drain(..).partition(|range| range.segment == segment);
        self.unsynced = kept;
        self.given_up.extend(gone.into_iter().map(|range| GivenUp::new(range, cause)));
        self.take_back(segment);
        self.lose_turn(segment, cause);
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
        for lost in self.lost.iter_mut().filter(|lost| lost.turn.segment.id == segment.id) {
            lost.cause = GapCause::SyncFailed;
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
