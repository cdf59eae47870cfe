//! What can happen in the simulated England, and how often. A new kind of thing is one line of [`KINDS`] and one function
//! over the [`World`]; what it sends, the ledger must know.

use kith_domain::change::{Baby, Change, Feed, IdentityAction, PlanAction, PlanEvent};
use kith_domain::child::Subject;
use kith_domain::plan::PlanKind;
use kith_domain::text::{LocalKey, PlanReference};
use kith_domain::time::Day;

use super::calendar::birthday_18;
use super::place::{FEEDS, trust};
use super::visits;
use super::world::{Case, World, plans_of, presentations_of};

/// Plans are six times as frequent as in England, so that a year of a thousandth of it meets everything.
const DENSITY: usize = 6;

/// One kind of thing.
pub struct Kind {
    pub name: &'static str,
    /// In a thousandth of England: 12,200 children.
    pub per_year: usize,
    pub happens: fn(&mut World),
}

const fn kind(name: &'static str, per_year: usize, happens: fn(&mut World)) -> Kind {
    Kind { name, per_year, happens }
}

/// Everything that can happen.
pub const KINDS: &[Kind] = &[
    kind("a birth", 680, birth),
    kind("a protection plan", 62 * DENSITY, |world| begin(world, PlanKind::ChildProtection)),
    kind("a child looked after", 33 * DENSITY, |world| begin(world, PlanKind::LookedAfter)),
    kind("an unborn child", 8 * DENSITY, unborn),
    kind("details corrected", 30 * DENSITY, corrected),
    kind("withdrawn", 6 * DENSITY, withdrawn),
    kind("a move", 16 * DENSITY, |world| moves(world, false)),
    kind("a move taken back", 3 * DENSITY, |world| moves(world, true)),
    kind("shielded", 8, shielded),
    kind("seen", 6_000, seen),
    kind("seen often", 260, seen_often),
    kind("seen, and sent late", 120, seen_late),
    kind("seen without a number", 30, seen_without_number),
    kind("a second number", 90, second_number),
    kind("an adoption", 24, adoption),
    kind("invalidated by mistake", 18, invalidated_by_mistake),
    kind("a silence", 45, silence),
    kind("many silent at once", 8, silences),
];

/// What follows from others, and must be met too.
pub const FOLLOWS: [&str; 5] =
    ["a child of an unborn plan", "twins of an unborn plan", "a merge", "a merge undone", "reinstated"];

/// Lengths of plans: weight, shortest, longest, in days.
const PROTECTION: [(usize, i32, i32); 5] =
    [(16, 10, 90), (26, 91, 182), (31, 183, 365), (23, 366, 730), (4, 731, 1_100)];
const LOOKED_AFTER: [(usize, i32, i32); 4] = [(10, 14, 90), (25, 91, 365), (40, 366, 1_095), (25, 1_096, 2_500)];
const UNBORN: [(usize, i32, i32); 1] = [(1, 30, 200)];

fn length(world: &mut World, kind: PlanKind) -> i32 {
    match kind {
        PlanKind::ChildProtection => world.dice.length(&PROTECTION),
        PlanKind::LookedAfter => world.dice.length(&LOOKED_AFTER),
        PlanKind::Unborn => world.dice.length(&UNBORN),
    }
}

/// One day's worth of everything, for so many children in a thousand of what a thousandth of England has.
pub fn happen(world: &mut World, share: usize) {
    for kind in KINDS {
        let per_year = (kind.per_year * share).div_ceil(1_000);
        for _ in 0..world.dice.times(per_year) {
            (kind.happens)(world);
            world.saw(kind.name);
        }
    }
}

