//! Openings against a real store, with the moment as an argument: one viewing each, the queue, the limits, reviews, restarts
//! and the purge.

use crate::audit_entry::{AuditEntry, Decision};
use crate::files::tests::place::*;
use crate::openings::{CountedRow, OpeningRow, ReviewRow};
use crate::rows::{decode, encode};
use crate::{Asked, OpeningError, ReadError, SentReview, Verdict, Viewing, WhyOpened};
use kith_domain::answer::{Body, Question};
use kith_domain::caller::{Caller, CareContext, Peer, Purpose, Role};
use kith_domain::change::{Change, LogRecord, PlanEvent};
use kith_domain::child::Subject;
use kith_domain::codes::OdsCode;
use kith_domain::method::Method;
use kith_domain::opening::{
    CountedOpening, LIMIT_REACHED, Opening, OpeningLimits, OpeningReason, OpeningReview, ReviewOutcome,
};
use kith_domain::permit::authorise_action;
use kith_domain::policy::Policy;
use kith_domain::refusal_code::RefusalCode;
use kith_domain::text::{OpeningWords, PersonText, RoleCode, UserId};
use kith_domain::time::{Day, Moment};
use uuid::Uuid;

const LIMITS: OpeningLimits = OpeningLimits { window_seconds: 3_600, per_person: 2, per_organisation: 3 };
const SAID: &str = "seen with a stranger at the station";
/// A child who is shielded, and one who is not.
const SHIELDED: u32 = 1;
const ORDINARY: u32 = 2;

fn trust(code: &str) -> OdsCode {
    OdsCode::parse(code).unwrap()
}

fn caller(organisation: &str, user: &str, purpose: Purpose) -> Caller {
    Caller {
        user_id: UserId::parse(user).unwrap(),
        user_name: PersonText::parse("A Lead").unwrap(),
        user_role: PersonText::parse("Safeguarding lead").unwrap(),
        role_code: RoleCode::parse("R8000").unwrap(),
        purpose,
        organisation: trust(organisation),
    }
}

async fn place() -> Place {
    let place = Place::new();
    place.event(1, PlanEvent { shielded: true, ..event(1, SHIELDED, 1) }).await;
    place.event(1, event(1, ORDINARY, 1)).await;
    place
}

fn asked(n: u32, (organisation, user): (&str, &str), at: Moment) -> Asked {
    let peer = Peer { organisation: trust(organisation), role: Role::Safeguarding };
    let birth_date = Some(day("2018-03-04"));
    let question = Question {
        subject: Subject::Nhs(nhs(n)),
        number_traced: true,
        birth_date,
        checking_in: None,
        now: at,
        mother: None,
    };
    Asked {
        peer,
        caller: caller(organisation, user, Purpose::ChildProtectionEnquiry),
        context: CareContext::Unscheduled,
        question,
        request_id: Uuid::new_v4(),
        method: Method::OpenShielded,
        trace: None,
        person_proven: false,
    }
}

fn why() -> WhyOpened {
    let (reason, words) = (OpeningReason::MissingChild, OpeningWords::parse(SAID).unwrap());
    WhyOpened { reference: Uuid::new_v4(), reason, words, limits: LIMITS }
}

async fn open(place: &Place, n: u32, by: (&str, &str), at: Moment) -> Result<Viewing, OpeningError> {
    place.engine.open_shielded(asked(n, by, at), why()).await
}

/// The reason of what was not opened.
fn reason(found: Result<Viewing, OpeningError>) -> &'static str {
    match found {
        Ok(viewing) => panic!("it was opened: {viewing:?}"),
        Err(OpeningError::NotOpened(refused)) => refused.reason,
        Err(OpeningError::Read(ReadError::Refused(refused))) => refused.reason(),
        Err(OpeningError::Read(ReadError::Audit(error))) => panic!("{error}"),
    }
}

fn waiting(place: &Place, organisation: &str, role: Role) -> Vec<Uuid> {
    let peer = Peer { organisation: trust(organisation), role };
    let permit = authorise_action(&Policy::builtin(), peer, None, Method::ListOpenings).unwrap();
    let page = place.engine.unreviewed(&permit, None, 100);
    assert_eq!(page.next_after, None);
    page.openings.iter().map(|one| one.reference).collect()
}

async fn review(place: &Place, by: (&str, &str, Role), reference: Uuid, at: Moment) -> Verdict {
    let (organisation, user, role) = by;
    let peer = Peer { organisation: trust(organisation), role };
    let caller = caller(organisation, user, Purpose::SafeguardingReview);
    let permit = authorise_action(&Policy::builtin(), peer, Some(&caller), Method::ReviewOpening).unwrap();
    let sent = SentReview { event_id: Uuid::new_v4(), reference, outcome: ReviewOutcome::Justified };
    place.engine.review_opening(&permit, &caller, at, sent).await
}

