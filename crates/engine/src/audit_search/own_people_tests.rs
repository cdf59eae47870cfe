//! Who of an organisation's own people was told of a child: a safeguarding team sees them all, of a shielded child as of any other, and
//! of no other organisation's people anything.

use super::tests::{ALL, code, lookup, numbers, of_child, search, shielding, user, write};
use super::*;
use crate::audit_entry::{AuditRead, Code, Disclosed, TraceId};
use crate::audit_seen::Whom;
use crate::files::tests::place::{NOW, Place, authority, event, nhs, permit};
use kith_domain::caller::{Peer, Purpose, Role};
use kith_domain::change::{Change, IdentityAction, IdentityEvent};
use kith_domain::child::Subject;
use kith_domain::fields::FieldSet;
use kith_domain::method::Method;
use kith_domain::opening::OpeningReason;
use kith_domain::refusal_code::RefusalCode;
use kith_domain::text::OpeningWords;
use uuid::Uuid;

const ORDINARY: u32 = 1;
const SHIELDED: u32 = 2;
const ANOTHER: u32 = 3;
/// Two trusts.
const OURS: u32 = 1;
const THEIRS: u32 = 2;

/// An engine that knows of one shielded child.
async fn place() -> Place {
    let place = Place::new();
    place.event(1, event(1, ORDINARY, 1)).await;
    place.event(1, shielding(1, SHIELDED)).await;
    place
}

fn looks_at(child: u32) -> AuditQuery {
    AuditQuery { lookups: true, ..of_child(child) }
}

/// What the safeguarding team of a trust is shown of a child.
fn own(engine: &Engine, trust: u32, child: u32) -> AuditPage {
    own_page(engine, trust, &looks_at(child), (None, ALL))
}

fn own_page(engine: &Engine, trust: u32, query: &AuditQuery, page: (Option<u64>, AuditBounds)) -> AuditPage {
    engine.search_audit(AuditScope::OwnPeople(code(trust)), query, page.0, page.1, NOW).unwrap()
}

/// Entries of one worklist of a person of a trust.
fn worklist(trust: u32, children: &[u32]) -> Vec<AuditEntry> {
    let one = |(n, child): (i64, &u32)| AuditEntry {
        method: Some(Method::LookupMany),
        ..lookup(*child, trust, 1, Moment(NOW.0 + n))
    };
    (0..).zip(children).map(one).collect()
}

#[tokio::test]
async fn of_a_worklist_ones_own_people_are_seen_by_every_child_the_shielded_one_too() {
    let place = place().await;
    let engine = &place.engine;
    let ours = write(engine, worklist(OURS, &[ORDINARY, SHIELDED, ANOTHER]));
    let theirs = write(engine, worklist(THEIRS, &[SHIELDED]));
    for (child, entry) in [(ORDINARY, ours[0]), (SHIELDED, ours[1]), (ANOTHER, ours[2])] {
        let page = own(engine, OURS, child);
        assert_eq!(numbers(&page), [entry]);
        assert_eq!((page.own_people_only, page.together_left_out, page.shielded_left_out), (true, false, false));
        let seen = &page.found[0];
        assert_eq!((seen.about, seen.method), (Some(Whom::Asked(nhs(child))), Some(Method::LookupMany)));
        assert_eq!((seen.purpose, seen.shielded), (Some(Purpose::DirectCare), false));
        let place = seen.place.as_ref().expect("one's own");
        assert_eq!((place.organisation, place.request_id), (code(OURS), Some(Uuid::from_u128(7))));
        assert_eq!(place.person.as_ref().map(|person| person.user_id.as_str()), Some("user-1"));
    }
    assert_eq!(numbers(&own(engine, THEIRS, SHIELDED)), theirs, "each its own");
    assert!(own(engine, THEIRS, ORDINARY).found.is_empty() && own(engine, 3, SHIELDED).found.is_empty());
    // Whom it is hidden from, it stays hidden from.
    assert!(search(engine, &looks_at(SHIELDED)).found.is_empty(), "an auditor");
    let setter = engine.search_audit(AuditScope::Own(authority(1)), &looks_at(SHIELDED), None, ALL, NOW).unwrap();
    assert!(setter.found.is_empty() && setter.together_left_out && !setter.own_people_only, "who shields");
}

