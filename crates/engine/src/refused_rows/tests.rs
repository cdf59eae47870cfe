//! What stands by name, what is counted, and that the two add up, by a clock that the tests set.

use super::*;
use crate::files::tests::place::{NOW, Place, nhs, permit};
use crate::rows::decode;
use kith_domain::caller::Purpose;
use kith_domain::child::Subject;
use kith_domain::proof::PersonProof;
use kith_domain::refused::Refused;
use kith_domain::text::{PersonText, RoleCode, UserId};
use std::sync::atomic::{AtomicI64, Ordering};
use uuid::Uuid;

fn caller(user: &str) -> Caller {
    Caller {
        user_id: UserId::parse(user).unwrap(),
        user_name: PersonText::parse("A Clerk").unwrap(),
        user_role: PersonText::parse("Clerk").unwrap(),
        purpose: Purpose::RecordKeeping,
        organisation: permit(1).peer().organisation,
        role_code: RoleCode::parse("R8000").unwrap(),
    }
}

fn one(n: u32, became: Became) -> ChangedOne {
    let (subject, event_id) = (Some(Subject::Nhs(nhs(n))), Some(Uuid::from_u128(u128::from(n))));
    ChangedOne { subject, event_id, became, shielded: false, not_there: None }
}

/// Refused ones, every other for another reason.
fn refused(count: u32) -> Vec<ChangedOne> {
    let reason = |n: u32| if n.is_multiple_of(2) { "ADULT" } else { "END_MISSING" };
    (0..count).map(|n| one(n, Became::refused(reason(n)))).collect()
}

/// Ones that had been acknowledged before.
fn again(count: u32) -> Vec<ChangedOne> {
    (0..count).map(|n| one(n, Became::Repeated)).collect()
}

fn made() -> ChangedOne {
    one(7_000, Became::Applied)
}

fn call(authority: u32, method: Method) -> Call {
    Call { peer: permit(authority).peer(), method, trace: None, person: PersonProof::NotAsked }
}

fn source(authority: u32) -> Source {
    let Peer { organisation, role } = permit(authority).peer();
    Source { organisation, role, method: Method::SubmitEvents, proven: false }
}

/// By a clock that is set.
fn rows() -> (Arc<AtomicI64>, RefusedRows) {
    rows_after(false)
}

/// After a run that ended in order, or did not.
fn rows_after(gap: bool) -> (Arc<AtomicI64>, RefusedRows) {
    let now = Arc::new(AtomicI64::new(0));
    let told = Arc::clone(&now);
    (now, RefusedRows::new(Arc::new(move || Moment(told.load(Ordering::Relaxed))), gap))
}

fn together(each: Vec<ChangedOne>, at: i64) -> AuditEntry {
    let call = call(1, Method::SubmitEvents);
    AuditEntry::of_call(Moment(at), call, Some(caller("u1")), None, Decision::ChangedEach(each))
}

/// How many refused ones entries name, how many they count, and how many bytes they have.
fn sums(entries: &[AuditEntry]) -> (u64, u64, usize) {
    let (mut named, mut counted, mut bytes) = (0, 0, 0);
    for entry in entries {
        let (_, refused) = entry.decision.changed().unwrap();
        if matches!(entry.decision, Decision::RefusedRows { .. }) {
            counted += refused;
        } else {
            named += refused;
        }
        bytes += encode(entry).unwrap().len();
    }
    (named, counted, bytes)
}

/// How many that had been acknowledged before entries name, and how many they count.
fn repeated(entries: &[AuditEntry]) -> (usize, u64) {
    let (mut named, mut counted) = (0, 0);
    for entry in entries {
        if let Decision::ChangedEach(each) = &entry.decision {
            named += each.iter().filter(|one| one.became == Became::Repeated).count();
        }
        if let Decision::RefusedRows { repeated, .. } = &entry.decision {
            counted += *repeated;
        }
    }
    (named, counted)
}

/// Entries in which a change that was made stands by itself.
fn alone(entries: &[AuditEntry]) -> usize {
    let alone = Decision::ChangedEach(vec![made()]);
    entries.iter().filter(|entry| entry.decision == alone).count()
}

/// What entries hold of calls.
fn entries(place: &Place) -> Vec<AuditEntry> {
    while place.engine.journal().window().unsynced > 0 {
        std::thread::yield_now();
    }
    let read = place.engine.journal().read_from(1, 10_000).unwrap();
    let read = read.iter().map(|(_, bytes)| decode::<AuditEntry>(bytes).unwrap());
    read.filter(|entry| entry.method.is_some()).collect()
}

