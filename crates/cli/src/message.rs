//! What a mailbox sends: a page of the inbox, what the headers of a message say, and its file unpacked. What cannot be unpacked is
//! handed on as it came, so that the service judges it; what is larger than its bound is never held whole.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use hyper::HeaderMap;
use serde::Deserialize;

/// First bytes of what is packed with gzip. No plan file begins with them: they are not UTF-8.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// How often a file may be packed: for the way by the sender's client, and once more before it.
const LAYERS: u32 = 2;
/// Longest message id taken, in bytes.
const MAX_ID_BYTES: usize = 100;

/// What the headers of a message say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// MESH's id of the message.
    pub id: String,
    /// Mailbox of the sender, in capitals; empty for MESH's own reports.
    pub sender: String,
    /// Workflow id.
    pub workflow: String,
    /// In how many parts it came.
    pub chunks: u32,
    /// What it is.
    pub kind: Kind,
}

/// What a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file of a sender.
    Data,
    /// MESH tells that a message of ours was not delivered.
    Report {
        /// The message of ours.
        about: String,
        /// Why, as MESH says it.
        why: String,
    },
    /// Nothing that this program knows.
    Unknown,
}

impl Envelope {
    /// Reads the headers of a response.
    #[must_use]
    pub fn read(id: &str, headers: &HeaderMap) -> Self {
        let text = |name: &str| header(headers, name).unwrap_or_default().to_owned();
        let kind = match text("mex-messagetype").to_ascii_uppercase().as_str() {
            "DATA" => Kind::Data,
            "REPORT" => {
                let why = format!("{} {}", text("mex-statuscode"), text("mex-statusdescription"));
                Kind::Report { about: text("mex-linkedmsgid"), why: why.trim().to_owned() }
            }
            _ => Kind::Unknown,
        };
        let chunks = chunk_range(headers).map_or(1, |(_, of)| of);
        let (sender, workflow) = (text("mex-from").to_ascii_uppercase(), text("mex-workflowid"));
        Self { id: id.to_owned(), sender, workflow, chunks, kind }
    }
}

/// Part and number of parts, as a response says them.
#[must_use]
pub fn chunk_range(headers: &HeaderMap) -> Option<(u32, u32)> {
    let (part, of) = header(headers, "mex-chunk-range")?.split_once(':')?;
    Some((part.trim().parse().ok()?, of.trim().parse().ok()?))
}

/// A header as text.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

/// A page of the inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxPage {
    /// Ids of messages, oldest first; they may be anything.
    pub ids: Vec<String>,
    /// Path of the next page, without that of the mailbox; none behind the last.
    pub next: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    messages: Vec<String>,
    #[serde(default)]
    links: Links,
}

#[derive(Default, Deserialize)]
struct Links {
    next: Option<String>,
}

/// Reads a page of the inbox of the mailbox with this path.
///
/// # Errors
/// What makes no sense in it; a next page that is another mailbox's.
pub fn inbox_page(body: &[u8], mailbox: &str) -> Result<InboxPage, &'static str> {
    let page: Page = serde_json::from_slice(body).map_err(|_| "a page of the inbox is no JSON")?;
    let next = match page.links.next {
        None => None,
        Some(next) => {
            let own = next.strip_prefix(mailbox).filter(|rest| rest.starts_with("/inbox?"));
            Some(own.ok_or("the next page is not of this inbox")?.to_owned())
        }
    };
    Ok(InboxPage { ids: page.messages, next })
}

/// Whether MESH could have given this id: it becomes part of a path and a file name.
#[must_use]
pub fn is_id(id: &str) -> bool {
    let known = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    !id.is_empty() && id.len() <= MAX_ID_BYTES && id.bytes().all(known)
}

/// A message's content.
#[derive(Debug, PartialEq, Eq)]
pub enum Content {
    /// The file.
    File(Vec<u8>),
    /// More than may be taken.
    TooLarge,
}

