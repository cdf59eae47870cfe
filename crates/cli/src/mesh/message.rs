//! A message of the inbox: what its headers say, and its file unpacked. What cannot be unpacked is handed on as it came, so
//! that the service judges it; what is larger than its bound is never held whole.

use std::io::Read;

use flate2::read::MultiGzDecoder;

use super::http::Response;

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
    pub fn read(id: &str, response: &Response) -> Self {
        let text = |name: &str| response.header(name).unwrap_or_default().to_owned();
        let kind = match text("mex-messagetype").to_ascii_uppercase().as_str() {
            "DATA" => Kind::Data,
            "REPORT" => {
                let why = format!("{} {}", text("mex-statuscode"), text("mex-statusdescription"));
                Kind::Report { about: text("mex-linkedmsgid"), why: why.trim().to_owned() }
            }
            _ => Kind::Unknown,
        };
        let chunks = chunk_range(response).map_or(1, |(_, of)| of);
        let (sender, workflow) = (text("mex-from").to_ascii_uppercase(), text("mex-workflowid"));
        Self { id: id.to_owned(), sender, workflow, chunks, kind }
    }
}

/// Part and number of parts, as a response says them.
#[must_use]
pub fn chunk_range(response: &Response) -> Option<(u32, u32)> {
    let (part, of) = response.header("mex-chunk-range")?.split_once(':')?;
    Some((part.trim().parse().ok()?, of.trim().parse().ok()?))
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
    use hyper::HeaderMap;
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

    fn response(headers: &[(&'static str, &'static str)]) -> Response {
        let named = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let headers: HeaderMap = headers.iter().map(named).collect();
        Response { status: hyper::StatusCode::OK, headers, body: bytes::Bytes::new() }
    }

    #[test]
    fn headers_are_read_and_only_data_is_data() {
        let data = [
            ("mex-messagetype", "DATA"),
            ("mex-from", "x26abc2 "),
            ("mex-workflowid", "W"),
            ("mex-chunk-range", "1:3"),
        ];
        let read = Envelope::read("A1", &response(&data));
        assert_eq!((read.sender.as_str(), read.workflow.as_str(), read.chunks), ("X26ABC2", "W", 3));
        assert_eq!(read.kind, Kind::Data);
        let report = [
            ("mex-messagetype", "REPORT"),
            ("mex-linkedmsgid", "B2"),
            ("mex-statuscode", "14"),
            ("mex-from", "X26ABC2"),
        ];
        let read = Envelope::read("A1", &response(&report));
        assert_eq!(read.kind, Kind::Report { about: "B2".into(), why: "14".into() });
        assert_eq!(Envelope::read("A1", &response(&[])).kind, Kind::Unknown);
        assert_eq!(Envelope::read("A1", &response(&[("mex-messagetype", "DATA2")])).kind, Kind::Unknown);
    }

    #[test]
    fn an_id_stays_within_its_place() {
        assert!(is_id("20210311101813838554_1B8F53") && is_id("A-b"));
        for bad in ["", "../x", "a/b", "a.b", "a b", "a?b", &"a".repeat(101)] {
            assert!(!is_id(bad), "{bad}");
        }
    }
}
