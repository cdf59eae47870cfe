//! Signed notes (C2SP signed-note): a text, an empty line, and lines of signatures. The text means nothing until a signature
//! of a known key holds. Parsing is strict, so that one note has one spelling.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::key::{ID_BYTES, is_name};

/// Longest note that is read, in bytes: room for a checkpoint with all its signatures many times over.
pub const MAX_NOTE_BYTES: usize = 64 << 10;
/// Most signatures of a note. Sixteen must be taken; a log with more witnesses than this has a mistake in it.
pub const MAX_SIGNATURES: usize = 64;

/// A signature line begins with an em dash and a space.
const DASH: &str = "\u{2014} ";
/// Ends the text: its last line end and the empty line.
const BREAK: &str = "\n\n";

/// Why bytes are no note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Longer than [`MAX_NOTE_BYTES`].
    #[error("read note: {found} bytes, expected at most {MAX_NOTE_BYTES}")]
    TooLong {
        /// Its length, in bytes.
        found: usize,
    },
    /// Not UTF-8, or with control characters other than line ends.
    #[error("read note: expected UTF-8 without control characters")]
    Characters,
    /// No text, no empty line before the signatures, or no line end after them.
    #[error("read note: expected a text, an empty line, and lines of signatures")]
    Shape,
    /// A line that is no signature.
    #[error("read note: line {line} of the signatures is no signature")]
    Signature {
        /// Which, from 1.
        line: usize,
    },
    /// More signatures than [`MAX_SIGNATURES`].
    #[error("read note: more than {MAX_SIGNATURES} signatures")]
    TooMany,
    /// Two signatures of one key.
    #[error("read note: the key of line {line} of the signatures has signed before")]
    Twice {
        /// Which line, from 1.
        line: usize,
    },
}

/// A signature as it stands in a note: whose it says it is, and bytes that are not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// Name of the key.
    pub name: String,
    /// The key's short identifier; not a proof of anything.
    pub key_id: [u8; ID_BYTES],
    /// The signature, as its kind of key makes it.
    pub bytes: Vec<u8>,
}

/// A text with signatures. Nothing of it is verified by reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What is signed, with its last line end.
    pub text: String,
    /// The signatures, in their order.
    pub signatures: Vec<NoteSignature>,
}

impl Note {
    /// Reads a note.
    ///
    /// # Errors
    /// Every [`NoteError`]: one byte more or less, and it is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLong { found: bytes.len() });
        }
        let whole = std::str::from_utf8(bytes).map_err(|_| NoteError::Characters)?;
        if whole.bytes().any(|byte| byte < b' ' && byte != b'\n') {
            return Err(NoteError::Characters);
        }
        // The text may hold empty lines; the last one of the note ends it.
        let (text, lines) = whole.rsplit_once(BREAK).ok_or(NoteError::Shape)?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Shape)?;
        if text.is_empty() {
            return Err(NoteError::Shape);
        }
        let mut signatures: Vec<NoteSignature> = Vec::new();
        for (at, line) in lines.split('\n').enumerate() {
            if at == MAX_SIGNATURES {
                return Err(NoteError::TooMany);
            }
            let line_number = at + 1;
            let signature = parse_signature(line).ok_or(NoteError::Signature { line: line_number })?;
            if signatures.iter().any(|other| other.name == signature.name && other.key_id == signature.key_id) {
                return Err(NoteError::Twice { line: line_number });
            }
            signatures.push(signature);
        }
        Ok(Self { text: format!("{text}\n"), signatures })
    }

    /// Whether a text can be signed: whole lines without control characters, and not empty.
    pub(crate) fn is_text(text: &str) -> bool {
        text.len() > 1 && text.ends_with('\n') && text.bytes().all(|byte| byte >= b' ' || byte == b'\n')
    }
}

fn parse_signature(line: &str) -> Option<NoteSignature> {
    let (name, encoded) = line.strip_prefix(DASH)?.split_once(' ')?;
    if !is_name(name) {
        return None;
    }
    let bytes = decode(encoded)?;
    let (key_id, rest) = bytes.split_first_chunk()?;
    (!rest.is_empty()).then(|| NoteSignature { name: name.to_owned(), key_id: *key_id, bytes: rest.to_vec() })
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.key_id.as_slice(), &self.bytes].concat();
        writeln!(f, "{DASH}{} {}", self.name, encode(&bytes))
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| signature.fmt(f))
    }
}

/// Base 64 as C2SP has it: RFC 4648, section 4, padded.
pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The bytes of a canonical spelling; every other one is none.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let bytes = STANDARD.decode(text).ok()?;
    (encode(&bytes) == text).then_some(bytes)
}

/// The same of a secret: neither the bytes nor the spelling that they are held against stay behind.
pub(crate) fn decode_secret(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    // With room for all of it: bytes that grow leave copies behind.
    let mut bytes = Zeroizing::new(Vec::<u8>::with_capacity(text.len()));
    STANDARD.decode_vec(text, &mut bytes).ok()?;
    let spelling = Zeroizing::new(encode(&bytes));
    (spelling.as_str() == text).then_some(bytes)
}
