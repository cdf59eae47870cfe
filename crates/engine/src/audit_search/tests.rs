//! Searching the audit: by every key, page by page while others ask, over what is missing, and without a place of a shielded child.

use super::*;
use crate::audit_entry::{AuditRead, Call, Code, Disclosed};
use crate::audit_seen::Whom;
use crate::files::tests::place::{NOW, Place, authority, event, nhs};
use crate::rows::encode;
use kith_domain::caller::{Caller, CareContext, Peer, Purpose, Role};
use kith_domain::change::PlanEvent;
use kith_domain::child::Subject;
use kith_domain::codes::OdsCode;
use kith_domain::identity::IdentityCheck;
use kith_domain::method::Method;
use kith_domain::opening::{OpeningReason, ReviewOutcome};
use kith_domain::proof::PersonProof;
use kith_domain::refusal_code::RefusalCode;
use kith_domain::text::{LocalKey, OpeningWords, PersonText, RoleCode, UserId};
use std::path::PathBuf;
use uuid::Uuid;

pub(super) const ALL: AuditBounds = AuditBounds { given: 1_000_000, looked_at: 1_000_000 };

pub(super) fn code(trust: u32) -> OdsCode {
    OdsCode::parse(&format!("RZ{trust}")).unwrap()
}

pub(super) fn user(person: u32) -> UserId {
    UserId::parse(&format!("user-{person}")).unwrap()
}

/// A lookup of a child by a person of a trust, with the first authority responsible.
pub(super) fn lookup(child: u32, trust: u32, person: u32, at: Moment) -> AuditEntry {
    let caller = Caller {
        user_id: user(person),
        user_name: PersonText::parse("A Nurse").unwrap(),
        user_role: PersonText::parse("Nurse").unwrap(),
        purpose: Purpose::DirectCare,
        organisation: code(trust),
        role_code: RoleCode::parse("R8000").unwrap(),
    };
    let disclosed = Disclosed {
        identity: IdentityCheck::NotGiven,
        plans: Code::Held(1),
        presentations: Code::NoneHeld,
        shielded: false,
        siblings: 0,
        mother: None,
    };
    let peer = Peer { organisation: code(trust), role: Role::Ed };
    let call = Call { peer, method: Method::Lookup, trace: None, person: PersonProof::NotAsked };
    let decision = Decision::Answered { disclosed, counted: false };
    AuditEntry {
        context: Some(CareContext::Unscheduled),
        subject: Some(Subject::Nhs(nhs(child))),
        responsible: vec![authority(1)],
        ..AuditEntry::of_call(at, call, Some(caller), Some(Uuid::from_u128(7)), decision)
    }
}

/// Writes entries, and waits until they can be read.
pub(super) fn write(engine: &Engine, entries: impl IntoIterator<Item = AuditEntry>) -> Vec<u64> {
    let append = |entry| engine.journal().append(&encode(&entry).unwrap()).unwrap().sequence;
    let numbers: Vec<u64> = entries.into_iter().map(append).collect();
    while engine.journal().synced_through() < numbers.last().copied().unwrap_or_default() {
        std::thread::yield_now();
    }
    numbers
}

pub(super) fn search(engine: &Engine, query: &AuditQuery) -> AuditPage {
    engine.search_audit(AuditScope::All, query, None, ALL, NOW).unwrap()
}

pub(super) fn numbers(page: &AuditPage) -> Vec<u64> {
    page.found.iter().map(|entry| entry.reference.sequence).collect()
}

pub(super) fn of_child(child: u32) -> AuditQuery {
    AuditQuery { child: Some(nhs(child)), ..AuditQuery::default() }
}

fn newest_first(mut numbers: Vec<u64>) -> Vec<u64> {
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    numbers
}

