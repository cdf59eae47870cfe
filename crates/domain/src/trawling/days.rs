//! Counts by day beside what is usual.

use crate::time::Day;

/// Days on which somebody asked, before their usual day is known.
const KNOWN_DAYS: u32 = 5;
/// The usual day follows the last so many.
const DAYS_OF_ONE: u32 = 16;
/// The usual day of everybody in a role follows the last so many days of a person.
const DAYS_OF_ALL: u32 = 1_000;
/// Days of people in a role, before their usual day stands in the place of one that is not known.
const KNOWN_DAYS_OF_ALL: u32 = 100;

/// What is usual in a day on which anybody asked, in hundredths.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Usual {
    days: u32,
    hundredths: i64,
}

impl Usual {
    /// Takes one day of `count`, following the last `most` days.
    fn take(&mut self, count: u32, most: u32) {
        self.days = (self.days + 1).min(most);
        self.hundredths += (i64::from(count) * 100 - self.hundredths) / i64::from(self.days);
    }

    /// In hundredths, once `least` days are known.
    fn known(self, least: u32) -> Option<u64> {
        let hundredths = u64::try_from(self.hundredths).unwrap_or_default();
        (self.days >= least).then_some(hundredths)
    }

    /// Takes one day of somebody in a role.
    pub(super) fn take_of_all(&mut self, count: u32) {
        self.take(count, DAYS_OF_ALL);
    }

    /// What is usual in a role, in hundredths.
    pub(super) fn of_all(self) -> Option<u64> {
        self.known(KNOWN_DAYS_OF_ALL)
    }
}

/// A day's count, and the days before.
#[derive(Debug, Default)]
pub(super) struct Days {
    day: Option<Day>,
    /// On this day.
    pub(super) count: u32,
    /// The first entry counted on this day.
    pub(super) first_entry: u64,
    /// What was beyond this on this day does not become usual: a day that was flagged does not make the next one like it
    /// ordinary.
    pub(super) most: Option<u32>,
    usual: Usual,
}

impl Days {
    /// Counts one on a day; the count of the day before it, when that has ended.
    pub(super) fn add(&mut self, day: Day, entry: u64) -> Option<u32> {
        let ended = self.turn(day);
        if self.count == 0 {
            self.first_entry = entry;
        }
        self.count = self.count.saturating_add(1);
        ended
    }

    /// Begins a day; the count of the day before it, when there was one.
    pub(super) fn turn(&mut self, day: Day) -> Option<u32> {
        if self.day.replace(day) == Some(day) {
            return None;
        }
        let ended = std::mem::take(&mut self.count).min(self.most.take().unwrap_or(u32::MAX));
        if ended == 0 {
            return None;
        }
        self.usual.take(ended, DAYS_OF_ONE);
        Some(ended)
    }

    /// What is usual in a day, in hundredths; none before it is known.
    pub(super) fn usual(&self) -> Option<u64> {
        self.usual.known(KNOWN_DAYS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(n: i32) -> Day {
        Day::new(2026, 3, 1).unwrap().plus_days(n)
    }

    #[test]
    fn the_usual_day_is_that_of_days_on_which_somebody_asked() {
        let mut days = Days::default();
        for n in 0..5 {
            for entry in 0..10 {
                days.add(day(n * 3), entry);
            }
            assert_eq!(days.usual(), None, "known on {n} days");
        }
        days.add(day(15), 7);
        assert_eq!((days.usual(), days.count, days.first_entry), (Some(1_000), 1, 7));
    }

    #[test]
    fn a_flagged_day_does_not_become_usual() {
        let (mut cut, mut whole) = (Days::default(), Days::default());
        for n in 0..6 {
            for entry in 0..(if n == 5 { 500 } else { 10 }) {
                cut.add(day(n), entry);
                whole.add(day(n), entry);
            }
        }
        cut.most = Some(50);
        assert_eq!((cut.turn(day(6)), whole.turn(day(6))), (Some(50), Some(500)));
        assert!(cut.usual() < Some(2_000) && whole.usual() > Some(8_000), "{:?} {:?}", cut.usual(), whole.usual());
        assert_eq!(cut.most, None, "the next day counts whole");
    }
}
