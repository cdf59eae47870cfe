//! The rows of a file under way: each becomes events of a plan, is found to tell nothing new, or gets a fault. Rows are taken
//! in groups that begin at the same rows however often the file is sent, so that a killed file ends as an unbroken one.

use crate::apply;
use crate::audit_entry::Call;
use crate::bursts::Gathered;
use crate::changed_one::{Became, ChangedOne};
use crate::engine::Engine;
use crate::file_pace::Pace;
use crate::files::{FileSender, Trouble};
use crate::keys;
use crate::linked;
use crate::refused_rows::EachTold;
use crate::rows::{EventRow, OwnerRow, decode};
use crate::writer::Verdict;
use kith_domain::caller::Caller;
use kith_domain::change::{Change, PlanEvent};
use kith_domain::child::{ChildRecord, Subject};
use kith_domain::codes::LaCode;
use kith_domain::feed_health::Rows;
use kith_domain::links::{Person, Standing};
use kith_domain::nhs_number::NhsNumber;
use kith_domain::permit::ActionPermit;
use kith_domain::plan::PlanName;
use kith_domain::plan_file::{
    FileMode, FileRow, OpenFile, PlanFile, PlanRow, RowCode, RowFault, RowVerdict, changes_nothing,
    tells_what_has_passed,
};
use kith_domain::refused::{Refused, RefusedKind};
use kith_domain::time::{Day, Moment};
use kith_domain::{identity, validate};
use kith_store::Table;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use uuid::Uuid;

/// Rows taken at once: with two events each they fill a good part of a commit group and hold up no question.
const GROUP: usize = 64;

const PLAN_TWICE: RowFault = RowFault::new(
    RowCode::NotLoaded,
    "",
    "PLAN_TWICE",
    "this plan stands in the file twice: only its first row counts; send one row for each plan",
);
const OVERTAKEN: RowFault = RowFault::new(
    RowCode::NotLoaded,
    "",
    "OVERTAKEN",
    "a later version of this plan was sent as an event, and it stands: send the change as an event",
);
const NOT_VERIFIED: RowFault = RowFault::new(
    RowCode::NotVerified,
    "date_of_birth",
    "BIRTH_DATE_CONTRADICTS",
    "another authority holds another date of birth for this number: check the number and the date",
);

const SUPERSEDED: RowFault = RowFault::new(
    RowCode::Superseded,
    "nhs_number",
    "NUMBER_SUPERSEDED",
    "loaded and shown; another NHS number stands in the place of this one (it is among your notifications): send that one",
);
const GOES_ON: RowFault = RowFault::new(
    RowCode::Superseded,
    "nhs_number",
    "GOES_ON_UNDER_OTHER_NUMBER",
    "loaded; but the same plan still goes on, and is shown, under another number of this person: if it has ended or was entered \
     in error, send that under that number too",
);
const INVALIDATED: RowFault = RowFault::new(
    RowCode::NoSuchNumber,
    "nhs_number",
    "NUMBER_INVALIDATED",
    "kept, and NOT shown at triage: this NHS number is not valid any more, so answers for it are withheld; send the person's \
     present number",
);

/// A file under way.
pub(crate) struct Import<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) permit: &'a ActionPermit,
    audited_as: Option<(Call, &'a Caller)>,
    pub(crate) authority: LaCode,
    pub(crate) at: Moment,
    pub(crate) open: OpenFile,
    pub(crate) file: &'a PlanFile,
    /// Verdicts so far, in order.
    pub(crate) verdicts: Vec<RowVerdict>,
    /// Plans that rows have named.
    pub(crate) seen: BTreeSet<(Subject, PlanName)>,
    /// Plans added, changed and unchanged; counted for snapshots.
    pub(crate) counts: [u32; 3],
    /// Rows that tell nothing new.
    pub(crate) unlogged: Rows,
    /// Rows that are loaded, in order.
    loaded: Vec<LoadedRow>,
    /// Entries that count rows, refused or sent again, which come before anything is said of these.
    counted: Vec<Gathered>,
    resumed: bool,
}

/// A row that the record shows. What is said of it is known when the whole file has been taken: later rows, and the end of a
/// snapshot, may shield the child, or end the same plan under another number.
struct LoadedRow {
    /// Its place among the verdicts.
    at: usize,
    /// Under which number the plan stands.
    subject: Subject,
    number: NhsNumber,
    /// The plan that it ends, and the last day of that.
    ends: Option<(PlanName, Option<Day>)>,
}

