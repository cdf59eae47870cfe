//! Moments and London days. Time is always an argument; nothing here reads a clock.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::sync::OnceLock;

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
pub struct Moment(pub i64);

/// A calendar date in Europe/London: days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Day(i32);

/// Why a date is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DayError {
    /// No such date in the calendar.
    #[error("no such date in the calendar")]
    NoSuchDate,
    /// Before 1900.
    #[error("the date is before 1900")]
    BeforeCentury,
    /// After 2199.
    #[error("the date is after 2199")]
    TooFar,
}

const MS_PER_SECOND: i64 = 1000;
const MS_PER_DAY: i64 = 24 * 60 * 60 * MS_PER_SECOND;
/// From 1970 to 2099 London is never behind UTC and at most an hour ahead: until 23:00 UTC the date is the same, and needs
/// no time zone.
const KNOWN_OFFSETS: std::ops::Range<i64> = 0..4_102_444_800_000;
const LARGEST_OFFSET_MS: i64 = 60 * 60 * MS_PER_SECOND;
const DAYS_OF_WEEK: i32 = 7;
/// 1970-01-01 was a Thursday.
const DAYS_BEFORE_EPOCH_IN_WEEK: i32 = 3;
/// Years accepted; a later end date is a typing error.
const YEARS: std::ops::RangeInclusive<i32> = 1900..=2199;

fn epoch() -> Date {
    Date::constant(1970, 1, 1)
}

/// Europe/London from the bundled database. Should it be missing, civil days follow UTC.
fn london() -> &'static TimeZone {
    static ZONE: OnceLock<TimeZone> = OnceLock::new();
    ZONE.get_or_init(|| TimeZone::get("Europe/London").unwrap_or(TimeZone::UTC))
}

/// Days of which a thread keeps what date their last hour has in London: a question looks at a few.
const KEPT_DAYS: i32 = 8;

thread_local! {
    /// UTC days, each at its number modulo how many are kept, and the London date of their last hour. Without it whoever asks in that
    /// hour would wait longer.
    static LAST_HOURS: Cell<[(Day, Day); KEPT_DAYS as usize]> = const { Cell::new([(Day(i32::MIN), Day(0)); KEPT_DAYS as usize]) };
}

impl Moment {
    /// The London date at this moment.
    #[must_use]
    pub fn london_day(self) -> Day {
        if !KNOWN_OFFSETS.contains(&self.0) {
            return self.zoned_day();
        }
        let day = self.utc_day();
        if self.0.rem_euclid(MS_PER_DAY) < MS_PER_DAY - LARGEST_OFFSET_MS {
            return day;
        }
        // All of that hour has one date: offsets change in another.
        let (mut kept, at) = (LAST_HOURS.get(), usize::try_from(day.0.rem_euclid(KEPT_DAYS)).unwrap_or(0));
        if let Some((_, last_hour)) = kept.get(at).filter(|(known, _)| *known == day) {
            return *last_hour;
        }
        let last_hour = self.zoned_day();
        if let Some(place) = kept.get_mut(at) {
            *place = (day, last_hour);
        }
        LAST_HOURS.set(kept);
        last_hour
    }

    /// The London date as the time zone has it, which takes long.
    fn zoned_day(self) -> Day {
        let stamp = jiff::Timestamp::from_millisecond(self.0).unwrap_or_default();
        Day::from_date(london().to_datetime(stamp).date())
    }

    /// The UTC date at this moment: the London date or the day before it.
    #[must_use]
    pub fn utc_day(self) -> Day {
        Day(i32::try_from(self.0.div_euclid(MS_PER_DAY)).unwrap_or(i32::MAX))
    }

    /// London minutes since midnight at this moment, for office hours.
    #[must_use]
    pub fn london_minute(self) -> u16 {
        let stamp = jiff::Timestamp::from_millisecond(self.0).unwrap_or_default();
        let time = london().to_datetime(stamp).time();
        let hour = u16::try_from(time.hour()).unwrap_or(0);
        hour * 60 + u16::try_from(time.minute()).unwrap_or(0)
    }

