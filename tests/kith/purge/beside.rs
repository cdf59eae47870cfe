//! Questions beside a purge of 50,000 records do not wait for it. The times are printed, not judged: the machine is shared.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kith_engine::{Guard, PurgeOptions};

use super::{BEGIN, after, asked, purge, seen, taken, trim};
use crate::harness::count;
use crate::model::place::{Place, assert_sound};

/// Asks until told to stop; gives the times in microseconds, sorted.
async fn times(place: &Place, stop: &AtomicBool, least: Duration) -> Vec<u128> {
    let (mut times, began, mut n) = (Vec::new(), Instant::now(), 0_u32);
    while !stop.load(Ordering::Acquire) || began.elapsed() < least {
        let asked_at = Instant::now();
        place.engine().ask(asked(n % 5_000, 2, after(366), true)).await.unwrap();
        times.push(asked_at.elapsed().as_micros());
        n += 1;
    }
    times.sort_unstable();
    times
}

fn told(what: &str, times: &[u128]) {
    let at = |share: usize| times[(times.len() - 1) * share / 1_000];
    let (p50, p99, p999, max) = (at(500), at(990), at(999), at(1_000));
    println!("{what}: {} questions, p50 {p50} us, p99 {p99} us, p99.9 {p999} us, max {max} us", times.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_beside_a_purge() {
    let people = count("KITH_TEST_PURGED", 50_000);
    let now = after(366);
    let guard = Guard { accept_on: Some(now.london_day()), ..Guard::default() };
    let options = PurgeOptions { enabled: false, pause: Duration::from_millis(2), guard, ..PurgeOptions::default() };
    let mut place = Place::with_purge(BEGIN, options);
    for first in (0..people).step_by(500) {
        taken(&place, BEGIN, (first..people.min(first + 500)).map(|n| seen(n, 0, u64::from(n), BEGIN)).collect()).await;
    }
    taken(&place, now, vec![seen(people, 1, u64::from(people), now)]).await;
    let least = Duration::from_millis(500);
    told("alone", &times(&place, &AtomicBool::new(true), least).await);
    let stop = AtomicBool::new(false);
    let (beside, report) = std::thread::scope(|scope| {
        let purging = scope.spawn(|| {
            let report = place.engine().purge(now).unwrap();
            stop.store(true, Ordering::Release);
            report
        });
        let beside =
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(times(&place, &stop, least)));
        (beside, purging.join().unwrap())
    });
    told("beside the purge", &beside);
    assert_eq!(report.going.people, u64::from(people));
    assert_eq!(place.engine().sizes().children, 1);
    stop.store(false, Ordering::Release);
    let beside = std::thread::scope(|scope| {
        scope.spawn(|| {
            place.engine().trim().unwrap();
            stop.store(true, Ordering::Release);
        });
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(times(&place, &stop, least)))
    });
    told("beside the trim", &beside);
    assert!(matches!(purge(&place, now), Ok(report) if report.going.people == 0));
    trim(&place);
    place.shut(now);
    assert_sound(&place.verify());
}
