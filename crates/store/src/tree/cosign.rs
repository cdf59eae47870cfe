//! What witnesses say of the tree's heads, kept to be given out with proofs. It is not judged here: whoever relies on a
//! cosignature knows the witness's key.

use std::path::{Path, PathBuf};

use kith_merkle::{Checkpoint, Note};

use super::Tree;
use super::files::read_small;
use super::types::TreeError;
use crate::disk::replace_durably;

/// Most signatures kept on one head, the log's own among them.
const MAX_KEPT: usize = 16;

/// The newest head that was cosigned.
fn cosigned_path(dir: &Path) -> PathBuf {
    dir.join("cosigned")
}

impl Tree {
    /// The newest head that was cosigned, with the log's signature and the witnesses'.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn cosigned(&self) -> Result<Option<(Checkpoint, Note)>, TreeError> {
        let Some(signer) = &self.options.signer else { return Ok(None) };
        let note = read_small(&cosigned_path(&self.options.dir))?;
        Ok(note.and_then(|note| Checkpoint::open(&note, signer.key()).ok()))
    }

    /// Keeps the cosignatures on one of this log's own heads; gives whether it did. Those on an older head than the one kept
    /// are not.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn add_cosignature(&self, note: &[u8]) -> Result<bool, TreeError> {
        let Some(signer) = &self.options.signer else { return Ok(false) };
        let Ok((checkpoint, offered)) = Checkpoint::open(note, signer.key()) else { return Ok(false) };
        // One at a time: what is read here is what is replaced.
        let _one = self.cosigning.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut kept = match self.cosigned()? {
            Some((held, _)) if held.size > checkpoint.size => return Ok(false),
            Some((held, kept)) if held == checkpoint => kept,
            Some(_) | None => Note { text: offered.text.clone(), signatures: Vec::new() },
        };
        for signature in offered.signatures {
            let known =
                kept.signatures.iter().position(|kept| kept.name == signature.name && kept.key_id == signature.key_id);
            match known {
                // A later statement of the same witness takes the place of the one before.
                Some(at) => {
                    if let Some(kept) = kept.signatures.get_mut(at) {
                        *kept = signature;
                    }
                }
                None if kept.signatures.len() < MAX_KEPT => kept.signatures.push(signature),
                None => return Ok(false),
            }
        }
        if kept.signatures.len() < 2 {
            return Ok(false);
        }
        replace_durably(&cosigned_path(&self.options.dir), kept.to_string().as_bytes())?;
        Ok(true)
    }
}
