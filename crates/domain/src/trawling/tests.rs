//! Each kind of flag on made sequences, and what must not be flagged beside it. Traffic of a whole month is in `kith-synth`.

use super::*;

#[path = "held_tests.rs"]
mod held;
#[path = "mothers_tests.rs"]
mod mothers;
#[path = "taken_back_tests.rs"]
mod taken_back;
#[path = "whole_tests.rs"]
mod whole;

const DAY_S: i64 = 24 * 60 * 60;
/// A Monday at midnight.
const BEGIN: Moment = Moment(1_772_409_600_000);

/// Entries of an audit, one after another, and the flags that they raise.
struct Traffic {
    watch: Watch,
    entry: u64,
    seen: Vec<Sighting>,
    flags: Vec<Flag>,
}

/// A question about the child of a number.
#[derive(Clone, Copy)]
struct Ask {
    user: u32,
    child: u32,
    held: bool,
    unscheduled: bool,
}

fn ask(user: u32, child: u32) -> Ask {
    Ask { user, child, held: true, unscheduled: true }
}

fn trust() -> OdsCode {
    OdsCode::parse("R1H").unwrap()
}

fn at(day: i64, second: i64) -> Moment {
    BEGIN.plus_seconds(day * DAY_S + second)
}

fn mark(child: u32) -> ChildMark {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&child.to_be_bytes());
    ChildMark::new(bytes)
}

impl Traffic {
    fn new(rules: FlagRules) -> Self {
        Self { watch: Watch::new(rules), entry: 0, seen: Vec::new(), flags: Vec::new() }
    }

    fn sight(&mut self, at: Moment, child: u32, what: Sight) {
        self.sight_of(trust(), at, child, what);
    }

    fn sight_of(&mut self, organisation: OdsCode, at: Moment, child: u32, what: Sight) {
        self.entry += 1;
        let sighting = Sighting { entry: self.entry, at, organisation, child: mark(child), what };
        self.seen.push(sighting.clone());
        self.flags.extend(self.watch.observe(sighting));
    }

    fn ask(&mut self, at: Moment, Ask { user, child, held, unscheduled }: Ask) {
        let user_id = UserId::parse(&format!("u{user}")).unwrap();
        let role = Role::Ed;
        let asking = Asking { user_id, role, unscheduled, number: None, held, checks_in: false };
        self.sight(at, child, Sight::Question(asking));
    }

    fn walk(&mut self, at: Moment, user: u32, nine: u32) {
        let user_id = UserId::parse(&format!("u{user}")).unwrap();
        let number = NhsNumber::from_first_nine(nine);
        let asking = Asking { user_id, role: Role::Ed, unscheduled: true, number, held: true, checks_in: false };
        self.sight(at, nine, Sight::Question(asking));
    }

    fn present(&mut self, at: Moment, child: u32) {
        self.sight(at, child, Sight::Presentation);
    }

    fn kinds(&self) -> Vec<FlagKind> {
        self.flags.iter().map(|flag| flag.kind).collect()
    }

    fn of(&self, kind: FlagKind) -> Vec<&Flag> {
        self.flags.iter().filter(|flag| flag.kind == kind).collect()
    }
}

/// Whom a flag is about; nobody where it is about an organisation as a whole.
fn user(flag: &Flag) -> &str {
    flag.user_id.as_ref().map_or("", UserId::as_str)
}

/// Children that were never asked about before.
struct Fresh(u32);

impl Fresh {
    fn next(&mut self) -> u32 {
        self.0 += 1;
        self.0
    }
}

/// Days on which each of `users` asks about so many children, who are there or not.
fn usual_days(traffic: &mut Traffic, fresh: &mut Fresh, users: u32, each: u32, there: bool) {
    for day in 0..10 {
        for n in 0..each {
            for user in 0..users {
                let (child, moment) = (fresh.next(), at(day, 8 * 3_600 + i64::from(n) * 1_200 + i64::from(user)));
                traffic.ask(moment, ask(user, child));
                if there {
                    traffic.present(moment.plus_seconds(60), child);
                }
            }
        }
    }
}

