//! Whom to notify when a child is looked up or seen in unscheduled care: every authority with an active or future plan,
//! once per organisation and four hours; for a shielded child, those who shielded it and nobody else.

use crate::child::{ACCESS_WINDOW_SECONDS, ChildRecord, MAX_NOTIFIED, Notified, Subject};
use crate::codes::{LaCode, OdsCode};
use crate::links::{Person, Standing};
use crate::nhs_number::NhsNumber;
use crate::plan::{Plan, PlanState, RecordRole};
use crate::text::PersonText;
use crate::time::{Day, Moment};
use serde::{Deserialize, Serialize};

/// What an authority is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// Whom it is about.
    pub subject: Subject,
    /// When the child was looked up, or the recording was taken.
    pub at: Moment,
    /// Why, and by whom.
    pub cause: Cause,
    /// The record is shielded: no place and no person is told.
    pub shielded: bool,
    /// The authority has acknowledged it.
    pub acknowledged: bool,
}

/// Why an authority is notified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// An unscheduled lookup or check-in by this person.
    Lookup(OdsCode, PersonText, PersonText),
    /// A presentation recorded live.
    Presentation(OdsCode),
    /// This number stands in the place of the one that the authority has sent: it is to send the new one.
    NumberReplaced(NhsNumber),
    /// The number is not valid any more, and nothing stands in its place.
    NumberInvalidated,
    /// What was told of the number was wrong: it stands as it was sent.
    NumberReinstated,
}

impl Cause {
    /// The organisation that saw or looked up the child; none for what is told of a number.
    #[must_use]
    pub fn organisation(&self) -> Option<OdsCode> {
        match self {
            Self::Lookup(organisation, _, _) | Self::Presentation(organisation) => Some(*organisation),
            Self::NumberReplaced(_) | Self::NumberInvalidated | Self::NumberReinstated => None,
        }
    }
}

/// The last day of a plan that counts for its state: its own end, the 18th birthday (not for an unborn plan on the
/// mother's record), and the start of the plan of the authority that it moved to. By the record of one number alone; of what
/// is held about a person under several, [`last_day_of`] tells it.
#[must_use]
pub fn last_day(record: &ChildRecord, plan: &Plan) -> Option<Day> {
    last_day_by(record, plan, None)
}

/// [`last_day`] of a plan on the record of one number, with the latest birth date that the demographics service has told of
/// the person under any.
#[must_use]
pub fn last_day_by(record: &ChildRecord, plan: &Plan, latest: Option<Day>) -> Option<Day> {
    last_day_born(record, plan, born(plan, record.told_birth_date(), latest))
}

/// [`last_day`] of a plan among everything that is held about a person.
#[must_use]
pub fn last_day_of(person: &Person, held: &ChildRecord, plan: &Plan) -> Option<Day> {
    if person.linked.is_empty() {
        return last_day(held, plan);
    }
    last_day_born(held, plan, born(plan, person.told_beside(plan), person.latest_told_birth_date()))
}

/// The birth date that counts for a plan, given the one told of the number that it stands under and the latest told under any
/// of the person's: the latest of all, where one is held of that number or by the plan. What is told under another number
/// makes nobody grown up, for the link may be a mistake; a mistyped date must not hide a plan in force either.
fn born(plan: &Plan, own: Option<Day>, latest: Option<Day>) -> Option<Day> {
    let own = own.max(plan.birth_date.get().copied())?;
    Some(latest.map_or(own, |latest| own.max(latest)))
}

fn last_day_born(record: &ChildRecord, plan: &Plan, born: Option<Day>) -> Option<Day> {
    let birthday = match plan.kind.get().map(|kind| kind.role()) {
        Some(RecordRole::Child) => born.map(|day| day.eighteenth_birthday()),
        Some(RecordRole::Mother) | None => None,
    };
    let arrived = record.plans.iter().filter(|other| has_moved_to(plan, other));
    let moved = arrived.filter_map(|other| other.start.get().copied()).min();
    // A day before the plan's own start contradicts it: the plan is then shown as in force.
    let start = plan.start.get().copied();
    let possible = |day: &Day| start.is_none_or(|start| *day >= start);
    [plan.end.get().copied(), birthday, moved].into_iter().flatten().filter(possible).min()
}

/// Whether a plan has moved, and `other` is where it has led.
pub(crate) fn has_moved_to(plan: &Plan, other: &Plan) -> bool {
    plan.moving_to.get().is_some_and(|to| has_taken_over(plan, *to, other))
}

