//! The engine: what is shared by the read path, the write path and the background work. Opening is in `open`.

use crate::answer_counts::{AnswerCounts, Counters};
use crate::bursts::Bursts;
use crate::feed_tally::Tally;
use crate::purge::{PurgeError, PurgeOptions, PurgeReport, PurgeStatus, Purger};
use crate::refused_rows::RefusedRows;
use crate::reseal::Resealer;
use crate::submitted::Submitted;
use crate::times::Times;
use crate::tree::{AuditTree, KeepTree};
use crate::unaudited::UnauditedLog;
use crate::under_way::{self, UnderWay};
use crate::untold::Untold;
use crate::writer::{self, Command, Progress, Teller, Verdict};
use arc_swap::ArcSwap;
use kith_domain::change::{Change, Feed};
use kith_domain::codes::OdsCode;
use kith_domain::directory::{Directory, ServiceRoles};
use kith_domain::feed_volume::ThinRule;
use kith_domain::flag::FlagRules;
use kith_domain::permit::ActionPermit;
use kith_domain::policy::Policy;
use kith_domain::refused::Refused;
use kith_domain::settings::AnswerSettings;
use kith_domain::time::Moment;
use kith_index::{Index, Sizes};
use kith_store::{Journal, JournalError, JournalOptions, Keys, Monotonic, Store, StoreOptions, TrimError, Window};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// What the engine opens with.
pub struct EngineOptions {
    /// Where the log and the state are.
    pub data_dir: PathBuf,
    /// The keys.
    pub keys: Arc<Keys>,
    /// Bounds of the store.
    pub store: StoreOptions,
    /// Sinks and times of the audit journal.
    pub journal: JournalOptions,
    /// The tree over the audit.
    pub tree: KeepTree,
    /// The machine's boot id, to tell a killed process from a power cut.
    pub boot_id: String,
    /// Settings of answers.
    pub settings: AnswerSettings,
    /// Names and numbers.
    pub directory: Arc<Directory>,
    /// Who may do what.
    pub policy: Arc<Policy>,
    /// Expected interval of an authority's feed and of an organisation's, in seconds, by code.
    pub interval_seconds: Box<dyn Fn(Feed) -> u64 + Send + Sync>,
    /// When a feed is thin.
    pub thin: ThinRule,
    /// Presentations a week of an organisation, where configured; else they are learned.
    pub expected_per_week: Box<dyn Fn(OdsCode) -> Option<u32> + Send + Sync>,
    /// The clock that ages unsynced audit entries.
    pub clock: Arc<dyn Monotonic>,
    /// The time of day, for what the engine finds by itself while running.
    pub wall_clock: crate::WallClock,
    /// How what retention has passed is removed.
    pub purge: PurgeOptions,
    /// From when on use is flagged.
    pub flags: FlagRules,
    /// Whether to give up opening: the process is to end, and loading may take longer than it has.
    pub give_up: Box<dyn Fn() -> bool + Send + Sync>,
}

/// Where everything stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Positions {
    /// Last change in the log.
    pub log_sequence: u64,
    /// Audit entries whose consequences are in the log.
    pub derived_through: u64,
    /// Audit entries on disk.
    pub synced_through: u64,
}

/// The service's core. Made by [`Engine::open`].
pub struct Engine {
    pub(crate) index: Arc<Index>,
    pub(crate) store: Arc<Store>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) tree: AuditTree,
    pub(crate) keys: Arc<Keys>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) policy: ArcSwap<Policy>,
    pub(crate) services: ArcSwap<ServiceRoles>,
    pub(crate) settings: AnswerSettings,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) purger: Arc<Purger>,
    pub(crate) purge_thread: std::sync::Mutex<Option<JoinHandle<()>>>,
    pub(crate) resealer: Arc<Resealer>,
    pub(crate) reseal_thread: std::sync::Mutex<Option<JoinHandle<()>>>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) answers: Counters,
    pub(crate) clock: Arc<dyn Monotonic>,
    pub(crate) bursts: Arc<Bursts>,
    pub(crate) refused_rows: Arc<RefusedRows>,
    pub(crate) untold: Untold,
    pub(crate) unaudited: UnauditedLog,
    pub(crate) under_way: UnderWay,
    pub(crate) feeds: std::sync::Mutex<Option<JoinHandle<()>>>,
    pub(crate) anchor: std::sync::Mutex<Option<JoinHandle<()>>>,
    pub(crate) deriver: std::sync::Mutex<Option<JoinHandle<()>>>,
    pub(crate) writer: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("positions", &self.positions()).finish_non_exhaustive()
    }
}

