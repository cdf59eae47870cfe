//! Every set of fields over an answer that has all of them: what is left out is gone and named, and nothing else differs.

use super::*;
use crate::answer::{
    Beyond, Doubt, KnownSiblings, Mother, MotherView, NamedFeed, PlanView, ShieldedPlanView, ShieldedSeen,
    SiblingNotice,
};
use crate::child::Access;
use crate::codes::{LaCode, OdsCode, SiteCode};
use crate::directory::{Contact, Directory};
use crate::feed::{FeedCounts, FeedState};
use crate::identity::IdentityCheck;
use crate::nhs_number::NhsNumber;
use crate::plan::{PlanKind, PlanState};
use crate::presentation::{CareSetting, Complaint, Outcome as Ending};
use crate::text::PersonText;
use crate::time::Moment;
use crate::words;

fn counts() -> FeedCounts {
    FeedCounts { fresh: 3, stale: 1, absent: 0, thin: 1, oldest_fresh_seconds: Some(60) }
}

fn plan(kind: PlanKind) -> PlanView {
    let authority = LaCode::parse("E06000001").unwrap();
    PlanView { kind: Some(kind), state: PlanState::Active, start: None, end: None, authority, moving_to: None }
}

fn visit(organisation: &str) -> PresentationView {
    let site = SiteCode::parse(&format!("{organisation}01")).unwrap();
    PresentationView {
        organisation: Some(OdsCode::parse(organisation).unwrap()),
        details: Some((Some(site), Moment(1_000), CareSetting::EmergencyDepartment, Complaint::Injury)),
        outcome: Ending::LeftBeforeBeingSeen,
    }
}

fn siblings<R>(ring: R) -> Siblings<R> {
    let notice =
        SiblingNotice { plans: vec![(Some(PlanKind::ChildProtection), PlanState::Active)], injured: true, ring };
    Siblings::Known(KnownSiblings { notices: vec![notice], unshown: 2, beyond: 1, injury_days: 90 })
}

fn ring() -> Contact {
    Contact { code: "E06000001".into(), name: "Hartlemoor".into(), phone: "01632 960001".into(), why: "w".into() }
}

fn answer(body: Body) -> Answer {
    let number = NhsNumber::from_first_nine(999_000_001).unwrap();
    Answer {
        as_of: Moment(1_795_359_600_000),
        identity: IdentityCheck::NearMiss,
        number_traced: true,
        numbers: Numbers { current: Some(number), others: vec![number], local_keys: 1 },
        died_on: Some(Moment(0).london_day()),
        ring: ring(),
        body,
        not_shown: FieldSet::NONE,
        withheld: true,
        brokered: true,
    }
}

fn open_answer() -> Answer {
    let named = NamedFeed { code: LaCode::parse("E06000001").unwrap(), state: FeedState::Stale };
    let named_trust = NamedFeed { code: OdsCode::parse("RZ2").unwrap(), state: FeedState::Thin };
    let looked = Access {
        organisation: OdsCode::parse("RZ3").unwrap(),
        user_name: PersonText::parse("A Nurse").unwrap(),
        user_role: PersonText::parse("Nurse").unwrap(),
        first_at: Moment(1),
        last_at: Moment(2),
        count: 2,
    };
    let beyond = Beyond { window: 2, cap: 3 };
    let (here, elsewhere) = (vec![visit("RZ1")], vec![visit("RZ2"), visit("RZ3")]);
    answer(Body::Open(OpenBody {
        plans: Outcome::Held(vec![plan(PlanKind::ChildProtection)]),
        more_plans: 1,
        plan_completeness: Completeness { counts: counts(), named: vec![named] },
        presentations: Outcome::Held(Seen { here, elsewhere, beyond_here: beyond, beyond_elsewhere: beyond }),
        elsewhere: Outcome::Held(()),
        presentation_completeness: Completeness { counts: counts(), named: vec![named_trust] },
        accesses: vec![looked],
        more_accesses: 4,
        siblings: siblings(ring()),
        mother: Some(MotherView::Open(Mother::Plans { held: Outcome::Held(vec![plan(PlanKind::Unborn)]), more: 1 })),
    }))
}

fn shielded_answer() -> Answer {
    let (state, moving) = (PlanState::Active, true);
    let one = ShieldedPlanView { kind: Some(PlanKind::ChildProtection), state, start: None, end: None, moving };
    let seen = ShieldedSeen { presentations: vec![(None, None, Ending::Died)], beyond: Beyond { window: 1, cap: 1 } };
    answer(Body::Shielded(ShieldedBody {
        plans: Outcome::Held(vec![one.clone()]),
        more_plans: 1,
        plan_completeness: Completeness { counts: counts(), named: () },
        presentations: Outcome::Held(seen),
        presentation_completeness: Completeness { counts: counts(), named: () },
        looked_up_days: 3,
        siblings: siblings(()),
        mother: Some(Mother::Plans { held: Outcome::Held(vec![one]), more: 1 }),
    }))
}

/// Every set of fields.
fn sets() -> impl Iterator<Item = FieldSet> {
    (0_u32..1 << Field::WORDS.len()).map(|bits| {
        let chosen = Field::WORDS.iter().filter(move |(field, _)| bits & (1 << *field as u32) != 0);
        chosen.fold(FieldSet::NONE, |set, (field, _)| set.with(*field))
    })
}

