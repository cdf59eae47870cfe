//! What fuzzing calls: the readers of what a mailbox and the service send, with what became of it in a few words. Never used in
//! production.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use kith_api::client::Trouble;
use kith_api::v1;
use tonic::{Code, Status};

use crate::exit::Exit;
use crate::message::{Content, Envelope, InboxPage, Kind, inbox_page, is_id, unpacked};
use crate::{note, reading};

/// Bytes that a file may have here.
const MOST_BYTES: usize = 4_096;
/// The path of the mailbox.
const MAILBOX: &str = "/messageexchange/X26ABC1";
/// Between headers and body.
const BREAK: &[u8] = b"\n\n";

/// Headers, a line each, an empty line, and a body that is read as a file and as a page of the inbox.
///
/// # Panics
/// When what was read is not what its reader promises: a finding.
#[must_use]
pub fn mailbox(bytes: &[u8]) -> String {
    let at = bytes.windows(BREAK.len()).position(|found| found == BREAK).unwrap_or(bytes.len());
    let (head, rest) = bytes.split_at(at);
    let body = rest.get(BREAK.len()..).unwrap_or_default();
    let headers = headers(head);
    let id = headers.get("mex-messageid").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Envelope { id, sender, workflow: _, chunks, kind } = Envelope::read(id, &headers);
    assert!(!sender.bytes().any(|byte| byte.is_ascii_lowercase()), "a sender has a second spelling");
    assert!(!is_id(&id) || !id.contains(['/', '.', '?']), "an id leaves its place");
    let kind = match kind {
        Kind::Data => "data",
        Kind::Report { about: _, why: _ } => "report",
        Kind::Unknown => "unknown",
    };
    let parts = if chunks == 1 { "one part" } else { "parts" };
    format!("{kind} in {parts}, id {}, {}; {}", is_id(&id), file(body), page(body))
}

fn file(body: &[u8]) -> &'static str {
    match unpacked(body.to_vec(), MOST_BYTES) {
        Content::TooLarge => "too large",
        Content::File(file) if file == body => "a file as it came",
        Content::File(file) => {
            assert!(file.len() <= MOST_BYTES.max(body.len()), "a file beyond its bound");
            "a file unpacked"
        }
    }
}

fn page(body: &[u8]) -> &'static str {
    match inbox_page(body, MAILBOX) {
        Ok(InboxPage { ids: _, next: None }) => "the last page",
        Ok(InboxPage { ids: _, next: Some(next) }) => {
            assert!(next.starts_with("/inbox?"), "a page of another mailbox");
            "a page"
        }
        Err(what) => what,
    }
}

/// What can be a header of what stands before a colon and behind it.
fn headers(head: &[u8]) -> HeaderMap {
    let lines = head.split(|byte| *byte == b'\n');
    let header = |line: &[u8]| {
        let at = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = line.split_at(at);
        let value = value.trim_ascii_start().strip_prefix(b":")?.trim_ascii();
        Some((HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?))
    };
    lines.filter_map(header).collect()
}

/// A message whose file is packed.
#[must_use]
pub fn mailbox_seed() -> Vec<u8> {
    let mut packed = GzEncoder::new(b"mex-messagetype: DATA\nmex-from: x26abc2\n\n".to_vec(), Compression::default());
    // Writing to memory cannot fail.
    let _ = packed.write_all(b"kith-plans,1,7,changes\n");
    packed.finish().unwrap_or_default()
}

/// What an answer is read as: none held of one that says so of both questions, and of no other.
///
/// # Panics
/// When it is not: a finding.
#[must_use]
pub fn answer(answer: &v1::Answer) -> String {
    let (plans, seen, exit) = (reading::plans(answer), reading::presentations(answer), reading::exit(answer));
    if exit == Exit::NoneHeld {
        let none_held = i32::from(v1::Outcome::NoneHeld);
        let of_plans = answer.plans.as_ref().is_some_and(|plans| plans.outcome == none_held && plans.plans.is_empty());
        let seen = answer.presentations.as_ref();
        let seen = seen.is_some_and(|seen| seen.outcome == none_held && seen.elsewhere == none_held);
        assert!(of_plans && seen && answer.identity.is_some(), "none held of an answer that does not say so");
    }
    format!("{}, {}, exit code {}", plans.words(), seen.words(), exit.code())
}

/// The details of an error.
#[must_use]
pub fn trouble(bytes: &[u8]) -> String {
    let status = Status::with_details(Code::Unavailable, "unavailable", bytes.to_vec().into());
    let Trouble { code: _, reason, fields, retry_after, message: _ } = Trouble::from(&status);
    format!("reason {}, {} fields, wait {}", reason.is_some(), fields.len().min(9), retry_after.is_some())
}

/// A note about a message. What is taken is written as what it is.
///
/// # Panics
/// When it is not: a finding.
#[must_use]
pub fn mesh_note(bytes: &[u8]) -> &'static str {
    let Some(found) = note::read(bytes) else { return "none" };
    let written = serde_json::to_vec(&found).unwrap_or_default();
    assert_eq!(note::read(&written).as_ref(), Some(&found), "a note reads back otherwise than it was written");
    match found {
        note::Note::Answering { sha256: _, created_at: _, repeated: _ } => "answering",
        note::Note::Answered => "answered",
    }
}