impl Engine {
    /// Makes changes: on disk and visible when this returns. One verdict per change, in order. A change whose fate is not
    /// known because the log failed is refused as unavailable; sending it again is idempotent. While the audit takes no entry
    /// every one is refused.
    pub async fn change(&self, permit: &ActionPermit, at: Moment, changes: Vec<Change>) -> Vec<Verdict> {
        self.hand_over(permit, at, changes).await.await
    }

    /// As [`Engine::change`], in two steps: this returns when the changes have their place in the order of all, behind what was
    /// handed over before, and what it gives is awaited for the verdicts.
    pub async fn hand_over(&self, _permit: &ActionPermit, at: Moment, changes: Vec<Change>) -> Submitted {
        match self.may_change() {
            Ok(()) if changes.is_empty() => Submitted::known(Vec::new()),
            Ok(()) => self.submit(at, changes).await,
            Err(refused) => Submitted::known(vec![Err(refused); changes.len()]),
        }
    }

    /// Whether so much waits for the writer that it has its next groups without more of those who have some there already. What they
    /// handed over beside that would be made no sooner, and everybody else would wait for it.
    #[must_use]
    pub fn has_enough_to_write(&self) -> bool {
        self.commands.max_capacity().saturating_sub(self.commands.capacity()) >= writer::ENOUGH
    }

    pub(crate) async fn submit(&self, at: Moment, changes: Vec<Change>) -> Submitted {
        let count = changes.len();
        let (reply, verdicts) = oneshot::channel();
        let (teller, carried) = oneshot::channel();
        let teller = Teller { carried: teller, again: self.refused_rows.names_what_is_sent_again() };
        match self.commands.send(Command { at, changes, reply, carried: Some(teller) }).await {
            Ok(()) => Submitted::queued(count, verdicts, carried),
            Err(_) => Submitted::known(vec![Err(Refused::STORAGE); count]),
        }
    }

    /// Counts rows or events of a feed that were refused, `matched` of them with a number and a birth date that match.
    /// Written into the log within a second, behind the acknowledgements.
    pub fn feed_refused(&self, feed: Feed, refused: u64, matched: u64) {
        self.tally.refused(&self.index, feed, refused, matched);
    }

    /// Notes that a batch of a feed (a file, a stream, a call) was taken whole.
    pub fn feed_taken_whole(&self, feed: Feed) {
        self.tally.taken_whole(&self.index, feed);
    }

