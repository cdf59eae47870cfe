//! What the service takes after each simulated year, and that it stays flat once retention bites.

use super::run::Run;

/// The year against which later ones are held.
const STEADY: i64 = 5;
/// How much larger than in that year anything may be, in percent.
const GROWTH_PERCENT: u64 = 25;
/// What resident memory may grow by besides: the simulated England and the naive model live in the same process, and
/// remember everyone who ever lived.
const MODEL_BYTES: u64 = 32 << 20;

#[derive(Debug)]
struct Year {
    year: i64,
    /// People, plans, presentations, rows of history held; bytes on disk; resident bytes of this process.
    figures: [(&'static str, u64); 6],
}

/// One line for each year.
#[derive(Default)]
pub struct Measures(Vec<Year>);

/// Resident memory of this process: the service in it, and the naive model with everything it was told.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok()).unwrap_or(0) * 1_024
}

impl Measures {
    /// Measures and prints. The log has just been trimmed.
    pub fn year(&mut self, run: &mut Run, year: i64) {
        let sizes = run.place.engine().sizes();
        let figures = [
            ("people", sizes.children),
            ("plans", sizes.plans),
            ("presentations", sizes.presentations),
            ("accesses", sizes.accesses),
            ("disk bytes", run.place.bytes()),
            ("resident bytes", resident()),
        ];
        let (answers, changes) = (run.counts["answers"], run.counts["changes"]);
        println!("decade: year {year}: {figures:?}, {answers} answers and {changes} changes so far");
        println!("decade: year {year}: rows {:?}", tokio::task::block_in_place(|| run.place.rows()));
        self.0.push(Year { year, figures });
    }

    /// From the sixth year on nothing is much larger than in the fifth.
    pub fn are_flat(&self) {
        let Some(steady) = self.0.iter().find(|year| year.year == STEADY) else { return };
        for later in self.0.iter().filter(|year| year.year > STEADY) {
            for ((what, before), (_, now)) in steady.figures.iter().zip(&later.figures) {
                let besides = if *what == "resident bytes" { MODEL_BYTES } else { 0 };
                let bound = before + before * GROWTH_PERCENT / 100 + besides;
                assert!(*now <= bound, "{what}: {before} after year {STEADY}, {now} after year {}", later.year);
            }
        }
    }
}
