//! The audit journal: files of their own beside RocksDB, so that no lookup waits behind a feed's sync.
//! Entries go to the primary sink, or to the spill when that fails; a thread per sink syncs them. It never drops
//! an entry without saying so, never writes again to a segment whose sync failed, and never holds its lock in the kernel.

mod append;
mod clock;
pub(crate) mod format;
mod handing;
mod late;
mod locked;
mod read;
pub(crate) mod reader;
pub(crate) mod recover;
pub(crate) mod remove;
mod settle;
mod state;
mod survey;
mod turn;
mod types;
mod verify;
mod work;

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

pub use append::{Appended, Later};
pub use clock::{Monotonic, SystemMonotonic};
#[cfg(test)]
pub(crate) use format::encode_entry;
pub use late::Follower;
pub use read::Stretch;
pub use survey::JournalSurvey;
pub(crate) use types::JOURNAL_ID;
pub use types::{
    Accounted, AuditError, AuditMode, AuditRef, AuditRefError, ClosedSegment, Gap, GapCause, JournalError,
    JournalOptions, MAX_ENTRY_BYTES, Recovered, Removal, Sink, Times, Told, Window,
};
pub use verify::{JournalFault, JournalReport, TellsOf};
pub(crate) use verify::{entries_in, segments_of};

use crate::disk::{Disk, RealDisk, create_dir_durably};
use crate::histogram::Histogram;
use crate::keys::Keys;
use format::Header;
use locked::Locked;
use state::State;

/// How long closing waits for the last syncs, on the system's clock.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// What the threads and the callers share.
struct Shared {
    state: Mutex<State>,
    keys: Arc<Keys>,
    clock: Arc<dyn Monotonic>,
    disk: Arc<dyn Disk>,
    header: Header,
    primary_dir: std::path::PathBuf,
    spill_dir: std::path::PathBuf,
    strict: bool,
    fail_after: Duration,
    /// The number that the next entry will most likely get.
    next_hint: AtomicU64,
    /// Whether an entry is being written, as far as can be told without the lock.
    turn_hint: AtomicBool,
    wake_primary: Condvar,
    wake_spill: Condvar,
    wake_primary_writer: Condvar,
    wake_spill_writer: Condvar,
    tick: Condvar,
    drained: Condvar,
    /// Grows whenever a verdict may have changed.
    progress: watch::Sender<u64>,
    /// From an entry's turn until its answer might leave.
    accepted: Histogram,
}

impl Shared {
    fn lock(&self) -> Locked<'_> {
        Locked::new(&self.state)
    }

    fn dir(&self, sink: Sink) -> &Path {
        match sink {
            Sink::Primary => &self.primary_dir,
            Sink::Spill => &self.spill_dir,
        }
    }

    fn wake(&self, sink: Sink) -> &Condvar {
        match sink {
            Sink::Primary => &self.wake_primary,
            Sink::Spill => &self.wake_spill,
        }
    }

    fn wake_writer(&self, sink: Sink) -> &Condvar {
        match sink {
            Sink::Primary => &self.wake_primary_writer,
            Sink::Spill => &self.wake_spill_writer,
        }
    }

    /// Shows what may be known without the lock.
    fn hint(&self, state: &State) {
        self.next_hint.store(state.next_sequence, Ordering::Relaxed);
        self.turn_hint.store(state.turn.is_some(), Ordering::Release);
    }

    /// Wakes the tasks that wait for a verdict or for their turn. They subscribe before they look, under the lock, so one
    /// that is not counted here has seen what changed.
    fn wake_waiting(&self) {
        if self.progress.receiver_count() > 0 {
            self.progress.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    fn stop(&self) {
        self.lock().stopped = true;
        for sink in Sink::ALL {
            self.wake(sink).notify_all();
            self.wake_writer(sink).notify_all();
        }
        self.tick.notify_all();
        self.wake_waiting();
    }
}

/// The open audit journal. Shared by all who answer.
pub struct Journal {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Held for as long as the journal is open; the locks go with the files.
    _locks: Vec<File>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("synced_through", &self.synced_through()).finish_non_exhaustive()
    }
}

impl Drop for Journal {
    /// Ends the threads without a mark of a clean end: only [`Journal::close`] makes one.
    fn drop(&mut self) {
        self.shared.stop();
    }
}

