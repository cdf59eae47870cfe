//! Reads cause changes, behind the answer: access history and notifications are derived from synced audit entries and
//! appended to the log in bounded batches. After a crash, what was audited and not yet logged is derived again. It never
//! stands in front of a lookup.

use crate::audit_entry::{AuditEntry, Decision};
use crate::gaps::Gaps;
use crate::open::WallClock;
use crate::rows::{decode, encode};
use crate::times;
use crate::watcher::Watcher;
use crate::writer::{Command, Progress};
use kith_domain::change::{Accessed, AuditGap, Change};
use kith_domain::flag::{Flag, Flagged};
use kith_domain::refused::RefusedKind;
use kith_domain::time::Moment;
use kith_store::{AuditRef, Follower, Journal, JournalError, Monotonic};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Audit entries read at once while history is behind.
const BATCH: usize = 256;
/// The same while it keeps up. The writer takes some 60 us for each and does not give its processor up in between, so that an
/// answer may wait for all of them; so does a check-in.
const FEW: usize = 4;
/// Entries read at once for the watch of use alone: history waits for one such reading.
const WATCH_BATCH: usize = 1_024;
/// Late entries read at once: few enough for one group of changes.
const LATE_BATCH: usize = 64;
/// Entries without consequences passed over before the position is written down.
const POSITION_EVERY: u64 = 1000;
/// Pause when there is nothing to derive: well under the second within which history shows.
const PAUSE: Duration = Duration::from_millis(10);
/// Entries that come in while one batch is written, from which on it is looked how fast they come.
const BUSY: u64 = 32;
/// So many a second, and questions come faster than history can be.
const BUSY_PER_SECOND: u64 = 4_000;
/// How many times as long as it worked the history then rests.
const REST: u32 = 19;
/// The same while it catches up and few questions come: those few shall not wait for what is behind.
const REST_BEHIND: u32 = 3;
/// Nobody has asked for so long: then it catches up without a rest.
const ALONE_AFTER: Duration = Duration::from_secs(1);
/// Longest rest: a disk that was slow once must not stop the history for long.
const MAX_REST: Duration = Duration::from_millis(200);
/// Pause after a failure: the log or the journal is in trouble and is tried again.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(500);

/// The deriving thread's own state.
pub(crate) struct Deriver {
    pub(crate) journal: Arc<Journal>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) stop: Arc<AtomicBool>,
    /// Tells how long a batch took.
    pub(crate) clock: Arc<dyn Monotonic>,
    /// The time of day, for gaps found while running and for the lag.
    pub(crate) wall_clock: WallClock,
    /// Gaps that are not told yet.
    pub(crate) gaps: RefCell<Gaps>,
    /// What use looks like.
    pub(crate) watcher: RefCell<Watcher>,
    /// Days of the audit from which that is worked out anew.
    pub(crate) read_again_days: u32,
}

impl Deriver {
    /// Derives until told to stop; what is left is derived at the next start.
    pub(crate) fn run(self) {
        let mut position = self.progress.derived_through.load(Ordering::Acquire);
        let mut limit = FEW;
        let mut late = VecDeque::new();
        let (mut seen, mut asked_at) = (0, self.clock.now());
        self.find_beginning();
        while !self.stop.load(Ordering::Acquire) {
            self.note_gaps();
            self.log_watched(false);
            late.extend(self.journal.take_late(Follower::History));
            if let Err(what) = self.late_step(position, &mut late) {
                tracing::warn!(%what, "access history of entries that were synced late waits");
                std::thread::sleep(PAUSE_AFTER_FAILURE);
            }
            let (began, before) = (self.clock.now(), self.journal.synced_through());
            let caught_up = self.catch_up(position);
            self.progress.watch_behind.store(self.watcher.borrow().behind(position), Ordering::Release);
            match self.step(position, limit) {
                Ok(next) if next == position && !caught_up => {
                    let now = self.clock.now();
                    let behind = is_behind(caught_up, false);
                    let pace = Pace { came: 0, behind, alone_for: now.saturating_sub(asked_at) };
                    std::thread::sleep(pace.rest_after(now.saturating_sub(began)));
                }
                Ok(next) if next == position => std::thread::sleep(PAUSE),
                Ok(next) => {
                    let came = self.journal.synced_through().saturating_sub(before);
                    let now = self.clock.now();
                    // What came during a rest counts here too.
                    if before + came > seen {
                        (seen, asked_at) = (before + came, now);
                    }
                    let more_waits = next - position >= limit as u64;
                    let behind = is_behind(caught_up, more_waits);
                    let pace = Pace { came, behind, alone_for: now.saturating_sub(asked_at) };
                    std::thread::sleep(pace.rest_after(now.saturating_sub(began)));
                    (position, limit) = (next, next_limit(limit, more_waits));
                }
                Err(Trouble::TooMany) if limit > 1 => limit /= 2,
                Err(what) => {
                    tracing::warn!(%what, "access history waits");
                    std::thread::sleep(PAUSE_AFTER_FAILURE);
                }
            }
        }
        self.log_watched(true);
    }

