//! Births: one event that ends the mother's unborn plan and starts each baby's own, in one record of the log. The babies'
//! records are published before the mother's, so that a reader of either sees the old, the new or both, and never neither.
//!
//! Where the authority withholds what it holds of the mother, it withholds the babies' plans from their start: the unborn child whose
//! plan somebody decided to withhold is this one, and that it was born is no decision to tell. Refused until somebody has decided, a
//! newborn would be one about whom nothing is held; so it is taken, read as held and withheld, and acknowledged as *kept*, for the
//! authority to look at.

use crate::apply;
use crate::carried::CarriedOver;
use crate::changes;
use crate::keys;
use crate::linked;
use crate::names::Name;
use crate::rows::OwnerRow;
use crate::withholdings::{self, WithholdingRow};
use crate::working::{StateError, Working};
use kith_domain::birth;
use kith_domain::change::{Baby, Change, PlanAction, PlanEvent};
use kith_domain::child::ChildRecord;
use kith_domain::fold::Effect;
use kith_domain::links::Person;
use kith_domain::plan::PlanName;
use kith_domain::refused::Refused;
use kith_domain::time::Moment;
use kith_store::Table;

/// Whether the babies' plans of an event may start; `None` also for an event without babies.
pub(crate) fn check(working: &Working<'_>, event: &PlanEvent) -> Result<Option<Refused>, StateError> {
    if event.action != PlanAction::Born {
        return Ok(None);
    }
    let told = event.shielded || event.unshield;
    if !told && working.person(&event.subject)?.is_shielded() {
        return Ok(Some(birth::SHIELD_NOT_TOLD));
    }
    for start in event.starts() {
        if let Some(refused) = changes::check_plan(working, &start)? {
            return Ok(Some(refused));
        }
    }
    Ok(None)
}

/// The babies of an event, each about the record that its plan stands on.
pub(crate) fn homed(working: &Working<'_>, event: &PlanEvent) -> Result<Vec<Baby>, StateError> {
    let home = |baby: &Baby| {
        let start = event.start_of(baby);
        let home = linked::plan_home(working, &start)?;
        Ok(Baby { subject: home.unwrap_or(start.subject), ..baby.clone() })
    };
    event.babies.iter().map(home).collect()
}

/// Carries what the authority withholds of the mother over to a baby whose plan begins with its birth, and has the audit hear of
/// it; whether somebody is to look at it. A plan that had begun before stays as it was: somebody may have lifted what was carried
/// over, and a birth that is told anew decides nothing. Nor is anything carried over to a child of whom other plans of the
/// authority are shown: a newborn has none, so that the number is likelier mistyped, and what is shown of another child nobody has
/// decided to withhold.
fn withheld_as_the_mothers(working: &mut Working<'_>, mother: &Person, start: &PlanEvent) -> Result<bool, StateError> {
    let Some(name) = start.name() else { return Ok(false) };
    let authority = start.authority;
    let withholds = |record: &ChildRecord| record.withheld_by.contains(&authority);
    if !mother.records().any(withholds) || has_begun(working, start, &name)? {
        return Ok(false);
    }
    let baby = working.person(&start.subject)?;
    let shows =
        |record: &ChildRecord| record.plans.iter().any(|plan| plan.authority == authority && !plan.is_withdrawn());
    if !baby.records().any(withholds) && baby.records().any(shows) {
        return Ok(true);
    }
    let carried = withholdings::carry_over(working, authority, mother.records(), &start.subject)?;
    let Some(row) = carried else { return Ok(false) };
    working.note_carried(CarriedOver::of(row));
    Ok(true)
}

/// Has the audit hear once more of what stands of a birth that was taken before and is sent again: of each baby what was carried over,
/// and not what somebody has lifted or decided anew since. Nothing says from where it was carried: what was decided about the baby
/// itself, under the authority's own key, and carried to its number is told as well, and all of it as often as the birth is sent. Too
/// often is better than never.
pub(crate) fn carried_before(working: &mut Working<'_>, change: &Change) -> Result<(), StateError> {
    let Change::Plan(event) = change else { return Ok(()) };
    for baby in homed(working, event)? {
        let key = keys::withholding(working.keys(), event.authority, &baby.subject);
        let stands: Option<WithholdingRow> = working.row(Table::Withholding, &key)?;
        if let Some(row) = stands.filter(|row| row.carried_over) {
            working.note_carried(CarriedOver::of(row));
        }
    }
    Ok(())
}

