//! Authorities that tell their plans by files: every other night what has changed, once a week all of it. Now and then a
//! file leaves plans out, or is cut off. What the file's verdict must be is worked out from the ledger.

use std::collections::{BTreeMap, BTreeSet};

use kith_domain::change::{Change, Feed, PlanAction, PlanEvent};
use kith_domain::child::Subject;
use kith_domain::codes::LaCode;
use kith_domain::plan_file::{FileMode, FileRow, Missing, Named, PlanFile, PlanRow, RowVerdict};
use kith_domain::text::PlanReference;
use kith_domain::time::{Day, Moment};
use uuid::Uuid;

use super::calendar::{london_day, number, weekday};
use super::ledger::Ledger;
use super::place::{Place, authority};
use super::plans;
use super::world::{BY_FILE, World, plans_of};

/// A row is left out of the files so many days after its plan's end.
const KEPT_DAYS: i32 = 45;
/// Versions of a file's rows follow its number: the documented factor.
pub const VERSIONS: u64 = 1 << 20;

/// Where the authorities' files stand.
#[derive(Default)]
pub struct Files {
    number: [u64; BY_FILE],
    /// When snapshots ended how many plans.
    vanished: [Vec<(Moment, usize)>; BY_FILE],
    pub seen: BTreeMap<&'static str, u64>,
}

/// A row, and the case that it is of.
type Row = (usize, PlanRow);

fn row(world: &World, case: usize) -> Option<PlanRow> {
    let known = &world.cases[case];
    let Subject::Nhs(number) = world.people[known.person].subject else { return None };
    let arrived = known.moved_from.map(|from| PlanAction::TransferIn(authority(from)));
    let leaves = known.moving_to.map(|to| PlanAction::TransferOut(authority(to)));
    let actions = match (known.withdrawn, known.stays) {
        (true, _) => vec![PlanAction::Withdraw],
        (false, true) => vec![PlanAction::Start],
        (false, false) if arrived.is_none() && leaves.is_some() => {
            [Some(PlanAction::Change), leaves].into_iter().flatten().collect()
        }
        (false, false) => [arrived, leaves].into_iter().flatten().collect(),
    };
    let (birth_date, kind, start, end) = (known.born, known.kind, Some(known.start), known.end);
    let (reference, shielded) = (known.reference.clone(), known.shielded);
    Some(PlanRow { number, birth_date, kind, start, end, reference, family: None, actions, shielded })
}

/// Rows of an authority: all that it has told or has to tell, or what has changed.
fn rows(world: &World, of: usize, whole: bool) -> Vec<Row> {
    let oldest = world.today.plus_days(-KEPT_DAYS);
    let wanted = |case: &super::world::Case| {
        let told = case.version > 1 && !case.withdrawn && case.end.is_none_or(|end| end >= oldest);
        case.authority == of && (case.unsaid || (whole && told))
    };
    let cases = world.cases.iter().enumerate().filter(|(_, case)| wanted(case));
    cases.filter_map(|(at, _)| row(world, at).map(|row| (at, row))).collect()
}

/// The events that a row stands for, with the versions that the documentation gives them.
pub fn events(authority: LaCode, file: u64, place: u64, row: &PlanRow) -> Vec<PlanEvent> {
    let plain = [PlanAction::Change];
    let actions = if row.actions.is_empty() { &plain[..] } else { &row.actions };
    let event = |(nth, action): (u64, &PlanAction)| PlanEvent {
        authority,
        event_id: Uuid::nil(),
        subject: Subject::Nhs(row.number),
        action: *action,
        kind: row.kind,
        reference: row.reference.clone(),
        version: file * VERSIONS + place * 4 + nth,
        start: row.start,
        end: row.end,
        birth_date: row.birth_date,
        shielded: row.shielded,
        unshield: false,
        family: row.family.clone(),
        babies: Vec::new(),
    };
    (0..).zip(actions).map(event).collect()
}

fn file(number: u64, whole: bool, rows: &[Row]) -> PlanFile {
    let mode = if whole { FileMode::Snapshot(Missing::End) } else { FileMode::Changes };
    let one = |(line, (_, row)): (u64, &Row)| FileRow {
        line,
        named: Named { number: Some(row.number), reference: row.reference.clone() },
        plan: Ok(row.clone()),
        further: Vec::new(),
    };
    PlanFile { number, mode, rows: (3..).zip(rows).map(one).collect() }
}

/// Plans that are current in the ledger: how many, and those that no row names.
fn missing(ledger: &Ledger, of: usize, rows: &[Row], day: Day) -> (usize, Vec<(Subject, plans::Plan)>) {
    let mut named = BTreeSet::new();
    for (_, row) in rows {
        let event = events(authority(of), 0, 0, row).remove(0);
        named.insert((event.subject.clone(), plans::name(&event)));
    }
    let (mut current, mut missing) = (0, Vec::new());
    for subject in ledger.planned_by(authority(of)) {
        // The file names the present number of the child, and never one that is not valid any more.
        if ledger.is_invalid(subject) {
            continue;
        }
        let all = plans::all(ledger.facts(subject));
        for plan in all.iter().filter(|plan| plan.authority == authority(of)) {
            if !plans::is_current(plan, &all, day) {
                continue;
            }
            current += 1;
            if !named.contains(&(subject.clone(), plan.name.clone())) {
                missing.push((subject.clone(), plan.clone()));
            }
        }
    }
    (current, missing)
}