/// Puts back what is left out, from the whole answer: then the two must be the same.
fn put_back(cut: &Answer, whole: &Answer) -> Answer {
    let mut body = cut.body.clone();
    match (&mut body, &whole.body) {
        (Body::Open(body), Body::Open(whole)) | (Body::Opened(body), Body::Opened(whole)) => {
            for (field, shown) in [
                (Field::History, body.accesses == whole.accesses && body.more_accesses == whole.more_accesses),
                (Field::Siblings, body.siblings == whole.siblings),
                (Field::Mother, body.mother == whole.mother),
                (Field::VisitPlaces, body.presentations == whole.presentations),
                (Field::NamedFeeds, body.plan_completeness == whole.plan_completeness),
                (Field::NamedFeeds, body.presentation_completeness == whole.presentation_completeness),
            ] {
                assert_eq!(shown, !cut.not_shown.has(field), "{field:?}");
            }
            assert_eq!(body.plan_completeness.counts, whole.plan_completeness.counts);
            assert_eq!(body.presentation_completeness.counts, whole.presentation_completeness.counts);
            body.plan_completeness.named.clone_from(&whole.plan_completeness.named);
            body.presentation_completeness.named.clone_from(&whole.presentation_completeness.named);
            body.accesses.clone_from(&whole.accesses);
            body.more_accesses = whole.more_accesses;
            body.siblings.clone_from(&whole.siblings);
            body.mother.clone_from(&whole.mother);
            let (Outcome::Held(seen), Outcome::Held(all)) = (&mut body.presentations, &whole.presentations) else {
                panic!("held is held")
            };
            for (one, of) in seen.elsewhere.iter_mut().zip(&all.elsewhere) {
                one.organisation = of.organisation;
                let site = of.details.as_ref().and_then(|details| details.0);
                one.details.iter_mut().for_each(|details| details.0 = site);
            }
        }
        (Body::Shielded(body), Body::Shielded(whole)) => {
            for (field, shown) in [
                (Field::History, body.looked_up_days == whole.looked_up_days),
                (Field::Siblings, body.siblings == whole.siblings),
                (Field::Mother, body.mother == whole.mother),
            ] {
                assert_eq!(shown, !cut.not_shown.has(field), "{field:?}");
            }
            body.looked_up_days = whole.looked_up_days;
            body.siblings.clone_from(&whole.siblings);
            body.mother.clone_from(&whole.mother);
        }
        (Body::IdentityNotConfirmed, Body::IdentityNotConfirmed) => {}
        (Body::Open(_) | Body::Shielded(_) | Body::Opened(_) | Body::IdentityNotConfirmed, _) => {
            panic!("the form of the answer changed")
        }
    }
    assert_eq!(cut.numbers == whole.numbers, !cut.not_shown.has(Field::Numbers));
    Answer { body, numbers: whole.numbers.clone(), not_shown: FieldSet::NONE, ..cut.clone() }
}

fn opened_answer() -> Answer {
    let Body::Open(body) = open_answer().body else { panic!("open") };
    answer(Body::Opened(body))
}

#[test]
fn every_set_leaves_out_its_own_and_nothing_else() {
    for whole in [open_answer(), shielded_answer(), opened_answer(), answer(Body::IdentityNotConfirmed)] {
        for shown in sets() {
            let cut = leave_out(whole.clone(), shown);
            assert_eq!(cut.not_shown, shown.others());
            assert_eq!(put_back(&cut, &whole), whole, "{shown:?}");
        }
    }
}

#[test]
fn what_is_left_out_reads_as_not_shown_and_never_as_nothing() {
    let directory = Directory::default();
    let whole = words::lines(&open_answer(), &directory, 90);
    assert!(
        !whole.iter().any(|line| line.contains("not shown to you") || line.contains("NOT SHOWN TO YOU")),
        "{whole:?}"
    );
    let cut = words::lines(&leave_out(open_answer(), FieldSet::NONE), &directory, 90);
    let said = cut.join("\n");
    for part in ["who looked before", "siblings", "mother's record", "other numbers", "senders", "places of"] {
        let line = cut.iter().find(|line| line.starts_with("NOT SHOWN TO YOU")).expect("a line that says so");
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(said.contains("Siblings: NOT SHOWN TO YOU") && said.contains("place not shown to you"), "{said}");
    assert!(!said.contains("none held") && !said.contains("NOT KNOWN") && !said.contains("RZ2"), "{said}");
    let held = |lines: &[String]| lines.iter().filter(|line| line.contains("HELD")).count();
    assert_eq!(held(&cut), held(&whole) - 1, "the mother's own line alone is gone");
}

/// Held by an unborn plan of the mother alone, and that is left out.
#[test]
fn a_plan_on_the_mothers_record_still_reads_as_held() {
    let mut whole = open_answer();
    if let Body::Open(body) = &mut whole.body {
        body.plans = Outcome::Held(Vec::new());
    }
    whole.withheld = false;
    let cut = leave_out(whole, FieldSet::NONE);
    let line = words::plans(&cut, &Directory::default());
    assert!(line.starts_with("Plans: HELD: on a record that is not shown to you."), "{line}");
}

#[test]
fn doubts_stay() {
    let mut whole = open_answer();
    if let Body::Open(body) = &mut whole.body {
        body.plans = Outcome::CannotSay(vec![Doubt::OwnFeedStale]);
        body.presentations = Outcome::NoneHeld;
        body.elsewhere = Outcome::CannotSay(vec![Doubt::OwnFeedThin]);
    }
    let Body::Open(cut) = leave_out(whole.clone(), FieldSet::NONE).body else { panic!("open") };
    let Body::Open(whole) = whole.body else { panic!("open") };
    assert_eq!((cut.plans, cut.presentations, cut.elsewhere), (whole.plans, whole.presentations, whole.elsewhere));
}
