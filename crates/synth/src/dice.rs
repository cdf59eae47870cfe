//! Repeatable chance: a numbered ChaCha stream for each household, drawn from with whole numbers only.
//! Never uses the machine's randomness, a floating-point number or an iteration order that may vary.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Which part of the generator a stream belongs to; the number is part of the stream's identity.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    /// Children and mothers with plans.
    Plans = 1,
    /// Families without plans.
    Families = 2,
    /// Numbers about which nothing is written.
    Strangers = 3,
}

/// One stream of draws.
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    /// The stream of household `index` of `part`; `attempt` gives a fresh stream for a second throw.
    pub(crate) fn new(seed: u64, part: Part, index: u64, attempt: u8) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream((part as u64) << 56 | index << 8 | u64::from(attempt));
        Self(generator)
    }

    /// A whole number in `0..bound`; 0 when `bound` is 0.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        let product = u64::from(self.0.next_u32()) * u64::from(bound);
        (product >> 32) as u32
    }

    /// A day count in `low..=high`; `low` when the range is empty.
    pub(crate) fn days(&mut self, low: i32, high: i32) -> i32 {
        let width = (i64::from(high) - i64::from(low) + 1).clamp(1, i64::from(i32::MAX)) as u32;
        low + self.below(width) as i32
    }

    /// True `parts` times in 1,000.
    pub(crate) fn per_mille(&mut self, parts: u32) -> bool {
        self.below(1_000) < parts
    }

    /// The place in `weights` that the draw falls on; the last place when all are 0.
    pub(crate) fn weighted(&mut self, weights: &[u32]) -> usize {
        let mut left = self.below(weights.iter().sum());
        for (place, weight) in weights.iter().enumerate() {
            if left < *weight {
                return place;
            }
            left -= weight;
        }
        weights.len().saturating_sub(1)
    }

    /// The place in a running total that the draw falls on.
    fn cumulative(&mut self, totals: &[u64]) -> usize {
        let last = totals.last().copied().unwrap_or(0);
        let drawn = ((u128::from(self.0.next_u64()) * u128::from(last)) >> 64) as u64;
        totals.partition_point(|total| *total <= drawn)
    }
}

/// A list of places (trusts or authorities) with weights, prepared for many draws.
#[derive(Default)]
pub(crate) struct Choice {
    ids: Vec<u16>,
    totals: Vec<u64>,
}

/// How often a draw that must differ is repeated before another list is asked.
const OTHER_DRAWS: u32 = 16;

impl Choice {
    /// Adds a place; weight 0 adds nothing.
    pub(crate) fn push(&mut self, id: u16, weight: u64) {
        if weight > 0 {
            self.totals.push(self.totals.last().copied().unwrap_or(0) + weight);
            self.ids.push(id);
        }
    }

    /// Draws one place by weight; `None` only when the list is empty.
    pub(crate) fn draw(&self, dice: &mut Dice) -> Option<u16> {
        self.ids.get(dice.cumulative(&self.totals)).copied()
    }

    /// Draws one place that is not `not`; `None` when the list hardly has another.
    pub(crate) fn draw_other(&self, dice: &mut Dice, not: u16) -> Option<u16> {
        (0..OTHER_DRAWS).find_map(|_| self.draw(dice).filter(|id| *id != not))
    }
}

/// A well-mixed number for ranking samples: the finaliser of SplitMix64.
pub(crate) fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::{Choice, Dice, Part};

    #[test]
    fn the_same_stream_gives_the_same_draws_and_another_does_not() {
        let draws = |index, attempt| {
            let mut dice = Dice::new(7, Part::Families, index, attempt);
            (0..32).map(|_| dice.below(1_000_000)).collect::<Vec<_>>()
        };
        assert_eq!(draws(1, 0), draws(1, 0));
        assert_ne!(draws(1, 0), draws(2, 0));
        assert_ne!(draws(1, 0), draws(1, 1));
    }

    #[test]
    fn weights_are_kept_and_zero_weights_are_never_drawn() {
        let mut dice = Dice::new(1, Part::Plans, 0, 0);
        let mut counts = [0u32; 3];
        for _ in 0..30_000 {
            counts[dice.weighted(&[1, 0, 2])] += 1;
        }
        assert_eq!(counts[1], 0);
        assert!((9_400..10_600).contains(&counts[0]), "{counts:?}");
    }

    #[test]
    fn a_choice_with_one_place_has_no_other() {
        let mut choice = Choice::default();
        choice.push(4, 10);
        choice.push(5, 0);
        let mut dice = Dice::new(1, Part::Plans, 0, 0);
        assert_eq!(choice.draw(&mut dice), Some(4));
        assert_eq!(choice.draw_other(&mut dice, 4), None);
    }
}
