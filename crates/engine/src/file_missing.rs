//! A snapshot held against the authority's current plans: what it does not name is reported, and ended only when the file
//! asks for it, every row could be read, and the bound allows it. A plan that has not begun is reported and never ended.

use crate::changed_one::{Became, ChangedOne};
use crate::file_import::{Import, counted_durably};
use crate::files::Trouble;
use crate::keys;
use crate::rows::EventRow;
use crate::writer::Verdict;
use kith_domain::change::{Change, FileEnding, PlanAction, PlanEvent};
use kith_domain::child::Subject;
use kith_domain::fold::Effect;
use kith_domain::links::Standing;
use kith_domain::plan::{Plan, PlanName};
use kith_domain::plan_file::{
    MAX_LISTED, Missing, MissingPlan, Named, NoneEnded, RowVerdict, SnapshotSummary, end_version, is_current, refusals,
    row_of,
};
use kith_domain::refused::RefusedKind;
use kith_domain::text::PlanReference;
use kith_store::Table;
use std::collections::BTreeSet;

/// How long before it comes a file may have been made: the time of its making is not told.
const FILE_AGE_SECONDS: i64 = 86_400;
/// Plans ended at once.
const GROUP: usize = 128;

/// What rows with a fault name: those plans are in the file all the same.
#[derive(Default)]
struct Doubted<'a> {
    subjects: BTreeSet<Subject>,
    references: BTreeSet<&'a PlanReference>,
    /// A row names nothing that can be read.
    unreadable: bool,
}

