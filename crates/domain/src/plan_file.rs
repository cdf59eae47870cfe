//! An authority's plan file: its rows, its codes, and the verdict on it. What a text means is read elsewhere; here is what
//! a file is once it has been read. It never says that a row was loaded that was not.

mod counter;
mod snapshot;

pub use counter::{
    FileState, LastFile, MAX_NUMBER, OpenFile, Standing, end_version, is_version_of, refusals, row_of, row_version,
};
pub use snapshot::{MissingPlan, NoneEnded, SnapshotSummary, Vanished, is_current, may_end};

use crate::change::{Feed, FeedCounted, PlanAction, PlanEvent};
use crate::child::{ChildRecord, Subject};
use crate::codes::LaCode;
use crate::feed_health::Rows;
use crate::fold;
use crate::links::Person;
use crate::nhs_number::NhsNumber;
use crate::plan::{Plan, PlanKind, PlanName};
use crate::redacted::debug_without;
use crate::retention::Retention;
use crate::text::{FamilyReference, PlanReference};
use crate::time::{Day, Moment};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Version of the format that this service reads.
pub const FORMAT_VERSION: &str = "1";
/// Most rows of a file: over thirteen times the largest authority's full file. Rows share twenty bits of a version.
pub const MAX_ROWS: usize = 20_000;
/// Missing plans listed in a verdict; further ones are counted. More than any authority has, and with the longest references
/// they still fit into one record of the log beside a fault in every row.
pub const MAX_LISTED: usize = 2_000;

/// What a file says it is. Declared in its first line, never inferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileMode {
    /// Some plans that are new or changed.
    Changes,
    /// Every plan of the authority.
    Snapshot(Missing),
}

/// What to do with plans that are not in a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Missing {
    /// Report them.
    Report,
    /// End them, within the bound of [`may_end`].
    End,
}

/// The code of a whole file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileCode {
    /// CPF01: it cannot be read; nothing was loaded.
    Malformed,
    /// CPF02: every row is loaded.
    AllLoaded,
    /// CPF03: some rows are loaded, others are not.
    SomeLoaded,
    /// CPF04: no row is loaded.
    NoneLoaded,
    /// CPF05: it could not be stored now; to be sent again as it is.
    ResendLater,
    /// CPF06: its format has another version.
    FormatVersion,
}

/// The code of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RowCode {
    /// CPR01: there is no such NHS number.
    NoSuchNumber,
    /// CPR02: loaded, and the child is shielded.
    LoadedShielded,
    /// CPR03: the birth date contradicts the one held for this number; not loaded.
    NotVerified,
    /// CPR04: not a number of ten digits.
    OldStyleNumber,
    /// CPR05: superseded, the new number is needed.
    Superseded,
    /// CPR06: loaded.
    Loaded,
    /// CPR07: not loaded, with a detail.
    NotLoaded,
}

/// What is wrong with a row. Fixed words: nothing of the row itself is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowFault {
    /// Its code.
    pub code: RowCode,
    /// The column at fault; empty when it is not one column's.
    pub column: Cow<'static, str>,
    /// Stable, UPPER_SNAKE.
    pub reason: Cow<'static, str>,
    /// For a person.
    pub words: Cow<'static, str>,
}

impl RowFault {
    /// A fault with these words.
    #[must_use]
    pub const fn new(code: RowCode, column: &'static str, reason: &'static str, words: &'static str) -> Self {
        Self { code, column: Cow::Borrowed(column), reason: Cow::Borrowed(reason), words: Cow::Borrowed(words) }
    }
}

/// Why a whole file is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFault {
    /// Its code.
    pub code: FileCode,
    /// The file's number, when it could be read.
    pub number: Option<u64>,
    /// Stable, UPPER_SNAKE.
    pub reason: &'static str,
    /// For a person.
    pub words: String,
}