/// Whether `other` is the plan that the transfer to `to` has led to: of the same kind, begun after `plan`, and either
/// reported as coming from its authority or still open. An older plan of that authority never ends this one, and neither
/// does one that had ended before the day on which this transfer was told: it may be that of an earlier transfer that came
/// to nothing, and showing both is better than showing none.
fn has_taken_over(plan: &Plan, to: LaCode, other: &Plan) -> bool {
    let begun_later = matches!((plan.start.get(), other.start.get()), (Some(own), Some(later)) if later > own);
    let follows = other.moved_from.get() == Some(&plan.authority) || other.end.get().is_none();
    let over = matches!((other.end.get(), plan.transfers.told_on(to)), (Some(end), Some(told)) if *end < told);
    other.authority == to
        && !over
        && !other.is_withdrawn()
        && other.kind.get() == plan.kind.get()
        && begun_later
        && follows
}

/// Authorities with an active or future plan on `today`.
#[must_use]
pub fn responsible(record: &ChildRecord, today: Day) -> Vec<LaCode> {
    responsible_by(record, today, |plan| last_day(record, plan))
}

fn responsible_by(record: &ChildRecord, today: Day, last_day: impl Fn(&Plan) -> Option<Day>) -> Vec<LaCode> {
    let current = record.plans.iter().filter(|plan| {
        let state = plan.state(today, last_day(plan), 0);
        !plan.is_withdrawn() && matches!(state, Some(PlanState::Active | PlanState::Future))
    });
    let mut authorities: Vec<LaCode> = current.map(|plan| plan.authority).collect();
    authorities.dedup();
    authorities
}

/// Authorities with an active or future plan on `today`, under any of the person's numbers.
#[must_use]
pub fn responsible_for(person: &Person, today: Day) -> Vec<LaCode> {
    if person.standing == Standing::Invalid {
        // Whoever was responsible under a number that is not valid any more may not be told where the person is now: it may
        // be an adopted child.
        return Vec::new();
    }
    if person.linked.is_empty() {
        return person.own.as_deref().map(|record| responsible(record, today)).unwrap_or_default();
    }
    let of = |record: &ChildRecord| responsible_by(record, today, |plan| last_day_of(person, record, plan));
    let mut authorities: Vec<LaCode> = person.whole().map(|record| of(&record)).unwrap_or_default();
    authorities.sort_unstable();
    authorities.dedup();
    authorities
}

/// Authorities that hear of a change of the number: the responsible ones, else the one whose plan ended last.
#[must_use]
pub fn concerned(record: &ChildRecord, today: Day) -> Vec<LaCode> {
    let responsible = responsible(record, today);
    if !responsible.is_empty() {
        return responsible;
    }
    let held = record.plans.iter().filter(|plan| !plan.is_withdrawn());
    held.max_by_key(|plan| last_day(record, plan)).map(|plan| plan.authority).into_iter().collect()
}

/// Whether an authority has a plan or a shield of its own under any number of the person, in force or not. To others nothing
/// is told of it: that they were responsible was by a link that stands no more, or by a number that is not valid any more.
#[must_use]
pub fn concerns(person: &Person, authority: LaCode) -> bool {
    person.records().flat_map(|record| &record.plans).any(|plan| plan.authority == authority)
        || person.setters().contains(&authority)
}

/// Which of the responsible `authorities` to notify of an encounter with `organisation` at `at`: for a shielded person
/// those that shield it, and the responsible ones where only the demographics service does, for nobody else would hear.
/// Marks the encounter as notified on the record of the number that was used.
pub fn due(
    person: &Person,
    record: &mut ChildRecord,
    authorities: Vec<LaCode>,
    organisation: OdsCode,
    at: Moment,
) -> Vec<LaCode> {
    if authorities.is_empty() {
        return authorities;
    }
    let window_ms = ACCESS_WINDOW_SECONDS * 1000;
    let setters = person.setters();
    let mut due = if setters.is_empty() { authorities } else { setters };
    due.retain(|authority| {
        let told = |n: &Notified| {
            n.organisation == organisation && n.authority == *authority && (at.0 - n.first_at.0).abs() < window_ms
        };
        !person.records().flat_map(|record| &record.notified).any(told)
    });
    record.notified.retain(|n| at.0 - n.first_at.0 < window_ms);
    for authority in &due {
        if record.notified.len() == MAX_NOTIFIED {
            record.notified.remove(0);
        }
        record.notified.push(Notified { organisation, authority: *authority, first_at: at });
    }
    due
}
