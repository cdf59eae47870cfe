//! References of answers: which an answer carries, what a broker finds with one, and that nobody finds anything without.

use super::*;
use crate::audit_entry::Decision;
use crate::files::tests::place::{NOW, Place, authority, event, nhs};
use crate::read::Asked;
use crate::rows::encode;
use kith_domain::answer::{Body, Question};
use kith_domain::caller::{CareContext, Peer, Purpose, Role};
use kith_domain::change::PlanEvent;
use kith_domain::permit::authorise_action;
use kith_domain::policy::Policy;
use kith_domain::text::{PersonText, RoleCode, UserId};
use kith_domain::time::Day;
use uuid::Uuid;

fn trust() -> OdsCode {
    OdsCode::parse("R1H").unwrap()
}

fn caller() -> Caller {
    Caller {
        user_id: UserId::parse("n1").unwrap(),
        user_name: PersonText::parse("A Nurse").unwrap(),
        user_role: PersonText::parse("Nurse").unwrap(),
        role_code: RoleCode::parse("R8000").unwrap(),
        purpose: Purpose::DirectCare,
        organisation: trust(),
    }
}

/// Looks up a child, and a mother with it; the answer can be read in the audit.
async fn look(place: &Place, child: u32, mother: Option<u32>) -> Answered {
    look_born(place, child, mother, None).await
}

/// The same with a birth date.
async fn look_born(place: &Place, child: u32, mother: Option<u32>, birth_date: Option<Day>) -> Answered {
    let question = Question {
        subject: Subject::Nhs(nhs(child)),
        number_traced: true,
        birth_date,
        checking_in: None,
        now: NOW,
        mother: mother.map(nhs),
    };
    let asked = Asked {
        peer: Peer { organisation: trust(), role: Role::Ed },
        caller: caller(),
        context: CareContext::Unscheduled,
        question,
        request_id: Uuid::new_v4(),
        method: Method::Lookup,
        trace: None,
        person_proven: false,
    };
    let answered = place.engine.ask(asked).await.unwrap();
    while place.engine.journal().synced_through() < answered.reference.sequence {
        std::thread::yield_now();
    }
    answered
}

fn permit(role: Role, method: Method) -> ActionPermit {
    let peer = Peer { organisation: OdsCode::parse("X26").unwrap(), role };
    authorise_action(&Policy::builtin(), peer, None, method).unwrap()
}

fn resolve(place: &Place, reference: &str) -> Result<Resolved, ResolveError> {
    place.engine.resolve(&permit(Role::Broker, Method::ResolveReference), reference.parse().unwrap())
}

async fn shield(place: &Place, by: u32, child: u32) {
    place.event(by, PlanEvent { shielded: true, ..event(by, child, 1) }).await;
}

#[tokio::test]
async fn an_answer_about_a_shielded_child_alone_carries_a_reference_that_counts_nothing() {
    let place = Place::new();
    shield(&place, 1, 1).await;
    place.event(1, event(1, 2, 1)).await;
    let mut shielded = Vec::new();
    for _ in 0..3 {
        let answered = look(&place, 1, None).await;
        let reference = place.engine.reference_of(&answered);
        assert!(reference.parse::<AuditRef>().is_err() && reference.parse::<AnswerRef>().is_ok(), "{reference}");
        shielded.push(reference);
        for ordinary in [2, 3] {
            let answered = look(&place, ordinary, None).await;
            let counted = place.engine.reference_of(&answered);
            assert_eq!(
                counted.parse::<AuditRef>(),
                Ok(answered.reference),
                "whoever has it can hold a proof against it"
            );
            assert_eq!(counted.len(), shielded[0].len(), "the length tells nothing");
        }
    }
    shielded.sort_unstable();
    shielded.dedup();
    assert_eq!(shielded.len(), 3, "each answer has its own, though all are of one child");
}

#[tokio::test]
async fn a_broker_finds_which_child_who_asked_and_who_shields() {
    let place = Place::new();
    shield(&place, 2, 1).await;
    place.event(1, event(1, 1, 1)).await;
    let answered = look(&place, 1, None).await;
    let reference = place.engine.reference_of(&answered);
    let place = place.reopened();
    let found = resolve(&place, &reference).unwrap();
    let child = ResolvedPerson {
        subject: Subject::Nhs(nhs(1)),
        setters: vec![authority(2)],
        nationally: false,
        invalid: false,
        unconfirmed: false,
    };
    assert_eq!((found.entry, found.at, found.organisation), (answered.reference, NOW, trust()));
    assert_eq!((found.caller, found.child, found.mother), (caller(), child, None));
    // As it is heard over a telephone.
    let (front, back) = reference.split_at(4);
    let heard = format!("{} {back}", front.to_lowercase());
    assert_eq!(resolve(&place, &heard).unwrap().entry, answered.reference);
}

