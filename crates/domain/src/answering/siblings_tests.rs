//! What is told of siblings and of a mother, and what never is: who they are, anything of a shielded one, anything of a
//! mother's own, and anything of a child that no authority has linked.

use crate::NhsNumber;
use crate::answer::{Answer, Body, KnownSiblings, Mother, MotherView, OpenBody, Outcome, Question, Siblings};
use crate::answering::{Found, Means, answer};
use crate::caller::{Caller, CareContext, Peer, Purpose, Role};
use crate::change::{
    Feed, IdentityAction, IdentityEvent, PlanAction, PlanEvent, PresentationAction, PresentationEvent,
};
use crate::child::{ChildRecord, Subject};
use crate::codes::{LaCode, OdsCode, SiteCode};
use crate::directory::{AuthorityEntry, Directory};
use crate::family::{Family, Relatives, families};
use crate::feed::FeedBoard;
use crate::links::Person;
use crate::method::Method;
use crate::permit::authorise_read;
use crate::plan::{PlanKind, PlanState};
use crate::policy::Policy;
use crate::presentation::{CareSetting, Closing, Complaint, Details, Outcome as How};
use crate::settings::AnswerSettings;
use crate::text::{EncounterId, FamilyReference, PersonText, PlanReference, RoleCode, UserId};
use crate::time::{Day, Moment};
use crate::{fold, links, words};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

#[path = "mother_left_out_tests.rs"]
mod mother_left_out;
#[path = "withheld_tests.rs"]
mod withheld;

const A: &str = "E06000001";
const B: &str = "E06000002";
const TODAY: &str = "2026-01-10";

fn la(code: &str) -> LaCode {
    LaCode::parse(code).unwrap()
}

fn number(n: u32) -> NhsNumber {
    (999_000_000 + 20 * n..).find_map(NhsNumber::from_first_nine).unwrap()
}

fn subject(n: u32) -> Subject {
    Subject::Nhs(number(n))
}

