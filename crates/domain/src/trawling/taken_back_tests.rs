//! Presentations that were none: recorded, so that questions look like work, and taken back as entered in error.

use super::*;

impl Traffic {
    fn take_back(&mut self, at: Moment, user: u32, child: u32) {
        let by = Some((UserId::parse(&format!("u{user}")).unwrap(), Role::Ed));
        self.sight(at, child, Sight::TakenBack { by });
    }
}

/// Ten usual days, and a day on which somebody asks about eighty children whom they record; one of so `many` of these is taken back,
/// so many seconds later and by somebody.
fn a_day(many: u32, after_s: i64, by: u32) -> Traffic {
    let (mut traffic, mut fresh) = (Traffic::new(FlagRules::default()), Fresh(0));
    usual_days(&mut traffic, &mut fresh, 5, 6, false);
    let mut steps: Vec<(Moment, u8, u32)> = Vec::new();
    for n in 0..80_u32 {
        let (child, moment) = (fresh.next(), at(10, 9 * 3_600 + i64::from(n) * 60));
        steps.extend([(moment, 0, child), (moment.plus_seconds(1), 1, child)]);
        if n % many == 0 {
            steps.push((moment.plus_seconds(after_s), 2, child));
        }
    }
    steps.sort_unstable();
    for (moment, step, child) in steps {
        match step {
            0 => traffic.ask(moment, ask(0, child)),
            1 => traffic.present(moment, child),
            _ => traffic.take_back(moment, by, child),
        }
    }
    // The next entry, by which it is known that nobody came.
    traffic.present(at(10, 23 * 3_600), 0);
    traffic
}

#[test]
fn children_who_were_recorded_in_error_were_not_there() {
    let traffic = a_day(1, 300, 0);
    let [flag] = &traffic.flags[..] else { panic!("{:?}", traffic.flags) };
    assert_eq!((flag.kind, user(flag), flag.counted), (FlagKind::Volume, "u0", 50), "one for a child, and not two");
}

/// When the questions have long been counted as work: then whoever takes back so much is told of, who may be the same person.
#[test]
fn many_who_are_taken_back_hours_later_are_a_volume_of_who_takes_them_back() {
    for by in [0, 3] {
        let traffic = a_day(1, 4 * 3_600, by);
        let [flag] = &traffic.flags[..] else { panic!("{:?}", traffic.flags) };
        assert_eq!((flag.kind, user(flag), flag.counted), (FlagKind::Volume, &*format!("u{by}"), 50));
    }
}

#[test]
fn a_few_that_were_entered_in_error_are_everybodys() {
    for after_s in [300, 4 * 3_600] {
        assert_eq!(a_day(16, after_s, 0).kinds(), [], "after {after_s} s");
    }
}
