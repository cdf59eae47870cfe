//! People of several numbers. A link may be a mistake, so a birth date that is told of one number hides, purges and refuses
//! nothing that stands under another; and while it stands, what is in force under one keeps what was told under another.

use super::links::{visit, written};
use super::names;
use super::place::*;
use crate::Acknowledgement;
use kith_domain::change::{Change, IdentityAction, IdentityEvent, Note, PlanAction, PlanEvent, Purge};
use kith_domain::child::Subject;
use kith_domain::codes::OdsCode;
use kith_domain::notify::{last_day_of, responsible_for};
use kith_domain::plan::PlanState;
use kith_domain::plan_file::{FileCode, FileMode, PlanRow};
use kith_domain::refused::Refused;
use kith_domain::retention::Retention;
use kith_domain::time::Day;
use uuid::Uuid;

const RULES: Retention = Retention { presentation_days: 365, plan_months: 12 };
/// A child's number, and that of somebody grown up.
const CHILD: u32 = 1;
const GROWN: u32 = 2;

async fn put(place: &Place, change: Change) -> Result<Acknowledgement, Refused> {
    place.engine.change(&permit(1), NOW, vec![change]).await.remove(0)
}

async fn tell(place: &Place, n: u32, version: u64, action: IdentityAction) {
    let event = IdentityEvent {
        organisation: OdsCode::parse("X26").unwrap(),
        event_id: Uuid::from_u128((1 << 96) | (u128::from(n) << 64) | u128::from(version)),
        subject: Subject::Nhs(nhs(n)),
        version,
        action,
        proposal: None,
    };
    put(place, Change::Identity(event)).await.unwrap();
}

/// The first authority's plan of the child, in force since 2022, with a birth date or none.
fn plan(born: Option<&str>) -> PlanEvent {
    let (start, birth_date) = (Some(day("2022-01-10")), born.map(day));
    PlanEvent { action: PlanAction::Start, start, birth_date, ..event(1, CHILD, 1) }
}

fn states(place: &Place, n: u32, on: Day) -> Vec<PlanState> {
    let person = place.engine.index().person(&Subject::Nhs(nhs(n)));
    let Some(held) = person.held(RULES, on) else { return Vec::new() };
    held.plans.iter().filter_map(|plan| plan.state(on, last_day_of(&person, &held, plan), RULES.plan_months)).collect()
}

/// The purge of the day, beside a plan that began on it: else the clock would not be believed.
async fn purge(place: &Place) {
    let start = Some(NOW.london_day());
    place.event(1, PlanEvent { start, ..event(1, 3, 1) }).await;
    std::thread::scope(|scope| scope.spawn(|| place.engine.purge(NOW)).join().unwrap()).unwrap();
}

/// What a purge removes of the records and rows that it names.
async fn remove(place: &Place, today: Day, of: &[u32], rows: Vec<(Note, Vec<u8>)>) {
    let (subjects, notes) = (of.iter().map(|n| Subject::Nhs(nhs(*n))).collect(), crate::PurgeOptions::default().notes);
    put(place, Change::Purge(Purge { today, retention: RULES, notes, subjects, rows })).await.unwrap();
}

/// A wrong merge with somebody grown up, in either direction: the plan is shown while it stands, its authority is responsible,
/// a purge in between leaves it, and it is there when the link has been undone.
#[tokio::test]
async fn a_wrong_link_to_somebody_grown_up_neither_hides_nor_purges_a_plan() {
    let today = NOW.london_day();
    for (of_plan, of_child) in [(None, None), (None, Some("2014-05-05")), (Some("2014-05-05"), None)] {
        for (from, to) in [(CHILD, GROWN), (GROWN, CHILD)] {
            let case = format!("plan's date {of_plan:?}, told {of_child:?}, {from} replaced by {to}");
            let place = Place::new();
            place.event(1, plan(of_plan)).await;
            if let Some(born) = of_child {
                tell(&place, CHILD, 1, IdentityAction::BirthDate(day(born))).await;
            }
            tell(&place, GROWN, 1, IdentityAction::BirthDate(day("2004-05-05"))).await;
            tell(&place, from, 2, IdentityAction::ReplacedBy(nhs(to))).await;
            for asked in [CHILD, GROWN] {
                assert_eq!(states(&place, asked, today), [PlanState::Active], "{case}: asked about {asked}");
                let person = place.engine.index().person(&Subject::Nhs(nhs(asked)));
                assert_eq!(responsible_for(&person, today), [authority(1)], "{case}: asked about {asked}");
            }
            purge(&place).await;
            // And with the records named, so that it does not hang on what the survey found.
            remove(&place, today, &[CHILD, GROWN], Vec::new()).await;
            tell(&place, from, 3, IdentityAction::LinkUndone).await;
            assert_eq!(states(&place, CHILD, today), [PlanState::Active], "{case}: after the link");
        }
    }
}