    /// Derives one batch after `position` and gives the new position.
    fn step(&self, position: u64, limit: usize) -> Result<u64, Trouble> {
        let entries = match self.journal.read_from(position + 1, limit) {
            Ok(entries) => entries,
            Err(error) => return Ok(self.damaged(position, beyond(&error)?)),
        };
        let Some((last, _)) = entries.last() else { return Ok(position) };
        let last = last.sequence;
        let entries = decoded(entries);
        self.watcher.borrow_mut().follow(position, last, &entries);
        let logged = self.progress.derived_through.load(Ordering::Acquire);
        let (at, mut changes) = changes_of(entries);
        if changes.is_empty() && last < logged + POSITION_EVERY {
            return Ok(last);
        }
        changes.push(Change::Accessed(Accessed { audit_sequence: last, access: None }));
        self.submit(at, changes)?;
        Ok(last)
    }

    /// Derives from entries that were given up, passed over, and are on disk after all. A request id is counted once, so an
    /// entry that is met again changes nothing.
    ///
    /// What lies after the position is met there: logged before it, the log would say that all up to it is derived.
    fn late_step(&self, position: u64, late: &mut VecDeque<(u64, u64)>) -> Result<(), Trouble> {
        late.retain(|(first, _)| *first <= position);
        let Some((first, last)) = late.front().map(|(first, last)| (*first, (*last).min(position))) else {
            return Ok(());
        };
        let wanted = usize::try_from(last - first + 1).unwrap_or(LATE_BATCH).min(LATE_BATCH);
        let read = match self.journal.read_from(first, wanted) {
            Ok(read) => read,
            Err(error) => {
                let next = beyond(&error)?;
                self.damaged(first - 1, next);
                go_on(late, next);
                return Ok(());
            }
        };
        // Nothing yet: an entry before them is still waited for.
        let Some(next) = read.last().map(|(reference, _)| reference.sequence + 1) else { return Ok(()) };
        let read = read.into_iter().filter(|(reference, _)| reference.sequence <= last).collect();
        let (at, changes) = changes_of(decoded(read));
        if !changes.is_empty() {
            tracing::info!(first, last, "history is derived from entries that were synced late");
            self.submit(at, changes)?;
        }
        go_on(late, next);
        Ok(())
    }

    /// Entries given up while running are a gap: written into the audit, and from there derived into the log, so that
    /// every authority hears of it even when the log takes no writes now.
    fn note_gaps(&self) {
        let synced = self.journal.synced_through();
        for gap in self.journal.take_gaps() {
            let after = gap.after_sequence;
            tracing::error!(after, "a sync of the audit failed: entries after this may be missing");
            self.gaps.borrow_mut().found(&gap);
            self.watcher.borrow_mut().lost(&gap);
        }
        self.tell_gaps(synced);
        self.tell_flags(synced);
    }

    /// Looks for the entry with which the watch of use begins: the first of the last so many days. Numbers have holes, times have
    /// none to speak of. Where one cannot be read, more is read again than need be.
    fn find_beginning(&self) {
        let Some((mut low, mut high)) = self.watcher.borrow().span() else { return };
        let since = (self.wall_clock)().plus_seconds(-i64::from(self.read_again_days) * 24 * 60 * 60);
        while low < high && !self.stop.load(Ordering::Acquire) {
            let middle = low + (high - low) / 2;
            let read = self.journal.read_from(middle, 1).unwrap_or_default();
            match decoded(read).first() {
                Some((sequence, entry)) if entry.at < since => low = sequence + 1,
                Some(_) | None => high = middle,
            }
        }
        self.watcher.borrow_mut().begin_with(low);
    }

