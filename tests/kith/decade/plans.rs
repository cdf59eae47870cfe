//! The naive model's plans: each is worked out by going through all of its events in order of their versions. By the rules
//! of the domain, and by nothing of the service.

use std::collections::BTreeMap;

use kith_domain::change::{Baby, PlanAction, PlanEvent};
use kith_domain::codes::LaCode;
use kith_domain::plan::{PlanKind, PlanState};
use kith_domain::time::{Day, Moment};

use super::calendar::{birthday_18, london_day, plus_months};
use super::ledger::Told;

/// Months for which an ended plan is shown.
const RETENTION_MONTHS: i32 = 12;

/// What tells the plans of one authority and person apart: the reference, or kind and first day.
pub type Name = (Option<String>, Option<(PlanKind, Day)>);

pub fn name(event: &PlanEvent) -> Name {
    match &event.reference {
        Some(reference) => (Some(reference.as_str().to_owned()), None),
        None => (None, event.start.map(|start| (event.kind, start))),
    }
}

/// A plan as its events leave it.
#[derive(Debug, Clone)]
pub struct Plan {
    pub authority: LaCode,
    pub name: Name,
    pub kind: PlanKind,
    pub start: Option<Day>,
    pub end: Option<Day>,
    pub born: Option<Day>,
    pub withdrawn: bool,
    pub moving_to: Option<LaCode>,
    pub moved_from: Option<LaCode>,
    /// The first day on which the service was told of this transfer.
    pub moving_told: Option<Day>,
    /// When the last of its events was taken.
    pub last_told: Moment,
}

/// A plan as shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    pub state: PlanState,
    pub kind: Option<PlanKind>,
    pub start: Option<Day>,
    pub end: Option<Day>,
    /// None where no place may be told.
    pub authority: Option<LaCode>,
    pub moving_to: Option<LaCode>,
    pub moving: bool,
}

impl Plan {
    fn begin(event: &PlanEvent) -> Self {
        Self {
            authority: event.authority,
            name: name(event),
            kind: event.kind,
            start: None,
            end: None,
            born: None,
            withdrawn: false,
            moving_to: None,
            moved_from: None,
            moving_told: None,
            last_told: Moment::default(),
        }
    }

    /// One event more, of a greater version than all before it.
    fn then(&mut self, event: &PlanEvent, at: Moment) {
        self.kind = event.kind;
        self.born = event.birth_date.or(self.born);
        match event.action {
            PlanAction::Start | PlanAction::Change | PlanAction::TransferIn(_) => {
                (self.start, self.end, self.withdrawn) = (event.start, event.end, false);
            }
            PlanAction::End | PlanAction::Born => self.end = event.end,
            PlanAction::Withdraw => self.withdrawn = true,
            PlanAction::TransferOut(to) => {
                let before = self.moving_told.filter(|_| self.moving_to == Some(to));
                let told = london_day(at);
                self.moving_told = Some(before.map_or(told, |day| day.min(told)));
                self.moving_to = Some(to);
                self.end = event.end.or(self.end);
            }
        }
        // Who starts or arrives has stayed or come back.
        if let PlanAction::Start = event.action {
            self.moving_to = None;
        } else if let PlanAction::TransferIn(from) = event.action {
            (self.moving_to, self.moved_from) = (None, Some(from));
        }
    }

    fn says_the_same_as(&self, other: &Self) -> bool {
        let said = |plan: &Self| (plan.kind, plan.start, plan.end, plan.born, plan.withdrawn);
        said(self) == said(other) && (self.moving_to, self.moved_from) == (other.moving_to, other.moved_from)
    }

    /// The last day on which it is in force: its end, the 18th birthday, or the day on which the authority that it moved to
    /// began. A day before its own first is a mistake of somebody and does not hide it.
    pub fn last_day(&self, all: &[Self]) -> Option<Day> {
        let birthday = self.born.filter(|_| self.kind != PlanKind::Unborn).map(birthday_18);
        let began_there = all.iter().filter(|other| self.is_followed_by(other)).filter_map(|other| other.start);
        let days = self.end.into_iter().chain(birthday).chain(began_there);
        days.filter(|day| self.start.is_none_or(|start| *day >= start)).min()
    }

    fn is_followed_by(&self, other: &Self) -> bool {
        self.moving_to == Some(other.authority)
            && other.kind == self.kind
            && !other.withdrawn
            && other.start > self.start
            && self.start.is_some()
            && (other.moved_from == Some(self.authority) || other.end.is_none())
            // One that was over before the transfer was told of is that of another transfer.
            && (other.end.is_none() || self.moving_told.is_none() || other.end >= self.moving_told)
    }

