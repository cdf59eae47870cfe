//! The start: store, state into the index, audit journal, writer, background work. Nothing is answered before it returns.

use crate::anchor::Anchor;
use crate::answer_counts::Counters;
use crate::apply::apply;
use crate::audit_entry::{AuditEntry, Decision};
use crate::derive::Deriver;
use crate::engine::{Engine, EngineOptions};
use crate::feed_tally::{FeedWatch, Tally};
use crate::gaps::Gaps;
use crate::keys;
use crate::loading::load;
use crate::purge::Purger;
use crate::refused_rows::RefusedRows;
use crate::reseal::Resealer;
use crate::rows::{CodecError, MetaRow, decode, encode};
use crate::tree::AuditTree;
use crate::unaudited::UnauditedLog;
use crate::under_way::UnderWay;
use crate::untold::Untold;
use crate::watcher::{Standing, Watcher};
use crate::working::{Empty, StateError, Working};
use crate::writer::{Command, Held, Progress, Writer, channel};
use arc_swap::ArcSwap;
use kith_domain::change::{Accessed, AuditHead, Change, Feed, LogRecord};
use kith_domain::feed::FeedBoard;
use kith_domain::flag::FlagRules;
use kith_domain::time::Moment;
use kith_index::Index;
use kith_store::{
    AuditError, Batch, Journal, JournalError, JournalOptions, Keys, Monotonic, Recovered, Store, StoreError, Table,
};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use tokio::sync::mpsc::Receiver;

/// Called once when the change log failed beyond repair: the process must end.
pub type OnFatal = Arc<dyn Fn(&str) + Send + Sync>;

/// The time of day, for what the engine finds by itself while running; passed in, so that tests decide it.
pub type WallClock = Arc<dyn Fn() -> Moment + Send + Sync>;

/// Why the engine cannot start. The service then gives no answers and says so.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The store cannot be opened, or is behind what was acknowledged.
    #[error(transparent)]
    Open(#[from] kith_store::OpenError),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A row cannot be decoded.
    #[error("{0}")]
    Codec(String),
    /// Fewer or more records than are held.
    #[error("load: {loaded} records, expected {expected}")]
    Counts {
        /// Records loaded.
        loaded: u64,
        /// Records that the state says it holds.
        expected: u64,
    },
    /// Loading was given up because the process is to end.
    #[error("load: given up, the service is stopping")]
    GivenUp,
    /// The store is empty beside an audit that is not: another directory, or a disk that is not mounted.
    #[error("open store: it is empty, and the audit holds entries up to {audited}")]
    StoreGone {
        /// The last audit entry.
        audited: u64,
    },
    /// The store is empty, or not there, beside an audit that its new keys do not open: likewise.
    #[error("open store: it is empty, and the audit beside it was sealed with other keys")]
    AuditOfAnother,
    /// The first record could not be written.
    #[error(transparent)]
    Commit(#[from] kith_store::CommitError),
    /// The audit journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The audit journal takes no entry.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// A thread cannot be started.
    #[error("start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

impl EngineError {
    /// Stable reason for readers: why there are no answers.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Open(kith_store::OpenError::DataLossSuspected { .. })
            | Self::Counts { .. }
            | Self::StoreGone { .. }
            | Self::AuditOfAnother => "DATA_LOSS_SUSPECTED",
            Self::Open(error) if error.is_of_keys() => "KEY_UNUSABLE",
            Self::Open(_) | Self::Store(_) | Self::Codec(_) | Self::Commit(_) | Self::Thread(_) => "STORE_UNAVAILABLE",
            Self::GivenUp => "LOADING",
            Self::Journal(_) | Self::Audit(_) => "AUDIT_UNAVAILABLE",
        }
    }
}

impl From<CodecError> for EngineError {
    fn from(error: CodecError) -> Self {
        Self::Codec(error.to_string())
    }
}

