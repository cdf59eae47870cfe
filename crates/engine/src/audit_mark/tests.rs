//! The mark of an entry: set by whatever writes one, as it was then, and believed once nothing else tells of the shield.

use super::*;
use crate::audit_entry::{AuditRead, Call, MotherRead};
use crate::audit_search::AuditBounds;
use crate::audit_seen::SeenEntry;
use crate::break_glass::WhyOpened;
use crate::files::tests::place::{NOW, Place, REPORT, day, event, file, nhs, permit, row};
use crate::read::Asked;
use crate::rows::{decode, encode};
use kith_domain::answer::Question;
use kith_domain::audit_query::{AuditQuery, AuditScope};
use kith_domain::caller::{Caller, CareContext, Peer, Purpose, Role};
use kith_domain::change::{Change, IdentityAction, IdentityEvent, PlanEvent};
use kith_domain::codes::OdsCode;
use kith_domain::method::Method;
use kith_domain::opening::{OpeningLimits, OpeningReason};
use kith_domain::plan_file::PlanRow;
use kith_domain::proof::{PersonDigest, PersonProof, ProofSource, ProvenPerson, Unproven};
use kith_domain::refusal_code::RefusalCode;
use kith_domain::text::{OpeningWords, PersonText, RoleCode, UserId, WithholdingWords};
use kith_domain::time::Moment;
use kith_domain::withholding::WithholdingReason;
use uuid::Uuid;

const SHIELDED: u32 = 1;
const ORDINARY: u32 = 2;
/// Of whom nothing is held.
const UNKNOWN: u32 = 3;

fn trust() -> OdsCode {
    OdsCode::parse("R1H").unwrap()
}

/// Somebody who does what is about this child alone, so that no burst counts them with others.
fn caller(child: u32) -> Caller {
    Caller {
        user_id: UserId::parse(&format!("u{child}")).unwrap(),
        user_name: PersonText::parse("A Nurse").unwrap(),
        user_role: PersonText::parse("Nurse").unwrap(),
        purpose: Purpose::DirectCare,
        organisation: trust(),
        role_code: RoleCode::parse("R8000").unwrap(),
    }
}

/// An entry about a child as handlers make it.
fn about(child: u32, method: Method, decision: Decision) -> AuditEntry {
    let peer = Peer { organisation: trust(), role: Role::Ed };
    let call = Call { peer, method, trace: None, person: PersonProof::NotAsked };
    let entry = AuditEntry::of_call(NOW, call, Some(caller(child)), Some(Uuid::new_v4()), decision);
    AuditEntry { subject: Some(Subject::Nhs(nhs(child))), ..entry }
}

fn refused(child: u32, method: Method, reason: &str) -> AuditEntry {
    about(child, method, Decision::Refused(RefusalCode::of(reason)))
}

fn recorded(child: u32) -> AuditEntry {
    about(child, Method::Record, Decision::Changed { acknowledged: 1, refused: 0 })
}

fn asked(child: u32, role: Role, born: &str) -> Asked {
    let question = Question {
        subject: Subject::Nhs(nhs(child)),
        number_traced: true,
        birth_date: Some(day(born)),
        checking_in: None,
        now: NOW,
        mother: None,
    };
    Asked {
        peer: Peer { organisation: trust(), role },
        caller: Caller { purpose: Purpose::ChildProtectionEnquiry, ..caller(child) },
        context: CareContext::Unscheduled,
        question,
        request_id: Uuid::new_v4(),
        method: Method::Lookup,
        trace: None,
        person_proven: false,
    }
}

/// Every entry that is about a child, once all of them can be read.
fn written(place: &Place) -> Vec<AuditEntry> {
    while place.engine.journal().window().unsynced > 0 {
        std::thread::yield_now();
    }
    let read = place.engine.journal().read_from(1, 1_000).unwrap();
    let entries = read.iter().map(|(_, bytes)| decode::<AuditEntry>(bytes).unwrap());
    entries.filter(|entry| entry.subject.is_some()).collect()
}

fn search(place: &Place, query: &AuditQuery) -> Vec<SeenEntry> {
    while place.engine.journal().window().unsynced > 0 {
        std::thread::yield_now();
    }
    let all = AuditBounds { given: 1_000, looked_at: 1_000 };
    place.engine.search_audit(AuditScope::All, query, None, all, NOW).unwrap().found
}

fn of_child(child: u32) -> AuditQuery {
    AuditQuery { child: Some(nhs(child)), ..AuditQuery::default() }
}

/// A plan that ended long ago, which a purge removes.
fn over(version: u64) -> PlanEvent {
    PlanEvent { start: Some(day("2024-01-10")), end: Some(day("2024-06-01")), ..event(1, SHIELDED, version) }
}

