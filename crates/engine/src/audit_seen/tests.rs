//! Whether an entry tells a place, as shields are set and lifted.

use super::*;
use crate::audit_entry::{Call, Code, Disclosed};
use crate::files::tests::place::{NOW, Place, event, nhs};
use kith_domain::caller::Peer;
use kith_domain::change::PlanEvent;
use kith_domain::flag::FlagOutcome;
use kith_domain::identity::IdentityCheck;
use kith_domain::proof::PersonProof;

/// An entry about a child, by somebody at a hospital.
fn about(n: u32, decision: Decision) -> AuditEntry {
    let peer = Peer { organisation: OdsCode::parse("R1H").unwrap(), role: Role::Ed };
    let call = Call { peer, method: Method::Lookup, trace: None, person: PersonProof::NotAsked };
    AuditEntry { subject: Some(Subject::Nhs(nhs(n))), ..AuditEntry::of_call(NOW, call, None, None, decision) }
}

fn answered(plans: Code, shielded: bool) -> Decision {
    let identity = IdentityCheck::NotGiven;
    let disclosed = Disclosed { identity, plans, presentations: plans, shielded, siblings: 0, mother: None };
    Decision::Answered { disclosed, counted: true }
}

/// Whoever it was that they asked about then.
#[test]
fn that_openings_have_reached_their_limit_has_no_place() {
    let place = Place::new();
    let told = |decision| place.engine.tells_of_shielded(&about(1, decision));
    let limit = RefusalCode::of(LIMIT_REACHED.reason);
    assert!(told(Decision::Refused(limit)));
    assert!(told(Decision::RefusedMany { code: limit, count: 2, first: NOW, last: NOW }));
    assert!(!told(Decision::Refused(RefusalCode::of("ROLE_NOT_ALLOWED"))));
}

/// Where no record is shielded an opening is refused before it is written anywhere: one that the disk or the audit failed was of one
/// that is, whatever is held of it by now.
#[test]
fn an_opening_that_was_undone_has_no_place() {
    let place = Place::new();
    let told = |method, reason| {
        let entry = AuditEntry { method: Some(method), ..about(1, Decision::Refused(RefusalCode::of(reason))) };
        place.engine.tells_of_shielded(&entry)
    };
    for refused in [Refused::NOT_AUDITED, Refused::STORAGE, Refused::BUSY] {
        assert!(told(Method::OpenShielded, refused.reason), "{}", refused.reason);
        assert!(!told(Method::Lookup, refused.reason), "{}", refused.reason);
    }
    assert!(!told(Method::OpenShielded, "ROLE_NOT_ALLOWED"));
}

/// A proposal about a shielded child has no place. One more in its proposer's own list would show whose it is all the same.
#[test]
fn how_many_proposals_a_proposer_was_shown_is_not_told() {
    let place = Place::new();
    for (role, told) in [(Role::Ed, 0), (Role::LocalAuthority, 0), (Role::Demographics, 3)] {
        let peer = Peer { organisation: OdsCode::parse("R1H").unwrap(), role };
        let call = Call { peer, method: Method::ListProposals, trace: None, person: PersonProof::NotAsked };
        let entry = AuditEntry::of_call(NOW, call, None, None, Decision::Listed(3));
        let seen = place.engine.seen(AuditRef { journal: 1, sequence: 7 }, entry, None);
        assert_eq!((seen.uncounted, seen.decision), (told == 0, Decision::Listed(told)), "{role:?}");
    }
}

/// A flag that would give an entry about a shielded child a place is shown to no auditor. One more in its organisation's own list,
/// or a review of one that nobody else sees, would show whose it is all the same.
#[test]
fn how_many_flags_a_team_was_shown_and_where_one_was_reviewed_is_not_told() {
    let place = Place::new();
    let seen = |role, method, decision| {
        let peer = Peer { organisation: OdsCode::parse("R1H").unwrap(), role };
        let call = Call { peer, method, trace: None, person: PersonProof::NotAsked };
        let entry = AuditEntry::of_call(NOW, call, None, None, decision);
        let seen = place.engine.seen(AuditRef { journal: 1, sequence: 7 }, entry, None);
        (seen.place.is_some(), seen.decision)
    };
    let reviewed = || Decision::FlagReviewed(7, FlagOutcome::Explained);
    let refused = |reason| Decision::Refused(RefusalCode::of(reason));
    let (team, auditor) = (Role::Safeguarding, Role::Auditor);
    assert_eq!(seen(team, Method::ListFlags, Decision::Listed(3)), (true, Decision::Listed(0)), "not how many");
    assert_eq!(seen(team, Method::ReviewFlag, reviewed()), (false, reviewed()));
    assert_eq!(seen(team, Method::ReviewFlag, refused("OWN_FLAG")), (false, refused(REASON_NOT_TOLD)), "nor why not");
    assert_eq!(seen(auditor, Method::ListFlags, Decision::Listed(2)), (true, Decision::Listed(2)));
    assert_eq!(seen(auditor, Method::ReviewFlag, reviewed()), (true, reviewed()));
    let denied = refused("ROLE_NOT_ALLOWED");
    assert_eq!(seen(Role::Ed, Method::ReviewFlag, denied.clone()), (true, denied), "who may not, and tries");
}

#[tokio::test]
async fn what_does_not_know_of_a_shield_has_no_place_after_it_was_lifted_either() {
    let place = Place::new();
    place.event(1, PlanEvent { shielded: true, ..event(1, 1, 1) }).await;
    place.event(1, event(1, 2, 1)).await;
    let hidden = |n| {
        let all = [
            Decision::Refused(RefusalCode::of("ROLE_NOT_ALLOWED")),
            Decision::Changed { acknowledged: 1, refused: 0 },
            answered(Code::Withheld, false),
            answered(Code::NoneHeld, false),
            answered(Code::NoneHeld, true),
            Decision::Resolved(7),
        ];
        all.map(|decision| place.engine.tells_of_shielded(&about(n, decision)))
    };
    assert_eq!(hidden(1), [true; 6]);
    place.event(1, PlanEvent { unshield: true, ..event(1, 1, 2) }).await;
    assert_eq!(hidden(1), [true, true, true, false, true, true], "an answer knows whether the child was shielded then");
    assert_eq!(hidden(2), [false, false, false, false, true, true], "nobody has shielded this one");
}

/// Her whereabouts are those of the baby that was asked about, and the entry says of the baby alone whether it was shielded.
#[tokio::test]
async fn what_read_the_record_of_a_mother_who_was_shielded_has_no_place_after_that_was_lifted_either() {
    let place = Place::new();
    place.event(1, PlanEvent { shielded: true, ..event(1, 1, 1) }).await;
    place.event(1, event(1, 2, 1)).await;
    let hidden = |mother| {
        let subject = Subject::Nhs(nhs(mother));
        let mother = Some(MotherRead { subject, responsible: Vec::new() });
        place.engine.tells_of_shielded(&AuditEntry { mother, ..about(3, answered(Code::NoneHeld, false)) })
    };
    assert!(hidden(1) && !hidden(2), "shielded now");
    place.event(1, PlanEvent { unshield: true, ..event(1, 1, 2) }).await;
    assert!(hidden(1) && !hidden(2), "shielded then");
}
