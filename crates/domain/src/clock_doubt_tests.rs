//! What a wrong clock hides beyond the record of the number asked about: the mother's unborn plan, and a plan that passes
//! by a birth date that is told under another number of the person.

use super::*;
use crate::NhsNumber;
use crate::answer::{Completeness, OpenBody, Siblings};
use crate::child::{ChildRecord, Subject};
use crate::codes::LaCode;
use crate::directory::Directory;
use crate::feed::{FeedBoard, FeedCounts};
use crate::links;
use crate::plan::PlanName;
use crate::settings::AnswerSettings;
use crate::text::PlanReference;
use crate::time::{Day, Moment};
use std::sync::Arc;

fn number(n: u32) -> NhsNumber {
    (999_000_000 + 20 * n..).find_map(NhsNumber::from_first_nine).unwrap()
}

fn noon(day: &str) -> Moment {
    Moment(format!("{day}T12:00:00Z").parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

fn record(n: u32, kind: PlanKind, end: Option<&str>) -> ChildRecord {
    let mut record = ChildRecord::new(Subject::Nhs(number(n)));
    let name = PlanName::Reference(PlanReference::parse("P").unwrap());
    let mut plan = Plan::new(LaCode::parse("E06000001").unwrap(), name);
    plan.kind.set(1, Some(kind));
    plan.start.set(1, Some(Day::parse("2025-01-10").unwrap()));
    plan.end.set(1, end.map(|day| Day::parse(day).unwrap()));
    record.plans.push(plan);
    record
}

/// Nothing held, with the mother's part where there is one; then the doubt of a clock that senders last told of on `told`.
fn told(found: &Found, told: Option<&str>) -> OpenBody {
    let completeness = || Completeness { counts: FeedCounts::default(), named: Vec::new() };
    let mother = || MotherView::Open(Mother::Plans { held: Outcome::NoneHeld, more: 0 });
    let mut body = Body::Open(OpenBody {
        plans: Outcome::NoneHeld,
        more_plans: 0,
        plan_completeness: completeness(),
        presentations: Outcome::NoneHeld,
        elsewhere: Outcome::NoneHeld,
        presentation_completeness: Completeness { counts: FeedCounts::default(), named: Vec::new() },
        accesses: Vec::new(),
        more_accesses: 0,
        siblings: Siblings::NoReference,
        mother: found.mother.as_ref().map(|_| mother()),
    });
    let feeds = FeedBoard::new(std::iter::empty(), std::iter::empty());
    told.into_iter().for_each(|day| feeds.told(noon(day)));
    let (settings, directory) = (AnswerSettings::default(), Directory::default());
    let question = Question {
        subject: Subject::Nhs(number(1)),
        number_traced: true,
        birth_date: None,
        checking_in: None,
        mother: None,
        now: noon("2027-06-01"),
    };
    let means = Means { settings: &settings, directory: &directory, feeds: &feeds };
    tell(&mut body, found, &question, OdsCode::parse("T01").unwrap(), means);
    let Body::Open(body) = body else { panic!("an open answer") };
    body
}

const DOUBT: [Doubt; 1] = [Doubt::ClockDoubtful];

#[test]
fn a_mothers_unborn_plan_that_the_clock_hides_is_not_none_held() {
    let mother = |kind, end| Found {
        mother: Some(Person::of(Some(&record(2, kind, end)))),
        ..Found::of(Some(&ChildRecord::new(Subject::Nhs(number(1)))))
    };
    let hidden = mother(PlanKind::Unborn, Some("2025-06-01"));
    let body = told(&hidden, Some("2025-07-01"));
    assert_eq!(body.plans, Outcome::CannotSay(DOUBT.to_vec()));
    let held = Outcome::CannotSay(DOUBT.to_vec());
    assert_eq!(body.mother, Some(MotherView::Open(Mother::Plans { held, more: 0 })));
    // A clock that is believed, a plan that it does not hide, and her own plan as a child.
    for (found, by) in [
        (&hidden, "2027-05-31"),
        (&mother(PlanKind::Unborn, None), "2025-07-01"),
        (&mother(PlanKind::LookedAfter, Some("2025-06-01")), "2025-07-01"),
    ] {
        assert_eq!(told(found, Some(by)).plans, Outcome::NoneHeld);
    }
}

#[test]
fn a_plan_that_passes_by_a_birth_date_of_another_number_is_not_none_held() {
    let (mut old, mut new) = (ChildRecord::new(Subject::Nhs(number(1))), record(3, PlanKind::LookedAfter, None));
    let facts = old.identity.get_or_insert_default();
    facts.successor.set(1, Some(number(3)));
    links::link(&mut new, &old.subject);
    // Eighteen in 2026, and a year of retention: passed by the clock of 2027 and not on the day that senders tell of.
    new.identity.get_or_insert_default().birth_date.set(1, Some(Day::parse("2008-02-01").unwrap()));
    let find = |subject: &Subject| [&old, &new].into_iter().find(|one| one.subject == *subject).cloned().map(Arc::new);
    let found = Found { person: Person::find(find(&old.subject), find), ..Found::default() };
    assert_eq!(told(&found, Some("2026-01-01")).plans, Outcome::CannotSay(DOUBT.to_vec()));
    assert_eq!(told(&found, Some("2027-05-31")).plans, Outcome::NoneHeld);
}