/// A plan as one row tells it.
#[derive(Clone, PartialEq, Eq)]
pub struct PlanRow {
    /// The child, or the mother of an unborn child.
    pub number: NhsNumber,
    /// Birth date of the subject.
    pub birth_date: Option<Day>,
    /// The kind of plan.
    pub kind: PlanKind,
    /// First day.
    pub start: Option<Day>,
    /// Last day.
    pub end: Option<Day>,
    /// The authority's own reference.
    pub reference: Option<PlanReference>,
    /// The authority's own reference of the family.
    pub family: Option<FamilyReference>,
    /// What it says beside its dates, in the order of happening; empty: a plan as its dates say.
    pub actions: Vec<PlanAction>,
    /// The child's whereabouts must not be revealed.
    pub shielded: bool,
}

debug_without!(PlanRow, shown: [number, kind, start, end, reference, family, actions, shielded], hidden: [birth_date]);

/// What a row names, however faulty it is: so that a snapshot's row with a mistake is not taken for a missing plan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Named {
    /// The NHS number.
    pub number: Option<NhsNumber>,
    /// The plan's reference.
    pub reference: Option<PlanReference>,
}

/// One row of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRow {
    /// Line of the file on which it starts, from 1.
    pub line: u64,
    /// What it names.
    pub named: Named,
    /// The plan, or the first reason why it cannot be read.
    pub plan: Result<PlanRow, RowFault>,
    /// Further reasons, so that a person corrects a row once.
    pub further: Vec<RowFault>,
}

/// A file that could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanFile {
    /// Its number.
    pub number: u64,
    /// What it says it is.
    pub mode: FileMode,
    /// Its rows, in order.
    pub rows: Vec<FileRow>,
}

impl PlanRow {
    /// The events that this row stands for, as row `row` (from 1) of the authority's file `ordinal`. `event_id` makes an
    /// id of the event's place in the row.
    #[must_use]
    pub fn events(
        &self,
        authority: LaCode,
        ordinal: u64,
        row: u32,
        event_id: impl Fn(usize) -> uuid::Uuid,
    ) -> Vec<PlanEvent> {
        let plain = [PlanAction::Change];
        let actions: &[PlanAction] = if self.actions.is_empty() { &plain } else { &self.actions };
        let event = |(place, action): (usize, &PlanAction)| PlanEvent {
            authority,
            event_id: event_id(place),
            subject: Subject::Nhs(self.number),
            action: *action,
            kind: self.kind,
            reference: self.reference.clone(),
            version: row_version(ordinal, row, place),
            start: self.start,
            end: self.end,
            birth_date: self.birth_date,
            shielded: self.shielded,
            unshield: false,
            family: self.family.clone(),
            babies: Vec::new(),
        };
        actions.iter().enumerate().map(event).collect()
    }

    /// The plan's name; `None` when it has neither reference nor start.
    #[must_use]
    pub fn name(&self) -> Option<PlanName> {
        match (&self.reference, self.start) {
            (Some(reference), _) => Some(PlanName::Reference(reference.clone())),
            (None, Some(start)) => Some(PlanName::KindAndStart(self.kind, start)),
            (None, None) => None,
        }
    }
}

/// Whether events of one plan tell nothing that is not held already, whatever their versions.
#[must_use]
pub fn changes_nothing(record: Option<&ChildRecord>, events: &[PlanEvent]) -> bool {
    let Some(record) = record else { return false };
    let Some(first) = events.first() else { return true };
    let Some(name) = first.name() else { return false };
    let find = |record: &ChildRecord| {
        record.plans.iter().find(|plan| plan.authority == first.authority && plan.name == name).map(values)
    };
    let before = find(record);
    let mut after = record.clone();
    for (place, event) in (0_u64..).zip(events) {
        // Over every version used, so that only the values count.
        let event = PlanEvent { version: u64::MAX - 8 + place.min(8), ..event.clone() };
        fold::apply_plan(&mut after, &event, name.clone());
    }
    before.is_some() && before == find(&after) && record.setters() == after.setters()
}

