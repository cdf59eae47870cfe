//! Shields on a record: what an authority has left there, and what a plan takes with it. Only its setter lifts a shield, and
//! never by leaving out a flag.

use crate::change::PlanEvent;
use crate::child::ChildRecord;
use crate::codes::LaCode;
use crate::fold;
use crate::plan::{Plan, PlanName, Register};

/// Keeps on `record` the shield that `authority` has set on the record `before`, when a plan of that goes on here: the plan's
/// own by its version, another's as one that has outlived its plan.
pub fn keep(record: &mut ChildRecord, before: &ChildRecord, authority: LaCode, name: &PlanName) {
    if plan(before, authority, name).is_some_and(Plan::is_withdrawn) {
        // Entered in error: the name is used for somebody else now.
        return;
    }
    if let Some(plan) = plan(before, authority, name).filter(|plan| plan.shields()) {
        fold::plan_of(record, authority, name.clone()).shield.set(plan.shield.version(), Some(true));
    } else if before.setters().contains(&authority) {
        record.shielded_by.push(authority);
        record.shielded_by.sort_unstable();
        record.shielded_by.dedup();
    }
}

/// Whether an authority has lifted the shield of a plan on a record between, to which it had come from the record `before`,
/// while the plan went on there. What is lifted with a withdrawal, or after it, frees a child whose plan it never was, and says
/// nothing of the one whose it is.
#[must_use]
pub fn was_lifted(between: &ChildRecord, before: &ChildRecord, authority: LaCode, name: &PlanName) -> bool {
    let Some(held) = plan(between, authority, name) else { return false };
    let carried = plan(before, authority, name).map(|plan| plan.shield.version());
    let version = held.shield.version();
    held.shield.get() == Some(&false) && Some(version) != carried && version < held.withdrawn.version()
}

/// Whether what `authority` has left on a record shields it: removed plans, and plans that were entered in error.
#[must_use]
pub fn is_left(record: &ChildRecord, authority: LaCode) -> bool {
    let withdrawn = |plan: &Plan| plan.authority == authority && plan.is_withdrawn() && plan.shields();
    record.shielded_by.contains(&authority) || record.plans.iter().any(withdrawn)
}

/// Lifts what `authority` has left on a record. A later event of a withdrawn plan may shield again by its version.
pub fn lift_left(record: &mut ChildRecord, authority: LaCode) {
    record.shielded_by.retain(|setter| *setter != authority);
    for plan in record.plans.iter_mut().filter(|plan| plan.authority == authority && plan.is_withdrawn()) {
        plan.shield = Register::held(plan.shield.version(), plan.shield.get().map(|_| false));
    }
}

/// Whether an event that has been applied to its record has lifted the shield of its plan.
#[must_use]
pub fn is_lifted_by(record: &ChildRecord, event: &PlanEvent, name: &PlanName) -> bool {
    let lifted = |plan: &Plan| plan.shield.version() == event.version && !plan.shields();
    event.unshield && plan(record, event.authority, name).is_some_and(lifted)
}

/// Whether a plan shields the record.
#[must_use]
pub fn shields(record: &ChildRecord, authority: LaCode, name: &PlanName) -> bool {
    plan(record, authority, name).is_some_and(Plan::shields)
}

fn plan<'a>(record: &'a ChildRecord, authority: LaCode, name: &PlanName) -> Option<&'a Plan> {
    record.plans.iter().find(|plan| plan.authority == authority && plan.name == *name)
}
