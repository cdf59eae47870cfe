//! What a verdict says to people and files.

use super::*;
use crate::dates::ProtoTimestamp;

fn row(row: u32, code: v1::RowCode) -> v1::RowVerdict {
    v1::RowVerdict { row, line: u64::from(row) + 2, code: code.into(), ..Default::default() }
}

fn faulty(number: u32, code: v1::RowCode, column: &str, reason: &str) -> v1::RowVerdict {
    let (column, reason) = (column.into(), reason.into());
    v1::RowVerdict { column, reason, words: "expected a date, or two".into(), ..row(number, code) }
}

fn verdict(code: v1::FileCode, rows: Vec<v1::RowVerdict>) -> v1::FileVerdict {
    v1::FileVerdict {
        created_at: Some(ProtoTimestamp { seconds: 1_795_317_120, nanos: 0 }),
        number: 7,
        processed: i64::try_from(rows.len()).unwrap(),
        code: code.into(),
        rows,
        expected_number: 8,
        ..Default::default()
    }
}

fn snapshot(missing: u32, ended: u32, none_ended: v1::NoneEnded) -> v1::FileVerdict {
    let plan = v1::MissingPlan {
        subject: Some(v1::Subject { subject: Some(v1::subject::Subject::NhsNumber("9990000018".into())) }),
        kind: v1::PlanKind::LookedAfter.into(),
        start: Some(v1::Date { year: 2026, month: 1, day: 5 }),
        reference: "P-1".into(),
    };
    let missing_plans = vec![plan; missing as usize];
    let (added, changed, unchanged, none_ended) = (1, 2, 3, none_ended.into());
    let summary = v1::SnapshotSummary { added, changed, unchanged, missing, missing_plans, ended, none_ended };
    v1::FileVerdict { snapshot: Some(summary), ..verdict(v1::FileCode::Cpf02, vec![row(1, v1::RowCode::Cpr06)]) }
}

#[test]
fn a_part_loaded_file_says_so_first_and_names_each_faulty_row() {
    let rows = vec![
        row(1, v1::RowCode::Cpr06),
        faulty(2, v1::RowCode::Cpr07, "start", "DATE"),
        row(3, v1::RowCode::Cpr02),
        faulty(4, v1::RowCode::Cpr04, "nhs_number", "OLD_STYLE_NUMBER"),
    ];
    let verdict = verdict(v1::FileCode::Cpf03, rows);
    let text = report::text(&verdict);
    assert!(text.starts_with("File 7: loaded IN PART."), "{text}");
    assert!(text.contains("4 rows: 2 loaded (1 of a shielded child), 2 NOT loaded"), "{text}");
    assert!(text.contains("line 4 (row 2), start: expected a date, or two (CPR07, DATE)"), "{text}");
    assert!(text.contains("number 8"), "{text}");
    assert_eq!(exit(&verdict), Exit::ChangeRefused);
}

#[test]
fn every_code_has_a_headline_and_an_exit_code() {
    use v1::FileCode::{Cpf01, Cpf02, Cpf03, Cpf04, Cpf05, Cpf06, Unspecified};
    let cases = [
        (Cpf01, "NOT READ.", Exit::BadInput),
        (Cpf02, "loaded, every row", Exit::Done),
        (Cpf03, "loaded IN PART", Exit::ChangeRefused),
        (Cpf04, "NOT LOADED", Exit::ChangeRefused),
        (Cpf05, "NOT FINISHED. Send the same file again", Exit::CouldNotAsk),
        (Cpf06, "NOT READ: it is of another format version", Exit::BadInput),
        (Unspecified, "not known", Exit::CouldNotAsk),
    ];
    for (code, words, expected) in cases {
        let verdict = verdict(code, Vec::new());
        assert!(report::text(&verdict).contains(words), "{code:?}");
        assert_eq!(exit(&verdict), expected, "{code:?}");
    }
    let odd = v1::FileVerdict { code: 99, ..Default::default() };
    assert_eq!((exit(&odd), known(99)), (Exit::CouldNotAsk, None));
    assert!(
        !row_code(&v1::RowVerdict { code: 99, loaded: true, ..Default::default() }).1,
        "an unknown code is not loaded"
    );
}

#[test]
fn a_refused_number_names_the_expected_one() {
    let refused = v1::FileVerdict {
        reason: "FILE_NUMBER_GAP".into(),
        words: "a file before this one has not arrived".into(),
        ..verdict(v1::FileCode::Cpf04, Vec::new())
    };
    let text = report::text(&refused);
    assert!(text.contains("(FILE_NUMBER_GAP)") && text.contains("must have number 8"), "{text}");
    assert!(!text.contains("rows:"), "{text}");
}

#[test]
fn missing_plans_are_said_to_be_ended_only_when_they_are() {
    let said = |verdict: &v1::FileVerdict| report::text(verdict);
    let beyond = said(&snapshot(60, 0, v1::NoneEnded::BeyondBound));
    assert!(
        beyond.contains("NONE of the missing plans was ended: too many") && beyond.contains("and 10 more"),
        "{beyond}"
    );
    assert!(said(&snapshot(2, 0, v1::NoneEnded::NotAsked)).contains("stay as they are"));
    assert!(said(&snapshot(2, 2, v1::NoneEnded::Unspecified)).contains("were ENDED, all 2"));
    assert!(said(&snapshot(3, 2, v1::NoneEnded::Unspecified)).contains("2 were ENDED; the others have not begun"));
    assert!(said(&snapshot(2, 0, v1::NoneEnded::RowUnreadable)).contains("NONE"));
    assert!(!beyond.contains("999"), "numbers are in the verdict file alone");
}

#[test]
fn the_verdict_file_has_every_row_in_order_and_quotes_what_must_be_quoted() {
    let mut with_rows = snapshot(1, 1, v1::NoneEnded::Unspecified);
    with_rows.rows = vec![row(1, v1::RowCode::Cpr06), faulty(2, v1::RowCode::Cpr07, "start", "DATE")];
    let (column, reason, words) = ("plan".into(), "PLAN_UNKNOWN".into(), "w".into());
    with_rows.rows[1].further.push(v1::RowFault { column, reason, words });
    assert!(report::text(&with_rows).contains("    and plan: w (PLAN_UNKNOWN)"));
    with_rows.snapshot.as_mut().unwrap().missing_plans[0].reference = "=1+1".into();
    let text = String::from_utf8(verdict_file::bytes(&with_rows)).unwrap();
    let expected = "kith-verdict,number,code,processed,created_at,repeated,expected,reason,words\n\
                    1,7,CPF02,1,2026-11-22T03:12:00Z,,8,,\n\
                    row,line,code,column,reason,words\n\
                    1,3,CPR06,,,\n\
                    2,4,CPR07,start,DATE,\"expected a date, or two\"\n\
                    2,4,CPR07,plan,PLAN_UNKNOWN,w\n\
                    kith-snapshot,added,changed,unchanged,missing,ended,none_ended\n\
                    1,1,2,3,1,1,\n\
                    nhs_number,plan,start,reference\n\
                    9990000018,lac,2026-01-05,'=1+1\n";
    assert_eq!(text, expected);
}
