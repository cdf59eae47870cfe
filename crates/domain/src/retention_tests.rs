//! Days on which things pass, and that removing what has passed changes no answer.

use super::*;
use crate::NhsNumber;
use crate::answer::{Answer, Question};
use crate::answering::{Found, Means, answer};
use crate::caller::{Caller, CareContext, Peer, Purpose, Role};
use crate::change::{Feed, PlanAction, PlanEvent};
use crate::child::{Access, Notified, Subject};
use crate::codes::{LaCode, OdsCode, SiteCode};
use crate::directory::{Directory, OrganisationEntry};
use crate::feed::FeedBoard;
use crate::fold;
use crate::links::{self, Person};
use crate::method::Method;
use crate::notify::{last_day_of, responsible_for};
use crate::permit::authorise_read;
use crate::plan::{PlanKind, PlanName, Register};
use crate::policy::Policy;
use crate::presentation::{CareSetting, Closing, Complaint, Details, Outcome};
use crate::settings::AnswerSettings;
use crate::text::{EncounterId, PersonText, PlanReference, UserId};
use std::sync::Arc;
use uuid::Uuid;

const RULES: Retention = Retention { presentation_days: 365, plan_months: 12 };

fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

fn at(text: &str) -> Moment {
    Moment(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

fn empty() -> ChildRecord {
    ChildRecord::new(Subject::Nhs(NhsNumber::from_first_nine(999_000_001).unwrap()))
}

fn seen(arrived: Moment, encounter: &str, organisation: &str) -> Presentation {
    let organisation = OdsCode::parse(organisation).unwrap();
    let mut seen = Presentation::new(organisation, EncounterId::parse(encounter).unwrap());
    let details = Details {
        site: SiteCode::parse("T0101").unwrap(),
        arrived_at: arrived,
        setting: CareSetting::EmergencyDepartment,
        complaint: Complaint::BurnOrScald,
        birth_date: None,
    };
    seen.details.set(1, Some(details));
    seen
}

fn plan_event(by: &str, reference: &str, version: u64, action: PlanAction) -> PlanEvent {
    PlanEvent {
        authority: LaCode::parse(by).unwrap(),
        event_id: Uuid::from_u128(1),
        subject: empty().subject,
        action,
        kind: PlanKind::ChildProtection,
        reference: Some(PlanReference::parse(reference).unwrap()),
        version,
        start: None,
        end: None,
        birth_date: None,
        shielded: false,
        unshield: false,
        family: None,
        babies: Vec::new(),
    }
}

fn apply(record: &mut ChildRecord, event: &PlanEvent, taken: Moment) {
    let name = event.name().unwrap();
    fold::apply_plan(record, event, name.clone());
    fold::note_plan_event(record, event.authority, &name, taken);
    fold::note_transfer(record, event, &name, taken);
}

/// Whether a record with this one plan has passed on a day.
fn passed(event: &PlanEvent, taken: &str, today: &str) -> bool {
    let mut record = empty();
    apply(&mut record, event, at(taken));
    RULES.split(&record, &Person::default(), day(today)).is_some_and(|passed| passed.kept.holds_nothing())
}

#[test]
fn plans_pass_twelve_months_after_their_last_day() {
    let start = PlanEvent { start: Some(day("2024-01-10")), ..plan_event("E06000001", "P", 1, PlanAction::Start) };
    let ended = |end| PlanEvent { end: Some(day(end)), ..start.clone() };
    let taken = "2024-01-10T12:00:00Z";
    assert!(!passed(&ended("2024-06-30"), taken, "2025-06-30"));
    assert!(passed(&ended("2024-06-30"), taken, "2025-07-01"));
    assert!(!passed(&ended("2024-02-29"), taken, "2025-02-28"), "29 February counts as the 28th in a common year");
    assert!(passed(&ended("2024-02-29"), taken, "2025-03-01"));
    assert!(!passed(&start, taken, "2099-01-01"), "one that has not ended never passes by itself");
    let born = PlanEvent { birth_date: Some(day("2008-02-29")), ..start };
    assert!(!passed(&born, taken, "2027-02-28"), "18 on 28 February 2026, and twelve months more");
    assert!(passed(&born, taken, "2027-03-01"));
}

#[test]
fn withdrawn_plans_pass_after_their_last_event_and_mothers_do_not_turn_18() {
    let withdrawn = plan_event("E06000001", "P", 2, PlanAction::Withdraw);
    assert!(!passed(&withdrawn, "2025-06-30T22:59:00Z", "2026-06-30"), "23:59 in London");
    assert!(passed(&withdrawn, "2025-06-30T22:59:00Z", "2026-07-01"));
    assert!(!passed(&withdrawn, "2025-06-30T23:00:00Z", "2026-07-01"), "midnight of 1 July in London");
    let mother = PlanEvent {
        kind: PlanKind::Unborn,
        start: Some(day("2025-01-01")),
        birth_date: Some(day("2000-01-01")),
        ..plan_event("E06000001", "P", 1, PlanAction::Start)
    };
    assert!(!passed(&mother, "2025-01-01T12:00:00Z", "2030-01-01"));
}

#[test]
fn presentations_pass_by_their_london_day() {
    let left = |arrived: &str, today: &str| {
        let record = ChildRecord { presentations: vec![seen(at(arrived), "E", "T02")], ..empty() };
        RULES.split(&record, &Person::default(), day(today)).map_or(1, |passed| passed.kept.presentations.len())
    };
    assert_eq!(left("2025-06-30T22:59:00Z", "2026-06-30"), 1, "365 days ago");
    assert_eq!(left("2025-06-30T22:59:00Z", "2026-07-01"), 0);
    assert_eq!(left("2025-06-30T23:00:00Z", "2026-07-01"), 1, "1 July in London, 30 June in UTC");
    assert_eq!(left("2023-03-01T12:00:00Z", "2024-02-29"), 1, "365 days to a 29 February");
    assert_eq!(left("2023-03-01T12:00:00Z", "2024-03-01"), 0, "366 days over one");
}

#[test]
fn a_shield_stays_when_nothing_else_is_left() {
    let mut record = empty();
    let event = PlanEvent { shielded: true, ..plan_event("E06000001", "P", 1, PlanAction::Withdraw) };
    apply(&mut record, &event, at("2024-01-01T12:00:00Z"));
    let left = RULES.split(&record, &Person::default(), day("2026-01-01")).unwrap();
    assert!(left.plans.len() == 1 && left.kept.is_shielded() && !left.kept.holds_nothing());
}

/// Numbers from a seed, enough for a test.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn moment(&mut self, days_ago: u64, now: Moment) -> Moment {
        let minutes = self.below(days_ago * 24 * 60);
        now.plus_seconds(-60 * i64::try_from(minutes).unwrap())
    }

    fn maybe_day(&mut self, now: Moment) -> Option<Day> {
        let day = self.moment(1_000, now).london_day().plus_days(200);
        (self.below(3) > 0).then_some(day)
    }
}

