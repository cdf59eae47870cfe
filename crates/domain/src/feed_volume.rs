//! How much an organisation usually sends: its live presentations by hour of the week in Europe/London, learned from the
//! last four weeks, and how the last hours compare. Never knows what a presentation says, and never counts imports: an old
//! file is no sign that today's children are being told of.

use crate::time::Moment;
use serde::{Deserialize, Serialize};

/// Hours of a week, from Monday's first.
pub const HOURS_OF_WEEK: usize = 168;
/// Weeks that an expectation is the mean of.
const WEEKS_LEARNED: i32 = 4;
/// Weeks kept: those, and the two that a trailing window may lie in.
const WEEKS_KEPT: i32 = WEEKS_LEARNED + 2;
/// A feed younger than this has no expectation: every hour of the week has then been seen twice.
const LEARNING_SECONDS: u64 = 14 * 86_400;
/// Seconds of an hour.
const HOUR_SECONDS: i64 = 3_600;
/// Minutes of an hour.
const HOUR_MINUTES: u64 = 60;

/// Bounds beyond which a feed is *thin*. Settings of one deployment: never part of what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThinRule {
    /// Thin is less than this share of what is expected; 0 finds none.
    pub percent: u32,
    /// Over so many trailing hours, the present one as far as it has come.
    pub window_hours: u32,
    /// Only where so many presentations are expected, so that a small unit's quiet night is not taken for a fault.
    pub min_expected: u32,
}

impl Default for ThinRule {
    fn default() -> Self {
        Self { percent: 20, window_hours: 24, min_expected: 10 }
    }
}

/// One hour of one week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    week: i32,
    hour: usize,
}

impl Slot {
    fn of(at: Moment) -> Self {
        let (week, hour) = at.london_hour_of_week();
        Self { week, hour: usize::from(hour) % HOURS_OF_WEEK }
    }
}

/// The trailing hours that are looked at: computed once for all feeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    now: Moment,
    /// Each hour once, with how many of its minutes have passed.
    slots: Vec<(Slot, u64)>,
}

impl Window {
    /// The hours before `now`. On the nights when clocks change, an hour that comes twice is looked at once.
    #[must_use]
    pub fn trailing(now: Moment, hours: u32) -> Self {
        let mut slots: Vec<(Slot, u64)> = Vec::new();
        for back in 0..i64::from(hours) {
            let slot = Slot::of(now.plus_seconds(-back * HOUR_SECONDS));
            let minutes = if back == 0 { u64::from(now.london_minute()) % HOUR_MINUTES } else { HOUR_MINUTES };
            if slots.last().is_none_or(|(last, _)| *last != slot) {
                slots.push((slot, minutes));
            }
        }
        Self { now, slots }
    }
}

/// One week's counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Week {
    number: i32,
    hours: Vec<u16>,
}

/// What one organisation sent lately. Part of the state: it changes with log records alone, by their own time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Volume {
    first: Option<Moment>,
    weeks: Vec<Week>,
}

impl Volume {
    /// Counts one live presentation, taken at `at`.
    pub fn count(&mut self, at: Moment) {
        let slot = Slot::of(at);
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        // One week ahead: records may be a little out of order around midnight.
        let kept = slot.week - WEEKS_KEPT + 1..=slot.week + 1;
        self.weeks.retain(|week| kept.contains(&week.number));
        let position = match self.weeks.binary_search_by_key(&slot.week, |week| week.number) {
            Ok(position) => position,
            Err(position) => {
                self.weeks.insert(position, Week { number: slot.week, hours: vec![0; HOURS_OF_WEEK] });
                position
            }
        };
        if let Some(count) = self.weeks.get_mut(position).and_then(|week| week.hours.get_mut(slot.hour)) {
            *count = count.saturating_add(1);
        }
    }

    fn at(&self, slot: Slot) -> u64 {
        let week = self.weeks.iter().find(|week| week.number == slot.week);
        week.and_then(|week| week.hours.get(slot.hour)).map_or(0, |count| u64::from(*count))
    }

    /// Live presentations in the window.
    #[must_use]
    pub fn actual(&self, window: &Window) -> u64 {
        window.slots.iter().map(|(slot, _)| self.at(*slot)).sum()
    }

    /// Hundredths of presentations expected in the window; `None` in a feed's first two weeks.
    #[must_use]
    pub fn expected_hundredths(&self, window: &Window) -> Option<u64> {
        let first = self.first.filter(|first| window.now.seconds_since(*first) >= LEARNING_SECONDS)?;
        let first = Slot::of(first);
        let of_slot = |(slot, minutes): &(Slot, u64)| {
            let before = (1..=WEEKS_LEARNED).map(|weeks| Slot { week: slot.week - weeks, hour: slot.hour });
            let (mut sum, mut weeks) = (0, 0);
            for slot in before.filter(|slot| *slot >= first) {
                sum += self.at(slot);
                weeks += 1;
            }
            (sum * 100 * minutes).checked_div(weeks * HOUR_MINUTES).unwrap_or(0)
        };
        Some(window.slots.iter().map(of_slot).sum())
    }
}