/// The national contact is to be rung there too: a reference that leads the broker nowhere would leave whoever asks with nobody.
#[tokio::test]
async fn where_the_identity_is_not_confirmed_a_broker_finds_the_record_and_that_it_is_not_confirmed() {
    let place = Place::new();
    let (born, wrong) = (Day::new(2020, 2, 2).unwrap(), Day::new(2011, 11, 11).unwrap());
    for (child, shielded) in [(1, true), (2, false)] {
        let told = PlanEvent { shielded, birth_date: Some(born), ..event(1, child, 1) };
        place.event(1, told).await;
    }
    let shielded = look_born(&place, 1, None, Some(wrong)).await;
    let ordinary = look_born(&place, 2, None, Some(wrong)).await;
    for answered in [&shielded, &ordinary] {
        assert_eq!(answered.answer.body, Body::IdentityNotConfirmed);
    }
    let found = resolve(&place, &place.engine.reference_of(&shielded)).unwrap().child;
    assert_eq!((found.setters, found.unconfirmed, found.invalid), (vec![authority(1)], true, false));
    assert!(place.engine.reference_of(&ordinary).parse::<AuditRef>().is_ok(), "no broker is rung about it");
    let confirmed = look_born(&place, 1, None, Some(born)).await;
    assert!(!resolve(&place, &place.engine.reference_of(&confirmed)).unwrap().child.unconfirmed);
}

#[tokio::test]
async fn a_reference_leads_back_when_the_shield_has_been_lifted_and_names_nobody_for_a_number_that_is_invalid() {
    let place = Place::new();
    shield(&place, 1, 1).await;
    shield(&place, 1, 2).await;
    let (lifted, invalid) = (look(&place, 1, None).await, look(&place, 2, None).await);
    let [lifted, invalid] = [lifted, invalid].map(|answered| place.engine.reference_of(&answered));
    place.event(1, PlanEvent { unshield: true, ..event(1, 1, 2) }).await;
    place.invalidate(2).await;
    let lifted = resolve(&place, &lifted).unwrap().child;
    assert_eq!((lifted.subject, lifted.setters.len(), lifted.invalid), (Subject::Nhs(nhs(1)), 0, false));
    let invalid = resolve(&place, &invalid).unwrap().child;
    assert_eq!((invalid.setters.len(), invalid.nationally, invalid.invalid), (0, false, true));
}

#[tokio::test]
async fn a_shielded_mothers_answer_is_resolved_too() {
    let place = Place::new();
    shield(&place, 2, 1).await;
    let answered = look(&place, 3, Some(1)).await;
    assert!(answered.answer.brokered);
    let found = resolve(&place, &place.engine.reference_of(&answered)).unwrap();
    let mother = found.mother.unwrap();
    assert_eq!((mother.subject, mother.setters), (Subject::Nhs(nhs(1)), vec![authority(2)]));
    assert_eq!((found.child.subject, found.child.setters.len()), (Subject::Nhs(nhs(3)), 0));
}

#[tokio::test]
async fn what_was_never_given_leads_nowhere_and_another_permit_opens_nothing() {
    let place = Place::new();
    shield(&place, 1, 1).await;
    let reference = place.engine.reference_of(&look(&place, 1, None).await);
    for unknown in ["00000000000000", "ZZZZZZZZZZZZZZ", "7KQM2XBD9F4TH3"] {
        assert!(matches!(resolve(&place, unknown), Err(ResolveError::Unknown)), "{unknown}");
    }
    let other = permit(Role::Broker, Method::GetStatus);
    let refused = place.engine.resolve(&other, reference.parse().unwrap());
    assert!(matches!(refused, Err(ResolveError::NotPermitted)));
    // Worked out with the key for an entry that is no answer, or that does not exist yet.
    let started = place.engine.keys.answer_ref(AuditRef { journal: 1, sequence: 1 });
    assert!(matches!(resolve(&place, &started.text()), Err(ResolveError::Unknown)));
    let later = place.engine.keys.answer_ref(AuditRef { journal: 1, sequence: 1_000_000 });
    assert!(matches!(resolve(&place, &later.text()), Err(ResolveError::NotYet)), "not the same as unknown");
}

#[test]
fn what_was_resolved_has_the_bytes_that_are_kept() {
    let entry = AuditEntry::of_service(Moment(1_000), Decision::Resolved(300));
    assert_eq!(hex::encode(encode(&entry).unwrap()), "01d00f00000000000014ac0200000000000000");
}
