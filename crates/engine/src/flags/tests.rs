//! Who is shown which flags, against a real store and a real audit: a flag gives no entry about a shielded child a place.

use crate::files::tests::place::*;
use crate::{Asked, StoredFlag};
use kith_domain::answer::Question;
use kith_domain::caller::{Caller, CareContext, Peer, Purpose, Role};
use kith_domain::change::{Change, PlanEvent};
use kith_domain::child::Subject;
use kith_domain::codes::OdsCode;
use kith_domain::flag::{Flag, FlagKind, Flagged};
use kith_domain::method::Method;
use kith_domain::permit::{ActionPermit, authorise_action};
use kith_domain::policy::Policy;
use kith_domain::text::{PersonText, RoleCode, UserId};
use uuid::Uuid;

/// A child who is shielded, and one who is not yet.
const SHIELDED: u32 = 1;
const ORDINARY: u32 = 2;

fn trust() -> OdsCode {
    OdsCode::parse("R1H").unwrap()
}

/// Somebody of the trust asks about a child; the number of the entry.
async fn look(place: &Place, n: u32) -> u64 {
    let caller = Caller {
        user_id: UserId::parse("s1").unwrap(),
        user_name: PersonText::parse("A Lead").unwrap(),
        user_role: PersonText::parse("Safeguarding lead").unwrap(),
        role_code: RoleCode::parse("R8000").unwrap(),
        purpose: Purpose::ChildProtectionEnquiry,
        organisation: trust(),
    };
    let question = Question {
        subject: Subject::Nhs(nhs(n)),
        number_traced: true,
        birth_date: Some(day("2018-03-04")),
        checking_in: None,
        now: NOW,
        mother: None,
    };
    let asked = Asked {
        peer: Peer { organisation: trust(), role: Role::Safeguarding },
        caller,
        context: CareContext::Unscheduled,
        question,
        request_id: Uuid::new_v4(),
        method: Method::Lookup,
        trace: None,
        person_proven: false,
    };
    place.engine.ask(asked).await.unwrap().reference.sequence
}

async fn raise(place: &Place, id: u64, (first_entry, last_entry): (u64, u64)) {
    let flag = Flag {
        kind: FlagKind::SameChild,
        at: NOW,
        organisation: trust(),
        user_id: UserId::parse("s1").ok(),
        counted: 10,
        out_of: 0,
        threshold: 10,
        first_entry,
        last_entry,
    };
    let flagged = Change::Flagged(Flagged { audit_sequence: id, flag });
    assert!(place.engine.submit(NOW, vec![flagged]).await.await[0].is_ok());
}

fn permit(role: Role) -> ActionPermit {
    let peer = Peer { organisation: trust(), role };
    authorise_action(&Policy::builtin(), peer, None, Method::ListFlags).unwrap()
}

/// Of those four, the ones that may be reviewed.
fn reviewed_by(place: &Place, role: Role) -> Vec<u64> {
    let shows = |id: &u64| place.engine.shows_flag(&permit(role), *id).unwrap();
    (9_001..=9_004).filter(shows).collect()
}

fn listed(place: &Place, role: Role) -> Vec<u64> {
    let page = place.engine.flags(&permit(role), 0, 100, true).unwrap();
    assert_eq!(page.next_after, None);
    page.flags.iter().map(|StoredFlag { id, .. }| *id).collect()
}

fn synced(place: &Place) {
    while place.engine.journal().window().unsynced > 0 {
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn who_reads_the_audit_is_shown_no_flag_that_gives_an_entry_about_a_shielded_child_a_place() {
    let place = Place::new();
    place.event(1, PlanEvent { shielded: true, ..event(1, SHIELDED, 1) }).await;
    place.event(1, event(1, ORDINARY, 1)).await;
    let (ordinary, shielded) = (look(&place, ORDINARY).await, look(&place, SHIELDED).await);
    synced(&place);
    raise(&place, 9_001, (ordinary, ordinary)).await;
    raise(&place, 9_002, (ordinary, shielded)).await;
    raise(&place, 9_003, (shielded, ordinary)).await;
    raise(&place, 9_004, (ordinary, 8_000)).await;
    assert_eq!(listed(&place, Role::Auditor), [9_001], "what cannot be read is not told either");
    assert_eq!(listed(&place, Role::Safeguarding), [9_001, 9_002, 9_003, 9_004], "their own people's are the team's");
    for role in [Role::Auditor, Role::Safeguarding] {
        assert_eq!(reviewed_by(&place, role), listed(&place, role), "what is not shown is not reviewed");
        assert!(place.engine.shows_flag(&permit(role), 1).unwrap(), "of one that there is none of the review says so");
    }
    // Whoever is shielded since then has no place in any entry, and gets none from a flag of before.
    place.event(1, PlanEvent { shielded: true, ..event(1, ORDINARY, 2) }).await;
    assert_eq!(listed(&place, Role::Auditor), Vec::<u64>::new());
    assert_eq!(listed(&place, Role::Safeguarding).len(), 4);
}