async fn tell(place: &Place, authority: u32, each: Vec<ChangedOne>) -> Option<Gathered> {
    let (call, caller) = (call(authority, Method::SubmitEvents), caller("u1"));
    let told = place.engine.tell_each(NOW, call, Some(&caller), each).await;
    assert_eq!(told.untaken, None);
    told.counted
}

/// What the audit has of ten thousand of a second, and of one that is made among them: sent one at a time, which makes the most
/// entries, and gathered as often as it is.
fn flood(became: impl Fn(u32) -> Became) -> Vec<AuditEntry> {
    let (now, rows) = rows();
    let (mut written, who) = (Vec::new(), caller("u1"));
    for n in 0..10_000_u32 {
        now.store(i64::from(n / 10), Ordering::Relaxed);
        let mut each = vec![one(n % 500, became(n))];
        each.extend((n == 5_000).then(made));
        let Taken { named, .. } = rows.take(source(1), Some(&who), each);
        if !named.is_empty() {
            written.push(together(named, i64::from(n / 10)));
        }
        if n % 250 == 249
            && let Some(closing) = rows.close(source(1))
        {
            written.push(closing.counts.entry(closing.source));
        }
    }
    written
}

/// A second of it has few bytes, nothing that was made is missing, and each that was refused is named or counted.
#[test]
fn ten_thousand_that_are_refused_in_a_second_are_few_bytes_and_add_up() {
    let written = flood(|_| Became::refused("ADULT"));
    let (named, counted, bytes) = sums(&written);
    assert_eq!((named, counted, repeated(&written)), (128, 9_872, (0, 0)));
    assert!(bytes < 32 << 10, "{bytes}");
    assert_eq!(alone(&written), 1, "by name, without those beside it");
    let last = written.last().unwrap();
    assert_eq!((last.caller.clone(), last.method), (Some(caller("u1")), Some(Method::SubmitEvents)), "who sent them");
    assert_eq!(last.at, Moment(999));
}

#[test]
fn ten_thousand_that_are_sent_again_in_a_second_are_few_bytes_and_add_up() {
    let written = flood(|_| Became::Repeated);
    assert_eq!(repeated(&written), (128, 9_872));
    let (named, counted, bytes) = sums(&written);
    assert_eq!((named, counted), (0, 0), "none of it was refused");
    assert!(bytes < 32 << 10, "{bytes}");
    assert_eq!(alone(&written), 1, "what was made stands by name, without those beside it");
    let last = written.last().unwrap();
    assert_eq!((last.caller.clone(), last.method), (Some(caller("u1")), Some(Method::SubmitEvents)), "who sent them");
    assert!(!last.decision.stands(), "it changed nothing");
}

/// Neither makes a count of the first of the other.
#[test]
fn what_is_refused_and_what_is_sent_again_in_one_second_add_up_each_by_itself() {
    let written = flood(|n| if n.is_multiple_of(4) { Became::refused("ADULT") } else { Became::Repeated });
    let (named, counted, bytes) = sums(&written);
    assert_eq!(((named, counted), repeated(&written)), ((128, 2_372), (128, 7_372)));
    assert!(bytes < 48 << 10, "{bytes}");
    assert_eq!(alone(&written), 1);
}

/// The audit may lack what the log has of the moments before the end: whoever sends it again is the only one who is named for it.
#[test]
fn after_an_end_without_order_all_that_is_sent_again_stands_by_name_for_ten_minutes() {
    let (now, rows) = rows_after(true);
    let counted = |at, each: Vec<ChangedOne>| {
        now.store(at, Ordering::Relaxed);
        let taken = rows.take(source(1), None, each);
        (taken.named.len(), taken.counted.is_some())
    };
    assert_eq!(counted(0, again(300)), (300, false));
    assert_eq!(counted(599_999, again(300)), (300, false));
    assert_eq!(counted(599_999, refused(300)), (128, true), "what is refused changed nothing before either");
    assert!(rows.names_what_is_sent_again() && !rows_after(false).1.names_what_is_sent_again());
    assert_eq!(counted(600_000, again(300)), (0, true), "those of its second had names");
    assert!(!rows.names_what_is_sent_again());
    assert_eq!(counted(601_000, again(300)), (128, true));
}

#[test]
fn each_second_begins_with_names_and_so_does_a_clock_that_is_set_back() {
    let (now, rows) = rows();
    let counted = |at| {
        now.store(at, Ordering::Relaxed);
        let taken = rows.take(source(1), None, refused(200));
        (taken.named.len(), taken.counted.is_some())
    };
    assert_eq!(counted(5_000), (128, true));
    assert_eq!(counted(5_999), (0, true));
    assert_eq!(counted(6_000), (128, true));
    assert_eq!(counted(5_500), (128, true));
    now.store(5_600, Ordering::Relaxed);
    let mixed = [refused(3), vec![made()], refused(2)].concat();
    assert_eq!(rows.take(source(1), None, mixed).named, [made()]);
    let sent_again = |count| {
        let taken = rows.take(source(1), None, again(count));
        (taken.named.len(), taken.counted.is_some())
    };
    assert_eq!(sent_again(100), (100, false), "for what is sent again there is room of its own");
    assert_eq!(sent_again(100), (28, true));
    assert_eq!(sent_again(1), (0, true));
    now.store(6_500, Ordering::Relaxed);
    assert_eq!(sent_again(100), (100, false));
}