#[test]
fn every_key_finds_what_it_is_about_and_nothing_else() {
    let place = Place::new();
    let engine = &place.engine;
    let one = write(engine, (0..30).map(|n| lookup(n % 3, n % 2, n % 5, NOW.plus_seconds(i64::from(n)))));
    let with = |keep: fn(u32) -> bool| newest_first((0..30).filter(|n| keep(*n)).map(|n| one[n as usize]).collect());
    assert_eq!(numbers(&search(engine, &of_child(1))), with(|n| n % 3 == 1));
    let person = AuditQuery { person: Some(user(4)), ..AuditQuery::default() };
    assert_eq!(numbers(&search(engine, &person)), with(|n| n % 5 == 4));
    let organisation = AuditQuery { organisation: Some(code(1)), ..AuditQuery::default() };
    assert_eq!(numbers(&search(engine, &organisation)), with(|n| n % 2 == 1));
    let both = AuditQuery { organisation: Some(code(1)), ..of_child(2) };
    assert_eq!(numbers(&search(engine, &both)), with(|n| n % 2 == 1 && n % 3 == 2));
    let time = AuditQuery {
        from: Some(NOW.plus_seconds(10)),
        until: Some(NOW.plus_seconds(12)),
        lookups: true,
        ..AuditQuery::default()
    };
    assert_eq!(numbers(&search(engine, &time)), with(|n| n == 10 || n == 11));
    let entry = search(engine, &AuditQuery { entry: Some(one[17]), ..AuditQuery::default() });
    assert_eq!(
        (numbers(&entry), entry.range, entry.ended),
        (vec![one[17]], Some((one[17], one[17])), AuditEnded::Whole)
    );
    // One that is not there yet was not looked at.
    let beyond = search(engine, &AuditQuery { entry: Some(one[29] + 1), ..AuditQuery::default() });
    assert_eq!((beyond.found.len(), beyond.range, beyond.ended), (0, None, AuditEnded::Whole));
    let whole = search(engine, &AuditQuery::default());
    assert_eq!((whole.range, whole.missing.len()), (Some((1, one[29])), 0), "the start is an entry too");
    assert_eq!(whole.found.len(), 31);
}

#[test]
fn a_number_that_was_not_asked_for_is_a_pseudonym() {
    let place = Place::new();
    let engine = &place.engine;
    let at = |child| lookup(child, 1, 1, NOW);
    let mother = MotherRead { subject: Subject::Nhs(nhs(9)), responsible: vec![authority(2)] };
    write(engine, [at(1), at(2), AuditEntry { mother: Some(mother), ..at(1) }]);
    let found = search(engine, &of_child(1)).found;
    assert!(found.iter().all(|entry| entry.about == Some(Whom::Asked(nhs(1))) && !entry.as_mother));
    let Some(Whom::Other(of_mother)) = found[0].mother else { panic!("the mother's number was not asked for") };
    let all = search(engine, &AuditQuery { lookups: true, ..AuditQuery::default() }).found;
    let about: Vec<_> = all.iter().map(|entry| entry.about).collect();
    assert!(
        matches!(about[..], [Some(Whom::Other(a)), Some(Whom::Other(b)), Some(Whom::Other(c))] if a == c && a != b)
    );
    // Whose record was read as the mother's is among those who were looked up.
    let found = search(engine, &of_child(9)).found;
    assert!(matches!(found[..], [SeenEntry { as_mother: true, mother: Some(Whom::Asked(_)), .. }]));
    assert!(matches!(found[0].about, Some(Whom::Other(other)) if other != of_mother));
    assert!(!format!("{found:?}{all:?}").contains(&nhs(1).digits()));
}

/// A child without a number yet is looked up under the hospital's own key.
#[tokio::test]
async fn a_local_key_finds_its_own_entries_and_nothing_about_a_shielded_child() {
    let place = Place::new();
    let engine = &place.engine;
    let key = |key: &str| LocalKey::parse(key).unwrap();
    let local = |organisation: OdsCode, of: &str| Subject::Local(organisation, key(of));
    let about = |subject| AuditEntry { subject: Some(subject), ..lookup(1, 1, 1, NOW) };
    let numbers_of = write(
        engine,
        [
            about(local(code(1), "A-1")),
            about(local(code(2), "A-1")),
            about(local(code(1), "A-2")),
            lookup(1, 1, 1, NOW),
        ],
    );
    let by_key =
        |organisation: OdsCode, of: &str| AuditQuery { local_key: Some((organisation, key(of))), ..Default::default() };
    let found = search(engine, &by_key(code(1), "A-1"));
    assert_eq!((numbers(&found), found.shielded_left_out), (vec![numbers_of[0]], true));
    assert_eq!(found.found[0].about, Some(Whom::AskedKey));
    assert_eq!(numbers(&search(engine, &by_key(code(2), "A-1"))), [numbers_of[1]]);
    assert!(numbers(&search(engine, &by_key(code(2), "A-2"))).is_empty());
    // Whoever did not ask for it sees a pseudonym.
    let all = search(engine, &AuditQuery { lookups: true, ..AuditQuery::default() }).found;
    assert!(all.iter().all(|entry| matches!(entry.about, Some(Whom::Other(_)))));
    // Shielded under the key: that it is found by a key would tell where the child was.
    let authority_code = OdsCode::parse(authority(1).as_str()).unwrap();
    let shielded = local(authority_code, "B-1");
    place.event(1, PlanEvent { subject: shielded.clone(), ..shielding(1, 5) }).await;
    write(engine, [about(shielded)]);
    let none = search(engine, &by_key(authority_code, "B-1"));
    assert!(none.found.is_empty() && none.shielded_left_out);
}

