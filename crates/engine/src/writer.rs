//! The one writer: it orders all changes in groups. One synced batch carries a group's changes, the new state and the
//! notifications they cause; then the group is published to readers; then it is acknowledged. Never in another order.

use crate::apply::{Applied, apply};
use crate::births;
use crate::carried::CarriedOver;
use crate::open::{EngineError, OnFatal};
use crate::openings::Book;
use crate::rows::{Acknowledgement, MetaRow, encode};
use crate::withholdings::Withheld;
use crate::working::{Base, Changed, StateError, Working};
use kith_domain::change::{Change, LogRecord};
use kith_domain::child::{ChildRecord, Subject};
use kith_domain::codes::LaCode;
use kith_domain::flag::FlagKind;
use kith_domain::refused::Refused;
use kith_domain::time::Moment;
use kith_index::Index;
use kith_store::{Batch, CommitError, Histogram, Keys, Store, Table};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use tokio::sync::{mpsc, oneshot};

/// Outcome of one change: acknowledged, or refused.
pub type Verdict = Result<Acknowledgement, Refused>;

/// Most changes in one group: bounds the time a group holds up the next.
const MAX_GROUP: usize = 512;
/// Commands waiting for the writer; more are refused or wait.
const QUEUE: usize = 1024;
/// Commands waiting for the writer that are enough for it: two of its groups where each is a whole group of a stream.
pub(crate) const ENOUGH: usize = 8;

/// Changes to make, and where to answer.
pub(crate) struct Command {
    pub(crate) at: Moment,
    pub(crate) changes: Vec<Change>,
    pub(crate) reply: oneshot::Sender<Vec<Verdict>>,
    /// Where to say what they carried over, before they are answered; nobody asks of most.
    pub(crate) carried: Option<Teller>,
}

/// Where to say what changes carried over.
pub(crate) struct Teller {
    pub(crate) carried: oneshot::Sender<Vec<CarriedBy>>,
    /// Also of those that were made before this run and are sent again: the audit may lack what it was to hear of them then.
    pub(crate) again: bool,
}

/// What a change carried over, and which of its command it was, from 0.
pub(crate) type CarriedBy = (usize, CarriedOver);

/// What is held: records in the index, everything else in the store.
pub(crate) struct Held {
    pub(crate) index: Arc<Index>,
    pub(crate) store: Arc<Store>,
    pub(crate) progress: Arc<Progress>,
}

impl Base for Held {
    fn child(&self, subject: &Subject) -> Result<Option<ChildRecord>, StateError> {
        Ok(self.index.for_writer(subject).map(|record| (*record).clone()))
    }

    fn row(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.store.get(table, key)?)
    }

    fn withheld_by(&self, authority: LaCode) -> usize {
        self.progress.withheld.count(authority)
    }
}

/// Where the log and the derived audit stand, for everyone to read.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// The last record of the log that was there at the start.
    began_behind: u64,
    pub(crate) log_sequence: AtomicU64,
    pub(crate) derived_through: AtomicU64,
    /// The latest moment that a sender's event tells of, in milliseconds.
    pub(crate) told_at: AtomicI64,
    /// The writer ends when it has taken what is queued.
    pub(crate) closing: AtomicBool,
    /// From a question until its access history is in the log.
    pub(crate) history_lag: Histogram,
    /// Openings of shielded records, for readers.
    pub(crate) openings: Book,
    /// Flags that nobody has looked into yet.
    pub(crate) unreviewed_flags: AtomicU64,
    /// Flags raised since the start, by kind.
    pub(crate) raised_flags: [AtomicU64; FlagKind::WORDS.len()],
    /// Entries that the watch of use still has to read again after the start.
    pub(crate) watch_behind: AtomicU64,
    /// What authorities withhold, for readers.
    pub(crate) withheld: Withheld,
}

impl Progress {
    /// Where everything stands at a start.
    pub(crate) fn begin(store: &Store, meta: &MetaRow, unreviewed_flags: u64) -> Result<Self, EngineError> {
        Ok(Self {
            began_behind: store.head().sequence,
            log_sequence: AtomicU64::new(store.head().sequence),
            derived_through: AtomicU64::new(meta.derived_through),
            told_at: AtomicI64::new(meta.told_at.0),
            closing: AtomicBool::new(false),
            history_lag: Histogram::default(),
            openings: Book::read(store)?,
            unreviewed_flags: AtomicU64::new(unreviewed_flags),
            raised_flags: Default::default(),
            // All of them, until it is known with which one it begins.
            watch_behind: AtomicU64::new(meta.derived_through),
            withheld: Withheld::read(store)?,
        })
    }
}

/// The writer's own state.
pub(crate) struct Writer {
    pub(crate) held: Held,
    pub(crate) keys: Arc<Keys>,
    pub(crate) meta: MetaRow,
    pub(crate) progress: Arc<Progress>,
    pub(crate) on_fatal: OnFatal,
}

/// A channel to the writer.
pub(crate) fn channel() -> (mpsc::Sender<Command>, mpsc::Receiver<Command>) {
    mpsc::channel(QUEUE)
}

