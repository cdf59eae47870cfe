//! One CSV file read by column name, with every mistake placed by row and column.
//! Never stops at the first bad row.

use std::path::Path;

use ring::digest::Context;

use crate::config::bounded_text;
use crate::mistakes::Mistakes;

/// Largest directory file: every ODS organisation of England fits many times over.
const FILE_MAX_BYTES: u64 = 16 << 20;

/// Longest cell: names and numbers are far shorter.
const CELL_MAX_BYTES: usize = 200;

/// One row, its cells in the order of the columns asked for.
#[derive(Clone)]
pub(super) struct Row {
    name: String,
    line: u64,
    columns: &'static [&'static str],
    cells: Vec<String>,
}

impl Row {
    /// The cell of the column with this index, or an empty text.
    pub(super) fn cell(&self, index: usize) -> &str {
        self.cells.get(index).map_or("", String::as_str)
    }

    /// Notes a mistake in the column with this index.
    pub(super) fn note(&self, index: usize, what: impl Into<String>, mistakes: &mut Mistakes) {
        let column = self.columns.get(index).copied().unwrap_or_default();
        mistakes.note(format!("{}: row {}: column {column}", self.name, self.line), what);
    }

    /// The cell when `accept` holds for it; else a mistake is noted.
    pub(super) fn take(
        &self,
        index: usize,
        expected: &str,
        accept: impl Fn(&str) -> bool,
        mistakes: &mut Mistakes,
    ) -> Option<String> {
        let cell = self.cell(index);
        if accept(cell) {
            return Some(cell.to_owned());
        }
        self.note(index, format!("expected {expected}, found {cell:?}"), mistakes);
        None
    }
}

/// The rows of the file, and the mistakes of its header and of rows that are not readable at all. What was read goes into `hash`,
/// behind its length.
pub(super) fn read(
    path: &Path,
    columns: &'static [&'static str],
    hash: &mut Context,
    mistakes: &mut Mistakes,
) -> Vec<Row> {
    let name = path.display().to_string();
    let text = match text(path) {
        Ok(text) => text,
        Err(what) => {
            mistakes.note(name, what);
            return Vec::new();
        }
    };
    hash.update(&(text.len() as u64).to_be_bytes());
    hash.update(text.as_bytes());
    rows(&name, &text, columns, mistakes)
}

/// What a file holds, or what is wrong with it.
pub(super) fn text(path: &Path) -> Result<String, String> {
    bounded_text(path, FILE_MAX_BYTES)
}

/// The rows of a file's text.
pub(super) fn rows(name: &str, text: &str, columns: &'static [&'static str], mistakes: &mut Mistakes) -> Vec<Row> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let Some(order) = header(name, &mut reader, columns, mistakes) else { return Vec::new() };
    let mut rows = Vec::new();
    for record in reader.records() {
        match record {
            Ok(record) => rows.push(row(name, &record, &order, columns, mistakes)),
            Err(error) => mistakes.note(format!("{name}: row {}", error_line(&error)), error_text(&error)),
        }
    }
    rows
}

/// Where each wanted column stands in the file; nothing when the header is not usable.
fn header(
    name: &str,
    reader: &mut csv::Reader<&[u8]>,
    columns: &'static [&'static str],
    mistakes: &mut Mistakes,
) -> Option<Vec<usize>> {
    let place = || format!("{name}: row 1");
    let found = match reader.headers() {
        Ok(found) => found.clone(),
        Err(error) => {
            mistakes.note(place(), error_text(&error));
            return None;
        }
    };
    for (index, column) in found.iter().enumerate() {
        if !columns.contains(&column) {
            mistakes.note(place(), format!("unknown column {column:?}; expected {}", columns.join(", ")));
        } else if found.iter().take(index).any(|earlier| earlier == column) {
            mistakes.note(place(), format!("column {column:?} stands twice"));
        }
    }
    let order: Vec<Option<usize>> =
        columns.iter().map(|column| found.iter().position(|candidate| candidate == *column)).collect();
    for (column, position) in columns.iter().zip(&order) {
        if position.is_none() {
            mistakes.note(place(), format!("missing column {column:?}"));
        }
    }
    order.into_iter().collect()
}

fn row(
    name: &str,
    record: &csv::StringRecord,
    order: &[usize],
    columns: &'static [&'static str],
    mistakes: &mut Mistakes,
) -> Row {
    let line = record.position().map_or(0, csv::Position::line);
    let cells = order.iter().map(|&index| record.get(index).unwrap_or_default().to_owned()).collect();
    let row = Row { name: name.to_owned(), line, columns, cells };
    for (index, cell) in row.cells.iter().enumerate() {
        if cell.len() > CELL_MAX_BYTES {
            row.note(index, format!("expected at most {CELL_MAX_BYTES} bytes, found {}", cell.len()), mistakes);
        } else if cell.chars().any(char::is_control) {
            row.note(index, "expected no control characters or line breaks", mistakes);
        }
    }
    row
}

fn error_line(error: &csv::Error) -> u64 {
    error.position().map_or(0, csv::Position::line)
}

fn error_text(error: &csv::Error) -> String {
    if let csv::ErrorKind::UnequalLengths { expected_len, len, .. } = error.kind() {
        return format!("expected {expected_len} cells, found {len}");
    }
    String::from("expected a CSV row")
}