/// Whether events, taken at `at`, tell of a plan that is not held and whose retention has passed: one that a purge removed,
/// or that was over before its authority joined. Stored, each night's file would bring it back for each night's purge. A
/// shield that the authority has not set yet is told all the same. `person` is whom they are about.
#[must_use]
pub fn tells_what_has_passed(
    record: Option<&ChildRecord>,
    events: &[PlanEvent],
    at: Moment,
    (retention, person): (Retention, &Person),
) -> bool {
    let Some((first, name)) = events.first().and_then(|first| Some((first, first.name()?))) else { return false };
    let find = |record: &ChildRecord| record.plans.iter().any(|p| p.authority == first.authority && p.name == name);
    let mut after = record.cloned().unwrap_or_else(|| ChildRecord::new(first.subject.clone()));
    if find(&after) || (events.iter().any(|event| event.shielded) && !after.setters().contains(&first.authority)) {
        return false;
    }
    for event in events {
        fold::apply_plan(&mut after, event, name.clone());
        fold::note_plan_event(&mut after, event.authority, &name, at);
        fold::note_transfer(&mut after, event, &name, at);
    }
    retention.split(&after, person, at.london_day()).is_some_and(|passed| !find(&passed.kept))
}

/// What a plan says, without its versions.
type Values = (Option<PlanKind>, [Option<Day>; 3], bool, [Option<LaCode>; 2], Option<FamilyReference>);

fn values(plan: &Plan) -> Values {
    let days = [&plan.start, &plan.end, &plan.birth_date].map(|day| day.get().copied());
    let authorities = [&plan.moving_to, &plan.moved_from].map(|code| code.get().copied());
    (plan.kind.get().copied(), days, plan.is_withdrawn(), authorities, plan.family.get().cloned())
}

/// The verdict on one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowVerdict {
    /// Loaded; the child may be shielded.
    Loaded {
        /// The child is shielded.
        shielded: bool,
    },
    /// Loaded, and something about its number is to be put right.
    Noted(RowFault),
    /// Not loaded.
    Fault(RowFault),
}

/// A row whose verdict is not simply "loaded".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// The row, from 1.
    pub row: u32,
    /// Which of the outcome's faults; none when it is loaded and shielded.
    pub fault: Option<u16>,
    /// The row is loaded, whatever is to be put right about it.
    pub loaded: bool,
}

/// How a file ended, as the log keeps it: what was simply loaded is not listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileOutcome {
    /// Its code.
    pub code: FileCode,
    /// How many rows it has.
    pub rows: u32,
    /// How many are loaded.
    pub loaded: u32,
    /// Every fault that a row has, once.
    pub faults: Vec<RowFault>,
    /// Rows that are shielded or have a fault, in order.
    pub exceptions: Vec<Exception>,
    /// For a snapshot.
    pub snapshot: Option<SnapshotSummary>,
    /// Rows that told nothing new, which are no records of their own.
    pub unlogged: Rows,
}

/// Where a fault stands among those of an outcome; put there when it is new.
fn place(faults: &mut Vec<RowFault>, fault: &RowFault) -> u16 {
    let at = faults.iter().position(|known| known == fault).unwrap_or_else(|| {
        faults.push(fault.clone());
        faults.len() - 1
    });
    u16::try_from(at).unwrap_or(u16::MAX)
}

impl FileOutcome {
    /// The outcome of rows in order.
    #[must_use]
    pub fn new(rows: &[RowVerdict], snapshot: Option<SnapshotSummary>) -> Self {
        let (mut faults, mut exceptions) = (Vec::new(), Vec::new());
        let mut loaded = 0_u32;
        for (row, verdict) in (1_u32..).zip(rows) {
            match verdict {
                RowVerdict::Loaded { shielded } => {
                    loaded += 1;
                    if *shielded {
                        exceptions.push(Exception { row, fault: None, loaded: true });
                    }
                }
                RowVerdict::Noted(fault) => {
                    loaded += 1;
                    exceptions.push(Exception { row, fault: Some(place(&mut faults, fault)), loaded: true });
                }
                RowVerdict::Fault(fault) => {
                    exceptions.push(Exception { row, fault: Some(place(&mut faults, fault)), loaded: false });
                }
            }
        }
        let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        let code = match loaded {
            loaded if loaded == count => FileCode::AllLoaded,
            0 => FileCode::NoneLoaded,
            _ => FileCode::SomeLoaded,
        };
        Self { code, rows: count, loaded, faults, exceptions, snapshot, unlogged: Rows::default() }
    }

