//! Dates, moments and UUIDs.

use super::fault::Faults;
use crate::v1;
use kith_domain::time::{Day, Moment};
use prost_types::Timestamp;
use std::fmt::Display;
use uuid::Uuid;

/// A moment as a timestamp.
#[must_use]
pub fn timestamp(moment: Moment) -> Timestamp {
    let nanos = i32::try_from(moment.0.rem_euclid(1000) * 1_000_000).unwrap_or(0);
    Timestamp { seconds: moment.0.div_euclid(1000), nanos }
}

/// A timestamp as a moment, from 1900 to 2199.
pub(super) fn moment(faults: &mut Faults, field: impl Display + Copy, stamp: Option<Timestamp>) -> Option<Moment> {
    let Timestamp { seconds, nanos } = faults.need(field, stamp)?;
    let years = -2_208_988_800..7_258_118_400_i64;
    if !years.contains(&seconds) || !(0..1_000_000_000).contains(&nanos) {
        faults.add(field, "BAD_TIMESTAMP", "a timestamp from 1900 to 2199 is needed");
        return None;
    }
    Some(Moment(seconds * 1000 + i64::from(nanos / 1_000_000)))
}

/// A day as a date.
#[must_use]
pub fn date(day: Day) -> v1::Date {
    let (year, month, day) = day.ymd();
    v1::Date { year, month, day }
}

/// An optional date as a day; `None` with a fault noted when it is no date.
pub(super) fn day(faults: &mut Faults, field: impl Display, date: Option<v1::Date>) -> Option<Day> {
    let v1::Date { year, month, day } = date?;
    faults.take(field, "BAD_DATE", Day::new(year, month, day))
}

/// A UUID in its usual text form.
pub(super) fn uuid(faults: &mut Faults, field: impl Display, text: &str) -> Option<Uuid> {
    let parsed = if text.len() == 36 { Uuid::try_parse(text).ok() } else { None };
    let parsed = parsed.filter(|id| !id.is_nil());
    if parsed.is_none() {
        faults.add(field, "BAD_UUID", "a UUID such as 123e4567-e89b-42d3-a456-426614174000 is needed");
    }
    parsed
}
