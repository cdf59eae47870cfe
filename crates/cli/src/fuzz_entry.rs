//! What fuzzing calls: the readers of what a mailbox and the service send, and of a user's files, with what became of it in a few words.
//! Never used in production.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use kith_api::client::Trouble;
use kith_api::v1;
use tonic::{Code, Status};

use crate::exit::Exit;
use crate::failure::masked;
use crate::mesh::config::{self, Config, Mesh, is_mailbox};
use crate::mesh::http::Http;
use crate::mesh::mailbox::{SHOWN_LETTERS, words};
use crate::message::{Content, Envelope, InboxPage, Kind, inbox_page, is_id, unpacked};
use crate::push::Loaded;
use crate::push::presentation_rows::{self, COLUMNS};
use crate::push::table::Table;
use crate::{note, profile, reading};

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
    let Trouble { code: _, reason, may_stand: _, fields, retry_after, message: _ } = Trouble::from(&status);
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
        note::Note::Answering { hmac: _, created_at: _, repeated: _ } => "answering",
        note::Note::Answered => "answered",
    }
}

/// What is shown of MESH's words about an error.
///
/// # Panics
/// When it is long, holds a number of a person, or moves what is on the screen: a finding.
#[must_use]
pub fn mesh_words(bytes: &[u8]) -> String {
    let shown = words(bytes);
    let letters = shown.chars().count();
    assert!(letters <= SHOWN_LETTERS && !shown.contains(char::is_control), "more is shown than may be");
    assert_eq!(masked(&shown), shown, "a number is shown");
    format!("{} letters, withheld {}", letters.min(9), shown.contains("[withheld]"))
}

/// The adapter's configuration; the certificates of senders are taken for theirs.
///
/// # Panics
/// When what is taken lets nobody send, or a mailbox for two: a finding.
#[must_use]
pub fn mesh_configuration(bytes: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(bytes) else { return String::from("no text") };
    match config::parse(text, Path::new("/etc/kith"), |_, _| Ok(())) {
        Ok(Config { mesh, senders }) => {
            let mut names: Vec<&str> = senders.iter().map(|sender| sender.mailbox.as_str()).collect();
            assert!(names.iter().all(|name| is_mailbox(name) && *name != mesh.mailbox), "a sender that is none");
            names.sort_unstable();
            names.dedup();
            assert!(!names.is_empty() && names.len() == senders.len(), "nobody, or one mailbox for two");
            format!("{} senders", names.len().min(9))
        }
        Err(mistakes) => {
            // Of what kind, and how many: what the mistakes quote is the text's own.
            let of = |word: &str| mistakes.matches(word).count().min(3);
            let kinds =
                ["mesh.", "sender ", "GSS code", "listed twice", "unknown field", "missing field", "TOML parse"];
            format!("{:?}", kinds.map(of))
        }
    }
}

/// A file of profiles.
#[must_use]
pub fn profiles(bytes: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(bytes) else { return String::from("no text") };
    match profile::parse(text) {
        Ok(sections) => format!("{} sections", sections.len().min(9)),
        // Its first words: the rest quotes the text.
        Err(why) => why.split([':', '"', '`']).next().unwrap_or_default().chars().take(40).collect(),
    }
}

/// A file of presentations, and each row of it as what is sent.
///
/// # Panics
/// When a row is lost, or what is wrong is told with a number of a person: a finding.
#[must_use]
pub fn push_table(bytes: &[u8]) -> String {
    let table = match Table::parse(bytes, &COLUMNS) {
        Ok(table) => table,
        Err(why) => {
            assert_eq!(masked(&why), why, "a number is shown");
            return why.split(':').next().unwrap_or_default().replace(|c: char| c.is_ascii_digit(), "");
        }
    };
    let loaded = Loaded::new(&table, |row| presentation_rows::item(row, "R1H"));
    assert_eq!(loaded.rows(), table.rows().count(), "a row is neither sent nor told of");
    let first = loaded.refused.first().map(|refused| (refused.field.as_str(), refused.reason.as_str()));
    format!("{} to send, {} refused, {first:?}", loaded.items.len().min(9), loaded.refused.len().min(9))
}

/// A file of PEM as all that the adapter shows MESH, and asks of it.
///
/// # Errors
/// The scratch file cannot be written.
pub fn mesh_pem(bytes: &[u8], scratch: &Path) -> std::io::Result<String> {
    let path = scratch.join("mesh.pem");
    std::fs::write(&path, bytes)?;
    let mesh = Mesh {
        url: String::from("https://localhost"),
        mailbox: String::from("X26ABC1"),
        password_file: path.clone(),
        shared_key_file: path.clone(),
        ca: path.clone(),
        cert: path.clone(),
        key: path.clone(),
        workflow: String::from("W"),
        answer_workflow: String::from("A"),
        state_dir: scratch.to_owned(),
        poll_interval_seconds: 300,
        request_timeout_seconds: 120,
        max_file_bytes: MOST_BYTES,
    };
    let read = Http::new(&mesh);
    Ok(read
        .map_or_else(|failure| failure.message.replace(&path.display().to_string(), "it"), |_| String::from("taken")))
}
