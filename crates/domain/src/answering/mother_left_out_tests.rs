//! Where a policy leaves a mother out, whom to ring may still tell that she is shielded: then the reference is one that a broker
//! resolves, and otherwise it tells nothing.

use super::{A, B, open, pregnant};
use crate::change::IdentityAction;
use crate::policy::{Policy, PolicyRow};

/// Departments that look up and are shown other numbers alone of what may be left out.
fn without_mother() -> Policy {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let row = PolicyRow {
        roles: words(&["ed"]),
        methods: words(&["LookupService/Lookup"]),
        purposes: words(&["direct-care"]),
        contexts: Some(words(&["unscheduled"])),
        fields: Some(words(&["numbers"])),
    };
    Policy::parse(&[row]).unwrap()
}

#[test]
fn a_broker_resolves_an_answer_that_says_to_ring_the_national_contact_for_a_mother_who_is_left_out() {
    let mut world = pregnant();
    world.told(2, IdentityAction::Shielded);
    let answer = world.ask_by(&without_mother(), 9, Some(2));
    assert_eq!((&open(&answer).mother, answer.ring.name.as_str()), (&None, "National desk"));
    assert!(answer.brokered, "the national contact finds nobody by the entry's number: {answer:?}");
}

/// What the policy does not show is not told by the form of the reference either.
#[test]
fn where_somebody_else_is_to_be_rung_the_reference_of_a_mother_who_is_left_out_tells_no_shield() {
    let mut world = pregnant();
    world.told(2, IdentityAction::Shielded);
    world.plan(9, A, "", |_| {});
    let answer = world.ask_by(&without_mother(), 9, Some(2));
    assert_eq!((answer.ring.name.as_str(), answer.brokered), ("Borough A", false));
    assert!(world.ask_of(9, Some(2)).brokered, "shown, it tells that she is shielded");
    let mut open_mother = pregnant();
    open_mother.plan(9, B, "", |_| {});
    assert!(!open_mother.ask_of(9, Some(2)).brokered);
}
