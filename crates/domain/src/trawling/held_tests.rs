//! What is usual to be held by the way in which people ask: whoever checks everybody in beside whoever looks up on suspicion.

use super::*;

/// How people of an organisation ask.
#[derive(Clone, Copy)]
struct Asks {
    code: &'static str,
    name: &'static str,
    people: u32,
    checks_in: bool,
    /// Of ten children so many are there.
    there_tenths: u32,
    /// Of a hundred children something is held of so many.
    held_percent: u32,
}

/// Whoever checks everybody in.
const CLERKS: Asks =
    Asks { code: "R1H", name: "clerk", people: 10, checks_in: true, there_tenths: 10, held_percent: 8 };
/// Whoever looks up on suspicion; of half of the children somebody tells a presentation in time.
const NURSES: Asks =
    Asks { code: "R1H", name: "nurse", people: 5, checks_in: false, there_tenths: 5, held_percent: 50 };
/// Somebody who asks about children who are not there, and of whom nothing is held.
const TRAWLER: Asks =
    Asks { code: "R1H", name: "trawler", people: 1, checks_in: false, there_tenths: 0, held_percent: 0 };

/// Volumes are not what is looked at here.
fn quiet() -> FlagRules {
    FlagRules { volume_least: 100_000, organisation_volume_least: 1_000_000, ..FlagRules::default() }
}

/// They ask in turns, so often from a day on, three hundred times a day.
fn asks(traffic: &mut Traffic, fresh: &mut Fresh, (from_day, count): (i64, u32), who: Asks) {
    let organisation = OdsCode::parse(who.code).unwrap();
    for n in 0..count {
        let moment = at(from_day + i64::from(n / 300), i64::from(n % 300) * 280);
        let (child, turn) = (fresh.next(), n / who.people);
        let asking = Asking {
            user_id: UserId::parse(&format!("{}-{}", who.name, n % who.people)).unwrap(),
            role: Role::Ed,
            unscheduled: true,
            number: None,
            // Each of a hundred comes once, in no order that goes with who is there.
            held: turn * 37 % 100 < who.held_percent,
            checks_in: who.checks_in,
        };
        traffic.sight_of(organisation, moment, child, Sight::Question(asking));
        if turn % 10 < who.there_tenths {
            traffic.sight_of(organisation, moment.plus_seconds(60), child, Sight::Presentation);
        }
    }
}

/// Whom flags say of that little is held of whom they ask about.
fn few_held(traffic: &Traffic) -> Vec<&str> {
    traffic.of(FlagKind::FewHeld).into_iter().map(user).collect()
}

#[test]
fn who_trawls_among_those_who_look_up_on_suspicion_is_found_beside_those_who_check_everybody_in() {
    let (mut traffic, mut fresh) = (Traffic::new(quiet()), Fresh(0));
    asks(&mut traffic, &mut fresh, (0, 2_000), CLERKS);
    asks(&mut traffic, &mut fresh, (8, 800), NURSES);
    traffic.present(at(12, 0), 0);
    assert_eq!(traffic.kinds(), []);
    asks(&mut traffic, &mut fresh, (13, 70), TRAWLER);
    traffic.present(at(15, 0), 0);
    assert_eq!(few_held(&traffic), ["trawler-0"]);
    // As at a start: the same entries again.
    let mut watch = Watch::new(quiet());
    let again: Vec<_> = traffic.seen.iter().flat_map(|seen| watch.observe(seen.clone())).collect();
    assert_eq!(again, traffic.flags);
}

#[test]
fn who_checks_everybody_in_is_not_held_against_those_who_look_up_on_suspicion() {
    let (mut traffic, mut fresh) = (Traffic::new(quiet()), Fresh(0));
    asks(&mut traffic, &mut fresh, (0, 1_000), Asks { there_tenths: 10, held_percent: 60, ..NURSES });
    asks(&mut traffic, &mut fresh, (5, 200), Asks { people: 1, ..CLERKS });
    traffic.present(at(8, 0), 0);
    assert_eq!(traffic.kinds(), []);
}

/// 200 questions of others, beside the fifty before it is known how an organisation's people ask.
#[test]
fn nothing_is_said_of_what_is_held_before_enough_of_others_is_known() {
    for (others, expected) in [(248, vec![]), (260, vec!["trawler-0"])] {
        let (mut traffic, mut fresh) = (Traffic::new(quiet()), Fresh(0));
        asks(&mut traffic, &mut fresh, (0, others), Asks { there_tenths: 0, held_percent: 60, ..NURSES });
        asks(&mut traffic, &mut fresh, (3, 40), TRAWLER);
        traffic.present(at(5, 0), 0);
        assert_eq!(few_held(&traffic), expected, "{others}");
    }
}

/// An organisation that is too small for a norm of its own is held against those whose people ask like its own, however many
/// questions there are where most children are there.
#[test]
fn organisations_are_held_against_those_whose_people_ask_like_theirs() {
    let (mut traffic, mut fresh) = (Traffic::new(quiet()), Fresh(0));
    let everybody = Asks { code: "RRK", name: "all", people: 10, checks_in: false, there_tenths: 6, held_percent: 4 };
    let suspicion = Asks { code: "RXH", name: "some", held_percent: 60, there_tenths: 0, people: 10, ..everybody };
    asks(&mut traffic, &mut fresh, (0, 5_000), everybody);
    asks(&mut traffic, &mut fresh, (20, 1_100), suspicion);
    asks(&mut traffic, &mut fresh, (26, 60), Asks { code: "R1H", name: "few", ..suspicion });
    traffic.present(at(28, 0), 0);
    assert_eq!(traffic.kinds(), []);
    asks(&mut traffic, &mut fresh, (29, 70), TRAWLER);
    traffic.present(at(29, 30_000), 0);
    assert_eq!(few_held(&traffic), ["trawler-0"]);
}

#[test]
fn every_way_has_a_place_of_its_own() {
    let all = [Way::Planned, Way::CheckedIn, Way::There, Way::NotThereOfMost, Way::NotThereOfFew];
    assert_eq!(all.map(|way| way as usize), [0, 1, 2, 3, 4]);
    assert_eq!(all.len(), Way::COUNT);
    // What is not known is expected of nobody, and what takes its place is the least that is.
    let of =
        |known: &'static [(Way, u64)]| move |way: Way| known.iter().find(|(of, _)| *of == way).map(|(_, usual)| *usual);
    assert_eq!(all.map(|way| way.usual(of(&[]))), [0; 5]);
    let there = of(&[(Way::CheckedIn, 80), (Way::There, 500)]);
    assert_eq!(all.map(|way| way.usual(there)), [0, 80, 500, 80, 80]);
}
