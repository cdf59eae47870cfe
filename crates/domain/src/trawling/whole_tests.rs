//! What many of an organisation do together, each of them too little for a flag, and what must not be flagged beside it.

use super::*;

/// Kind of each flag, and whom it is about.
fn raised(traffic: &Traffic) -> Vec<(FlagKind, &str)> {
    traffic.flags.iter().map(|flag| (flag.kind, user(flag))).collect()
}

#[test]
fn many_who_each_ask_about_few_are_a_volume_of_their_organisation_once() {
    let (mut traffic, mut fresh) = (Traffic::new(FlagRules::default()), Fresh(0));
    usual_days(&mut traffic, &mut fresh, 5, 6, false);
    evening(&mut traffic, &mut fresh, 100..180, 10, false);
    let [flag] = &traffic.flags[..] else { panic!("{:?}", traffic.flags) };
    assert_eq!((flag.kind, &flag.user_id, flag.organisation), (FlagKind::Volume, &None, trust()));
    assert_eq!((flag.counted, flag.out_of, flag.threshold), (360, 30, 360));
    let counted = traffic.seen.iter().filter(|seen| (flag.first_entry..=flag.last_entry).contains(&seen.entry));
    assert_eq!(counted.count(), 360, "the range is that of the questions counted");
    let mut watch = Watch::new(FlagRules::default());
    watch.raised(flag);
    let again: Vec<_> = traffic.seen.iter().flat_map(|seen| watch.observe(seen.clone())).collect();
    assert_eq!(again, [], "raised before");
}

/// Whoever makes up a new person for every question makes those before be forgotten, and counts all the same.
#[test]
fn people_who_are_none_are_a_volume_of_their_organisation() {
    let few = FlagRules { most_people: 8, ..FlagRules::default() };
    let (mut traffic, mut fresh) = (Traffic::new(few), Fresh(0));
    usual_days(&mut traffic, &mut fresh, 5, 6, false);
    evening(&mut traffic, &mut fresh, 100..500, 1, false);
    assert_eq!(raised(&traffic), [(FlagKind::Volume, "")]);
}

#[test]
fn a_busy_evening_of_children_who_are_there_is_no_volume_of_an_organisation() {
    let (mut traffic, mut fresh) = (Traffic::new(FlagRules::default()), Fresh(0));
    usual_days(&mut traffic, &mut fresh, 5, 6, true);
    evening(&mut traffic, &mut fresh, 100..180, 10, true);
    assert_eq!(raised(&traffic), []);
}

/// A list of many children comes every third week: it is held against the lists before, and not against the days between.
#[test]
fn planned_lists_are_held_against_lists() {
    let (mut traffic, mut fresh) = (Traffic::new(FlagRules::default()), Fresh(0));
    for week in 0..24 {
        let listed = if week % 3 == 0 { 300_u32 } else { 0 };
        for n in 0..listed {
            let moment = at(week * 7, 9 * 3_600 + i64::from(n) * 10);
            traffic.ask(moment, Ask { unscheduled: false, ..ask(n % 10, fresh.next()) });
        }
        for day in 1..7 {
            for n in 0..3_u32 {
                traffic.ask(at(week * 7 + day, 9 * 3_600 + i64::from(n) * 600), ask(20 + n, fresh.next()));
            }
        }
    }
    assert_eq!(raised(&traffic), []);
}

#[test]
fn one_who_is_flagged_is_not_told_again_of_their_organisation() {
    let (mut traffic, mut fresh) = (Traffic::new(FlagRules::default()), Fresh(0));
    usual_days(&mut traffic, &mut fresh, 5, 6, false);
    evening(&mut traffic, &mut fresh, 0..1, 600, false);
    assert_eq!(raised(&traffic), [(FlagKind::Volume, "u0")]);
}

#[test]
fn a_walk_that_many_take_in_turns_is_one_of_their_organisation() {
    let mut traffic = Traffic::new(FlagRules::default());
    for n in 0..40_u32 {
        traffic.walk(at(0, i64::from(n) * 60), n % 20, 400_000_000 + n);
    }
    let [flag] = &traffic.flags[..] else { panic!("{:?}", traffic.flags) };
    assert_eq!((flag.kind, &flag.user_id), (FlagKind::NumberWalk, &None));
    assert_eq!((flag.counted, flag.threshold), (12, 12));
    assert!(flag.first_entry == 1 && (12..=15).contains(&flag.last_entry), "{flag:?}");
}

/// Questions of `users` of an organisation from a day on, each about five children, of whom in so many of a hundred something is
/// held.
fn shares(traffic: &mut Traffic, fresh: &mut Fresh, code: &str, (from_day, users, percent): (i64, u32, u32)) {
    for n in 0..users * 5 {
        let user_id = UserId::parse(&format!("{code}-{}", n % users)).unwrap();
        let held = n % 100 < percent;
        let (role, number) = (Role::Ed, None);
        let asking = Asking { user_id, role, unscheduled: true, number, held, checks_in: false };
        let at = at(from_day + i64::from(n) / 100, i64::from(n % 100) * 600);
        traffic.sight_of(OdsCode::parse(code).unwrap(), at, fresh.next(), Sight::Question(asking));
    }
}