impl LoadedRow {
    fn new(at: usize, subject: Subject, number: NhsNumber, events: &[PlanEvent]) -> Self {
        let ends = events.iter().find(|event| apply::ends(event));
        let ends = ends.and_then(|event| Some((event.name()?, apply::until(event))));
        Self { at, subject, number, ends }
    }
}

/// One row before the log has spoken.
enum Prepared {
    Fault(RowFault),
    /// It tells what is held; nothing is logged.
    Unchanged(Subject, NhsNumber, Vec<PlanEvent>),
    /// These events are sent for the plan of this key.
    Sent(Subject, NhsNumber, Vec<PlanEvent>, Vec<u8>),
}

/// What became of each row of a group that was refused, and of each event that was sent for a row, whatever the record shows of
/// it afterwards. A row that tells nothing new changes nothing: the file's summary counts it.
fn told(engine: &Engine, group: &[FileRow], prepared: &[Prepared], outcomes: &[Verdict]) -> Vec<ChangedOne> {
    let (mut each, mut outcomes) = (Vec::with_capacity(prepared.len()), outcomes.iter());
    for (row, one) in group.iter().zip(prepared) {
        match one {
            Prepared::Fault(fault) => {
                let about = row.named.number.map(Subject::Nhs).into_iter().collect();
                // Of a row that could not be read nobody knows whether it says that the child is shielded.
                let tells_of_none = row.plan.as_ref().is_ok_and(|plan| !plan.shielded);
                each.extend(engine.each_of(None, about, Became::refused(&fault.reason), !tells_of_none));
            }
            Prepared::Unchanged(..) => {}
            Prepared::Sent(subject, _, events, _) => {
                for (event, verdict) in events.iter().zip(outcomes.by_ref()) {
                    let (about, became) = (vec![subject.clone()], Became::of(verdict));
                    each.extend(engine.each_of(Some(event.event_id), about, became, event.tells_of_shield()));
                }
            }
        }
    }
    each
}

/// What is wrong with a number, given what is held about it.
fn number_code(home: Option<&ChildRecord>, person: &Person, authority: LaCode, row: &PlanRow) -> Option<RowFault> {
    identity::contradicts_another(home, person, authority, row.birth_date?).then_some(NOT_VERIFIED)
}

fn not_audited() -> Trouble {
    Trouble::Refused(Refused::NOT_AUDITED)
}

/// Waits until entries that count rows are durable: nothing is said of the file before.
pub(crate) async fn counted_durably(counted: Vec<Gathered>) -> Result<(), Trouble> {
    for gathered in counted {
        gathered.settled().await.map_err(|_| not_audited())?;
    }
    Ok(())
}

/// A refusal as a row's fault, with the column in the place of the field.
fn fault_of(refused: Refused) -> RowFault {
    let column = match refused.field {
        "subject" => "nhs_number",
        "other_authority" => "remark",
        "authority" | "version" | "event_id" => "",
        field => field,
    };
    RowFault { column: Cow::Borrowed(column), ..RowFault::new(RowCode::NotLoaded, "", refused.reason, refused.words) }
}

impl<'a> Import<'a> {
    pub(crate) fn new(
        engine: &'a Engine,
        FileSender { permit, audited_as }: FileSender<'a>,
        authority: LaCode,
        at: Moment,
        open: OpenFile,
        resumed: bool,
        file: &'a PlanFile,
    ) -> Self {
        let verdicts = Vec::with_capacity(file.rows.len());
        let (seen, counts, unlogged) = (BTreeSet::new(), [0; 3], Rows::default());
        Self {
            engine,
            permit,
            audited_as,
            authority,
            at,
            open,
            file,
            verdicts,
            seen,
            counts,
            unlogged,
            loaded: Vec::new(),
            counted: Vec::new(),
            resumed,
        }
    }