/// One user asks about so many children within four hours of the eleventh day.
fn evening(traffic: &mut Traffic, fresh: &mut Fresh, users: std::ops::Range<u32>, each: u32, there: bool) {
    for n in 0..each {
        for user in users.clone() {
            let (child, moment) = (fresh.next(), at(10, 14 * 3_600 + i64::from(n * 4 * 3_600 / each)));
            traffic.ask(moment, ask(user, child));
            if there {
                traffic.present(moment.plus_seconds(600), child);
            }
        }
    }
    // The next entry, by which it is known that nobody came.
    traffic.present(at(10, 23 * 3_600), 0);
}

#[test]
fn a_volume_far_above_the_own_past_is_flagged_once() {
    let (mut traffic, mut fresh) = (Traffic::new(FlagRules::default()), Fresh(0));
    usual_days(&mut traffic, &mut fresh, 5, 6, false);
    assert_eq!(traffic.kinds(), []);
    evening(&mut traffic, &mut fresh, 0..1, 80, false);
    let [flag] = &traffic.flags[..] else { panic!("{:?}", traffic.flags) };
    assert_eq!((flag.kind, user(flag)), (FlagKind::Volume, "u0"));
    assert_eq!((flag.counted, flag.out_of, flag.threshold), (50, 6, 50));
    let counted = traffic.seen.iter().filter(|seen| (flag.first_entry..=flag.last_entry).contains(&seen.entry));
    assert_eq!(counted.count(), 50, "the range is that of the questions counted");
}

#[test]
fn nobody_is_held_against_a_past_that_is_not_known() {
    let (mut traffic, mut fresh) = (Traffic::new(FlagRules::default()), Fresh(0));
    evening(&mut traffic, &mut fresh, 0..1, 200, false);
    assert_eq!(traffic.kinds(), []);
}

/// Ten times the usual, and every child is there: no volume flags by itself.
#[test]
fn an_evening_of_mass_casualties_is_no_volume() {
    let (mut traffic, mut fresh) = (Traffic::new(FlagRules::default()), Fresh(0));
    usual_days(&mut traffic, &mut fresh, 10, 12, true);
    evening(&mut traffic, &mut fresh, 0..10, 120, true);
    assert_eq!(traffic.kinds(), []);
}

/// The same where presentations are told days later or never: then the others of that evening are what tells it from one
/// who asks alone.
#[test]
fn where_no_presentations_are_told_the_others_of_that_evening_tell_it_from_one_who_asks_alone() {
    let (mut traffic, mut fresh) = (Traffic::new(FlagRules::default()), Fresh(0));
    usual_days(&mut traffic, &mut fresh, 10, 12, false);
    evening(&mut traffic, &mut fresh, 0..10, 120, false);
    assert_eq!(traffic.kinds(), []);
    let (mut traffic, mut fresh) = (Traffic::new(FlagRules::default()), Fresh(0));
    usual_days(&mut traffic, &mut fresh, 10, 12, false);
    evening(&mut traffic, &mut fresh, 3..4, 120, false);
    assert_eq!(traffic.kinds(), [FlagKind::Volume]);
    assert_eq!((user(&traffic.flags[0]), traffic.flags[0].threshold), ("u3", 60));
}

#[test]
fn numbers_in_steps_are_flagged_at_once_and_with_their_range() {
    let mut traffic = Traffic::new(FlagRules::default());
    for n in 0..12 {
        traffic.walk(at(0, i64::from(n) * 30), 1, 400_000_000 + n);
    }
    let [flag] = &traffic.flags[..] else { panic!("{:?}", traffic.flags) };
    assert_eq!((flag.kind, flag.counted, flag.threshold), (FlagKind::NumberWalk, 8, 8));
    assert!(flag.first_entry == 1 && (8..=9).contains(&flag.last_entry), "{flag:?}");
}