/// The shield is lifted and the plan that had it removed: nothing is held that tells of it.
async fn lift_and_purge(place: &Place) {
    place.event(1, PlanEvent { unshield: true, ..over(2) }).await;
    let told = PlanRow { start: Some(day("2026-11-22")), ..row(UNKNOWN) };
    place.send(&file(1, REPORT, vec![told]), NOW).await;
    let purged = tokio::task::block_in_place(|| place.engine.purge(NOW));
    assert_eq!(purged.unwrap().going.plans, 1, "a file's row has told that the clock is right");
    assert!(place.record(SHIELDED).is_none());
}

/// A nurse whose check-in is refused, an authority whose decision is, and what was recorded: each tells where the child was.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_while_a_child_was_shielded_has_no_place_when_the_shield_is_lifted_and_removed() {
    let place = Place::new();
    place.event(1, PlanEvent { shielded: true, ..over(1) }).await;
    place.event(1, event(1, ORDINARY, 1)).await;
    for child in [SHIELDED, ORDINARY] {
        let check_in = refused(child, Method::CheckIn, "ROLE_NOT_ALLOWED");
        place.engine.audit_refusal(&check_in).await.unwrap();
        let withholding = refused(child, Method::DecideWithholding, "LOOK_AGAIN_OUT_OF_RANGE");
        place.engine.audit_refusal(&withholding).await.unwrap();
        place.engine.audit_change(recorded(child)).await.unwrap();
    }
    lift_and_purge(&place).await;
    let places = |child| {
        let found = search(&place, &of_child(child));
        found.iter().map(|entry| (entry.place.is_some(), entry.shielded)).collect::<Vec<_>>()
    };
    assert_eq!(places(SHIELDED), [(false, true); 3]);
    assert_eq!(places(ORDINARY), [(true, false); 3], "whoever reads the audit needs the place of every other child");
    let by_place = AuditQuery { organisation: Some(trust()), ..AuditQuery::default() };
    assert_eq!(search(&place, &by_place).len(), 3, "nor is it found by the place");

    place.engine.audit_change(recorded(SHIELDED)).await.unwrap();
    assert_eq!(
        places(SHIELDED),
        [(true, false), (false, true), (false, true), (false, true)],
        "what follows is ordinary"
    );
}

/// A burst is one entry: beside the first, which has no place, it would tell it.
#[tokio::test(flavor = "multi_thread")]
async fn a_burst_about_a_shielded_child_has_no_place_afterwards_either() {
    let place = Place::new();
    place.event(1, PlanEvent { shielded: true, ..over(1) }).await;
    let refusal = || refused(SHIELDED, Method::CheckIn, "ROLE_NOT_ALLOWED");
    place.engine.audit_refusal(&refusal()).await.unwrap();
    let (one, other) = (refusal(), refusal());
    let (one, other) = tokio::join!(place.engine.audit_refusal(&one), place.engine.audit_refusal(&other));
    one.and(other).unwrap();
    lift_and_purge(&place).await;
    let found = search(&place, &of_child(SHIELDED));
    assert!(found.iter().any(|entry| matches!(entry.decision, Decision::RefusedMany { count: 2, .. })), "{found:?}");
    assert!(found.len() == 2 && found.iter().all(|entry| entry.place.is_none()));
}

/// Each way in which an entry about one child comes to be written.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_writes_an_entry_marks_what_is_about_a_shielded_child_and_nothing_else() {
    let place = Place::new();
    place.event(1, PlanEvent { shielded: true, ..event(1, SHIELDED, 1) }).await;
    place.event(1, event(1, ORDINARY, 1)).await;
    let engine = &place.engine;
    let read =
        || AuditRead { person: None, organisation: None, from: None, until: None, entry: None, given: 1, looked_at: 1 };
    let withheld = || Decision::Withheld {
        reason: WithholdingReason::CourtOrder,
        words: WithholdingWords::parse("the order of the court").unwrap(),
        look_again: day("2026-12-24"),
    };
    for child in [SHIELDED, ORDINARY, UNKNOWN] {
        engine.ask(asked(child, Role::Ed, "2018-03-04")).await.unwrap();
        engine.ask(asked(child, Role::Ed, "2009-09-09")).await.unwrap();
        assert!(engine.ask(asked(child, Role::Auditor, "2018-03-04")).await.is_err(), "no auditor asks");
        engine.audit_refusal(&refused(child, Method::CheckIn, "PURPOSE_NOT_ALLOWED")).await.unwrap();
        engine.audit(&refused(child, Method::LookupMany, "BAD_DATE")).await.unwrap();
        for (method, decision) in [
            (Method::Record, Decision::Changed { acknowledged: 1, refused: 0 }),
            (Method::ProposeIdentity, Decision::Changed { acknowledged: 1, refused: 0 }),
            (Method::DecideWithholding, withheld()),
            (Method::LiftWithholding, Decision::WithholdingLifted),
        ] {
            engine.audit_change(about(child, method, decision)).await.unwrap();
        }
        let reading = Decision::AuditRead(Box::new(read()));
        engine.audit(&about(child, Method::SearchAudit, reading)).await.unwrap();
    }
    let entries = written(&place);
    assert_eq!(entries.len(), 30);
    for entry in entries {
        let of_shielded = entry.subject == Some(Subject::Nhs(nhs(SHIELDED)));
        assert_eq!(entry.shielded, of_shielded, "{:?} {:?}", entry.method, entry.decision);
    }
}

