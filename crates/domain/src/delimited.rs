//! Where rows of a comma-separated file begin and end, seen from its bytes: what a reader of such files cannot tell. It
//! never reads a cell's meaning.

/// A byte-order mark, which spreadsheets write.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The bytes without a byte-order mark in front.
#[must_use]
pub fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes)
}

/// Line on which a record starts, of which the reader says that it begins on `line` at byte `from`. The reader counts from
/// where it went on reading, so blank lines before are added.
#[must_use]
pub fn start_line(bytes: &[u8], line: u64, from: u64) -> u64 {
    let rest = bytes.get(usize::try_from(from).unwrap_or(usize::MAX)..).unwrap_or_default();
    let blank = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).filter(|byte| **byte == b'\n').count();
    line + u64::try_from(blank).unwrap_or(0)
}

/// Whether the file ends inside a quoted cell of its last record, which begins at byte `from`: the reader would take all
/// that follows the quote for one cell, and the rows in it would be lost without a word.
#[must_use]
pub fn ends_within_quotes(bytes: &[u8], from: u64) -> bool {
    let from = usize::try_from(from).unwrap_or(usize::MAX);
    let mut place = Place::Start;
    for byte in bytes.get(from..).unwrap_or_default() {
        place = match (place, byte) {
            (Place::Start, b'"') | (Place::AfterQuote, b'"') => Place::Quoted,
            (Place::Quoted, b'"') => Place::AfterQuote,
            (Place::Quoted, _) => Place::Quoted,
            (Place::Start | Place::Plain | Place::AfterQuote, b',' | b'\r' | b'\n') => Place::Start,
            (Place::Start | Place::Plain | Place::AfterQuote, _) => Place::Plain,
        };
    }
    place == Place::Quoted
}

/// Where in a cell a byte stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Plain,
    Quoted,
    /// After a quote within quotes: the end, or the first of a doubled one.
    AfterQuote,
}
