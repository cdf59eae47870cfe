//! Files as people and spreadsheets write them: classes of bad files, bad rows, and what a row becomes.

use super::*;
use kith_domain::change::PlanAction;
use kith_domain::codes::LaCode;
use kith_domain::plan::PlanKind;
use kith_domain::plan_file::{Named, RowCode};

const NAMES: &str = "nhs_number,date_of_birth,plan,start,end,reference,family,remark\n";

fn read(rows: &str) -> Result<PlanFile, FileFault> {
    parse(format!("kith-plans,1,7,changes\n{NAMES}{rows}").as_bytes())
}

/// Code, reason and number of a file's fault.
fn fault(text: &str) -> (FileCode, &'static str, Option<u64>) {
    let fault = parse(text.as_bytes()).unwrap_err();
    assert!(!fault.words.contains("999"), "{}", fault.words);
    (fault.code, fault.reason, fault.number)
}

fn reasons(file: &PlanFile) -> Vec<String> {
    let one = |row: &FileRow| match &row.plan {
        Ok(_) => String::new(),
        Err(fault) => format!("{} {}", fault.column, fault.reason).trim().to_owned(),
    };
    file.rows.iter().map(one).collect()
}

#[test]
fn a_row_becomes_a_plan() {
    let file =
        read("999 000 0018,2020-02-29,cpp,2026-01-05,2026-07-01,P-1,F-9,shielded; transfer-out E06000002\n").unwrap();
    let plan = file.rows[0].plan.as_ref().unwrap();
    assert_eq!((file.number, file.mode, file.rows[0].line), (7, FileMode::Changes, 3));
    assert_eq!(
        (plan.number.digits().as_str(), plan.kind, plan.shielded),
        ("9990000018", PlanKind::ChildProtection, true)
    );
    assert_eq!(
        (plan.birth_date.unwrap().text().as_str(), plan.start.unwrap().text().as_str()),
        ("2020-02-29", "2026-01-05")
    );
    assert_eq!((plan.reference.as_ref().unwrap().as_str(), plan.family.as_ref().unwrap().as_str()), ("P-1", "F-9"));
    assert_eq!(plan.end.unwrap().text(), "2026-07-01");
    let other = LaCode::parse("E06000002").unwrap();
    assert_eq!(plan.actions, [PlanAction::Change, PlanAction::TransferOut(other)]);
}

#[test]
fn modes_are_declared() {
    let mode = |line: &str| parse(format!("{line}\n{NAMES}").as_bytes()).map(|file| file.mode).map_err(|f| f.reason);
    for (line, expected) in [
        ("kith-plans,1,7,changes", Ok(FileMode::Changes)),
        ("kith-plans,1,7,snapshot", Ok(FileMode::Snapshot(Missing::Report))),
        ("kith-plans,1,7,snapshot,report-missing", Ok(FileMode::Snapshot(Missing::Report))),
        ("kith-plans,1,7,snapshot,end-missing", Ok(FileMode::Snapshot(Missing::End))),
        ("kith-plans,1,7,snapshot,end-missing,,,", Ok(FileMode::Snapshot(Missing::End))),
        ("kith-plans,1,7", Err("FILE_MODE")),
        ("kith-plans,1,7,changes,end-missing", Err("FILE_MODE")),
        ("kith-plans,1,7,snapshot,end", Err("FILE_MODE")),
        ("kith-plans,1,7,full", Err("FILE_MODE")),
        ("kith-plans,1,0,changes", Err("FILE_NUMBER")),
        ("kith-plans,1,-1,changes", Err("FILE_NUMBER")),
        ("kith-plans,1,,changes", Err("FILE_NUMBER")),
        ("kith-plans,1,1000000000,changes", Err("FILE_NUMBER")),
    ] {
        assert_eq!(mode(line), expected, "{line}");
    }
}

#[test]
fn files_that_cannot_be_read_load_nothing() {
    let malformed = FileCode::Malformed;
    let file = |rest: &str| format!("kith-plans,1,7,changes\n{rest}");
    let cases = [
        (String::new(), "FILE_HEADER", None),
        ("\n\n".into(), "FILE_HEADER", None),
        ("9990000018,2020-02-29,cpp,2026-01-05,,P-1,,\n".into(), "FILE_HEADER", None),
        (NAMES.into(), "FILE_HEADER", None),
        (file(""), "FILE_COLUMNS", Some(7)),
        (file("9990000018,2020-02-29,cpp,2026-01-05,,P-1,,\n"), "FILE_COLUMNS", Some(7)),
        (file("nhs_number,date_of_birth,plan,start,end,reference,family\n"), "FILE_COLUMNS", Some(7)),
        (file("nhs_number,date_of_birth,plan,start,end,reference,family,remark,notes\n"), "FILE_COLUMNS", Some(7)),
        (file("nhs_number,date_of_birth,plan,start,end,reference,family,remark,plan\n"), "FILE_COLUMNS", Some(7)),
        (
            file(&format!("{NAMES}9990000018,,cpp,2026-01-05,,\"P-1,,\n9990000026,,cpp,2026-01-05,,P-2,,\n")),
            "FILE_QUOTE_OPEN",
            Some(7),
        ),
        ("kith-plans,1,7,\"changes\n".into(), "FILE_COLUMNS", Some(7)),
        (file(&format!("{NAMES}{}", "1,,cpp,,,,,\n".repeat(MAX_ROWS + 1))), "FILE_TOO_LONG", Some(7)),
    ];
    for (text, reason, number) in cases {
        assert_eq!(fault(&text), (malformed, reason, number), "{}", &text[..text.len().min(60)]);
    }
    assert_eq!(fault("kith-plans,2,7,changes\n"), (FileCode::FormatVersion, "FILE_VERSION", Some(7)));
    assert_eq!(fault("kith-plans,1.0,x,changes\n"), (FileCode::FormatVersion, "FILE_VERSION", None));
}

