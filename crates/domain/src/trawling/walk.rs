//! Walks through numbers: among the numbers that somebody asked about lately, those that follow one another in equal steps.

use crate::NhsNumber;
use crate::time::Moment;

/// Numbers remembered of a person: a walk shows through so many questions of ordinary work among it.
const REMEMBERED: usize = 32;
/// For so long, in seconds: a walk takes an evening, and babies born on a day have numbers near each other.
const REMEMBERED_S: u64 = 24 * 60 * 60;
/// Steps in a row that may have no number, because its check digit would be ten: one in eleven has none.
const MOST_LEFT_OUT: u32 = 2;

/// The first nine digits asked about, and where.
#[derive(Debug, Clone, Copy)]
struct Step {
    nine: u32,
    entry: u64,
    at: Moment,
}

/// A walk that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Walk {
    pub(super) numbers: u32,
    pub(super) first_entry: u64,
}

/// Numbers that somebody asked about lately, in their order as numbers.
#[derive(Debug, Default)]
pub(super) struct Walks {
    steps: Vec<Step>,
}

impl Walks {
    /// Takes a number; the longest walk of at least `least` numbers that it belongs to. One asked about again is no step.
    pub(super) fn step(&mut self, number: NhsNumber, entry: u64, now: Moment, least: u32) -> Option<Walk> {
        let nine = u32::try_from(number.value() / 10).ok()?;
        self.steps.retain(|step| now.seconds_since(step.at) < REMEMBERED_S);
        let place = self.steps.binary_search_by_key(&nine, |step| step.nine).err()?;
        self.steps.insert(place, Step { nine, entry, at: now });
        if self.steps.len() > REMEMBERED
            && let Some(oldest) = (0..self.steps.len()).min_by_key(|at| self.steps[*at].entry)
        {
            self.steps.remove(oldest);
        }
        if self.steps.len() < usize::try_from(least).unwrap_or(usize::MAX) {
            return None;
        }
        let walks = self.steps.iter().filter_map(|other| self.walk(nine, nine.abs_diff(other.nine)));
        walks.max_by_key(|walk| walk.numbers).filter(|walk| walk.numbers >= least)
    }

    /// The walk through a number in steps of so much, to either side.
    fn walk(&self, nine: u32, by: u32) -> Option<Walk> {
        if by == 0 {
            return None;
        }
        let own = self.found(nine)?;
        let (up, down) = (self.to_one_side(nine, i64::from(by)), self.to_one_side(nine, -i64::from(by)));
        let first_entry = own.entry.min(up.1).min(down.1);
        Some(Walk { numbers: 1 + up.0 + down.0, first_entry })
    }

    /// How many are met to one side before one is missing, and the first entry of them.
    fn to_one_side(&self, nine: u32, by: i64) -> (u32, u64) {
        let (mut numbers, mut first_entry, mut left_out) = (0, u64::MAX, 0);
        let mut next = i64::from(nine);
        while left_out <= MOST_LEFT_OUT {
            next += by;
            let Ok(nine) = u32::try_from(next) else { break };
            match self.found(nine) {
                Some(step) => {
                    numbers += 1;
                    left_out = 0;
                    first_entry = first_entry.min(step.entry);
                }
                None if NhsNumber::from_first_nine(nine).is_some() || nine > 999_999_999 => break,
                None => left_out += 1,
            }
        }
        (numbers, first_entry)
    }

    fn found(&self, nine: u32) -> Option<&Step> {
        self.steps.binary_search_by_key(&nine, |step| step.nine).ok().and_then(|at| self.steps.get(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks about numbers in this order, a minute apart; the longest walk at the end.
    fn asked(nines: impl IntoIterator<Item = u32>) -> Option<Walk> {
        let mut walks = Walks::default();
        let numbers = nines.into_iter().filter_map(NhsNumber::from_first_nine);
        let minute = |entry: u64| Moment(i64::try_from(entry).unwrap() * 60_000);
        (1_u64..).zip(numbers).filter_map(|(entry, number)| walks.step(number, entry, minute(entry), 8)).last()
    }

    /// Numbers without a pattern.
    fn scattered(n: u32) -> u32 {
        let mut mixed = u64::from(n).wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        u32::try_from((mixed ^ (mixed >> 31)) % 1_000_000_000).unwrap()
    }

    #[test]
    fn steps_of_any_size_in_either_direction_are_a_walk() {
        for by in [1, 2, 10, 11, 999, 40_000] {
            let up: Vec<u32> = (0..12).map(|n| 400_000_000 + n * by).collect();
            assert!(asked(up.iter().copied()).is_some_and(|walk| walk.numbers >= 8), "up by {by}");
            assert!(asked(up.iter().rev().copied()).is_some_and(|walk| walk.numbers >= 8), "down by {by}");
        }
    }

    #[test]
    fn a_walk_shows_out_of_order_and_among_other_work() {
        let shuffled = [7, 1, 4, 10, 2, 8, 0, 5, 9, 3, 6].map(|n| 500_000_000 + n);
        assert!(asked(shuffled).is_some());
        let among = (0..24).map(|n| if n % 2 == 0 { 500_000_000 + n / 2 } else { scattered(n) });
        assert!(asked(among).is_some());
    }

    #[test]
    fn ordinary_numbers_twins_and_the_same_again_are_none() {
        assert_eq!(asked((1..5_000).map(scattered)), None);
        // Three at a time with neighbouring numbers: multiple births.
        assert_eq!(asked((1..5_000).map(|n| scattered(n / 3) / 10 * 10 + n % 3)), None);
        assert_eq!(asked((0..100).map(|_| 500_000_000)), None);
    }

    #[test]
    fn what_was_asked_days_ago_is_forgotten() {
        let mut walks = Walks::default();
        let numbers = (400_000_000..400_000_020).filter_map(NhsNumber::from_first_nine);
        for (entry, number) in (1_u64..).zip(numbers) {
            let at = Moment(i64::try_from(entry).unwrap() * 4 * 60 * 60 * 1_000);
            assert_eq!(walks.step(number, entry, at, 8), None);
        }
    }
}
