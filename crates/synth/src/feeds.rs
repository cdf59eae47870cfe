//! The feed files: what each authority pushes of plans, what each trust pushes of presentations, and who looked.
//! Rows are written as households pass by; never a row that a feed's own rules would refuse.

use jiff::{Span, Timestamp};
use std::io::Write;
use std::path::Path;

use crate::SynthError;
use crate::calendar::Calendar;
use crate::output::{FileEntry, TableFile};
use crate::person::{Course, Outcome, Person, Plan, Visit};
use crate::reference::Reference;
use crate::staff;

const PLAN_HEADER: &str = "event,nhs_number,date_of_birth,plan,start,end,other_authority,shielded,reference,version";
const PRESENTATION_HEADER: &str =
    "site,encounter_id,version,nhs_number,date_of_birth,arrived_at,care_setting,complaint,outcome,outcome_at";
const ACCESS_HEADER: &str = "nhs_number,at,user_id,user_name,role";

/// All feed files, open for rows.
pub(crate) struct Feeds<'a> {
    calendar: &'a Calendar,
    reference: &'a Reference,
    plans: Vec<TableFile>,
    presentations: Vec<TableFile>,
    accesses: Vec<TableFile>,
    references_given: Vec<u32>,
    encounters_given: Vec<u32>,
    /// Nothing is dated at or after this instant.
    midnight: Timestamp,
}

/// One row of a plan's history.
struct PlanRow<'a> {
    event: &'a str,
    version: u32,
    ends: bool,
    other: Option<u16>,
}

impl<'a> Feeds<'a> {
    /// Creates every file, also those that will stay without rows.
    pub(crate) fn create(out: &Path, calendar: &'a Calendar, reference: &'a Reference) -> Result<Self, SynthError> {
        let trusts = || reference.trusts.iter().map(|trust| trust.code.as_str());
        let authorities = reference.authorities.iter().map(|authority| authority.code.as_str());
        Ok(Self {
            calendar,
            reference,
            plans: create_each(out, "plans", PLAN_HEADER, authorities)?,
            presentations: create_each(out, "presentations", PRESENTATION_HEADER, trusts())?,
            accesses: create_each(out, "accesses", ACCESS_HEADER, trusts())?,
            references_given: vec![0; reference.authorities.len()],
            encounters_given: vec![0; reference.trusts.len()],
            midnight: calendar.instant(0, 0)?,
        })
    }

    /// Writes everything about one person.
    pub(crate) fn person(&mut self, person: &Person) -> Result<(), SynthError> {
        for plan in &person.plans {
            self.plan(person, plan)?;
        }
        for visit in &person.visits {
            self.visit(person, visit)?;
        }
        Ok(())
    }

    fn plan(&mut self, person: &Person, plan: &Plan) -> Result<(), SynthError> {
        let place = usize::from(plan.authority);
        let mut reference = String::new();
        if plan.referenced {
            self.references_given[place] += 1;
            reference = format!("P{:06}", self.references_given[place]);
        }
        for row in history(plan) {
            let other = row.other.map_or("", |other| &self.reference.authorities[usize::from(other)].code);
            let (start, calendar) = (self.calendar.text(plan.start), self.calendar);
            let end = plan.end.filter(|_| row.ends).map_or("", |end| calendar.text(end));
            let born = if person.birth_known { calendar.text(person.born) } else { "" };
            let shielded = if person.shielded { "yes" } else { "" };
            let (event, kind, version) = (row.event, plan.kind.code(), row.version);
            let number = person.number;
            self.plans[place].row(|out| {
                write!(out, "{event},{number:010},{born},{kind},{start},{end},{other},{shielded},{reference},{version}")
            })?;
        }
        Ok(())
    }

