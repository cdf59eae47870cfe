//! Today's date in Europe/London, without a time zone database: a fresh machine may
//! have none, and asking it would then silently give the date in UTC.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;

/// YYYY-MM-DD.
pub fn today() -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?;
    let seconds = i64::try_from(now.as_secs()).context("the clock stands too far ahead")?;
    Ok(date(seconds))
}

/// Summer time runs from 01:00 UTC on March's last Sunday to 01:00 UTC on October's.
fn date(seconds: i64) -> String {
    let (year, _, _) = civil(seconds.div_euclid(DAY));
    let begins = last_sunday(year, 3) * DAY + HOUR;
    let ends = last_sunday(year, 10) * DAY + HOUR;
    let summer = (begins..ends).contains(&seconds);
    let local = if summer { seconds + HOUR } else { seconds };
    let (year, month, day) = civil(local.div_euclid(DAY));
    format!("{year:04}-{month:02}-{day:02}")
}

/// Days since 1970-01-01 of the last Sunday of a month of 31 days.
fn last_sunday(year: i64, month: i64) -> i64 {
    let last = days(year, month, 31);
    // 1970-01-01 was a Thursday: four days after a Sunday.
    last - (last + 4).rem_euclid(7)
}

/// Days since 1970-01-01 (Hinnant, "chrono-compatible low-level date algorithms").
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The inverse of `days`.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day = shifted.rem_euclid(146_097);
    let of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * of_era + of_era / 4 - of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let month = (shifted_month + 2) % 12 + 1;
    let year = era * 400 + of_era + i64::from(month <= 2);
    (year, month, of_year - (153 * shifted_month + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_changes_an_hour_early_in_summer_only() {
        let at = |y, m, d, hour| days(y, m, d) * DAY + hour * HOUR;
        assert_eq!(date(at(2026, 7, 1, 22)), "2026-07-01");
        assert_eq!(date(at(2026, 7, 1, 23)), "2026-07-02");
        assert_eq!(date(at(2026, 12, 31, 23)), "2026-12-31");
        // Summer time of 2026: 29 March to 25 October.
        assert_eq!(date(at(2026, 3, 28, 23)), "2026-03-28");
        assert_eq!(date(at(2026, 3, 29, 23)), "2026-03-30");
        assert_eq!(date(at(2026, 10, 24, 23)), "2026-10-25");
        assert_eq!(date(at(2026, 10, 25, 23)), "2026-10-25");
    }

    #[test]
    fn days_and_dates_are_inverse() {
        for day in -800_000..800_000 {
            let (y, m, d) = civil(day);
            assert_eq!(days(y, m, d), day);
        }
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(days(2028, 2, 29)), (2028, 2, 29));
    }
}
