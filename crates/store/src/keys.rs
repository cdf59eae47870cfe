//! The secrets of a data directory: data keys, of which one seals and every one opens, and the keys of names, which stay.
//! They stand wrapped in the keyring and are wiped when dropped. Nothing of a key is ever printed, logged or put into an error.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};
use ring::digest::{SHA256, digest};
use ring::hmac;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::answer_ref::{AnswerRef, AnswerRefKey};
use crate::disk;
use crate::journal::{AuditRef, JOURNAL_ID};
use crate::key_encryption::{KEY_BYTES, KeyEncryptionKey, KeyError, KeySource};
use crate::keyring::{self, Keyring};

/// Length of a pseudonym and of a body hash, in bytes: 128 bits leave no chance of two subjects meeting.
pub const PSEUDONYM_BYTES: usize = 16;

/// The keys of names: pseudonyms, and hashes of bodies. They never change: nothing that is held would be found again.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub(crate) struct NameKeys {
    pub(crate) pseudonym: [u8; KEY_BYTES],
    pub(crate) body: [u8; KEY_BYTES],
}

/// Which keyring is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyringStamp {
    /// It grows with each change of the keyring.
    pub generation: u64,
    /// SHA-256 of the file, in which every key is wrapped.
    pub sha256: [u8; 32],
}

/// The data keys in force.
pub(crate) struct Ring {
    keyring: Keyring,
    stamp: KeyringStamp,
}

impl Ring {
    fn new(keyring: Keyring, file: &[u8]) -> Self {
        let mut sha256 = [0; 32];
        sha256.iter_mut().zip(digest(&SHA256, file).as_ref()).for_each(|(to, from)| *to = *from);
        let stamp = KeyringStamp { generation: keyring.generation, sha256 };
        Self { keyring, stamp }
    }

    /// The version and the key that seal what is written now.
    pub(crate) fn sealing(&self) -> (u8, &[u8; KEY_BYTES]) {
        (self.keyring.newest, &self.keyring.sealing)
    }

    /// The key of a version; `None` when it is not held.
    pub(crate) fn key(&self, version: u8) -> Option<&[u8; KEY_BYTES]> {
        self.keyring.key(version)
    }
}

/// A keyring that nobody has written yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unwritten {
    /// Made for an empty data directory, before anything is sealed.
    Fresh,
    /// For a data directory from before there were keyrings, once its key is known to open it.
    Adopted,
}

/// Where the keyring stands.
struct Place {
    path: PathBuf,
    source: KeySource,
    unwritten: Mutex<Option<(Unwritten, Vec<u8>)>>,
    /// Makes the file durable, bytes and name.
    settle: fn(&Path) -> std::io::Result<()>,
}

/// The keys of one data directory. `Debug` shows the version only.
pub struct Keys {
    ring: ArcSwap<Ring>,
    names: NameKeys,
    answer_refs: AnswerRefKey,
    /// `None` for keys without a file.
    place: Option<Place>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys(version {}, redacted)", self.newest())
    }
}

/// Another keyring than the one in force, found whole and a continuation of it.
pub struct NewKeys(Ring);

impl fmt::Debug for NewKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewKeys({:?}, redacted)", self.0.stamp.generation)
    }
}

impl NewKeys {
    /// Which keyring it is.
    #[must_use]
    pub fn stamp(&self) -> KeyringStamp {
        self.0.stamp
    }

    /// The version that will seal.
    #[must_use]
    pub fn newest(&self) -> u8 {
        self.0.keyring.newest
    }

    /// The versions that can be opened.
    #[must_use]
    pub fn held(&self) -> Vec<u8> {
        self.0.keyring.versions().collect()
    }
}

