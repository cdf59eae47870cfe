//! A row of a presentation file as an item of an import. It reads words, times and numbers; whether the row makes sense,
//! and whether the NHS number is one, the service decides.

use kith_api::v1;
use uuid::Uuid;

use super::Refused;
use super::table::{Columns, Row};
use crate::dates;
use crate::person::content_id;
use crate::words::{CARE_SETTINGS, COMPLAINTS, PRESENTATION_OUTCOMES};

/// The columns of a presentation file.
pub const COLUMNS: Columns = Columns {
    required: &[
        "site",
        "encounter_id",
        "version",
        "nhs_number",
        "date_of_birth",
        "arrived_at",
        "care_setting",
        "complaint",
        "outcome",
        "outcome_at",
    ],
    optional: &["event_id"],
};

/// Columns that make the event id when the file gives none. The person is left out: an encounter and its version say which
/// event it is, and another person under the same version must be refused, not taken as a new event.
const CONTENT: [&str; 8] =
    ["site", "encounter_id", "version", "arrived_at", "care_setting", "complaint", "outcome", "outcome_at"];

/// Reads a row of the organisation `organisation`; the caller is added to the first item of a stream.
///
/// # Errors
/// The row's trouble: line, field, reason and words.
pub fn item(row: &Row<'_>, organisation: &str) -> Result<v1::ImportRequest, Refused> {
    let text = |text: &str| Ok::<_, String>(text.to_owned());
    let number = row.required("nhs_number", "NHS_NUMBER", text)?;
    let event_id = row.optional("event_id", "EVENT_ID", |text| Uuid::parse_str(text).map_err(|_| "expected a UUID"))?;
    let outcome = row.optional("outcome", "OUTCOME_UNKNOWN", |text| PRESENTATION_OUTCOMES.read(text))?;
    Ok(v1::ImportRequest {
        caller: None,
        event_id: event_id.unwrap_or_else(|| made_id(row, organisation)).to_string(),
        subject: Some(v1::Subject { subject: Some(v1::subject::Subject::NhsNumber(number)) }),
        date_of_birth: row.optional("date_of_birth", "DATE", dates::date)?,
        presentation: Some(v1::PresentationDetails {
            encounter_id: row.required("encounter_id", "ENCOUNTER_ID", text)?,
            version: row.required("version", "VERSION", version)?,
            site: row.required("site", "SITE", text)?,
            arrived_at: Some(row.required("arrived_at", "TIME", dates::moment)?),
            care_setting: row.required("care_setting", "CARE_SETTING_UNKNOWN", |text| CARE_SETTINGS.read(text))?.into(),
            complaint: row.required("complaint", "COMPLAINT_UNKNOWN", |text| COMPLAINTS.read(text))?.into(),
        }),
        outcome: outcome.unwrap_or(v1::PresentationOutcome::Unspecified).into(),
        outcome_at: row.optional("outcome_at", "TIME", dates::moment)?,
    })
}

fn made_id(row: &Row<'_>, organisation: &str) -> Uuid {
    content_id("presentation", organisation, CONTENT.map(|name| row.cell(name)))
}

fn version(text: &str) -> Result<u64, &'static str> {
    text.parse().ok().filter(|version| *version >= 1).ok_or("expected a whole number from 1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::push::Loaded;
    use crate::push::table::Table;

    const HEADER: &str =
        "site,encounter_id,version,nhs_number,date_of_birth,arrived_at,care_setting,complaint,outcome,outcome_at\n";

    fn load(rows: &str) -> Loaded<v1::ImportRequest> {
        let table = Table::parse(format!("{HEADER}{rows}").as_bytes(), &COLUMNS).unwrap();
        Loaded::new(&table, |row| item(row, "RR8"))
    }

    #[test]
    fn a_row_becomes_an_item() {
        let row = "RR813,E1,1,9990000018,2020-01-31,2026-11-14T21:40:00+00:00,emergency-department,head-injury,\
                   left-before-being-seen,2026-11-14T23:00:00+00:00\n";
        let loaded = load(row);
        let item = &loaded.items[0].1;
        let details = item.presentation.as_ref().unwrap();
        assert_eq!(details.care_setting(), v1::CareSetting::EmergencyDepartment);
        assert_eq!(details.complaint(), v1::ComplaintGroup::HeadInjury);
        assert_eq!(item.outcome(), v1::PresentationOutcome::LeftBeforeBeingSeen);
        assert!(item.outcome_at.is_some() && item.caller.is_none());
    }

    #[test]
    fn a_time_without_offset_and_an_unknown_word_are_the_rows_trouble() {
        let loaded = load(concat!(
            "RR813,E1,1,9990000018,,2026-11-14T21:40:00,emergency-department,injury,,\n",
            "RR813,E2,1,9990000018,,2026-11-14T21:40:00Z,emergency-department,sprain,,\n",
            "RR813,E3,1,9990000018,,2026-11-14T21:40:00Z,emergency-department,injury,,\n",
        ));
        let refused: Vec<_> = loaded.refused.iter().map(|r| (r.line, r.field.as_str())).collect();
        assert_eq!(refused, [(2, "arrived_at"), (3, "complaint")]);
        assert_eq!(loaded.items[0].1.outcome(), v1::PresentationOutcome::Unspecified);
        assert!(loaded.refused[1].words.contains("head-injury"));
    }
}
