//! What the mailbox adapter notes about a message before and after its answer leaves. It holds no content of a message and no
//! identity: of the answer itself there is only a hash under a key that does not lie beside it.

use serde::{Deserialize, Serialize};

/// What was noted about one message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Note {
    /// This answer may have left.
    Answering {
        /// HMAC-SHA256 of the verdict file under the mailbox's key, in hexadecimal: a verdict file may name a child's number, and
        /// of so short a thing a hash without a key is found by trying all there are.
        hmac: String,
        /// When the verdict was made: seconds and nanoseconds since 1970.
        created_at: Option<(i64, i32)>,
        /// Whether it was said to be a repeat.
        repeated: bool,
    },
    /// The answer left.
    Answered,
}

/// The note of a file; one that cannot be understood counts as none: the message is then answered again.
#[must_use]
pub fn read(bytes: &[u8]) -> Option<Note> {
    serde_json::from_slice(bytes).ok()
}
