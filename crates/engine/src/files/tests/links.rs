//! Plans and what authorities are told of them where one number stands in the place of another, or does no more.

use super::place::{END, NOW, Place, authority, day, days_on, event, file, nhs, permit, rows};
use kith_domain::change::{
    AccessFacts, Accessed, Change, IdentityAction, IdentityEvent, PresentationAction, PresentationEvent,
};
use kith_domain::child::Subject;
use kith_domain::codes::{LaCode, OdsCode, SiteCode};
use kith_domain::plan_file::{Named, PlanFile, RowCode, RowFault};
use kith_domain::presentation::{CareSetting, Complaint, Details};
use kith_domain::text::{EncounterId, PersonText};
use uuid::Uuid;

fn subject(n: u32) -> Subject {
    Subject::Nhs(nhs(n))
}

async fn put(place: &Place, change: Change) {
    let verdicts = place.engine.change(&permit(1), NOW, vec![change]).await;
    assert!(verdicts[0].is_ok(), "{verdicts:?}");
}

/// What the demographics service tells of the `n`th child's number.
async fn tell(place: &Place, n: u32, version: u64, action: IdentityAction) {
    let event = IdentityEvent {
        organisation: OdsCode::parse("X26").unwrap(),
        event_id: Uuid::from_u128(u128::from(n) << 64 | u128::from(version)),
        subject: subject(n),
        version,
        action,
        proposal: None,
    };
    put(place, Change::Identity(event)).await;
}

/// A visit of the `n`th child, recorded as it happens.
pub(super) fn visit(n: u32) -> Change {
    let details = Details {
        site: SiteCode::parse("RRK01").unwrap(),
        arrived_at: NOW.plus_seconds(-600),
        setting: CareSetting::EmergencyDepartment,
        complaint: Complaint::Illness,
        birth_date: None,
    };
    Change::Presentation(PresentationEvent {
        organisation: OdsCode::parse("RRK").unwrap(),
        event_id: Uuid::from_u128(u128::from(n)),
        subject: subject(n),
        encounter: EncounterId::parse(&format!("E{n}")).unwrap(),
        version: 1,
        action: PresentationAction::Record(details),
    })
}

/// A question about the `n`th child, asked when the first authority was responsible.
fn lookup(n: u32) -> Change {
    let text = |words| PersonText::parse(words).unwrap();
    let access = AccessFacts {
        subject: subject(n),
        organisation: OdsCode::parse("RRK").unwrap(),
        request_id: Uuid::from_u128(7),
        at: NOW,
        user_name: text("A Nurse"),
        user_role: text("Nurse"),
        responsible: vec![authority(1)],
    };
    Change::Accessed(Accessed { audit_sequence: 1, access: Some(access) })
}

/// Whether an authority reads where the `n`th child was seen or asked about.
fn hears(place: &Place, of: u32, n: u32) -> bool {
    let page = place.engine.notifications(&permit(of), 0, 500, true).unwrap();
    let about = |subject: &Subject| *subject == self::subject(n);
    page.notifications
        .iter()
        .any(|one| about(&one.notification.subject) && one.notification.cause.organisation().is_some())
}

/// A file of twenty children in which the first stands under the number that has replaced its own, without a reference.
fn under_the_new_number(fault: bool) -> PlanFile {
    let mut sent = rows(0..20);
    (sent[0].reference, sent[0].number) = (None, nhs(100));
    let mut file = file(2, END, sent);
    if fault {
        file.rows[0].named = Named { number: Some(nhs(100)), reference: None };
        file.rows[0].plan = Err(RowFault::new(RowCode::NotLoaded, "start", "DATE", "words"));
    }
    file
}

#[tokio::test]
async fn a_row_in_doubt_under_the_new_number_keeps_the_plan_of_the_old() {
    for fault in [true, false] {
        let place = Place::new();
        let mut first = rows(0..20);
        first[0].reference = None;
        place.send(&file(1, END, first), NOW).await;
        tell(&place, 0, 1, IdentityAction::ReplacedBy(nhs(100))).await;
        if !fault {
            // Another date than the row's: it is not loaded.
            tell(&place, 100, 1, IdentityAction::BirthDate(day("2012-07-09"))).await;
        }
        let verdict = place.send(&under_the_new_number(fault), days_on(2)).await;
        let snapshot = verdict.snapshot.unwrap();
        assert_eq!((snapshot.missing, snapshot.ended, place.end(0)), (0, 0, None), "{:?}", verdict.rows[0].verdict);
    }
}

#[tokio::test]
async fn whom_a_person_does_not_concern_any_more_reads_nothing_of_where_it_was() {
    for over in [IdentityAction::Invalidated, IdentityAction::LinkUndone] {
        let place = Place::new();
        place.event(1, event(1, 1, 1)).await;
        place.event(2, event(2, 2, 1)).await;
        tell(&place, 1, 1, IdentityAction::ReplacedBy(nhs(2))).await;
        put(&place, visit(2)).await;
        assert!(hears(&place, 1, 2) && hears(&place, 2, 2), "while the one stands in the place of the other");
        tell(&place, 1, 2, over).await;
        assert_eq!((hears(&place, 1, 2), hears(&place, 2, 2)), (false, true), "{over:?}");
        // Asked before, and derived after.
        put(&place, lookup(2)).await;
        assert!(!hears(&place, 1, 2), "{over:?}");
    }
}

#[tokio::test]
async fn the_present_authority_does_not_read_the_number_of_before() {
    let place = Place::new();
    place.event(2, event(2, 2, 1)).await;
    tell(&place, 1, 1, IdentityAction::ReplacedBy(nhs(2))).await;
    put(&place, visit(1)).await;
    assert!(hears(&place, 2, 1));
    tell(&place, 1, 2, IdentityAction::Invalidated).await;
    assert!(!hears(&place, 2, 1));
}

/// What was asked about and told while a link stood is not even written once it does no more.
#[tokio::test]
async fn a_question_derived_after_an_adoption_tells_nobody_of_before() {
    let place = Place::new();
    place.event(1, event(1, 1, 1)).await;
    tell(&place, 1, 1, IdentityAction::ReplacedBy(nhs(2))).await;
    tell(&place, 1, 2, IdentityAction::Invalidated).await;
    let before = written(&place, authority(1));
    put(&place, lookup(2)).await;
    assert_eq!(written(&place, authority(1)), before);
}

/// Notifications of an authority in the store, whoever may read them.
pub(super) fn written(place: &Place, of: LaCode) -> usize {
    let prefix = crate::keys::notifications(&place.engine.keys, of);
    let mut rows = 0;
    let count = &mut |_: &[u8], _: &[u8]| {
        rows += 1;
        std::ops::ControlFlow::Continue(())
    };
    place.engine.store.scan(kith_store::Table::Notification, &prefix, &prefix, count).unwrap();
    rows
}
