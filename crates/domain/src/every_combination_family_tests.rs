//! The same combinations with siblings and with a mother's number: neither hides what is held, nor turns "cannot say" into "none
//! held", nor touches what is answered about anything else; and a mother's unborn plan makes the plan question held.

use super::*;
use crate::answer::{Mother, MotherView, OpenBody, ShieldedBody, Siblings};
use crate::change::{IdentityAction, IdentityEvent};
use crate::family::Relatives;
use crate::links::Person;
use crate::plan::Plan;
use crate::text::FamilyReference;

/// What the mother's record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hers {
    /// An unborn plan, beside a plan of her own.
    Unborn,
    /// A plan of her own, as a child, and where she was seen.
    Own,
    /// An unborn plan, under a number that is not valid any more.
    Invalid,
}

fn other(n: u32) -> Subject {
    Subject::Nhs((999_000_000 + 20 * n..).find_map(NhsNumber::from_first_nine).unwrap())
}

/// A record of another person, as that of `case`, about whom a plan and a presentation are held.
fn record_of(n: u32, case: &Case) -> ChildRecord {
    let like = Case { held: Held::Both, shielded: false, dated: Dated::Nobody, ..*case };
    ChildRecord { subject: other(n), ..record(&like).unwrap() }
}

fn mother(hers: Hers, case: &Case) -> Person {
    let mut record = record_of(50, case);
    if hers != Hers::Own {
        let unborn = Plan { kind: Default::default(), ..record.plans[0].clone() };
        record.plans.push(unborn);
        record.plans[1].kind.set(1, Some(PlanKind::Unborn));
    }
    if hers == Hers::Invalid {
        let event = IdentityEvent {
            organisation: trust(1),
            event_id: Uuid::nil(),
            subject: other(50),
            version: 1,
            action: IdentityAction::Invalidated,
            proposal: None,
        };
        record.identity.get_or_insert_default().apply(&event);
    }
    Person::of(Some(&record))
}

/// The record of the case in a family with another child, and that child.
fn with_sibling(case: &Case) -> Option<(ChildRecord, Relatives)> {
    let reference = FamilyReference::parse("F").ok();
    let (mut own, mut sibling) = (record(case)?, record_of(60, case));
    for plan in own.plans.iter_mut().chain(&mut sibling.plans) {
        plan.family.set(9, reference.clone());
    }
    Some((own, Relatives { people: vec![Person::of(Some(&sibling))], beyond: 0 }))
}

fn without_family(answer: &Answer) -> Answer {
    let body = match &answer.body {
        Body::Open(body) => Body::Open(OpenBody { siblings: Siblings::NoReference, mother: None, ..body.clone() }),
        Body::Shielded(body) => {
            Body::Shielded(ShieldedBody { siblings: Siblings::NoReference, mother: None, ..body.clone() })
        }
        Body::Opened(_) => panic!("nobody opened it"),
        Body::IdentityNotConfirmed => Body::IdentityNotConfirmed,
    };
    Answer { body, ..answer.clone() }
}

/// "held", "none", "cannot": the plan question's outcome, and the mother's part where there is one.
fn outcomes(answer: &Answer) -> Option<(&'static str, Option<&'static str>)> {
    fn word<H>(outcome: &Outcome<H>) -> &'static str {
        match outcome {
            Outcome::Held(_) => "held",
            Outcome::NoneHeld => "none",
            Outcome::CannotSay(_) => "cannot",
        }
    }
    fn part<P>(part: &Mother<P>) -> &'static str {
        match part {
            Mother::NumberInvalid => "invalid",
            Mother::Plans { held, .. } => word(held),
        }
    }
    match &answer.body {
        Body::Open(body) => Some((
            word(&body.plans),
            body.mother.as_ref().map(|view| match view {
                MotherView::Open(hers) => part(hers),
                MotherView::Shielded(hers) => part(hers),
            }),
        )),
        Body::Shielded(body) => Some((word(&body.plans), body.mother.as_ref().map(part))),
        Body::Opened(_) => panic!("nobody opened it"),
        Body::IdentityNotConfirmed => None,
    }
}

/// Asks the case's question with siblings and with each mother, and holds the answers against the one without.
pub(super) fn hold_family(case: &Case, permit: &ReadPermit, question: &Question, plain: &Answer, means: Means<'_>) {
    if let Some((own, relatives)) = with_sibling(case) {
        let found = Found { person: Person::of(Some(&own)), relatives, mother: None };
        let with = answer(permit, question, &found, means);
        assert_eq!(without_family(&with), *plain, "{case:?}");
        let lines = words::lines(&with, means.directory, 90).join(" ");
        let shown = lines.contains("a sibling is on a plan") && lines.contains("seen with an INJURY");
        let has_plan = matches!(case.held, Held::Plan | Held::Both);
        assert_eq!(shown, has_plan && outcomes(&with).is_some(), "{case:?}: {lines}");
        assert!(!case.shielded || !PLACES.iter().any(|place| lines.contains(place)) || outcomes(&with).is_none());
    }
    for hers in [Hers::Unborn, Hers::Own, Hers::Invalid] {
        let found = Found { mother: Some(mother(hers, case)), ..Found::of(record(case).as_ref()) };
        let with = answer(permit, question, &found, means);
        let (before, after) = (outcomes(plain).map(|found| found.0), outcomes(&with));
        let Some((before, (plans, part))) = before.zip(after) else {
            assert_eq!(with, *plain, "withheld is withheld: {case:?}");
            continue;
        };
        let expected = match (hers, before) {
            (Hers::Unborn, _) | (_, "held") => "held",
            (Hers::Own, _) => before,
            (Hers::Invalid, _) => "cannot",
        };
        assert_eq!(plans, expected, "{hers:?} {case:?}");
        let line = words::plans(&with, means.directory);
        assert!(expected == "none" || !line.contains("none held"), "{hers:?} {case:?}: {line}");
        match (hers, part) {
            (Hers::Unborn, Some("held")) | (Hers::Invalid, Some("invalid")) => {}
            // Never none held where a feed is beyond its bounds, whosever the doubt is.
            (Hers::Own, Some("none")) => assert!(before != "cannot" || case.local, "{case:?}"),
            (Hers::Own, Some("cannot")) => assert!(before != "none", "{case:?}"),
            other => panic!("{other:?} {case:?}"),
        }
        let all = words::lines(&with, means.directory, 90).join(" ");
        assert!(!case.shielded || !PLACES.iter().any(|place| all.contains(place)), "{case:?}: {all}");
        hold_the_rest(case, plain, &with);
    }
}

/// What has nothing to do with the mother is as it was.
fn hold_the_rest(case: &Case, plain: &Answer, with: &Answer) {
    assert_eq!((with.identity, &with.numbers, with.died_on), (plain.identity, &plain.numbers, plain.died_on));
    match (&plain.body, &with.body) {
        (Body::Open(plain), Body::Open(with)) => {
            assert_eq!((&with.presentations, &with.elsewhere), (&plain.presentations, &plain.elsewhere), "{case:?}");
            assert_eq!((&with.accesses, &with.siblings), (&plain.accesses, &plain.siblings), "{case:?}");
        }
        (Body::Shielded(plain), Body::Shielded(with)) => {
            assert_eq!((&with.presentations, &with.siblings), (&plain.presentations, &plain.siblings), "{case:?}");
        }
        other => panic!("{other:?}"),
    }
}