    /// One batch for the watch of use alone: at a start what it counts is worked out anew, behind the history. True when there
    /// is no more of it.
    fn catch_up(&self, position: u64) -> bool {
        let Some(next) = self.watcher.borrow().next_before(position) else { return true };
        let read = self.journal.read_from(next, WATCH_BATCH);
        let mut watcher = self.watcher.borrow_mut();
        match read {
            Ok(read) => {
                let last = read.last().map_or(position, |(reference, _)| reference.sequence.min(position));
                watcher.take(last, &decoded(read));
            }
            // What cannot be read is not counted; `damaged` tells of it where history is concerned.
            Err(error) => {
                watcher.take(beyond(&error).map_or(position, |next| next.saturating_sub(1)).min(position), &[])
            }
        }
        false
    }

    /// Flags are told by entries of the audit, as gaps are.
    fn tell_flags(&self, synced: u64) {
        let append = |flag: &Flag| {
            let entry = AuditEntry::of_service((self.wall_clock)(), Decision::Flagged(flag.clone()));
            let reference = self.journal.append(&encode(&entry).ok()?).ok()?;
            tracing::info!(kind = flag.kind.word(), %reference, "use was flagged, for a person to look into");
            self.progress.raised_flags[flag.kind as usize].fetch_add(1, Ordering::Relaxed);
            Some(reference.sequence)
        };
        if self.watcher.borrow_mut().tell(synced, append) {
            tracing::error!("a flag could not be written into the audit, and waits until it takes entries");
        }
    }

    /// Tells the log how far use was watched. What it does not take now is told again.
    fn log_watched(&self, at_end: bool) {
        let due = self.watcher.borrow_mut().due(self.clock.now(), at_end);
        if let Some((at, change)) = due
            && self.submit(at, vec![change]).is_ok()
        {
            self.watcher.borrow_mut().is_logged();
        }
    }

    fn tell_gaps(&self, synced: u64) {
        let append = |after| {
            let bytes = encode(&AuditEntry::of_service((self.wall_clock)(), Decision::Gap(after))).ok()?;
            self.journal.append(&bytes).ok().map(|reference| reference.sequence)
        };
        if self.gaps.borrow_mut().tell(synced, append) {
            tracing::error!("a gap could not be written into the audit, and waits until it takes entries");
        }
    }

    /// Entries after `position` cannot be read: history goes on with `next`, and every authority hears that some are missing.
    fn damaged(&self, position: u64, next: u64) -> u64 {
        tracing::error!(position, next, "the audit is damaged: history goes on after it");
        self.gaps.borrow_mut().found_after(position);
        self.tell_gaps(0);
        next.saturating_sub(1).max(position)
    }

    /// Gives changes to the writer; the worst refusal is the outcome.
    fn submit(&self, at: Moment, changes: Vec<Change>) -> Result<(), Trouble> {
        let asked = times::asked_at(&changes);
        let (reply, verdicts) = oneshot::channel();
        self.commands.blocking_send(Command { at, changes, reply, carried: None }).map_err(|_| Trouble::Stopped)?;
        let verdicts = verdicts.blocking_recv().map_err(|_| Trouble::Stopped)?;
        match verdicts.iter().find_map(|verdict| verdict.as_ref().err()) {
            None => {
                times::in_the_log(&self.progress.history_lag, &asked, (self.wall_clock)());
                Ok(())
            }
            Some(refused) if refused.kind == RefusedKind::TooMany => Err(Trouble::TooMany),
            Some(_) => Err(Trouble::Refused),
        }
    }
}

/// Whether there is more to do, of the history or of what the watch reads again after a start: both rest while anybody asks.
fn is_behind(watch_caught_up: bool, more_waits: bool) -> bool {
    more_waits || !watch_caught_up
}

/// How many entries are read next. What is far behind is written in large groups: a sync for a few would take longest.
fn next_limit(limit: usize, more_waits: bool) -> usize {
    if more_waits { (limit * 2).min(BATCH) } else { FEW }
}

/// What goes on while history is derived.
struct Pace {
    /// Entries that came while the last batch was written.
    came: u64,
    /// There is more to derive.
    behind: bool,
    /// Since anything came.
    alone_for: Duration,
}

impl Pace {
    /// How long the history rests after a batch that took so long. Where questions come faster than it is written, it leaves
    /// the processors to them and catches up later: then too, while it is behind, with a quarter of its time at most, for on a
    /// part of a processor whoever asks would else wait for what was asked before. While nobody asks it does not rest.
    fn rest_after(&self, took: Duration) -> Duration {
        let a_second = u128::from(self.came) * 1_000_000 / took.as_micros().max(1);
        let busy = self.came >= BUSY && a_second >= u128::from(BUSY_PER_SECOND);
        let rest = match (busy, self.behind && self.alone_for < ALONE_AFTER) {
            (true, _) => took * REST,
            (false, true) => took * REST_BEHIND,
            (false, false) => Duration::ZERO,
        };
        rest.min(MAX_REST)
    }
}