#[test]
fn an_organisation_whose_people_find_far_less_than_others_is_flagged() {
    for (percent, expected) in [(60, vec![]), (30, vec![]), (5, vec![(FlagKind::FewHeld, "")])] {
        let (mut traffic, mut fresh) = (Traffic::new(FlagRules::default()), Fresh(0));
        shares(&mut traffic, &mut fresh, "RRK", (0, 240, 60));
        assert_eq!(raised(&traffic), []);
        // Fifty before it is known how they ask, and a half of what is remembered of the whole.
        shares(&mut traffic, &mut fresh, "R1H", (13, 80, percent));
        traffic.present(at(30, 0), 0);
        assert_eq!(raised(&traffic), expected, "{percent}");
    }
}

/// How people of an organisation ask: so many questions of each, in turns and a hundred a day, about children of whom of ten so many
/// are there.
#[derive(Clone, Copy)]
struct Asked {
    code: &'static str,
    name: &'static str,
    people: u32,
    each: u32,
    there_tenths: u32,
}

/// They ask from a day on. Something is held of every child, so that nothing but who is there is odd.
fn asked(traffic: &mut Traffic, fresh: &mut Fresh, from_day: i64, who: Asked) {
    let organisation = OdsCode::parse(who.code).unwrap();
    for n in 0..who.people * who.each {
        let moment = at(from_day + i64::from(n / 100), 8 * 3_600 + i64::from(n % 100) * 300);
        let (child, turn) = (fresh.next(), n / who.people);
        let user_id = UserId::parse(&format!("{}-{}", who.name, n % who.people)).unwrap();
        let (role, number) = (Role::Ed, None);
        let asking = Asking { user_id, role, unscheduled: true, number, held: true, checks_in: false };
        traffic.sight_of(organisation, moment, child, Sight::Question(asking));
        if turn % 10 < who.there_tenths {
            traffic.sight_of(organisation, moment.plus_seconds(60), child, Sight::Presentation);
        }
    }
}

/// Another organisation, whose people ask as is usual.
const OTHERS: Asked = Asked { code: "RRK", name: "other", people: 30, each: 50, there_tenths: 8 };
/// The same in this one.
const STAFF: Asked = Asked { code: "R1H", name: "nurse", people: 20, each: 22, there_tenths: 8 };
/// Identifiers that are made up, each with too few questions for a flag, a hundred a day, about children who never come.
const CROWD: Asked = Asked { code: "R1H", name: "crowd", people: 40, each: 20, there_tenths: 0 };

#[test]
fn many_who_ask_about_children_who_never_come_are_flagged_as_their_organisation() {
    let (mut traffic, mut fresh) = (Traffic::new(FlagRules::default()), Fresh(0));
    asked(&mut traffic, &mut fresh, 0, OTHERS);
    asked(&mut traffic, &mut fresh, 20, STAFF);
    traffic.present(at(29, 0), 0);
    assert_eq!(raised(&traffic), []);
    asked(&mut traffic, &mut fresh, 30, CROWD);
    traffic.present(at(45, 0), 0);
    let [flag] = &traffic.flags[..] else { panic!("{:?}", traffic.flags) };
    assert_eq!((flag.kind, &flag.user_id, flag.organisation), (FlagKind::NoPresentation, &None, trust()));
    assert_eq!((flag.counted, flag.out_of), (512, 512));
    assert!((384..512).contains(&flag.threshold), "{flag:?}");
    // As at a start: the same entries again, and what was raised before.
    let mut watch = Watch::new(FlagRules::default());
    watch.raised(flag);
    let again: Vec<_> = traffic.seen.iter().flat_map(|seen| watch.observe(seen.clone())).collect();
    assert_eq!(again, [], "raised before");
}

/// Those who make up a new person for every few questions make those before be forgotten, and count all the same.
#[test]
fn people_who_are_none_ask_about_children_who_never_come() {
    let few = FlagRules { most_people: 64, ..FlagRules::default() };
    let (mut traffic, mut fresh) = (Traffic::new(few), Fresh(0));
    asked(&mut traffic, &mut fresh, 0, OTHERS);
    asked(&mut traffic, &mut fresh, 20, STAFF);
    asked(&mut traffic, &mut fresh, 30, Asked { people: 400, each: 2, ..CROWD });
    traffic.present(at(45, 0), 0);
    assert_eq!(raised(&traffic), [(FlagKind::NoPresentation, "")]);
}

/// Fewer who come than elsewhere, an organisation that tells of few in time, and one that has never told of any.
#[test]
fn an_organisation_with_fewer_who_come_or_that_tells_of_none_is_not_flagged_for_it() {
    for there_tenths in [0, 1, 2, 3, 8] {
        let (mut traffic, mut fresh) = (Traffic::new(FlagRules::default()), Fresh(0));
        asked(&mut traffic, &mut fresh, 0, OTHERS);
        asked(&mut traffic, &mut fresh, 20, Asked { each: 62, there_tenths, ..STAFF });
        traffic.present(at(45, 0), 0);
        assert_eq!(raised(&traffic), [], "{there_tenths}");
    }
}

/// Without others of the role there is nothing to hold it against.
#[test]
fn an_organisation_of_which_there_is_no_other_is_held_against_nobody() {
    let (mut traffic, mut fresh) = (Traffic::new(FlagRules::default()), Fresh(0));
    asked(&mut traffic, &mut fresh, 20, STAFF);
    asked(&mut traffic, &mut fresh, 30, CROWD);
    traffic.present(at(45, 0), 0);
    assert_eq!(raised(&traffic), []);
}