impl Journal {
    /// Opens the journal in its two directories, making them when missing, and begins a new segment in each.
    /// `floor` is a number known to have been given (0 when none), `boot_id` names the machine's boot.
    ///
    /// # Errors
    /// When a directory cannot be read, is open elsewhere, was sealed with other keys or by a newer version, or
    /// when neither sink takes entries.
    pub fn open(
        options: JournalOptions,
        keys: Arc<Keys>,
        floor: u64,
        boot_id: &str,
        clock: Arc<dyn Monotonic>,
    ) -> Result<(Arc<Self>, Recovered), JournalError> {
        Self::open_on(Arc::new(RealDisk), options, keys, floor, boot_id, clock)
    }

    pub(crate) fn open_on(
        disk: Arc<dyn Disk>,
        options: JournalOptions,
        keys: Arc<Keys>,
        floor: u64,
        boot_id: &str,
        clock: Arc<dyn Monotonic>,
    ) -> Result<(Arc<Self>, Recovered), JournalError> {
        check_options(&options)?;
        let dirs = [options.primary.as_path(), options.spill.as_path()];
        let mut locks = Vec::new();
        for (sink, dir) in Sink::ALL.into_iter().zip(dirs) {
            create_dir_durably(dir)?;
            locks.push(lock(dir, sink)?);
        }
        let boot_id = format::boot_id(boot_id);
        let found = recover::recover(dirs, &keys, floor, boot_id)?;
        let recovered = found.recovered;
        let mut state = State::new(options.clone(), found.next_sequence, found.next_index, found.segments);
        state.torn = found.torn;
        let header = Header { first_sequence: found.next_sequence, resumes_after: recovered.last_sequence, boot_id };
        let shared = Arc::new(Shared {
            keys,
            clock,
            disk,
            header,
            primary_dir: options.primary.clone(),
            spill_dir: options.spill.clone(),
            strict: options.mode == AuditMode::Strict,
            fail_after: options.fail_after,
            next_hint: AtomicU64::new(found.next_sequence),
            turn_hint: AtomicBool::new(false),
            state: Mutex::new(state),
            wake_primary: Condvar::new(),
            wake_spill: Condvar::new(),
            wake_primary_writer: Condvar::new(),
            wake_spill_writer: Condvar::new(),
            tick: Condvar::new(),
            drained: Condvar::new(),
            progress: watch::Sender::new(0),
            accepted: Histogram::default(),
        });
        prepare_sinks(&shared)?;
        let journal = Arc::new(Self { threads: Mutex::new(start(&shared)?), shared, _locks: locks });
        Ok((journal, recovered))
    }

    /// The first number that this opening could give.
    #[must_use]
    pub fn first_of_opening(&self) -> u64 {
        self.shared.header.first_sequence
    }

    /// Every entry up to this number is on disk, or was given up and is among the gaps.
    #[must_use]
    pub fn synced_through(&self) -> u64 {
        self.shared.lock().synced_through()
    }

    /// The state of the journal, for status and metrics.
    #[must_use]
    pub fn window(&self) -> Window {
        let state = self.shared.lock();
        Window {
            last_ms: whole_ms(state.last_window),
            max_ms: whole_ms(state.max_window),
            unsynced: state.unsynced_count(),
            sink: state.current_sink(),
            closed_segments: state.closed_segments,
            given_up: state.given_up_count(),
        }
    }

    /// Whether an entry would be taken now, as far as can be told without one: that a disk fails at its next write is known
    /// when it has.
    #[must_use]
    pub fn takes_entries(&self) -> bool {
        let now = self.shared.clock.now();
        let mut state = self.shared.lock();
        let takes = state.would_take(now);
        self.shared.hint(&state);
        takes
    }

    /// How long entries took since the journal was opened.
    #[must_use]
    pub fn times(&self) -> Times {
        Times { accepted: self.shared.accepted.read(), unsynced: self.shared.lock().windows.read() }
    }

    /// Gaps that arose since the last call because a sync failed or hung. The caller writes each as an entry
    /// and announces it.
    #[must_use]
    pub fn take_gaps(&self) -> Vec<Gap> {
        self.shared.lock().take_gaps()
    }

    /// Ranges, first and last number, that were given up and passed over by whoever follows the journal, and whose sync came
    /// back well after all since this follower's last call: what is derived from entries is to be derived from these too.
    #[must_use]
    pub fn take_late(&self, follower: Follower) -> Vec<(u64, u64)> {
        self.shared.lock().late.take(follower)
    }

    /// Takes no more entries, syncs what there is, ends the threads and marks the end as clean.
    ///
    /// # Errors
    /// [`JournalError::Unsynced`] when not everything is known to be on disk: then there is no mark, and the next
    /// opening reports a gap. [`JournalError::Io`] when no sink took the mark.
    pub fn close(&self) -> Result<(), JournalError> {
        self.end(true)
    }

