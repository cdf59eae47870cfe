//! The tree over the audit: every synced entry becomes a leaf, in the order in which it was taken in, and the head is signed
//! every second or 1,000 entries. It shows that entries were changed, dropped, swapped or rolled back; it stops no answer
//! when it fails, and is never signed again over leaves that are not those signed before.

mod compare;
pub(crate) mod cosign;
pub(crate) mod files;
mod grow;
mod prove;
pub(crate) mod record;
mod recover;
mod removal;
mod report;
pub(crate) mod signers;
mod types;
mod verify;

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

pub use compare::Compared;
use kith_merkle::Hash;
pub use prove::Proven;
pub use report::{COSIGNED_GONE, NOT_COSIGNED, TreeReport};
pub use types::{TreeError, TreeFault, TreeOptions, TreeStatus};

use crate::disk::{Disk, RealDisk, create_dir_durably, replace_durably};
use crate::journal::{Journal, Monotonic};
use crate::priority::give_way;
use files::{TreeReader, suspected_path};
use grow::{Grower, Step};

/// Pause of the thread after each batch: short beside the second that a checkpoint may take.
const PAUSE: Duration = Duration::from_millis(20);
/// Batches taken in while closing: what is left is taken in at the next start.
const LAST_BATCHES: usize = 2;
/// How long a close waits for the thread, whose disk may hang; nothing that was answered depends on it.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);
/// How often that is looked at.
const CLOSE_LOOK: Duration = Duration::from_millis(5);
/// How long a step may take before it counts as hanging: one takes in 8,192 entries at most, in well under a second.
const HUNG_AFTER: Duration = Duration::from_secs(10);

/// What others may see.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    leaves: u64,
    covered: u64,
    /// The newest checkpoint; `None` when this growth was not signed.
    note: Option<Arc<[u8]>>,
}

/// What is known of the tree while it grows.
struct Seen {
    published: Published,
    signed_leaves: Option<u64>,
    signed_at: Duration,
    failing: bool,
    /// Since when the thread is at a step; none between two of them.
    busy_since: Option<Duration>,
    suspected: Vec<String>,
}

/// What the thread and the readers share.
pub(crate) struct Shared {
    seen: Mutex<Seen>,
    stop: AtomicBool,
    /// It was closed in order: what is left is taken in before the end.
    finish: AtomicBool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, published: Published, now: Duration) {
        let mut seen = self.lock();
        if published.note.is_some() {
            (seen.signed_leaves, seen.signed_at) = (Some(published.leaves), now);
        }
        let note = published.note.or_else(|| seen.published.note.take());
        seen.published = Published { note, ..published };
    }
}

/// The open tree. Shared by all who ask for its checkpoints and proofs.
pub struct Tree {
    shared: Arc<Shared>,
    options: TreeOptions,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Monotonic>,
    grower: Mutex<Option<Grower>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Held while a cosignature is put beside the others, with whose they are; none before it was read.
    cosigning: Mutex<Option<cosign::Brought>>,
    /// Held for as long as the tree is open or its thread runs; the lock goes with the file.
    lock: Arc<File>,
}

impl std::fmt::Debug for Tree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tree").field("status", &self.status()).finish_non_exhaustive()
    }
}

impl Drop for Tree {
    /// Ends the thread where it is, as a killed process would: only [`Tree::close`] takes in what is left.
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
    }
}

impl Tree {
    /// Opens the tree in its directory, making it when missing. Nothing grows before [`Tree::follow`].
    ///
    /// # Errors
    /// When the directory cannot be used or is open elsewhere. Faults are no errors: they are in the status, and the tree is
    /// then neither grown nor signed.
    pub fn open(options: TreeOptions, clock: Arc<dyn Monotonic>) -> Result<Arc<Self>, TreeError> {
        Self::open_on(Arc::new(RealDisk), options, clock)
    }

