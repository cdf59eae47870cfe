//! Changes that were sent together: a search by a child shows what is about that child alone, and nothing of a shielded one.

use super::*;
use crate::audit_entry::Call;
use crate::audit_seen::{SeenChange, Whom};
use crate::changed_one::ChangedOne;
use crate::files::tests::place::{NOW, Place, event, nhs};
use crate::rows::encode;
use kith_domain::caller::{Peer, Role};
use kith_domain::change::PlanEvent;
use kith_domain::child::Subject;
use kith_domain::codes::OdsCode;
use kith_domain::method::Method;
use kith_domain::proof::PersonProof;
use kith_domain::refusal_code::RefusalCode;
use uuid::Uuid;

const ALL: AuditBounds = AuditBounds { given: 1_000, looked_at: 1_000 };

fn one(child: u32, id: u128, reason: Option<&str>) -> ChangedOne {
    ChangedOne::new(Some(Subject::Nhs(nhs(child))), Some(Uuid::from_u128(id)), reason)
}

/// An entry of an authority's call about these.
fn sent(method: Method, each: Vec<ChangedOne>) -> AuditEntry {
    let peer = Peer { organisation: OdsCode::parse("E06000001").unwrap(), role: Role::LocalAuthority };
    let call = Call { peer, method, trace: None, person: PersonProof::NotAsked };
    AuditEntry::of_call(NOW, call, None, None, Decision::ChangedEach(each))
}

fn write(place: &Place, entries: impl IntoIterator<Item = AuditEntry>) {
    for entry in entries {
        place.engine.journal().append(&encode(&entry).unwrap()).unwrap();
    }
    while place.engine.journal().window().unsynced > 0 {
        std::thread::yield_now();
    }
}

fn search(place: &Place, query: &AuditQuery) -> AuditPage {
    place.engine.search_audit(AuditScope::All, query, None, ALL, NOW).unwrap()
}

fn of_child(child: u32) -> AuditQuery {
    AuditQuery { child: Some(nhs(child)), ..AuditQuery::default() }
}

fn seen(id: Option<u128>, reason: Option<&str>, count: u64) -> SeenChange {
    SeenChange { event_id: id.map(Uuid::from_u128), refused: reason.map(RefusalCode::of), count }
}

#[test]
fn whoever_asks_for_a_child_sees_what_is_about_that_child_and_of_the_others_nothing() {
    let place = Place::new();
    let group = vec![one(1, 7, None), one(2, 8, Some("ADULT")), one(1, 9, Some("VERSION_REUSED")), one(3, 10, None)];
    write(&place, [sent(Method::SubmitEvents, group), sent(Method::SubmitEvents, vec![one(4, 11, None)])]);
    let of = |child| {
        let found = search(&place, &of_child(child));
        assert!(!found.together_left_out);
        let [entry] = &found.found[..] else { panic!("{:?}", found.found) };
        assert_eq!(entry.about, Some(Whom::Asked(nhs(child))));
        assert!(entry.place.is_some(), "who sent it");
        (entry.decision.clone(), entry.changes.clone())
    };
    let changed = |acknowledged, refused| Decision::Changed { acknowledged, refused };
    let both = vec![seen(Some(7), None, 1), seen(Some(9), Some("VERSION_REUSED"), 1)];
    assert_eq!(of(1), (changed(1, 1), both));
    assert_eq!(of(2), (changed(0, 1), vec![seen(Some(8), Some("ADULT"), 1)]));
    assert_eq!(of(4), (changed(1, 0), vec![seen(Some(11), None, 1)]));
    assert!(search(&place, &of_child(5)).found.is_empty());
    assert!(search(&place, &AuditQuery { lookups: true, ..of_child(1) }).found.is_empty(), "nobody looked");
}