#[test]
fn pages_join_while_others_ask() {
    let place = Place::new();
    let engine = &place.engine;
    let mut expected = write(engine, (0..3_000).map(|n| lookup(n % 3, 1, 1, NOW)));
    expected = newest_first(expected.into_iter().enumerate().filter(|(n, _)| n % 3 == 1).map(|(_, at)| at).collect());
    let bounds = AuditBounds { given: 320, looked_at: 400 };
    let (mut found, mut before, mut ends) = (Vec::new(), None, Vec::new());
    loop {
        let page = engine.search_audit(AuditScope::All, &of_child(1), before, bounds, NOW).unwrap();
        assert!(page.found.len() <= 320 && page.missing.is_empty());
        assert_eq!(page.range.unwrap().1, before.map_or(page.range.unwrap().1, |before| before - 1), "nothing between");
        found.extend(numbers(&page));
        ends.push(page.ended);
        write(engine, [lookup(1, 1, 1, NOW)]);
        before = page.next_before;
        if page.ended == AuditEnded::Whole {
            break;
        }
    }
    assert_eq!(found, expected);
    assert!(
        before.is_none() && ends.contains(&AuditEnded::PageFull) && ends.contains(&AuditEnded::Stopped),
        "{ends:?}"
    );
}

#[test]
fn what_stopped_never_says_that_it_looked_at_everything() {
    let place = Place::new();
    let engine = &place.engine;
    let rare = write(engine, [lookup(5, 1, 1, NOW)]);
    write(engine, (0..4_000).map(|_| lookup(1, 1, 1, NOW)));
    let bounds = AuditBounds { given: 10, looked_at: 1 };
    let (mut before, mut pages) = (None, 0);
    loop {
        let page = engine.search_audit(AuditScope::All, &of_child(5), before, bounds, NOW).unwrap();
        pages += 1;
        if !page.found.is_empty() {
            assert_eq!(numbers(&page), rare);
            break;
        }
        assert_eq!(page.ended, AuditEnded::Stopped);
        assert!(page.next_before.is_some());
        before = page.next_before;
    }
    assert!(pages >= 3, "{pages}");
}

/// The segments of the first sink, oldest first.
fn segments(place: &Place) -> Vec<PathBuf> {
    let files = std::fs::read_dir(place.dir.path().join("audit")).unwrap().map(|file| file.unwrap().path());
    let mut segments: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|end| end == "seg")).collect();
    segments.sort();
    segments
}

#[test]
fn entries_that_cannot_be_read_are_named_and_the_others_found() {
    let place = Place::new();
    let first = write(&place.engine, [lookup(1, 1, 1, NOW)]);
    let place = place.reopened();
    let second = write(&place.engine, [lookup(1, 1, 1, NOW)]);
    let place = place.reopened();
    let third = write(&place.engine, [lookup(1, 1, 1, NOW)]);
    let all = search(&place.engine, &of_child(1));
    assert_eq!((numbers(&all), all.missing), (vec![third[0], second[0], first[0]], Vec::new()));
    std::fs::remove_file(&segments(&place)[1]).unwrap();
    let fewer = search(&place.engine, &of_child(1));
    assert_eq!((numbers(&fewer), fewer.ended), (vec![third[0], first[0]], AuditEnded::Whole));
    let [missing] = fewer.missing[..] else { panic!("{:?}", fewer.missing) };
    assert!(missing.after >= first[0] && missing.after < second[0], "{missing:?}");
    assert!(missing.before.is_some_and(|before| before > second[0] && before <= third[0]));
}

#[test]
fn gaps_that_entries_tell_of_are_told() {
    let place = Place::new();
    let numbers = write(&place.engine, [lookup(1, 1, 1, NOW)]);
    write(&place.engine, [AuditEntry::of_service(NOW, Decision::Gap(numbers[0]))]);
    let told = MissingEntries { after: numbers[0], before: None, announced_at: Some(NOW) };
    assert_eq!(search(&place.engine, &of_child(2)).missing, [told]);
    let later = AuditQuery { from: Some(NOW.plus_seconds(1)), ..of_child(2) };
    assert_eq!(search(&place.engine, &later).missing, []);
}

