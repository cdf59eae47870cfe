//! Sending a plan file as it is, and its verdict: for people, for programs and as a file. It never calls a file loaded whose
//! verdict it has not understood.

pub mod report;
pub mod verdict_file;

use std::path::Path;
use std::time::Duration;

use kith_api::client::Client;
use kith_api::v1;

use crate::exit::Exit;
use crate::failure::{Failure, Sent};

/// Bytes of a file sent at once: below any bound on messages that a service is likely to have.
const CHUNK_BYTES: usize = 32 * 1024;
/// Largest file read, in bytes: over any bound on files that a service may have.
pub const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;
/// Longest wait for the verdict. An authority's full file takes seconds; after this the service is taken for stuck.
const VERDICT_TIMEOUT: Duration = Duration::from_secs(300);

/// Reads a file.
///
/// # Errors
/// A file that cannot be read or is too large.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |why: String| Failure::bad_input(format!("failed to read {}: {why}", path.display()));
    let length = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if length > MAX_FILE_BYTES {
        return Err(failed(format!("expected at most {MAX_FILE_BYTES} bytes, found {length}; nothing was sent")));
    }
    std::fs::read(path).map_err(|error| failed(error.to_string()))
}

/// Sends the bytes of a file and waits for the verdict.
///
/// # Errors
/// No verdict: the file may have been taken in part, and the same bytes can be sent again.
pub async fn send(client: &Client, bytes: &[u8]) -> Result<v1::FileVerdict, Failure> {
    let chunks: Vec<v1::SubmitPlanFileRequest> =
        bytes.chunks(CHUNK_BYTES).map(|chunk| v1::SubmitPlanFileRequest { chunk: chunk.to_vec() }).collect();
    let mut service = client.plan_files();
    let sent = tokio::time::timeout(VERDICT_TIMEOUT, service.submit_plan_file(tokio_stream::iter(chunks))).await;
    let response = match sent {
        Err(_) => Err(Failure::could_not_ask(format!("no verdict within {} seconds", VERDICT_TIMEOUT.as_secs()))),
        Ok(Err(status)) => Err(Failure::status(&status, Sent::Change)),
        Ok(Ok(response)) => Ok(response.into_inner()),
    };
    let again = |failure: Failure| Failure { again: Some("Send the same file again.".to_owned()), ..failure };
    let v1::SubmitPlanFileResponse { verdict } = response.map_err(again)?;
    let verdict = verdict.filter(|verdict| known(verdict.code).is_some());
    verdict.ok_or_else(|| again(Failure::could_not_ask("the service gave a verdict that this program does not know")))
}

/// The code of a file; none when this program does not know it.
pub fn known(code: i32) -> Option<(v1::FileCode, &'static str)> {
    match v1::FileCode::try_from(code) {
        Ok(v1::FileCode::Cpf01) => Some((v1::FileCode::Cpf01, "CPF01")),
        Ok(v1::FileCode::Cpf02) => Some((v1::FileCode::Cpf02, "CPF02")),
        Ok(v1::FileCode::Cpf03) => Some((v1::FileCode::Cpf03, "CPF03")),
        Ok(v1::FileCode::Cpf04) => Some((v1::FileCode::Cpf04, "CPF04")),
        Ok(v1::FileCode::Cpf05) => Some((v1::FileCode::Cpf05, "CPF05")),
        Ok(v1::FileCode::Cpf06) => Some((v1::FileCode::Cpf06, "CPF06")),
        Ok(v1::FileCode::Unspecified) | Err(_) => None,
    }
}

/// The code of a row, and whether the row is loaded; one of an unknown code is not.
fn row_code(row: &v1::RowVerdict) -> (&'static str, bool) {
    match v1::RowCode::try_from(row.code) {
        Ok(v1::RowCode::Cpr01) => ("CPR01", row.loaded),
        Ok(v1::RowCode::Cpr02) => ("CPR02", true),
        Ok(v1::RowCode::Cpr03) => ("CPR03", false),
        Ok(v1::RowCode::Cpr04) => ("CPR04", false),
        Ok(v1::RowCode::Cpr05) => ("CPR05", row.loaded),
        Ok(v1::RowCode::Cpr06) => ("CPR06", true),
        Ok(v1::RowCode::Cpr07) => ("CPR07", false),
        Ok(v1::RowCode::Unspecified) | Err(_) => ("unknown code", false),
    }
}

/// The exit code of a verdict.
#[must_use]
pub fn exit(verdict: &v1::FileVerdict) -> Exit {
    match v1::FileCode::try_from(verdict.code) {
        Ok(v1::FileCode::Cpf02) => Exit::Done,
        Ok(v1::FileCode::Cpf03 | v1::FileCode::Cpf04) => Exit::ChangeRefused,
        Ok(v1::FileCode::Cpf01 | v1::FileCode::Cpf06) => Exit::BadInput,
        Ok(v1::FileCode::Cpf05 | v1::FileCode::Unspecified) | Err(_) => Exit::CouldNotAsk,
    }
}

/// Why no missing plan was ended, in one word.
fn none_ended(snapshot: &v1::SnapshotSummary) -> &'static str {
    match v1::NoneEnded::try_from(snapshot.none_ended) {
        Ok(v1::NoneEnded::Unspecified) => "",
        Ok(v1::NoneEnded::NotAsked) => "not-asked",
        Ok(v1::NoneEnded::BeyondBound) => "beyond-bound",
        Ok(v1::NoneEnded::RowUnreadable) => "row-unreadable",
        Err(_) => "unknown",
    }
}

#[cfg(test)]
mod tests;
