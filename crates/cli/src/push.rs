//! What pushing a file has in common: reading it, the fate of every row, and the report. It never sends a file whose
//! columns are not understood, and never lets one bad row stop the others.

pub mod presentation_rows;
pub mod report;
pub mod table;

use indicatif::{ProgressBar, ProgressStyle};

/// One row that was not taken, by this program or by the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Line of the file on which the row starts, from 1.
    pub line: u64,
    /// The field at fault; empty when it is not one field's.
    pub field: String,
    /// Stable reason, UPPER_SNAKE.
    pub reason: String,
    /// Words for the person; never an identity.
    pub words: String,
    /// The same row may be taken later.
    pub retry: bool,
}

impl Refused {
    /// A row that this program cannot send.
    pub fn here(line: u64, field: &str, reason: &str, words: impl Into<String>) -> Self {
        Self { line, field: field.to_owned(), reason: reason.to_owned(), words: words.into(), retry: false }
    }
}

/// The rows of a file: those to send, in order, each with its line, and those that cannot be sent.
#[derive(Debug)]
pub struct Loaded<T> {
    /// Rows to send.
    pub items: Vec<(u64, T)>,
    /// Rows that cannot be sent.
    pub refused: Vec<Refused>,
}

impl<T> Loaded<T> {
    /// Reads every row of a table.
    pub fn new(table: &table::Table, read: impl Fn(&table::Row<'_>) -> Result<T, Refused>) -> Self {
        let mut loaded = Self { items: Vec::new(), refused: Vec::new() };
        for row in table.rows() {
            let line = row.line;
            match row.complete().and_then(|()| read(&row)) {
                Ok(item) => loaded.items.push((line, item)),
                Err(refused) => loaded.refused.push(refused),
            }
        }
        loaded
    }

    /// How many rows the file has.
    pub fn rows(&self) -> usize {
        self.items.len() + self.refused.len()
    }
}

/// A progress bar on standard error, shown only on a terminal.
pub fn progress(rows: usize, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(rows).unwrap_or(u64::MAX)).with_message(what);
    let style = ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len} {eta}");
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