#[test]
fn what_spreadsheets_write_is_read() {
    let text = format!(
        "\u{feff}kith-plans,1,7,changes,,,,\r\n{}\r\n\r\n9990000018,,cpp,2026-01-05,, \"P,1\" ,,\r\n\
         \"9990000026\",,lac,2026-01-05,,\"P \"\"2\"\"\",,\r\n,,,,,,,\r\n",
        NAMES.trim()
    );
    let file = parse(text.as_bytes()).unwrap();
    assert_eq!(reasons(&file), ["ROW_LENGTH", ""], "a space before a quote is no quote");
    let lines: Vec<u64> = file.rows.iter().map(|row| row.line).collect();
    assert_eq!(lines, [4, 5], "blank rows are no rows, and lines still count");
    assert_eq!(file.rows[1].plan.as_ref().unwrap().reference.as_ref().unwrap().as_str(), "P \"2\"");
}

#[test]
fn columns_may_stand_in_any_order() {
    let text = "kith-plans,1,7,changes\nremark,plan,nhs_number,start,end,date_of_birth,family,reference\n\
                withdrawn,lac,9990000018,2026-01-05,,2020-02-29,,P-1\n";
    let file = parse(text.as_bytes()).unwrap();
    let plan = file.rows[0].plan.as_ref().unwrap();
    assert_eq!((plan.kind, plan.actions.as_slice()), (PlanKind::LookedAfter, &[PlanAction::Withdraw][..]));
}

#[test]
fn each_bad_row_names_its_column_and_the_others_are_read() {
    let long = "x".repeat(600);
    let file = read(&format!(
        "9990000018,,cpp,2026-01-05,,,,\n9990000018,,cpp,05/01/2026,,,,\n9990000018,29-02-2020,cpp,2026-01-05,,,,\n\
         9990000018,,cpp,2026-01-05,2026-02-30,,,\n9990000018,,CPP,2026-01-05,,,,\n,,cpp,2026-01-05,,,,\n\
         9990000019,,cpp,2026-01-05,,,,\n1111111111,,cpp,2026-01-05,,,,\nABC/12345,,cpp,2026-01-05,,,,\n\
         9.99E+09,,cpp,2026-01-05,,,,\n9990000018,,cpp,2026-01-05,,{long},,\n9990000018,,cpp,2026-01-05,,{},,\n\
         9990000018,,cpp,2026-01-05,,,a\u{202e}b,\n9990000018,,cpp,2026-01-05,,,\n9990000018,,cpp,2026-01-05,,,,,x\n\
         9990000018,,cpp,2026-01-05,,\"P\n1\",,\n9990000018,,cpp,2026-01-05,,,,hidden\n\
         9990000018,,cpp,2026-01-05,,,,transfer-out\n9990000018,,cpp,2026-01-05,,,,transfer-out Leeds\n\
         9990000018,,cpp,2026-01-05,,,,withdrawn;transfer-out E06000002\n9990000018,,cpp,2026-01-05,,,,stays;\n",
        &long[..65]
    ))
    .unwrap();
    let expected = [
        "",
        "start DATE",
        "date_of_birth DATE",
        "end DATE",
        "plan PLAN_UNKNOWN",
        "nhs_number MISSING",
        "nhs_number NO_SUCH_NUMBER",
        "nhs_number NO_SUCH_NUMBER",
        "nhs_number OLD_STYLE_NUMBER",
        "nhs_number OLD_STYLE_NUMBER",
        "reference CELL_TOO_LONG",
        "reference BAD_TEXT",
        "family BAD_TEXT",
        "ROW_LENGTH",
        "ROW_LENGTH",
        "reference LINE_BREAK",
        "remark REMARK_UNKNOWN",
        "remark REMARK_UNKNOWN",
        "remark REMARK_UNKNOWN",
        "remark REMARK_CONTRADICTS",
        "",
    ];
    assert_eq!(reasons(&file), expected);
    let code = |at: usize| file.rows[at].plan.as_ref().unwrap_err().code;
    assert_eq!((code(1), code(6), code(8)), (RowCode::NotLoaded, RowCode::NoSuchNumber, RowCode::OldStyleNumber));
    assert!(file.rows.iter().all(|row| row.plan.as_ref().err().is_none_or(|fault| !fault.words.contains("999"))));
}

