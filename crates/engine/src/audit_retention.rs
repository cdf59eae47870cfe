//! The audit's own retention: segments of which every entry has passed are removed, and no file goes before an entry that tells
//! it is under a signed head. Nothing goes that somebody may still read, nothing by a clock that is not to be believed, and never
//! a leaf of the tree: what was removed can be proven by whoever kept it.

use crate::audit_entry::{AuditEntry, Decision};
use crate::engine::Engine;
use crate::purge::PurgeError;
use crate::purge_guard::{Guard, Held};
use crate::rows::{CodecError, decode, encode};
use crate::tree::AuditTree;
use crate::writer::Progress;
use kith_domain::time::{Day, Moment};
use kith_store::{AuditError, ClosedSegment, Compared, Journal, JournalError};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Entries read at once to see when they were made.
const READ_AT_ONCE: usize = 1_024;
/// How long a signed head is waited for: one is due every second.
const SIGN_LIMIT: Duration = Duration::from_secs(30);
/// How often it is looked whether there is one.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Rest after each thousand entries that are held against their leaves: the disk is left to those who are answered.
const REST: Duration = Duration::from_millis(20);
const DAY_SECONDS: i64 = 24 * 60 * 60;

/// What of the audit was removed when its time had passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditRemoval {
    /// Every entry up to this number.
    pub through: u64,
    /// When it was decided.
    pub at: Moment,
    /// Every one of them was made before this moment.
    pub before: Moment,
}

/// What of the audit is kept, for operations. By whole segments: a question must not show in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AuditKept {
    /// Bytes of the segments that take no more entries, as of the last look.
    pub closed_bytes: u64,
    /// When the oldest entry was made.
    pub oldest_at: Option<Moment>,
    /// What was removed, since ever.
    pub removed: Option<AuditRemoval>,
    /// Why nothing is removed now: someone must look.
    pub held: Option<Held>,
}

/// What the keeper knows.
#[derive(Debug, Default)]
struct Memory {
    kept: AuditKept,
    /// The entry that tells of what was removed.
    told_by: Option<u64>,
    /// A removal that is not done yet, and the entry that tells of it, which may not be signed yet.
    pending: Option<(u64, AuditRemoval)>,
    /// What was removed on this day.
    of_day: Option<(Day, Passed)>,
}

/// Segments that have passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Passed {
    /// The last number in them.
    pub(crate) through: u64,
    /// How many they are.
    pub(crate) segments: u64,
    /// How long they are, in bytes.
    pub(crate) bytes: u64,
}

impl Passed {
    fn plus(self, segment: &ClosedSegment) -> Self {
        Self { through: segment.last, segments: self.segments + 1, bytes: self.bytes + segment.bytes }
    }

    /// With what went before it on the same day.
    pub(crate) fn after(self, before: Self) -> Self {
        Self { segments: self.segments + before.segments, bytes: self.bytes + before.bytes, ..self }
    }
}

/// Whoever removes what has passed.
pub(crate) struct AuditKeeper {
    journal: Arc<Journal>,
    tree: AuditTree,
    progress: Arc<Progress>,
    stop: Arc<AtomicBool>,
    /// So many days entries are kept; `None` for good.
    days: Option<u32>,
    guard: Guard,
    memory: Mutex<Memory>,
    /// One run at a time.
    running: Mutex<()>,
}

/// What the keeper shares with the rest of the engine.
type Shared = (Arc<Journal>, AuditTree, Arc<Progress>, Arc<AtomicBool>);