fn now() -> Moment {
    Moment(format!("{TODAY}T12:00:00Z").parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

/// Everyone's records.
#[derive(Default, Clone)]
struct World(BTreeMap<Subject, ChildRecord>);

impl World {
    fn record(&mut self, n: u32) -> &mut ChildRecord {
        self.0.entry(subject(n)).or_insert_with(|| ChildRecord::new(subject(n)))
    }

    /// A plan of person `n` since 2025, in the family `family` of authority `by`.
    fn plan(&mut self, n: u32, by: &str, family: &str, change: impl FnOnce(&mut PlanEvent)) {
        let mut event = PlanEvent {
            authority: la(by),
            event_id: Uuid::nil(),
            subject: subject(n),
            action: PlanAction::Start,
            kind: PlanKind::ChildProtection,
            reference: Some(PlanReference::parse(&format!("P{n}")).unwrap()),
            version: 1,
            start: Day::parse("2025-05-01").ok(),
            end: None,
            birth_date: None,
            shielded: false,
            unshield: false,
            family: FamilyReference::parse(family).ok(),
            babies: Vec::new(),
        };
        change(&mut event);
        let name = event.name().unwrap();
        fold::apply_plan(self.record(n), &event, name);
    }

    fn seen(&mut self, n: u32, days_ago: i64, complaint: Complaint, outcome: How) {
        let at = now().plus_seconds(-86_400 * days_ago);
        let details = Details {
            site: SiteCode::parse("T0101").unwrap(),
            arrived_at: at,
            setting: CareSetting::EmergencyDepartment,
            complaint,
            birth_date: None,
        };
        let action = PresentationAction::Import(details, Some(Closing { outcome, at }));
        let event = PresentationEvent {
            organisation: OdsCode::parse("T02").unwrap(),
            event_id: Uuid::nil(),
            subject: subject(n),
            encounter: EncounterId::parse(&format!("E{n}-{days_ago}")).unwrap(),
            version: 1,
            action,
        };
        fold::apply_presentation(self.record(n), &event);
    }

    fn told(&mut self, n: u32, action: IdentityAction) {
        let organisation = OdsCode::parse("X26").unwrap();
        let event = IdentityEvent {
            organisation,
            event_id: Uuid::nil(),
            subject: subject(n),
            version: 1,
            action,
            proposal: None,
        };
        self.record(n).identity.get_or_insert_default().apply(&event);
        if let IdentityAction::ReplacedBy(number) = action {
            let place = Subject::Nhs(number);
            links::link(self.0.entry(place.clone()).or_insert_with(|| ChildRecord::new(place)), &subject(n));
        }
    }

    fn find(&self, subject: &Subject) -> Option<Arc<ChildRecord>> {
        self.0.get(subject).cloned().map(Arc::new)
    }

    fn members(&self, family: &Family, most: usize) -> (Vec<Subject>, usize) {
        let all = self.0.values().filter(|record| families(record).contains(family));
        let all: Vec<Subject> = all.map(|record| record.subject.clone()).collect();
        (all.iter().take(most).cloned().collect(), all.len().saturating_sub(most))
    }

    fn ask_of(&self, n: u32, mother: Option<u32>) -> Answer {
        self.ask_by(&Policy::builtin(), n, mother)
    }

    fn ask_by(&self, policy: &Policy, n: u32, mother: Option<u32>) -> Answer {
        let mother = mother.map(number);
        let person = Person::find(self.find(&subject(n)), |other| self.find(other));
        let relatives = Relatives::find(&person, |family, most| self.members(family, most), |other| self.find(other));
        let of_mother = mother.map(|number| Person::find(self.find(&Subject::Nhs(number)), |other| self.find(other)));
        let found = Found { person, relatives, mother: of_mother };
        let (organisation, directory) = (OdsCode::parse("T01").unwrap(), directory());
        let caller = Caller {
            user_id: UserId::parse("n1").unwrap(),
            user_name: PersonText::parse("A Nurse").unwrap(),
            user_role: PersonText::parse("Nurse").unwrap(),
            role_code: RoleCode::parse("R8000").unwrap(),
            purpose: Purpose::DirectCare,
            organisation,
        };
        let peer = Peer { organisation, role: Role::Ed };
        let permit =
            authorise_read(policy, peer, &caller, (Method::Lookup, CareContext::Unscheduled), &directory).unwrap();
        let feeds =
            FeedBoard::new([la(A), la(B)].map(|code| (code, 3600)).into_iter(), [(organisation, 3600)].into_iter());
        for feed in [Feed::Plans(la(A)), Feed::Plans(la(B)), Feed::Presentations(organisation)] {
            feeds.heard(feed, now());
        }
        let question = Question {
            subject: subject(n),
            number_traced: true,
            birth_date: Day::parse("2020-02-02").ok(),
            checking_in: None,
            now: now(),
            mother,
        };
        let settings = AnswerSettings { sibling_injury_days: 60, ..AnswerSettings::default() };
        answer(&permit, &question, &found, Means { settings: &settings, directory: &directory, feeds: &feeds })
    }

    fn ask(&self, n: u32) -> Answer {
        self.ask_of(n, None)
    }
}

fn directory() -> Directory {
    let authority = |(code, name): (&str, &str)| {
        let entry = AuthorityEntry {
            name: name.into(),
            office_phone: "01632 960001".into(),
            out_of_hours_phone: "01632 960002".into(),
            opens_minute: 540,
            closes_minute: 1020,
        };
        (la(code), entry)
    };
    let entry = |name: &str| crate::directory::OrganisationEntry {
        name: name.into(),
        contact_phone: "01632 960003".into(),
        successor: None,
    };
    Directory {
        authorities: [(A, "Borough A"), (B, "Borough B")].map(authority).into(),
        organisations: [(OdsCode::parse("T01").unwrap(), entry("Hospital"))].into(),
        national_name: "National desk".into(),
        national_phone: "020 7946 0000".into(),
        ..Directory::default()
    }
}

fn open(answer: &Answer) -> &OpenBody {
    match &answer.body {
        Body::Open(body) => body,
        other @ (Body::Shielded(_) | Body::Opened(_) | Body::IdentityNotConfirmed) => {
            panic!("not an open record: {other:?}")
        }
    }
}

/// Plans, injury and the name of whom to ring for each sibling told of, and how many are only known.
fn told(answer: &Answer) -> (Vec<(usize, bool, String)>, u32) {
    match &open(answer).siblings {
        Siblings::NoReference | Siblings::NotShown => panic!("no reference is held"),
        Siblings::Known(KnownSiblings { notices, unshown, .. }) => {
            let one = |notice: &crate::answer::SiblingNotice<_>| {
                let ring: &crate::directory::Contact = &notice.ring;
                (notice.plans.len(), notice.injured, ring.name.clone())
            };
            (notices.iter().map(one).collect(), *unshown)
        }
    }
}

fn line(answer: &Answer) -> String {
    words::lines(answer, &directory(), 90).join("\n")
}

#[test]
fn a_sibling_on_a_plan_and_one_seen_with_an_injury_are_told_without_who_they_are() {
    let mut world = World::default();
    world.plan(1, A, "F", |_| {});
    world.plan(2, A, "F", |_| {});
    world.plan(3, A, "F", |event| event.end = Day::parse("2025-09-01").ok());
    world.seen(3, 60, Complaint::Fracture, How::Discharged);
    world.plan(4, A, "G", |_| {});
    world.plan(5, B, "F", |_| {});
    let answer = world.ask(1);
    let a = || "Borough A".to_owned();
    assert_eq!(
        told(&answer),
        (vec![(0, true, a()), (1, false, a())], 0),
        "nobody of G, nobody of another authority's F"
    );
    let text = line(&answer);
    assert!(text.contains("a sibling is on a plan: child protection plan, IN FORCE; ring Borough A on"), "{text}");
    assert!(text.contains("a sibling was seen with an INJURY in the last 60 days; ring Borough A on"), "{text}");
    for told in [number(2).digits(), number(3).digits(), "2025-11-11".into(), "Fracture".into(), "T02".into()] {
        assert!(!text.contains(&told), "{text}");
    }
    assert_eq!(told(&world.ask(3)).0.len(), 2, "an ended plan links as long as it is held");
}

#[test]
fn what_is_no_injury_or_too_long_ago_or_in_error_is_not_told() {
    for (days, complaint, outcome, expected) in [
        (60, Complaint::Bite, How::Waiting, 1),
        (61, Complaint::Bite, How::Discharged, 0),
        (3, Complaint::PoisoningOrIngestion, How::LeftBeforeBeingSeen, 1),
        (3, Complaint::Illness, How::Discharged, 0),
        (3, Complaint::BurnOrScald, How::EnteredInError, 0),
    ] {
        let mut world = World::default();
        world.plan(1, A, "F", |_| {});
        world.plan(2, A, "F", |event| event.end = Day::parse("2025-09-01").ok());
        world.seen(2, days, complaint, outcome);
        let (notices, unshown) = told(&world.ask(1));
        assert_eq!((notices.len(), unshown), (expected, 1 - expected as u32), "{days} {complaint:?} {outcome:?}");
    }
}

#[test]
fn withdrawn_expired_invalidated_and_unlinked_children_are_no_siblings() {
    let mut world = World::default();
    world.plan(1, A, "F", |_| {});
    world.plan(2, A, "F", |event| (event.action, event.version) = (PlanAction::Start, 1));
    world.plan(2, A, "F", |event| (event.action, event.version) = (PlanAction::Withdraw, 2));
    world.plan(3, A, "F", |event| event.end = Day::parse("2025-05-02").ok());
    world.record(3).plans[0].end.set(9, Day::parse("2024-05-02").ok());
    world.record(3).plans[0].start.set(9, Day::parse("2024-01-02").ok());
    world.plan(4, A, "F", |_| {});
    world.told(4, IdentityAction::Invalidated);
    world.plan(5, A, "", |_| {});
    assert_eq!(told(&world.ask(1)), (Vec::new(), 0));
    assert!(line(&world.ask(1)).contains("Siblings: a family reference is held, and no other child here carries it."));
    let none = world.ask(5);
    assert_eq!(open(&none).siblings, Siblings::NoReference);
    assert!(line(&none).contains("Siblings: NOT KNOWN: no authority has given a family reference."));
    assert_eq!(open(&world.ask(2)).siblings, Siblings::NoReference, "her own plan is withdrawn");
    assert_eq!(world.ask(4).body, Body::IdentityNotConfirmed, "an invalidated number is told nothing");
}

#[test]
fn two_numbers_of_one_child_are_one_sibling_and_never_its_own() {
    let mut world = World::default();
    world.plan(1, A, "F", |_| {});
    world.plan(2, A, "F", |_| {});
    world.plan(3, A, "F", |_| {});
    world.told(2, IdentityAction::ReplacedBy(number(3)));
    assert_eq!(
        told(&world.ask(1)).0.iter().map(|notice| notice.0).collect::<Vec<_>>(),
        [2],
        "one child with two plans"
    );
    for n in [2, 3] {
        assert_eq!(told(&world.ask(n)).0.len(), 1, "person {n} sees the other child alone");
    }
}

#[test]
fn twins_are_two_siblings() {
    let mut world = World::default();
    world.plan(1, A, "F", |_| {});
    for n in [2, 3] {
        world.plan(n, A, "F", |event| event.birth_date = Day::parse("2020-02-02").ok());
    }
    assert_eq!(told(&world.ask(1)).0.len(), 2);
    assert_eq!(told(&world.ask(2)).0.len(), 2);
    let mut apart = World::default();
    for n in [2, 3] {
        apart.plan(n, A, "", |event| event.birth_date = Day::parse("2020-02-02").ok());
    }
    assert_eq!(open(&apart.ask(2)).siblings, Siblings::NoReference, "a birth date links nobody");
}

#[test]
fn a_shielded_sibling_is_known_and_nothing_more_like_one_about_whom_nothing_is_held() {
    let mut world = World::default();
    world.plan(1, A, "F", |_| {});
    world.plan(2, A, "F", |event| event.shielded = true);
    world.seen(2, 3, Complaint::HeadInjury, How::Discharged);
    let mut ended = World::default();
    ended.plan(1, A, "F", |_| {});
    ended.plan(2, A, "F", |event| event.end = Day::parse("2025-09-01").ok());
    assert_eq!(told(&world.ask(1)), (Vec::new(), 1));
    assert_eq!(world.ask(1), ended.ask(1), "nothing tells the two apart");
    assert!(line(&world.ask(1)).contains("Siblings: KNOWN: 1 known of whom nothing is shown here. This lists only"));
    // About the shielded child herself, siblings are told without a place.
    let text = line(&world.ask(2));
    assert!(text.contains("- a sibling is on a plan: child protection plan, IN FORCE\n"), "{text}");
    assert!(!text.contains("Borough") && text.contains("Ring National desk"), "{text}");
}

#[test]
fn what_is_cut_off_is_counted() {
    let mut world = World::default();
    for n in 1..=100 {
        world.plan(n, A, "F", |_| {});
    }
    let answer = world.ask(70);
    let Siblings::Known(known) = &open(&answer).siblings else { panic!("a reference is held") };
    assert_eq!((known.notices.len(), known.unshown, known.beyond), (20, 0, 44 + 35));
}

/// The asked child's own outcomes are the same whatever is held of siblings.
#[test]
fn siblings_change_nothing_of_the_childs_own() {
    let mut alone = World::default();
    alone.plan(1, A, "F", |event| event.end = Day::parse("2025-09-01").ok());
    let mut with = alone.clone();
    with.plan(2, A, "F", |_| {});
    with.seen(2, 3, Complaint::HeadInjury, How::Discharged);
    let (alone, with) = (alone.ask(1), with.ask(1));
    assert_eq!((&with.ring, with.identity), (&alone.ring, alone.identity));
    let (mut changed, alone) = (open(&with).clone(), open(&alone));
    assert_ne!(changed.siblings, alone.siblings);
    changed.siblings = alone.siblings.clone();
    assert_eq!(&changed, alone);
}

#[test]
fn a_mother_is_no_sibling_and_her_unborn_child_is_one() {
    let mut world = World::default();
    world.plan(1, A, "F", |_| {});
    let unborn = |event: &mut PlanEvent| event.kind = PlanKind::Unborn;
    world.plan(2, A, "F", unborn);
    world.seen(2, 3, Complaint::Fracture, How::Discharged);
    assert_eq!(told(&world.ask(1)), (vec![(1, false, "Borough A".into())], 0), "the plan, and not where she was seen");
    assert!(line(&world.ask(1)).contains("- an UNBORN sibling is on a plan: on the mother's record, IN FORCE; ring"));
    assert_eq!(open(&world.ask(2)).siblings, Siblings::NoReference, "her unborn child's family is not hers");
    world.plan(2, A, "F", |event| {
        unborn(event);
        (event.version, event.end) = (2, Day::parse("2025-12-01").ok());
    });
    assert_eq!(told(&world.ask(1)), (Vec::new(), 0), "born or not: there is no unborn child any more");
}

/// Sixteen, on a plan of her own in the family she grew up in, and pregnant: a sibling there by that plan, and nowhere by the
/// unborn one.
fn pregnant() -> World {
    let mut world = World::default();
    world.plan(1, A, "HOME", |_| {});
    world.plan(2, A, "HOME", |event| event.shielded = false);
    world.plan(2, B, "OWN", |event| {
        event.kind = PlanKind::Unborn;
        event.reference = PlanReference::parse("U2").ok();
    });
    world.seen(2, 3, Complaint::Fracture, How::Discharged);
    world.plan(3, B, "OWN", |_| {});
    world
}

#[test]
fn a_pregnant_sixteen_year_old_is_a_child_in_one_family_and_a_mother_in_another() {
    let world = pregnant();
    assert_eq!(
        told(&world.ask(1)),
        (vec![(1, true, "Borough A".into())], 0),
        "her brother sees her own plan and injury"
    );
    assert_eq!(told(&world.ask(3)), (vec![(1, false, "Borough B".into())], 0), "her first child sees the unborn one");
    let own = world.ask(2);
    assert_eq!(told(&own), (vec![(1, false, "Borough A".into())], 0), "she sees her brother, and not her children");
    let Outcome::Held(plans) = &open(&own).plans else { panic!("both plans are hers") };
    assert_eq!(plans.len(), 2);
}

#[test]
fn a_baby_is_answered_from_the_mothers_unborn_plan_and_from_nothing_else_of_hers() {
    let world = pregnant();
    let answer = world.ask_of(9, Some(2));
    let body = open(&answer);
    assert_eq!(body.plans, Outcome::Held(Vec::new()), "held, by her unborn plan");
    let Some(MotherView::Open(Mother::Plans { held: Outcome::Held(plans), more: 0 })) = &body.mother else {
        panic!("{:?}", body.mother)
    };
    let only: Vec<_> = plans.iter().map(|plan| (plan.kind, plan.authority, plan.state)).collect();
    assert_eq!(only, [(Some(PlanKind::Unborn), la(B), PlanState::Active)], "not her own plan as a child");
    assert_eq!(body.presentations, Outcome::NoneHeld, "not where she was seen");
    assert_eq!((body.accesses.len(), &body.siblings), (0, &Siblings::NoReference));
    assert_eq!(answer.ring.name, "Borough B");
    let text = line(&answer);
    assert!(text.contains("Plans: HELD: of an UNBORN child, on the mother's record: 1 in force."), "{text}");
    assert!(!text.contains("Plans: none held") && !text.contains("Borough A"), "{text}");
    assert!(!text.contains(&number(2).digits()), "{text}");
    assert_eq!(open(&world.ask(9)).plans, Outcome::NoneHeld, "without her number nothing links the two");
    assert_eq!(open(&world.ask(9)).mother, None);
}

#[test]
fn a_mother_without_an_unborn_plan_leaves_the_babys_answer_and_says_so() {
    let mut world = pregnant();
    let with = world.ask_of(9, Some(1));
    let expected = Mother::Plans { held: Outcome::NoneHeld, more: 0 };
    assert_eq!(open(&with).mother, Some(MotherView::Open(expected)));
    assert_eq!((&open(&with).plans, &with.ring), (&Outcome::NoneHeld, &world.ask(9).ring), "her own plan is not told");
    assert!(line(&with).contains("Mother: no plan of an unborn child held as of 2026-01-10 12:00."));
    assert!(line(&with).matches(words::NOT_REASSURANCE).count() == 3);
    // A number that is not valid any more could not be used: that is not "nothing".
    world.told(1, IdentityAction::Invalidated);
    let invalid = world.ask_of(9, Some(1));
    assert_eq!(open(&invalid).mother, Some(MotherView::Open(Mother::NumberInvalid)));
    let plans = words::plans(&invalid, &directory());
    assert!(plans.contains("CANNOT SAY: the mother's NHS number is not valid any more"), "{plans}");
    // What is held of the baby is never hidden by it.
    let held = world.ask_of(3, Some(1));
    assert!(matches!(&open(&held).plans, Outcome::Held(plans) if plans.len() == 1));
}

#[test]
fn a_shielded_mother_is_told_without_a_place() {
    let mut world = pregnant();
    world.told(2, IdentityAction::Shielded);
    let answer = world.ask_of(9, Some(2));
    let Some(MotherView::Shielded(Mother::Plans { held: Outcome::Held(plans), .. })) = &open(&answer).mother else {
        panic!("{:?}", open(&answer).mother)
    };
    assert_eq!(plans.len(), 1);
    assert!(answer.brokered);
    assert_eq!(answer.ring.name, "National desk");
    let text = line(&answer);
    assert!(!text.contains("Borough") && text.contains("Mother: HER RECORD IS SHIELDED: never reveal"), "{text}");
    // A shielded baby of an open mother.
    world.plan(8, A, "", |event| event.shielded = true);
    let text = line(&world.ask_of(8, Some(2)));
    assert!(
        !text.contains("Borough") && text.contains("of an UNBORN child, on the mother's record: 1 in force"),
        "{text}"
    );
}

#[test]
fn a_withheld_identity_withholds_siblings_and_mother() {
    let mut world = pregnant();
    world.plan(3, B, "OWN", |event| (event.version, event.birth_date) = (2, Day::parse("2011-07-07").ok()));
    let withheld = world.ask_of(3, Some(2));
    assert_eq!(withheld.body, Body::IdentityNotConfirmed);
    let text = line(&withheld);
    assert!(!text.contains("ibling") && !text.contains("Mother") && !text.contains("UNBORN"), "{text}");
}