    /// As [`Journal::close`], without the mark: an entry was never handed to it that had to be, so the next opening reports a gap.
    ///
    /// # Errors
    /// [`JournalError::Unsynced`] when not everything is known to be on disk.
    pub fn close_unmarked(&self) -> Result<(), JournalError> {
        self.end(false)
    }

    fn end(&self, marked: bool) -> Result<(), JournalError> {
        let limit = clock::Deadline::after(CLOSE_LIMIT);
        let mut state = self.shared.lock();
        if state.closing {
            return Ok(());
        }
        state.closing = true;
        for sink in Sink::ALL {
            self.shared.wake(sink).notify_all();
        }
        while state.is_syncing()
            && let Some(left) = limit.left()
        {
            state = state.wait(&self.shared.drained, Some(left));
        }
        let unsynced = state.unsynced_count() + state.given_up_count();
        let last = state.catalogue.last().map_or(0, |segment| segment.last);
        let marker = recover::Marker { last, next: state.next_sequence };
        drop(state);
        self.shared.stop();
        if unsynced > 0 {
            // A thread may hang in the kernel: it is not waited for.
            return Err(JournalError::Unsynced { unsynced });
        }
        for thread in self.threads.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ended = thread.join();
        }
        for unused in Sink::ALL.map(|sink| self.shared.lock().sink_mut(sink).standby.take()).into_iter().flatten() {
            let _gone_or_not = std::fs::remove_file(&unused.path);
        }
        if !marked {
            return Ok(());
        }
        let marks = Sink::ALL.map(|sink| recover::write_marker(self.shared.dir(sink), marker));
        let [primary, spill] = marks;
        Ok(primary.or(spill)?)
    }
}

fn check_options(options: &JournalOptions) -> Result<(), JournalError> {
    if options.primary == options.spill {
        return Err(JournalError::Options("primary and spill must be different directories"));
    }
    if options.sync_interval.is_zero() || options.wait_after >= options.fail_after {
        return Err(JournalError::Options("expected sync_interval > 0 and wait_after < fail_after"));
    }
    if options.segment_bytes < 2 * MAX_ENTRY_BYTES as u64 {
        return Err(JournalError::Options("expected segment_bytes of at least two entries"));
    }
    Ok(())
}

/// The file by whose lock a sink is one journal's alone. It stays, and so marks a directory that was ever a sink.
fn lock_path(dir: &Path) -> PathBuf {
    dir.join("lock")
}

/// One journal per directory, over all processes.
fn lock(dir: &Path, sink: Sink) -> Result<File, JournalError> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(lock_path(dir))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::Locked(sink)),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Makes the first segment of each sink; one of the two is enough to begin.
fn prepare_sinks(shared: &Shared) -> Result<(), JournalError> {
    let mut ready = false;
    for sink in Sink::ALL {
        let now = shared.clock.now();
        let (id, index) = {
            let mut state = shared.lock();
            state.next_segment += 1;
            state.next_index += 1;
            (state.next_segment - 1, state.next_index - 1)
        };
        let made = shared.make_segment(id, sink, recover::segment_path(shared.dir(sink), index));
        ready |= made.is_ok();
        shared.lock().prepared(sink, made, now);
    }
    if ready { Ok(()) } else { Err(JournalError::NoSink) }
}

fn start(shared: &Arc<Shared>) -> Result<Vec<JoinHandle<()>>, JournalError> {
    let spawn = |name: &str, run: fn(&Shared)| {
        let shared = Arc::clone(shared);
        std::thread::Builder::new().name(name.to_owned()).spawn(move || run(&shared))
    };
    let threads = [
        ("kith-audit-1", (|shared| shared.run_sink(Sink::Primary)) as fn(&Shared)),
        ("kith-audit-2", |shared| shared.run_sink(Sink::Spill)),
        ("kith-audit-w1", |shared| shared.run_writer(Sink::Primary)),
        ("kith-audit-w2", |shared| shared.run_writer(Sink::Spill)),
        ("kith-audit-tick", Shared::run_ticker),
    ];
    let mut started = Vec::new();
    for (name, run) in threads {
        match spawn(name, run) {
            Ok(thread) => started.push(thread),
            Err(error) => {
                shared.stop();
                return Err(error.into());
            }
        }
    }
    Ok(started)
}

/// Whole milliseconds, rounded up: a window is never told smaller than it is.
fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
