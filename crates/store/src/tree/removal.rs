//! What was removed under retention, signed with the log's key. An entry that tells of it proves nothing by itself: whoever has the
//! disks and the key that seals can write one while the service is stopped, and the next start signs what it finds. This is signed
//! only by whoever removed. Nothing here touches a file.

use kith_merkle::{CheckpointError, LogSigner, Note, VerifierKey};

use super::Tree;
use super::types::TreeError;

/// What is signed. It has two lines, so that nobody takes it for a checkpoint, which has three.
fn text(log: &str, through: u64) -> String {
    format!("{log}\nremoved through {through}\n")
}

fn sign(signer: &LogSigner, through: u64) -> Result<Vec<u8>, TreeError> {
    let note = signer.sign(&text(signer.key().name(), through)).map_err(CheckpointError::from)?;
    Ok(note.to_string().into_bytes())
}

/// Up to which number a note tells that entries were removed; `None` when it is not signed with `key`, or tells anything else.
fn read(note: &[u8], key: &VerifierKey) -> Option<u64> {
    let note = Note::parse(note).ok()?;
    key.verify(&note).ok()?;
    let number = note.text.strip_prefix(key.name())?.strip_prefix("\nremoved through ")?.strip_suffix('\n')?;
    let through = number.parse().ok()?;
    (text(key.name(), through) == note.text).then_some(through)
}

impl Tree {
    /// Signs that every entry up to a number was removed, for the sinks to keep; `None` without a key.
    ///
    /// # Errors
    /// [`TreeError::Sign`].
    pub fn sign_removal(&self, through: u64) -> Result<Option<Vec<u8>>, TreeError> {
        self.options.signer.as_deref().map(|signer| sign(signer, through)).transpose()
    }

    /// Up to which number any of these notes tells, signed with `key`, that entries were removed. 0 when none does.
    #[must_use]
    pub fn removal_through(notes: &[Vec<u8>], key: &VerifierKey) -> u64 {
        notes.iter().filter_map(|note| read(note, key)).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_merkle::Checkpoint;

    #[test]
    fn only_what_the_logs_key_signed_of_a_removal_tells_of_one() {
        let signer = LogSigner::from_seed("kith.test/audit", &[5; 32]).unwrap();
        let key = signer.key();
        let note = sign(&signer, 20).unwrap();
        assert!(note.starts_with(b"kith.test/audit\nremoved through 20\n\n"));
        assert_eq!(read(&note, key), Some(20));
        assert_eq!(Tree::removal_through(&[b"no note".to_vec(), sign(&signer, 7).unwrap(), note.clone()], key), 20);
        assert_eq!(Tree::removal_through(&[], key), 0);
        for at in 0..note.len() {
            let mut other = note.clone();
            other[at] ^= 1;
            assert_eq!(read(&other, key), None, "byte {at}");
            assert_eq!(read(&note[..at], key), None, "{at} bytes");
        }
        let stranger = LogSigner::from_seed("kith.test/audit", &[6; 32]).unwrap();
        assert_eq!(read(&sign(&stranger, 20).unwrap(), key), None);
        // Neither is taken for the other, nor a number in another spelling for one.
        let checkpoint = Checkpoint { origin: key.name().to_owned(), size: 20, root: [7; 32] };
        assert_eq!(read(checkpoint.sign(&signer).unwrap().to_string().as_bytes(), key), None);
        assert!(Checkpoint::open(&note, key).is_err());
        let padded = signer.sign("kith.test/audit\nremoved through 020\n").unwrap().to_string();
        assert_eq!(read(padded.as_bytes(), key), None);
    }
}
