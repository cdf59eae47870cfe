//! The turn to write: entries go into the kernel one by one, in order of number, and no lock is held meanwhile. A write
//! that fails moves on to the other sink; one that hangs loses its turn, and lets no answer leave when it comes back.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::locked::Said;
use super::settle::Verdict;
use super::state::{Ending, GivenUp, OpenSegment, Range, Retiring, State};
use super::types::{AuditError, AuditRef, GapCause, JOURNAL_ID};

/// The right to write one entry: what is written, where, and since when.
#[derive(Clone)]
pub(crate) struct Turn {
    pub(crate) segment: Arc<OpenSegment>,
    pub(crate) sequence: u64,
    pub(crate) offset: u64,
    pub(crate) since: Duration,
    /// A disk is in trouble: a thread that answers hands the entry over.
    pub(crate) careful: bool,
}

impl Turn {
    /// The name of its entry.
    pub(crate) fn reference(&self) -> AuditRef {
        AuditRef { journal: JOURNAL_ID, sequence: self.sequence }
    }

    /// A number is written to a segment once.
    fn is(&self, other: &Self) -> bool {
        self.segment.id == other.segment.id && self.sequence == other.sequence
    }
}

/// A write that lost its turn and has not come back.
pub(crate) struct Lost {
    pub(crate) turn: Turn,
    pub(crate) cause: GapCause,
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Returned {
    /// The entry is in the kernel, so long after its turn began.
    Written(Verdict, Duration),
    /// It is not: the other sink may take it.
    Failed,
    /// It was given up meanwhile. Whatever became of it, its answer must not leave.
    Lost(AuditError),
}

impl State {
    /// The turn to write an entry of `length` bytes; `None` while another has it. `wanted`: whoever gives it back is to
    /// wake who waits for it.
    pub(crate) fn take_turn(&mut self, length: u64, wanted: bool, now: Duration) -> Result<Option<Turn>, AuditError> {
        if self.closing || self.stopped {
            return Err(AuditError::Closed);
        }
        self.give_up_hung(now);
        if self.turn.is_some() {
            self.turn_wanted |= wanted;
            return Ok(None);
        }
        let (segment, offset) = self.choose(length).ok_or(AuditError::NoSink)?;
        let careful = self.is_careful(now);
        let turn = Turn { segment, sequence: self.next_sequence, offset, since: now, careful };
        self.turn = Some(turn.clone());
        Ok(Some(turn))
    }

    /// Ends a turn that wrote nothing. Was it lost meanwhile, then its number stays a gap.
    pub(crate) fn withdraw(&mut self, turn: &Turn) {
        if self.holds(turn) {
            self.turn = None;
        }
        self.lost.retain(|lost| !lost.turn.is(turn));
    }

    /// Takes in how the write of `length` bytes ended.
    pub(crate) fn return_turn(&mut self, turn: &Turn, length: u64, result: &io::Result<()>, now: Duration) -> Returned {
        if !self.holds(turn) {
            return Returned::Lost(self.came_back(turn, result));
        }
        self.turn = None;
        if let Err(error) = result {
            let sink = turn.segment.sink;
            self.said.push(Said::WriteFailed { sink, error: error.to_string() });
            self.cut_active(turn.offset);
            self.fail_sink(sink, now);
            return Returned::Failed;
        }
        self.written(turn, length);
        Returned::Written(self.verdict(turn.reference(), now), now.saturating_sub(turn.since))
    }

    pub(crate) fn holds(&self, turn: &Turn) -> bool {
        self.turn.as_ref().is_some_and(|held| held.is(turn))
    }

    /// Whether its write was given up and has not come back.
    pub(crate) fn has_lost(&self, turn: &Turn) -> bool {
        self.lost.iter().any(|lost| lost.turn.is(turn))
    }

    fn written(&mut self, turn: &Turn, length: u64) {
        self.advance_active(length);
        self.next_sequence += 1;
        match self.unsynced.back_mut() {
            Some(range) if range.segment == turn.segment.id && !range.in_flight => range.last = turn.sequence,
            Some(_) | None => self.unsynced.push_back(Range::of(turn)),
        }
        self.note(&turn.segment.path, turn.sequence, turn.offset);
    }

    /// Takes the turn from a write to a segment that is given up. Its number is used up, for the write may come about.
    pub(crate) fn lose_turn(&mut self, segment: u64, cause: GapCause) {
        let Some(turn) = self.turn.take_if(|turn| turn.segment.id == segment) else { return };
        self.next_sequence += 1;
        self.note(&turn.segment.path, turn.sequence, turn.offset);
        self.given_up.push(GivenUp::unwritten(&turn, cause));
        self.lost.push(Lost { turn, cause });
    }

    /// A write came back after it was given up. It may be on disk after all: then one more sync has to cover it. To a
    /// segment whose sync failed nothing more is done.
    fn came_back(&mut self, turn: &Turn, result: &io::Result<()>) -> AuditError {
        let Some(at) = self.lost.iter().position(|lost| lost.turn.is(turn)) else { return AuditError::TooLate };
        if self.lost.swap_remove(at).cause == GapCause::SyncFailed {
            return AuditError::SyncFailed;
        }
        let ending = match result {
            Ok(()) => {
                let own = self.given_up.iter_mut().find(|given| given.range.holds(turn.sequence));
                own.into_iter().for_each(|given| given.unwritten = false);
                Ending::Sync
            }
            Err(error) => {
                self.said.push(Said::LateWriteFailed { sink: turn.segment.sink, error: error.to_string() });
                Ending::Truncate(turn.offset)
            }
        };
        let segment = Arc::clone(&turn.segment);
        self.sink_mut(segment.sink).retiring.push_back(Retiring { segment, ending });
        AuditError::TooLate
    }
}
