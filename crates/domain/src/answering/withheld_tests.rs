//! What an authority withholds is never told and never reads as nothing held: not of the child, not of a mother, not of a
//! sibling, and not under another number of the same person.

use super::{A, B, World, la, line, number, open, told};
use crate::answer::{Body, Outcome};
use crate::change::{IdentityAction, PlanEvent};
use crate::identity::IdentityCheck;
use crate::plan::PlanKind;
use crate::presentation::{Complaint, Outcome as How};
use crate::time::Day;
use crate::withholding;

fn withhold(world: &mut World, n: u32, by: &str) {
    withholding::withhold(world.record(n), la(by));
}

/// Authorities of the plans listed, where the outcome is held.
fn listed(world: &World, n: u32) -> Vec<String> {
    match &open(&world.ask(n)).plans {
        Outcome::Held(plans) => plans.iter().map(|plan| plan.authority.to_string()).collect(),
        other @ (Outcome::NoneHeld | Outcome::CannotSay(_)) => panic!("not held: {other:?}"),
    }
}

#[test]
fn what_is_withheld_is_held_and_says_whom_to_ring() {
    let mut world = World::default();
    world.plan(1, A, "F", |_| {});
    withhold(&mut world, 1, A);
    let answer = world.ask(1);
    assert_eq!(listed(&world, 1), [""; 0]);
    assert!(answer.withheld);
    assert_eq!((answer.ring.code.as_str(), answer.ring.name.as_str()), (A, "Borough A"));
    let text = line(&answer);
    assert!(text.contains("Plans: HELD: something that an authority WITHHOLDS by a person's decision"), "{text}");
    assert!(!text.contains("Plans: none held") && !text.contains("child protection plan, IN FORCE"), "{text}");
}

/// How many plans are listed where the outcome is held; none where it is not.
fn held<P>(outcome: &Outcome<Vec<P>>) -> Option<usize> {
    match outcome {
        Outcome::Held(plans) => Some(plans.len()),
        Outcome::NoneHeld | Outcome::CannotSay(_) => None,
    }
}

#[test]
fn whatever_else_is_held_what_is_withheld_is_held_and_not_listed() {
    for case in 0..16_u32 {
        let [own, others, shielded, ended] = [1, 2, 4, 8].map(|bit| case & bit != 0);
        let mut world = World::default();
        let change = |event: &mut PlanEvent| {
            event.shielded = shielded;
            event.end = Day::parse("2025-09-01").ok().filter(|_| ended);
        };
        if own {
            world.plan(1, A, "F", change);
        }
        if others {
            world.plan(1, B, "G", change);
        }
        withhold(&mut world, 1, A);
        let answer = world.ask(1);
        let listed = match &answer.body {
            Body::Open(body) => held(&body.plans),
            Body::Shielded(body) => held(&body.plans),
            other @ (Body::Opened(_) | Body::IdentityNotConfirmed) => panic!("{other:?}"),
        };
        assert_eq!((listed, answer.withheld), (Some(usize::from(others)), true), "{case}");
        assert!(line(&answer).contains("Plans: HELD: "), "{case}");
    }
}

#[test]
fn what_was_never_sent_can_be_withheld_and_is_held_all_the_same() {
    let mut world = World::default();
    assert_eq!(open(&world.ask(1)).plans, Outcome::NoneHeld, "before");
    withhold(&mut world, 1, A);
    assert_eq!(listed(&world, 1), [""; 0]);
    assert!(line(&world.ask(1)).contains("Plans: HELD: "));
    withholding::lift(world.record(1), la(A));
    assert!(!world.ask(1).withheld);
}

#[test]
fn an_authority_withholds_its_own_plans_and_nobody_elses() {
    let mut world = World::default();
    world.plan(1, A, "F", |_| {});
    world.plan(1, B, "G", |_| {});
    withhold(&mut world, 1, A);
    assert_eq!(listed(&world, 1), [B]);
    let answer = world.ask(1);
    assert_eq!(answer.ring.code, A, "it alone can tell more");
    let text = line(&answer);
    assert!(text.contains("Plans: HELD: 1 in force; and something that an authority WITHHOLDS"), "{text}");
}

#[test]
fn what_is_withheld_under_one_number_is_withheld_under_all_of_the_person() {
    let mut world = World::default();
    world.plan(1, A, "F", |_| {});
    world.plan(2, A, "F", |event| event.reference = None);
    withhold(&mut world, 1, A);
    world.told(1, IdentityAction::ReplacedBy(number(2)));
    for n in [1, 2] {
        assert_eq!(listed(&world, n), [""; 0], "person {n}");
        assert!(world.ask(n).withheld, "person {n}");
    }
}