impl Doubted<'_> {
    fn names(&self, subject: &Subject, name: &PlanName) -> bool {
        let by_reference = match name {
            PlanName::Reference(reference) => self.references.contains(reference),
            PlanName::KindAndStart(..) => false,
        };
        by_reference || self.subjects.contains(subject)
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

impl Import<'_> {
    /// Finds what is missing, and ends it where it may.
    pub(crate) async fn reconcile(&self, asked: Missing) -> Result<SnapshotSummary, Trouble> {
        let doubted = self.doubted();
        let (current, missing) = self.missing(&doubted);
        let ending = match asked {
            Missing::End if !doubted.unreadable => self.to_end(&missing)?,
            Missing::End | Missing::Report => Vec::new(),
        };
        let ended = match asked {
            _ if missing.is_empty() => Ok(0),
            Missing::Report => Err(NoneEnded::NotAsked),
            Missing::End if doubted.unreadable => Err(NoneEnded::RowUnreadable),
            Missing::End if ending.is_empty() => Ok(0),
            Missing::End => self.end(&ending, current).await?,
        };
        let (ended, none_ended) = (ended.unwrap_or(0), ended.err());
        let [added, changed, unchanged] = self.counts;
        let total = count(missing.len());
        let listed = missing.into_iter().take(MAX_LISTED).collect();
        Ok(SnapshotSummary { added, changed, unchanged, missing: total, listed, ended, none_ended })
    }

    fn to_end<'m>(&self, missing: &'m [MissingPlan]) -> Result<Vec<&'m MissingPlan>, Trouble> {
        let mut ending = Vec::new();
        for plan in missing {
            if self.is_to_end(plan)? {
                ending.push(plan);
            }
        }
        Ok(ending)
    }

    /// Whether a missing plan has begun, and nothing was told of it since the file was started, nor by an event in the day
    /// before: such a plan may be newer than the file, which may be hours old when it comes, or broken off and sent again
    /// much later. The next file ends it. What this file has ended itself counts on.
    fn is_to_end(&self, plan: &MissingPlan) -> Result<bool, Trouble> {
        if plan.start.is_some_and(|start| start > self.open.at.london_day()) {
            return Ok(false);
        }
        let record = self.engine.index().for_writer(&plan.subject);
        let same = |held: &&Plan| held.authority == self.authority && held.name == plan.name;
        let Some(held) = record.as_ref().and_then(|record| record.plans.iter().find(same)) else { return Ok(false) };
        if held.end.version() == end_version(self.open.ordinal) {
            return Ok(true);
        }
        let older = |seconds: i64| held.last_event_at <= self.open.at.plus_seconds(-seconds);
        Ok(older(FILE_AGE_SECONDS) || (older(0) && self.is_told_by_file(held)?))
    }

    /// Whether the last event of a plan was that of a row of a file before this one: by the id that it has then, and the moment
    /// at which it was taken. Its version alone does not tell, for a sender of events may have given the same.
    fn is_told_by_file(&self, held: &Plan) -> Result<bool, Trouble> {
        for version in [held.kind.version(), held.start.version(), held.end.version()] {
            let (ordinal, row, place) = row_of(version);
            let id = self.event_id_of(ordinal, &format!("row/{row}/{place}"));
            let key = keys::event(&self.engine.keys, self.authority.as_str(), id);
            let taken = self.row::<EventRow>(Table::Event, &key)?;
            if taken.is_some_and(|taken| taken.acknowledgement.at == held.last_event_at) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn doubted(&self) -> Doubted<'_> {
        let mut doubted = Doubted::default();
        for (row, verdict) in self.file.rows.iter().zip(&self.verdicts) {
            if matches!(verdict, RowVerdict::Loaded { .. } | RowVerdict::Noted(_)) {
                continue;
            }
            let Named { number, reference } = &row.named;
            doubted.unreadable |= number.is_none() && reference.is_none();
            // A plan may stand under a number that another has replaced since.
            if let Some(subject) = number.map(Subject::Nhs) {
                let person = self.engine.index().person(&subject);
                doubted.subjects.extend(person.records().map(|record| record.subject.clone()));
                doubted.subjects.insert(subject);
            }
            doubted.references.extend(reference);
        }
        doubted
    }

    /// How many plans of the authority are current, and those that no row names.
    fn missing(&self, doubted: &Doubted<'_>) -> (u32, Vec<MissingPlan>) {
        let day = self.open.at.london_day();
        let (mut current, mut missing) = (0, Vec::new());
        for subject in self.engine.index().planned_by(self.authority) {
            // Without an NHS number a plan comes as events and cannot stand in a file.
            if matches!(subject, Subject::Local(..)) {
                continue;
            }
            let person = self.engine.index().person(&subject);
            // Of a number that is not valid any more nothing is shown, and nothing is to end: the file names the present one.
            if person.standing == Standing::Invalid {
                continue;
            }
            let Some(record) = person.own else { continue };
            for plan in record.plans.iter().filter(|plan| plan.authority == self.authority) {
                if !is_current(&record, plan, day) {
                    continue;
                }
                current += 1;
                let named = self.seen.contains(&(subject.clone(), plan.name.clone()));
                if named || doubted.names(&subject, &plan.name) {
                    continue;
                }
                let (kind, start) = (plan.kind.get().copied(), plan.start.get().copied());
                missing.push(MissingPlan { subject: subject.clone(), name: plan.name.clone(), kind, start });
            }
        }
        (current, missing)
    }

    /// Ends plans, when the bound allows it, and counts them; otherwise says that it does not.
    async fn end(&self, plans: &[&MissingPlan], current: u32) -> Result<Result<u32, NoneEnded>, Trouble> {
        let (authority, number) = (self.authority, self.open.number);
        let ending = FileEnding { authority, number, count: count(plans.len()), current };
        match self.engine.change_one(self.permit, self.at, Change::FileEnding(ending)).await {
            Ok(_) => {}
            Err(refused) if refused.reason == refusals::BEYOND_BOUND.reason => return Ok(Err(NoneEnded::BeyondBound)),
            Err(refused) => return Err(refused.into()),
        }
        let (mut ended, mut counted) = (0, Vec::new());
        for group in plans.chunks(GROUP) {
            let events: Vec<PlanEvent> = group.iter().filter_map(|plan| self.ending_of(plan)).collect();
            let changes = events.iter().cloned().map(Change::Plan).collect();
            let verdicts = self.engine.change(self.permit, self.at, changes).await;
            let one = |(event, verdict): (&PlanEvent, &Verdict)| {
                let (about, became) = (vec![event.subject.clone()], Became::of(verdict));
                self.engine.each_of(Some(event.event_id), about, became, event.tells_of_shield())
            };
            let each: Vec<ChangedOne> = events.iter().zip(&verdicts).flat_map(one).collect();
            counted.extend(self.tell(each).await?);
            for verdict in verdicts {
                match verdict {
                    Ok(ack) => ended += u32::from(ack.effect != Effect::Overtaken),
                    Err(refused) if refused.kind == RefusedKind::Unavailable => return Err(refused.into()),
                    Err(refused) => tracing::warn!(reason = refused.reason, "a missing plan could not be ended"),
                }
            }
        }
        counted_durably(counted).await?;
        Ok(Ok(ended))
    }

    /// The event that ends a missing plan. Its id is made of the plan, so that it is the same when the file is sent again.
    fn ending_of(&self, plan: &MissingPlan) -> Option<PlanEvent> {
        let (kind, reference, start) = match &plan.name {
            PlanName::Reference(reference) => (plan.kind?, Some(reference.clone()), plan.start),
            PlanName::KindAndStart(kind, start) => (*kind, None, Some(*start)),
        };
        let key = keys::plan(&self.engine.keys, self.authority, &plan.name, &plan.subject);
        Some(PlanEvent {
            authority: self.authority,
            event_id: self.event_id(&format!("end/{}", hex::encode(key))),
            subject: plan.subject.clone(),
            action: PlanAction::End,
            kind,
            reference,
            version: end_version(self.open.ordinal),
            start,
            end: Some(self.open.at.london_day()),
            birth_date: None,
            shielded: false,
            unshield: false,
            family: None,
            babies: Vec::new(),
        })
    }
}
