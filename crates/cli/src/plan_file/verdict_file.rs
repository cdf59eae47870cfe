//! A verdict as a CSV file: what goes back to the sender's system or mailbox. One line for each row of the file, in its
//! order, and one more for each further fault of a row; then, for a snapshot, what it misses, with the NHS numbers that the authority itself has sent.

use kith_api::v1;

use super::{known, none_ended, row_code};
use crate::words::PLAN_KINDS;

/// Version of this format.
const VERSION: &str = "1";

/// The bytes of the verdict file.
#[must_use]
pub fn bytes(verdict: &v1::FileVerdict) -> Vec<u8> {
    let v1::FileVerdict {
        created_at,
        number,
        processed,
        code,
        rows,
        snapshot,
        repeated,
        expected_number,
        reason,
        words,
    } = verdict;
    let mut file = Lines::default();
    file.line(&[
        "kith-verdict",
        "number",
        "code",
        "processed",
        "created_at",
        "repeated",
        "expected",
        "reason",
        "words",
    ]);
    let at = created_at.as_ref().map(|at| at.to_string()).unwrap_or_default();
    let code = known(*code).map_or("unknown", |(_, name)| name);
    let (number, processed) = (number.to_string(), processed.to_string());
    let expected = if *expected_number == 0 { String::new() } else { expected_number.to_string() };
    let repeated = if *repeated { "yes" } else { "" };
    file.line(&[VERSION, &number, code, &processed, &at, repeated, &expected, reason, words]);
    file.line(&["row", "line", "code", "column", "reason", "words"]);
    for verdict in rows {
        let v1::RowVerdict { row, line, code: _, column, reason, words, further, loaded: _ } = verdict;
        let (row, line, code) = (row.to_string(), line.to_string(), row_code(verdict).0);
        file.line(&[&row, &line, code, column, reason, words]);
        for v1::RowFault { column, reason, words } in further {
            file.line(&[&row, &line, code, column, reason, words]);
        }
    }
    if let Some(snapshot) = snapshot {
        compared(&mut file, snapshot);
    }
    file.bytes
}

fn compared(file: &mut Lines, snapshot: &v1::SnapshotSummary) {
    let v1::SnapshotSummary { added, changed, unchanged, missing, missing_plans, ended, none_ended: _ } = snapshot;
    file.line(&["kith-snapshot", "added", "changed", "unchanged", "missing", "ended", "none_ended"]);
    let counts = [added, changed, unchanged, missing, ended].map(u32::to_string);
    let [added, changed, unchanged, missing, ended] = &counts;
    file.line(&[VERSION, added, changed, unchanged, missing, ended, none_ended(snapshot)]);
    file.line(&["nhs_number", "plan", "start", "reference"]);
    for v1::MissingPlan { subject, kind, start, reference } in missing_plans {
        let number = match subject.as_ref().and_then(|subject| subject.subject.as_ref()) {
            Some(v1::subject::Subject::NhsNumber(number)) => number.as_str(),
            Some(v1::subject::Subject::LocalKey(_)) | None => "",
        };
        let kind = v1::PlanKind::try_from(*kind).ok().and_then(|kind| PLAN_KINDS.word(kind)).unwrap_or_default();
        let start = start.map(|day| format!("{:04}-{:02}-{:02}", day.year, day.month, day.day)).unwrap_or_default();
        file.line(&[number, kind, &start, reference]);
    }
}

/// Lines of cells, quoted where they must be.
#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
}

impl Lines {
    fn line(&mut self, cells: &[&str]) {
        let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
        self.bytes.extend(cells.join(",").bytes());
        self.bytes.push(b'\n');
    }
}

/// A cell; one that a spreadsheet would take for a formula gets a quote mark in front.
fn quoted(cell: &str) -> String {
    let cell = if cell.starts_with(['=', '+', '@', '\t']) { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}
