//! What was removed is gone from memory, from answers and from every file, and does not come back.

use std::path::Path;
use std::time::Duration;

use kith_domain::change::{Change, Note, PlanAction, PresentationAction, Purge};
use kith_domain::presentation::{Closing, Outcome as How};
use kith_domain::refused::Refused;
use kith_domain::time::Moment;
use kith_engine::{Keys, PurgeOptions};

use super::{BEGIN, after, answer, look_up, number, plan, purge, seen, send, taken, trim};
use crate::harness::wait::until;
use crate::model::place::{Place, SETTINGS, assert_sound, authority, reader};

/// Files below `dir` that hold `bytes`.
fn holding(dir: &Path, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for item in std::fs::read_dir(dir).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, bytes));
        } else if std::fs::read(&path).is_ok_and(|file| file.windows(bytes.len()).any(|window| window == bytes)) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_about_whom_nothing_is_left_is_in_no_file() {
    let mut place = Place::new(BEGIN);
    let started = plan(0, 0, 1, PlanAction::Start, (Some(BEGIN.london_day()), None));
    let ended = plan(0, 0, 2, PlanAction::End, (None, Some(after(30).london_day())));
    taken(&place, BEGIN, vec![started, seen(0, 0, 77, BEGIN)]).await;
    taken(&place, after(30), vec![ended]).await;
    look_up(&place, 0, 1, after(30)).await;
    taken(&place, after(30), (1..40).map(|n| seen(n, 1, u64::from(n), after(30))).collect()).await;
    trim(&place);
    let keys = Keys::from_master([7; 32]);
    let child = keys.pseudonym("child", &[b"nhs", &number(0).value().to_be_bytes(), b""]);
    let encounter = keys.pseudonym("encounter", &[b"R0A", b"E77"]);
    for key in [child, encounter] {
        assert!(!holding(&place.files(), &key).is_empty(), "it must be found before, or the search finds nothing");
    }
    let now = after(30 + 367);
    taken(&place, now, vec![seen(50, 0, 50, now)]).await;
    let before = answer(&place, 0, now).await;
    purge(&place, now).unwrap();
    assert_eq!(answer(&place, 0, now).await, before);
    trim(&place);
    for key in [child, encounter] {
        until("the last file that holds it is gone", || holding(&place.files(), &key).is_empty().then_some(()));
    }
    assert_eq!(place.engine().sizes().children, 1);
    place.restart(now);
    assert_eq!(place.engine().sizes().children, 1);
    taken(&place, now, vec![seen(0, 0, 78, now)]).await;
    place.shut(now);
    assert_sound(&place.verify());
    let rows = place.rows();
    assert_eq!((rows["child"], rows["enc"]), (2, 2), "{rows:?}");
}

fn with_id(change: &Change, id: u128) -> Change {
    let mut change = change.clone();
    if let Change::Plan(event) = &mut change {
        event.event_id = uuid::Uuid::from_u128(id);
    }
    change
}

/// Late repeats of old events: under the same id, under another, and of a version never seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_plan_does_not_come_back_by_an_old_event() {
    let mut place = Place::new(BEGIN);
    let start = Some(BEGIN.london_day());
    let started = plan(0, 0, 1, PlanAction::Start, (start, None));
    let ended = plan(0, 0, 5, PlanAction::End, (None, Some(after(10).london_day())));
    taken(&place, after(10), vec![started.clone(), ended]).await;
    let now = after(10 + 366);
    taken(&place, now, vec![seen(50, 0, 50, now)]).await;
    assert_eq!(purge(&place, now).unwrap().going.plans, 1);
    assert_eq!(place.engine().sizes().plans, 0);
    let verdict = send(&place, now, vec![started.clone()]).await.remove(0);
    assert!(verdict.unwrap().repeated, "the same event is acknowledged as before");
    let late = plan(0, 0, 3, PlanAction::Change, (start, None));
    for event in [with_id(&started, 9), late.clone()] {
        assert_eq!(send(&place, now, vec![event]).await, [Err(Refused::PLAN_REMOVED)]);
    }
    // Years later the ids are forgotten and the note is not.
    let much_later = after(3_000);
    taken(&place, much_later, vec![seen(51, 0, 51, much_later)]).await;
    purge(&place, much_later).unwrap();
    assert_eq!(send(&place, much_later, vec![started.clone()]).await, [Err(Refused::PLAN_REMOVED)]);
    place.restart(much_later);
    assert_eq!(send(&place, much_later, vec![late]).await, [Err(Refused::PLAN_REMOVED)]);
    assert_eq!(place.engine().sizes().plans, 0);
    // A greater version is news: the plan is in force after all.
    taken(&place, much_later, vec![plan(0, 0, 6, PlanAction::Change, (start, None))]).await;
    assert_eq!(place.engine().sizes().plans, 1);
    // The note itself goes in the end.
    let end = after(5_000);
    taken(&place, end, vec![seen(52, 0, 52, end)]).await;
    purge(&place, end).unwrap();
    place.shut(end);
    assert_sound(&place.verify());
    assert_eq!(place.rows()["plan"], 1, "the plan that is in force, and no note");
}