    /// Names and numbers.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Who may do what now.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        self.policy.load_full()
    }

    /// Puts another policy in force, for every request that is decided from now on.
    pub fn set_policy(&self, policy: Arc<Policy>) {
        self.policy.store(policy);
    }

    /// Who may call beside those whom the directory knows. Nobody, before it was said.
    #[must_use]
    pub fn services(&self) -> Arc<ServiceRoles> {
        self.services.load_full()
    }

    /// Puts another list of those in force, for every request that is decided from now on.
    pub fn set_services(&self, services: Arc<ServiceRoles>) {
        self.services.store(services);
    }

    /// Settings of answers.
    #[must_use]
    pub fn settings(&self) -> &AnswerSettings {
        &self.settings
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// How much is held.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        self.index.sizes()
    }

    /// Health of every feed; tells nothing of any child.
    #[must_use]
    pub fn feeds(&self) -> &kith_domain::feed::FeedBoard {
        self.index.feeds()
    }

    /// Questions since the start.
    #[must_use]
    pub fn answer_counts(&self) -> AnswerCounts {
        self.answers.read()
    }

    /// How long things took since the start.
    #[must_use]
    pub fn times(&self) -> Times {
        let kith_store::Times { accepted, unsynced } = self.journal.times();
        Times { audit_accepted: accepted, audit_unsynced: unsynced, history_lag: self.progress.history_lag.read() }
    }

    /// Where everything stands.
    #[must_use]
    pub fn positions(&self) -> Positions {
        Positions {
            log_sequence: self.progress.log_sequence.load(Ordering::Acquire),
            derived_through: self.progress.derived_through.load(Ordering::Acquire),
            synced_through: self.journal.synced_through(),
        }
    }

    /// What the audit journal achieves.
    #[must_use]
    pub fn audit_window(&self) -> Window {
        self.journal.window()
    }

    /// Removes what retention has passed by `now`. Blocks; what runs by itself calls the same.
    ///
    /// # Errors
    /// [`PurgeError::Held`] when it stopped by itself; what had been removed before any other error stays removed.
    pub fn purge(&self, now: Moment) -> Result<PurgeReport, PurgeError> {
        self.purger.purge(now)
    }

    /// Trims the log behind a snapshot of the state, so that what was removed is in no file of the data directory any
    /// more; gives the last record that the log no longer holds. Blocks.
    ///
    /// # Errors
    /// [`TrimError`]; nothing is lost.
    pub fn trim(&self) -> Result<u64, TrimError> {
        self.purger.trim()
    }

    /// Where the purge stands.
    #[must_use]
    pub fn purge_status(&self) -> PurgeStatus {
        self.purger.status()
    }

    /// Stops in order: the background work ends, the writer takes what is queued and no more, the audit is closed with a
    /// mark, and the store is closed: nothing of it may run on while the process ends. Then the audit's last entries are taken
    /// into the tree and signed, which is not waited for long. Where a change may stand of which the audit does not tell, there is
    /// no mark and no entry of the stop, so that the next start announces a gap. In the end the log is told of every call whose entry
    /// failed and of which no line tells yet. Blocks until done.
    pub fn close(&self, at: Moment) {
        self.stop.store(true, Ordering::Release);
        self.purger.give_up();
        join(&self.purge_thread, "purging");
        join(&self.reseal_thread, "sealing anew");
        join(&self.deriver, "deriving");
        join(&self.feeds, "counting");
        join(&self.anchor, "anchoring");
        self.progress.closing.store(true, Ordering::Release);
        let (reply, _) = oneshot::channel();
        // It wakes a waiting writer; a full queue means that it is awake.
        let _woken = self.commands.try_send(Command { at, changes: Vec::new(), reply, carried: None });
        join(&self.writer, "writing");
        let all_told = self.under_way.all_told(under_way::LIMIT);
        let in_order = self.untold.hand_to(&self.journal) && all_told;
        self.refused_rows.hand_to(&self.journal);
        if let Err(error) = self.close_audit(at, in_order) {
            tracing::error!(%error, "the audit could not be closed in order");
        }
        self.store.close();
        self.tree.close();
        self.unaudited.tell_left();
    }

    fn close_audit(&self, at: Moment, in_order: bool) -> Result<(), JournalError> {
        if !in_order {
            tracing::error!("a change may stand of which the audit does not tell: the next start announces a gap");
            return self.journal.close_unmarked();
        }
        let entry = crate::AuditEntry::of_service(at, crate::Decision::Stopped);
        if let Ok(bytes) = crate::rows::encode(&entry)
            && self.journal.append(&bytes).is_err()
        {
            tracing::warn!("the stop could not be written to the audit");
        }
        self.journal.close()
    }
}

/// Waits for the end of a thread, once.
fn join(thread: &std::sync::Mutex<Option<JoinHandle<()>>>, what: &str) {
    let held = thread.lock().ok().and_then(|mut held| held.take());
    if let Some(thread) = &held {
        // It may be waiting for its next turn.
        thread.thread().unpark();
    }
    if held.is_some_and(|thread| thread.join().is_err()) {
        tracing::error!("the {what} thread ended in a panic");
    }
}
