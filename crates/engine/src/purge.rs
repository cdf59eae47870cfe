//! The purge: once in a while it works out, in slices with a pause between, what retention has passed, and has it removed
//! through the log like any other change; then it trims the log, so that what was removed is really gone. It stops by
//! itself rather than believe a wrong clock, and never stands in front of a lookup.

use crate::audit_retention::AuditKeeper;
use crate::open::OnFatal;
use crate::purge_apply;
use crate::purge_guard::{Going, Guard, Held};
use crate::rows::decode;
use crate::tree::AuditTree;
use crate::working::StateError;
use crate::writer::{Command, Progress};
use kith_domain::change::{Change, Note, NoteRetention, Purge};
use kith_domain::child::{ChildRecord, Subject};
use kith_domain::refused::RefusedKind;
use kith_domain::retention::Retention;
use kith_domain::time::{Day, Moment};
use kith_index::Index;
use kith_store::{CommitError, Journal, Keys, Store, StoreError, Table, TrimError, TrimStep};
use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Rows looked at before a pause: a few milliseconds.
const ROWS_AT_ONCE: usize = 1_024;
/// Rows of a snapshot written, or read back, before a pause: likewise, and a mebibyte.
const SNAPSHOT_ROWS_AT_ONCE: u32 = 4_096;
/// The first run comes so long after the start, when the service has settled.
const FIRST_AFTER: Duration = Duration::from_secs(60);
/// How often a waiting thread looks whether it is to end.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How the purge works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PurgeOptions {
    /// Whether it runs by itself.
    pub enabled: bool,
    /// Time between two runs.
    pub interval: Duration,
    /// People, or notes, in one record of the log.
    pub slice: usize,
    /// Pause after each slice and after each stretch of rows looked at, written or read back.
    pub pause: Duration,
    /// For how long the service keeps its own notes.
    pub notes: NoteRetention,
    /// When it stops by itself.
    pub guard: Guard,
    /// Least time between two trims of the log.
    pub trim_interval: Duration,
    /// So many days the audit keeps its entries; `None` for good.
    pub audit_days: Option<u32>,
}

impl Default for PurgeOptions {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: Duration::from_secs(60 * 60),
            slice: 256,
            pause: Duration::from_millis(20),
            notes: NoteRetention {
                event_id_days: 400,
                request_id_days: 30,
                acknowledged_days: 90,
                removed_plan_months: 120,
            },
            guard: Guard::default(),
            trim_interval: Duration::from_secs(24 * 60 * 60),
            audit_days: None,
        }
    }
}

/// What a run removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PurgeReport {
    /// From people's records.
    pub going: Going,
    /// The service's own notes: used ids, acknowledged notifications, notes of removed plans.
    pub notes: u64,
    /// Of these, notifications that nobody had acknowledged: they go with the plans of the authority that they are for.
    pub unacknowledged: u64,
}

/// Where the purge stands, for operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PurgeStatus {
    /// When a run last went to its end.
    pub completed_at: Option<Moment>,
    /// Why nothing is removed now: someone must look.
    pub held: Option<Held>,
    /// What was removed since the start.
    pub removed: PurgeReport,
    /// The last record of the log that was trimmed.
    pub trimmed_through: u64,
}

/// Why a run did not go to its end.
#[derive(Debug, thiserror::Error)]
pub enum PurgeError {
    /// It stopped by itself.
    #[error("purge: {0}")]
    Held(#[from] Held),
    /// The state cannot be read.
    #[error("purge: {0}")]
    State(String),
    /// The log takes no writes, or the service is stopping.
    #[error("purge: the log takes no writes now")]
    NotTaken,
}

impl From<StateError> for PurgeError {
    fn from(error: StateError) -> Self {
        Self::State(error.to_string())
    }
}

impl From<StoreError> for PurgeError {
    fn from(error: StoreError) -> Self {
        Self::State(error.to_string())
    }
}

/// What a run has done today, and what it knows.
#[derive(Debug, Default)]
struct Memory {
    status: PurgeStatus,
    /// What was removed on this day.
    of_day: Option<(Day, Going)>,
    trimmed_at: Option<Moment>,
    /// It was trimmed since it was last looked whether that is due, whoever asked for it.
    trimmed_since: bool,
}

/// The purge's own state.
pub(crate) struct Purger {
    pub(crate) keys: Arc<Keys>,
    pub(crate) store: Arc<Store>,
    pub(crate) index: Arc<Index>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) retention: Retention,
    pub(crate) options: PurgeOptions,
    pub(crate) on_fatal: OnFatal,
    /// The audit's own retention.
    pub(crate) audit: AuditKeeper,
    memory: Mutex<Memory>,
    /// One run or trim at a time.
    running: Mutex<()>,
    trimming: AtomicBool,
}

