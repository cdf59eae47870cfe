//! A year of ordinary use of a synthetic England: how often it is flagged, printed and bounded, and that who trawls among it is
//! found.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use jiff::civil::date;
use kith_domain::NhsNumber;
use kith_domain::caller::Role;
use kith_domain::codes::OdsCode;
use kith_domain::flag::{Flag, FlagKind, FlagRules};
use kith_domain::text::UserId;
use kith_domain::time::Moment;
use kith_domain::trawling::{Asking, ChildMark, Sight, Sighting, Watch};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A fiftieth of England, its trusts in groups of ten with as many nurses each as give one of them a nurse's usual month.
const SCALE: &str = "0.02";
const TRUSTS_OF_GROUP: usize = 10;
const NURSES: u32 = 8;
const DOCTORS: u32 = 4;
const MINUTE_S: i64 = 60;
const DAY_S: i64 = 24 * 60 * MINUTE_S;

/// What somebody does.
#[derive(Clone, Copy)]
enum Do {
    CheckIn,
    Ask,
    Review,
    Tell,
}

#[derive(Clone)]
struct Event {
    at: Moment,
    organisation: OdsCode,
    number: NhsNumber,
    user: String,
    what: Do,
}

/// Numbers without a pattern, the same at each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }

    fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    fn minutes(&mut self, from: i64, to: i64) -> i64 {
        let within = i64::try_from(self.below(u64::try_from(to - from).unwrap() * 60)).unwrap();
        from * MINUTE_S + within
    }
}

/// Files of a folder with their rows, in order of their names.
fn folder(root: &Path, name: &str) -> Vec<(String, Vec<csv::StringRecord>)> {
    let paths: BTreeSet<PathBuf> =
        std::fs::read_dir(root.join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let table = text.strip_prefix("kith-plans,1,1,changes\n").unwrap_or(&text);
        let rows = csv::Reader::from_reader(table.as_bytes()).into_records().map(Result::unwrap).collect();
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), rows)
    };
    paths.into_iter().map(read).collect()
}

/// What is done about one attendance: half of the groups check in, the others ask and record; a doctor looks again; some are
/// never recorded, and of some somebody asks who does not come.
fn attendance(events: &mut Vec<Event>, dice: &mut Dice, (event, checks_in): (Event, bool)) {
    let after =
        |seconds: i64, user: String, what| Event { at: event.at.plus_seconds(seconds), user, what, ..event.clone() };
    if checks_in {
        events.push(Event { what: Do::CheckIn, ..event.clone() });
    } else {
        events.push(event.clone());
        if !dice.percent(6) {
            events.push(after(dice.minutes(2, 20), event.user.clone(), Do::Tell));
        }
    }
    if dice.percent(5) {
        events.push(after(MINUTE_S, event.user.clone(), Do::Ask));
    }
    if dice.percent(30) {
        events.push(after(dice.minutes(60, 240), format!("doctor-{}", dice.below(DOCTORS.into())), Do::Ask));
    }
    if dice.percent(4) {
        events.push(after(10 * DAY_S, event.user.clone(), Do::Ask));
    }
    // On the Monday after, in one list.
    let days = event.at.0.div_euclid(DAY_S * 1_000);
    // Day 4 since 1970 was a Monday.
    let monday = (days - 4).div_euclid(7) * 7 + 4 + 7;
    let at = Moment(monday * DAY_S * 1_000).plus_seconds(9 * 60 * MINUTE_S + dice.minutes(0, 60));
    events.push(Event { at, user: "reviewer".into(), what: Do::Review, ..event.clone() });
}

fn year(root: &Path) -> Vec<Event> {
    let (mut events, mut dice) = (Vec::new(), Dice(1));
    let trusts = folder(root, "accesses");
    for (group, trusts) in trusts.chunks(TRUSTS_OF_GROUP).enumerate() {
        let organisation = OdsCode::parse(&trusts[0].0).unwrap();
        for row in trusts.iter().flat_map(|(_, rows)| rows) {
            let user: u32 = row[2].rsplit('u').next().unwrap().parse().unwrap();
            let at = row[1].parse::<jiff::Timestamp>().unwrap().as_millisecond();
            let event = Event {
                at: Moment(at),
                organisation,
                number: NhsNumber::parse(&row[0]).unwrap(),
                user: format!("nurse-{}", user % NURSES),
                what: Do::Ask,
            };
            attendance(&mut events, &mut dice, (event, group.is_multiple_of(2)));
        }
    }
    events.sort_by_key(|event| event.at);
    events
}

/// What is raised by events, where something is held of whoever has a plan or was seen before; and how many questions there were.
fn flagged(events: &[Event], mut held: BTreeSet<NhsNumber>) -> (Vec<Flag>, u64) {
    let (mut watch, mut flags, mut questions) = (Watch::new(FlagRules::default()), Vec::new(), 0);
    for (n, Event { at, organisation, number, user, what }) in (1_u64..).zip(events) {
        let asking = |role, unscheduled| {
            let (user_id, checks_in) = (UserId::parse(user).unwrap(), matches!(what, Do::CheckIn));
            let (number, held) = (Some(*number), held.contains(number));
            Sight::Question(Asking { user_id, role, unscheduled, number, held, checks_in })
        };
        let sights = match what {
            Do::CheckIn => vec![asking(Role::Ed, true), Sight::Presentation],
            Do::Ask => vec![asking(Role::Ed, true)],
            Do::Review => vec![asking(Role::Safeguarding, false)],
            Do::Tell => vec![Sight::Presentation],
        };
        questions += u64::from(!matches!(what, Do::Tell));
        let mut mark = [0; 16];
        mark[..8].copy_from_slice(&number.value().to_be_bytes());
        let (at, organisation, child) = (*at, *organisation, ChildMark::new(mark));
        for (entry, what) in (n * 2..).zip(sights) {
            flags.extend(watch.observe(Sighting { entry, at, organisation, child, what }));
        }
        if matches!(what, Do::Tell | Do::CheckIn) {
            held.insert(*number);
        }
    }
    (flags, questions)
}