fn random_plan(dice: &mut Dice, now: Moment) -> (PlanEvent, Moment) {
    let by = ["E06000001", "E06000002", "E06000003"];
    let code = |dice: &mut Dice| LaCode::parse(by[dice.below(3) as usize]).unwrap();
    let action = match dice.below(8) {
        0..3 => PlanAction::Start,
        3 => PlanAction::End,
        4 => PlanAction::Withdraw,
        5 => PlanAction::TransferOut(code(dice)),
        6 => PlanAction::TransferIn(code(dice)),
        _ => PlanAction::Change,
    };
    let reference = ["P", "Q"][dice.below(2) as usize];
    let event = PlanEvent {
        start: dice.maybe_day(now),
        end: dice.maybe_day(now),
        birth_date: dice.maybe_day(now).map(|day| day.plus_months(-12 * 18)),
        kind: if dice.below(6) == 0 { PlanKind::Unborn } else { PlanKind::ChildProtection },
        shielded: dice.below(40) == 0,
        ..plan_event(code(dice).as_str(), reference, 1 + dice.below(9), action)
    };
    (event, dice.moment(900, now))
}

fn random(dice: &mut Dice, now: Moment) -> ChildRecord {
    let mut record = empty();
    for _ in 0..dice.below(7) {
        let (event, taken) = random_plan(dice, now);
        apply(&mut record, &event, taken);
    }
    for n in 0..dice.below(5) {
        let organisation = ["T01", "T02", "T03"][dice.below(3) as usize];
        let mut one = seen(dice.moment(800, now), &format!("E{n}"), organisation);
        if dice.below(3) == 0 {
            let outcome = if dice.below(2) == 0 { Outcome::EnteredInError } else { Outcome::Died };
            one.closing.set(2, Some(Closing { outcome, at: dice.moment(800, now) }));
        }
        record.presentations.push(one);
    }
    let mut moments: Vec<Moment> = (0..dice.below(4)).map(|_| dice.moment(800, now)).collect();
    moments.sort();
    let (name, organisation) = (PersonText::parse("N").unwrap(), OdsCode::parse("T02").unwrap());
    for at in moments {
        let (user_name, user_role) = (name.clone(), name.clone());
        record.accesses.push(Access { organisation, user_name, user_role, first_at: at, last_at: at, count: 1 });
        record.notified.push(Notified { organisation, authority: LaCode::parse("E06000001").unwrap(), first_at: at });
    }
    // Rows pushed out are older than those that are kept.
    let oldest = record.accesses.first().map(|row| row.last_at.london_day());
    let count = dice.below(3);
    record.accesses_beyond =
        oldest.into_iter().flat_map(|day| (0..count).map(move |n| day.plus_days(n as i32 - 200))).collect();
    record
}

