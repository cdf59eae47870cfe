//! The key-encryption key: read from a file or from a credential of the service manager, it wraps the keyring and nothing
//! else. It never prints, logs or puts into an error any part of a key.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::{fmt, io};

use ring::aead::Aad;
use ring::{hkdf, hmac};
use zeroize::Zeroizing;

use crate::disk::sync_parent;
use crate::seal::{NONCE_BYTES, TAG_BYTES, cipher};

/// Length of every key, in bytes.
pub(crate) const KEY_BYTES: usize = 32;

/// A key file is 64 hexadecimal digits and a newline; anything longer is some other file.
const KEY_FILE_BYTES: u64 = 65;
/// Separates what is derived here from any other use of the same key.
const HKDF_SALT: &[u8] = b"kith keys v1";
/// Mode bits of a key file that would let others than its owner read it.
const OTHERS_OF_FILE: u32 = 0o077;
/// The same of a credential: the service manager may let the service read it by an access list, whose mask shows where the
/// group's bits are. Its directory is the service's alone.
const OTHERS_OF_CREDENTIAL: u32 = 0o037;

/// Why keys could not be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file could not be opened, read, created or synced.
    #[error("use key file: {0}")]
    Io(#[from] io::Error),
    /// Others than the owner may read or write the file.
    #[error("accept key file mode {mode:o}: expected 600 or 400, so that its owner alone can read it")]
    TooOpen {
        /// The permission bits found.
        mode: u32,
    },
    /// The path is a directory, a device or a pipe.
    #[error("accept key file: expected a regular file")]
    NotAFile,
    /// The content is not 64 hexadecimal digits.
    #[error("read key file: expected 64 hexadecimal digits and a newline")]
    Malformed,
    /// The system gave no random bytes, or a derivation failed.
    #[error("derive keys: cryptographic library refused")]
    Crypto,
    /// A credential is configured, and the process was started without any.
    #[error("read credential: the service manager gave none, CREDENTIALS_DIRECTORY is not set")]
    NoCredentials,
    /// The keyring could not be read, locked or written.
    #[error("use keyring: {0}")]
    Keyring(io::Error),
    /// There is none where one is to be changed.
    #[error("open keyring: there is none in the data directory; the first start of kithd makes it")]
    NoKeyring,
    /// Neither copy in the file is whole, or it was altered.
    #[error("open keyring: {what}")]
    KeyringDamaged {
        /// What is wrong.
        what: &'static str,
    },
    /// Written by a newer version.
    #[error("open keyring: format {found} is newer than this version knows")]
    KeyringNewer {
        /// The format found.
        found: u16,
    },
    /// It is wrapped by another key-encryption key.
    #[error("open keyring: key {wanted} wraps it, and the key that was given is {found}; nothing else opens it")]
    OtherKey {
        /// The key that wraps it.
        wanted: KeyId,
        /// The key that was given.
        found: KeyId,
    },
    /// It is older than the one in force: put back from a copy.
    #[error("take keyring: generation {found} is not newer than {known}, which is in force")]
    KeyringOlder {
        /// The generation found.
        found: u64,
        /// The generation in force.
        known: u64,
    },
    /// It does not continue the one in force.
    #[error("take keyring: it is another data directory's, or lacks a key that is in use")]
    KeyringForeign,
    /// There is no such version.
    #[error("forget data key: version {version} is not held")]
    NotHeld {
        /// The version asked for.
        version: u8,
    },
    /// The version seals what is written now.
    #[error("forget data key: version {version} seals what is written now")]
    Sealing {
        /// The version asked for.
        version: u8,
    },
    /// Versions are numbered with one byte.
    #[error("rotate data key: 255 versions have been used, and none is used twice")]
    NoVersionLeft,
}

/// The name of a key-encryption key: derived from it, and no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyId(pub(crate) [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Where the key-encryption key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file that its owner alone can read.
    File(PathBuf),
    /// A credential of the service manager.
    Credential {
        /// Where it puts credentials, `$CREDENTIALS_DIRECTORY`; none outside a service that has any.
        directory: Option<PathBuf>,
        /// The credential's name.
        name: String,
    },
}

impl KeySource {
    /// The file to read, and the mode bits that it must not have.
    ///
    /// # Errors
    /// [`KeyError::NoCredentials`].
    pub fn place(&self) -> Result<(PathBuf, u32), KeyError> {
        match self {
            Self::File(path) => Ok((path.clone(), OTHERS_OF_FILE)),
            Self::Credential { directory: Some(directory), name } => Ok((directory.join(name), OTHERS_OF_CREDENTIAL)),
            Self::Credential { directory: None, name: _ } => Err(KeyError::NoCredentials),
        }
    }
}

/// The key that wraps the keyring. `Debug` shows nothing of it.
pub struct KeyEncryptionKey(Zeroizing<[u8; KEY_BYTES]>);

impl fmt::Debug for KeyEncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyEncryptionKey(redacted)")
    }
}