#[test]
fn every_fault_of_a_row_is_named() {
    let file = read("9990000019,01/02/2020,CPP,2026-01-05,2026-02-31,P-1,,hidden\n").unwrap();
    let further: Vec<&str> = file.rows[0].further.iter().map(|fault| fault.column.as_ref()).collect();
    assert_eq!(
        (reasons(&file), further),
        (vec!["nhs_number NO_SUCH_NUMBER".to_owned()], vec!["date_of_birth", "plan", "end", "remark"])
    );
}

#[test]
fn a_row_that_is_not_text_is_that_rows_trouble_and_still_names_its_child() {
    let mut bytes = format!("kith-plans,1,7,changes\n{NAMES}9990000018,,cpp,2026-01-05,,").into_bytes();
    bytes.extend(b"\xff,,\n9990000026,,cpp,2026-01-05,,P-2,,\n");
    let file = parse(&bytes).unwrap();
    assert_eq!(reasons(&file), ["reference NOT_UTF8", ""]);
    assert_eq!(file.rows[0].named.number.unwrap().digits(), "9990000018");
}

#[test]
fn the_examples_that_people_copy_are_files() {
    let page = include_str!("../../../../docs/plan-files.md");
    let blocks: Vec<&str> = page.split("\n\n").filter(|block| block.starts_with("    kith-plans,")).collect();
    assert_eq!(blocks.len(), 2);
    for (number, block) in (1..).zip(blocks) {
        let text: String = block.lines().map(|line| format!("{}\n", line.trim_start())).collect();
        let file = parse(text.as_bytes()).unwrap();
        assert_eq!(file.number, number);
        assert!(!file.rows.is_empty() && reasons(&file).iter().all(String::is_empty), "{:?}", reasons(&file));
    }
}

/// A quote that stands where it should not makes one cell of the rows up to the next quote. What that cell swallowed is in
/// the file all the same, so the row names nothing: then nothing that a snapshot seems to miss is ended.
#[test]
fn a_row_that_may_have_swallowed_others_names_nothing() {
    let rows = "9990000018,,cpp,2026-01-05,,\"P-1,,\n9990000026,,cpp,2026-01-05,,P-2,,\n\
                9990000042,,cpp,2026-01-05,,\"P,4\",,\n9990000050,,cpp,2026-01-05,,P-5,,\n";
    let file = read(rows).unwrap();
    let named: Vec<bool> = file.rows.iter().map(|row| row.named != Named::default()).collect();
    assert_eq!((named, reasons(&file)), (vec![false, true], vec!["ROW_LENGTH".to_owned(), String::new()]));
    let shifted = [
        ("a comma too few", "9990000018,2019-01-02,cpp,2026-01-01,P-1,F-1,\n", "ROW_LENGTH"),
        ("a comma too many", "9990000018,2019-01-02,cpp,2026-01-01,,,P-1,F-1,\n", "ROW_LENGTH"),
        ("a line break", "9990000018,,cpp,2026-01-05,,\"P-1\n9990000026\",,\n", "reference LINE_BREAK"),
        ("a line break elsewhere", "9990000018,,cpp,2026-01-05,,P-1,,\"stays\n9990000026\"\n", "remark LINE_BREAK"),
        ("an old Mac's", "9990000018,,cpp,2026-01-05,,P-1,,\"stays\r9990000026\"\n", "remark LINE_BREAK"),
    ];
    for (what, row, reason) in shifted {
        let file = read(row).unwrap();
        assert_eq!((reasons(&file), &file.rows[0].named), (vec![reason.to_owned()], &Named::default()), "{what}");
    }
    let long = read(&format!("9990000018,,cpp,2026-01-05,,P-1,,{}\n", "x".repeat(600))).unwrap();
    assert_eq!((reasons(&long), &long.rows[0].named), (vec!["remark CELL_TOO_LONG".to_owned()], &Named::default()));
}

/// A spreadsheet's empty columns are nothing; a cell in one of them is a comma too many, or swallowed rows.
#[test]
fn a_cell_under_no_columns_name_is_a_fault() {
    let head = "kith-plans,1,7,changes\nnhs_number,date_of_birth,plan,start,end,reference,family,remark,\n";
    let file = |rows: &str| parse(format!("{head}{rows}").as_bytes()).unwrap();
    assert!(file("9990000018,2018-03-04,cpp,2026-01-10,,P,1,, \n").rows[0].plan.is_ok());
    let faulty = [
        ("9990000018,2018-03-04,cpp,2026-01-10,,P,1,,shielded\n", "CELL_BEYOND_COLUMNS"),
        ("9990000026,,cpp,2026-01-10,,P2,,,\"\n9990000034,,cpp,2026-01-10,,P3,,,\"\n", "LINE_BREAK"),
    ];
    for (rows, reason) in faulty {
        let file = file(rows);
        assert_eq!((reasons(&file), &file.rows[0].named), (vec![reason.to_owned()], &Named::default()));
    }
}