impl Keys {
    /// Opens the keyring of the data directory `dir` with the key from `source`. A data directory in which nothing is yet
    /// gets a keyring of random keys, and one from before there were keyrings keeps the keys that it has: either is written
    /// by [`crate::Store::open`] and by nothing else.
    ///
    /// # Errors
    /// Every [`KeyError`] of reading; a keyring that does not open is never replaced by an empty one.
    pub fn open(dir: &Path, source: &KeySource) -> Result<Self, KeyError> {
        let key = KeyEncryptionKey::read(source)?;
        let (path, wrapping) = (keyring::path(dir), key.wrapping()?);
        let (keyring, file, unwritten) = match keyring::read(&path)? {
            Some(file) => (Keyring::decode(&file, &wrapping)?, file, None),
            None => {
                let begun = crate::database::is_begun(dir);
                let keyring = if begun { Keyring::adopted(&key)? } else { Keyring::fresh()? };
                let file = keyring.encode(&wrapping)?;
                (keyring, file, Some(if begun { Unwritten::Adopted } else { Unwritten::Fresh }))
            }
        };
        let unwritten = Mutex::new(unwritten.map(|what| (what, file.clone())));
        let names = keyring.names.clone();
        let place = Some(Place { path, source: source.clone(), unwritten, settle: disk::settle });
        let answer_refs = answer_refs(&names);
        Ok(Self { ring: ArcSwap::from_pointee(Ring::new(keyring, &file)), names, answer_refs, place })
    }

    /// Keys derived from one that the caller holds, of version 1, without a keyring.
    #[must_use]
    pub fn from_master(master: [u8; KEY_BYTES]) -> Self {
        let key = KeyEncryptionKey::from_bytes(master);
        // HKDF-SHA256 fails only for outputs over 255 blocks; one block is asked for here.
        let keyring = Keyring::adopted(&key).unwrap_or_else(|_| unreachable!("one HKDF block is always given"));
        let names = keyring.names.clone();
        let answer_refs = answer_refs(&names);
        Self { ring: ArcSwap::from_pointee(Ring::new(keyring, &[])), names, answer_refs, place: None }
    }

    /// Writes the keyring when it is one that nobody has written yet, and of that kind. The caller holds the lock of the
    /// data directory.
    pub(crate) fn keep(&self, kind: Unwritten) -> std::io::Result<()> {
        let Some(place) = &self.place else { return Ok(()) };
        let mut unwritten = place.unwritten.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((found, file)) = &*unwritten
            && *found == kind
        {
            keyring::write_first(&place.path, file)?;
            *unwritten = None;
        }
        Ok(())
    }

    /// Whether they were made just now, for a data directory in which nothing is yet, and stand nowhere.
    #[must_use]
    pub fn are_new(&self) -> bool {
        self.place.as_ref().is_some_and(|place| {
            let unwritten = place.unwritten.lock().unwrap_or_else(PoisonError::into_inner);
            matches!(*unwritten, Some((Unwritten::Fresh, _)))
        })
    }