impl Engine {
    /// Opens everything, reads the state into the index and starts the background work. Blocks; takes as long as the
    /// state is large.
    ///
    /// # Errors
    /// [`EngineError`]: nothing may be answered.
    pub fn open(options: EngineOptions, now: Moment, on_fatal: OnFatal) -> Result<Self, EngineError> {
        let (store, index, meta) = loaded(&options, now)?;
        let tree = AuditTree::open(options.tree, &options.clock, anchored(&store)?);
        let given = (&options.keys, &options.clock, options.boot_id.as_str());
        let (journal, recovered) = audit(options.journal, given, meta.derived_through.max(tree.floor()), &store)?;
        let meta = begin(&store, &options.keys, meta, recovered.last_sequence, now)?;
        let (progress, watcher) = begun(&store, &meta, recovered.last_sequence, (options.flags, &options.keys))?;
        let ((commands, received), stop, tally) = (channel(), Arc::<AtomicBool>::default(), Arc::<Tally>::default());
        let held = Held { index: Arc::clone(&index), store: Arc::clone(&store), progress: Arc::clone(&progress) };
        let writer = writing((held, meta), (&options.keys, &on_fatal), received)?;
        let gaps = announce(&journal, &tree, &recovered, now)?;
        let held = (Arc::clone(&options.keys), Arc::clone(&store), Arc::clone(&index));
        let shared = (held, commands.clone(), Arc::clone(&progress), Arc::clone(&stop));
        let purger = Purger::new(shared, (options.settings.retention(), options.purge), (&journal, &tree), &on_fatal);
        let (purging, resealing) = aside(purger, &options.wall_clock, &options.clock)?;
        let deriver = Deriver {
            journal: Arc::clone(&journal),
            commands: commands.clone(),
            progress: Arc::clone(&progress),
            stop: Arc::clone(&stop),
            clock: Arc::clone(&options.clock),
            wall_clock: Arc::clone(&options.wall_clock),
            gaps: RefCell::new(gaps),
            watcher: RefCell::new(watcher),
            read_again_days: options.flags.read_again_days,
        };
        let deriver = spawn("kith-derive", &on_fatal, move || behind(|| deriver.run()))?;
        let shared = (Arc::clone(&tally), Arc::clone(&index), commands.clone(), Arc::clone(&stop));
        let feeds = counting(FeedWatch::new(shared, Arc::clone(&options.wall_clock)), &on_fatal)?;
        let shared = (commands.clone(), Arc::clone(&stop), Arc::clone(&options.clock), Arc::clone(&options.wall_clock));
        let anchor = anchoring(Anchor::new(tree.clone(), shared, anchored(&store)?), &on_fatal)?;
        Ok(Self {
            index,
            store,
            journal,
            tree,
            keys: options.keys,
            directory: options.directory,
            policy: ArcSwap::new(options.policy),
            services: ArcSwap::default(),
            settings: options.settings,
            commands,
            progress,
            stop,
            purger: purging.0,
            purge_thread: std::sync::Mutex::new(purging.1),
            resealer: resealing.0,
            reseal_thread: std::sync::Mutex::new(Some(resealing.1)),
            tally,
            answers: Counters::default(),
            unaudited: UnauditedLog::new(Arc::clone(&options.clock)),
            clock: options.clock,
            bursts: Arc::default(),
            refused_rows: Arc::new(RefusedRows::new(options.wall_clock, recovered.gap.is_some())),
            untold: Untold::default(),
            under_way: UnderWay::default(),
            feeds: std::sync::Mutex::new(Some(feeds)),
            anchor: std::sync::Mutex::new(Some(anchor)),
            deriver: std::sync::Mutex::new(Some(deriver)),
            writer: std::sync::Mutex::new(Some(writer)),
        })
    }
}

/// Opens the store and reads its state into the index.
fn loaded(options: &EngineOptions, now: Moment) -> Result<(Arc<Store>, Arc<Index>, MetaRow), EngineError> {
    let store = Arc::new(store(options)?);
    let index = Arc::new(Index::new(board(options)));
    let meta = load(&store, &index, now, options.give_up.as_ref())?;
    Ok((store, index, meta))
}

