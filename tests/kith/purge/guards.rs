//! A wrong clock, and too much at once, remove nothing; a person who says what day it is lifts both.

use std::time::Duration;

use kith_domain::answer::{Body, Outcome};
use kith_domain::change::PlanAction;
use kith_engine::{Guard, Held, PurgeError, PurgeOptions};

use super::{BEGIN, after, answer, plan, purge, seen, taken};
use crate::model::place::{Place, assert_sound};

fn options(guard: Guard) -> PurgeOptions {
    PurgeOptions { enabled: false, pause: Duration::ZERO, guard, ..PurgeOptions::default() }
}

fn held(outcome: Result<kith_engine::PurgeReport, PurgeError>) -> Held {
    match outcome {
        Err(PurgeError::Held(held)) => held,
        other => panic!("it was to stop by itself: {other:?}"),
    }
}

/// Ten people seen long ago, and one now.
async fn ten_and_one(place: &Place) {
    let old = (0..10).map(|n| seen(n, 0, u64::from(n), after(-300))).collect();
    taken(place, BEGIN, old).await;
    taken(place, BEGIN, vec![seen(50, 0, 50, BEGIN)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_a_year_ahead_erases_nothing_and_an_hour_does_not_matter() {
    let mut place = Place::with_purge(BEGIN, options(Guard::default()));
    ten_and_one(&place).await;
    let before = place.engine().sizes();
    // What comes while the clock is wrong carries its senders' own times, and so does not make it right.
    taken(&place, after(365), vec![plan(60, 0, 1, PlanAction::Start, (Some(BEGIN.london_day()), None))]).await;
    for days in [366, 1_000, 66] {
        assert!(matches!(held(purge(&place, after(days))), Held::ClockAhead { .. }), "{days}");
    }
    assert_eq!(place.engine().sizes().presentations, before.presentations);
    assert_eq!(place.engine().purge_status().held.unwrap().reason(), "CLOCK_AHEAD");
    // The senders are at that day too: the same run goes through, an hour ahead of them or a day.
    let real = after(66);
    taken(&place, real, vec![seen(51, 1, 51, real)]).await;
    let report = purge(&place, real.plus_seconds(3_600)).unwrap();
    assert_eq!((report.going.presentations, report.going.people), (10, 10));
    assert_eq!(place.engine().purge_status().held, None);
    place.shut(real);
    assert_sound(&place.verify());
}

/// More than a day ahead by one second is too much, a day is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bound_is_a_day() {
    let place = Place::with_purge(BEGIN, options(Guard::default()));
    taken(&place, BEGIN, vec![seen(0, 0, 0, after(-365)), seen(1, 0, 1, BEGIN)]).await;
    assert!(matches!(held(purge(&place, BEGIN.plus_seconds(86_401))), Held::ClockAhead { days: 1 }));
    assert_eq!(purge(&place, BEGIN.plus_seconds(86_400)).unwrap().going.presentations, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_one_per_cent_stops_it_and_a_day_given_by_a_person_lifts_it() {
    let guard = Guard { stop_floor: 3, ..Guard::default() };
    let mut place = Place::with_purge(BEGIN, options(guard));
    ten_and_one(&place).await;
    let now = after(66);
    taken(&place, now, vec![seen(51, 1, 51, now)]).await;
    let stopped = held(purge(&place, now));
    assert!(matches!(stopped, Held::TooMuch { held: 12, going: 4, .. }), "{stopped}");
    assert_eq!(place.engine().sizes().presentations, 12);
    let other_day = Guard { accept_on: Some(after(67).london_day()), ..guard };
    place.restart_with(now, options(other_day));
    held(purge(&place, now));
    let this_day = Guard { accept_on: Some(now.london_day()), ..guard };
    place.restart_with(now, options(this_day));
    assert_eq!(purge(&place, now).unwrap().going.presentations, 10);
    // A clock that is ahead is believed on the day that a person names.
    let ahead = after(400);
    place.restart_with(now, options(guard));
    held(purge(&place, ahead));
    place.restart_with(now, options(Guard { accept_on: Some(ahead.london_day()), ..guard }));
    assert_eq!(purge(&place, ahead).unwrap().going.people, 1);
    place.shut(ahead);
    assert_sound(&place.verify());
}

/// Several runs of one day are one day.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_share_is_counted_over_the_whole_day() {
    let place = Place::with_purge(BEGIN, options(Guard { stop_floor: 3, ..Guard::default() }));
    let old = (0..3).map(|n| seen(n, 0, u64::from(n), after(-366))).collect();
    taken(&place, BEGIN, old).await;
    taken(&place, BEGIN, (10..20).map(|n| seen(n, 0, u64::from(n), BEGIN)).collect()).await;
    assert_eq!(purge(&place, BEGIN).unwrap().going.presentations, 3);
    taken(&place, BEGIN, vec![seen(3, 0, 3, after(-366))]).await;
    assert!(matches!(held(purge(&place, BEGIN)), Held::TooMuch { .. }));
    assert_eq!(place.engine().sizes().presentations, 11);
}

/// London's midnight decides, not UTC's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_follows_the_london_day() {
    let place = Place::with_purge(BEGIN, options(Guard::default()));
    // 23:30 UTC on 30 June 2026 is 1 July in London; the presentation was on 30 June 2025 in London.
    let midnight = kith_domain::time::Moment(1_782_860_400_000);
    assert_eq!(midnight.london_day().text(), "2026-07-01");
    assert_eq!(midnight.plus_seconds(-1).london_day().text(), "2026-06-30");
    taken(&place, BEGIN, vec![seen(0, 0, 0, midnight.plus_seconds(-365 * 86_400 - 60))]).await;
    taken(&place, midnight, vec![seen(1, 0, 1, midnight)]).await;
    assert_eq!(purge(&place, midnight.plus_seconds(-1)).unwrap().going.presentations, 0);
    let open = |body| match body {
        Body::Open(open) => open,
        other @ (Body::Shielded(_) | Body::Opened(_) | Body::IdentityNotConfirmed) => panic!("{other:?}"),
    };
    let last = open(answer(&place, 0, midnight.plus_seconds(-1)).await.body);
    assert!(matches!(last.presentations, Outcome::Held(_)));
    assert_eq!(purge(&place, midnight).unwrap().going.presentations, 1);
    let none = open(answer(&place, 0, midnight).await.body);
    assert!(!matches!(none.presentations, Outcome::Held(_)));
}
