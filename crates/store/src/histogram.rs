//! How long something took, counted: two relaxed additions for each observation, no lock, no memory, no clock of its own.
//! It keeps counts and a sum, and never when or whom an observation was of.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets, in nanoseconds: 10 us to 10 s in steps of 1, 2.5, 5. Nothing finer: within the first bucket
/// lies every answer that nothing held up, whatever was found.
pub const BOUNDS_NS: [u64; 19] = [
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// Buckets: one for each bound, and one for what is beyond the last.
const BUCKETS: usize = BOUNDS_NS.len() + 1;

/// A histogram of durations. Shared by all threads that observe.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum_ns: AtomicU64,
}

/// What a histogram had counted at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// Observations of at most each of [`BOUNDS_NS`], those of smaller bounds included; the last: all.
    pub cumulative: [u64; BUCKETS],
    /// All durations together, in nanoseconds. Begins anew at 2^64, after 584 years.
    pub sum_ns: u64,
}

impl Counted {
    /// How many observations there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        let [.., all] = self.cumulative;
        all
    }
}

impl Histogram {
    /// Counts one duration.
    pub fn observe(&self, took: Duration) {
        let took_ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get(BOUNDS_NS.partition_point(|bound| *bound < took_ns)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_ns.fetch_add(took_ns, Ordering::Relaxed);
    }

    /// What it has counted. While others observe, the sum may be ahead of the counts or behind them by what they observe.
    #[must_use]
    pub fn read(&self) -> Counted {
        let mut total = 0;
        let cumulative = self.buckets.each_ref().map(|bucket| {
            total += bucket.load(Ordering::Relaxed);
            total
        });
        Counted { cumulative, sum_ns: self.sum_ns.load(Ordering::Relaxed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_is_in_the_bucket_of_the_least_bound_that_it_does_not_exceed() {
        assert!(BOUNDS_NS.is_sorted_by(|one, next| one < next));
        for (at, bound) in BOUNDS_NS.into_iter().enumerate() {
            let histogram = Histogram::default();
            histogram.observe(Duration::from_nanos(bound));
            histogram.observe(Duration::from_nanos(bound + 1));
            let counted = histogram.read();
            let mut expected = [0; BUCKETS];
            expected[at] = 1;
            expected[at + 1..].fill(2);
            assert_eq!(counted, Counted { cumulative: expected, sum_ns: 2 * bound + 1 });
        }
    }

    #[test]
    fn nothing_observed_is_lost_at_either_end() {
        let histogram = Histogram::default();
        histogram.observe(Duration::ZERO);
        histogram.observe(Duration::from_secs(3600));
        histogram.observe(Duration::MAX);
        let counted = histogram.read();
        assert_eq!((counted.cumulative[0], counted.cumulative[BUCKETS - 2], counted.count()), (1, 1, 3));
    }

    #[test]
    fn threads_that_observe_at_once_lose_nothing() {
        let histogram = Histogram::default();
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let histogram = &histogram;
                scope.spawn(move || (0..1_000).for_each(|_| histogram.observe(Duration::from_micros(thread))));
            }
        });
        assert_eq!((histogram.read().count(), histogram.read().sum_ns), (4_000, 6_000_000));
    }
}