/// Decisions of the audit since the start.
fn decisions(place: &Place) -> Vec<Decision> {
    let synced = || place.engine.journal().window().unsynced == 0;
    while !synced() {
        std::thread::yield_now();
    }
    let entries = place.engine.journal().read_from(1, 1_000).unwrap();
    let decision = |bytes: &[u8]| decode::<AuditEntry>(bytes).unwrap().decision;
    entries.iter().map(|(_, bytes)| decision(bytes)).filter(|found| *found != Decision::Started).collect()
}

#[tokio::test]
async fn one_viewing_shows_the_record_and_leaves_an_entry_that_names_no_child() {
    let place = place().await;
    let viewing = open(&place, SHIELDED, ("R1H", "s1"), NOW).await.unwrap();
    assert!(matches!(viewing.answered.answer.body, Body::Opened(_)));
    let queue = viewing.queued.unwrap();
    assert_eq!(waiting(&place, "R1H", Role::Safeguarding), [queue]);
    let counts = place.engine.opening_counts();
    assert_eq!((counts.unreviewed, counts.oldest, counts.over_limit), (1, Some(NOW), 0));

    let again =
        place.engine.ask(Asked { method: Method::Lookup, ..asked(SHIELDED, ("R1H", "s1"), NOW) }).await.unwrap();
    assert!(matches!(again.answer.body, Body::Shielded(_)), "it is shut again");
    let as_a_question = place.engine.ask(asked(SHIELDED, ("R1H", "s1"), NOW)).await.unwrap();
    assert!(matches!(as_a_question.answer.body, Body::Shielded(_)), "no question opens it, whatever call it is named");
    let all = decisions(&place);
    let Some(opened) = all.first() else { panic!("no entry") };
    let Decision::Opened { disclosed, reason, words, queue: referred } = opened else { panic!("{opened:?}") };
    assert!(disclosed.shielded);
    assert_eq!((*reason, words.as_str(), *referred), (OpeningReason::MissingChild, SAID, queue));
    let text = format!("{all:?}");
    assert!(!text.contains("stranger") && !text.contains(&nhs(SHIELDED).digits()), "{text}");
}

