//! The mailbox: each request of MESH's API that the adapter makes, version 2. It never sends the same request again by
//! itself and never repeats what a message holds in an error.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use hyper::http::request::Builder;
use hyper::{Method, Request, StatusCode};
use jiff::Timestamp;
use ring::hmac;
use serde::Deserialize;
use uuid::Uuid;

use super::auth::Credentials;
use super::config::{Config, Mesh, is_mailbox, secret};
use super::http::{Http, HttpError, Response};
use crate::failure::{Failure, masked};
use crate::message::{Content, Envelope, InboxPage, chunk_range, inbox_page, is_id, unpacked};
use crate::render::plain;

/// Media type that asks for version 2 of the API.
const VERSION_2: &str = "application/vnd.mesh.v2+json";
/// Largest body of anything but a file, in bytes: a page of the inbox has at most 500 ids.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Largest number of pages of the inbox read in one pass: 10,000 messages. Files are taken oldest first.
const MAX_PAGES: usize = 20;
/// Largest number of parts of one message.
const MAX_CHUNKS: u32 = 1000;
/// Bytes that packing may add to a file that does not get smaller.
const PACKING_BYTES: usize = 64 * 1024;
/// Letters shown of MESH's own words.
pub const SHOWN_LETTERS: usize = 200;

/// Why a request came to nothing. Messages follow "failed to ".
#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    /// No whole response.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// MESH does not take the certificate, the password or the shared key.
    #[error("open the mailbox: MESH refused it ({0})")]
    Refused(StatusCode),
    /// The message is no longer there.
    #[error("find the message: it is gone")]
    Gone,
    /// Another status than expected.
    #[error("{doing}: MESH said {status} {words}")]
    Status {
        /// What was asked.
        doing: &'static str,
        /// The status.
        status: StatusCode,
        /// MESH's words, masked.
        words: String,
    },
    /// A response that makes no sense.
    #[error("understand MESH: {0}")]
    Odd(&'static str),
}

/// The ids in the inbox, oldest first.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Inbox {
    /// Ids.
    pub ids: Vec<String>,
    /// There are more than were read.
    pub more: bool,
}

/// Our mailbox.
pub struct Mailbox {
    http: Http,
    credentials: Credentials,
    mailbox: String,
    max_file_bytes: usize,
}

/// MESH's words about an error.
#[derive(Deserialize)]
struct Words {
    #[serde(default)]
    detail: Vec<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    msg: Option<String>,
}

impl Mailbox {
    /// Reads certificates and secrets.
    ///
    /// # Errors
    /// A file that cannot be used.
    pub fn new(config: &Config) -> Result<Self, Failure> {
        let Mesh { mailbox, password_file, shared_key_file, max_file_bytes, .. } = &config.mesh;
        let (password, key) = (secret(password_file)?, secret(shared_key_file)?);
        let credentials = Credentials::new(mailbox, &password, key.as_bytes(), Uuid::new_v4());
        let http = Http::new(&config.mesh)?;
        Ok(Self { http, credentials, mailbox: mailbox.clone(), max_file_bytes: *max_file_bytes })
    }

    /// The key of the notes about answers.
    #[must_use]
    pub fn note_key(&self) -> hmac::Key {
        self.credentials.note_key()
    }

    /// Tells MESH that this mailbox is in use; MESH wants it once a day.
    ///
    /// # Errors
    /// [`MeshError`].
    pub async fn handshake(&self) -> Result<(), MeshError> {
        let version = concat!("kith==", env!("CARGO_PKG_VERSION"));
        let request = self
            .request(Method::POST, "")
            .header("mex-clientversion", version)
            .header("mex-osname", std::env::consts::OS)
            .header("mex-osversion", "N/A")
            .header("mex-osarchitecture", std::env::consts::ARCH);
        let response = self.send(request, Bytes::new(), MAX_BODY_BYTES).await?;
        expect("shake hands", &response, &[StatusCode::OK])
    }

    /// Lists the inbox.
    ///
    /// # Errors
    /// [`MeshError`].
    pub async fn inbox(&self) -> Result<Inbox, MeshError> {
        let mut inbox = Inbox::default();
        let mut path = "/inbox".to_owned();
        for _ in 0..MAX_PAGES {
            let response = self.send(self.request(Method::GET, &path), Bytes::new(), MAX_BODY_BYTES).await?;
            expect("list the inbox", &response, &[StatusCode::OK])?;
            let InboxPage { ids, next } = inbox_page(&response.body, &self.path("")).map_err(MeshError::Odd)?;
            inbox.ids.extend(ids);
            let Some(next) = next else { return Ok(inbox) };
            path = next;
        }
        inbox.more = true;
        Ok(inbox)
    }

    /// What the headers of a message say; its content stays where it is.
    ///
    /// # Errors
    /// [`MeshError`].
    pub async fn look(&self, id: &str) -> Result<Envelope, MeshError> {
        let request = self.request(Method::HEAD, &inbox_path(id)?);
        let response = self.send(request, Bytes::new(), MAX_BODY_BYTES).await?;
        expect("look at a message", &response, &[StatusCode::OK, StatusCode::PARTIAL_CONTENT])?;
        Ok(Envelope::read(id, &response.headers))
    }

