//! Why something about a shielded child was refused is shown to nobody: which reasons there can be differs from place to place.

use super::tests::{code, lookup, numbers, of_child, search, shielding, write};
use super::*;
use crate::files::tests::place::{NOW, Place, event, nhs};
use kith_domain::caller::Purpose;
use kith_domain::child::Subject;
use kith_domain::refusal_code::{REASON_NOT_TOLD, RefusalCode};

const ORDINARY: u32 = 1;
const SHIELDED: u32 = 2;

/// Of tokens, which one organisation's people may need and nobody else's; of the policy; of the request; of a limit; of Kith.
const REASONS: [&str; 6] = [
    "PERSON_TOKEN_EXPIRED",
    "PURPOSE_NOT_ALLOWED",
    "UNKNOWN_SITE",
    "BAD_TIMESTAMP",
    "TOO_MANY_PROPOSALS",
    "STORAGE_UNAVAILABLE",
];

/// Refusals of a question about a child at a trust, for a reason: one of somebody who is named, one of a request that could not be
/// read so far, and such as are counted together.
fn refused(child: u32, trust: u32, reason: &str) -> [AuditEntry; 3] {
    let code = RefusalCode::of(reason);
    assert_eq!(code.word(), reason, "it is listed");
    let of = |decision| AuditEntry { decision, responsible: Vec::new(), ..lookup(child, trust, 1, NOW) };
    let unread = AuditEntry { caller: None, context: None, ..of(Decision::Refused(code)) };
    [of(Decision::Refused(code)), unread, of(Decision::RefusedMany { code, count: 3, first: NOW, last: NOW })]
}

/// An engine that knows of one shielded child.
async fn place() -> Place {
    let place = Place::new();
    place.event(1, event(1, ORDINARY, 1)).await;
    place.event(1, shielding(1, SHIELDED)).await;
    place
}

#[tokio::test]
async fn why_something_about_a_shielded_child_was_refused_is_not_told() {
    let place = place().await;
    let engine = &place.engine;
    let untold = RefusalCode::of(REASON_NOT_TOLD);
    assert_eq!(untold.word(), REASON_NOT_TOLD, "it is listed");
    let many = Decision::RefusedMany { code: untold, count: 3, first: NOW, last: NOW };
    let expected = [Decision::Refused(untold), Decision::Refused(untold), many];
    for reason in REASONS {
        let all = write(engine, refused(SHIELDED, 1, reason));
        let of_the_child = search(engine, &of_child(SHIELDED)).found;
        let newest: Vec<&SeenEntry> = of_the_child.iter().take(3).rev().collect();
        for ((seen, decision), number) in newest.into_iter().zip(&expected).zip(all) {
            let by_number = search(engine, &AuditQuery { entry: Some(number), ..AuditQuery::default() }).found;
            for seen in [seen, &by_number[0]] {
                assert_eq!((seen.reference.sequence, &seen.decision), (number, decision), "{reason}");
                assert!(seen.shielded && seen.place.is_none(), "{seen:?}");
                assert_eq!((seen.purpose, seen.context), (None, None), "how far it was read tells of it: {reason}");
            }
        }
    }
}

/// A baby is where its mother is, and whoever asks by the baby is told as little.
#[tokio::test]
async fn nor_where_it_is_about_the_baby_of_a_shielded_mother_or_when_the_shield_was_lifted() {
    let place = place().await;
    let engine = &place.engine;
    let mother = || Some(MotherRead { subject: Subject::Nhs(nhs(SHIELDED)), responsible: Vec::new() });
    let of_baby = refused(3, 1, REASONS[0]).map(|entry| AuditEntry { mother: mother(), ..entry });
    let marked = refused(4, 1, REASONS[0]).map(|entry| AuditEntry { shielded: true, ..entry });
    write(engine, of_baby.into_iter().chain(marked));
    for child in [3, 4] {
        let found = search(engine, &of_child(child)).found;
        assert_eq!(found.len(), 3);
        assert!(found.iter().all(|seen| told(seen) == REASON_NOT_TOLD && seen.place.is_none()), "{found:?}");
    }
}

/// Who opened as many shielded records as they may has no place, whoever it was about, and so no reason either.
#[tokio::test]
async fn that_openings_reached_their_limit_is_told_like_any_other_refusal_without_a_place() {
    let place = place().await;
    write(&place.engine, refused(ORDINARY, 1, "OPENING_LIMIT"));
    let found = search(&place.engine, &of_child(ORDINARY)).found;
    assert!(found.iter().all(|seen| seen.shielded && told(seen) == REASON_NOT_TOLD), "{found:?}");
}

#[tokio::test]
async fn why_anything_else_was_refused_is_told() {
    let place = place().await;
    let engine = &place.engine;
    for reason in REASONS {
        let all = write(engine, refused(ORDINARY, 2, reason));
        let found = search(engine, &AuditQuery { organisation: Some(code(2)), ..of_child(ORDINARY) });
        let newest = &found.found[..3];
        assert_eq!(numbers(&found)[..3], [all[2], all[1], all[0]]);
        assert!(newest.iter().all(|seen| told(seen) == reason && seen.place.is_some()), "{newest:?}");
        assert_eq!(newest[2].purpose, Some(Purpose::DirectCare));
    }
}

/// The reason that is shown of a refusal.
fn told(seen: &SeenEntry) -> &'static str {
    let (Decision::Refused(code) | Decision::RefusedMany { code, .. }) = &seen.decision else {
        panic!("it was refused: {seen:?}")
    };
    code.word()
}
