//! A median with what is known of it: the interval that holds the true median in 95 of 100 runs, whatever the values are spread
//! like, and the least and the most. Least and most lie further apart the more rounds there are; the interval gets narrower.

/// A true median lies outside of the interval in fewer than so many runs.
const OUTSIDE: f64 = 0.05;

/// Median, its interval, and the least and the most.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    pub median: f64,
    /// The interval's ends.
    pub low: f64,
    pub high: f64,
    pub least: f64,
    pub most: f64,
}

/// The place from either end, counted from 1, of the values that bound the interval among so many in order: each value lies below
/// the true median with a chance of one half, so that how many do follows the binomial distribution. Of fewer than six values it
/// is the ends themselves, and the interval holds less: of five 93.75 in 100.
pub fn rank(count: usize) -> usize {
    let mut chance = 0.5_f64.powi(i32::try_from(count).unwrap_or(i32::MAX));
    let (mut below, mut rank) = (0.0, 0);
    // `below` becomes the chance that no more than `rank` values lie below.
    while rank < count / 2 {
        below += chance;
        if 2.0 * below > OUTSIDE {
            break;
        }
        #[expect(clippy::cast_precision_loss, reason = "numbers of rounds")]
        let next = (count - rank) as f64 / (rank + 1) as f64;
        chance *= next;
        rank += 1;
    }
    rank.max(1)
}

impl Spread {
    /// Of values, none of which may be missing; all nought of none.
    pub fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |place: usize| sorted.get(place).copied().unwrap_or_default();
        let Some(last) = sorted.len().checked_sub(1) else { return Self::default() };
        let from_the_end = rank(sorted.len()) - 1;
        Self {
            median: f64::midpoint(at(last / 2), at(sorted.len() / 2)),
            low: at(from_the_end),
            high: at(last - from_the_end),
            least: at(0),
            most: at(last),
        }
    }

    pub fn text(&self, digits: usize) -> String {
        let Self { median, low, high, least, most } = self;
        format!("{median:.digits$} ({low:.digits$} to {high:.digits$}) [{least:.digits$}, {most:.digits$}]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_that_of_the_binomial_distribution() {
        let ranks =
            [(1, 1), (3, 1), (5, 1), (6, 1), (8, 1), (9, 2), (10, 2), (12, 3), (15, 4), (20, 6), (25, 8), (45, 16)];
        for (count, expected) in ranks {
            assert_eq!(rank(count), expected, "{count} rounds");
        }
        assert_eq!(rank(0), 1);
    }

    #[test]
    fn medians_and_spreads() {
        let three = Spread { median: 2.0, low: 1.0, high: 3.0, least: 1.0, most: 3.0 };
        assert_eq!(Spread::of(&[3.0, 1.0, 2.0]), three);
        assert_eq!(Spread::of(&[4.0, 1.0]).median, 2.5);
        let nine = Spread::of(&[9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]);
        assert_eq!(nine, Spread { median: 5.0, low: 2.0, high: 8.0, least: 1.0, most: 9.0 });
        assert_eq!(Spread::of(&[]), Spread::default());
        assert_eq!(nine.text(1), "5.0 (2.0 to 8.0) [1.0, 9.0]");
    }
}
