//! The adapter's configuration file: MESH, the service, and which mailbox speaks for which authority. Unknown keys are
//! refused and all mistakes are told together; a password or key stands in a file of its own and is never shown.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kith_api::client::{ConnectOptions, certificate_identity};
use kith_api::v1;
use kith_domain::codes::LaCode;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::failure::Failure;

/// Largest configuration or secret file read, in bytes: 153 authorities take about 40 KiB.
const MAX_CONFIG_BYTES: u64 = 1024 * 1024;
/// Role in the certificate of an authority.
const AUTHORITY_ROLE: &str = "local-authority";
/// Longest mailbox or workflow id taken, in bytes. MESH allows 100 for a mailbox.
const MAX_ID_BYTES: usize = 100;
/// Access by anyone but the owner and the group.
const OTHERS: u32 = 0o007;

/// What the adapter runs with.
#[derive(Debug)]
pub struct Config {
    /// How MESH is reached.
    pub mesh: Mesh,
    /// Who may send plan files.
    pub senders: Vec<Sender>,
}

/// MESH, as configured; paths are absolute or relative to where the program runs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mesh {
    /// `https://host` or `https://host:port`.
    pub url: String,
    /// Our mailbox.
    pub mailbox: String,
    /// File with the mailbox's password.
    pub password_file: PathBuf,
    /// File with the key shared by all clients of an environment of MESH.
    pub shared_key_file: PathBuf,
    /// PEM file of the authorities that signed MESH's certificate.
    pub ca: PathBuf,
    /// PEM file of our certificate.
    pub cert: PathBuf,
    /// PEM file of our private key.
    pub key: PathBuf,
    /// Workflow id of plan files.
    pub workflow: String,
    /// Workflow id of the answers.
    pub answer_workflow: String,
    /// Folder of the notes about answers that left.
    pub state_dir: PathBuf,
    /// Seconds between two looks into the inbox.
    #[serde(default = "poll_interval_seconds")]
    pub poll_interval_seconds: u64,
    /// Seconds that one request to MESH may take.
    #[serde(default = "request_timeout_seconds")]
    pub request_timeout_seconds: u64,
    /// Largest plan file taken, in bytes after unpacking.
    #[serde(default = "max_file_bytes")]
    pub max_file_bytes: usize,
}

/// MESH asks for no more than a look every few minutes.
fn poll_interval_seconds() -> u64 {
    300
}

fn request_timeout_seconds() -> u64 {
    120
}

/// Twice the service's own default, so that the service's verdict is the usual one.
fn max_file_bytes() -> usize {
    16 * 1024 * 1024
}

/// An authority that may send.
#[derive(Clone, Debug)]
pub struct Sender {
    /// Its mailbox, in capitals.
    pub mailbox: String,
    /// Its GSS code.
    pub authority: LaCode,
    /// How its files reach the service: with its own certificate.
    pub connect: ConnectOptions,
    /// The file with the token that proves this program to be who it says, where the authority's people need one.
    pub token_file: Option<PathBuf>,
}