#[test]
fn whoever_asks_for_no_child_sees_counts_and_reasons_and_nobody() {
    let place = Place::new();
    let reason = Some("ORGANISATION_MISMATCH");
    let nobody = ChangedOne::new(None, None, reason);
    write(&place, [sent(Method::SubmitEvents, vec![one(1, 7, None), one(2, 8, reason), nobody])]);
    let found = search(&place, &AuditQuery::default()).found;
    let entry = found.iter().find(|entry| entry.method == Some(Method::SubmitEvents)).unwrap();
    assert_eq!(entry.decision, Decision::Changed { acknowledged: 1, refused: 2 });
    assert_eq!((entry.changes.clone(), entry.about), (vec![seen(None, reason, 2)], None));
}

/// The others of the group have a place, and so have the groups before and after it.
#[tokio::test]
async fn what_was_sent_together_about_a_shielded_child_is_not_found_by_the_child() {
    let place = Place::new();
    place.event(1, PlanEvent { shielded: true, ..event(1, 1, 1) }).await;
    place.event(1, event(1, 2, 1)).await;
    write(&place, [sent(Method::SubmitPlanFile, vec![one(1, 7, None), one(2, 8, None)])]);
    let shielded = search(&place, &of_child(1));
    assert!(shielded.found.is_empty() && shielded.together_left_out, "and it is said");
    let other = search(&place, &of_child(2));
    assert!(other.found[0].place.is_some() && !other.together_left_out);
    assert_eq!(other.found[0].changes, [seen(Some(8), None, 1)]);
    let all = search(&place, &AuditQuery::default()).found;
    let entry = all.iter().find(|entry| entry.method == Some(Method::SubmitPlanFile)).unwrap();
    assert!(entry.place.is_some() && entry.about.is_none());
    place.event(1, PlanEvent { unshield: true, ..event(1, 1, 2) }).await;
    let was = search(&place, &of_child(1));
    assert!(was.found.is_empty() && was.together_left_out, "nor when the shield was lifted");
}

#[test]
fn how_much_an_authority_acknowledged_of_what_it_heard_is_not_told_of_a_child_either() {
    let place = Place::new();
    write(&place, [sent(Method::AcknowledgeNotifications, vec![one(1, 7, None), one(1, 8, None), one(2, 9, None)])]);
    for query in [of_child(1), AuditQuery::default()] {
        let found = search(&place, &query).found;
        let entry = found.iter().find(|entry| entry.method.is_some()).unwrap();
        assert!(entry.uncounted && entry.changes.is_empty());
        assert_eq!(entry.decision, Decision::Listed(0));
    }
}

#[tokio::test]
async fn who_stood_in_a_list_is_found_by_the_child_and_the_others_are_a_number() {
    let place = Place::new();
    place.event(1, PlanEvent { shielded: true, ..event(1, 3, 1) }).await;
    let listed = |method| {
        let subjects = [1, 2, 1, 3].map(|child| Subject::Nhs(nhs(child))).to_vec();
        AuditEntry { decision: Decision::ListedEach(subjects), ..sent(method, Vec::new()) }
    };
    write(&place, [listed(Method::ListOwnPlans), listed(Method::ListNotifications)]);
    let told = |query: &AuditQuery| {
        let found = search(&place, query).found;
        let lists = found.into_iter().filter(|entry| entry.method.is_some());
        lists.map(|entry| (entry.uncounted, entry.decision, entry.about)).collect::<Vec<_>>()
    };
    let of_one = |uncounted, count, about| (uncounted, Decision::Listed(count), about);
    let asked = |child| Some(Whom::Asked(nhs(child)));
    assert_eq!(told(&of_child(1)), [of_one(true, 0, asked(1)), of_one(false, 2, asked(1))], "newest first");
    assert_eq!(told(&of_child(2)), [of_one(true, 0, asked(2)), of_one(false, 1, asked(2))]);
    assert!(told(&of_child(3)).is_empty() && told(&of_child(4)).is_empty(), "a shielded one, and one who was in none");
    assert_eq!(told(&AuditQuery::default()), [of_one(true, 0, None), of_one(false, 4, None)]);
}