#[tokio::test]
async fn an_opening_and_what_reads_the_record_of_a_shielded_mother_are_marked() {
    let place = Place::new();
    place.event(1, PlanEvent { shielded: true, ..event(1, SHIELDED, 1) }).await;
    let why = WhyOpened {
        reference: Uuid::new_v4(),
        reason: OpeningReason::MissingChild,
        words: OpeningWords::parse("seen at the station").unwrap(),
        limits: OpeningLimits { window_seconds: 60, per_person: 9, per_organisation: 9 },
    };
    place.engine.open_shielded(asked(SHIELDED, Role::Safeguarding, "2018-03-04"), why).await.unwrap();
    let mut of_baby = asked(UNKNOWN, Role::Ed, "2026-11-01");
    of_baby.question.mother = Some(nhs(SHIELDED));
    place.engine.ask(of_baby).await.unwrap();
    let told = MotherRead { subject: Subject::Nhs(nhs(SHIELDED)), responsible: Vec::new() };
    let refusal = AuditEntry { mother: Some(told), ..refused(UNKNOWN, Method::Lookup, "ROLE_NOT_ALLOWED") };
    place.engine.audit_refusal(&refusal).await.unwrap();
    assert_eq!(written(&place).iter().map(|entry| entry.shielded).collect::<Vec<_>>(), [true; 3]);
}

/// It is told when the engine closes, past everything that asks the index.
#[tokio::test]
async fn what_the_audit_did_not_take_keeps_the_mark_of_when_it_was_sent() {
    let place = Place::new();
    place.event(1, PlanEvent { shielded: true, ..event(1, SHIELDED, 1) }).await;
    place.engine.untold.trouble.set(true);
    for child in [SHIELDED, ORDINARY] {
        assert!(place.engine.audit_change(recorded(child)).await.is_err());
    }
    let place = place.reopened();
    assert_eq!(written(&place).iter().map(|entry| entry.shielded).collect::<Vec<_>>(), [true, false]);
}

/// While something of the shield is held, what is written tells the place that it was to hide; the answer knows better.
#[tokio::test]
async fn what_is_written_after_a_lift_is_marked_while_the_shield_is_held() {
    let place = Place::new();
    place.event(1, PlanEvent { shielded: true, ..event(1, SHIELDED, 1) }).await;
    place.event(1, PlanEvent { unshield: true, ..event(1, SHIELDED, 2) }).await;
    place.engine.audit_change(recorded(SHIELDED)).await.unwrap();
    place.engine.ask(asked(SHIELDED, Role::Ed, "2018-03-04")).await.unwrap();
    assert_eq!(written(&place).iter().map(|entry| entry.shielded).collect::<Vec<_>>(), [true, false]);
}

/// Two numbers of a child were merged, and the one that stood for both is not valid any more: no answer links them.
#[tokio::test]
async fn a_number_that_is_not_valid_any_more_is_marked_for_a_shield_under_one_that_was_merged_into_it() {
    let place = Place::new();
    place.event(1, PlanEvent { shielded: true, ..event(1, SHIELDED, 1) }).await;
    place.event(1, event(1, ORDINARY, 1)).await;
    let merged = IdentityEvent {
        organisation: OdsCode::parse("X26").unwrap(),
        event_id: Uuid::new_v4(),
        subject: Subject::Nhs(nhs(SHIELDED)),
        version: 1,
        action: IdentityAction::ReplacedBy(nhs(UNKNOWN)),
        proposal: None,
    };
    let verdicts = place.engine.change(&permit(1), NOW, vec![Change::Identity(merged)]).await;
    assert!(verdicts[0].is_ok(), "{verdicts:?}");
    place.invalidate(UNKNOWN).await;
    place.invalidate(ORDINARY).await;
    for child in [SHIELDED, UNKNOWN, ORDINARY] {
        place.engine.ask(asked(child, Role::Ed, "2018-03-04")).await.unwrap();
        place.engine.audit_change(recorded(child)).await.unwrap();
    }
    let marks: Vec<bool> = written(&place).iter().map(|entry| entry.shielded).collect();
    assert_eq!(marks, [true, true, true, true, false, false]);
}