/// The log may have them: what became of them shows when they are sent again, and who sent them first would be in no audit.
#[test]
fn what_may_stand_because_the_log_failed_is_named_however_many_are_refused() {
    let (_, rows) = rows();
    rows.take(source(1), None, refused(200));
    let unknown = vec![one(1, Became::refused(Refused::STORAGE.reason)); 300];
    let taken = rows.take(source(1), None, [unknown.clone(), refused(2)].concat());
    assert_eq!((taken.named, taken.counted.is_some()), (unknown, true));
}

#[test]
fn of_those_counted_together_nobody_is_named_for_another() {
    let (_, rows) = rows();
    assert!(rows.take(source(1), Some(&caller("u1")), refused(128)).counted.is_none());
    for (users, named) in [(["u1", "u1"], Some("u1")), (["u1", "u2"], None)] {
        for user in users {
            rows.take(source(1), Some(&caller(user)), refused(2));
        }
        let closing = rows.close(source(1)).unwrap();
        let entry = closing.counts.entry(closing.source);
        assert_eq!(entry.caller.as_ref().map(|caller| caller.user_id.as_str()), named);
        let both = vec![(RefusalCode::of("ADULT"), 2), (RefusalCode::of("END_MISSING"), 2)];
        let expected = Decision::RefusedRows { counted: both, first: Moment(0), last: Moment(0), repeated: 0 };
        assert_eq!(entry.decision, expected);
    }
}

#[test]
fn organisations_are_bounded_and_beyond_them_each_stands_by_name() {
    let (now, rows) = rows();
    let of = |n: usize| Source { organisation: OdsCode::parse(&format!("A{n:05}")).unwrap(), ..source(1) };
    for n in 0..ORGANISATIONS {
        rows.take(of(n), None, refused(1));
    }
    let beyond = |rows: &RefusedRows| {
        let taken = rows.take(of(ORGANISATIONS), None, refused(200));
        (taken.named.len(), taken.counted.is_some(), rows.lock().seconds.len())
    };
    assert_eq!(beyond(&rows), (200, false, ORGANISATIONS));
    now.store(1_000, Ordering::Relaxed);
    assert_eq!(beyond(&rows), (128, true, 1), "those that ended make room");
}

#[tokio::test]
async fn whoever_is_refused_hears_it_once_the_count_is_in_the_audit_and_another_organisation_shares_none() {
    let place = Place::new();
    let mut waits = Vec::new();
    for group in 0..80 {
        let mut each = refused(125);
        each.extend((group == 40).then(made));
        waits.extend(tell(&place, 1, each).await);
    }
    assert!(tell(&place, 2, refused(100)).await.is_none(), "it is named, whatever others send");
    for counted in waits {
        assert!(counted.settled().await.is_ok());
    }
    let all = entries(&place);
    let (ours, theirs): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|entry| entry.organisation == Some(permit(1).peer().organisation));
    let (named, counted, bytes) = sums(&ours);
    assert_eq!((named, counted), (128, 9_872));
    assert!(bytes < 32 << 10, "{bytes}");
    assert_eq!((sums(&theirs).0, sums(&theirs).1), (100, 0));
    let names = |entry: &AuditEntry| {
        if let Decision::ChangedEach(each) = &entry.decision { each.contains(&made()) } else { false }
    };
    assert_eq!(ours.iter().filter(|entry| names(entry)).count(), 1, "what was made stands by name");
    assert!(!place.engine.has_uncounted());
}

#[tokio::test]
async fn whoever_sends_again_hears_it_once_the_count_is_in_the_audit() {
    let place = Place::new();
    let counted = tell(&place, 1, [again(200), vec![made()], refused(150)].concat()).await.unwrap();
    let told = |place: &Place| {
        let all = entries(place);
        let (named, counted, _) = sums(&all);
        (repeated(&all), (named, counted))
    };
    assert!(counted.settled().await.is_ok());
    assert_eq!(told(&place), ((128, 72), (128, 22)));
    let call = call(1, Method::SubmitEvents);
    assert_eq!(place.engine.audit_each(NOW, call, Some(&caller("u1")), again(300)).await, Ok(()));
    assert_eq!(told(&place).0, (128, 372), "by the time that it is answered");
    assert!(!place.engine.has_uncounted());
}

