//! Children at trusts: seen, amended, closed, entered in error, sent late. What follows a check-in is sent by the trust
//! when it gets to it, so that it may arrive in any order.

use kith_domain::change::{Change, PresentationAction, PresentationEvent};
use kith_domain::presentation::{CareSetting, Closing, Complaint, Details, Outcome};
use kith_domain::text::EncounterId;
use kith_domain::time::{Day, Moment};

use super::calendar::{birthday_18, london_day, plus_months};
use super::place::{FEEDS, site, trust};
use super::world::{Visit, World, presentations_of};

const SETTINGS: [CareSetting; 4] =
    [CareSetting::EmergencyDepartment, CareSetting::WalkInCentre, CareSetting::Ambulance, CareSetting::OutOfHours];
const COMPLAINTS: [Complaint; 6] = [
    Complaint::Injury,
    Complaint::HeadInjury,
    Complaint::Illness,
    Complaint::Fracture,
    Complaint::MentalHealth,
    Complaint::NotRecorded,
];
const OUTCOMES: [Outcome; 6] = [
    Outcome::Discharged,
    Outcome::Discharged,
    Outcome::Admitted,
    Outcome::LeftBeforeBeingSeen,
    Outcome::DischargedWithConcernsRecorded,
    Outcome::Transferred,
];
const HOUR: i64 = 3_600;

/// A visit today, which begins with a check-in.
pub fn visit(world: &mut World, person: usize, trust: usize) {
    let arrived = world.today.utc_start().plus_seconds(world.dice.seconds(23 * HOUR));
    let encounter = format!("E{}", world.next());
    // Some are looked up again while they are there: within four hours that is the same row of history, later another.
    let looks = if world.dice.percent(25) { 1 + world.dice.below(2) } else { 0 };
    for look in 0..=looks {
        let hours = if look == 0 { 0 } else { world.dice.seconds(6 * HOUR) };
        let visit = Visit {
            arrived: arrived.plus_seconds(hours).min(world.today.utc_start().plus_seconds(23 * HOUR)),
            person,
            trust,
            encounter: encounter.clone(),
            again: look > 0,
        };
        let at = world.visits.partition_point(|other| other.arrived <= visit.arrived);
        world.visits.insert(at, visit);
    }
    world.saw("a visit");
}

/// Where a child is taken: mostly the trust of home.
pub fn somewhere(world: &mut World, person: usize) -> usize {
    if world.dice.percent(75) { world.people[person].trust } else { world.dice.below(FEEDS) }
}

/// The birth date that a department writes down: none, the right one, or a wrong one that is not an adult's.
fn written(world: &mut World, person: usize, arrived: Moment) -> Option<Day> {
    let (born, on) = (world.people[person].born, london_day(arrived));
    if plus_months(born, 204) <= on {
        return Some(born);
    }
    match world.dice.below(20) {
        0..4 => None,
        4 | 5 => Some(world.dice.misread(born)).filter(|date| *date <= on && birthday_18(*date) > on),
        _ => Some(born),
    }
}

fn details(world: &mut World, person: usize, of: usize, arrived_at: Moment) -> Details {
    Details {
        site: site(of),
        arrived_at,
        setting: world.dice.pick(&SETTINGS),
        complaint: world.dice.pick(&COMPLAINTS),
        birth_date: written(world, person, arrived_at),
    }
}

fn event(
    world: &mut World,
    person: usize,
    of: usize,
    encounter: &str,
    version: u64,
    action: PresentationAction,
) -> Change {
    Change::Presentation(PresentationEvent {
        organisation: trust(of),
        event_id: world.dice.id(),
        subject: world.people[person].subject.clone(),
        encounter: EncounterId::parse(encounter).expect("an encounter id"),
        version,
        action,
    })
}

/// What a trust sends of a visit whose child has been checked in.
pub fn sent(world: &mut World, visit: &Visit) {
    let Visit { arrived, person, trust: of, encounter, again: _ } = visit;
    let (person, of, feed) = (*person, *of, presentations_of(*of));
    let told = details(world, person, of, *arrived);
    let record = event(world, person, of, encounter, 1, PresentationAction::Record(told.clone()));
    // A department that writes it down late may close it before.
    let due = if world.dice.percent(5) { arrived.plus_seconds(world.dice.seconds(30 * HOUR)) } else { world.now };
    world.send(due, feed, record);
    if world.dice.percent(4) {
        let earlier = arrived.plus_seconds(-world.dice.seconds(HOUR / 2));
        let amended = Details { complaint: world.dice.pick(&COMPLAINTS), arrived_at: earlier, ..told };
        let amend = event(world, person, of, encounter, 3, PresentationAction::Amend(amended));
        let due = arrived.plus_seconds(world.dice.seconds(50 * HOUR));
        world.send(due, feed, amend);
        world.saw("amended");
    }
    if !world.dice.percent(93) {
        return;
    }
    let at = arrived.plus_seconds(HOUR + world.dice.seconds(5 * HOUR));
    let closing = Closing { outcome: world.dice.pick(&OUTCOMES), at };
    let close = event(world, person, of, encounter, 2, PresentationAction::Close(closing));
    world.send(at, feed, close);
    if world.dice.percent(3) {
        in_error(world, person, of, encounter, at);
    }
}

/// Entered in error; of those some are recorded again, for the same child or for the one that it was.
fn in_error(world: &mut World, person: usize, of: usize, encounter: &str, closed: Moment) {
    let at = closed.plus_seconds(HOUR + world.dice.seconds(60 * HOUR));
    let closing = Closing { outcome: Outcome::EnteredInError, at };
    let error = event(world, person, of, encounter, 5, PresentationAction::Close(closing));
    world.send(at, presentations_of(of), error);
    world.saw("entered in error");
    if world.dice.percent(50) {
        return;
    }
    let whose = if world.dice.percent(50) { person } else { world.child() };
    let (encounter, day) = (encounter.to_owned(), london_day(at).plus_days(8));
    world.later(day, move |world| {
        let arrived = world.now.plus_seconds(-10 * 24 * HOUR);
        if birthday_18(world.people[whose].born) <= world.today || world.people[whose].born > london_day(arrived) {
            return;
        }
        let told = details(world, whose, of, arrived);
        let again = event(world, whose, of, &encounter, 6, PresentationAction::Record(told));
        world.send(world.now, presentations_of(of), again);
        world.saw("recorded again after an error");
    });
}

/// A presentation of the past that a trust sends late, closed or not.
pub fn imported(world: &mut World, person: usize, of: usize, days_ago: i32) {
    let arrived = world.now.plus_seconds(-i64::from(days_ago) * 24 * HOUR - world.dice.seconds(20 * HOUR));
    if world.people[person].born > london_day(arrived) {
        return;
    }
    let told = details(world, person, of, arrived);
    let outcome = world.dice.pick(&OUTCOMES);
    let closing = world.dice.percent(80).then(|| Closing { outcome, at: arrived.plus_seconds(2 * HOUR) });
    let encounter = format!("E{}", world.next());
    let import = event(world, person, of, &encounter, 1, PresentationAction::Import(told, closing));
    world.send(world.now, presentations_of(of), import);
    world.saw("sent late");
}