/// What the purge shares with the rest of the engine.
type Shared = ((Arc<Keys>, Arc<Store>, Arc<Index>), mpsc::Sender<Command>, Arc<Progress>, Arc<AtomicBool>);
/// What is called for each row of a table: its key and its value.
type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), PurgeError> + 'a;

/// One run.
struct Run<'a> {
    purger: &'a Purger,
    now: Moment,
    today: Day,
    /// Set when the clock is not to be believed: nothing may go.
    ahead: Option<Held>,
    report: PurgeReport,
}

impl Purger {
    pub(crate) fn new(
        shared: Shared,
        (retention, options): (Retention, PurgeOptions),
        (journal, tree): (&Arc<Journal>, &AuditTree),
        on_fatal: &OnFatal,
    ) -> Self {
        let ((keys, store, index), commands, progress, stop) = shared;
        let audited = (Arc::clone(journal), tree.clone(), Arc::clone(&progress), Arc::clone(&stop));
        let audit = AuditKeeper::new(audited, options.audit_days, options.guard);
        let status = PurgeStatus { trimmed_through: store.trimmed().head.sequence, ..PurgeStatus::default() };
        let memory = Mutex::new(Memory { status, ..Memory::default() });
        let (running, trimming) = (Mutex::new(()), AtomicBool::new(false));
        Self {
            keys,
            store,
            index,
            commands,
            progress,
            stop,
            retention,
            options,
            on_fatal: Arc::clone(on_fatal),
            audit,
            memory,
            running,
            trimming,
        }
    }

    /// Runs until told to stop.
    pub(crate) fn run(&self, wall_clock: &dyn Fn() -> Moment) {
        let mut wait = FIRST_AFTER.min(self.options.interval);
        while self.wait(wait) {
            wait = self.options.interval;
            let now = wall_clock();
            match self.purge(now) {
                Ok(_) => self.trim_when_due(now),
                // Told once, when it began.
                Err(PurgeError::Held(_)) => {}
                Err(_) if self.stop.load(Ordering::Acquire) => {}
                Err(error) => tracing::warn!(%error, "what retention has passed stays until the next run"),
            }
            self.audit.run(now);
        }
    }

