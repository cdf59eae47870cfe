//! Changes that were sent together: a search by a child shows what is about that child alone, and nothing of a shielded one.

use super::*;
use crate::audit_entry::Call;
use crate::audit_seen::{SeenChange, Whom};
use crate::changed_one::{Became, ChangedOne};
use crate::files::tests::place::{NOW, Place, REPORT, authority, day, event, file, nhs, row};
use crate::rows::encode;
use kith_domain::caller::{Peer, Role};
use kith_domain::change::PlanEvent;
use kith_domain::child::Subject;
use kith_domain::codes::OdsCode;
use kith_domain::method::Method;
use kith_domain::plan_file::PlanRow;
use kith_domain::proof::PersonProof;
use kith_domain::text::LocalKey;
use uuid::Uuid;

const ALL: AuditBounds = AuditBounds { given: 1_000, looked_at: 1_000 };

fn one(child: u32, id: u128, reason: Option<&str>) -> ChangedOne {
    let (subject, event_id, became) = (Some(Subject::Nhs(nhs(child))), Some(Uuid::from_u128(id)), became(reason));
    ChangedOne { subject, event_id, became, shielded: false, not_there: None }
}

fn became(reason: Option<&str>) -> Became {
    reason.map_or(Became::Applied, Became::refused)
}

