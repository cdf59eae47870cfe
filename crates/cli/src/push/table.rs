//! A CSV file with a header row: columns by name, in any order. A column that is missing or not known stops the whole
//! file before anything is sent; a row that cannot be read is only that row's trouble.

use std::path::Path;

use csv::{ByteRecord, ReaderBuilder};
use kith_domain::delimited::{ends_within_quotes, start_line, without_mark};

use super::Refused;
use crate::failure::{Failure, masked};

/// Largest file read, in bytes: five times England's plans, or a large trust's year of presentations.
const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;
/// Longest cell, in bytes; the longest real one is a UUID or a key of 64 characters.
const MAX_CELL_BYTES: usize = 1024;

/// The columns of a kind of file.
pub struct Columns {
    /// Those that must be there.
    pub required: &'static [&'static str],
    /// Those that may be there.
    pub optional: &'static [&'static str],
}

/// A file that was read.
#[derive(Debug)]
pub struct Table {
    names: Vec<&'static str>,
    records: Vec<(u64, ByteRecord)>,
}

/// One row.
pub struct Row<'t> {
    /// Line of the file on which the row starts, from 1.
    pub line: u64,
    names: &'t [&'static str],
    record: &'t ByteRecord,
}

impl Table {
    /// Reads a file.
    ///
    /// # Errors
    /// A file that cannot be read, is too large, or has other columns than expected; the column is named.
    pub fn open(path: &Path, columns: &Columns) -> Result<Self, Failure> {
        let failed = |why: String| Failure::bad_input(format!("failed to read {}: {why}", path.display()));
        let length = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
        if length > MAX_FILE_BYTES {
            return Err(failed(format!("expected at most {MAX_FILE_BYTES} bytes, found {length}")));
        }
        let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        Self::parse(&bytes, columns).map_err(|why| failed(format!("{why}; nothing was sent")))
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// Words that name the column at fault.
    pub fn parse(bytes: &[u8], columns: &Columns) -> Result<Self, String> {
        let bytes = without_mark(bytes);
        let mut reader = ReaderBuilder::new().flexible(true).has_headers(false).from_reader(bytes);
        let mut records = reader.byte_records();
        let header = match records.next() {
            Some(Ok(header)) => header,
            Some(Err(error)) => return Err(format!("the header row cannot be read: {error}")),
            None => return Err("the file is empty: expected a header row".to_owned()),
        };
        let names = names(&header, columns)?;
        let mut rows = Vec::new();
        for record in records {
            let record = record.map_err(|error| error.to_string())?;
            let (line, from) = place(&record);
            let line = start_line(bytes, line, from);
            rows.push((line, record));
        }
        if let Some((line, last)) = rows.last()
            && ends_within_quotes(bytes, place(last).1)
        {
            return Err(format!(
                "a quote that is opened in the row of line {line} is never closed: its end is missing"
            ));
        }
        Ok(Self { names, records: rows })
    }

    /// The rows, in order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.records.iter().map(|(line, record)| Row { line: *line, names: &self.names, record })
    }
}

/// Where the reader says that a record begins: line and byte.
fn place(record: &ByteRecord) -> (u64, u64) {
    record.position().map_or((0, 0), |position| (position.line(), position.byte()))
}

fn names(header: &ByteRecord, columns: &Columns) -> Result<Vec<&'static str>, String> {
    let mut names = Vec::new();
    for (position, cell) in header.iter().enumerate() {
        let text = std::str::from_utf8(cell).unwrap_or("(not UTF-8)").trim();
        let known = columns.required.iter().chain(columns.optional).find(|name| **name == text);
        match known {
            Some(name) if names.contains(name) => return Err(format!("column {name} stands twice")),
            Some(name) => names.push(*name),
            None => return Err(format!("column {} is not known: {}", position + 1, shown_name(text))),
        }
    }
    let missing: Vec<&str> = columns.required.iter().copied().filter(|name| !names.contains(name)).collect();
    if missing.is_empty() { Ok(names) } else { Err(format!("missing column {}", missing.join(", "))) }
}

/// A file without a header row has a child's record where the names should be: that is not repeated.
fn shown_name(text: &str) -> String {
    if text.bytes().any(|byte| byte.is_ascii_digit()) {
        return "its name has digits and is not shown; is the header row missing?".to_owned();
    }
    let short: String = text.chars().filter(|c| !c.is_control()).take(40).collect();
    format!("'{}'", masked(&short))
}

