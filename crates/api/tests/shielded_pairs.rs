//! Pairs of shielded children of one shape in two places: as many plans, presentations, lookups, siblings and doubtful feeds,
//! of other authorities, hospitals, viewers and families, under as many other numbers and keys of hospitals. Their answers are
//! the same, byte for byte. Shapes and places come from a seeded generator; what is expected is nothing but equality.

#[path = "shielded_pairs/linked.rs"]
#[cfg(test)]
mod linked;
#[path = "shielded_pairs/placeless.rs"]
#[cfg(test)]
mod placeless;
#[path = "shielded_pairs/world.rs"]
#[cfg(test)]
mod world;

use kith_api::v1;
use prost::Message as _;
use world::{Places, Random, Shape, World};

/// How many pairs are compared.
const PAIRS: u64 = 3_000;

/// The same shape in two places, and in each the answer and the one to the same question put again.
fn pair_asked_twice(seed: u64, shielded: bool) -> (Shape, [[v1::Answer; 2]; 2]) {
    let mut random = Random::new(seed);
    let mut shape = Shape::any(&mut random);
    shape.shielded = shielded;
    let answers = [(); 2].map(|()| World::of(&shape, &Places::any(&mut random)).answers());
    (shape, answers)
}

/// The same shape in two places: the first answers.
fn pair(seed: u64, shielded: bool) -> (Shape, [v1::Answer; 2]) {
    let (shape, answers) = pair_asked_twice(seed, shielded);
    (shape, answers.map(|[first, _]| first))
}

/// How many earlier lookups an answer lists or counts.
fn looked_up(answer: &v1::Answer) -> Option<(usize, u32)> {
    answer.access_history.as_ref().map(|history| (history.accesses.len(), history.more))
}

#[test]
fn two_shielded_children_of_one_shape_have_one_answer_wherever_they_are() {
    let (mut compared, mut held, mut siblings, mut cannot_say, mut withheld) = (0, 0, 0, 0, 0);
    let (mut unconfirmed, mut matched, mut uncompared, mut counted_again) = (0, 0, 0, 0);
    let (mut replaced, mut earlier, mut keys) = (0, 0, 0);
    for seed in 1..=PAIRS {
        let (shape, [[one, again], [other, other_again]]) = pair_asked_twice(seed, true);
        for (one, other) in [(&one, &other), (&again, &other_again)] {
            assert_eq!(
                one.encode_to_vec(),
                other.encode_to_vec(),
                "seed {seed}: {shape:?}\n{:?} {:?}\n{:?} {:?}",
                one.words,
                looked_up(one),
                other.words,
                looked_up(other)
            );
        }
        counted_again += usize::from(looked_up(&one) != looked_up(&again));
        assert_eq!(placeless::places(&one), Vec::<&str>::new(), "seed {seed}");
        compared += 1;
        let v1::IdentityAnswer { current_nhs_number, other_nhs_numbers, local_keys, .. } =
            one.identity.as_ref().unwrap();
        replaced += usize::from(current_nhs_number.is_some());
        earlier += usize::from(other_nhs_numbers.len() > usize::from(current_nhs_number.is_some()));
        keys += usize::from(*local_keys > 0);
        let identity = one.identity.as_ref().unwrap().outcome();
        unconfirmed += usize::from(identity == v1::IdentityOutcome::NotConfirmed);
        matched += usize::from(identity == v1::IdentityOutcome::Matched);
        uncompared += usize::from(identity == v1::IdentityOutcome::NothingToCompare);
        assert_eq!(one.shielded, identity != v1::IdentityOutcome::NotConfirmed, "what is withheld tells of no shield");
        let plans = one.plans.as_ref().unwrap().outcome();
        held += usize::from(plans == v1::Outcome::Held);
        withheld += usize::from(one.plans.as_ref().is_some_and(|plans| plans.withheld));
        cannot_say += usize::from(plans == v1::Outcome::CannotSay);
        siblings += usize::from(one.siblings.as_ref().is_some_and(|siblings| !siblings.notices.is_empty()));
    }
    // The generator reaches what the comparison is about.
    for (count, what) in [
        (held, "held"),
        (siblings, "siblings"),
        (cannot_say, "cannot say"),
        (withheld, "withheld"),
        (unconfirmed, "not confirmed"),
        (matched, "matched"),
        (uncompared, "nothing to compare"),
        (counted_again, "another count when asked again"),
        (replaced, "asked about under a replaced number"),
        (earlier, "held under an earlier number"),
        (keys, "held under a hospital's key"),
    ] {
        assert!(count > 100, "{what}: {count} of {PAIRS}");
    }
    println!("COUNTED shielding {compared}");
}