/// What a trust's people did about a child, of whom an answer tells much or, shielded, little.
fn told(child: u32, shielded: bool) -> Vec<AuditEntry> {
    let (plans, siblings) = if shielded { (Code::Held(3), 0) } else { (Code::CannotSay, 2) };
    let disclosed = Disclosed {
        identity: kith_domain::identity::IdentityCheck::NotGiven,
        plans,
        presentations: plans,
        shielded,
        siblings,
        mother: None,
    };
    let answered = Decision::Answered { disclosed, counted: shielded };
    let words = OpeningWords::parse("the child is missing").unwrap();
    let (reason, queue) = (OpeningReason::MissingChild, Uuid::from_u128(9));
    let opened = Decision::Opened { disclosed, reason, words, queue };
    // By a broker with the code of the same organisation: there is such an entry of a shielded child alone.
    let resolved = if shielded { Decision::Resolved(1) } else { Decision::Listed(1) };
    let all = [
        (Method::Lookup, answered.clone()),
        (Method::CheckIn, answered.clone()),
        (Method::LookupMany, answered.clone()),
        (Method::OpenShielded, if shielded { opened } else { answered }),
        (Method::ResolveReference, resolved),
        (Method::Lookup, Decision::Refused(RefusalCode::of("ROLE_NOT_ALLOWED"))),
    ];
    let entry = |(method, decision)| AuditEntry {
        method: Some(method),
        decision,
        trace: Some(TraceId([7; 16])),
        fields: if shielded { FieldSet::NONE } else { FieldSet::ALL },
        responsible: if shielded { vec![authority(2), authority(3)] } else { Vec::new() },
        shielded,
        ..lookup(child, OURS, 1, NOW)
    };
    all.into_iter().map(entry).collect()
}

/// Not one byte of it tells that the child is shielded, or anything that was told of it.
#[tokio::test]
async fn a_shielded_child_and_one_who_is_not_are_shown_alike_and_nothing_that_was_disclosed() {
    let (hidden, open) = (place().await, Place::new());
    open.event(1, event(1, ORDINARY, 1)).await;
    open.event(1, event(1, SHIELDED, 1)).await;
    write(&hidden.engine, told(SHIELDED, true));
    write(&open.engine, told(SHIELDED, false));
    assert!(hidden.engine.is_or_was_shielded(&Subject::Nhs(nhs(SHIELDED))), "it would not be shown to an auditor");
    let page = own(&hidden.engine, OURS, SHIELDED);
    assert_eq!(page, own(&open.engine, OURS, SHIELDED), "the same in every part, and in how much was looked at");
    let calls: Vec<_> = page.found.iter().filter_map(|seen| seen.method).collect();
    assert_eq!(calls, [Method::OpenShielded, Method::LookupMany, Method::CheckIn, Method::Lookup], "answers alone");
    for seen in &page.found {
        assert!(seen.uncounted && seen.changes.is_empty() && !seen.shielded);
        assert_eq!((&seen.decision, seen.fields), (&Decision::Listed(0), FieldSet::NONE));
        let place = seen.place.as_ref().expect("one's own");
        assert!(place.responsible.is_empty() && place.trace.is_none(), "no authority is told");
    }
}

/// What proved somebody stands with them: where the person is not told, neither is that.
#[tokio::test]
async fn who_was_proven_and_who_was_only_named_are_told_apart_wherever_they_are_told() {
    let place = place().await;
    let engine = &place.engine;
    let told = |page: AuditPage| -> Vec<_> {
        let person = |seen: SeenEntry| seen.place?.person.map(|person| (person.user_id, person.proven));
        page.found.into_iter().map(person).collect()
    };
    for child in [ORDINARY, SHIELDED] {
        let by = |person, person_proven| AuditEntry { person_proven, ..lookup(child, OURS, person, NOW) };
        write(engine, [by(1, false), by(2, true)]);
        let newest_first = [Some((user(2), true)), Some((user(1), false))];
        assert_eq!(told(own(engine, OURS, child)), newest_first, "their own team");
        let page = engine.search_audit(AuditScope::Own(authority(1)), &looks_at(child), None, ALL, NOW).unwrap();
        let expected = if child == SHIELDED { [None, None] } else { newest_first };
        assert_eq!(told(page), expected, "an authority, of a child without a shield");
    }
}

