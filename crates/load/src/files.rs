//! The lane of plan files: whole files of an authority, each due at its own moment, through the typed client. It runs on a
//! thread of its own, so that a file never holds up questions here.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use kith_api::client::Client;
use kith_api::v1;
use kith_domain::NhsNumber;
use prost::Message as _;

use crate::clock::Clock;
use crate::england::Part;
use crate::kind::Kind;
use crate::requests::person;
use crate::run::Target;
use crate::setup::Setup;
use crate::tally::Tally;
use crate::worker::code_name;

/// The columns of a plan file.
const COLUMNS: &str = "nhs_number,date_of_birth,plan,start,end,reference,family,remark";
/// Bytes of a file in one message.
const CHUNK: usize = 64 * 1024;
/// Deadline of one file.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);

/// After a file that failed, where they come one after another.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// The lane, connected.
pub struct Lane {
    setup: Arc<Setup>,
    runtime: tokio::runtime::Runtime,
    senders: Vec<Sender>,
    next: u64,
    made: u64,
}

/// An authority that sends files.
struct Sender {
    client: Client,
    /// In snapshots, the rows of what it has in the England; in files of changes nothing.
    own: String,
}

/// Connects as some authorities, whose files then take turns.
///
/// # Errors
/// The service cannot be reached, or the England's plans cannot be read.
pub fn prepare(setup: &Arc<Setup>, target: &Target) -> Result<Lane> {
    const AUTHORITIES: usize = 8;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("failed to start a runtime")?;
    let mut senders = Vec::new();
    // From the end: authorities that send events as well come from the beginning.
    for caller in setup.callers.authorities.iter().rev().take(AUTHORITIES) {
        let options = setup.callers.as_caller(caller, &target.server, PATIENCE);
        let client = runtime.block_on(Client::connect(options));
        let client = client.map_err(|error| anyhow::anyhow!("failed to {error}"))?;
        let client = client.as_person(&person(&caller.organisation));
        let own = match &target.england {
            Some(england) if setup.plan.file_snapshots => rows_of(england, &caller.organisation)?,
            Some(_) | None => String::new(),
        };
        senders.push(Sender { client, own });
    }
    Ok(Lane { setup: Arc::clone(setup), runtime, senders, next: 0, made: 0 })
}

/// The rows of an authority's plan file in an England; none when it has no file there.
fn rows_of(england: &Path, authority: &str) -> Result<String> {
    let path = england.join("plans").join(format!("{authority}.csv"));
    if !path.exists() {
        return Ok(String::new());
    }
    let text = std::fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    // After what says what the file is, and the names of its columns.
    let head = text.split_inclusive('\n').take(2).map(str::len).sum();
    Ok(text.get(head..).unwrap_or_default().to_owned())
}

impl Lane {
    /// Sends files until the end of the run.
    ///
    /// # Errors
    /// An answer has no position or no verdict.
    pub fn run(mut self, clock: Clock) -> Result<Tally> {
        let window = self.setup.window;
        let mut tally = Tally::new(window.length());
        let interval = self.setup.plan.file_interval_ms.unwrap_or(0) * 1_000_000;
        clock.sleep_until(0);
        loop {
            let due = if interval == 0 { clock.now() } else { self.next };
            if due >= window.end {
                return Ok(tally);
            }
            clock.sleep_until(due);
            let (code, bytes, rows) = self.one()?;
            let now = clock.now();
            self.next += interval;
            if !window.holds(due) {
                continue;
            }
            let place = window.place(now);
            tally.offered(Kind::PlanFile, 0, place);
            tally.sent(Kind::PlanFile, 0);
            match code {
                // Of a server that is gone every file fails at once.
                Err(code) if interval == 0 => {
                    tally.failed(Kind::PlanFile, 0, place, &code, false);
                    std::thread::sleep(PAUSE);
                }
                Ok(()) => tally.ok(Kind::PlanFile, 0, place, now - due, bytes, rows),
                Err(code) => tally.failed(Kind::PlanFile, 0, place, &code, false),
            }
        }
    }