    /// The London week at this moment, numbered from the one of 1970-01-01, and the hour in it from Monday's first.
    #[must_use]
    pub fn london_hour_of_week(self) -> (i32, u16) {
        let stamp = jiff::Timestamp::from_millisecond(self.0).unwrap_or_default();
        let zoned = london().to_datetime(stamp);
        let days = Day::from_date(zoned.date()).0 + DAYS_BEFORE_EPOCH_IN_WEEK;
        let weekday = u16::try_from(days.rem_euclid(DAYS_OF_WEEK)).unwrap_or(0);
        (days.div_euclid(DAYS_OF_WEEK), weekday * 24 + u16::try_from(zoned.time().hour()).unwrap_or(0))
    }

    /// Seconds from `earlier` to this moment; zero when `earlier` is later.
    #[must_use]
    pub fn seconds_since(self, earlier: Self) -> u64 {
        u64::try_from((self.0 - earlier.0) / MS_PER_SECOND).unwrap_or(0)
    }

    /// This moment plus so many seconds.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(MS_PER_SECOND)))
    }

    /// The moment in London as `2026-11-22 03:04`, for words.
    #[must_use]
    pub fn london_text(self) -> String {
        let stamp = jiff::Timestamp::from_millisecond(self.0).unwrap_or_default();
        let there = london().to_datetime(stamp);
        let mut text = String::with_capacity(16);
        push_pair(&mut text, i32::from(there.year()) / 100);
        push_pair(&mut text, i32::from(there.year()));
        for (before, value) in [('-', there.month()), ('-', there.day()), (' ', there.hour()), (':', there.minute())] {
            text.push(before);
            push_pair(&mut text, i32::from(value));
        }
        text
    }
}

/// The two digits of a number below a hundred.
const PAIRS: &str = "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849\
                     5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

/// The last two digits of a number that is not negative: formatting in general costs more than the rest of a moment's text.
fn push_pair(text: &mut String, value: i32) {
    let at = usize::try_from(value % 100).unwrap_or(0) * 2;
    text.push_str(&PAIRS[at..at + 2]);
}

impl Day {
    /// A date of the calendar from 1900 to 2199.
    ///
    /// # Errors
    /// [`DayError`].
    pub fn new(year: i32, month: i32, day: i32) -> Result<Self, DayError> {
        let narrow = (i16::try_from(year), i8::try_from(month), i8::try_from(day));
        let (Ok(y), Ok(m), Ok(d)) = narrow else { return Err(DayError::NoSuchDate) };
        let date = Date::new(y, m, d).map_err(|_| DayError::NoSuchDate)?;
        if year < *YEARS.start() {
            return Err(DayError::BeforeCentury);
        }
        if year > *YEARS.end() {
            return Err(DayError::TooFar);
        }
        Ok(Self::from_date(date))
    }

    fn from_date(date: Date) -> Self {
        Self((date - epoch()).get_days())
    }

    fn date(self) -> Date {
        epoch().saturating_add(jiff::Span::new().days(self.0))
    }

    /// Midnight UTC at which this day begins there; in London it has then begun.
    #[must_use]
    pub fn utc_start(self) -> Moment {
        Moment(i64::from(self.0) * MS_PER_DAY)
    }

    /// Year, month, day.
    #[must_use]
    pub fn ymd(self) -> (i32, i32, i32) {
        let date = self.date();
        (i32::from(date.year()), i32::from(date.month()), i32::from(date.day()))
    }

    /// This day plus so many days.
    #[must_use]
    pub fn plus_days(self, days: i32) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// This day plus so many months; the last day of the month when it has no such day.
    #[must_use]
    pub fn plus_months(self, months: i32) -> Self {
        Self::from_date(self.date().saturating_add(jiff::Span::new().months(months)))
    }

    /// The 18th birthday of a person born on this day: 29 February becomes 28 February in a common year, the earlier
    /// of the two readings, and the plan's retention window lies on top of it.
    #[must_use]
    pub fn eighteenth_birthday(self) -> Self {
        self.plus_months(18 * 12)
    }

