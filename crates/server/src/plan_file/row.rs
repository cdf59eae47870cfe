//! One row of a plan file: cells into a plan, or every cell's fault. What the row names is kept whatever is wrong with it.

use std::borrow::Cow;

use csv::ByteRecord;
use kith_domain::NhsNumber;
use kith_domain::change::PlanAction;
use kith_domain::codes::LaCode;
use kith_domain::nhs_number::NhsNumberError;
use kith_domain::plan::PlanKind;
use kith_domain::plan_file::{FileRow, Named, PlanRow, RowCode, RowFault};
use kith_domain::text::{FamilyReference, PlanReference};
use kith_domain::time::{Day, DayError};

use super::{COLUMNS, Places};

/// Longest cell, in bytes; the longest real one is a reference of 64 characters.
const MAX_CELL_BYTES: usize = 512;

const REMARK: &str = "expected nothing, or words of this list with ; between them: shielded, withdrawn, stays, \
                      transfer-out and a GSS code, transfer-in and a GSS code";

/// Reads a row, which must have as many cells as the line of column names.
pub(super) fn read(line: u64, record: &ByteRecord, places: &Places, width: usize) -> FileRow {
    let text = |place| std::str::from_utf8(record.get(place).unwrap_or_default()).unwrap_or_default().trim();
    let [number, _, _, _, _, reference, _, _] = places.map(text);
    // Where cells may have moved or rows been swallowed, nobody knows what the row names.
    let named = match is_whole(record, places, width) {
        true => Named { number: NhsNumber::parse(number).ok(), reference: PlanReference::parse(reference).ok() },
        false => Named::default(),
    };
    let read = complete(record, places, width).map_err(|fault| vec![fault]).and_then(|cells| plan(&cells));
    match read {
        Ok(plan) => FileRow { line, named, plan: Ok(plan), further: Vec::new() },
        Err(faults) => {
            let mut faults = faults.into_iter();
            let first = faults.next().unwrap_or_else(|| fault("", "ROW_UNREADABLE", "the row cannot be read"));
            FileRow { line, named, plan: Err(first), further: faults.collect() }
        }
    }
}

fn fault(column: &'static str, reason: &'static str, words: &'static str) -> RowFault {
    RowFault::new(RowCode::NotLoaded, column, reason, words)
}

/// The fault of a cell that rows may have been read into.
fn swallows(cell: &[u8]) -> Option<(&'static str, &'static str)> {
    if cell.len() > MAX_CELL_BYTES {
        return Some(("CELL_TOO_LONG", "the cell is too long"));
    }
    let broken = cell.trim_ascii_end().iter().any(|byte| matches!(byte, b'\n' | b'\r'));
    let words = "it holds a line break: is a quote missing? rows may have been read as part of this cell";
    broken.then_some(("LINE_BREAK", words))
}

/// Cells that stand under no column's name, and are not empty.
fn beyond<'r>(record: &'r ByteRecord, places: &Places) -> impl Iterator<Item = &'r [u8]> {
    let cells = record.iter().enumerate().filter(|(place, _)| !places.contains(place));
    cells.map(|(_, cell)| cell).filter(|cell| !cell.trim_ascii().is_empty())
}

/// Whether every cell stands where it belongs, and none may have rows in it.
fn is_whole(record: &ByteRecord, places: &Places, width: usize) -> bool {
    record.len() == width
        && beyond(record, places).next().is_none()
        && record.iter().all(|cell| swallows(cell).is_none())
}

/// The cells as texts, when the row has all of them and no more.
fn complete<'r>(record: &'r ByteRecord, places: &Places, width: usize) -> Result<[&'r str; 8], RowFault> {
    if record.len() != width {
        let words = "expected as many cells as there are columns: is a comma missing, or one too many?";
        return Err(fault("", "ROW_LENGTH", words));
    }
    let mut texts = [""; 8];
    for ((text, place), name) in texts.iter_mut().zip(places).zip(COLUMNS) {
        let cell = record.get(*place).unwrap_or_default();
        if let Some((reason, words)) = swallows(cell) {
            return Err(fault(name, reason, words));
        }
        *text = std::str::from_utf8(cell).map_err(|_| fault(name, "NOT_UTF8", "expected UTF-8 text"))?.trim();
    }
    if let Some(cell) = beyond(record, places).next() {
        let words = "a cell under no column's name is not empty: is there a comma too many?";
        let (reason, words) = swallows(cell).unwrap_or(("CELL_BEYOND_COLUMNS", words));
        return Err(fault("", reason, words));
    }
    Ok(texts)
}

