//! A verdict on a plan file for people: what became of it first, then what to do, then every row that needs someone.

use kith_api::v1;

use super::{known, none_ended, row_code};
use crate::dates;
use crate::failure::masked;
use crate::render::plain;
use crate::words::PLAN_KINDS;

/// Rows and missing plans printed; all are in the verdict file.
const SHOWN: usize = 50;

/// The report.
#[must_use]
pub fn text(verdict: &v1::FileVerdict) -> String {
    let v1::FileVerdict { created_at, number, processed, code, rows, snapshot, repeated, expected_number, .. } =
        verdict;
    let name = if *number < 0 { "The file".to_owned() } else { format!("File {number}") };
    let mut lines = vec![format!("{name}: {}", headline(*code))];
    if *repeated {
        let at = created_at.as_ref().map(|at| format!(" on {} (UK time)", dates::show_moment(at))).unwrap_or_default();
        lines.push(format!("  The same file was answered before{at}. This is that answer; nothing was changed now."));
    }
    if !verdict.reason.is_empty() {
        lines.push(plain(&masked(&format!("  {} ({})", verdict.words, verdict.reason))));
    }
    if !rows.is_empty() || *processed == 0 && verdict.reason.is_empty() {
        lines.push(counted(rows));
    }
    refused(&mut lines, rows);
    noted(&mut lines, rows);
    if let Some(snapshot) = snapshot {
        compared(&mut lines, snapshot);
    }
    if *expected_number > 0 {
        lines.push(format!("  The next file must have number {expected_number}."));
    }
    lines.join("\n") + "\n"
}

fn headline(code: i32) -> String {
    let words = match known(code).map(|(code, _)| code) {
        Some(v1::FileCode::Cpf01) => "NOT READ. Nothing was loaded. Correct it and send it with the same number",
        Some(v1::FileCode::Cpf02) => "loaded, every row",
        Some(v1::FileCode::Cpf03) => "loaded IN PART. Correct the rows below and send them in the next file",
        Some(v1::FileCode::Cpf04) => "NOT LOADED. No row of it was taken",
        Some(v1::FileCode::Cpf05) => "NOT FINISHED. Send the same file again, unchanged",
        Some(v1::FileCode::Cpf06) => "NOT READ: it is of another format version. Nothing was loaded",
        Some(v1::FileCode::Unspecified) | None => "its verdict is not known to this program",
    };
    format!("{words} ({})", known(code).map_or("unknown code", |(_, name)| name))
}

fn counted(rows: &[v1::RowVerdict]) -> String {
    let loaded = rows.iter().filter(|row| row_code(row).1).count();
    let shielded = rows.iter().filter(|row| row.code() == v1::RowCode::Cpr02).count();
    let shielded = if shielded == 0 { String::new() } else { format!(" ({shielded} of a shielded child)") };
    let refused = match rows.len() - loaded {
        0 => "none refused".to_owned(),
        count => format!("{count} NOT loaded"),
    };
    format!("  {} rows: {loaded} loaded{shielded}, {refused}", rows.len())
}

fn refused(lines: &mut Vec<String>, rows: &[v1::RowVerdict]) {
    let refused: Vec<&v1::RowVerdict> = rows.iter().filter(|row| !row_code(row).1).collect();
    for verdict in refused.iter().take(SHOWN) {
        lines.push(said(verdict));
        let further = &verdict.further;
        for v1::RowFault { column, reason, words } in further {
            lines.push(plain(&masked(&format!("    and {column}: {words} ({reason})"))));
        }
    }
    if refused.len() > SHOWN {
        lines
            .push(format!("  and {} more rows that were not loaded; --verdict writes them all", refused.len() - SHOWN));
    }
}

/// Rows that are loaded, and about which something is to be put right.
fn noted(lines: &mut Vec<String>, rows: &[v1::RowVerdict]) {
    let noted: Vec<&v1::RowVerdict> = rows.iter().filter(|row| row_code(row).1 && !row.reason.is_empty()).collect();
    lines.extend(noted.iter().take(SHOWN).map(|row| said(row)));
    if noted.len() > SHOWN {
        lines.push(format!("  and {} more rows to put right; --verdict writes them all", noted.len() - SHOWN));
    }
}

/// What is said of one row.
fn said(verdict: &v1::RowVerdict) -> String {
    let v1::RowVerdict { row, line, code: _, column, reason, words, further: _, loaded: _ } = verdict;
    let column = if column.is_empty() { String::new() } else { format!(", {column}") };
    let code = row_code(verdict).0;
    plain(&masked(&format!("  line {line} (row {row}){column}: {words} ({code}, {reason})")))
}

fn compared(lines: &mut Vec<String>, snapshot: &v1::SnapshotSummary) {
    let v1::SnapshotSummary { added, changed, unchanged, missing, missing_plans, ended, none_ended: _ } = snapshot;
    lines.push(format!(
        "  Beside what was held: {added} added, {changed} changed, {unchanged} unchanged, {missing} missing"
    ));
    if *missing == 0 {
        return;
    }
    lines.push(format!("  {}", fate(snapshot, *missing, *ended)));
    for plan in missing_plans.iter().take(SHOWN) {
        lines.push(format!("    {}", missing_line(plan)));
    }
    let shown = missing_plans.len().min(SHOWN);
    if u64::from(*missing) > shown as u64 {
        lines.push(format!(
            "    and {} more; --verdict writes them with their numbers",
            u64::from(*missing) - shown as u64
        ));
    }
}

fn fate(snapshot: &v1::SnapshotSummary, missing: u32, ended: u32) -> String {
    match none_ended(snapshot) {
        "" if ended < missing => {
            format!(
                "Of the missing plans {ended} were ENDED; the others have not begun: withdraw them if they are wrong"
            )
        }
        "" => format!("The missing plans were ENDED, all {ended}"),
        "not-asked" => "The missing plans stay as they are: the file does not ask to end them".to_owned(),
        "beyond-bound" => {
            "NONE of the missing plans was ended: too many would vanish within seven days. Is the file cut off? \
                           If they have really ended, send their ends"
                .to_owned()
        }
        "row-unreadable" => {
            "NONE of the missing plans was ended: a row without a readable number and reference may be one \
                             of them. Correct it and send a new snapshot"
                .to_owned()
        }
        _ => "Whether missing plans were ended is not known to this program".to_owned(),
    }
}

/// A missing plan without its NHS number: that is in the verdict file only.
fn missing_line(plan: &v1::MissingPlan) -> String {
    let v1::MissingPlan { subject: _, kind, start, reference } = plan;
    let kind =
        v1::PlanKind::try_from(*kind).ok().and_then(|kind| PLAN_KINDS.word(kind)).unwrap_or("plan of unknown kind");
    let start = start.map_or_else(|| "start not known".to_owned(), |day| format!("from {}", dates::show_date(day)));
    let reference = if reference.is_empty() { "without a reference".to_owned() } else { plain(&masked(reference)) };
    format!("{reference}: {kind} {start}")
}