#[tokio::test]
async fn an_engine_knows_whether_its_last_run_ended_in_order() {
    let place = Place::new().reopened();
    let counted = tell(&place, 1, again(300)).await.expect("it did, and more than have names are counted");
    assert!(counted.settled().await.is_ok());
    drop(place.engine.changing());
    let place = place.reopened();
    assert!(tell(&place, 1, again(300)).await.is_none(), "a change may stand that no entry tells of");
}

#[tokio::test]
async fn what_is_counted_when_the_service_stops_is_in_the_audit() {
    let place = Place::new();
    let waits = tell(&place, 1, [refused(200), again(150)].concat()).await;
    place.engine.close(NOW);
    let all = entries(&place);
    let (named, counted, _) = sums(&all);
    assert_eq!(((named, counted), repeated(&all)), ((128, 72), (128, 22)));
    assert!(waits.unwrap().settled().await.is_err(), "and nobody is answered on it");
}

#[tokio::test]
async fn what_is_counted_while_the_audit_takes_nothing_is_told_once_it_does() {
    let place = Place::new();
    let adults = || BTreeMap::from([(RefusalCode::of("ADULT"), 7)]);
    let counts = || Counts { caller: None, codes: adults(), repeated: 3, first: NOW, last: NOW };
    place.engine.refused_rows.lock().keep(source(1), counts(), None);
    place.engine.refused_rows.lock().keep(source(1), counts(), None);
    place.engine.untold.trouble.set(true);
    assert!(!place.engine.tell_uncounted().await && place.engine.has_uncounted());
    place.engine.untold.trouble.set(false);
    assert!(place.engine.tell_uncounted().await && !place.engine.has_uncounted());
    let all = entries(&place);
    let (named, counted, _) = sums(&all);
    assert_eq!(((named, counted), repeated(&all)), ((0, 14), (0, 6)), "once");
}

#[tokio::test]
async fn what_is_being_told_when_the_service_stops_is_told_all_the_same() {
    let place = Place::new();
    let counts = Counts {
        caller: None,
        codes: BTreeMap::from([(RefusalCode::of("ADULT"), 7)]),
        repeated: 3,
        first: NOW,
        last: NOW,
    };
    place.engine.refused_rows.lock().keep(source(1), counts, None);
    assert!(place.engine.refused_rows.untaken().is_some(), "somebody tells it, and hears nothing of a disk");
    place.engine.refused_rows.hand_to(place.engine.journal());
    assert!(!place.engine.has_uncounted());
    assert_eq!(sums(&entries(&place)).1, 7);
}

#[test]
fn a_count_says_whether_a_token_proved_who_sent_it() {
    let (_, rows) = rows();
    rows.take(source(1), None, refused(128));
    for (proven, by, expected) in [(false, Some("u1"), false), (true, Some("u1"), true), (true, None, false)] {
        let source = Source { proven, ..source(1) };
        rows.take(source, by.map(caller).as_ref(), refused(2));
        let closing = rows.close(source).unwrap();
        assert_eq!(closing.counts.entry(source).person_proven, expected, "{proven} {by:?}");
    }
}

#[test]
fn what_is_being_written_when_its_runtime_ends_is_kept() {
    let (_, rows) = rows();
    rows.take(source(1), None, refused(200));
    let Closing { source, counts, tell: _ } = rows.close(source(1)).unwrap();
    assert!(rows.is_empty());
    drop(Writing { rows: &rows, source, counts: Some(counts), given: Some(AuditRef { journal: 1, sequence: 7 }) });
    let kept = rows.untaken().unwrap();
    assert_eq!(kept.entry.decision.changed(), Some((0, 72)));
    assert!(matches!(kept.as_told().decision, Decision::ToldAgain { .. }), "under its number it may stand as well");
}

#[tokio::test]
async fn a_count_that_no_disk_takes_is_told_to_nobody_as_one_and_kept() {
    let place = Place::new();
    let counted = tell(&place, 1, [refused(200), again(150)].concat()).await.unwrap();
    place.engine.journal().close().unwrap();
    assert_eq!(counted.settled().await, Err(AuditError::Closed));
    let kept = place.engine.refused_rows.untaken().unwrap();
    assert_eq!(kept.entry.decision.changed(), Some((22, 72)));
}

#[test]
fn it_has_the_bytes_that_are_kept() {
    let counted = vec![(RefusalCode::of("ADULT"), 300)];
    let decision = Decision::RefusedRows { counted, first: Moment(1), last: Moment(2), repeated: 500 };
    let bytes = encode(&AuditEntry::of_service(Moment(1_000), decision)).unwrap();
    assert_eq!(hex::encode(bytes), "01d00f000000000000180101ac020204f40300000000000000");
}
