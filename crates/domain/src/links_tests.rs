//! Links between numbers: any order of what is told gives the same facts, and whatever graph comes of it, a reader of either
//! end sees the same person, and nothing is seen of a number that is not valid any more.

use super::*;
use crate::plan::{Plan, PlanKind, PlanName};
use crate::text::PlanReference;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

fn nhs(index: usize) -> NhsNumber {
    let first_nine = 999_000_000 + 2 * u32::try_from(index).unwrap();
    NhsNumber::from_first_nine(first_nine).or_else(|| NhsNumber::from_first_nine(first_nine + 1)).unwrap()
}

fn event(of: usize, version: u64, action: IdentityAction) -> IdentityEvent {
    let organisation = crate::codes::OdsCode::parse("X26").unwrap();
    let subject = Subject::Nhs(nhs(of));
    IdentityEvent { organisation, event_id: Uuid::nil(), subject, version, action, proposal: None }
}

fn permutations<T: Copy>(items: &mut Vec<T>, at: usize, visit: &mut dyn FnMut(&[T])) {
    if at == items.len() {
        visit(items);
        return;
    }
    for other in at..items.len() {
        items.swap(at, other);
        permutations(items, at + 1, visit);
        items.swap(at, other);
    }
}

#[test]
fn any_order_of_what_is_told_gives_the_same_facts() {
    use IdentityAction as Told;
    let day = |text| Day::parse(text).unwrap();
    let histories: [[IdentityAction; 6]; 4] = [
        [
            Told::ReplacedBy(nhs(2)),
            Told::LinkUndone,
            Told::ReplacedBy(nhs(3)),
            Told::BirthDate(day("2019-03-04")),
            Told::BirthDate(day("2019-04-03")),
            Told::Died(Some(day("2026-01-01"))),
        ],
        [
            Told::ReplacedBy(nhs(2)),
            Told::Invalidated,
            Told::Reinstated,
            Told::Shielded,
            Told::Unshielded,
            Told::Invalidated,
        ],
        [
            Told::Invalidated,
            Told::Reinstated,
            Told::ReplacedBy(nhs(2)),
            Told::Died(Some(day("2026-01-01"))),
            Told::Died(None),
            Told::Shielded,
        ],
        [
            Told::Shielded,
            Told::ReplacedBy(nhs(2)),
            Told::ReplacedBy(nhs(3)),
            Told::LinkUndone,
            Told::Unshielded,
            Told::Shielded,
        ],
    ];
    let mut orders = 0;
    for history in histories {
        let events: Vec<_> = (1..).zip(history).map(|(version, action)| event(1, version, action)).collect();
        let mut first: Option<IdentityFacts> = None;
        permutations(&mut (0..6).collect(), 0, &mut |order| {
            let mut facts = IdentityFacts::default();
            for at in order {
                facts.apply(&events[*at]);
            }
            orders += 1;
            assert_eq!(first.get_or_insert_with(|| facts.clone()), &facts, "{order:?}");
        });
    }
    assert_eq!(orders, 4 * 720);
}

/// Numbers as random as this needs (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % n as u64).unwrap()
    }
}

/// A few people, told at random what the write path lets through.
struct World(BTreeMap<Subject, ChildRecord>);

const PEOPLE: usize = 6;

impl World {
    fn new() -> Self {
        let mut records = BTreeMap::new();
        for of in 0..PEOPLE {
            let mut record = ChildRecord::new(Subject::Nhs(nhs(of)));
            let name = PlanName::Reference(PlanReference::parse(&format!("P{of}")).unwrap());
            let mut plan = Plan::new(LaCode::parse("E06000001").unwrap(), name);
            plan.kind.set(1, Some(PlanKind::LookedAfter));
            record.plans.push(plan);
            records.insert(record.subject.clone(), record);
        }
        Self(records)
    }

    fn person(&self, of: usize) -> Person {
        let find = |subject: &Subject| self.0.get(subject).cloned().map(Arc::new);
        Person::find(find(&Subject::Nhs(nhs(of))), find)
    }

    fn tell(&mut self, event: &IdentityEvent) {
        let record = self.0.get_mut(&event.subject).unwrap();
        let facts = record.identity.get_or_insert_default();
        let before = facts.successor.get().copied();
        facts.apply(event);
        let after = facts.successor.get().copied();
        if before != after {
            if let Some(number) = before {
                unlink(self.0.get_mut(&Subject::Nhs(number)).unwrap(), &event.subject);
            }
            if let Some(number) = after {
                link(self.0.get_mut(&Subject::Nhs(number)).unwrap(), &event.subject);
            }
        }
    }

    fn is_invalid(&self, subject: &Subject) -> bool {
        self.0[subject].identity.as_ref().is_some_and(|facts| facts.is_invalidated())
    }
}

fn subjects(person: &Person) -> BTreeSet<Subject> {
    person.records().map(|record| record.subject.clone()).collect()
}