    /// The file of a message.
    ///
    /// # Errors
    /// [`MeshError`]; a file over the bound is none.
    pub async fn fetch(&self, message: &Envelope) -> Result<Content, MeshError> {
        if message.chunks > MAX_CHUNKS {
            return Ok(Content::TooLarge);
        }
        let mut bytes = Vec::new();
        for part in 1..=message.chunks {
            let first = inbox_path(&message.id)?;
            let path = if part == 1 { first } else { format!("{first}/{part}") };
            let request = self.request(Method::GET, &path).header(ACCEPT_ENCODING, "gzip");
            let most = (self.max_file_bytes + PACKING_BYTES).saturating_sub(bytes.len());
            let response = match self.send(request, Bytes::new(), most).await {
                Err(MeshError::Http(HttpError::TooLarge(_))) => return Ok(Content::TooLarge),
                other => other?,
            };
            expect("fetch a message", &response, &[StatusCode::OK, StatusCode::PARTIAL_CONTENT])?;
            if chunk_range(&response.headers).unwrap_or((1, 1)) != (part, message.chunks) {
                return Err(MeshError::Odd("a part of a message is another one than was asked for"));
            }
            bytes.extend_from_slice(&response.body);
        }
        Ok(unpacked(bytes, self.max_file_bytes))
    }

    /// Sends an answer and gives MESH's id of it.
    ///
    /// # Errors
    /// [`MeshError`]; but for a refusal it is not known whether the answer left.
    pub async fn answer(&self, answer: Answer<'_>) -> Result<(), MeshError> {
        let Answer { to, workflow, to_message, bytes } = answer;
        if !is_mailbox(to) || !is_id(to_message) {
            return Err(MeshError::Odd("a mailbox or message id has other letters than MESH gives"));
        }
        let request = self
            .request(Method::POST, "/outbox")
            .header(CONTENT_TYPE, "text/csv")
            .header("mex-from", &self.mailbox)
            .header("mex-to", to)
            .header("mex-workflowid", workflow)
            .header("mex-localid", format!("kith-{to_message}"))
            .header("mex-filename", format!("kith-verdict-{to_message}.csv"))
            .header("mex-chunk-range", "1:1");
        let response = self.send(request, Bytes::from(bytes), MAX_BODY_BYTES).await?;
        expect("send an answer", &response, &[StatusCode::ACCEPTED, StatusCode::OK])
    }

    /// Takes a message out of the inbox; one that is no longer there is out of it.
    ///
    /// # Errors
    /// [`MeshError`].
    pub async fn acknowledge(&self, id: &str) -> Result<(), MeshError> {
        let request = self.request(Method::PUT, &format!("{}/status/acknowledged", inbox_path(id)?));
        let response = self.send(request, Bytes::new(), MAX_BODY_BYTES).await?;
        match expect("acknowledge a message", &response, &[StatusCode::OK]) {
            Ok(()) | Err(MeshError::Gone) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn path(&self, rest: &str) -> String {
        format!("/messageexchange/{}{rest}", self.mailbox)
    }

    fn request(&self, method: Method, rest: &str) -> Builder {
        Request::builder()
            .method(method)
            .uri(self.path(rest))
            .header(ACCEPT, VERSION_2)
            .header(USER_AGENT, concat!("kith/", env!("CARGO_PKG_VERSION")))
            .header(AUTHORIZATION, self.credentials.authorization(Timestamp::now()))
    }

    async fn send(&self, request: Builder, body: Bytes, most: usize) -> Result<Response, MeshError> {
        let request = request.body(Full::new(body)).map_err(|_| MeshError::Odd("a path of MESH is none"))?;
        Ok(self.http.send(request, most).await?)
    }
}

/// An answer to a message.
pub struct Answer<'a> {
    /// Mailbox of the sender.
    pub to: &'a str,
    /// Workflow id.
    pub workflow: &'a str,
    /// The message that is answered.
    pub to_message: &'a str,
    /// The verdict file.
    pub bytes: Vec<u8>,
}

fn inbox_path(id: &str) -> Result<String, MeshError> {
    if is_id(id) {
        Ok(format!("/inbox/{id}"))
    } else {
        Err(MeshError::Odd("a message id has other letters than MESH gives"))
    }
}

fn expect(doing: &'static str, response: &Response, good: &[StatusCode]) -> Result<(), MeshError> {
    let Response { status, headers: _, body } = response;
    match *status {
        status if good.contains(&status) => Ok(()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(MeshError::Refused(*status)),
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(MeshError::Gone),
        status => Err(MeshError::Status { doing, status, words: words(body) }),
    }
}

/// MESH's words about an error, if it gives any that are short and plain.
pub fn words(body: &[u8]) -> String {
    let details = serde_json::from_slice::<Words>(body).map(|words| words.detail).unwrap_or_default();
    let said: Vec<String> = details.into_iter().flat_map(|Detail { code, msg }| [code, msg]).flatten().collect();
    shown(&said.join(" "))
}

/// What is shown of MESH's words: masked before they are cut, for the first digits of a number are not known for one.
pub fn shown(words: &str) -> String {
    plain(&masked(words)).chars().take(SHOWN_LETTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_mesh_are_shown_without_identities_and_not_at_length() {
        let body = br#"{"detail":[{"event":"SEND","code":"12","msg":"Unregistered to address 9990000018"}]}"#;
        assert_eq!(words(body), "12 Unregistered to address [withheld]");
        assert_eq!(words(b"<html>9990000018"), "");
        let apart = r#"{"detail":[{"msg":"address 999\u200b000\u200b0018"}]}"#;
        assert_eq!(words(apart.as_bytes()), "address [withheld]");
        let cut = shown(&format!("{} 9990000018", "x".repeat(SHOWN_LETTERS - 9)));
        assert!(cut.ends_with(" [withhel") && !cut.contains("999"), "{cut}");
        assert!(words(format!(r#"{{"detail":[{{"msg":"{}"}}]}}"#, "x".repeat(5000)).as_bytes()).len() <= SHOWN_LETTERS);
    }
}