#[tokio::test]
async fn the_authority_hears_of_it_as_of_any_question_and_without_a_place() {
    let place = place().await;
    let viewing = open(&place, SHIELDED, ("R1H", "s1"), NOW).await.unwrap();
    let wanted = viewing.answered.reference.sequence;
    while place.engine.positions().derived_through < wanted {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let page = place.engine.notifications(&permit(1), 0, 10, false).unwrap();
    let [told] = &page.notifications[..] else { panic!("{page:?}") };
    assert!(told.notification.shielded);
    assert_eq!(place.record(SHIELDED).unwrap().accesses.len(), 1);
}

#[tokio::test]
async fn what_is_not_shielded_or_not_confirmed_is_answered_and_queued_nowhere() {
    let place = place().await;
    let ordinary = open(&place, ORDINARY, ("R1H", "s1"), NOW).await.unwrap();
    assert!(matches!(ordinary.answered.answer.body, Body::Open(_)));
    let mut other = asked(SHIELDED, ("R1H", "s1"), NOW);
    other.question.birth_date = Some(day("2011-11-11"));
    let withheld = place.engine.open_shielded(other, why()).await.unwrap();
    assert_eq!(withheld.answered.answer.body, Body::IdentityNotConfirmed);
    assert_eq!((ordinary.queued, withheld.queued), (None, None));
    assert!(waiting(&place, "R1H", Role::Auditor).is_empty());
    let answered = |found: &Decision| matches!(found, Decision::Answered { counted: true, .. });
    assert!(decisions(&place).iter().all(answered));
    for at in 0..5 {
        open(&place, ORDINARY, ("R1H", "s1"), NOW.plus_seconds(at)).await.unwrap();
    }
    open(&place, SHIELDED, ("R1H", "s1"), NOW).await.unwrap();
}

#[tokio::test]
async fn a_person_and_an_organisation_reach_their_limits_and_a_restart_forgets_none() {
    let place = place().await;
    for second in 0..2 {
        open(&place, SHIELDED, ("R1H", "s1"), NOW.plus_seconds(second)).await.unwrap();
    }
    let limit = LIMIT_REACHED.reason;
    assert_eq!(reason(open(&place, SHIELDED, ("R1H", "s1"), NOW.plus_seconds(2)).await), limit, "the person's");
    assert_eq!(reason(open(&place, ORDINARY, ("R1H", "s1"), NOW.plus_seconds(2)).await), limit, "whoever it is");
    open(&place, SHIELDED, ("R1H", "s2"), NOW.plus_seconds(3)).await.unwrap();
    assert_eq!(reason(open(&place, SHIELDED, ("R1H", "s3"), NOW.plus_seconds(4)).await), limit, "the organisation's");
    open(&place, SHIELDED, ("RRK", "s1"), NOW.plus_seconds(4)).await.unwrap();
    assert_eq!(place.engine.opening_counts().over_limit, 3);
    let refused =
        decisions(&place).into_iter().filter(|found| matches!(found, Decision::Refused(code) if code.word() == limit));
    assert_eq!(refused.count(), 3, "each is in the audit");

    let before = waiting(&place, "R1H", Role::Auditor);
    assert_eq!(before.len(), 4);
    let place = place.reopened();
    assert_eq!(waiting(&place, "R1H", Role::Auditor), before);
    assert_eq!(reason(open(&place, SHIELDED, ("R1H", "s3"), NOW.plus_seconds(3_599)).await), limit);
    open(&place, SHIELDED, ("R1H", "s3"), NOW.plus_seconds(3_600)).await.unwrap();
    place.hash();
}

/// They all look before any is written: the one writer lets no more through than may be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_are_no_more_than_the_limit() {
    let place = std::sync::Arc::new(place().await);
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let place = std::sync::Arc::clone(&place);
            tokio::spawn(async move { open(&place, SHIELDED, ("R1H", "s1"), NOW).await.is_ok() })
        })
        .collect();
    let mut opened = 0;
    for call in calls {
        opened += u32::from(call.await.unwrap());
    }
    assert_eq!((opened, waiting(&place, "R1H", Role::Safeguarding).len()), (LIMITS.per_person, 2));
    let (mut refused, mut entries) = (0, 0);
    for found in decisions(&place) {
        let alone = u64::from(matches!(found, Decision::Refused(_)));
        let count = if let Decision::RefusedMany { count, .. } = found { count } else { alone };
        refused += count;
        entries += u64::from(count > 0);
    }
    assert_eq!(refused, 18, "each is counted");
    assert!(entries < 10, "a burst of them is few entries: {entries}");
    let all = place.engine.journal().read_from(1, 1_000).unwrap();
    let all = all.iter().map(|(_, bytes)| decode::<AuditEntry>(bytes).unwrap());
    let mut counted = all.filter(|entry| matches!(entry.decision, Decision::RefusedMany { .. }));
    assert!(counted.all(|entry| place.engine.tells_of_shielded(&entry)), "none tells where, as the first does not");
}

#[tokio::test]
async fn who_is_not_granted_it_opens_nothing_and_is_audited() {
    let place = place().await;
    let mut ed = asked(SHIELDED, ("R1H", "s1"), NOW);
    ed.peer.role = Role::Ed;
    assert_eq!(reason(place.engine.open_shielded(ed, why()).await), "ROLE_NOT_ALLOWED");
    let silent = Asked { context: CareContext::Scheduled, ..asked(SHIELDED, ("R1H", "s1"), NOW) };
    assert_eq!(reason(place.engine.open_shielded(silent, why()).await), "SCHEDULED_NOT_ALLOWED");
    let mut review = asked(SHIELDED, ("R1H", "s1"), NOW);
    review.caller.purpose = Purpose::SafeguardingReview;
    assert_eq!(reason(place.engine.open_shielded(review, why()).await), "PURPOSE_NOT_ALLOWED");
    let all = decisions(&place);
    assert!(all.len() == 3 && all.iter().all(|found| matches!(found, Decision::Refused(_))), "{all:?}");
    assert_eq!(place.engine.opening_counts(), crate::OpeningCounts::default());
}

