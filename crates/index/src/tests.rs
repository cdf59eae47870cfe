//! What an answer is made from while changes are published beside it.

use super::*;
use kith_domain::NhsNumber;
use kith_domain::answer::{Body, Outcome};
use kith_domain::caller::{Caller, CareContext, Peer, Purpose, Role};
use kith_domain::codes::OdsCode;
use kith_domain::directory::OrganisationEntry;
use kith_domain::method::Method;
use kith_domain::permit::authorise_read;
use kith_domain::plan::{Plan, PlanKind, PlanName};
use kith_domain::policy::Policy;
use kith_domain::text::{PersonText, RoleCode, UserId};
use kith_domain::time::Day;
use std::cell::Cell;
use std::sync::Barrier;

const NOW: Moment = Moment(1_795_359_600_000);

fn la() -> LaCode {
    LaCode::parse("E06000001").unwrap()
}

fn subject() -> Subject {
    Subject::Nhs(NhsNumber::from_first_nine(999_000_001).unwrap())
}

/// An index whose only feed was never heard of.
fn index() -> Index {
    Index::new(FeedBoard::new(std::iter::once((la(), 3600)), std::iter::empty()))
}

fn planned(version: u64) -> ChildRecord {
    let start = Day::parse("2026-01-01").unwrap();
    let mut plan = Plan::new(la(), PlanName::KindAndStart(PlanKind::ChildProtection, start));
    plan.kind.set(version, Some(PlanKind::ChildProtection));
    plan.start.set(version, Some(start));
    let mut record = ChildRecord::new(subject());
    record.plans.push(plan);
    record
}

/// As the writer does: the record, then the feed.
fn publish(index: &Index, record: ChildRecord) {
    let mut health = FeedRecord::default();
    health.event(NOW, true);
    index.publish(record);
    index.feed(Feed::Plans(la()), health, NOW);
}

/// Does something with one question and the permit to ask it.
fn asking<T>(then: impl FnOnce(&ReadPermit, &Question, &Directory) -> T) -> T {
    let organisation = OdsCode::parse("R1H").unwrap();
    let entry = OrganisationEntry { name: "T".into(), contact_phone: "1".into(), successor: None };
    let directory = Directory { organisations: [(organisation, entry)].into(), ..Directory::default() };
    let caller = Caller {
        user_id: UserId::parse("u").unwrap(),
        user_name: PersonText::parse("n").unwrap(),
        user_role: PersonText::parse("r").unwrap(),
        role_code: RoleCode::parse("R8000").unwrap(),
        purpose: Purpose::DirectCare,
        organisation,
    };
    let peer = Peer { organisation, role: Role::Ed };
    let permit =
        authorise_read(&Policy::builtin(), peer, &caller, (Method::Lookup, CareContext::Unscheduled), &directory)
            .unwrap();
    let question = Question {
        subject: subject(),
        number_traced: true,
        birth_date: None,
        checking_in: None,
        mother: None,
        now: NOW,
    };
    then(&permit, &question, &directory)
}

/// What the plan outcome of one question is called.
fn asked(index: &Index, found: impl Fn()) -> &'static str {
    let settings = AnswerSettings::default();
    let (answer, _) =
        asking(|permit, question, directory| index.answer_after(permit, question, (&settings, directory), found));
    let Body::Open(body) = answer.body else { panic!("an open record") };
    match body.plans {
        Outcome::CannotSay(_) => "cannot say",
        Outcome::NoneHeld => "none held",
        Outcome::Held(_) => "held",
    }
}

#[test]
fn a_feed_that_comes_back_with_a_plan_while_an_answer_is_made_is_not_none_held() {
    let index = index();
    assert_eq!(asked(&index, || {}), "cannot say");
    let first = Cell::new(true);
    let during = || {
        if first.replace(false) {
            publish(&index, planned(1));
        }
    };
    assert_eq!(asked(&index, during), "held");
}

#[test]
fn another_persons_record_makes_no_answer_anew() {
    let index = index();
    index.feeds().heard(Feed::Plans(la()), NOW);
    let made = Cell::new(0);
    let during = || {
        made.set(made.get() + 1);
        let other = Subject::Nhs(NhsNumber::from_first_nine(999_000_002).unwrap());
        index.publish(ChildRecord { subject: other, ..planned(1) });
    };
    assert_eq!((asked(&index, during), made.get()), ("none held", 1));
}

#[test]
fn a_record_that_changes_whenever_it_is_looked_at_is_cannot_say_and_hides_nothing() {
    let index = index();
    let version = Cell::new(1);
    let during = || {
        version.set(version.get() + 1);
        publish(&index, ChildRecord::new(subject()));
    };
    assert_eq!(asked(&index, during), "cannot say");
    assert_eq!(version.get(), 1 + TRIES);
    assert_eq!(asked(&index, || publish(&index, planned(1))), "held");
}

/// The same beside a writer of its own, as often as it takes to meet the moment by chance.
#[test]
fn beside_a_writer_nothing_is_ever_none_held() {
    for _ in 0..2_000 {
        let (index, barrier) = (index(), Barrier::new(2));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                barrier.wait();
                publish(&index, planned(1));
            });
            barrier.wait();
            loop {
                match asked(&index, || {}) {
                    "held" => break,
                    outcome => assert_eq!(outcome, "cannot say"),
                }
            }
        });
    }
}

#[test]
fn nothing_of_the_work_done_where_nothing_is_held_reaches_an_answer() {
    let index = index();
    let settings = AnswerSettings::default();
    asking(|permit, question, directory| {
        let means = Means { settings: &settings, directory, feeds: &index.feeds };
        let expected = answering::answer(permit, question, &Found::default(), means);
        assert!(template::is_nothing_held(&expected));
        for _ in 0..2 {
            let (answer, responsible) = index.answer(permit, question, &settings, directory);
            index.even_out(&answer, permit, question, (&settings, directory));
            assert_eq!((answer, responsible), (expected.clone(), Responsible::default()));
        }
    });
    assert_eq!(index.sizes(), Index::new(FeedBoard::new(std::iter::empty(), std::iter::empty())).sizes());
    publish(&index, planned(1));
    let held = asking(|permit, question, directory| index.answer(permit, question, &settings, directory).0);
    assert!(!template::is_nothing_held(&held));
}
