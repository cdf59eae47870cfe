//! Verdicts on plan files and positions of their counters.

use super::fault::Faults;
use super::{caller, time, words};
use crate::v1;
use kith_domain::caller::Caller;
use kith_domain::change::FilePositionReset;
use kith_domain::child::Subject;
use kith_domain::codes::LaCode;
use kith_domain::plan::PlanName;
use kith_domain::plan_file::{
    FileCode, FileState, FileVerdict, MAX_NUMBER, MissingPlan, NoneEnded, RowCode, RowFault, RowReport, RowVerdict,
    SnapshotSummary,
};

/// A verdict on the wire.
#[must_use]
pub fn verdict(verdict: FileVerdict) -> v1::FileVerdict {
    let FileVerdict { at, number, processed, code, fault, rows, snapshot, repeated, expected, broken_off: _ } = verdict;
    let (reason, words) = fault.unwrap_or_default();
    let known = |value: Option<i64>| value.unwrap_or(-1);
    v1::FileVerdict {
        created_at: Some(time::timestamp(at)),
        number: known(number.and_then(|number| i64::try_from(number).ok())),
        processed: known(processed.map(i64::from)),
        code: file_code(code).into(),
        rows: (1_u32..).zip(rows).map(|(number, report)| row(number, report)).collect(),
        snapshot: snapshot.map(summary),
        repeated,
        expected_number: expected.unwrap_or(0),
        reason: reason.to_owned(),
        words,
    }
}

fn file_code(code: FileCode) -> v1::FileCode {
    match code {
        FileCode::Malformed => v1::FileCode::Cpf01,
        FileCode::AllLoaded => v1::FileCode::Cpf02,
        FileCode::SomeLoaded => v1::FileCode::Cpf03,
        FileCode::NoneLoaded => v1::FileCode::Cpf04,
        FileCode::ResendLater => v1::FileCode::Cpf05,
        FileCode::FormatVersion => v1::FileCode::Cpf06,
    }
}

fn row_code(code: RowCode) -> v1::RowCode {
    match code {
        RowCode::NoSuchNumber => v1::RowCode::Cpr01,
        RowCode::LoadedShielded => v1::RowCode::Cpr02,
        RowCode::NotVerified => v1::RowCode::Cpr03,
        RowCode::OldStyleNumber => v1::RowCode::Cpr04,
        RowCode::Superseded => v1::RowCode::Cpr05,
        RowCode::Loaded => v1::RowCode::Cpr06,
        RowCode::NotLoaded => v1::RowCode::Cpr07,
    }
}

fn row(row: u32, report: RowReport) -> v1::RowVerdict {
    let RowReport { line, verdict, further } = report;
    let further = further.into_iter().map(further_fault).collect();
    let plain = |code: v1::RowCode| v1::RowVerdict { row, line, code: code.into(), loaded: true, ..Default::default() };
    let (fault, loaded) = match verdict {
        RowVerdict::Loaded { shielded: false } => return plain(v1::RowCode::Cpr06),
        RowVerdict::Loaded { shielded: true } => return plain(v1::RowCode::Cpr02),
        RowVerdict::Noted(fault) => (fault, true),
        RowVerdict::Fault(fault) => (fault, false),
    };
    let RowFault { code, column, reason, words } = fault;
    v1::RowVerdict {
        row,
        line,
        code: row_code(code).into(),
        column: column.into_owned(),
        reason: reason.into_owned(),
        words: words.into_owned(),
        further,
        loaded,
    }
}

fn further_fault(fault: RowFault) -> v1::RowFault {
    let RowFault { code: _, column, reason, words } = fault;
    v1::RowFault { column: column.into_owned(), reason: reason.into_owned(), words: words.into_owned() }
}

fn summary(summary: SnapshotSummary) -> v1::SnapshotSummary {
    let SnapshotSummary { added, changed, unchanged, missing, listed, ended, none_ended } = summary;
    let none_ended = match none_ended {
        None => v1::NoneEnded::Unspecified,
        Some(NoneEnded::NotAsked) => v1::NoneEnded::NotAsked,
        Some(NoneEnded::BeyondBound) => v1::NoneEnded::BeyondBound,
        Some(NoneEnded::RowUnreadable) => v1::NoneEnded::RowUnreadable,
    };
    let missing_plans = listed.into_iter().map(missing_plan).collect();
    v1::SnapshotSummary { added, changed, unchanged, missing, missing_plans, ended, none_ended: none_ended.into() }
}

fn missing_plan(plan: MissingPlan) -> v1::MissingPlan {
    let MissingPlan { subject, name, kind, start } = plan;
    let (reference, kind, start) = match name {
        PlanName::Reference(reference) => (reference.as_str().to_owned(), kind, start),
        PlanName::KindAndStart(kind, start) => (String::new(), Some(kind), Some(start)),
    };
    let subject = match subject {
        Subject::Nhs(number) => v1::subject::Subject::NhsNumber(number.digits()),
        Subject::Local(_, key) => v1::subject::Subject::LocalKey(key.as_str().to_owned()),
    };
    v1::MissingPlan {
        subject: Some(v1::Subject { subject: Some(subject) }),
        kind: kind.map_or(v1::PlanKind::Unspecified, words::kind).into(),
        start: start.map(time::date),
        reference,
    }
}

/// A position on the wire.
#[must_use]
pub fn position(authority: LaCode, state: &FileState) -> v1::FilePosition {
    v1::FilePosition {
        authority: authority.to_string(),
        last_number: state.last.as_ref().map_or(0, |last| last.number),
        next_number: state.expected(),
        unfinished: state.open.is_some(),
    }
}

/// Takes a reset apart.
///
/// # Errors
/// Every fault found.
pub fn reset(request: v1::ResetFilePositionRequest) -> Result<(Caller, FilePositionReset), Faults> {
    let v1::ResetFilePositionRequest { authority, next_number, event_id, caller } = request;
    let mut faults = Faults::default();
    let caller = caller::parse(&mut faults, "caller", caller);
    let authority = faults.take("authority", "UNKNOWN_AUTHORITY", LaCode::parse(&authority));
    let event_id = time::uuid(&mut faults, "event_id", &event_id);
    if !(1..=MAX_NUMBER).contains(&next_number) {
        faults.add("next_number", "FILE_NUMBER", format!("a number from 1 to {MAX_NUMBER} is needed"));
    }
    faults.keep(caller.as_ref());
    faults.keep_about(None, event_id);
    let parsed = caller.zip(authority).zip(event_id);
    faults.finish(
        parsed.map(|((caller, authority), event_id)| {
            (caller, FilePositionReset { authority, event_id, next: next_number })
        }),
    )
}