/// The plan, or every cell's fault in the order of the columns.
fn plan(cells: &[&str; 8]) -> Result<PlanRow, Vec<RowFault>> {
    let [number, birth_date, kind, start, end, reference, family, remark] = *cells;
    let text = "expected 1 to 64 characters that can be printed";
    let mut faults = Faults::default();
    let number = faults.take(read_number(number));
    let birth_date = faults.take(day("date_of_birth", birth_date));
    let kind = faults.take(read_kind(kind));
    let (start, end) = (faults.take(day("start", start)), faults.take(day("end", end)));
    let reference = optional(reference, PlanReference::parse).map_err(|()| fault("reference", "BAD_TEXT", text));
    let family = optional(family, FamilyReference::parse).map_err(|()| fault("family", "BAD_TEXT", text));
    let (reference, family) = (faults.take(reference), faults.take(family));
    let remark = faults.take(read_remark(remark));
    let whole = || {
        let (actions, shielded) = remark?;
        let (number, birth_date, kind, start, end) = (number?, birth_date?, kind?, start?, end?);
        let (reference, family) = (reference?, family?);
        Some(PlanRow { number, birth_date, kind, start, end, reference, family, actions, shielded })
    };
    whole().ok_or(faults.0)
}

/// The faults of a row.
#[derive(Default)]
struct Faults(Vec<RowFault>);

impl Faults {
    fn take<T>(&mut self, read: Result<T, RowFault>) -> Option<T> {
        read.map_err(|fault| self.0.push(fault)).ok()
    }
}

fn optional<T, E>(text: &str, parse: impl FnOnce(&str) -> Result<T, E>) -> Result<Option<T>, ()> {
    if text.is_empty() { Ok(None) } else { parse(text).map(Some).map_err(|_| ()) }
}

fn read_number(text: &str) -> Result<NhsNumber, RowFault> {
    if text.is_empty() {
        return Err(fault("nhs_number", "MISSING", "it is empty: every row needs an NHS number"));
    }
    NhsNumber::parse(text).map_err(|error| match error {
        NhsNumberError::NotDigits | NhsNumberError::Length { .. } => {
            let words =
                "expected the ten digits of an NHS number: an old-style number, or one that a spreadsheet changed?";
            RowFault::new(RowCode::OldStyleNumber, "nhs_number", "OLD_STYLE_NUMBER", words)
        }
        NhsNumberError::EqualDigits | NhsNumberError::CheckDigit => {
            let words = "there is no such NHS number: one of its digits is mistyped";
            RowFault::new(RowCode::NoSuchNumber, "nhs_number", "NO_SUCH_NUMBER", words)
        }
    })
}

fn read_kind(text: &str) -> Result<PlanKind, RowFault> {
    match text {
        "cpp" => Ok(PlanKind::ChildProtection),
        "lac" => Ok(PlanKind::LookedAfter),
        "ucpp" => Ok(PlanKind::Unborn),
        _ => Err(fault("plan", "PLAN_UNKNOWN", "expected cpp, lac or ucpp")),
    }
}

fn day(column: &'static str, text: &str) -> Result<Option<Day>, RowFault> {
    if text.is_empty() {
        return Ok(None);
    }
    let words = |error| match error {
        DayError::NoSuchDate => "expected a date of the calendar as YYYY-MM-DD",
        DayError::BeforeCentury => "the date is before 1900",
        DayError::TooFar => "the date is after 2199",
    };
    Day::parse(text).map(Some).map_err(|error| fault(column, "DATE", words(error)))
}

/// What a remark says.
#[derive(Default)]
struct Remark {
    shielded: bool,
    withdrawn: bool,
    stays: bool,
    out: Option<LaCode>,
    arrival: Option<LaCode>,
}

fn read_remark(text: &str) -> Result<(Vec<PlanAction>, bool), RowFault> {
    let unknown = || RowFault { words: Cow::Borrowed(REMARK), ..fault("remark", "REMARK_UNKNOWN", "") };
    let mut remark = Remark::default();
    for word in text.split(';').map(str::trim).filter(|word| !word.is_empty()) {
        let (word, code) = word.split_once(' ').map_or((word, None), |(word, code)| (word, Some(code.trim())));
        let code = code.map(LaCode::parse).transpose().map_err(|_| unknown())?;
        match (word, code) {
            ("shielded", None) => remark.shielded = true,
            ("withdrawn", None) => remark.withdrawn = true,
            ("stays", None) => remark.stays = true,
            ("transfer-out", Some(code)) if remark.out.is_none() => remark.out = Some(code),
            ("transfer-in", Some(code)) if remark.arrival.is_none() => remark.arrival = Some(code),
            _ => return Err(unknown()),
        }
    }
    let actions = match remark {
        Remark { withdrawn: false, stays: false, out: None, arrival: None, .. } => Vec::new(),
        Remark { withdrawn: true, stays: false, out: None, arrival: None, .. } => vec![PlanAction::Withdraw],
        Remark { withdrawn: false, stays: true, out: None, arrival: None, .. } => vec![PlanAction::Start],
        Remark { withdrawn: false, stays: false, out, arrival, .. } => {
            let first = arrival.map_or(PlanAction::Change, PlanAction::TransferIn);
            std::iter::once(first).chain(out.map(PlanAction::TransferOut)).collect()
        }
        Remark { .. } => {
            let words = "withdrawn and stays go with no transfer and not with each other";
            return Err(fault("remark", "REMARK_CONTRADICTS", words));
        }
    };
    Ok((actions, remark.shielded))
}