#[test]
fn somebody_who_finds_far_less_than_the_others_is_flagged() {
    let (mut traffic, mut fresh) = (Traffic::new(FlagRules::default()), Fresh(0));
    for n in 0..400 {
        // Of six children in ten something is held.
        let question = Ask { held: n % 10 < 6, ..ask(n % 8, fresh.next()) };
        traffic.ask(at(i64::from(n / 40), i64::from(n % 40) * 600), question);
    }
    assert_eq!(traffic.kinds(), []);
    for n in 0..40 {
        traffic.ask(at(11, n * 60), Ask { held: n == 20, ..ask(99, fresh.next()) });
    }
    traffic.present(at(12, 0), 0);
    let [flag] = &traffic.flags[..] else { panic!("{:?}", traffic.flags) };
    assert_eq!((flag.kind, user(flag)), (FlagKind::FewHeld, "u99"));
    assert_eq!((flag.counted, flag.out_of, flag.threshold), (1, 32, 4));
}

#[test]
fn a_child_about_whom_many_ask_flags_each_from_the_tenth_on() {
    let mut traffic = Traffic::new(FlagRules::default());
    for user in 0..12 {
        for again in 0..3 {
            traffic.ask(at(0, i64::from(user) * 3_600 + again), ask(user, 7));
        }
    }
    let flagged: Vec<_> = traffic.flags.iter().map(|flag| (flag.kind, user(flag), flag.counted)).collect();
    let kind = FlagKind::SameChild;
    assert_eq!(flagged, [(kind, "u9", 10), (kind, "u10", 11), (kind, "u11", 12)]);
    assert_eq!((traffic.flags[0].first_entry, traffic.flags[0].last_entry), (1, 28));
    // Over days they are none.
    let mut traffic = Traffic::new(FlagRules::default());
    (0..40).for_each(|user| traffic.ask(at(0, i64::from(user) * 3 * 3_600), ask(user, 7)));
    assert_eq!(traffic.kinds(), []);
}

#[test]
fn somebody_whose_children_are_not_there_is_flagged_where_those_of_others_are() {
    let few_at_all = FlagRules { volume_least: 10_000, ..FlagRules::default() };
    let (mut traffic, mut fresh) = (Traffic::new(few_at_all), Fresh(0));
    usual_days(&mut traffic, &mut fresh, 5, 12, true);
    evening(&mut traffic, &mut fresh, 7..8, 40, false);
    let [flag] = &traffic.flags[..] else { panic!("{:?}", traffic.flags) };
    assert_eq!((flag.kind, user(flag)), (FlagKind::NoPresentation, "u7"));
    assert_eq!((flag.counted, flag.out_of, flag.threshold), (32, 32, 25));
    // Where nobody tells presentations at once, that nobody came says nothing.
    let (mut traffic, mut fresh) = (Traffic::new(few_at_all), Fresh(0));
    usual_days(&mut traffic, &mut fresh, 5, 12, false);
    evening(&mut traffic, &mut fresh, 7..8, 40, false);
    assert_eq!(traffic.kinds(), []);
}

#[test]
fn planned_care_needs_no_presentation() {
    let (mut traffic, mut fresh) = (Traffic::new(FlagRules::default()), Fresh(0));
    usual_days(&mut traffic, &mut fresh, 5, 12, true);
    for n in 0..40 {
        traffic.ask(at(11, n * 60), Ask { unscheduled: false, ..ask(7, fresh.next()) });
    }
    traffic.present(at(12, 0), 0);
    assert_eq!(traffic.of(FlagKind::NoPresentation), Vec::<&Flag>::new());
}

#[test]
fn a_flag_of_a_kind_and_person_comes_once_a_day() {
    let mut traffic = Traffic::new(FlagRules::default());
    for day in 0..2 {
        for n in 0..30_u32 {
            traffic.walk(at(day, i64::from(n) * 30), 1, 400_000_000 + n);
        }
    }
    assert_eq!(traffic.kinds(), [FlagKind::NumberWalk; 2], "once on each day");
    let mut watch = Watch::new(FlagRules::default());
    watch.raised(&traffic.flags[0]);
    let again: Vec<_> = traffic.seen.iter().flat_map(|seen| watch.observe(seen.clone())).collect();
    assert_eq!(again, traffic.flags[1..], "the first was raised before");
}

