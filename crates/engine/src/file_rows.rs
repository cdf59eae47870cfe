//! An authority's file counter in the state: whether a file's start, ending and end may be taken, and what they change.
//! Part of the fold: everything it needs is in the record and the row.

use crate::changes::Checked;
use crate::keys;
use crate::rows::Acknowledgement;
use crate::working::{StateError, Working};
use kith_domain::change::{Change, Feed, FileEnded, FileEnding, FileStarted, LogRecord};
use kith_domain::codes::LaCode;
use kith_domain::fold::Effect;
use kith_domain::plan_file::{FileState, OpenFile, Standing, may_end, refusals};
use kith_domain::time::Moment;
use kith_store::Table;
use uuid::Uuid;

fn state(working: &Working<'_>, authority: LaCode) -> Result<FileState, StateError> {
    Ok(working.row(Table::File, &keys::files(authority))?.unwrap_or_default())
}

/// What was acknowledged at that moment.
fn repeated(at: Moment) -> Checked {
    let event_id = Uuid::nil();
    Checked::Repeated(Acknowledgement { event_id, sequence: 0, at, effect: Effect::Applied, repeated: true })
}

/// Whether a change about a file may be taken; none for every other change.
pub(crate) fn check(working: &Working<'_>, record: &LogRecord) -> Result<Option<Checked>, StateError> {
    let checked = match &record.change {
        Change::FileStarted(started) => start(&state(working, started.authority)?, started, record.at),
        Change::FileEnding(ending) => ending_of(&state(working, ending.authority)?, ending, record.at),
        Change::FileEnded(ended) => end(&state(working, ended.authority)?, ended),
        Change::Plan(_)
        | Change::Presentation(_)
        | Change::Heartbeat(_)
        | Change::Accessed(_)
        | Change::Acknowledged(_)
        | Change::AuditGap(_)
        | Change::AuditHead(_)
        | Change::Purge(_)
        | Change::FeedCounted(_)
        | Change::Identity(_)
        | Change::Proposed(_)
        | Change::ProposalClosed(_)
        | Change::Opened(_)
        | Change::OpeningReviewed(_)
        | Change::Flagged(_)
        | Change::Watched(_)
        | Change::FlagReviewed(_)
        | Change::Withheld(_)
        | Change::WithholdingLifted(_)
        | Change::FilePositionReset(_) => return Ok(None),
    };
    Ok(Some(checked))
}

fn start(state: &FileState, started: &FileStarted, at: Moment) -> Checked {
    match state.standing(started.number, started.body_hash) {
        Ok(Standing::New) => Checked::New(None),
        Ok(Standing::Continues | Standing::Answered) => repeated(at),
        Err(refused) => Checked::Refused(refused),
    }
}

/// The bound is held here, where nothing can go past it.
fn ending_of(state: &FileState, ending: &FileEnding, at: Moment) -> Checked {
    match state.open.as_ref().filter(|open| open.number == ending.number) {
        None => Checked::Refused(refusals::NOT_OPEN),
        // Sent again: no more than what was decided.
        Some(OpenFile { ending: Some(decided), .. }) if ending.count <= *decided => repeated(at),
        Some(OpenFile { ending: None, .. }) if may_end(&state.vanished, at, ending.count, ending.current) => {
            Checked::New(None)
        }
        Some(_) => Checked::Refused(refusals::BEYOND_BOUND),
    }
}

fn end(state: &FileState, ended: &FileEnded) -> Checked {
    if state.open.as_ref().is_some_and(|open| open.number == ended.number) {
        return Checked::New(None);
    }
    match state.last.as_ref().filter(|last| last.number == ended.number) {
        Some(last) => repeated(last.at),
        None => Checked::Refused(refusals::NOT_OPEN),
    }
}

/// Applies a checked change about a file.
pub(crate) fn apply(working: &mut Working<'_>, record: &LogRecord) -> Result<Effect, StateError> {
    let at = record.at;
    let (authority, state) = match &record.change {
        Change::FileStarted(started) => {
            let mut state = state(working, started.authority)?;
            state.start(started.number, started.body_hash, at);
            working.feed(Feed::Plans(started.authority))?.loading = Some(state.ordinal);
            (started.authority, state)
        }
        Change::FileEnding(ending) => {
            let mut state = state(working, ending.authority)?;
            state.note_ending(ending.count, at);
            (ending.authority, state)
        }
        Change::FileEnded(ended) => {
            let mut state = state(working, ended.authority)?;
            state.end(ended.outcome.clone(), at);
            let feed = Feed::Plans(ended.authority);
            let health = working.feed(feed)?;
            health.loading = None;
            health.counted(&ended.outcome.counted(feed), at);
            if ended.outcome.is_sign_of_life() {
                health.file_taken(ended.number, at);
            }
            (ended.authority, state)
        }
        Change::FilePositionReset(reset) => {
            let mut state = state(working, reset.authority)?;
            state.reset(reset.next);
            working.feed(Feed::Plans(reset.authority))?.loading = None;
            (reset.authority, state)
        }
        Change::Plan(_)
        | Change::Presentation(_)
        | Change::Heartbeat(_)
        | Change::Accessed(_)
        | Change::Acknowledged(_)
        | Change::AuditGap(_)
        | Change::AuditHead(_)
        | Change::Purge(_)
        | Change::FeedCounted(_)
        | Change::Identity(_)
        | Change::Proposed(_)
        | Change::ProposalClosed(_)
        | Change::Opened(_)
        | Change::OpeningReviewed(_)
        | Change::Flagged(_)
        | Change::Watched(_)
        | Change::FlagReviewed(_)
        | Change::Withheld(_)
        | Change::WithholdingLifted(_) => return Ok(Effect::Overtaken),
    };
    working.put(Table::File, keys::files(authority), &state)?;
    Ok(Effect::Applied)
}