fn ask(dice: &mut Dice, record: Option<&ChildRecord>, now: Moment, birth_date: Option<Day>) -> Answer {
    ask_found(dice, &Found::of(record), now, birth_date)
}

fn ask_found(dice: &mut Dice, found: &Found, now: Moment, birth_date: Option<Day>) -> Answer {
    let organisation = OdsCode::parse("T01").unwrap();
    let entry = OrganisationEntry { name: "T".into(), contact_phone: "020 7946 0001".into(), successor: None };
    let directory = Directory { organisations: [(organisation, entry)].into(), ..Directory::default() };
    let text = |text| PersonText::parse(text).unwrap();
    let caller = Caller {
        user_id: UserId::parse("n1").unwrap(),
        user_name: text("A Nurse"),
        user_role: text("Nurse"),
        role_code: crate::text::RoleCode::parse("R8000").unwrap(),
        purpose: Purpose::DirectCare,
        organisation,
    };
    let permit = authorise_read(
        &Policy::builtin(),
        Peer { organisation, role: Role::Ed },
        &caller,
        (Method::Lookup, CareContext::Unscheduled),
        &directory,
    )
    .unwrap();
    let codes = |prefix: &'static str| (1..=12).map(move |n| format!("{prefix}{n:02}"));
    let plans = codes("E060000").map(|code| (LaCode::parse(&code).unwrap(), 3600));
    let feeds = FeedBoard::new(plans, codes("T").map(|code| (OdsCode::parse(&code).unwrap(), 3600)));
    // One feed is stale: whether the record points to it decides between "none held" and "cannot say".
    let stale = dice.below(6) as usize;
    for (n, line) in feeds.lines(now).into_iter().enumerate() {
        let near = match line.feed {
            Feed::Plans(_) => n % 12,
            Feed::Presentations(_) => n % 12 + 3,
        };
        if near != stale {
            feeds.heard(line.feed, now);
        }
    }
    let question =
        Question { subject: empty().subject, number_traced: true, birth_date, checking_in: None, now, mother: None };
    let settings = AnswerSettings::default();
    answer(&permit, &question, found, Means { settings: &settings, directory: &directory, feeds: &feeds })
}

/// Over many records, days of purging and days of asking: the answer is the same with and without the purge, also where
/// nothing is left and the record is gone.
#[test]
fn a_purge_changes_no_answer() {
    let now = at("2026-07-01T22:30:00Z");
    let (mut dice, mut split, mut emptied) = (Dice(20_091), 0, 0);
    for _ in 0..20_000 {
        let record = random(&mut dice, now);
        let purged_on = now.london_day().plus_days(-(dice.below(60) as i32));
        let kept =
            RULES.split(&record, &Person::default(), purged_on).map_or_else(|| record.clone(), |passed| passed.kept);
        let asked_at = now.plus_seconds(60 * 60 * 24 * dice.below(500) as i64);
        let birth_date = dice.maybe_day(now).map(|day| day.plus_months(-12 * 18));
        split += u32::from(kept != record);
        emptied += u32::from(kept.holds_nothing());
        let held = (!kept.holds_nothing()).then_some(&kept);
        let state = dice.0;
        let before = ask(&mut dice, Some(&record), asked_at, birth_date);
        dice.0 = state;
        assert_eq!(ask(&mut dice, held, asked_at, birth_date), before, "{record:?} and {kept:?}");
    }
    assert!(split > 5_000 && emptied > 500, "{split} were split, {emptied} emptied");
}

