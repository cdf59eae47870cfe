//! Seeded draws: cheap, the same on every machine. Nothing secret is made of them.

/// A stream of draws (splitmix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The stream of a seed; `part` keeps streams of one seed apart.
    #[must_use]
    pub fn new(seed: u64, part: u64) -> Self {
        let mut dice = Self(seed ^ part.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        dice.bits();
        dice
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform over `0..bound`; 0 when `bound` is.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// Uniform over `0..len`, for a list.
    pub fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// Uniform over 0 to 1, never 0.
    pub fn unit(&mut self) -> f64 {
        ((self.bits() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// True in `percent` of a hundred draws.
    pub fn percent(&mut self, percent: f64) -> bool {
        self.unit() * 100.0 <= percent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_the_same_for_a_seed_and_differ_between_parts() {
        let draw = |seed, part| {
            (0..5).map(|_| 0).scan(Dice::new(seed, part), |dice, _: i32| Some(dice.bits())).collect::<Vec<_>>()
        };
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
    }

    #[test]
    fn draws_are_spread_evenly() {
        let mut dice = Dice::new(7, 0);
        let mut counts = [0_u32; 10];
        for _ in 0..100_000 {
            counts[dice.index(10)] += 1;
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
        let mean = (0..100_000).map(|_| dice.unit()).sum::<f64>() / 100_000.0;
        assert!((0.495..0.505).contains(&mean), "{mean}");
        assert!(!(0..1000).any(|_| dice.percent(0.0)) && (0..1000).all(|_| dice.percent(100.0)));
    }
}