impl Files {
    fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// The files of a night.
    pub async fn night(&mut self, place: &Place, world: &mut World, ledger: &mut Ledger) -> Vec<Subject> {
        let mut touched = Vec::new();
        for of in 0..BY_FILE {
            let (night, whole) = (number(world.today), weekday(world.today) == 6);
            if (whole || night % 2 == 0) && !world.silent.contains_key(&plans_of(of)) {
                touched.extend(self.one(place, world, ledger, of, whole).await);
            }
        }
        touched
    }

    async fn one(
        &mut self,
        place: &Place,
        world: &mut World,
        ledger: &mut Ledger,
        of: usize,
        whole: bool,
    ) -> Vec<Subject> {
        let mut rows = rows(world, of, whole);
        if whole && world.dice.percent(20) {
            let (cut, from) = (world.dice.percent(30), world.dice.below(rows.len()));
            let left_out = if cut { rows.len() / 2 } else { 1 + world.dice.below(3) };
            // What has changed is not left out: it would then never be told.
            let mut at = 0;
            rows.retain(|(case, _)| {
                at += 1;
                world.cases[*case].unsaid || at <= from || at > from + left_out
            });
            self.saw(if cut { "a snapshot cut off" } else { "plans left out" });
        }
        self.number[of] += 1;
        let file = file(self.number[of], whole, &rows);
        let bytes = format!("{of} {}", self.number[of]);
        let verdict = place.send_file(authority(of), &file, bytes.as_bytes()).await;
        assert_eq!(verdict.rows.len(), rows.len(), "{:?}", verdict.fault);
        for ((_, sent), row) in rows.iter().zip(&verdict.rows) {
            let subject = Subject::Nhs(sent.number);
            let current = ledger.current(&subject) == &subject && !ledger.is_invalid(&subject);
            let as_it_should = match &row.verdict {
                RowVerdict::Loaded { .. } => current,
                RowVerdict::Noted(_) => !current,
                RowVerdict::Fault(_) => false,
            };
            assert!(as_it_should, "line {}: {:?}", row.line, row.verdict);
        }
        self.saw(if whole { "a snapshot" } else { "a file of changes" });
        let at = place.now();
        for (nth, (case, row)) in (1..).zip(&rows) {
            for event in events(authority(of), self.number[of], nth, row) {
                ledger.tell(at, &Change::Plan(event));
            }
            (world.cases[*case].unsaid, world.cases[*case].stays) = (false, false);
        }
        let mut touched: Vec<Subject> = rows.iter().map(|(_, row)| Subject::Nhs(row.number)).collect();
        let Some(found) = verdict.snapshot else {
            ledger.alive(Feed::Plans(authority(of)), at);
            return touched;
        };
        let ended = self.reconcile(ledger, of, &rows, at);
        if !rows.is_empty() || ended.0 == 0 {
            ledger.alive(Feed::Plans(authority(of)), at);
        }
        assert_eq!((found.missing as usize, found.ended as usize), (ended.0, ended.1.len()), "missing and ended plans");
        touched.extend(ended.1);
        touched
    }

    /// What a snapshot misses: how many, and whose plans it ends.
    fn reconcile(&mut self, ledger: &mut Ledger, of: usize, rows: &[Row], at: Moment) -> (usize, Vec<Subject>) {
        let day = london_day(at);
        let (current, missing) = missing(ledger, of, rows, day);
        let ending = missing.iter().filter(|(_, plan)| plan.start.is_none_or(|start| start <= day));
        let ending: Vec<(Subject, plans::Plan)> = ending.cloned().collect();
        let week = at.plus_seconds(-7 * 86_400);
        let lately: usize = self.vanished[of].iter().filter(|(when, _)| *when >= week).map(|(_, count)| count).sum();
        // At most five plans, or five of a hundred, in any seven days; else none at all.
        let total = lately + ending.len();
        if total > 5 && total * 100 > current * 5 {
            self.saw("too many missing, none ended");
            return (missing.len(), Vec::new());
        }
        if !ending.is_empty() {
            self.vanished[of].push((at, ending.len()));
            self.saw("missing plans ended");
        }
        for (subject, plan) in &ending {
            let event = PlanEvent {
                authority: authority(of),
                event_id: Uuid::nil(),
                subject: subject.clone(),
                action: PlanAction::End,
                kind: plan.kind,
                reference: plan.name.0.as_deref().map(|text| PlanReference::parse(text).expect("a reference")),
                version: self.number[of] * VERSIONS + VERSIONS - 1,
                start: plan.start,
                end: Some(day),
                birth_date: None,
                shielded: false,
                unshield: false,
                family: None,
                babies: Vec::new(),
            };
            ledger.tell(at, &Change::Plan(event));
        }
        (missing.len(), ending.into_iter().map(|(subject, _)| subject).collect())
    }
}