#[test]
fn a_range_of_time_is_found_though_the_clock_was_set() {
    let place = Place::new();
    let day = |day: i64| NOW.plus_seconds(day * 86_400);
    let days: Vec<u64> = (0..5).flat_map(|n| write(&place.engine, [lookup(1, 1, 1, day(n))])).collect();
    let of = |from, until| AuditQuery { from: Some(from), until: Some(until), ..of_child(1) };
    let found = |from, until| numbers(&search(&place.engine, &of(from, until)));
    assert_eq!(found(day(1), day(3)), [days[2], days[1]]);
    // Set back by two days after the fifth, and for one entry only.
    let set_back = write(&place.engine, [lookup(1, 1, 1, day(2).plus_seconds(5))]);
    assert_eq!(found(day(2), day(3)), [set_back[0], days[2]]);
    write(&place.engine, [lookup(1, 1, 1, day(9))]);
    assert_eq!(found(day(2), day(3)), [set_back[0], days[2]]);
}

#[test]
fn a_range_of_time_ends_where_a_long_row_is_older_and_says_how_far_it_looked() {
    for (between, reached) in [(1_500, true), (2_500, false)] {
        let place = Place::new();
        let first = write(&place.engine, [lookup(1, 1, 1, NOW)]);
        write(&place.engine, (0..between).map(|_| lookup(2, 1, 1, NOW.plus_seconds(-86_400))));
        let last = write(&place.engine, [lookup(1, 1, 1, NOW)]);
        let query = AuditQuery { from: Some(NOW), ..of_child(1) };
        let bounds = AuditBounds { given: 10, looked_at: 2_000 };
        let page = place.engine.search_audit(AuditScope::All, &query, None, bounds, NOW).unwrap();
        let expected = match reached {
            true => (vec![last[0], first[0]], AuditEnded::Whole),
            false => (last.clone(), AuditEnded::Older),
        };
        assert_eq!((numbers(&page), page.ended), expected);
        assert_eq!(page.next_before, None);
        let lowest = if reached { 1 } else { last[0] - 2_000 };
        assert_eq!(page.range, Some((lowest, last[0])));
    }
}

pub(super) fn shielding(by: u32, child: u32) -> PlanEvent {
    PlanEvent { shielded: true, ..event(by, child, 1) }
}

#[tokio::test]
async fn of_a_shielded_child_no_place_is_told_and_none_is_found_by_a_place() {
    let place = Place::new();
    let engine = &place.engine;
    place.event(1, shielding(1, 1)).await;
    let read = AuditRead {
        person: Some(user(1)),
        organisation: Some(code(1)),
        from: None,
        until: None,
        entry: None,
        given: 1,
        looked_at: 1,
    };
    let shown = AuditEntry { decision: Decision::AuditRead(Box::new(read)), ..lookup(1, 1, 1, NOW) };
    write(engine, [lookup(1, 1, 1, NOW), lookup(2, 1, 1, NOW), shown]);
    let found = search(engine, &of_child(1)).found;
    assert_eq!(found.len(), 2);
    for entry in &found {
        assert!(entry.shielded && entry.place.is_none());
        assert!(!format!("{entry:?}").contains("RZ1"), "{entry:?}");
    }
    for query in [
        AuditQuery { person: Some(user(1)), ..AuditQuery::default() },
        AuditQuery { organisation: Some(code(1)), ..AuditQuery::default() },
    ] {
        let page = search(engine, &query);
        assert!(page.shielded_left_out && page.found.len() == 1 && !page.found[0].shielded);
        // Whichever place it is: the answer is the same.
        let here = search(engine, &AuditQuery { child: Some(nhs(1)), ..query });
        let there = AuditQuery { organisation: Some(code(2)), ..of_child(1) };
        assert_eq!((here.found, here.looked_at), (search(engine, &there).found, search(engine, &there).looked_at));
    }
    // Shielded when it was answered, and not any more.
    let Decision::Answered { disclosed, counted } = lookup(3, 1, 1, NOW).decision else { unreachable!("a lookup") };
    let disclosed = Disclosed { shielded: true, ..disclosed };
    write(engine, [AuditEntry { decision: Decision::Answered { disclosed, counted }, ..lookup(3, 1, 1, NOW) }]);
    let found = search(engine, &of_child(3)).found;
    assert!(found[0].shielded && found[0].place.is_none());
    // Opened while it was: nothing was left out of that answer, and who opened it looked.
    let (reason, words) = (OpeningReason::MissingChild, OpeningWords::parse("seen at the station").unwrap());
    let disclosed = Disclosed { shielded: false, ..disclosed };
    let opened = Decision::Opened { disclosed, reason, words, queue: Uuid::from_u128(9) };
    write(engine, [AuditEntry { decision: opened, ..lookup(4, 1, 1, NOW) }]);
    let found = search(engine, &AuditQuery { lookups: true, ..of_child(4) }).found;
    assert!(found.len() == 1 && found[0].shielded && found[0].place.is_none());
}