/// The entry with which reading can go on after an error: one entry or one stretch of a segment must not stop the history
/// of everyone.
fn beyond(error: &JournalError) -> Result<u64, Trouble> {
    tracing::error!(%error, "the audit journal cannot be read");
    if let JournalError::Damaged { next_sequence, .. } = error {
        return Ok(*next_sequence);
    }
    if let JournalError::Sealed { sequence } = error {
        return Ok(*sequence + 1);
    }
    Err(Trouble::Unreadable)
}

/// Goes on with late entries from `next`.
fn go_on(late: &mut VecDeque<(u64, u64)>, next: u64) {
    if let Some((first, last)) = late.pop_front()
        && next <= last
    {
        late.push_front((next.max(first), last));
    }
}

/// Why a batch was not derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Trouble {
    #[error("the audit journal cannot be read")]
    Unreadable,
    #[error("the writer has stopped")]
    Stopped,
    #[error("the log takes no writes")]
    Refused,
    #[error("the batch is too large")]
    TooMany,
}

/// Entries by number. One that cannot be decoded is passed over, so that one of them does not stop the history of everyone;
/// `verify` names it.
fn decoded(entries: Vec<(AuditRef, Vec<u8>)>) -> Vec<(u64, AuditEntry)> {
    let one = |(reference, bytes): (AuditRef, Vec<u8>)| {
        let sequence = reference.sequence;
        let entry = decode::<AuditEntry>(&bytes).inspect_err(|error| {
            tracing::error!(sequence, %error, "an audit entry cannot be decoded: its consequences are left out");
        });
        Some((sequence, entry.ok()?.told().0))
    };
    entries.into_iter().filter_map(one).collect()
}

/// Changes of entries that count, and the moment of the last entry.
fn changes_of(entries: Vec<(u64, AuditEntry)>) -> (Moment, Vec<Change>) {
    let mut changes = Vec::new();
    let mut at = Moment::default();
    for (sequence, entry) in entries {
        at = entry.at;
        if let Decision::Gap(after) = entry.decision {
            changes.push(Change::AuditGap(AuditGap { after_audit_sequence: after }));
        } else if let Decision::Flagged(flag) = entry.decision {
            changes.push(Change::Flagged(Flagged { audit_sequence: sequence, flag }));
        } else {
            let accessed = |access| Change::Accessed(Accessed { audit_sequence: sequence, access: Some(access) });
            changes.extend(entry.accesses().into_iter().map(accessed));
        }
    }
    (at, changes)
}

#[cfg(test)]
mod beginning_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_watch_reads_again_rests_too_while_history_keeps_up() {
        assert!(is_behind(false, false) && is_behind(true, true) && !is_behind(true, false));
    }

    #[test]
    fn groups_are_small_while_history_keeps_up_and_grow_while_more_waits() {
        let mut limit = FEW;
        let grown = [(); 8].map(|()| {
            limit = next_limit(limit, true);
            limit
        });
        assert_eq!(grown, [8, 16, 32, 64, 128, 256, 256, 256]);
        assert_eq!(next_limit(limit, false), FEW);
    }

    #[test]
    fn history_rests_only_while_questions_come_faster_than_it_is_written() {
        let took = Duration::from_millis(8);
        let rest_after = |took, came, behind| Pace { came, behind, alone_for: Duration::ZERO }.rest_after(took);
        assert_eq!(rest_after(took, 16, false), Duration::ZERO, "2,000 questions a second");
        assert_eq!(
            rest_after(took, 16, true),
            Duration::from_millis(24),
            "catching up: a quarter of the time is its own"
        );
        for behind in [false, true] {
            assert_eq!(
                rest_after(took, 80, behind),
                Duration::from_millis(152),
                "10,000 a second: nineteen twentieths of the time are theirs"
            );
            assert_eq!(rest_after(Duration::from_secs(3), 60_000, behind), MAX_REST);
        }
        assert_eq!(rest_after(Duration::from_secs(3), 0, true), MAX_REST);
        let alone = |alone_for| Pace { came: 0, behind: true, alone_for }.rest_after(took);
        assert_eq!(alone(Duration::from_millis(999)), took * REST_BEHIND, "somebody asked a moment ago");
        assert_eq!(alone(Duration::from_secs(1)), Duration::ZERO, "nobody asks");
    }
}
