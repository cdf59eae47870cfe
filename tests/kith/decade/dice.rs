//! Chance that can be repeated: the same seed gives the same decade. Never the machine's randomness.

use kith_domain::time::{Day, Moment};
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

/// The source of everything random.
pub struct Dice {
    rng: ChaCha8Rng,
    next_id: u128,
}

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), next_id: 1 }
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.rng.random_range(0..n.max(1))
    }

    /// True so many times in a hundred.
    pub fn percent(&mut self, n: usize) -> bool {
        self.below(100) < n
    }

    /// From `low` to `high`, both included.
    pub fn days(&mut self, low: i32, high: i32) -> i32 {
        self.rng.random_range(low..=high)
    }

    pub fn seconds(&mut self, below: i64) -> i64 {
        self.rng.random_range(0..below.max(1))
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// One of several ranges of days, by weight.
    pub fn length(&mut self, table: &[(usize, i32, i32)]) -> i32 {
        let mut left = self.below(table.iter().map(|(weight, _, _)| weight).sum());
        for (weight, low, high) in table {
            if left < *weight {
                return self.days(*low, *high);
            }
            left -= weight;
        }
        table[0].1
    }

    /// How often something happens on one day that happens so many times a year.
    pub fn times(&mut self, per_year: usize) -> usize {
        per_year / 365 + usize::from(self.below(365) < per_year % 365)
    }

    pub fn id(&mut self) -> Uuid {
        self.next_id += 1;
        Uuid::from_u128(self.next_id)
    }

    /// Between now and so many hours later; mostly now.
    pub fn soon(&mut self, now: Moment) -> Moment {
        let hours = match self.below(10) {
            0..7 => 0,
            7 | 8 => self.seconds(24),
            _ => self.seconds(6 * 24),
        };
        now.plus_seconds(hours * 3_600)
    }

    /// A date as somebody may have written it: right, one digit off, day and month swapped, or another's.
    pub fn misread(&mut self, right: Day) -> Day {
        let (year, month, day) = right.ymd();
        let written = match self.below(4) {
            0 => Day::new(year, day, month),
            1 => Day::new(year, month, if day % 10 == 9 { day - 1 } else { day + 1 }),
            2 => Day::new(year - 1, month, day),
            _ => Day::new(year - 2, (month % 12) + 1, 1 + (day * 7) % 28),
        };
        written.unwrap_or(right)
    }
}