/// What the service is filled with at its start: plans of now and of the last year, presentations of the last year.
pub fn past(world: &mut World, share: usize) {
    let many = |per_year: usize| (per_year * share).div_ceil(1_000);
    for (kind, now) in [(PlanKind::ChildProtection, 49), (PlanKind::LookedAfter, 82), (PlanKind::Unborn, 4)] {
        for n in 0..many(now * DENSITY) * 5 / 3 {
            let person = if kind == PlanKind::Unborn { mother(world) } else { world.child() };
            let length = length(world, kind);
            // Two in five have ended.
            let ago = if n % 5 < 2 { length + world.dice.days(1, 364) } else { world.dice.days(1, length) };
            plan(world, person, kind, world.today.plus_days(-ago), length);
        }
    }
    for _ in 0..many(6_000) {
        let (person, days_ago) = (world.child(), world.dice.days(1, 364));
        let of = visits::somewhere(world, person);
        visits::imported(world, person, of, days_ago);
    }
}

/// A plan of the person's home authority, and its end.
fn plan(world: &mut World, person: usize, kind: PlanKind, start: Day, length: i32) {
    let born = world.people[person].born;
    // A plan begins within childhood; an unborn child's is its mother's record's.
    if kind != PlanKind::Unborn && (born > start || birthday_18(born) <= start.plus_days(1)) {
        return;
    }
    let of = world.people[person].home;
    let told_born = match world.dice.below(20) {
        0..3 => None,
        3 if of >= super::world::BY_FILE => Some(one_off(world, born, start)),
        _ => Some(born),
    };
    let (case, last) = (case(world, person, of, kind, start, told_born), start.plus_days(length));
    // One of the past has ended before the service was told of it.
    world.cases[case].end = Some(last).filter(|last| *last < world.today);
    world.tell(case, PlanAction::Start);
    if world.cases[case].end.is_none() {
        world
            .later(last, move |world| if kind == PlanKind::Unborn { delivered(world, case) } else { end(world, case) });
    } else if world.dice.percent(15) {
        let late = last.plus_days(world.dice.days(366, 420));
        world.later(late, move |world| far_too_late(world, case));
    }
}

/// A birth date of which one digit is wrong, where that is a date that can be.
fn one_off(world: &mut World, born: Day, start: Day) -> Day {
    let (year, month, day) = born.ymd();
    let wrong = Day::new(year, month, if day % 10 == 9 { day - 1 } else { day + 1 }).unwrap_or(born);
    if wrong <= world.today && birthday_18(wrong) > start { wrong } else { born }
}

fn case(world: &mut World, person: usize, of: usize, kind: PlanKind, start: Day, born: Option<Day>) -> usize {
    let number = world.next();
    // A plan without a reference is named by its kind and first day: then there may be one such plan only.
    let taken = |other: &usize| {
        let other = &world.cases[*other];
        other.authority == of && other.kind == kind && other.start == start
    };
    let alone = !world.people[person].cases.iter().any(taken);
    let referenced = !alone || world.dice.percent(75);
    let reference = referenced.then(|| PlanReference::parse(&format!("P{number}")).expect("a reference"));
    world.cases.push(Case {
        person,
        authority: of,
        reference,
        kind,
        start,
        end: None,
        born,
        version: 1,
        withdrawn: false,
        moving_to: None,
        moved_from: None,
        shielded: false,
        stays: false,
        unsaid: false,
    });
    let case = world.cases.len() - 1;
    world.people[person].cases.push(case);
    case
}

/// Its authority ends it; some ends are corrected, and the correction too.
fn end(world: &mut World, case: usize) {
    if world.cases[case].withdrawn || world.cases[case].end.is_some() {
        return;
    }
    let day = world.today.plus_days(world.dice.days(-6, 2)).max(world.cases[case].start);
    world.cases[case].end = Some(day);
    world.tell(case, PlanAction::End);
    world.saw("an end");
    if world.dice.percent(12) {
        let (opened, again) = (world.today.plus_days(world.dice.days(3, 20)), world.today.plus_days(30));
        world.later(opened, move |world| {
            world.cases[case].end = None;
            world.tell(case, PlanAction::Change);
            world.saw("an end taken back");
        });
        world.later(again, move |world| end(world, case));
    } else if world.dice.percent(15) {
        let late = day.plus_days(world.dice.days(330, 420));
        world.later(late, move |world| far_too_late(world, case));
    }
}

