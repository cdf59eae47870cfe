//! Births: one event that ends the mother's unborn plan and starts each baby's own, in one record of the log. The babies'
//! records are published before the mother's, so that a reader of either sees the old, the new or both, and never neither.

use crate::apply;
use crate::changes;
use crate::linked;
use crate::working::{StateError, Working};
use kith_domain::birth;
use kith_domain::change::{Baby, PlanAction, PlanEvent};
use kith_domain::fold::Effect;
use kith_domain::refused::Refused;
use kith_domain::time::Moment;

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

/// Starts the babies' plans. `sent` are the babies as they were sent, those of `event` the records that their plans stand on.
pub(crate) fn apply(
    working: &mut Working<'_>,
    event: &PlanEvent,
    sent: &[Baby],
    at: Moment,
) -> Result<Option<Effect>, StateError> {
    let mut whole = None;
    for (start, baby) in event.starts().zip(sent) {
        let effect = apply::plan(working, &start, &baby.subject, at)?;
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