/// The same for a person of two numbers, each of whose records is purged by itself, on a day of its own or not at all.
#[test]
fn a_purge_of_linked_records_changes_no_answer() {
    let now = at("2026-07-01T22:30:00Z");
    let number = NhsNumber::from_first_nine(999_000_002).unwrap();
    let (mut dice, mut split) = (Dice(20_261), 0);
    for _ in 0..10_000 {
        let (mut old, mut new) = (random(&mut dice, now), random(&mut dice, now));
        new.subject = Subject::Nhs(number);
        let told = old.identity.get_or_insert_default();
        told.successor.set(1, Some(number));
        links::link(&mut new, &old.subject);
        for record in [&mut old, &mut new] {
            if dice.below(2) == 0 {
                // No date of its own: what is told under the other number neither hides nor removes it.
                record.plans.iter_mut().for_each(|plan| plan.birth_date = Register::default());
            }
            let born = dice.maybe_day(now).map(|day| day.plus_months(-12 * 18));
            record.identity.get_or_insert_default().birth_date.set(2, born);
        }
        let mut purged = [old.clone(), new.clone()];
        for at in 0..2 {
            let find = |subject: &Subject| purged.iter().find(|one| one.subject == *subject).cloned().map(Arc::new);
            let (record, person) = (&purged[at], Person::find(Some(Arc::new(purged[at].clone())), find));
            let day = now.london_day().plus_days(-(dice.below(60) as i32));
            if let Some(passed) = RULES.split(record, &person, day).filter(|_| dice.below(4) > 0) {
                purged[at] = passed.kept;
                split += 1;
            }
        }
        let asked_at = now.plus_seconds(60 * 60 * 24 * dice.below(500) as i64);
        let (birth_date, asked) = (dice.maybe_day(now).map(|day| day.plus_months(-12 * 18)), dice.below(2) as usize);
        let state = dice.0;
        let mut ask = |records: &[ChildRecord; 2]| {
            let find = |subject: &Subject| records.iter().find(|one| one.subject == *subject).cloned().map(Arc::new);
            let person = Person::find(find(&records[asked].subject), find);
            dice.0 = state;
            ask_found(&mut dice, &Found { person, ..Found::default() }, asked_at, birth_date)
        };
        assert_eq!(ask(&purged), ask(&[old, new]));
    }
    assert!(split > 5_000, "{split} were split");
}

/// Children who are looked up every week: rows pushed out pass after their year too, while none of those shown has.
#[test]
fn rows_of_history_beyond_the_bound_pass_like_those_shown() {
    let begin = Moment(1_790_000_000_000);
    let mut record = ChildRecord::new(Subject::Nhs(NhsNumber::from_first_nine(999_000_001).unwrap()));
    let (name, organisation) = (PersonText::parse("N").unwrap(), OdsCode::parse("T02").unwrap());
    for week in 0..120_i64 {
        let at = begin.plus_seconds(week * 7 * 86_400);
        let facts = crate::change::AccessFacts {
            subject: record.subject.clone(),
            organisation,
            request_id: Uuid::from_u128(week as u128),
            at,
            user_name: name.clone(),
            user_role: name.clone(),
            responsible: Vec::new(),
        };
        fold::apply_access(&mut record, &facts);
        let held =
            RULES.split(&record, &Person::default(), at.london_day()).map_or(record.clone(), |passed| passed.kept);
        // A year holds 53 weeks' first days: today's and those of 52 weeks ago and less.
        let expected = (week as usize + 1).min(53);
        assert_eq!(held.accesses.len() + held.accesses_beyond.len(), expected, "week {week}");
    }
}