#[test]
fn where_a_queue_of_openings_is_looked_into_is_not_told() {
    let place = Place::new();
    let engine = &place.engine;
    let done = |role, method, decision| {
        let call =
            Call { peer: Peer { organisation: code(1), role }, method, trace: None, person: PersonProof::NotAsked };
        AuditEntry::of_call(NOW, call, None, None, decision)
    };
    let reviewed = || Decision::OpeningReviewed(Uuid::from_u128(1), ReviewOutcome::Justified);
    write(
        engine,
        [
            done(Role::Safeguarding, Method::ListOpenings, Decision::Listed(1)),
            done(Role::Safeguarding, Method::ReviewOpening, reviewed()),
            done(Role::Auditor, Method::ListOpenings, Decision::Listed(1)),
        ],
    );
    let found = search(engine, &AuditQuery::default()).found;
    let told: Vec<bool> = found.iter().filter(|entry| entry.method.is_some()).map(|one| one.place.is_some()).collect();
    assert_eq!(told, [true, false, false], "newest first");
    let by_place = AuditQuery { organisation: Some(code(1)), ..AuditQuery::default() };
    let found = search(engine, &by_place).found;
    assert!(found.len() == 1 && found[0].role == Some(Role::Auditor), "{found:?}");
}

#[test]
fn how_much_an_authority_heard_is_not_told() {
    let place = Place::new();
    let engine = &place.engine;
    let done = |method, decision| {
        let peer = Peer { organisation: code(1), role: Role::LocalAuthority };
        let call = Call { peer, method, trace: None, person: PersonProof::NotAsked };
        AuditEntry::of_call(NOW, call, None, None, decision)
    };
    let changed = || Decision::Changed { acknowledged: 1, refused: 0 };
    let not_told = RefusalCode::of("ROLE_NOT_ALLOWED");
    write(
        engine,
        [
            done(Method::ListNotifications, Decision::Listed(3)),
            done(Method::AcknowledgeNotifications, changed()),
            done(Method::ListWithholdings, Decision::Listed(2)),
            done(Method::ListProposals, Decision::Listed(1)),
            done(Method::ListNotifications, Decision::Refused(not_told)),
            done(Method::ListOwnPlans, Decision::Listed(4)),
            done(Method::SubmitEvents, changed()),
        ],
    );
    let found = search(engine, &AuditQuery { organisation: Some(code(1)), ..AuditQuery::default() }).found;
    let told: Vec<_> = found.into_iter().rev().map(|entry| (entry.uncounted, entry.decision)).collect();
    let none = vec![(true, Decision::Listed(0)); 4];
    let as_it_is = |decision| (false, decision);
    let refused = vec![as_it_is(Decision::Refused(not_told))];
    assert_eq!(told, [none.clone(), refused, none[..2].to_vec()].concat(), "nor of what was sent or listed of many");
}

#[test]
fn which_entry_of_its_own_an_organisation_had_proven_is_not_told() {
    let place = Place::new();
    let engine = &place.engine;
    let proven = |role| {
        let call = Call {
            peer: Peer { organisation: code(1), role },
            method: Method::GetInclusionProof,
            trace: None,
            person: PersonProof::NotAsked,
        };
        AuditEntry::of_call(NOW, call, None, None, Decision::Proven { journal: 1, sequence: 77 })
    };
    write(engine, [proven(Role::Ed), proven(Role::Auditor)]);
    let found = search(engine, &AuditQuery { organisation: Some(code(1)), ..AuditQuery::default() }).found;
    let told: Vec<Decision> = found.into_iter().map(|entry| entry.decision).collect();
    let of = |sequence| Decision::Proven { journal: 1, sequence };
    assert_eq!(told, [of(77), of(0)], "newest first");
}