    fn visit(&mut self, person: &Person, visit: &Visit) -> Result<(), SynthError> {
        let place = usize::from(visit.trust);
        self.encounters_given[place] += 1;
        let encounter = self.encounters_given[place];
        let arrived = self.calendar.instant(visit.day, visit.second)?;
        let left = self.later(arrived, visit.stay_minutes)?.filter(|_| visit.outcome != Outcome::Waiting);
        let last = left.map_or(Outcome::Waiting, |_| visit.outcome);
        let mut version = 1;
        if last == Outcome::EnteredInError {
            self.visit_row(person, visit, encounter, version, arrived, (Outcome::Discharged, left))?;
            version += 1;
        } else if visit.in_two_rows && left.is_some() {
            self.visit_row(person, visit, encounter, version, arrived, (Outcome::Waiting, None))?;
            version += 1;
        }
        self.visit_row(person, visit, encounter, version, arrived, (last, left))?;
        self.access(person, visit, arrived)
    }

    fn visit_row(
        &mut self,
        person: &Person,
        visit: &Visit,
        encounter: u32,
        version: u32,
        arrived: Timestamp,
        (outcome, outcome_at): (Outcome, Option<Timestamp>),
    ) -> Result<(), SynthError> {
        let (calendar, site) = (self.calendar, &self.reference.sites[usize::from(visit.site)].code);
        let born = calendar.text(person.born);
        self.presentations[usize::from(visit.trust)].row(|out| {
            write!(out, "{site},E{encounter:08},{version},{:010},{born},", person.number)?;
            calendar.write_instant(out, arrived);
            write!(out, ",{},{},{},", visit.setting, visit.complaint, outcome.code())?;
            if let Some(at) = outcome_at {
                calendar.write_instant(out, at);
            }
            Ok(())
        })
    }

    fn access(&mut self, person: &Person, visit: &Visit, arrived: Timestamp) -> Result<(), SynthError> {
        let at = self.later(arrived, visit.triage_minutes)?.unwrap_or(arrived);
        let trust = &self.reference.trusts[usize::from(visit.trust)].code;
        let calendar = self.calendar;
        self.accesses[usize::from(visit.trust)].row(|out| {
            write!(out, "{:010},", person.number)?;
            calendar.write_instant(out, at);
            out.push(b',');
            staff::write(out, trust, visit.trust, visit.user)
        })
    }

    /// `minutes` after `from`; `None` when that is not before the as-of day.
    fn later(&self, from: Timestamp, minutes: u32) -> Result<Option<Timestamp>, SynthError> {
        let at = from.checked_add(Span::new().minutes(i64::from(minutes)));
        let at = at.map_err(|source| SynthError::Calendar { source })?;
        Ok((at < self.midnight).then_some(at))
    }

    /// Rows so far of the plan, presentation and access files.
    pub(crate) fn rows(&self) -> [u64; 3] {
        [&self.plans, &self.presentations, &self.accesses].map(|files| files.iter().map(TableFile::rows).sum())
    }

    /// Writes what is left of every file.
    pub(crate) fn finish(self) -> Result<Vec<FileEntry>, SynthError> {
        let files = self.plans.into_iter().chain(self.presentations).chain(self.accesses);
        files.map(TableFile::finish).collect()
    }
}

/// The rows that lead to a plan as it stands, in version order.
fn history(plan: &Plan) -> Vec<PlanRow<'static>> {
    let first = |event| PlanRow { event, version: 1, ends: false, other: None };
    let row = |event, version, ends, other| PlanRow { event, version, ends, other };
    match plan.course {
        Course::Plain if plan.end.is_some() => vec![first("start"), row("end", 2, true, None)],
        Course::Plain => vec![first("start")],
        Course::Changed => vec![first("start"), row("change", 2, true, None)],
        Course::Withdrawn => vec![first("start"), row("withdraw", 2, false, None)],
        Course::MovingTo(other) => vec![first("start"), row("transfer-out", 2, false, Some(other))],
        Course::MovedTo(other) => {
            vec![first("start"), row("transfer-out", 2, false, Some(other)), row("end", 3, true, None)]
        }
        Course::MovedFrom(other) => vec![row("transfer-in", 1, false, Some(other))],
    }
}

fn create_each<'c>(
    out: &Path,
    folder: &str,
    header: &str,
    codes: impl Iterator<Item = &'c str>,
) -> Result<Vec<TableFile>, SynthError> {
    codes.map(|code| TableFile::create(out, &format!("{folder}/{code}.csv"), header)).collect()
}