    /// None when it is shown no more.
    pub fn state(&self, all: &[Self], today: Day) -> Option<PlanState> {
        let last = self.last_day(all);
        if last.is_some_and(|last| last < today) {
            let shown_through = last.map(|last| plus_months(last, RETENTION_MONTHS));
            return (shown_through >= Some(today)).then_some(PlanState::Ended);
        }
        Some(if self.start > Some(today) { PlanState::Future } else { PlanState::Active })
    }

    fn is_held(&self, all: &[Self], today: Day) -> bool {
        if self.withdrawn {
            return plus_months(london_day(self.last_told), RETENTION_MONTHS) >= today;
        }
        self.state(all, today).is_some()
    }
}

/// Whether two events, of the least versions that follow each other, are what one row of a file stands for.
fn is_of_one_row(one: &PlanEvent, next: &PlanEvent) -> bool {
    one.event_id.is_nil() && next.event_id.is_nil() && one.version + 1 == next.version
}

/// Every plan of a list, also those whose time has passed.
pub fn all(facts: &[Told]) -> Vec<Plan> {
    let mut events: BTreeMap<(LaCode, Name), Vec<(Moment, &PlanEvent)>> = BTreeMap::new();
    for told in facts {
        if let Told::Plan(at, event) = told {
            events.entry((event.authority, name(event))).or_default().push((*at, event));
        }
    }
    let one = |mut events: Vec<(Moment, &PlanEvent)>| {
        events.sort_by_key(|(_, event)| event.version);
        let mut plan = Plan::begin(events[0].1);
        for row in events.chunk_by(|(_, one), (_, next)| is_of_one_row(one, next)) {
            let before = plan.clone();
            for (at, event) in row {
                plan.then(event, *at);
                plan.last_told = plan.last_told.max(*at);
            }
            // A row that says what is known already does not tell of a transfer anew.
            if plan.says_the_same_as(&before) {
                plan.moving_told = before.moving_told;
            }
        }
        plan
    };
    events.into_values().map(one).collect()
}

/// What a birth tells of each baby: a plan that starts with the day of birth.
pub fn starts(event: &PlanEvent) -> Vec<PlanEvent> {
    let start = |baby: &Baby| {
        let born = baby.birth_date.or(event.end);
        PlanEvent {
            subject: baby.subject.clone(),
            action: PlanAction::Start,
            kind: baby.kind,
            reference: baby.reference.clone(),
            start: born,
            end: None,
            birth_date: born,
            babies: Vec::new(),
            ..event.clone()
        }
    };
    event.babies.iter().map(start).collect()
}

/// Plans of a person that are held on a day, from what was told under each number: what has passed its time is not held,
/// whether or not it has been removed.
pub fn held(facts: &[&[Told]], today: Day) -> Vec<Plan> {
    let every: Vec<Vec<Plan>> = facts.iter().map(|list| all(list)).collect();
    let of = |own: &Vec<Plan>| own.iter().filter(|plan| is_kept(plan, own, &every, today)).cloned().collect::<Vec<_>>();
    every.iter().flat_map(of).collect()
}

/// Whether a plan's own time has not passed, or one that it has followed is kept: that would come back in force without it.
fn is_kept(plan: &Plan, own: &[Plan], every: &[Vec<Plan>], today: Day) -> bool {
    let before = |list: &Vec<Plan>| {
        let mut followed = list.iter().filter(|before| !before.withdrawn && before.is_followed_by(plan));
        followed.any(|before| is_kept(before, list, every, today))
    };
    plan.is_held(own, today) || every.iter().any(before)
}

/// Authority and name of plans whose time has passed, of those under the first of a person's numbers.
pub fn passed(facts: &[&[Told]], today: Day) -> Vec<(LaCode, Name)> {
    let every: Vec<Vec<Plan>> = facts.iter().map(|list| all(list)).collect();
    let over = every[0].iter().filter(|plan| !is_kept(plan, &every[0], &every, today));
    over.map(|plan| (plan.authority, plan.name.clone())).collect()
}

/// Plans shown of those held, each once, in no order that means anything.
pub fn lines(held: &[Plan], today: Day) -> Vec<Line> {
    let line = |plan: &Plan| {
        let state = plan.state(held, today)?;
        let end = if state == PlanState::Ended { plan.last_day(held) } else { plan.end };
        Some(Line {
            state,
            kind: Some(plan.kind),
            start: plan.start,
            end,
            authority: Some(plan.authority),
            moving_to: plan.moving_to,
            moving: plan.moving_to.is_some(),
        })
    };
    held.iter().filter(|plan| !plan.withdrawn).filter_map(line).collect()
}

/// Whether a file that names all plans of an authority would have to name this one.
pub fn is_current(plan: &Plan, all: &[Plan], day: Day) -> bool {
    !plan.withdrawn && plan.last_day(all).is_none_or(|last| last >= day)
}