/// The control: without a shield the same pairs differ, and places are found in them. A comparison that would find nothing
/// here would find nothing above.
#[test]
fn without_a_shield_the_same_pairs_differ_and_tell_places() {
    let (mut differ, mut differ_by_date, mut differ_again) = (0, 0, 0);
    let mut told = std::collections::BTreeSet::new();
    for seed in 1..=PAIRS {
        let (_, [[one, again], [other, other_again]]) = pair_asked_twice(seed, false);
        let grown = |first: &v1::Answer, again: &v1::Answer| looked_up(first) != looked_up(again);
        differ_again += u64::from(grown(&one, &again) != grown(&other, &other_again));
        differ += u64::from(one.encode_to_vec() != other.encode_to_vec());
        differ_by_date += u64::from(one.identity != other.identity);
        told.extend(placeless::places(&one));
    }
    assert!(differ * 10 > PAIRS * 9, "only {differ} of {PAIRS} differ");
    assert!(differ_by_date > 5, "only {differ_by_date} tell by a birth date whether the asker's own saw the child");
    assert!(differ_again > 20, "only {differ_again} tell who asks twice whether somebody of their own asked before");
    for field in placeless::FIELDS.iter().filter(|field| **field != "words") {
        assert!(told.contains(field), "no place was ever found in {field}: {told:?}");
    }
}

/// What is opened for one viewing tells the places of its child and stays marked; what needs no opening is answered as ever.
#[test]
fn an_opening_tells_the_places_of_a_shielded_record_alone() {
    let (mut told, mut opened, mut unconfirmed) = (std::collections::BTreeSet::new(), 0, 0);
    for seed in 1..=PAIRS {
        let mut random = Random::new(seed);
        let mut shape = Shape::any(&mut random);
        let places = Places::any(&mut random);
        shape.shielded = false;
        let world = World::of(&shape, &places);
        assert_eq!(world.opened().encode_to_vec(), world.answer().encode_to_vec(), "seed {seed}: {shape:?}");
        shape.shielded = true;
        let world = World::of(&shape, &places);
        let viewing = world.opened();
        if viewing.identity.as_ref().unwrap().outcome() == v1::IdentityOutcome::NotConfirmed {
            assert_eq!(
                placeless::places(&viewing),
                Vec::<&str>::new(),
                "seed {seed}: nothing is opened of somebody else"
            );
            unconfirmed += 1;
            continue;
        }
        assert!(viewing.shielded, "seed {seed}");
        told.extend(placeless::places(&viewing));
        opened += usize::from(viewing.words.first().is_some_and(|line| line == kith_domain::words::OPENED));
        assert_eq!(
            placeless::places(&world.answer()),
            Vec::<&str>::new(),
            "seed {seed}: it is shut for every other call"
        );
    }
    assert_eq!(opened + unconfirmed, PAIRS as usize);
    assert!(opened > unconfirmed && unconfirmed > 100, "{opened} opened, {unconfirmed} not confirmed");
    for field in placeless::FIELDS.iter().filter(|field| **field != "words") {
        assert!(told.contains(field), "no place was ever told in {field}: {told:?}");
    }
}

/// The other control: a place put into any one field of a shielded answer is found.
#[test]
fn a_place_in_any_field_of_a_shielded_answer_is_found() {
    let whole = (1..).map(|seed| pair(seed, true).1).map(|[one, _]| one).find(placeless::has_everything).unwrap();
    assert_eq!(placeless::places(&whole), Vec::<&str>::new());
    for (field, put) in placeless::MUTATIONS {
        let mut answer = whole.clone();
        put(&mut answer);
        assert_eq!(placeless::places(&answer), [*field], "{field}");
        assert_ne!(answer.encode_to_vec(), whole.encode_to_vec(), "{field}");
    }
    let mutated: Vec<&str> = placeless::MUTATIONS.iter().map(|(field, _)| *field).collect();
    assert_eq!(mutated, placeless::FIELDS, "every field has its mutation");
}
