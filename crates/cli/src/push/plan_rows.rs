//! A row of a plan file as an event. It reads words, dates and numbers; whether the event makes sense, and whether the NHS
//! number is one, the service decides.

use kith_api::v1;
use uuid::Uuid;

use super::Refused;
use super::table::{Columns, Row};
use crate::dates;
use crate::person::{content_id, plain_number};
use crate::words::{PLAN_ACTIONS, PLAN_KINDS};

/// The columns of a plan file.
pub const COLUMNS: Columns = Columns {
    required: &[
        "event",
        "nhs_number",
        "date_of_birth",
        "plan",
        "start",
        "end",
        "other_authority",
        "shielded",
        "version",
    ],
    optional: &["reference", "event_id"],
};

/// Columns that make the event id when the file gives none.
const CONTENT: [&str; 9] =
    ["event", "date_of_birth", "plan", "start", "end", "other_authority", "shielded", "reference", "version"];

/// Reads a row of the authority `authority`.
///
/// # Errors
/// The row's trouble: line, field, reason and words.
pub fn event(row: &Row<'_>, authority: &str) -> Result<v1::PlanEvent, Refused> {
    let number = row.required("nhs_number", "NHS_NUMBER", |text| Ok::<_, String>(text.to_owned()))?;
    let action = row.required("event", "EVENT_UNKNOWN", |text| PLAN_ACTIONS.read(text))?;
    let kind = row.required("plan", "PLAN_UNKNOWN", |text| PLAN_KINDS.read(text))?;
    let event_id = row.optional("event_id", "EVENT_ID", |text| Uuid::parse_str(text).map_err(|_| "expected a UUID"))?;
    Ok(v1::PlanEvent {
        event_id: event_id.unwrap_or_else(|| made_id(row, authority)).to_string(),
        action: action.into(),
        subject: Some(v1::Subject { subject: Some(v1::subject::Subject::NhsNumber(number)) }),
        date_of_birth: row.optional("date_of_birth", "DATE", dates::date)?,
        kind: kind.into(),
        start: row.optional("start", "DATE", dates::date)?,
        end: row.optional("end", "DATE", dates::date)?,
        other_authority: row.cell("other_authority").to_owned(),
        shielded: row.optional("shielded", "SHIELDED", shielded)?.unwrap_or(false),
        reference: row.cell("reference").to_owned(),
        version: row.required("version", "VERSION", version)?,
    })
}

fn shielded(text: &str) -> Result<bool, &'static str> {
    if text == "yes" { Ok(true) } else { Err("expected yes, or nothing") }
}

/// A version, from 1.
///
/// # Errors
/// Words for the person.
pub fn version(text: &str) -> Result<u64, &'static str> {
    text.parse().ok().filter(|version| *version >= 1).ok_or("expected a whole number from 1")
}

fn made_id(row: &Row<'_>, authority: &str) -> Uuid {
    let number = plain_number(row.cell("nhs_number"));
    content_id("plan", authority, CONTENT.map(|name| row.cell(name)).into_iter().chain([number.as_str()]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::push::Loaded;
    use crate::push::table::Table;

    const HEADER: &str =
        "event,nhs_number,date_of_birth,plan,start,end,other_authority,shielded,reference,version,event_id\n";

    fn load(rows: &str) -> Loaded<v1::PlanEvent> {
        let table = Table::parse(format!("{HEADER}{rows}").as_bytes(), &COLUMNS).unwrap();
        Loaded::new(&table, |row| event(row, "E08000035"))
    }

    #[test]
    fn a_row_becomes_an_event() {
        let loaded = load("start,999 000 0018,2020-02-29,cpp,2026-01-05,,,yes,P-1,3,\n");
        let event = &loaded.items[0].1;
        assert_eq!(event.action(), v1::PlanAction::Start);
        assert_eq!(event.kind(), v1::PlanKind::ChildProtection);
        assert_eq!(event.date_of_birth, Some(v1::Date { year: 2020, month: 2, day: 29 }));
        assert_eq!((event.end, event.shielded, event.version), (None, true, 3));
        assert_eq!((event.reference.as_str(), event.other_authority.as_str()), ("P-1", ""));
        assert_eq!(Uuid::parse_str(&event.event_id).unwrap().get_version_num(), 5);
    }

    #[test]
    fn a_bad_row_in_the_middle_names_line_and_field_and_the_others_load() {
        let loaded = load(concat!(
            "start,9990000018,,cpp,2026-01-05,,,,,1,\n",
            "start,9990000018,,cpp,2026-02-30,,,,,1,\n",
            "begin,9990000018,,cpp,2026-01-05,,,,,1,\n",
            "start,9990000018,,cpp,2026-01-05,,,no,,1,\n",
            "start,9990000018,,cpp,2026-01-05,,,,,0,\n",
            "start,,,cpp,2026-01-05,,,,,1,\n",
            "end,9990000018,,lac,2026-01-05,2026-02-01,,,,2,not-a-uuid\n",
            "end,9990000018,,lac,2026-01-05,2026-02-01,,,,2,\n",
        ));
        let lines: Vec<u64> = loaded.items.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 9]);
        let refused: Vec<_> = loaded.refused.iter().map(|r| (r.line, r.field.as_str(), r.reason.as_str())).collect();
        let expected = [
            (3, "start", "DATE"),
            (4, "event", "EVENT_UNKNOWN"),
            (5, "shielded", "SHIELDED"),
            (6, "version", "VERSION"),
            (7, "nhs_number", "MISSING"),
            (8, "event_id", "EVENT_ID"),
        ];
        assert_eq!(refused, expected);
        assert!(loaded.refused.iter().all(|r| !r.words.contains("999")));
    }

    #[test]
    fn the_same_row_has_the_same_id_however_it_is_written() {
        let id = |rows: &str| load(rows).items[0].1.event_id.clone();
        let first = id("start,9990000018,,cpp,2026-01-05,,,,P-1,1,\n");
        assert_eq!(first, id("start,999-000 0018, ,cpp,\"2026-01-05\",,,,P-1,1,\n"));
        assert_ne!(first, id("start,9990000018,,cpp,2026-01-05,,,,P-1,2,\n"));
        assert_ne!(first, id("start,9990000026,,cpp,2026-01-05,,,,P-1,1,\n"));
    }
}