/// An event that is taken between the decision and the removal is kept: the fold works out anew what goes, and the notes
/// that it is given.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_decided_before_an_event_keeps_what_the_event_says() {
    let mut place = Place::new(BEGIN);
    let start = Some(BEGIN.london_day());
    let ended = plan(0, 0, 1, PlanAction::Start, (start, Some(after(10).london_day())));
    taken(&place, BEGIN, vec![ended, seen(0, 0, 1, BEGIN), seen(1, 0, 2, BEGIN)]).await;
    let now = after(10 + 366);
    taken(&place, now, vec![plan(0, 0, 2, PlanAction::Change, (start, None)), seen(0, 0, 3, now)]).await;
    let keys = Keys::from_master([7; 32]);
    let event_id = |change: &Change| {
        let Change::Presentation(event) = change else { panic!("a presentation") };
        keys.pseudonym("event", &[b"R0A", event.event_id.as_bytes()]).to_vec()
    };
    let fresh = seen(2, 0, 4, now);
    taken(&place, now, vec![fresh.clone()]).await;
    let purge = Purge {
        today: now.london_day(),
        retention: SETTINGS.retention(),
        notes: PurgeOptions::default().notes,
        subjects: (0..4).map(super::subject).collect(),
        rows: vec![(Note::UsedId, event_id(&fresh)), (Note::UsedId, vec![1; 16])],
    };
    taken(&place, now, vec![Change::Purge(purge)]).await;
    let sizes = place.engine().sizes();
    assert_eq!((sizes.children, sizes.plans, sizes.presentations), (2, 1, 2));
    assert!(send(&place, now, vec![fresh]).await.remove(0).unwrap().repeated, "its id is still known");
    place.shut(now);
    assert_sound(&place.verify());
}

/// A closing alone would bring a presentation back without its arrival: an old one is refused by its date.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_closing_does_not_bring_a_presentation_back() {
    let place = Place::new(BEGIN);
    let directory = crate::model::place::directory();
    let Change::Presentation(event) = seen(0, 0, 1, BEGIN) else { panic!("a presentation") };
    let close = |at| kith_domain::change::PresentationEvent {
        action: PresentationAction::Close(Closing { outcome: How::Discharged, at }),
        ..event.clone()
    };
    let now = after(400);
    let check = |at: Moment| kith_domain::validate::presentation_event(&close(at), &directory, 365, now);
    assert_eq!(check(BEGIN).unwrap_err().reason, "OUTCOME_BEYOND_RETENTION");
    assert_eq!(check(now), Ok(()));
    drop(place);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notification_that_nobody_acknowledged_goes_only_with_the_plan() {
    let mut place = Place::new(BEGIN);
    let start = Some(BEGIN.london_day());
    taken(&place, BEGIN, (0..2).map(|n| plan(n, 0, 1, PlanAction::Start, (start, None))).collect()).await;
    look_up(&place, 0, 1, BEGIN).await;
    look_up(&place, 1, 1, BEGIN).await;
    let code = authority(0);
    let told = place.notifications(code, false);
    assert_eq!(told.len(), 2);
    let (event_id, acknowledged) = (uuid::Uuid::new_v4(), vec![told[1].id]);
    place.engine().acknowledge(&reader(code), BEGIN, event_id, acknowledged).await.unwrap();
    let fresh = |days: i64, e| (after(days), vec![seen(50, 2, e, after(days))]);
    let (now, changes) = fresh(800, 1);
    taken(&place, now, changes).await;
    let report = purge(&place, now).unwrap();
    assert_eq!(report.unacknowledged, 0);
    assert_eq!(place.notifications(code, true), [told[0].clone()], "the acknowledged one alone is gone");
    taken(&place, now, vec![plan(0, 0, 2, PlanAction::End, (None, Some(now.london_day())))]).await;
    let (later, changes) = fresh(800 + 367, 2);
    taken(&place, later, changes).await;
    let report = purge(&place, later).unwrap();
    assert_eq!((report.unacknowledged, report.going.plans), (1, 1));
    assert_eq!(place.engine().purge_status().removed.unacknowledged, 1);
    assert_eq!(place.notifications(code, true), []);
    place.shut(later);
    assert_sound(&place.verify());
}

/// The thread does by itself what the other tests call for: it purges, trims, and does so again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_runs_by_itself_and_stops_with_the_engine() {
    let mut place = Place::new(BEGIN);
    taken(&place, BEGIN, vec![seen(0, 0, 1, BEGIN)]).await;
    let now = after(400);
    taken(&place, now, vec![seen(1, 0, 2, now)]).await;
    let often = Duration::from_millis(10);
    let options =
        PurgeOptions { interval: often, pause: Duration::ZERO, trim_interval: often, ..PurgeOptions::default() };
    place.restart_with(now, options);
    let through = until("the first purge and trim", || {
        let status = place.engine().purge_status();
        (status.removed.going.people == 1 && status.completed_at == Some(now)).then_some(status.trimmed_through)
    });
    assert_eq!(place.engine().sizes().children, 1);
    taken(&place, now, vec![seen(2, 0, 3, now)]).await;
    until("another trim", || (place.engine().purge_status().trimmed_through > through.max(2)).then_some(()));
    place.shut(now);
    assert_sound(&place.verify());
}