    /// Takes every row.
    pub(crate) async fn take_rows(&mut self) -> Result<(), Trouble> {
        let rows: &'a [FileRow] = &self.file.rows;
        let mut pace = Pace::new(self.engine.answer_counts().answered);
        let mut groups = rows.chunks(GROUP).peekable();
        while let Some(group) = groups.next() {
            let began = self.engine.clock.now();
            // A group that changes nothing asks nobody who would know that the end has come.
            if self.engine.stop.load(Ordering::Relaxed) {
                return Err(Trouble::Refused(Refused::BUSY));
            }
            let first = self.verdicts.len();
            let (mut prepared, mut changes) = (Vec::with_capacity(group.len()), Vec::new());
            for (offset, row) in group.iter().enumerate() {
                let number = u32::try_from(first + offset + 1).unwrap_or(u32::MAX);
                prepared.push(self.prepare(number, row, &mut changes)?);
            }
            let outcomes = match changes.is_empty() {
                true => Vec::new(),
                false => self.engine.change(self.permit, self.at, changes).await,
            };
            // Before anything else can go wrong: what was committed stands.
            let counted = self.tell(told(self.engine, group, &prepared, &outcomes)).await?;
            self.counted.extend(counted);
            let mut outcomes = outcomes.into_iter();
            for one in prepared {
                let verdict = self.verdict(one, &mut outcomes)?;
                self.verdicts.push(verdict);
            }
            let (now, answered) = (self.engine.clock.now(), self.engine.answer_counts().answered);
            let rest = pace.rest_after(now.saturating_sub(began), answered, now);
            // Behind the last one its sender would wait for nothing.
            if !rest.is_zero() && groups.peek().is_some() {
                tokio::time::sleep(rest).await;
            }
        }
        counted_durably(std::mem::take(&mut self.counted)).await
    }

    /// Puts into the audit what became of rows, and gives what is to be waited for before anything is said of those that it counts.
    /// Of what stands and it does not take it is told later; the file goes on when it is sent again.
    pub(crate) async fn tell(&self, each: Vec<ChangedOne>) -> Result<Option<Gathered>, Trouble> {
        let Some((call, caller)) = self.audited_as else { return Ok(None) };
        let EachTold { stands: _, untaken, counted } = self.engine.tell_each(self.at, call, Some(caller), each).await;
        untaken.map_or(Ok(counted), |_| Err(not_audited()))
    }

    fn prepare(&mut self, number: u32, row: &FileRow, changes: &mut Vec<Change>) -> Result<Prepared, Trouble> {
        let plan = match &row.plan {
            Ok(plan) => plan,
            Err(fault) => return Ok(Prepared::Fault(fault.clone())),
        };
        let events = plan
            .events(self.authority, self.open.ordinal, number, |place| self.event_id(&format!("row/{number}/{place}")));
        let directory = self.engine.directory();
        let refused = events.iter().find_map(|event| validate::plan_event(event, directory, self.at).err());
        if let Some(refused) = refused {
            return Ok(Prepared::Fault(fault_of(refused)));
        }
        let Some(name) = plan.name() else { return Ok(Prepared::Fault(fault_of(Refused::SUBJECT_MISMATCH))) };
        let person = self.engine.index().person(&Subject::Nhs(plan.number));
        // Under another of the person's numbers, where it was first sent with that.
        let home = events.first().and_then(|event| linked::home_of_plan(&person, event));
        let subject = home.unwrap_or(Subject::Nhs(plan.number));
        if !self.seen.insert((subject.clone(), name.clone())) {
            return Ok(Prepared::Fault(PLAN_TWICE));
        }
        let taken = match events.first().filter(|_| self.resumed) {
            Some(first) => self.is_taken(first.event_id)?,
            None => false,
        };
        if !taken {
            let record = self.engine.index().for_writer(&subject);
            if let Some(fault) = number_code(record.as_deref(), &person, self.authority, plan) {
                return Ok(Prepared::Fault(fault));
            }
            let retention = self.engine.settings().retention();
            if changes_nothing(record.as_deref(), &events)
                || tells_what_has_passed(record.as_deref(), &events, self.open.at, (retention, &person))
            {
                return Ok(Prepared::Unchanged(subject, plan.number, events));
            }
        }
        let key = keys::plan(&self.engine.keys, self.authority, &name, &subject);
        changes.extend(events.iter().cloned().map(Change::Plan));
        Ok(Prepared::Sent(subject, plan.number, events, key))
    }

