//! Whose the signatures on a tree's heads are. A key that was configured anew beside heads that another one signed is told apart
//! from heads among which some are not the log's: the first is a mistake in the configuration, the second is somebody's work.

use kith_merkle::{Checkpoint, CheckpointError, KeyError, Note, VerifierKey};

use super::types::TreeFault;

/// A key's short identifier.
type KeyId = [u8; 4];

/// Reads a checkpoint; without a key its signature is not looked at.
pub(crate) fn read_checkpoint(note: &[u8], key: Option<&VerifierKey>) -> Result<Checkpoint, CheckpointError> {
    match key {
        Some(key) => Checkpoint::open(note, key).map(|(checkpoint, _)| checkpoint),
        None => Checkpoint::parse(&Note::parse(note)?.text),
    }
}

/// What is known of the signers of the heads read so far.
#[derive(Debug)]
pub(crate) struct Signers<'a> {
    key: Option<&'a VerifierKey>,
    /// The configured key signed one.
    own: bool,
    /// Before any of those, one other key of the log's name did: which, and after how many leaves the first time.
    other: Option<(KeyId, u64)>,
}

impl<'a> Signers<'a> {
    pub(crate) fn new(key: Option<&'a VerifierKey>) -> Self {
        Self { key, own: false, other: None }
    }

    /// The configured key.
    pub(crate) fn key(&self) -> Option<&'a VerifierKey> {
        self.key
    }

    /// Reads the next head, which stands after one of `after` leaves. One that another key of the log's name signed is read all the
    /// same, as long as that key signed every head so far: what to make of it is known at the end.
    ///
    /// # Errors
    /// Why it cannot be believed.
    pub(crate) fn read(&mut self, note: &[u8], after: u64) -> Result<Checkpoint, CheckpointError> {
        let read = read_checkpoint(note, self.key);
        let Some(key) = self.key else { return read };
        if read.is_ok() {
            self.own = true;
        } else if read == Err(CheckpointError::Key(KeyError::NotSigned))
            && !self.own
            && let Some(found) = signed_by_another(note, key)
            && self.other.is_none_or(|(known, _)| known == found)
        {
            let checkpoint = read_checkpoint(note, None)?;
            if checkpoint.origin != key.name() {
                return Err(CheckpointError::Origin);
            }
            self.other.get_or_insert((found, after));
            return Ok(checkpoint);
        }
        read
    }

    /// What the signatures of all heads together mean.
    pub(crate) fn conclude(&self) -> Option<TreeFault> {
        let (key, (other, after)) = (self.key?, self.other?);
        Some(match self.own {
            true => TreeFault::CheckpointForged { after, what: CheckpointError::Key(KeyError::NotSigned) },
            false => TreeFault::KeyChanged { signed: hex::encode(other), configured: hex::encode(key.id()) },
        })
    }
}

/// The key of the log's name that signed a head in the place of `key`.
fn signed_by_another(note: &[u8], key: &VerifierKey) -> Option<KeyId> {
    let note = Note::parse(note).ok()?;
    let named = note.signatures.iter().find(|signature| signature.name == key.name());
    named.map(|signature| signature.key_id).filter(|id| *id != key.id())
}