#[test]
fn either_end_of_a_link_is_the_same_person_and_an_invalid_number_nobodys() {
    let mut dice = Dice(20_261_125);
    let (mut linked, mut invalid) = (0, 0);
    for round in 0..3_000_u32 {
        let mut world = World::new();
        for version in (1..).take(1 + dice.below(11)) {
            let (of, to) = (dice.below(PEOPLE), dice.below(PEOPLE));
            let action = match dice.below(10) {
                0..6 => IdentityAction::ReplacedBy(nhs(to)),
                6 => IdentityAction::LinkUndone,
                7 | 8 => IdentityAction::Invalidated,
                _ => IdentityAction::Reinstated,
            };
            world.tell(&event(of, version, action));
        }
        for of in 0..PEOPLE {
            let person = world.person(of);
            let own = Subject::Nhs(nhs(of));
            if world.is_invalid(&own) {
                assert_eq!(person.standing, Standing::Invalid, "round {round}");
            }
            if person.standing == Standing::Invalid {
                invalid += 1;
                assert!(person.linked.is_empty(), "round {round}: facts beside a number that is not valid");
                continue;
            }
            for other in subjects(&person).iter().filter(|other| **other != own) {
                linked += 1;
                assert!(!world.is_invalid(other), "round {round}: a link with an invalid number");
                let theirs = (0..PEOPLE).find(|n| Subject::Nhs(nhs(*n)) == *other).unwrap();
                assert_eq!(subjects(&world.person(theirs)), subjects(&person), "round {round}: {of} and {theirs}");
            }
            let whole = person.whole().unwrap();
            assert_eq!(whole.plans.len(), subjects(&person).len(), "round {round}: every fact once");
        }
    }
    assert!(linked > 2_000 && invalid > 2_000, "{linked} links and {invalid} invalid numbers looked at");
}

#[test]
fn what_is_unlinked_leaves_nothing_behind() {
    let mut world = World::new();
    let before = world.0.clone();
    world.tell(&event(1, 1, IdentityAction::ReplacedBy(nhs(2))));
    assert!(world.0[&Subject::Nhs(nhs(2))].identity.is_some());
    world.tell(&event(1, 2, IdentityAction::LinkUndone));
    assert_eq!(world.0[&Subject::Nhs(nhs(2))], before[&Subject::Nhs(nhs(2))]);
}

/// What was linked before an adoption is not kept either, and a number reinstated comes back alone.
#[test]
fn an_invalidation_removes_the_link_that_was() {
    let mut world = World::new();
    let before = world.0.clone();
    let (old, new) = (Subject::Nhs(nhs(1)), Subject::Nhs(nhs(2)));
    world.tell(&event(1, 1, IdentityAction::ReplacedBy(nhs(2))));
    world.tell(&event(1, 2, IdentityAction::Invalidated));
    assert_eq!(world.0[&new], before[&new], "nothing of it is kept at the other number");
    assert_eq!(world.0[&old].identity.as_ref().unwrap().successor.get(), None);
    world.tell(&event(1, 3, IdentityAction::Reinstated));
    assert_eq!(world.person(1).standing, Standing::Current);
    assert!(world.person(1).linked.is_empty() && world.person(2).linked.is_empty());
}

/// What is told of the number that stands outranks what was told of the one before, a death taken back included.
#[test]
fn a_death_taken_back_does_not_come_back_with_a_merge() {
    let day = Day::parse("2026-01-01").unwrap();
    let mut world = World::new();
    world.tell(&event(1, 1, IdentityAction::Died(Some(day))));
    world.tell(&event(1, 2, IdentityAction::ReplacedBy(nhs(2))));
    let died = |world: &World, of| world.person(of).whole().unwrap().identity.as_ref().unwrap().died.get().copied();
    assert_eq!([1, 2].map(|of| died(&world, of)), [Some(day); 2], "told of one number and not of the other");
    world.tell(&event(2, 1, IdentityAction::Died(None)));
    assert_eq!([1, 2].map(|of| died(&world, of)), [None; 2]);
}

#[test]
fn history_of_two_numbers_is_cut_at_the_bound_and_counted() {
    use crate::child::Access;
    use crate::time::Moment;
    let mut world = World::new();
    for (of, first) in [(1, 0), (2, 100)] {
        let record = world.0.get_mut(&Subject::Nhs(nhs(of))).unwrap();
        for n in 0..20 {
            let at = Moment((first + n) * 86_400_000);
            let name = crate::text::PersonText::parse("A Nurse").unwrap();
            let organisation = crate::codes::OdsCode::parse("R1H").unwrap();
            let (user_name, user_role) = (name.clone(), name);
            record.accesses.push(Access { organisation, user_name, user_role, first_at: at, last_at: at, count: 1 });
        }
    }
    world.tell(&event(1, 1, IdentityAction::ReplacedBy(nhs(2))));
    for of in [1, 2] {
        let person = world.person(of);
        let whole = person.whole().unwrap();
        assert_eq!((whole.accesses.len(), whole.accesses_beyond.len()), (MAX_ACCESSES, 15));
        assert!(whole.accesses.is_sorted_by_key(|row| row.last_at));
        assert_eq!(whole.accesses.last().unwrap().last_at, Moment(119 * 86_400_000), "the newest are kept");
    }
}

/// The same plan under two numbers: it has a birth date of its own only where both have.
#[test]
fn a_plan_under_two_numbers_comes_of_age_only_where_a_date_is_told_of_both() {
    let mut world = World::new();
    let day = |text| Day::parse(text).unwrap();
    let plan = world.0[&Subject::Nhs(nhs(1))].plans[0].clone();
    world.0.get_mut(&Subject::Nhs(nhs(2))).unwrap().plans.push(plan.clone());
    world.tell(&event(1, 1, IdentityAction::ReplacedBy(nhs(2))));
    let beside = |world: &World| [1, 2].map(|of| world.person(of).told_beside(&plan));
    assert_eq!(beside(&world), [None; 2]);
    world.tell(&event(1, 2, IdentityAction::BirthDate(day("2004-05-05"))));
    assert_eq!(beside(&world), [None; 2], "told of one of them alone");
    world.tell(&event(2, 1, IdentityAction::BirthDate(day("2014-05-05"))));
    assert_eq!(beside(&world), [Some(day("2014-05-05")); 2], "the later of both");
}