/// An authority's mistyped year on the old number, and the right one told under the number that stands in its place; and a
/// link by mistake with a grown person, of a plan with a date or without one, or told of its own number.
#[test]
fn a_birth_date_told_under_another_number_saves_a_plan_and_removes_none() {
    let [old, new] = [999_000_001, 999_000_020].map(|nine| (nine..).find_map(NhsNumber::from_first_nine).unwrap());
    let record = |plan: &str, own: &str, told: &str| {
        let mut with_plan = ChildRecord::new(Subject::Nhs(old));
        let name = PlanName::KindAndStart(PlanKind::LookedAfter, day("2020-01-01"));
        let mut looked_after = Plan::new(LaCode::parse("E06000001").unwrap(), name);
        looked_after.kind.set(1, Some(PlanKind::LookedAfter));
        looked_after.start.set(1, Some(day("2020-01-01")));
        looked_after.birth_date.set(1, Day::parse(plan).ok());
        with_plan.plans.push(looked_after);
        let facts = with_plan.identity.get_or_insert_default();
        facts.successor.set(1, Some(new));
        facts.birth_date.set(1, Day::parse(own).ok());
        let mut other = ChildRecord::new(Subject::Nhs(new));
        other.identity.get_or_insert_default().birth_date.set(1, Some(day(told)));
        links::link(&mut other, &with_plan.subject);
        [with_plan, other]
    };
    let today = day("2027-06-01");
    for (plan, own, told, held) in [
        ("2008-02-01", "", "2010-02-01", true),
        ("2010-02-01", "", "2008-02-01", true),
        ("2010-02-01", "", "2004-02-01", true),
        ("2008-02-01", "", "2008-02-02", false),
        ("", "", "2004-02-01", true),
        ("", "2010-02-01", "2004-02-01", true),
        ("", "2008-02-01", "2010-02-01", true),
        ("", "2008-02-01", "2004-02-01", false),
        ("2008-02-01", "2010-02-01", "2004-02-01", true),
    ] {
        let records = record(plan, own, told);
        for asked in &records {
            let find = |subject: &Subject| records.iter().find(|one| one.subject == *subject).cloned().map(Arc::new);
            let person = Person::find(find(&asked.subject), find);
            let left = person.held(RULES, today).unwrap();
            let case = format!("plan {plan:?}, told {own:?} of its number, {told} of the other");
            assert_eq!(!left.plans.is_empty(), held, "{case}");
            let passed = RULES.split(&records[0], &person, today);
            assert_eq!(passed.is_none(), held, "a purge and an answer differ: {case}");
            let whole = person.whole().unwrap();
            let last = last_day_of(&person, &whole, &whole.plans[0]);
            let shown = whole.plans[0].state(today, last, RULES.plan_months);
            assert_eq!(shown.is_some(), held, "held and not shown: {case}");
            let in_force = last.is_none_or(|last| last >= today);
            assert_eq!(!responsible_for(&person, today).is_empty(), in_force, "nobody is responsible: {case}");
        }
    }
}

/// A plan under one number has moved to one under the other, and that on to a third beside it: none of them comes back while
/// the first is held, and nothing is kept of a person of one number.
#[test]
fn what_a_plan_under_another_number_has_moved_to_is_held_as_long_as_that_one() {
    let [old, new] = [999_000_001, 999_000_020].map(|nine| (nine..).find_map(NhsNumber::from_first_nine).unwrap());
    let begun = |by: &str, from: Option<&str>, to: Option<&str>, start: &str, end: &str| {
        let name = PlanName::Reference(PlanReference::parse("P").unwrap());
        let mut plan = Plan::new(LaCode::parse(by).unwrap(), name);
        plan.kind.set(1, Some(PlanKind::ChildProtection));
        plan.start.set(1, Day::parse(start).ok());
        plan.end.set(1, Day::parse(end).ok());
        plan.moved_from.set(1, from.map(|code| LaCode::parse(code).unwrap()));
        plan.moving_to.set(2, to.map(|code| LaCode::parse(code).unwrap()));
        plan
    };
    let (a, b, c) = ("E06000001", "E06000002", "E06000003");
    let [mut first, mut then] = [old, new].map(|number| ChildRecord::new(Subject::Nhs(number)));
    first.plans.push(begun(a, None, Some(b), "2020-01-10", ""));
    then.plans.push(begun(b, Some(a), Some(c), "2021-01-10", ""));
    then.plans.push(begun(c, Some(b), None, "2021-03-10", "2021-12-10"));
    let today = day("2024-06-01");
    let alone = RULES.split(&then, &Person::of(Some(&then)), today).unwrap();
    assert!(alone.kept.plans.is_empty(), "both have passed, and no other number needs them");
    first.identity.get_or_insert_default().successor.set(1, Some(new));
    links::link(&mut then, &first.subject);
    let records = [first, then];
    let find = |subject: &Subject| records.iter().find(|one| one.subject == *subject).cloned().map(Arc::new);
    let person = Person::find(find(&records[1].subject), find);
    assert_eq!(RULES.split(&records[1], &person, today), None);
    let held = person.held(RULES, today).unwrap();
    let shown = held.plans.iter().filter(|plan| plan.state(today, last_day_of(&person, &held, plan), 12).is_some());
    assert_eq!(shown.count(), 0, "none of them is in force");
    assert_eq!(responsible_for(&person, today), []);
}
