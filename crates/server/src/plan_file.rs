//! Reading an authority's plan file: what its first two lines say, and where its rows begin and end. A file that cannot be
//! read whole is not read in part. No fault carries a cell of the file: the first line may be a child's.

mod row;

use csv::{ByteRecord, ReaderBuilder};
use kith_domain::delimited::{ends_within_quotes, start_line, without_mark};
use kith_domain::plan_file::{
    FORMAT_VERSION, FileCode, FileFault, FileMode, FileRow, MAX_NUMBER, MAX_ROWS, Missing, PlanFile,
};

/// The first word of every plan file.
const WORD: &str = "kith-plans";

/// The columns that a person fills in, in any order.
const COLUMNS: [&str; 8] = ["nhs_number", "date_of_birth", "plan", "start", "end", "reference", "family", "remark"];

/// Where each of [`COLUMNS`] stands in a row.
type Places = [usize; COLUMNS.len()];

/// Reads a file.
///
/// # Errors
/// Why nothing of it may be loaded.
pub(crate) fn parse(bytes: &[u8]) -> Result<PlanFile, FileFault> {
    let bytes = without_mark(bytes);
    let mut reader = ReaderBuilder::new().flexible(true).has_headers(false).from_reader(bytes);
    let mut records = reader.byte_records();
    let first = records.next().transpose().ok().flatten().unwrap_or_default();
    let header = Header::read(&first)?;
    let fault =
        |reason, words: String| FileFault { code: FileCode::Malformed, number: Some(header.number), reason, words };
    let names = records.next().transpose().ok().flatten().unwrap_or_default();
    let places = places(&names).map_err(|words| fault("FILE_COLUMNS", words))?;
    let width = names.len();
    let mut last = if names.is_empty() { first } else { names };
    let mut rows: Vec<FileRow> = Vec::new();
    for record in records {
        let record = record.map_err(|_| fault("FILE_UNREADABLE", "the rows cannot be told apart".to_owned()))?;
        if record.iter().any(|cell| !cell.trim_ascii().is_empty()) {
            if rows.len() == MAX_ROWS {
                return Err(fault("FILE_TOO_LONG", format!("expected at most {MAX_ROWS} rows")));
            }
            let (line, from) = record.position().map_or((0, 0), |position| (position.line(), position.byte()));
            rows.push(row::read(start_line(bytes, line, from), &record, &places, width));
        }
        last = record;
    }
    if ends_within_quotes(bytes, last.position().map_or(0, csv::Position::byte)) {
        let line = last.position().map_or(0, |position| start_line(bytes, position.line(), position.byte()));
        let words = format!("a quote that is opened in the row of line {line} is never closed: its end is missing");
        return Err(fault("FILE_QUOTE_OPEN", words));
    }
    Ok(PlanFile { number: header.number, mode: header.mode, rows })
}

/// What the first line says.
struct Header {
    number: u64,
    mode: FileMode,
}

impl Header {
    fn read(record: &ByteRecord) -> Result<Self, FileFault> {
        let mut cells: Vec<&str> = record.iter().map(|cell| std::str::from_utf8(cell).unwrap_or("?").trim()).collect();
        // A spreadsheet makes every line as long as the longest.
        while cells.last().is_some_and(|cell| cell.is_empty()) {
            cells.pop();
        }
        let malformed = |number, reason, words: &str| FileFault {
            code: FileCode::Malformed,
            number,
            reason,
            words: words.to_owned(),
        };
        let (Some(&WORD), Some(version)) = (cells.first(), cells.get(1)) else {
            let words = "the first line must be kith-plans,1,<file number>,<changes or snapshot>";
            return Err(malformed(None, "FILE_HEADER", words));
        };
        let number = cells.get(2).and_then(|text| text.parse().ok()).filter(|number| (1..=MAX_NUMBER).contains(number));
        if *version != FORMAT_VERSION {
            let words = format!("this service reads version {FORMAT_VERSION} of the format");
            return Err(FileFault { code: FileCode::FormatVersion, number, reason: "FILE_VERSION", words });
        }
        let Some(number) = number else {
            return Err(malformed(
                None,
                "FILE_NUMBER",
                "the third cell of the first line must be a whole number from 1",
            ));
        };
        let mode = match cells.get(3..).unwrap_or_default() {
            ["changes"] => FileMode::Changes,
            ["snapshot"] | ["snapshot", "report-missing"] => FileMode::Snapshot(Missing::Report),
            ["snapshot", "end-missing"] => FileMode::Snapshot(Missing::End),
            _ => {
                let words =
                    "the first line must end with changes; or snapshot; or snapshot and report-missing or end-missing";
                return Err(malformed(Some(number), "FILE_MODE", words));
            }
        };
        Ok(Self { number, mode })
    }
}

/// Where each column stands.
fn places(names: &ByteRecord) -> Result<Places, String> {
    let mut places = [None; COLUMNS.len()];
    for (position, cell) in names.iter().enumerate() {
        let text = std::str::from_utf8(cell).unwrap_or("?").trim();
        let known = COLUMNS.iter().position(|name| *name == text);
        match known.and_then(|at| places.get_mut(at)) {
            Some(Some(_)) => return Err(format!("column {text} stands twice")),
            Some(place) => *place = Some(position),
            None if text.is_empty() && position >= COLUMNS.len() => {}
            None => return Err(format!("the second line must name the columns: column {} is not known", position + 1)),
        }
    }
    let missing: Vec<&str> =
        COLUMNS.iter().zip(places).filter(|(_, place)| place.is_none()).map(|(name, _)| *name).collect();
    if !missing.is_empty() {
        return Err(format!("the second line must name the columns: missing {}", missing.join(", ")));
    }
    Ok(places.map(Option::unwrap_or_default))
}

#[cfg(test)]
mod tests;
