//! Mothers whose numbers are given with questions about children: they are asked about too.

use super::*;

impl Traffic {
    /// A question about a child with a mother's number; something of hers is held.
    fn ask_of(&mut self, at: Moment, user: u32, (child, mother): (u32, NhsNumber)) {
        self.ask_with(at, user, (child, true), mother);
    }

    /// The same of a child who has a number, or has none.
    fn ask_with(&mut self, at: Moment, user: u32, (child, numbered): (u32, bool), mother: NhsNumber) {
        self.ask(at, ask(user, child));
        let user_id = UserId::parse(&format!("u{user}")).unwrap();
        let (role, number) = (Role::Ed, Some(mother));
        let asking = Asking { user_id, role, unscheduled: true, number, held: true, checks_in: false };
        let what = Sight::OfMother { asking, with: mark(child), numbered };
        self.sight(at, u32::try_from(mother.value() / 10).unwrap(), what);
    }
}

/// The `n`th of numbers of which no few lie in equal steps.
fn scattered(n: u32) -> NhsNumber {
    (300_000_000 + n * n * 1_009..).find_map(NhsNumber::from_first_nine).unwrap()
}

/// The dummy child is the same, and is even there.
#[test]
fn numbers_of_mothers_in_steps_are_a_walk_whoever_the_child_is() {
    for by in [1, 40] {
        let mut traffic = Traffic::new(FlagRules::default());
        traffic.present(at(0, 0), 7);
        // One in eleven has no number.
        let mothers = (0..20).filter_map(|n| NhsNumber::from_first_nine(500_000_000 + n * by));
        for (n, mother) in (0_i64..).zip(mothers) {
            traffic.ask_of(at(0, n * 30), 1, (7, mother));
        }
        assert_eq!(traffic.kinds(), [FlagKind::NumberWalk], "by {by}");
        assert_eq!((user(&traffic.flags[0]), traffic.flags[0].threshold), ("u1", 8));
    }
}

#[test]
fn one_mother_after_another_with_one_child_is_a_volume_though_the_child_is_there() {
    let (mut traffic, mut fresh) = (Traffic::new(FlagRules::default()), Fresh(0));
    usual_days(&mut traffic, &mut fresh, 5, 6, false);
    let child = fresh.next();
    traffic.present(at(10, 14 * 3_600), child);
    for n in 0..80 {
        traffic.ask_of(at(10, 14 * 3_600 + i64::from(n) * 60), 0, (child, scattered(n)));
    }
    traffic.present(at(10, 23 * 3_600), 0);
    let [flag] = &traffic.flags[..] else { panic!("{:?}", traffic.flags) };
    assert_eq!((flag.kind, user(flag), flag.counted), (FlagKind::Volume, "u0", 50));
}

/// Newborns who are there, each with one mother, whom somebody else asks about with it again: her number is no question more.
#[test]
fn a_child_and_its_one_mother_are_one_question() {
    let (mut traffic, mut fresh) = (Traffic::new(FlagRules::default()), Fresh(0));
    usual_days(&mut traffic, &mut fresh, 5, 6, false);
    for n in 0..80 {
        let (child, moment) = (fresh.next(), at(10, 9 * 3_600 + i64::from(n) * 300));
        traffic.present(moment, child);
        for user in [0, 0, 1] {
            traffic.ask_of(moment, user, (child, scattered(n)));
        }
    }
    traffic.present(at(10, 23 * 3_600), 0);
    assert_eq!(traffic.kinds(), []);
}

/// A newborn without a number can be made up and recorded for each mother, and nobody hears of it.
#[test]
fn far_more_newborns_without_a_number_than_usual_are_a_volume_of_their_mothers() {
    for (newborns, expected) in [(12, vec![]), (80, vec![FlagKind::Volume])] {
        let (mut traffic, mut fresh) = (Traffic::new(FlagRules::default()), Fresh(0));
        usual_days(&mut traffic, &mut fresh, 5, 6, false);
        for n in 0..newborns {
            let (child, moment) = (fresh.next(), at(10, 9 * 3_600 + i64::from(n) * 60));
            traffic.present(moment, child);
            for again in 0..3 {
                traffic.ask_with(moment.plus_seconds(again), 0, (child, false), scattered(n));
            }
        }
        traffic.present(at(10, 23 * 3_600), 0);
        assert_eq!(traffic.kinds(), expected, "{newborns}");
    }
}

#[test]
fn a_mother_about_whom_many_ask_with_children_of_their_own_choice_flags_each_from_the_tenth_on() {
    let mut traffic = Traffic::new(FlagRules::default());
    for user in 0..12 {
        traffic.ask_of(at(0, i64::from(user) * 3_600), user, (1_000 + user, scattered(1)));
    }
    let flagged: Vec<_> = traffic.flags.iter().map(|flag| (flag.kind, user(flag))).collect();
    assert_eq!(flagged, ["u9", "u10", "u11"].map(|user| (FlagKind::SameChild, user)));
}