#[test]
fn the_same_entries_give_the_same_flags() {
    let (mut traffic, mut fresh) = (Traffic::new(FlagRules::default()), Fresh(0));
    usual_days(&mut traffic, &mut fresh, 5, 12, true);
    evening(&mut traffic, &mut fresh, 2..4, 90, false);
    assert!(traffic.flags.len() > 1, "{:?}", traffic.flags);
    let mut watch = Watch::new(FlagRules::default());
    let again: Vec<_> = traffic.seen.iter().flat_map(|seen| watch.observe(seen.clone())).collect();
    assert_eq!(again, traffic.flags);
}

#[test]
fn a_clock_that_ran_ahead_for_one_entry_stops_nothing() {
    let (mut traffic, mut fresh) = (Traffic::new(FlagRules::default()), Fresh(0));
    usual_days(&mut traffic, &mut fresh, 5, 6, false);
    traffic.present(at(4_000, 0), 0);
    evening(&mut traffic, &mut fresh, 0..1, 80, false);
    assert_eq!(traffic.kinds(), [FlagKind::Volume]);
}

#[test]
fn a_flag_of_a_clock_that_ran_ahead_keeps_no_other_back() {
    let mut traffic = Traffic::new(FlagRules::default());
    // Two years ahead; then, set right again, on two evenings.
    for (day, from) in [(730, 400_000_000), (0, 500_000_000), (0, 600_000_000), (1, 700_000_000)] {
        for n in 0..12_u32 {
            traffic.walk(at(day, 18 * 3_600 + i64::from(n) * 60), 1, from + n);
        }
    }
    let raised: Vec<Moment> = traffic.of(FlagKind::NumberWalk).iter().map(|flag| flag.at).collect();
    assert!(raised.len() == 3 && raised[1] < at(1, 0) && raised[2] > at(1, 0), "one for each evening: {raised:?}");
    // After a start the flag is met in the audit before anybody asks again.
    let mut watch = Watch::new(FlagRules::default());
    watch.raised(traffic.of(FlagKind::NumberWalk)[0]);
    let again: Vec<Flag> = traffic.seen[12..24].iter().flat_map(|seen| watch.observe(seen.clone())).collect();
    assert_eq!(again.len(), 1, "{again:?}");
}

#[test]
fn no_more_people_are_remembered_than_may_be_and_who_asks_stays() {
    let few = FlagRules { most_people: 8, ..FlagRules::default() };
    let mut traffic = Traffic::new(few);
    for n in 0..400_u32 {
        traffic.ask(at(0, i64::from(n)), ask(1_000 + n, n));
        traffic.walk(at(0, i64::from(n)), 1, 400_000_000 + n / 40);
        assert!(traffic.watch.people.len() <= 8, "{}", traffic.watch.people.len());
    }
    assert_eq!(traffic.of(FlagKind::NumberWalk).len(), 1, "whoever asks all the time is not forgotten");
}

/// Somebody of another organisation, who names a new person with every question, makes nobody here be forgotten.
#[test]
fn people_who_are_none_make_their_own_organisation_forget_and_no_other() {
    let few = FlagRules { most_people: 8, ..FlagRules::default() };
    let mut traffic = Traffic::new(few);
    let elsewhere = OdsCode::parse("RRK").unwrap();
    for n in 0..12_u32 {
        traffic.walk(at(0, i64::from(n) * 300), 1, 400_000_000 + n);
        for named in 0..100_u32 {
            let user_id = UserId::parse(&format!("none-{n}-{named}")).unwrap();
            let (role, number) = (Role::Ed, None);
            let asking = Asking { user_id, role, unscheduled: true, number, held: false, checks_in: false };
            traffic.entry += 1;
            let (entry, child) = (traffic.entry, mark(1_000 + n * 100 + named));
            let at = at(0, i64::from(n) * 300 + 1);
            let sighting = Sighting { entry, at, organisation: elsewhere, child, what: Sight::Question(asking) };
            traffic.flags.extend(traffic.watch.observe(sighting));
            assert!(traffic.watch.people.len() <= 8, "{}", traffic.watch.people.len());
        }
    }
    assert_eq!(traffic.of(FlagKind::NumberWalk).len(), 1, "{:?}", traffic.flags);
}