impl Sender {
    /// Who is behind what is sent for it: this program, which acts by itself, by the name of the mailbox.
    #[must_use]
    pub fn caller(&self) -> v1::Caller {
        v1::Caller {
            user_id: "kith-mesh".to_owned(),
            user_name: format!("Files of mailbox {}", self.mailbox),
            user_role: "Integration".to_owned(),
            role_code: "MESH".to_owned(),
            purpose: v1::Purpose::RecordKeeping.into(),
            organisation: self.authority.to_string(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    mesh: Mesh,
    kith: Kith,
    #[serde(default)]
    sender: Vec<SenderEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kith {
    server: String,
    ca: PathBuf,
    #[serde(default = "timeout_ms")]
    timeout_ms: u64,
}

fn timeout_ms() -> u64 {
    10_000
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SenderEntry {
    mailbox: String,
    authority: String,
    cert: PathBuf,
    key: PathBuf,
    person_token_file: Option<PathBuf>,
}

/// Reads and checks a configuration file.
///
/// # Errors
/// Every mistake in it.
pub fn load(path: &Path) -> Result<Config, Failure> {
    let failed = |why: String| Failure::bad_input(format!("failed to read {}: {why}", path.display()));
    let bytes = read(path).map_err(&failed)?;
    let text = String::from_utf8(bytes).map_err(|_| failed("expected UTF-8".to_owned()))?;
    parse(&text, path.parent().unwrap_or(Path::new(".")), check_certificate).map_err(failed)
}

/// Reads and checks the text of a configuration whose files are in `folder`; `check` judges the certificate of each sender.
///
/// # Errors
/// Every mistake in it.
pub fn parse(text: &str, folder: &Path, check: impl Fn(&Path, LaCode) -> Result<(), String>) -> Result<Config, String> {
    let mut file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    in_folder(&mut file, folder);
    let mut mistakes = Vec::new();
    check_mesh(&file.mesh, &mut mistakes);
    let senders = senders(&file, check, &mut mistakes);
    if mistakes.is_empty() { Ok(Config { mesh: file.mesh, senders }) } else { Err(mistakes.join("; ")) }
}

/// Reads a secret: one line, in a file that others on this machine cannot read.
///
/// # Errors
/// Words that name the file and never what is in it.
pub fn secret(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let failed = |why: String| Failure::bad_input(format!("failed to read secret file {}: {why}", path.display()));
    let mode = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.permissions().mode();
    if mode & OTHERS != 0 {
        return Err(failed(format!("others can reach it (mode {:o}): expected 600, 400 or 640", mode & 0o777)));
    }
    // Wiped whether or not it is text.
    let bytes = Zeroizing::new(read(path).map_err(&failed)?);
    let text = std::str::from_utf8(&bytes).map_err(|_| failed("expected ASCII".to_owned()))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() || !text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Err(failed("expected one line of ASCII".to_owned()));
    }
    Ok(Zeroizing::new(text.to_owned()))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let length = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > MAX_CONFIG_BYTES {
        return Err(format!("expected at most {MAX_CONFIG_BYTES} bytes, found {length}"));
    }
    std::fs::read(path).map_err(|error| error.to_string())
}

fn in_folder(file: &mut File, folder: &Path) {
    let Mesh { password_file, shared_key_file, ca, cert, key, state_dir, .. } = &mut file.mesh;
    for path in [password_file, shared_key_file, ca, cert, key, state_dir, &mut file.kith.ca] {
        *path = folder.join(&*path);
    }
    for SenderEntry { cert, key, mailbox, authority: _, person_token_file } in &mut file.sender {
        if let Some(path) = person_token_file {
            *path = folder.join(&*path);
        }
        *cert = folder.join(&*cert);
        *key = folder.join(&*key);
        mailbox.make_ascii_uppercase();
    }
}

fn check_mesh(mesh: &Mesh, mistakes: &mut Vec<String>) {
    let mut expect = |right: bool, words: &str| {
        if !right {
            mistakes.push(words.to_owned());
        }
    };
    expect(super::http::Origin::parse(&mesh.url).is_some(), "mesh.url: expected https://host or https://host:port");
    expect(is_mailbox(&mesh.mailbox), "mesh.mailbox: expected capital letters, digits, _ or -");
    for (name, id) in [("mesh.workflow", &mesh.workflow), ("mesh.answer_workflow", &mesh.answer_workflow)] {
        expect(is_workflow(id), &format!("{name}: expected 1 to {MAX_ID_BYTES} letters, digits, _ or -"));
    }
    expect(mesh.workflow != mesh.answer_workflow, "mesh.answer_workflow: expected another one than mesh.workflow");
    expect((1..=86_400).contains(&mesh.poll_interval_seconds), "mesh.poll_interval_seconds: expected 1 to 86400");
    expect((1..=3_600).contains(&mesh.request_timeout_seconds), "mesh.request_timeout_seconds: expected 1 to 3600");
    let largest = usize::try_from(crate::plan_file::MAX_FILE_BYTES).unwrap_or(usize::MAX);
    let words = format!("mesh.max_file_bytes: expected 1 to {largest}");
    expect((1..=largest).contains(&mesh.max_file_bytes), &words);
}

/// An id of a mailbox, which becomes part of a path.
pub fn is_mailbox(id: &str) -> bool {
    let known = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    !id.is_empty() && id.len() <= MAX_ID_BYTES && id.bytes().all(known)
}

fn is_workflow(id: &str) -> bool {
    let known = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    !id.is_empty() && id.len() <= MAX_ID_BYTES && id.bytes().all(known)
}

fn senders(
    file: &File,
    check: impl Fn(&Path, LaCode) -> Result<(), String>,
    mistakes: &mut Vec<String>,
) -> Vec<Sender> {
    if file.sender.is_empty() {
        mistakes.push("sender: expected at least one [[sender]]".to_owned());
    }
    let Kith { server, ca, timeout_ms } = &file.kith;
    let timeout = Duration::from_millis(*timeout_ms);
    let mut seen = BTreeSet::new();
    let mut senders = Vec::new();
    for SenderEntry { mailbox, authority, cert, key, person_token_file } in &file.sender {
        if !is_mailbox(mailbox) || *mailbox == file.mesh.mailbox {
            mistakes.push(format!("sender {mailbox}: expected another mailbox's id"));
        }
        if !seen.insert(mailbox) {
            mistakes.push(format!("sender {mailbox}: it is listed twice"));
        }
        let Ok(code) = LaCode::parse(authority) else {
            mistakes.push(format!("sender {mailbox}: authority {authority} is not a GSS code"));
            continue;
        };
        if let Err(why) = check(cert, code) {
            mistakes.push(format!("sender {mailbox}: {why}"));
        }
        let connect = ConnectOptions {
            server: server.clone(),
            ca: ca.clone(),
            cert: cert.clone(),
            key: key.clone(),
            connect_timeout: timeout,
            request_timeout: timeout,
        };
        let token_file = person_token_file.clone();
        senders.push(Sender { mailbox: mailbox.clone(), authority: code, connect, token_file });
    }
    senders
}

/// The service goes by the certificate: one of another authority would import under that one's name.
fn check_certificate(path: &Path, authority: LaCode) -> Result<(), String> {
    let shown = path.display();
    let pem = read(path).map_err(|why| format!("failed to read certificate file {shown}: {why}"))?;
    let identity = certificate_identity(&pem).map_err(|error| format!("failed to {error} ({shown})"))?;
    if identity.organisation != authority.as_str() || identity.role != AUTHORITY_ROLE {
        return Err(format!(
            "the certificate {shown} is of {} with role {}: expected {authority} with role {AUTHORITY_ROLE}",
            identity.organisation, identity.role
        ));
    }
    Ok(())
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