/// Where somebody gave both numbers, whoever asks for one is told of the other nothing.
#[tokio::test]
async fn a_mother_whose_number_was_given_is_seen_as_that_and_neither_leads_to_the_other() {
    let place = place().await;
    let engine = &place.engine;
    let mother = Some(MotherRead { subject: Subject::Nhs(nhs(SHIELDED)), responsible: vec![authority(1)] });
    write(engine, [AuditEntry { mother, ..lookup(ANOTHER, OURS, 1, NOW) }]);
    let told = |child| own(engine, OURS, child).found.into_iter().map(|seen| (seen.about, seen.mother, seen.as_mother));
    let baby: Vec<_> = told(ANOTHER).collect();
    assert_eq!(baby, [(Some(Whom::Asked(nhs(ANOTHER))), None, false)]);
    let mother: Vec<_> = told(SHIELDED).collect();
    assert_eq!(mother, [(None, Some(Whom::Asked(nhs(SHIELDED))), true)]);
    assert_eq!(told(ORDINARY).count(), 0);
}

/// What others wrote fills no page, and takes the place of nothing.
#[tokio::test]
async fn pages_end_by_ones_own_entries_alone() {
    let place = place().await;
    let engine = &place.engine;
    let of = |trust| move |n| lookup(SHIELDED, trust, n, NOW);
    let ours = write(engine, (0..2).map(of(OURS)));
    write(engine, (0..5).map(of(THEIRS)));
    let bounds = AuditBounds { given: 1, ..ALL };
    let first = own_page(engine, OURS, &looks_at(SHIELDED), (None, bounds));
    assert_eq!((numbers(&first), first.next_before), (vec![ours[1]], Some(ours[1])));
    let second = own_page(engine, OURS, &looks_at(SHIELDED), (first.next_before, bounds));
    assert_eq!((numbers(&second), second.next_before), (vec![ours[0]], Some(ours[0])));
    let last = own_page(engine, OURS, &looks_at(SHIELDED), (second.next_before, bounds));
    assert_eq!((last.found.len(), last.ended), (0, AuditEnded::Whole));
}

#[tokio::test]
async fn nobody_is_seen_without_a_child_and_every_number_may_be_asked_for() {
    let place = place().await;
    let engine = &place.engine;
    write(engine, [lookup(ORDINARY, OURS, 1, NOW), lookup(SHIELDED, OURS, 1, NOW)]);
    for query in [AuditQuery::default(), AuditQuery { lookups: true, ..AuditQuery::default() }] {
        assert!(own_page(engine, OURS, &query, (None, ALL)).found.is_empty(), "{query:?}");
    }
    place.invalidate(ORDINARY).await;
    let shown = |child| own(engine, OURS, child).found.len();
    assert_eq!([shown(ORDINARY), shown(SHIELDED), shown(ANOTHER)], [1, 1, 0], "a refusal would tell of the number");
}

