//! Days and hours in London, worked out anew: the simulated decade must not find a birthday with the code that it checks.
//! Never reads a clock.

use kith_domain::time::{Day, Moment};

const MS_PER_HOUR: i64 = 3_600_000;
const MS_PER_DAY: i64 = 24 * MS_PER_HOUR;

pub fn day(year: i32, month: i32, day: i32) -> Day {
    Day::new(year, month, day).expect("a date of the calendar")
}

/// The day that begins at so many days after 1 January 1970.
fn nth(days: i64) -> Day {
    day(1970, 1, 1).plus_days(i32::try_from(days).expect("a day of this century"))
}

/// Days since 1 January 1970.
pub fn number(day: Day) -> i64 {
    day.utc_start().0 / MS_PER_DAY
}

/// 0 is Monday. 1 January 1970 was a Thursday.
pub fn weekday(day: Day) -> i64 {
    (number(day) + 3).rem_euclid(7)
}

fn last_sunday(year: i32, month: i32) -> Day {
    let last = day(year, month, 31);
    last.plus_days(-i32::try_from((weekday(last) + 1) % 7).expect("a few days"))
}

/// Summer time begins and ends at one o'clock UTC on the last Sundays of March and October.
fn is_summer(at: Moment) -> bool {
    let (year, _, _) = nth(at.0.div_euclid(MS_PER_DAY)).ymd();
    let turn = |month| last_sunday(year, month).utc_start().0 + MS_PER_HOUR;
    (turn(3)..turn(10)).contains(&at.0)
}

fn local_ms(at: Moment) -> i64 {
    at.0 + if is_summer(at) { MS_PER_HOUR } else { 0 }
}

/// The date in London.
pub fn london_day(at: Moment) -> Day {
    nth(local_ms(at).div_euclid(MS_PER_DAY))
}

/// Minutes since midnight in London.
pub fn london_minute(at: Moment) -> i64 {
    local_ms(at).rem_euclid(MS_PER_DAY) / 60_000
}

fn days_of(year: i32, month: i32) -> i32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// So many months later; the last day of that month where it has no such day.
pub fn plus_months(from: Day, months: i32) -> Day {
    let (year, month, of_month) = from.ymd();
    let whole = year * 12 + month - 1 + months;
    let (year, month) = (whole.div_euclid(12), whole.rem_euclid(12) + 1);
    day(year, month, of_month.min(days_of(year, month)))
}

/// The day from which on a person is an adult.
pub fn birthday_18(born: Day) -> Day {
    plus_months(born, 216)
}

/// Christmas, the day after it and New Year's Day: the holidays that the simulated directory knows.
pub fn holidays(years: std::ops::RangeInclusive<i32>) -> impl Iterator<Item = Day> {
    years.flat_map(|year| [day(year, 1, 1), day(year, 12, 25), day(year, 12, 26)])
}

#[test]
fn london_and_months() {
    let at = |text_day: Day, hour: i64| Moment(text_day.utc_start().0 + hour * MS_PER_HOUR);
    assert_eq!(london_day(at(day(2026, 6, 30), 23)), day(2026, 7, 1));
    assert_eq!(london_day(at(day(2026, 12, 31), 23)), day(2026, 12, 31));
    assert_eq!((last_sunday(2026, 3), last_sunday(2026, 10)), (day(2026, 3, 29), day(2026, 10, 25)));
    assert_eq!(london_minute(at(day(2026, 3, 29), 0)), 0);
    assert_eq!(london_minute(at(day(2026, 3, 29), 1)), 120, "an hour is left out");
    assert_eq!(birthday_18(day(2024, 2, 29)), day(2042, 2, 28));
    assert_eq!(plus_months(day(2026, 1, 31), 13), day(2027, 2, 28));
    assert_eq!(weekday(day(2026, 11, 22)), 6);
}
