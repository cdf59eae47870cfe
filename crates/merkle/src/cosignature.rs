//! A witness's statement (C2SP tlog-cosignature, version 1): at this time, this was the largest tree that it had seen of the
//! log, and it followed from all that it had seen before. Whether that is so, the witness has to find out; this only signs.

use crate::key::{KeyError, KeyKind, VerifierKey, WitnessSigner};
use crate::note::{Note, NoteSignature};

/// Latest time that a statement may name, in seconds of POSIX time.
pub const MAX_TIME_S: u64 = i64::MAX as u64;
/// Length of the time before the signature itself.
const TIME_BYTES: usize = 8;

/// What is signed: two lines of its own before the text, so that it never passes for a log's signature.
fn statement(time_s: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {time_s}\n{text}")
}

impl WitnessSigner {
    /// States that at `time_s` the tree of the checkpoint `text` was the largest seen.
    ///
    /// # Errors
    /// [`KeyError::Text`] for what is no text of a note, and for a time beyond [`MAX_TIME_S`].
    pub fn cosign(&self, text: &str, time_s: u64) -> Result<NoteSignature, KeyError> {
        if !Note::is_text(text) || time_s > MAX_TIME_S {
            return Err(KeyError::Text);
        }
        Ok(self.signature(&time_s.to_be_bytes(), statement(time_s, text).as_bytes()))
    }
}

impl VerifierKey {
    /// Checks a witness's statement on a note and gives its time, in seconds of POSIX time.
    ///
    /// # Errors
    /// [`KeyError::NotSigned`], [`KeyError::Forged`], or [`KeyError::Kind`] for a log's key.
    pub fn verify_cosignature(&self, note: &Note) -> Result<u64, KeyError> {
        if self.kind() != KeyKind::Witness {
            return Err(KeyError::Kind);
        }
        let (time, signature) = self.signature_on(note)?.split_first_chunk::<TIME_BYTES>().ok_or(KeyError::Forged)?;
        let time_s = u64::from_be_bytes(*time);
        if time_s > MAX_TIME_S {
            return Err(KeyError::Forged);
        }
        self.check(statement(time_s, &note.text).as_bytes(), signature)?;
        Ok(time_s)
    }
}