#[test]
fn an_identity_that_is_not_confirmed_is_not_told_that_anything_is_withheld() {
    let mut world = World::default();
    world.plan(1, A, "F", |event| event.birth_date = Day::parse("2011-07-07").ok());
    withhold(&mut world, 1, A);
    let answer = world.ask(1);
    assert_eq!((&answer.body, answer.identity), (&Body::IdentityNotConfirmed, IdentityCheck::NotConfirmed));
    assert!(!answer.withheld && !line(&answer).contains("WITHHOLDS"));
    assert_eq!(answer.ring.code, A, "the plan that is withheld still tells who can confirm it");
}

#[test]
fn a_shielded_record_says_that_something_is_withheld_and_no_place() {
    let mut world = World::default();
    world.plan(1, A, "F", |event| event.shielded = true);
    withhold(&mut world, 1, A);
    let answer = world.ask(1);
    let Body::Shielded(body) = &answer.body else { panic!("not shielded: {:?}", answer.body) };
    assert_eq!(body.plans, Outcome::Held(Vec::new()), "a plan that is withheld shields as before");
    let text = line(&answer);
    assert!(text.contains("Plans: HELD: something that an authority WITHHOLDS"), "{text}");
    assert!(!text.contains("Borough") && !text.contains(A), "{text}");
}

#[test]
fn a_mothers_unborn_plan_that_is_withheld_is_held_for_her_baby() {
    let mut world = World::default();
    world.plan(2, A, "F", |event| event.kind = PlanKind::Unborn);
    withhold(&mut world, 2, A);
    let answer = world.ask_of(1, Some(2));
    assert!(answer.withheld);
    assert_eq!(answer.ring.code, A);
    let text = line(&answer);
    assert!(text.contains("Plans: HELD: something that an authority WITHHOLDS"), "{text}");
    assert!(text.contains("Mother: HELD: something that an authority WITHHOLDS"), "{text}");
    assert!(!text.contains("UNBORN"), "{text}");
}

#[test]
fn a_siblings_plan_that_is_withheld_is_not_told_and_the_sibling_is_still_known() {
    let mut world = World::default();
    world.plan(1, A, "F", |_| {});
    world.plan(2, A, "F", |_| {});
    world.plan(3, A, "F", |event| event.kind = PlanKind::Unborn);
    withhold(&mut world, 2, A);
    withhold(&mut world, 3, A);
    let (notices, unshown) = told(&world.ask(1));
    assert_eq!((notices, unshown), (Vec::new(), 2), "the born and the unborn one");
    world.seen(2, 3, Complaint::Fracture, How::Discharged);
    assert_eq!(
        told(&world.ask(1)),
        (vec![(0, true, "Borough A".to_owned())], 1),
        "where it was seen is no authority's to withhold; of the unborn one nothing is shown"
    );
    assert!(!world.ask(1).withheld, "what is withheld of a sibling touches nothing of the child's own");
}

#[test]
fn an_unborn_sibling_whose_plan_is_withheld_is_known_and_never_no_other_child() {
    let mut world = World::default();
    world.plan(1, A, "F", |_| {});
    world.plan(2, A, "F", |event| event.kind = PlanKind::Unborn);
    withhold(&mut world, 2, A);
    let answer = world.ask(1);
    assert_eq!(told(&answer), (Vec::new(), 1));
    let text = line(&answer);
    assert!(text.contains("Siblings: KNOWN: 1 known of whom nothing is shown here. This lists only"), "{text}");
    assert!(!text.contains("no other child") && !text.contains("UNBORN"), "{text}");
    assert_eq!(told(&answer), told(&like_shielded().ask(1)), "as of one whose mother is shielded");
    // Another authority's plan of an unborn child of hers is told as before.
    world.plan(1, B, "G", |_| {});
    world.plan(2, B, "G", |event| event.kind = PlanKind::Unborn);
    assert_eq!(told(&world.ask(1)), (vec![(1, false, "Borough B".to_owned())], 0));
    // One that has ended makes no sibling, withheld or not: there is no unborn child any more.
    let mut ended = World::default();
    ended.plan(1, A, "F", |_| {});
    ended.plan(2, A, "F", |event| {
        (event.kind, event.end) = (PlanKind::Unborn, Day::parse("2025-12-01").ok());
    });
    withhold(&mut ended, 2, A);
    assert_eq!(told(&ended.ask(1)), (Vec::new(), 0));
}

/// An unborn sibling on the record of a mother who is shielded.
fn like_shielded() -> World {
    let mut world = World::default();
    world.plan(1, A, "F", |_| {});
    world.plan(2, A, "F", |event| (event.kind, event.shielded) = (PlanKind::Unborn, true));
    world
}