/// What is told of the plan's own number ends it; a later date told under the other prolongs it.
#[tokio::test]
async fn a_date_of_its_own_number_ends_a_plan_and_a_later_one_of_another_prolongs_it() {
    let today = NOW.london_day();
    for (other, expected) in [("1980-05-05", vec![]), ("2014-05-05", vec![PlanState::Active])] {
        let place = Place::new();
        place.event(1, plan(None)).await;
        tell(&place, CHILD, 1, IdentityAction::BirthDate(day("2004-05-05"))).await;
        tell(&place, GROWN, 1, IdentityAction::BirthDate(day(other))).await;
        tell(&place, CHILD, 2, IdentityAction::ReplacedBy(nhs(GROWN))).await;
        assert_eq!(states(&place, GROWN, today), expected, "{other}");
        purge(&place).await;
        assert_eq!(place.record(CHILD).unwrap().plans.len(), expected.len(), "{other}");
    }
}

#[tokio::test]
async fn a_row_under_a_wrong_link_is_stored_with_a_birth_date_and_without_one() {
    for birth_date in [None, Some(day("2014-05-05"))] {
        let place = Place::new();
        tell(&place, GROWN, 1, IdentityAction::BirthDate(day("2004-10-12"))).await;
        tell(&place, CHILD, 1, IdentityAction::ReplacedBy(nhs(GROWN))).await;
        let sent = PlanRow { birth_date, start: Some(day("2022-01-10")), ..row(CHILD) };
        let verdict = place.send(&file(1, FileMode::Changes, vec![sent]), NOW).await;
        assert_eq!(verdict.code, FileCode::AllLoaded, "{birth_date:?}: {:?}", reasons(&verdict));
        tell(&place, CHILD, 2, IdentityAction::LinkUndone).await;
        assert_eq!(states(&place, CHILD, NOW.london_day()), [PlanState::Active], "{birth_date:?}");
    }
}

#[tokio::test]
async fn a_presentation_is_turned_away_by_a_date_of_its_own_number_alone() {
    let place = Place::new();
    tell(&place, GROWN, 1, IdentityAction::BirthDate(day("2004-05-05"))).await;
    tell(&place, CHILD, 1, IdentityAction::ReplacedBy(nhs(GROWN))).await;
    assert_eq!(put(&place, visit(GROWN)).await.unwrap_err().reason, "ADULT");
    put(&place, visit(CHILD)).await.unwrap();
    assert_eq!(place.record(CHILD).unwrap().presentations.len(), 1);
}

/// A visit under the new number is told to the authority whose plan stands under the old one. While that is in force, and
/// nobody has acknowledged it, the notification stays.
#[tokio::test]
async fn a_notification_that_nobody_has_acknowledged_stays_while_a_plan_stands_under_another_number() {
    let place = Place::new();
    place.event(1, plan(None)).await;
    tell(&place, CHILD, 1, IdentityAction::ReplacedBy(nhs(GROWN))).await;
    put(&place, visit(GROWN)).await.unwrap();
    let told = || {
        let page = place.engine.notifications(&permit(1), 0, 500, true).unwrap().notifications;
        page.into_iter().map(|one| (one.id, one.notification.subject)).collect::<Vec<_>>()
    };
    let before = told();
    let of_visit = before.iter().find(|(_, subject)| *subject == Subject::Nhs(nhs(GROWN))).unwrap().0;
    let rows = vec![(Note::Notification, crate::keys::notification(&place.engine.keys, authority(1), of_visit))];
    let later = NOW.london_day().plus_months(13);
    remove(&place, later, &[], rows.clone()).await;
    assert_eq!(told(), before, "{:?}", states(&place, GROWN, later));
    place.event(1, PlanEvent { action: PlanAction::Withdraw, ..event(1, CHILD, 2) }).await;
    let later = later.plus_months(13);
    remove(&place, later, &[CHILD], rows).await;
    assert!(!told().iter().any(|(id, _)| *id == of_visit), "and goes with the last of the plans");
}

/// The note of a plan's key lies in the table of removed plans' notes, and the run over those passes it by.
#[tokio::test]
async fn a_purge_passes_the_note_of_a_key_by() {
    let place = Place::new();
    names::effect(&place, names::plan(names::key_of("E06000001"), 1, PlanAction::Start)).await.unwrap();
    names::effect(&place, names::plan(names::subject(7), 2, PlanAction::Start)).await.unwrap();
    purge(&place).await;
}