/// Unpacks the parts of a message, which lie one behind the other. Each part may be packed for itself, or the whole before it
/// was cut: to gzip both are one stream of members.
#[must_use]
pub fn unpacked(mut bytes: Vec<u8>, most: usize) -> Content {
    for _ in 0..LAYERS {
        if !bytes.starts_with(&GZIP) {
            break;
        }
        let mut opened = Vec::new();
        let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
        if MultiGzDecoder::new(bytes.as_slice()).take(limit).read_to_end(&mut opened).is_err() {
            return Content::File(bytes);
        }
        if opened.len() > most {
            return Content::TooLarge;
        }
        bytes = opened;
    }
    if bytes.len() > most { Content::TooLarge } else { Content::File(bytes) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn file(bytes: &[u8]) -> Content {
        Content::File(bytes.to_vec())
    }

    #[test]
    fn parts_packed_one_by_one_or_as_a_whole_give_the_same_file() {
        let text = b"kith-plans,1,1,changes\nrest of the file\n";
        let by_part = [packed(&text[..10]), packed(&text[10..])].concat();
        assert_eq!(unpacked(by_part, 100), file(text));
        assert_eq!(unpacked(packed(text), 100), file(text));
        assert_eq!(unpacked(packed(&packed(text)), 100), file(text));
        assert_eq!(unpacked(text.to_vec(), 100), file(text));
    }

    #[test]
    fn what_is_over_the_bound_is_not_unpacked_whole_and_what_is_damaged_stays_as_it_is() {
        let bomb = packed(&vec![b'x'; 50_000_000]);
        assert!(bomb.len() < 100_000);
        assert_eq!(unpacked(bomb, 100_000), Content::TooLarge);
        assert_eq!(unpacked(vec![b'x'; 11], 10), Content::TooLarge);
        assert_eq!(unpacked(packed(&[b'x'; 11]), 10), Content::TooLarge);
        assert_eq!(unpacked(packed(&[b'x'; 10]), 10), file(&[b'x'; 10]));
        let mut damaged = packed(b"kith-plans,1,1,changes\n");
        let last = damaged.len() - 6;
        damaged[last] ^= 1;
        assert_eq!(unpacked(damaged.clone(), 100), file(&damaged));
        damaged.truncate(12);
        assert_eq!(unpacked(damaged.clone(), 100), file(&damaged), "a cut file is never taken as far as it goes");
    }

    fn headers(of: &[(&'static str, &'static str)]) -> HeaderMap {
        let named = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        of.iter().map(named).collect()
    }

    #[test]
    fn a_page_of_the_inbox_leads_to_the_next_of_the_same_mailbox_alone() {
        let page = |next: &str| format!(r#"{{"messages":["A","B"],"links":{{"next":"{next}"}}}}"#);
        let read = |body: &str| inbox_page(body.as_bytes(), "/messageexchange/X26ABC1");
        let ids = vec!["A".to_owned(), "B".to_owned()];
        let more = read(&page("/messageexchange/X26ABC1/inbox?continue_from=c"));
        assert_eq!(more, Ok(InboxPage { ids: ids.clone(), next: Some("/inbox?continue_from=c".into()) }));
        assert_eq!(read(r#"{"messages":["A","B"]}"#), Ok(InboxPage { ids, next: None }));
        for other in ["/messageexchange/X26ABC2/inbox?c", "/messageexchange/X26ABC1/outbox?c", "https://a/inbox?c"] {
            assert_eq!(read(&page(other)), Err("the next page is not of this inbox"), "{other}");
        }
        assert!(read("<html>").is_err() && read(r#"{"messages":[1]}"#).is_err());
    }

    #[test]
    fn headers_are_read_and_only_data_is_data() {
        let data = [
            ("mex-messagetype", "DATA"),
            ("mex-from", "x26abc2 "),
            ("mex-workflowid", "W"),
            ("mex-chunk-range", "1:3"),
        ];
        let read = Envelope::read("A1", &headers(&data));
        assert_eq!((read.sender.as_str(), read.workflow.as_str(), read.chunks), ("X26ABC2", "W", 3));
        assert_eq!(read.kind, Kind::Data);
        let report = [
            ("mex-messagetype", "REPORT"),
            ("mex-linkedmsgid", "B2"),
            ("mex-statuscode", "14"),
            ("mex-from", "X26ABC2"),
        ];
        let read = Envelope::read("A1", &headers(&report));
        assert_eq!(read.kind, Kind::Report { about: "B2".into(), why: "14".into() });
        assert_eq!(Envelope::read("A1", &headers(&[])).kind, Kind::Unknown);
        assert_eq!(Envelope::read("A1", &headers(&[("mex-messagetype", "DATA2")])).kind, Kind::Unknown);
    }

    #[test]
    fn an_id_stays_within_its_place() {
        assert!(is_id("20210311101813838554_1B8F53") && is_id("A-b"));
        for bad in ["", "../x", "a/b", "a.b", "a b", "a?b", &"a".repeat(101)] {
            assert!(!is_id(bad), "{bad}");
        }
    }
}