impl AuditKeeper {
    pub(crate) fn new((journal, tree, progress, stop): Shared, days: Option<u32>, guard: Guard) -> Self {
        let told = last_told(&journal, &tree);
        let removed = told.map(|(_, removal)| removal);
        let memory = Memory {
            kept: AuditKept { removed, ..AuditKept::default() },
            told_by: told.map(|(entry, _)| entry),
            pending: None,
            of_day: None,
        };
        let (memory, running) = (Mutex::new(memory), Mutex::new(()));
        let keeper = Self { journal, tree, progress, stop, days, guard, memory, running };
        keeper.measure();
        keeper
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is kept.
    pub(crate) fn kept(&self) -> AuditKept {
        self.memory().kept
    }

    /// Removes what has passed, and tells in the log why it did not.
    pub(crate) fn run(&self, now: Moment) {
        match self.retain(now) {
            // Told once, when it began.
            Ok(_) | Err(PurgeError::Held(_)) => {}
            Err(_) if self.stop.load(Ordering::Acquire) => {}
            Err(error) => tracing::warn!(%error, "what has passed of the audit stays until the next run"),
        }
    }

    /// Removes what has passed by `now`; gives what it told of, `None` when there was nothing.
    pub(crate) fn retain(&self, now: Moment) -> Result<Option<AuditRemoval>, PurgeError> {
        let _running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = self.remove(now);
        self.note(&outcome);
        self.measure();
        outcome
    }

    fn remove(&self, now: Moment) -> Result<Option<AuditRemoval>, PurgeError> {
        let Some(days) = self.days else { return Ok(None) };
        self.finish()?;
        let before = now.plus_seconds(-DAY_SECONDS * i64::from(days));
        let passed = self.passed(now, before)?;
        if passed.segments == 0 {
            return Ok(None);
        }
        self.compare(passed.through)?;
        if self.is_spent(now.london_day()) {
            tracing::info!("more of the audit has passed; on this day some was removed before the last start");
            return Ok(None);
        }
        let removal = AuditRemoval { through: passed.through, at: now, before: self.made_before(now, before) };
        let (entry, removal) = self.tell(removal)?;
        self.wait_for_head(entry)?;
        let passed = self.closed_through(removal.through);
        // No start signs this: an entry that somebody else wrote would be as good as this one, once it is under a head.
        let signed = self.tree.sign_removal(removal.through).map_err(PurgeError::State)?;
        self.journal.mark_removed(entry, &signed)?;
        let today = now.london_day();
        let mut memory = self.memory();
        // From here on whoever asks for it hears that it was removed.
        (memory.kept.removed, memory.told_by, memory.pending) = (Some(removal), Some(entry), None);
        let earlier = memory.of_day.filter(|(day, _)| *day == today).map(|(_, passed)| passed).unwrap_or_default();
        memory.of_day = Some((today, passed.after(earlier)));
        drop(memory);
        let segments = self.journal.remove_through(removal.through)?;
        tracing::info!(through = removal.through, segments, "removed what has passed of the audit");
        Ok(Some(removal))
    }

    /// Holds every entry from the last removal up to a number against its leaf: what is not as it was signed stays, with all that
    /// would go beside it, for whoever looks into it. Once the files are gone it would read as removed, and so would a file that
    /// somebody else has taken away.
    fn compare(&self, through: u64) -> Result<(), PurgeError> {
        let go_on = || {
            std::thread::sleep(REST);
            !self.stop.load(Ordering::Acquire)
        };
        let mut from = self.memory().kept.removed.map_or(1, |removed| removed.through.saturating_add(1));
        for segment in self.journal.closed_segments().into_iter().take_while(|segment| segment.last <= through) {
            let first = std::mem::replace(&mut from, segment.last.saturating_add(1)).min(segment.first);
            match self.tree.compare(&self.journal, (first, segment.last), &go_on) {
                Ok(Compared::Same) => {}
                Ok(Compared::Differs { entry }) => return Err(Held::Differs { entry }.into()),
                Ok(Compared::Stopped) => return Err(PurgeError::NotTaken),
                Err(error) => {
                    tracing::warn!(%error, first = segment.first, "what has passed of the audit cannot be compared with its tree");
                    return Err(Held::Differs { entry: segment.first }.into());
                }
            }
        }
        Ok(())
    }

    /// Removes what an earlier run has told of and left behind, once it is known again that the telling is signed. It was held
    /// against its leaves before it was told of.
    fn finish(&self) -> Result<(), PurgeError> {
        let (removed, told_by) = {
            let memory = self.memory();
            (memory.kept.removed, memory.told_by)
        };
        let (Some(removed), Some(entry)) = (removed, told_by) else { return Ok(()) };
        let left = self.journal.closed_segments().first().is_some_and(|oldest| oldest.last <= removed.through);
        if left && self.tree.has_signed(entry) {
            let segments = self.journal.remove_through(removed.through)?;
            tracing::info!(through = removed.through, segments, "removed what an earlier run left of the audit");
        }
        Ok(())
    }

    /// The segments that have passed: an unbroken row from the oldest on, of which every entry, and every one before it, is older
    /// than `before`, and so is the first after it. So a clock that was behind for a while makes nothing old: what stands before or
    /// after tells of it. Ends as soon as no more may go: a clock that is far ahead makes all of the audit old, and nobody reads all
    /// of it every hour to be told so.
    fn passed(&self, now: Moment, before: Moment) -> Result<Passed, PurgeError> {
        let needed_from = self.needed_from();
        let (mut newest, mut passed) = (Moment(i64::MIN), Passed::default());
        let closed = self.journal.closed_segments();
        let closed_bytes: u64 = closed.iter().map(|segment| segment.bytes).sum();
        for segment in closed {
            let after = self.first_after(now, segment.last)?;
            if segment.last >= needed_from || after.is_none_or(|at| at >= before) {
                break;
            }
            newest = newest.max(self.newest_in(now, &segment)?);
            if newest >= before {
                break;
            }
            passed = passed.plus(&segment);
            self.guarded(now, passed, closed_bytes)?;
        }
        if passed.segments > 0 && self.tree.signed_through() < passed.through {
            let what =
                "the audit's tree is not signed over what has passed, so that nothing could show that it was removed";
            return Err(PurgeError::State(what.to_owned()));
        }
        Ok(passed)
    }

    /// The first number that is still to be read. Whatever follows the audit, or is made anew from it at a start, has its place
    /// here: access history and notifications. Openings, their queue and their limits, and flags are rows of the state; the watch
    /// of use is made anew from the last days alone, a year of them at most; the tree holds its own leaves, and is asked for what it
    /// has signed.
    fn needed_from(&self) -> u64 {
        self.progress.derived_through.load(Ordering::Acquire).saturating_add(1)
    }

    /// When the first entry after a number was made.
    fn first_after(&self, now: Moment, number: u64) -> Result<Option<Moment>, PurgeError> {
        let read = self.read(number.saturating_add(1), u64::MAX, 1)?;
        Ok(read.first().map(|dated| not_ahead(now, *dated)).transpose()?)
    }

    /// The latest moment at which an entry of a segment was made.
    fn newest_in(&self, now: Moment, segment: &ClosedSegment) -> Result<Moment, PurgeError> {
        let (mut newest, mut from) = (Moment(i64::MIN), segment.first);
        while from <= segment.last {
            if self.stop.load(Ordering::Acquire) {
                return Err(PurgeError::NotTaken);
            }
            let read = self.read(from, segment.last, READ_AT_ONCE)?;
            let Some((last, _)) = read.last() else { break };
            from = last.saturating_add(1);
            for dated in read {
                newest = newest.max(not_ahead(now, dated)?);
            }
        }
        Ok(newest)
    }

    /// Numbers of entries from one number to another, at most so many, and when each was made. One that cannot be read stands in
    /// the way of all after it.
    fn read(&self, from: u64, through: u64, limit: usize) -> Result<Vec<(u64, Moment)>, Held> {
        let unread = |entry| Held::Blocked { entry, what: "cannot be read" };
        let read = self.journal.read_from(from, limit).map_err(|error| {
            // The journal says of one alone which it is.
            if let JournalError::Sealed { sequence } = error { unread(sequence) } else { unread(from) }
        })?;
        let wanted = read.iter().take_while(|(reference, _)| reference.sequence <= through);
        let dated = wanted.map(|(reference, plain)| match decode::<AuditEntry>(plain) {
            Ok(entry) => Ok((reference.sequence, entry.at)),
            Err(_) => Err(unread(reference.sequence)),
        });
        dated.collect()
    }

    /// Stops where the clock is ahead of what senders tell of, or too much would go on one day; a person lifts both.
    fn guarded(&self, now: Moment, passed: Passed, closed_bytes: u64) -> Result<(), Held> {
        let today = now.london_day();
        if self.guard.is_accepted(today) {
            return Ok(());
        }
        let told_at = Moment(self.progress.told_at.load(Ordering::Acquire));
        if let Some(held) = self.guard.ahead(now, told_at) {
            return Err(held);
        }
        let before = self.memory().of_day.filter(|(day, _)| *day == today).map(|(_, passed)| passed);
        self.guard.check_audit(before.unwrap_or_default(), passed, closed_bytes)
    }

    /// Whether something was removed on this day before the last start. How much it was nothing tells any more, so that the day's
    /// share counts as gone: starts, however many, do not make it larger.
    fn is_spent(&self, today: Day) -> bool {
        let memory = self.memory();
        let removed_today = memory.kept.removed.is_some_and(|removed| removed.at.london_day() == today);
        let known = memory.of_day.is_some_and(|(day, _)| day == today);
        removed_today && !known && !self.guard.is_accepted(today)
    }

    /// Before which moment all that is removed was made, with what was removed earlier: fewer days may have been configured then. Where
    /// it is not known what that was, no better is known than that it was made before now.
    fn made_before(&self, now: Moment, before: Moment) -> Moment {
        let from_the_first = self.journal.closed_segments().first().is_some_and(|oldest| oldest.first == 1);
        match self.memory().kept.removed {
            Some(earlier) => before.max(earlier.before),
            None if from_the_first => before,
            None => now,
        }
    }

    /// The segments up to a number.
    fn closed_through(&self, through: u64) -> Passed {
        let closed = self.journal.closed_segments();
        closed.iter().take_while(|segment| segment.last <= through).fold(Passed::default(), Passed::plus)
    }

    /// Writes the entry that tells of a removal. What was told of before, and could not be done yet, is not told anew: whatever an
    /// entry tells of, its loss is excused once that is signed.
    fn tell(&self, removal: AuditRemoval) -> Result<(u64, AuditRemoval), PurgeError> {
        let pending = self.memory().pending;
        if let Some((entry, told)) = pending
            && told.through <= removal.through
            && !self.is_lost(entry)
        {
            return Ok((entry, told));
        }
        let AuditRemoval { through, at, before } = removal;
        let decision = Decision::AuditRemoved { through, leaves: self.tree.leaves(), before };
        let bytes = encode(&AuditEntry::of_service(at, decision))?;
        let entry = self.journal.append(&bytes)?.sequence;
        self.memory().pending = Some((entry, removal));
        Ok((entry, removal))
    }

    /// Whether the tree was signed without an entry: it was given up, and tells nobody of anything.
    fn is_lost(&self, entry: u64) -> bool {
        self.tree.signed_through() >= entry && !self.tree.has_signed(entry)
    }

    /// Waits until an entry is under a signed head.
    fn wait_for_head(&self, entry: u64) -> Result<(), PurgeError> {
        let mut waited = Duration::ZERO;
        while !self.tree.has_signed(entry) {
            if self.stop.load(Ordering::Acquire) {
                return Err(PurgeError::NotTaken);
            }
            if waited >= SIGN_LIMIT {
                let what = "that something of the audit is to be removed is under no signed head yet";
                return Err(PurgeError::State(what.to_owned()));
            }
            std::thread::sleep(LOOK_EVERY);
            waited += LOOK_EVERY;
        }
        Ok(())
    }

    /// Notes why nothing is removed. A new reason is told once, as an error.
    fn note(&self, outcome: &Result<Option<AuditRemoval>, PurgeError>) {
        let mut memory = self.memory();
        match outcome {
            Ok(_) => memory.kept.held = None,
            Err(PurgeError::Held(held)) => {
                if memory.kept.held.is_none_or(|known| !known.is_same_kind(*held)) {
                    tracing::error!(%held, "nothing of the audit is removed until someone has looked");
                }
                memory.kept.held = Some(*held);
            }
            Err(PurgeError::State(_) | PurgeError::NotTaken) => {}
        }
    }

    /// Looks how much is kept, and since when.
    fn measure(&self) {
        let closed_bytes: u64 = self.journal.closed_segments().iter().map(|segment| segment.bytes).sum();
        let oldest_at = self.read(1, u64::MAX, 1).ok().and_then(|read| read.first().map(|(_, at)| *at));
        let mut memory = self.memory();
        (memory.kept.closed_bytes, memory.kept.oldest_at) = (closed_bytes, oldest_at);
    }
}

/// When an entry was made, unless it is dated ahead of the clock: then it would keep itself and all after it, for as long as that
/// is, and nobody would know.
fn not_ahead(now: Moment, (entry, at): (u64, Moment)) -> Result<Moment, Held> {
    let ahead = at > now.plus_seconds(DAY_SECONDS);
    if ahead { Err(Held::Blocked { entry, what: "is dated ahead of the clock" }) } else { Ok(at) }
}

/// What an entry tells of a removal.
fn removal_in(plain: &[u8]) -> Option<AuditRemoval> {
    let entry = decode::<AuditEntry>(plain).ok()?;
    if let Decision::AuditRemoved { through, leaves: _, before } = entry.decision {
        Some(AuditRemoval { through, at: entry.at, before })
    } else {
        None
    }
}

/// The last removal, and the entry that tells of it. The mark says where to look; only an entry that tells it is believed, of a removal
/// that the log's key has signed, so that whoever can write to the disk, with the key that seals or without it, makes nothing read as
/// removed, and has nothing removed.
fn last_told(journal: &Journal, tree: &AuditTree) -> Option<(u64, AuditRemoval)> {
    let entry = journal.removal_mark()?;
    let read = journal.read_from(entry, 1).unwrap_or_default();
    let plain = read.into_iter().find_map(|(reference, plain)| (reference.sequence == entry).then_some(plain));
    let removal = plain.and_then(|plain| removal_in(&plain));
    if removal.is_none() {
        tracing::error!(entry, "the mark of what was removed from the audit names no entry that tells of it");
    }
    let removal = removal?;
    if removal.through > tree.removal_through(journal) {
        tracing::error!(
            entry,
            "an entry tells that some of the audit was removed, and that is not signed: nothing reads as removed"
        );
        return None;
    }
    Some((entry, removal))
}

impl From<JournalError> for PurgeError {
    fn from(error: JournalError) -> Self {
        Self::State(error.to_string())
    }
}

impl From<AuditError> for PurgeError {
    fn from(error: AuditError) -> Self {
        Self::State(error.to_string())
    }
}

impl From<CodecError> for PurgeError {
    fn from(error: CodecError) -> Self {
        Self::State(error.to_string())
    }
}

impl Engine {
    /// Removes what of the audit has passed by `now`; gives what was removed, `None` when nothing was. Blocks until the entry that
    /// tells of it is signed; what runs by itself calls the same.
    ///
    /// # Errors
    /// [`PurgeError::Held`] when it stopped by itself; nothing was removed then.
    pub fn retain_audit(&self, now: Moment) -> Result<Option<AuditRemoval>, PurgeError> {
        self.purger.audit.retain(now)
    }

    /// What of the audit is kept, and what was removed.
    #[must_use]
    pub fn audit_kept(&self) -> AuditKept {
        self.purger.audit.kept()
    }
}

#[cfg(test)]
mod tests;