pub(super) fn looked(engine: &Engine, by: u32, child: u32) -> Option<usize> {
    let query = AuditQuery { lookups: true, ..of_child(child) };
    engine.search_audit(AuditScope::Own(authority(by)), &query, None, ALL, NOW).ok().map(|page| page.found.len())
}

#[tokio::test]
async fn an_authority_sees_who_looked_while_it_was_responsible_and_of_no_child_but_its_own() {
    let place = Place::new();
    let engine = &place.engine;
    for (by, child) in [(1, 1), (2, 2), (1, 3), (2, 3)] {
        place.event(by, event(by, child, 1)).await;
    }
    let nobody = |child| AuditEntry { responsible: Vec::new(), ..lookup(child, 1, 1, NOW) };
    let refused = |child| AuditEntry {
        decision: Decision::Refused(kith_domain::refusal_code::RefusalCode::of("ROLE_NOT_ALLOWED")),
        ..lookup(child, 1, 1, NOW)
    };
    write(engine, [lookup(1, 1, 1, NOW), lookup(1, 2, 2, NOW), nobody(1), refused(1), lookup(3, 1, 1, NOW)]);
    assert_eq!((looked(engine, 1, 1), looked(engine, 2, 1)), (Some(2), None));
    assert_eq!((looked(engine, 1, 2), looked(engine, 2, 2)), (None, Some(0)));
    // Both have a plan of the third, and one was responsible when it was asked for.
    assert_eq!((looked(engine, 1, 3), looked(engine, 2, 3)), (Some(1), Some(0)));
    assert_eq!(looked(engine, 1, 4), None, "about whom nothing is held");
    let whole = AuditQuery { lookups: true, ..AuditQuery::default() };
    let refused = engine.search_audit(AuditScope::Own(authority(1)), &whole, None, ALL, NOW);
    assert_eq!(refused, Err(AuditSearchError::NoPlanHeld), "nobody asks for every child");
    place.invalidate(1).await;
    assert_eq!(looked(engine, 1, 1), None, "the number may be that of before an adoption");
}

#[tokio::test]
async fn who_looked_up_a_shielded_child_is_for_those_who_shield() {
    let place = Place::new();
    let engine = &place.engine;
    place.event(1, event(1, 1, 1)).await;
    place.event(2, shielding(2, 1)).await;
    let resolved = AuditEntry { decision: Decision::Resolved(7), responsible: Vec::new(), ..lookup(1, 3, 3, NOW) };
    write(engine, [lookup(1, 1, 1, NOW), resolved]);
    assert_eq!((looked(engine, 1, 1), looked(engine, 2, 1)), (None, Some(2)), "whom a broker resolved was told of");
    let query = AuditQuery { lookups: true, ..of_child(1) };
    let page = engine.search_audit(AuditScope::Own(authority(2)), &query, None, ALL, NOW).unwrap();
    assert!(page.found.iter().all(|entry| entry.shielded && entry.place.is_none()));
}

#[test]
fn a_token_is_of_one_search_by_one_person() {
    let place = Place::new();
    let engine = &place.engine;
    let (peer, own) = (Peer { organisation: code(1), role: Role::Auditor }, user(9));
    let reader = (peer, &own);
    let query = AuditQuery { person: Some(user(1)), from: Some(NOW), ..of_child(1) };
    let token = engine.audit_page_token(reader, &query, 77);
    assert_eq!(engine.audit_page_before(reader, &query, &token), Some(77));
    for other in [
        AuditQuery { person: Some(user(2)), ..query.clone() },
        AuditQuery { child: Some(nhs(2)), ..query.clone() },
        AuditQuery { child: None, ..query.clone() },
        AuditQuery { organisation: Some(code(1)), ..query.clone() },
        AuditQuery { from: None, until: Some(NOW), ..query.clone() },
        AuditQuery { entry: Some(1), ..query.clone() },
        AuditQuery { local_key: Some((code(1), LocalKey::parse("A-1").unwrap())), ..query.clone() },
        AuditQuery { lookups: true, ..query.clone() },
    ] {
        assert_eq!(engine.audit_page_before(reader, &other, &token), None, "{other:?}");
    }
    let stranger = Peer { organisation: code(2), ..peer };
    assert_eq!(engine.audit_page_before((stranger, &own), &query, &token), None);
    assert_eq!(engine.audit_page_before((peer, &user(8)), &query, &token), None, "a colleague's");
    for bad in ["", "00", "zz", &token[2..], &format!("{token}00"), &token.replacen('4', "5", 1)] {
        assert_eq!(engine.audit_page_before(reader, &query, bad), None, "{bad}");
    }
}