/// What is written of one change about these children.
fn written(place: &Place, id: u128, children: &[u32], reason: Option<&str>) -> Vec<ChangedOne> {
    let about = children.iter().map(|child| Subject::Nhs(nhs(*child))).collect();
    place.engine.each_of(Some(Uuid::from_u128(id)), about, became(reason), false)
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

fn seen(id: u128, reason: Option<&str>) -> SeenChange {
    SeenChange { event_id: Some(Uuid::from_u128(id)), became: became(reason) }
}

#[test]
fn whoever_asks_for_a_child_sees_what_is_about_that_child_and_of_the_others_nothing() {
    let place = Place::new();
    let group = vec![one(1, 7, None), one(2, 8, Some("ADULT")), one(1, 9, Some("VERSION_REUSED")), one(3, 10, None)];
    write(&place, [sent(Method::SubmitEvents, group), sent(Method::SubmitEvents, vec![one(4, 11, None)])]);
    let of = |child| {
        let found = search(&place, &of_child(child));
        let [entry] = &found.found[..] else { panic!("{:?}", found.found) };
        assert_eq!(entry.about, Some(Whom::Asked(nhs(child))));
        assert!(entry.place.is_some(), "who sent it");
        (entry.decision.clone(), entry.changes.clone())
    };
    let changed = |acknowledged, refused| Decision::Changed { acknowledged, refused };
    let both = vec![seen(7, None), seen(9, Some("VERSION_REUSED"))];
    assert_eq!(of(1), (changed(1, 1), both));
    assert_eq!(of(2), (changed(0, 1), vec![seen(8, Some("ADULT"))]));
    assert_eq!(of(4), (changed(1, 0), vec![seen(11, None)]));
    assert!(search(&place, &of_child(5)).found.is_empty());
    assert!(search(&place, &AuditQuery { lookups: true, ..of_child(1) }).found.is_empty(), "nobody looked");
}

/// What the children's own searches do not find of an entry would be about shielded ones, and a refusal may tell that too.
#[test]
fn whoever_asks_for_no_child_sees_neither_how_many_nor_why_nor_whom() {
    let place = Place::new();
    let each = || vec![one(1, 7, None), one(2, 8, Some("SHIELD_NOT_TOLD"))];
    let counted = || Decision::Changed { acknowledged: 1, refused: 2 };
    let summary = |method| AuditEntry { decision: counted(), ..sent(method, Vec::new()) };
    let many = [Method::SubmitEvents, Method::SubmitPlanFile, Method::Import];
    write(&place, many.into_iter().flat_map(|method| [sent(method, each()), summary(method)]));
    write(&place, [summary(Method::Record)]);
    let organisation = OdsCode::parse("E06000001").ok();
    for query in [AuditQuery::default(), AuditQuery { organisation, ..AuditQuery::default() }] {
        let found = search(&place, &query).found;
        let calls: Vec<_> = found.iter().filter(|entry| entry.method.is_some()).collect();
        let (single, of_many) = calls.split_first().unwrap();
        assert_eq!((single.uncounted, &single.decision), (false, &counted()), "a single one is told as it is");
        assert_eq!(of_many.len(), 6);
        for entry in of_many {
            assert!(entry.uncounted && entry.changes.is_empty() && entry.place.is_some());
            assert_eq!((&entry.decision, entry.about), (&Decision::Listed(0), None));
        }
    }
}

/// Of a birth that was refused for the mother's shield the baby has no record, and none that says so.
#[tokio::test]
async fn a_refused_birth_does_not_tell_of_the_mothers_shield_by_the_baby() {
    let place = Place::new();
    place.event(1, PlanEvent { shielded: true, ..event(1, 1, 1) }).await;
    let refused = written(&place, 7, &[1, 2], Some("SHIELD_NOT_TOLD"));
    write(&place, [sent(Method::SubmitEvents, refused)]);
    assert!(search(&place, &of_child(1)).found.is_empty() && search(&place, &of_child(2)).found.is_empty());
}

#[test]
fn the_babys_part_of_a_birth_has_no_id_that_would_lead_to_the_mother() {
    let place = Place::new();
    write(&place, [sent(Method::SubmitEvents, written(&place, 8, &[3, 4], None))]);
    let told = |child| search(&place, &of_child(child)).found[0].changes.clone();
    assert_eq!(told(3), [seen(8, None)]);
    assert_eq!(told(4), [SeenChange { event_id: None, became: Became::Applied }]);
}

/// They stand in one entry, and so may a hundred others that were sent with them. An auditor may ask for each of them; whoever may ask
/// for one alone is shown no entry of a change at all, so that there is no reference to be held against another's.
#[tokio::test]
async fn whoever_may_ask_for_one_of_a_birth_alone_is_shown_nothing_in_which_the_other_stands() {
    let place = Place::new();
    place.event(1, event(1, 3, 1)).await;
    write(&place, [sent(Method::SubmitEvents, written(&place, 8, &[3, 4], None))]);
    let own = |query: &AuditQuery| place.engine.search_audit(AuditScope::Own(authority(1)), query, None, ALL, NOW);
    for lookups in [true, false] {
        let page = own(&AuditQuery { lookups, ..of_child(3) }).unwrap();
        assert!(page.found.is_empty(), "lookups alone: {lookups}");
    }
    assert_eq!(own(&of_child(4)).err(), Some(AuditSearchError::NoPlanHeld));
    let found = search(&place, &of_child(4)).found;
    let [baby] = &found[..] else { panic!("it is found by an auditor") };
    assert_eq!((baby.about, baby.mother, baby.as_mother), (Some(Whom::Asked(nhs(4))), None, false));
}

/// Nothing of it says whom they were about, and what is left over of it would be shielded ones.
#[test]
fn how_many_of_those_sent_together_were_counted_as_refused_or_repeated_is_shown_to_nobody() {
    let place = Place::new();
    let counted = vec![(kith_domain::refusal_code::RefusalCode::of("SHIELD_NOT_TOLD"), 3)];
    let decision = Decision::RefusedRows { counted, first: NOW, last: NOW, repeated: 5 };
    write(&place, [AuditEntry { decision, ..sent(Method::SubmitEvents, Vec::new()) }]);
    let found = search(&place, &AuditQuery::default()).found;
    let entry = found.iter().find(|entry| entry.method.is_some()).unwrap();
    assert!(entry.uncounted && entry.place.is_some(), "that something was sent, and by whom");
    assert_eq!((&entry.decision, entry.about), (&Decision::Listed(0), None));
    assert!(search(&place, &of_child(1)).found.is_empty());
}

/// Neither a local key, which is a place, nor a range of time may be told from others by it.
#[tokio::test]
async fn what_is_left_out_is_said_of_every_child_and_every_key_alike() {
    let place = Place::new();
    let owner = OdsCode::parse("E06000001").unwrap();
    let key = |of: &str| LocalKey::parse(of).unwrap();
    place.event(1, PlanEvent { subject: Subject::Local(owner, key("K1")), shielded: true, ..event(1, 1, 1) }).await;
    place.event(1, PlanEvent { shielded: true, ..event(1, 2, 1) }).await;
    let by_key = |of: &str| AuditQuery { local_key: Some((owner, key(of))), ..AuditQuery::default() };
    for query in [by_key("K1"), by_key("K2"), of_child(2), of_child(5)] {
        let found = search(&place, &query);
        assert!(found.found.is_empty() && found.together_left_out, "{query:?}");
    }
    assert!(!search(&place, &AuditQuery::default()).together_left_out);
    let looks = search(&place, &AuditQuery { lookups: true, ..of_child(5) });
    assert!(looks.together_left_out, "who asked in a worklist");
}

/// The shield was lifted, and the plan that had it is removed: nothing is held that tells of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_while_a_child_was_shielded_has_no_place_when_that_is_removed() {
    let place = Place::new();
    let (start, end) = (Some(day("2024-01-10")), Some(day("2024-06-01")));
    let over = |version| PlanEvent { start, end, ..event(1, 1, version) };
    let list = |place: &Place| {
        let decision = place.engine.each_listed(vec![Subject::Nhs(nhs(1))]).remove(0);
        AuditEntry { decision, ..sent(Method::ListOwnPlans, Vec::new()) }
    };
    place.event(1, PlanEvent { shielded: true, ..over(1) }).await;
    let mut entries = vec![sent(Method::SubmitEvents, written(&place, 7, &[1], None)), list(&place)];
    place.event(1, PlanEvent { unshield: true, ..over(2) }).await;
    entries.extend([sent(Method::SubmitEvents, written(&place, 8, &[1], None)), list(&place)]);
    place.send(&file(1, REPORT, vec![PlanRow { start: Some(day("2026-11-22")), ..row(2) }]), NOW).await;
    let purged = tokio::task::block_in_place(|| place.engine.purge(NOW));
    assert_eq!(purged.unwrap().going.plans, 1, "a file's row has told that the clock is right");
    assert!(place.record(1).is_none());
    entries.extend([sent(Method::SubmitEvents, written(&place, 9, &[1], None)), list(&place)]);
    write(&place, entries);
    let found = search(&place, &of_child(1)).found;
    let told: Vec<_> = found.iter().map(|entry| (entry.decision.clone(), entry.changes.clone())).collect();
    let changed = Decision::Changed { acknowledged: 1, refused: 0 };
    assert_eq!(told, [(Decision::Listed(1), Vec::new()), (changed, vec![seen(9, None)])], "newest first");
}

