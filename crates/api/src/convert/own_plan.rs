//! An authority's own plans on the wire, to that authority alone.

use super::{subject, time, words};
use crate::v1;
use kith_domain::child::Subject;
use kith_domain::plan::{Plan, PlanName, PlanState};

/// A child with the authority's plans and their state today.
#[must_use]
pub fn wire(subject: &Subject, plans: &[(Plan, Option<PlanState>)]) -> v1::OwnChild {
    let plans = plans.iter().map(|(plan, state)| own(plan, *state)).collect();
    v1::OwnChild { subject: Some(subject::wire(subject)), plans }
}

fn own(plan: &Plan, state: Option<PlanState>) -> v1::OwnPlan {
    let Plan {
        authority: _,
        name,
        kind,
        start,
        end,
        birth_date,
        withdrawn: _,
        moving_to,
        moved_from,
        last_event_at,
        shield: _,
        family,
        transfers: _,
    } = plan;
    let reference = match name {
        PlanName::Reference(reference) => reference.as_str().to_owned(),
        PlanName::KindAndStart(..) => String::new(),
    };
    v1::OwnPlan {
        kind: kind.get().copied().map_or(v1::PlanKind::Unspecified, words::kind).into(),
        state: state.map_or(v1::PlanState::Unspecified, words::plan_state).into(),
        start: start.get().copied().map(time::date),
        end: end.get().copied().map(time::date),
        reference,
        family: family.get().map(|family| family.as_str().to_owned()).unwrap_or_default(),
        date_of_birth: birth_date.get().copied().map(time::date),
        withdrawn: plan.is_withdrawn(),
        shielded: plan.shields(),
        moving_to: moving_to.get().map(ToString::to_string).unwrap_or_default(),
        moved_from: moved_from.get().map(ToString::to_string).unwrap_or_default(),
        last_event_at: Some(time::timestamp(*last_event_at)),
    }
}