/// Somebody asks for an evening in the ninth month: about so many children that come to mind, or numbers in a row.
fn trawl(events: &mut Vec<Event>, user: &str, organisation: OdsCode, numbers: impl Iterator<Item = NhsNumber>) {
    let begin = events[events.len() * 3 / 4].at;
    for (n, number) in (0..).zip(numbers) {
        let at = begin.plus_seconds(n * 40);
        events.push(Event { at, organisation, number, user: user.into(), what: Do::Ask });
    }
    events.sort_by_key(|event| event.at);
}

/// Whom a flag is about; nobody where it is about an organisation as a whole.
fn by(flag: &Flag) -> &str {
    flag.user_id.as_ref().map_or("", UserId::as_str)
}

/// Forty-five identifiers of one organisation ask about twenty children each, none of whom has a record: too little for a flag
/// about any of them.
fn a_crowd_is_found(mut events: Vec<Event>, held: BTreeSet<NhsNumber>) {
    let mut dice = Dice(11);
    let (begin, organisation) = (events[events.len() * 3 / 4].at, events[0].organisation);
    for n in 0..900_i64 {
        let number = (0..).find_map(|_| NhsNumber::from_first_nine(u32::try_from(dice.below(900_000_000)).unwrap()));
        let (at, user) = (begin.plus_seconds(n * 20), format!("crowd-{}", n % 45));
        events.push(Event { at, organisation, number: number.unwrap(), user, what: Do::Ask });
    }
    events.sort_by_key(|event| event.at);
    let (found, _) = flagged(&events, held);
    let whole: BTreeSet<FlagKind> = found.iter().filter(|flag| by(flag).is_empty()).map(|flag| flag.kind).collect();
    println!("a crowd: {whole:?}");
    let expected = BTreeSet::from([FlagKind::Volume, FlagKind::FewHeld, FlagKind::NoPresentation]);
    assert!(whole.is_superset(&expected), "{whole:?}");
    assert!(!found.iter().any(|flag| by(flag).starts_with("crowd")), "none of them asks about many");
}

#[test]
fn ordinary_use_is_flagged_seldom_and_who_trawls_among_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("england");
    let request =
        kith_synth::Request { seed: 1, scale: SCALE.parse().unwrap(), as_of: date(2026, 11, 22), out: out.clone() };
    kith_synth::generate(&request).unwrap();
    let plans = folder(&out, "plans").into_iter().flat_map(|(_, rows)| rows);
    let held: BTreeSet<NhsNumber> = plans.filter_map(|row| NhsNumber::parse(&row[0]).ok()).collect();
    let mut events = year(&out);

    let (flags, questions) = flagged(&events, held.clone());
    let of = |kind| flags.iter().filter(|flag| flag.kind == kind).count() as u64;
    println!("a year of ordinary use at scale {SCALE}: {questions} questions, flags for 1,000 questions:");
    for (kind, word) in FlagKind::WORDS {
        println!("  {word}: {} flags, {:.4}", of(kind), of(kind) as f64 * 1_000.0 / questions as f64);
    }
    assert!(questions > 200_000, "{questions}");
    assert_eq!((of(FlagKind::NumberWalk), of(FlagKind::SameChild)), (0, 0));
    let whole = flags.iter().filter(|flag| by(flag).is_empty()).count();
    println!("  of those about an organisation as a whole: {whole}");
    let all = flags.len() as u64;
    assert!(all * 20_000 <= questions, "more than one in 20,000 questions of ordinary use is flagged: {flags:?}");

    a_crowd_is_found(events.clone(), held.clone());

    // A tenth of those whom somebody asks about at random have a record at all.
    let mut dice = Dice(7);
    let strangers =
        (0..150).filter_map(|_| NhsNumber::from_first_nine(u32::try_from(dice.below(900_000_000)).unwrap()));
    let known = held.iter().step_by(100).copied().take(10);
    let (where_recorded, where_checked_in) = (events[0].organisation, OdsCode::parse("RRK").unwrap());
    trawl(&mut events, "trawler", where_recorded, known.chain(strangers));
    let row = (500_000_000..).filter_map(NhsNumber::from_first_nine).take(20);
    trawl(&mut events, "walker", where_checked_in, row);
    let (found, _) = flagged(&events, held);
    let raised = |user: &str| -> BTreeSet<FlagKind> {
        found.iter().filter(|flag| by(flag) == user).map(|flag| flag.kind).collect()
    };
    println!("the trawler: {:?}; the walker: {:?}", raised("trawler"), raised("walker"));
    assert!(raised("trawler").contains(&FlagKind::FewHeld) && raised("trawler").contains(&FlagKind::Volume));
    assert!(raised("walker").contains(&FlagKind::NumberWalk));
    let others = found.iter().filter(|flag| !["trawler", "walker"].contains(&by(flag))).count();
    assert!(others as u64 <= all + 1, "who trawls makes nobody else's use look odd: {others}, {all} before");
}