impl Writer {
    /// Takes commands until every sender is gone, the engine closes, or the log fails.
    pub(crate) fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        while let Some(first) = commands.blocking_recv() {
            let mut size = first.changes.len();
            let mut group = vec![first];
            while size < MAX_GROUP
                && let Ok(next) = commands.try_recv()
            {
                size += next.changes.len();
                group.push(next);
            }
            if let Err(what) = self.commit(group) {
                tracing::error!(%what, "the change log failed: nothing more is acknowledged");
                (self.on_fatal)(&what);
                return;
            }
            if self.progress.closing.load(Ordering::Acquire) && commands.is_empty() {
                return;
            }
        }
    }

    /// Commits one group and answers it. A group that is refused as a whole is tried command by command, so that one of
    /// them does not refuse the others. An error is fatal: the group is not answered.
    fn commit(&mut self, group: Vec<Command>) -> Result<(), String> {
        let (decided, outcome) = self.attempt(&group);
        match outcome {
            Ok(()) => {
                for (command, Decided { verdicts, carried }) in group.into_iter().zip(decided) {
                    // The asker may have gone; the change stands and a retry repeats the acknowledgement.
                    if let Some(teller) = command.carried {
                        let _ = teller.carried.send(carried);
                    }
                    let _ = command.reply.send(verdicts);
                }
                Ok(())
            }
            Err(CommitFault::OfGroup(_)) if group.len() > 1 => {
                group.into_iter().try_for_each(|command| self.commit(vec![command]))
            }
            Err(CommitFault::OfGroup(refused) | CommitFault::Refused(refused)) => {
                for command in group {
                    let verdicts = command.changes.iter().map(|_| Err(refused)).collect();
                    let _ = command.reply.send(verdicts);
                }
                Ok(())
            }
            Err(CommitFault::Fatal(what)) => Err(what),
        }
    }

    /// What was decided of each command of a group, and whether the group is committed.
    fn attempt(&mut self, group: &[Command]) -> (Vec<Decided>, Result<(), CommitFault>) {
        // What a refused write left closed cannot be read, so nothing could be prepared whatever the disk takes by now.
        if let Err(error) = self.held.store.revive() {
            return (Vec::new(), Err(not_committed(error)));
        }
        match self.prepare(group) {
            Ok((decided, None)) => (decided, Ok(())),
            Ok((decided, Some((batch, changed)))) => {
                let at = group.iter().map(|command| command.at).max().unwrap_or_default();
                (decided, self.write(batch, changed, at))
            }
            Err(error) => {
                tracing::error!(%error, "failed to prepare a group of changes");
                (Vec::new(), Err(CommitFault::OfGroup(Refused::STORAGE)))
            }
        }
    }

    /// Checks and applies a group to a working state.
    fn prepare(&self, group: &[Command]) -> Result<Prepared, StateError> {
        let mut working = Working::new(&self.held, &self.keys, self.meta.clone());
        let mut log = Vec::new();
        let mut next = self.held.store.head().sequence + 1;
        let mut decided = Vec::with_capacity(group.len());
        for command in group {
            let mut of_command = Decided::default();
            let again = command.carried.as_ref().is_some_and(|teller| teller.again);
            for (nth, change) in command.changes.iter().enumerate() {
                let record = LogRecord { at: command.at, change: change.clone() };
                of_command.verdicts.push(match apply(&mut working, next, &record)? {
                    Applied::Logged(acknowledgement) => {
                        log.push(encode(&record)?);
                        next += 1;
                        Ok(acknowledgement)
                    }
                    Applied::Repeated(first) => {
                        // What this run has taken it has told, or tells later.
                        if again && first.sequence <= self.progress.began_behind {
                            births::carried_before(&mut working, change)?;
                        }
                        Ok(first)
                    }
                    Applied::Refused(refused) => Err(refused),
                });
                of_command.carried.extend(working.take_carried().into_iter().map(|over| (nth, over)));
            }
            decided.push(of_command);
        }
        if log.is_empty() {
            return Ok((decided, None));
        }
        let mut changed = working.finish()?;
        let batch = Batch { log, rows: std::mem::take(&mut changed.rows) };
        Ok((decided, Some((batch, changed))))
    }

    /// Writes and syncs a batch, then publishes it as of `at`.
    fn write(&mut self, batch: Batch, changed: Changed, at: Moment) -> Result<(), CommitFault> {
        let head = self.held.store.commit(batch).map_err(not_committed)?;
        for record in changed.children {
            self.held.index.publish(record);
        }
        for subject in &changed.gone {
            self.held.index.remove(subject);
        }
        for (feed, record) in changed.feeds {
            self.held.index.feed(feed, record, at);
        }
        self.progress.openings.publish(changed.openings);
        if let Some(flags) = changed.flags {
            self.progress.unreviewed_flags.store(flags.unreviewed, Ordering::Release);
        }
        self.progress.withheld.publish(changed.withheld);
        self.meta = changed.meta;
        self.held.index.feeds().told(self.meta.told_at);
        self.progress.log_sequence.store(head.sequence, Ordering::Release);
        self.progress.told_at.store(self.meta.told_at.0, Ordering::Release);
        self.progress.derived_through.store(self.meta.derived_through, Ordering::Release);
        Ok(())
    }
}

/// What became of a command's changes.
#[derive(Default)]
struct Decided {
    verdicts: Vec<Verdict>,
    carried: Vec<CarriedBy>,
}

/// What became of each command, and what to write; nothing when every change was known or refused.
type Prepared = (Vec<Decided>, Option<(Batch, Changed)>);

/// Why a group was not committed.
enum CommitFault {
    /// Every change is refused: the disk takes none.
    Refused(Refused),
    /// Something in the group cannot be taken; the others may be.
    OfGroup(Refused),
    Fatal(String),
}

/// What it means for a group that the store did not take it.
fn not_committed(error: CommitError) -> CommitFault {
    match error {
        CommitError::Refused { cause } => {
            tracing::warn!(%cause, "the log takes no writes now: changes are refused");
            CommitFault::Refused(Refused::STORAGE)
        }
        CommitError::Invalid(fault) => {
            tracing::warn!(%fault, "a group of changes is beyond the bounds of one batch");
            CommitFault::OfGroup(Refused::TOO_MANY)
        }
        CommitError::Fatal { what } => CommitFault::Fatal(what),
    }
}
