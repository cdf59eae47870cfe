//! The secrets of a data directory: read once from a key file, derived once, wiped when dropped.
//! It never prints, logs or puts into an error any part of a key.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::{fmt, io};

use ring::{hkdf, hmac};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::disk::sync_parent;

/// The version written into every sealed value, so that a later rotation can tell old from new.
pub const KEY_VERSION: u8 = 1;

/// Length of a pseudonym and of a body hash, in bytes: 128 bits leave no chance of two subjects meeting.
pub const PSEUDONYM_BYTES: usize = 16;

/// Length of every key, in bytes.
const KEY_BYTES: usize = 32;
/// A key file is 64 hexadecimal digits and a newline; anything longer is some other file.
const KEY_FILE_BYTES: u64 = 65;
/// Separates these keys from any other use of the same master.
const HKDF_SALT: &[u8] = b"kith keys v1";

/// Why a key file could not be used.
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
}

/// The derived keys of one data directory. `Debug` shows the version only.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Keys {
    seal: [u8; KEY_BYTES],
    pseudonym: [u8; KEY_BYTES],
    body: [u8; KEY_BYTES],
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys(version {KEY_VERSION}, redacted)")
    }
}

impl Keys {
    /// Reads the key file at `path`: 64 hexadecimal digits and a newline, readable by its owner alone.
    ///
    /// # Errors
    /// Every [`KeyError`]; a file that its group or the world may read is refused.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(KeyError::NotAFile);
        }
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KeyError::TooOpen { mode });
        }
        let mut text = Zeroizing::new(Vec::with_capacity(KEY_BYTES * 4));
        (&mut file).take(KEY_FILE_BYTES + 1).read_to_end(&mut text)?;
        let digits = text.strip_suffix(b"\n").unwrap_or(&text);
        let mut master = Zeroizing::new([0_u8; KEY_BYTES]);
        hex::decode_to_slice(digits, master.as_mut_slice()).map_err(|_| KeyError::Malformed)?;
        Self::derive(&master)
    }

    /// Makes a new random key file at `path` with mode 600, synced, and loads it. Never replaces a file.
    ///
    /// # Errors
    /// [`KeyError::Io`] when the file exists or cannot be written.
    pub fn create(path: &Path) -> Result<Self, KeyError> {
        let mut master = Zeroizing::new([0_u8; KEY_BYTES]);
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), master.as_mut_slice())
            .map_err(|_| KeyError::Crypto)?;
        let mut text = Zeroizing::new(hex::encode(master.as_slice()));
        text.push('\n');
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        sync_parent(path)?;
        Self::derive(&master)
    }

    /// Derives the keys from a master that the caller holds.
    #[must_use]
    pub fn from_master(master: [u8; KEY_BYTES]) -> Self {
        let master = Zeroizing::new(master);
        // HKDF-SHA256 fails only for outputs over 255 blocks; one block is asked for here.
        Self::derive(&master).unwrap_or_else(|_| unreachable!("one HKDF block is always given"))
    }

    fn derive(master: &[u8; KEY_BYTES]) -> Result<Self, KeyError> {
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, HKDF_SALT).extract(master);
        let expand = |label: &[u8]| -> Result<[u8; KEY_BYTES], KeyError> {
            let mut key = [0_u8; KEY_BYTES];
            root.expand(&[label], hkdf::HKDF_SHA256)
                .and_then(|okm| okm.fill(&mut key))
                .map_err(|_| KeyError::Crypto)?;
            Ok(key)
        };
        Ok(Self { seal: expand(b"seal")?, pseudonym: expand(b"pseudonym")?, body: expand(b"body hash")? })
    }

    /// The key under which values are sealed.
    pub(crate) fn seal_key(&self) -> &[u8; KEY_BYTES] {
        &self.seal
    }

    /// A keyed name for `parts` within `domain`: HMAC-SHA256 over length-prefixed parts, cut to 16 bytes.
    /// Equal inputs give equal names; parts never run into each other, and domains never meet.
    #[must_use]
    pub fn pseudonym(&self, domain: &str, parts: &[&[u8]]) -> [u8; PSEUDONYM_BYTES] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.pseudonym);
        let mut context = hmac::Context::with_key(&key);
        update_prefixed(&mut context, domain.as_bytes());
        for part in parts {
            update_prefixed(&mut context, part);
        }
        truncate(&context.sign())
    }

    /// A keyed hash of a change's body, to tell a repeat from another body under the same id.
    #[must_use]
    pub fn body_hash(&self, body: &[u8]) -> [u8; PSEUDONYM_BYTES] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.body);
        truncate(&hmac::sign(&key, body))
    }
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