/// An event that was left lying for a year: whatever has become of the plan, it changes nothing.
fn far_too_late(world: &mut World, case: usize) {
    if world.cases[case].authority < super::world::BY_FILE {
        return;
    }
    let event = world.event(case, PlanAction::Change, 1);
    let feed = plans_of(world.cases[case].authority);
    world.send(world.now, feed, kith_domain::change::Change::Plan(event));
    world.saw("far too late");
}

/// A plan in force, of any authority.
fn open_case(world: &mut World) -> Option<usize> {
    (0..200).find_map(|_| {
        let at = world.dice.below(world.cases.len());
        let case = &world.cases[at];
        let open = !case.withdrawn && case.end.is_none() && case.moving_to.is_none() && case.start <= world.today;
        open.then_some(at)
    })
}

fn birth(world: &mut World) {
    let (number, home) = (world.number(), world.dice.below(FEEDS));
    world.person(number, world.today, home);
}

/// A mother: an adult, or a child herself, one in six.
fn mother(world: &mut World) -> usize {
    if world.dice.percent(16) {
        let sixteen = world.today.plus_days(-16 * 365);
        let young = world.children.iter().copied().find(|child| {
            let person = &world.people[*child];
            person.born < sixteen && birthday_18(person.born) > world.today.plus_days(90)
        });
        if let Some(young) = young {
            world.saw("a young mother");
            return young;
        }
    }
    let (number, home) = (world.number(), world.dice.below(FEEDS));
    let born = world.today.plus_days(-world.dice.days(20 * 366, 40 * 365));
    world.person(number, born, home)
}

/// A birth ends an unborn child's plan and starts the baby's, or twins'. Where plans are told by files it just ends.
fn delivered(world: &mut World, case: usize) {
    let known = &world.cases[case];
    let over = known.withdrawn || known.end.is_some();
    if over || known.authority < super::world::BY_FILE || world.dice.percent(20) {
        return end(world, case);
    }
    let (of, shielded, today) = (world.cases[case].authority, world.cases[case].shielded, world.today);
    let count = if world.dice.percent(20) { 2 } else { 1 };
    let mut babies = Vec::new();
    world.cases[case].version += 1;
    let version = world.cases[case].version;
    for _ in 0..count {
        let number = world.number();
        let baby = world.person(number.clone(), today, of);
        let own = self::case(world, baby, of, PlanKind::ChildProtection, today, Some(today));
        world.cases[own].version = version;
        world.cases[own].shielded = shielded;
        let reference = world.cases[own].reference.clone();
        babies.push(Baby { subject: number, kind: PlanKind::ChildProtection, reference, birth_date: None });
        let length = length(world, PlanKind::ChildProtection);
        world.later(today.plus_days(length), move |world| end(world, own));
    }
    world.cases[case].end = Some(today);
    let event = PlanEvent { babies, ..world.event(case, PlanAction::Born, version) };
    let due = world.dice.soon(world.now);
    world.send(due, plans_of(of), Change::Plan(event));
    world.saw(if count == 2 { "twins of an unborn plan" } else { "a child of an unborn plan" });
}

/// A child is registered twice; months later one number is superseded by the other, and now and then that was wrong.
fn second_number(world: &mut World) {
    let first = world.child();
    let known = &world.people[first];
    let (born, home, trust) = (known.born, known.home, known.trust);
    let number = world.number();
    let second = world.person(number, born, home);
    world.people[second].trust = trust;
    let day = world.today.plus_days(world.dice.days(5, 60));
    let (old, new) = if world.dice.percent(50) { (first, second) } else { (second, first) };
    world.later(day, move |world| {
        if world.renumbered.contains(&old) || world.renumbered.contains(&new) {
            return;
        }
        world.identify(old, IdentityAction::ReplacedBy(world.number_of(new)));
        world.renumbered.extend([old, new]);
        world.saw("a merge");
        if world.dice.percent(35) {
            let undone = world.today.plus_days(world.dice.days(5, 60));
            world.later(undone, move |world| {
                world.identify(old, IdentityAction::LinkUndone);
                world.saw("a merge undone");
            });
        }
    });
}