/// Two authorities have not read of the same visit. What one is told goes with its own plan, and stays for the other, whose
/// plan goes on.
#[tokio::test]
async fn a_notification_that_nobody_has_acknowledged_goes_with_the_plans_of_whom_it_is_for() {
    let place = Place::new();
    place.event(1, plan(None)).await;
    place.event(2, event(2, CHILD, 1)).await;
    put(&place, visit(CHILD)).await.unwrap();
    place.event(1, PlanEvent { action: PlanAction::Withdraw, ..event(1, CHILD, 2) }).await;
    let rows = |n: u32| {
        let key = |id| (Note::Notification, crate::keys::notification(&place.engine.keys, authority(n), id));
        (1..=2).map(key).collect::<Vec<_>>()
    };
    let both = || (written(&place, authority(1)), written(&place, authority(2)));
    let read = |n| place.engine.notifications(&permit(n), 0, 500, true).unwrap().notifications.len();
    assert_eq!((both(), read(1), read(2)), ((1, 1), 1, 1));
    let later = NOW.london_day().plus_months(13);
    let all = || rows(1).into_iter().chain(rows(2)).collect();
    remove(&place, later, &[CHILD], Vec::new()).await;
    assert_eq!((both(), read(1), read(2)), ((1, 1), 0, 1), "with its plan it is not its child's any more");
    remove(&place, NOW.london_day().plus_months(12), &[], all()).await;
    assert_eq!(both(), (1, 1), "it is not older than a plan's retention");
    remove(&place, later, &[], all()).await;
    assert_eq!((both(), read(1), read(2)), ((0, 1), 0, 1));
}

/// A shield is never removed, and does not keep for ever what tells where the child was seen.
#[tokio::test]
async fn a_notification_that_nobody_has_acknowledged_does_not_stay_for_the_shield() {
    let place = Place::new();
    place.event(1, PlanEvent { shielded: true, ..plan(None) }).await;
    put(&place, visit(CHILD)).await.unwrap();
    place.event(1, PlanEvent { action: PlanAction::Withdraw, ..event(1, CHILD, 2) }).await;
    let key = crate::keys::notification(&place.engine.keys, authority(1), 1);
    let later = NOW.london_day().plus_months(13);
    remove(&place, later, &[CHILD], Vec::new()).await;
    let read = || place.engine.notifications(&permit(1), 0, 500, true).unwrap().notifications.len();
    assert_eq!((place.record(CHILD).unwrap().setters(), read()), (vec![authority(1)], 1));
    remove(&place, later, &[], vec![(Note::Notification, key)]).await;
    assert_eq!((written(&place, authority(1)), read()), (0, 0));
}

/// A plan under the old number has moved to another authority, whose plan under the new one ends and passes. The old one has
/// no end: it comes back neither when the other has passed nor when that has been purged, but when the link was a mistake.
#[tokio::test]
async fn a_plan_that_has_moved_under_another_number_does_not_come_back_in_force() {
    let place = Place::new();
    place.event(1, plan(None)).await;
    tell(&place, CHILD, 1, IdentityAction::ReplacedBy(nhs(GROWN))).await;
    let moved = PlanAction::TransferOut(authority(2));
    place.event(1, PlanEvent { action: moved, start: None, ..event(1, CHILD, 2) }).await;
    let (from, start) = (PlanAction::TransferIn(authority(1)), Some(day("2026-12-01")));
    place.event(2, PlanEvent { action: from, start, ..event(2, GROWN, 1) }).await;
    place.event(2, PlanEvent { action: PlanAction::End, end: Some(day("2027-03-01")), ..event(2, GROWN, 2) }).await;
    let passed = day("2028-03-02");
    for purged in [false, true] {
        if purged {
            remove(&place, passed, &[CHILD, GROWN], Vec::new()).await;
        }
        for asked in [CHILD, GROWN] {
            assert_eq!(states(&place, asked, passed), [], "purged {purged}, asked about {asked}");
            let person = place.engine.index().person(&Subject::Nhs(nhs(asked)));
            assert_eq!(responsible_for(&person, passed), [], "purged {purged}, asked about {asked}");
        }
    }
    tell(&place, CHILD, 2, IdentityAction::LinkUndone).await;
    assert_eq!(states(&place, CHILD, passed), [PlanState::Active], "the link was a mistake");
    remove(&place, passed, &[CHILD, GROWN], Vec::new()).await;
    assert_eq!(place.record(GROWN).map_or(0, |record| record.plans.len()), 0, "and nothing needs the other plan");
}