    /// The id of one of this file's events: the same whenever the file is sent.
    pub(crate) fn event_id(&self, what: &str) -> Uuid {
        self.event_id_of(self.open.ordinal, what)
    }

    /// The id of one of the events of this file, or of one before it.
    pub(crate) fn event_id_of(&self, ordinal: u64, what: &str) -> Uuid {
        let name = format!("kith-plan-file/{}/{ordinal}/{what}", self.authority);
        Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes())
    }

    /// Whether an event of this authority was taken.
    pub(crate) fn is_taken(&self, event_id: Uuid) -> Result<bool, Trouble> {
        let key = keys::event(&self.engine.keys, self.authority.as_str(), event_id);
        Ok(self.row::<EventRow>(Table::Event, &key)?.is_some())
    }

    pub(crate) fn row<T: serde::de::DeserializeOwned>(&self, table: Table, key: &[u8]) -> Result<Option<T>, Trouble> {
        let read = || -> Result<Option<T>, crate::FilesError> {
            Ok(self.engine.store.get(table, key)?.map(|bytes| decode(&bytes)).transpose()?)
        };
        Ok(read()?)
    }

    fn verdict(&mut self, one: Prepared, outcomes: &mut std::vec::IntoIter<Verdict>) -> Result<RowVerdict, Trouble> {
        let (subject, number, events, key) = match one {
            Prepared::Fault(fault) => return Ok(RowVerdict::Fault(fault)),
            Prepared::Unchanged(subject, number, events) => {
                self.counts[2] += 1;
                self.unlogged.seen += 1;
                self.unlogged.matched += u64::from(self.standing(number) == Standing::Current);
                return Ok(self.loaded(subject, number, &events));
            }
            Prepared::Sent(subject, number, events, key) => (subject, number, events, key),
        };
        let verdicts: Vec<Verdict> = outcomes.by_ref().take(events.len()).collect();
        for verdict in verdicts {
            match verdict {
                Ok(_) => {}
                Err(refused) if refused.kind == RefusedKind::Unavailable => return Err(refused.into()),
                Err(refused) => return Ok(RowVerdict::Fault(fault_of(refused))),
            }
        }
        // A part of it may have been overtaken: loaded is what the record shows.
        if !changes_nothing(self.engine.index().for_writer(&subject).as_deref(), &events) {
            return Ok(RowVerdict::Fault(OVERTAKEN));
        }
        if matches!(self.file.mode, FileMode::Snapshot(_)) {
            let owner = self.row::<OwnerRow>(Table::Plan, &key)?;
            let before = |version: &u64| !events.iter().any(|event| event.version == *version);
            let held = owner.is_some_and(|owner| owner.versions.iter().any(before));
            self.counts[usize::from(held)] += 1;
        }
        Ok(self.loaded(subject, number, &events))
    }

    /// A row whose `events` the record shows.
    fn loaded(&mut self, subject: Subject, number: NhsNumber, events: &[PlanEvent]) -> RowVerdict {
        self.loaded.push(LoadedRow::new(self.verdicts.len(), subject, number, events));
        RowVerdict::Loaded { shielded: false }
    }

    /// Says of the rows that are loaded what is to be said when everything has been taken: the same in whatever order, and
    /// however often, that was done.
    pub(crate) fn settle(&mut self) {
        for row in std::mem::take(&mut self.loaded) {
            let said = self.said(&row);
            if let Some(verdict) = self.verdicts.get_mut(row.at) {
                *verdict = said;
            }
        }
    }

    fn standing(&self, number: NhsNumber) -> Standing {
        self.engine.index().person(&Subject::Nhs(number)).standing
    }

    fn said(&self, row: &LoadedRow) -> RowVerdict {
        match self.standing(row.number) {
            Standing::ReplacedBy(_) => return RowVerdict::Noted(SUPERSEDED),
            Standing::Invalid => return RowVerdict::Noted(INVALIDATED),
            Standing::Current => {}
        }
        let (person, today) = (self.engine.index().person(&row.subject), self.open.at.london_day());
        let ends = row.ends.as_ref();
        if ends.is_some_and(|(name, end)| linked::is_open_elsewhere(&person, (self.authority, name), *end, today)) {
            return RowVerdict::Noted(GOES_ON);
        }
        RowVerdict::Loaded { shielded: person.is_shielded() }
    }
}