/// It had no record then and has none now; it was refused, and said so itself.
#[test]
fn what_says_that_a_child_is_shielded_is_not_found_by_the_child_though_it_was_refused() {
    let place = Place::new();
    let about = |child| vec![Subject::Nhs(nhs(child))];
    let refused = |child, tells| place.engine.each_of(None, about(child), became(Some("ADULT")), tells);
    write(&place, [sent(Method::SubmitEvents, [refused(1, true), refused(2, false)].concat())]);
    assert!(search(&place, &of_child(1)).found.is_empty());
    assert_eq!(search(&place, &of_child(2)).found.len(), 1);
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
    assert!(other.found[0].place.is_some());
    assert_eq!(other.found[0].changes, [seen(8, None)]);
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
        AuditEntry { decision: place.engine.each_listed(subjects).remove(0), ..sent(method, Vec::new()) }
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
    assert_eq!(told(&AuditQuery::default()), [of_one(true, 0, None), of_one(true, 0, None)], "nor how many");
}

/// What nobody who asks for no child is told must not read as a list in which nobody stood. Of the demographics service nothing
/// but what it is, a list of several, says so: it is shown everybody's proposals.
#[tokio::test]
async fn how_long_a_list_of_proposals_was_is_told_to_nobody_who_asks_for_no_child() {
    let place = Place::new();
    let subjects = [1, 2, 1].map(|child| Subject::Nhs(nhs(child))).to_vec();
    let decision = place.engine.each_listed(subjects).remove(0);
    let list = AuditEntry { decision, role: Some(Role::Demographics), ..sent(Method::ListProposals, Vec::new()) };
    write(&place, [list]);
    let told = |query: &AuditQuery| {
        let found = search(&place, query).found;
        let list = found.into_iter().find(|entry| entry.method.is_some()).unwrap();
        (list.uncounted, list.decision, list.about)
    };
    assert_eq!(told(&of_child(1)), (false, Decision::Listed(2), Some(Whom::Asked(nhs(1)))));
    assert_eq!(told(&AuditQuery::default()), (true, Decision::Listed(0), None));
}