    /// Makes the keyring that stands on the disk durable. Whoever put it there may have died before its name was, and what is
    /// sealed with a key that a power cut takes away again is lost: this comes before anything is sealed with it.
    pub(crate) fn settle(&self) -> std::io::Result<()> {
        match &self.place {
            Some(place) if !self.is_unwritten() => (place.settle)(&place.path),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether a keyring is in use that does not stand on the disk.
    pub(crate) fn is_unwritten(&self) -> bool {
        self.place
            .as_ref()
            .is_some_and(|place| place.unwritten.lock().unwrap_or_else(PoisonError::into_inner).is_some())
    }

    /// The keys in force, for as long as the guard is held.
    pub(crate) fn ring(&self) -> Guard<Arc<Ring>> {
        self.ring.load()
    }

    /// The version that seals what is written now.
    #[must_use]
    pub fn newest(&self) -> u8 {
        self.ring.load().keyring.newest
    }

    /// The versions that can be opened.
    #[must_use]
    pub fn held(&self) -> Vec<u8> {
        self.ring.load().keyring.versions().collect()
    }

    /// Which keyring is in force; `None` for keys without one.
    #[must_use]
    pub fn stamp(&self) -> Option<KeyringStamp> {
        self.place.as_ref().map(|_| self.ring.load().stamp)
    }

    /// Looks at the keyring on the disk; gives it when it is another than the one in force.
    ///
    /// # Errors
    /// Every [`KeyError`] of reading, [`KeyError::KeyringOlder`] and [`KeyError::KeyringForeign`]: what is in force stays.
    pub fn look(&self) -> Result<Option<NewKeys>, KeyError> {
        let Some(place) = &self.place else { return Ok(None) };
        let file = keyring::read(&place.path)?.ok_or(KeyError::NoKeyring)?;
        let ring = self.ring.load();
        if digest(&SHA256, &file).as_ref() == ring.stamp.sha256.as_slice() {
            return Ok(None);
        }
        let wrapping = KeyEncryptionKey::read(&place.source)?.wrapping()?;
        let found = Keyring::decode(&file, &wrapping)?;
        if found.generation <= ring.stamp.generation {
            return Err(KeyError::KeyringOlder { found: found.generation, known: ring.stamp.generation });
        }
        if !found.continues(&ring.keyring) {
            return Err(KeyError::KeyringForeign);
        }
        // As `settle` says, before anything is sealed with it.
        (place.settle)(&place.path).map_err(KeyError::Keyring)?;
        Ok(Some(NewKeys(Ring::new(found, &file))))
    }

    /// Puts what [`Keys::look`] gave in force, for whatever is sealed or opened from now on.
    pub fn adopt(&self, new: NewKeys) {
        self.ring.store(Arc::new(new.0));
    }

    /// A keyed name for `parts` within `domain`: HMAC-SHA256 over length-prefixed parts, cut to 16 bytes.
    /// Equal inputs give equal names; parts never run into each other, and domains never meet.
    #[must_use]
    pub fn pseudonym(&self, domain: &str, parts: &[&[u8]]) -> [u8; PSEUDONYM_BYTES] {
        truncate(&named(&self.names, domain, parts))
    }

    /// The reference that the answer with this entry carries when it is about a shielded child.
    #[must_use]
    pub fn answer_ref(&self, entry: AuditRef) -> AnswerRef {
        self.answer_refs.conceal(entry)
    }

    /// The entry of the answer with this reference; `None` when no answer ever had it. Where there are more journals, each of
    /// them has to be tried.
    #[must_use]
    pub fn answered_by(&self, reference: AnswerRef) -> Option<AuditRef> {
        self.answer_refs.reveal(reference, JOURNAL_ID)
    }

    /// A keyed hash of a change's body, to tell a repeat from another body under the same id.
    #[must_use]
    pub fn body_hash(&self, body: &[u8]) -> [u8; PSEUDONYM_BYTES] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.names.body);
        truncate(&hmac::sign(&key, body))
    }
}

/// The keyed name for `parts` within `domain`, whole.
fn named(names: &NameKeys, domain: &str, parts: &[&[u8]]) -> hmac::Tag {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &names.pseudonym);
    let mut context = hmac::Context::with_key(&key);
    update_prefixed(&mut context, domain.as_bytes());
    for part in parts {
        update_prefixed(&mut context, part);
    }
    context.sign()
}

/// The key of answers' references: what nothing else is named by.
fn answer_refs(names: &NameKeys) -> AnswerRefKey {
    AnswerRefKey::of(&named(names, "answer-reference", &[]))
}

fn update_prefixed(context: &mut hmac::Context, part: &[u8]) {
    context.update(&(part.len() as u64).to_be_bytes());
    context.update(part);
}

fn truncate(tag: &hmac::Tag) -> [u8; PSEUDONYM_BYTES] {
    let mut short = [0_u8; PSEUDONYM_BYTES];
    for (to, from) in short.iter_mut().zip(tag.as_ref()) {
        *to = *from;
    }
    short
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
