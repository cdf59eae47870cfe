//! Dates and moments: read strictly, shown in UK time. It never guesses a day, a month or an offset.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use kith_api::v1;

/// The protocol's timestamp; the generated code names it through prost-types.
pub type ProtoTimestamp = kith_api::Timestamp;

/// Reads `YYYY-MM-DD`.
///
/// # Errors
/// Words for the person; they do not repeat the text.
pub fn date(text: &str) -> Result<v1::Date, &'static str> {
    const FORM: &str = "expected a date as YYYY-MM-DD";
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<&str> = text.split('-').collect();
    let &[year, month, day] = parts.as_slice() else { return Err(FORM) };
    if (year.len(), month.len(), day.len()) != (4, 2, 2) || ![year, month, day].into_iter().all(digits) {
        return Err(FORM);
    }
    let year: i16 = year.parse().map_err(|_| FORM)?;
    let (month, day): (i8, i8) = (month.parse().map_err(|_| FORM)?, day.parse().map_err(|_| FORM)?);
    let date = Date::new(year, month, day).map_err(|_| "no such date in the calendar")?;
    Ok(from_date(date))
}

/// Reads RFC 3339 with an offset, for example `2026-11-22T21:40:00+00:00`.
///
/// # Errors
/// Words for the person; they do not repeat the text.
pub fn moment(text: &str) -> Result<ProtoTimestamp, &'static str> {
    const FORM: &str = "expected a time with its offset, for example 2026-11-22T21:40:00+00:00";
    let moment: Timestamp = text.parse().map_err(|_| FORM)?;
    Ok(from_jiff(moment))
}

/// Now, by this machine's clock, in whole seconds.
pub fn now() -> ProtoTimestamp {
    ProtoTimestamp { nanos: 0, ..from_jiff(Timestamp::now()) }
}

fn from_jiff(moment: Timestamp) -> ProtoTimestamp {
    let whole = moment.as_second() - i64::from(moment.subsec_nanosecond() < 0);
    let nanos = moment.subsec_nanosecond();
    ProtoTimestamp { seconds: whole, nanos: if nanos < 0 { nanos + 1_000_000_000 } else { nanos } }
}

/// Today in the UK, by this machine's clock.
pub fn today() -> v1::Date {
    let zone = TimeZone::get("Europe/London").unwrap_or(TimeZone::UTC);
    from_date(Timestamp::now().to_zoned(zone).date())
}

/// So many days before a date; the date itself where it is none.
pub fn days_before(date: v1::Date, days: i32) -> v1::Date {
    let v1::Date { year, month, day } = date;
    let checked = || Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok();
    checked().map_or(date, |date| from_date(date.saturating_sub(jiff::Span::new().days(days))))
}

fn from_date(date: Date) -> v1::Date {
    v1::Date { year: date.year().into(), month: date.month().into(), day: date.day().into() }
}

/// `4 Mar 2026`.
pub fn show_date(date: v1::Date) -> String {
    let v1::Date { year, month, day } = date;
    let checked = || Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok();
    checked().map_or_else(|| "date not understood".to_owned(), |date| date.strftime("%-d %b %Y").to_string())
}

/// `Sat 14 Nov 2026 21:40`, in UK time.
pub fn show_moment(moment: &ProtoTimestamp) -> String {
    let ProtoTimestamp { seconds, nanos } = *moment;
    let Ok(stamp) = Timestamp::new(seconds, nanos) else { return "time not understood".to_owned() };
    match TimeZone::get("Europe/London") {
        Ok(zone) => stamp.to_zoned(zone).strftime("%a %-d %b %Y %H:%M").to_string(),
        Err(_) => stamp.to_zoned(TimeZone::UTC).strftime("%a %-d %b %Y %H:%M UTC").to_string(),
    }
}

/// `Sat 14 Nov 2026`, of a moment that stands for a whole day: its midnight in UTC.
pub fn show_day(moment: &ProtoTimestamp) -> String {
    let ProtoTimestamp { seconds, nanos } = *moment;
    match Timestamp::new(seconds, nanos) {
        Ok(stamp) => stamp.to_zoned(TimeZone::UTC).strftime("%a %-d %b %Y").to_string(),
        Err(_) => "time not understood".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_strictly() {
        assert_eq!(date("2024-02-29"), Ok(v1::Date { year: 2024, month: 2, day: 29 }));
        assert_eq!(date("2026-02-29"), Err("no such date in the calendar"));
        for bad in ["", "20240229", "29/02/2024", "2024-2-9", "2024-02-29T00:00", "+024-02-29", "2024-02-2x"] {
            assert!(date(bad).unwrap_err().contains("YYYY-MM-DD"), "{bad}");
        }
    }

    #[test]
    fn moments_need_an_offset() {
        let summer = moment("2026-07-01T09:30:00+01:00").unwrap();
        assert_eq!(summer, moment("2026-07-01T08:30:00Z").unwrap());
        assert_eq!(show_moment(&summer), "Wed 1 Jul 2026 09:30");
        assert!(moment("2026-07-01T09:30:00").is_err());
        assert!(moment("yesterday").is_err());
    }

    #[test]
    fn days_are_counted_back_over_months() {
        let date = |year, month, day| v1::Date { year, month, day };
        assert_eq!(days_before(date(2026, 3, 1), 27), date(2026, 2, 2));
        assert_eq!(days_before(date(2026, 13, 1), 27), date(2026, 13, 1));
        assert!(today().year >= 2026);
    }

    #[test]
    fn odd_dates_of_a_reply_are_said_to_be_odd() {
        assert_eq!(show_date(v1::Date { year: 2026, month: 3, day: 4 }), "4 Mar 2026");
        assert_eq!(show_date(v1::Date { year: 2026, month: 13, day: 4 }), "date not understood");
        assert_eq!(show_moment(&ProtoTimestamp { seconds: i64::MAX, nanos: 0 }), "time not understood");
    }
}