    /// Waits; says whether to go on.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        let mut left = time;
        while !left.is_zero() && !self.stop.load(Ordering::Acquire) {
            let step = left.min(LOOK_EVERY);
            std::thread::sleep(step);
            left = left.saturating_sub(step);
        }
        !self.stop.load(Ordering::Acquire)
    }

    /// Where it stands.
    pub(crate) fn status(&self) -> PurgeStatus {
        self.memory().status
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes what retention has passed by `now`.
    pub(crate) fn purge(&self, now: Moment) -> Result<PurgeReport, PurgeError> {
        let _running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let today = now.london_day();
        let told_at = Moment(self.progress.told_at.load(Ordering::Acquire));
        let ahead = self.options.guard.ahead(now, told_at);
        let mut run = Run { purger: self, now, today, ahead, report: PurgeReport::default() };
        let outcome = run.everything();
        let report = run.report;
        self.note(now, &outcome, report);
        outcome.map(|()| report)
    }

    /// Notes what a run came to. A new reason to stop is told once, as an error.
    fn note(&self, now: Moment, outcome: &Result<(), PurgeError>, report: PurgeReport) {
        let mut memory = self.memory();
        memory.status.removed.add(report);
        let today = now.london_day();
        let before = memory.of_day.filter(|(day, _)| *day == today).map(|(_, going)| going).unwrap_or_default();
        memory.of_day = Some((today, before.plus(report.going)));
        match outcome {
            Ok(()) => {
                memory.status.completed_at = Some(now);
                memory.status.held = None;
                if report != PurgeReport::default() {
                    tracing::info!(?report, "removed what retention has passed");
                }
            }
            Err(PurgeError::Held(held)) => {
                if memory.status.held.is_none_or(|known| !known.is_same_kind(*held)) {
                    tracing::error!(%held, "nothing is removed: retention stops until someone has looked");
                }
                memory.status.held = Some(*held);
            }
            Err(PurgeError::State(_) | PurgeError::NotTaken) => {}
        }
    }

    fn removed_today(&self, today: Day) -> Going {
        self.memory().of_day.filter(|(day, _)| *day == today).map(|(_, going)| going).unwrap_or_default()
    }

    fn trim_when_due(&self, now: Moment) {
        let least = i64::try_from(self.options.trim_interval.as_millis()).unwrap_or(i64::MAX);
        let mut memory = self.memory();
        if std::mem::take(&mut memory.trimmed_since) {
            memory.trimmed_at = Some(now);
        }
        let last = memory.trimmed_at;
        drop(memory);
        if last.is_some_and(|last| now.0.saturating_sub(last.0) < least) {
            return;
        }
        match self.trim() {
            Ok(_) => {
                let mut memory = self.memory();
                (memory.trimmed_at, memory.trimmed_since) = (Some(now), false);
            }
            Err(TrimError::GivenUp) if self.stop.load(Ordering::Acquire) => {}
            // Told, and the process ends.
            Err(TrimError::Commit(CommitError::Fatal { .. })) => {}
            Err(error) => tracing::warn!(%error, "the log is not trimmed until the next run"),
        }
    }

    /// Trims the log behind a snapshot of the state; gives the last record that it no longer holds.
    pub(crate) fn trim(&self) -> Result<u64, TrimError> {
        let _running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        self.trimming.store(true, Ordering::Release);
        let rows = Cell::new(0_u32);
        let outcome = self.store.trim(&|step| {
            if step == TrimStep::Writing {
                rows.set(rows.get().wrapping_add(1));
                if rows.get().is_multiple_of(SNAPSHOT_ROWS_AT_ONCE) {
                    std::thread::sleep(self.options.pause);
                }
            }
            !self.stop.load(Ordering::Acquire)
        });
        self.trimming.store(false, Ordering::Release);
        if let Err(TrimError::Commit(CommitError::Fatal { what })) = &outcome {
            tracing::error!(%what, "the change log failed while it was trimmed");
            (self.on_fatal)(what);
        }
        let through = outcome?.head.sequence;
        let mut memory = self.memory();
        (memory.status.trimmed_through, memory.trimmed_since) = (through, true);
        drop(memory);
        tracing::info!(through, "the log is trimmed");
        Ok(through)
    }

    /// Makes a trim under way end soon: the service is stopping.
    pub(crate) fn give_up(&self) {
        if self.trimming.load(Ordering::Acquire) {
            self.store.interrupt_trim();
        }
    }
}