/// A number that was replaced leads to the same person, and whose it is tells nothing of a shield either.
#[tokio::test]
async fn under_a_replaced_number_a_shielded_child_is_found_like_any_other_and_by_ones_own_people_alone() {
    let (hidden, open) = (place().await, Place::new());
    open.event(1, event(1, ORDINARY, 1)).await;
    open.event(1, event(1, SHIELDED, 1)).await;
    let mut pages = Vec::new();
    for engine in [&hidden.engine, &open.engine] {
        let replaced = IdentityEvent {
            organisation: OdsCode::parse("X26").unwrap(),
            event_id: Uuid::from_u128(8),
            subject: Subject::Nhs(nhs(ANOTHER)),
            version: 1,
            action: IdentityAction::ReplacedBy(nhs(SHIELDED)),
            proposal: None,
        };
        let verdicts = engine.change(&permit(1), NOW, vec![Change::Identity(replaced)]).await;
        assert!(verdicts[0].is_ok(), "{verdicts:?}");
        let asked = [(ANOTHER, OURS), (SHIELDED, OURS), (ANOTHER, THEIRS), (ORDINARY, OURS)];
        write(engine, asked.map(|(child, trust)| lookup(child, trust, 1, NOW)));
        pages.push([SHIELDED, ANOTHER].map(|child| own(engine, OURS, child)));
    }
    assert_eq!(pages[0], pages[1]);
    for (page, asked) in pages[0].iter().zip([SHIELDED, ANOTHER]) {
        let of_number = page.found.iter().filter(|seen| seen.about == Some(Whom::Asked(nhs(asked)))).count();
        let of_person = page.found.iter().filter(|seen| matches!(seen.about, Some(Whom::SamePerson(_)))).count();
        assert_eq!((page.found.len(), of_number, of_person), (2, 1, 1), "{page:?}");
    }
}

/// Whoever has a certificate of either role and one name goes on where they were in that role alone.
#[tokio::test]
async fn a_page_token_of_a_team_is_none_of_an_auditor_or_of_another_team() {
    let place = place().await;
    let query = looks_at(SHIELDED);
    let of = |trust, role| Peer { organisation: code(trust), role };
    let (team, person) = (of(OURS, Role::Safeguarding), user(1));
    let token = place.engine.audit_page_token((team, &person), &query, 7);
    let goes_on = |peer| place.engine.audit_page_before((peer, &person), &query, &token);
    assert_eq!(goes_on(team), Some(7));
    for other in [of(OURS, Role::Auditor), of(OURS, Role::LocalAuthority), of(THEIRS, Role::Safeguarding)] {
        assert_eq!(goes_on(other), None, "{other:?}");
    }
}

/// What a team was given counts what an auditor is shown without a place, or not at all, and the team's own place is told where the
/// child that it asked about is not shielded.
#[tokio::test]
async fn what_a_team_read_is_told_to_an_auditor_without_how_much_and_when_whoever_it_was_about() {
    let place = place().await;
    let engine = &place.engine;
    let mother = Some(MotherRead { subject: Subject::Nhs(nhs(ORDINARY)), responsible: Vec::new() });
    let baby = AuditEntry { mother, ..lookup(SHIELDED, OURS, 1, NOW) };
    write(engine, [baby.clone(), AuditEntry { method: Some(Method::LookupMany), ..baby }]);
    assert_eq!(own(engine, OURS, ORDINARY).found.len(), 2, "a team is given both by the mother, who is not shielded");
    let found = search(engine, &looks_at(ORDINARY)).found;
    assert!(matches!(&found[..], [SeenEntry { place: None, as_mother: true, .. }]), "an auditor sees one, placeless");

    let read = || AuditRead {
        person: None,
        organisation: None,
        from: Some(NOW),
        until: Some(NOW.plus_seconds(60)),
        entry: None,
        given: 2,
        looked_at: 40,
    };
    let reading = |child, role| AuditEntry {
        method: Some(Method::WhoLooked),
        role: Some(role),
        decision: Decision::AuditRead(Box::new(read())),
        responsible: Vec::new(),
        ..lookup(child, OURS, 1, NOW)
    };
    let (team, auditor) = (Role::Safeguarding, Role::Auditor);
    let whole = || (false, Decision::AuditRead(Box::new(read())));
    for child in [SHIELDED, ORDINARY] {
        let written = write(engine, [reading(child, team), reading(child, auditor)]);
        let found = search(engine, &of_child(child)).found.into_iter();
        let readings = found.filter(|seen| written.contains(&seen.reference.sequence));
        let told: Vec<_> = readings.map(|seen| (seen.uncounted, seen.decision)).collect();
        assert_eq!(told, [whole(), (true, Decision::Listed(0))], "an auditor's own counts what auditors see");
        let of_readings =
            own(engine, OURS, child).found.into_iter().filter(|seen| seen.method == Some(Method::WhoLooked));
        assert_eq!(of_readings.count(), 0, "who reads is not who looked");
    }
}
