//! Sealing: every value on disk is XChaCha20-Poly1305 ciphertext bound to its table, its key and its versions.
//! It never stores a value in the open and never opens one under another row's name.

use chacha20::{R20, hchacha};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::keys::Keys;

/// The layout of sealed values written by this version.
pub const SEAL_SCHEMA: u8 = 1;

/// Nonce length, in bytes: 192 random bits, so that nonces never need counting.
pub(crate) const NONCE_BYTES: usize = 24;
/// Authentication tag length, in bytes.
pub(crate) const TAG_BYTES: usize = 16;
/// Associated data up to this length, in bytes, needs no memory of its own: that of every row but a few.
const SHORT_DATA_BYTES: usize = 64;
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
    #[error("open sealed value: key version {found} is not held")]
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

/// The cipher for one message: XChaCha20-Poly1305 is ChaCha20-Poly1305 under a key that HChaCha20 derives from the first
/// 16 bytes of the nonce, with the last 8 as its own. Computed so because the assembly of ring takes a sixth of the time.
pub(crate) fn cipher(seal_key: &[u8; 32], nonce: &[u8; NONCE_BYTES]) -> Option<(LessSafeKey, Nonce)> {
    let (derive, own) = nonce.split_first_chunk::<16>()?;
    let derived: Zeroizing<[u8; 32]> = Zeroizing::new(hchacha::<R20>(seal_key.into(), derive.into()).into());
    let mut short = [0; 12];
    short.iter_mut().skip(4).zip(own).for_each(|(to, from)| *to = *from);
    let key = UnboundKey::new(&CHACHA20_POLY1305, derived.as_slice()).ok()?;
    Some((LessSafeKey::new(key), Nonce::assume_unique_for_key(short)))
}

/// Associated data: `[schema][key version][tag length u8][tag][row key]`. The row key stands last, so no two
/// rows share it.
fn with_associated_data<R>(
    (schema, key_version): (u8, u8),
    table_tag: &str,
    row_key: &[u8],
    run: impl FnOnce(&[u8]) -> R,
) -> R {
    debug_assert!(table_tag.len() <= usize::from(u8::MAX), "table tags are short constants");
    let front = [schema, key_version, u8::try_from(table_tag.len()).unwrap_or(u8::MAX)];
    let parts = [&front, table_tag.as_bytes(), row_key];
    let mut room = [0; SHORT_DATA_BYTES];
    match room.get_mut(..parts.iter().map(|part| part.len()).sum()) {
        Some(short) => {
            short.iter_mut().zip(parts.into_iter().flatten()).for_each(|(to, from)| *to = *from);
            run(short)
        }
        None => run(&parts.concat()),
    }
}

/// Seals `plaintext` for the row `row_key` of the table `table_tag`, with the newest data key and a fresh random nonce.
///
/// # Errors
/// [`SealError::TooLong`] for a plaintext of more than 256 GiB.
pub fn seal(keys: &Keys, table_tag: &str, row_key: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut sealed = Vec::with_capacity(plaintext.len() + SEAL_OVERHEAD_BYTES);
    seal_onto(&mut sealed, keys, table_tag, row_key, plaintext)?;
    Ok(sealed)
}

/// As [`seal`], behind what stands in `buffer`.
pub(crate) fn seal_onto(
    buffer: &mut Vec<u8>,
    keys: &Keys,
    table_tag: &str,
    row_key: &[u8],
    plaintext: &[u8],
) -> Result<(), SealError> {
    seal_with_nonce(buffer, keys.ring().sealing(), (table_tag, row_key), plaintext, nonce())
}

/// As [`seal`], with the data key of one version.
pub(crate) fn seal_under(
    keys: &Keys,
    version: u8,
    table_tag: &str,
    row_key: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, SealError> {
    let ring = keys.ring();
    let key = ring.key(version).ok_or(SealError::UnknownKeyVersion { found: version })?;
    let mut sealed = Vec::with_capacity(plaintext.len() + SEAL_OVERHEAD_BYTES);
    seal_with_nonce(&mut sealed, (version, key), (table_tag, row_key), plaintext, nonce())?;
    Ok(sealed)
}

fn nonce() -> [u8; NONCE_BYTES] {
    let mut nonce = [0_u8; NONCE_BYTES];
    rand::fill(&mut nonce);
    nonce
}

fn seal_with_nonce(
    buffer: &mut Vec<u8>,
    (version, seal_key): (u8, &[u8; 32]),
    (table_tag, row_key): (&str, &[u8]),
    plaintext: &[u8],
    nonce: [u8; NONCE_BYTES],
) -> Result<(), SealError> {
    let too_long = SealError::TooLong { found: plaintext.len() };
    buffer.push(SEAL_SCHEMA);
    buffer.push(version);
    buffer.extend_from_slice(&nonce);
    let body = buffer.len();
    buffer.extend_from_slice(plaintext);
    let (key, nonce) = cipher(seal_key, &nonce).ok_or(too_long)?;
    let in_place = buffer.get_mut(body..).unwrap_or_default();
    let tag = with_associated_data((SEAL_SCHEMA, version), table_tag, row_key, |data| {
        key.seal_in_place_separate_tag(nonce, Aad::from(data), in_place)
    });
    buffer.extend_from_slice(tag.map_err(|_| too_long)?.as_ref());
    Ok(())
}

/// The version of the data key that a value was sealed with; `None` for what is shorter than any.
pub(crate) fn version_of(sealed: &[u8]) -> Option<u8> {
    sealed.get(1).copied()
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
    let ring = keys.ring();
    let seal_key = ring.key(key_version).ok_or(SealError::UnknownKeyVersion { found: key_version })?;
    let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(short)?;
    let plain_bytes = rest.len().checked_sub(TAG_BYTES).ok_or(short)?;
    let (key, nonce) = cipher(seal_key, nonce).ok_or(SealError::Forged)?;
    let mut plaintext = rest.to_vec();
    with_associated_data((schema, key_version), table_tag, row_key, |data| {
        key.open_in_place(nonce, Aad::from(data), &mut plaintext).map(|_| ())
    })
    .map_err(|_| SealError::Forged)?;
    plaintext.truncate(plain_bytes);
    Ok(plaintext)
}

#[cfg(test)]
#[path = "seal_tests.rs"]
mod tests;
