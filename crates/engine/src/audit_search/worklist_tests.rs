//! A worklist is many entries of one call, a moment apart. What is shown of one of them tells nobody where a shielded child among them
//! was asked about: in no view are two put side by side of which one has a place and the other says whose it is.

use super::tests::{ALL, code, looked, lookup, numbers, of_child, search, shielding, user, write};
use super::*;
use crate::audit_entry::{Code, Disclosed, TraceId};
use crate::audit_seen::Whom;
use crate::files::tests::place::{NOW, Place, authority, event, nhs};
use kith_domain::child::Subject;
use kith_domain::method::Method;
use kith_domain::refusal_code::RefusalCode;
use kith_domain::text::WithholdingWords;
use kith_domain::withholding::WithholdingReason;

const ORDINARY: u32 = 1;
const SHIELDED: u32 = 2;
const ANOTHER: u32 = 3;

/// Entries of one worklist of a person at a trust, a millisecond after one another.
fn worklist(children: &[u32]) -> Vec<AuditEntry> {
    let one = |(n, child): (i64, &u32)| AuditEntry {
        method: Some(Method::LookupMany),
        trace: Some(TraceId([7; 16])),
        ..lookup(*child, 1, 1, Moment(NOW.0 + n))
    };
    (0..).zip(children).map(one).collect()
}

/// An engine that knows of one shielded child.
async fn place() -> Place {
    let place = Place::new();
    place.event(1, event(1, ORDINARY, 1)).await;
    place.event(1, shielding(1, SHIELDED)).await;
    place
}

/// Calls that several children may be asked about in, of what was found.
fn of_calls(page: &AuditPage) -> Vec<&SeenEntry> {
    page.found.iter().filter(|entry| is_of_several(entry.method)).collect()
}

#[tokio::test]
async fn by_a_shielded_child_none_of_a_worklist_is_found_and_by_every_other_its_own() {
    let place = place().await;
    let engine = &place.engine;
    let all = write(engine, worklist(&[ORDINARY, SHIELDED, ANOTHER]));
    for (child, expected) in [(ORDINARY, vec![all[0]]), (SHIELDED, vec![]), (ANOTHER, vec![all[2]])] {
        let own = AuditQuery { organisation: Some(code(1)), ..of_child(child) };
        let range = AuditQuery { from: Some(NOW), until: Some(NOW.plus_seconds(1)), ..of_child(child) };
        let by_number = AuditQuery { entry: Some(all[1]), ..of_child(child) };
        for query in [of_child(child), AuditQuery { lookups: true, ..of_child(child) }, own, range] {
            let page = search(engine, &query);
            assert_eq!(numbers(&page), expected, "{query:?}");
            assert!(page.together_left_out, "it is said of every child: {query:?}");
        }
        assert!(search(engine, &by_number).found.is_empty(), "nor by the reference beside the child");
    }
    // Whoever asks for an ordinary child is told everything of it.
    let found = search(engine, &of_child(ORDINARY)).found;
    assert!(matches!(found[0].decision, Decision::Answered { .. }) && !found[0].uncounted && found[0].place.is_some());
    assert_eq!(found[0].about, Some(Whom::Asked(nhs(ORDINARY))));
}

/// The disclosed codes of a child in a worklist are as good as its name beside those of another answer about it.
#[tokio::test]
async fn whoever_asks_for_no_child_is_shown_all_of_a_worklist_alike() {
    let place = place().await;
    let engine = &place.engine;
    let mut entries = worklist(&[ORDINARY, SHIELDED, ANOTHER]);
    let disclosed = Disclosed {
        identity: kith_domain::identity::IdentityCheck::NotGiven,
        plans: Code::Held(4),
        presentations: Code::CannotSay,
        shielded: true,
        siblings: 3,
        mother: Some(Code::Held(1)),
    };
    entries[1].decision = Decision::Answered { disclosed, counted: false };
    entries[1].responsible = vec![authority(2)];
    entries[1].mother = Some(MotherRead { subject: Subject::Nhs(nhs(9)), responsible: Vec::new() });
    entries[1].shielded = true;
    let all = write(engine, entries);
    let by_person = AuditQuery { person: Some(user(1)), ..AuditQuery::default() };
    let by_organisation = AuditQuery { organisation: Some(code(1)), ..AuditQuery::default() };
    let by_time = AuditQuery { from: Some(NOW), until: Some(NOW.plus_seconds(1)), ..AuditQuery::default() };
    for query in [AuditQuery::default(), by_person, by_organisation, by_time] {
        let page = search(engine, &query);
        let found = of_calls(&page);
        assert_eq!(found.len(), 3, "a number that is passed over would tell as much: {query:?}");
        for entry in found {
            assert!(entry.uncounted && !entry.shielded && (entry.about, entry.mother) == (None, None), "{entry:?}");
            assert_eq!(entry.decision, Decision::Listed(0));
            let place = entry.place.as_ref().expect("who asked");
            assert!(place.person.is_some() && place.request_id.is_some() && place.responsible.is_empty());
        }
    }
    for number in all {
        let page = search(engine, &AuditQuery { entry: Some(number), ..AuditQuery::default() });
        let [entry] = &page.found[..] else { panic!("{:?}", page.found) };
        assert!(entry.place.is_some() && entry.about.is_none() && !entry.shielded, "by its reference too");
    }
}