/// Opens the store; nothing is written where all of it is gone. Beside an audit a new keyring would be taken for the one that
/// is not there, and copied over the copies of that one.
fn store(options: &EngineOptions) -> Result<Store, EngineError> {
    let sinks = [options.journal.primary.as_path(), options.journal.spill.as_path()];
    if options.keys.are_new() && Journal::has_entries(sinks)? {
        return Err(EngineError::AuditOfAnother);
    }
    Ok(Store::open(&options.data_dir, Arc::clone(&options.keys), options.store)?)
}

/// Opens the audit journal. A store without a record has made its keys just now: an audit that they do not open was written
/// beside another one.
fn audit(
    journal: JournalOptions,
    (keys, clock, boot_id): (&Arc<Keys>, &Arc<dyn Monotonic>, &str),
    floor: u64,
    store: &Store,
) -> Result<(Arc<Journal>, Recovered), EngineError> {
    Journal::open(journal, Arc::clone(keys), floor, boot_id, Arc::clone(clock)).map_err(|error| {
        if matches!(error, JournalError::KeyMismatch) && store.head().sequence == 0 {
            return EngineError::AuditOfAnother;
        }
        error.into()
    })
}

/// Where everything stands, for readers and for the watch of use.
fn begun(
    store: &Store,
    meta: &MetaRow,
    audited_through: u64,
    (rules, secrets): (FlagRules, &Arc<Keys>),
) -> Result<(Arc<Progress>, Watcher), EngineError> {
    let bytes = store.get(Table::Flag, keys::FLAG_MARK)?;
    let mark = bytes.map(|bytes| decode(&bytes)).transpose()?;
    let standing = Standing { mark, derived_through: meta.derived_through, audited_through };
    let progress = Arc::new(Progress::begin(store, meta, standing.unreviewed())?);
    Ok((progress, Watcher::begin(rules, Arc::clone(secrets), standing)))
}

fn writing(
    (held, meta): (Held, MetaRow),
    (keys, on_fatal): (&Arc<Keys>, &OnFatal),
    commands: Receiver<Command>,
) -> std::io::Result<JoinHandle<()>> {
    let (keys, progress) = (Arc::clone(keys), Arc::clone(&held.progress));
    let writer = Writer { held, keys, meta, progress, on_fatal: Arc::clone(on_fatal) };
    let work = move || {
        // It waits for a disk in any case, and takes its time for history and files.
        kith_store::stand_back();
        writer.run(commands);
    };
    spawn("kith-writer", on_fatal, work)
}

fn counting(watch: FeedWatch, on_fatal: &OnFatal) -> std::io::Result<JoinHandle<()>> {
    spawn("kith-feeds", on_fatal, move || watch.run())
}

fn anchoring(anchor: Anchor, on_fatal: &OnFatal) -> std::io::Result<JoinHandle<()>> {
    spawn("kith-anchor", on_fatal, move || behind(|| anchor.run()))
}

/// The head of the audit's tree that the log knows of.
fn anchored(store: &Store) -> Result<Option<AuditHead>, EngineError> {
    Ok(store.get(Table::Meta, keys::AUDIT_HEAD)?.map(|bytes| decode(&bytes)).transpose()?)
}

/// The purge with its thread, if it has one, and what follows a rotation of the data key with its own.
type Aside = ((Arc<Purger>, Option<JoinHandle<()>>), (Arc<Resealer>, JoinHandle<()>));

fn aside(purger: Purger, wall_clock: &WallClock, clock: &Arc<dyn Monotonic>) -> std::io::Result<Aside> {
    let purging = purging(purger, wall_clock)?;
    let resealing = resealing(&purging.0, clock)?;
    Ok((purging, resealing))
}

/// Starts the purge, where it is to run by itself.
fn purging(purger: Purger, wall_clock: &WallClock) -> std::io::Result<(Arc<Purger>, Option<JoinHandle<()>>)> {
    let purger = Arc::new(purger);
    if !purger.options.enabled {
        return Ok((purger, None));
    }
    let (running, wall_clock, on_fatal) = (Arc::clone(&purger), Arc::clone(wall_clock), Arc::clone(&purger.on_fatal));
    let thread = spawn("kith-purge", &on_fatal, move || behind(|| running.run(&*wall_clock)))?;
    Ok((purger, Some(thread)))
}