/// Whether a baby's plan had begun before: under the same number, or under the authority's own key, which gives way to the number now.
/// What was decided under the key goes with the plan (`apply.rs`), and what was lifted there stays lifted.
fn has_begun(working: &Working<'_>, start: &PlanEvent, name: &PlanName) -> Result<bool, StateError> {
    let held = working.peek(&start.subject)?;
    if held.as_ref().is_some_and(linked::holds_plan(start.authority, name)) {
        return Ok(true);
    }
    let used = Name::of_plan(working.keys(), start, name, held.as_ref());
    let owner = working.row::<OwnerRow>(Table::Plan, &used.key)?.map(|row| row.subject);
    // Not behind a number that was mistyped: there the key may have been lifted because the number had its own.
    let key = used.key_before(working, |_, _| false)?.filter(|key| owner.as_ref() == Some(&key.subject));
    Ok(key.as_ref().is_some_and(linked::goes_on(start.authority, name)))
}

/// Starts the babies' plans. `sent` are the babies as they were sent, those of `event` the records that their plans stand on.
pub(crate) fn apply(
    working: &mut Working<'_>,
    event: &PlanEvent,
    sent: &[Baby],
    at: Moment,
) -> Result<Option<Effect>, StateError> {
    if event.babies.is_empty() {
        return Ok(None);
    }
    let mother = working.person(&event.subject)?;
    let mut whole = None;
    for (start, baby) in event.starts().zip(sent) {
        let withheld = withheld_as_the_mothers(working, &mother, &start)?;
        let effect = apply::plan(working, &start, &baby.subject, at)?;
        let effect = if withheld { both(effect, Effect::Kept) } else { effect };
        working.publish_first(start.subject);
        whole = Some(whole.map_or(effect, |before| both(before, effect)));
    }
    Ok(whole)
}

/// What two parts of one event did: it is shown when both are, and something to look at comes first.
pub(crate) fn both(one: Effect, other: Effect) -> Effect {
    match (one, other) {
        (Effect::Kept, _) | (_, Effect::Kept) => Effect::Kept,
        (Effect::Overtaken, _) | (_, Effect::Overtaken) => Effect::Overtaken,
        (Effect::Applied, Effect::Applied) => Effect::Applied,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::{Applied, apply};
    use crate::rows::MetaRow;
    use crate::working::Empty;
    use kith_domain::NhsNumber;
    use kith_domain::change::LogRecord;
    use kith_domain::child::Subject;
    use kith_domain::codes::LaCode;
    use kith_domain::plan::PlanKind;
    use kith_domain::text::PlanReference;
    use kith_domain::time::Day;
    use kith_store::Keys;
    use uuid::Uuid;

    fn subject(n: u32) -> Subject {
        Subject::Nhs((999_000_000 + 20 * n..).find_map(NhsNumber::from_first_nine).unwrap())
    }

    fn event(version: u64, action: PlanAction, babies: &[u32]) -> PlanEvent {
        let day = Day::parse("2026-01-10").ok();
        let baby = |n: &u32| Baby {
            subject: subject(*n),
            kind: PlanKind::ChildProtection,
            reference: PlanReference::parse(&format!("K{n}")).ok(),
            birth_date: None,
        };
        PlanEvent {
            authority: LaCode::parse("E06000001").unwrap(),
            event_id: Uuid::from_u128(u128::from(version)),
            subject: subject(5),
            action,
            kind: PlanKind::Unborn,
            reference: PlanReference::parse("U").ok(),
            version,
            start: day.filter(|_| babies.is_empty()),
            end: day.filter(|_| !babies.is_empty()),
            birth_date: None,
            shielded: false,
            unshield: false,
            family: None,
            babies: babies.iter().map(baby).collect(),
        }
    }

    /// The mother stands between her babies by number, and after both when readers are shown.
    #[test]
    fn babies_are_published_before_the_mother() {
        let keys = Keys::from_master([7; 32]);
        let mut working = Working::new(&Empty, &keys, MetaRow::default());
        let events = [event(1, PlanAction::Start, &[]), event(2, PlanAction::Born, &[4, 6])];
        for (sequence, event) in (1..).zip(events) {
            let record = LogRecord { at: Moment(1_790_000_000_000), change: Change::Plan(event) };
            let Ok(Applied::Logged(ack)) = apply(&mut working, sequence, &record) else { panic!("it was not taken") };
            assert_eq!(ack.effect, Effect::Applied);
        }
        let changed = working.finish().unwrap();
        let order: Vec<Subject> = changed.children.into_iter().map(|record| record.subject).collect();
        assert_eq!(order, [subject(4), subject(6), subject(5)]);
    }
}