    /// One file; gives its code, the bytes of the verdict's rows, and the rows.
    fn one(&mut self) -> Result<(Result<(), String>, u64, u64)> {
        let authority = (self.made % self.senders.len() as u64) as usize;
        self.made += 1;
        let Sender { client, own } = &self.senders[authority];
        let (mut position, mut submit) = (client.plan_files(), client.plan_files());
        let asked = client.request(v1::GetFilePositionRequest {});
        let answered = self.runtime.block_on(async move { position.get_file_position(asked).await });
        let number = match answered {
            Err(status) => return Ok((Err(code_name(status.code() as u8).to_owned()), 0, 0)),
            Ok(answer) => answer.into_inner().position.context("no file position")?.next_number,
        };
        let plan = &self.setup.plan;
        let rows = rows(authority as u64, number, plan.file_rows, plan.file_changed_percent, self.setup.today);
        let kind = if plan.file_snapshots { "snapshot" } else { "changes" };
        let file = format!("kith-plans,1,{number},{kind}\n{COLUMNS}\n{own}{rows}");
        let chunks: Vec<_> =
            file.as_bytes().chunks(CHUNK).map(|chunk| v1::SubmitPlanFileRequest { chunk: chunk.to_vec() }).collect();
        let request = client.request(tokio_stream::iter(chunks));
        let sent = self.runtime.block_on(async move { submit.submit_plan_file(request).await });
        let verdict = match sent {
            Err(status) => return Ok((Err(code_name(status.code() as u8).to_owned()), 0, 0)),
            Ok(answer) => answer.into_inner().verdict.context("no verdict")?,
        };
        let bytes = verdict.encoded_len() as u64;
        let rows = verdict.rows.iter().filter(|row| row.loaded).count() as u64;
        let code = match verdict.code() {
            v1::FileCode::Cpf02 => Ok(()),
            code @ (v1::FileCode::Unspecified
            | v1::FileCode::Cpf01
            | v1::FileCode::Cpf03
            | v1::FileCode::Cpf04
            | v1::FileCode::Cpf05
            | v1::FileCode::Cpf06) => {
                // The first row that is not loaded says more; its words could name nobody, its reason cannot.
                let row = verdict.rows.iter().find(|row| !row.loaded).map_or("", |row| row.reason.as_str());
                let reason = if verdict.reason.is_empty() { row } else { &verdict.reason };
                Err(format!("{} {reason}", code.as_str_name().trim_start_matches("FILE_CODE_")))
            }
        };
        Ok((code, bytes, rows))
    }
}

/// Files in which an authority tells of the same plans: a plan takes 500 versions, and each file may bring every one of them one more.
const FILES_OF_A_PLAN: u64 = 400;

/// Rows of an authority's file: the same plans every time, of which a share has another last day than before. After some hundreds
/// of files they have other references, since a plan takes no more versions then.
fn rows(authority: u64, number: u64, rows: u32, changed_percent: f64, today: kith_domain::time::Day) -> String {
    let mut text = String::new();
    let changed = (f64::from(rows) * changed_percent / 100.0) as u32;
    const APART: u64 = 12_500;
    let start = today.plus_days(-60).text();
    let plans = number / FILES_OF_A_PLAN;
    for row in 0..rows {
        // The same child for the same row, however many rows a file has: a reference keeps its subject.
        let place = authority * APART + u64::from(row);
        let digits = NhsNumber::parse(&Part::PlanFiles.number(place).to_string())
            .map_or_else(|_| String::new(), NhsNumber::digits);
        // The last day tells every file from the one before it.
        let end = if row < changed { today.plus_days(30 + (number % 300) as i32) } else { today.plus_days(400) };
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{digits},,cpp,{start},{},LOAD-{plans}-{row},,", end.text());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_rows_tells_something_new() {
        let today = crate::england::day("2026-04-01").unwrap();
        let (one, two) = (rows(1, 7, 100, 30.0, today), rows(1, 8, 100, 30.0, today));
        assert_eq!(one.lines().count(), 100);
        let differing = one.lines().zip(two.lines()).filter(|(one, two)| one != two).count();
        assert_eq!(differing, 30);
        assert!(one.lines().all(|line| line.starts_with("9994")), "{one}");
        let shorter = rows(1, 9, 10, 0.0, today);
        let children = |text: &str| text.lines().map(|line| line[..10].to_owned()).collect::<Vec<_>>();
        assert_eq!(children(&shorter), children(&one)[..10], "a reference keeps its subject");
    }

    #[test]
    fn a_plan_is_told_of_less_often_than_it_takes_versions() {
        let today = crate::england::day("2026-04-01").unwrap();
        let mut files = std::collections::BTreeMap::new();
        for number in 0..2_000 {
            let row = rows(1, number, 1, 100.0, today);
            let reference = row.split(',').nth(5).unwrap().to_owned();
            *files.entry(reference).or_insert(0) += 1;
        }
        assert!(files.values().all(|files| *files < 500), "{files:?}");
        assert!(files.len() <= 5, "{files:?}");
    }

    #[test]
    fn a_snapshot_names_what_the_authority_has_in_the_england() {
        let england = tempfile::tempdir().unwrap();
        std::fs::create_dir(england.path().join("plans")).unwrap();
        let file = format!(
            "kith-plans,1,1,changes\n{COLUMNS}\n9990000018,,cpp,2026-01-01,,,,\n9990000026,,cpp,2026-01-02,,,,\n"
        );
        std::fs::write(england.path().join("plans/E1.csv"), file).unwrap();
        let rows = rows_of(england.path(), "E1").unwrap();
        assert_eq!(rows, "9990000018,,cpp,2026-01-01,,,,\n9990000026,,cpp,2026-01-02,,,,\n");
        assert_eq!(rows_of(england.path(), "E2").unwrap(), "");
    }
}