/// Starts the work that follows a rotation of the data key.
fn resealing(purger: &Arc<Purger>, clock: &Arc<dyn Monotonic>) -> std::io::Result<(Arc<Resealer>, JoinHandle<()>)> {
    let resealer = Arc::new(Resealer::new(Arc::clone(purger), Arc::clone(clock)));
    let running = Arc::clone(&resealer);
    let thread = spawn("kith-reseal", &purger.on_fatal, move || behind(|| running.run()))?;
    Ok((resealer, thread))
}

/// The first record of a new log, so that an empty store beside an audit with entries can only be one that is gone: it is
/// written before the audit's first entry.
fn begin(store: &Store, keys: &Keys, meta: MetaRow, audited: u64, now: Moment) -> Result<MetaRow, EngineError> {
    if store.head().sequence > 0 {
        return Ok(meta);
    }
    if audited > 0 {
        return Err(EngineError::StoreGone { audited });
    }
    let record = LogRecord { at: now, change: Change::Accessed(Accessed { audit_sequence: 0, access: None }) };
    let mut working = Working::new(&Empty, keys, meta);
    let state = |error: StateError| EngineError::Codec(error.to_string());
    apply(&mut working, 1, &record).map_err(state)?;
    let changed = working.finish().map_err(state)?;
    store.commit(Batch { log: vec![encode(&record)?], rows: changed.rows })?;
    Ok(changed.meta)
}

/// Work for which nobody waits.
fn behind(work: impl FnOnce()) {
    kith_store::give_way();
    work();
}

/// Starts a background thread.
fn spawn(name: &str, on_fatal: &OnFatal, work: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    let on_fatal = Arc::clone(on_fatal);
    std::thread::Builder::new().name(name.into()).spawn(move || watched(&on_fatal, work))
}

/// Runs a thread's work; a panic in it is told as fatal, so that the service never goes on without it in silence.
fn watched(on_fatal: &OnFatal, work: impl FnOnce()) {
    struct Told<'a>(&'a OnFatal);
    impl Drop for Told<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                tracing::error!("a background thread ended in a panic");
                (self.0)("a background thread ended in a panic");
            }
        }
    }
    let _told = Told(on_fatal);
    work();
}

/// Every known feed with its interval.
fn board(options: &EngineOptions) -> FeedBoard {
    let interval = &options.interval_seconds;
    let plans = options.directory.authorities.keys().map(|code| (*code, interval(Feed::Plans(*code))));
    // An organisation that became part of another sends under the other's code.
    let sending = options.directory.organisations.iter().filter(|(_, entry)| entry.successor.is_none());
    let presentations = sending.map(|(code, _)| (*code, interval(Feed::Presentations(*code))));
    FeedBoard::new(plans, presentations).with_volumes(options.thin, &options.expected_per_week)
}

/// Writes a gap into the audit where the last run did not end in order, and then the start; from there it is derived into the
/// log, so that every authority hears of it. From here on the tree grows. Gives what was told, until it is known to be on disk.
fn announce(journal: &Arc<Journal>, tree: &AuditTree, recovered: &Recovered, now: Moment) -> Result<Gaps, EngineError> {
    tree.follow(journal, recovered.last_sequence);
    first_entries(recovered, |decision| Ok(journal.append(&encode(&AuditEntry::of_service(now, decision))?)?.sequence))
}

/// What a start writes, in this order. The next start tells only of what may be missing after the last entry that it finds: were
/// another the first, and the gap not written or lost again, nobody would ever hear of it.
fn first_entries(
    recovered: &Recovered,
    mut append: impl FnMut(Decision) -> Result<u64, EngineError>,
) -> Result<Gaps, EngineError> {
    let mut gaps = Gaps::default();
    if let Some(gap) = recovered.gap {
        let after = gap.after_sequence;
        tracing::warn!(after, "the last run did not end in order: audit entries after this may be missing");
        gaps.told_by(append(Decision::Gap(after))?, after);
    }
    append(Decision::Started)?;
    Ok(gaps)
}

#[cfg(test)]
mod tests;
