//! The one process-level harness: a scratch directory with everything that a server needs, the server as a process, and
//! clients with certificates. It never lets a test end without looking at what the server logged.

pub mod build;
pub mod calls;
pub mod certificates;
pub mod inject;
pub mod logs;
pub mod mesh;
pub mod mount;
pub mod offline;
pub mod process;
pub mod scratch;
pub mod site;
pub mod wait;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The seed of a random test: new each time unless `KITH_TEST_SEED` repeats one. Printed, so that a failure names it.
pub fn seeded(test: &str) -> ChaCha8Rng {
    let given = std::env::var("KITH_TEST_SEED").ok().map(|text| text.parse().expect("KITH_TEST_SEED is a number"));
    let seed = given.unwrap_or_else(rand::random);
    println!("{test}: KITH_TEST_SEED={seed}");
    ChaCha8Rng::seed_from_u64(seed)
}

/// A count from the environment.
pub fn count(name: &str, default: u32) -> u32 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}