impl Run<'_> {
    fn everything(&mut self) -> Result<(), PurgeError> {
        let survey = self.survey()?;
        for slice in survey.chunks(self.purger.options.slice.max(1)) {
            self.remove(slice.iter().map(|(subject, _)| subject.clone()).collect(), Vec::new())?;
            self.report.going = slice.iter().fold(self.report.going, |sum, (_, going)| sum.plus(*going));
        }
        for note in [Note::Notification, Note::UsedId, Note::RemovedPlan, Note::Proposal, Note::Opening, Note::Flag] {
            self.notes(note)?;
        }
        Ok(())
    }

    /// Whose record has passed in part or whole, and how much goes with them. Ends as soon as it is too much.
    fn survey(&self) -> Result<Vec<(Subject, Going)>, PurgeError> {
        let purger = self.purger;
        let (before, sizes) = (purger.removed_today(self.today), purger.index.sizes());
        let (mut survey, mut all) = (Vec::new(), Going::default());
        self.walk(Table::Child, &mut |_, bytes| {
            let record: ChildRecord = decode(bytes).map_err(StateError::from)?;
            let person = purger.index.person(&record.subject);
            if let Some(passed) = purger.retention.split(&record, &person, self.today) {
                let going = Going::of(&passed);
                all = all.plus(going);
                survey.push((record.subject, going));
                purger.options.guard.check(self.today, before, all, sizes)?;
            }
            Ok(())
        })?;
        Ok(survey)
    }

    /// Removes notes of one kind, a slice at a time.
    fn notes(&mut self, note: Note) -> Result<(), PurgeError> {
        let purger = self.purger;
        let rules = (purger.retention, purger.options.notes);
        let person = |subject: &Subject| Ok(purger.index.person(subject));
        let (mut passed, mut unacknowledged) = (Vec::new(), 0);
        self.walk(purge_apply::table_of(note), &mut |key, bytes| {
            let is_note = note != Note::RemovedPlan || purge_apply::is_removed_plan(key);
            if is_note && purge_apply::has_passed(note, (key, bytes), &purger.keys, self.today, rules, person)? {
                unacknowledged += u64::from(purge_apply::is_unacknowledged(note, bytes));
                passed.push((note, key.to_vec()));
            }
            Ok(())
        })?;
        for slice in passed.chunks(purger.options.slice.max(1)) {
            self.remove(Vec::new(), slice.to_vec())?;
        }
        self.report.notes += passed.len() as u64;
        self.report.unacknowledged += unacknowledged;
        Ok(())
    }

    /// Visits every row of a table, with a pause after each stretch.
    fn walk(&self, table: Table, visit: &mut Visit<'_>) -> Result<(), PurgeError> {
        let mut from = Vec::new();
        loop {
            let (mut rows, mut fault) = (0, None);
            let begin = std::mem::take(&mut from);
            self.purger.store.scan(table, &begin, &[], &mut |key, bytes| {
                if rows == ROWS_AT_ONCE {
                    from = key.to_vec();
                    return ControlFlow::Break(());
                }
                rows += 1;
                match visit(key, bytes) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(error) => {
                        fault = Some(error);
                        ControlFlow::Break(())
                    }
                }
            })?;
            match fault {
                Some(error) => return Err(error),
                None if from.is_empty() => return Ok(()),
                None if !self.purger.wait(self.purger.options.pause) => return Err(PurgeError::NotTaken),
                None => {}
            }
        }
    }

    /// Has one slice removed; one that is too large for a batch is halved.
    fn remove(&self, subjects: Vec<Subject>, rows: Vec<(Note, Vec<u8>)>) -> Result<(), PurgeError> {
        if let Some(held) = self.ahead.filter(|_| !self.purger.options.guard.is_accepted(self.today)) {
            return Err(held.into());
        }
        let purger = self.purger;
        let (retention, notes) = (purger.retention, purger.options.notes);
        let halved = (subjects.len() > 1).then(|| subjects.clone());
        let change = Change::Purge(Purge { today: self.today, retention, notes, subjects, rows });
        let (reply, verdicts) = oneshot::channel();
        let command = Command { at: self.now, changes: vec![change], reply, carried: None };
        purger.commands.blocking_send(command).map_err(|_| PurgeError::NotTaken)?;
        match (verdicts.blocking_recv().ok().and_then(|all| all.into_iter().next()), halved) {
            (Some(Ok(_)), _) => {}
            (Some(Err(refused)), Some(mut subjects)) if refused.kind == RefusedKind::TooMany => {
                let second = subjects.split_off(subjects.len() / 2);
                self.remove(subjects, Vec::new())?;
                return self.remove(second, Vec::new());
            }
            (Some(Err(_)) | None, _) => return Err(PurgeError::NotTaken),
        }
        if purger.wait(purger.options.pause) { Ok(()) } else { Err(PurgeError::NotTaken) }
    }
}

impl PurgeReport {
    fn add(&mut self, other: Self) {
        self.going = self.going.plus(other.going);
        self.notes += other.notes;
        self.unacknowledged += other.unacknowledged;
    }
}
