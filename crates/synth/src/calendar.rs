//! Days counted from the day the England is "as of" (day 0), their dates, ages, and clock times in London.
//! Never reads a clock.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::SynthError;

/// A day: 0 is the as-of day, negative is before it.
pub(crate) type Day = i32;

/// The oldest day written anywhere: a mother of 41.
const OLDEST: Day = -15_400;
/// The latest day written anywhere: a plan's planned end.
const LATEST: Day = 400;
/// Years for which the turning day is kept.
const YEARS: usize = 42;
/// A child becomes an adult on this birthday.
pub(crate) const ADULT_YEARS: usize = 18;

/// Dates around one as-of day.
pub(crate) struct Calendar {
    dates: Vec<Date>,
    texts: Vec<String>,
    turning: Vec<Day>,
    london: TimeZone,
}

impl Calendar {
    /// Prepares the days around `as_of`.
    pub(crate) fn new(as_of: Date) -> Result<Self, SynthError> {
        let bad = |source| SynthError::Calendar { source };
        let dates = (OLDEST..=LATEST)
            .map(|day| as_of.checked_add(Span::new().days(day)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(bad)?;
        let turning = (0..=YEARS as i32)
            .map(|years| {
                let date = as_of.checked_sub(Span::new().years(years))?;
                Ok((date - as_of).get_days())
            })
            .collect::<Result<Vec<_>, jiff::Error>>()
            .map_err(bad)?;
        let texts = dates.iter().map(Date::to_string).collect();
        let london = TimeZone::get("Europe/London").map_err(bad)?;
        Ok(Self { dates, texts, turning, london })
    }

    fn place(day: Day) -> usize {
        (day.clamp(OLDEST, LATEST) - OLDEST) as usize
    }

    /// The date of `day`.
    pub(crate) fn date(&self, day: Day) -> Date {
        self.dates[Self::place(day)]
    }

    /// The date of `day` as YYYY-MM-DD.
    pub(crate) fn text(&self, day: Day) -> &str {
        &self.texts[Self::place(day)]
    }

    /// The day that lies `years` before the as-of day (29 February falls back to the 28th).
    pub(crate) fn years_back(&self, years: usize) -> Day {
        self.turning[years.min(YEARS)]
    }

    /// The birth days (first, last) of somebody who is `age` whole years old on the as-of day.
    pub(crate) fn births(&self, age: usize) -> (Day, Day) {
        (self.years_back(age + 1) + 1, self.years_back(age))
    }

    /// London clock time `second` of `day` as an instant; a time the clocks skip moves on by the hour skipped.
    pub(crate) fn instant(&self, day: Day, second: u32) -> Result<Timestamp, SynthError> {
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        let local = self.date(day).at(hour as i8, minute as i8, second as i8, 0);
        let zoned = self.london.to_timestamp(local);
        zoned.map_err(|source| SynthError::Calendar { source })
    }

    /// Writes an instant as RFC 3339 with London's offset at that instant.
    pub(crate) fn write_instant(&self, row: &mut Vec<u8>, instant: Timestamp) {
        let offset = self.london.to_offset(instant);
        let local = offset.to_datetime(instant);
        let minutes = offset.seconds() / 60;
        row.extend_from_slice(local.date().to_string().as_bytes());
        row.push(b'T');
        for (place, part) in [local.hour(), local.minute(), local.second()].into_iter().enumerate() {
            if place > 0 {
                row.push(b':');
            }
            push_two(row, part as u8);
        }
        row.push(b'+');
        push_two(row, (minutes / 60) as u8);
        row.push(b':');
        push_two(row, (minutes % 60) as u8);
    }
}

fn push_two(row: &mut Vec<u8>, value: u8) {
    row.extend_from_slice(&[b'0' + value / 10 % 10, b'0' + value % 10]);
}

#[cfg(test)]
mod tests {
    use super::Calendar;
    use jiff::civil::date;

    #[test]
    fn ages_turn_on_the_birthday() {
        let calendar = Calendar::new(date(2026, 3, 1)).unwrap();
        let (first, last) = calendar.births(0);
        assert_eq!(calendar.text(first), "2025-03-02");
        assert_eq!(calendar.text(last), "2026-03-01");
    }

    #[test]
    fn instants_carry_the_offset_of_their_day() {
        let calendar = Calendar::new(date(2026, 7, 1)).unwrap();
        let mut row = Vec::new();
        calendar.write_instant(&mut row, calendar.instant(-1, 3_661).unwrap());
        assert_eq!(String::from_utf8(row).unwrap(), "2026-06-30T01:01:01+01:00");
        let mut row = Vec::new();
        calendar.write_instant(&mut row, calendar.instant(-150, 0).unwrap());
        assert_eq!(String::from_utf8(row).unwrap(), "2026-02-01T00:00:00+00:00");
    }
}