    /// True from Monday to Friday.
    #[must_use]
    pub fn is_weekday(self) -> bool {
        self.date().weekday().to_monday_zero_offset() < 5
    }

    /// The date as `2026-11-22`.
    #[must_use]
    pub fn text(self) -> String {
        let (year, month, day) = self.ymd();
        let mut text = String::with_capacity(10);
        push_pair(&mut text, year / 100);
        push_pair(&mut text, year);
        for value in [month, day] {
            text.push('-');
            push_pair(&mut text, value);
        }
        text
    }

    /// Parses `2026-11-22`.
    ///
    /// # Errors
    /// [`DayError`].
    pub fn parse(text: &str) -> Result<Self, DayError> {
        let bytes = text.as_bytes();
        let shape = bytes.len() == 10
            && bytes.iter().enumerate().all(|(i, b)| if i == 4 || i == 7 { *b == b'-' } else { b.is_ascii_digit() });
        if !shape {
            return Err(DayError::NoSuchDate);
        }
        let part = |range: std::ops::Range<usize>| text[range].parse::<i32>().map_err(|_| DayError::NoSuchDate);
        Self::new(part(0..4)?, part(5..7)?, part(8..10)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> Moment {
        Moment(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn london_days_follow_summer_time() {
        assert_eq!(moment("2026-06-30T23:30:00Z").london_day().text(), "2026-07-01");
        assert_eq!(moment("2026-12-31T23:30:00Z").london_day().text(), "2026-12-31");
        assert_eq!(moment("2026-06-30T23:30:00Z").london_minute(), 30);
    }

    /// Every half hour from 1969 to 2101, and the moments around them.
    #[test]
    fn the_london_date_is_the_time_zones() {
        let (from, to) = (moment("1969-01-01T00:00:00Z").0, moment("2101-01-01T00:00:00Z").0);
        for at in (from..to).step_by(30 * 60 * 1000).flat_map(|at| [at - 1, at, at + 1]) {
            let stamp = jiff::Timestamp::from_millisecond(at).unwrap();
            let expected = london().to_datetime(stamp).date();
            assert_eq!(Moment(at).london_day(), Day::from_date(expected), "{stamp}");
        }
    }

    #[test]
    fn hours_of_the_week_are_londons() {
        assert_eq!(moment("1970-01-01T00:00:00Z").london_hour_of_week(), (0, 3 * 24 + 1), "summer time all year");
        let (week, hour) = moment("2026-06-28T22:59:00Z").london_hour_of_week();
        assert_eq!(hour, 167, "the last hour of a Sunday");
        assert_eq!(moment("2026-06-28T23:00:00Z").london_hour_of_week(), (week + 1, 0));
    }

    #[test]
    fn dates_are_checked() {
        assert_eq!(Day::new(2024, 2, 29).unwrap().text(), "2024-02-29");
        assert_eq!(Day::new(2023, 2, 29), Err(DayError::NoSuchDate));
        assert_eq!(Day::new(1899, 12, 31), Err(DayError::BeforeCentury));
        assert_eq!(Day::new(2200, 1, 1), Err(DayError::TooFar));
        assert_eq!(Day::new(i32::MAX, 1, 1), Err(DayError::NoSuchDate));
        assert_eq!(Day::parse("2026-1-01"), Err(DayError::NoSuchDate));
        assert_eq!(Day::parse("2026-01-31").unwrap().plus_months(1).text(), "2026-02-28");
        assert_eq!(Day::new(1899, 1, 1), Err(DayError::BeforeCentury));
    }

    #[test]
    fn a_day_survives_its_parts() {
        let day = Day::new(1968, 3, 1).unwrap();
        assert_eq!(day.ymd(), (1968, 3, 1));
        assert_eq!(Day::new(2024, 2, 29).unwrap().eighteenth_birthday().text(), "2042-02-28");
    }
}