/// Whoever reads is not shown the place of a child who was shielded later than the entry was written.
#[tokio::test]
async fn a_shield_that_is_set_later_counts_beside_the_mark() {
    let place = Place::new();
    place.engine.audit_change(recorded(SHIELDED)).await.unwrap();
    let is_placed = || search(&place, &of_child(SHIELDED))[0].place.is_some();
    assert!(is_placed());
    place.event(1, PlanEvent { shielded: true, ..event(1, SHIELDED, 1) }).await;
    assert!(!is_placed());
    assert_eq!(written(&place).iter().map(|entry| entry.shielded).collect::<Vec<_>>(), [false], "as it was written");
}

#[test]
fn what_names_nobody_has_no_mark_and_what_is_marked_stays_so() {
    let place = Place::new();
    let nobody = AuditEntry { subject: None, ..refused(SHIELDED, Method::Lookup, "MALFORMED") };
    assert!(!place.engine.is_about_shielded(&nobody));
    let mut entry = AuditEntry { shielded: true, ..recorded(UNKNOWN) };
    place.engine.mark(&mut entry);
    assert!(entry.shielded && marked(&entry, false).shielded && marked(&recorded(UNKNOWN), true).shielded);
}

#[test]
fn the_mark_and_the_proof_of_the_person_are_read_as_they_were_written() {
    for (shielded, person_proven) in [(false, false), (false, true), (true, false), (true, true)] {
        let entry = AuditEntry { shielded, person_proven, ..recorded(ORDINARY) };
        let bytes = encode(&entry).unwrap();
        assert_eq!(decode::<AuditEntry>(&bytes).unwrap(), entry);
        assert_eq!(bytes[bytes.len() - 2..], [u8::from(shielded), u8::from(person_proven)]);
    }
}

/// Who is behind an entry, where a token proves them, where nobody is asked for one, and where it is refused for not proving them.
#[tokio::test]
async fn an_entry_says_whether_a_token_proved_its_person() {
    let place = Place::new();
    let proven = ProvenPerson { person: PersonDigest([7; 32]), until: Moment(i64::MAX), by: ProofSource([1; 32]) };
    let proven = PersonProof::Proven(proven);
    let peer = Peer { organisation: trust(), role: Role::Ed };
    let of_call = |person, caller, decision| {
        let call = Call { peer, method: Method::Record, trace: None, person };
        let entry = AuditEntry::of_call(NOW, call, caller, None, decision);
        AuditEntry { subject: Some(Subject::Nhs(nhs(ORDINARY))), ..entry }
    };
    let changed = || Decision::Changed { acknowledged: 1, refused: 0 };
    let refusal = |reason| Decision::Refused(RefusalCode::of(reason));
    let named = || Some(caller(ORDINARY));
    assert!(of_call(proven, named(), changed()).person_proven);
    assert!(of_call(proven, named(), refusal("ROLE_NOT_ALLOWED")).person_proven);
    assert!(!of_call(PersonProof::NotAsked, named(), changed()).person_proven);
    assert!(!of_call(proven, None, refusal("MALFORMED")).person_proven, "whose token it was is not who is named");
    for why in Unproven::ALL {
        assert!(!of_call(proven, named(), refusal(why.reason())).person_proven, "{}", why.reason());
        assert!(!of_call(PersonProof::Unproven(why), named(), refusal(why.reason())).person_proven);
    }

    place.engine.audit(&of_call(proven, named(), changed())).await.unwrap();
    place.engine.audit(&of_call(PersonProof::NotAsked, named(), changed())).await.unwrap();
    let question = |person_proven| Asked { person_proven, ..asked(ORDINARY, Role::Ed, "2018-03-04") };
    place.engine.ask(question(true)).await.unwrap();
    let other = kith_domain::permit::Refusal::PersonNotProven(Unproven::OtherPerson);
    assert!(place.engine.refuse(question(true), other).await.is_err());
    let found = search(&place, &of_child(ORDINARY));
    let shown = found.iter().map(|entry| entry.place.as_ref().unwrap().person.as_ref().unwrap().proven);
    assert_eq!(shown.collect::<Vec<_>>(), [false, true, false, true], "newest first");
}