    /// The verdict on every row, in order.
    #[must_use]
    pub fn verdicts(&self) -> Vec<RowVerdict> {
        let rows = usize::try_from(self.rows).unwrap_or(0);
        let mut verdicts = vec![RowVerdict::Loaded { shielded: false }; rows];
        for exception in &self.exceptions {
            let at = usize::try_from(exception.row).unwrap_or(0).wrapping_sub(1);
            let fault = exception.fault.map(|fault| self.faults.get(usize::from(fault)).cloned());
            if let Some(verdict) = verdicts.get_mut(at) {
                *verdict = match fault {
                    None => RowVerdict::Loaded { shielded: true },
                    Some(Some(fault)) if exception.loaded => RowVerdict::Noted(fault),
                    Some(Some(fault)) => RowVerdict::Fault(fault),
                    Some(None) => RowVerdict::Fault(LOST),
                };
            }
        }
        verdicts
    }

    /// What the file adds to its feed's health beside the rows that are records of their own: rows refused, and rows that
    /// told nothing new.
    #[must_use]
    pub fn counted(&self, feed: Feed) -> FeedCounted {
        let refused = self.exceptions.iter().filter(|exception| !exception.loaded);
        let codes: Vec<Option<RowCode>> = refused
            .filter_map(|exception| exception.fault)
            .map(|fault| self.faults.get(usize::from(fault)).map(|fault| fault.code))
            .collect();
        let refused = u64::try_from(codes.len()).unwrap_or(u64::MAX);
        let matched = codes.iter().filter(|code| **code == Some(RowCode::NotLoaded)).count();
        FeedCounted {
            feed,
            seen: refused.saturating_add(self.unlogged.seen),
            matched: u64::try_from(matched).unwrap_or(u64::MAX).saturating_add(self.unlogged.matched),
            rejected: refused,
            taken_whole: refused == 0 && self.is_sign_of_life(),
        }
    }

    /// Whether the file tells that its feed is alive: a row was loaded, or there was none to load and nothing is missed. A
    /// feed whose rows all fail must not look fresh.
    #[must_use]
    pub fn is_sign_of_life(&self) -> bool {
        let missing = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.missing);
        self.loaded > 0 || (self.rows == 0 && missing == 0)
    }
}

/// A verdict that names a fault which is not there: it must not read as loaded.
const LOST: RowFault =
    RowFault::new(RowCode::NotLoaded, "", "FAULT_UNKNOWN", "not loaded; the reason was not kept: send the row again");

/// One row in a verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowReport {
    /// Line of the file on which it starts, from 1.
    pub line: u64,
    /// What became of it.
    pub verdict: RowVerdict,
    /// Further faults beside the verdict's; read from the file each time, never stored.
    pub further: Vec<RowFault>,
}

/// The answer to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileVerdict {
    /// When it was made; a repeat keeps the first.
    pub at: Moment,
    /// The file's number, when it could be read.
    pub number: Option<u64>,
    /// Rows looked at, when that is known.
    pub processed: Option<u32>,
    /// Its code.
    pub code: FileCode,
    /// Why the whole file was not taken: a stable reason and words.
    pub fault: Option<(&'static str, String)>,
    /// Every row, in order.
    pub rows: Vec<RowReport>,
    /// For a snapshot.
    pub snapshot: Option<SnapshotSummary>,
    /// The same bytes were answered before, and this is that answer.
    pub repeated: bool,
    /// The number that the next file must have, when it is known.
    pub expected: Option<u64>,
    /// It was begun by this call and broken off: some of its rows may be loaded.
    pub broken_off: bool,
}

#[cfg(test)]
mod tests;
