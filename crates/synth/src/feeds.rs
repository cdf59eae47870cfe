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

/// The first file of every authority, and the names of its columns.
const PLAN_HEADER: &str = "kith-plans,1,1,changes\nnhs_number,date_of_birth,plan,start,end,reference,family,remark";
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
        let calendar = self.calendar;
        let end = plan.end.map_or("", |end| calendar.text(end));
        let born = if person.birth_known { calendar.text(person.born) } else { "" };
        let (start, kind, number) = (calendar.text(plan.start), plan.kind.code(), person.number);
        let remark = self.remark(person, plan);
        self.plans[place].row(|out| write!(out, "{number:010},{born},{kind},{start},{end},{reference},,{remark}"))
    }

    /// What a plan's row says beside its dates.
    fn remark(&self, person: &Person, plan: &Plan) -> String {
        let other = |other: u16| &self.reference.authorities[usize::from(other)].code;
        let course = match plan.course {
            Course::Plain | Course::Changed => None,
            Course::Withdrawn => Some("withdrawn".to_owned()),
            Course::MovingTo(to) | Course::MovedTo(to) => Some(format!("transfer-out {}", other(to))),
            Course::MovedFrom(from) => Some(format!("transfer-in {}", other(from))),
        };
        let shielded = person.shielded.then(|| "shielded".to_owned());
        shielded.into_iter().chain(course).collect::<Vec<_>>().join(";")
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

fn create_each<'c>(
    out: &Path,
    folder: &str,
    header: &str,
    codes: impl Iterator<Item = &'c str>,
) -> Result<Vec<TableFile>, SynthError> {
    codes.map(|code| TableFile::create(out, &format!("{folder}/{code}.csv"), header)).collect()
}