    fn open_on(disk: Arc<dyn Disk>, options: TreeOptions, clock: Arc<dyn Monotonic>) -> Result<Arc<Self>, TreeError> {
        create_dir_durably(&options.dir)?;
        let lock = lock(&options.dir)?;
        let now = clock.now();
        let told = recover::suspicion(&suspected_path(&options.dir))?;
        let key = options.signer.as_deref().map(kith_merkle::LogSigner::key);
        let found = recover::recover(&options.dir, &disk, key, &options.witnesses)?;
        let published = Published {
            leaves: found.grown.edge.size(),
            covered: found.grown.covered,
            note: found.note.map(Arc::from),
        };
        let signed_leaves = (found.grown.signed > 0).then_some(found.grown.signed);
        let seen = Seen { published, signed_leaves, signed_at: now, failing: false, busy_since: None, suspected: told };
        let shared =
            Arc::new(Shared { seen: Mutex::new(seen), stop: AtomicBool::new(false), finish: AtomicBool::new(false) });
        let grower = Grower::new(options.clone(), Arc::clone(&disk), Arc::clone(&shared), found.grown, now);
        let tree = Self {
            shared,
            options,
            disk,
            clock,
            grower: Mutex::new(Some(grower)),
            thread: Mutex::new(None),
            cosigning: Mutex::default(),
            lock: Arc::new(lock),
        };
        tree.suspect(&found.faults);
        Ok(Arc::new(tree))
    }

    /// Every entry up to this number is in the tree, or was passed over: the audit has had as many.
    #[must_use]
    pub fn covered_through(&self) -> u64 {
        self.shared.lock().published.covered
    }

    /// The newest checkpoint, signed.
    #[must_use]
    pub fn checkpoint(&self) -> Option<Arc<[u8]>> {
        self.shared.lock().published.note.clone()
    }

    /// The newest checkpoint with its leaves.
    #[must_use]
    pub fn signed(&self) -> Option<(u64, Arc<[u8]>)> {
        let seen = self.shared.lock();
        Some((seen.signed_leaves?, seen.published.note.clone()?))
    }

    /// Where the tree stands.
    #[must_use]
    pub fn status(&self) -> TreeStatus {
        let (seen, now) = (self.shared.lock(), self.clock.now());
        let hangs = seen.busy_since.is_some_and(|since| now.saturating_sub(since) >= HUNG_AFTER);
        TreeStatus {
            leaves: seen.published.leaves,
            covered_through: seen.published.covered,
            signed_leaves: seen.signed_leaves,
            signed_for: now.saturating_sub(seen.signed_at),
            signs: self.options.signer.is_some(),
            failing: seen.failing || hangs || self.has_lost_its_thread(),
            suspected: seen.suspected.clone(),
        }
    }

    /// Whether the thread has ended though nobody ended it.
    fn has_lost_its_thread(&self) -> bool {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.as_ref().is_some_and(JoinHandle::is_finished) && !self.shared.stop.load(Ordering::Acquire)
    }

    /// Notes faults, for this run and the next: the tree is not touched before a person has looked.
    fn suspect(&self, faults: &[TreeFault]) {
        if faults.is_empty() {
            return;
        }
        let mut seen = self.shared.lock();
        // A key is put right in the configuration, and nothing of the tree needs to be looked at then.
        let (passing, lasting): (Vec<_>, Vec<_>) =
            faults.iter().partition(|fault| matches!(fault, TreeFault::KeyChanged { .. }));
        for fault in &passing {
            tracing::error!(%fault, "nothing of the audit is signed: put back the key that signed, or move the tree away");
        }
        for fault in &lasting {
            tracing::error!(%fault, "the audit's tree is not as it was signed: it is not signed again before a person has looked");
        }
        let new: Vec<String> = lasting.iter().map(ToString::to_string).collect();
        let new: Vec<String> = new.into_iter().filter(|told| !seen.suspected.contains(told)).collect();
        seen.suspected.extend(new);
        let told: String = seen.suspected.iter().map(|line| format!("{line}\n")).collect();
        seen.suspected.extend(passing.iter().map(ToString::to_string));
        drop(seen);
        if lasting.is_empty() {
            return;
        }
        if let Err(error) = replace_durably(&suspected_path(&self.options.dir), told.as_bytes()) {
            tracing::error!(%error, "that the audit's tree is suspected could not be written down");
        }
    }

