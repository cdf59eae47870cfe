//! Sealing: every value on disk is XChaCha20-Poly1305 ciphertext bound to its table, its key and its versions.
//! It never stores a value in the open and never opens one under another row's name.

use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut, KeyInit, Tag, XChaCha20Poly1305, XNonce};

use crate::keys::{KEY_VERSION, Keys};

/// The layout of sealed values written by this version.
pub const SEAL_SCHEMA: u8 = 1;

/// Nonce length, in bytes: 192 random bits, so that nonces never need counting.
const NONCE_BYTES: usize = 24;
/// Authentication tag length, in bytes.
const TAG_BYTES: usize = 16;
/// `[schema u8][key version u8][nonce 24]`, before the ciphertext.
const HEADER_BYTES: usize = 2 + NONCE_BYTES;

/// How much longer a sealed value is than its plaintext, in bytes.
pub const SEAL_OVERHEAD_BYTES: usize = HEADER_BYTES + TAG_BYTES;

/// Why a sealed value could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Shorter than any sealed value can be.
    #[error("open sealed value: {found} bytes is shorter than the least, {SEAL_OVERHEAD_BYTES}")]
    TooShort {
        /// The length found, in bytes.
        found: usize,
    },
    /// Written by a newer version.
    #[error("open sealed value: schema version {found} is newer than {SEAL_SCHEMA}")]
    NewerSchema {
        /// The schema version found.
        found: u8,
    },
    /// Sealed under a key that is not held.
    #[error("open sealed value: key version {found} is not held, expected {KEY_VERSION}")]
    UnknownKeyVersion {
        /// The key version found.
        found: u8,
    },
    /// Altered, moved from another row, or sealed under another key.
    #[error("open sealed value: authentication failed")]
    Forged,
    /// The cipher refused the length of the plaintext.
    #[error("seal value: {found} bytes is too long for the cipher")]
    TooLong {
        /// The length asked for, in bytes.
        found: usize,
    },
}

/// Associated data: `[schema][key version][tag length u8][tag][row key]`. The row key stands last, so no two
/// rows share it.
fn associated_data(schema: u8, key_version: u8, table_tag: &str, row_key: &[u8]) -> Vec<u8> {
    debug_assert!(table_tag.len() <= usize::from(u8::MAX), "table tags are short constants");
    let mut data = Vec::with_capacity(3 + table_tag.len() + row_key.len());
    data.push(schema);
    data.push(key_version);
    data.push(u8::try_from(table_tag.len()).unwrap_or(u8::MAX));
    data.extend_from_slice(table_tag.as_bytes());
    data.extend_from_slice(row_key);
    data
}

/// Seals `plaintext` for the row `row_key` of the table `table_tag`, under a fresh random nonce.
///
/// # Errors
/// [`SealError::TooLong`] for a plaintext of more than 256 GiB.
pub fn seal(keys: &Keys, table_tag: &str, row_key: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut nonce = [0_u8; NONCE_BYTES];
    rand::fill(&mut nonce);
    seal_with_nonce(keys, table_tag, row_key, plaintext, nonce)
}

fn seal_with_nonce(
    keys: &Keys,
    table_tag: &str,
    row_key: &[u8],
    plaintext: &[u8],
    nonce: [u8; NONCE_BYTES],
) -> Result<Vec<u8>, SealError> {
    let mut sealed = Vec::with_capacity(plaintext.len() + SEAL_OVERHEAD_BYTES);
    sealed.push(SEAL_SCHEMA);
    sealed.push(KEY_VERSION);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(plaintext);
    let data = associated_data(SEAL_SCHEMA, KEY_VERSION, table_tag, row_key);
    let (_, body) = sealed.split_at_mut(HEADER_BYTES);
    let tag = XChaCha20Poly1305::new(keys.seal_key().into())
        .encrypt_inout_detached(&XNonce::from(nonce), &data, InOutBuf::from(body))
        .map_err(|_| SealError::TooLong { found: plaintext.len() })?;
    sealed.extend_from_slice(&tag);
    Ok(sealed)
}

/// Opens what [`seal`] made for the same table and row.
///
/// # Errors
/// A [`SealError`] that tells a newer layout, a missing key and a failed authentication apart.
pub fn open(keys: &Keys, table_tag: &str, row_key: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    let short = SealError::TooShort { found: sealed.len() };
    let (head, rest) = sealed.split_first_chunk::<2>().ok_or(short)?;
    let [schema, key_version] = *head;
    if schema > SEAL_SCHEMA {
        return Err(SealError::NewerSchema { found: schema });
    }
    if key_version != KEY_VERSION {
        return Err(SealError::UnknownKeyVersion { found: key_version });
    }
    let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(short)?;
    let (body, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(short)?;
    let mut plaintext = body.to_vec();
    XChaCha20Poly1305::new(keys.seal_key().into())
        .decrypt_inout_detached(
            &XNonce::from(*nonce),
            &associated_data(schema, key_version, table_tag, row_key),
            InOutBuf::from(plaintext.as_mut_slice()),
            &Tag::from(*tag),
        )
        .map_err(|_| SealError::Forged)?;
    Ok(plaintext)
}

#[cfg(test)]
#[path = "seal_tests.rs"]
mod tests;