#[tokio::test]
async fn somebody_else_of_the_organisation_reviews_it_once_and_no_auditor() {
    let place = place().await;
    let mut queued = Vec::new();
    for (second, user) in (0..).zip(["s1", "s2"]) {
        queued.extend(open(&place, SHIELDED, ("R1H", user), NOW.plus_seconds(second)).await.unwrap().queued);
    }
    let of = |verdict: Verdict| verdict.map_err(|refused| refused.reason).map(|_| ());
    let safeguarding = Role::Safeguarding;
    assert_eq!(of(review(&place, ("R1H", "s1", safeguarding), queued[0], NOW).await), Err("OWN_OPENING"));
    assert_eq!(of(review(&place, ("RRK", "s2", safeguarding), queued[0], NOW).await), Err("OPENING_UNKNOWN"));
    assert_eq!(of(review(&place, ("R1H", "s2", safeguarding), Uuid::new_v4(), NOW).await), Err("OPENING_UNKNOWN"));
    assert!(waiting(&place, "RRK", safeguarding).is_empty(), "another organisation's are not shown");
    assert_eq!(of(review(&place, ("R1H", "s2", safeguarding), queued[0], NOW).await), Ok(()));
    assert_eq!(of(review(&place, ("R1H", "s3", safeguarding), queued[0], NOW).await), Err("OPENING_REVIEWED"));
    assert_eq!(waiting(&place, "R1H", safeguarding), queued[1..]);
    let (auditor, by) = (Role::Auditor, caller("R1H", "a1", Purpose::SafeguardingReview));
    let peer = Peer { organisation: trust("R1H"), role: auditor };
    assert!(authorise_action(&Policy::builtin(), peer, Some(&by), Method::ReviewOpening).is_err());
    assert_eq!(waiting(&place, "X26", auditor), queued[1..], "an auditor sees that it waits");
    assert_eq!(of(review(&place, ("R1H", "s1", safeguarding), queued[1], NOW).await), Ok(()));
    let place = place.reopened();
    assert!(waiting(&place, "R1H", safeguarding).is_empty(), "a restart brings none back");
    place.hash();
}

#[tokio::test]
async fn the_queue_is_read_in_pages_oldest_first() {
    let place = place().await;
    let mut queued = Vec::new();
    for (second, user) in [(2, "s1"), (1, "s1"), (3, "s2")] {
        let at = NOW.plus_seconds(second);
        queued.push((at, open(&place, SHIELDED, ("R1H", user), at).await.unwrap().queued.unwrap()));
    }
    queued.sort_unstable();
    let peer = Peer { organisation: trust("R1H"), role: Role::Safeguarding };
    let permit = authorise_action(&Policy::builtin(), peer, None, Method::ListOpenings).unwrap();
    let first = place.engine.unreviewed(&permit, None, 2);
    assert_eq!(first.next_after, Some(queued[1]));
    let second = place.engine.unreviewed(&permit, first.next_after, 2);
    assert_eq!(second.next_after, None);
    let read = first.openings.iter().chain(&second.openings).map(|one| (one.at, one.reference));
    assert_eq!(read.collect::<Vec<_>>(), queued);
}

#[tokio::test]
async fn an_auditor_is_told_no_organisation_no_time_and_no_order() {
    let place = place().await;
    for (second, by) in (0..).zip([("R1H", "s1"), ("RRK", "s1"), ("R1H", "s2")]) {
        open(&place, SHIELDED, by, NOW.plus_seconds(second)).await.unwrap();
    }
    let peer = Peer { organisation: trust("X26"), role: Role::Auditor };
    let permit = authorise_action(&Policy::builtin(), peer, None, Method::ListOpenings).unwrap();
    let (mut listed, mut after) = (Vec::new(), None);
    for more in [true, false] {
        let page = place.engine.unreviewed(&permit, after, 2);
        assert_eq!(page.next_after.is_some(), more);
        (after, listed) = (page.next_after, [listed, page.openings].concat());
    }
    let day = NOW.london_day().utc_start();
    assert!(listed.iter().all(|one| (one.at, one.organisation) == (day, None)), "{listed:?}");
    let references: Vec<Uuid> = listed.iter().map(|one| one.reference).collect();
    assert!(references.len() == 3 && references.is_sorted(), "by what is random: {references:?}");
}

