//! A simulated decade of a thousandth of England, in process, with a clock that the test drives: births, plans, moves,
//! corrections, birthdays, visits, silent feeds and plan files, with ends of the engine in between. Every answer is held
//! against an independent naive model that keeps what was told and works each answer out anew. It never starts a server.
//!
//! `cargo xtask decade --seed N` runs ten years; the test command runs one.

mod calendar;
mod dice;
mod expected;
pub mod files;
mod kinds;
pub mod ledger;
mod measure;
mod place;
pub mod plans;
mod run;
mod seen;
mod view;
mod visits;
mod world;

use crate::harness::count;
use run::{Arguments, Run};

/// Where no seed is given: the same year every time, so that a red one is a change.
const SEED: u32 = 20_260;

async fn decade(years: u32, children: u32) {
    let seed = u64::from(count("KITH_DECADE_SEED", SEED));
    let years = i64::from(count("KITH_DECADE_YEARS", years));
    let children = count("KITH_DECADE_CHILDREN", children) as usize;
    println!("decade: seed {seed}, {years} years, {children} children");
    let mut run = Run::new(Arguments { seed, years, children });
    run.everything().await;
    println!("decade: {:?}", run.counts);
    for name in kinds::KINDS.iter().map(|kind| kind.name).chain(kinds::FOLLOWS) {
        assert!(run.counts.contains_key(name), "it never happened: {name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_year_of_a_thousandth_of_england() {
    decade(1, 12_200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes: cargo xtask decade"]
async fn ten_years_of_a_thousandth_of_england() {
    decade(10, 12_200).await;
}