/// The old number is used no more; the child lives on under another, which nothing links with it.
fn adoption(world: &mut World) {
    let old = if world.dice.percent(60) { open_case(world).map(|case| world.cases[case].person) } else { None };
    let old = old.unwrap_or_else(|| world.child());
    if !world.children.contains(&old) {
        return;
    }
    world.identify(old, IdentityAction::Invalidated);
    world.children.retain(|child| *child != old);
    world.renumbered.push(old);
    let (born, number) = (world.people[old].born, world.number());
    let home = world.dice.below(FEEDS);
    let new = world.person(number, born, home);
    let open: Vec<usize> =
        world.people[old].cases.iter().copied().filter(|case| world.cases[*case].end.is_none()).collect();
    for case in open {
        let kind = world.cases[case].kind;
        let length = length(world, kind);
        if kind != PlanKind::Unborn {
            plan(world, new, kind, world.today, length);
        }
    }
    // Some are still asked about, and even seen, under the old number.
    let trust = world.people[old].trust;
    if world.dice.percent(50) {
        visits::visit(world, old, trust);
    }
}

/// A number is invalidated and reinstated some weeks later: everything told of it in between is there.
fn invalidated_by_mistake(world: &mut World) {
    let case = open_case(world);
    let Some(person) = case.map(|case| world.cases[case].person) else { return };
    if world.renumbered.contains(&person) {
        return;
    }
    world.identify(person, IdentityAction::Invalidated);
    world.renumbered.push(person);
    let day = world.today.plus_days(world.dice.days(3, 40));
    world.later(day, move |world| {
        world.identify(person, IdentityAction::Reinstated);
        world.saw("reinstated");
    });
}

fn begin(world: &mut World, kind: PlanKind) {
    let (person, length) = (world.child(), length(world, kind));
    let start = world.today.plus_days(world.dice.days(-10, 20)).max(world.people[person].born);
    plan(world, person, kind, start, length);
}

fn unborn(world: &mut World) {
    let (person, length) = (mother(world), length(world, PlanKind::Unborn));
    plan(world, person, PlanKind::Unborn, world.today.plus_days(-2), length);
}

/// First day, planned end or birth date are told anew.
fn corrected(world: &mut World) {
    let Some(case) = open_case(world) else { return };
    let (today, shift, planned) = (world.today, world.dice.days(-5, 5), world.dice.days(20, 200));
    let which = world.dice.below(3);
    let born = world.people[world.cases[case].person].born;
    let known = &mut world.cases[case];
    let child = known.kind != PlanKind::Unborn;
    match which {
        0 if known.reference.is_some() => {
            let start = known.start.plus_days(shift).min(today);
            if !child || (start >= born && birthday_18(born) > start.plus_days(1)) {
                known.start = start;
            }
        }
        1 if child => known.born = Some(born),
        _ => known.end = Some(today.plus_days(planned)),
    }
    world.tell(case, PlanAction::Change);
}

/// Entered in error; one in four was not, after all.
fn withdrawn(world: &mut World) {
    let Some(case) = open_case(world) else { return };
    world.cases[case].withdrawn = true;
    world.tell(case, PlanAction::Withdraw);
    if world.dice.percent(25) {
        let day = world.today.plus_days(world.dice.days(8, 30));
        world.later(day, move |world| {
            world.cases[case].withdrawn = false;
            world.tell(case, PlanAction::Change);
            world.saw("withdrawn by mistake");
        });
        world.later(day.plus_days(60), move |world| end(world, case));
    }
}