#[tokio::test]
async fn what_was_reviewed_is_purged_and_what_nobody_reviewed_stays() {
    let place = place().await;
    let [reviewed, open_one] = [("R1H", "s1"), ("RRK", "s1")];
    let reviewed = open(&place, SHIELDED, reviewed, NOW).await.unwrap().queued.unwrap();
    let left = open(&place, SHIELDED, open_one, NOW).await.unwrap().queued.unwrap();
    review(&place, ("R1H", "s2", Role::Safeguarding), reviewed, NOW).await.unwrap();
    let rows = |place: &Place| {
        let mut keys = Vec::new();
        let scanned = place.engine.store.scan(kith_store::Table::Opening, &[], &[], &mut |key, _| {
            keys.push(key.to_vec());
            std::ops::ControlFlow::Continue(())
        });
        scanned.unwrap();
        keys
    };
    assert_eq!(rows(&place).len(), 4, "two openings, and what counts for two organisations");
    let purge = async |days: i64| {
        let later = days_on(days);
        // Something is told of that day, else the clock would not be believed.
        let (start, n) = (Some(later.london_day()), 10 + u32::try_from(days).unwrap());
        let told = Change::Plan(PlanEvent { start, ..event(1, n, 1) });
        place.engine.change(&permit(1), later, vec![told]).await.remove(0).unwrap();
        std::thread::scope(|scope| scope.spawn(|| place.engine.purge(later)).join().unwrap()).unwrap();
        rows(&place)
    };
    assert_eq!(purge(8).await.len(), 4);
    assert_eq!(purge(10).await.len(), 2, "no window is as long as that");
    assert_eq!(purge(90).await.len(), 2);
    assert_eq!(purge(92).await, [crate::keys::opening(left)]);
    assert_eq!(waiting(&place, "R1H", Role::Auditor), [left]);
    let place = place.reopened();
    assert_eq!(waiting(&place, "R1H", Role::Auditor), [left]);
    place.hash();
}

#[test]
fn what_is_stored_has_these_bytes() {
    let (organisation, role, reason) = (trust("R1H"), Role::Safeguarding, OpeningReason::CourtOrder);
    let (at, opener, reference) = (Moment(1_000), [7; 16], Uuid::from_u128(1));
    let limits = OpeningLimits { window_seconds: 300, per_person: 1, per_organisation: 2 };
    let opening = Opening { reference, organisation, role, reason, opener, limits };
    let outcome = ReviewOutcome::TakenFurther;
    let (event_id, reviewer) = (Uuid::from_u128(2), [8; 16]);
    let reviewed = OpeningReview { organisation, role, event_id, reference, outcome, reviewer };
    let review = Some(ReviewRow { at, outcome });
    let row = OpeningRow { at, organisation, role, reason, opener, review };
    let counted = CountedRow { openings: vec![CountedOpening { at, opener }] };
    let decided = Decision::OpeningReviewed(reference, outcome);
    let found = [
        hex::encode(encode(&LogRecord { at, change: Change::Opened(opening) }).unwrap()),
        hex::encode(encode(&LogRecord { at, change: Change::OpeningReviewed(reviewed) }).unwrap()),
        hex::encode(encode(&row).unwrap()),
        hex::encode(encode(&counted).unwrap()),
        hex::encode(encode(&AuditEntry::of_service(at, decided)).unwrap()),
    ];
    assert_eq!(found, KEPT_BYTES);
    assert_eq!(Day::new(1970, 1, 1).unwrap(), at.london_day());
}

const KEPT_BYTES: [&str; 5] = [
    "01d00f10100000000000000000000000000000000103523148040307070707070707070707070707070707ac020102",
    concat!(
        "01d00f110352314804100000000000000000000000000000000210000000000000000000000000000000010208080808",
        "080808080808080808080808",
    ),
    "01d00f0352314804030707070707070707070707070707070701d00f02",
    "0101d00f07070707070707070707070707070707",
    "01d00f0000000000000e10000000000000000000000000000000010200000000000000",
];

#[tokio::test]
async fn an_opening_in_the_queue_whose_entry_fails_is_told_as_refused_under_its_reference() {
    let place = place().await;
    place.engine.untold.trouble.set(true);
    let failed = open(&place, SHIELDED, ("R1H", "s1"), NOW).await;
    assert!(matches!(failed, Err(OpeningError::Read(ReadError::Audit(_)))), "nothing was shown");
    let [reference] = waiting(&place, "R1H", Role::Safeguarding)[..] else { panic!("one in the queue") };
    place.engine.untold.trouble.set(false);
    assert!(place.engine.has_untold() && place.engine.tell_untold().await);
    assert!(!decisions(&place).iter().any(|decision| matches!(decision, Decision::Opened { .. })));
    let entries = place.engine.journal().read_from(1, 1_000).unwrap();
    let entries: Vec<AuditEntry> = entries.iter().map(|(_, bytes)| decode(bytes).unwrap()).collect();
    let told: Vec<&AuditEntry> = entries.iter().filter(|entry| entry.request_id == Some(reference)).collect();
    let [told] = told[..] else { panic!("one entry has the queue's reference") };
    assert_eq!(told.decision, Decision::Refused(RefusalCode::of("AUDIT_UNAVAILABLE")));
    assert_eq!((told.subject.clone(), told.responsible.len()), (Some(Subject::Nhs(nhs(SHIELDED))), 0));
    assert!(told.shielded, "whatever is held when it is read");
}