    /// Holds it against a head that the log knows of: its leaves and their root. A tree that was put back to an earlier state, or
    /// that another was put in the place of, is suspected, so that it does not grow over the evidence; one of which nothing is
    /// signed begins anew, and true is given then. It is called before [`Tree::follow`].
    #[must_use]
    pub fn hold_against(&self, known: u64, root: &Hash) -> bool {
        let seen = self.shared.lock();
        let (found, told) = (seen.signed_leaves, !seen.suspected.is_empty());
        drop(seen);
        if told {
            return false;
        }
        let Some(found) = found else { return true };
        if known > found {
            self.suspect(&[TreeFault::RolledBack { known, found }]);
            return false;
        }
        let held = TreeReader::open(&self.options.dir).and_then(|reader| recover::held_against(&reader, known, root));
        match held {
            Ok(fault) => self.suspect(fault.as_slice()),
            // A disk that fails accuses nobody.
            Err(error) => {
                tracing::error!(%error, "the audit's tree could not be held against the head that the log knows of");
            }
        }
        false
    }

    /// Whether the tree may grow over an audit whose last entry is `last`; takes whoever lets it.
    fn begin(&self, last: u64) -> Option<Grower> {
        let covered = self.covered_through();
        if covered > last {
            self.suspect(&[TreeFault::EntryMissing { first: last + 1, last: covered }]);
        }
        let suspected = !self.shared.lock().suspected.is_empty();
        let grower = self.grower.lock().unwrap_or_else(PoisonError::into_inner).take();
        grower.filter(|_| !suspected)
    }

    /// Lets the tree grow behind `journal`, in a thread of its own. `last` is the last entry that the journal held when it was
    /// opened. Where the tree or the journal is not as it was, it stays as it is.
    ///
    /// # Errors
    /// [`TreeError::Io`] when no thread can be started.
    pub fn follow(&self, journal: &Arc<Journal>, last: u64) -> Result<(), TreeError> {
        let Some(grower) = self.begin(last) else { return Ok(()) };
        if self.options.signer.is_none() {
            tracing::info!("there is no key for the audit's tree: nothing of it is signed");
        }
        let (shared, clock, journal) = (Arc::clone(&self.shared), Arc::clone(&self.clock), Arc::clone(journal));
        let lock = Arc::clone(&self.lock);
        let thread = std::thread::Builder::new().name("kith-tree".to_owned()).spawn(move || {
            give_way();
            run(&shared, grower, &journal, &*clock);
            drop(lock);
        })?;
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }

    /// Takes in what the journal still has, signs it, and ends the thread; a thread that hangs is left behind.
    pub fn close(&self) {
        self.shared.finish.store(true, Ordering::Release);
        self.shared.stop.store(true, Ordering::Release);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            thread.thread().unpark();
            let mut waited = Duration::ZERO;
            while !thread.is_finished() {
                if waited >= CLOSE_LIMIT {
                    tracing::error!("the audit's tree did not end in time: what is left is taken in at the next start");
                    return;
                }
                std::thread::sleep(CLOSE_LOOK);
                waited += CLOSE_LOOK;
            }
            if thread.join().is_err() {
                tracing::error!("the thread of the audit's tree ended in a panic");
            }
        }
    }
}

/// The life of the thread.
fn run(shared: &Shared, mut grower: Grower, journal: &Journal, clock: &dyn Monotonic) {
    let mut step = |all: bool| {
        // A disk that hangs gives no error: that the step does not end is all that there is to see.
        shared.lock().busy_since = Some(clock.now());
        let step = grower.step(journal, clock.now(), all);
        let mut seen = shared.lock();
        seen.busy_since = None;
        match step {
            Ok(step) => {
                if step == Step::Grew {
                    seen.failing = false;
                }
                step
            }
            Err(error) => {
                // Once for each trouble: it is tried again every second.
                if !std::mem::replace(&mut seen.failing, true) {
                    tracing::error!(%error, "the audit's tree does not grow: there are no new checkpoints");
                }
                Step::Idle
            }
        }
    };
    while !shared.stop.load(Ordering::Acquire) {
        step(false);
        // After each: a large audit without a tree is caught up with beside answers whose entries go to the same disk.
        std::thread::park_timeout(PAUSE);
    }
    for _ in 0..LAST_BATCHES {
        if !shared.finish.load(Ordering::Acquire) || step(true) == Step::Idle {
            return;
        }
    }
}

/// One tree per directory, over all processes.
fn lock(dir: &Path) -> Result<File, TreeError> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(dir.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(TreeError::Locked),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