/// A family moves: out of one authority and into another, either of which may tell it first; or it stays after all.
fn moves(world: &mut World, stays: bool) {
    let Some(out) = open_case(world) else { return };
    let (from, person, kind) = (world.cases[out].authority, world.cases[out].person, world.cases[out].kind);
    let to = (from + 1 + world.dice.below(FEEDS - 1)) % FEEDS;
    world.cases[out].moving_to = Some(to);
    world.tell(out, PlanAction::TransferOut(super::place::authority(to)));
    if stays {
        let day = world.today.plus_days(world.dice.days(8, 25));
        return world.later(day, move |world| {
            world.cases[out].moving_to = None;
            world.tell(out, PlanAction::Start);
        });
    }
    let start = world.today.plus_days(world.dice.days(-3, 25)).max(world.cases[out].start.plus_days(1));
    let born = world.people[person].born;
    if kind != PlanKind::Unborn && birthday_18(born) <= start {
        return;
    }
    world.people[person].home = to;
    let into = case(world, person, to, kind, start, Some(born));
    let arrives = world.dice.percent(80);
    let told = start.plus_days(world.dice.days(-10, 5));
    let length = length(world, kind);
    world.later(told, move |world| {
        world.cases[into].moved_from = arrives.then_some(from);
        let action = if arrives { PlanAction::TransferIn(super::place::authority(from)) } else { PlanAction::Start };
        world.tell(into, action);
    });
    world.later(start.plus_days(length), move |world| end(world, into));
    // Most authorities end their own plan then; some forget it for a while.
    let own_end =
        start.plus_days(if world.dice.percent(60) { world.dice.days(1, 15) } else { world.dice.days(100, 400) });
    world.later(own_end, move |world| end(world, out));
}

fn shielded(world: &mut World) {
    let Some(case) = open_case(world) else { return };
    world.cases[case].shielded = true;
    world.tell(case, PlanAction::Change);
}

fn seen(world: &mut World) {
    let person = world.child();
    let of = visits::somewhere(world, person);
    visits::visit(world, person, of);
}

/// A few children are seen every week or two.
fn seen_often(world: &mut World) {
    let person = world.children[world.dice.below(6).min(world.children.len() - 1)];
    let of = visits::somewhere(world, person);
    visits::visit(world, person, of);
}

fn seen_late(world: &mut World) {
    let (person, days_ago) = (world.child(), world.dice.days(1, 60));
    let of = visits::somewhere(world, person);
    visits::imported(world, person, of, days_ago);
}

/// A newborn without a number, under a key of the trust's own.
fn seen_without_number(world: &mut World) {
    let (key, of) = (format!("newborn-{}", world.next()), world.dice.below(FEEDS));
    let subject = Subject::Local(trust(of), LocalKey::parse(&key).expect("a key"));
    let person = world.person(subject, world.today.plus_days(-1), of);
    // Nobody else will ask for the child under this key.
    world.children.retain(|child| *child != person);
    visits::visit(world, person, of);
}

fn any_feed(world: &mut World) -> Feed {
    let n = world.dice.below(FEEDS);
    if world.dice.percent(50) { plans_of(n) } else { presentations_of(n) }
}

/// A feed falls silent and comes back with what it had to tell.
fn silence(world: &mut World) {
    let (feed, until) = (any_feed(world), world.today.plus_days(world.dice.days(2, 40)));
    world.silent.entry(feed).or_insert(until);
}

/// So many at once that nothing held can no longer be said.
fn silences(world: &mut World) {
    let of = world.dice.percent(50);
    for _ in 0..FEEDS / 4 {
        let n = world.dice.below(FEEDS);
        let until = world.today.plus_days(world.dice.days(6, 12));
        world.silent.entry(if of { plans_of(n) } else { presentations_of(n) }).or_insert(until);
    }
}
