//! What witnesses say of the tree's heads, kept to be given out with proofs. Where witnesses' keys are configured, what they have
//! signed is kept and nothing else. Where none is, nothing can be judged here, and whoever relies on a cosignature knows the
//! witness's key; but then a name and key belong to the organisation that brought them first, so that no statement makes way for
//! another organisation's.

use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use kith_merkle::{Checkpoint, Note, NoteSignature, VerifierKey};

use super::Tree;
use super::files::read_small;
use super::types::{TreeError, TreeOptions};
use crate::disk::replace_durably;

/// Witnesses of one organisation between two starts, where no key is configured: none fills the places of all others.
const MAX_OF_ONE: usize = 3;

/// The newest head that was cosigned.
fn cosigned_path(dir: &Path) -> PathBuf {
    dir.join("cosigned")
}

/// Whether both say that they are of the same key.
fn same(one: &NoteSignature, other: &NoteSignature) -> bool {
    one.name == other.name && one.key_id == other.key_id
}

/// Which organisation was the first since the start to bring a statement of a name and key. Those that have a certificate of a
/// witness are few, and each has few of these.
#[derive(Debug, Clone, Default)]
pub(super) struct Brought(Vec<(NoteSignature, String)>);

impl Brought {
    fn owner(&self, statement: &NoteSignature) -> Option<&str> {
        self.0.iter().find(|(first, _)| same(first, statement)).map(|(_, owner)| owner.as_str())
    }

    /// Whether a statement may be brought by this organisation, whose its name and key are from now on.
    fn may(&mut self, statement: &NoteSignature, organisation: &str) -> bool {
        if let Some(owner) = self.owner(statement) {
            return owner == organisation;
        }
        let own = self.0.iter().filter(|(_, owner)| owner == organisation).count();
        if own < MAX_OF_ONE {
            self.0.push((statement.clone(), organisation.to_owned()));
        }
        own < MAX_OF_ONE
    }

    /// What is kept where no key tells whose a statement is. `None` when nothing of a witness is offered, or anything that is not
    /// this organisation's to say, or more than there is room for.
    fn keep(
        &mut self,
        held: &[NoteSignature],
        offered: &[NoteSignature],
        organisation: &str,
    ) -> Option<Vec<NoteSignature>> {
        let mut kept = held.to_vec();
        for statement in offered {
            let before = kept.iter_mut().find(|kept| same(kept, statement));
            // It was brought before the last start: by whom is not known any more.
            let is_anybodys =
                self.owner(statement).is_none() && before.as_ref().is_some_and(|kept| **kept != *statement);
            if is_anybodys || !self.may(statement, organisation) {
                return None;
            }
            match before {
                // A later statement of the same witness takes the place of the one before.
                Some(before) => before.clone_from(statement),
                None => kept.push(statement.clone()),
            }
        }
        (!offered.is_empty() && kept.len() <= TreeOptions::MAX_WITNESSES).then_some(kept)
    }
}

/// What this key has signed on a note, and when.
fn stated(key: &VerifierKey, note: &Note) -> Option<(u64, NoteSignature)> {
    let time_s = key.verify_cosignature(note).ok()?;
    let of_key = |signature: &&NoteSignature| signature.name == key.name() && signature.key_id == key.id();
    note.signatures.iter().find(of_key).map(|signature| (time_s, signature.clone()))
}

/// What is kept of known witnesses: of each its latest statement. `None` when none of them has signed what is offered.
fn keep_known(witnesses: &[VerifierKey], held: Option<&Note>, offered: &Note) -> Option<Vec<NoteSignature>> {
    if !witnesses.iter().any(|key| stated(key, offered).is_some()) {
        return None;
    }
    let latest = |key: &VerifierKey| {
        let held = held.and_then(|note| stated(key, note));
        let both = held.into_iter().chain(stated(key, offered));
        both.max_by_key(|(time_s, _)| *time_s).map(|(_, statement)| statement)
    };
    Some(witnesses.iter().filter_map(latest).collect())
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

    /// Keeps the cosignatures that an organisation brings on one of this log's own heads; gives whether it did. Those on an older
    /// head than the one kept are not; nor is anything that a configured key has not signed, where there is one, or that another
    /// organisation was the first to bring, where there is none.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn add_cosignature(&self, note: &[u8], organisation: &str) -> Result<bool, TreeError> {
        let Some(signer) = &self.options.signer else { return Ok(false) };
        let Ok((checkpoint, offered)) = Checkpoint::open(note, signer.key()) else { return Ok(false) };
        // One at a time: what is read here is what is replaced.
        let mut brought = self.cosigning.lock().unwrap_or_else(PoisonError::into_inner);
        let held = match self.cosigned()? {
            Some((held, _)) if held.size > checkpoint.size => return Ok(false),
            Some((held, kept)) if held == checkpoint => Some(kept),
            Some(_) | None => None,
        };
        let (name, id) = (signer.key().name(), signer.key().id());
        let split = |note: &Note| -> (Vec<NoteSignature>, Vec<NoteSignature>) {
            note.signatures.iter().cloned().partition(|signature| signature.name == name && signature.key_id == id)
        };
        let (mut signatures, statements) = split(&offered);
        // What is refused makes nothing anybody's.
        let mut brought_now = brought.clone();
        let kept = if self.options.witnesses.is_empty() {
            let held = held.as_ref().map(|note| split(note).1).unwrap_or_default();
            brought_now.keep(&held, &statements, organisation)
        } else {
            keep_known(&self.options.witnesses, held.as_ref(), &offered)
        };
        let Some(kept) = kept else { return Ok(false) };
        signatures.extend(kept);
        let kept = Note { text: offered.text, signatures };
        replace_durably(&cosigned_path(&self.options.dir), kept.to_string().as_bytes())?;
        *brought = brought_now;
        Ok(true)
    }
}