#[tokio::test]
async fn an_authority_is_told_of_no_worklist_with_a_child_that_it_shields() {
    let place = place().await;
    let engine = &place.engine;
    write(engine, worklist(&[ORDINARY, SHIELDED]));
    write(engine, [lookup(SHIELDED, 1, 1, NOW)]);
    assert_eq!((looked(engine, 1, ORDINARY), looked(engine, 1, SHIELDED)), (Some(1), Some(1)), "one call of its own");
    let query = AuditQuery { lookups: true, ..of_child(SHIELDED) };
    let page = engine.search_audit(AuditScope::Own(authority(1)), &query, None, ALL, NOW).unwrap();
    assert!(page.together_left_out && page.found[0].method == Some(Method::Lookup));
}

/// What was written while the child was shielded stays what it was.
#[tokio::test]
async fn a_mark_and_a_shielded_mother_keep_an_entry_of_a_worklist_from_every_child() {
    let place = place().await;
    let engine = &place.engine;
    let [mut marked, mut of_mother, after] = <[AuditEntry; 3]>::try_from(worklist(&[4, 5, 4])).unwrap();
    marked.shielded = true;
    of_mother.mother = Some(MotherRead { subject: Subject::Nhs(nhs(SHIELDED)), responsible: Vec::new() });
    let all = write(engine, [marked, of_mother, after]);
    assert_eq!(numbers(&search(engine, &of_child(4))), [all[2]], "the shield was lifted when it was asked about again");
    assert!(search(engine, &of_child(5)).found.is_empty() && search(engine, &of_child(SHIELDED)).found.is_empty());
}

/// Of each kind of entry that stands beside others of one call.
#[tokio::test]
async fn what_was_refused_of_a_worklist_or_carried_over_at_a_birth_is_shown_likewise() {
    let place = place().await;
    let engine = &place.engine;
    let code = RefusalCode::of("BAD_DATE");
    let (reason, look_again) = (WithholdingReason::HarmToChild, NOW.london_day().plus_days(30));
    let words = WithholdingWords::parse("the father looks for her").unwrap();
    let kinds = [
        (Method::LookupMany, Decision::Refused(code)),
        (Method::LookupMany, Decision::RefusedMany { code, count: 3, first: NOW, last: NOW }),
        (Method::SubmitEvents, Decision::Withheld { reason, words, look_again }),
    ];
    for (method, decision) in kinds {
        let of = |child| AuditEntry {
            method: Some(method),
            decision: decision.clone(),
            responsible: Vec::new(),
            ..lookup(child, 1, 1, NOW)
        };
        let all = write(engine, [of(ORDINARY), of(SHIELDED)]);
        assert!(search(engine, &of_child(SHIELDED)).found.is_empty(), "{decision:?}");
        assert_eq!(search(engine, &of_child(ORDINARY)).found[0].decision, decision, "all of one's own");
        let shown = |number: u64| {
            let found = search(engine, &AuditQuery { entry: Some(number), ..AuditQuery::default() }).found.remove(0);
            assert!(found.place.is_some() && found.about.is_none(), "{found:?}");
            (found.decision, found.uncounted, found.shielded)
        };
        assert_eq!(shown(all[0]), shown(all[1]), "{decision:?}");
    }
}

/// The answer may be one of a worklist.
#[tokio::test]
async fn which_answer_a_broker_resolved_is_not_told() {
    let place = place().await;
    let engine = &place.engine;
    let all = write(engine, worklist(&[ORDINARY, SHIELDED]));
    write(engine, [AuditEntry { decision: Decision::Resolved(all[1]), ..lookup(SHIELDED, 3, 3, NOW) }]);
    let found = search(engine, &of_child(SHIELDED)).found;
    let told: Vec<&Decision> = found.iter().map(|entry| &entry.decision).collect();
    assert_eq!(told, [&Decision::Resolved(0)]);
}