impl Row<'_> {
    /// Whether the row has as many cells as the header, each readable.
    ///
    /// # Errors
    /// The row's trouble.
    pub fn complete(&self) -> Result<(), Refused> {
        let (found, expected) = (self.record.len(), self.names.len());
        if found != expected {
            let words = format!("expected {expected} cells, found {found}");
            return Err(Refused::here(self.line, "", "ROW_LENGTH", words));
        }
        for (name, cell) in self.names.iter().zip(self.record) {
            if cell.len() > MAX_CELL_BYTES {
                let words = format!("expected at most {MAX_CELL_BYTES} bytes");
                return Err(Refused::here(self.line, name, "CELL_TOO_LONG", words));
            }
            if cell.trim_ascii().contains(&b'\n') {
                let words = "it holds a line break: is a quote missing? rows may have been read as part of this cell";
                return Err(Refused::here(self.line, name, "LINE_BREAK", words));
            }
            if std::str::from_utf8(cell).is_err() {
                return Err(Refused::here(self.line, name, "NOT_UTF8", "expected UTF-8 text"));
            }
        }
        Ok(())
    }

    /// The cell of a column without the spaces around it; empty when the file has no such column.
    pub fn cell(&self, name: &str) -> &str {
        let at = self.names.iter().position(|known| *known == name);
        let cell = at.and_then(|at| self.record.get(at)).unwrap_or_default();
        std::str::from_utf8(cell).unwrap_or_default().trim()
    }

    /// The cell of a column, read; an empty one is none.
    ///
    /// # Errors
    /// The row's trouble, with the words of the reader.
    pub fn optional<T, W: Into<String>>(
        &self,
        name: &str,
        reason: &str,
        read: impl FnOnce(&str) -> Result<T, W>,
    ) -> Result<Option<T>, Refused> {
        match self.cell(name) {
            "" => Ok(None),
            text => read(text).map(Some).map_err(|words| Refused::here(self.line, name, reason, words)),
        }
    }

    /// The cell of a column, read; an empty one is the row's trouble.
    ///
    /// # Errors
    /// The row's trouble.
    pub fn required<T, W: Into<String>>(
        &self,
        name: &str,
        reason: &str,
        read: impl FnOnce(&str) -> Result<T, W>,
    ) -> Result<T, Refused> {
        self.optional(name, reason, read)?.ok_or_else(|| Refused::here(self.line, name, "MISSING", "it is empty"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: Columns = Columns { required: &["one", "two"], optional: &["three"] };

    fn parse(text: &str) -> Result<Table, String> {
        Table::parse(text.as_bytes(), &COLUMNS)
    }

    fn cells(table: &Table, name: &str) -> Vec<(u64, String)> {
        table.rows().map(|row| (row.line, row.cell(name).to_owned())).collect()
    }

    #[test]
    fn byte_order_mark_crlf_order_and_spaces() {
        let table = parse("\u{feff}two, one\r\nb, a \r\n\r\nd,c\r\n").unwrap();
        assert_eq!(cells(&table, "one"), [(2, "a".into()), (4, "c".into())]);
        assert_eq!(cells(&table, "three"), [(2, String::new()), (4, String::new())]);
    }

    #[test]
    fn a_quoted_newline_is_part_of_the_cell_and_lines_still_count() {
        let table = parse("one,two\n\"a\nb\",\"c,d\"\ne,f\n").unwrap();
        assert_eq!(cells(&table, "one"), [(2, "a\nb".into()), (4, "e".into())]);
        assert_eq!(cells(&table, "two")[0].1, "c,d");
    }

    #[test]
    fn a_quote_that_is_never_closed_stops_the_file() {
        let error = parse("one,two\na,b\nc,\"d\ne,f\n").unwrap_err();
        assert!(error.contains("line 3") && error.contains("never closed"), "{error}");
        for whole in ["one,two\na,\"b\"", "one,two\na,\"b\"\"\"\n", "one,two\na,b\"c\n", "one,two\na,b\"", "one,two\n"]
        {
            assert!(parse(whole).is_ok(), "{whole}");
        }
        assert!(parse("one,two\na,\"b\"\"").is_err(), "a doubled quote does not close");
    }

    #[test]
    fn a_line_break_in_a_cell_is_that_rows_trouble() {
        let table = parse("one,two\na,\"b\nc,d\"\ne,f\ng,\"h\n\"\n").unwrap();
        let found: Vec<_> = table.rows().map(|row| row.complete().err().map(|r| (r.line, r.field, r.reason))).collect();
        assert_eq!(found, [Some((2, "two".into(), "LINE_BREAK".into())), None, None]);
    }

    #[test]
    fn columns_at_fault_are_named() {
        assert_eq!(parse("one\n1\n").unwrap_err(), "missing column two");
        assert_eq!(parse("one,two,four\n").unwrap_err(), "column 3 is not known: 'four'");
        assert_eq!(parse("one,two,one\n").unwrap_err(), "column one stands twice");
        assert!(parse("").unwrap_err().contains("empty"));
    }

    #[test]
    fn a_file_without_a_header_does_not_show_its_first_child() {
        let error = parse("start,9990000018\n").unwrap_err();
        assert!(!error.contains("999000"), "{error}");
        let error = parse("9990000018,start\n").unwrap_err();
        assert!(!error.contains("999000") && error.contains("header"), "{error}");
    }

    #[test]
    fn a_row_of_another_length_or_not_text_is_that_rows_trouble() {
        let mut bytes = b"one,two\na\nb,c\n".to_vec();
        bytes.extend(b"\xff,d\n");
        let table = Table::parse(&bytes, &COLUMNS).unwrap();
        let troubles: Vec<_> = table.rows().map(|row| row.complete().err().map(|e| (e.line, e.reason))).collect();
        assert_eq!(troubles, [Some((2, "ROW_LENGTH".into())), None, Some((4, "NOT_UTF8".into()))]);
    }
}
