//! Checkpoints (C2SP tlog-checkpoint): a log's name, how many leaves it has, and the root over them. Ours have no further
//! lines, and one of another shape is refused: no witness could vouch for what such lines say.

use crate::hash::Hash;
use crate::key::{KeyError, LogSigner, VerifierKey, is_name};
use crate::note::{Note, NoteError, decode, encode};

/// Most leaves of a tree: what other implementations can count.
pub const MAX_SIZE: u64 = i64::MAX as u64;

/// The head of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log; also the name of its key.
    pub origin: String,
    /// How many leaves, at least one.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

/// Why a note is no checkpoint that may be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Not signed by the log.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Not exactly three lines.
    #[error("read checkpoint: expected three lines")]
    Lines,
    /// The first line is no name, or another log's.
    #[error("read checkpoint: expected the name of this log")]
    Origin,
    /// The second line is no number from 1 to [`MAX_SIZE`] in its one spelling.
    #[error("read checkpoint: expected a number of leaves from 1 to {MAX_SIZE}")]
    Size,
    /// The third line is no hash in its one spelling.
    #[error("read checkpoint: expected 32 bytes in base 64")]
    Root,
}

impl Checkpoint {
    /// As it is signed.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, encode(&self.root))
    }

    /// Reads the text of a note, signed or not.
    ///
    /// # Errors
    /// [`CheckpointError`], except those of notes and keys.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let lines: Vec<&str> = text.strip_suffix('\n').ok_or(CheckpointError::Lines)?.split('\n').collect();
        let [origin, size, root] = lines[..] else { return Err(CheckpointError::Lines) };
        if !is_name(origin) {
            return Err(CheckpointError::Origin);
        }
        let number: u64 = size.parse().map_err(|_| CheckpointError::Size)?;
        if !(1..=MAX_SIZE).contains(&number) || number.to_string() != size {
            return Err(CheckpointError::Size);
        }
        let root = decode(root).and_then(|bytes| bytes.try_into().ok()).ok_or(CheckpointError::Root)?;
        Ok(Self { origin: origin.to_owned(), size: number, root })
    }

    /// Signs it with the log's key.
    ///
    /// # Errors
    /// [`CheckpointError::Origin`] when the key is another log's, [`CheckpointError::Size`] for no leaves or too many.
    pub fn sign(&self, signer: &LogSigner) -> Result<Note, CheckpointError> {
        if signer.key().name() != self.origin {
            return Err(CheckpointError::Origin);
        }
        if !(1..=MAX_SIZE).contains(&self.size) {
            return Err(CheckpointError::Size);
        }
        Ok(signer.sign(&self.text())?)
    }

    /// Reads a note, checks the log's signature, and then reads the checkpoint. Signatures of others are left as they are.
    ///
    /// # Errors
    /// Every [`CheckpointError`].
    pub fn open(note: &[u8], key: &VerifierKey) -> Result<(Self, Note), CheckpointError> {
        let note = Note::parse(note)?;
        key.verify(&note)?;
        let checkpoint = Self::parse(&note.text)?;
        if checkpoint.origin == key.name() { Ok((checkpoint, note)) } else { Err(CheckpointError::Origin) }
    }
}