impl KeyEncryptionKey {
    /// Reads 64 hexadecimal digits and a newline.
    ///
    /// # Errors
    /// A file that others may read, that is no file, or that holds anything else is refused.
    pub fn read(source: &KeySource) -> Result<Self, KeyError> {
        let (path, others) = source.place()?;
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(KeyError::NotAFile);
        }
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & others != 0 {
            return Err(KeyError::TooOpen { mode });
        }
        let mut text = Zeroizing::new(Vec::with_capacity(KEY_BYTES * 4));
        (&mut file).take(KEY_FILE_BYTES + 1).read_to_end(&mut text)?;
        let digits = text.strip_suffix(b"\n").unwrap_or(&text);
        let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
        hex::decode_to_slice(digits, key.as_mut_slice()).map_err(|_| KeyError::Malformed)?;
        Ok(Self(key))
    }

    /// Makes a new random key in a file at `path` with mode 600, synced. Never replaces a file.
    ///
    /// # Errors
    /// [`KeyError::Io`] when the file exists or cannot be written.
    pub fn create(path: &Path) -> Result<Self, KeyError> {
        let key = random::<KEY_BYTES>()?;
        // The line end by itself: text that grows leaves copies behind.
        let digits = Zeroizing::new(hex::encode(key.as_slice()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(digits.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        sync_parent(path)?;
        Ok(Self(key))
    }

    /// A key that the caller holds.
    #[must_use]
    pub fn from_bytes(key: [u8; KEY_BYTES]) -> Self {
        Self(Zeroizing::new(key))
    }

    /// One key derived from this one, for the use that `label` names.
    pub(crate) fn derive(&self, label: &[u8]) -> Result<Zeroizing<[u8; KEY_BYTES]>, KeyError> {
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, HKDF_SALT).extract(self.0.as_slice());
        let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
        root.expand(&[label], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(key.as_mut_slice()))
            .map_err(|_| KeyError::Crypto)?;
        Ok(key)
    }

    /// What it wraps with.
    pub(crate) fn wrapping(&self) -> Result<Wrapping, KeyError> {
        let name = self.derive(b"key id")?;
        let id = KeyId(name.first_chunk().copied().unwrap_or_default());
        Ok(Wrapping { id, wrap: self.derive(b"wrap")?, sum: self.derive(b"keyring sum")? })
    }
}

/// Random bytes that are wiped when dropped.
pub(crate) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, KeyError> {
    let mut bytes = Zeroizing::new([0_u8; N]);
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), bytes.as_mut_slice())
        .map_err(|_| KeyError::Crypto)?;
    Ok(bytes)
}

/// How a key-encryption key wraps the keyring: each key by itself, and a sum over the whole.
pub(crate) struct Wrapping {
    pub(crate) id: KeyId,
    wrap: Zeroizing<[u8; KEY_BYTES]>,
    sum: Zeroizing<[u8; KEY_BYTES]>,
}

/// How much longer a wrapped key is than the key, in bytes.
pub(crate) const WRAP_OVERHEAD_BYTES: usize = NONCE_BYTES + TAG_BYTES;

impl Wrapping {
    /// Wraps `plain`, bound to `data`: a fresh random nonce, the ciphertext, the tag.
    pub(crate) fn wrap(&self, data: &[u8], plain: &[u8]) -> Result<Vec<u8>, KeyError> {
        let nonce = random::<NONCE_BYTES>()?;
        // What cannot be wrapped is wiped.
        let mut wrapped = Zeroizing::new(Vec::<u8>::with_capacity(plain.len() + WRAP_OVERHEAD_BYTES));
        wrapped.extend_from_slice(nonce.as_slice());
        wrapped.extend_from_slice(plain);
        let (key, own) = cipher(&self.wrap, &nonce).ok_or(KeyError::Crypto)?;
        let in_place = wrapped.get_mut(NONCE_BYTES..).unwrap_or_default();
        let tag = key.seal_in_place_separate_tag(own, Aad::from(data), in_place).map_err(|_| KeyError::Crypto)?;
        wrapped.extend_from_slice(tag.as_ref());
        Ok(std::mem::take(&mut *wrapped))
    }

    /// Opens what was wrapped with the same `data`; `None` when it was not.
    pub(crate) fn open(&self, data: &[u8], wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, rest) = wrapped.split_first_chunk::<NONCE_BYTES>()?;
        let length = rest.len().checked_sub(TAG_BYTES)?;
        let (key, own) = cipher(&self.wrap, nonce)?;
        let mut plain = Zeroizing::new(rest.to_vec());
        key.open_in_place(own, Aad::from(data), &mut plain).ok()?;
        plain.truncate(length);
        Some(plain)
    }

    /// The sum over the keyring, which nobody makes without the key.
    pub(crate) fn sum(&self, bytes: &[u8]) -> hmac::Tag {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, self.sum.as_slice()), bytes)
    }

    /// Whether that is the sum.
    pub(crate) fn is_sum(&self, bytes: &[u8], sum: &[u8]) -> bool {
        hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, self.sum.as_slice()), bytes, sum).is_ok()
    }
}

#[cfg(test)]
#[path = "key_encryption_tests.rs"]
mod tests;
