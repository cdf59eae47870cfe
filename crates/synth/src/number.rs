//! NHS numbers for invented people, each given once, all from the never-issued range 900 000 0000 to 998 999 9999.
//! Never gives a number of the 999 part, which belongs to hand-written test fixtures.

use kith_domain::NhsNumber;

use crate::dice::mix;

/// First nine digits of the lowest number given.
const FIRST: u64 = 900_000_000;
/// How many nine-digit stems there are up to 998 999 999.
const STEMS: u64 = 99_000_000;

/// Walks all stems once, in an order that the seed decides.
pub(crate) struct NumberLine {
    position: u64,
    step: u64,
}

impl NumberLine {
    /// Starts the walk of `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        let mut step = mix(seed) % STEMS;
        while gcd(step, STEMS) != 1 {
            step += 1;
        }
        Self { position: mix(seed ^ 1) % STEMS, step }
    }

    /// The next number: ten digits with a valid check digit.
    pub(crate) fn take(&mut self) -> u64 {
        loop {
            self.position = (self.position + self.step) % STEMS;
            if let Some(number) = NhsNumber::from_first_nine((FIRST + self.position) as u32) {
                return number.value();
            }
        }
    }
}

fn gcd(left: u64, right: u64) -> u64 {
    if right == 0 { left } else { gcd(right, left % right) }
}

#[cfg(test)]
mod tests {
    use super::NumberLine;
    use std::collections::BTreeSet;

    #[test]
    fn numbers_are_distinct_and_in_range() {
        let mut line = NumberLine::new(3);
        let mut seen = BTreeSet::new();
        for _ in 0..200_000 {
            let number = line.take();
            assert!((9_000_000_000..=9_989_999_999).contains(&number));
            assert!(seen.insert(number));
        }
    }
}