/// Hundredths of presentations expected in a window of so many hours where so many a week are configured.
#[must_use]
pub fn configured_hundredths(per_week: u32, window_hours: u32) -> u64 {
    u64::from(per_week) * 100 * u64::from(window_hours) / HOURS_OF_WEEK as u64
}

/// What a window holds beside what is expected of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VolumeLine {
    /// Hundredths of presentations expected; `None`: no expectation yet.
    pub expected_hundredths: Option<u64>,
    /// Live presentations.
    pub actual: u64,
}

impl VolumeLine {
    /// Whether this is far below what is expected.
    #[must_use]
    pub fn is_thin(&self, rule: &ThinRule) -> bool {
        let Some(expected) = self.expected_hundredths else { return false };
        let enough = expected >= u64::from(rule.min_expected) * 100;
        enough && self.actual.saturating_mul(10_000) < expected.saturating_mul(u64::from(rule.percent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600;
    const WEEK: i64 = 7 * 86_400;

    fn moment(text: &str) -> Moment {
        Moment(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    /// Two an hour for so many weeks from a Monday.
    fn steady(start: Moment, weeks: i64) -> Volume {
        let mut volume = Volume::default();
        for hour in 0..weeks * 168 {
            volume.count(start.plus_seconds(hour * HOUR + 60));
            volume.count(start.plus_seconds(hour * HOUR + 1_800));
        }
        volume
    }

    fn line(volume: &Volume, now: Moment) -> VolumeLine {
        let window = Window::trailing(now, 24);
        VolumeLine { expected_hundredths: volume.expected_hundredths(&window), actual: volume.actual(&window) }
    }

    #[test]
    fn the_first_two_weeks_expect_nothing() {
        let start = moment("2026-01-05T00:00:00Z");
        let volume = steady(start, 1);
        assert_eq!(line(&volume, start.plus_seconds(2 * WEEK)).expected_hundredths, None);
        let silent = line(&volume, start.plus_seconds(3 * WEEK));
        assert_eq!(silent.expected_hundredths, Some(2_300), "a mean of one full week and one that was silent");
        assert!(silent.is_thin(&ThinRule::default()));
    }

    #[test]
    fn steady_is_as_expected_and_a_fall_is_thin() {
        let start = moment("2026-01-05T00:00:00Z");
        let mut volume = steady(start, 5);
        let end = start.plus_seconds(5 * WEEK);
        assert_eq!(line(&volume, end), VolumeLine { expected_hundredths: Some(4_600), actual: 46 });
        assert!(!line(&volume, end).is_thin(&ThinRule::default()));
        let next_day = end.plus_seconds(24 * HOUR);
        assert_eq!(line(&volume, next_day), VolumeLine { expected_hundredths: Some(4_600), actual: 0 });
        for _ in 0..9 {
            volume.count(next_day.plus_seconds(-HOUR));
        }
        assert!(line(&volume, next_day).is_thin(&ThinRule::default()), "9 of 46 are under a fifth");
        volume.count(next_day.plus_seconds(-HOUR));
        assert!(!line(&volume, next_day).is_thin(&ThinRule::default()), "10 of 46 are not");
    }

    #[test]
    fn below_the_minimum_nothing_is_thin() {
        let rule = ThinRule { min_expected: 10, ..ThinRule::default() };
        assert!(!VolumeLine { expected_hundredths: Some(999), actual: 0 }.is_thin(&rule));
        assert!(VolumeLine { expected_hundredths: Some(1_000), actual: 0 }.is_thin(&rule));
        assert!(!VolumeLine { expected_hundredths: Some(1_000), actual: 0 }.is_thin(&ThinRule { percent: 0, ..rule }));
        assert_eq!(configured_hundredths(700, 24), 10_000);
    }

    #[test]
    fn the_present_hour_counts_as_far_as_it_has_come() {
        let start = moment("2026-01-05T00:00:00Z");
        let volume = steady(start, 5);
        let half = start.plus_seconds(4 * WEEK + 1_800);
        assert_eq!(line(&volume, half).expected_hundredths, Some(4_700));
    }

    /// Shape by hour: a unit that is open by day is not expected to send by night, also when clocks have changed.
    #[test]
    fn the_hours_are_londons() {
        let mut volume = Volume::default();
        let start = moment("2026-03-02T10:00:00Z");
        for day in 0..27 {
            for _ in 0..30 {
                volume.count(start.plus_seconds(day * 24 * HOUR));
            }
        }
        // Sunday 29 March: from here on ten o'clock in London is nine in UTC.
        let one = |now| volume.expected_hundredths(&Window::trailing(now, 1)).unwrap();
        assert_eq!((one(moment("2026-03-30T08:30:00Z")), one(moment("2026-03-30T09:30:00Z"))), (0, 1_500));
    }

    #[test]
    fn what_is_older_than_six_weeks_is_gone() {
        let start = moment("2026-01-05T00:00:00Z");
        let mut volume = steady(start, 10);
        assert_eq!(volume.weeks.len(), 6);
        volume.count(start.plus_seconds(40 * WEEK));
        assert_eq!(volume.weeks.len(), 1);
    }
}
