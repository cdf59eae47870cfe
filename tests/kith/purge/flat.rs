//! Two years of a small service: once retention bites, memory, rows, log and files stay as large as they are.

use std::collections::BTreeMap;
use std::path::Path;

use kith_domain::change::{Change, Feed, Heartbeat, PlanAction};

use uuid::Uuid;

use super::{BEGIN, after, answer, asked, plan, purge, seen, taken, trim};
use crate::harness::wait::until_async;
use crate::model::place::{Place, assert_sound, authority, reader};

/// Days between two steps; every step is alike.
const STEP: i64 = 3;
/// A plan begun in a step ends so many days later.
const PLAN_DAYS: i64 = 60;
/// The first day on which everything that begins also ends: a plan's life and its year, ids of 400 days and some more.
const STEADY: i64 = 480;
const END: i64 = 740;

/// What is held at one moment.
#[derive(Debug)]
struct Measured {
    day: i64,
    /// People, plans, presentations, accesses.
    sizes: [u64; 4],
    rows: BTreeMap<&'static str, u64>,
    bytes: u64,
}

fn bytes(dir: &Path) -> u64 {
    let items = std::fs::read_dir(dir).unwrap().map(|item| item.unwrap());
    items.map(|item| if item.path().is_dir() { bytes(&item.path()) } else { item.metadata().unwrap().len() }).sum()
}

/// What a step brings: ten children seen, two plans begun and two ended, a sign of life, six lookups.
fn changes(step: u32, day: i64) -> Vec<Change> {
    let now = after(day);
    let mut all: Vec<Change> = (0..10)
        .map(|n| seen((step * 7 + n) % 400, n as usize % 3, u64::from(step * 10 + n), now.plus_seconds(-i64::from(n))))
        .collect();
    for n in 0..2 {
        all.push(plan(1_000 + step * 2 + n, 0, 1, PlanAction::Start, (Some(now.london_day()), None)));
        if let Some(begun) = step.checked_sub((PLAN_DAYS / STEP) as u32) {
            let end = (None, Some(now.london_day()));
            all.push(plan(1_000 + begun * 2 + n, 0, 2, PlanAction::End, end));
        }
    }
    all.push(Change::Heartbeat(Heartbeat { feed: Feed::Plans(authority(1)), event_id: Uuid::new_v4() }));
    all
}

async fn step(place: &Place, step: u32, day: i64) {
    let now = after(day);
    taken(place, now, changes(step, day)).await;
    let mut last = 0;
    for n in 0..6 {
        let who = if n < 3 { 1_000 + step * 2 } else { step * 7 % 400 };
        last = place.engine().ask(asked(who, n % 3, now, false)).await.unwrap().reference.sequence;
    }
    until_async("history is derived", async || (place.engine().positions().derived_through >= last).then_some(()))
        .await;
    let told: Vec<u64> = place.notifications(authority(0), false).iter().map(|stored| stored.id).collect();
    place.engine().acknowledge(&reader(authority(0)), now, Uuid::new_v4(), told).await.unwrap();
    if step.is_multiple_of(40) {
        // Whatever the purge removes, the answers of now stay.
        let mut before = Vec::new();
        for n in (0..400).step_by(9) {
            before.push(answer(place, n, now).await);
        }
        purge(place, now).unwrap();
        for (n, before) in (0..400).step_by(9).zip(before) {
            assert_eq!(answer(place, n, now).await, before);
        }
    }
    purge(place, now).unwrap();
}

fn measure(place: &mut Place, day: i64) -> Measured {
    let sizes = place.engine().sizes();
    let sizes = [sizes.children, sizes.plans, sizes.presentations, sizes.accesses];
    tokio::task::block_in_place(|| place.shut(after(day)));
    assert_sound(&place.verify());
    let measured = Measured { day, sizes, rows: place.rows(), bytes: bytes(&place.files()) };
    println!("flat: {measured:?}");
    place.restart(after(day));
    measured
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_years_stay_flat_once_retention_bites() {
    let mut place = Place::new(BEGIN);
    let (mut measured, mut next) = (Vec::new(), STEADY);
    for n in 0..=(END / STEP) as u32 {
        let day = i64::from(n) * STEP;
        step(&place, n, day).await;
        if n.is_multiple_of(20) {
            trim(&place);
        }
        if day >= next {
            trim(&place);
            measured.push(measure(&mut place, day));
            next += 80;
        }
    }
    assert!(measured.len() >= 4, "{}", measured.len());
    let first = &measured[0];
    for later in &measured[1..] {
        let flat = |what: &str, before: u64, now: u64| {
            let bound = before + before / 20 + 5;
            assert!(now <= bound, "{what}: {before} on day {}, {now} on day {}", first.day, later.day);
        };
        for (n, what) in ["people", "plans", "presentations", "accesses"].into_iter().enumerate() {
            flat(what, first.sizes[n], later.sizes[n]);
        }
        for (table, rows) in &later.rows {
            // Notes of removed plans are kept for ten years: two for each step, and nothing else grows.
            let notes = if *table == "plan" { 2 * (later.day - first.day) as u64 / STEP as u64 } else { 0 };
            flat(table, first.rows[table] + notes, *rows);
        }
        flat("bytes on disk", first.bytes + 300_000, later.bytes);
    }
    assert!(measured.iter().all(|at| at.rows["log"] < 20), "the log is trimmed");
    assert!(first.sizes[2] > 1_000 && first.sizes[1] > 200, "{first:?}");
}
